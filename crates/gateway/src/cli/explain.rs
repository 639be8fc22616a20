//! `steadfast explain`: what a failure text means. Needs no data folder and
//! no gateway.

use super::Context;
use super::exit::Exit;
use super::out::{CliError, Tone};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead as _, Read as _};
use steadfast_core::failure::{Explanation, explain};

/// Longest line or text that is read, in bytes.
const MAX_TEXT_BYTES: u64 = 1_024 * 1_024;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The failure text; without it, standard input is read as one text
    #[arg(conflicts_with = "jsonl")]
    text: Option<String>,
    /// What was being done: send, launch, navigate, ... or another program's word for it
    #[arg(long, value_name = "OP", conflicts_with = "jsonl")]
    operation: Option<String>,
    /// Read JSON objects with `text` and `operation`, one a line, and print each
    /// again with kind, rung and safe_to_resend
    #[arg(long)]
    jsonl: bool,
}

#[derive(Deserialize)]
struct Asked {
    text: String,
    #[serde(default)]
    operation: Option<String>,
}

pub(super) fn run(context: &Context, args: &ExplainArgs) -> Result<Exit, CliError> {
    if args.jsonl {
        return explain_lines(context);
    }
    let text = match &args.text {
        Some(text) => text.clone(),
        None => read_stdin()?,
    };
    if text.trim().is_empty() {
        return Err(CliError::new(
            Exit::Usage,
            "there is no text to explain",
            "give it as an argument or on standard input",
        ));
    }
    let meaning = explain(&text, args.operation.as_deref());
    context.out.value(&meaning);
    for (name, what) in [
        ("kind", meaning.kind.as_str()),
        ("what happened", meaning.happened),
        ("healed by", meaning.rung.as_str()),
        ("safe to resend", meaning.safe_to_resend.as_str()),
        ("the gateway", meaning.we_do),
        ("you", meaning.you_can),
        ("more", meaning.doc.as_str()),
    ] {
        let name = context.out.tone(Tone::Bold, &format!("{name:<15}"));
        context.out.line(format!("{name} {what}"));
    }
    Ok(Exit::Done)
}

fn read_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(MAX_TEXT_BYTES)
        .read_to_string(&mut text)
        .map_err(|e| unreadable(&e))?;
    Ok(text)
}

fn unreadable(error: &std::io::Error) -> CliError {
    let message = format!("cannot read standard input: {error}");
    CliError::new(Exit::Failed, message, "give the text in UTF-8")
}

/// Every object is answered, in order; one that cannot be read says so in its place.
fn explain_lines(context: &Context) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut input)
            .take(MAX_TEXT_BYTES)
            .read_until(b'\n', &mut line)
            .map_err(|e| unreadable(&e))?;
        if read == 0 {
            return Ok(exit);
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        let answer = answer_line(&text);
        if answer.get("error").is_some() {
            exit = Exit::Failed;
        }
        context.out.raw(answer.to_string());
    }
}

fn answer_line(line: &str) -> Value {
    let mut object: Value = match serde_json::from_str(line) {
        Ok(object) => object,
        Err(e) => return json!({"error": format!("not JSON: {e}")}),
    };
    let asked: Asked = match Asked::deserialize(&object) {
        Ok(asked) => asked,
        Err(e) => return json!({"error": format!("not an object with text and operation: {e}")}),
    };
    let meaning: Explanation = explain(&asked.text, asked.operation.as_deref());
    // What came in goes out again, so that a caller can match the answers.
    object["kind"] = json!(meaning.kind);
    object["rung"] = json!(meaning.rung);
    object["safe_to_resend"] = json!(meaning.safe_to_resend);
    object
}
