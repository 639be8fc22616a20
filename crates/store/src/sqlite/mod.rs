//! The store on disk: one SQLite file, and its log beside it.
//!
//! | file | holds |
//! |---|---|
//! | `open` | makes, checks and migrates the file |
//! | `writer` | the one thread that writes; group commit |
//! | `readers` | the few connections that read |
//! | `outbox`, `queue`, `rows` | owed messages, who is next, how a row is read |
//! | `events`, `webhooks` | the log of what happens, and where it is pushed to |
//! | `pace` | what pacing must know after a restart |
//! | `keeping` | what is over and old is forgotten |
//! | `sessions`, `records`, `tokens`, `audit` | everything else |
//! | `backup` | a copy while others write |
//!
//! On disk are `NAME`, `NAME-wal` and `NAME-shm`, and nothing else. A commit is
//! one append to `NAME-wal` and one sync of it; every 16 MiB the log is folded
//! into `NAME`.

mod audit;
mod backup;
mod error;
mod events;
mod keeping;
mod media;
mod open;
mod outbox;
mod pace;
mod queue;
mod readers;
mod records;
mod rows;
mod sessions;
mod tokens;
mod webhooks;
mod writer;

pub use backup::copy_database;

use crate::rules;
use async_trait::async_trait;
use error::Error;
use open::Migrate;
use outbox::Draft;
use readers::Readers;
use sessions::Sweep;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ids::{
    ChatId, Fence, LoginGeneration, MediaId, MessageId, MessageKey, SessionId, WaMessageId,
};
use steadfast_core::inbound::InboundMessage;
use steadfast_core::outbox::{Ack, Attempt, Claimed, Message, NewMessage};
use steadfast_core::pacing::History;
use steadfast_core::port::{
    Accepted, AuditEntry, BatchAccepted, ForgetMessages, ForgottenMessages, IdempotencyKey,
    Incident, KeptAnswer, MediaRecord, MessageQuery, NewAudit, OutboxDepth, Quota, Recorded,
    Rotation, SessionRecord, Store, StoreError, StoredInbound, TokenRecord,
};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;
use tokio::sync::watch;
use writer::{Bounds, Manner, Tx, Writer};

/// How a [`SqliteStore`] is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long a write waits for another process's write, in milliseconds.
    pub busy_timeout_ms: u64,
    /// How many writes may wait for the writer; one more is `Overloaded`. A thousand
    /// sessions that all send write eight at a time each.
    pub queue: usize,
    /// How many requests share one commit at most.
    pub batch: usize,
    /// How long a write waits for the disk, in milliseconds: beyond it whether
    /// it was stored is [`Unknown`](StoreError::Unknown).
    pub patience_ms: u64,
    /// How many reads run at the same time.
    pub readers: usize,
    /// How large the database may grow, in bytes: beyond it a write is `Full`.
    /// `None`: as large as the disk. The log beside it, up to some 64 MiB in
    /// ordinary times, is not counted.
    pub max_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            busy_timeout_ms: 5_000,
            queue: 8_192,
            batch: 256,
            patience_ms: 30_000,
            readers: 4,
            max_bytes: None,
        }
    }
}

/// The store on disk. Its methods need a tokio runtime with time enabled.
///
/// `Ok` of a write means that it is synced to disk. A caller that stops
/// waiting cannot know whether its write was done, with one promise: claims
/// that nobody heard of are given up again.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    /// How far the log of events goes.
    told: watch::Receiver<i64>,
}

impl SqliteStore {
    /// Opens the database, makes it where there is none, and brings an older
    /// schema up to date. Blocks; takes some milliseconds.
    ///
    /// Only one gateway may have it open, which is the caller's to see to. A
    /// second process that writes a row now and then does no harm.
    ///
    /// # Errors
    ///
    /// `NotOurs` where the file is something else or damaged, or where a log
    /// lies there without its database; `NewerSchema`; `Full`; `Failed` where
    /// the folder is missing or cannot be written.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        Self::open_as(path.as_ref(), options, Migrate::Yes)
    }

    /// Opens a database that a gateway may be using right now: makes nothing,
    /// migrates nothing, and has ten seconds' patience to find a place between
    /// two of its commits. For commands that read or write a row and leave.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); `NotOurs` where there is none; `Failed` where
    /// its schema is older than this program's.
    pub fn open_existing_for_cli(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let options = Options {
            queue: 16,
            readers: 1,
            ..Options::default()
        };
        Self::open_as(path.as_ref(), options, Migrate::No)
    }

    fn open_as(path: &Path, options: Options, migrate: Migrate) -> Result<Self, StoreError> {
        let connection = open::open(path, &options, migrate)?;
        let sweep = match migrate {
            Migrate::Yes => {
                Sweep::needed(&connection).map_err(|error| error::conclude(&error, path))?
            }
            Migrate::No => None,
        };
        let newest = events::newest(&connection).map_err(|error| error::conclude(&error, path))?;
        let (tell, told) = watch::channel(newest);
        let bounds = Bounds {
            queue: options.queue,
            batch: options.batch,
            patience: Duration::from_millis(options.patience_ms),
        };
        let writer = Writer::start(connection, path.to_owned(), bounds, sweep, tell)
            .map_err(|error| StoreError::Failed(format!("the writer could not start: {error}")))?;
        Ok(Self {
            writer,
            readers: Readers::new(path.to_owned(), options),
            told,
        })
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.write(work, Manner::default()).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut rusqlite::Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.read(work).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(
        &self,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Accepted, StoreError> {
        // Kept here too, so that the one who writes has nothing to clear away.
        let draft = Arc::new(Draft::new(message)?);
        let written = Arc::clone(&draft);
        self.write(move |tx| outbox::accept(tx, &written, key.as_ref()))
            .await
    }

    async fn seen_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Result<Option<Accepted>, StoreError> {
        let key = key.clone();
        self.read(move |db| Ok(outbox::seen_before(db, &key, now)?))
            .await
    }

    async fn answered_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Result<Option<BatchAccepted>, StoreError> {
        let key = key.clone();
        self.read(move |db| Ok(outbox::answered_before(db, &key, now)?))
            .await
    }

    async fn accept_batch(
        &self,
        messages: Vec<NewMessage>,
        key: Option<KeptAnswer>,
    ) -> Result<BatchAccepted, StoreError> {
        let drafts = messages
            .into_iter()
            .map(Draft::new)
            .collect::<Result<Vec<_>, _>>()?;
        self.write(move |tx| outbox::accept_batch(tx, &drafts, key.as_ref()))
            .await
    }

    async fn take_fence(&self, session: &SessionId) -> Result<Fence, StoreError> {
        let session = session.clone();
        self.write(move |tx| sessions::take_fence(tx, &session))
            .await
    }

    async fn claim_within(
        &self,
        session: &SessionId,
        fence: Fence,
        login: LoginGeneration,
        now: UnixMs,
        quota: Quota,
    ) -> Result<Vec<Claimed>, StoreError> {
        let manner = Manner::default().unheard({
            let session = session.clone();
            move |claimed: &Vec<Claimed>| outbox::give_up(session, fence, claimed)
        });
        let session = session.clone();
        let work = move |tx: &mut Tx<'_>| outbox::claim(tx, &session, fence, login, now, quota);
        self.writer.write(work, manner).await
    }

    async fn record(
        &self,
        session: &SessionId,
        fence: Fence,
        outcomes: Vec<Recorded>,
    ) -> Result<(), StoreError> {
        let session = session.clone();
        self.write(move |tx| outbox::record(tx, &session, fence, &outcomes))
            .await
    }

    async fn expire(
        &self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        let session = session.clone();
        self.write(move |tx| outbox::expire(tx, &session, fence, now, limit))
            .await
    }

    async fn bring_forward(
        &self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        by_ms: u64,
    ) -> Result<u64, StoreError> {
        let session = session.clone();
        self.write(move |tx| outbox::bring_forward(tx, &session, fence, now, by_ms))
            .await
    }

    async fn next_due_within(
        &self,
        session: &SessionId,
        quota: Quota,
    ) -> Result<Option<UnixMs>, StoreError> {
        let session = session.clone();
        self.read(move |db| Ok(sessions::next_due(db, &session, quota)?))
            .await
    }

    async fn ahead_of(&self, ids: Vec<MessageId>) -> Result<Vec<Option<MessageId>>, StoreError> {
        self.read(move |db| Ok(rows::ahead_of(db, &ids)?)).await
    }

    async fn pace(&self, session: &SessionId, since: UnixMs) -> Result<History, StoreError> {
        let session = session.clone();
        self.read(move |db| Ok(pace::history(db, &session, since)?))
            .await
    }

    async fn ack(
        &self,
        session: &SessionId,
        wa_message_id: &WaMessageId,
        ack: Ack,
        at: UnixMs,
    ) -> Result<Option<Message>, StoreError> {
        let (session, id) = (session.clone(), wa_message_id.clone());
        self.write(move |tx| outbox::ack(tx, &session, &id, ack, at))
            .await
    }

    async fn message(&self, id: &MessageId) -> Result<Option<Message>, StoreError> {
        let id = id.clone();
        self.read(move |db| Ok(rows::by_id(db, &id)?)).await
    }

    async fn message_key(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
    ) -> Result<Option<MessageKey>, StoreError> {
        let (session, chat, id) = (session.clone(), chat.clone(), id.clone());
        self.read(move |db| Ok(records::message_key(db, &session, &chat, &id)?))
            .await
    }

    async fn messages(
        &self,
        session: &SessionId,
        query: MessageQuery,
    ) -> Result<Vec<Message>, StoreError> {
        let session = session.clone();
        self.read(move |db| rows::page(db, &session, &query)).await
    }

    async fn attempts(&self, id: &MessageId) -> Result<Vec<Attempt>, StoreError> {
        let id = id.clone();
        self.read(move |db| Ok(rows::attempts(db, &id)?)).await
    }

    async fn cancel(&self, id: &MessageId, at: UnixMs) -> Result<Option<Message>, StoreError> {
        let id = id.clone();
        self.write(move |tx| outbox::cancel(tx, &id, at)).await
    }

    async fn unpark(
        &self,
        id: &MessageId,
        release: bool,
        at: UnixMs,
    ) -> Result<Option<Message>, StoreError> {
        let id = id.clone();
        self.write(move |tx| outbox::unpark(tx, &id, release, at))
            .await
    }

    async fn depth(&self, session: &SessionId) -> Result<OutboxDepth, StoreError> {
        let session = session.clone();
        self.read(move |db| Ok(sessions::depth(db, &session)?))
            .await
    }

    async fn keep_inbound(
        &self,
        session: &SessionId,
        message: InboundMessage,
        at: UnixMs,
    ) -> Result<bool, StoreError> {
        let session = session.clone();
        self.write(move |tx| records::keep_inbound(tx, &session, &message, at))
            .await
    }

    async fn inbound_message(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
    ) -> Result<Option<StoredInbound>, StoreError> {
        let (session, chat, id) = (session.clone(), chat.clone(), id.clone());
        self.read(move |db| Ok(records::inbound_message(db, &session, &chat, &id)?))
            .await
    }

    async fn inbound_fetched(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
        file: &MediaId,
    ) -> Result<(), StoreError> {
        let (session, chat, id, file) = (session.clone(), chat.clone(), id.clone(), file.clone());
        self.write(move |tx| media::fetched(tx, &session, &chat, &id, &file))
            .await
    }

    async fn put_media(&self, media: MediaRecord) -> Result<(), StoreError> {
        self.write(move |tx| media::put(tx, &media)).await
    }

    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        let id = id.clone();
        self.read(move |db| Ok(media::get(db, &id)?)).await
    }

    async fn forget_media(
        &self,
        before: UnixMs,
        most_bytes: u64,
        limit: u32,
    ) -> Result<Vec<MediaId>, StoreError> {
        self.write(move |tx| media::forget(tx, before, most_bytes, limit))
            .await
    }

    async fn forget_messages(&self, what: ForgetMessages) -> Result<ForgottenMessages, StoreError> {
        self.write(move |tx| keeping::forget(tx, what)).await
    }

    async fn inbound(
        &self,
        session: &SessionId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredInbound>, StoreError> {
        let session = session.clone();
        self.read(move |db| Ok(records::inbound(db, &session, after, limit)?))
            .await
    }

    async fn add_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        self.write(move |tx| sessions::add(tx, &session)).await
    }

    async fn update_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        self.write(move |tx| sessions::update(tx, &session)).await
    }

    async fn sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        self.read(|db| Ok(sessions::all(db)?)).await
    }

    async fn note(&self, session: &SessionId, name: &str) -> Result<Option<String>, StoreError> {
        let (session, name) = (session.clone(), name.to_owned());
        self.read(move |db| Ok(records::note(db, &session, &name)?))
            .await
    }

    async fn set_note(
        &self,
        session: &SessionId,
        name: &str,
        text: Option<String>,
    ) -> Result<(), StoreError> {
        let (session, name) = (session.clone(), name.to_owned());
        self.write(move |tx| records::set_note(tx, &session, &name, text.as_deref()))
            .await
    }

    async fn remove_session(&self, session: &SessionId, at: UnixMs) -> Result<(), StoreError> {
        let session = session.clone();
        let manner = Manner::default().then(|()| Some(Box::new(Sweep::default())));
        let work = move |tx: &mut Tx<'_>| Ok(sessions::remove(tx, &session, at)?);
        self.writer.write(work, manner).await
    }

    async fn set_session_proxy(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<(), StoreError> {
        let session = session.clone();
        self.write(move |tx| sessions::set_proxy(tx, &session, proxy.as_ref()))
            .await
    }

    async fn session_proxy(&self, session: &SessionId) -> Result<Option<Proxy>, StoreError> {
        let session = session.clone();
        self.read(move |db| Ok(sessions::proxy(db, &session)?))
            .await
    }

    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        self.write(move |tx| tokens::add(tx, &token)).await
    }

    async fn rotate_token(&self, rotation: Rotation) -> Result<Option<TokenRecord>, StoreError> {
        self.write(move |tx| tokens::rotate(tx, &rotation)).await
    }

    async fn note_token_use(&self, uses: Vec<(String, UnixMs)>) -> Result<(), StoreError> {
        self.write(move |tx| {
            for (name, at) in &uses {
                tokens::note_use(tx, name, *at)?;
            }
            Ok(())
        })
        .await
    }

    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError> {
        let hash = *hash;
        self.read(move |db| Ok(tokens::by_hash(db, &hash)?)).await
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.read(|db| Ok(tokens::all(db)?)).await
    }

    async fn remove_token(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |tx| Ok(tokens::remove(tx, &name)?)).await
    }

    async fn add_audit(&self, entry: NewAudit) -> Result<i64, StoreError> {
        let entry = rules::bounded_audit(entry);
        self.write(move |tx| Ok(audit::add(tx, &entry)?)).await
    }

    async fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(move |db| Ok(audit::page(db, before, limit)?))
            .await
    }

    async fn put_incident(&self, incident: Incident) -> Result<(), StoreError> {
        let incident = rules::bounded(incident);
        let json = serde_json::to_string(&incident)
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        self.write(move |tx| records::put_incident(tx, &incident, &json))
            .await
    }

    async fn incidents(
        &self,
        session: &SessionId,
        before: Option<String>,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError> {
        let session = session.clone();
        self.read(move |db| Ok(records::incidents(db, &session, before.as_deref(), limit)?))
            .await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.write(|tx| Ok(records::check(tx)?)).await
    }

    async fn close(&self) {
        // Readers first: only who closes last and may write folds the log in.
        self.readers.close().await;
        self.writer.close().await;
    }
}
