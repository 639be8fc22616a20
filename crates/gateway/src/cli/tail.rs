//! `steadfast tail`: events as they happen.

use super::Context;
use super::client::{Client, Done as _};
use super::exit::Exit;
use super::out::CliError;
use super::stop::StopSignals;
use clap::Args;
use serde_json::Value;
use std::fmt::Write as _;

/// How long one request waits for news, in milliseconds.
const WAIT_MS: u32 = 20_000;

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// Only events of these types: message.received, message.* [default: all]
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    events: Vec<String>,
    /// Only events of these sessions [default: all]
    #[arg(long, value_delimiter = ',', value_name = "SESSIONS")]
    sessions: Vec<String>,
    /// From behind this position on; 0: from the oldest that is kept [default: what is still to come]
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// End after so many
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(super) async fn run(context: &Context, args: TailArgs) -> Result<Exit, CliError> {
    let mut stop = StopSignals::listen()?;
    let client = Client::must_find(context).await?;
    tokio::select! {
        done = follow(context, &client, &args) => done,
        () = stop.asked() => Ok(Exit::Done),
    }
}

async fn follow(context: &Context, client: &Client, args: &TailArgs) -> Result<Exit, CliError> {
    let mut after = args
        .after
        .map_or_else(|| "end".to_owned(), |n| n.to_string());
    // Names only: what stands in a query must not end it.
    let safe = |names: &[String]| {
        let joined = names.join(",");
        let safe = |c: &char| c.is_ascii_alphanumeric() || ".,*_-".contains(*c);
        joined.chars().filter(safe).collect::<String>()
    };
    let mut filter = String::new();
    for (name, values) in [("types", &args.events), ("session", &args.sessions)] {
        if !values.is_empty() {
            let _ = write!(filter, "&{name}={}", safe(values));
        }
    }
    let mut seen = 0;
    loop {
        let path = format!("/v1/events?after={after}&limit=200&wait_ms={WAIT_MS}{filter}");
        let page = client.get(&path).await?.done()?;
        for event in page["items"].as_array().into_iter().flatten() {
            show(context, event);
            seen += 1;
            if args.count == Some(seen) {
                return Ok(Exit::Done);
            }
        }
        if let Some(next) = page["next"].as_str() {
            next.clone_into(&mut after);
        }
    }
}

fn show(context: &Context, event: &Value) {
    context.out.value(event);
    let text = |key: &str| event[key].as_str().unwrap_or("-").to_owned();
    context.out.line(format!(
        "{}  {:>8}  {:<22}  {:<12}  {}",
        text("timestamp"),
        event["seq"],
        text("type"),
        text("session"),
        event["data"],
    ));
}
