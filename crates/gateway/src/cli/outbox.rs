//! `steadfast outbox`: what the running gateway owes, and a person's word on
//! what waits for one.

use super::Context;
use super::client::{Client, Done as _};
use super::exit::Exit;
use super::out::{CliError, Tone};
use crate::app::DEFAULT_SESSION;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

/// Messages asked for at once.
const PAGE: u32 = 200;

#[derive(Debug, Subcommand)]
pub(super) enum OutboxCommand {
    /// List messages, oldest first; those that wait for a person unless told otherwise
    List(ListArgs),
    /// Send parked messages again, under their old ids
    Release(DecideArgs),
    /// Give parked messages up
    #[command(alias = "drop")]
    Discard(DecideArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// The session
    #[arg(long, default_value = DEFAULT_SESSION)]
    session: String,
    /// Only messages that stand so
    #[arg(long, value_enum, default_value = "parked")]
    status: StatusArg,
    /// At most so many
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    /// The messages, as `outbox list` names them
    #[arg(required_unless_present = "all")]
    messages: Vec<String>,
    /// All parked messages of the session
    #[arg(long, conflicts_with = "messages")]
    all: bool,
    /// The session of --all
    #[arg(long, default_value = DEFAULT_SESSION)]
    session: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StatusArg {
    /// Waiting for a person
    Parked,
    /// Waiting to be sent
    Accepted,
    /// In an attempt
    Sending,
    /// Never to be sent: somebody's fault
    Rejected,
    /// Not sent in time
    Expired,
}

impl StatusArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Accepted => "accepted",
            Self::Sending => "sending",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

pub(super) async fn run(context: &Context, command: OutboxCommand) -> Result<Exit, CliError> {
    let client = Client::must_find(context).await?;
    match command {
        OutboxCommand::List(args) => list(context, &client, &args).await,
        OutboxCommand::Release(args) => decide(context, &client, args, "release").await,
        OutboxCommand::Discard(args) => decide(context, &client, args, "discard").await,
    }
}

async fn list(context: &Context, client: &Client, args: &ListArgs) -> Result<Exit, CliError> {
    let messages = fetch(client, &args.session, args.status.as_str(), args.limit).await?;
    for message in &messages {
        context.out.value(message);
    }
    if messages.is_empty() {
        let none = format!("no message of {} is {}", args.session, args.status.as_str());
        context.out.line(none);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = messages.iter().map(row).collect();
    let headers = ["message", "to", "accepted", "attempts", "reason", "detail"];
    context.out.table(&headers, &rows);
    Ok(Exit::Done)
}

async fn fetch(
    client: &Client,
    session: &str,
    status: &str,
    limit: u32,
) -> Result<Vec<Value>, CliError> {
    let mut found = Vec::new();
    let mut after = "0".to_owned();
    loop {
        let path =
            format!("/v1/sessions/{session}/messages?status={status}&after={after}&limit={PAGE}");
        let mut page = client.get(&path).await?.done()?;
        if let Value::Array(items) = page["items"].take() {
            found.extend(items);
        }
        match page["next"].as_str() {
            Some(next) if found.len() < limit as usize => next.clone_into(&mut after),
            Some(_) | None => break,
        }
    }
    found.truncate(limit as usize);
    Ok(found)
}

fn row(message: &Value) -> Vec<String> {
    let text = |key: &str| message[key].as_str().unwrap_or("-").to_owned();
    vec![
        text("id"),
        text("to"),
        text("accepted_at"),
        message["attempts"].as_u64().unwrap_or(0).to_string(),
        text("reason"),
        text("detail"),
    ]
}

/// Decides over each; one that cannot be decided over does not keep the others
/// from it, and is told in the end.
async fn decide(
    context: &Context,
    client: &Client,
    args: DecideArgs,
    act: &str,
) -> Result<Exit, CliError> {
    let ids = if args.all {
        fetch(client, &args.session, "parked", u32::MAX)
            .await?
            .iter()
            .filter_map(|message| message["id"].as_str().map(str::to_owned))
            .collect()
    } else {
        args.messages
    };
    let mut refused = None;
    for id in &ids {
        let path = format!("/v1/messages/{id}/{act}");
        match client.post(&path, &json!({})).await?.done() {
            Ok(message) => {
                let status = message["status"].as_str().unwrap_or_default();
                let line = format!("{} {id}", context.out.tone(Tone::Good, status));
                context.out.line(line);
                context.out.value(&message);
            }
            Err(error) => {
                context.out.line(format!(
                    "{} {id}: {}",
                    context.out.tone(Tone::Bad, "not done"),
                    error.message
                ));
                refused.get_or_insert(error);
            }
        }
    }
    match refused {
        Some(error) => Err(error),
        None => Ok(Exit::Done),
    }
}
