//! The engine of the simulation: a browser and a page in a few lines, with a
//! chance of every failure that the real ones have.

use crate::run::BLOATED;
use crate::world::{ME, Page, Profile, World};
use async_trait::async_trait;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use steadfast_core::action::{Action, Answer};
use steadfast_core::failure::{
    CdpFault, Evidence, Failure, Kind, Observed, Operation, Resend, classify,
};
use steadfast_core::ids::{ChatId, Epoch, MessageKey, WaMessageId};
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::outbox::{Ack, Body};
use steadfast_core::port::{
    Capabilities, ChatSummary, Close, Connector, Engine, EngineEvent, EngineHealth, EventSink,
    FileSink, LookupOutcome, OpenStep, Phase, SendOutcome,
};
use steadfast_core::time::UnixMs;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

fn failure(operation: Operation, fault: CdpFault) -> Failure {
    classify(&Observed {
        operation,
        evidence: Evidence::Cdp(fault),
    })
}

/// Opens pages on the modelled browser.
pub(crate) struct SimConnector {
    pub(crate) world: World,
    /// What the page does by itself.
    life: Mutex<JoinSet<()>>,
}

impl SimConnector {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world,
            life: Mutex::default(),
        }
    }

    fn end_life(&self) {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        life.abort_all();
        *life = JoinSet::new();
    }
}

#[async_trait]
impl Connector for SimConnector {
    async fn open(
        &self,
        step: OpenStep,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<dyn Engine>, Failure> {
        self.world.say(|| format!("open {step:?} as {epoch:?}"));
        self.end_life();
        let needs_browser = {
            let mut truth = self.world.lock();
            let keep = step == OpenStep::TerminateScript && truth.browser && truth.page.is_some();
            let hung = truth.page.as_ref().is_some_and(|p| p.hung);
            if !keep {
                truth.close_page();
            }
            if hung && step == OpenStep::Reload {
                // A hung page takes no reload.
                return Err(failure(
                    Operation::Navigate,
                    CdpFault::Timeout { in_flight: true },
                ));
            }
            match step {
                OpenStep::Secure | OpenStep::RestartBrowser | OpenStep::RestoreProfile => {
                    truth.browser = false;
                }
                OpenStep::FreshProfile => {
                    truth.browser = false;
                    truth.profile = Profile::default();
                }
                OpenStep::Launch
                | OpenStep::TerminateScript
                | OpenStep::TakeOver
                | OpenStep::Reload
                | OpenStep::NewPage => {}
            }
            !truth.browser
        };
        if needs_browser {
            self.world.pause(400).await;
            let mut truth = self.world.lock();
            if truth.break_launch > 0 {
                truth.break_launch -= 1;
                return Err(failure(Operation::Launch, CdpFault::BrowserGone));
            }
            truth.browser = true;
            truth.bloated = false;
        }
        self.world.pause(100).await;
        let gone = {
            let mut truth = self.world.lock();
            let gone = CancellationToken::new();
            if let Some(page) = &mut truth.page {
                page.hung = false;
                // A new epoch: calls of the old one end.
                page.gone.cancel();
                page.gone = gone.clone();
            } else {
                truth.page = Some(Page {
                    gone: gone.clone(),
                    hung: false,
                    ready: false,
                });
            }
            gone
        };
        let engine = SimEngine {
            world: self.world.clone(),
            epoch,
            gone: gone.clone(),
        };
        let life = live(self.world.clone(), epoch, gone, sink);
        self.life
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(life);
        Ok(Arc::new(engine))
    }

    async fn close(&self, _: Close) {
        self.end_life();
        self.world.pause(50).await;
        let mut truth = self.world.lock();
        truth.close_page();
        truth.browser = false;
    }

    async fn erase(&self) -> Result<(), Failure> {
        self.world.lock().profile = Profile::default();
        Ok(())
    }

    async fn network_reachable(&self) -> bool {
        self.world.pause(50).await;
        self.world.lock().network
    }
}

/// What a page does by itself: load, link, sync, be ready, notice changes.
async fn live(world: World, epoch: Epoch, gone: CancellationToken, sink: Arc<dyn EventSink>) {
    let tell = |event: EngineEvent| {
        world.say(|| format!("{epoch:?} says {event:?}"));
        sink.event(epoch, event);
    };
    let mut was = None;
    // That a phone linked it is told once a page, and again where the gateway
    // could not keep it.
    let told = Arc::new(AtomicBool::new(false));
    // Ends with the page.
    let mut keeping = JoinSet::new();
    loop {
        world.pause(120).await;
        if gone.is_cancelled() {
            let browser = world.lock().browser;
            let fault = if browser {
                CdpFault::PageGone { in_flight: false }
            } else {
                CdpFault::BrowserGone
            };
            tell(EngineEvent::Failed(failure(Operation::Listen, fault)));
            return;
        }
        let (hung, device, linked, network, ready) = {
            let truth = world.lock();
            let Some(page) = &truth.page else { return };
            (
                page.hung,
                truth.profile.device,
                truth.linked,
                truth.network,
                page.ready,
            )
        };
        if hung {
            continue;
        }
        let phase = if !network {
            if was.is_none() {
                // Nothing could be loaded at all.
                tell(EngineEvent::Failed(classify(&Observed {
                    operation: Operation::Navigate,
                    evidence: Evidence::text("net::ERR_INTERNET_DISCONNECTED"),
                })));
                return;
            }
            Phase::Offline
        } else if device == 0 {
            Phase::Linking
        } else if device != linked {
            tell(EngineEvent::Failed(classify(&Observed {
                operation: Operation::Listen,
                evidence: Evidence::LoggedOut { reason: Some(0) },
            })));
            return;
        } else if ready {
            Phase::Ready
        } else {
            Phase::Syncing
        };
        if was.is_none()
            && let Ok(id) = ChatId::parse(ME)
        {
            tell(EngineEvent::Me {
                id,
                push_name: None,
            });
        }
        if device != 0 && network {
            tell_linked(&world, epoch, &sink, &told, &mut keeping);
        }
        // Sometimes a change is told twice.
        if was != Some(phase) || world.lock().chance(20) {
            was = Some(phase);
            tell(EngineEvent::Phase(phase));
        }
        match phase {
            Phase::Linking => {
                tell(EngineEvent::Qr {
                    code: "2@sim,a,b,c,1".to_owned(),
                    expires_in_ms: 20_000,
                });
                world.pause(2_000).await;
                let mut truth = world.lock();
                if gone.is_cancelled() || !truth.network {
                    continue;
                }
                // The phone scans.
                let device = truth.next_device;
                truth.next_device += 1;
                truth.linked = device;
                truth.profile.device = device;
                truth.profile.untold = true;
                drop(truth);
                told.store(false, Ordering::Relaxed);
                tell_linked(&world, epoch, &sink, &told, &mut keeping);
            }
            Phase::Syncing => {
                world.pause(150).await;
                let mut truth = world.lock();
                if !gone.is_cancelled() && truth.is_serving(device) {
                    truth.flush();
                    if let Some(page) = &mut truth.page {
                        page.ready = true;
                    }
                }
            }
            Phase::Offline => {
                let mut truth = world.lock();
                if let Some(page) = &mut truth.page {
                    page.ready = false;
                }
            }
            Phase::Loading | Phase::Ready => {
                offer_inbound(&world, epoch, &gone, sink.as_ref()).await;
            }
        }
    }
}

/// Tells that a phone linked it, where that is yet to be kept.
fn tell_linked(
    world: &World,
    epoch: Epoch,
    sink: &Arc<dyn EventSink>,
    told: &Arc<AtomicBool>,
    keeping: &mut JoinSet<()>,
) {
    let device = {
        let truth = world.lock();
        if !truth.profile.untold {
            return;
        }
        truth.profile.device
    };
    if told.swap(true, Ordering::Relaxed) {
        return;
    }
    world.say(|| format!("{epoch:?} says Linked"));
    sink.event(epoch, EngineEvent::Linked);
    let (world, sink, told) = (world.clone(), Arc::clone(sink), Arc::clone(told));
    keeping.spawn(async move {
        if sink.login_kept(epoch).await {
            let mut truth = world.lock();
            if truth.profile.device == device {
                truth.profile.untold = false;
            }
        } else {
            told.store(false, Ordering::Relaxed);
        }
    });
}

/// Offers what came in; what is not confirmed is offered again.
async fn offer_inbound(
    world: &World,
    epoch: Epoch,
    gone: &CancellationToken,
    sink: &dyn EventSink,
) {
    tell_own(world, epoch, sink).await;
    let next = world.lock().profile.unconfirmed.front().copied();
    let Some(number) = next else { return };
    let Ok(chat) = ChatId::parse("4915100000000") else {
        return;
    };
    let Ok(id) = WaMessageId::parse(&format!("IN{number}")) else {
        return;
    };
    let message = InboundMessage {
        wa_message_id: id,
        chat: chat.clone(),
        chat_also: None,
        sender: chat,
        from_me: false,
        kind: "chat".to_owned(),
        text: number.to_string(),
        sent_at: UnixMs(0),
        recovered: false,
        extras: Extras::default(),
    };
    let taken = sink.inbound(epoch, message).await.is_ok();
    // The confirmation itself may be lost: then it is offered twice.
    let mut truth = world.lock();
    if taken && !gone.is_cancelled() && !truth.chance(4) {
        truth.profile.unconfirmed.pop_front();
    }
}

/// Tells a message of ours as one that the account wrote elsewhere: a page
/// that was loaded anew has forgotten that it was ours.
async fn tell_own(world: &World, epoch: Epoch, sink: &dyn EventSink) {
    let own = {
        let mut truth = world.lock();
        let last = truth.delivered.last().cloned();
        last.filter(|_| truth.chance(10))
    };
    let Some((chat, id)) = own else { return };
    let message = InboundMessage {
        wa_message_id: id,
        chat: chat.clone(),
        chat_also: None,
        sender: chat.clone(),
        from_me: true,
        kind: "chat".to_owned(),
        // What a canary says of itself is all that tells it.
        text: if chat.user() == ME {
            "Steadfast canary".to_owned()
        } else {
            "ours".to_owned()
        },
        sent_at: UnixMs(0),
        recovered: true,
        extras: Extras::default(),
    };
    let _ = sink.inbound(epoch, message).await;
}

/// One page.
struct SimEngine {
    world: World,
    epoch: Epoch,
    gone: CancellationToken,
}

impl SimEngine {
    /// Runs a call; ends it when the page goes away. `Err` carries whether it was under way.
    async fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = T> + Send,
    ) -> Result<T, Failure> {
        if self.gone.is_cancelled() {
            return Err(failure(operation, CdpFault::PageGone { in_flight: false }));
        }
        tokio::select! {
            biased;
            () = self.gone.cancelled() => {
                Err(failure(operation, CdpFault::PageGone { in_flight: true }))
            }
            answer = self.unless_hung(call) => answer.ok_or_else(|| failure(operation, CdpFault::Timeout { in_flight: true })),
        }
    }

    /// A hung page answers nothing, until the call's own deadline.
    async fn unless_hung<T>(&self, call: impl Future<Output = T> + Send) -> Option<T> {
        let hung = || self.world.lock().page.as_ref().is_some_and(|p| p.hung);
        if hung() {
            tokio::time::sleep(std::time::Duration::from_secs(15)).await;
            return None;
        }
        let answer = call.await;
        if hung() {
            tokio::time::sleep(std::time::Duration::from_secs(15)).await;
            return None;
        }
        Some(answer)
    }

    async fn hand_over(&self, id: &WaMessageId, to: &ChatId) -> SendOutcome {
        self.world.pause(20).await;
        {
            let mut truth = self.world.lock();
            // Canaries are few: WhatsApp minds messages to others.
            if truth.too_fast > 0 && to.user() != ME {
                truth.too_fast -= 1;
                let refused = classify(&Observed {
                    operation: Operation::Send,
                    evidence: Evidence::text("info query returned status 429: rate-overlimit"),
                });
                assert_eq!(
                    (refused.kind, refused.resend),
                    (Kind::RateLimited, Resend::Yes)
                );
                truth.refused += 1;
                return SendOutcome::NotSent(refused);
            }
            if truth.refuse_sends > 0 {
                truth.refuse_sends -= 1;
                let refused = classify(&Observed {
                    operation: Operation::Send,
                    evidence: Evidence::Cdp(CdpFault::Overloaded),
                });
                assert_eq!(refused.resend, Resend::Yes);
                return SendOutcome::NotSent(refused);
            }
            if self.gone.is_cancelled() {
                let gone = failure(Operation::Send, CdpFault::PageGone { in_flight: true });
                return SendOutcome::Unknown(gone);
            }
            if let Some(level) = truth.profile.known.get(id).copied() {
                // The page throws on a key that it holds; the bridge reads its ack.
                return SendOutcome::HandedOff(Ack::from_level(level).unwrap_or(Ack::Pending));
            }
            truth.profile.known.insert(id.clone(), 0);
            truth.profile.outbox.push_back((to.clone(), id.clone()));
            truth.say(|| format!("page took {id}"));
        }
        self.world.pause(40).await;
        self.ack_of(id)
    }

    /// The page sends what waits, and reads how far this message has come.
    fn ack_of(&self, id: &WaMessageId) -> SendOutcome {
        let mut truth = self.world.lock();
        if !self.gone.is_cancelled() {
            truth.flush();
        }
        let level = truth.profile.known.get(id).copied().unwrap_or(0);
        SendOutcome::HandedOff(Ack::from_level(level).unwrap_or(Ack::Pending))
    }
}

#[async_trait]
impl Engine for SimEngine {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            lookup: true,
            pairing_code: false,
            everything: false,
        }
    }

    async fn request_pair_code(&self, _: &str) -> Result<String, Failure> {
        Err(failure(Operation::RequestPairingCode, CdpFault::Malformed))
    }

    async fn send(&self, id: &WaMessageId, to: &ChatId, _: &Body) -> SendOutcome {
        self.world.say(|| format!("{:?} send {id}", self.epoch));
        self.world.lock().handed(id);
        if self.gone.is_cancelled() {
            let gone = failure(Operation::Send, CdpFault::PageGone { in_flight: false });
            return SendOutcome::NotSent(gone);
        }
        match self.call(Operation::Send, self.hand_over(id, to)).await {
            Ok(outcome) => {
                // The answer itself can be lost on its way.
                if self.world.lock().chance(15) {
                    return SendOutcome::Unknown(failure(
                        Operation::Send,
                        CdpFault::ContextLost { in_flight: true },
                    ));
                }
                outcome
            }
            Err(failure) => SendOutcome::Unknown(failure),
        }
    }

    async fn lookup(&self, id: &WaMessageId, _: &ChatId) -> LookupOutcome {
        let look = async {
            self.world.pause(30).await;
            let mut truth = self.world.lock();
            truth.looked_up += 1;
            truth.profile.known.get(id).copied()
        };
        let found = self.call(Operation::Lookup, look).await;
        self.world
            .say(|| format!("{:?} looks {id} up: {found:?}", self.epoch));
        match found {
            Ok(Some(level)) => LookupOutcome::Found(Ack::from_level(level).unwrap_or(Ack::Pending)),
            Ok(None) if self.world.lock().chance(20) => LookupOutcome::Unsupported,
            Ok(None) => LookupOutcome::NotFound,
            Err(failure) => LookupOutcome::Failed(failure),
        }
    }

    async fn resend(&self, id: &WaMessageId, _: &ChatId) -> SendOutcome {
        let again = async {
            self.world.pause(40).await;
            self.ack_of(id)
        };
        match self.call(Operation::Send, again).await {
            Ok(outcome) => outcome,
            Err(failure) => SendOutcome::Unknown(failure),
        }
    }

    async fn health(&self) -> Result<EngineHealth, Failure> {
        let look = async {
            self.world.pause(5).await;
            let truth = self.world.lock();
            let ready = truth.page.as_ref().is_some_and(|p| p.ready);
            let phase = if !truth.network {
                Phase::Offline
            } else if truth.profile.device == 0 {
                Phase::Linking
            } else if ready {
                Phase::Ready
            } else {
                Phase::Syncing
            };
            EngineHealth {
                phase,
                socket_state: None,
                web_version: None,
                missing: vec![],
                browser_memory_bytes: Some(if truth.bloated { BLOATED } else { BLOATED / 8 }),
            }
        };
        self.call(Operation::Probe, look).await
    }

    async fn check_number(&self, number: &ChatId) -> Result<Option<ChatId>, Failure> {
        Ok(Some(number.clone()))
    }

    async fn chats(&self) -> Result<Vec<ChatSummary>, Failure> {
        Ok(vec![])
    }

    async fn perform(&self, action: &Action) -> Result<Answer, Failure> {
        Err(Failure::unsupported(Operation::Evaluate, action.name()))
    }

    async fn download(
        &self,
        message: &MessageKey,
        limit: u64,
        into: &mut dyn FileSink,
    ) -> Result<u64, Failure> {
        let _ = (message, limit, into);
        Err(Failure::unsupported(Operation::Evaluate, "files"))
    }

    async fn answer_passkey(&self, answer: &str) -> Result<(), Failure> {
        let _ = answer;
        Err(Failure::unsupported(Operation::Evaluate, "passkeys"))
    }

    async fn logout(&self) -> Result<(), Failure> {
        let mut truth = self.world.lock();
        truth.linked = 0;
        truth.logins_lost += 1;
        Ok(())
    }
}
