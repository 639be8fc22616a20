//! Valid JSON made strange: the shape is nearly right, so that it is read far.
//!
//! Shared by the fuzz tests of this crate and of the engine.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// What stands in the place of a value.
fn stranger() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![
            Just(json!(-1)),
            Just(json!(i64::MIN)),
            Just(json!(i64::MAX)),
            Just(json!(u64::MAX)),
            Just(json!(1e308)),
            Just(json!(0.5)),
        ],
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        (1..3_000_usize).prop_map(|times| Value::from("é\0x\u{1F600}".repeat(times))),
        Just(json!([])),
        Just(json!({})),
        (1..200_usize).prop_map(nested),
    ]
}

/// Lists in lists, so many deep.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| json!([inner]))
}

/// One change of a value inside a message.
#[derive(Debug, Clone)]
enum Change {
    Replace(Index, Value),
    Remove(Index),
    Double(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), stranger()).prop_map(|(at, with)| Change::Replace(at, with)),
        1 => any::<Index>().prop_map(Change::Remove),
        1 => any::<Index>().prop_map(Change::Double),
    ]
}

/// One change of the text itself.
#[derive(Debug, Clone)]
enum Slip {
    Insert(Index, Vec<u8>),
    Flip(Index, u8),
    Cut(Index),
}

fn slip() -> impl Strategy<Value = Slip> {
    let piece = prop_oneof![
        Just(br"\ud83d".to_vec()),
        Just(br"\udc00\ud800".to_vec()),
        Just(b"\0".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"1e999999".to_vec()),
        Just("[".repeat(5_000).into_bytes()),
        Just(b"{\"a\":".repeat(5_000)),
        prop::collection::vec(any::<u8>(), 1..8),
    ];
    prop_oneof![
        3 => (any::<Index>(), piece).prop_map(|(at, piece)| Slip::Insert(at, piece)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Slip::Flip(at, bits)),
        1 => any::<Index>().prop_map(Slip::Cut),
    ]
}

/// A message, shown as text.
#[derive(Clone)]
pub(crate) struct Garbled(pub(crate) Vec<u8>);

impl std::fmt::Debug for Garbled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// One of these messages with a few changes inside, and now and then in its text.
pub(crate) fn garbled(valid: Vec<String>) -> impl Strategy<Value = Garbled> {
    let changes = prop::collection::vec(change(), 0..4);
    let slips = prop::collection::vec(slip(), 0..3);
    let text = prop_oneof![2 => Just(Vec::new()), 1 => slips];
    (prop::sample::select(valid), changes, text).prop_map(|(valid, changes, slips)| {
        let mut value: Value = serde_json::from_str(&valid).unwrap_or_default();
        for change in &changes {
            let count = places(&value);
            match change {
                Change::Replace(at, with) => edit(&mut value, at.index(count), Edit::Be(with)),
                Change::Remove(at) => edit(&mut value, at.index(count), Edit::Go),
                Change::Double(at) => edit(&mut value, at.index(count), Edit::Double),
            };
        }
        let mut text = value.to_string().into_bytes();
        for slip in slips {
            match slip {
                Slip::Insert(at, piece) => {
                    let at = at.index(text.len() + 1);
                    text.splice(at..at, piece);
                }
                Slip::Flip(at, bits) if !text.is_empty() => {
                    let at = at.index(text.len());
                    text[at] ^= bits;
                }
                Slip::Flip(..) => {}
                Slip::Cut(at) => text.truncate(at.index(text.len() + 1)),
            }
        }
        Garbled(text)
    })
}

/// How many values a message holds, itself among them.
fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(places).sum(),
        Value::Object(map) => map.values().map(places).sum(),
        _ => 0,
    }
}

#[derive(Clone, Copy)]
enum Edit<'v> {
    Be(&'v Value),
    /// The list or object that it is empties.
    Go,
    /// A list holds all it has twice; anything else becomes a list of itself, twice.
    Double,
}

/// Edits the value at this place; gives how many places it stepped over, where it did not.
fn edit(value: &mut Value, at: usize, how: Edit<'_>) -> Option<usize> {
    if at == 0 {
        match (how, &mut *value) {
            (Edit::Be(other), _) => *value = other.clone(),
            (Edit::Go, Value::Object(map)) => map.clear(),
            (Edit::Go, _) => *value = Value::Null,
            (Edit::Double, Value::Array(list)) => list.extend(list.clone()),
            (Edit::Double, _) => *value = json!([value.clone(), value.clone()]),
        }
        return None;
    }
    let mut left = at - 1;
    let mut inner: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Array(list) => Box::new(list.iter_mut()),
        Value::Object(map) => Box::new(map.values_mut()),
        _ => return Some(left),
    };
    inner
        .try_for_each(|value| match edit(value, left, how) {
            Some(rest) => {
                left = rest;
                Ok(())
            }
            None => Err(()),
        })
        .ok()
        .map(|()| left)
}
