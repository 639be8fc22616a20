//! Measures what the gateway itself costs for many sessions: the supervisor,
//! delivery and the store, with engines that need no browser.
//!
//! `cargo run --release -p steadfast-gateway --example many_sessions -- [--sessions N] [--runs N] [--messages N] [--window-ms N]`
//!
//! All sessions are made and linked once; one more must be refused. Then, in
//! each run, the gateway starts with all of them twice: once as it is
//! configured by default, with a heartbeat each second, once with one each
//! minute. Each time the processor is read over a window in which nothing is
//! asked; the difference of the two is what heartbeats cost. At the end of the
//! first, so many messages go through each session.
//!
//! Memory is that of the whole process: the simulated WhatsApp and the engines
//! are in it, accounts alone are not. The result is one JSON object.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement for people; what fails ends it"
)]

use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use steadfast_core::port::Connector;
use steadfast_gateway::embed::scripted::{Knobs, World};
use steadfast_gateway::embed::{
    Ack, AckWait, Error, Gateway, LinkStep, MessageId, Outgoing, Session, SessionId,
};
use steadfast_sim::Control;
use steadfast_sim::world::NewAccount;
use tokio::task::JoinSet;

/// For all sessions together to come to what is waited for.
const LONG: Duration = Duration::from_mins(5);
/// Links that are under way at once.
const AT_ONCE: usize = 64;
/// Heartbeats as configured by default, and as seldom as may be.
const OFTEN_MS: u64 = 1_000;
const SELDOM_MS: u64 = 60_000;
/// What the kernel counts processor time in towards programs, on x86 and ARM alike.
const TICKS_PER_SECOND: f64 = 100.0;

struct Settings {
    sessions: usize,
    runs: usize,
    messages: usize,
    window: Duration,
}

fn settings() -> Settings {
    let (mut sessions, mut runs, mut messages, mut window_ms) = (1_000, 5, 5, 10_000);
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().and_then(|value| value.parse().ok());
        let value: usize = value.unwrap_or_else(|| panic!("{name} needs a number"));
        match name.as_str() {
            "--sessions" => sessions = value,
            "--runs" => runs = value,
            "--messages" => messages = value,
            "--window-ms" => window_ms = value,
            _ => panic!("{name} is no setting"),
        }
    }
    Settings {
        sessions,
        runs,
        messages,
        window: Duration::from_millis(window_ms as u64),
    }
}

fn phone(n: usize) -> String {
    format!("49151{:08}", 10_000_000 + n)
}

/// The first session is there from the start.
fn name(n: usize) -> String {
    match n {
        0 => "default".to_owned(),
        n => format!("s{n}"),
    }
}

/// The world outside, which outlives the gateways.
struct Outside {
    world: World,
    /// Each session's profile is in its connector.
    connectors: Mutex<HashMap<SessionId, Arc<dyn Connector>>>,
}

impl Outside {
    fn control(&self) -> &Control {
        self.world.phone.control()
    }

    fn connector(&self, session: &SessionId) -> Arc<dyn Connector> {
        let mut all = self.connectors.lock().unwrap();
        let seed = all.len() as u64 + 1;
        let made = all
            .entry(session.clone())
            .or_insert_with(|| Arc::new(self.world.connector(seed).0));
        Arc::clone(made)
    }
}

async fn start(outside: &Arc<Outside>, data: &Path, sessions: usize, heartbeat: u64) -> Gateway {
    let outside = Arc::clone(outside);
    Gateway::builder(data)
        .set("session.max_sessions", sessions)
        .set("session.heartbeat_interval_ms", heartbeat)
        // The pause between starts is for browsers' sake; here it would be all that is measured.
        .set("session.start_stagger_ms", 0)
        .engines(move |session| outside.connector(session))
        .start()
        .await
        .unwrap()
}

fn sessions(gateway: &Gateway, count: usize) -> Vec<Session> {
    let all = (0..count).map(|n| gateway.session(&name(n)).unwrap());
    all.collect()
}

async fn all<T: 'static>(mut tasks: JoinSet<T>) -> Vec<T> {
    let mut ended = Vec::with_capacity(tasks.len());
    while let Some(task) = tasks.join_next().await {
        ended.push(task.unwrap());
    }
    ended
}

async fn all_ready(gateway: &Gateway, count: usize) {
    let mut waits = JoinSet::new();
    for session in sessions(gateway, count) {
        waits.spawn(ready(session));
    }
    all(waits).await;
}

/// A session that is wanted is told as stopped until its turn to start has come.
async fn ready(session: Session) {
    let begun = Instant::now();
    loop {
        match session.wait_until_ready(LONG).await {
            Ok(_) => return,
            Err(error) if error.code() == Some("wrong_state") && begun.elapsed() < LONG => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{}: {error}", session.name()),
        }
    }
}

/// Makes and links them all; gives the code that one more is refused with.
async fn make_and_link(outside: &Arc<Outside>, gateway: &Gateway, count: usize) -> String {
    for n in 1..count {
        gateway.create_session(&name(n)).await.unwrap();
    }
    let turns = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut links = JoinSet::new();
    for (n, session) in sessions(gateway, count).into_iter().enumerate() {
        let (outside, turns) = (Arc::clone(outside), Arc::clone(&turns));
        links.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            let scan = |step| match step {
                // A code may have expired while it waited for its turn; the next one comes.
                LinkStep::Qr(qr) => drop(outside.control().scan(&phone(n), &qr.code)),
                LinkStep::Passkey(_) => panic!("a passkey is asked for"),
            };
            session.link(LONG, scan).await.unwrap();
        });
    }
    all(links).await;
    match gateway.create_session(&name(count)).await {
        Ok(_) => "none".to_owned(),
        Err(error) => error.code().unwrap_or("no code").to_owned(),
    }
}

/// Sends as a caller should: who is told to come back later does.
async fn accepted(session: &Session, message: Outgoing, begun: Instant) -> MessageId {
    loop {
        match session.send(message.clone()).await {
            Ok(taken) => return taken.id,
            Err(Error::Refused(refusal)) if refusal.is_retryable() && begun.elapsed() < LONG => {
                tokio::time::sleep(refusal.retry_after().unwrap_or_default()).await;
            }
            Err(error) => panic!("{}: {error}", session.name()),
        }
    }
}

/// So many messages through each session: accepted a second, and brought to the server a second.
async fn traffic(gateway: &Arc<Gateway>, settings: &Settings, run: usize) -> (f64, f64) {
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for session in sessions(gateway, settings.sessions) {
        let messages = settings.messages;
        senders.spawn(async move {
            let mut ids = Vec::with_capacity(messages);
            for n in 0..messages {
                let text = format!("Your order {run}-{n} is on its way.");
                let message = Outgoing::text(&phone(900_000 + n), text).unwrap();
                ids.push(accepted(&session, message, begun).await);
            }
            ids
        });
    }
    let ids = all(senders).await;
    let accepted = begun.elapsed();
    let mut waits = JoinSet::new();
    for ids in ids {
        let gateway = Arc::clone(gateway);
        waits.spawn(async move {
            for id in ids {
                let acked = gateway.wait_for_ack(&id, Ack::Server, LONG).await;
                assert!(matches!(acked, Ok(AckWait::Reached(_))), "{acked:?}");
            }
        });
    }
    all(waits).await;
    let count = (settings.sessions * settings.messages) as f64;
    (
        count / accepted.as_secs_f64(),
        count / begun.elapsed().as_secs_f64(),
    )
}

/// Seconds of the processor in each second of a window in which nothing is asked.
async fn idle(window: Duration) -> f64 {
    // What the start, or the traffic before, left to do.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (begun, before) = (Instant::now(), processor_seconds());
    tokio::time::sleep(window).await;
    (processor_seconds() - before) / begun.elapsed().as_secs_f64()
}

/// Of this process (proc(5), `stat`, fields 14 and 15), in seconds.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split(' ').collect();
    let ticks: u64 = fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap();
    ticks as f64 / TICKS_PER_SECOND
}

/// Memory of this process that no file backs (proc(5), `status`), in KiB.
fn anonymous_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse().ok())
        .unwrap()
}

fn spread(mut values: Vec<f64>, decimals: i32) -> Value {
    let scale = 10_f64.powi(decimals);
    let rounded = |value: f64| (value * scale).round() / scale;
    values.sort_by(f64::total_cmp);
    let upper = values[values.len() / 2];
    let lower = values[(values.len() - 1) / 2];
    json!({
        "runs": values.len(),
        "min": rounded(values[0]),
        "p50": rounded(f64::midpoint(lower, upper)),
        "max": rounded(values[values.len() - 1]),
    })
}

async fn measure(settings: Settings) {
    let count = settings.sessions;
    let outside = Arc::new(Outside {
        world: World::start(7, Knobs::default(), &phone(0)).unwrap(),
        connectors: Mutex::default(),
    });
    for n in 1..count {
        let account = NewAccount {
            phone: phone(n),
            ..NewAccount::default()
        };
        outside.control().create_account(account).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let before = anonymous_kib();
    eprintln!("making and linking {count} sessions");
    let begun = Instant::now();
    let gateway = start(&outside, data, count, OFTEN_MS).await;
    let refused = make_and_link(&outside, &gateway, count).await;
    let linked = begun.elapsed();
    idle(Duration::ZERO).await;
    let ready = anonymous_kib();
    gateway.shutdown().await;

    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    let (mut often, mut seldom, mut beats) = (Vec::new(), Vec::new(), Vec::new());
    let (mut accepts, mut sends) = (Vec::new(), Vec::new());
    for run in 1..=settings.runs {
        eprintln!("run {run} of {}", settings.runs);
        for heartbeat in [OFTEN_MS, SELDOM_MS] {
            let begun = Instant::now();
            let gateway = start(&outside, data, count, heartbeat).await;
            all_ready(&gateway, count).await;
            starts.push(begun.elapsed().as_secs_f64());
            let busy = idle(settings.window).await;
            let gateway = Arc::new(gateway);
            if heartbeat == OFTEN_MS {
                often.push(busy);
                let (accepted, sent) = traffic(&gateway, &settings, run).await;
                accepts.push(accepted);
                sends.push(sent);
            } else {
                seldom.push(busy);
            }
            let begun = Instant::now();
            Arc::into_inner(gateway).unwrap().shutdown().await;
            ends.push(begun.elapsed().as_secs_f64());
        }
        let more = (1_000.0 / OFTEN_MS as f64 - 1_000.0 / SELDOM_MS as f64) * count as f64;
        beats.push((often[run - 1] - seldom[run - 1]) * 1e6 / more);
    }
    println!(
        "{}",
        json!({
            "sessions": count,
            "one_more_is_refused_with": refused,
            "made_and_linked_s": linked.as_secs_f64().round(),
            "start_to_all_ready_s": spread(starts, 2),
            "shutdown_s": spread(ends, 2),
            "anonymous_mib": (ready / 102.4).round() / 10.0,
            "kib_per_session": ((ready - before) / count as f64).round(),
            "idle_processor_percent": spread(often.iter().map(|s| s * 100.0).collect(), 1),
            "idle_processor_percent_few_heartbeats": spread(seldom.iter().map(|s| s * 100.0).collect(), 1),
            "heartbeat_us": spread(beats, 1),
            "accepted_per_s": spread(accepts, 0),
            "sent_per_s": spread(sends, 0),
        })
    );
}

fn main() {
    // As `serve` runs: the work is done by the runtime's own threads.
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut task = JoinSet::new();
        task.spawn(measure(settings()));
        task.join_next().await.unwrap().unwrap();
    });
}
