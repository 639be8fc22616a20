//! People, groups and their addresses.

use crate::rng::mix;
use std::fmt;

/// A person's number: 7 to 15 digits. The one name under which the world
/// knows a person, whatever address the page uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Number(String);

impl Number {
    /// Reads 7 to 15 digits.
    pub fn parse(digits: &str) -> Option<Self> {
        let ok = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        ok.then(|| Self(digits.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `<digits>@c.us`.
    pub fn pn(&self) -> String {
        format!("{}@c.us", self.0)
    }

    /// The hidden id that this world gives the number: 15 digits that do not
    /// show it, the same for the same seed.
    pub(crate) fn hidden(&self, seed: u64) -> String {
        let folded = self
            .0
            .bytes()
            .fold(mix(seed ^ 0x11D), |acc, b| mix(acc ^ u64::from(b)));
        format!("{}", 100_000_000_000_000 + folded % 900_000_000_000_000)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a message stands, in the world's own terms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A chat with one person.
    Person(Number),
    /// A group, by the part before `@g.us`.
    Group(String),
    /// The stories.
    Status,
}

impl Peer {
    /// The address in the world's own form: people by number.
    pub fn canonical(&self) -> String {
        match self {
            Self::Person(number) => number.pn(),
            Self::Group(id) => format!("{id}@g.us"),
            Self::Status => "status@broadcast".to_owned(),
        }
    }
}

/// An address as it came over the wire, before anybody looked who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawAddress {
    Number(Number),
    Hidden(String),
    Group(String),
    Status,
}

impl RawAddress {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let Some((user, server)) = text.split_once('@') else {
            return Number::parse(text).map(Self::Number);
        };
        // A device suffix (`:12`) names one device of a person.
        let user = user.split(':').next().unwrap_or(user);
        let digits = !user.is_empty() && user.len() <= 32;
        match server {
            "c.us" | "s.whatsapp.net" => Number::parse(user).map(Self::Number),
            "lid" if digits && user.bytes().all(|b| b.is_ascii_digit()) => {
                Some(Self::Hidden(user.to_owned()))
            }
            "g.us" if digits && user.bytes().all(|b| b.is_ascii_digit() || b == b'-') => {
                Some(Self::Group(user.to_owned()))
            }
            "broadcast" if user == "status" => Some(Self::Status),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_form() {
        let n = |s: &str| Some(RawAddress::Number(Number::parse(s).unwrap()));
        assert_eq!(RawAddress::parse("4915123456789@c.us"), n("4915123456789"));
        assert_eq!(
            RawAddress::parse("4915123456789:3@s.whatsapp.net"),
            n("4915123456789")
        );
        assert_eq!(RawAddress::parse("4915123456789"), n("4915123456789"));
        assert_eq!(
            RawAddress::parse("status@broadcast"),
            Some(RawAddress::Status)
        );
        for wrong in ["", "x@c.us", "1@c.us", "12@example.org", "a@lid", "@g.us"] {
            assert_eq!(RawAddress::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hidden_ids_are_stable_and_do_not_collide_easily() {
        let a = Number::parse("4915123456789").unwrap();
        let b = Number::parse("4915123456788").unwrap();
        assert_eq!(a.hidden(1), a.hidden(1));
        assert_ne!(a.hidden(1), b.hidden(1));
        assert_ne!(a.hidden(1), a.hidden(2));
        assert_eq!(a.hidden(1).len(), 15);
    }
}
