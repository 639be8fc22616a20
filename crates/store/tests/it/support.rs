//! Things that every test here needs.

use std::path::PathBuf;
use steadfast_core::ids::{ChatId, Fence, LoginGeneration, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Body, Claimed, Message, NewMessage, Priority, Status, Text};
use steadfast_core::port::{
    Accepted, IdempotencyKey, Outcome, Recorded, SessionRecord, Store, StoreError,
};
use steadfast_core::time::UnixMs;
use steadfast_store::{Options, SqliteStore};

/// A folder of its own with a database in it.
pub(crate) struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("steadfast.db")
    }

    pub(crate) fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path(), Options::default()).unwrap()
    }
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::parse(name).unwrap()
}

pub(crate) fn record_of(id: &SessionId) -> SessionRecord {
    SessionRecord {
        id: id.clone(),
        created_at: UnixMs(1),
        enabled: true,
        login: LoginGeneration(0),
        parked: None,
    }
}

/// The id of the `n`-th message.
pub(crate) fn id(n: u64) -> MessageId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    MessageId::mint(UnixMs(1_700_000_000_000), random)
}

/// WhatsApp's id of the `n`-th message.
pub(crate) fn wa(n: u64) -> WaMessageId {
    let mut random = [0; 9];
    random[1..].copy_from_slice(&n.to_be_bytes());
    WaMessageId::mint(random)
}

/// A chat by a small number.
pub(crate) fn chat(n: u64) -> ChatId {
    ChatId::parse(&format!("4915100{n:06}@c.us")).unwrap()
}

/// The `n`-th message, to this chat, accepted at `1000 + n` and due at once.
pub(crate) fn message(session: &SessionId, n: u64, to: u64) -> NewMessage {
    let at = UnixMs(1_000).plus(n);
    NewMessage {
        id: id(n),
        wa_message_id: wa(n),
        session: session.clone(),
        to: chat(to),
        body: Body::text(format!("message {n}")),
        priority: Priority::Normal,
        accepted_at: at,
        due_at: at,
        expires_at: None,
    }
}

pub(crate) fn key(name: &str, digest: u8, keep_until: i64) -> IdempotencyKey {
    IdempotencyKey {
        key: name.to_owned(),
        digest: [digest; 32],
        keep_until: UnixMs(keep_until),
    }
}

pub(crate) fn outcome(n: u64, outcome: Outcome, at: i64) -> Recorded {
    Recorded {
        id: id(n),
        outcome,
        detail: None,
        at: UnixMs(at),
    }
}

/// A store with one session and an owner of its messages.
pub(crate) struct Desk<'s> {
    pub(crate) store: &'s dyn Store,
    pub(crate) session: SessionId,
    pub(crate) fence: Fence,
}

/// A time at which everything that `message` makes is due.
pub(crate) const LATER: i64 = 1_000_000;

impl<'s> Desk<'s> {
    pub(crate) async fn new(store: &'s dyn Store) -> Self {
        Self::named(store, "default").await
    }

    pub(crate) async fn named(store: &'s dyn Store, name: &str) -> Self {
        let session = session(name);
        store.add_session(record_of(&session)).await.unwrap();
        let fence = store.take_fence(&session).await.unwrap();
        Self {
            store,
            session,
            fence,
        }
    }

    pub(crate) async fn accept(&self, n: u64, to: u64) {
        let accepted = self.store.accept(message(&self.session, n, to), None).await;
        assert_eq!(accepted, Ok(Accepted::Stored));
    }

    pub(crate) async fn claim_at(&self, now: i64, limit: u32) -> Vec<Claimed> {
        self.store
            .claim(
                &self.session,
                self.fence,
                LoginGeneration(7),
                UnixMs(now),
                limit,
            )
            .await
            .unwrap()
    }

    /// Claims all that can be claimed, and says which messages these are.
    pub(crate) async fn claim(&self) -> Vec<u64> {
        numbers(&self.claim_at(LATER, 100).await)
    }

    pub(crate) async fn record(&self, n: u64, what: Outcome, at: i64) {
        self.try_record(n, what, at).await.unwrap();
    }

    pub(crate) async fn try_record(
        &self,
        n: u64,
        what: Outcome,
        at: i64,
    ) -> Result<(), StoreError> {
        self.store
            .record(&self.session, self.fence, vec![outcome(n, what, at)])
            .await
    }

    pub(crate) async fn get(&self, n: u64) -> Message {
        self.store.message(&id(n)).await.unwrap().unwrap()
    }

    pub(crate) async fn status(&self, n: u64) -> Status {
        self.get(n).await.status
    }

    /// Accepted, sending, parked.
    pub(crate) async fn depth(&self) -> (u64, u64, u64) {
        let depth = self.store.depth(&self.session).await.unwrap();
        (depth.accepted, depth.sending, depth.parked)
    }
}

/// No message at all.
pub(crate) const NONE: [u64; 0] = [];

/// Which messages were claimed, in order.
pub(crate) fn numbers(claimed: &[Claimed]) -> Vec<u64> {
    claimed
        .iter()
        .map(|claimed| number(&claimed.message))
        .collect()
}

/// Which message this is, by its text or caption.
pub(crate) fn number(message: &Message) -> u64 {
    let text = if let Body::Media(media) = &message.body {
        &media.caption
    } else {
        let Body::Text(Text { text, .. }) = &message.body else {
            panic!("a text or a file was stored")
        };
        text
    };
    text.strip_prefix("message ")
        .and_then(|n| n.parse().ok())
        .unwrap()
}
