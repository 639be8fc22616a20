//! One connection epoch, as all its parts share it: the page, the way to ask
//! it, and what has been told to the supervisor so far.

use crate::Error;
use crate::conclude::{conclude, of};
use crate::memory::Memory;
use crate::options::{Deadlines, Site};
use crate::phase::Seen;
use crate::profile::LoginFile;
use crate::script::{CALL, Library, NOT_MEANT};
use crate::wire::{Answer, Levels, Me};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use steadfast_cdp::{Browser, Page};
use steadfast_core::failure::{Evidence, Failure, Operation};
use steadfast_core::ids::{Epoch, WaMessageId};
use steadfast_core::inbound::{Happening, InboundMessage};
use steadfast_core::outbox::Ack;
use steadfast_core::port::{EngineEvent, EventSink, InboundRefused, PasskeyEnd, Phase};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// How long a QR lives where the page does not tell by `Conn.refTTL`. Each
/// ref is replaced after 20 s; the first may be shown for 60 s (whatsmeow,
/// qrchan.go), and telling people the shorter time costs them nothing.
const QR_LIFE_MS: u64 = 20_000;
/// No QR lives longer, whatever the page or its clock says.
const QR_LIFE_MOST_MS: u64 = 300_000;

/// The page holds no question for a passkey for longer (`page/passkey.js`).
const PASSKEY_LIFE_MOST_MS: u64 = 600_000;

/// What does not change between the epochs of one session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) site: Site,
    pub(crate) deadlines: Deadlines,
    pub(crate) memory: Memory,
    pub(crate) library: Library,
    /// Whether the page's questions for a passkey are held for somebody elsewhere to answer.
    pub(crate) hold_passkeys: bool,
    /// Where the files of messages are.
    pub(crate) media_dir: Option<std::path::PathBuf>,
    pub(crate) wall_clock: fn() -> SystemTime,
}

impl Session {
    /// Seconds since 1970 by the wall clock, as WhatsApp counts a message's time.
    pub(crate) fn unix_seconds(&self) -> i64 {
        self.unix_millis() / 1000
    }

    fn unix_millis(&self) -> i64 {
        (self.wall_clock)()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .unwrap_or(0)
    }
}

/// One epoch.
pub(crate) struct Link {
    pub(crate) epoch: Epoch,
    pub(crate) session: Arc<Session>,
    pub(crate) browser: Browser,
    pub(crate) page: Page,
    pub(crate) login: Arc<LoginFile>,
    /// Messages may be waiting in the page.
    pub(crate) inbox: Notify,
    /// Something may have happened that the page has not told yet.
    pub(crate) happenings: Notify,
    /// A document has become ready and knows nothing of what went before.
    pub(crate) resume: Notify,
    /// A document has come far enough to take wa-js.
    pub(crate) equip: Notify,
    /// What is known of the login is to be written down.
    pub(crate) marks: Notify,
    sink: Arc<dyn EventSink>,
    over: CancellationToken,
    view: Mutex<View>,
}

/// A question for a passkey that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    n: u64,
    over: bool,
}

/// What this epoch has seen and told. Everything is told under its lock, so
/// that nothing is told out of order, twice, or after the end.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and true once it was seen"
)]
struct View {
    over: bool,
    doc: Option<String>,
    lost_doc: Option<String>,
    seq: u64,
    seen: Seen,
    phase: Option<Phase>,
    trouble: Option<Evidence>,
    qr: Option<String>,
    passkey: Option<Asked>,
    me: Me,
    levels: Levels,
    ready_since: Option<Instant>,
    resumed: bool,
    /// Whether this epoch has shown the login at work.
    was_linked: bool,
    /// Whether this epoch has told that a phone linked it.
    told_linked: bool,
}

impl Link {
    pub(crate) fn new(
        epoch: Epoch,
        session: Arc<Session>,
        browser: Browser,
        page: Page,
        login: Arc<LoginFile>,
        sink: Arc<dyn EventSink>,
    ) -> Self {
        Self {
            epoch,
            session,
            browser,
            page,
            login,
            inbox: Notify::new(),
            happenings: Notify::new(),
            resume: Notify::new(),
            equip: Notify::new(),
            marks: Notify::new(),
            sink,
            over: CancellationToken::new(),
            view: Mutex::new(View::default()),
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        // A sink that panics leaves a view whose parts are each whole: telling
        // something twice is all that can come of it.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ------------------------------------------------------------ asking

    /// Calls a function of our bridge in this epoch's document.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        name: &'static str,
        args: impl Serialize,
        deadline: Duration,
    ) -> Result<T, Error> {
        if self.over.is_cancelled() {
            return Err(Error::Over { in_flight: false });
        }
        let args = serde_json::to_value(args).map_err(|e| Error::Answer {
            detail: e.to_string(),
        })?;
        let args: [Value; 3] = [json!(name), json!(self.epoch.0), args];
        let text: String = tokio::select! {
            biased;
            answer = self.page.call_function(CALL, &args, deadline) => answer?,
            () = self.over.cancelled() => return Err(Error::Over { in_flight: true }),
        };
        match steadfast_cdp::read_text(&text) {
            Ok(Answer::Ok(value)) => Ok(value),
            Ok(Answer::Error(error)) if NOT_MEANT.contains(&error.name.as_str()) => {
                Err(Error::NotLoaded)
            }
            Ok(Answer::Error(error)) => Err(Error::Page {
                name: error.name,
                message: error.message,
                stack: error.stack,
            }),
            Err(error) => Err(Error::Answer {
                detail: format!("{name}: {error}"),
            }),
        }
    }

    // ------------------------------------------------------------ telling

    /// The page is being loaded for this epoch.
    pub(crate) fn begin(&self) {
        self.tell_phase(&mut self.view(), Phase::Loading);
    }

    /// The document is gone; another one is on its way, or not.
    pub(crate) fn document_lost(&self) {
        let mut view = self.view();
        if let Some(doc) = view.doc.take() {
            view.lost_doc = Some(doc);
        }
        view.seq = 0;
        view.seen = Seen::default();
        view.trouble = None;
        view.qr = None;
        if view.passkey.take().is_some_and(|asked| !asked.over) {
            self.tell(&view, EngineEvent::PasskeyOver(PasskeyEnd::GivenUp));
        }
        view.resumed = false;
        view.ready_since = None;
        self.tell_phase(&mut view, Phase::Loading);
    }

    /// Takes the levels that a document reports, and tells what they change.
    /// Answers the phase that they mean.
    pub(crate) fn observe(&self, doc: &str, seq: u64, levels: Levels) -> Option<Phase> {
        let mut view = self.view();
        if view.over || view.lost_doc.as_deref() == Some(doc) {
            return None;
        }
        if view.doc.as_deref() != Some(doc) {
            view.doc = Some(doc.to_owned());
            view.seq = 0;
            view.resumed = false;
        }
        if seq < view.seq {
            return view.phase;
        }
        view.seq = seq;
        let reading = view.seen.read(&levels);
        view.was_linked |= reading.logged_in;
        if reading.logged_out && self.login.is_linked() {
            // A browser that was killed can find its databases broken, and
            // begins empty ones (seen: "IndexedDB recovering from a corrupted
            // (and deleted) database"). The phone did not unlink us then, and
            // the good copy has the same login. Where WhatsApp itself has ended
            // the login, its address says so, and the copy is refused with it.
            let ended = view.was_linked || levels.logout.is_some();
            if !ended && self.login.has_copy() {
                let failure = conclude(Operation::Listen, &Error::LoginGone);
                self.tell(&view, EngineEvent::Failed(failure));
                view.over = true;
                return None;
            }
            self.login.set_unlinked();
            self.marks.notify_one();
        }
        let new = !self.login.is_linked();
        let untold = self.login.untold().is_some() && !view.told_linked;
        if reading.logged_in && (new || untold) {
            self.tell(&view, EngineEvent::Linked);
            view.told_linked = true;
            if new {
                let now_s = self.session.unix_seconds();
                self.session.memory.begin_login(now_s);
                self.login.set_linked(now_s);
            }
            self.marks.notify_one();
        }
        self.tell_me(&mut view, &levels);
        // WhatsApp has refused this login, and with it every copy of it. Kept at
        // once: the next epoch may not show the address that says so.
        if matches!(reading.trouble, Some(Evidence::LoggedOut { .. })) {
            self.login.set_unlinked();
            self.marks.notify_one();
        }
        // Trouble first: what it means for the session beats what the phase would.
        if reading.trouble != view.trouble {
            view.trouble.clone_from(&reading.trouble);
            if let Some(trouble) = reading.trouble.clone() {
                let failure = of(Operation::Listen, trouble);
                self.tell(&view, EngineEvent::Failed(failure));
            }
        }
        // Its end first, its beginning last: a passkey is asked for while linking.
        self.tell_passkey_over(&mut view, &levels);
        if view.trouble.is_none() {
            self.tell_phase(&mut view, reading.phase);
            self.tell_qr(&mut view, &levels);
            self.tell_passkey(&mut view, &levels);
        }
        if reading.phase == Phase::Ready {
            view.ready_since.get_or_insert_with(Instant::now);
            if !view.resumed {
                view.resumed = true;
                self.resume.notify_one();
            }
        } else {
            view.ready_since = None;
        }
        view.levels = levels;
        Some(reading.phase)
    }

    /// What the browser stored for WhatsApp Web is gone. Where the good copy has the
    /// login, this epoch is over, and `true`; else the page itself tells what is left.
    pub(crate) fn storage_lost(&self) -> bool {
        let can_come_back = self.login.is_linked() && self.login.has_copy();
        if can_come_back {
            self.fail(conclude(Operation::Listen, &Error::StorageLost));
        }
        can_come_back
    }

    /// This epoch is dead. The last thing that it tells.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut view = self.view();
        self.tell(&view, EngineEvent::Failed(failure));
        view.over = true;
    }

    /// The supervisor goes on without this epoch: nothing is told any more, and
    /// every call under way ends.
    pub(crate) fn end(&self) {
        self.view().over = true;
        self.over.cancel();
    }

    /// Waits until the epoch is over.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
    }

    /// WhatsApp's word on messages of ours. What was told before is told
    /// again where the page has been loaded anew (`all`): whether the store
    /// took it is not known here, and it drops what is no move.
    pub(crate) fn tell_acks(&self, acks: &[(String, i64)], all: bool) {
        let view = self.view();
        // It would be told to nobody, and must not count as told.
        if view.over {
            return;
        }
        for (id, level) in acks {
            let Ok(wa_message_id) = WaMessageId::parse(id) else {
                continue;
            };
            let news = self.session.memory.is_news(&wa_message_id, *level);
            // An error is in the log already, which is all that is done about it.
            if !news && (!all || *level < 0) {
                continue;
            }
            let event = match (Ack::from_level(*level), *level) {
                (Some(Ack::Pending), _) => continue,
                (Some(ack), _) => EngineEvent::Ack { wa_message_id, ack },
                (None, level @ ..0) => EngineEvent::AckError {
                    wa_message_id,
                    level,
                },
                (None, level) => {
                    debug!(level, "unknown ack level");
                    continue;
                }
            };
            self.tell(&view, event);
        }
    }

    /// The login that was told of and is not known to be kept, by its beginning.
    pub(crate) fn told_login(&self) -> Option<i64> {
        self.login.untold().filter(|_| self.view().told_linked)
    }

    /// Waits until the login that was told of is kept. Where it will not be,
    /// the next look at the page tells of it again.
    pub(crate) async fn login_kept(&self) -> bool {
        let kept = self.sink.login_kept(self.epoch).await;
        if !kept {
            self.view().told_linked = false;
        }
        kept
    }

    /// Gives one inbound message to the store.
    pub(crate) async fn deliver(&self, message: InboundMessage) -> Result<(), InboundRefused> {
        if self.over.is_cancelled() {
            return Err(InboundRefused::StaleEpoch);
        }
        self.sink.inbound(self.epoch, message).await
    }

    /// Gives what became of a message or group to the store.
    pub(crate) async fn happened(&self, happening: Happening) -> Result<(), InboundRefused> {
        if self.over.is_cancelled() {
            return Err(InboundRefused::StaleEpoch);
        }
        self.sink.happened(self.epoch, happening).await
    }

    /// The phase told last, and the levels that it came from.
    pub(crate) fn last(&self) -> (Phase, Levels) {
        let view = self.view();
        (view.phase.unwrap_or(Phase::Loading), view.levels.clone())
    }

    /// How long this document has been ready.
    pub(crate) fn ready_for(&self) -> Duration {
        self.view()
            .ready_since
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn tell(&self, view: &View, event: EngineEvent) {
        if !view.over {
            self.sink.event(self.epoch, event);
        }
    }

    fn tell_phase(&self, view: &mut View, phase: Phase) {
        if view.phase != Some(phase) {
            view.phase = Some(phase);
            self.tell(view, EngineEvent::Phase(phase));
        }
    }

    fn tell_qr(&self, view: &mut View, levels: &Levels) {
        if view.qr == levels.qr {
            return;
        }
        view.qr.clone_from(&levels.qr);
        if let Some(code) = levels.qr.clone() {
            let expires_in_ms = qr_life_ms(levels.qr_until_ms, self.session.unix_millis());
            self.tell(
                view,
                EngineEvent::Qr {
                    code,
                    expires_in_ms,
                },
            );
        }
    }

    fn tell_passkey(&self, view: &mut View, levels: &Levels) {
        let Some(passkey) = levels.passkey.as_ref().filter(|p| p.end.is_none()) else {
            return;
        };
        let asked = Asked {
            n: passkey.n,
            over: false,
        };
        if view.passkey == Some(asked) {
            return;
        }
        view.passkey = Some(asked);
        let left = passkey.until_ms.saturating_sub(self.session.unix_millis());
        let event = EngineEvent::PasskeyWanted {
            options: passkey.options.clone(),
            expires_in_ms: u64::try_from(left).unwrap_or(0).min(PASSKEY_LIFE_MOST_MS),
        };
        self.tell(view, event);
    }

    fn tell_passkey_over(&self, view: &mut View, levels: &Levels) {
        let Some(asked) = view.passkey.filter(|asked| !asked.over) else {
            return;
        };
        let end = match &levels.passkey {
            Some(passkey) if passkey.n == asked.n => passkey.end,
            // Another one is asked for, or none: nobody waits for that one.
            Some(_) | None => Some(PasskeyEnd::GivenUp),
        };
        if let Some(end) = end {
            view.passkey = Some(Asked {
                over: true,
                ..asked
            });
            self.tell(view, EngineEvent::PasskeyOver(end));
        }
    }

    fn tell_me(&self, view: &mut View, levels: &Levels) {
        let Some(id) = levels.me.id() else { return };
        if view.me != levels.me {
            view.me = levels.me.clone();
            let event = EngineEvent::Me {
                id,
                push_name: levels.me.name.clone(),
            };
            self.tell(view, event);
        }
    }
}

/// How long a QR may still be scanned: until `until_ms`, where the page told
/// it by the clock that it shares with us.
fn qr_life_ms(until_ms: Option<i64>, now_ms: i64) -> u64 {
    until_ms.map_or(QR_LIFE_MS, |until| {
        u64::try_from(until.saturating_sub(now_ms))
            .unwrap_or(0)
            .min(QR_LIFE_MOST_MS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_lives_as_long_as_the_page_says_within_reason() {
        assert_eq!(qr_life_ms(None, 1_000), QR_LIFE_MS);
        assert_eq!(qr_life_ms(Some(61_000), 1_000), 60_000);
        assert_eq!(qr_life_ms(Some(500), 1_000), 0);
        assert_eq!(qr_life_ms(Some(i64::MAX), i64::MIN), QR_LIFE_MOST_MS);
    }
}
