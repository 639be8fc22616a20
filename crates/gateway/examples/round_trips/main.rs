//! Measures what a call into the page and a message cost on their way through
//! our layers, beside the least that they could cost.
//!
//! `cargo run --release -p steadfast-gateway --example round_trips -- [--rounds N] [--calls N] [--sends N]`
//!
//! - *evaluate*: the same expression on an empty page of the same browser, by a
//!   loop over the bare pipe and by our DevTools client.
//! - *call into the page*: the same function of the same WhatsApp Web page, by
//!   the DevTools client alone and by the engine.
//! - *send*: a text to the server's ack, by wa-js itself, called in the page; by
//!   the engine; and through the whole gateway, from the first byte of the
//!   request to the ack that is on disk.
//!
//! Each round takes all sides in turn, and begins with another one each time.
//! Each figure is one JSON object on a line: `{"what", "bare", "ours"}`, each
//! side with `rounds`, `samples`, `p50` (`min`, `p50`, `max` of the rounds'
//! medians), `p99` and `max` of all samples, in microseconds.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement for people; what fails ends it"
)]

mod http;
mod raw;

use async_trait::async_trait;
use http::Line;
use raw::RawPipe;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use steadfast_cdp::{Binary, Browser, Flavor, LaunchOptions, Page};
use steadfast_core::failure::Failure;
use steadfast_core::ids::{ChatId, Epoch, WaMessageId};
use steadfast_core::outbox::{Ack, Body};
use steadfast_core::port::{Close, Connector, Engine, EventSink, OpenStep, SendOutcome};
use steadfast_engine::{BrowserConnector, EngineOptions};
use steadfast_gateway::embed::{AckWait, Gateway, LinkStep, MessageId, Session};
use steadfast_sim::world::NewAccount;
use steadfast_sim::{SimConfig, Simulator};

const LONG: Duration = Duration::from_mins(1);
const PHONE: &str = "4915110000001";
/// Chats that the messages go to, in turn.
const CHATS: usize = 10;
/// Calls and messages that nobody times, before the first round.
const WARM_UP: usize = 20;
/// The way into the page's bridge, as the engine takes it.
const BRIDGE: &str = "(name, epoch, args) => window.__steadfast(name, epoch, args)";

struct Settings {
    rounds: usize,
    calls: usize,
    sends: usize,
}

fn settings() -> Settings {
    let mut settings = Settings {
        rounds: 5,
        calls: 1_000,
        sends: 60,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().and_then(|value| value.parse().ok());
        let value = value.unwrap_or_else(|| panic!("{name} needs a number"));
        match name.as_str() {
            "--rounds" => settings.rounds = value,
            "--calls" => settings.calls = value,
            "--sends" => settings.sends = value,
            _ => panic!("{name} is no setting"),
        }
    }
    settings
}

/// Microseconds by what was measured and by whom, round by round.
#[derive(Default)]
struct Table(BTreeMap<(&'static str, &'static str), Vec<Vec<f64>>>);

impl Table {
    fn add(&mut self, what: &'static str, by: &'static str, round: Vec<f64>) {
        self.0.entry((what, by)).or_default().push(round);
    }

    fn side(&self, what: &'static str, by: &'static str) -> Value {
        let rounds = &self.0[&(what, by)];
        let mut medians: Vec<f64> = rounds.iter().map(|round| quantile(round, 0.5)).collect();
        medians.sort_by(f64::total_cmp);
        let all: Vec<f64> = rounds.iter().flatten().copied().collect();
        let whole = |us: f64| us.round();
        json!({
            "rounds": rounds.len(),
            "samples": all.len(),
            "p50": {
                "min": whole(medians[0]),
                "p50": whole(quantile(&medians, 0.5)),
                "max": whole(medians[medians.len() - 1]),
            },
            "p99": whole(quantile(&all, 0.99)),
            "max": whole(quantile(&all, 1.0)),
        })
    }

    fn print(&self, label: &str, what: [&'static str; 2], by: [&'static str; 2]) {
        let bare = self.side(what[0], by[0]);
        let ours = self.side(what[1], by[1]);
        println!("{}", json!({ "what": label, "bare": bare, "ours": ours }));
    }
}

/// The smallest value that this share of all does not exceed.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted[rank.max(1) - 1]
}

/// The browser's connector, which also tells us the engine that it opened last.
struct Watched {
    browser: BrowserConnector,
    engine: Mutex<Option<Arc<dyn Engine>>>,
}

#[async_trait]
impl Connector for Watched {
    async fn open(
        &self,
        step: OpenStep,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<dyn Engine>, Failure> {
        let engine = self.browser.open(step, epoch, sink).await?;
        *self.engine.lock().unwrap() = Some(Arc::clone(&engine));
        Ok(engine)
    }

    async fn close(&self, how: Close) {
        self.browser.close(how).await;
    }

    async fn erase(&self) -> Result<(), Failure> {
        self.browser.erase().await
    }

    async fn network_reachable(&self) -> bool {
        self.browser.network_reachable().await
    }
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
        let mut task = tokio::task::JoinSet::new();
        task.spawn(measure(settings()));
        task.join_next().await.unwrap().unwrap();
    });
}

async fn measure(settings: Settings) {
    let mut table = Table::default();
    evaluate(&settings, &mut table).await;
    in_the_page(&settings, &mut table).await;
    let (evaluate, call, send) = ("evaluate", "call", "send");
    table.print(
        "evaluate: client",
        [evaluate; 2],
        ["raw pipe", "our client"],
    );
    table.print(
        "call into the page: engine",
        [call; 2],
        ["our client", "engine"],
    );
    table.print("send to ack: engine", [send; 2], ["wa-js", "engine"]);
    table.print("send to ack: gateway", [send; 2], ["wa-js", "gateway"]);
    table.print(
        "accept (the part of the gateway's send that its caller waits for)",
        [send, "accept"],
        ["wa-js", "gateway"],
    );
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

// ---------------------------------------------------------------- evaluate

async fn evaluate(settings: &Settings, table: &mut Table) {
    const EXPRESSION: &str = "6 * 7";
    let folder = tempfile::tempdir().unwrap();
    let binary = Binary::find(Flavor::NewHeadless).unwrap();
    let mut raw = RawPipe::start(binary.path(), &folder.path().join("raw"));
    let mut launch = LaunchOptions::new(binary, folder.path().join("ours"));
    launch.no_sandbox = rustix::process::geteuid().is_root();
    let browser = Browser::launch(&launch).await.unwrap();
    let page = browser.first_page(LONG).await.unwrap();
    for round in 0..=settings.rounds {
        eprintln!("evaluate, round {round} of {}", settings.rounds);
        let count = if round == 0 { WARM_UP } else { settings.calls };
        let mut bare = || {
            let mut times = Vec::with_capacity(count);
            for _ in 0..count {
                let begun = Instant::now();
                let answer = raw.evaluate(EXPRESSION);
                times.push(micros(begun));
                assert_eq!(answer["result"]["result"]["value"], 42);
            }
            times
        };
        let ours = async || {
            let mut times = Vec::with_capacity(count);
            for _ in 0..count {
                let begun = Instant::now();
                let answer = page.evaluate(EXPRESSION, LONG).await.unwrap();
                times.push(micros(begun));
                assert_eq!(answer, 42);
            }
            times
        };
        let (bare, ours) = if round % 2 == 0 {
            let bare = tokio::task::block_in_place(&mut bare);
            (bare, ours().await)
        } else {
            let ours = ours().await;
            (tokio::task::block_in_place(&mut bare), ours)
        };
        if round > 0 {
            table.add("evaluate", "raw pipe", bare);
            table.add("evaluate", "our client", ours);
        }
    }
    raw.end();
    browser.close(LONG).await;
}

// ---------------------------------------------------------------- in the page

/// A gateway whose page, engine and outside are all in hand.
struct Stage {
    gateway: Gateway,
    page: Page,
    engine: Arc<dyn Engine>,
    line: Line,
    sent: usize,
}

async fn in_the_page(settings: &Settings, table: &mut Table) {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let account = NewAccount {
        phone: PHONE.to_owned(),
        ..NewAccount::default()
    };
    sim.control().create_account(account).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions {
        web_resolve: Some(sim.addr().to_string()),
        web_spki: Some(sim.spki().to_owned()),
        ..EngineOptions::new(folder.path().join("profile"))
    };
    let connector = Arc::new(Watched {
        browser: BrowserConnector::new(options).unwrap(),
        engine: Mutex::default(),
    });
    let engines = Arc::clone(&connector);
    let gateway = Gateway::builder(folder.path().join("data"))
        .set("server.listen", "127.0.0.1:0")
        .http(true)
        .engines(move |_| engines.clone())
        .start()
        .await
        .unwrap();
    let session = gateway.session("default").unwrap();
    link(&session, &sim).await;
    let page = connector.browser.page().await.unwrap();
    wa_js_is_there(&page).await;
    let engine = connector.engine.lock().unwrap().clone().unwrap();
    let token = gateway.first_token().unwrap().to_owned();
    let mut stage = Stage {
        line: Line::open(gateway.http_address().unwrap(), &token).await,
        gateway,
        page,
        engine,
        sent: 0,
    };
    for round in 0..=settings.rounds {
        eprintln!("in the page, round {round} of {}", settings.rounds);
        // The first round warms up.
        let mut unheard = Table::default();
        let (into, calls, sends) = match round {
            0 => (&mut unheard, WARM_UP, WARM_UP),
            _ => (&mut *table, settings.calls, settings.sends),
        };
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                into.add("call", "our client", stage.bare_calls(calls).await);
            } else {
                into.add("call", "engine", stage.engine_calls(calls).await);
            }
        }
        for turn in 0..3 {
            match (round + turn) % 3 {
                0 => into.add("send", "wa-js", stage.bare_sends(sends).await),
                1 => into.add("send", "engine", stage.engine_sends(sends).await),
                _ => {
                    let (accepts, acks) = stage.gateway_sends(sends).await;
                    into.add("accept", "gateway", accepts);
                    into.add("send", "gateway", acks);
                }
            }
        }
    }
    drop((stage.page, stage.engine));
    stage.gateway.shutdown().await;
    sim.shutdown().await;
}

async fn link(session: &Session, sim: &Simulator) {
    let phone = sim.control().clone();
    let linked = session.link(LONG, |step| match step {
        LinkStep::Qr(qr) => phone.scan(PHONE, &qr.code).unwrap(),
        LinkStep::Passkey(challenge) => panic!("a passkey is asked for: {}", challenge.options),
    });
    linked.await.unwrap();
}

/// wa-js is read by the page once it is ready, and searches it for a while.
async fn wa_js_is_there(page: &Page) {
    let wait = "new Promise((resolve) => { const timer = setInterval(() => { \
                if (window.WPP?.isFullReady) { clearInterval(timer); resolve(true) } }, 20) })";
    assert_eq!(page.evaluate(wait, LONG).await.unwrap(), true);
}

impl Stage {
    /// The function that lists the chats, by the DevTools client alone.
    async fn bare_calls(&mut self, count: usize) -> Vec<f64> {
        let args = [
            json!("chats"),
            json!(self.engine.epoch().0),
            json!({ "limit": 1_000 }),
        ];
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            let answer: String = self.page.call_function(BRIDGE, &args, LONG).await.unwrap();
            times.push(micros(begun));
            assert!(answer.contains("\"chats\""), "{answer}");
        }
        times
    }

    /// The same by the engine, which also reads the answer.
    async fn engine_calls(&mut self, count: usize) -> Vec<f64> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            self.engine.chats().await.unwrap();
            times.push(micros(begun));
        }
        times
    }

    /// A number, and a text that nobody has had yet.
    fn next(&mut self) -> (String, String) {
        self.sent += 1;
        let to = format!("49151{:08}", 20_000_000 + self.sent % CHATS);
        (to, format!("Your order {} is on its way.", self.sent))
    }

    /// wa-js, called in the page; it answers when the server has.
    async fn bare_sends(&mut self, count: usize) -> Vec<f64> {
        const SEND: &str = "async (to, text) => { \
            const sent = await WPP.chat.sendTextMessage(to, text, { createChat: true }); \
            return (await sent.sendMsgResult)?.messageSendResult ?? String(sent.ack) }";
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let (to, text) = self.next();
            let args = [json!(format!("{to}@c.us")), json!(text)];
            let begun = Instant::now();
            let answer: String = self.page.call_function(SEND, &args, LONG).await.unwrap();
            times.push(micros(begun));
            assert_eq!(answer, "OK");
        }
        times
    }

    /// The engine's send; it answers when the server has.
    async fn engine_sends(&mut self, count: usize) -> Vec<f64> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let (to, text) = self.next();
            let mut unique = [0; 9];
            unique[1..].copy_from_slice(&(self.sent as u64).to_be_bytes());
            let id = WaMessageId::mint(unique);
            let (to, body) = (ChatId::parse(&to).unwrap(), Body::text(text));
            let begun = Instant::now();
            let outcome = self.engine.send(&id, &to, &body).await;
            times.push(micros(begun));
            assert!(
                matches!(outcome, SendOutcome::HandedOff(ack) if ack >= Ack::Server),
                "{outcome:?}"
            );
        }
        times
    }

    /// Over HTTP; until the 202, and until the ack is on disk.
    async fn gateway_sends(&mut self, count: usize) -> (Vec<f64>, Vec<f64>) {
        let (mut accepts, mut acks) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (to, text) = self.next();
            let body = json!({ "to": to, "text": text }).to_string();
            let begun = Instant::now();
            let answer = self
                .line
                .post("/v1/sessions/default/messages", &body, 202)
                .await;
            accepts.push(micros(begun));
            let id = MessageId::parse(answer["id"].as_str().unwrap()).unwrap();
            let acked = self.gateway.wait_for_ack(&id, Ack::Server, LONG).await;
            acks.push(micros(begun));
            assert!(matches!(acked, Ok(AckWait::Reached(_))), "{acked:?}");
        }
        (accepts, acks)
    }
}
