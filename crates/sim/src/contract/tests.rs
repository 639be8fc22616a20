//! A contract that nothing breaks proves nothing: engines that lie in one
//! way each, and the clause that must catch them.

use super::*;
use crate::knobs::Knobs;
use crate::scripted::{ScriptedConnector, ScriptedWorld};
use async_trait::async_trait;
use std::sync::Mutex;
use steadfast_core::action::{Action, Answer};
use steadfast_core::ids::MessageKey;
use steadfast_core::inbound::{Extras, Happening, InboundMessage};
use steadfast_core::outbox::Ack;
use steadfast_core::port::{
    Capabilities, ChatSummary, EngineHealth, EventSink, FileSink, InboundRefused, LookupOutcome,
    SendOutcome,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// Says that it sent, and did not.
    SendsNothing,
    /// Sends a second copy under an id of its own.
    SendsCopies,
    /// Says after every send that WhatsApp lacks it.
    DeniesSending,
    /// Says that it sent, whatever the server says.
    IgnoresRefusals,
    /// Swaps every two messages.
    Reorders,
    /// Finds nothing.
    FindsNothing,
    /// Finds everything.
    FindsEverything,
    /// Keeps what others write to itself.
    SwallowsInbound,
    /// Forgets what could not be stored.
    DropsRefusedInbound,
    /// Reports every start as a new login.
    AlwaysLinked,
    /// Never reports an ack.
    HidesAcks,
    /// Never reports a failure.
    HidesFailures,
    /// Never says that it is offline.
    HidesOutages,
    /// Says that the network is always there.
    AlwaysReachable,
    /// Opens without the profile.
    ForgetsTheLogin,
    /// Never lets go of the profile.
    NeverFresh,
    /// Says that all numbers are on WhatsApp.
    EveryNumberExists,
    /// Says that it is ready, always.
    AlwaysWell,
    /// Lists no chats.
    NoChats,
    /// Logs out by doing nothing.
    NoLogout,
    /// Says that it passed a passkey's answer on, and did not.
    TakesAnyPasskey,
    /// Says that it did what was asked, and did nothing.
    DoesNothing,
    /// Does what it may not, by its own word.
    NeverRefused,
    /// Keeps to itself what becomes of messages and groups.
    SwallowsHappenings,
    /// Forgets what happened and could not be stored.
    DropsRefusedHappenings,
    /// Sends the bare words of everything.
    SendsOnlyText,
    /// Fetches files without their last byte.
    CutsFiles,
    /// Tells the bare words of what comes in.
    TellsOnlyText,
}

/// Each lie and a clause that must catch it.
const CAUGHT: &[(Lie, &str)] = &[
    (
        Lie::SendsNothing,
        "a_text_reaches_the_recipient_once_and_is_acked",
    ),
    (Lie::SendsCopies, "the_same_id_twice_is_one_message"),
    (
        Lie::DeniesSending,
        "a_lost_ack_leaves_one_message_however_often_it_is_tried",
    ),
    (
        Lie::IgnoresRefusals,
        "a_number_without_whatsapp_is_rejected",
    ),
    (Lie::Reorders, "texts_to_one_chat_keep_their_order"),
    (Lie::FindsNothing, "a_sent_id_is_found_after_a_restart"),
    (
        Lie::FindsEverything,
        "an_id_that_was_never_sent_is_not_found",
    ),
    (Lie::SwallowsInbound, "what_others_write_is_told_once"),
    (
        Lie::DropsRefusedInbound,
        "what_could_not_be_stored_is_offered_again",
    ),
    (
        Lie::AlwaysLinked,
        "a_login_survives_every_step_that_keeps_the_profile",
    ),
    (
        Lie::HidesAcks,
        "a_text_reaches_the_recipient_once_and_is_acked",
    ),
    (
        Lie::HidesFailures,
        "an_unlink_fails_the_epoch_and_asks_for_a_phone",
    ),
    (Lie::HidesFailures, "a_replaced_page_says_conflict"),
    (
        Lie::HidesOutages,
        "a_text_handed_over_while_offline_arrives_when_the_network_is_back",
    ),
    (
        Lie::AlwaysReachable,
        "an_outage_is_offline_and_ends_by_itself",
    ),
    (
        Lie::ForgetsTheLogin,
        "a_login_survives_every_step_that_keeps_the_profile",
    ),
    (Lie::NeverFresh, "a_fresh_profile_is_not_linked"),
    (Lie::EveryNumberExists, "numbers_are_checked"),
    (Lie::AlwaysWell, "health_tells_the_phase_by_level"),
    (Lie::AlwaysWell, "a_closed_engine_sends_nothing"),
    (Lie::NoChats, "chats_are_listed"),
    (Lie::NoLogout, "a_logout_unlinks"),
    (
        Lie::TakesAnyPasskey,
        "a_passkey_that_is_asked_for_is_told_and_answered",
    ),
    (Lie::DoesNothing, "typing_reading_and_being_online_are_seen"),
    (Lie::DoesNothing, "a_group_is_set_invited_to_and_left"),
    (Lie::DoesNothing, "we_say_who_we_are"),
    (Lie::DoesNothing, "whom_we_block_is_listed"),
    (Lie::NeverRefused, "who_is_no_admin_is_told_so"),
    (Lie::NeverRefused, "a_chat_is_read_back_piece_by_piece"),
    (
        Lie::SwallowsHappenings,
        "edits_reactions_and_deletions_are_told",
    ),
    (
        Lie::SwallowsHappenings,
        "what_happens_while_closed_is_told_at_the_next_epoch",
    ),
    (Lie::SwallowsHappenings, "changes_of_groups_are_told"),
    (
        Lie::DropsRefusedHappenings,
        "what_happened_and_could_not_be_stored_is_offered_again",
    ),
    (
        Lie::SendsOnlyText,
        "every_kind_of_message_arrives_as_it_was_meant",
    ),
    (Lie::SendsOnlyText, "what_speaks_of_a_message_reaches_it"),
    (Lie::SendsOnlyText, "files_arrive_byte_for_byte"),
    (
        Lie::SendsOnlyText,
        "a_file_that_is_refused_or_gone_blames_the_message",
    ),
    (
        Lie::IgnoresRefusals,
        "what_speaks_of_no_message_is_rejected",
    ),
    (
        Lie::CutsFiles,
        "a_file_that_came_in_is_fetched_byte_for_byte",
    ),
    (
        Lie::TellsOnlyText,
        "what_comes_in_is_told_with_all_that_it_carries",
    ),
];

struct Liar {
    honest: ScriptedConnector,
    lie: Lie,
}

struct LyingEngine {
    honest: Arc<dyn Engine>,
    lie: Lie,
    held: Mutex<Option<(WaMessageId, ChatId, Body)>>,
}

/// Passes on what came before, and keeps the newest piece to itself.
struct LateSink<'a> {
    honest: &'a mut dyn FileSink,
    held: Vec<u8>,
}

#[async_trait]
impl FileSink for LateSink<'_> {
    async fn write(&mut self, piece: &[u8]) -> Result<(), String> {
        let before = std::mem::replace(&mut self.held, piece.to_vec());
        self.honest.write(&before).await
    }
}

struct LyingSink {
    honest: Arc<dyn EventSink>,
    lie: Lie,
}

#[async_trait]
impl EventSink for LyingSink {
    fn event(&self, epoch: Epoch, event: EngineEvent) {
        let hidden = match &event {
            EngineEvent::Ack { .. } => self.lie == Lie::HidesAcks,
            EngineEvent::Failed(_) => self.lie == Lie::HidesFailures,
            EngineEvent::Phase(Phase::Offline) => self.lie == Lie::HidesOutages,
            _ => false,
        };
        if self.lie == Lie::AlwaysLinked && event == EngineEvent::Phase(Phase::Syncing) {
            self.honest.event(epoch, EngineEvent::Linked);
        }
        if !hidden {
            self.honest.event(epoch, event);
        }
    }

    async fn happened(&self, epoch: Epoch, happening: Happening) -> Result<(), InboundRefused> {
        match self.lie {
            Lie::SwallowsHappenings => Ok(()),
            Lie::DropsRefusedHappenings => {
                let _ = self.honest.happened(epoch, happening).await;
                Ok(())
            }
            _ => self.honest.happened(epoch, happening).await,
        }
    }

    async fn inbound(&self, epoch: Epoch, message: InboundMessage) -> Result<(), InboundRefused> {
        match self.lie {
            Lie::SwallowsInbound => Ok(()),
            Lie::DropsRefusedInbound => {
                // Tried once, and forgotten whatever came of it.
                let _ = self.honest.inbound(epoch, message).await;
                Ok(())
            }
            Lie::TellsOnlyText => {
                let bare = InboundMessage {
                    extras: Extras::default(),
                    ..message
                };
                self.honest.inbound(epoch, bare).await
            }
            _ => self.honest.inbound(epoch, message).await,
        }
    }
}

#[async_trait]
impl Connector for Liar {
    async fn open(
        &self,
        step: OpenStep,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<dyn Engine>, Failure> {
        let step = match self.lie {
            Lie::ForgetsTheLogin => OpenStep::FreshProfile,
            Lie::NeverFresh => OpenStep::Reload,
            _ => step,
        };
        let sink = Arc::new(LyingSink {
            honest: sink,
            lie: self.lie,
        });
        let honest = self.honest.open(step, epoch, sink).await?;
        Ok(Arc::new(LyingEngine {
            honest,
            lie: self.lie,
            held: Mutex::new(None),
        }))
    }

    async fn close(&self, how: Close) {
        self.honest.close(how).await;
    }

    async fn erase(&self) -> Result<(), Failure> {
        self.honest.erase().await
    }

    async fn network_reachable(&self) -> bool {
        self.lie == Lie::AlwaysReachable || self.honest.network_reachable().await
    }
}

impl LyingEngine {
    async fn send_swapped(&self, id: &WaMessageId, to: &ChatId, body: &Body) -> SendOutcome {
        let held = self.held.lock().unwrap().take();
        if let Some((held_id, held_to, held_body)) = held {
            let outcome = self.honest.send(id, to, body).await;
            self.honest.send(&held_id, &held_to, &held_body).await;
            outcome
        } else {
            *self.held.lock().unwrap() = Some((id.clone(), to.clone(), body.clone()));
            SendOutcome::HandedOff(Ack::Server)
        }
    }
}

#[async_trait]
impl Engine for LyingEngine {
    fn epoch(&self) -> Epoch {
        self.honest.epoch()
    }

    fn capabilities(&self) -> Capabilities {
        self.honest.capabilities()
    }

    async fn request_pair_code(&self, phone: &str) -> Result<String, Failure> {
        self.honest.request_pair_code(phone).await
    }

    async fn send(&self, id: &WaMessageId, to: &ChatId, body: &Body) -> SendOutcome {
        match self.lie {
            Lie::SendsNothing => SendOutcome::HandedOff(Ack::Server),
            Lie::SendsCopies => {
                let own = WaMessageId::parse(&format!("{id}00")).unwrap();
                self.honest.send(id, to, body).await;
                self.honest.send(&own, to, body).await
            }
            Lie::DeniesSending => match self.honest.send(id, to, body).await {
                SendOutcome::HandedOff(_) => SendOutcome::NotSent(crate::scripted::gone(
                    steadfast_core::failure::Operation::Send,
                )),
                other => other,
            },
            Lie::IgnoresRefusals => {
                self.honest.send(id, to, body).await;
                SendOutcome::HandedOff(Ack::Server)
            }
            Lie::Reorders => self.send_swapped(id, to, body).await,
            Lie::SendsOnlyText => {
                let words = match body {
                    Body::Text(text) => text.text.as_str(),
                    _ => "something",
                };
                self.honest.send(id, to, &Body::text(words)).await
            }
            _ => self.honest.send(id, to, body).await,
        }
    }

    async fn lookup(&self, id: &WaMessageId, to: &ChatId) -> LookupOutcome {
        match self.lie {
            Lie::FindsNothing => LookupOutcome::NotFound,
            Lie::FindsEverything => LookupOutcome::Found(Ack::Server),
            _ => self.honest.lookup(id, to).await,
        }
    }

    async fn resend(&self, id: &WaMessageId, to: &ChatId) -> SendOutcome {
        self.honest.resend(id, to).await
    }

    async fn health(&self) -> Result<EngineHealth, Failure> {
        match self.lie {
            Lie::AlwaysWell => Ok(EngineHealth {
                phase: Phase::Ready,
                socket_state: None,
                web_version: None,
                missing: Vec::new(),
                browser_memory_bytes: None,
            }),
            _ => self.honest.health().await,
        }
    }

    async fn check_number(&self, number: &ChatId) -> Result<Option<ChatId>, Failure> {
        match self.lie {
            Lie::EveryNumberExists => Ok(Some(number.clone())),
            _ => self.honest.check_number(number).await,
        }
    }

    async fn chats(&self) -> Result<Vec<ChatSummary>, Failure> {
        match self.lie {
            Lie::NoChats => Ok(Vec::new()),
            _ => self.honest.chats().await,
        }
    }

    async fn perform(&self, action: &Action) -> Result<Answer, Failure> {
        let changes = matches!(
            action,
            Action::Typing { .. }
                | Action::SetGroup { .. }
                | Action::SetAbout(_)
                | Action::Block { .. }
        );
        if self.lie == Lie::DoesNothing && changes {
            return Ok(Answer::Done);
        }
        match self.honest.perform(action).await? {
            Answer::Refused(_) if self.lie == Lie::NeverRefused => Ok(Answer::Done),
            answer => Ok(answer),
        }
    }

    async fn download(
        &self,
        message: &MessageKey,
        limit: u64,
        into: &mut dyn FileSink,
    ) -> Result<u64, Failure> {
        if self.lie != Lie::CutsFiles {
            return self.honest.download(message, limit, into).await;
        }
        let mut late = LateSink {
            honest: into,
            held: Vec::new(),
        };
        self.honest.download(message, limit, &mut late).await
    }

    async fn answer_passkey(&self, answer: &str) -> Result<(), Failure> {
        if self.lie == Lie::TakesAnyPasskey {
            return Ok(());
        }
        self.honest.answer_passkey(answer).await
    }

    async fn logout(&self) -> Result<(), Failure> {
        match self.lie {
            Lie::NoLogout => Ok(()),
            _ => self.honest.logout().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_lie_is_caught_by_the_clause_that_is_there_for_it() {
    for (lie, name) in CAUGHT {
        let clause = CLAUSES.iter().find(|c| c.name == *name).expect(name);
        let world = ScriptedWorld::start(7, Knobs::default(), "4915100000001").unwrap();
        let (honest, _) = world.connector(1);
        let dir = tempfile::tempdir().unwrap();
        let honest = honest.with_media(dir.path().to_owned());
        let rig = Rig {
            media_dir: dir.path().to_owned(),
            connector: Arc::new(Liar { honest, lie: *lie }),
            phone: Arc::new(world.phone.clone()),
            patience: Duration::from_mins(1),
        };
        let outcome = (clause.run)(rig).await;
        assert!(
            matches!(
                outcome,
                Err(Broken::Otherwise(_) | Broken::TooLate { .. } | Broken::World(_))
            ),
            "{lie:?} kept {name}: {outcome:?}"
        );
    }
}
