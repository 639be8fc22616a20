//! `steadfast init`: links a number from the terminal.

use super::client::{Client, Done as _};
use super::exit::Exit;
use super::out::{CliError, Tone};
use super::passkey::Desk;
use super::serve::{Gateway, start, start_logging};
use super::{Context, StopSignals};
use crate::app::DEFAULT_SESSION;
use crate::browser::Display;
use crate::data_dir::DataDir;
use crate::qr::Picture;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How often the session is looked at. A code lives 20 s.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Link by a code that is typed on the phone with this number, instead of a QR code
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// Link in a browser window on this desktop, where the system's own passkey dialog works
    #[arg(long, conflicts_with = "passkey_answer")]
    headed: bool,
    /// Where WhatsApp asks for a passkey: read the answer from this file once it is there; `-` is standard input
    #[arg(long, value_name = "FILE")]
    passkey_answer: Option<PathBuf>,
    /// The session to link
    #[arg(long, default_value = DEFAULT_SESSION)]
    session: String,
    /// How long to wait for the phone, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    timeout: u64,
}

pub(super) async fn run(context: &Context, args: InitArgs) -> Result<Exit, CliError> {
    let mut stop = StopSignals::listen()?;
    let gateway = gateway(context, &args).await?;
    let linked = tokio::select! {
        linked = link(context, gateway.client(), &args) => linked,
        () = stop.asked() => Ok(Exit::Interrupted),
    };
    gateway.end().await;
    linked
}

/// The gateway that runs on the data folder, else one for this command alone.
async fn gateway(context: &Context, args: &InitArgs) -> Result<Gateway, CliError> {
    if args.headed && Display::of(|name| std::env::var_os(name)).is_none() {
        return Err(CliError::new(
            Exit::Usage,
            "there is no desktop to show a window on: neither DISPLAY nor WAYLAND_DISPLAY is set",
            "run it in a terminal of the desktop; carry the number to a server afterwards (steadfast export, steadfast import)",
        ));
    }
    if let Some(client) = Client::find(context).await? {
        if args.headed {
            return Err(CliError::new(
                Exit::Usage,
                format!(
                    "a gateway runs on {} (process {}), and has the browser without a window",
                    context.data_dir()?.display(),
                    client.pid()
                ),
                format!(
                    "end it first (kill {}), link, then start it again",
                    client.pid()
                ),
            ));
        }
        return Ok(Gateway::Theirs(client));
    }
    // Nobody else is to reach it, so any free port will do.
    let mut flags = vec![("init", "server.listen", "127.0.0.1:0".to_owned())];
    if args.headed {
        flags.push(("--headed", "browser.flavor", "headed".to_owned()));
        // No code is shown while a person looks at a dialog: the window stays as it is meanwhile.
        let patience_ms = (args.timeout * 1_000).clamp(60_000, 3_600_000);
        flags.push((
            "--headed",
            "session.linking_timeout_ms",
            patience_ms.to_string(),
        ));
    }
    if std::env::var_os("STEADFAST_LOG__LEVEL").is_none() {
        // The terminal belongs to the QR code.
        flags.push(("init", "log.level", "error".to_owned()));
    }
    let loaded = context.load_config(flags)?;
    let metrics = start_logging(&loaded)?;
    let running = start(context, &loaded, metrics).await?;
    let announced = DataDir::open(&context.data_dir()?)?.announced();
    let Some(announced) = announced else {
        let message = "the gateway started and left no address";
        return Err(CliError::new(Exit::Failed, message, "try again"));
    };
    if let Some(token) = running.first_token() {
        context.out.line(format!(
            "admin token, shown this once: {}",
            context.out.tone(Tone::Bold, token)
        ));
        context
            .out
            .value(&json!({"event": "token", "token": token}));
    }
    let client = Client::to(announced)?;
    Ok(Gateway::Ours(Box::new(running), client))
}

async fn link(context: &Context, client: &Client, args: &InitArgs) -> Result<Exit, CliError> {
    let out = context.out;
    let path = format!("/v1/sessions/{}", args.session);
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let mut last_state = String::new();
    let mut last_code = String::new();
    let mut asked_for_code = false;
    let mut desk = Desk::new(args.passkey_answer.as_deref(), out.is_terminal());
    if args.headed {
        out.line("a window opens: scan the code that it shows with WhatsApp on the phone, and allow the passkey where it asks");
    }
    ensure_started(client, &path, &args.session).await?;
    loop {
        let session = client.get(&path).await?.done()?;
        let state = session["state"].as_str().unwrap_or_default().to_owned();
        if state != last_state {
            out.value(&json!({"event": "state", "state": state}));
            if out.is_terminal() || state != "linking" {
                out.line(out.tone(Tone::Dim, &format!("session {} is {state}", args.session)));
            }
            last_state.clone_from(&state);
        }
        match state.as_str() {
            "ready" => {
                say_linked(context, args, &session);
                return Ok(Exit::Done);
            }
            "linking" if args.headed => {}
            "linking" if session["has_passkey_challenge"] == true => {
                // A code that led here is used up.
                asked_for_code = false;
                desk.look(context, client, &path).await?;
            }
            // WhatsApp looks at the answer.
            "linking" if session["reason"] == "passkey_answered" => {}
            "linking" => match &args.phone {
                Some(phone) if !asked_for_code => {
                    pairing_code(context, client, &path, phone).await?;
                    asked_for_code = true;
                }
                Some(_) => {}
                None => show_qr(context, client, &path, &mut last_code).await?,
            },
            "parked" | "conflict" => {
                let why = session["recommendations"][0].as_str().unwrap_or_default();
                let message = format!("session {} is {state}", args.session);
                return Err(CliError::new(Exit::Failed, message, why));
            }
            _ => {}
        }
        if Instant::now() >= deadline {
            let message = format!(
                "session {} was not linked within {} s; it is {state}",
                args.session, args.timeout
            );
            let why = session["recommendations"][0].as_str().unwrap_or_default();
            return Err(CliError::new(Exit::TimedOut, message, why));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A session that is to be linked exists and runs.
async fn ensure_started(client: &Client, path: &str, name: &str) -> Result<(), CliError> {
    let mut answer = client.get(path).await?;
    if answer.status == 404 {
        let body = json!({"name": name});
        client.post("/v1/sessions", &body).await?.done()?;
        answer = client.get(path).await?;
    }
    let session = answer.done()?;
    if matches!(session["state"].as_str(), Some("stopped" | "logged_out")) {
        let start = format!("{path}/start");
        client.post(&start, &Value::Null).await?.done()?;
    }
    Ok(())
}

async fn show_qr(
    context: &Context,
    client: &Client,
    path: &str,
    last: &mut String,
) -> Result<(), CliError> {
    let answer = client.get(&format!("{path}/qr?format=raw")).await?;
    if answer.status == 404 {
        return Ok(());
    }
    let qr = answer.done()?;
    let code = qr["code"].as_str().unwrap_or_default();
    if code.is_empty() || code == last {
        return Ok(());
    }
    code.clone_into(last);
    context
        .out
        .value(&json!({"event": "qr", "code": code, "expires_at": qr["expires_at"]}));
    let picture = Picture::of(code)
        .map_err(|e| CliError::new(Exit::Failed, e.to_string(), "link by --phone NUMBER"))?;
    context
        .out
        .line("scan this with WhatsApp on the phone (Linked devices, Link a device):");
    context.out.qr(&picture);
    Ok(())
}

async fn pairing_code(
    context: &Context,
    client: &Client,
    path: &str,
    phone: &str,
) -> Result<(), CliError> {
    let body = json!({"phone": phone});
    let answer = client.post(&format!("{path}/pairing-code"), &body).await?;
    let answer = answer.done()?;
    let code = answer["code"].as_str().unwrap_or_default();
    let bold = context.out.tone(Tone::Bold, code);
    context.out.line(format!(
        "type this on the phone (Linked devices, Link with phone number): {bold}"
    ));
    context
        .out
        .value(&json!({"event": "pairing_code", "code": code}));
    Ok(())
}

fn say_linked(context: &Context, args: &InitArgs, session: &Value) {
    let me = session["me"]["id"].as_str().unwrap_or("an account");
    let text = format!("session {} is linked as {me} and ready", args.session);
    context.out.line(context.out.tone(Tone::Good, &text));
    context
        .out
        .value(&json!({"event": "linked", "session": args.session, "me": session["me"]}));
    if args.headed {
        context.out.line(
            "to use it on another machine: steadfast export FILE here, steadfast import FILE there",
        );
    }
}
