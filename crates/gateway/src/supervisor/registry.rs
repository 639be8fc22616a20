//! Every session, and what the gateway's surfaces may ask of them.

use super::actor::{Actor, Command, Parts, Want};
use super::crew::{self, Crew};
use super::health;
use super::heartbeat::Rhythm;
use super::incidents::{self, IncidentLog};
use super::numbers::Numbers;
use super::operations;
use super::sink::{CurrentEpoch, SessionSink};
use super::snapshot::{PasskeyStep, Snapshot};
use super::upkeep::{Activity, Upkeep, UpkeepPolicy};
use super::view;
use crate::clock::{Clock, Random, random_bytes};
use crate::delivery::{Delivery, DeliveryOptions, InHand};
use crate::inbox::Inbox;
use crate::metrics::Metrics;
use crate::passkey::Assertion;
use crate::sessions::{
    AckWait, HealthView, Pace, PasskeyChallenge, QrCode, SessionError, SessionState, SessionView,
    Sessions, Standing,
};
use crate::updates::Updates;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use steadfast_core::action::{Action, Answer};
use steadfast_core::failure::Kind;
use steadfast_core::ids::{ChatId, Epoch, LoginGeneration, MessageId, MessageKey, SessionId};
use steadfast_core::outbox::{Ack, Message, Status};
use steadfast_core::pacing;
use steadfast_core::port::{
    ChatSummary, Connector, Engine, FileSink, Picture, SessionRecord, Store, StoreError,
};
use steadfast_core::proxy::{Proxy, ProxySetting};
use steadfast_core::session::{Machine, Policy, State, TimerGen};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Makes what owns a session's browser and profile.
pub trait Connectors: Send + Sync {
    /// The connector of this session; called once per session and process.
    /// Every browser that it starts goes through the proxy that is set then.
    fn connector(&self, session: &SessionId, proxy: ProxySetting) -> Arc<dyn Connector>;
}

/// How sessions are supervised.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// The machine's policy.
    pub policy: Policy,
    /// How messages are delivered.
    pub delivery: DeliveryOptions,
    /// When a browser that works is replaced all the same.
    pub upkeep: UpkeepPolicy,
    /// Between two messages to oneself that prove the send path, where they are wanted.
    pub canary_interval: Option<Duration>,
    /// Between heartbeats.
    pub heartbeat_interval: Duration,
    /// Heartbeats without an answer that make a page count as hung.
    pub heartbeat_misses: u32,
    /// How many sessions there may be.
    pub max_sessions: u32,
    /// Between the starts of two sessions when the gateway starts.
    pub start_stagger: Duration,
    /// How long it is remembered that a number has WhatsApp.
    pub number_cache: Duration,
}

/// What everything here needs.
#[derive(Clone)]
struct Shared {
    options: Arc<SupervisorOptions>,
    /// How fast messages may begin; a reload changes it.
    pacing: watch::Sender<pacing::Policy>,
    connectors: Arc<dyn Connectors>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    metrics: Arc<Metrics>,
    inbox: Arc<Inbox>,
    updates: Updates,
    incidents: IncidentLog,
    numbers: Arc<Numbers>,
    /// Where a session is named of which a task has panicked.
    fallen: mpsc::Sender<SessionId>,
}

/// One session's handle.
pub(super) struct Handle {
    commands: mpsc::Sender<Command>,
    snapshot: watch::Receiver<Snapshot>,
    engine: watch::Receiver<Option<Arc<dyn Engine>>>,
    wake: Arc<Notify>,
    pace: watch::Receiver<Pace>,
    proxy: ProxySetting,
    /// Ends the session's delivery.
    pub(super) stop: CancellationToken,
    /// Who works for it.
    pub(super) crew: Crew,
    /// Whose turn it is to ask the page for something.
    asking: Semaphore,
}

impl Handle {
    /// What there is to say of the session now.
    fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.snapshot.borrow().clone();
        if self.crew.has_fallen() {
            // What it said last is no longer so; it is about to begin anew.
            snapshot.state = State::Starting {
                epoch: Epoch::default(),
                timer: TimerGen(0),
            };
        }
        snapshot
    }
}

/// Every session.
pub struct Supervisor {
    shared: Shared,
    sessions: Mutex<BTreeMap<SessionId, Arc<Handle>>>,
    /// One change of the set of sessions at a time: no session is made twice,
    /// or made while it is being removed.
    changing: tokio::sync::Mutex<()>,
    tasks: Mutex<JoinSet<()>>,
    closing: CancellationToken,
    /// For what goes on without the one who asked for it.
    me: Weak<Self>,
}

/// How long a person's wish may wait for the actor to take it.
const COMMAND_LIMIT: Duration = Duration::from_mins(1);
/// How long the page may take to answer a question.
const QUESTION_LIMIT: Duration = Duration::from_secs(20);
/// Things asked of one session's page at once; others wait, within
/// [`QUESTION_LIMIT`].
const ASKED_AT_ONCE: usize = 8;
/// How long the page may take to tell that it has a passkey's answer.
const PASSKEY_TOLD_LIMIT: Duration = Duration::from_secs(2);
/// Wishes that may wait for one session.
const COMMAND_QUEUE: usize = 16;
/// Engine events that may wait for one session's actor.
const INPUT_QUEUE: usize = 1024;
/// Steps that may wait for one session's browser.
const OPERATION_QUEUE: usize = 64;

impl Supervisor {
    /// Loads every session and starts those that are wanted, one after the
    /// other with a pause between; returns before they are up. `first` is
    /// made where it does not exist.
    pub async fn start(
        options: SupervisorOptions,
        connectors: Arc<dyn Connectors>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        metrics: Arc<Metrics>,
        first: &SessionId,
    ) -> Result<Arc<Self>, StoreError> {
        let mut tasks = JoinSet::new();
        let updates = Updates::default();
        let (inbox, inbox_task) = Inbox::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&metrics),
            updates.clone(),
        );
        let (incidents, incident_task) = IncidentLog::new(Arc::clone(&store));
        tasks.spawn(inbox_task);
        tasks.spawn(incident_task);
        let numbers = Arc::new(Numbers::new(options.number_cache));
        let places = crew::TASKS * options.max_sessions.max(1) as usize;
        let (fallen, told) = mpsc::channel(places);
        let supervisor = Arc::new_cyclic(|me| Self {
            shared: Shared {
                pacing: watch::Sender::new(options.delivery.pacing.clone()),
                options: Arc::new(options),
                connectors,
                store,
                clock,
                random,
                metrics,
                inbox,
                updates,
                incidents,
                numbers,
                fallen,
            },
            sessions: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            tasks: Mutex::new(tasks),
            closing: CancellationToken::new(),
            me: Weak::clone(me),
        });
        supervisor.spawn(crew::nurse(Arc::downgrade(&supervisor), told));
        supervisor.load(first).await?;
        Ok(supervisor)
    }

    /// For one change of the set of sessions.
    pub(super) async fn changing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Launches a session from what is on disk, where it still is.
    pub(super) async fn launch_stored(
        &self,
        session: &SessionId,
    ) -> Result<Option<Arc<Handle>>, StoreError> {
        let records = self.shared.store.sessions().await?;
        match records.into_iter().find(|record| record.id == *session) {
            Some(record) => self.launch(record).await.map(Some),
            None => Ok(None),
        }
    }

    async fn load(self: &Arc<Self>, first: &SessionId) -> Result<(), StoreError> {
        let mut records = self.shared.store.sessions().await?;
        if !records.iter().any(|r| r.id == *first) {
            let record = self.new_record(first);
            self.shared.store.add_session(record.clone()).await?;
            records.insert(0, record);
        }
        let mut wanted = Vec::new();
        for record in records {
            let id = record.id.clone();
            let starts = record.enabled && record.parked.is_none();
            let handle = self.launch(record).await?;
            if starts {
                wanted.push((id, handle));
            }
        }
        let (stagger, closing) = (self.shared.options.start_stagger, self.closing.clone());
        self.spawn(async move {
            for (i, (id, handle)) in wanted.into_iter().enumerate() {
                if i > 0 {
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep(stagger) => {}
                        () = closing.cancelled() => return,
                    }
                }
                if let Err(error) = command(&handle, Want::Begin).await {
                    tracing::error!(event = "session_not_started", session = %id, %error);
                }
            }
        });
        Ok(())
    }

    fn new_record(&self, id: &SessionId) -> SessionRecord {
        SessionRecord {
            id: id.clone(),
            created_at: self.shared.clock.unix(),
            enabled: true,
            login: LoginGeneration::default(),
            parked: None,
        }
    }

    /// Brings a stored session to life, without starting it.
    async fn launch(&self, record: SessionRecord) -> Result<Arc<Handle>, StoreError> {
        let s = &self.shared;
        let id = record.id.clone();
        let fence = s.store.take_fence(&id).await?;
        incidents::close_interrupted(s.store.as_ref(), &id, s.clock.unix()).await;
        let crew = Crew::new(id.clone(), s.fallen.clone());
        let proxy = ProxySetting::new(s.store.session_proxy(&id).await?);
        let connector = s.connectors.connector(&id, proxy.clone());
        let seed = u64::from_le_bytes(random_bytes(s.random.as_ref()).unwrap_or_default());
        let parked = record.parked.as_deref().and_then(Kind::parse);
        let machine = match parked {
            Some(kind) => Machine::parked(s.options.policy.clone(), seed, kind),
            None => Machine::new(s.options.policy.clone(), seed, Epoch::default()),
        };
        let (input, inputs) = mpsc::channel(INPUT_QUEUE);
        let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
        let (operations, operation_queue) = mpsc::channel(OPERATION_QUEUE);
        let (engine_sender, engine) = watch::channel(None);
        let (link_sender, link) = watch::channel(None);
        let (snapshot_sender, snapshot) = watch::channel(Snapshot::new(
            machine.state().clone(),
            &record,
            s.clock.unix(),
            s.clock.mono(),
        ));
        let (pace_sender, pace) = watch::channel(Pace::default());
        let (in_hand_sender, in_hand) = watch::channel(InHand::default());
        let activity = Activity::default();
        let epoch = CurrentEpoch::default();
        let sink = Arc::new(SessionSink {
            session: id.clone(),
            epoch: epoch.clone(),
            inputs: input.clone(),
            inbox: Arc::clone(&s.inbox),
            activity: activity.clone(),
            clock: Arc::clone(&s.clock),
            linked_taken: AtomicBool::new(true),
        });
        let operations_run = operations::run(
            id.clone(),
            Arc::clone(&connector),
            sink,
            epoch.clone(),
            operation_queue,
            input.clone(),
        );
        self.spawn(crew.watched("operations", operations_run));
        let actor = Actor::new(Parts {
            record,
            machine,
            rhythm: Rhythm {
                interval: s.options.heartbeat_interval,
                misses: s.options.heartbeat_misses,
            },
            upkeep: Upkeep::new(
                s.options.upkeep.clone(),
                activity.clone(),
                seed,
                s.clock.mono(),
            ),
            canary_interval: s.options.canary_interval,
            store: Arc::clone(&s.store),
            clock: Arc::clone(&s.clock),
            random: Arc::clone(&s.random),
            metrics: Arc::clone(&s.metrics),
            connector,
            epoch,
            operations,
            inputs,
            input,
            commands: command_queue,
            snapshot: snapshot_sender,
            engine: engine_sender,
            link: link_sender,
            in_hand,
            incidents: s.incidents.clone(),
        });
        self.spawn(crew.watched("actor", actor.run()));
        let (wake, stop) = (Arc::new(Notify::new()), self.closing.child_token());
        let delivery = Delivery {
            session: id.clone(),
            fence,
            store: Arc::clone(&s.store),
            clock: Arc::clone(&s.clock),
            link,
            in_hand: in_hand_sender,
            activity,
            wake: Arc::clone(&wake),
            updates: s.updates.clone(),
            metrics: Arc::clone(&s.metrics),
            options: s.options.delivery.clone(),
            pace: pace_sender,
            pacing: s.pacing.subscribe(),
            seed,
        };
        self.spawn(crew.watched("delivery", delivery.run(stop.clone())));
        let handle = Arc::new(Handle {
            commands,
            snapshot,
            engine,
            wake,
            pace,
            proxy,
            stop,
            crew,
            asking: Semaphore::new(ASKED_AT_ONCE),
        });
        self.lock().insert(id, Arc::clone(&handle));
        Ok(handle)
    }

    /// Runs a task for as long as the supervisor lives, and no longer.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<SessionId, Arc<Handle>>> {
        // The map is never left half changed: a panic elsewhere does not spoil it.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn handle(&self, session: &SessionId) -> Result<Arc<Handle>, SessionError> {
        self.lock()
            .get(session)
            .cloned()
            .ok_or_else(|| SessionError::NotFound(session.clone()))
    }

    async fn view(&self, session: &SessionId) -> Result<SessionView, SessionError> {
        let handle = self.handle(session)?;
        let snapshot = handle.snapshot();
        let depth = self.shared.store.depth(session).await?;
        let view = view::view(
            session,
            &snapshot,
            depth,
            *handle.pace.borrow(),
            self.shared.clock.mono(),
        );
        Ok(SessionView {
            proxy: handle.proxy.get(),
            ..view
        })
    }

    /// Puts one action to the page, in its turn.
    async fn ask(&self, session: &SessionId, action: &Action) -> Result<Answer, SessionError> {
        let handle = self.handle(session)?;
        let engine = self.engine(session, "ready", is_ready)?;
        let question = async {
            // Never closed, so that there is always a turn to come.
            let _turn = handle.asking.acquire().await.ok();
            engine.perform(action).await
        };
        match asked(question).await? {
            Answer::Refused(why) => Err(SessionError::Refused(why)),
            answer => Ok(answer),
        }
    }

    /// Asks WhatsApp only about the numbers of which nothing is known.
    async fn check_numbers(
        &self,
        session: &SessionId,
        numbers: Vec<ChatId>,
    ) -> Result<Answer, SessionError> {
        let (known, now) = (&self.shared.numbers, self.shared.clock.mono());
        self.handle(session)?;
        let mut found: BTreeMap<ChatId, Option<ChatId>> = BTreeMap::new();
        let mut unknown = Vec::new();
        for number in &numbers {
            match known.get(session, number, now) {
                Some(said) => {
                    found.insert(number.clone(), said);
                }
                None => unknown.push(number.clone()),
            }
        }
        if !unknown.is_empty() {
            let answer = self.ask(session, &Action::CheckNumbers(unknown)).await?;
            let Answer::Numbers(said) = answer else {
                return Err(SessionError::Unsupported("checking many numbers at once"));
            };
            for (number, id) in said {
                known.put(session, &number, id.as_ref(), now);
                found.insert(number, id);
            }
        }
        Ok(Answer::Numbers(
            numbers
                .into_iter()
                .map(|number| {
                    let id = found.get(&number).cloned().flatten();
                    (number, id)
                })
                .collect(),
        ))
    }

    /// Does it in a task of the supervisor: a change of the set of sessions
    /// must not end halfway because nobody waits for it any more.
    async fn to_its_end<T, F>(
        &self,
        work: impl FnOnce(Arc<Self>) -> F + Send + 'static,
    ) -> Result<T, SessionError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, SessionError>> + Send + 'static,
    {
        let Some(me) = self.me.upgrade() else {
            return Err(SessionError::ShuttingDown);
        };
        let (reply, answer) = oneshot::channel();
        self.spawn(async move {
            let _ = reply.send(work(me).await);
        });
        // Nothing is said where everything ends meanwhile.
        answer.await.unwrap_or(Err(SessionError::ShuttingDown))
    }

    /// On disk, in the map and started; or nowhere.
    async fn make(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<SessionView, SessionError> {
        if self.closing.is_cancelled() {
            return Err(SessionError::ShuttingDown);
        }
        let changing = self.changing.lock().await;
        let count = {
            let sessions = self.lock();
            if sessions.contains_key(session) {
                return Err(SessionError::Exists(session.clone()));
            }
            u32::try_from(sessions.len()).unwrap_or(u32::MAX)
        };
        let most = self.shared.options.max_sessions;
        if count >= most {
            return Err(SessionError::TooMany(most));
        }
        let mut record = self.new_record(session);
        // Not to be started by anybody before its proxy is on disk.
        record.enabled = proxy.is_none();
        let mut fresh = true;
        match self.shared.store.add_session(record.clone()).await {
            Ok(()) => {}
            // Nobody runs it: what is left of a change that the disk did not
            // take to its end.
            Err(StoreError::Exists) => {
                fresh = false;
                let kept = self.shared.store.sessions().await?;
                if let Some(kept) = kept.into_iter().find(|kept| kept.id == *session) {
                    record = kept;
                }
            }
            Err(error) => return Err(error.into()),
        }
        let launched = async {
            if proxy.is_some() {
                self.shared.store.set_session_proxy(session, proxy).await?;
            }
            self.launch(record).await
        };
        let handle = match launched.await {
            Ok(handle) => handle,
            Err(error) => {
                // Half a session would only be in the way of the next try; one
                // that was there before may be owed messages.
                if fresh {
                    let now = self.shared.clock.unix();
                    self.shared.store.remove_session(session, now).await?;
                }
                return Err(error.into());
            }
        };
        drop(changing);
        command(&handle, Want::Start).await?;
        self.view(session).await
    }

    /// Logs out where that can be, and forgets it in any case: a session whose
    /// actor does not answer, or has ended, could never be removed otherwise.
    async fn remove(&self, session: &SessionId) -> Result<(), SessionError> {
        let _changing = self.changing.lock().await;
        let handle = self.handle(session)?;
        match command(&handle, Want::Delete).await {
            Ok(()) => {}
            Err(error) if self.closing.is_cancelled() => return Err(error),
            Err(error) => {
                tracing::warn!(event = "session_removed_unheard", session = %session, %error);
            }
        }
        handle.stop.cancel();
        // Known here until it is gone from the disk: where that fails, the
        // request can be made again.
        self.shared
            .store
            .remove_session(session, self.shared.clock.unix())
            .await?;
        self.lock().remove(session);
        self.shared.numbers.forget(session);
        Ok(())
    }

    async fn want(&self, session: &SessionId, want: Want) -> Result<SessionView, SessionError> {
        command(&*self.handle(session)?, want).await?;
        self.view(session).await
    }

    /// The page, where it can be asked.
    fn engine(
        &self,
        session: &SessionId,
        wanted: &'static str,
        suits: fn(&State) -> bool,
    ) -> Result<Arc<dyn Engine>, SessionError> {
        let handle = self.handle(session)?;
        let state = handle.snapshot().state;
        let engine = handle.engine.borrow().clone();
        match engine {
            Some(engine) if suits(&state) => Ok(engine),
            Some(_) | None => Err(SessionError::WrongState {
                state: view::state(&state),
                wanted,
            }),
        }
    }
}

/// Gives a wish to a session's actor and waits for its answer.
pub(super) async fn command(handle: &Handle, want: Want) -> Result<(), SessionError> {
    let (reply, answer) = oneshot::channel();
    let told = async {
        handle.commands.send(Command { want, reply }).await.ok()?;
        answer.await.ok()
    };
    match tokio::time::timeout(COMMAND_LIMIT, told).await {
        Ok(Some(())) => Ok(()),
        Ok(None) => Err(SessionError::ShuttingDown),
        Err(_) => Err(SessionError::Timeout(
            u64::try_from(COMMAND_LIMIT.as_millis()).unwrap_or(u64::MAX),
        )),
    }
}

/// Bounds a question to the page.
async fn asked<T>(
    question: impl Future<Output = Result<T, steadfast_core::failure::Failure>>,
) -> Result<T, SessionError> {
    match tokio::time::timeout(QUESTION_LIMIT, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failure)) => Err(SessionError::Failed(Box::new(failure))),
        Err(_) => Err(SessionError::Timeout(
            u64::try_from(QUESTION_LIMIT.as_millis()).unwrap_or(u64::MAX),
        )),
    }
}

fn is_ready(state: &State) -> bool {
    matches!(state, State::Ready { .. })
}

fn is_linking(state: &State) -> bool {
    matches!(state, State::Linking { .. })
}

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
