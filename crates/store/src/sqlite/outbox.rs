//! What is done to owed messages, each a piece of one transaction.

use super::error::{self, Error};
use super::queue::Spot;
use super::rows::{self, Entry, select_entry, select_message};
use super::writer::{Job, NewEvent, Tx};
use super::{events, media, pace, queue, sessions};
use crate::rules::{self, MAX_ATTEMPTS_KEPT, MAX_CLAIM, Standing};
use rusqlite::{Connection, OptionalExtension as _};
use steadfast_core::event::EventKind;
use steadfast_core::ids::{Fence, LoginGeneration, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Ack, Claimed, Message, NewMessage, Status};
use steadfast_core::port::{
    Accepted, BatchAccepted, IdempotencyKey, KeptAnswer, Outcome, Quota, Recorded, StoreError,
};
use steadfast_core::time::UnixMs;

/// Expired keys that one accept with a key clears away: more than it adds, so
/// that they cannot pile up, and few enough that nobody notices.
const KEYS_CLEARED: u32 = 4;

/// A message made ready for its row, away from the writer's thread.
pub(super) struct Draft {
    message: NewMessage,
    body: String,
}

impl Draft {
    pub(super) fn new(message: NewMessage) -> Result<Self, StoreError> {
        match serde_json::to_string(&message.body) {
            Ok(body) => Ok(Self { message, body }),
            Err(error) => Err(StoreError::Failed(error.to_string())),
        }
    }
}

/// Stores a message, and its key where it has one.
pub(super) fn accept(
    tx: &mut Tx<'_>,
    draft: &Draft,
    key: Option<&IdempotencyKey>,
) -> Result<Accepted, Error> {
    let sid = tx.sid(&draft.message.session)?;
    let now = draft.message.accepted_at;
    if let Some(key) = key
        && let Some(answer) = seen_before(tx.db, key, now)?
    {
        return Ok(answer);
    }
    let seq = insert(tx, sid, draft)?;
    if let Some(key) = key {
        keep_key(tx, key, sid, Kept::Message(seq), now)?;
    }
    Ok(Accepted::Stored)
}

/// Stores many messages, and the key that they came with.
pub(super) fn accept_batch(
    tx: &mut Tx<'_>,
    drafts: &[Draft],
    key: Option<&KeptAnswer>,
) -> Result<BatchAccepted, Error> {
    if let Some(KeptAnswer {
        session,
        key,
        answer,
        at,
    }) = key
    {
        let sid = tx.sid(session)?;
        if let Some(answered) = answered_before(tx.db, key, *at)? {
            return Ok(answered);
        }
        keep_key(tx, key, sid, Kept::Answer(answer), *at)?;
    }
    for draft in drafts {
        let sid = tx.sid(&draft.message.session)?;
        insert(tx, sid, draft)?;
    }
    Ok(BatchAccepted::Stored)
}

fn insert(tx: &mut Tx<'_>, sid: i64, draft: &Draft) -> Result<i64, Error> {
    let Draft { message, body } = draft;
    media::need(tx, &message.body, message.accepted_at)?;
    let added = tx.add_message((
        sid,
        message.id.as_str(),
        message.wa_message_id.as_str(),
        message.to.as_str(),
        body,
        message.accepted_at.0,
        message.due_at.0,
        message.expires_at.map(|at| at.0),
        message.priority.lane(),
    ));
    let seq = match added {
        Ok(seq) => seq,
        // Our own id is all that is unique in this table.
        Err(error) if error::is_repeat(&error) => return Err(StoreError::Exists.into()),
        Err(error) => return Err(error.into()),
    };
    media::refer(tx, &message.body, seq)?;
    tx.count(sid, None, Some(Status::Accepted));
    tx.accepted(seq, message.accepted_at)?;
    Ok(seq)
}

/// What a key was used for.
enum Used {
    /// The same request, which made this message.
    Message(Box<Message>),
    /// The same request, which was given this answer.
    Answer(String),
    /// Another request.
    Otherwise,
}

fn used_before(
    db: &Connection,
    key: &IdempotencyKey,
    now: UnixMs,
) -> Result<Option<Used>, rusqlite::Error> {
    // Where the session was removed, its keys are gone with it.
    let found = db
        .prepare_cached(
            "SELECT k.digest, k.seq, k.answer FROM idempotency_keys k
             JOIN sessions s ON s.sid = k.sid AND s.name IS NOT NULL
             WHERE k.key = ?1 AND k.keep_until > ?2",
        )?
        .query_row((&key.key, now.0), |row| {
            let digest = row.get::<_, Vec<u8>>(0)?;
            let seq = row.get::<_, Option<i64>>(1)?;
            Ok((digest, seq, row.get::<_, Option<String>>(2)?))
        })
        .optional()?;
    let Some((digest, seq, answer)) = found else {
        return Ok(None);
    };
    if digest != key.digest {
        return Ok(Some(Used::Otherwise));
    }
    if let Some(answer) = answer {
        return Ok(Some(Used::Answer(answer)));
    }
    let message = match seq {
        Some(seq) => rows::by_seq(db, seq)?,
        None => None,
    };
    Ok(message.map(|message| Used::Message(Box::new(message))))
}

/// What an accept with this key would be answered.
pub(super) fn seen_before(
    db: &Connection,
    key: &IdempotencyKey,
    now: UnixMs,
) -> Result<Option<Accepted>, rusqlite::Error> {
    let used = used_before(db, key, now)?;
    Ok(used.map(|used| match used {
        Used::Message(message) => Accepted::Replayed { message },
        Used::Answer(_) | Used::Otherwise => Accepted::KeyReused,
    }))
}

/// What an accept of many with this key would be answered.
pub(super) fn answered_before(
    db: &Connection,
    key: &IdempotencyKey,
    now: UnixMs,
) -> Result<Option<BatchAccepted>, rusqlite::Error> {
    let used = used_before(db, key, now)?;
    Ok(used.map(|used| match used {
        Used::Answer(answer) => BatchAccepted::Replayed(answer),
        Used::Message(_) | Used::Otherwise => BatchAccepted::KeyReused,
    }))
}

/// What a key is kept with.
#[derive(Clone, Copy)]
enum Kept<'a> {
    Message(i64),
    Answer(&'a str),
}

fn keep_key(
    tx: &Tx<'_>,
    key: &IdempotencyKey,
    sid: i64,
    kept: Kept<'_>,
    now: UnixMs,
) -> Result<(), rusqlite::Error> {
    tx.run(
        "DELETE FROM idempotency_keys WHERE key IN
         (SELECT key FROM idempotency_keys WHERE keep_until <= ?1 ORDER BY keep_until LIMIT ?2)",
        (now.0, KEYS_CLEARED),
    )?;
    let (seq, answer) = match kept {
        Kept::Message(seq) => (Some(seq), None),
        Kept::Answer(answer) => (None, Some(answer)),
    };
    tx.run(
        "INSERT INTO idempotency_keys (key, digest, sid, seq, answer, keep_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key) DO UPDATE
         SET digest = ?2, sid = ?3, seq = ?4, answer = ?5, keep_until = ?6",
        (
            &key.key,
            key.digest.as_slice(),
            sid,
            seq,
            answer,
            key.keep_until.0,
        ),
    )?;
    Ok(())
}

/// Claims heads of chats that are due.
pub(super) fn claim(
    tx: &mut Tx<'_>,
    session: &SessionId,
    fence: Fence,
    login: LoginGeneration,
    now: UnixMs,
    quota: Quota,
) -> Result<Vec<Claimed>, Error> {
    let sid = sessions::owned(tx.db, session, fence)?;
    let quota = Quota {
        all: quota.all.min(MAX_CLAIM),
        ..quota
    };
    let (mut taken, mut begun) = (Vec::new(), 0);
    for queue::Next {
        chat, lane, seq, ..
    } in queue::due(tx, sid, now, quota)?
    {
        let Some(message) = rows::by_seq(tx.db, seq)? else {
            tracing::error!(seq, "the queue holds a message that does not exist");
            continue;
        };
        let mut standing = standing_of(&message);
        standing.begin_attempt(login, now);
        rows::write_standing(tx, seq, &standing)?;
        tx.count(sid, Some(message.status), Some(standing.status));
        let spot = queue::Spot {
            sid,
            chat: &chat,
            lane,
            seq,
        };
        queue::claim(tx, spot)?;
        begun += u32::from(standing.attempts == 1);
        begin_attempt(tx, seq, standing.attempts, now)?;
        taken.push(Claimed {
            message,
            attempt: standing.attempts,
        });
    }
    pace::began(tx, sid, now, begun)?;
    Ok(taken)
}

/// Ends what waits and whose time is up; which messages those were.
pub(super) fn expire(
    tx: &mut Tx<'_>,
    session: &SessionId,
    fence: Fence,
    now: UnixMs,
    limit: u32,
) -> Result<Vec<MessageId>, Error> {
    let sid = sessions::owned(tx.db, session, fence)?;
    let late: Vec<MessageId> = tx
        .db
        .prepare_cached(
            "SELECT id FROM messages INDEXED BY messages_by_end
             WHERE sid = ?1 AND status = 'accepted' AND expires_at IS NOT NULL
             AND expires_at <= ?2 ORDER BY expires_at, seq LIMIT ?3",
        )?
        .query_map((sid, now.0, limit.min(MAX_CLAIM)), |row| {
            rows::parsed(row, 0)
        })?
        .collect::<Result<_, rusqlite::Error>>()?;
    for id in &late {
        change(tx, id, |standing| standing.expire(now))?;
    }
    Ok(late)
}

/// Lets what we put off ourselves be due earlier, though not before `now`.
pub(super) fn bring_forward(
    tx: &mut Tx<'_>,
    session: &SessionId,
    fence: Fence,
    now: UnixMs,
    by_ms: u64,
) -> Result<u64, Error> {
    let by_ms = i64::try_from(by_ms).unwrap_or(i64::MAX);
    let sid = sessions::owned(tx.db, session, fence)?;
    let mut brought = 0;
    for status in [Status::Accepted, Status::Sending] {
        // Owed messages only, as many as there are: clocks are rarely set back.
        brought += tx.run(
            "UPDATE messages INDEXED BY messages_by_status SET due_at = max(?3, due_at - ?4)
             WHERE sid = ?1 AND status = ?2 AND due_at > ?3
             AND (attempts > 0 OR due_at <= accepted_at)",
            (sid, status.as_str(), now.0, by_ms),
        )?;
    }
    if brought > 0 {
        queue::follow_messages(tx, sid, now)?;
    }
    Ok(u64::try_from(brought).unwrap_or(u64::MAX))
}

/// The request that gives claims up whose caller was gone before it heard of
/// them. The messages stay `Sending`: nobody can tell what the caller knows.
pub(super) fn give_up(
    session: SessionId,
    fence: Fence,
    claimed: &[Claimed],
) -> Option<Box<dyn Job>> {
    let claimed: Vec<_> = claimed
        .iter()
        .map(|claimed| claimed.message.id.clone())
        .collect();
    (!claimed.is_empty()).then(|| {
        Box::new(GiveUp {
            session,
            fence,
            claimed,
        }) as Box<dyn Job>
    })
}

struct GiveUp {
    session: SessionId,
    fence: Fence,
    claimed: Vec<MessageId>,
}

impl Job for GiveUp {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let sid = sessions::owned(tx.db, &self.session, self.fence)?;
        for id in &self.claimed {
            if let Some(entry) = entry_by_id(tx, id)? {
                queue::free(
                    tx,
                    Spot {
                        sid,
                        ..entry.spot()
                    },
                )?;
            }
        }
        Ok(())
    }

    fn is_abandoned(&self) -> bool {
        false
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) -> Option<Box<dyn Job>> {
        match result {
            // Another owner or no session: there is no claim left to give up.
            Ok(()) | Err(StoreError::StaleFence { .. } | StoreError::NoSession(_)) => {}
            Err(error) => {
                tracing::error!(%error, "claims that nobody heard of stay until the next owner");
            }
        }
        None
    }
}

fn standing_of(message: &Message) -> Standing {
    Standing {
        status: message.status,
        reason: message.reason.clone(),
        detail: message.detail.clone(),
        attempts: message.attempts,
        due_at: message.due_at,
        updated_at: message.updated_at,
        login: message.login,
        acks: message.acks.clone(),
    }
}

fn begin_attempt(tx: &Tx<'_>, seq: i64, number: u32, now: UnixMs) -> Result<(), rusqlite::Error> {
    tx.run(
        "INSERT INTO attempts (seq, number, started_at) VALUES (?1, ?2, ?3)",
        (seq, number, now.0),
    )?;
    if let Some(too_old) = number.checked_sub(MAX_ATTEMPTS_KEPT)
        && too_old > 0
    {
        tx.run(
            "DELETE FROM attempts WHERE seq = ?1 AND number <= ?2",
            (seq, too_old),
        )?;
    }
    Ok(())
}

/// Writes how the newest attempt ended, unless that is known already.
fn end_attempt(
    tx: &Tx<'_>,
    entry: &Entry,
    at: UnixMs,
    outcome: &str,
    detail: Option<String>,
) -> Result<(), rusqlite::Error> {
    tx.run(
        "UPDATE attempts SET ended_at = ?3, outcome = ?4, detail = ?5
         WHERE seq = ?1 AND number = ?2 AND ended_at IS NULL",
        (entry.seq, entry.standing.attempts, at.0, outcome, detail),
    )?;
    Ok(())
}

/// Records what came of claimed messages.
pub(super) fn record(
    tx: &mut Tx<'_>,
    session: &SessionId,
    fence: Fence,
    outcomes: &[Recorded],
) -> Result<(), Error> {
    let sid = sessions::owned(tx.db, session, fence)?;
    for recorded in outcomes {
        let Some(mut entry) = entry_by_id(tx, &recorded.id)?.filter(|entry| entry.sid == sid)
        else {
            tracing::warn!(id = %recorded.id, %session, "an outcome names a message that this session does not have");
            continue;
        };
        // Nobody ever claimed it: there was no attempt.
        if entry.standing.attempts == 0 {
            continue;
        }
        let detail = recorded.detail.as_deref().map(rules::cut);
        end_attempt(
            tx,
            &entry,
            recorded.at,
            rules::outcome_name(&recorded.outcome),
            detail,
        )?;
        let before = entry.standing.clone();
        entry.standing.record(recorded);
        moved(tx, &before, &entry)?;
        match &recorded.outcome {
            Outcome::SlowedDown { .. } => pace::refused(tx, sid, recorded.at, 1)?,
            Outcome::Sent(_)
            | Outcome::NotSent { .. }
            | Outcome::Unknown { .. }
            | Outcome::Rejected(_)
            | Outcome::Parked(_)
            | Outcome::Expired => {}
        }
    }
    Ok(())
}

/// Moves a message of ours forward.
pub(super) fn ack(
    tx: &mut Tx<'_>,
    session: &SessionId,
    wa_message_id: &WaMessageId,
    ack: Ack,
    at: UnixMs,
) -> Result<Option<Message>, Error> {
    let found = tx.one(
        select_entry!(
            "WHERE s.name = ?1 AND m.wa_message_id = ?2 AND m.attempts > 0 ORDER BY m.seq DESC LIMIT 1"
        ),
        (session.as_str(), wa_message_id.as_str()),
        rows::entry,
    )?;
    let Some(mut entry) = found else {
        return Ok(None);
    };
    let before = entry.standing.clone();
    if !entry.standing.ack(ack, at) {
        return Ok(None);
    }
    end_attempt(tx, &entry, at, "sent", None)?;
    moved(tx, &before, &entry)?;
    Ok(rows::by_seq(tx.db, entry.seq)?)
}

/// Takes a message back.
pub(super) fn cancel(
    tx: &mut Tx<'_>,
    id: &MessageId,
    at: UnixMs,
) -> Result<Option<Message>, Error> {
    change(tx, id, |standing| standing.cancel(at))
}

/// A person's word on a parked message.
pub(super) fn unpark(
    tx: &mut Tx<'_>,
    id: &MessageId,
    release: bool,
    at: UnixMs,
) -> Result<Option<Message>, Error> {
    change(tx, id, |standing| standing.unpark(release, at))
}

fn change(
    tx: &mut Tx<'_>,
    id: &MessageId,
    change: impl FnOnce(&mut Standing) -> bool,
) -> Result<Option<Message>, Error> {
    let Some(mut entry) = entry_by_id(tx, id)? else {
        return Ok(None);
    };
    let before = entry.standing.clone();
    if change(&mut entry.standing) {
        moved(tx, &before, &entry)?;
    }
    Ok(tx.one(
        select_message!("WHERE m.seq = ?1"),
        (entry.seq,),
        rows::message,
    )?)
}

fn entry_by_id(tx: &Tx<'_>, id: &MessageId) -> Result<Option<Entry>, rusqlite::Error> {
    tx.one(
        select_entry!("WHERE m.id = ?1"),
        (id.as_str(),),
        rows::entry,
    )
}

/// Writes where a message stands now, and gives it the place in the queue that follows from it.
fn moved(tx: &mut Tx<'_>, before: &Standing, entry: &Entry) -> Result<(), rusqlite::Error> {
    let Entry {
        seq, sid, standing, ..
    } = entry;
    if before != standing {
        rows::write_standing(tx, *seq, standing)?;
    }
    if before.status != standing.status {
        tx.count(*sid, Some(before.status), Some(standing.status));
    }
    if needs_file(before.status) && !needs_file(standing.status) {
        // The file may go once nobody else needs it; how many once did must not matter.
        tx.run("DELETE FROM media_refs WHERE seq = ?1", (*seq,))?;
    }
    if let Some(kind) = EventKind::of_move(before.status, standing.status) {
        let why = events::why(standing.reason.as_deref(), standing.detail.as_deref());
        tx.event(&NewEvent {
            sid: Some(*sid),
            reference: Some(*seq),
            data: why.as_deref(),
            ..NewEvent::of(kind, standing.updated_at)
        })?;
    }
    match (before.status.is_owed(), standing.status.is_owed()) {
        (true, true) => queue::wait(tx, entry.spot(), standing.due_at, standing.has_begun()),
        // Where it stands in the schedule, it stands there by its old time.
        (true, false) => queue::leave(tx, entry.spot(), before.due_at),
        (false, true) => queue::join(tx, entry.spot(), standing.due_at, standing.has_begun()),
        (false, false) => Ok(()),
    }
}

/// Whether a message may still be sent, and its file with it.
fn needs_file(status: Status) -> bool {
    status.is_owed() || status == Status::Parked
}
