//! `steadfast demo` and `steadfast chaos`: the real gateway under faults,
//! judged by the simulator's own journal.

use super::Context;
use super::exit::Exit;
use super::out::{CliError, Out, Tone};
use crate::harness::HarnessError;
use crate::harness::campaign::{Campaign, Progress};
use crate::harness::fault::FaultKind;
use crate::harness::report::Report;
use clap::Args;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use steadfast_sim::checker::Verdict;

/// The demonstration: short enough to watch, with the fault that this project
/// began from at its heart.
const DEMO_PLAN: [FaultKind; 3] = [
    FaultKind::BrowserKill,
    FaultKind::PageClose,
    FaultKind::BrowserKill,
];

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
    /// Keep the gateway's log, with all that it says at level debug
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

pub(super) async fn demo(context: &Context, args: DemoArgs) -> Result<Exit, CliError> {
    let campaign = Campaign {
        steadfast: this_binary()?,
        browser: browser(context)?,
        messages: args.messages,
        chats: 5,
        plan: DEMO_PLAN.to_vec(),
        seed: args.seed,
        pace: Duration::from_millis(80),
        log: args.log,
    };
    context.out.line(format!(
        "Starting a simulated WhatsApp, the gateway and a real Chromium; then {} messages to 5 chats \
         while the browser is killed twice and the page closed once.",
        args.messages
    ));
    fight(context, campaign).await
}

pub(super) async fn chaos(context: &Context, args: ChaosArgs) -> Result<Exit, CliError> {
    let kinds = if args.kinds.is_empty() {
        FaultKind::ALL.to_vec()
    } else {
        args.kinds
    };
    let campaign = Campaign {
        steadfast: this_binary()?,
        browser: browser(context)?,
        messages: args.messages,
        chats: 7,
        plan: Campaign::plan(&kinds, args.faults, args.seed),
        seed: args.seed,
        pace: Duration::from_millis(20),
        log: args.log,
    };
    fight(context, campaign).await
}

async fn fight(context: &Context, campaign: Campaign) -> Result<Exit, CliError> {
    let out = context.out;
    let (messages, started) = (campaign.messages, Instant::now());
    let screen = Screen {
        out,
        started,
        messages,
        shown: AtomicU32::new(0),
    };
    let show = |progress: Progress<'_>| screen.show(&progress);
    let fought = tokio::select! {
        biased;
        stopped = super::asked_to_stop() => {
            stopped?;
            return Ok(Exit::Interrupted);
        }
        fought = campaign.fight(&show) => fought,
    };
    let (report, verdict) = fought.map_err(|error| cli_error(&error))?;
    out.value(&report);
    summary(out, &report, &verdict);
    Ok(if report.is_clean() && verdict.is_clean() {
        Exit::Done
    } else {
        Exit::Failed
    })
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
            Progress::NotHealed(kind, error) => self.say(&format!(
                "{} {}: {error}",
                self.out.tone(Tone::Bad, "NOT healed"),
                kind.as_str()
            )),
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
        }
    }

    /// A line for each tenth, so that a log does not drown in them.
    fn accepted(&self, n: u32) {
        let tenth = u64::from(n) * 10 / u64::from(self.messages.max(1));
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

fn summary(out: Out, report: &Report, verdict: &Verdict) {
    let rows = report
        .by_kind
        .iter()
        .map(|(kind, of)| {
            vec![
                (*kind).to_owned(),
                of.faults.to_string(),
                of.recovered.to_string(),
                of.detection_ms.p50.to_string(),
                of.recovery_ms.p50.to_string(),
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
            "noticed ms",
            "ready ms",
            "max ms",
        ],
        &rows,
    );
    out.line("");
    let findings = [
        &verdict.lost,
        &verdict.duplicated,
        &verdict.reordered,
        &verdict.altered,
        &verdict.undue,
        &verdict.unaccounted,
    ];
    for finding in findings.into_iter().flatten().take(20) {
        let text = format!("{} to {}: {}", finding.wa_id, finding.chat, finding.what);
        out.line(out.tone(Tone::Bad, &text));
    }
    if !verdict.complete {
        out.line(out.tone(
            Tone::Bad,
            "the simulator's journal is not whole: use fewer messages",
        ));
    }
    let tone = if report.is_clean() {
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
