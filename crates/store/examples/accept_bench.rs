//! How many messages a second the store accepts, against SQLite by itself.
//!
//! `cargo run --release -p steadfast-store --example accept_bench -- [--runs N]
//! [--accepts N] [--callers N] [--chats N] [--sizes 0,10000,...] [--dir FOLDER] [--json]`
//!
//! First part: the same rows, once through the store by so many concurrent
//! callers, and once straight into SQLite by one thread with one commit for as
//! many rows as there are callers; turn about, on fresh databases. The ratio is
//! what the store's rules, queue and hand-overs leave of the bare speed. Beside
//! it stands the processor time that the one writing thread took for an accept,
//! which says the same on a machine that is busy with other things.
//!
//! Second part: what one accept and one delivery (claim, then record) cost
//! while so many messages are queued.
//!
//! With `--json` each figure is one object on a line and nothing else is said:
//! `{"what", "unit", "runs", "min", "p50", "max"}`, with `queued` in the second part.

#![allow(clippy::print_stdout, reason = "a command whose result is its output")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark ends where something fails"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use steadfast_core::ids::{ChatId, Fence, LoginGeneration, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Ack, Body, NewMessage, Priority};
use steadfast_core::port::{Accepted, Outcome, Recorded, SessionRecord, Store};
use steadfast_core::time::UnixMs;
use steadfast_store::{Options, SqliteStore};

/// Says something to a person, unless a program listens.
macro_rules! say {
    ($settings:expr, $($what:tt)*) => {
        if !$settings.json {
            println!($($what)*);
        }
    };
}

struct Settings {
    runs: usize,
    accepts: usize,
    callers: usize,
    chats: u64,
    sizes: Vec<usize>,
    dir: PathBuf,
    json: bool,
}

fn settings() -> Settings {
    let mut settings = Settings {
        runs: 7,
        accepts: 20_000,
        callers: 64,
        chats: 10_000,
        sizes: vec![0, 10_000, 100_000, 1_000_000],
        dir: std::env::temp_dir(),
        json: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--json" {
            settings.json = true;
            continue;
        }
        let value = args
            .next()
            .unwrap_or_else(|| panic!("{name} needs a value"));
        match name.as_str() {
            "--runs" => settings.runs = value.parse().unwrap(),
            "--accepts" => settings.accepts = value.parse().unwrap(),
            "--callers" => settings.callers = value.parse().unwrap(),
            "--chats" => settings.chats = value.parse().unwrap(),
            "--sizes" => {
                let sizes = value.split(',').filter(|size| !size.is_empty());
                settings.sizes = sizes.map(|size| size.parse().unwrap()).collect();
            }
            "--dir" => settings.dir = value.into(),
            _ => panic!("{name} is no setting"),
        }
    }
    settings
}

fn session() -> SessionId {
    SessionId::parse("default").unwrap()
}

/// A fixed stream of numbers that look random (splitmix64).
fn scramble(n: u64) -> u64 {
    let mut z = n
        .wrapping_add(0x9E37_79B9_7F4A_7C15)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Messages as they come: ids by time, chats and WhatsApp's ids at random.
fn messages(first: usize, count: usize, chats: u64) -> Vec<NewMessage> {
    let session = session();
    (first..first + count)
        .map(|n| {
            let n = n as u64;
            let at = UnixMs(1_700_000_000_000).plus(n / 8);
            let (mut id, mut wa) = ([0; 10], [0; 9]);
            id[2..].copy_from_slice(&scramble(n).to_be_bytes());
            wa[1..].copy_from_slice(&scramble(!n).to_be_bytes());
            NewMessage {
                id: MessageId::mint(at, id),
                wa_message_id: WaMessageId::mint(wa),
                session: session.clone(),
                to: ChatId::parse(&format!("49151{:08}", scramble(n ^ 0x00C0_FFEE) % chats))
                    .unwrap(),
                body: Body::text(format!(
                    "Your order {n} is on its way and will be with you between 10 and 12."
                )),
                priority: Priority::Normal,
                accepted_at: at,
                due_at: at,
                expires_at: None,
            }
        })
        .collect()
}

async fn fresh(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path, Options::default()).unwrap();
    let record = SessionRecord {
        id: session(),
        created_at: UnixMs(0),
        enabled: true,
        login: LoginGeneration(1),
        parked: None,
    };
    store.add_session(record).await.unwrap();
    store
}

/// What one way of writing took.
struct Cost {
    /// From begin to end.
    seconds: f64,
    /// Of the processor, by the thread that writes.
    writer_seconds: f64,
}

/// Processor time of a thread of ours, in seconds (proc(5), `schedstat`, in nanoseconds).
fn processor_seconds(thread: &Path) -> f64 {
    let text = std::fs::read_to_string(thread.join("schedstat")).unwrap();
    let nanoseconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

/// The store's writing thread, as the kernel lists it.
fn writing_thread() -> PathBuf {
    let mut threads = std::fs::read_dir("/proc/self/task").unwrap();
    let found = threads.find_map(|thread| {
        let thread = thread.unwrap().path();
        let name = std::fs::read_to_string(thread.join("comm")).unwrap_or_default();
        (name.trim() == "store-writer").then_some(thread)
    });
    found.unwrap()
}

/// Accepts all, with so many callers at once.
async fn through_the_store(
    store: &Arc<SqliteStore>,
    messages: Vec<NewMessage>,
    callers: usize,
) -> Cost {
    let writer = writing_thread();
    // Dealt out like cards, so that ids come about in the order of their time,
    // as they do where they are minted on arrival.
    let mut shares = vec![Vec::new(); callers];
    for (n, message) in messages.into_iter().enumerate() {
        shares[n % callers].push(message);
    }
    let (started, busy) = (Instant::now(), processor_seconds(&writer));
    let mut calls = tokio::task::JoinSet::new();
    for share in shares {
        let store = Arc::clone(store);
        calls.spawn(async move {
            for message in share {
                assert_eq!(store.accept(message, None).await, Ok(Accepted::Stored));
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    Cost {
        seconds: started.elapsed().as_secs_f64(),
        writer_seconds: processor_seconds(&writer) - busy,
    }
}

/// The same rows by SQLite alone.
fn straight(path: &Path, messages: &[NewMessage], batch: usize) -> Cost {
    let thread = Path::new("/proc/thread-self");
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 4096;",
    )
    .unwrap();
    let sid: i64 = db
        .query_row("SELECT sid FROM sessions", (), |row| row.get(0))
        .unwrap();
    let (started, busy) = (Instant::now(), processor_seconds(thread));
    let mut message_row = db
        .prepare(
            "INSERT INTO messages (sid, id, wa_message_id, chat, body, status, attempts,
             accepted_at, due_at, expires_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'accepted', 0, ?6, ?7, NULL, ?6)",
        )
        .unwrap();
    let mut counter = db
        .prepare("UPDATE sessions SET accepted = accepted + ?2 WHERE sid = ?1")
        .unwrap();
    let mut begin = db.prepare("BEGIN IMMEDIATE").unwrap();
    let mut commit = db.prepare("COMMIT").unwrap();
    for batch in messages.chunks(batch) {
        begin.execute(()).unwrap();
        for message in batch {
            let body = serde_json::to_string(&message.body).unwrap();
            let to = message.to.as_str();
            message_row
                .execute((
                    sid,
                    message.id.as_str(),
                    message.wa_message_id.as_str(),
                    to,
                    body,
                    message.accepted_at.0,
                    message.due_at.0,
                ))
                .unwrap();
        }
        counter.execute((sid, batch.len() as i64)).unwrap();
        commit.execute(()).unwrap();
    }
    Cost {
        seconds: started.elapsed().as_secs_f64(),
        writer_seconds: processor_seconds(thread) - busy,
    }
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    )
}

/// One figure as JSON.
fn figure(what: &str, unit: &str, queued: Option<usize>, values: Vec<f64>) {
    let runs = values.len();
    let thousandths = |value: f64| (value * 1e3).round() / 1e3;
    let (min, p50, max) = spread(values);
    println!(
        "{}",
        serde_json::json!({
            "what": what,
            "unit": unit,
            "queued": queued,
            "runs": runs,
            "min": thousandths(min),
            "p50": thousandths(p50),
            "max": thousandths(max),
        })
    );
}

async fn against_sqlite(settings: &Settings) {
    say!(
        settings,
        "accepts/s, {} accepts by {} callers, {} chats: store, SQLite alone, ratio; processor microseconds of the writing thread: store, SQLite alone, ratio",
        settings.accepts,
        settings.callers,
        settings.chats
    );
    let rows = messages(0, settings.accepts, settings.chats);
    let (mut stores, mut alones) = (Vec::new(), Vec::new());
    let (mut ratios, mut processor) = (Vec::new(), Vec::new());
    for run in 0..settings.runs {
        let folder = tempfile::tempdir_in(&settings.dir).unwrap();
        let ours = async || {
            let store = Arc::new(fresh(&folder.path().join("store.db")).await);
            let cost = through_the_store(&store, rows.clone(), settings.callers).await;
            store.close().await;
            cost
        };
        let alone = async || {
            let path = folder.path().join("raw.db");
            fresh(&path).await.close().await;
            let (rows, callers) = (rows.clone(), settings.callers);
            tokio::task::spawn_blocking(move || straight(&path, &rows, callers))
                .await
                .unwrap()
        };
        // Turn about, so that neither always comes first.
        let (store, raw) = if run % 2 == 0 {
            let store = ours().await;
            (store, alone().await)
        } else {
            let raw = alone().await;
            (ours().await, raw)
        };
        let rate = |seconds: f64| settings.accepts as f64 / seconds;
        let each = |cost: &Cost| cost.writer_seconds * 1e6 / settings.accepts as f64;
        let ratio = raw.seconds / store.seconds;
        let of_processor = raw.writer_seconds / store.writer_seconds;
        say!(
            settings,
            "  {:9.0} {:9.0}  {ratio:.3}   {:6.1} {:6.1}  {of_processor:.3}",
            rate(store.seconds),
            rate(raw.seconds),
            each(&store),
            each(&raw),
        );
        stores.push(rate(store.seconds));
        alones.push(rate(raw.seconds));
        ratios.push(ratio);
        processor.push(of_processor);
    }
    if settings.json {
        figure("store, accepts", "per_s", None, stores);
        figure("SQLite alone, rows", "per_s", None, alones);
        figure("ratio", "x", None, ratios);
        figure("ratio of processor time", "x", None, processor);
        return;
    }
    for (what, values) in [("store", stores), ("SQLite alone", alones)] {
        let (min, median, max) = spread(values);
        println!("{what}: min {min:.0}, median {median:.0}, max {max:.0}");
    }
    for (what, values) in [("ratio", ratios), ("ratio of processor time", processor)] {
        let (min, median, max) = spread(values);
        println!("{what}: min {min:.3}, median {median:.3}, max {max:.3}");
    }
}

/// Delivers up to so many messages, 32 at a time; seconds for one.
async fn deliver(store: &SqliteStore, fence: Fence, count: usize) -> f64 {
    let session = session();
    let now = UnixMs(1_800_000_000_000);
    let started = Instant::now();
    let mut delivered = 0;
    while delivered < count {
        let claimed = store
            .claim(&session, fence, LoginGeneration(1), now, 32)
            .await
            .unwrap();
        assert!(!claimed.is_empty());
        delivered += claimed.len();
        let outcomes = claimed
            .into_iter()
            .map(|claimed| Recorded {
                id: claimed.message.id,
                outcome: Outcome::Sent(Ack::Server),
                detail: None,
                at: now,
            })
            .collect();
        store.record(&session, fence, outcomes).await.unwrap();
    }
    started.elapsed().as_secs_f64() / delivered as f64
}

/// What the second part measures, in the order of its columns.
const WHATS: [&str; 4] = ["accept", "claim and record", "take_fence", "depth"];

async fn at_sizes(settings: &Settings) {
    say!(
        settings,
        "\nmicroseconds for one (min, median, max), by how many are queued: accept ({} callers), claim and record, take_fence, depth",
        settings.callers
    );
    let folder = tempfile::tempdir_in(&settings.dir).unwrap();
    let store = Arc::new(fresh(&folder.path().join("store.db")).await);
    let mut fence = store.take_fence(&session()).await.unwrap();
    let (mut queued, mut next) = (0, 0);
    let sample = settings.accepts.min(5_000);
    for size in &settings.sizes {
        while queued < *size {
            let count = (*size - queued).min(5_000);
            store
                .accept_many(messages(next, count, settings.chats))
                .await
                .unwrap();
            next += count;
            queued += count;
        }
        let mut columns = [const { Vec::new() }; 4];
        for _ in 0..settings.runs {
            let rows = messages(next, sample, settings.chats);
            next += sample;
            let cost = through_the_store(&store, rows, settings.callers).await;
            columns[0].push(cost.seconds * 1e6 / sample as f64);
            // As many go as came: the queue keeps its size.
            columns[1].push(deliver(&store, fence, sample).await * 1e6);
            let started = Instant::now();
            fence = store.take_fence(&session()).await.unwrap();
            columns[2].push(started.elapsed().as_secs_f64() * 1e6);
            let started = Instant::now();
            store.depth(&session()).await.unwrap();
            columns[3].push(started.elapsed().as_secs_f64() * 1e6);
        }
        if settings.json {
            for (what, values) in WHATS.into_iter().zip(columns) {
                figure(what, "us", Some(*size), values);
            }
            continue;
        }
        print!("{size:9}");
        for values in columns {
            let (min, median, max) = spread(values);
            print!("  | {min:7.1} {median:7.1} {max:7.1}");
        }
        println!();
    }
    store.close().await;
}

#[tokio::main]
async fn main() {
    let settings = settings();
    against_sqlite(&settings).await;
    at_sizes(&settings).await;
}
