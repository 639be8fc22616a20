//! Where a message stands, and why it stands there.

use super::Ack;
use serde::{Deserialize, Serialize};

/// One message's life: accepted, sending, sent, delivered, read, played; or
/// rejected, expired, cancelled, parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// On our disk, and surely not yet handed to WhatsApp.
    Accepted,
    /// An attempt has begun: WhatsApp may have it. Only a look-up may tell.
    Sending,
    /// WhatsApp's server has it.
    Sent,
    /// A device of the recipient has it.
    Delivered,
    /// It was shown to the recipient.
    Read,
    /// A voice note or video was played.
    Played,
    /// WhatsApp, or its content, makes it undeliverable.
    Rejected,
    /// Its time to live ran out before an attempt began.
    Expired,
    /// Its owner took it back before an attempt began.
    Cancelled,
    /// Needs a person: whether it was sent cannot be known, or it failed too often.
    Parked,
}

impl Status {
    /// The name used in the API, the store, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Parked => "parked",
        }
    }

    /// Reads the name again.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Every status, in the order of life.
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Played,
        Self::Rejected,
        Self::Expired,
        Self::Cancelled,
        Self::Parked,
    ];

    /// Whether we still owe it: it waits in its chat's queue.
    pub fn is_owed(self) -> bool {
        matches!(self, Self::Accepted | Self::Sending)
    }

    /// The status that an ack leads to, or `None` where it would move back,
    /// or where the message was never with WhatsApp.
    ///
    /// A parked or expired message that turns out to be with the server after
    /// all is sent: the server's word beats our doubt.
    pub fn after_ack(self, ack: Ack) -> Option<Self> {
        let next = match ack {
            Ack::Pending => return None,
            Ack::Server => Self::Sent,
            Ack::Device => Self::Delivered,
            Ack::Read => Self::Read,
            Ack::Played => Self::Played,
        };
        (next.progress() > self.progress()).then_some(next)
    }

    fn progress(self) -> u8 {
        match self {
            Self::Accepted
            | Self::Sending
            | Self::Parked
            | Self::Expired
            | Self::Cancelled
            | Self::Rejected => 0,
            Self::Sent => 1,
            Self::Delivered => 2,
            Self::Read => 3,
            Self::Played => 4,
        }
    }
}

/// Why a message waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// It was in flight when the login was lost: the new login cannot look it up.
    LoginLost,
    /// The look-up itself is unavailable and cannot decide.
    LookupUnavailable,
    /// WhatsApp failed it time and again without a reason of its own.
    TooManyAttempts,
}

impl ParkReason {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoginLost => "login_lost",
            Self::LookupUnavailable => "lookup_unavailable",
            Self::TooManyAttempts => "too_many_attempts",
        }
    }
}

/// Why a message can never be sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// Nobody with WhatsApp stands behind the recipient's number or id.
    RecipientInvalid,
    /// WhatsApp or the page does not take this media.
    MediaInvalid,
    /// WhatsApp lets this account write to this recipient only slowly, or not
    /// at all (463): trying again makes it worse.
    RateLimited,
    /// The request itself can never succeed.
    PermanentRequestError,
}

impl RejectReason {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RecipientInvalid => "recipient_invalid",
            Self::MediaInvalid => "media_invalid",
            Self::RateLimited => "rate_limited",
            Self::PermanentRequestError => "permanent_request_error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_only_move_forward() {
        assert_eq!(Status::Sending.after_ack(Ack::Server), Some(Status::Sent));
        assert_eq!(Status::Sent.after_ack(Ack::Read), Some(Status::Read));
        assert_eq!(Status::Read.after_ack(Ack::Device), None);
        assert_eq!(Status::Read.after_ack(Ack::Read), None);
        assert_eq!(Status::Sending.after_ack(Ack::Pending), None);
        assert_eq!(Status::Parked.after_ack(Ack::Server), Some(Status::Sent));
    }

    #[test]
    fn names_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
    }
}
