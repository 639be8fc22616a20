//! What to do with one message: decide, send, look up, settle.
//!
//! The rule that everything here serves: *ambiguous means look the id up,
//! never send again*.

use super::{Ack, Claimed, ParkReason, RejectReason, Status};
use crate::backoff::Backoff;
use crate::failure::{Failure, Kind, Resend, Rung};
use crate::ids::LoginGeneration;
use crate::port::{LookupOutcome, Outcome, SendOutcome};
use crate::time::UnixMs;

/// How patient delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPolicy {
    /// How long a message may stay in the page's own outbox before it is
    /// looked up again, in milliseconds.
    pub recheck_ms: u64,
    /// Attempts after which a message that never settles waits for a person.
    pub max_attempts: u32,
    /// Waits between attempts that fail by their own.
    pub backoff: Backoff,
    /// Waits after WhatsApp has asked to slow down: each try too soon prolongs it.
    pub slow_backoff: Backoff,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            recheck_ms: 2_000,
            max_attempts: 100,
            backoff: Backoff {
                base_ms: 1_000,
                max_ms: 60_000,
            },
            slow_backoff: Backoff {
                base_ms: 30_000,
                max_ms: 900_000,
            },
        }
    }
}

/// What to do with a message that was just claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Hand it over: WhatsApp surely lacks it.
    Send,
    /// An earlier attempt ended unknown: ask first.
    LookUp,
    /// Settle it without WhatsApp.
    Settle(Settled),
}

/// How a message leaves delivery, for now or for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// WhatsApp has it, this far.
    Sent(Ack),
    /// Surely not sent: again in so many milliseconds.
    RetryIn(u64),
    /// Surely not sent, since messages come too fast: again in so many
    /// milliseconds, however often that was so.
    SlowedDown(u64),
    /// Not known: look it up in so many milliseconds.
    CheckIn(u64),
    /// Its own fault.
    Rejected(RejectReason),
    /// A person must decide.
    Parked(ParkReason),
    /// Too late to begin.
    Expired,
}

/// What follows a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterLookup {
    /// It is decided.
    Settle(Settled),
    /// WhatsApp surely lacks it, or drops a copy: send under the same id.
    SendSameId,
    /// It waits in the page's own outbox: ask the page to send it again.
    ResendFromPage,
}

/// The reason of a message that waits because WhatsApp asks to slow down.
pub const SLOWED_DOWN: &str = "rate_limited";
/// The reason of a message that a person has released: it gets one more try,
/// however many there were.
pub const RELEASED: &str = "released";

/// Decides what to do with a claimed message.
pub fn plan(
    claimed: &Claimed,
    login: LoginGeneration,
    now: UnixMs,
    policy: &DeliveryPolicy,
) -> Plan {
    let message = &claimed.message;
    match message.status {
        Status::Sending if message.body.is_repeatable() && has_tries_left(claimed, policy) => {
            // Doing it twice does no harm, and there is nothing to look up.
            Plan::Send
        }
        Status::Sending if message.body.is_repeatable() => {
            Plan::Settle(Settled::Parked(ParkReason::TooManyAttempts))
        }
        // Once an attempt has begun, time cannot expire a message any more:
        // WhatsApp may have it.
        Status::Sending if message.login != Some(login) => {
            Plan::Settle(Settled::Parked(ParkReason::LoginLost))
        }
        Status::Sending => Plan::LookUp,
        Status::Accepted if is_late(claimed, now) => Plan::Settle(Settled::Expired),
        // That WhatsApp asks for patience is no fault of a message: what was
        // refused as too many waits its turn, however long that takes.
        Status::Accepted
            if !has_tries_left(claimed, policy)
                && !matches!(message.reason.as_deref(), Some(SLOWED_DOWN | RELEASED)) =>
        {
            Plan::Settle(Settled::Parked(ParkReason::TooManyAttempts))
        }
        Status::Accepted => Plan::Send,
        // A store that hands out settled messages is broken; keep its word that they are settled.
        Status::Sent => Plan::Settle(Settled::Sent(Ack::Server)),
        Status::Delivered => Plan::Settle(Settled::Sent(Ack::Device)),
        Status::Read => Plan::Settle(Settled::Sent(Ack::Read)),
        Status::Played => Plan::Settle(Settled::Sent(Ack::Played)),
        Status::Rejected | Status::Expired | Status::Cancelled | Status::Parked => {
            Plan::Settle(Settled::Parked(ParkReason::LookupUnavailable))
        }
    }
}

/// Reads a send's outcome.
pub fn after_send(outcome: &SendOutcome, attempt: u32, policy: &DeliveryPolicy) -> Settled {
    match outcome {
        SendOutcome::HandedOff(Ack::Pending) => Settled::CheckIn(policy.recheck_ms),
        SendOutcome::HandedOff(ack) => Settled::Sent(*ack),
        // WhatsApp's own no to this one message. The account goes on.
        SendOutcome::NotSent(failure)
            if failure.kind == Kind::RateLimited
                && failure.rung == Rung::RejectMessage
                && failure.resend == Resend::Yes =>
        {
            Settled::Rejected(RejectReason::RateLimited)
        }
        SendOutcome::NotSent(failure) => match failure.resend {
            Resend::Yes if failure.kind == Kind::RateLimited => {
                Settled::SlowedDown(wait_after(failure, attempt, policy))
            }
            Resend::Yes => Settled::RetryIn(wait_after(failure, attempt, policy)),
            // The engine is sure, its evidence is not: doubt wins.
            Resend::No | Resend::CheckFirst => {
                Settled::CheckIn(wait_after(failure, attempt, policy))
            }
        },
        SendOutcome::Unknown(failure) => Settled::CheckIn(wait_after(failure, attempt, policy)),
        SendOutcome::Rejected(failure) => Settled::Rejected(reject_reason(failure.kind)),
    }
}

/// Reads a look-up's outcome, by the table of what each finding allows.
///
/// A message whose time is up is not sent any more: it expires where WhatsApp
/// surely lacks it, and waits for a person where that cannot be known.
pub fn after_lookup(
    outcome: &LookupOutcome,
    claimed: &Claimed,
    now: UnixMs,
    policy: &DeliveryPolicy,
) -> AfterLookup {
    let late = is_late(claimed, now);
    match outcome {
        // Only what WhatsApp has, or will not have, is still to be learnt.
        LookupOutcome::Found(Ack::Pending)
        | LookupOutcome::NotFound
        | LookupOutcome::Unsupported
        | LookupOutcome::Failed(_)
            if !has_tries_left(claimed, policy) =>
        {
            AfterLookup::Settle(Settled::Parked(ParkReason::TooManyAttempts))
        }
        // In the page's own outbox: the page sends it, whatever we do, and at
        // most once more on our asking.
        LookupOutcome::Found(Ack::Pending) => AfterLookup::ResendFromPage,
        LookupOutcome::Found(ack) => AfterLookup::Settle(Settled::Sent(*ack)),
        LookupOutcome::FoundFailed(level) => match ack_error(*level) {
            AckError::Content => AfterLookup::Settle(Settled::Rejected(RejectReason::MediaInvalid)),
            // The page has given it up by itself.
            AckError::Again if late => AfterLookup::Settle(Settled::Expired),
            AckError::Again => AfterLookup::ResendFromPage,
        },
        // Not found with its chat loaded and synced: it never left.
        LookupOutcome::NotFound if late => AfterLookup::Settle(Settled::Expired),
        LookupOutcome::Unsupported if late => {
            AfterLookup::Settle(Settled::Parked(ParkReason::LookupUnavailable))
        }
        // Unsupported, under the same login: the server drops a second message of one id.
        LookupOutcome::NotFound | LookupOutcome::Unsupported => AfterLookup::SendSameId,
        LookupOutcome::Failed(failure) => AfterLookup::Settle(Settled::CheckIn(wait_after(
            failure,
            claimed.attempt,
            policy,
        ))),
    }
}

/// Whether it may be tried again after this attempt, as far as their number goes.
fn has_tries_left(claimed: &Claimed, policy: &DeliveryPolicy) -> bool {
    claimed.attempt <= policy.max_attempts
}

/// Whether the time that its owner gave it is up.
fn is_late(claimed: &Claimed, now: UnixMs) -> bool {
    claimed.message.expires_at.is_some_and(|at| at <= now)
}

/// What a negative ack says of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckError {
    /// The content itself is at fault: never again.
    Content,
    /// The same id may be tried again.
    Again,
}

/// Reads WhatsApp Web's negative ack levels (`ACK` of its own bundle): -3
/// CONTENT_GONE, -4 CONTENT_TOO_BIG, -5 CONTENT_UNUPLOADABLE are the
/// content's; -1 FAILED, -2 EXPIRED, -6 INACTIVE, -7 MD_DOWNGRADE pass.
pub fn ack_error(level: i64) -> AckError {
    match level {
        -5..=-3 => AckError::Content,
        _ => AckError::Again,
    }
}

/// The stable reason for a message's own fault.
pub fn reject_reason(kind: Kind) -> RejectReason {
    match kind {
        Kind::RecipientInvalid => RejectReason::RecipientInvalid,
        Kind::MediaInvalid => RejectReason::MediaInvalid,
        Kind::RateLimited => RejectReason::RateLimited,
        Kind::PermanentRequestError
        | Kind::TransientContext
        | Kind::PageGone
        | Kind::BrowserGone
        | Kind::PageHung
        | Kind::NavigationTimeout
        | Kind::NetworkDown
        | Kind::ProfileLocked
        | Kind::ProfileCorrupt
        | Kind::LaunchFailedMissingBrowser
        | Kind::LaunchFailedMissingLibs
        | Kind::LaunchFailedSandbox
        | Kind::ResourcesExhausted
        | Kind::WaIncompatible
        | Kind::AuthRequired
        | Kind::AuthFailed
        | Kind::Conflict
        | Kind::BannedOrRestricted
        | Kind::Unknown => RejectReason::PermanentRequestError,
    }
}

/// The outcome to record, at this time.
pub fn outcome(settled: Settled, now: UnixMs) -> Outcome {
    match settled {
        Settled::Sent(ack) => Outcome::Sent(ack),
        Settled::RetryIn(ms) => Outcome::NotSent {
            retry_at: now.plus(ms),
        },
        Settled::SlowedDown(ms) => Outcome::SlowedDown {
            retry_at: now.plus(ms),
        },
        Settled::CheckIn(ms) => Outcome::Unknown {
            retry_at: now.plus(ms),
        },
        Settled::Rejected(reason) => Outcome::Rejected(reason),
        Settled::Parked(reason) => Outcome::Parked(reason),
        Settled::Expired => Outcome::Expired,
    }
}

/// Waits nothing where the session itself must heal first (delivery stands
/// still until it is ready), and longer each time where it does not.
fn wait_after(failure: &Failure, attempt: u32, policy: &DeliveryPolicy) -> u64 {
    if heals_with_session(failure.kind) {
        0
    } else if failure.kind == Kind::RateLimited {
        policy.slow_backoff.ceiling(attempt)
    } else {
        policy.backoff.ceiling(attempt)
    }
}

/// Whether the session's own recovery mends this. The message need not wait
/// besides, and nothing else should be tried on the same connection.
pub fn heals_with_session(kind: Kind) -> bool {
    match kind {
        Kind::TransientContext
        | Kind::PageGone
        | Kind::BrowserGone
        | Kind::PageHung
        | Kind::NavigationTimeout
        | Kind::ProfileLocked
        | Kind::ProfileCorrupt
        | Kind::LaunchFailedMissingBrowser
        | Kind::LaunchFailedMissingLibs
        | Kind::LaunchFailedSandbox
        | Kind::AuthRequired
        | Kind::AuthFailed
        | Kind::Conflict
        | Kind::BannedOrRestricted => true,
        // These can come while the session stays ready: at once would spin.
        Kind::NetworkDown
        | Kind::ResourcesExhausted
        | Kind::WaIncompatible
        | Kind::RecipientInvalid
        | Kind::MediaInvalid
        | Kind::RateLimited
        | Kind::PermanentRequestError
        | Kind::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Evidence, Observed, Operation, classify};
    use crate::ids::{ChatId, MessageId, SessionId, WaMessageId};
    use crate::outbox::{Body, Message};

    const LOGIN: LoginGeneration = LoginGeneration(3);

    fn claimed(status: Status, login: Option<LoginGeneration>, attempt: u32) -> Claimed {
        Claimed {
            message: Message {
                seq: 1,
                id: MessageId::mint(UnixMs(1), [1; 10]),
                wa_message_id: WaMessageId::mint([1; 9]),
                session: SessionId::parse("default").unwrap(),
                to: ChatId::parse("4915123456789").unwrap(),
                body: Body::text("hi"),
                priority: crate::outbox::Priority::Normal,
                status,
                reason: None,
                detail: None,
                attempts: attempt - 1,
                accepted_at: UnixMs(1),
                due_at: UnixMs(1),
                expires_at: Some(UnixMs(100)),
                updated_at: UnixMs(1),
                login,
                acks: vec![],
            },
            attempt,
        }
    }

    fn failure(kind: Kind, resend: Resend) -> Failure {
        Failure {
            kind,
            rung: Rung::Retry,
            resend,
            operation: Operation::Send,
            evidence: String::new(),
        }
    }

    #[test]
    fn only_a_message_that_whatsapp_surely_lacks_is_sent_unasked() {
        let policy = DeliveryPolicy::default();
        let at = |status, login, now| plan(&claimed(status, login, 1), LOGIN, UnixMs(now), &policy);
        assert_eq!(at(Status::Accepted, None, 5), Plan::Send);
        assert_eq!(at(Status::Sending, Some(LOGIN), 5), Plan::LookUp);
        assert_eq!(
            at(Status::Sending, Some(LoginGeneration(2)), 5),
            Plan::Settle(Settled::Parked(ParkReason::LoginLost))
        );
        assert_eq!(
            at(Status::Sending, None, 5),
            Plan::Settle(Settled::Parked(ParkReason::LoginLost))
        );
    }

    #[test]
    fn time_expires_only_what_was_never_begun() {
        let policy = DeliveryPolicy::default();
        assert_eq!(
            plan(
                &claimed(Status::Accepted, None, 1),
                LOGIN,
                UnixMs(100),
                &policy
            ),
            Plan::Settle(Settled::Expired)
        );
        assert_eq!(
            plan(
                &claimed(Status::Sending, Some(LOGIN), 2),
                LOGIN,
                UnixMs(100),
                &policy
            ),
            Plan::LookUp
        );
    }

    #[test]
    fn no_outcome_of_a_send_that_may_have_gone_out_leads_to_a_plain_retry() {
        let policy = DeliveryPolicy::default();
        for kind in Kind::ALL.iter().copied() {
            for resend in [Resend::No, Resend::CheckFirst] {
                for outcome in [
                    SendOutcome::Unknown(failure(kind, resend)),
                    SendOutcome::NotSent(failure(kind, resend)),
                ] {
                    assert!(matches!(
                        after_send(&outcome, 1, &policy),
                        Settled::CheckIn(_)
                    ));
                }
            }
        }
    }

    #[test]
    fn a_lookup_decides_by_what_it_found() {
        let policy = DeliveryPolicy::default();
        let claimed = claimed(Status::Sending, Some(LOGIN), 2);
        let decide = |outcome| after_lookup(&outcome, &claimed, UnixMs(5), &policy);
        assert_eq!(
            decide(LookupOutcome::Found(Ack::Read)),
            AfterLookup::Settle(Settled::Sent(Ack::Read))
        );
        assert_eq!(
            decide(LookupOutcome::Found(Ack::Pending)),
            AfterLookup::ResendFromPage
        );
        assert_eq!(decide(LookupOutcome::NotFound), AfterLookup::SendSameId);
        assert_eq!(decide(LookupOutcome::Unsupported), AfterLookup::SendSameId);
        assert_eq!(
            decide(LookupOutcome::FoundFailed(-4)),
            AfterLookup::Settle(Settled::Rejected(RejectReason::MediaInvalid))
        );
        assert_eq!(
            decide(LookupOutcome::FoundFailed(-1)),
            AfterLookup::ResendFromPage
        );
        assert!(matches!(
            decide(LookupOutcome::Failed(failure(
                Kind::PageGone,
                Resend::CheckFirst
            ))),
            AfterLookup::Settle(Settled::CheckIn(0))
        ));
    }

    #[test]
    fn a_late_message_expires_only_where_whatsapp_surely_lacks_it() {
        let policy = DeliveryPolicy::default();
        let claimed = claimed(Status::Sending, Some(LOGIN), 2);
        let decide = |outcome| after_lookup(&outcome, &claimed, UnixMs(100), &policy);
        for lacks in [LookupOutcome::NotFound, LookupOutcome::FoundFailed(-1)] {
            assert_eq!(decide(lacks), AfterLookup::Settle(Settled::Expired));
        }
        assert_eq!(
            decide(LookupOutcome::Unsupported),
            AfterLookup::Settle(Settled::Parked(ParkReason::LookupUnavailable))
        );
        assert_eq!(
            decide(LookupOutcome::Found(Ack::Server)),
            AfterLookup::Settle(Settled::Sent(Ack::Server))
        );
        // The page holds it and will send it: that cannot be taken back.
        assert_eq!(
            decide(LookupOutcome::Found(Ack::Pending)),
            AfterLookup::ResendFromPage
        );
        assert!(matches!(
            decide(LookupOutcome::Failed(failure(
                Kind::PageGone,
                Resend::CheckFirst
            ))),
            AfterLookup::Settle(Settled::CheckIn(0))
        ));
    }

    #[test]
    fn a_recipient_out_of_reach_is_rejected_and_a_busy_server_waited_for() {
        let policy = DeliveryPolicy::default();
        let said = |text: &str| {
            classify(&Observed {
                operation: Operation::Send,
                evidence: Evidence::text(text),
            })
        };
        let out_of_reach = said("server returned error 463");
        assert_eq!(
            after_send(&SendOutcome::NotSent(out_of_reach.clone()), 1, &policy),
            Settled::Rejected(RejectReason::RateLimited)
        );
        // Where it may have gone out all the same, the look-up decides.
        assert_eq!(
            after_send(&SendOutcome::Unknown(out_of_reach), 1, &policy),
            Settled::CheckIn(30_000)
        );
        let busy = said("info query returned status 429: rate-overlimit");
        for (attempt, wait) in [(1, 30_000), (2, 60_000), (10, 900_000)] {
            assert_eq!(
                after_send(&SendOutcome::NotSent(busy.clone()), attempt, &policy),
                Settled::SlowedDown(wait)
            );
        }
    }

    #[test]
    fn patience_with_whatsapp_has_no_end_and_with_anything_else_it_has() {
        let policy = DeliveryPolicy::default();
        let mut often = claimed(Status::Accepted, None, policy.max_attempts + 1);
        often.message.reason = Some("not_sent".to_owned());
        let parked = Plan::Settle(Settled::Parked(ParkReason::TooManyAttempts));
        assert_eq!(plan(&often, LOGIN, UnixMs(5), &policy), parked);
        for exempt in [SLOWED_DOWN, RELEASED] {
            often.message.reason = Some(exempt.to_owned());
            assert_eq!(plan(&often, LOGIN, UnixMs(5), &policy), Plan::Send);
        }
        let late = Plan::Settle(Settled::Expired);
        assert_eq!(plan(&often, LOGIN, UnixMs(100), &policy), late);
    }

    #[test]
    fn what_was_tried_too_often_is_looked_up_once_more_before_a_person_is_asked() {
        let policy = DeliveryPolicy::default();
        let often = claimed(Status::Sending, Some(LOGIN), policy.max_attempts + 1);
        assert_eq!(plan(&often, LOGIN, UnixMs(5), &policy), Plan::LookUp);
        let read = |outcome| after_lookup(&outcome, &often, UnixMs(5), &policy);
        assert_eq!(
            read(LookupOutcome::Found(Ack::Server)),
            AfterLookup::Settle(Settled::Sent(Ack::Server))
        );
        let parked = AfterLookup::Settle(Settled::Parked(ParkReason::TooManyAttempts));
        assert_eq!(read(LookupOutcome::NotFound), parked);
        let failed = failure(Kind::PageGone, Resend::CheckFirst);
        assert_eq!(read(LookupOutcome::Failed(failed)), parked);
    }

    #[test]
    fn a_fault_that_leaves_the_session_ready_never_spins() {
        let policy = DeliveryPolicy::default();
        let spins = after_send(
            &SendOutcome::NotSent(failure(Kind::Unknown, Resend::Yes)),
            1,
            &policy,
        );
        assert_eq!(spins, Settled::RetryIn(1_000));
    }
}
