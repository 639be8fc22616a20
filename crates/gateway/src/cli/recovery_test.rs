//! `steadfast recovery-test`: watch the gateway come back, as the original's
//! monitor did: health every three seconds, a fault, a restart, a summary.

use super::Context;
use super::campaign::{browser, cli_error, this_binary};
use super::exit::Exit;
use super::out::{CliError, Out, Tone};
use crate::app::DEFAULT_SESSION;
use crate::harness::HarnessError;
use crate::harness::client::Client;
use crate::harness::fault::{FaultKind, Healed, Target};
use crate::harness::stage::{READY_WITHIN, Stage, StageOptions};
use crate::harness::traffic::{Offer, Traffic, accept};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(super) struct RecoveryTestArgs {
    /// Only: the page is closed, and the session must be ready again
    #[arg(long, group = "form")]
    simulate: bool,
    /// Only: the session is restarted on request
    #[arg(long, group = "form")]
    restart: bool,
    /// Only: a message is sent while its page dies, and must arrive once
    #[arg(long, group = "form")]
    retry: bool,
    /// A running gateway instead of one on the simulator; needs a token of scope admin
    #[arg(long, value_name = "URL", conflicts_with_all = ["simulate", "retry"], requires = "token")]
    url: Option<String>,
    /// The token for it
    #[arg(long, env = "STEADFAST_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Between two looks at the health, as the original had it.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How often the full form looks before and after it disturbs anything.
const LOOKS: u32 = 2;
/// How long a form may take in all.
const LIMIT: Duration = Duration::from_secs(115);

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    ok: bool,
    ms: u64,
    detail: String,
}

pub(super) async fn run(context: &Context, args: RecoveryTestArgs) -> Result<Exit, CliError> {
    let form = if args.simulate {
        "simulate"
    } else if args.restart {
        "restart"
    } else if args.retry {
        "retry"
    } else {
        "full"
    };
    let mut log = StepLog {
        out: context.out,
        steps: Vec::new(),
    };
    let tested = async {
        match (&args.url, &args.token) {
            (Some(url), Some(token)) => against(&Client::new(url, token), form, &mut log).await,
            _ => on_stage(context, form, &mut log).await,
        }
    };
    match tokio::time::timeout(LIMIT, tested).await {
        Ok(tested) => tested?,
        Err(_) => log.add(
            "time",
            false,
            Instant::now(),
            format!("not done within {} s", LIMIT.as_secs()),
        ),
    }
    let failed = log.steps.iter().filter(|s| !s.ok).count();
    context.out.value(&json!({
        "form": form,
        "ok": failed == 0,
        "passed": log.steps.len() - failed,
        "failed": failed,
        "steps": log.steps,
    }));
    let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
    let sum = format!("{} passed, {failed} failed", log.steps.len() - failed);
    context.out.line(context.out.tone(tone, &sum));
    Ok(if failed == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn on_stage(
    context: &Context,
    form: &'static str,
    log: &mut StepLog,
) -> Result<(), CliError> {
    let stage = Stage::set(StageOptions {
        steadfast: this_binary()?,
        browser: browser(context)?,
        seed: 1,
        log: None,
        small_disks: false,
        env: Vec::new(),
    })
    .await
    .map_err(|error| cli_error(&error))?;
    let tested = drill(&stage, form, log).await;
    stage.strike().await.map_err(|error| cli_error(&error))?;
    tested.map_err(|error| cli_error(&error))
}

async fn drill(stage: &Arc<Stage>, form: &str, log: &mut StepLog) -> Result<(), HarnessError> {
    let started = Instant::now();
    let mut events = stage.events();
    let ready = stage.ready(&mut events, READY_WITHIN).await;
    log.add("linked and ready", ready.is_ok(), started, word(&ready));
    ready?;
    if form == "full" {
        watch(stage, log).await?;
    }
    if matches!(form, "full" | "simulate") {
        let started = Instant::now();
        let healed = close_page(stage).await;
        log.add(
            "page closed, ready again",
            healed.is_ok(),
            started,
            word(&healed),
        );
    }
    if matches!(form, "full" | "restart") {
        let started = Instant::now();
        let mut events = stage.events();
        let path = "/api/whatsapp/restart";
        let answered = match stage.client().await {
            Some(client) => client.post(path, &json!({})).await.map(drop),
            None => Err(HarnessError::GatewayEnded(stage.log_tail().await)),
        };
        let back = match answered {
            Ok(()) => stage.ready_again(&mut events, READY_WITHIN).await.map(drop),
            Err(error) => Err(error),
        };
        log.add(
            "restart on request, ready again",
            back.is_ok(),
            started,
            word(&back),
        );
    }
    if matches!(form, "full" | "retry") {
        retry(stage, log).await?;
    }
    if form == "full" {
        watch(stage, log).await?;
    }
    Ok(())
}

async fn close_page(stage: &Stage) -> Result<Healed, HarnessError> {
    let nothing_flows = Traffic::new(1, 0, 0);
    FaultKind::PageClose
        .strike(Target {
            stage,
            traffic: &nothing_flows,
            turn: 0,
        })
        .await
}

/// A message is on its way while its page dies; it must arrive, once.
async fn retry(stage: &Arc<Stage>, log: &mut StepLog) -> Result<(), HarnessError> {
    let started = Instant::now();
    let text = "recovery-test: sent while the page dies";
    // The server takes its time, so that the page dies before the ack is there.
    stage.turn("ack_delay_ms", json!(700))?;
    let client = async || stage.client().await;
    let offer = accept(client, "4915550000200", text, Duration::from_secs(10)).await?;
    let Offer::Taken(message) = offer else {
        log.add(
            "a message is accepted",
            false,
            started,
            format!("{offer:?}"),
        );
        return Ok(());
    };
    let control = stage.control().clone();
    let taken = control
        .wait_for_entry(
            0,
            "the message at the server",
            Duration::from_secs(20),
            |e| e.id.as_deref() == Some(&message.wa_message_id),
        )
        .await;
    log.add(
        "the message is in flight",
        taken.is_ok(),
        started,
        word(&taken),
    );
    let healed = close_page(stage).await;
    stage.turn("ack_delay_ms", json!(5))?;
    log.add(
        "page closed under it, ready again",
        healed.is_ok(),
        started,
        word(&healed),
    );
    let status = settled(stage, &message.id).await;
    let journal = control.journal(0, usize::MAX, &[]);
    let copies = journal
        .entries
        .iter()
        .filter(|e| {
            e.event == steadfast_sim::journal::Event::Delivered && e.body.as_deref() == Some(text)
        })
        .count();
    log.add(
        "the message arrived once",
        copies == 1,
        started,
        format!("{copies} arrived; the gateway says {status}"),
    );
    Ok(())
}

async fn settled(stage: &Stage, id: &str) -> String {
    let path = format!("/v1/messages/{id}");
    let until = Instant::now() + Duration::from_secs(30);
    let mut status = "nothing".to_owned();
    while Instant::now() < until {
        if let Some(client) = stage.client().await
            && let Ok(message) = client.get(&path).await
        {
            message["status"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut status);
            if !matches!(status.as_str(), "accepted" | "sending") {
                return status;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    status
}

/// Looks at the health as a monitor does.
async fn watch(stage: &Stage, log: &mut StepLog) -> Result<(), HarnessError> {
    for _ in 0..LOOKS {
        let Some(client) = stage.client().await else {
            return Err(HarnessError::GatewayEnded(stage.log_tail().await));
        };
        look(&client, log).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn look(client: &Client, log: &mut StepLog) {
    let started = Instant::now();
    match client.get("/api/whatsapp/health").await {
        Ok(health) => log.add(
            "health",
            health["overall"] == "healthy",
            started,
            format!(
                "overall {}, connectivity {}",
                text(&health["overall"]),
                text(&health["connectivity"])
            ),
        ),
        Err(error) => log.add("health", false, started, error.to_string()),
    }
}

/// Against somebody's own gateway: nothing is broken on purpose, only looked
/// at, and restarted where that was asked.
async fn against(client: &Client, form: &str, log: &mut StepLog) -> Result<(), CliError> {
    for _ in 0..LOOKS {
        look(client, log).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if form == "restart" {
        let started = Instant::now();
        let asked = client.post("/api/whatsapp/restart", &json!({})).await;
        log.add("restart on request", asked.is_ok(), started, word(&asked));
        let path = format!("/v1/sessions/{DEFAULT_SESSION}");
        let mut session = Value::Null;
        while started.elapsed() < READY_WITHIN {
            session = client.get(&path).await.unwrap_or_default();
            if session["ready"] == json!(true) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let state = format!("the session is {}", text(&session["state"]));
        log.add(
            "ready again",
            session["ready"] == json!(true),
            started,
            state,
        );
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

fn word<T>(done: &Result<T, impl std::fmt::Display>) -> String {
    match done {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

/// What was tried so far.
struct StepLog {
    out: Out,
    steps: Vec<Step>,
}

impl StepLog {
    fn add(&mut self, name: &'static str, ok: bool, started: Instant, detail: String) {
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (tone, sign) = if ok {
            (Tone::Good, "pass")
        } else {
            (Tone::Bad, "FAIL")
        };
        self.out.line(format!(
            "{}  {name} ({ms} ms) {detail}",
            self.out.tone(tone, sign)
        ));
        self.steps.push(Step {
            name,
            ok,
            ms,
            detail,
        });
    }
}
