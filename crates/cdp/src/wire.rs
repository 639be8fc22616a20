//! The JSON on the pipe: the envelope, and how answers become results.

use crate::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The largest command that is sent. Chromium's own buffer for one command
/// from the pipe is 100 MiB (devtools_pipe_handler.cc); beyond it, it hangs up.
pub(crate) const MAX_COMMAND: usize = 64 << 20;

/// How much of a stranger's text (stack traces, messages) goes into an error or event.
const MAX_TEXT: usize = 16 << 10;

#[derive(Serialize)]
struct Outgoing<'a, P> {
    id: u64,
    method: &'a str,
    params: P,
    #[serde(rename = "sessionId", skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
}

/// One command as it goes on the pipe, with its NUL.
pub(crate) fn encode(
    id: u64,
    method: &'static str,
    session_id: Option<&str>,
    params: impl Serialize,
) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec(&Outgoing {
        id,
        method,
        params,
        session_id,
    })
    .map_err(|error| Error::Malformed {
        method,
        detail: format!("the parameters are no JSON: {error}"),
    })?;
    if bytes.len() > MAX_COMMAND {
        return Err(Error::TooLarge {
            method,
            bytes: bytes.len(),
            limit: MAX_COMMAND,
        });
    }
    bytes.push(0);
    Ok(bytes)
}

/// Text that is borrowed where JSON has no escapes in it.
#[derive(Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Any message from the browser. What it carries is kept raw: only the few
/// events and results that matter are read further, and an unknown one costs nothing.
#[derive(Deserialize)]
pub(crate) struct Incoming<'a> {
    pub(crate) id: Option<u64>,
    #[serde(borrow)]
    pub(crate) method: Option<Text<'a>>,
    #[serde(borrow, rename = "sessionId")]
    pub(crate) session_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) result: Option<&'a RawValue>,
    pub(crate) error: Option<WireError>,
}

#[derive(Deserialize)]
pub(crate) struct WireError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl WireError {
    /// JSON-RPC's "internal error".
    pub(crate) fn is_internal(&self) -> bool {
        self.code == -32603
    }

    /// What the browser's refusal means. Chromium has one number, -32000, for
    /// many things, so its words decide (content/browser/devtools and
    /// v8/src/inspector, stable for years; the tests of this crate hold them).
    pub(crate) fn into_error(self, method: &'static str) -> Error {
        let says = |text: &str| self.message.starts_with(text);
        match self.code {
            // "Session with given id not found."
            -32001 => Error::PageGone {
                method,
                in_flight: false,
            },
            // The command was running when its document went away.
            -32000
                if says("Inspected target navigated or closed")
                    || says("Execution context was destroyed")
                    || says("Promise was collected") =>
            {
                Error::ContextLost {
                    method,
                    in_flight: true,
                }
            }
            // The command named a document that was gone already.
            -32000 | -32602
                if says("Cannot find context with specified id")
                    || says("uniqueContextId not found")
                    || says("Cannot find default execution context") =>
            {
                Error::ContextLost {
                    method,
                    in_flight: false,
                }
            }
            -32000 if says("Execution was terminated") => Error::Terminated { method },
            -32000 if says("Target crashed") => Error::PageCrashed {
                method,
                in_flight: false,
            },
            code => Error::Protocol {
                method,
                code,
                message: clip(&self.message).into_owned(),
            },
        }
    }
}

/// Reads an answer into the type that the caller wants.
pub(crate) fn read<T: DeserializeOwned>(method: &'static str, raw: &RawValue) -> Result<T, Error> {
    read_text(raw.get()).map_err(|error| Error::Malformed {
        method,
        detail: error.to_string(),
    })
}

/// Reads JSON; where it holds half a surrogate pair, that half becomes U+FFFD.
///
/// JavaScript strings may hold such halves (a name cut in the middle of an
/// emoji), Chromium escapes them as they are, and no Rust string can hold
/// them. Failing would make the one bad name hide all that came with it.
/// JSON inside of a script's answer is a text of its own, to be read by this too.
///
/// # Errors
/// What else makes it no JSON of this type.
pub fn read_text<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| match mend_surrogates(text) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
}

/// Replaces escapes of lone surrogates. `None` where there are none.
fn mend_surrogates(text: &str) -> Option<String> {
    let unit = |at: usize| -> Option<u16> {
        let escape = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let bytes = text.as_bytes();
    let mut mended: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        at += found;
        let width = match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                let out = mended.get_or_insert_with(|| String::with_capacity(text.len()));
                out.push_str(&text[copied..at]);
                out.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            Some(_) => 6,
            None => 2,
        };
        at = (at + width).min(bytes.len());
    }
    if let Some(out) = &mut mended {
        out.push_str(&text[copied..]);
    }
    mended
}

/// What `Runtime.evaluate` and `Runtime.callFunctionOn` answer.
#[derive(Deserialize)]
struct Evaluated<'a> {
    #[serde(borrow)]
    result: RemoteObject<'a>,
    #[serde(rename = "exceptionDetails")]
    exception: Option<ExceptionDetails>,
}

#[derive(Deserialize)]
struct RemoteObject<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    subtype: Option<Text<'a>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(rename = "unserializableValue")]
    unserializable: Option<String>,
}

/// How the browser describes a thrown value.
#[derive(Deserialize)]
pub(crate) struct ExceptionDetails {
    #[serde(default)]
    text: String,
    exception: Option<Thrown>,
    url: Option<String>,
    #[serde(rename = "lineNumber")]
    line: Option<u64>,
}

#[derive(Deserialize)]
struct Thrown {
    description: Option<String>,
    value: Option<serde_json::Value>,
}

impl ExceptionDetails {
    /// Message and stack for people and classifiers, at most 16 KiB.
    pub(crate) fn describe(&self) -> String {
        let said = self.exception.as_ref().and_then(|thrown| {
            thrown
                .description
                .clone()
                .or_else(|| thrown.value.as_ref().map(ToString::to_string))
        });
        let text = match (said, &self.url, self.line) {
            (Some(said), ..) => said,
            (None, Some(url), Some(line)) => {
                format!("{} ({url}:{})", self.text, line.saturating_add(1))
            }
            (None, ..) => self.text.clone(),
        };
        clip(&text).into_owned()
    }
}

/// Reads the value that a script gave back. `undefined` reads as null.
pub(crate) fn read_evaluated<T: DeserializeOwned>(
    method: &'static str,
    raw: &RawValue,
) -> Result<T, Error> {
    let malformed = |detail: String| Error::Malformed { method, detail };
    // The exception's text may hold lone surrogates; the envelope of a good value is read borrowed.
    let mended;
    let evaluated: Evaluated<'_> = match serde_json::from_str(raw.get()) {
        Ok(evaluated) => evaluated,
        Err(error) => {
            let Some(text) = mend_surrogates(raw.get()) else {
                return Err(malformed(error.to_string()));
            };
            mended = text;
            serde_json::from_str(&mended).map_err(|error| malformed(error.to_string()))?
        }
    };
    if let Some(exception) = evaluated.exception {
        return Err(Error::Exception {
            method,
            text: exception.describe(),
        });
    }
    let result = evaluated.result;
    match (result.value, result.unserializable) {
        (Some(value), _) => read(method, value),
        // An `Option` cannot tell `"value": null` from no value; the type can.
        (None, None)
            if result.kind.0 == "undefined" || result.subtype.is_some_and(|s| s.0 == "null") =>
        {
            read_text("null").map_err(|error| malformed(format!("nothing was given: {error}")))
        }
        (None, Some(value)) => Err(malformed(format!("{value} is no JSON value"))),
        (None, None) => Err(malformed(format!(
            "a value of type {} has no JSON form",
            result.kind.0
        ))),
    }
}

/// Cuts a text to what an error or event may hold.
pub(crate) fn clip(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT {
        return Cow::Borrowed(text);
    }
    let mut end = MAX_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}…", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_command_has_the_shape_that_the_protocol_asks_for() {
        let bytes = encode(7, "Page.reload", Some("S"), json!({"a": "\0"})).unwrap();
        let (nul, text) = bytes.split_last().unwrap();
        assert_eq!(*nul, 0);
        assert!(!text.contains(&0));
        assert_eq!(
            serde_json::from_slice::<Value>(text).unwrap(),
            json!({"id": 7, "method": "Page.reload", "params": {"a": "\0"}, "sessionId": "S"})
        );
    }

    #[test]
    fn unknown_messages_and_fields_are_read_over() {
        let text = r#"{"method":"New.event","params":{"x":[1]},"sessionId":"S","later":{"y":1}}"#;
        let incoming: Incoming<'_> = serde_json::from_str(text).unwrap();
        assert!(incoming.id.is_none());
        assert_eq!(incoming.method.unwrap().0, "New.event");
        for garbage in ["", "{", "[]", "1", "nonsense", "{\"id\":\"x\"}"] {
            assert!(serde_json::from_str::<Incoming<'_>>(garbage).is_err());
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        let error = |code, message: &str| {
            WireError {
                code,
                message: message.to_owned(),
            }
            .into_error("M.m")
        };
        let method = "M.m";
        assert_eq!(
            error(-32000, "Inspected target navigated or closed"),
            Error::ContextLost {
                method,
                in_flight: true
            }
        );
        assert_eq!(
            error(-32000, "Cannot find context with specified id"),
            Error::ContextLost {
                method,
                in_flight: false
            }
        );
        assert_eq!(
            error(-32602, "uniqueContextId not found"),
            Error::ContextLost {
                method,
                in_flight: false
            }
        );
        assert_eq!(
            error(-32001, "Session with given id not found."),
            Error::PageGone {
                method,
                in_flight: false
            }
        );
        assert!(matches!(
            error(-32601, "'M.m' wasn't found"),
            Error::Protocol { code: -32601, .. }
        ));
    }

    #[test]
    fn half_an_emoji_does_not_hide_the_rest() {
        let text = r#"{"a":"x\ud83dy","b":"\ud83d\ude00","c":"\\ud83d","d":"\ude00"}"#;
        let value: Value = read_text(text).unwrap();
        assert_eq!(
            value,
            json!({"a": "x\u{fffd}y", "b": "\u{1f600}", "c": "\\ud83d", "d": "\u{fffd}"})
        );
        // Cut anywhere, it fails cleanly.
        for end in 0..text.len() {
            assert!(read_text::<Value>(&text[..end]).is_err());
        }
    }

    #[test]
    fn values_exceptions_and_what_is_neither_are_told_apart() {
        let of = |text: &str| read_evaluated::<Value>("M.m", &raw(text));
        assert_eq!(
            of(r#"{"result":{"type":"number","value":5}}"#),
            Ok(json!(5))
        );
        assert_eq!(of(r#"{"result":{"type":"undefined"}}"#), Ok(Value::Null));
        assert_eq!(
            of(r#"{"result":{"type":"object","subtype":"null","value":null}}"#),
            Ok(Value::Null)
        );
        assert!(matches!(
            of(r#"{"result":{"type":"number","unserializableValue":"NaN"}}"#),
            Err(Error::Malformed { .. })
        ));
        assert!(matches!(
            of(r#"{"result":{"type":"object"},"exceptionDetails":{"text":"Uncaught","exception":{"description":"Error: no\n    at f"}}}"#),
            Err(Error::Exception { text, .. }) if text == "Error: no\n    at f"
        ));
        assert!(matches!(
            of(r#"{"result":{"type":"string","value":"x"},"exceptionDetails":{"text":"Uncaught (in promise)","exception":{"value":"plain"}}}"#),
            Err(Error::Exception { text, .. }) if text == "\"plain\""
        ));
    }
}
