//! `steadfast send`: hands one message to the running gateway.

use super::Context;
use super::client::{Client, Done as _};
use super::exit::Exit;
use super::out::{CliError, Tone};
use crate::app::DEFAULT_SESSION;
use clap::Args;
use serde_json::{Value, json};
use std::io::Read as _;
use std::time::Duration;
use tokio::time::Instant;

/// How often a message that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Most bytes read from standard input; more cannot be sent.
const MAX_STDIN_BYTES: u64 = 512 * 1_024;

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// 7 to 15 digits in international form, or a chat id
    to: String,
    /// The text; - reads it from standard input
    text: String,
    /// The session that sends
    #[arg(long, default_value = DEFAULT_SESSION)]
    session: String,
    /// Wait so many seconds until WhatsApp's server has it
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
    /// Makes the command safe to repeat: the same key sends once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

pub(super) async fn run(context: &Context, args: SendArgs) -> Result<Exit, CliError> {
    let text = if args.text == "-" {
        read_stdin()?
    } else {
        args.text
    };
    let client = Client::must_find(context).await?;
    let path = format!("/v1/sessions/{}/messages", args.session);
    let body = json!({"to": args.to, "text": text});
    let answer = match &args.idempotency_key {
        Some(key) => client.post_once(&path, &body, key).await?,
        None => client.post(&path, &body).await?,
    };
    let accepted = answer.done()?;
    let id = accepted["id"].as_str().unwrap_or_default().to_owned();
    let Some(seconds) = args.wait else {
        context.out.line(format!("accepted {id}: it is on disk"));
        context.out.value(&accepted);
        return Ok(Exit::Done);
    };
    let message = settled(&client, &id, Duration::from_secs(seconds)).await?;
    context.out.value(&message);
    report(context, &id, &message, seconds)
}

fn read_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(MAX_STDIN_BYTES)
        .read_to_string(&mut text)
        .map_err(|e| {
            let message = format!("cannot read the text from standard input: {e}");
            CliError::new(Exit::Usage, message, "give it in UTF-8")
        })?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// The message once it is with WhatsApp or never will be, or when time is up.
async fn settled(client: &Client, id: &str, wait: Duration) -> Result<Value, CliError> {
    let deadline = Instant::now() + wait;
    loop {
        let message = client.get(&format!("/v1/messages/{id}")).await?.done()?;
        let waiting = matches!(message["status"].as_str(), Some("accepted" | "sending"));
        if !waiting || Instant::now() >= deadline {
            return Ok(message);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn report(context: &Context, id: &str, message: &Value, seconds: u64) -> Result<Exit, CliError> {
    let status = message["status"].as_str().unwrap_or_default();
    let why = message["detail"]
        .as_str()
        .or(message["reason"].as_str())
        .unwrap_or_default();
    match status {
        "sent" | "delivered" | "read" | "played" => {
            let text = context.out.tone(Tone::Good, status);
            context.out.line(format!("{text} {id}"));
            Ok(Exit::Done)
        }
        "accepted" | "sending" => Err(CliError::new(
            Exit::TimedOut,
            format!("{id} was not sent within {seconds} s; it stays in the outbox and will be"),
            "look again with `steadfast status`",
        )),
        other => Err(CliError::new(Exit::Failed, format!("{id} is {other}"), why)),
    }
}
