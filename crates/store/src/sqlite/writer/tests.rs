//! The writer alone, with requests made up for the purpose.

use super::*;
use std::sync::mpsc;
use steadfast_core::outbox::Status;
use steadfast_core::port::StoreError;

fn writer(folder: &tempfile::TempDir) -> (Writer, Connection) {
    writer_of(folder, Duration::from_secs(30))
}

fn writer_of(folder: &tempfile::TempDir, patience: Duration) -> (Writer, Connection) {
    let path = folder.path().join("test.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT;")
        .unwrap();
    let reader = Connection::open(&path).unwrap();
    let bounds = Bounds {
        queue: 64,
        batch: 64,
        patience,
    };
    (
        Writer::start(connection, path, bounds, None, watch::Sender::new(0)).unwrap(),
        reader,
    )
}

fn rows(db: &Connection) -> Vec<i64> {
    let mut select = db.prepare("SELECT n FROM t ORDER BY n").unwrap();
    let rows = select.query_map((), |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn insert(tx: &Tx<'_>, n: i64) -> Result<(), Error> {
    tx.run("INSERT INTO t (n) VALUES (?1)", (n,))?;
    Ok(())
}

/// Keeps the writer inside a request, so that what is asked meanwhile becomes
/// one batch. Dropping the sender lets it go on.
struct Gate {
    entered: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
}

impl Gate {
    fn new() -> (
        Self,
        impl FnMut(&mut Tx<'_>) -> Result<(), Error> + Send + 'static,
    ) {
        let (enter, entered) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let work = move |_: &mut Tx<'_>| {
            let _ = enter.send(());
            let _ = released.recv();
            Ok(())
        };
        (Self { entered, release }, work)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_request_does_not_touch_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, db) = writer(&folder);
    let (gate, work) = Gate::new();
    let held = writer.write(work, Manner::default());
    let rest = async {
        tokio::task::block_in_place(|| gate.entered.recv()).unwrap();
        let good = |n| writer.write(move |tx: &mut Tx<'_>| insert(tx, n), Manner::default());
        let bad = writer.write(
            |tx: &mut Tx<'_>| {
                insert(tx, 10)?;
                tx.count(1, None, Some(Status::Accepted));
                insert(tx, 10)
            },
            Manner::default(),
        );
        let refused = writer.write::<(), _>(
            |_: &mut Tx<'_>| Err(StoreError::Exists.into()),
            Manner::default(),
        );
        let answers = async { tokio::join!(good(1), bad, good(2), refused, good(3)) };
        let go = async {
            // By now all five wait: `join!` polls in order.
            drop(gate.release);
        };
        tokio::join!(answers, go).0
    };
    let (held, (a, bad, b, refused, c)) = tokio::join!(held, rest);
    assert_eq!((held, a, b, c), (Ok(()), Ok(()), Ok(()), Ok(())));
    assert!(matches!(bad, Err(StoreError::Failed(_))), "{bad:?}");
    assert_eq!(refused, Err(StoreError::Exists));
    assert_eq!(rows(&db), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_fails_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, db) = writer(&folder);
    db.execute_batch(
        "CREATE TABLE child (n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED) STRICT",
    )
    .unwrap();
    let (gate, work) = Gate::new();
    let held = writer.write(work, Manner::default());
    let rest = async {
        tokio::task::block_in_place(|| gate.entered.recv()).unwrap();
        let good = writer.write(|tx: &mut Tx<'_>| insert(tx, 1), Manner::default());
        let broken = writer.write(
            |tx: &mut Tx<'_>| {
                // Found out only when it is committed.
                tx.db.execute_batch("PRAGMA defer_foreign_keys = ON")?;
                tx.run("INSERT INTO child (n) VALUES (99)", ())?;
                Ok(())
            },
            Manner::default(),
        );
        let go = async { drop(gate.release) };
        let (good, broken, ()) = tokio::join!(good, broken, go);
        (good, broken)
    };
    let (_, (good, broken)) = tokio::join!(held, rest);
    assert!(matches!(good, Err(StoreError::Failed(_))), "{good:?}");
    assert!(matches!(broken, Err(StoreError::Failed(_))), "{broken:?}");
    assert!(rows(&db).is_empty());
    // And the next one is none the worse for it.
    let next = writer
        .write(|tx: &mut Tx<'_>| insert(tx, 2), Manner::default())
        .await;
    assert_eq!(next, Ok(()));
    assert_eq!(rows(&db), [2]);
}

#[tokio::test]
async fn what_was_not_answered_in_time_may_have_been_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, db) = writer_of(&folder, Duration::from_millis(50));
    let (gate, mut work) = Gate::new();
    let mut call = Box::pin(writer.write(
        move |tx: &mut Tx<'_>| {
            insert(tx, 1)?;
            work(tx)
        },
        Manner::default(),
    ));
    assert!(poll_once(&mut call).is_pending());
    gate.entered.recv().unwrap();
    let late = call.await;
    assert!(matches!(late, Err(StoreError::Unknown(_))), "{late:?}");
    drop(gate);
    writer.close().await;
    assert_eq!(rows(&db), [1]);
}

#[tokio::test]
async fn who_waits_for_a_writer_that_dies_is_told_what_is_known() {
    let (sender, begun) = oneshot::channel::<Result<(), StoreError>>();
    drop(Reply {
        sender: Some(sender),
        begun: true,
    });
    let end = begun.await.unwrap();
    assert!(matches!(end, Err(StoreError::Unknown(_))), "{end:?}");
    let (sender, waiting) = oneshot::channel::<Result<(), StoreError>>();
    drop(Reply {
        sender: Some(sender),
        begun: false,
    });
    assert_eq!(waiting.await.unwrap(), Err(StoreError::Closed));
}

struct Undo(mpsc::Sender<i64>, i64);

impl Job for Undo {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Error> {
        tx.run("DELETE FROM t WHERE n = ?1", (self.1,))?;
        Ok(())
    }
    fn is_abandoned(&self) -> bool {
        false
    }
    fn answer(self: Box<Self>, result: Result<(), StoreError>) -> Option<Box<dyn Job>> {
        result.unwrap();
        self.0.send(self.1).unwrap();
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_hears_of_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, db) = writer(&folder);
    let (undone, undos) = mpsc::channel();
    let (gate, mut work) = Gate::new();
    let manner =
        Manner::default().unheard(move |n: &i64| Some(Box::new(Undo(undone, *n)) as Box<dyn Job>));
    let mut call = Box::pin(writer.write(
        move |tx: &mut Tx<'_>| {
            insert(tx, 7)?;
            work(tx)?;
            Ok(7)
        },
        manner,
    ));
    // Runs up to the wait for the answer, and is dropped while the writer is inside.
    assert!(poll_once(&mut call).is_pending());
    tokio::task::block_in_place(|| gate.entered.recv()).unwrap();
    drop(call);
    drop(gate.release);
    assert_eq!(tokio::task::block_in_place(|| undos.recv()), Ok(7));
    assert!(rows(&db).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_waits_for_is_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, db) = writer(&folder);
    let (gate, work) = Gate::new();
    let mut held = Box::pin(writer.write(work, Manner::default()));
    assert!(poll_once(&mut held).is_pending());
    tokio::task::block_in_place(|| gate.entered.recv()).unwrap();
    let mut given_up = Box::pin(writer.write(|tx: &mut Tx<'_>| insert(tx, 1), Manner::default()));
    assert!(poll_once(&mut given_up).is_pending());
    drop(given_up);
    drop(gate.release);
    assert_eq!(held.await, Ok(()));
    writer.close().await;
    assert!(rows(&db).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, db) = writer(&folder);
    let (gate, work) = Gate::new();
    let held = writer.write(work, Manner::default());
    let rest = async {
        tokio::task::block_in_place(|| gate.entered.recv()).unwrap();
        let queued = writer.write(|tx: &mut Tx<'_>| insert(tx, 1), Manner::default());
        let close = async {
            drop(gate.release);
            writer.close().await;
        };
        tokio::join!(queued, close).0
    };
    let (held, queued) = tokio::join!(held, rest);
    assert_eq!((held, queued), (Ok(()), Ok(())));
    assert_eq!(rows(&db), [1]);
    let late = writer
        .write(|tx: &mut Tx<'_>| insert(tx, 2), Manner::default())
        .await;
    assert_eq!(late, Err(StoreError::Closed));
}

/// Polls once, with nobody to wake.
fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut context)
}
