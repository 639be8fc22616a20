//! One session, as an embedding program holds it.

use super::{Accepted, Error, Outgoing};
use crate::http::{HttpState, embedded};
use crate::passkey::Assertion;
use crate::sessions::{
    HealthView, PasskeyChallenge, QrCode, SessionError, SessionState, SessionView, Sessions,
    Standing,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ids::{ChatId, SessionId};
use steadfast_core::outbox::Message;
use steadfast_core::port::{ChatSummary, Incident, MessageQuery, StoredInbound};
use tokio::time::Instant;

/// One session. Cheap to clone; one of a session that does not exist is refused
/// with `session_unknown` at its first call.
#[derive(Clone)]
pub struct Session {
    state: Arc<HttpState>,
    name: SessionId,
}

/// What a person must do for a session to be linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkStep {
    /// Scan this code, before it expires. Another one follows.
    Qr(QrCode),
    /// Answer this by [`Session::answer_passkey`]; docs/LINKING.md says how.
    Passkey(PasskeyChallenge),
}

impl Session {
    pub(super) fn new(state: Arc<HttpState>, name: SessionId) -> Self {
        Self { state, name }
    }

    fn sessions(&self) -> &dyn Sessions {
        self.state.app().sessions.as_ref()
    }

    /// Its name.
    pub fn name(&self) -> &SessionId {
        &self.name
    }

    /// How it stands.
    ///
    /// # Errors
    /// `session_unknown`, or the store failed.
    pub async fn view(&self) -> Result<SessionView, Error> {
        Ok(self.sessions().get(&self.name).await?)
    }

    /// Looks actively how it is, with what a person should do.
    ///
    /// # Errors
    /// `session_unknown`.
    pub async fn health(&self) -> Result<HealthView, Error> {
        Ok(self.sessions().health(&self.name).await?)
    }

    /// Wants it to run. Answers before it is ready.
    ///
    /// # Errors
    /// `session_unknown`, `shutting_down`.
    pub async fn start(&self) -> Result<SessionView, Error> {
        Ok(self.sessions().start(&self.name).await?)
    }

    /// Wants it not to run. Answers once its browser is gone. Messages are
    /// taken all the same, and wait.
    ///
    /// # Errors
    /// `session_unknown`, `shutting_down`.
    pub async fn stop(&self) -> Result<SessionView, Error> {
        Ok(self.sessions().stop(&self.name).await?)
    }

    /// Begins anew; the way out of `parked` and `conflict`.
    ///
    /// # Errors
    /// `session_unknown`, `shutting_down`.
    pub async fn restart(&self) -> Result<SessionView, Error> {
        Ok(self.sessions().restart(&self.name).await?)
    }

    /// Removes the link at WhatsApp and the profile here.
    ///
    /// # Errors
    /// `session_unknown`, `shutting_down`.
    pub async fn log_out(&self) -> Result<SessionView, Error> {
        Ok(self.sessions().logout(&self.name).await?)
    }

    /// Logs out, and forgets the session with all its messages.
    ///
    /// # Errors
    /// `session_unknown`, `shutting_down`.
    pub async fn delete(self) -> Result<(), Error> {
        Ok(self.state.remove_session(&self.name).await?)
    }

    /// The code to be scanned now, where there is one.
    ///
    /// # Errors
    /// `session_unknown`.
    pub async fn qr(&self) -> Result<Option<QrCode>, Error> {
        Ok(self.sessions().qr(&self.name).await?)
    }

    /// Asks WhatsApp for a code that is typed on the phone with this number.
    ///
    /// # Errors
    /// `wrong_state` where it is not linking, `invalid_field` where that is no number.
    pub async fn pairing_code(&self, phone: &str) -> Result<String, Error> {
        let phone = embedded::phone(phone)?;
        let asked = self.sessions().request_pair_code(&self.name, &phone);
        Ok(asked.await?)
    }

    /// Answers a passkey's challenge.
    ///
    /// # Errors
    /// `no_passkey`, `passkey_refused`.
    pub async fn answer_passkey(&self, answer: &Assertion) -> Result<SessionView, Error> {
        Ok(self.sessions().answer_passkey(&self.name, answer).await?)
    }

    /// Waits until it is ready, telling each thing that a person has to do
    /// for it. `told` must not block.
    ///
    /// # Errors
    /// `timeout` after `deadline`; `wrong_state` where only a person can go
    /// on: parked, stopped, logged out, or opened elsewhere.
    pub async fn link(
        &self,
        deadline: Duration,
        mut told: impl FnMut(LinkStep),
    ) -> Result<SessionView, Error> {
        let until = Instant::now() + deadline;
        let mut last: Option<Standing> = None;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let news = |now: &Standing| last.as_ref() != Some(now);
            let now = self.sessions().wait_until(&self.name, left, &news).await?;
            match now.state {
                SessionState::Ready => return self.view().await,
                SessionState::Starting
                | SessionState::Linking
                | SessionState::Syncing
                | SessionState::Recovering => {}
                SessionState::Stopped
                | SessionState::Conflict
                | SessionState::LoggedOut
                | SessionState::Parked => {
                    return Err(SessionError::WrongState {
                        state: now.state,
                        wanted: "on its way to ready",
                    }
                    .into());
                }
            }
            let before = last.as_ref();
            if let Some(qr) = &now.qr
                && before.and_then(|b| b.qr.as_ref()) != Some(qr)
            {
                told(LinkStep::Qr(qr.clone()));
            }
            if let Some(passkey) = &now.passkey
                && before.and_then(|b| b.passkey.as_ref()) != Some(passkey)
            {
                told(LinkStep::Passkey(passkey.clone()));
            }
            last = Some(now);
        }
    }

    /// Waits until it can send.
    ///
    /// # Errors
    /// As [`Session::link`].
    pub async fn wait_until_ready(&self, deadline: Duration) -> Result<SessionView, Error> {
        self.link(deadline, |_| {}).await
    }

    /// Takes a message into the outbox. `Ok` means that it is on disk; the
    /// session need not be ready, nor linked.
    ///
    /// # Errors
    /// `session_unknown`, `idempotency_key_reused`, `idempotency_in_flight`, `storage_full` and
    /// others of the store. Nothing was stored then.
    pub async fn send(&self, message: Outgoing) -> Result<Accepted, Error> {
        let Outgoing { order, key } = message;
        let accepted = Box::pin(embedded::accept(&self.state, &self.name, order, key));
        Ok(accepted.await?.into())
    }

    /// Takes a message of any kind, as the body of `POST /v1/sessions/{session}/messages` says it
    /// (docs/API.md): files, places, contacts, polls, replies, reactions, edits. `wait` has no
    /// effect here; [`super::Gateway::wait_for_ack`] waits.
    ///
    /// ```no_run
    /// # async fn example(session: steadfast_gateway::embed::Session) -> Result<(), steadfast_gateway::embed::Error> {
    /// use serde_json::json;
    ///
    /// let request = json!({
    ///     "to": "4915198765432", "type": "image", "caption": "Your parcel",
    ///     "media": {"url": "https://shop.example/parcel.jpg"},
    /// });
    /// session.send_request(request, Some("parcel-4711")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::send`], and those that are in the way of this kind: `invalid_field`, ...
    pub async fn send_request(&self, request: Value, key: Option<&str>) -> Result<Accepted, Error> {
        let key = key.map(str::to_owned);
        let accepted = Box::pin(embedded::accept_request(
            &self.state,
            &self.name,
            request,
            key,
        ));
        Ok(accepted.await?.into())
    }

    /// Its messages, in the order in which they were accepted.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn messages(&self, query: MessageQuery) -> Result<Vec<Message>, Error> {
        Ok(self.state.app().store.messages(&self.name, query).await?)
    }

    /// Messages that came in after this position (0: from the first), oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn inbound(&self, after: i64, limit: u32) -> Result<Vec<StoredInbound>, Error> {
        let store = &self.state.app().store;
        Ok(store.inbound(&self.name, after, limit).await?)
    }

    /// What failed and how it was healed, newest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn incidents(&self, limit: u32) -> Result<Vec<Incident>, Error> {
        let store = &self.state.app().store;
        Ok(store.incidents(&self.name, None, limit).await?)
    }

    /// Whether a number has WhatsApp, and under which chat id.
    ///
    /// # Errors
    /// `not_ready`, `wrong_state`, `whatsapp_failed`, `timeout`.
    pub async fn check_number(&self, number: &ChatId) -> Result<Option<ChatId>, Error> {
        Ok(self.sessions().check_number(&self.name, number).await?)
    }

    /// The chats of this account.
    ///
    /// # Errors
    /// `not_ready`, `wrong_state`, `whatsapp_failed`, `timeout`.
    pub async fn chats(&self) -> Result<Vec<ChatSummary>, Error> {
        Ok(self.sessions().chats(&self.name).await?)
    }
}
