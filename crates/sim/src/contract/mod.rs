//! What every engine must keep, as bodies that run on any of them: the
//! scripted one in memory, and the real one in Chromium on the simulator.
//!
//! A test makes a [`Rig`] (a connector with an empty profile, and the phone of
//! an account that is linked to nothing) and runs one [`Clause`] of
//! [`CLAUSES`] on it. A clause that is not kept says so as [`Broken`].

mod clauses;
mod files;
mod recorder;

pub use files::SampleFile;
pub use recorder::{Recorder, Seen};

use crate::phone::Phone;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::failure::Failure;
use steadfast_core::ids::{ChatId, Epoch, WaMessageId};
use steadfast_core::outbox::{Ack, Body};
use steadfast_core::port::{Close, Connector, Engine, EngineEvent, LookupOutcome, OpenStep, Phase};
use tokio::time::Instant;

/// An engine that is to be judged, and the world around it.
pub struct Rig {
    /// Opens epochs on an empty profile.
    pub connector: Arc<dyn Connector>,
    /// The phone of an account with no companion.
    pub phone: Arc<dyn Phone>,
    /// Where the connector looks for files: each under its id.
    pub media_dir: PathBuf,
    /// How long anything may take. Only a broken engine ever needs it.
    pub patience: Duration,
}

impl Rig {
    /// Puts a file where the connector looks for it.
    pub(crate) fn keep(&self, sample: &SampleFile) -> Kept {
        std::fs::write(self.media_dir.join(sample.id().as_str()), &sample.bytes)
            .map_err(|error| Broken::Otherwise(format!("the media folder: {error}")))
    }
}

/// A clause that was not kept.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Something was otherwise than promised.
    #[error("{0}")]
    Otherwise(String),
    /// Something did not happen in time.
    #[error("{what} did not happen in time; events so far: {events}")]
    TooLate {
        /// What.
        what: String,
        /// What did happen.
        events: String,
    },
    /// The engine failed where it must not.
    #[error("{what} failed: {failure:?}")]
    Failed {
        /// What was being done.
        what: String,
        /// How it failed.
        failure: Box<Failure>,
    },
    /// The world around it failed: the test, not the engine, is at fault.
    #[error("the world failed: {0}")]
    World(#[from] crate::Error),
}

/// What a clause ends with.
pub type Kept = Result<(), Broken>;

/// One clause: its name and its body.
pub struct Clause {
    /// What an engine must do, as a sentence with underscores.
    pub name: &'static str,
    /// Tries it on a fresh rig.
    pub run: fn(Rig) -> Pin<Box<dyn Future<Output = Kept> + Send>>,
}

/// Hands the names of all clauses to a macro, so that a test of each can be
/// made from this one list: `steadfast_sim::engine_clauses!(my_tests);`
#[macro_export]
macro_rules! engine_clauses {
    ($with:ident) => {
        $with![
            an_empty_profile_shows_a_code_and_links,
            a_pairing_code_links,
            a_passkey_that_is_asked_for_is_told_and_answered,
            codes_are_renewed_until_one_is_scanned,
            a_login_survives_every_step_that_keeps_the_profile,
            a_fresh_profile_is_not_linked,
            a_text_reaches_the_recipient_once_and_is_acked,
            the_same_id_twice_is_one_message,
            an_id_that_was_never_sent_is_not_found,
            a_sent_id_is_found_after_a_restart,
            a_lost_ack_leaves_one_message_however_often_it_is_tried,
            a_text_handed_over_while_offline_arrives_when_the_network_is_back,
            texts_to_one_chat_keep_their_order,
            a_number_without_whatsapp_is_rejected,
            numbers_are_checked,
            what_others_write_is_told_once,
            what_could_not_be_stored_is_offered_again,
            what_arrives_while_closed_is_told_at_the_next_epoch,
            an_unlink_fails_the_epoch_and_asks_for_a_phone,
            a_relinked_account_sends_again,
            a_replaced_page_says_conflict,
            an_outage_is_offline_and_ends_by_itself,
            a_closed_engine_sends_nothing,
            closing_twice_is_closing_once,
            a_newer_epoch_silences_the_older_one,
            a_logout_unlinks,
            health_tells_the_phase_by_level,
            chats_are_listed,
            a_chat_is_read_back_piece_by_piece,
            a_file_that_came_in_is_fetched_byte_for_byte,
            a_file_that_is_refused_or_gone_blames_the_message,
            a_group_is_made_and_its_people_change,
            a_group_is_set_invited_to_and_left,
            changes_of_groups_are_told,
            edits_reactions_and_deletions_are_told,
            every_kind_of_message_arrives_as_it_was_meant,
            files_arrive_byte_for_byte,
            numbers_are_checked_in_one_go,
            people_are_known_by_their_names,
            typing_reading_and_being_online_are_seen,
            we_say_who_we_are,
            what_comes_in_is_told_with_all_that_it_carries,
            what_happened_and_could_not_be_stored_is_offered_again,
            what_happens_while_closed_is_told_at_the_next_epoch,
            what_speaks_of_a_message_reaches_it,
            what_speaks_of_no_message_is_rejected,
            who_is_no_admin_is_told_so,
            whom_we_block_is_listed,
        ];
    };
}

macro_rules! table {
    ($($name:ident),+ $(,)?) => {
        /// Every clause.
        pub const CLAUSES: &[Clause] = &[
            $(Clause { name: stringify!($name), run: |rig| Box::pin(clauses::$name(rig)) }),+
        ];
    };
}

engine_clauses!(table);

/// How often is asked what no event tells.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A rig in use: epochs are counted, events are recorded.
pub(crate) struct Session {
    pub(crate) rig: Rig,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) engine: Arc<dyn Engine>,
    epoch: Epoch,
}

impl Session {
    /// Opens the first epoch.
    pub(crate) async fn open(rig: Rig) -> Result<Self, Broken> {
        let recorder = Arc::new(Recorder::default());
        let epoch = Epoch(1);
        recorder.expect(epoch);
        let engine = rig
            .connector
            .open(OpenStep::Launch, epoch, recorder.clone())
            .await
            .map_err(|failure| Broken::failed("opening", failure))?;
        Ok(Self {
            rig,
            recorder,
            engine,
            epoch,
        })
    }

    /// Opens, links by QR and waits until it is ready.
    pub(crate) async fn linked(rig: Rig) -> Result<Self, Broken> {
        let session = Self::open(rig).await?;
        session.link_by_code().await?;
        session.ready().await?;
        Ok(session)
    }

    /// Opens the next epoch by this step.
    pub(crate) async fn reopen(&mut self, step: OpenStep) -> Result<(), Broken> {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.recorder.expect(self.epoch);
        self.engine = self
            .rig
            .connector
            .open(step, self.epoch, self.recorder.clone())
            .await
            .map_err(|failure| Broken::failed(&format!("opening by {step:?}"), failure))?;
        Ok(())
    }

    /// Waits for a code on screen and scans it.
    pub(crate) async fn link_by_code(&self) -> Result<(), Broken> {
        let code = self
            .wait_event("a QR code", |event| match event {
                EngineEvent::Qr { code, .. } => Some(code.clone()),
                _ => None,
            })
            .await?;
        self.rig.phone.scan(&code).await?;
        Ok(())
    }

    pub(crate) async fn ready(&self) -> Result<(), Broken> {
        self.phase(Phase::Ready).await
    }

    /// Waits until the newest phase of this epoch is this one.
    pub(crate) async fn phase(&self, phase: Phase) -> Result<(), Broken> {
        self.recorder
            .wait(&format!("phase {phase:?}"), self.rig.patience, |seen| {
                (seen.phase() == Some(phase)).then_some(())
            })
            .await
    }

    /// Waits for an event of this epoch.
    pub(crate) async fn wait_event<T>(
        &self,
        what: &str,
        look: impl Fn(&EngineEvent) -> Option<T>,
    ) -> Result<T, Broken> {
        self.recorder
            .wait(what, self.rig.patience, |seen| {
                seen.events().rev().find_map(&look)
            })
            .await
    }

    /// Waits until a message of ours is found with the server's ack. It must be
    /// found at once. Its ack is written down a moment after it was told: a page
    /// that was loaded anew in between has to hear of it again.
    pub(crate) async fn found_acked(&self, of: &WaMessageId, to: &ChatId, when: &str) -> Kept {
        let deadline = Instant::now() + self.rig.patience;
        loop {
            let found = self.engine.lookup(of, to).await;
            match found {
                LookupOutcome::Found(ack) if ack >= Ack::Server => return Ok(()),
                LookupOutcome::Found(_) if Instant::now() < deadline => {}
                _ => return Err(Broken::Otherwise(format!("{when}: {found:?}"))),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Waits until the connector says that the network is away.
    pub(crate) async fn network_gone(&self) -> Kept {
        let deadline = Instant::now() + self.rig.patience;
        while self.rig.connector.network_reachable().await {
            ensure(Instant::now() < deadline, || {
                "the network is said to be there".to_owned()
            })?;
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until a text of ours has reached somebody.
    pub(crate) async fn reached(&self, id: &WaMessageId) -> Result<(), Broken> {
        let id = id.as_str().to_owned();
        self.rig
            .phone
            .wait_for(crate::journal::Event::Delivered, self.rig.patience, &|e| {
                e.id.as_deref() == Some(&id)
            })
            .await?;
        Ok(())
    }

    /// How often a text has reached somebody, under whatever id.
    pub(crate) async fn copies(&self, text: &str) -> Result<usize, Broken> {
        let all = self.rig.phone.reached().await?;
        Ok(all.iter().filter(|r| r.text == text).count())
    }

    /// Fails where a text has not reached somebody exactly once.
    pub(crate) async fn one_copy(&self, text: &str) -> Kept {
        let copies = self.copies(text).await?;
        ensure(copies == 1, || {
            format!("{text:?} reached the recipient {copies} times")
        })
    }

    pub(crate) async fn close(&self) {
        self.rig
            .connector
            .close(Close::Graceful {
                deadline_ms: u64::try_from(self.rig.patience.as_millis()).unwrap_or(u64::MAX),
            })
            .await;
    }
}

impl Broken {
    pub(crate) fn failed(what: &str, failure: Failure) -> Self {
        Self::Failed {
            what: what.to_owned(),
            failure: Box::new(failure),
        }
    }
}

/// Fails a clause where `good` is false.
pub(crate) fn ensure(good: bool, what: impl FnOnce() -> String) -> Kept {
    if good {
        Ok(())
    } else {
        Err(Broken::Otherwise(what()))
    }
}

/// The nth id of a test.
pub(crate) fn id(n: u8) -> WaMessageId {
    WaMessageId::mint([n, 0x5E, 0xAD, 0xFA, 0x57, 1, 2, 3, n])
}

pub(crate) fn text(text: &str) -> Body {
    Body::text(text.to_owned())
}

/// Somebody to write to.
pub(crate) fn somebody() -> Result<ChatId, Broken> {
    ChatId::parse("4915155500001@c.us").map_err(|e| Broken::Otherwise(e.to_string()))
}

#[cfg(test)]
mod tests;
