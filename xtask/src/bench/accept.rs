//! How many messages a second the gateway accepts over HTTP, each on disk
//! before its 202, against SQLite by itself in the same run.
//!
//! The same rows, with as many in one commit as there are clients, go turn
//! about through the gateway and straight into a database of the same schema on
//! the same disk, both synced at each commit. Both are filled to each size
//! before: an accept must cost the same however much is queued.

use super::gateway::Gateway;
use super::http::{Client, Line};
use super::report::Printing;
use super::stats::tenths;
use crate::error::Error;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Messages in one request while the queue is filled.
const FILL: usize = 1_000;
/// Chats that the messages go to.
const CHATS: u64 = 10_000;
/// Messages that nobody times, before each size.
const WARM_UP: usize = 500;
const MESSAGES: &str = "/v1/sessions/default/messages";

/// How to measure it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The binary that is measured.
    #[arg(long, value_name = "FILE", default_value = "target/release/steadfast")]
    binary: PathBuf,
    /// Connections that send one message after the other.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,
    /// Messages of one run.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    accepts: u32,
    /// Runs at each size.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// How many messages are queued when it is measured; each above the one before.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "0,10000,100000,1000000"
    )]
    sizes: Vec<usize>,
    #[command(flatten)]
    pub(super) printing: Printing,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    clients: u32,
    accepts: u32,
    sizes: Vec<AtSize>,
}

/// With so many queued.
#[derive(Debug, Serialize)]
struct AtSize {
    queued: usize,
    runs: u32,
    /// Accepts a second over HTTP, the median of the runs.
    http_per_second: f64,
    /// Rows a second into SQLite alone, the median of the runs.
    sqlite_per_second: f64,
    /// The median of the runs' ratios.
    ratio: f64,
    /// Of all requests of all runs, in milliseconds.
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// Measures everything.
///
/// # Errors
///
/// Where the gateway does not do what it must, or a file cannot be written.
pub(crate) fn measure(options: &Options) -> Result<Figures, Error> {
    let binary = crate::root().join(&options.binary);
    let folder = crate::root().join("target/bench/accept");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let data = folder.join("data");
    // Started once for the schema, and for what stands in it at the start.
    let gateway = Gateway::start_alone(&binary, &data)?;
    gateway.stop_session()?;
    gateway.process.stop()?;
    let raw_path = folder.join("raw.db");
    let template = data.join("steadfast.db");
    std::fs::copy(&template, &raw_path).map_err(Error::file(&template))?;

    let gateway = Gateway::start_alone(&binary, &data)?;
    let client = gateway.client().clone();
    let mut raw = Raw::open(&raw_path)?;
    let mut next = 0_usize;
    let mut queued = 0_usize;
    let mut sizes = Vec::new();
    let sample = options.accepts as usize;
    for size in &options.sizes {
        eprintln!("filling to {size}");
        while queued < *size {
            let count = (*size - queued).min(FILL);
            fill(&client, next, count)?;
            raw.insert(next, count, FILL)?;
            next += count;
            queued += count;
        }
        over_http(&client, next, WARM_UP, options.clients)?;
        raw.insert(next, WARM_UP, options.clients as usize)?;
        next += WARM_UP;
        queued += WARM_UP;
        let (mut http, mut sqlite, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let mut latencies = Vec::new();
        for run in 0..options.runs {
            let ours = || over_http(&client, next, sample, options.clients);
            let mut alone = || raw.insert(next, sample, options.clients as usize);
            // Turn about, so that neither always comes first.
            let (mut times, alone_seconds, seconds) = if run % 2 == 0 {
                let (seconds, times) = ours()?;
                (times, alone()?, seconds)
            } else {
                let alone_seconds = alone()?;
                let (seconds, times) = ours()?;
                (times, alone_seconds, seconds)
            };
            next += sample;
            queued += sample;
            latencies.append(&mut times);
            http.push(sample as f64 / seconds);
            sqlite.push(sample as f64 / alone_seconds);
            ratios.push(alone_seconds / seconds);
            eprintln!(
                "{size} queued, run {}: {:.0}/s over HTTP, {:.0}/s by SQLite alone",
                run + 1,
                sample as f64 / seconds,
                sample as f64 / alone_seconds
            );
        }
        let [p50_ms, p99_ms, max_ms] =
            [0.5, 0.99, 1.0].map(|share| quantile(&mut latencies, share));
        sizes.push(AtSize {
            queued: *size,
            runs: options.runs,
            http_per_second: quantile(&mut http, 0.5).round(),
            sqlite_per_second: quantile(&mut sqlite, 0.5).round(),
            ratio: (quantile(&mut ratios, 0.5) * 1_000.0).round() / 1_000.0,
            p50_ms: tenths(p50_ms),
            p99_ms: tenths(p99_ms),
            max_ms: tenths(max_ms),
        });
    }
    gateway.process.stop()?;
    Ok(Figures {
        clients: options.clients,
        accepts: options.accepts,
        sizes,
    })
}

/// The smallest value that this share of all does not exceed.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or_default()
}

/// A fixed stream of numbers that look random (splitmix64).
fn scramble(n: u64) -> u64 {
    let mut z = n
        .wrapping_add(0x9E37_79B9_7F4A_7C15)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn recipient(n: usize) -> String {
    format!("49151{:08}", scramble(n as u64) % CHATS)
}

fn text(n: usize) -> String {
    format!("Your order {n} is on its way and will be with you between 10 and 12.")
}

fn message(n: usize) -> Value {
    json!({"to": recipient(n), "text": text(n)})
}

fn fill(client: &Client, first: usize, count: usize) -> Result<(), Error> {
    let messages: Vec<Value> = (first..first + count).map(message).collect();
    let body = json!({ "messages": messages });
    client.expect(202, "POST", &format!("{MESSAGES}/batch"), &body)?;
    Ok(())
}

/// So many messages over so many connections: how long all of it took in
/// seconds, and each request in milliseconds.
fn over_http(
    client: &Client,
    first: usize,
    count: usize,
    clients: u32,
) -> Result<(f64, Vec<f64>), Error> {
    let clients = clients as usize;
    let mut lines = (0..clients)
        .map(|_| client.open())
        .collect::<Result<Vec<Line>, Error>>()?;
    let started = Instant::now();
    let times = std::thread::scope(|scope| {
        let threads: Vec<_> = lines
            .iter_mut()
            .enumerate()
            .map(|(mine, line)| {
                scope.spawn(move || -> Result<Vec<f64>, Error> {
                    let mut times = Vec::with_capacity(count / clients + 1);
                    for n in (first + mine..first + count).step_by(clients) {
                        let body = message(n).to_string();
                        let asked = Instant::now();
                        line.expect(202, "POST", MESSAGES, &body)?;
                        times.push(asked.elapsed().as_secs_f64() * 1_000.0);
                    }
                    Ok(times)
                })
            })
            .collect();
        let mut all = Vec::with_capacity(count);
        for thread in threads {
            let times = thread
                .join()
                .map_err(|_| Error::Bench("a client panicked".to_owned()))?;
            all.append(&mut times?);
        }
        Ok::<_, Error>(all)
    })?;
    Ok((started.elapsed().as_secs_f64(), times))
}

/// SQLite by itself, on a database as the gateway makes it.
struct Raw {
    db: Connection,
}

impl Raw {
    fn open(path: &Path) -> Result<Self, Error> {
        let db = Connection::open(path).map_err(failed)?;
        // As the store opens it.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 4096;",
        )
        .map_err(failed)?;
        Ok(Self { db })
    }

    /// So many rows, so many in one commit; the seconds that it took.
    fn insert(&mut self, first: usize, count: usize, batch: usize) -> Result<f64, Error> {
        let started = Instant::now();
        let numbers: Vec<usize> = (first..first + count).collect();
        for batch in numbers.chunks(batch) {
            let transaction = self.db.transaction().map_err(failed)?;
            {
                let mut row = transaction
                    .prepare_cached(
                        "INSERT INTO messages (sid, id, wa_message_id, chat, body, status,
                         attempts, accepted_at, due_at, expires_at, updated_at, lane)
                         VALUES (1, ?1, ?2, ?3, ?4, 'accepted', 0, ?5, ?5, NULL, ?5, 1)",
                    )
                    .map_err(failed)?;
                for n in batch {
                    let id = format!("msg_{n:026}");
                    let wa = format!("3EB0{:018X}", scramble(!(*n as u64)));
                    let chat = format!("{}@c.us", recipient(*n));
                    let body = json!({"kind": "text", "text": text(*n)}).to_string();
                    let at = 1_700_000_000_000_i64 + *n as i64;
                    row.execute((id, wa, chat, body, at)).map_err(failed)?;
                }
            }
            transaction
                .execute(
                    "UPDATE sessions SET accepted = accepted + ?1 WHERE sid = 1",
                    (batch.len() as i64,),
                )
                .map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        Ok(started.elapsed().as_secs_f64())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that map_err asks for"
)]
fn failed(error: rusqlite::Error) -> Error {
    Error::Bench(format!("SQLite alone: {error}"))
}

/// The figures for docs/PERFORMANCE.md.
pub(crate) fn table(figures: &Figures, machine: &str) -> String {
    let mut out = format!(
        "Measured on {machine}; {} connections, {} messages a run.\n\n\
         | queued | accepts/s over HTTP | SQLite alone, rows/s | ratio | p50 | p99 | max | runs |\n\
         |---|---|---|---|---|---|---|---|\n",
        figures.clients, figures.accepts
    );
    for at in &figures.sizes {
        let _ = writeln!(
            out,
            "| {} | {:.0} | {:.0} | {:.2} | {:.1} ms | {:.1} | {:.1} | {} |",
            at.queued,
            at.http_per_second,
            at.sqlite_per_second,
            at.ratio,
            at.p50_ms,
            at.p99_ms,
            at.max_ms,
            at.runs
        );
    }
    if let (Some(first), Some(last)) = (figures.sizes.first(), figures.sizes.last()) {
        let _ = write!(
            out,
            "\nWith {} queued it accepts {:.2} x what it accepts with {}.\n",
            last.queued,
            last.http_per_second / first.http_per_second,
            first.queued
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_whether_it_stays_flat() {
        let at = |queued, http_per_second| AtSize {
            queued,
            runs: 5,
            http_per_second,
            sqlite_per_second: 10_000.0,
            ratio: http_per_second / 10_000.0,
            p50_ms: 5.0,
            p99_ms: 12.0,
            max_ms: 30.0,
        };
        let figures = Figures {
            clients: 64,
            accepts: 10_000,
            sizes: vec![at(0, 8_000.0), at(1_000_000, 7_600.0)],
        };
        let table = table(&figures, "a machine");
        assert!(table.contains("| 1000000 | 7600 | 10000 | 0.76 | 5.0 ms | 12.0 | 30.0 | 5 |"));
        assert!(table.contains("With 1000000 queued it accepts 0.95 x"));
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let mut hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(&mut hundred, share));
        assert_eq!((p50, p99, max), (50.0, 99.0, 100.0));
    }
}
