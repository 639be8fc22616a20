//! `steadfast serve`.

use super::client::Client;
use super::exit::Exit;
use super::out::{CliError, Out, Tone};
use super::stop::{HangUp, HangUpMeans};
use super::{Context, StopSignals};
use crate::browser;
use crate::config::Loaded;
use crate::events;
use crate::logging;
use crate::manager::Manager;
use crate::metrics::Metrics;
use crate::qr::Picture;
use crate::serve::{Running, ServeOptions, serve};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use steadfast_sim::{SimConfig, Simulator};

/// More workers bring nothing: the work is in the browser and on the disk.
const MAX_WORKERS: usize = 4;
/// How often the terminal looks whether there is a new QR code to show.
const QR_LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address and port to listen on; port 0 picks a free one [server.listen]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Listen beyond this machine, though the interface is plain HTTP [server.allow_remote]
    #[arg(long)]
    allow_remote: bool,
    /// Start a WhatsApp Web simulator too, and use it in place of the real one
    #[arg(long)]
    simulator: bool,
}

pub(super) fn run(context: &Context, args: &ServeArgs) -> Result<Exit, CliError> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.min(MAX_WORKERS))
        .enable_all()
        .build()
        .map_err(|e| CliError::new(Exit::Failed, format!("cannot start: {e}"), ""))?;
    let ended = runtime.block_on(run_async(context, args));
    // Whatever still blocks (a disk that hangs) must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Every connection is a file handle, and the usual limit of 1,024 is meant to
/// be raised by programs that know it (getrlimit(2)). The hard limit stays.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it may not be raised, connections beyond it wait.
    let _ = setrlimit(Resource::Nofile, raised);
}

async fn run_async(context: &Context, args: &ServeArgs) -> Result<Exit, CliError> {
    raise_file_limit();
    let mut stop = StopSignals::listen()?;
    let mut hang_up = HangUp::listen(std::io::stdout().is_terminal())?;
    let mut flags = Vec::new();
    if let Some(listen) = &args.listen {
        flags.push(("--listen", "server.listen", listen.clone()));
    }
    if args.allow_remote {
        flags.push(("--allow-remote", "server.allow_remote", "true".to_owned()));
    }
    let simulator = if args.simulator {
        let simulator = start_simulator().await?;
        let (address, spki) = (simulator.addr().to_string(), simulator.spki().to_owned());
        flags.push(("--simulator", "browser.web_resolve", address));
        flags.push(("--simulator", "browser.web_spki", spki));
        Some(simulator)
    } else {
        None
    };
    let loaded = context.load_config(flags.clone())?;
    let metrics = start_logging(&loaded)?;
    let running = start(context, &loaded, metrics).await?;
    tell(context.out, &running, simulator.as_ref());
    let mut manager = Manager::of_this_process();
    manager.ready(&running);
    let served = async {
        let codes = async {
            if context.out.is_terminal() {
                show_codes(context.out, &running).await
            } else {
                std::future::pending().await
            }
        };
        let mut codes = pin!(codes);
        loop {
            tokio::select! {
                () = stop.asked() => return Ok(()),
                never = codes.as_mut() => return never,
                means = hang_up.next() => match means {
                    HangUpMeans::End => return Ok(()),
                    HangUpMeans::Reload => {
                        manager.reloading();
                        reload(context, &running, flags.clone()).await;
                        manager.ready(&running);
                    }
                },
            }
        }
    }
    .await;
    served?;
    manager.stopping().await;
    // A second request ends it at once; everything accepted is on disk anyway.
    let exit = tokio::select! {
        () = running.stop() => Exit::Done,
        () = stop.asked() => Exit::Interrupted,
    };
    if let Some(simulator) = simulator {
        simulator.shutdown().await;
    }
    Ok(exit)
}

/// Reads the configuration again. One that is wrong changes nothing.
async fn reload(
    context: &Context,
    running: &Running,
    flags: Vec<(&'static str, &'static str, String)>,
) {
    match context.load_config(flags) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                tracing::warn!(event = events::CONFIG_WARNING, "{warning}");
            }
            running.reload(&loaded.config).await;
        }
        Err(error) => {
            tracing::error!(
                event = events::CONFIG_REFUSED,
                error = error.message,
                "what is in force stays"
            );
        }
    }
}

async fn start_simulator() -> Result<Simulator, CliError> {
    Simulator::start(SimConfig::default()).await.map_err(|e| {
        CliError::new(
            Exit::Failed,
            format!("the simulator did not start: {e}"),
            "",
        )
    })
}

/// Logs and the panic hook, for commands that run a gateway.
pub(super) fn start_logging(loaded: &Loaded) -> Result<Arc<Metrics>, CliError> {
    let metrics = Arc::new(Metrics::default());
    logging::init(&loaded.config.log, metrics.clone())
        .map_err(|e| CliError::new(Exit::Failed, e.to_string(), ""))?;
    logging::log_panics(metrics.clone());
    for warning in &loaded.warnings {
        tracing::warn!(event = events::CONFIG_WARNING, "{warning}");
    }
    Ok(metrics)
}

/// Starts the gateway with real browsers.
pub(super) async fn start(
    context: &Context,
    loaded: &Loaded,
    metrics: Arc<Metrics>,
) -> Result<Running, CliError> {
    let options = ServeOptions {
        data_dir: context.data_dir()?,
        http: true,
        config: loaded.config.clone(),
        metrics,
        sessions: browser::sessions(),
    };
    Ok(serve(options).await?)
}

fn tell(out: Out, running: &Running, simulator: Option<&Simulator>) {
    let mut value = json!({
        "address": running.address().to_string(),
        "url": running.url(),
        "pid": std::process::id(),
    });
    out.line(format!("listening on {}", running.url()));
    if let Some(token) = running.first_token() {
        value["token"] = Value::from(token);
        out.line(format!(
            "admin token, shown this once: {}",
            out.tone(Tone::Bold, token)
        ));
    }
    if let Some(simulator) = simulator {
        value["simulator"] = json!({
            "address": simulator.addr().to_string(),
            "control": simulator.control_url(),
            "spki": simulator.spki(),
        });
        out.line(format!(
            "simulator at {}, its control at {}",
            simulator.addr(),
            simulator.control_url()
        ));
        out.line(format!(
            "dashboard: {}/   playground, where you are the phone: {}/",
            running.url(),
            simulator.control_url()
        ));
    }
    out.value(&value);
}

/// Shows each QR code of the first session on the terminal, for the one who
/// started the gateway there.
async fn show_codes(out: Out, running: &Running) -> Result<(), CliError> {
    let sessions = running.app().sessions.clone();
    let Ok(first) = steadfast_core::ids::SessionId::parse(crate::app::DEFAULT_SESSION) else {
        return std::future::pending().await;
    };
    let mut shown = String::new();
    let mut told_ready = false;
    loop {
        tokio::time::sleep(QR_LOOK).await;
        match sessions.qr(&first).await {
            Ok(Some(qr)) if qr.code != shown => {
                if let Ok(picture) = Picture::of(&qr.code) {
                    out.line(
                        "scan this with WhatsApp on the phone (Linked devices, Link a device):",
                    );
                    out.qr(&picture);
                }
                shown = qr.code;
                told_ready = false;
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                let ready = sessions.get(&first).await.is_ok_and(|view| view.ready());
                if ready && !told_ready {
                    out.line(out.tone(Tone::Good, "linked and ready"));
                    told_ready = true;
                }
            }
        }
    }
}

/// The gateway to speak with: one that runs, or one of our own.
pub(super) enum Gateway {
    /// Somebody else's process.
    Theirs(Client),
    /// Ours, to be stopped afterwards.
    Ours(Box<Running>, Client),
}

impl Gateway {
    pub(super) fn client(&self) -> &Client {
        match self {
            Self::Theirs(client) | Self::Ours(_, client) => client,
        }
    }

    pub(super) async fn end(self) {
        if let Self::Ours(running, _) = self {
            running.stop().await;
        }
    }
}
