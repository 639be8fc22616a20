//! Measures how long each way back to ready takes, beside the floor: the same
//! browser, profile and page, driven by bare protocol calls and nothing else.
//!
//! `cargo run --release -p steadfast-engine --example recovery_timing -- [ROUNDS]`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement for people; what fails ends it"
)]

use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use steadfast_cdp::{Binary, Browser, Flavor, LaunchOptions, Page};
use steadfast_core::ids::{ChatId, Epoch, WaMessageId};
use steadfast_core::inbound::{Happening, InboundMessage};
use steadfast_core::outbox::Body;
use steadfast_core::port::{
    Close, Connector, EngineEvent, EventSink, InboundRefused, OpenStep, Phase,
};
use steadfast_engine::{BrowserConnector, EngineOptions, Injected};
use steadfast_sim::world::NewAccount;
use steadfast_sim::{SimConfig, Simulator};
use tokio::sync::Notify;

const LONG: Duration = Duration::from_mins(1);
const PHONE: &str = "4915110000001";
const WEB: &str = "https://web.whatsapp.com/";
const SYNCED: &str = "(() => { try { return window.require('WAWebSocketModel').Socket.hasSynced === true \
     && window.require('WAWebSocketModel').Socket.state === 'CONNECTED' } catch { return false } })()";

#[derive(Default)]
struct Sink {
    heard: Mutex<Vec<(Epoch, EngineEvent, Instant)>>,
    news: Notify,
}

#[async_trait]
impl EventSink for Sink {
    fn event(&self, epoch: Epoch, event: EngineEvent) {
        self.heard
            .lock()
            .unwrap()
            .push((epoch, event, Instant::now()));
        self.news.notify_waiters();
    }

    async fn happened(&self, _: Epoch, _: Happening) -> Result<(), InboundRefused> {
        Ok(())
    }

    async fn inbound(&self, _: Epoch, _: InboundMessage) -> Result<(), InboundRefused> {
        Ok(())
    }
}

impl Sink {
    async fn find<T>(
        &self,
        epoch: Epoch,
        wanted: impl Fn(&EngineEvent) -> Option<T>,
    ) -> (T, Instant) {
        let deadline = Instant::now() + LONG;
        loop {
            let news = self.news.notified();
            let found = self
                .heard
                .lock()
                .unwrap()
                .iter()
                .filter(|(of, ..)| *of == epoch)
                .find_map(|(_, event, at)| Some((wanted(event)?, *at)));
            if let Some(found) = found {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                tokio::time::timeout(left, news).await.is_ok(),
                "waited in vain"
            );
        }
    }

    async fn ready(&self, epoch: Epoch) -> Instant {
        self.find(epoch, |e| {
            (*e == EngineEvent::Phase(Phase::Ready)).then_some(())
        })
        .await
        .1
    }
}

#[derive(Default)]
struct Table(BTreeMap<&'static str, Vec<Duration>>);

impl Table {
    fn add(&mut self, name: &'static str, took: Duration) {
        self.0.entry(name).or_default().push(took);
    }

    fn median(&mut self, name: &str) -> Duration {
        let all = self.0.get_mut(name).unwrap();
        all.sort_unstable();
        all[all.len() / 2]
    }
}

#[tokio::main]
async fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(7, |n| n.parse().unwrap());
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let account = NewAccount {
        phone: PHONE.to_owned(),
        ..NewAccount::default()
    };
    sim.control().create_account(account).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = EngineOptions {
        web_resolve: Some(sim.addr().to_string()),
        web_spki: Some(sim.spki().to_owned()),
        ..EngineOptions::new(dir.path())
    };
    let connector = BrowserConnector::new(options).unwrap();
    let sink = Arc::new(Sink::default());
    connector
        .open(OpenStep::Launch, Epoch(1), sink.clone())
        .await
        .unwrap();
    let (code, _) = sink
        .find(Epoch(1), |e| match e {
            EngineEvent::Qr { code, .. } => Some(code.clone()),
            _ => None,
        })
        .await;
    sim.control().scan(PHONE, &code).unwrap();
    sink.ready(Epoch(1)).await;
    connector
        .close(Close::Graceful {
            deadline_ms: 10_000,
        })
        .await;

    let mut table = Table::default();
    // Alternating, so that whatever else the machine does meets both alike.
    for _ in 0..rounds {
        bare(&sim, &dir.path().join("gen-0001/chromium"), &mut table).await;
        engine(&connector, &sink, &mut table).await;
    }
    println!("medians of {rounds} rounds, ms");
    for (what, floor, ours) in [
        (
            "browser killed -> noticed",
            "bare kill noticed",
            "kill noticed",
        ),
        ("browser killed -> ready", "bare kill", "kill"),
        (
            "page closed -> noticed",
            "bare close noticed",
            "close noticed",
        ),
        ("page closed -> ready", "bare close", "close"),
        ("reload -> ready", "bare reload", "reload"),
        ("one send -> server's ack", "send by name", "send by wa-js"),
    ] {
        let (floor, ours) = (table.median(floor), table.median(ours));
        println!(
            "{what:28} {:8.1} bare {:8.1} engine  x{:.2}",
            floor.as_secs_f64() * 1e3,
            ours.as_secs_f64() * 1e3,
            ours.as_secs_f64() / floor.as_secs_f64()
        );
    }
    sim.shutdown().await;
}

async fn bare(sim: &Simulator, profile: &Path, table: &mut Table) {
    let mut launch = LaunchOptions::new(Binary::find(Flavor::NewHeadless).unwrap(), profile);
    launch.no_sandbox = rustix::process::geteuid().is_root();
    launch.extra_args = vec![
        format!(
            "--host-resolver-rules=MAP web.whatsapp.com:443 {},MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
            sim.addr()
        ),
        format!("--ignore-certificate-errors-spki-list={}", sim.spki()),
    ];
    let (browser, _) = bare_start(&launch).await;
    let begun = Instant::now();
    let pid = rustix::process::Pid::from_raw(i32::try_from(browser.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    browser.gone().await;
    table.add("bare kill noticed", begun.elapsed());
    let (browser, page) = bare_start(&launch).await;
    table.add("bare kill", begun.elapsed());

    let begun = Instant::now();
    page.reload(LONG).await.unwrap();
    synced(&page).await;
    table.add("bare reload", begun.elapsed());

    let begun = Instant::now();
    let closing = async {
        page.close(LONG).await.unwrap();
    };
    tokio::join!(closing, page.gone());
    table.add("bare close noticed", begun.elapsed());
    let page = browser.new_page("about:blank", LONG).await.unwrap();
    page.navigate(WEB, LONG).await.unwrap();
    synced(&page).await;
    table.add("bare close", begun.elapsed());
    browser.close(LONG).await;
}

async fn bare_start(launch: &LaunchOptions) -> (Browser, Page) {
    let browser = Browser::launch(launch).await.unwrap();
    let page = browser.first_page(LONG).await.unwrap();
    page.navigate(WEB, LONG).await.unwrap();
    synced(&page).await;
    (browser, page)
}

async fn synced(page: &Page) {
    let deadline = Instant::now() + LONG;
    while page.evaluate(SYNCED, LONG).await.ok() != Some(Value::Bool(true)) {
        assert!(Instant::now() < deadline, "never synced");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn engine(connector: &BrowserConnector, sink: &Arc<Sink>, table: &mut Table) {
    static EPOCH: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(10);
    let next = || Epoch(EPOCH.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let mut epoch = next();
    connector
        .open(OpenStep::Launch, epoch, sink.clone())
        .await
        .unwrap();
    sink.ready(epoch).await;
    for (fault, step, noticed, ready) in [
        (
            Injected::KillBrowser,
            OpenStep::RestartBrowser,
            "kill noticed",
            "kill",
        ),
        (
            Injected::ClosePage,
            OpenStep::NewPage,
            "close noticed",
            "close",
        ),
    ] {
        // A page at rest: wa-js has come to the end of its search.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let begun = Instant::now();
        let broken = epoch;
        let failed = sink.find(broken, |e| {
            matches!(e, EngineEvent::Failed(_)).then_some(())
        });
        let (injected, ((), at)) = tokio::join!(connector.inject(fault), failed);
        injected.unwrap();
        table.add(noticed, at - begun);
        epoch = next();
        connector.open(step, epoch, sink.clone()).await.unwrap();
        table.add(ready, sink.ready(epoch).await - begun);
    }
    let begun = Instant::now();
    epoch = next();
    let engine = connector
        .open(OpenStep::Reload, epoch, sink.clone())
        .await
        .unwrap();
    table.add("reload", sink.ready(epoch).await - begun);

    // wa-js needs most of a second after a load; before that the way by name is taken.
    for name in ["send by name", "send by wa-js"] {
        for n in 0..20_u8 {
            let id = WaMessageId::mint([
                n,
                0,
                0,
                u8::from(name.ends_with("js")),
                0,
                0,
                0,
                0,
                epoch.0 as u8,
            ]);
            let to = ChatId::parse("4915120000002").unwrap();
            let body = Body::text("x".to_owned());
            let begun = Instant::now();
            let outcome = engine.send(&id, &to, &body).await;
            table.add(name, begun.elapsed());
            assert!(
                matches!(outcome, steadfast_core::port::SendOutcome::HandedOff(_)),
                "{outcome:?}"
            );
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    connector
        .close(Close::Graceful {
            deadline_ms: 10_000,
        })
        .await;
}
