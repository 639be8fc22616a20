//! A simulator, a connector, and a record of what the engine told.

use async_trait::async_trait;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use steadfast_core::failure::Failure;
use steadfast_core::ids::{ChatId, Epoch, WaMessageId};
use steadfast_core::inbound::{Happening, InboundMessage};
use steadfast_core::outbox::{Ack, Body};
use steadfast_core::port::{
    Close, Connector, Engine, EngineEvent, EventSink, InboundRefused, LookupOutcome, OpenStep,
    Phase, SendOutcome,
};
use steadfast_engine::{BrowserConnector, EngineOptions};
use steadfast_sim::frames::PageFault;
use steadfast_sim::journal::{Entry, Event};
use steadfast_sim::knobs::Knobs;
use steadfast_sim::world::{Fault, NewAccount};
use steadfast_sim::{SimConfig, Simulator};
use tempfile::TempDir;
use tokio::sync::Notify;

/// Generous: other work shares the machine.
pub(crate) const LONG: Duration = Duration::from_mins(1);
pub(crate) const PHONE: &str = "4915110000001";
pub(crate) const FRIEND: &str = "4915120000002";

/// One thing that the engine told, with the time.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) epoch: Epoch,
    pub(crate) event: EngineEvent,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct Record {
    heard: Vec<Heard>,
    inbound: Vec<(Epoch, InboundMessage)>,
    refuse: u32,
    happened: Vec<Happening>,
    refuse_happenings: bool,
}

/// Keeps all that is told.
#[derive(Default)]
pub(crate) struct Recorder {
    record: Mutex<Record>,
    news: Notify,
}

#[async_trait]
impl EventSink for Recorder {
    fn event(&self, epoch: Epoch, event: EngineEvent) {
        let at = Instant::now();
        self.record
            .lock()
            .unwrap()
            .heard
            .push(Heard { epoch, event, at });
        self.news.notify_waiters();
    }

    async fn happened(&self, _: Epoch, happening: Happening) -> Result<(), InboundRefused> {
        let mut record = self.record.lock().unwrap();
        if record.refuse_happenings {
            return Err(InboundRefused::NotStored(
                "the test's store is full".to_owned(),
            ));
        }
        // As a store would: once by its key.
        let key = happening.key();
        if !record.happened.iter().any(|known| known.key() == key) {
            record.happened.push(happening);
        }
        drop(record);
        self.news.notify_waiters();
        Ok(())
    }

    async fn inbound(&self, epoch: Epoch, message: InboundMessage) -> Result<(), InboundRefused> {
        let mut record = self.record.lock().unwrap();
        if record.refuse > 0 {
            record.refuse -= 1;
            return Err(InboundRefused::NotStored(
                "the test's store is full".to_owned(),
            ));
        }
        record.inbound.push((epoch, message));
        drop(record);
        self.news.notify_waiters();
        Ok(())
    }
}

impl Recorder {
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.record.lock().unwrap().heard.clone()
    }

    pub(crate) fn inbound_messages(&self) -> Vec<InboundMessage> {
        let record = self.record.lock().unwrap();
        record
            .inbound
            .iter()
            .map(|(_, message)| message.clone())
            .collect()
    }

    /// What became of messages and groups so far.
    pub(crate) fn happenings(&self) -> Vec<Happening> {
        self.record.lock().unwrap().happened.clone()
    }

    /// Waits until so many things have happened.
    pub(crate) async fn happened(&self, count: usize) -> Vec<Happening> {
        self.until(&format!("{count} happenings"), |_, _| {
            let told = self.happenings();
            (told.len() >= count).then_some(told)
        })
        .await
    }

    /// Whether the store refuses what happened.
    pub(crate) fn refuse_happenings(&self, refuse: bool) {
        self.record.lock().unwrap().refuse_happenings = refuse;
    }

    /// The store refuses the next so many messages.
    pub(crate) fn refuse(&self, count: u32) {
        self.record.lock().unwrap().refuse = count;
    }

    /// Waits until `find` finds something in what was told.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        find: impl Fn(&[Heard], &[InboundMessage]) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + LONG;
        loop {
            let news = self.news.notified();
            {
                let inbound = self.inbound_messages();
                let heard = self.heard();
                if let Some(found) = find(&heard, &inbound) {
                    return found;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, news).await.is_err() {
                let heard: Vec<String> = self
                    .heard()
                    .iter()
                    .map(|h| format!("{}: {:?}", h.epoch.0, h.event))
                    .collect();
                panic!("waited in vain for {what}; heard:\n{}", heard.join("\n"));
            }
        }
    }

    /// Waits for the first event of this epoch that `find` takes.
    pub(crate) async fn event<T>(
        &self,
        epoch: Epoch,
        what: &str,
        find: impl Fn(&EngineEvent) -> Option<T>,
    ) -> (T, Instant) {
        self.until(what, |heard, _| {
            heard
                .iter()
                .filter(|h| h.epoch == epoch)
                .find_map(|h| find(&h.event).map(|found| (found, h.at)))
        })
        .await
    }

    pub(crate) async fn phase(&self, epoch: Epoch, phase: Phase) -> Instant {
        self.event(epoch, &format!("{phase:?}"), |event| {
            (*event == EngineEvent::Phase(phase)).then_some(())
        })
        .await
        .1
    }

    pub(crate) async fn failed(&self, epoch: Epoch) -> (Failure, Instant) {
        self.event(epoch, "a failure", |event| match event {
            EngineEvent::Failed(failure) => Some(failure.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn qr(&self, epoch: Epoch) -> String {
        self.event(epoch, "a QR", |event| match event {
            EngineEvent::Qr { code, .. } => Some(code.clone()),
            _ => None,
        })
        .await
        .0
    }

    pub(crate) async fn ack(&self, id: &WaMessageId, least: Ack) {
        self.until(&format!("{least:?} of {id}"), |heard, _| {
            heard.iter().find_map(|h| match &h.event {
                EngineEvent::Ack { wa_message_id, ack } if wa_message_id == id && *ack >= least => {
                    Some(())
                }
                _ => None,
            })
        })
        .await;
    }
}

/// A simulator and a session on it.
pub(crate) struct Scene {
    pub(crate) sim: Simulator,
    pub(crate) dir: TempDir,
    pub(crate) connector: BrowserConnector,
    pub(crate) sink: Arc<Recorder>,
    epoch: Mutex<u64>,
    minted: Mutex<u8>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(Knobs::default(), |_| {}).await
    }

    pub(crate) async fn with(knobs: Knobs, change: impl FnOnce(&mut EngineOptions)) -> Self {
        // Only the first test of a process gets to choose; each test has its own under nextest.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let sim = Simulator::start(SimConfig {
            knobs,
            ..SimConfig::default()
        })
        .await
        .unwrap();
        sim.control()
            .create_account(NewAccount {
                phone: PHONE.to_owned(),
                push_name: Some("Ada".to_owned()),
                ..NewAccount::default()
            })
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(&sim, &dir);
        change(&mut options);
        let connector = BrowserConnector::new(options).unwrap();
        Self {
            sim,
            dir,
            connector,
            sink: Arc::new(Recorder::default()),
            epoch: Mutex::new(0),
            minted: Mutex::new(0),
        }
    }

    /// A scene that is linked and ready.
    pub(crate) async fn linked() -> (Self, Arc<dyn Engine>) {
        Self::linked_with(Knobs::default(), |_| {}).await
    }

    pub(crate) async fn linked_with(
        knobs: Knobs,
        change: impl FnOnce(&mut EngineOptions),
    ) -> (Self, Arc<dyn Engine>) {
        let scene = Self::with(knobs, change).await;
        let engine = scene.open(OpenStep::Launch).await;
        let code = scene.sink.qr(engine.epoch()).await;
        scene.sim.control().scan(PHONE, &code).unwrap();
        scene.sink.phase(engine.epoch(), Phase::Ready).await;
        (scene, engine)
    }

    pub(crate) async fn open(&self, step: OpenStep) -> Arc<dyn Engine> {
        self.try_open(step).await.unwrap()
    }

    pub(crate) async fn try_open(&self, step: OpenStep) -> Result<Arc<dyn Engine>, Failure> {
        let epoch = {
            let mut epoch = self.epoch.lock().unwrap();
            *epoch += 1;
            Epoch(*epoch)
        };
        let sink: Arc<dyn EventSink> = self.sink.clone();
        self.connector.open(step, epoch, sink).await
    }

    /// Opens by this step and waits until ready; answers how long that took.
    pub(crate) async fn ready_by(&self, step: OpenStep) -> (Arc<dyn Engine>, Duration) {
        let begun = Instant::now();
        let engine = self.open(step).await;
        let ready = self.sink.phase(engine.epoch(), Phase::Ready).await;
        (engine, ready - begun)
    }

    /// Closes in order, as nothing else puts the login on disk at once, and launches again.
    pub(crate) async fn relaunched(&self) -> Arc<dyn Engine> {
        let deadline_ms = 30_000;
        self.connector.close(Close::Graceful { deadline_ms }).await;
        self.ready_by(OpenStep::Launch).await.0
    }

    pub(crate) fn mint(&self) -> WaMessageId {
        let mut minted = self.minted.lock().unwrap();
        *minted += 1;
        WaMessageId::mint([*minted; 9])
    }

    pub(crate) fn page_fault(&self, fault: PageFault) {
        self.sim
            .control()
            .fault(Fault::Page {
                account: None,
                fault,
            })
            .unwrap();
    }

    /// The same, and waits for the page's word that it is in force.
    pub(crate) async fn page_fault_in_force(&self, fault: PageFault) {
        let control = self.sim.control();
        let before = control.journal(0, usize::MAX, &[]).last;
        self.page_fault(fault);
        control
            .wait_for_entry(before, "the page's word", LONG, |entry| {
                let said = entry.detail.as_deref().unwrap_or_default();
                entry.event == Event::PageLog && said.starts_with("fault ")
            })
            .await
            .unwrap();
    }

    /// Waits until wa-js is ready: what is sent from then on goes by it.
    pub(crate) async fn equipped(&self) {
        self.page_says("window.WPP?.isFullReady === true").await;
    }

    /// Waits until this is true in the page.
    pub(crate) async fn page_says(&self, expression: &str) {
        let page = self.connector.page().await.unwrap();
        eventually(expression, || async {
            page.evaluate(expression, LONG).await == Ok(Value::Bool(true))
        })
        .await;
    }

    pub(crate) fn turn(&self, knobs: Value) {
        let Value::Object(patch) = knobs else {
            panic!("knobs are an object");
        };
        self.sim.control().turn(&patch).unwrap();
    }

    pub(crate) fn entries(&self, event: Event, id: &WaMessageId) -> Vec<Entry> {
        self.sim
            .control()
            .journal(0, usize::MAX, &[event])
            .entries
            .into_iter()
            .filter(|entry| entry.id.as_deref() == Some(id.as_str()))
            .collect()
    }

    /// How often the server took, and others got, this message.
    pub(crate) fn taken_and_delivered(&self, id: &WaMessageId) -> (usize, usize) {
        (
            self.entries(Event::Taken, id).len(),
            self.entries(Event::Delivered, id).len(),
        )
    }

    /// Waits until a message is found with this ack. It must be found at once; its
    /// ack is written down a moment after it was told, and a page that was loaded
    /// anew in between has to hear of it again.
    pub(crate) async fn found(&self, engine: &Arc<dyn Engine>, id: &WaMessageId, least: Ack) {
        eventually(&format!("{least:?} of {id}"), || async {
            match engine.lookup(id, &chat(FRIEND)).await {
                LookupOutcome::Found(ack) => ack >= least,
                other => panic!("{id}: {other:?}"),
            }
        })
        .await;
    }

    pub(crate) async fn delivered(&self, id: &WaMessageId) {
        let wanted = id.as_str().to_owned();
        self.sim
            .control()
            .wait_for_entry(0, "delivery", LONG, |entry| {
                entry.event == Event::Delivered && entry.id.as_deref() == Some(wanted.as_str())
            })
            .await
            .unwrap();
    }

    pub(crate) async fn end(self) {
        self.connector.close(Close::Kill).await;
        self.sim.shutdown().await;
    }
}

pub(crate) fn options(sim: &Simulator, dir: &TempDir) -> EngineOptions {
    let mut options = EngineOptions {
        web_resolve: Some(sim.addr().to_string()),
        web_spki: Some(sim.spki().to_owned()),
        ..EngineOptions::new(dir.path().join("profile"))
    };
    // A browser that a busy machine closes slowly is not killed over its login.
    options.deadlines.replace = LONG;
    options
}

pub(crate) fn chat(number: &str) -> ChatId {
    ChatId::parse(number).unwrap()
}

pub(crate) fn text(text: &str) -> Body {
    Body::text(text.to_owned())
}

/// Sends and demands the server's ack.
pub(crate) async fn send_ok(
    scene: &Scene,
    engine: &Arc<dyn Engine>,
    to: &ChatId,
    what: &str,
) -> WaMessageId {
    let id = scene.mint();
    match engine.send(&id, to, &text(what)).await {
        SendOutcome::HandedOff(ack) if ack >= Ack::Server => id,
        other => panic!("{what:?} was not sent: {other:?}"),
    }
}

/// Asks until `ask` is content, as often as something is told or a moment passes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let deadline = Instant::now() + LONG;
    while !ask().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn knobs(patch: Value) -> Knobs {
    serde_json::from_value(patch).unwrap()
}

/// Runs something beside the test, which waits for it in the end.
#[expect(clippy::disallowed_methods, reason = "every caller awaits the handle")]
pub(crate) fn run<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}
