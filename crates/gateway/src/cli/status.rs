//! `steadfast status`: how the running gateway and its sessions are.

use super::Context;
use super::client::{Client, Done as _};
use super::exit::Exit;
use super::out::{CliError, Out, Tone};
use super::stop::StopSignals;
use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only this session
    #[arg(long)]
    session: Option<String>,
    /// Look again and again, until interrupted
    #[arg(long, short)]
    watch: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, requires = "watch",
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
}

pub(super) async fn run(context: &Context, args: StatusArgs) -> Result<Exit, CliError> {
    if args.watch {
        let mut stop = StopSignals::listen()?;
        return tokio::select! {
            never = watch(context, &args) => never,
            () = stop.asked() => Ok(Exit::Done),
        };
    }
    let look = Look::at(context, args.session.as_deref()).await?;
    look.show(context.out);
    Ok(Exit::Done)
}

/// Shows look after look. A gateway that is away may come back.
async fn watch(context: &Context, args: &StatusArgs) -> Result<Exit, CliError> {
    let out = context.out;
    loop {
        let found = Look::at(context, args.session.as_deref()).await;
        out.clear();
        match found {
            Ok(look) => look.show(out),
            Err(error) if error.exit == Exit::NoGateway => {
                out.line(out.tone(Tone::Bad, &error.message));
                out.value(&json!({"ready": false, "reasons": [error.message], "sessions": []}));
            }
            Err(error) => return Err(error),
        }
        if out.is_terminal() {
            let every = format!("every {} s; Ctrl-C ends it", args.every);
            out.line(out.tone(Tone::Dim, &every));
        }
        tokio::time::sleep(Duration::from_secs(args.every)).await;
    }
}

/// What one look has found.
struct Look {
    url: String,
    pid: u32,
    ready: Value,
    reasons: Value,
    sessions: Vec<Value>,
}

impl Look {
    async fn at(context: &Context, session: Option<&str>) -> Result<Self, CliError> {
        let client = Client::must_find(context).await?;
        let mut readiness = client.get("/readyz").await?.body;
        let sessions = match session {
            Some(name) => {
                let path = format!("/v1/sessions/{name}");
                vec![client.get(&path).await?.done()?]
            }
            None => match client.get("/v1/sessions").await?.done()?["items"].take() {
                Value::Array(items) => items,
                _ => Vec::new(),
            },
        };
        Ok(Self {
            url: client.url().to_owned(),
            pid: client.pid(),
            ready: readiness["ready"].take(),
            reasons: readiness["reasons"].take(),
            sessions,
        })
    }

    fn show(&self, out: Out) {
        out.value(&json!({
            "url": self.url,
            "pid": self.pid,
            "ready": self.ready,
            "reasons": self.reasons,
            "sessions": self.sessions,
        }));
        out.line(format!("gateway at {}, process {}", self.url, self.pid));
        for reason in self.reasons.as_array().into_iter().flatten() {
            let reason = reason.as_str().unwrap_or_default();
            out.line(out.tone(Tone::Bad, &format!("not accepting: {reason}")));
        }
        let rows: Vec<Vec<String>> = self.sessions.iter().map(row).collect();
        let headers = ["session", "state", "account", "waiting", "parked", "since"];
        out.table(&headers, &rows);
        for session in &self.sessions {
            advise(out, session);
        }
    }
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
