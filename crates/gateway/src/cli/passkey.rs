//! `steadfast init` where WhatsApp asks for a passkey: says what to do, and
//! hands over the answer that a person made in a browser that has it.

use super::Context;
use super::client::Client;
use super::out::{CliError, Tone};
use crate::passkey::{ORIGIN, console_snippet};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// No answer is longer; the gateway's own bounds are tighter.
const MOST_BYTES: u64 = 65_536;

/// Where the answer comes from.
enum Source {
    /// A file, once it is there.
    File(PathBuf),
    /// Lines of standard input.
    Lines(mpsc::Receiver<String>),
    /// HTTP alone.
    Elsewhere,
}

/// What is asked for and what was tried.
pub(super) struct Desk {
    source: Source,
    asked: Option<Value>,
    tried: String,
}

impl Desk {
    /// `-` is standard input, which is also read where it is a terminal and no file is named.
    pub(super) fn new(answer: Option<&Path>, told_to_terminal: bool) -> Self {
        let source = match answer {
            Some(path) if path == Path::new("-") => Source::Lines(lines()),
            Some(path) => Source::File(path.to_owned()),
            None if told_to_terminal && std::io::stdin().is_terminal() => Source::Lines(lines()),
            None => Source::Elsewhere,
        };
        Self {
            source,
            asked: None,
            tried: String::new(),
        }
    }

    /// Looks once: tells a new question, hands over a new answer.
    pub(super) async fn look(
        &mut self,
        context: &Context,
        client: &Client,
        session: &str,
    ) -> Result<(), CliError> {
        let path = format!("{session}/passkey");
        let challenge = client.get(&path).await?;
        if challenge.status != 200 {
            // Over since the session was looked at.
            return Ok(());
        }
        if self.asked.as_ref() != Some(&challenge.body["options"]) {
            self.asked = Some(challenge.body["options"].clone());
            self.tell(context, &challenge.body);
        }
        let Some(text) = self.answer() else {
            return Ok(());
        };
        let refused = match read(&text) {
            Ok(assertion) => {
                let body = json!({ "assertion": assertion });
                let answer = client.post(&path, &body).await?;
                match answer.status {
                    200 => {
                        context.out.line("the answer is with WhatsApp");
                        context.out.value(&json!({"event": "passkey_answered"}));
                        return Ok(());
                    }
                    _ => answer.body["detail"]
                        .as_str()
                        .unwrap_or("it was not taken")
                        .to_owned(),
                }
            }
            Err(what) => what,
        };
        context.out.line(
            context
                .out
                .tone(Tone::Bad, &format!("not taken: {refused}")),
        );
        context
            .out
            .value(&json!({"event": "passkey_not_taken", "detail": refused}));
        Ok(())
    }

    fn tell(&self, context: &Context, challenge: &Value) {
        let out = context.out;
        out.value(&json!({
            "event": "passkey", "options": challenge["options"],
            "origin": challenge["origin"], "expires_at": challenge["expires_at"],
        }));
        let until = challenge["expires_at"].as_str().unwrap_or_default();
        let last = match &self.source {
            Source::File(path) => format!("write that text to {}", path.display()),
            Source::Lines(_) => "paste that text here, and press Enter".to_owned(),
            Source::Elsewhere => {
                "send that text: POST {\"assertion\": ...} to .../passkey of this session"
                    .to_owned()
            }
        };
        let snippet = console_snippet(&challenge["options"]);
        out.line(out.tone(
            Tone::Bold,
            &format!("WhatsApp asks for the passkey of this account, until {until}."),
        ));
        out.line(format!(
            "In a browser that has it, or can reach the phone that has it:\n\
             1. open {ORIGIN} (scan nothing there), and its console: F12, Console\n\
             2. paste this line there, press Enter, and allow the passkey:\n\n{snippet}\n\n\
             3. copy the text that it shows, from {{ to }}\n\
             4. {last}\n\
             That text lets whoever has it link a device to this account until then: give it to nobody, and never run such\n\
             a line for somebody else. Or end this, and link in a window of its own: steadfast init --headed"
        ));
    }

    /// An answer that was not tried yet.
    fn answer(&mut self) -> Option<String> {
        let text = match &mut self.source {
            Source::File(path) => {
                let size = std::fs::metadata(&path).ok()?.len();
                if size > MOST_BYTES {
                    return None;
                }
                std::fs::read_to_string(path).ok()?
            }
            Source::Lines(lines) => lines.try_recv().ok()?,
            Source::Elsewhere => return None,
        };
        // A file that is still being written is looked at again once it is longer.
        if text.trim().is_empty() || text == self.tried {
            return None;
        }
        self.tried.clone_from(&text);
        Some(text)
    }
}

/// The lines of standard input. The thread ends with the input or the process.
fn lines() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(4);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receive
}

/// Reads what was copied from a console: JSON, or a text that holds it.
fn read(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let text = text
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .unwrap_or(text);
    let wrong =
        |error: serde_json::Error| format!("this is not the whole text, from {{ to }}: {error}");
    match serde_json::from_str(text).map_err(wrong)? {
        Value::String(inner) => serde_json::from_str(&inner).map_err(wrong),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_consoles_show_it() {
        for shown in [r#"{"id":"a"}"#, r#" '{"id":"a"}' "#, r#""{\"id\":\"a\"}""#] {
            assert_eq!(read(shown), Ok(json!({"id": "a"})), "{shown}");
        }
        assert!(read("{\"id\":").unwrap_err().contains("whole text"));
    }

    #[test]
    fn a_file_is_tried_once_for_each_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answer.json");
        let mut desk = Desk::new(Some(&path), false);
        assert_eq!(desk.answer(), None);
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(desk.answer().as_deref(), Some("{}"));
        assert_eq!(desk.answer(), None);
        std::fs::write(&path, "{} ").unwrap();
        assert_eq!(desk.answer().as_deref(), Some("{} "));
    }
}
