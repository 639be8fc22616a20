//! The calls of a supervisor, answered from the scripted page.

use super::content::{media_kind, speaks_of, written};
use super::page::Page;
use super::profile::Written;
use super::script::{LookupScript, Script, SendScript};
use crate::frames::{ClientFrame, PasskeyAssertion, QueryFrame};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::action::{Action, Answer};
use steadfast_core::failure::{
    CdpFault, Evidence, Failure, Kind, Observed, Operation, Resend, Rung, classify,
};
use steadfast_core::ids::{ChatId, Epoch, MessageKey, WaMessageId};
use steadfast_core::outbox::{Ack, Body, Media};
use steadfast_core::port::{
    Capabilities, ChatSummary, Engine, EngineHealth, FileSink, LookupOutcome, Phase, SendOutcome,
};
use tokio::sync::oneshot;

/// How long a call waits for the page or the server.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// How long a send waits for the server's ack before it is only handed off.
const ACK_DEADLINE: Duration = Duration::from_secs(2);

/// One scripted epoch.
pub(super) struct ScriptedEngine {
    pub(super) page: Arc<Page>,
    script: Arc<Script>,
    media_dir: Option<PathBuf>,
}

pub(super) fn failure(operation: Operation, evidence: Evidence) -> Failure {
    classify(&Observed {
        operation,
        evidence,
    })
}

/// The same conclusion for a call that never began.
fn before(failure: Failure, operation: Operation) -> Failure {
    Failure {
        resend: Resend::Yes,
        operation,
        ..failure
    }
}

/// The challenge that an `AuthenticationResponseJSON` answers, and the frame that carries it.
fn read_answer(answer: &str) -> Option<(String, PasskeyAssertion)> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let text = |pointer: &str| Some(answer.pointer(pointer)?.as_str()?.to_owned());
    let assertion = PasskeyAssertion {
        id: text("/id")?,
        client_data_json: text("/response/clientDataJSON")?,
        authenticator_data: text("/response/authenticatorData")?,
        signature: text("/response/signature")?,
    };
    let client = URL_SAFE_NO_PAD.decode(&assertion.client_data_json).ok()?;
    let client: Value = serde_json::from_slice(&client).ok()?;
    let challenge = client["challenge"].as_str()?.to_owned();
    Some((challenge, assertion))
}

impl ScriptedEngine {
    pub(super) fn new(page: Arc<Page>, script: Arc<Script>, media_dir: Option<PathBuf>) -> Self {
        Self {
            page,
            script,
            media_dir,
        }
    }

    /// Uploads the file of a message, and gives what its frame says of it.
    async fn upload(&self, media: &Media) -> Result<Value, SendOutcome> {
        let operation = Operation::SendMedia;
        let gone = |what: &str| {
            SendOutcome::Rejected(Failure {
                kind: Kind::MediaInvalid,
                rung: Rung::RejectMessage,
                resend: Resend::Yes,
                operation,
                evidence: what.to_owned(),
            })
        };
        let bytes = self
            .media_dir
            .as_ref()
            .and_then(|folder| std::fs::read(folder.join(media.file.id.as_str())).ok())
            .ok_or_else(|| gone("the file is no longer in the media folder"))?;
        let permission = self.query(operation, "media_conn", json!({})).await;
        let permission = permission.map_err(|why| SendOutcome::NotSent(before(why, operation)))?;
        let auth = permission.get("auth").and_then(Value::as_str);
        let kind = media_kind(media.shown_as);
        let uploaded = self
            .page
            .upload(kind, auth.unwrap_or_default(), bytes)
            .map_err(|status| gone(&format!("media upload: upload refused ({status})")))?;
        Ok(json!({
            "direct_path": uploaded.direct_path,
            "mimetype": media.file.mime,
            "size": media.file.size,
            "sha256": uploaded.sha256,
            "filename": media.file.name,
        }))
    }

    /// The message as its frame says it, or why there can be none.
    async fn write(&self, body: &Body) -> Result<Written, SendOutcome> {
        let mut forwarded = None;
        if let Some(key) = speaks_of(body) {
            let known = self.page.profile().messages.get(key.id.as_str()).cloned();
            let Some(known) = known else {
                return Err(SendOutcome::Rejected(Failure {
                    kind: Kind::PermanentRequestError,
                    rung: Rung::RejectMessage,
                    resend: Resend::Yes,
                    operation: Operation::Send,
                    evidence: "the message that is meant is not in the chat".to_owned(),
                }));
            };
            forwarded = Some(known.written);
        }
        let media = match body {
            Body::Media(media) => Some(self.upload(media).await?),
            Body::Text(_)
            | Body::Location(_)
            | Body::Contacts(_)
            | Body::Poll(_)
            | Body::Forward(_)
            | Body::Reaction(_)
            | Body::Edit(_)
            | Body::Revoke(_) => None,
        };
        Ok(written(body, media, forwarded))
    }

    /// Fails where the page cannot begin a call now.
    pub(super) async fn alive(&self, operation: Operation) -> Result<(), Failure> {
        if let Some(why) = self.page.death() {
            return Err(before(why, operation));
        }
        if self.page.is_hung() {
            return Err(self.no_answer(operation).await);
        }
        Ok(())
    }

    /// A page that hangs answers only by the deadline, or by its death.
    async fn no_answer(&self, operation: Operation) -> Failure {
        tokio::select! {
            biased;
            why = self.page.died() => Failure { operation, ..why },
            () = tokio::time::sleep(CALL_DEADLINE) => {
                failure(operation, Evidence::Cdp(CdpFault::Timeout { in_flight: true }))
            }
        }
    }

    /// Waits for the page's answer, its death or the deadline.
    async fn answer<T>(
        &self,
        operation: Operation,
        asked: Option<oneshot::Receiver<T>>,
    ) -> Result<T, Failure> {
        let offline = || {
            failure(
                operation,
                Evidence::SocketState {
                    state: "TIMEOUT".to_owned(),
                },
            )
        };
        let Some(asked) = asked else {
            return Err(before(offline(), operation));
        };
        tokio::select! {
            biased;
            why = self.page.died() => Err(Failure { operation, ..why }),
            answered = tokio::time::timeout(CALL_DEADLINE, asked) => match answered {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(offline()),
                Err(_) => Err(failure(operation, Evidence::Cdp(CdpFault::Timeout { in_flight: true }))),
            },
        }
    }

    /// Asks the server. Its no is an answer too, with `ok` false.
    pub(super) async fn ask_server(
        &self,
        operation: Operation,
        q: &str,
        args: Value,
    ) -> Result<Map<String, Value>, Failure> {
        self.alive(operation).await?;
        let asked = self.page.ask(|rid| {
            ClientFrame::Query(QueryFrame {
                rid,
                q: q.to_owned(),
                args: args.as_object().cloned().unwrap_or_default(),
            })
        });
        self.answer(operation, asked).await
    }

    async fn query(
        &self,
        operation: Operation,
        q: &str,
        args: Value,
    ) -> Result<Map<String, Value>, Failure> {
        let answer = self.ask_server(operation, q, args).await?;
        if answer.get("ok") == Some(&Value::Bool(true)) {
            Ok(answer)
        } else {
            let text = answer
                .get("text")
                .and_then(Value::as_str)
                .unwrap_or_default();
            Err(failure(operation, Evidence::text(text)))
        }
    }

    pub(super) fn phase_allows(&self, operation: Operation) -> Result<(), Failure> {
        match self.page.phase() {
            // Offline, the page keeps it in its own outbox.
            Phase::Ready | Phase::Offline => Ok(()),
            Phase::Linking => Err(before(
                failure(
                    operation,
                    Evidence::SocketState {
                        state: "UNPAIRED".to_owned(),
                    },
                ),
                operation,
            )),
            Phase::Loading | Phase::Syncing => Err(before(
                failure(
                    operation,
                    Evidence::SocketState {
                        state: "OPENING".to_owned(),
                    },
                ),
                operation,
            )),
        }
    }

    /// Gives the message to the page and waits for the server, bounded.
    async fn hand_over(&self, id: &WaMessageId, to: &str, what: Written) -> SendOutcome {
        let operation = Operation::Send;
        let level = self.page.hand_over(id.as_str(), to, what);
        // A page that dies closes its answers too: its death is what counts,
        // and the same inputs must always end the same way.
        let answered = tokio::select! {
            biased;
            why = self.page.died() => return SendOutcome::Unknown(Failure {
                resend: Resend::CheckFirst,
                operation,
                ..why
            }),
            answered = tokio::time::timeout(ACK_DEADLINE, level) => answered,
        };
        match answered {
            Ok(Ok(level)) => match Ack::from_level(level) {
                Some(ack) => SendOutcome::HandedOff(ack),
                None => SendOutcome::NotSent(before(
                    failure(operation, Evidence::AckError { level }),
                    operation,
                )),
            },
            // The page has it and no server answered yet.
            Ok(Err(_)) | Err(_) => SendOutcome::HandedOff(Ack::Pending),
        }
    }

    /// What the page knows of a message, as a level.
    fn known(&self, id: &WaMessageId) -> Option<i64> {
        self.page
            .profile()
            .messages
            .get(id.as_str())
            .map(|known| known.level)
    }
}

#[async_trait]
impl Engine for ScriptedEngine {
    fn epoch(&self) -> Epoch {
        self.page.epoch
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            lookup: true,
            pairing_code: true,
            everything: true,
        }
    }

    async fn request_pair_code(&self, phone: &str) -> Result<String, Failure> {
        let operation = Operation::RequestPairingCode;
        self.alive(operation).await?;
        let asked = self.page.ask(|rid| ClientFrame::PairCodeRequest {
            rid,
            phone: phone.to_owned(),
        });
        let answer = self.answer(operation, asked).await?;
        match answer.get("code").and_then(Value::as_str) {
            Some(code) if answer.get("ok") == Some(&Value::Bool(true)) => Ok(code.to_owned()),
            _ => {
                let text = answer
                    .get("text")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                Err(failure(operation, Evidence::text(text)))
            }
        }
    }

    async fn send(&self, id: &WaMessageId, to: &ChatId, body: &Body) -> SendOutcome {
        let operation = Operation::Send;
        if let Some(why) = self.page.death() {
            return SendOutcome::NotSent(before(why, operation));
        }
        match self.script.next_send() {
            SendScript::Pass => {}
            SendScript::NotSent(why) => return SendOutcome::NotSent(why),
            SendScript::Rejected(why) => return SendOutcome::Rejected(why),
            SendScript::UnknownLost(why) => return SendOutcome::Unknown(why),
            SendScript::UnknownTaken(why) => {
                if let Ok(what) = self.write(body).await {
                    drop(self.page.hand_over(id.as_str(), to.as_str(), what));
                }
                return SendOutcome::Unknown(why);
            }
            SendScript::Dies(why) => {
                if let Ok(what) = self.write(body).await {
                    drop(self.page.hand_over(id.as_str(), to.as_str(), what));
                }
                self.page.fail(&why);
                return SendOutcome::Unknown(Failure {
                    resend: Resend::CheckFirst,
                    operation,
                    ..why
                });
            }
        }
        if self.page.is_hung() {
            // The call was dispatched; whether it runs is not known.
            return SendOutcome::Unknown(self.no_answer(operation).await);
        }
        if let Err(why) = self.phase_allows(operation) {
            return SendOutcome::NotSent(why);
        }
        match self.known(id) {
            // The page holds the key: a second message under it is refused there.
            Some(0) => return SendOutcome::HandedOff(Ack::Pending),
            Some(level) if level > 0 => {
                return SendOutcome::HandedOff(Ack::from_level(level).unwrap_or(Ack::Server));
            }
            Some(_) | None => {}
        }
        if self.page.phase() == Phase::Ready && !to.is_group() {
            match self.check_number(to).await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    return SendOutcome::Rejected(Failure {
                        kind: Kind::RecipientInvalid,
                        rung: Rung::RejectMessage,
                        resend: Resend::Yes,
                        operation,
                        evidence: "the recipient is not on WhatsApp".to_owned(),
                    });
                }
                Err(why) => return SendOutcome::NotSent(before(why, operation)),
            }
        }
        match self.write(body).await {
            Ok(what) => self.hand_over(id, to.as_str(), what).await,
            Err(outcome) => outcome,
        }
    }

    async fn lookup(&self, id: &WaMessageId, _to: &ChatId) -> LookupOutcome {
        let operation = Operation::Lookup;
        if let LookupScript::Answer(answer) = self.script.next_lookup() {
            return answer;
        }
        if let Err(why) = self.alive(operation).await {
            return LookupOutcome::Failed(why);
        }
        match self.known(id) {
            Some(level) => Ack::from_level(level)
                .map_or(LookupOutcome::FoundFailed(level), LookupOutcome::Found),
            None if self.page.phase() == Phase::Ready => LookupOutcome::NotFound,
            None => {
                LookupOutcome::Failed(self.phase_allows(operation).err().unwrap_or_else(|| {
                    failure(
                        operation,
                        Evidence::SocketState {
                            state: "TIMEOUT".to_owned(),
                        },
                    )
                }))
            }
        }
    }

    async fn resend(&self, id: &WaMessageId, _to: &ChatId) -> SendOutcome {
        let operation = Operation::Send;
        if let Err(why) = self.alive(operation).await {
            return SendOutcome::NotSent(why);
        }
        let known = self.page.profile().messages.get(id.as_str()).cloned();
        match known {
            Some(known) if known.level > 0 => {
                SendOutcome::HandedOff(Ack::from_level(known.level).unwrap_or(Ack::Server))
            }
            Some(known) => self.hand_over(id, &known.chat, known.written).await,
            None => SendOutcome::NotSent(before(
                failure(operation, Evidence::text("no such message in the outbox")),
                operation,
            )),
        }
    }

    async fn health(&self) -> Result<EngineHealth, Failure> {
        self.alive(Operation::Probe).await?;
        let phase = self.page.phase();
        let state = match phase {
            Phase::Loading => "OPENING",
            Phase::Linking => "UNPAIRED",
            Phase::Syncing | Phase::Ready => "CONNECTED",
            Phase::Offline => "TIMEOUT",
        };
        Ok(EngineHealth {
            phase,
            socket_state: Some(state.to_owned()),
            web_version: Some("scripted".to_owned()),
            missing: Vec::new(),
            browser_memory_bytes: None,
        })
    }

    async fn check_number(&self, number: &ChatId) -> Result<Option<ChatId>, Failure> {
        let answer = self
            .query(
                Operation::Evaluate,
                "exists",
                json!({"ids": [number.as_str()]}),
            )
            .await?;
        let id = answer
            .get("results")
            .and_then(|r| r.get(0))
            .filter(|r| r["exists"] == true)
            .and_then(|r| r["id"].as_str())
            .and_then(|id| ChatId::parse(id).ok());
        Ok(id)
    }

    async fn chats(&self) -> Result<Vec<ChatSummary>, Failure> {
        self.alive(Operation::Evaluate).await?;
        let mut chats: Vec<ChatSummary> = self.page.profile().chats.values().cloned().collect();
        chats.sort_by_key(|c| std::cmp::Reverse(c.last_message_at));
        Ok(chats)
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
        let operation = Operation::Evaluate;
        self.alive(operation).await?;
        let missing = |what: &str| Failure {
            kind: Kind::PermanentRequestError,
            rung: Rung::RejectMessage,
            ..failure(operation, Evidence::text(what))
        };
        let known = self
            .page
            .profile()
            .messages
            .get(message.id.as_str())
            .cloned();
        let known = known.ok_or_else(|| missing("there is no such message any more"))?;
        let path = known
            .written
            .content
            .get("media")
            .and_then(|m| m["direct_path"].as_str());
        let path = path.ok_or_else(|| missing("the message has no file"))?;
        let stored = self.page.fetch(path).map_err(|status| Failure {
            kind: Kind::MediaInvalid,
            ..missing(&format!("media download: {status}"))
        })?;
        let length = stored.bytes.len() as u64;
        if length > limit {
            return Err(Failure {
                kind: Kind::MediaInvalid,
                ..missing(&format!(
                    "the file has {length} bytes, and at most {limit} are wanted"
                ))
            });
        }
        for piece in stored.bytes.chunks(64 * 1024) {
            into.write(piece)
                .await
                .map_err(|why| failure(operation, Evidence::text(why)))?;
        }
        Ok(length)
    }

    async fn answer_passkey(&self, answer: &str) -> Result<(), Failure> {
        self.alive(Operation::Auth).await?;
        let read = read_answer(answer);
        let taken = read
            .is_some_and(|(challenge, assertion)| self.page.answer_passkey(&challenge, assertion));
        if taken {
            return Ok(());
        }
        Err(Failure {
            kind: Kind::PermanentRequestError,
            rung: Rung::RejectMessage,
            ..failure(
                Operation::Auth,
                Evidence::text("the page asks for no passkey now, or for another one"),
            )
        })
    }

    async fn logout(&self) -> Result<(), Failure> {
        self.query(Operation::Shutdown, "logout", json!({})).await?;
        self.page.profile().forget();
        self.page.fail(&failure(
            Operation::Listen,
            Evidence::LoggedOut { reason: Some(0) },
        ));
        Ok(())
    }
}
