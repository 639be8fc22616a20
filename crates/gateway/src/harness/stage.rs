//! Simulator, gateway and phone, put together and taken apart again.

use super::HarnessError;
use super::client::Client;
use super::disks::Disks;
use super::gateway::{Gateway, GatewayOptions, LogEvent};
use super::judge::Word;
use super::relay::{self, Fault};
use crate::app::DEFAULT_SESSION;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use steadfast_sim::knobs::Knobs;
use steadfast_sim::world::{self, NewAccount};
use steadfast_sim::{Control, SimConfig, Simulator};
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinSet;

/// The account that the gateway is linked to.
pub const PHONE: &str = "4915550000001";
/// Log events that may wait for a listener.
const EVENTS: usize = 4096;
/// How long linking and the first sync may take on a slow machine.
pub const READY_WITHIN: Duration = Duration::from_secs(90);

/// Messages that are asked for at once; the gateway gives no more.
const PAGE: u32 = 200;

/// How a stage is set.
#[derive(Debug, Clone)]
pub struct StageOptions {
    /// The gateway's binary.
    pub steadfast: PathBuf,
    /// The browser; found by itself where `None`.
    pub browser: Option<PathBuf>,
    /// Decides everything that is random in the simulator.
    pub seed: u64,
    /// More configuration for the gateway.
    pub env: Vec<(String, String)>,
    /// Where the gateway's log is kept.
    pub log: Option<PathBuf>,
    /// Whether the data folder and its profiles are on small file systems of
    /// their own. This process must be allowed to mount.
    pub small_disks: bool,
}

/// The owner of the phone.
#[derive(Debug, Default)]
struct Owner {
    /// So many codes are left to expire before one is scanned.
    hesitates: AtomicU32,
    /// How often a code was scanned and taken.
    scans: AtomicU32,
}

/// Everything that a run needs. Nothing of it is left when it is struck.
pub struct Stage {
    simulator: Simulator,
    folder: tempfile::TempDir,
    socket: PathBuf,
    options: GatewayOptions,
    gateway: Mutex<Option<Gateway>>,
    events: broadcast::Sender<LogEvent>,
    owner: Arc<Owner>,
    disks: Option<Disks>,
    clock: PathBuf,
    crew: JoinSet<()>,
}

impl Stage {
    /// Starts the simulator and the gateway; the phone scans each QR code that
    /// the gateway shows from then on.
    pub async fn set(options: StageOptions) -> Result<Arc<Self>, HarnessError> {
        let simulator = Simulator::start(SimConfig {
            seed: options.seed,
            ..SimConfig::default()
        })
        .await?;
        simulator.control().create_account(NewAccount {
            phone: PHONE.to_owned(),
            push_name: Some("Steadfast Demo".to_owned()),
            addressing: None,
            passkey: false,
        })?;
        let folder = tempfile::Builder::new()
            .prefix("steadfast-stage-")
            .tempdir()
            .map_err(HarnessError::io("making a temporary folder"))?;
        let browser = match options.browser {
            Some(path) => path,
            None => steadfast_engine::Binary::find(steadfast_engine::Flavor::NewHeadless)
                .map_err(|error| HarnessError::Browser(error.to_string()))?
                .path()
                .to_owned(),
        };
        let (script, socket) = (folder.path().join("browser"), folder.path().join("relay"));
        let (data_dir, clock) = (folder.path().join("data"), folder.path().join("clock"));
        let disks = if options.small_disks {
            Some(Disks::under(&data_dir).await?)
        } else {
            None
        };
        relay::write_script(&script, &options.steadfast, &browser, &socket)
            .map_err(HarnessError::io("writing the relay's script"))?;
        let mut env = vec![
            ("STEADFAST_BROWSER__PATH", script.display().to_string()),
            (
                "STEADFAST_BROWSER__WEB_RESOLVE",
                simulator.addr().to_string(),
            ),
            ("STEADFAST_BROWSER__WEB_SPKI", simulator.spki().to_owned()),
            (crate::clock::AHEAD_FILE, clock.display().to_string()),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect::<Vec<_>>();
        env.extend(options.env);
        let gateway_options = GatewayOptions {
            steadfast: options.steadfast,
            data_dir,
            env,
            log: options.log,
        };
        let (events, _) = broadcast::channel(EVENTS);
        let gateway = Gateway::start(&gateway_options, events.clone()).await?;
        let mut crew = JoinSet::new();
        let owner = Arc::new(Owner::default());
        let phone = scan_codes(
            events.subscribe(),
            gateway_options.data_dir.clone(),
            simulator.control().clone(),
            Arc::clone(&owner),
        );
        crew.spawn(phone);
        Ok(Arc::new(Self {
            simulator,
            folder,
            socket,
            options: gateway_options,
            gateway: Mutex::new(Some(gateway)),
            events,
            owner,
            disks,
            clock,
            crew,
        }))
    }

    /// The simulator's controls.
    pub fn control(&self) -> &Control {
        self.simulator.control()
    }

    /// The page on which a person is the phone.
    pub fn playground(&self) -> String {
        format!("{}/", self.simulator.control_url())
    }

    /// Turns one knob of the simulator.
    pub fn turn(&self, knob: &str, value: serde_json::Value) -> Result<(), HarnessError> {
        let patch = serde_json::Map::from_iter([(knob.to_owned(), value)]);
        self.control().turn(&patch)?;
        Ok(())
    }

    /// The gateway's log events from now on.
    pub fn events(&self) -> broadcast::Receiver<LogEvent> {
        self.events.subscribe()
    }

    /// Injects a fault between gateway and browser; the browser's process id,
    /// unless the fault has ended the browser's relay already.
    pub async fn inject(&self, fault: &Fault) -> Result<Option<u32>, HarnessError> {
        relay::inject(&self.socket, fault)
            .await
            .map_err(HarnessError::io("injecting a fault through the relay"))
    }

    /// The small file systems.
    pub fn disks(&self) -> Result<&Disks, HarnessError> {
        self.disks
            .as_ref()
            .ok_or_else(|| HarnessError::Unmet("this stage has no small file systems".to_owned()))
    }

    /// Sets the gateway's wall clock so many milliseconds from the right time.
    pub fn set_clock(&self, ahead_ms: i64) -> Result<(), HarnessError> {
        let new = self.clock.with_extension("new");
        std::fs::write(&new, ahead_ms.to_string())
            .and_then(|()| std::fs::rename(&new, &self.clock))
            .map_err(HarnessError::io("setting the gateway's clock"))
    }

    /// The phone's owner leaves so many codes to expire before the next scan.
    pub fn hesitate(&self, codes: u32) {
        self.owner.hesitates.store(codes, Ordering::Relaxed);
    }

    /// How often the phone has scanned a code and linked.
    pub fn scans(&self) -> u32 {
        self.owner.scans.load(Ordering::Relaxed)
    }

    /// Whatever a fault has left behind in the outside world is made good.
    pub async fn calm(&self) -> Result<(), HarnessError> {
        let usual = Knobs::default();
        for (knob, value) in [
            ("ack_delay_ms", json!(usual.ack_delay_ms)),
            ("modules_removed", json!(usual.modules_removed)),
            ("qr_ttl_ms", json!(usual.qr_ttl_ms)),
            ("qr_refs", json!(usual.qr_refs)),
        ] {
            self.turn(knob, value)?;
        }
        self.hesitate(0);
        self.set_clock(0)?;
        if let Some(disks) = &self.disks {
            disks.store.empty().await?;
            disks.profiles.empty().await?;
        }
        Ok(())
    }

    /// Brings a session back that did not come back by itself, so that a run
    /// can go on: the network is there, and the gateway begins anew.
    pub async fn revive(&self, within: Duration) -> Result<(), HarnessError> {
        self.calm().await?;
        self.control().fault(world::Fault::NetworkBack)?;
        let mut events = self.events();
        self.kill_gateway().await?;
        self.ready(&mut events, within).await.map(drop)
    }

    /// The gateway's data folder.
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// Speaks to the gateway, where it runs.
    pub async fn client(&self) -> Option<Client> {
        let gateway = self.gateway.lock().await;
        gateway.as_ref().map(|g| g.client().clone())
    }

    /// The gateway's process id, where it runs.
    pub async fn gateway_pid(&self) -> Option<u32> {
        self.gateway.lock().await.as_ref().and_then(Gateway::pid)
    }

    /// The last lines of the gateway's log.
    pub async fn log_tail(&self) -> String {
        let gateway = self.gateway.lock().await;
        gateway.as_ref().map(Gateway::tail).unwrap_or_default()
    }

    /// Kills the gateway as a power cut would, and starts it again on the same folder.
    pub async fn kill_gateway(&self) -> Result<(), HarnessError> {
        let mut gateway = self.gateway.lock().await;
        if let Some(running) = gateway.take() {
            running.kill().await;
        }
        *gateway = Some(Gateway::start(&self.options, self.events.clone()).await?);
        Ok(())
    }

    /// Ends the gateway as a service manager does, and starts it again.
    pub async fn restart_gateway(&self) -> Result<(), HarnessError> {
        let mut gateway = self.gateway.lock().await;
        if let Some(running) = gateway.take() {
            running.terminate().await?;
        }
        *gateway = Some(Gateway::start(&self.options, self.events.clone()).await?);
        Ok(())
    }

    /// Whether the session is ready, as the gateway says.
    pub async fn is_ready(&self) -> bool {
        let Some(client) = self.client().await else {
            return false;
        };
        client
            .get(&format!("/v1/sessions/{DEFAULT_SESSION}"))
            .await
            .is_ok_and(|session| session["ready"] == json!(true))
    }

    /// Waits until the session is ready. `events` must have been taken before
    /// whatever is waited for, so that nothing is missed. Returns when that was.
    pub async fn ready(
        &self,
        events: &mut broadcast::Receiver<LogEvent>,
        within: Duration,
    ) -> Result<Instant, HarnessError> {
        let wait = async {
            loop {
                if self.is_ready().await {
                    return Instant::now();
                }
                if let Ok(at) = next(events, |e| {
                    e.name == "session_state" && e.text("to") == "ready"
                })
                .await
                {
                    return at.at;
                }
            }
        };
        tokio::time::timeout(within, wait)
            .await
            .map_err(|_| HarnessError::TooLate {
                what: "ready".to_owned(),
                seconds: within.as_secs(),
            })
    }

    /// Waits until the session is ready *again*: a state that was ready all
    /// along does not count.
    pub async fn ready_again(
        &self,
        events: &mut broadcast::Receiver<LogEvent>,
        within: Duration,
    ) -> Result<Instant, HarnessError> {
        match tokio::time::timeout(within, next(events, is_ready_again)).await {
            Ok(Ok(event)) => Ok(event.at),
            Ok(Err(_)) => self.ready(events, within).await,
            Err(_) => Err(HarnessError::TooLate {
                what: "ready again".to_owned(),
                seconds: within.as_secs(),
            }),
        }
    }

    /// What a person would look at first where a session does not come back.
    pub async fn evidence(&self) -> serde_json::Value {
        let asked = async |path: String| match self.client().await {
            Some(client) => client
                .get(&path)
                .await
                .unwrap_or_else(|e| json!(e.to_string())),
            None => json!("the gateway is down"),
        };
        let session = format!("/v1/sessions/{DEFAULT_SESSION}");
        let log = self.log_tail().await;
        json!({
            "session": asked(session.clone()).await,
            "incidents": asked(format!("{session}/incidents?limit=2")).await,
            "log": log.lines().collect::<Vec<_>>(),
        })
    }

    /// Our ids of the messages of this status.
    pub async fn messages(&self, status: &str) -> Result<BTreeSet<String>, HarnessError> {
        let client = self.running().await?;
        let words = listed(&client, &format!("status={status}&")).await?;
        Ok(words.into_keys().collect())
    }

    /// What the gateway says of every message, by our ids; of what is parked
    /// with its attempts.
    pub async fn words(&self) -> Result<BTreeMap<String, Word>, HarnessError> {
        let client = self.running().await?;
        let mut words = listed(&client, "").await?;
        for (id, word) in words.iter_mut().filter(|(_, word)| word.status == "parked") {
            *word = Word::of(&client.get(&format!("/v1/messages/{id}")).await?);
        }
        Ok(words)
    }

    async fn running(&self) -> Result<Client, HarnessError> {
        match self.client().await {
            Some(client) => Ok(client),
            None => Err(HarnessError::GatewayEnded(self.log_tail().await)),
        }
    }

    /// Ends everything and removes the folder.
    pub async fn strike(self: Arc<Self>) -> Result<(), HarnessError> {
        if let Some(gateway) = self.gateway.lock().await.take() {
            gateway.terminate().await?;
        }
        if let Ok(mut stage) = Arc::try_unwrap(self).map_err(|_| ()) {
            stage.crew.shutdown().await;
            stage.simulator.shutdown().await;
            if let Some(disks) = &stage.disks {
                disks.unmount().await;
            }
            stage
                .folder
                .close()
                .map_err(HarnessError::io("removing the temporary folder"))?;
        }
        Ok(())
    }
}

/// What the gateway says of messages, page by page.
async fn listed(client: &Client, which: &str) -> Result<BTreeMap<String, Word>, HarnessError> {
    let mut words = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = client
            .get(&format!(
                "/v1/sessions/{DEFAULT_SESSION}/messages?{which}limit={PAGE}{after}"
            ))
            .await?;
        for message in page["items"].as_array().into_iter().flatten() {
            let id = message["id"].as_str().map(str::to_owned);
            words.extend(id.map(|id| (id, Word::of(message))));
        }
        match page["next"].as_str() {
            Some(cursor) => after = format!("&after={cursor}"),
            None => return Ok(words),
        }
    }
}

/// The next event that pleases. `Err` where events were missed: look at the state instead.
pub async fn next(
    events: &mut broadcast::Receiver<LogEvent>,
    mut pleases: impl FnMut(&LogEvent) -> bool,
) -> Result<LogEvent, broadcast::error::RecvError> {
    loop {
        let event = events.recv().await?;
        if pleases(&event) {
            return Ok(event);
        }
    }
}

fn is_ready_again(event: &LogEvent) -> bool {
    event.name == crate::events::SESSION_STATE && event.text("to") == "ready"
}

/// The phone's owner: scans each code that the gateway shows, after some
/// hesitation where that was asked for.
async fn scan_codes(
    mut events: broadcast::Receiver<LogEvent>,
    data_dir: PathBuf,
    control: Control,
    owner: Arc<Owner>,
) {
    while let Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) =
        next(&mut events, |e| e.name == crate::events::QR_READY).await
    {
        let hesitates = |codes: u32| codes.checked_sub(1);
        let left = owner
            .hesitates
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, hesitates);
        if left.is_ok() {
            continue;
        }
        let Some(running) = crate::data_dir::DataDir::open(&data_dir)
            .ok()
            .and_then(|dir| dir.announced())
        else {
            continue;
        };
        let client = Client::new(&running.url, &running.token);
        let path = format!("/v1/sessions/{DEFAULT_SESSION}/qr?format=raw");
        let Ok(answer) = client.get(&path).await else {
            continue;
        };
        let Some(code) = answer["code"].as_str() else {
            continue;
        };
        match control.scan(PHONE, code) {
            Ok(()) => {
                owner.scans.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => tracing::debug!(event = "scan_refused", %error),
        }
    }
}
