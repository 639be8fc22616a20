//! One epoch's page: a socket to the world, kept up as the real page keeps it.

use super::profile::{Known, Profile, Written};
use crate::frames::{ClientFrame, Hello, PasskeyAssertion, Plain, SendFrame, ServerFrame};
use crate::hub::{Connection, Hub, Outbound};
use crate::world::{ConnId, Network, StoredMedia, Uploaded};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use steadfast_core::failure::{Evidence, Failure, Observed, Operation, classify};
use steadfast_core::ids::Epoch;
use steadfast_core::port::{EngineEvent, EventSink, PasskeyEnd, Phase};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// One epoch's page.
pub(super) struct Page {
    hub: Arc<Hub>,
    pub(super) profile: Arc<Mutex<Profile>>,
    pub(super) epoch: Epoch,
    pub(super) sink: Arc<dyn EventSink>,
    state: Mutex<State>,
    /// Why this page is dead, once it is.
    dead: watch::Sender<Option<Failure>>,
    hung: watch::Sender<bool>,
}

struct State {
    phase: Phase,
    conn: Option<ConnId>,
    next_rid: u64,
    replies: HashMap<u64, oneshot::Sender<Map<String, Value>>>,
    acks: HashMap<String, oneshot::Sender<i64>>,
    /// The challenge of the passkey that is asked for.
    passkey: Option<String>,
    reconnect_min_ms: u64,
    reconnect_max_ms: u64,
}

/// Why a socket is no more, and what the page does about it.
enum Next {
    /// Reconnect after a pause.
    Again,
    /// Reconnect now.
    AtOnce,
    /// Nothing: this page can do no more.
    Over(Failure),
}

/// The refs that the page shows, one after the other.
struct Showing {
    refs: std::vec::IntoIter<String>,
    ttl_ms: u64,
    until: Instant,
}

impl Page {
    pub(super) fn new(
        hub: Arc<Hub>,
        profile: Arc<Mutex<Profile>>,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Arc<Self> {
        Arc::new(Self {
            hub,
            profile,
            epoch,
            sink,
            state: Mutex::new(State {
                phase: Phase::Loading,
                conn: None,
                next_rid: 1,
                replies: HashMap::new(),
                acks: HashMap::new(),
                passkey: None,
                reconnect_min_ms: 250,
                reconnect_max_ms: 10_000,
            }),
            dead: watch::Sender::new(None),
            hung: watch::Sender::new(false),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn profile(&self) -> std::sync::MutexGuard<'_, Profile> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().phase
    }

    // ------------------------------------------------------------ dying

    /// Ends the page without a word.
    pub(super) fn die(&self, why: &Failure) {
        self.dead.send_if_modified(|dead| {
            let first = dead.is_none();
            if first {
                *dead = Some(why.clone());
            }
            first
        });
        let mut state = self.state();
        state.replies.clear();
        state.acks.clear();
        state.conn = None;
    }

    /// Ends the page and tells the supervisor.
    pub(super) fn fail(&self, why: &Failure) {
        if self.dead.borrow().is_none() {
            self.die(why);
            self.event(EngineEvent::Failed(why.clone()));
        }
    }

    pub(super) fn hang(&self) {
        self.hung.send_replace(true);
    }

    pub(super) fn is_hung(&self) -> bool {
        *self.hung.borrow()
    }

    /// Why the page is dead, where it is.
    pub(super) fn death(&self) -> Option<Failure> {
        self.dead.borrow().clone()
    }

    /// Ends when the page is dead.
    pub(super) async fn died(&self) -> Failure {
        let mut dead = self.dead.subscribe();
        loop {
            if let Some(why) = dead.borrow_and_update().clone() {
                return why;
            }
            if dead.changed().await.is_err() {
                return super::gone(Operation::Listen);
            }
        }
    }

    pub(super) fn event(&self, event: EngineEvent) {
        self.sink.event(self.epoch, event);
    }

    fn set_phase(&self, phase: Phase) {
        let changed = std::mem::replace(&mut self.state().phase, phase) != phase;
        if changed && self.dead.borrow().is_none() {
            self.event(EngineEvent::Phase(phase));
        }
    }

    /// Who waits for the server's word on a message of ours.
    pub(super) fn take_waiting(&self, id: &str) -> Option<oneshot::Sender<i64>> {
        self.state().acks.remove(id)
    }

    // ------------------------------------------------------------ calls

    /// Sends a frame on the present socket, where there is one.
    pub(super) fn frame(&self, frame: &ClientFrame) -> bool {
        let Some(conn) = self.state().conn else {
            return false;
        };
        let Ok(text) = serde_json::to_string(frame) else {
            return false;
        };
        self.hub.with(|world| world.frame(conn, &text));
        true
    }

    /// Asks the server; the answer comes through the receiver, which ends
    /// where the socket does.
    pub(super) fn ask(
        &self,
        frame: impl FnOnce(Value) -> ClientFrame,
    ) -> Option<oneshot::Receiver<Map<String, Value>>> {
        let (reply, answer) = oneshot::channel();
        let rid = {
            let mut state = self.state();
            state.conn?;
            let rid = state.next_rid;
            state.next_rid += 1;
            state.replies.insert(rid, reply);
            rid
        };
        self.frame(&frame(Value::from(rid))).then_some(answer)
    }

    /// Puts a message into the outbox and on the wire. The receiver tells the
    /// level of the server's answer; it ends where the socket does.
    pub(super) fn hand_over(
        &self,
        id: &str,
        chat: &str,
        written: Written,
    ) -> oneshot::Receiver<i64> {
        let (told, level) = oneshot::channel();
        {
            let mut profile = self.profile();
            profile.messages.insert(
                id.to_owned(),
                Known {
                    chat: chat.to_owned(),
                    written,
                    level: 0,
                },
            );
            if !profile.outbox.iter().any(|o| o == id) {
                profile.outbox.push_back(id.to_owned());
            }
        }
        self.state().acks.insert(id.to_owned(), told);
        if matches!(self.phase(), Phase::Ready | Phase::Syncing) {
            self.put_on_wire(id);
        }
        level
    }

    fn put_on_wire(&self, id: &str) {
        let known = self.profile().messages.get(id).cloned();
        if let Some(known) = known {
            self.frame(&ClientFrame::Send(SendFrame {
                id: id.to_owned(),
                chat: known.chat,
                kind: known.written.kind,
                body: known.written.body,
                content: known.written.content,
            }));
        }
    }

    /// Uploads a file; the HTTP status where it is refused.
    pub(super) fn upload(&self, kind: &str, auth: &str, bytes: Vec<u8>) -> Result<Uploaded, u16> {
        self.hub
            .with(|world| world.upload(kind, auth, bytes))
            .map_err(|refusal| refusal.0)
    }

    /// Fetches a file by its path; the HTTP status where it is not there.
    pub(super) fn fetch(&self, path: &str) -> Result<Arc<StoredMedia>, u16> {
        let handle = path.rsplit('/').next().unwrap_or_default();
        self.hub
            .with(|world| world.download(handle))
            .map_err(|refusal| refusal.0)
    }

    // ------------------------------------------------------------ life

    pub(super) async fn run(self: Arc<Self>) {
        self.event(EngineEvent::Phase(Phase::Loading));
        let mut hung = self.hung.subscribe();
        let live = self.live();
        tokio::pin!(live);
        tokio::select! {
            biased;
            _ = self.died() => return,
            () = &mut live => return,
            // A page that hangs keeps its socket and does nothing with it.
            _ = hung.wait_for(|hung| *hung) => {}
        }
        self.died().await;
    }

    async fn live(&self) {
        let mut pause_ms = self.state().reconnect_min_ms;
        loop {
            let next = self.session().await;
            {
                let mut state = self.state();
                state.conn = None;
                state.replies.clear();
            }
            // Nobody waits for it on the next socket.
            self.end_passkey(PasskeyEnd::GivenUp);
            match next {
                Next::AtOnce => pause_ms = self.state().reconnect_min_ms,
                Next::Over(why) => {
                    self.fail(&why);
                    return;
                }
                Next::Again => {
                    if self.phase() == Phase::Ready {
                        pause_ms = self.state().reconnect_min_ms;
                    }
                    if self.profile().login.is_some() {
                        self.set_phase(Phase::Offline);
                    }
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    let max = self.state().reconnect_max_ms;
                    pause_ms = pause_ms.saturating_mul(2).min(max);
                }
            }
        }
    }

    /// One socket, from hello to its end.
    async fn session(&self) -> Next {
        if self.hub.with(|world| world.network()) == Network::Refusing {
            return Next::Again;
        }
        let mut socket = self.hub.connect();
        self.state().conn = Some(socket.id);
        let hello = {
            let profile = self.profile();
            Hello {
                device: profile.login.clone(),
                keys: profile.keys.clone(),
                have_history: profile.have_history,
                version: "scripted".to_owned(),
                ua: "scripted".to_owned(),
                platform: "1".to_owned(),
                tab: self.epoch.0.to_string(),
                takeover: false,
            }
        };
        self.frame(&ClientFrame::Hello(hello));
        self.converse(&mut socket).await
    }

    async fn converse(&self, socket: &mut Connection) -> Next {
        let cut = socket.cut.clone();
        let mut next = Next::Again;
        let mut showing: Option<Showing> = None;
        let mut inbound_at: Option<Instant> = None;
        loop {
            let show_next = showing.as_ref().map(|s| s.until);
            tokio::select! {
                biased;
                () = cut.cancelled() => return next,
                out = socket.out.recv() => match out {
                    Some(Outbound::Frame(frame)) => match *frame {
                        ServerFrame::Item { sid, item, .. } => {
                            if self.take_item(item) {
                                inbound_at = Some(Instant::now());
                            }
                            self.frame(&ClientFrame::Received { sids: vec![sid] });
                        }
                        ServerFrame::Plain(Plain::Qr { refs, ttl_ms }) => {
                            showing = Some(Showing {
                                refs: refs.into_iter(),
                                ttl_ms,
                                until: Instant::now(),
                            });
                        }
                        ServerFrame::Plain(plain) => {
                            if matches!(plain, Plain::Paired { .. } | Plain::PasskeyRequest { .. }) {
                                showing = None;
                            }
                            if matches!(plain, Plain::OfflineDone) {
                                inbound_at = Some(Instant::now());
                            }
                            if let Some(other) = self.take_plain(plain) {
                                next = other;
                            }
                        }
                    },
                    Some(Outbound::Close(_)) | None => return next,
                },
                () = at(show_next) => {
                    if let Some(showing) = &mut showing {
                        self.show_next_ref(showing);
                    }
                }
                () = at(inbound_at) => {
                    let messages = self.offer_inbound().await;
                    let happenings = self.offer_happenings().await;
                    inbound_at = messages.into_iter().chain(happenings).min();
                }
            }
        }
    }

    fn show_next_ref(&self, showing: &mut Showing) {
        showing.until = Instant::now() + Duration::from_millis(showing.ttl_ms);
        match showing.refs.next() {
            Some(reference) => {
                let keys = self.profile().keys.clone();
                self.event(EngineEvent::Qr {
                    code: format!(
                        "{reference},{},{},{},1",
                        keys.static_key, keys.identity, keys.adv
                    ),
                    expires_in_ms: showing.ttl_ms,
                });
            }
            None => {
                self.frame(&ClientFrame::RefreshQr);
            }
        }
    }

    /// Takes a frame of the server; tells what the end of this socket will mean.
    fn take_plain(&self, plain: Plain) -> Option<Next> {
        match plain {
            Plain::Config {
                reconnect_min_ms,
                reconnect_max_ms,
                ..
            } => {
                let mut state = self.state();
                state.reconnect_min_ms = reconnect_min_ms;
                state.reconnect_max_ms = reconnect_max_ms;
                drop(state);
                if self.profile().login.is_none() {
                    self.set_phase(Phase::Linking);
                }
            }
            Plain::Paired { device, .. } => {
                self.profile().login = Some(device);
                self.event(EngineEvent::Linked);
                self.frame(&ClientFrame::PairedOk);
            }
            Plain::PasskeyRequest {
                challenge,
                rp_id,
                allow_credentials,
                timeout_ms,
            } => {
                let allowed: Vec<Value> = allow_credentials
                    .iter()
                    .map(|id| json!({"type": "public-key", "id": id}))
                    .collect();
                let options = json!({"challenge": challenge, "timeout": timeout_ms, "rpId": rp_id,
                    "allowCredentials": allowed, "userVerification": "preferred"});
                self.state().passkey = Some(challenge);
                self.event(EngineEvent::PasskeyWanted {
                    options: options.to_string(),
                    expires_in_ms: timeout_ms,
                });
            }
            Plain::PairFailed { .. } => {
                // One that was answered is over already.
                self.end_passkey(PasskeyEnd::TimedOut);
                self.frame(&ClientFrame::RefreshQr);
            }
            Plain::Success { me, .. } => {
                self.set_phase(Phase::Syncing);
                self.take_me(me);
                let outbox: Vec<String> = self.profile().outbox.iter().cloned().collect();
                for id in outbox {
                    self.put_on_wire(&id);
                }
            }
            Plain::Sync(chunk) => {
                for contact in &chunk.contacts {
                    self.take_contact(contact);
                }
                for chat in &chunk.chats {
                    self.take_chat(chat);
                }
                for message in &chunk.messages {
                    self.take_history(message);
                }
                self.frame(&ClientFrame::SyncOk { chunk: chunk.chunk });
            }
            Plain::OfflineDone => {
                {
                    let mut profile = self.profile();
                    profile.have_history = true;
                    profile.worked = true;
                }
                self.set_phase(Phase::Ready);
            }
            Plain::Ack { id, level, .. } | Plain::Nack { id, level, .. } => {
                self.take_level(&id, level);
            }
            Plain::Result { rid, body, ok } => {
                let reply = rid.as_u64().and_then(|n| self.state().replies.remove(&n));
                if let Some(reply) = reply {
                    let mut body = body;
                    body.insert("ok".to_owned(), Value::from(ok));
                    // Nobody waits any more: the answer came too late.
                    let _ = reply.send(body);
                }
            }
            Plain::Failure {
                reason,
                logout_reason,
                ..
            } => return Some(self.refused(reason, logout_reason)),
            Plain::StreamError {
                code,
                conflict,
                logout_reason,
                ..
            } => {
                return Some(match (code, conflict) {
                    (515, _) => Next::AtOnce,
                    (401, _) => self.refused(401, logout_reason),
                    (_, Some("replaced")) => Next::Over(state_failure("CONFLICT")),
                    _ => Next::Again,
                });
            }
            Plain::Pong { .. }
            | Plain::Qr { .. }
            | Plain::Offline { .. }
            | Plain::Presence { .. }
            | Plain::Chatstate { .. }
            | Plain::Phone { .. }
            | Plain::Fault(_) => {}
        }
        None
    }

    fn end_passkey(&self, end: PasskeyEnd) {
        let asked = self.state().passkey.take();
        if asked.is_some() && self.dead.borrow().is_none() {
            self.event(EngineEvent::PasskeyOver(end));
        }
    }

    /// Hands an assertion to the server, where it answers what is asked.
    pub(super) fn answer_passkey(&self, challenge: &str, assertion: PasskeyAssertion) -> bool {
        if self.state().passkey.as_deref() != Some(challenge) {
            return false;
        }
        self.end_passkey(PasskeyEnd::Answered);
        self.frame(&ClientFrame::PasskeyAssertion(assertion))
    }

    fn refused(&self, reason: u16, logout_reason: u8) -> Next {
        match reason {
            402 => Next::Over(state_failure("TOS_BLOCK")),
            405 => Next::Over(state_failure("DEPRECATED_VERSION")),
            401 | 403 | 406 => {
                self.profile().forget();
                Next::Over(classify(&Observed {
                    operation: Operation::Listen,
                    evidence: Evidence::LoggedOut {
                        reason: Some(i64::from(logout_reason)),
                    },
                }))
            }
            _ => Next::Again,
        }
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

fn state_failure(state: &str) -> Failure {
    classify(&Observed {
        operation: Operation::Listen,
        evidence: Evidence::SocketState {
            state: state.to_owned(),
        },
    })
}
