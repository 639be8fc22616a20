//! Measures how soon each fault is noticed and how long each rung takes back
//! to ready, beside the floor: the same browser, profile and page, driven by
//! bare protocol calls and nothing else.
//!
//! `cargo run --release -p steadfast-engine --example recovery_timing -- [ROUNDS] [--json]`
//!
//! Each round breaks the bare client's browser and the engine's in turn, so
//! that whatever else the machine does meets both alike. Detection is timed in
//! one and the same fault: when a bare client on the same pipe has the event,
//! and when the engine has told what it means. With `--json` each
//! figure is one object on a line: `{"what", "bare": {...}, "engine": {...}}`,
//! each with `runs`, `min`, `p50` and `max` in milliseconds.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a measurement for people; what fails ends it"
)]

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use steadfast_cdp::{Binary, Browser, Flavor, LaunchOptions, Page, PageEvent, PageEvents};
use steadfast_core::ids::Epoch;
use steadfast_core::inbound::{Happening, InboundMessage};
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
/// Linked, synced and connected: what the engine calls ready. Nothing is asked
/// of the page's modules before the page has started them itself.
const READY: &str = "window.Debug?.VERSION !== undefined \
     && require('WAWebSocketModel').Socket.hasSynced === true \
     && require('WAWebSocketModel').Socket.state === 'CONNECTED' \
     && require('WAWebStreamModel').Stream.mode === 'MAIN'";
const BINDING: &str = "__bareReady";

/// Milliseconds by what was measured, of the bare client and of the engine.
#[derive(Default)]
struct Table(BTreeMap<&'static str, [Vec<f64>; 2]>);

const BARE: usize = 0;
const ENGINE: usize = 1;

impl Table {
    fn add(&mut self, what: &'static str, whose: usize, took: Duration) {
        self.0.entry(what).or_default()[whose].push(took.as_secs_f64() * 1e3);
    }

    fn print(&mut self, as_json: bool) {
        for (what, [bare, engine]) in &mut self.0 {
            let (bare, engine) = (Summary::of(bare), Summary::of(engine));
            if as_json {
                println!(
                    "{}",
                    json!({ "what": what, "bare": bare.json(), "engine": engine.json() })
                );
            } else {
                println!(
                    "{what:32} bare {:7.1} ({:.0}-{:.0})  engine {:7.1} ({:.0}-{:.0})  x{:.2}",
                    bare.p50,
                    bare.min,
                    bare.max,
                    engine.p50,
                    engine.min,
                    engine.max,
                    engine.p50 / bare.p50
                );
            }
        }
    }
}

struct Summary {
    runs: usize,
    min: f64,
    p50: f64,
    max: f64,
}

impl Summary {
    fn of(samples: &mut [f64]) -> Self {
        samples.sort_by(f64::total_cmp);
        Self {
            runs: samples.len(),
            min: samples[0],
            p50: f64::midpoint(samples[samples.len() / 2], samples[(samples.len() - 1) / 2]),
            max: samples[samples.len() - 1],
        }
    }

    fn json(&self) -> Value {
        let round = |ms: f64| (ms * 10.0).round() / 10.0;
        json!({ "runs": self.runs, "min": round(self.min), "p50": round(self.p50), "max": round(self.max) })
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let as_json = args.iter().any(|arg| arg == "--json");
    let rounds: usize = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(7);
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
    let mut ours = Ours {
        connector: BrowserConnector::new(options).unwrap(),
        sink: Arc::default(),
        epoch: Epoch(0),
    };
    ours.link(&sim).await;
    let generation = dir.path().join("gen-0001");
    let mut table = Table::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        bare(&sim, &generation, &mut table).await;
        ours.round(&mut table).await;
    }
    table.print(as_json);
    sim.shutdown().await;
}

// ---------------------------------------------------------------- bare

/// A page that shows WhatsApp Web, driven by nothing but the protocol.
struct Bare {
    browser: Browser,
    page: Page,
    events: PageEvents,
}

impl Bare {
    async fn start(launch: &LaunchOptions) -> Self {
        let browser = Browser::launch(launch).await.unwrap();
        let page = browser.first_page(LONG).await.unwrap();
        Self::show(browser, page).await
    }

    async fn show(browser: Browser, page: Page) -> Self {
        let watch = format!(
            "if (location.href.startsWith('{WEB}')) {{ const timer = setInterval(() => {{ let ready = false; \
               try {{ ready = Boolean({READY}) }} catch {{}} \
               if (ready) {{ clearInterval(timer); {BINDING}('') }} }}, 5) }}"
        );
        let events = page.events();
        tokio::try_join!(
            page.add_binding(BINDING, LONG),
            page.add_script_on_new_document(&watch, LONG)
        )
        .unwrap();
        page.navigate(WEB, LONG).await.unwrap();
        let mut shown = Self {
            browser,
            page,
            events,
        };
        shown.ready().await;
        shown
    }

    async fn new_page(self) -> Self {
        let page = self.browser.new_page("about:blank", LONG).await.unwrap();
        Self::show(self.browser, page).await
    }

    async fn ready(&mut self) {
        self.until(|e| matches!(e, PageEvent::BindingCalled { name, .. } if **name == *BINDING))
            .await;
    }

    async fn until(&mut self, wanted: impl Fn(&PageEvent) -> bool) {
        let told = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if wanted(&event) {
                    return;
                }
            }
        };
        tokio::time::timeout(LONG, told).await.unwrap();
    }
}

async fn bare(sim: &Simulator, generation: &Path, table: &mut Table) {
    let profile = generation.join("chromium");
    let mut launch = LaunchOptions::new(Binary::find(Flavor::NewHeadless).unwrap(), &profile);
    launch.no_sandbox = rustix::process::geteuid().is_root();
    launch.extra_args = vec![
        format!(
            "--host-resolver-rules=MAP web.whatsapp.com:443 {},MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
            sim.addr()
        ),
        format!("--ignore-certificate-errors-spki-list={}", sim.spki()),
    ];
    let shown = Bare::start(&launch).await;

    let begun = Instant::now();
    kill(shown.browser.pid());
    shown.browser.gone().await;
    // The next browser would find the databases locked before this.
    shown.browser.exited().await;
    let mut shown = Bare::start(&launch).await;
    table.add("ready: browser killed", BARE, begun.elapsed());
    at_rest().await;

    let begun = Instant::now();
    reload_itself(&shown.page).await;
    shown.ready().await;
    table.add("ready: context lost", BARE, begun.elapsed());
    at_rest().await;

    let begun = Instant::now();
    shown.page.reload(LONG).await.unwrap();
    shown.ready().await;
    table.add("ready: reload", BARE, begun.elapsed());
    at_rest().await;

    let begun = Instant::now();
    shown.page.close(LONG).await.unwrap();
    let shown = shown.new_page().await;
    table.add("ready: page closed", BARE, begun.elapsed());
    at_rest().await;

    let begun = Instant::now();
    for pid in renderers(shown.browser.pid()) {
        kill(pid);
    }
    shown.page.gone().await;
    let dead = shown.page.clone();
    let (shown, closed) = tokio::join!(shown.new_page(), dead.close(LONG));
    closed.unwrap();
    table.add("ready: renderer killed", BARE, begun.elapsed());
    at_rest().await;

    hang(&shown.page).await;
    let begun = Instant::now();
    shown.page.terminate_script(LONG).await.unwrap();
    assert_eq!(shown.page.evaluate(READY, LONG).await.unwrap(), true);
    table.add("ready: script terminated", BARE, begun.elapsed());

    let begun = Instant::now();
    shown.browser.close(LONG).await;
    let shown = Bare::start(&launch).await;
    table.add("ready: browser restarted", BARE, begun.elapsed());
    at_rest().await;

    let begun = Instant::now();
    shown.browser.close(LONG).await;
    std::fs::remove_dir_all(&profile).unwrap();
    copy(&generation.join("good"), &profile);
    let shown = Bare::start(&launch).await;
    table.add("ready: profile restored", BARE, begun.elapsed());
    shown.browser.close(LONG).await;
}

async fn reload_itself(page: &Page) {
    let script = "setTimeout(() => location.reload(), 0), 0";
    page.evaluate(script, LONG).await.unwrap();
}

/// Returns once the page surely hangs.
async fn hang(page: &Page) {
    let script = "setTimeout(() => { for (;;); }, 0), 0";
    page.evaluate(script, LONG).await.unwrap();
    while page.evaluate("1", Duration::from_millis(300)).await.is_ok() {}
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

fn renderers(browser: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let group = rustix::process::getpgid(Pid::from_raw(pid));
        let ours = group.is_ok_and(|g| g.as_raw_nonzero().get().unsigned_abs() == browser);
        if ours && String::from_utf8_lossy(&line).contains("--type=renderer") {
            found.push(pid.unsigned_abs());
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let source: PathBuf = entry.unwrap().path();
        let target = to.join(source.file_name().unwrap());
        if source.is_dir() {
            copy(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
        }
    }
}

/// A page at rest: wa-js, where there is one, has come to the end of its search.
async fn at_rest() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

// ---------------------------------------------------------------- engine

struct Ours {
    connector: BrowserConnector,
    sink: Arc<Sink>,
    epoch: Epoch,
}

impl Ours {
    async fn open(&mut self, step: OpenStep) -> Epoch {
        self.epoch.0 += 1;
        let sink: Arc<dyn EventSink> = self.sink.clone();
        self.connector.open(step, self.epoch, sink).await.unwrap();
        self.epoch
    }

    async fn ready_by(&mut self, step: OpenStep) -> Instant {
        let epoch = self.open(step).await;
        self.sink.ready(epoch).await
    }

    /// Links the profile, keeps a good copy of it, and closes it.
    async fn link(&mut self, sim: &Simulator) {
        let epoch = self.open(OpenStep::Launch).await;
        let (code, _) = self
            .sink
            .find(epoch, None, |e| match e {
                EngineEvent::Qr { code, .. } => Some(code.clone()),
                _ => None,
            })
            .await;
        sim.control().scan(PHONE, &code).unwrap();
        self.sink.ready(epoch).await;
        self.ready_by(OpenStep::Secure).await;
        self.close().await;
    }

    async fn close(&self) {
        let how = Close::Graceful {
            deadline_ms: 10_000,
        };
        self.connector.close(how).await;
    }

    async fn round(&mut self, table: &mut Table) {
        self.ready_by(OpenStep::Launch).await;
        let (noticed, ready) = ("noticed: browser killed", "ready: browser killed");
        self.broken(
            table,
            Injected::KillBrowser,
            OpenStep::RestartBrowser,
            noticed,
            ready,
        )
        .await;
        self.reloaded(table).await;
        self.step(table, OpenStep::Reload, "ready: reload").await;
        let (noticed, ready) = ("noticed: page closed", "ready: page closed");
        self.broken(
            table,
            Injected::ClosePage,
            OpenStep::NewPage,
            noticed,
            ready,
        )
        .await;
        let (noticed, ready) = ("noticed: renderer killed", "ready: renderer killed");
        self.broken(
            table,
            Injected::KillRenderer,
            OpenStep::NewPage,
            noticed,
            ready,
        )
        .await;
        at_rest().await;
        self.connector.inject(Injected::HangPage).await.unwrap();
        // Until it hangs; the bare client's own test for that takes as long.
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.step(table, OpenStep::TerminateScript, "ready: script terminated")
            .await;
        for (step, what) in [
            (OpenStep::RestartBrowser, "ready: browser restarted"),
            (OpenStep::RestoreProfile, "ready: profile restored"),
        ] {
            at_rest().await;
            self.step(table, step, what).await;
        }
        self.close().await;
    }

    /// A step on what works: its own time and nothing else.
    async fn step(&mut self, table: &mut Table, step: OpenStep, what: &'static str) {
        let begun = Instant::now();
        let ready = self.ready_by(step).await;
        table.add(what, ENGINE, ready - begun);
    }

    /// A fault, its detection, and the step that heals it.
    async fn broken(
        &mut self,
        table: &mut Table,
        fault: Injected,
        step: OpenStep,
        noticed: &'static str,
        healed: &'static str,
    ) {
        at_rest().await;
        let epoch = self.epoch;
        let begun = Instant::now();
        let failed = self.sink.find(epoch, Some(begun), |e| {
            matches!(e, EngineEvent::Failed(_)).then_some(())
        });
        let events = self.connector.page_events().await.unwrap();
        let (injected, bare, ((), at)) =
            tokio::join!(self.connector.inject(fault), seen_bare(events), failed);
        injected.unwrap();
        table.add(noticed, BARE, bare - begun);
        table.add(noticed, ENGINE, at - begun);
        let ready = self.ready_by(step).await;
        table.add(healed, ENGINE, ready - begun);
    }

    /// The page loads itself anew: nothing has to be done but to see it.
    async fn reloaded(&mut self, table: &mut Table) {
        at_rest().await;
        let begun = Instant::now();
        let events = self.connector.page_events().await.unwrap();
        let injected = self.connector.inject(Injected::ReloadPage);
        let (injected, bare) = tokio::join!(injected, seen_bare(events));
        injected.unwrap();
        table.add("noticed: context lost", BARE, bare - begun);
        let phase = |wanted| {
            let sink = Arc::clone(&self.sink);
            let epoch = self.epoch;
            async move {
                let found = sink.find(epoch, Some(begun), |e| {
                    (*e == EngineEvent::Phase(wanted)).then_some(())
                });
                found.await.1
            }
        };
        table.add(
            "noticed: context lost",
            ENGINE,
            phase(Phase::Loading).await - begun,
        );
        table.add(
            "ready: context lost",
            ENGINE,
            phase(Phase::Ready).await - begun,
        );
        at_rest().await;
    }
}

/// When a bare client on the same pipe sees that the page's document is gone, for whatever reason.
async fn seen_bare(mut events: PageEvents) -> Instant {
    let seen = async {
        loop {
            match events.recv().await {
                Some(
                    PageEvent::ContextsCleared
                    | PageEvent::Crashed
                    | PageEvent::Detached
                    | PageEvent::BrowserGone,
                )
                | None => return Instant::now(),
                Some(_) => {}
            }
        }
    };
    tokio::time::timeout(LONG, seen).await.unwrap()
}

/// Keeps what the engine tells, with its time.
#[derive(Default)]
struct Sink {
    heard: Mutex<Vec<(Epoch, EngineEvent, Instant)>>,
    news: Notify,
}

#[async_trait]
impl EventSink for Sink {
    fn event(&self, epoch: Epoch, event: EngineEvent) {
        let mut heard = self.heard.lock().unwrap();
        heard.push((epoch, event, Instant::now()));
        drop(heard);
        self.news.notify_waiters();
    }

    async fn inbound(&self, _: Epoch, _: InboundMessage) -> Result<(), InboundRefused> {
        Ok(())
    }

    async fn happened(&self, _: Epoch, _: Happening) -> Result<(), InboundRefused> {
        Ok(())
    }
}

impl Sink {
    async fn find<T>(
        &self,
        epoch: Epoch,
        since: Option<Instant>,
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
                .filter(|(of, _, at)| *of == epoch && since.is_none_or(|since| *at >= since))
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
        let ready = self.find(epoch, None, |e| {
            (*e == EngineEvent::Phase(Phase::Ready)).then_some(())
        });
        ready.await.1
    }
}
