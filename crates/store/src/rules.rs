//! What each event does to one message: the part that every store shares.
//!
//! A store keeps rows and queues; what an outcome, an ack or a person's word
//! makes of a message is decided here, once.

use sha2::{Digest as _, Sha256};
use steadfast_core::event::{EventData, Told, WebhookNotice};
use steadfast_core::ids::{LoginGeneration, SessionId, WebhookId};
use steadfast_core::outbox::{Ack, NewMessage, RELEASED, SLOWED_DOWN, Status};
use steadfast_core::port::{EventPage, Incident, NewAudit, Outcome, Recorded, TrimEvents};
use steadfast_core::time::UnixMs;

/// The most messages that one claim gives, whatever limit was asked for.
pub const MAX_CLAIM: u32 = 1_000;
/// The newest attempts that are kept of each message.
pub const MAX_ATTEMPTS_KEPT: u32 = 50;
/// The newest incidents that are kept of each session.
pub const MAX_INCIDENTS_KEPT: u32 = 1_000;
/// The newest steps that are kept of each incident.
pub const MAX_INCIDENT_STEPS: usize = 100;
/// How long what pacing must know is kept, in milliseconds: a week.
pub(crate) const PACE_KEPT_MS: i64 = 7 * 86_400_000;
/// The newest acts that are kept in the audit log.
pub const MAX_AUDIT_KEPT: u32 = 10_000;
/// The newest dead letters that are kept of each endpoint.
pub const MAX_DEAD_KEPT: u32 = 10_000;
/// The newest delivery attempts that are kept of each endpoint.
pub const MAX_DELIVERY_ATTEMPTS_KEPT: u32 = 1_000;
/// Events that one query of the log looks at, at most.
pub const MAX_EVENTS_LOOKED_AT: u32 = 10_000;
/// A detail is one sentence; more characters than this are cut off.
const MAX_DETAIL: usize = 500;

/// What changes in a message's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) due_at: UnixMs,
    pub(crate) updated_at: UnixMs,
    pub(crate) login: Option<LoginGeneration>,
    pub(crate) acks: Vec<(Ack, UnixMs)>,
}

impl Standing {
    /// Where a message stands that was just accepted.
    pub(crate) fn accepted(message: &NewMessage) -> Self {
        Self {
            status: Status::Accepted,
            reason: None,
            detail: None,
            attempts: 0,
            due_at: message.due_at,
            updated_at: message.accepted_at,
            login: None,
            acks: Vec::new(),
        }
    }

    /// It is claimed: from here on WhatsApp may have it. One that is in doubt
    /// keeps the login it may have been sent under until the doubt is settled:
    /// were this claim's outcome lost, it must not seem to be of this login.
    pub(crate) fn begin_attempt(&mut self, login: LoginGeneration, now: UnixMs) {
        let in_doubt = self.status == Status::Sending;
        if !in_doubt || self.login.is_none() {
            self.login = Some(login);
        }
        self.status = Status::Sending;
        self.attempts = self.attempts.saturating_add(1);
        self.updated_at = now;
    }

    /// Whether it waits for no turn: an attempt has begun, so that it may be
    /// with WhatsApp. What WhatsApp refused as too fast waits for another one.
    pub(crate) fn has_begun(&self) -> bool {
        let refused =
            self.status == Status::Accepted && self.reason.as_deref() == Some(SLOWED_DOWN);
        self.attempts > 0 && !refused
    }

    /// What came of an attempt.
    ///
    /// An owed message goes where the outcome says. One that has left the
    /// queue meanwhile (an ack was faster) only ever moves forward. One that
    /// nobody ever claimed stays as it is: there was no attempt.
    pub(crate) fn record(&mut self, recorded: &Recorded) {
        if self.attempts == 0 {
            return;
        }
        if let Outcome::Sent(ack) = recorded.outcome
            && self.ack(ack, recorded.at)
        {
            return;
        }
        if !self.status.is_owed() {
            return;
        }
        let reason = match &recorded.outcome {
            // No server has it yet, whatever the page hopes: look it up.
            Outcome::Sent(_) => {
                self.status = Status::Sending;
                self.due_at = recorded.at;
                "unknown"
            }
            Outcome::NotSent { retry_at } => {
                self.status = Status::Accepted;
                self.due_at = *retry_at;
                "not_sent"
            }
            Outcome::SlowedDown { retry_at } => {
                self.status = Status::Accepted;
                self.due_at = *retry_at;
                SLOWED_DOWN
            }
            Outcome::Unknown { retry_at } => {
                self.status = Status::Sending;
                self.due_at = *retry_at;
                "unknown"
            }
            Outcome::Rejected(reason) => {
                self.status = Status::Rejected;
                reason.as_str()
            }
            Outcome::Parked(reason) => {
                self.status = Status::Parked;
                reason.as_str()
            }
            Outcome::Expired => {
                self.status = Status::Expired;
                "expired"
            }
        };
        self.reason = Some(reason.to_owned());
        self.detail = recorded.detail.as_deref().map(cut);
        self.updated_at = recorded.at;
    }

    /// WhatsApp's word on how far it has come; `false` where that is no move.
    ///
    /// A message that no attempt has touched was never with WhatsApp: an ack
    /// cannot mean it.
    pub(crate) fn ack(&mut self, ack: Ack, at: UnixMs) -> bool {
        if self.attempts == 0 {
            return false;
        }
        let Some(next) = self.status.after_ack(ack) else {
            return false;
        };
        self.status = next;
        self.reason = None;
        self.detail = None;
        self.updated_at = at;
        self.acks.push((ack, at));
        true
    }

    /// Its owner takes it back; `false` where it is too late.
    pub(crate) fn cancel(&mut self, at: UnixMs) -> bool {
        if self.status != Status::Accepted {
            return false;
        }
        self.settle_by_person(Status::Cancelled, at);
        true
    }

    /// Its time is up before an attempt could be made; `false` where one may
    /// be under way, or it is settled.
    pub(crate) fn expire(&mut self, at: UnixMs) -> bool {
        if self.status != Status::Accepted {
            return false;
        }
        self.status = Status::Expired;
        self.reason = Some("expired".to_owned());
        self.detail = None;
        self.updated_at = at;
        true
    }

    /// A person decides on a parked message; `false` where it is not parked.
    pub(crate) fn unpark(&mut self, release: bool, at: UnixMs) -> bool {
        if self.status != Status::Parked {
            return false;
        }
        if release {
            self.settle_by_person(Status::Accepted, at);
            self.reason = Some(RELEASED.to_owned());
            self.due_at = at;
        } else {
            self.settle_by_person(Status::Cancelled, at);
        }
        true
    }

    fn settle_by_person(&mut self, status: Status, at: UnixMs) {
        self.status = status;
        self.reason = None;
        self.detail = None;
        self.updated_at = at;
    }
}

/// Before when what is over may be forgotten: the log's oldest event may
/// still tell of what changed since it.
pub(crate) fn forgettable_before(before: UnixMs, told_since: Option<UnixMs>) -> UnixMs {
    told_since.map_or(before, |since| before.min(since))
}

/// The stable name under which an attempt keeps its outcome.
pub(crate) fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Sent(Ack::Pending) | Outcome::Unknown { .. } => "unknown",
        Outcome::Sent(_) => "sent",
        Outcome::NotSent { .. } => "not_sent",
        Outcome::SlowedDown { .. } => SLOWED_DOWN,
        Outcome::Rejected(_) => "rejected",
        Outcome::Parked(_) => "parked",
        Outcome::Expired => "expired",
    }
}

/// An incident with no more steps than are kept.
pub(crate) fn bounded(mut incident: Incident) -> Incident {
    let surplus = incident.steps.len().saturating_sub(MAX_INCIDENT_STEPS);
    incident.steps.drain(..surplus);
    incident
}

/// An act as it is kept: what somebody named is cut.
pub(crate) fn bounded_audit(mut entry: NewAudit) -> NewAudit {
    entry.actor = cut(&entry.actor);
    entry.target = entry.target.as_deref().map(cut);
    entry.detail = entry.detail.as_deref().map(cut);
    entry
}

/// An incident as an event tells of it: without its steps.
pub(crate) fn told(incident: &Incident) -> EventData {
    EventData::Incident(Box::new(Incident {
        steps: Vec::new(),
        ..incident.clone()
    }))
}

/// Up to where events may be dropped for the sake of endpoints: what is owed
/// stays. Where that is more than is kept at most, a tenth of it goes at once:
/// the gap that is told is an event too, and must not make the next gap.
pub(crate) fn may_go(trim: &TrimEvents, newest: i64, owed: Option<i64>) -> i64 {
    let Some(owed) = owed else {
        return i64::MAX;
    };
    let most = i64::try_from(trim.keep_owed).unwrap_or(i64::MAX);
    if newest.saturating_sub(owed) <= most {
        return owed;
    }
    owed.max(newest.saturating_sub(most - most / 10))
}

/// What is read behind a position that there never was.
pub(crate) fn no_such_position(newest: i64) -> EventPage {
    EventPage {
        events: Vec::new(),
        next: newest,
        more: false,
        gap: true,
    }
}

/// What is told of an endpoint that missed events.
pub(crate) fn gap(id: &WebhookId, missed: u64) -> Told {
    Told::WebhookGap(WebhookNotice {
        webhook: id.to_string(),
        missed: Some(missed),
        detail: "it was not given these events in time: they were older, or more, than are kept"
            .to_owned(),
    })
}

/// What the id of an event is made of that is what it is by its position.
pub(crate) fn unique_by_place(salt: &[u8], seq: i64) -> [u8; 10] {
    unique(&[salt, b"place", &seq.to_be_bytes()])
}

/// The same of one that may be told more than once, also after it was forgotten.
pub(crate) fn unique_by_name(salt: &[u8], session: &SessionId, key: &str) -> [u8; 10] {
    unique(&[
        salt,
        b"name",
        session.as_str().as_bytes(),
        b" ",
        key.as_bytes(),
    ])
}

fn unique(parts: &[&[u8]]) -> [u8; 10] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    let mut unique = [0; 10];
    unique.copy_from_slice(&digest.finalize()[..10]);
    unique
}

/// A detail of bounded length.
pub(crate) fn cut(detail: &str) -> String {
    detail.chars().take(MAX_DETAIL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_core::outbox::{ParkReason, RejectReason};

    fn claimed() -> Standing {
        Standing {
            status: Status::Sending,
            reason: None,
            detail: None,
            attempts: 1,
            due_at: UnixMs(10),
            updated_at: UnixMs(20),
            login: Some(LoginGeneration(1)),
            acks: Vec::new(),
        }
    }

    fn recorded(outcome: Outcome) -> Recorded {
        Recorded {
            id: steadfast_core::ids::MessageId::mint(UnixMs(1), [0; 10]),
            outcome,
            detail: Some("why".to_owned()),
            at: UnixMs(30),
        }
    }

    #[test]
    fn each_outcome_has_its_place() {
        for (outcome, status, reason, due_at) in [
            (Outcome::Sent(Ack::Device), Status::Delivered, None, 10),
            (
                Outcome::Sent(Ack::Pending),
                Status::Sending,
                Some("unknown"),
                30,
            ),
            (
                Outcome::NotSent {
                    retry_at: UnixMs(40),
                },
                Status::Accepted,
                Some("not_sent"),
                40,
            ),
            (
                Outcome::SlowedDown {
                    retry_at: UnixMs(45),
                },
                Status::Accepted,
                Some("rate_limited"),
                45,
            ),
            (
                Outcome::Unknown {
                    retry_at: UnixMs(50),
                },
                Status::Sending,
                Some("unknown"),
                50,
            ),
            (
                Outcome::Rejected(RejectReason::MediaInvalid),
                Status::Rejected,
                Some("media_invalid"),
                10,
            ),
            (
                Outcome::Parked(ParkReason::LoginLost),
                Status::Parked,
                Some("login_lost"),
                10,
            ),
            (Outcome::Expired, Status::Expired, Some("expired"), 10),
        ] {
            let mut standing = claimed();
            standing.record(&recorded(outcome.clone()));
            assert_eq!(standing.status, status, "{outcome:?}");
            assert_eq!(standing.reason.as_deref(), reason, "{outcome:?}");
            assert_eq!(standing.due_at, UnixMs(due_at), "{outcome:?}");
            assert_eq!(standing.updated_at, UnixMs(30), "{outcome:?}");
        }
    }

    #[test]
    fn what_is_with_whatsapp_never_comes_back() {
        let mut standing = claimed();
        assert!(standing.ack(Ack::Read, UnixMs(25)));
        let sent = standing.clone();
        for outcome in [
            Outcome::Sent(Ack::Server),
            Outcome::Sent(Ack::Pending),
            Outcome::NotSent {
                retry_at: UnixMs(40),
            },
            Outcome::Unknown {
                retry_at: UnixMs(40),
            },
            Outcome::Rejected(RejectReason::RecipientInvalid),
            Outcome::Parked(ParkReason::LookupUnavailable),
            Outcome::Expired,
        ] {
            standing.record(&recorded(outcome.clone()));
            assert_eq!(standing, sent, "{outcome:?}");
        }
        standing.record(&recorded(Outcome::Sent(Ack::Played)));
        assert_eq!(standing.status, Status::Played);
        assert_eq!(
            standing.acks,
            [(Ack::Read, UnixMs(25)), (Ack::Played, UnixMs(30))]
        );
    }

    #[test]
    fn details_and_steps_are_bounded() {
        let mut standing = claimed();
        let mut long = recorded(Outcome::Expired);
        long.detail = Some("é".repeat(2_000));
        standing.record(&long);
        assert_eq!(standing.detail.map(|d| d.chars().count()), Some(MAX_DETAIL));
    }
}
