//! `steadfast explain`: what a failure text means. Needs no data folder and
//! no gateway.

use super::Context;
use super::exit::Exit;
use super::out::{CliError, Tone};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, Read as _};
use steadfast_core::failure::{Explanation, explain};

/// Longest text that is read, in bytes. Its ends say what is to be known.
const MAX_TEXT_BYTES: u64 = 1_024 * 1_024;
/// Longest line of JSON: such a text with every byte written as an escape,
/// and what stands beside it.
const MAX_LINE_BYTES: u64 = 8 * MAX_TEXT_BYTES;

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
    if meaning.guess {
        context
            .out
            .line("No rule knows this text: the kind is a guess, by texts that are like it.");
    }
    Ok(Exit::Done)
}

fn read_stdin() -> Result<String, CliError> {
    // A log may hold any bytes: what is no UTF-8 hides nothing that is.
    let mut text = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_TEXT_BYTES)
        .read_to_end(&mut text)
        .map_err(|e| unreadable(&e))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn unreadable(error: &std::io::Error) -> CliError {
    let message = format!("cannot read standard input: {error}");
    CliError::new(
        Exit::Failed,
        message,
        "give the text as an argument, or check what is piped in",
    )
}

/// Every object is answered, in order; one that cannot be read says so in its place.
fn explain_lines(context: &Context) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    while read_line(&mut input, &mut line).map_err(|e| unreadable(&e))? {
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
    Ok(exit)
}

/// One line, cut at [`MAX_LINE_BYTES`]; the rest of a longer one is passed
/// over, so that the next answer belongs to the next line.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    if input
        .by_ref()
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', line)?
        == 0
    {
        return Ok(false);
    }
    if !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok(true)
}

fn answer_line(line: &str) -> Value {
    let mut object: Value = match serde_json::from_str(line) {
        Ok(object) => object,
        Err(e) => return json!({"error": format!("not JSON: {e}")}),
    };
    if !object.is_object() {
        return json!({"error": "not an object with text and operation"});
    }
    let asked: Asked = match Asked::deserialize(&object) {
        Ok(asked) => asked,
        Err(e) => return json!({"error": format!("not an object with text and operation: {e}")}),
    };
    let meaning: Explanation = explain(&asked.text, asked.operation.as_deref());
    // What came in goes out again, so that a caller can match the answers.
    object["kind"] = json!(meaning.kind);
    object["rung"] = json!(meaning.rung);
    object["safe_to_resend"] = json!(meaning.safe_to_resend);
    object["code"] = json!(meaning.code);
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn an_answer_is_the_question_and_what_it_means() {
        let answer = answer_line(r#"{"text":"Target closed","operation":"sendText","id":7}"#);
        assert_eq!(
            answer,
            json!({
                "text": "Target closed", "operation": "sendText", "id": 7,
                "kind": "page_gone", "rung": "new_page",
                "safe_to_resend": "check_first", "code": "page_gone",
            })
        );
    }

    #[test]
    fn what_is_no_question_is_said_to_be_none() {
        for line in [
            "",
            "garbage",
            "\u{fffd}\0",
            "null",
            "7",
            "[\"Target closed\",\"send\"]",
            "{}",
            "{\"text\":7}",
            "{\"text\":\"a\",\"operation\":{}}",
        ] {
            assert!(answer_line(line)["error"].is_string(), "{line}");
        }
    }

    #[test]
    fn nothing_and_anything_are_answered() {
        for line in [
            r#"{"text":""}"#,
            r#"{"text":"","operation":null}"#,
            r#"{"text":"\u0000\ufffd","operation":"frobnicate"}"#,
        ] {
            let answer = answer_line(line);
            assert_eq!(answer["kind"], "unknown", "{line}");
            assert_eq!(answer["safe_to_resend"], "check_first", "{line}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_does_not_become_two() {
        let long = vec![b'x'; usize::try_from(MAX_LINE_BYTES).unwrap() + 9];
        let mut input = Cursor::new([long.as_slice(), b"\nnext"].concat());
        let mut line = Vec::new();
        assert!(read_line(&mut input, &mut line).unwrap());
        assert_eq!(line.len() as u64, MAX_LINE_BYTES);
        assert!(read_line(&mut input, &mut line).unwrap());
        assert_eq!(line, b"next");
        assert!(!read_line(&mut input, &mut line).unwrap());
    }
}
