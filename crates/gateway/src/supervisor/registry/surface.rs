//! What HTTP and the library may ask of the sessions, and wish of them.

use super::super::actor::Want;
use super::super::health;
use super::super::snapshot::PasskeyStep;
use super::super::view;
use super::questions::{asked, is_linking, is_ready};
use super::{Handle, PASSKEY_TOLD_LIMIT, Supervisor, command};
use crate::passkey::Assertion;
use crate::sessions::{
    AckWait, HealthView, PasskeyChallenge, QrCode, SessionError, SessionState, SessionView,
    Sessions, Standing,
};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::action::{Action, Answer};
use steadfast_core::failure::Kind;
use steadfast_core::ids::{ChatId, MessageId, MessageKey, SessionId};
use steadfast_core::outbox::{Ack, Message, Status};
use steadfast_core::pacing;
use steadfast_core::port::{ChatSummary, FileSink, Picture};
use steadfast_core::proxy::Proxy;

#[async_trait]
impl Sessions for Supervisor {
    fn repace(&self, policy: pacing::Policy) {
        self.shared
            .pacing
            .send_if_modified(|now| std::mem::replace(now, policy.clone()) != policy);
    }

    async fn list(&self) -> Result<Vec<SessionView>, SessionError> {
        let names: Vec<SessionId> = self.lock().keys().cloned().collect();
        let mut views = Vec::with_capacity(names.len());
        for name in names {
            match self.view(&name).await {
                Ok(view) => views.push(view),
                // Removed meanwhile.
                Err(SessionError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(views)
    }

    async fn get(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        self.view(session).await
    }

    async fn wait_until(
        &self,
        session: &SessionId,
        deadline: Duration,
        pleases: &(dyn for<'a> Fn(&'a Standing) -> bool + Sync),
    ) -> Result<Standing, SessionError> {
        let mut snapshots = self.handle(session)?.snapshot.clone();
        let wait = async {
            loop {
                let standing = view::standing(&snapshots.borrow_and_update());
                if pleases(&standing) {
                    return Ok(standing);
                }
                if snapshots.changed().await.is_err() {
                    // The session was removed, or everything ends.
                    return Err(SessionError::ShuttingDown);
                }
            }
        };
        match tokio::time::timeout(deadline, wait).await {
            Ok(end) => end,
            Err(_) => Err(SessionError::Timeout(
                u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
            )),
        }
    }

    async fn create(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<SessionView, SessionError> {
        let session = session.clone();
        self.to_its_end(|me| async move { me.make(&session, proxy).await })
            .await
    }

    async fn set_proxy(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<SessionView, SessionError> {
        let changing = self.changing.lock().await;
        let handle = self.handle(session)?;
        if handle.proxy.get() == proxy {
            return self.view(session).await;
        }
        let store = &self.shared.store;
        store.set_session_proxy(session, proxy.clone()).await?;
        handle.proxy.set(proxy);
        drop(changing);
        let state = view::state(&handle.snapshot.borrow().state);
        if has_a_browser(state) {
            command(&handle, Want::Restart).await?;
        }
        self.view(session).await
    }

    async fn start(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        self.want(session, Want::Start).await
    }

    async fn stop(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        self.want(session, Want::Stop).await
    }

    async fn restart(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        self.want(session, Want::Restart).await
    }

    async fn logout(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        self.want(session, Want::LogOut).await
    }

    async fn delete(&self, session: &SessionId) -> Result<(), SessionError> {
        let session = session.clone();
        self.to_its_end(|me| async move { me.remove(&session).await })
            .await
    }

    async fn qr(&self, session: &SessionId) -> Result<Option<QrCode>, SessionError> {
        let handle = self.handle(session)?;
        let qr = handle.snapshot.borrow().qr.clone();
        Ok(qr.filter(|qr| qr.expires_at > self.shared.clock.unix()))
    }

    async fn request_pair_code(
        &self,
        session: &SessionId,
        phone: &str,
    ) -> Result<String, SessionError> {
        let engine = self.engine(session, "linking", is_linking)?;
        if !engine.capabilities().pairing_code {
            return Err(SessionError::Unsupported("linking by pairing code"));
        }
        asked(engine.request_pair_code(phone)).await
    }

    async fn passkey(&self, session: &SessionId) -> Result<Option<PasskeyChallenge>, SessionError> {
        let handle = self.handle(session)?;
        let snapshot = handle.snapshot.borrow();
        let step = snapshot.passkey.as_ref();
        Ok(step
            .and_then(|step| step.challenge(self.shared.clock.unix()))
            .cloned())
    }

    async fn answer_passkey(
        &self,
        session: &SessionId,
        answer: &Assertion,
    ) -> Result<SessionView, SessionError> {
        let Some(challenge) = self.passkey(session).await? else {
            let view = self.view(session).await?;
            return Err(SessionError::NoPasskey(no_passkey(&view)));
        };
        answer
            .suits(&challenge.options)
            .map_err(SessionError::PasskeyRefused)?;
        let engine = self.engine(session, "linking", is_linking)?;
        match asked(engine.answer_passkey(answer.json())).await {
            Ok(()) => {
                // The page tells that it has it in a moment; what is shown then is true.
                let mut snapshot = self.handle(session)?.snapshot.clone();
                let told =
                    snapshot.wait_for(|s| !matches!(s.passkey, Some(PasskeyStep::Wanted(_))));
                let _ = tokio::time::timeout(PASSKEY_TOLD_LIMIT, told).await;
                self.view(session).await
            }
            // The page went on between the look and the answer.
            Err(SessionError::Failed(failure)) if failure.kind == Kind::PermanentRequestError => {
                Err(SessionError::NoPasskey(failure.evidence))
            }
            Err(error) => Err(error),
        }
    }

    async fn health(&self, session: &SessionId) -> Result<HealthView, SessionError> {
        let handle = self.handle(session)?;
        let snapshot = handle.snapshot();
        let engine = handle.engine.borrow().clone();
        let depth = self.shared.store.depth(session).await;
        Ok(health::examine(
            &snapshot,
            engine,
            depth,
            &health::Limits {
                memory_bytes: self.shared.options.upkeep.memory_limit_bytes,
                canary: self.shared.options.canary_interval.is_some(),
            },
            self.shared.clock.unix(),
        )
        .await)
    }

    async fn check_number(
        &self,
        session: &SessionId,
        number: &ChatId,
    ) -> Result<Option<ChatId>, SessionError> {
        let (numbers, now) = (&self.shared.numbers, self.shared.clock.mono());
        self.handle(session)?;
        if let Some(known) = numbers.get(session, number, now) {
            return Ok(known);
        }
        let engine = self.engine(session, "ready", is_ready)?;
        let found = asked(engine.check_number(number)).await?;
        numbers.put(session, number, found.as_ref(), now);
        Ok(found)
    }

    async fn chats(&self, session: &SessionId) -> Result<Vec<ChatSummary>, SessionError> {
        let engine = self.engine(session, "ready", is_ready)?;
        asked(engine.chats()).await
    }

    async fn perform(&self, session: &SessionId, action: Action) -> Result<Answer, SessionError> {
        match action {
            Action::CheckNumbers(numbers) => self.check_numbers(session, numbers).await,
            action => self.ask(session, &action).await,
        }
    }

    async fn download(
        &self,
        session: &SessionId,
        message: &MessageKey,
        limit: u64,
        into: &mut dyn FileSink,
    ) -> Result<u64, SessionError> {
        let engine = self.engine(session, "ready", is_ready)?;
        // The engine has a deadline of its own, by the size of the file.
        let fetched = engine.download(message, limit, into).await;
        fetched.map_err(|failure| SessionError::Failed(Box::new(failure)))
    }

    async fn picture(&self, session: &SessionId) -> Result<Picture, SessionError> {
        // Of a page in trouble it is wanted most.
        let engine = self.engine(session, "running", |_| true)?;
        asked(engine.picture()).await
    }

    fn notify_outbox(&self, session: &SessionId) {
        if let Some(handle) = self.lock().get(session) {
            handle.wake.notify_one();
        }
    }

    async fn wait_for_ack(
        &self,
        message: &MessageId,
        level: Ack,
        deadline: Duration,
    ) -> Result<AckWait, SessionError> {
        let mut listener = self.shared.updates.listen();
        let wait = async {
            loop {
                if let Some(stored) = self.shared.store.message(message).await?
                    && let Some(end) = reached(stored, level)
                {
                    return Ok(end);
                }
                listener.changed(message).await;
            }
        };
        match tokio::time::timeout(deadline, wait).await {
            Ok(end) => end,
            Err(_) => Ok(AckWait::TimedOut),
        }
    }

    async fn shutdown(&self, deadline: Duration) {
        self.closing.cancel();
        let handles: Vec<Arc<Handle>> = self.lock().values().cloned().collect();
        let ends = handles.iter().map(|h| command(h, Want::Shutdown));
        let all = async {
            futures_util::future::join_all(ends).await;
            self.lock().clear();
        };
        if tokio::time::timeout(deadline, all).await.is_err() {
            tracing::warn!(
                event = "shutdown_incomplete",
                "a browser did not close in time"
            );
        }
    }
}

/// Whether a session in this state runs by itself, or is about to.
fn has_a_browser(state: SessionState) -> bool {
    match state {
        SessionState::Starting
        | SessionState::Linking
        | SessionState::Syncing
        | SessionState::Ready
        | SessionState::Recovering => true,
        // These wait for a person, who starts them.
        SessionState::Stopped
        | SessionState::Conflict
        | SessionState::LoggedOut
        | SessionState::Parked => false,
    }
}

/// Why there is no question to be answered.
fn no_passkey(view: &SessionView) -> String {
    if view.has_passkey_challenge || view.reason.as_deref() == Some("passkey_missed") {
        "the time for it is over; link again, and it is asked for anew".to_owned()
    } else {
        format!("the session is {}", view.state.as_str())
    }
}

/// Whether a message has come this far, or never will by itself.
fn reached(message: Message, level: Ack) -> Option<AckWait> {
    let so_far = match message.status {
        Status::Accepted | Status::Sending => return None,
        Status::Rejected | Status::Expired | Status::Cancelled | Status::Parked => {
            return Some(AckWait::Ended(Box::new(message)));
        }
        Status::Sent => Ack::Server,
        Status::Delivered => Ack::Device,
        Status::Read => Ack::Read,
        Status::Played => Ack::Played,
    };
    (so_far >= level).then(|| AckWait::Reached(Box::new(message)))
}
