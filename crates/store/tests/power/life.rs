//! Lives of a store between power cuts.
//!
//! A store is asked many things at a time, its disk is recorded, and it is
//! noted at which place of the record each request was made and answered. The
//! record is then cut at many places. The store that is found there must be
//! just as after some number of requests: not fewer than were answered until
//! then, not more than had been made. From one of the cuts the next life goes on.

use crate::ask::{Ask, Model, SESSIONS, shown, used_up};
use crate::dice::Dice;
use crate::disk::{Disk, Folder, Honesty, lay_out};
use crate::syscalls::Watch;
use crate::weak::weaken;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steadfast_core::port::Store as _;
use steadfast_store::{Options, SqliteStore};

const LIVES: usize = 3;
/// Cuts of one life's record.
const CUTS: usize = 6;
/// Requests of one life, about.
const ASKS: usize = 45;
/// Requests that wait at the same time, at most.
const TOGETHER: usize = 12;

/// What stands under the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground {
    pub(crate) honesty: Honesty,
    /// Whether SQLite is kept from syncing at commits.
    pub(crate) weak: bool,
}

impl Ground {
    pub(crate) const FIRM: Self = Self {
        honesty: Honesty::Honest,
        weak: false,
    };
}

/// What was seen.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) asked: usize,
    pub(crate) cuts: usize,
    /// Cuts between a request and its answer.
    pub(crate) unanswered: usize,
    /// Such cuts after which something was found that had not been answered.
    pub(crate) kept: usize,
    /// Such cuts after which something was gone that had not been answered.
    pub(crate) undone: usize,
    /// Times that the log was folded into the database.
    pub(crate) folded: usize,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.cuts += other.cuts;
        self.unanswered += other.unanswered;
        self.kept += other.kept;
        self.undone += other.undone;
        self.folded += other.folded;
    }
}

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) why: String,
    /// What was found after the cut.
    pub(crate) folder: Folder,
}

/// Where in the record a request was made and answered.
#[derive(Debug, Clone, Copy)]
struct Mark {
    made: usize,
    answered: usize,
}

/// Runs the lives of one seed.
pub(crate) fn run(seed: u64, ground: Ground) -> Result<Totals, Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut dice = Dice::new(seed);
        let mut totals = Totals::default();
        let mut model = Model::new(dice.once_in(12));
        let mut found = Folder::new();
        for _ in 0..LIVES {
            let (disk, first, marks) =
                live(&found, &mut model, ground, &mut dice, &mut totals).await;
            totals.asked += marks.len();
            let mut next = None;
            for _ in 0..CUTS {
                let place = somewhere(&disk, &marks, &mut dice);
                let folder = disk.cut(place, ground.honesty, &mut dice);
                let made = first + marks.iter().take_while(|mark| mark.made <= place).count();
                let answered = marks.iter().rposition(|mark| mark.answered <= place);
                let answered = first + answered.map_or(0, |last| last + 1);
                totals.cuts += 1;
                totals.unanswered += usize::from(answered < made);
                match judge(&folder, &model, answered, made).await {
                    Ok(count) => {
                        totals.kept += usize::from(count > answered);
                        totals.undone += usize::from(count < made);
                        next = Some((folder, count));
                    }
                    Err(why) => {
                        let why = format!("cut at {place} of {}: {why}", disk.place());
                        return Err(Broken { why, folder });
                    }
                }
            }
            if let Some((folder, count)) = next {
                found = folder;
                model = model.after(count).await;
            }
        }
        Ok(totals)
    })
}

/// A place to cut at: often where an answer was just given.
fn somewhere(disk: &Disk, marks: &[Mark], dice: &mut Dice) -> usize {
    let (begin, end) = (disk.begin(), disk.place());
    let anywhere = begin + dice.index(end + 1 - begin);
    match dice.pick(marks) {
        Some(mark) if dice.below(3) > 0 => {
            let about = mark.answered + dice.index(6);
            about.saturating_sub(3).clamp(begin, end)
        }
        _ => anywhere,
    }
}

fn database(folder: &Path) -> PathBuf {
    folder.join("steadfast.db")
}

fn fresh_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (folder, path)
}

/// One life, on what the last one left behind. Gives its record, how many
/// requests came before it, and the marks of its own.
async fn live(
    found: &Folder,
    model: &mut Model,
    ground: Ground,
    dice: &mut Dice,
    totals: &mut Totals,
) -> (Arc<Disk>, usize, Vec<Mark>) {
    let (_kept, folder) = fresh_folder();
    lay_out(found, &folder);
    let disk = Arc::new(Disk::holding(found));
    let _watch = Watch::record(&folder, Arc::clone(&disk));
    if ground.weak {
        weaken(&folder);
    }
    let path = database(&folder);
    let options = Options {
        // With one request to a commit a seed gives the same record every time.
        batch: [1, 4, 256][dice.index(3)],
        ..Options::default()
    };
    let mut store = Arc::new(SqliteStore::open(&path, options).unwrap());
    let (first, mut marks) = (model.asked.len(), Vec::new());
    let mut begin = Vec::new();
    if first < SESSIONS as usize {
        let missing = first as u64..SESSIONS;
        begin.extend(missing.map(|whose| vec![Ask::AddSession(whose)]));
    }
    begin.extend((0..SESSIONS).map(|whose| vec![Ask::TakeFence(whose)]));
    begin.reverse();
    while marks.len() < ASKS {
        let asks = match begin.pop() {
            Some(asks) => asks,
            None => model.next_asks(1 + dice.index(TOGETHER), dice).await,
        };
        // Somebody else folds the log into the database, while requests are served.
        let folding = dice.once_in(6).then(|| {
            totals.folded += 1;
            let path = path.clone();
            tokio::task::spawn_blocking(move || fold(&path))
        });
        marks.extend(ask_together(&store, &disk, model, asks).await);
        if let Some(folding) = folding {
            folding.await.unwrap();
        }
        if dice.once_in(12) {
            store.close().await;
            totals.folded += 1;
            store = Arc::new(SqliteStore::open(&path, options).unwrap());
            begin.extend((0..SESSIONS).map(|whose| vec![Ask::TakeFence(whose)]));
        }
    }
    store.close().await;
    assert_same(&disk.now(), &folder);
    (disk, first, marks)
}

/// Makes requests at the same time. The writer serves them in this order.
async fn ask_together(
    store: &Arc<SqliteStore>,
    disk: &Arc<Disk>,
    model: &mut Model,
    asks: Vec<Ask>,
) -> Vec<Mark> {
    let (made, fences) = (disk.place(), model.fences);
    let mut waiting = tokio::task::JoinSet::new();
    let mut expected = Vec::new();
    for (at, ask) in asks.into_iter().enumerate() {
        let (store, disk) = (Arc::clone(store), Arc::clone(disk));
        let (request, time) = (ask.clone(), model.time());
        waiting.spawn(async move {
            let answer = request.put(&*store, fences, time).await;
            (at, answer, disk.place())
        });
        expected.push(model.ask(ask).await);
    }
    let mut answers = waiting.join_all().await;
    answers.sort_unstable();
    let answered = |((at, answer, answered), expected): ((usize, String, usize), String)| {
        assert_eq!(answer, expected, "request {at} of a round");
        Mark { made, answered }
    };
    answers.into_iter().zip(expected).map(answered).collect()
}

/// Folds the log into the database, as another process may.
fn fold(path: &Path) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.pragma_update(None, "synchronous", "full").unwrap();
    // How far it came is not our affair: it does as much as readers let it.
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
        .unwrap();
}

/// What is recorded is what is there: nothing goes past the record.
fn assert_same(recorded: &Folder, folder: &Path) {
    let mut there = Folder::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        there.insert(name, std::fs::read(path).unwrap());
    }
    let names = |folder: &Folder| folder.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(recorded), names(&there));
    assert!(
        *recorded == there,
        "the record lacks some of what was written"
    );
}

/// Opens what was found, and says after how many requests it was like this.
async fn judge(
    found: &Folder,
    model: &Model,
    answered: usize,
    made: usize,
) -> Result<usize, String> {
    let (_kept, folder) = fresh_folder();
    lay_out(found, &folder);
    let _watch = Watch::scratch(&folder);
    let path = database(&folder);
    let store = SqliteStore::open(&path, Options::default())
        .map_err(|error| format!("the store does not open: {error}"))?;
    let verdict = compare(&store, &path, model, answered, made).await;
    store.close().await;
    verdict
}

async fn compare(
    store: &SqliteStore,
    path: &Path,
    model: &Model,
    answered: usize,
    made: usize,
) -> Result<usize, String> {
    let said = |error| format!("the store fails: {error}");
    let seen = shown(store).await.map_err(said)?;
    sound(path)?;
    // What is shown may be the same after several requests: who owns a session
    // is not shown. What is to be used then tells them apart.
    let asked = &model.asked[..made];
    let mut then = model.after(answered).await;
    let least = shown(&then.store).await.map_err(said)?;
    let mut expected = least.clone();
    let mut alike = Vec::new();
    loop {
        let count = then.asked.len();
        if expected == seen {
            let then = model.after(count).await;
            alike.push((count, used_up(asked, &then.store).await));
        }
        if count == made {
            break;
        }
        then.ask(asked[count].clone()).await;
        expected = shown(&then.store).await.map_err(said)?;
    }
    let Some((_, expected)) = alike.first() else {
        return Err(format!(
            "it is like after none of {answered} (answered) to {made} (made) requests\n{}",
            differences(&least, &seen)
        ));
    };
    let given = used_up(asked, store).await;
    alike
        .iter()
        .find(|(_, expected)| *expected == given)
        .map(|(count, _)| *count)
        .ok_or_else(|| format!("it is used differently\n{}", differences(expected, &given)))
}

/// SQLite's own word on the file.
fn sound(path: &Path) -> Result<(), String> {
    let check = || -> rusqlite::Result<(String, bool)> {
        let db = rusqlite::Connection::open(path)?;
        let said = db.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        let orphans = db.prepare("PRAGMA foreign_key_check")?.exists(())?;
        Ok((said, orphans))
    };
    match check() {
        Ok((said, false)) if said == "ok" => Ok(()),
        Ok((said, orphans)) => Err(format!("damaged: {said}, orphans: {orphans}")),
        Err(error) => Err(format!("damaged: {error}")),
    }
}

/// The first few lines that one has and the other lacks.
fn differences(expected: &[String], seen: &[String]) -> String {
    let lacks = |mark: &str, has: &[String], other: &[String]| -> Vec<String> {
        has.iter()
            .filter(|line| !other.contains(line))
            .take(5)
            .map(|line| format!("{mark} {line}"))
            .collect()
    };
    let mut lines = lacks("-", expected, seen);
    lines.extend(lacks("+", seen, expected));
    lines.join("\n")
}
