//! `steadfast demo` and `steadfast chaos`: the real gateway under faults,
//! judged by the simulator's own journal.

use super::Context;
use super::exit::Exit;
use super::out::{CliError, Out, Tone};
use crate::harness::HarnessError;
use crate::harness::campaign::{Campaign, Fought, NotHealed, Progress};
use crate::harness::fault::FaultKind;
use crate::harness::{disks, markdown};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The demonstration: short enough to watch, with the fault that this project
/// began from at its heart.
const DEMO_PLAN: [FaultKind; 3] = [
    FaultKind::BrowserKill,
    FaultKind::PageClose,
    FaultKind::BrowserKill,
];

/// More than these say nothing new.
const MOST_FINDINGS: usize = 20;
const JOURNAL_CUT: &str = "the simulator's journal is not whole: use fewer messages";

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How many messages
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    messages: u32,
    /// Repeats a run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the gateway's log, with all that it says at level debug
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Go on afterwards, for a look at the dashboard and the playground, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

#[derive(Debug, Args)]
pub(super) struct ChaosArgs {
    /// How many messages
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    messages: u32,
    /// How many faults; every kind comes once before any repeats
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    faults: u32,
    /// Repeats a run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these kinds
    #[arg(long, value_delimiter = ',', value_enum)]
    kinds: Vec<FaultKind>,
    /// Keep the gateway's log, with all that it says at level debug: the last 512 MiB
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Put the run into a document, between the marks that stand in it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// This process may mount file systems: it has a namespace of its own
    #[arg(long, hide = true)]
    may_mount: bool,
}

/// Says to this program, run again, that it may mount.
const MAY_MOUNT: &str = "--may-mount";

pub(super) async fn demo(context: &Context, args: DemoArgs) -> Result<Exit, CliError> {
    let campaign = Campaign {
        steadfast: this_binary()?,
        browser: browser(context)?,
        messages: args.messages,
        chats: 5,
        plan: DEMO_PLAN.to_vec(),
        skipped: BTreeMap::new(),
        seed: args.seed,
        pace: Duration::from_millis(80),
        log: args.log,
        stay: args.stay,
    };
    context.out.line(format!(
        "Starting a simulated WhatsApp, the gateway and a real Chromium; then {} messages to 5 chats \
         while the browser is killed twice and the page closed once.",
        args.messages
    ));
    fight(context, campaign).await.map(|(exit, _)| exit)
}

pub(super) async fn chaos(context: &Context, args: ChaosArgs) -> Result<Exit, CliError> {
    if let Some(document) = &args.report {
        markdown::check(document).map_err(|error| cannot_report(document, &error))?;
    }
    let mut kinds = if args.kinds.is_empty() {
        FaultKind::ALL.to_vec()
    } else {
        args.kinds
    };
    let mut skipped = BTreeMap::new();
    if !args.may_mount && kinds.iter().any(|kind| kind.needs_small_disks()) {
        match disks::unavailable().await {
            None => return Err(cli_error(&disks::run_again(MAY_MOUNT))),
            Some(why) => {
                let cannot = |kind: &FaultKind| kind.needs_small_disks();
                skipped.extend(
                    kinds
                        .iter()
                        .copied()
                        .filter(cannot)
                        .map(|kind| (kind.as_str(), why.clone())),
                );
                kinds.retain(|kind| !kind.needs_small_disks());
            }
        }
    }
    if kinds.is_empty() {
        let why: Vec<String> = skipped
            .iter()
            .map(|(kind, why)| format!("{kind}: {why}"))
            .collect();
        let message = format!(
            "none of these kinds can run on this machine: {}",
            why.join("; ")
        );
        return Err(CliError::new(
            Exit::Failed,
            message,
            "name other kinds with --kinds",
        ));
    }
    let command = format!(
        "steadfast chaos --messages {} --faults {} --seed {}",
        args.messages, args.faults, args.seed
    );
    let started = Instant::now();
    let campaign = Campaign {
        steadfast: this_binary()?,
        browser: browser(context)?,
        messages: args.messages,
        chats: 7,
        plan: Campaign::plan(&kinds, args.faults, args.seed),
        skipped,
        seed: args.seed,
        pace: Duration::from_millis(20),
        log: args.log,
        stay: false,
    };
    let (exit, fought) = fight(context, campaign).await?;
    if let (Some(document), Some(fought)) = (&args.report, fought) {
        let took_s = started.elapsed().as_secs();
        markdown::write(document, &command, took_s, &fought)
            .map_err(|error| cannot_report(document, &error))?;
    }
    Ok(exit)
}

fn cannot_report(document: &std::path::Path, error: &std::io::Error) -> CliError {
    CliError::new(
        Exit::Failed,
        format!("the run cannot be put into {}: {error}", document.display()),
        "name a document that has the two marks, as docs/RELIABILITY.md does",
    )
}

async fn fight(context: &Context, campaign: Campaign) -> Result<(Exit, Option<Fought>), CliError> {
    let out = context.out;
    let (messages, started) = (campaign.messages, Instant::now());
    let screen = Screen {
        out,
        started,
        messages,
        shown: AtomicU32::new(0),
        stays: OnceLock::new(),
    };
    let mut stop = super::StopSignals::listen()?;
    let show = |progress: Progress<'_>| screen.show(&progress);
    let fought = tokio::select! {
        biased;
        // Who looked around as long as he liked has interrupted nothing.
        () = stop.asked() => return Ok((screen.stays.get().copied().unwrap_or(Exit::Interrupted), None)),
        fought = Box::pin(campaign.fight(&show)) => fought,
    };
    let fought = fought.map_err(|error| cli_error(&error))?;
    let exit = tell(out, &fought);
    Ok((exit, Some(fought)))
}

fn tell(out: Out, fought: &Fought) -> Exit {
    // What is wrong stands before the report, which is the last line.
    for finding in fought.findings().take(MOST_FINDINGS) {
        out.value(&json!({ "finding": finding }));
    }
    if !fought.verdict.complete {
        out.value(&json!({ "finding": { "what": JOURNAL_CUT } }));
    }
    out.value(&fought.report);
    summary(out, fought);
    if fought.is_clean() {
        Exit::Done
    } else {
        Exit::Failed
    }
}

pub(super) fn this_binary() -> Result<PathBuf, CliError> {
    std::env::current_exe().map_err(|error| {
        CliError::new(
            Exit::Failed,
            format!("this program cannot find its own file: {error}"),
            "",
        )
    })
}

/// The browser as configured; the rest of a user's configuration is left alone.
pub(super) fn browser(context: &Context) -> Result<Option<PathBuf>, CliError> {
    Ok(context.load_config(Vec::new())?.config.browser.path)
}

pub(super) fn cli_error(error: &HarnessError) -> CliError {
    let (exit, remedy) = match error {
        HarnessError::Browser(_) => (
            Exit::Browser,
            "`steadfast check` says what is missing, and how to install it",
        ),
        HarnessError::GatewayEnded(_)
        | HarnessError::Io { .. }
        | HarnessError::Answer { .. }
        | HarnessError::TooLate { .. }
        | HarnessError::Unmet(_)
        | HarnessError::Simulator(_) => (
            Exit::Failed,
            "`steadfast check` finds what is wrong on this machine",
        ),
    };
    CliError::new(exit, error.to_string(), remedy)
}

/// Shows a run as it goes.
struct Screen {
    out: Out,
    started: Instant,
    messages: u32,
    shown: AtomicU32,
    /// How the run went, once it is over and everything goes on.
    stays: OnceLock<Exit>,
}

impl Screen {
    fn show(&self, progress: &Progress<'_>) {
        match progress {
            Progress::Linking => self.say("simulator and gateway run; the phone scans the QR code"),
            Progress::Ready => self.say("linked, synced, ready"),
            Progress::Accepted(n) => self.accepted(*n),
            Progress::Struck(kind) => self.say(&format!(
                "{} {}",
                self.out.tone(Tone::Bad, "fault"),
                kind.as_str()
            )),
            Progress::Healed(kind, healed) => {
                let noticed = healed.detection.map_or_else(String::new, |at| {
                    format!(" (noticed after {} ms)", at.as_millis())
                });
                self.say(&format!(
                    "{} {}: ready again after {} ms{noticed}",
                    self.out.tone(Tone::Good, "healed"),
                    kind.as_str(),
                    healed.recovery.as_millis(),
                ));
            }
            Progress::NotHealed(fault) => self.not_healed(fault),
            Progress::Gateway(event) => {
                let what = ["kind", "rung", "detail", "evidence", "recovery_ms"]
                    .into_iter()
                    .filter_map(|field| match &event.fields[field] {
                        serde_json::Value::Null => None,
                        serde_json::Value::String(text) => Some(text.clone()),
                        other => Some(format!("{other} ms")),
                    })
                    .collect::<Vec<_>>()
                    .join(", ");
                self.say(
                    &self
                        .out
                        .tone(Tone::Dim, &format!("  {}: {what}", event.name)),
                );
            }
            Progress::Settling => {
                self.say("all accepted, all faults over; waiting for the last ack");
            }
            Progress::Stays(fought, place) => {
                let exit = tell(self.out, fought);
                // It is over once.
                let _ = self.stays.set(exit);
                self.out.line("");
                self.out.line(format!("dashboard    {}", place.dashboard));
                self.out.line(format!("  log in with {}", place.token));
                self.out.line(format!("playground   {}", place.playground));
                self.out.line("Everything goes on until Ctrl-C.");
                self.out.value(&json!({
                    "dashboard": place.dashboard,
                    "token": place.token,
                    "playground": place.playground,
                }));
            }
        }
    }

    /// The evidence is kept with the run's output: a line of JSON before the
    /// last one, or lines for people.
    fn not_healed(&self, fault: &NotHealed) {
        self.out.value(&json!({ "not_recovered": fault }));
        self.say(&format!(
            "{} {} (fault {}): {}",
            self.out.tone(Tone::Bad, "NOT healed"),
            fault.kind.as_str(),
            fault.fault,
            fault.why
        ));
        for part in ["session", "incidents"] {
            self.out.line(format!("  {part}: {}", fault.evidence[part]));
        }
        for line in fault.evidence["log"].as_array().into_iter().flatten() {
            self.out
                .line(format!("  | {}", line.as_str().unwrap_or_default()));
        }
    }

    /// A line for each tenth, so that a log does not drown in them.
    fn accepted(&self, n: usize) {
        let tenth = n as u64 * 10 / u64::from(self.messages.max(1));
        let tenth = u32::try_from(tenth).unwrap_or(10);
        if self.shown.swap(tenth, Ordering::Relaxed) < tenth {
            self.say(&format!("accepted {n} of {}", self.messages));
        }
    }

    fn say(&self, text: &str) {
        let at = self.started.elapsed().as_secs_f64();
        self.out.line(format!("{at:7.2} s  {text}"));
    }
}

fn summary(out: Out, fought: &Fought) {
    let (report, verdict) = (&fought.report, &fought.verdict);
    let rows = report
        .by_kind
        .iter()
        .map(|(kind, of)| {
            vec![
                (*kind).to_owned(),
                of.count.to_string(),
                of.recovered.to_string(),
                of.detection_ms.p50.to_string(),
                of.detection_ms.p95.to_string(),
                of.detection_ms.max.to_string(),
                of.recovery_ms.p50.to_string(),
                of.recovery_ms.p95.to_string(),
                of.recovery_ms.max.to_string(),
            ]
        })
        .collect::<Vec<_>>();
    out.line("");
    out.table(
        &[
            "fault",
            "times",
            "recovered",
            "noticed p50",
            "p95",
            "max ms",
            "ready p50",
            "p95",
            "max ms",
        ],
        &rows,
    );
    out.line("");
    for (kind, why) in &report.skipped {
        out.line(out.tone(Tone::Warn, &format!("not run: {kind}, since {why}")));
    }
    for finding in fought.findings().take(MOST_FINDINGS) {
        let text = format!("{} to {}: {}", finding.wa_id, finding.chat, finding.what);
        out.line(out.tone(Tone::Bad, text.trim_start()));
    }
    if !verdict.complete {
        out.line(out.tone(Tone::Bad, JOURNAL_CUT));
    }
    let tone = if fought.is_clean() {
        Tone::Good
    } else {
        Tone::Bad
    };
    out.line(out.tone(
        tone,
        &format!(
            "accepted {}, delivered {}, parked {}, lost {}, duplicated {}, reordered {}, repeats dropped by the server {}, faults {}, recovered {}",
            report.accepted,
            report.delivered,
            report.parked,
            report.lost,
            report.duplicated,
            report.reordered,
            report.repeats_dropped,
            report.faults,
            report.recovered
        ),
    ));
}
