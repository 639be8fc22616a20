//! `steadfast webhooks`: the endpoints that events are pushed to.

use super::Context;
use super::client::{Client, Done as _};
use super::exit::Exit;
use super::out::CliError;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum WebhooksCommand {
    /// List the endpoints, and how each does
    List,
    /// Add an endpoint; its secret is shown this once
    Add(AddArgs),
    /// Post a test event to an endpoint, and say what it answered
    Test {
        /// The endpoint, as `webhooks list` names it
        webhook: String,
    },
    /// Try events again that were given up
    Replay(ReplayArgs),
    /// Remove an endpoint and all that it was owed
    Remove {
        /// The endpoint, as `webhooks list` names it
        webhook: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Where events are posted
    url: String,
    /// Only events of these types: message.received, message.* [default: all]
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    events: Vec<String>,
    /// Only events of these sessions [default: all]
    #[arg(long, value_delimiter = ',', value_name = "SESSIONS")]
    sessions: Vec<String>,
    /// Each event waits until the one before it was taken
    #[arg(long)]
    ordered: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The endpoint, as `webhooks list` names it
    webhook: String,
    /// Only the event at this position
    #[arg(long, conflicts_with_all = ["from", "to"])]
    seq: Option<i64>,
    /// Only from this position on
    #[arg(long)]
    from: Option<i64>,
    /// Only up to this position
    #[arg(long)]
    to: Option<i64>,
}

pub(super) async fn run(context: &Context, command: WebhooksCommand) -> Result<Exit, CliError> {
    let client = Client::must_find(context).await?;
    match command {
        WebhooksCommand::List => list(context, &client).await,
        WebhooksCommand::Add(args) => add(context, &client, args).await,
        WebhooksCommand::Test { webhook } => test(context, &client, &webhook).await,
        WebhooksCommand::Replay(args) => replay(context, &client, &args).await,
        WebhooksCommand::Remove { webhook } => {
            client.delete(&path(&webhook, "")).await?.done()?;
            context.out.value(&json!({ "removed": webhook }));
            context.out.line(format!("{webhook} is removed"));
            Ok(Exit::Done)
        }
    }
}

/// What a person types must stay one piece of a path.
fn path(webhook: &str, rest: &str) -> String {
    let safe = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let webhook: String = webhook.chars().filter(safe).collect();
    format!("/v1/webhooks/{webhook}{rest}")
}

async fn list(context: &Context, client: &Client) -> Result<Exit, CliError> {
    let page = client.get("/v1/webhooks").await?.done()?;
    let all = page["items"].as_array().cloned().unwrap_or_default();
    for webhook in &all {
        context.out.value(webhook);
    }
    if all.is_empty() {
        context.out.line("there is no webhook");
        return Ok(Exit::Done);
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let row = |webhook: &Value| {
        let status = &webhook["status"];
        let state = match (webhook["state"].as_str(), status["down"].as_bool()) {
            (Some("active"), Some(true)) => "down".to_owned(),
            (state, _) => state.unwrap_or_default().to_owned(),
        };
        vec![
            text(&webhook["id"]),
            text(&webhook["url"]),
            state,
            text(&status["lag"]),
            text(&status["waiting"]),
            text(&status["dead"]),
            text(&status["failure"]),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let headers = [
        "webhook",
        "url",
        "state",
        "behind",
        "waiting",
        "dead",
        "last failure",
    ];
    context.out.table(&headers, &rows);
    Ok(Exit::Done)
}

async fn add(context: &Context, client: &Client, args: AddArgs) -> Result<Exit, CliError> {
    let body = json!({
        "url": args.url,
        "events": args.events,
        "sessions": args.sessions,
        "ordered": args.ordered,
    });
    let made = client.post("/v1/webhooks", &body).await?.done()?;
    context.out.value(&made);
    let text = |key: &str| made[key].as_str().unwrap_or_default().to_owned();
    context.out.line(format!("webhook  {}", text("id")));
    context.out.line(format!("secret   {}", text("secret")));
    context.out.line("Keep the secret: it is not shown again.");
    Ok(Exit::Done)
}

async fn test(context: &Context, client: &Client, webhook: &str) -> Result<Exit, CliError> {
    let asked = client.post(&path(webhook, "/test"), &json!({})).await?;
    let found = asked.done()?;
    context.out.value(&found);
    let took = &found["took_ms"];
    if found["delivered"].as_bool() == Some(true) {
        context.out.line(format!("it took the test in {took} ms"));
        return Ok(Exit::Done);
    }
    let why = found["detail"]
        .as_str()
        .unwrap_or("it did not take the test");
    context.out.line(format!("it did not take the test: {why}"));
    Ok(Exit::Failed)
}

async fn replay(context: &Context, client: &Client, args: &ReplayArgs) -> Result<Exit, CliError> {
    let mut body = Map::new();
    for (name, value) in [("seq", args.seq), ("from", args.from), ("to", args.to)] {
        if let Some(value) = value {
            body.insert(name.to_owned(), value.into());
        }
    }
    let asked = client
        .post(&path(&args.webhook, "/replay"), &Value::Object(body))
        .await?;
    let found = asked.done()?;
    context.out.value(&found);
    context
        .out
        .line(format!("{} events are tried again", found["replayed"]));
    Ok(Exit::Done)
}
