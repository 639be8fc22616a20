//! An open transaction, as a request sees it.

use crate::sqlite::error::Error;
use crate::sqlite::sessions;
use rusqlite::Connection;
use steadfast_core::ids::SessionId;
use steadfast_core::outbox::Status;

/// An open transaction, as a request sees it.
pub(in crate::sqlite) struct Tx<'c> {
    pub(in crate::sqlite) db: &'c Connection,
    tally: Tally,
    /// The session that was asked for last: nearly always the next one too.
    last_session: Option<(SessionId, i64)>,
}

/// Changes of the sessions' counters, written once per transaction.
#[derive(Default, Clone)]
pub(super) struct Tally(Vec<(i64, [i64; 3])>);

impl<'c> Tx<'c> {
    pub(super) fn new(db: &'c Connection) -> Self {
        Self {
            db,
            tally: Tally::default(),
            last_session: None,
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
            let known = self.tally.0.iter().position(|(known, _)| *known == sid);
            let row = known.unwrap_or_else(|| {
                self.tally.0.push((sid, [0; 3]));
                self.tally.0.len() - 1
            });
            self.tally.0[row].1[column] += change;
        }
    }

    /// The counts so far, to go back to with [`forget_since`](Self::forget_since).
    pub(super) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// Forgets what was noted since, after the rows themselves were rolled back.
    pub(super) fn forget_since(&mut self, tally: Tally) {
        self.tally = tally;
        self.sessions_changed();
    }

    /// Writes the counts. The last thing before the commit.
    pub(super) fn write_tally(&self) -> Result<(), rusqlite::Error> {
        for (sid, [accepted, sending, parked]) in &self.tally.0 {
            self.run(
                "UPDATE sessions SET accepted = accepted + ?2, sending = sending + ?3,
                 waiting_for_a_person = waiting_for_a_person + ?4 WHERE sid = ?1",
                (sid, accepted, sending, parked),
            )?;
        }
        Ok(())
    }
}
