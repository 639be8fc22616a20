//! The kinds of events, and sets of them.

use crate::outbox::Status;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $code:literal $name:literal;)*) => {
        /// What an event tells of. Names and codes never change their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $($(#[doc = $doc])* $kind,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// Its number in the store, below 64.
            pub fn code(self) -> u8 {
                match self { $(Self::$kind => $code),* }
            }

            /// What it tells, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$kind => concat!($($doc),*).trim_ascii()),* }
            }
        }
    };
}

kinds! {
    /// A message of ours is on disk and will be sent.
    MessageAccepted = 1 "message.accepted";
    /// WhatsApp's server has a message of ours.
    MessageSent = 2 "message.sent";
    /// A device of the recipient has it.
    MessageDelivered = 3 "message.delivered";
    /// It was shown to the recipient.
    MessageRead = 4 "message.read";
    /// A voice note or video of ours was played.
    MessagePlayed = 5 "message.played";
    /// WhatsApp, or its content, makes a message of ours undeliverable.
    MessageRejected = 6 "message.rejected";
    /// The time to live of a message of ours ran out before an attempt began.
    MessageExpired = 7 "message.expired";
    /// A message of ours was taken back before it was sent.
    MessageCancelled = 8 "message.cancelled";
    /// A message of ours needs a person.
    MessageParked = 9 "message.parked";
    /// A person released a parked message: it is sent again.
    MessageReleased = 10 "message.released";
    /// Somebody wrote to this account.
    MessageReceived = 20 "message.received";
    /// This account wrote a message on another of its devices.
    MessageSentElsewhere = 21 "message.sent_elsewhere";
    /// A message has a new text.
    MessageEdited = 22 "message.edited";
    /// A message was deleted for everyone.
    MessageRevoked = 23 "message.revoked";
    /// Somebody reacted to a message, or took the reaction back.
    MessageReaction = 24 "message.reaction";
    /// A group has changed: members, roles, subject, settings.
    GroupChanged = 30 "group.changed";
    /// A session was added.
    SessionCreated = 40 "session.created";
    /// A session changed its state.
    SessionState = 41 "session.state";
    /// A session was removed with everything that belonged to it.
    SessionDeleted = 42 "session.deleted";
    /// A session failed, and is being healed.
    IncidentOpened = 50 "incident.opened";
    /// An incident ended: healed, stopped, or handed to a person.
    IncidentClosed = 51 "incident.closed";
    /// An endpoint was switched off: it answered 410.
    WebhookDisabled = 60 "webhook.disabled";
    /// Events were dropped before an endpoint could be given them.
    WebhookGap = 61 "webhook.gap";
    /// A test of an endpoint; never in the log.
    WebhookTest = 62 "webhook.test";
}

impl EventKind {
    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|kind| kind.as_str() == name).copied()
    }

    /// The kind of this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().find(|kind| kind.code() == code).copied()
    }

    /// What the move of a message from one status to another is told as.
    /// Beginnings of attempts, and attempts that lead to another, are not told.
    pub fn of_move(from: Status, to: Status) -> Option<Self> {
        if from == to {
            return None;
        }
        match to {
            Status::Accepted => (from == Status::Parked).then_some(Self::MessageReleased),
            Status::Sending => None,
            Status::Sent => Some(Self::MessageSent),
            Status::Delivered => Some(Self::MessageDelivered),
            Status::Read => Some(Self::MessageRead),
            Status::Played => Some(Self::MessagePlayed),
            Status::Rejected => Some(Self::MessageRejected),
            Status::Expired => Some(Self::MessageExpired),
            Status::Cancelled => Some(Self::MessageCancelled),
            Status::Parked => Some(Self::MessageParked),
        }
    }

    /// The status of a message of ours that such an event tells of.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::MessageAccepted | Self::MessageReleased => Some(Status::Accepted),
            Self::MessageSent => Some(Status::Sent),
            Self::MessageDelivered => Some(Status::Delivered),
            Self::MessageRead => Some(Status::Read),
            Self::MessagePlayed => Some(Status::Played),
            Self::MessageRejected => Some(Status::Rejected),
            Self::MessageExpired => Some(Status::Expired),
            Self::MessageCancelled => Some(Status::Cancelled),
            Self::MessageParked => Some(Status::Parked),
            Self::MessageReceived
            | Self::MessageSentElsewhere
            | Self::MessageEdited
            | Self::MessageRevoked
            | Self::MessageReaction
            | Self::GroupChanged
            | Self::SessionCreated
            | Self::SessionState
            | Self::SessionDeleted
            | Self::IncidentOpened
            | Self::IncidentClosed
            | Self::WebhookDisabled
            | Self::WebhookGap
            | Self::WebhookTest => None,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name)
            .ok_or_else(|| serde::de::Error::custom(format!("{name:?} is no kind of event")))
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKinds(u64);

/// A text names no kind of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no kind of event: use a name like message.sent, a group of them like message.*, or *"
)]
pub struct NoEventKind(pub String);

impl EventKinds {
    /// All of them.
    pub const ALL: Self = Self(u64::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// The kinds that these patterns name: `message.sent`, `message.*`, `*`.
    ///
    /// # Errors
    /// Where one names none.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, NoEventKind> {
        let mut set = Self::NONE;
        for pattern in patterns {
            let named = Self::named(pattern);
            if named == Self::NONE {
                return Err(NoEventKind(pattern.chars().take(64).collect()));
            }
            set.0 |= named.0;
        }
        Ok(set)
    }

    fn named(pattern: &str) -> Self {
        if pattern == "*" {
            return Self::ALL;
        }
        let group = pattern.strip_suffix('*').filter(|p| p.ends_with('.'));
        let mut set = Self::NONE;
        for kind in EventKind::ALL {
            let name = kind.as_str();
            if name == pattern || group.is_some_and(|group| name.starts_with(group)) {
                set = set.with(*kind);
            }
        }
        set
    }

    /// This set and one more kind.
    #[must_use]
    pub fn with(self, kind: EventKind) -> Self {
        Self(self.0 | (1 << kind.code()))
    }

    /// Whether a kind is in it.
    pub fn has(self, kind: EventKind) -> bool {
        self.0 & (1 << kind.code()) != 0
    }
}

impl Default for EventKinds {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_codes_are_unique_and_read_back() {
        let names: BTreeSet<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let codes: BTreeSet<_> = EventKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(names.len(), EventKind::ALL.len());
        assert_eq!(codes.len(), EventKind::ALL.len());
        for kind in EventKind::ALL {
            assert!(kind.code() < 64);
            assert_eq!(EventKind::parse(kind.as_str()), Some(*kind));
            assert_eq!(EventKind::from_code(kind.code()), Some(*kind));
        }
    }

    #[test]
    fn patterns_name_kinds() {
        let set = EventKinds::of(["message.*", "incident.opened"]).unwrap();
        assert!(set.has(EventKind::MessageSent) && set.has(EventKind::IncidentOpened));
        assert!(!set.has(EventKind::IncidentClosed) && !set.has(EventKind::SessionState));
        for kind in EventKind::ALL {
            assert!(EventKinds::of(["*"]).unwrap().has(*kind));
        }
        for wrong in [
            "",
            "message",
            "message*",
            "mess.*",
            ".*",
            "message.gone",
            "**",
        ] {
            assert!(EventKinds::of([wrong]).is_err(), "{wrong:?} was taken");
        }
    }

    /// Whatever ends a message, or moves it on, is told; what leads to another attempt is not.
    #[test]
    fn each_move_that_matters_is_told() {
        for from in Status::ALL {
            for to in Status::ALL {
                let told = EventKind::of_move(from, to);
                match told {
                    Some(EventKind::MessageReleased) => {
                        assert_eq!((from, to), (Status::Parked, Status::Accepted));
                    }
                    Some(kind) => assert_eq!(kind.status(), Some(to)),
                    None => assert!(
                        from == to || matches!(to, Status::Sending | Status::Accepted),
                        "{from:?} to {to:?}"
                    ),
                }
            }
        }
    }
}
