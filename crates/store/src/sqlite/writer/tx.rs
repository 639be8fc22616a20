//! An open transaction, as a request sees it.

use crate::sqlite::error::Error;
use crate::sqlite::sessions;
use rusqlite::{CachedStatement, Connection};
use steadfast_core::event::EventKind;
use steadfast_core::ids::SessionId;
use steadfast_core::outbox::Status;
use steadfast_core::time::UnixMs;

/// An open transaction, as a request sees it.
pub(in crate::sqlite) struct Tx<'c> {
    pub(in crate::sqlite) db: &'c Connection,
    tally: Tally,
    /// The position of the newest event that it has told.
    told_upto: Option<i64>,
    /// The session that was asked for last: nearly always the next one too.
    last_session: Option<(SessionId, i64)>,
    /// What most requests of a busy batch run, looked up once for all of them.
    message_row: Option<CachedStatement<'c>>,
}

/// What is noted in passing and written once per transaction.
#[derive(Default, Clone)]
pub(super) struct Tally {
    /// Changes of the sessions' counters.
    counts: Vec<(i64, [i64; 3])>,
    /// Messages accepted one after the other, not told of yet.
    accepted: Option<Run>,
}

/// Messages `first` to `last`, accepted one after the other.
#[derive(Clone, Copy)]
struct Run {
    first: i64,
    last: i64,
    at: UnixMs,
}

/// An event about to be told.
pub(in crate::sqlite) struct NewEvent<'a> {
    pub(in crate::sqlite) kind: EventKind,
    pub(in crate::sqlite) count: i64,
    pub(in crate::sqlite) sid: Option<i64>,
    pub(in crate::sqlite) reference: Option<i64>,
    pub(in crate::sqlite) at: UnixMs,
    pub(in crate::sqlite) key: Option<&'a str>,
    pub(in crate::sqlite) data: Option<&'a str>,
}

impl NewEvent<'_> {
    /// One of this kind, with nothing said beside it.
    pub(in crate::sqlite) fn of(kind: EventKind, at: UnixMs) -> Self {
        Self {
            kind,
            count: 1,
            sid: None,
            reference: None,
            at,
            key: None,
            data: None,
        }
    }
}

impl<'c> Tx<'c> {
    pub(super) fn new(db: &'c Connection) -> Self {
        Self {
            db,
            tally: Tally::default(),
            told_upto: None,
            last_session: None,
            message_row: None,
        }
    }

    /// Runs one statement; its plan is kept.
    pub(in crate::sqlite) fn run(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<usize, rusqlite::Error> {
        self.db.prepare_cached(sql)?.execute(params)
    }

    /// Adds a row to `messages`, of a message that was just accepted; its seq.
    /// The values: sid, id, WhatsApp's id, chat, body, when it was accepted, is
    /// due and expires (milliseconds since 1970), lane.
    pub(in crate::sqlite) fn add_message(
        &mut self,
        values: impl rusqlite::Params,
    ) -> Result<i64, rusqlite::Error> {
        let row = match &mut self.message_row {
            Some(row) => row,
            none => none.insert(self.db.prepare_cached(
                "INSERT INTO messages (sid, id, wa_message_id, chat, body, status, attempts,
                 accepted_at, due_at, expires_at, updated_at, lane)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'accepted', 0, ?6, ?7, ?8, ?6, ?9)",
            )?),
        };
        row.execute(values)?;
        Ok(self.db.last_insert_rowid())
    }

    /// Reads at most one row.
    pub(in crate::sqlite) fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, rusqlite::Error> {
        use rusqlite::OptionalExtension as _;
        self.db
            .prepare_cached(sql)?
            .query_row(params, read)
            .optional()
    }

    /// The row key of a session.
    pub(in crate::sqlite) fn sid(&mut self, session: &SessionId) -> Result<i64, Error> {
        if let Some((last, sid)) = &self.last_session
            && last == session
        {
            return Ok(*sid);
        }
        let sid = sessions::sid(self.db, session)?;
        self.last_session = Some((session.clone(), sid));
        Ok(sid)
    }

    /// To be called by whoever removes a session.
    pub(in crate::sqlite) fn sessions_changed(&mut self) {
        self.last_session = None;
    }

    /// Counts a message of session `sid` that moves from one status to another.
    pub(in crate::sqlite) fn count(&mut self, sid: i64, from: Option<Status>, to: Option<Status>) {
        for (status, change) in [(from, -1), (to, 1)] {
            let column = match status {
                Some(Status::Accepted) => 0,
                Some(Status::Sending) => 1,
                Some(Status::Parked) => 2,
                _ => continue,
            };
            let known = self
                .tally
                .counts
                .iter()
                .position(|(known, _)| *known == sid);
            let row = known.unwrap_or_else(|| {
                self.tally.counts.push((sid, [0; 3]));
                self.tally.counts.len() - 1
            });
            self.tally.counts[row].1[column] += change;
        }
    }

    /// Notes that a message was accepted; it is told of before whatever is told next.
    pub(in crate::sqlite) fn accepted(
        &mut self,
        seq: i64,
        at: UnixMs,
    ) -> Result<(), rusqlite::Error> {
        match &mut self.tally.accepted {
            Some(run) if run.last + 1 == seq => (run.last, run.at) = (seq, at),
            _ => {
                self.tell_accepted()?;
                self.tally.accepted = Some(Run {
                    first: seq,
                    last: seq,
                    at,
                });
            }
        }
        Ok(())
    }

    /// Tells of something.
    pub(in crate::sqlite) fn event(&mut self, event: &NewEvent<'_>) -> Result<(), rusqlite::Error> {
        self.tell_accepted()?;
        self.append(event)
    }

    /// Tells of the messages that were noted so far.
    pub(in crate::sqlite) fn tell_accepted(&mut self) -> Result<(), rusqlite::Error> {
        let Some(Run { first, last, at }) = self.tally.accepted.take() else {
            return Ok(());
        };
        self.append(&NewEvent {
            count: last - first + 1,
            reference: Some(last),
            ..NewEvent::of(EventKind::MessageAccepted, at)
        })
    }

    fn append(&mut self, event: &NewEvent<'_>) -> Result<(), rusqlite::Error> {
        self.run(
            "INSERT INTO events (seq, kind, count, sid, ref, at, key, data) VALUES (
             ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) + ?2,
             ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                event.kind.code(),
                event.count,
                event.sid,
                event.reference,
                event.at.0,
                event.key,
                event.data,
            ),
        )?;
        self.told_upto = Some(self.db.last_insert_rowid());
        Ok(())
    }

    /// The position of the newest event that it has told, where it has told any.
    pub(super) fn told_upto(&self) -> Option<i64> {
        self.told_upto
    }

    /// What was noted so far, to go back to with [`forget_since`](Self::forget_since).
    pub(super) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// Forgets what was noted since, after the rows themselves were rolled back.
    pub(super) fn forget_since(&mut self, tally: Tally) {
        self.tally = tally;
        self.sessions_changed();
    }

    /// Writes what was noted. The last thing before the commit.
    pub(super) fn write_tally(&mut self) -> Result<(), rusqlite::Error> {
        self.tell_accepted()?;
        for (sid, [accepted, sending, parked]) in &self.tally.counts {
            self.run(
                "UPDATE sessions SET accepted = accepted + ?2, sending = sending + ?3,
                 waiting_for_a_person = waiting_for_a_person + ?4 WHERE sid = ?1",
                (sid, accepted, sending, parked),
            )?;
        }
        Ok(())
    }
}
