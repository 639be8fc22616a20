//! `steadfast send`: hands one message to the running gateway.

use super::Context;
use super::client::{Client, Done as _};
use super::exit::Exit;
use super::out::{CliError, Tone};
use crate::app::DEFAULT_SESSION;
use crate::config::duration_ms;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use steadfast_core::time::UnixMs;
use tokio::time::Instant;

/// How often a message that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Most bytes read from standard input; more cannot be sent.
const MAX_STDIN_BYTES: u64 = 512 * 1_024;

/// Most bytes of a file that goes inside a request: media.max_inline_bytes unless changed.
const MAX_FILE_BYTES: u64 = 16 * 1_024 * 1_024;

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// 7 to 15 digits in international form, or a chat id
    to: String,
    /// The text, or what stands under a file; - reads it from standard input
    #[arg(required_unless_present = "file")]
    text: Option<String>,
    #[command(flatten)]
    file: FileArgs,
    /// The session that sends
    #[arg(long, default_value = DEFAULT_SESSION)]
    session: String,
    /// Wait until WhatsApp's server, or the recipient's device, has it; a
    /// number is so many seconds for the server
    #[arg(long, value_name = "server|device|SECONDS", value_parser = Wait::parse)]
    wait: Option<Wait>,
    /// How long --wait server or --wait device waits at most
    #[arg(long, value_name = "SECONDS", requires = "wait", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait_seconds: u64,
    /// The lane it waits in: high goes before normal, normal before low
    #[arg(long, value_parser = ["high", "normal", "low"])]
    priority: Option<String>,
    /// Not before this time: 2030-01-15T09:00:00Z, or 90s, 30m, 2h from now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Not after this time, written as with --at
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Makes the command safe to repeat: the same key sends once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// A file to send, and how WhatsApp shows it.
#[derive(Debug, Default, Args)]
#[group(id = "file", multiple = false)]
struct FileArgs {
    /// Send a picture
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Send a film
    #[arg(long, value_name = "FILE")]
    video: Option<PathBuf>,
    /// Send a sound file
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,
    /// Send a voice note
    #[arg(long, value_name = "FILE")]
    voice: Option<PathBuf>,
    /// Send any file, shown by its name
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// Send a sticker
    #[arg(long, value_name = "FILE")]
    sticker: Option<PathBuf>,
}

impl FileArgs {
    fn chosen(&self) -> Option<(&'static str, &Path)> {
        let all = [
            ("image", &self.image),
            ("video", &self.video),
            ("audio", &self.audio),
            ("voice", &self.voice),
            ("document", &self.document),
            ("sticker", &self.sticker),
        ];
        all.into_iter()
            .find_map(|(kind, path)| Some((kind, path.as_deref()?)))
    }
}

/// The fields of a message with its file inside.
fn with_file(
    text: Option<String>,
    kind: &str,
    path: &Path,
) -> Result<Map<String, Value>, CliError> {
    let failed = |what: String| {
        let message = format!("cannot send {}: {what}", path.display());
        CliError::new(Exit::Usage, message, "name a file that this user can read")
    };
    let size = std::fs::metadata(path)
        .map_err(|e| failed(e.to_string()))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(failed(format!(
            "it has {size} bytes, and {MAX_FILE_BYTES} can be sent this way; upload it to /v1/media"
        )));
    }
    let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    let name = path.file_name().map(|name| name.to_string_lossy());
    let media = json!({ "base64": STANDARD.encode(bytes), "filename": name });
    let mut fields = Map::new();
    fields.insert("type".to_owned(), json!(kind));
    fields.insert("media".to_owned(), media);
    fields.extend(text.map(|text| ("caption".to_owned(), json!(text))));
    Ok(fields)
}

/// What --wait waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// WhatsApp's server has it.
    Server,
    /// The recipient's device has it.
    Device,
    /// WhatsApp's server has it, within so many seconds.
    Seconds(u64),
}

impl Wait {
    fn parse(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("server", _) => Ok(Self::Server),
            ("device", _) => Ok(Self::Device),
            (_, Ok(seconds @ 1..=86_400)) => Ok(Self::Seconds(seconds)),
            _ => Err("write server, device, or a number of seconds from 1 to 86400".to_owned()),
        }
    }
}

/// The fields that say when a message goes and in which lane.
fn options(args: &SendArgs) -> Result<Map<String, Value>, CliError> {
    let mut fields = Map::new();
    if let Some(priority) = &args.priority {
        fields.insert("priority".to_owned(), json!(priority));
    }
    for (text, at, after) in [
        (&args.at, "send_at", "send_in"),
        (&args.expires, "expires_at", "expires_in"),
    ] {
        let Some(text) = text else { continue };
        let field = match duration_ms(text) {
            Some(ms) if ms >= 1_000 => (after, json!(ms / 1_000)),
            _ if UnixMs::parse_rfc3339(text).is_some() => (at, json!(text)),
            _ => {
                let message = format!("{text:?} is no time");
                let remedy = "write 2030-01-15T09:00:00Z, or 90s, 30m, 2h from now";
                return Err(CliError::new(Exit::Usage, message, remedy));
            }
        };
        fields.insert(field.0.to_owned(), field.1);
    }
    Ok(fields)
}

pub(super) async fn run(context: &Context, args: SendArgs) -> Result<Exit, CliError> {
    let mut body = options(&args)?;
    let text = match args.text {
        Some(text) if text == "-" => Some(read_stdin()?),
        text => text,
    };
    body.insert("to".to_owned(), json!(args.to));
    match args.file.chosen() {
        Some((kind, path)) => body.extend(with_file(text, kind, path)?),
        None => {
            body.insert("text".to_owned(), json!(text));
        }
    }
    let body = Value::Object(body);
    let client = Client::must_find(context).await?;
    let path = format!("/v1/sessions/{}/messages", args.session);
    let answer = match &args.idempotency_key {
        Some(key) => client.post_once(&path, &body, key).await?,
        None => client.post(&path, &body).await?,
    };
    let accepted = answer.done()?;
    let id = accepted["id"].as_str().unwrap_or_default().to_owned();
    let Some(wait) = args.wait else {
        context.out.line(format!("accepted {id}: it is on disk"));
        context.out.value(&accepted);
        return Ok(Exit::Done);
    };
    let (device, seconds) = match wait {
        Wait::Server => (false, args.wait_seconds),
        Wait::Device => (true, args.wait_seconds),
        Wait::Seconds(seconds) => (false, seconds),
    };
    let message = settled(&client, &id, device, Duration::from_secs(seconds)).await?;
    context.out.value(&message);
    report(context, &id, &message, device, seconds)
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

/// Whether it may still come as far as is waited for.
fn is_waiting(message: &Value, device: bool) -> bool {
    match message["status"].as_str() {
        Some("accepted" | "sending") => true,
        Some("sent") => device,
        _ => false,
    }
}

/// The message once it has come that far or never will, or when time is up.
async fn settled(
    client: &Client,
    id: &str,
    device: bool,
    wait: Duration,
) -> Result<Value, CliError> {
    let deadline = Instant::now() + wait;
    loop {
        let message = client.get(&format!("/v1/messages/{id}")).await?.done()?;
        if !is_waiting(&message, device) || Instant::now() >= deadline {
            return Ok(message);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn report(
    context: &Context,
    id: &str,
    message: &Value,
    device: bool,
    seconds: u64,
) -> Result<Exit, CliError> {
    let status = message["status"].as_str().unwrap_or_default();
    let why = message["detail"]
        .as_str()
        .or(message["reason"].as_str())
        .unwrap_or_default();
    match status {
        "sent" if device => Err(CliError::new(
            Exit::TimedOut,
            format!("WhatsApp has {id}, and no device of the recipient had it within {seconds} s"),
            "it will come once the recipient's phone is reachable",
        )),
        "sent" | "delivered" | "read" | "played" => {
            let text = context.out.tone(Tone::Good, status);
            context.out.line(format!("{text} {id}"));
            Ok(Exit::Done)
        }
        "accepted" | "sending" => Err(CliError::new(
            Exit::TimedOut,
            match message["waits_for"].as_str() {
                Some(what) => format!(
                    "{id} was not sent within {seconds} s, since it waits ({what}); it stays in the outbox and will be"
                ),
                None => format!(
                    "{id} was not sent within {seconds} s; it stays in the outbox and will be"
                ),
            },
            "look again with `steadfast status`",
        )),
        other => Err(CliError::new(Exit::Failed, format!("{id} is {other}"), why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(at: Option<&str>, expires: Option<&str>) -> SendArgs {
        SendArgs {
            to: String::new(),
            text: None,
            file: FileArgs::default(),
            session: String::new(),
            wait: None,
            wait_seconds: 60,
            priority: Some("high".to_owned()),
            at: at.map(str::to_owned),
            expires: expires.map(str::to_owned),
            idempotency_key: None,
        }
    }

    #[test]
    fn times_are_read_as_points_and_as_spans() {
        let said = options(&args(Some("30m"), Some("2030-01-15T09:00:00Z"))).unwrap();
        let expected = json!({
            "priority": "high",
            "send_in": 1_800,
            "expires_at": "2030-01-15T09:00:00Z",
        });
        assert_eq!(Value::Object(said), expected);
        for wrong in ["soon", "5", "10ms", "15:00"] {
            assert!(options(&args(Some(wrong), None)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_waited_for_is_read() {
        assert_eq!(Wait::parse("server"), Ok(Wait::Server));
        assert_eq!(Wait::parse("device"), Ok(Wait::Device));
        assert_eq!(Wait::parse("20"), Ok(Wait::Seconds(20)));
        for wrong in ["", "0", "read", "86401"] {
            assert!(Wait::parse(wrong).is_err(), "{wrong}");
        }
    }
}
