//! `steadfast status`: how the running gateway and its sessions are.

use super::Context;
use super::client::{Client, Done as _};
use super::exit::Exit;
use super::out::{CliError, Out, Tone};
use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only this session
    #[arg(long)]
    session: Option<String>,
}

pub(super) async fn run(context: &Context, args: StatusArgs) -> Result<Exit, CliError> {
    let client = Client::must_find(context).await?;
    let readiness = client.get("/readyz").await?.body;
    let sessions = match &args.session {
        Some(name) => {
            let path = format!("/v1/sessions/{name}");
            vec![client.get(&path).await?.done()?]
        }
        None => match client.get("/v1/sessions").await?.done()?["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        },
    };
    let out = context.out;
    out.value(&json!({
        "url": client.url(),
        "pid": client.pid(),
        "ready": readiness["ready"],
        "reasons": readiness["reasons"],
        "sessions": sessions,
    }));
    out.line(format!(
        "gateway at {}, process {}",
        client.url(),
        client.pid()
    ));
    for reason in readiness["reasons"].as_array().into_iter().flatten() {
        let reason = reason.as_str().unwrap_or_default();
        out.line(out.tone(Tone::Bad, &format!("not accepting: {reason}")));
    }
    let rows: Vec<Vec<String>> = sessions.iter().map(row).collect();
    let headers = ["session", "state", "account", "waiting", "parked", "since"];
    out.table(&headers, &rows);
    for session in &sessions {
        advise(out, session);
    }
    Ok(Exit::Done)
}

fn row(session: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let outbox = &session["outbox"];
    let number = |key: &str| outbox[key].as_u64().unwrap_or(0);
    vec![
        text(&session["name"]),
        text(&session["state"]),
        text(&session["me"]["id"]),
        (number("accepted") + number("sending")).to_string(),
        number("parked").to_string(),
        text(&session["since"]),
    ]
}

fn advise(out: Out, session: &Value) {
    let name = session["name"].as_str().unwrap_or_default();
    let tone = if session["ready"] == true {
        Tone::Dim
    } else {
        Tone::Warn
    };
    for advice in session["recommendations"].as_array().into_iter().flatten() {
        let advice = advice.as_str().unwrap_or_default();
        out.line(out.tone(tone, &format!("{name}: {advice}")));
    }
}
