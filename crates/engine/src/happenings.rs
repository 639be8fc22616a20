//! Brings what became of messages and groups from the page to the store, and
//! tells the page what is on disk: as `inbox` does with messages.

use crate::inbox::refused_wait;
use crate::link::Link;
use crate::wire::{Waiting, one_by_one};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use steadfast_core::ids::{ChatId, MessageKey, WaMessageId};
use steadfast_core::inbound::Happening;
use steadfast_core::port::InboundRefused;
use steadfast_core::time::UnixMs;
use tracing::{debug, warn};

/// Happenings fetched at a time.
const BATCH: u32 = 50;

/// Answer to `happenings_fetch`.
#[derive(Debug, Deserialize)]
struct Fetched {
    /// Each a [`What`].
    happenings: Vec<Value>,
}

/// One happening as the page describes it.
#[derive(Debug, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum What {
    Edited {
        message: Named,
        text: String,
        at: i64,
    },
    Revoked {
        message: Named,
        at: i64,
    },
    Reaction {
        message: Named,
        sender: String,
        emoji: String,
        at: i64,
    },
    Group {
        group: String,
        change: String,
        by: Option<String>,
        participants: Vec<String>,
        at: i64,
    },
}

#[derive(Debug, Deserialize)]
struct Named {
    chat: String,
    id: String,
    from_me: bool,
    participant: Option<String>,
}

impl Named {
    fn key(self) -> Option<MessageKey> {
        Some(MessageKey {
            chat: ChatId::parse(&self.chat).ok()?,
            id: WaMessageId::parse(&self.id).ok()?,
            from_me: self.from_me,
            participant: self.participant.and_then(|id| ChatId::parse(&id).ok()),
        })
    }
}

impl What {
    /// As the store keeps it; `None` where an id is none that we know.
    fn happening(self) -> Option<Happening> {
        Some(match self {
            Self::Edited { message, text, at } => Happening::Edited {
                message: message.key()?,
                text,
                at: UnixMs(at),
            },
            Self::Revoked { message, at } => Happening::Revoked {
                message: message.key()?,
                at: UnixMs(at),
            },
            Self::Reaction {
                message,
                sender,
                emoji,
                at,
            } => Happening::Reaction {
                message: message.key()?,
                sender: ChatId::parse(&sender).ok()?,
                emoji,
                at: UnixMs(at),
            },
            Self::Group {
                group,
                change,
                by,
                participants,
                at,
            } => Happening::Group {
                group: ChatId::parse(&group).ok()?,
                change,
                by: by.and_then(|id| ChatId::parse(&id).ok()),
                participants: participants
                    .iter()
                    .filter_map(|id| ChatId::parse(id).ok())
                    .collect(),
                at: UnixMs(at),
            },
        })
    }
}

enum Round {
    Empty,
    More,
    Refused,
    Over,
}

/// Serves one epoch's happenings until the epoch ends.
pub(crate) async fn serve(link: Arc<Link>) {
    loop {
        tokio::select! {
            () = link.ended() => return,
            () = link.happenings.notified() => {}
        }
        let mut refusals = 0;
        loop {
            match round(&link, refusals == 0).await {
                Round::Empty => break,
                Round::More => refusals = 0,
                Round::Refused => {
                    refusals += 1;
                    tokio::select! {
                        () = link.ended() => return,
                        () = tokio::time::sleep(refused_wait(refusals)) => {}
                    }
                }
                Round::Over => return,
            }
        }
    }
}

/// Takes one batch, in order. A store that refuses is told of once in a row.
async fn round(link: &Link, first: bool) -> Round {
    let deadline = link.session.deadlines.call;
    let fetched: Fetched = match link
        .call("happenings_fetch", json!({ "limit": BATCH }), deadline)
        .await
    {
        Ok(fetched) => fetched,
        Err(error) => {
            // The page still holds them: its next document, or heartbeat, tells of them again.
            debug!(epoch = link.epoch.0, %error, "cannot fetch what happened");
            return Round::Empty;
        }
    };
    if fetched.happenings.is_empty() {
        return Round::Empty;
    }
    let mut keys = Vec::with_capacity(fetched.happenings.len());
    let mut refused = false;
    for (key, what) in one_by_one::<What>(fetched.happenings) {
        let what = match what {
            Ok(what) => what,
            Err(error) => {
                warn!(
                    epoch = link.epoch.0,
                    "what happened could not be read and is left out"
                );
                debug!(epoch = link.epoch.0, %error, "why it could not be read");
                keys.push(key);
                continue;
            }
        };
        let Some(happening) = what.happening() else {
            debug!(
                epoch = link.epoch.0,
                "what happened in a kind of chat that is not known was left out"
            );
            keys.push(key);
            continue;
        };
        match link.happened(happening).await {
            Ok(()) => keys.push(key),
            Err(InboundRefused::StaleEpoch) => return Round::Over,
            Err(InboundRefused::NotStored(why)) => {
                if first {
                    warn!(
                        epoch = link.epoch.0,
                        why, "what happened could not be stored; it is kept in the page"
                    );
                }
                refused = true;
                break;
            }
        }
    }
    if !keys.is_empty() {
        let confirmed: Result<Waiting, _> = link
            .call("happenings_confirm", json!({ "keys": keys }), deadline)
            .await;
        match confirmed {
            Ok(Waiting { waiting: 0 }) if !refused => return Round::Empty,
            Ok(_) => {}
            Err(error) => {
                debug!(epoch = link.epoch.0, %error, "cannot confirm what happened");
                return Round::Empty;
            }
        }
    }
    if refused { Round::Refused } else { Round::More }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_tells_is_read() {
        let fetched: Fetched = serde_json::from_str(
            r#"{"happenings": [
                {"key": "a", "what": "edited", "text": "new", "at": 5000,
                 "message": {"chat": "4915112345678@c.us", "id": "AC1", "from_me": false}},
                {"key": "b", "what": "group", "group": "120363000000000001@g.us", "change": "add",
                 "by": null, "participants": ["4915112345678@c.us", "x@newsletter"], "at": 6000},
                {"key": "c", "what": "revoked", "at": 7000,
                 "message": {"chat": "status@broadcast", "id": "AC2", "from_me": false}},
                {"key": "d", "what": "revoked", "at": "never"}
            ]}"#,
        )
        .unwrap();
        let told = one_by_one::<What>(fetched.happenings);
        let (told, unread): (Vec<_>, Vec<_>) = told.partition(|(_, what)| what.is_ok());
        assert!(matches!(&unread[..], [(key, _)] if key == "d"));
        let told: Vec<Option<Happening>> = told
            .into_iter()
            .map(|(_, what)| what.unwrap().happening())
            .collect();
        assert!(
            matches!(&told[0], Some(Happening::Edited { text, at: UnixMs(5000), .. }) if text == "new")
        );
        assert!(
            matches!(&told[1], Some(Happening::Group { participants, by: None, .. }) if participants.len() == 1)
        );
        assert_eq!(told[2], None);
    }
}
