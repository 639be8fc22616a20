//! Why an owed message is not sent yet, and when it may be.

use super::HttpState;
use super::view::MessageJson;
use crate::sessions::{Pace, SessionView};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use steadfast_core::ids::{MessageId, SessionId};
use steadfast_core::outbox::{Message, Priority, SLOWED_DOWN, Status};
use steadfast_core::port::StoreError;
use steadfast_core::time::UnixMs;

/// What a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waits {
    /// A stable name.
    pub(super) for_what: &'static str,
    /// Until when at least, where that is known.
    pub(super) until: Option<UnixMs>,
}

/// What is known of a message's surroundings.
#[derive(Debug, Clone, Copy)]
struct Around {
    /// Whether its session can send.
    ready: bool,
    /// What pacing says there.
    pace: Pace,
    /// Whether another message of its chat goes first.
    behind: bool,
}

/// Why a message waits, where it does.
fn waits(message: &Message, around: &Around, now: UnixMs) -> Option<Waits> {
    let because = |for_what| {
        Some(Waits {
            for_what,
            until: None,
        })
    };
    let until = |for_what, at| {
        Some(Waits {
            for_what,
            until: Some(at),
        })
    };
    let later = message.due_at > now;
    let untouched = message.attempts == 0;
    let refused = message.reason.as_deref() == Some(SLOWED_DOWN);
    match message.status {
        Status::Accepted if later && untouched && message.due_at > message.accepted_at => {
            return until("scheduled", message.due_at);
        }
        Status::Accepted if later && refused => return until("rate_limited", message.due_at),
        Status::Accepted | Status::Sending if later => return until("retry", message.due_at),
        Status::Accepted | Status::Sending if !around.ready => return because("session"),
        Status::Accepted if around.behind => return because("behind_another"),
        // Others wait for no turn.
        Status::Accepted if untouched || refused => {}
        Status::Accepted
        | Status::Sending
        | Status::Sent
        | Status::Delivered
        | Status::Read
        | Status::Played
        | Status::Rejected
        | Status::Expired
        | Status::Cancelled
        | Status::Parked => return None,
    }
    let (at, why) = match message.priority {
        Priority::High => around.pace.high,
        Priority::Normal | Priority::Low => around.pace.others,
    }?;
    until(why.as_str(), at)
}

/// Messages as they are shown, with what each waits for.
pub(super) async fn shown(
    state: &HttpState,
    messages: &[Message],
) -> Result<Vec<MessageJson>, StoreError> {
    let owed = messages.iter().filter(|message| message.status.is_owed());
    let ids: Vec<MessageId> = owed.clone().map(|message| message.id.clone()).collect();
    let names: BTreeSet<&SessionId> = owed.map(|message| &message.session).collect();
    let mut sessions: BTreeMap<&SessionId, SessionView> = BTreeMap::new();
    for name in names {
        if let Ok(view) = state.app.sessions.get(name).await {
            sessions.insert(name, view);
        }
    }
    let ahead = if ids.is_empty() {
        Vec::new()
    } else {
        state.app.store.ahead_of(ids.clone()).await?
    };
    let behind: HashMap<MessageId, bool> = ids
        .into_iter()
        .zip(ahead.iter().map(Option::is_some))
        .collect();
    let now = state.app.clock.unix();
    let one = |message: &Message| {
        let view = sessions.get(&message.session);
        let around = Around {
            ready: view.is_some_and(SessionView::ready),
            pace: view.map(|view| view.pace).unwrap_or_default(),
            behind: behind.get(&message.id).copied().unwrap_or_default(),
        };
        let json = MessageJson::from(message);
        match waits(message, &around, now) {
            Some(waits) => json.waiting(waits),
            None => json,
        }
    };
    Ok(messages.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_core::ids::{ChatId, WaMessageId};
    use steadfast_core::outbox::Body;
    use steadfast_core::pacing::Held;

    const NOW: UnixMs = UnixMs(10_000);
    const LATER: UnixMs = UnixMs(20_000);

    fn message() -> Message {
        Message {
            seq: 1,
            id: MessageId::mint(UnixMs(1), [1; 10]),
            wa_message_id: WaMessageId::mint([1; 9]),
            session: SessionId::parse("default").unwrap(),
            to: ChatId::parse("4915123456789").unwrap(),
            body: Body::text("hi"),
            priority: Priority::Normal,
            status: Status::Accepted,
            reason: None,
            detail: None,
            attempts: 0,
            accepted_at: UnixMs(1),
            due_at: UnixMs(1),
            expires_at: None,
            updated_at: UnixMs(1),
            login: None,
            acks: vec![],
        }
    }

    fn around() -> Around {
        Around {
            ready: true,
            pace: Pace {
                others: Some((LATER, Held::QuietHours)),
                ..Pace::default()
            },
            behind: true,
        }
    }

    #[test]
    fn the_first_thing_in_the_way_is_told() {
        let says = |message: &Message, around: &Around| {
            waits(message, around, NOW).map(|waits| (waits.for_what, waits.until))
        };
        let scheduled = Message {
            due_at: LATER,
            ..message()
        };
        assert_eq!(
            says(&scheduled, &around()),
            Some(("scheduled", Some(LATER)))
        );
        let mut again = Message {
            attempts: 1,
            ..scheduled
        };
        assert_eq!(says(&again, &around()), Some(("retry", Some(LATER))));
        again.reason = Some(SLOWED_DOWN.to_owned());
        assert_eq!(says(&again, &around()), Some(("rate_limited", Some(LATER))));
        let away = Around {
            ready: false,
            ..around()
        };
        assert_eq!(says(&message(), &away), Some(("session", None)));
        assert_eq!(says(&message(), &around()), Some(("behind_another", None)));
        let first = Around {
            behind: false,
            ..around()
        };
        let held = Some(("quiet_hours", Some(LATER)));
        assert_eq!(says(&message(), &first), held);
        let high = Message {
            priority: Priority::High,
            ..message()
        };
        assert_eq!(says(&high, &first), None);
        // What has begun waits for no turn, and what is settled for nothing.
        let begun = Message {
            attempts: 1,
            ..message()
        };
        assert_eq!(says(&begun, &first), None);
        let sent = Message {
            status: Status::Sent,
            due_at: LATER,
            ..message()
        };
        assert_eq!(says(&sent, &away), None);
    }
}
