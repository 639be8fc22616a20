//! Sessions that do as a test says.

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use steadfast_core::action::{Action, Answer, Refusal};
use steadfast_core::failure::{Failure, Kind, Operation, Resend, Rung};
use steadfast_core::ids::{ChatId, LoginGeneration, MessageId, MessageKey, SessionId};
use steadfast_core::outbox::Ack;
use steadfast_core::port::{ChatSummary, FileSink, OutboxDepth, Picture, SessionRecord, Store};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;
use steadfast_gateway::passkey::Assertion;
use steadfast_gateway::sessions::{
    AckWait, Check, CheckStatus, HealthView, Overall, Pace, PasskeyChallenge, QrCode, SessionError,
    SessionState, SessionView, Sessions, Standing,
};
use tokio::sync::Semaphore;

/// 2024-01-15T10:30:00.000Z, the time in the original's example.
pub(crate) const THEN: UnixMs = UnixMs(1_705_314_600_000);

/// What WhatsApp Web asks for, where it asks for a passkey.
pub(crate) const PASSKEY_OPTIONS: &str = r#"{"challenge":"Y2hhbGxlbmdl","timeout":60000,"rpId":"whatsapp.com","allowCredentials":[{"type":"public-key","id":"AAECAw"}],"userVerification":"preferred"}"#;

/// What every picture of a page is. Its Base64 holds a long row of digits.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n?\xfb]\xb7\xe3\x9e\xbb\xf8";

pub(crate) struct FakeSessions {
    views: Mutex<BTreeMap<SessionId, SessionView>>,
    /// Where sessions that are made are written down, as the real ones do.
    pub(crate) store: OnceLock<Arc<dyn Store>>,
    /// What a wait for an ack ends with.
    pub(crate) ack: Mutex<AckWait>,
    /// What every action is answered with.
    pub(crate) answer: Mutex<Result<Answer, Refusal>>,
    /// The actions so far.
    pub(crate) performed: Mutex<Vec<Action>>,
    /// How often delivery was told of work.
    pub(crate) notified: AtomicUsize,
    /// Where it is set, a download and a wait for an ack last until it opens.
    pub(crate) gate: Mutex<Option<Arc<Semaphore>>>,
    /// How many downloads were begun.
    pub(crate) downloads: AtomicUsize,
    /// How many pictures were asked for.
    pub(crate) pictures: AtomicUsize,
    /// The files that WhatsApp has, by the keys of their messages.
    pub(crate) files: Mutex<BTreeMap<String, Vec<u8>>>,
}

fn missing_file() -> Failure {
    Failure {
        kind: Kind::MediaInvalid,
        rung: Rung::RejectMessage,
        resend: Resend::Yes,
        operation: Operation::Evaluate,
        evidence: "WhatsApp has no such file".to_owned(),
    }
}

pub(crate) fn id(name: &str) -> SessionId {
    SessionId::parse(name).unwrap()
}

fn view(name: &SessionId) -> SessionView {
    SessionView {
        name: name.clone(),
        state: SessionState::Ready,
        reason: None,
        detail: None,
        is_authenticated: true,
        has_qr: false,
        has_passkey_challenge: false,
        connection_attempts: 0,
        restart_in_progress: false,
        last_seen: Some(THEN),
        since: THEN,
        uptime_ms: 1_500,
        wanted_ms: 4_000,
        ready_ms: 3_000,
        created_at: THEN,
        me: None,
        incident: None,
        outbox: OutboxDepth::default(),
        pace: Pace::default(),
        browser_memory_bytes: Some(1_024),
        web_version: None,
        proxy: None,
        missing_bindings: Vec::new(),
        recommendations: vec!["All systems operating normally".to_owned()],
    }
}

impl FakeSessions {
    pub(crate) fn new() -> Self {
        let default = id("default");
        Self {
            views: Mutex::new(BTreeMap::from([(default.clone(), view(&default))])),
            store: OnceLock::new(),
            ack: Mutex::new(AckWait::TimedOut),
            answer: Mutex::new(Ok(Answer::Done)),
            performed: Mutex::default(),
            notified: AtomicUsize::new(0),
            gate: Mutex::default(),
            downloads: AtomicUsize::new(0),
            pictures: AtomicUsize::new(0),
            files: Mutex::default(),
        }
    }

    async fn at_the_gate(&self) {
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            drop(gate.acquire().await.unwrap());
        }
    }

    /// Another session that is there.
    pub(crate) fn add(&self, name: &str) {
        let name = id(name);
        let made = view(&name);
        self.views.lock().unwrap().insert(name, made);
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut SessionView)) {
        change(self.views.lock().unwrap().get_mut(&id("default")).unwrap());
    }

    fn in_state(
        &self,
        session: &SessionId,
        state: SessionState,
    ) -> Result<SessionView, SessionError> {
        let mut views = self.views.lock().unwrap();
        let view = views
            .get_mut(session)
            .ok_or_else(|| SessionError::NotFound(session.clone()))?;
        view.state = state;
        Ok(view.clone())
    }

    fn ready(&self, session: &SessionId) -> Result<(), SessionError> {
        let views = self.views.lock().unwrap();
        let view = views
            .get(session)
            .ok_or_else(|| SessionError::NotFound(session.clone()))?;
        if view.ready() {
            return Ok(());
        }
        Err(SessionError::WrongState {
            state: view.state,
            wanted: "ready",
        })
    }
}

#[async_trait]
impl Sessions for FakeSessions {
    fn repace(&self, _: steadfast_core::pacing::Policy) {}

    async fn list(&self) -> Result<Vec<SessionView>, SessionError> {
        Ok(self.views.lock().unwrap().values().cloned().collect())
    }

    async fn get(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        assert_ne!(session.as_str(), "bug", "a handler meets a bug");
        let found = self.views.lock().unwrap().get(session).cloned();
        found.ok_or_else(|| SessionError::NotFound(session.clone()))
    }

    async fn wait_until(
        &self,
        session: &SessionId,
        deadline: Duration,
        pleases: &(dyn for<'a> Fn(&'a Standing) -> bool + Sync),
    ) -> Result<Standing, SessionError> {
        let standing = Standing {
            state: self.get(session).await?.state,
            qr: self.qr(session).await?,
            passkey: self.passkey(session).await?,
        };
        let end = pleases(&standing).then_some(standing);
        end.ok_or(SessionError::Timeout(
            u64::try_from(deadline.as_millis()).unwrap(),
        ))
    }

    async fn create(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<SessionView, SessionError> {
        let mut made = view(session);
        made.state = SessionState::Starting;
        made.proxy = proxy;
        {
            let mut views = self.views.lock().unwrap();
            if views.contains_key(session) {
                return Err(SessionError::Exists(session.clone()));
            }
            if views.len() >= 3 {
                return Err(SessionError::TooMany(3));
            }
            views.insert(session.clone(), made.clone());
        }
        if let Some(store) = self.store.get() {
            let record = SessionRecord {
                id: session.clone(),
                created_at: THEN,
                enabled: true,
                login: LoginGeneration::default(),
                parked: None,
            };
            store.add_session(record).await?;
        }
        Ok(made)
    }

    async fn set_proxy(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<SessionView, SessionError> {
        let mut views = self.views.lock().unwrap();
        let view = views
            .get_mut(session)
            .ok_or_else(|| SessionError::NotFound(session.clone()))?;
        view.proxy = proxy;
        Ok(view.clone())
    }

    async fn start(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        self.in_state(session, SessionState::Starting)
    }

    async fn stop(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        self.in_state(session, SessionState::Stopped)
    }

    async fn restart(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        self.in_state(session, SessionState::Starting)
    }

    async fn logout(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        self.in_state(session, SessionState::LoggedOut)
    }

    async fn delete(&self, session: &SessionId) -> Result<(), SessionError> {
        let removed = self.views.lock().unwrap().remove(session);
        if let Some(store) = self.store.get() {
            store.remove_session(session, THEN).await?;
        }
        removed
            .map(|_| ())
            .ok_or_else(|| SessionError::NotFound(session.clone()))
    }

    async fn qr(&self, session: &SessionId) -> Result<Option<QrCode>, SessionError> {
        let view = self.get(session).await?;
        Ok(view.has_qr.then(|| QrCode {
            code: "2@ref,key,key,key,1".to_owned(),
            expires_at: THEN,
        }))
    }

    async fn request_pair_code(
        &self,
        session: &SessionId,
        phone: &str,
    ) -> Result<String, SessionError> {
        self.get(session).await?;
        assert_eq!(phone, "4915123456789");
        Ok("ABCD1234".to_owned())
    }

    async fn passkey(&self, session: &SessionId) -> Result<Option<PasskeyChallenge>, SessionError> {
        let view = self.get(session).await?;
        Ok(view.has_passkey_challenge.then(|| PasskeyChallenge {
            options: PASSKEY_OPTIONS.to_owned(),
            expires_at: THEN,
        }))
    }

    async fn answer_passkey(
        &self,
        session: &SessionId,
        answer: &Assertion,
    ) -> Result<SessionView, SessionError> {
        let Some(challenge) = self.passkey(session).await? else {
            return Err(SessionError::NoPasskey("the session is ready".to_owned()));
        };
        answer
            .suits(&challenge.options)
            .map_err(SessionError::PasskeyRefused)?;
        self.get(session).await
    }

    async fn health(&self, session: &SessionId) -> Result<HealthView, SessionError> {
        self.get(session).await?;
        Ok(HealthView {
            overall: Overall::Unhealthy,
            connectivity: CheckStatus::SessionClosed,
            checks: vec![Check {
                name: "page",
                status: CheckStatus::SessionClosed,
                detail: "there is no page".to_owned(),
            }],
            recommendations: vec!["Wait".to_owned()],
            checked_at: THEN,
        })
    }

    async fn check_number(
        &self,
        session: &SessionId,
        number: &ChatId,
    ) -> Result<Option<ChatId>, SessionError> {
        self.ready(session)?;
        Ok(number.user().starts_with("49").then(|| number.clone()))
    }

    async fn chats(&self, session: &SessionId) -> Result<Vec<ChatSummary>, SessionError> {
        self.ready(session)?;
        if session.as_str() == "broken" {
            return Err(SessionError::Failed(Box::new(Failure {
                kind: Kind::PageGone,
                rung: Rung::NewPage,
                resend: Resend::CheckFirst,
                operation: Operation::Evaluate,
                evidence: "the page was closed".to_owned(),
            })));
        }
        Ok(vec![ChatSummary {
            id: ChatId::parse("4915123456789").unwrap(),
            name: "Ann".to_owned(),
            is_group: false,
            unread: 2,
            last_message_at: Some(THEN),
        }])
    }

    async fn perform(&self, session: &SessionId, action: Action) -> Result<Answer, SessionError> {
        self.ready(session)?;
        let answer = self.answer.lock().unwrap().clone();
        self.performed.lock().unwrap().push(action);
        answer.map_err(SessionError::Refused)
    }

    async fn download(
        &self,
        session: &SessionId,
        message: &MessageKey,
        limit: u64,
        into: &mut dyn FileSink,
    ) -> Result<u64, SessionError> {
        self.ready(session)?;
        self.downloads.fetch_add(1, Ordering::SeqCst);
        self.at_the_gate().await;
        let file = self
            .files
            .lock()
            .unwrap()
            .get(&message.to_string())
            .cloned();
        let file = file.ok_or_else(|| SessionError::Failed(Box::new(missing_file())))?;
        if file.len() as u64 > limit {
            return Err(SessionError::Failed(Box::new(missing_file())));
        }
        for piece in file.chunks(1_000) {
            into.write(piece)
                .await
                .map_err(|_| SessionError::ShuttingDown)?;
        }
        Ok(file.len() as u64)
    }

    async fn picture(&self, session: &SessionId) -> Result<Picture, SessionError> {
        self.pictures.fetch_add(1, Ordering::SeqCst);
        self.at_the_gate().await;
        if session.as_str() == "broken" {
            return Err(SessionError::Failed(Box::new(Failure {
                kind: Kind::PageGone,
                rung: Rung::NewPage,
                resend: Resend::CheckFirst,
                operation: Operation::Evaluate,
                evidence: "the page of 4915123456789 was closed".to_owned(),
            })));
        }
        self.ready(session)?;
        Ok(Picture { png: PNG.to_vec() })
    }

    fn notify_outbox(&self, _: &SessionId) {
        self.notified.fetch_add(1, Ordering::SeqCst);
    }

    async fn wait_for_ack(
        &self,
        _: &MessageId,
        level: Ack,
        deadline: Duration,
    ) -> Result<AckWait, SessionError> {
        assert_eq!(level, Ack::Server);
        let _ = tokio::time::timeout(deadline, self.at_the_gate()).await;
        Ok(self.ack.lock().unwrap().clone())
    }

    async fn shutdown(&self, _: Duration) {}
}
