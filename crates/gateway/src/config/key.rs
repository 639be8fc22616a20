//! What a configuration key is: its name, its type with bounds, its default,
//! its one-sentence meaning; and how a value is read and checked.

use super::check;
use toml::Value;

/// One key. The table of all keys drives parsing, `steadfast config`, its
/// help and docs/CONFIGURATION.md.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// `section.key`.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The value where nobody sets it.
    pub default: Preset,
    /// What it does, for a person.
    pub doc: &'static str,
}

/// What values a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number within bounds.
    Number {
        /// The smallest that is taken.
        min: i64,
        /// The largest that is taken.
        max: i64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text that this check takes; the check says what would be right.
    Text(check::TextCheck),
    /// A list of texts, each of which the check takes.
    List(check::TextCheck),
}

/// A default.
#[derive(Debug, Clone, Copy)]
pub enum Preset {
    /// For a switch.
    Switch(bool),
    /// For a number.
    Number(i64),
    /// For a choice or a text; empty means "not set".
    Text(&'static str),
    /// For a list: always empty.
    Empty,
}

impl Key {
    /// `STEADFAST_SECTION__KEY`.
    pub fn env_name(&self) -> String {
        format!("STEADFAST_{}", self.name.replacen('.', "__", 1)).to_ascii_uppercase()
    }

    /// The part before the dot.
    pub fn section(&self) -> &'static str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// The part after the dot.
    pub fn leaf(&self) -> &'static str {
        self.name.split('.').nth(1).unwrap_or_default()
    }

    /// The default as a value.
    pub fn default_value(&self) -> Value {
        match self.default {
            Preset::Switch(on) => Value::Boolean(on),
            Preset::Number(number) => Value::Integer(number),
            Preset::Text(text) => Value::String(text.to_owned()),
            Preset::Empty => Value::Array(Vec::new()),
        }
    }

    /// Reads a value that came as text, from the environment or a flag.
    ///
    /// # Errors
    /// What would be right, where it is not.
    pub fn read_text(&self, text: &str) -> Result<Value, String> {
        let value = match self.kind {
            Kind::Switch => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Value::Boolean(true),
                "false" | "0" | "no" | "off" => Value::Boolean(false),
                _ => return Err(self.wanted(&format!("{text:?}"))),
            },
            Kind::Number { .. } => match text.trim().replace('_', "").parse() {
                Ok(number) => Value::Integer(number),
                Err(_) => return Err(self.wanted(&format!("{text:?}"))),
            },
            Kind::Choice(_) | Kind::Text(_) => Value::String(text.to_owned()),
            Kind::List(_) => read_list(text)?,
        };
        self.checked(value)
    }

    /// Checks a value's type and bounds.
    ///
    /// # Errors
    /// What would be right, where it is not.
    pub fn checked(&self, value: Value) -> Result<Value, String> {
        match (&self.kind, &value) {
            (Kind::Switch, Value::Boolean(_)) => Ok(value),
            (Kind::Number { min, max }, Value::Integer(number)) => {
                if (min..=max).contains(&number) {
                    Ok(value)
                } else {
                    Err(self.wanted(&number.to_string()))
                }
            }
            (Kind::Choice(words), Value::String(text)) => {
                if words.contains(&text.as_str()) {
                    Ok(value)
                } else {
                    Err(self.wanted(&format!("{text:?}")))
                }
            }
            (Kind::Text(check), Value::String(text)) => check(text).map(|()| value),
            (Kind::List(check), Value::Array(items)) => {
                for item in items {
                    match item {
                        Value::String(text) => check(text)?,
                        other => return Err(self.wanted(&format!("a list with {other}"))),
                    }
                }
                Ok(value)
            }
            (_, other) => Err(self.wanted(&format!("{} {other}", other.type_str()))),
        }
    }

    fn wanted(&self, got: &str) -> String {
        format!("{got} is not {}", self.expects())
    }

    /// What it takes, for a person.
    pub fn expects(&self) -> String {
        match self.kind {
            Kind::Switch => "true or false".to_owned(),
            Kind::Number { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Choice(words) => {
                let quoted: Vec<_> = words.iter().map(|w| format!("{w:?}")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Kind::Text(_) => "a text".to_owned(),
            Kind::List(_) => "a list of texts".to_owned(),
        }
    }
}

/// A list as text: a TOML array, or words with commas between them. Arguments
/// that hold commas need the array.
fn read_list(text: &str) -> Result<Value, String> {
    let text = text.trim();
    if text.starts_with('[') {
        let table: toml::Table = format!("v = {text}")
            .parse()
            .map_err(|_| format!("{text:?} is not a list: write [\"a\", \"b\"] or a,b"))?;
        return table
            .get("v")
            .cloned()
            .ok_or_else(|| format!("{text:?} is not a list"));
    }
    Ok(Value::Array(
        text.split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(|word| Value::String(word.to_owned()))
            .collect(),
    ))
}
