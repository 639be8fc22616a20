//! One epoch as the supervisor uses it: the port's `Engine` over a page.

mod actions;
mod outcome;

use crate::Error;
use crate::conclude::{conclude, of};
use crate::files::{AT_ONCE, download, line_time, upload};
use crate::link::Link;
use crate::picture::Camera;
use crate::procmem::BrowserMemory;
use crate::wire::{Chats, Checked, Found, Health, Levels, Nothing, PairCode, PasskeyTaken};
use async_trait::async_trait;
use outcome::{not_handed, not_in_page, outcome};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::action::{Action, Answer};
use steadfast_core::failure::{Evidence, Failure, Kind, Operation, Rung};
use steadfast_core::ids::{ChatId, Epoch, MessageKey, WaMessageId};
use steadfast_core::outbox::{Ack, Body};
use steadfast_core::port::{
    Capabilities, ChatSummary, Engine, EngineHealth, FileSink, LookupOutcome, Phase, Picture,
    SendOutcome,
};
use steadfast_core::time::UnixMs;
use tokio::sync::Semaphore;
use tracing::debug;

/// Beyond the page's own deadline: for the way there and back.
const MARGIN: Duration = Duration::from_secs(5);
/// A list of chats is for people to read.
const MOST_CHATS: u32 = 1_000;
/// What cannot be looked up by then cannot be looked up in this page at all.
const LOOKUP_GRACE: Duration = Duration::from_secs(30);

/// The engine of one epoch.
pub(crate) struct PageEngine {
    link: Arc<Link>,
    memory: Arc<BrowserMemory>,
    files: Semaphore,
    camera: Camera,
}

impl PageEngine {
    pub(crate) fn new(link: Arc<Link>, memory: Arc<BrowserMemory>) -> Self {
        Self {
            link,
            memory,
            files: Semaphore::new(AT_ONCE),
            camera: Camera::default(),
        }
    }

    /// Hands a message over, whose file is in the page already where it has one.
    async fn hand_over(
        &self,
        id: &WaMessageId,
        to: &ChatId,
        body: &Body,
        file: Option<&str>,
        more: Duration,
    ) -> SendOutcome {
        let deadlines = &self.link.session.deadlines;
        let operation = operation(body);
        let ack = deadlines.ack + more + preview_time(body);
        let args = json!({
            "id": id.as_str(),
            "to": to.as_str(),
            "body": body,
            "file": file,
            "ack_ms": Self::ms(ack),
            "check_ms": Self::ms(deadlines.number.min(deadlines.ack)),
            "search_ms": Self::ms(deadlines.search.min(deadlines.ack)),
        });
        if !body.is_repeatable() {
            self.link.session.memory.follow(id);
        }
        let answer = self.link.call("send", args, ack + MARGIN).await;
        self.heed(outcome(operation, id, answer))
    }

    fn ms(duration: Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }

    /// A page whose storage has failed (a full disk, a damaged database) looks
    /// ready, and takes messages that it can never send. Nobody tells of it
    /// but the calls that meet it: the epoch is over.
    fn heed(&self, outcome: SendOutcome) -> SendOutcome {
        if let SendOutcome::NotSent(failure) | SendOutcome::Unknown(failure) = &outcome
            && failure.kind == Kind::ProfileCorrupt
        {
            self.link.fail(failure.clone());
        }
        outcome
    }
}

/// What is being done where a message of this kind is sent.
fn operation(body: &Body) -> Operation {
    if body.file().is_some() {
        Operation::SendMedia
    } else {
        Operation::Send
    }
}

/// wa-js lets WhatsApp look at a link for up to 7 s before it sends.
fn preview_time(body: &Body) -> Duration {
    match body {
        Body::Text(text) if text.link_preview => Duration::from_secs(8),
        Body::Text(_)
        | Body::Media(_)
        | Body::Location(_)
        | Body::Contacts(_)
        | Body::Poll(_)
        | Body::Forward(_)
        | Body::Reaction(_)
        | Body::Edit(_)
        | Body::Revoke(_) => Duration::ZERO,
    }
}

#[async_trait]
impl Engine for PageEngine {
    fn epoch(&self) -> Epoch {
        self.link.epoch
    }

    fn capabilities(&self) -> Capabilities {
        let (_, levels) = self.link.last();
        let there = |name: &str| {
            !levels
                .missing_optional
                .iter()
                .any(|missing| missing == name)
        };
        Capabilities {
            lookup: true,
            pairing_code: there("WAWebAltDeviceLinkingApi.startAltLinkingFlow") || levels.wpp >= 2,
            everything: true,
        }
    }

    async fn request_pair_code(&self, phone: &str) -> Result<String, Failure> {
        let operation = Operation::RequestPairingCode;
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        if !(7..=15).contains(&digits.len()) {
            return Err(Failure {
                kind: Kind::PermanentRequestError,
                rung: Rung::RejectMessage,
                ..of(
                    operation,
                    Evidence::text("this is no phone number of 7 to 15 digits"),
                )
            });
        }
        let args = json!({ "phone": digits });
        let answer: Result<PairCode, Error> = self
            .link
            .call("pair_code", args, self.link.session.deadlines.server)
            .await;
        let code = answer.map_err(|error| conclude(operation, &error))?.code;
        let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
        if plain.is_empty() || plain.len() > 16 || code == "undefined" {
            return Err(of(
                operation,
                Evidence::text("WhatsApp gave no pairing code"),
            ));
        }
        Ok(plain)
    }

    async fn send(&self, id: &WaMessageId, to: &ChatId, body: &Body) -> SendOutcome {
        let Some(file) = body.file() else {
            return self.hand_over(id, to, body, None, Duration::ZERO).await;
        };
        let more = line_time(file.size);
        let waited = tokio::time::timeout(more + MARGIN, self.files.acquire()).await;
        let Ok(Ok(_permit)) = waited else {
            return not_handed(of(
                Operation::SendMedia,
                Evidence::text("other files were still on their way"),
            ));
        };
        let folder = self.link.session.media_dir.as_deref();
        match upload(&self.link, folder, file).await {
            Ok(in_page) => {
                let token = Some(in_page.token.as_str());
                let outcome = self.hand_over(id, to, body, token, more).await;
                in_page.drop_it().await;
                outcome
            }
            Err(not_uploaded) => self.heed(not_in_page(not_uploaded)),
        }
    }

    async fn lookup(&self, id: &WaMessageId, to: &ChatId) -> LookupOutcome {
        let deadlines = &self.link.session.deadlines;
        let args = json!({
            "id": id.as_str(),
            "to": to.as_str(),
            "search_ms": Self::ms(deadlines.search),
        });
        self.link.session.memory.follow(id);
        // A search by two ways in up to two chats, one after the other.
        let deadline = deadlines.search * 4 + MARGIN;
        let found: Found = match self.link.call("lookup", args, deadline).await {
            Ok(found) => found,
            Err(error) => return LookupOutcome::Failed(conclude(Operation::Lookup, &error)),
        };
        if found.there {
            return match Ack::from_level(found.level) {
                Some(ack) => LookupOutcome::Found(ack),
                None if found.level < 0 => LookupOutcome::FoundFailed(found.level),
                None => LookupOutcome::Found(Ack::Pending),
            };
        }
        if found.conclusive {
            return LookupOutcome::NotFound;
        }
        debug!(%id, wpp = found.wpp, why = found.why, "a look-up could not decide");
        if self.link.ready_for() >= LOOKUP_GRACE {
            return LookupOutcome::Unsupported;
        }
        LookupOutcome::Failed(of(Operation::Lookup, Evidence::text(found.why)))
    }

    async fn resend(&self, id: &WaMessageId, to: &ChatId) -> SendOutcome {
        let deadlines = &self.link.session.deadlines;
        let args = json!({
            "id": id.as_str(),
            "to": to.as_str(),
            "ack_ms": Self::ms(deadlines.ack),
            "search_ms": Self::ms(deadlines.search),
        });
        self.link.session.memory.follow(id);
        let deadline = deadlines.search * 4 + deadlines.ack + MARGIN;
        let answer = self.link.call("resend", args, deadline).await;
        self.heed(outcome(Operation::Send, id, answer))
    }

    async fn health(&self) -> Result<EngineHealth, Failure> {
        self.memory.refresh(self.link.browser.pid());
        let answer: Result<Health, Error> = self
            .link
            .call("health", json!({}), self.link.session.deadlines.call)
            .await;
        let (phase, levels) = match answer {
            Ok(health) => {
                if health.waiting > 0 {
                    self.link.inbox.notify_one();
                }
                if health.happenings > 0 {
                    self.link.happenings.notify_one();
                }
                let levels = health.levels.clone();
                let phase = self.link.observe(&health.doc, health.seq, health.levels);
                (phase.unwrap_or(Phase::Loading), levels)
            }
            // The page answers; it has only not come to our document yet.
            Err(Error::NotLoaded) => (Phase::Loading, Levels::default()),
            Err(error) => return Err(conclude(Operation::Probe, &error)),
        };
        Ok(EngineHealth {
            phase,
            socket_state: levels.socket,
            web_version: levels.version,
            missing: levels.missing_optional,
            browser_memory_bytes: self.memory.bytes(),
        })
    }

    async fn reconnect(&self) -> Result<(), Failure> {
        let deadline = self.link.session.deadlines.call;
        let asked: Result<Nothing, Error> = self.link.call("reconnect", json!({}), deadline).await;
        asked
            .map(|_| ())
            .map_err(|error| conclude(Operation::Evaluate, &error))
    }

    async fn check_number(&self, number: &ChatId) -> Result<Option<ChatId>, Failure> {
        let operation = Operation::Evaluate;
        let deadline = self.link.session.deadlines.number;
        let args = json!({ "number": number.as_str(), "ms": Self::ms(deadline) });
        let checked: Checked = self
            .link
            .call("check_number", args, deadline * 2 + MARGIN)
            .await
            .map_err(|error| conclude(operation, &error))?;
        if !checked.known {
            return Err(of(
                operation,
                Evidence::text("Timeout: WhatsApp did not say whether the number exists"),
            ));
        }
        Ok(checked.id.and_then(|id| ChatId::parse(&id).ok()))
    }

    async fn chats(&self) -> Result<Vec<ChatSummary>, Failure> {
        let chats: Chats = self
            .link
            .call(
                "chats",
                json!({ "limit": MOST_CHATS }),
                self.link.session.deadlines.call,
            )
            .await
            .map_err(|error| conclude(Operation::Evaluate, &error))?;
        if chats.total > u64::from(MOST_CHATS) {
            debug!(total = chats.total, "only the newest chats are listed");
        }
        Ok(chats
            .chats
            .into_iter()
            .filter_map(|chat| {
                Some(ChatSummary {
                    id: ChatId::parse(&chat.id).ok()?,
                    name: chat.name,
                    is_group: chat.is_group,
                    unread: chat.unread,
                    last_message_at: (chat.t > 0).then(|| UnixMs(chat.t.saturating_mul(1000))),
                })
            })
            .collect())
    }

    async fn perform(&self, action: &Action) -> Result<Answer, Failure> {
        self.act(action).await
    }

    async fn download(
        &self,
        message: &MessageKey,
        limit: u64,
        into: &mut dyn FileSink,
    ) -> Result<u64, Failure> {
        let waited =
            tokio::time::timeout(self.link.session.deadlines.server, self.files.acquire()).await;
        let Ok(Ok(_permit)) = waited else {
            return Err(of(
                Operation::Evaluate,
                Evidence::text("other files were still on their way"),
            ));
        };
        download(&self.link, message, limit, into).await
    }

    async fn answer_passkey(&self, answer: &str) -> Result<(), Failure> {
        let operation = Operation::Auth;
        let refused = |why: &str| Failure {
            kind: Kind::PermanentRequestError,
            rung: Rung::RejectMessage,
            ..of(operation, Evidence::text(why))
        };
        let answer: serde_json::Value = serde_json::from_str(answer)
            .map_err(|error| refused(&format!("the answer is not JSON: {error}")))?;
        let taken: PasskeyTaken = self
            .link
            .call(
                "answer_passkey",
                json!({ "answer": answer }),
                self.link.session.deadlines.call,
            )
            .await
            .map_err(|error| conclude(operation, &error))?;
        if taken.taken {
            Ok(())
        } else {
            Err(refused(&taken.why))
        }
    }

    async fn picture(&self) -> Result<Picture, Failure> {
        self.camera.take(&self.link).await
    }

    async fn logout(&self) -> Result<(), Failure> {
        let answer: Result<Nothing, Error> = self
            .link
            .call("logout", json!({}), self.link.session.deadlines.server)
            .await;
        match answer {
            // WhatsApp Web may go to its log-out address under the call.
            Ok(Nothing {})
            | Err(Error::Cdp(steadfast_cdp::Error::ContextLost {
                in_flight: true, ..
            })) => Ok(()),
            Err(error) => Err(conclude(Operation::Auth, &error)),
        }
    }
}

#[cfg(test)]
mod fuzz;
