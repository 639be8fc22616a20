//! Transitions, told as short stories.

mod outage;
mod recycling;

use super::*;
use crate::failure::{
    CdpFault, Evidence, Failure, Kind, Observed, Operation, Resend, Rung, classify,
};
use crate::ids::Epoch;
use crate::port::{Close, OpenStep, Phase};
use crate::time::MonoMs;

/// A machine with a clock that the story moves.
struct Story {
    machine: Machine,
    now: MonoMs,
}

impl Story {
    fn new() -> Self {
        Self::with(Policy::default())
    }

    fn with(policy: Policy) -> Self {
        Self {
            machine: Machine::new(policy, 42, Epoch(0)),
            now: MonoMs(0),
        }
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        self.machine.step(self.now, event).unwrap()
    }

    fn epoch(&self) -> Epoch {
        self.machine.state().epoch().unwrap()
    }

    fn phase(&mut self, phase: Phase) -> Vec<Effect> {
        let epoch = self.epoch();
        self.on(Event::Phase { epoch, phase })
    }

    fn fail(&mut self, kind: Kind, rung: Rung) -> Vec<Effect> {
        let epoch = self.epoch();
        self.on(Event::Failed {
            epoch,
            failure: failure(kind, rung),
        })
    }

    fn probe(&mut self, reachable: bool) -> Vec<Effect> {
        let timer = self.machine.state().timer().unwrap();
        self.on(Event::NetworkProbed { timer, reachable })
    }

    fn fire(&mut self) -> Vec<Effect> {
        let timer = self.machine.state().timer().unwrap();
        self.on(Event::Timer { timer })
    }

    fn ready() -> Self {
        Self::ready_with(Policy::default())
    }

    fn ready_with(policy: Policy) -> Self {
        let mut story = Self::with(policy);
        story.on(Event::Start);
        story.phase(Phase::Ready);
        story
    }

    fn state(&self) -> &'static str {
        self.machine.state().name()
    }
}

fn failure(kind: Kind, rung: Rung) -> Failure {
    Failure {
        kind,
        rung,
        resend: Resend::Yes,
        operation: Operation::Listen,
        evidence: "seen".into(),
    }
}

fn opened(effects: &[Effect]) -> Vec<OpenStep> {
    effects
        .iter()
        .filter_map(|e| match e {
            Effect::Open { step, .. } => Some(*step),
            _ => None,
        })
        .collect()
}

fn incident_end(effects: &[Effect]) -> Option<IncidentEnd> {
    effects.iter().find_map(|e| match e {
        Effect::CloseIncident { end } => Some(*end),
        _ => None,
    })
}

#[test]
fn a_first_start_links_syncs_and_is_ready_without_an_incident() {
    let mut s = Story::new();
    assert_eq!(opened(&s.on(Event::Start)), [OpenStep::Launch]);
    s.phase(Phase::Loading);
    assert_eq!(s.state(), "starting");
    s.phase(Phase::Linking);
    let epoch = s.epoch();
    s.on(Event::Qr {
        epoch,
        expires_in_ms: 20_000,
    });
    assert_eq!(s.state(), "linking");
    assert_eq!(s.on(Event::Linked { epoch }), [Effect::NewLogin]);
    s.phase(Phase::Syncing);
    assert_eq!(s.state(), "syncing");
    // The fresh login goes to disk before a message depends on it.
    assert_eq!(opened(&s.phase(Phase::Ready)), [OpenStep::Secure]);
    assert_eq!(s.state(), "syncing");
    s.phase(Phase::Loading);
    s.phase(Phase::Syncing);
    let effects = s.phase(Phase::Ready);
    assert_eq!(s.state(), "ready");
    assert_eq!(incident_end(&effects), None);
}

#[test]
fn a_passkey_is_waited_for_as_long_as_whatsapp_waits() {
    let mut s = Story::new();
    s.on(Event::Start);
    s.phase(Phase::Linking);
    let wanted = Event::PasskeyWanted {
        epoch: s.epoch(),
        expires_in_ms: 300_000,
    };
    let effects = s.on(wanted.clone());
    let linking_ms = Policy::default().deadlines.linking_ms;
    assert!(
        matches!(effects[..], [Effect::Arm { after_ms, .. }] if after_ms == 300_000 + linking_ms),
        "{effects:?}"
    );
    assert_eq!(s.state(), "linking");
    // A page may look as if it were syncing while it asks.
    s.phase(Phase::Syncing);
    s.on(wanted);
    assert_eq!(s.state(), "linking");
    // One that is linked and ready asks for something else.
    let mut s = Story::ready();
    let effects = s.on(Event::PasskeyWanted {
        epoch: s.epoch(),
        expires_in_ms: 1,
    });
    assert_eq!((effects, s.state()), (vec![], "ready"));
}

#[test]
fn ready_is_believed_by_level_even_when_no_change_was_seen() {
    let mut s = Story::new();
    s.on(Event::Start);
    s.phase(Phase::Ready);
    assert_eq!(s.state(), "ready");
    assert_eq!(s.phase(Phase::Ready), []);
}

#[test]
fn a_killed_browser_is_restarted_at_once_and_the_incident_ends_at_ready() {
    let mut s = Story::ready();
    let old = s.epoch();
    let effects = s.fail(Kind::BrowserGone, Rung::RestartBrowser);
    assert_eq!(opened(&effects), [OpenStep::RestartBrowser]);
    assert!(matches!(effects[0], Effect::OpenIncident { .. }));
    assert_eq!(s.state(), "recovering");
    assert!(s.epoch() > old);
    s.phase(Phase::Syncing);
    assert_eq!(s.state(), "recovering");
    let effects = s.phase(Phase::Ready);
    assert_eq!(
        incident_end(&effects),
        Some(IncidentEnd::Recovered {
            by: Rung::RestartBrowser
        })
    );
}

#[test]
fn late_events_of_a_dead_connection_change_nothing() {
    let mut s = Story::ready();
    let dead = s.epoch();
    s.fail(Kind::PageGone, Rung::NewPage);
    let before = s.machine.clone();
    for event in [
        Event::Phase {
            epoch: dead,
            phase: Phase::Ready,
        },
        Event::Failed {
            epoch: dead,
            failure: failure(Kind::BrowserGone, Rung::RestartBrowser),
        },
        Event::Linked { epoch: dead },
        Event::Qr {
            epoch: dead,
            expires_in_ms: 1,
        },
        Event::OpenFailed {
            epoch: dead,
            failure: failure(Kind::BrowserGone, Rung::RestartBrowser),
        },
        Event::Timer { timer: TimerGen(1) },
    ] {
        assert_eq!(s.on(event), []);
    }
    assert_eq!(s.machine, before);
}

#[test]
fn a_stop_during_a_start_is_not_undone_by_the_start_that_resolves_later() {
    let mut s = Story::new();
    s.on(Event::Start);
    let epoch = s.epoch();
    let effects = s.on(Event::Stop);
    assert!(matches!(effects[..], [Effect::Close { .. }]));
    assert_eq!(
        s.on(Event::Phase {
            epoch,
            phase: Phase::Ready
        }),
        []
    );
    assert_eq!(s.state(), "stopped");
}

#[test]
fn a_second_start_opens_nothing() {
    let mut s = Story::new();
    s.on(Event::Start);
    assert_eq!(s.on(Event::Start), []);
}

#[test]
fn a_hung_page_is_freed_first_and_replaced_if_that_does_not_help() {
    let mut s = Story::ready();
    assert_eq!(
        opened(&s.fail(Kind::PageHung, Rung::Reload)),
        [OpenStep::TerminateScript]
    );
    for higher in [
        OpenStep::Reload,
        OpenStep::NewPage,
        OpenStep::RestartBrowser,
    ] {
        assert_eq!(opened(&s.fail(Kind::PageHung, Rung::Reload)), [higher]);
    }
}

#[test]
fn an_opening_that_never_gets_anywhere_is_a_failure_with_a_deadline() {
    let mut s = Story::new();
    s.on(Event::Start);
    let effects = s.fire();
    assert!(matches!(effects[0], Effect::OpenIncident { .. }));
    assert_eq!(s.state(), "recovering");
}

#[test]
fn an_unlinked_account_gets_a_fresh_profile_and_waits_for_a_phone() {
    let mut s = Story::ready();
    let effects = s.fail(Kind::AuthRequired, Rung::Relink);
    assert_eq!(opened(&effects), [OpenStep::FreshProfile]);
    s.phase(Phase::Linking);
    assert_eq!(s.state(), "linking");
    let epoch = s.epoch();
    assert_eq!(s.on(Event::Linked { epoch }), [Effect::NewLogin]);
    s.phase(Phase::Syncing);
    assert_eq!(opened(&s.phase(Phase::Ready)), [OpenStep::Secure]);
    let effects = s.phase(Phase::Ready);
    assert_eq!(
        incident_end(&effects),
        Some(IncidentEnd::Recovered { by: Rung::Relink })
    );
}

#[test]
fn a_banned_account_is_parked_until_a_person_starts_it() {
    let mut s = Story::ready();
    let effects = s.fail(Kind::BannedOrRestricted, Rung::Operator);
    assert!(effects.contains(&Effect::KeepParked {
        reason: Some("banned_or_restricted")
    }));
    assert_eq!(s.state(), "parked");
    let effects = s.on(Event::Start);
    assert_eq!(effects[0], Effect::KeepParked { reason: None });
    assert_eq!(opened(&effects), [OpenStep::RestartBrowser]);
}

#[test]
fn one_messages_own_fault_never_touches_the_session() {
    for kind in [
        Kind::RecipientInvalid,
        Kind::MediaInvalid,
        Kind::PermanentRequestError,
        Kind::RateLimited,
    ] {
        let mut s = Story::ready();
        assert_eq!(s.fail(kind, Rung::RejectMessage), []);
        assert_eq!(s.state(), "ready");
    }
}

#[test]
fn a_flap_does_not_give_the_budget_back_but_stable_readiness_does() {
    let mut s = Story::ready();
    let mut steps = vec![];
    for _ in 0..4 {
        steps.extend(opened(&s.fail(Kind::TransientContext, Rung::Reload)));
        s.phase(Phase::Ready);
    }
    assert_eq!(steps[..3], [OpenStep::Reload; 3]);
    assert_eq!(steps[3], OpenStep::NewPage);
    s.fire();
    assert_eq!(
        opened(&s.fail(Kind::TransientContext, Rung::Reload)),
        [OpenStep::Reload]
    );
}

#[test]
fn a_page_that_reloads_itself_is_waited_for() {
    let mut s = Story::ready();
    let epoch = s.epoch();
    assert_eq!(opened(&s.phase(Phase::Loading)), []);
    assert_eq!(s.state(), "recovering");
    s.phase(Phase::Ready);
    assert_eq!((s.state(), s.epoch()), ("ready", epoch));
}

#[test]
fn logging_out_ends_in_logged_out_and_a_start_links_anew() {
    let mut s = Story::ready();
    let epoch = s.epoch();
    assert_eq!(s.on(Event::Logout), [Effect::LogOut { epoch: Some(epoch) }]);
    assert_eq!(s.state(), "logged_out");
    assert_eq!(opened(&s.on(Event::Start)), [OpenStep::FreshProfile]);
}

#[test]
fn stop_closes_gracefully_and_ends_the_incident() {
    let mut s = Story::ready();
    s.fail(Kind::PageGone, Rung::NewPage);
    let effects = s.on(Event::Stop);
    assert_eq!(incident_end(&effects), Some(IncidentEnd::Stopped));
    assert!(effects.contains(&Effect::Close {
        how: Close::Graceful {
            deadline_ms: 10_000
        }
    }));
}

#[test]
fn real_evidence_of_each_death_leads_to_a_step_that_can_heal_it() {
    for (fault, least) in [
        (CdpFault::BrowserGone, OpenStep::RestartBrowser),
        (CdpFault::PageGone { in_flight: false }, OpenStep::NewPage),
        (CdpFault::PageCrashed { in_flight: false }, OpenStep::Reload),
        (CdpFault::ContextLost { in_flight: false }, OpenStep::Reload),
    ] {
        let mut s = Story::ready();
        let epoch = s.epoch();
        let effects = s.on(Event::Failed {
            epoch,
            failure: classify(&Observed {
                operation: Operation::Listen,
                evidence: Evidence::Cdp(fault.clone()),
            }),
        });
        let steps = opened(&effects);
        assert_eq!(steps.len(), 1, "{fault:?}");
        assert!(
            steps[0] as u8 >= least as u8,
            "{fault:?} was answered with {steps:?}"
        );
    }
}

#[test]
fn a_login_that_was_stored_all_along_is_not_secured_again() {
    let mut s = Story::new();
    s.on(Event::Start);
    // The page may show a code for a moment before it has read its login.
    s.phase(Phase::Linking);
    s.phase(Phase::Syncing);
    assert_eq!(opened(&s.phase(Phase::Ready)), []);
    assert_eq!(s.state(), "ready");
}

#[test]
fn a_fresh_login_is_secured_whatever_fails_before_it_is_ready() {
    let linked = || {
        let mut s = Story::new();
        s.on(Event::Start);
        s.phase(Phase::Linking);
        let epoch = s.epoch();
        s.on(Event::Linked { epoch });
        s.phase(Phase::Syncing);
        s
    };
    let mut s = linked();
    s.fail(Kind::PageGone, Rung::NewPage);
    s.phase(Phase::Syncing);
    assert_eq!(opened(&s.phase(Phase::Ready)), [OpenStep::Secure]);
    let effects = s.phase(Phase::Ready);
    assert_eq!(s.state(), "ready");
    let by = Rung::NewPage;
    assert_eq!(incident_end(&effects), Some(IncidentEnd::Recovered { by }));

    // The network went away in the first sync, and came back by itself.
    let mut s = linked();
    s.phase(Phase::Offline);
    assert_eq!(s.state(), "recovering");
    assert_eq!(opened(&s.phase(Phase::Ready)), [OpenStep::Secure]);
    assert_eq!(opened(&s.phase(Phase::Ready)), []);
    assert_eq!(s.state(), "ready");
}

#[test]
fn a_link_that_is_told_late_is_secured_all_the_same() {
    let mut s = Story::ready();
    let epoch = s.epoch();
    let effects = s.on(Event::Linked { epoch });
    assert_eq!(effects[0], Effect::NewLogin);
    assert_eq!(opened(&effects), [OpenStep::Secure]);
}

/// A page that lost its storage connects and never gets further.
#[test]
fn a_synchronisation_in_a_recovery_has_less_time_and_more_with_each_try() {
    let armed = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Arm { after_ms, .. } => Some(*after_ms),
            _ => None,
        })
    };
    let mut s = Story::ready();
    s.fail(Kind::PageGone, Rung::NewPage);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let wait = armed(&s.phase(Phase::Syncing)).unwrap();
        waits.push(wait);
        let mut effects = s.fire();
        let told = effects.iter().any(|effect| {
            matches!(effect, Effect::IncidentFailure { failure }
                if failure.evidence.contains(&format!("within {wait} ms")))
        });
        assert!(told, "{effects:?}");
        if opened(&effects).is_empty() {
            // It waits before the step.
            effects = s.fire();
        }
        assert_eq!(opened(&effects).len(), 1);
    }
    assert_eq!(waits, [60_000, 120_000, 240_000, 300_000]);
    // The first one of all has months to fetch.
    let mut s = Story::new();
    s.on(Event::Start);
    assert_eq!(armed(&s.phase(Phase::Syncing)), Some(300_000));
}

#[test]
fn a_conflict_is_yielded_or_taken_over_as_configured() {
    let mut s = Story::ready();
    let effects = s.fail(Kind::Conflict, Rung::Reload);
    assert_eq!(s.state(), "conflict");
    assert_eq!(incident_end(&effects), Some(IncidentEnd::Yielded));
    assert_eq!(opened(&s.on(Event::Start)), [OpenStep::Reload]);

    let mut s = Story::ready_with(Policy {
        conflict: ConflictPolicy::TakeOver,
        ..Policy::default()
    });
    assert_eq!(
        opened(&s.fail(Kind::Conflict, Rung::Reload)),
        [OpenStep::TakeOver]
    );
    // Where that did not help, the page is loaded anew.
    assert_eq!(
        opened(&s.fail(Kind::Conflict, Rung::Reload)),
        [OpenStep::Reload]
    );
}

#[test]
fn what_was_yielded_is_not_taken_back_because_its_page_dies() {
    for (kind, rung) in [
        (Kind::PageGone, Rung::NewPage),
        (Kind::BrowserGone, Rung::RestartBrowser),
        (Kind::PageHung, Rung::TerminateScript),
    ] {
        let mut s = Story::ready();
        s.fail(Kind::Conflict, Rung::Reload);
        let effects = s.fail(kind, rung);
        assert_eq!(effects, [Effect::Close { how: Close::Kill }], "{kind}");
        assert_eq!(s.state(), "conflict");
        assert_eq!(opened(&s.on(Event::Start)), [OpenStep::Reload]);
    }
    // What tells that the link itself is gone is answered.
    let mut s = Story::ready();
    s.fail(Kind::Conflict, Rung::Reload);
    let effects = s.fail(Kind::AuthRequired, Rung::Relink);
    assert_eq!(opened(&effects), [OpenStep::FreshProfile]);
    let mut s = Story::ready();
    s.fail(Kind::Conflict, Rung::Reload);
    s.fail(Kind::BannedOrRestricted, Rung::Operator);
    assert_eq!(s.state(), "parked");
}

#[test]
fn two_that_take_over_from_each_other_do_not_go_on_for_ever() {
    let mut s = Story::ready_with(Policy {
        conflict: ConflictPolicy::TakeOver,
        ..Policy::default()
    });
    for _ in 0..5 {
        assert_eq!(opened(&s.fail(Kind::Conflict, Rung::Reload)).len(), 1);
        s.phase(Phase::Ready);
    }
    let effects = s.fail(Kind::Conflict, Rung::Reload);
    assert_eq!(incident_end(&effects), Some(IncidentEnd::Yielded));
    assert_eq!(s.state(), "conflict");
    // The other one closed: the page says so by itself.
    s.phase(Phase::Ready);
    assert_eq!(s.state(), "ready");
    // Stable for long enough, it may take over again.
    s.fire();
    assert_eq!(opened(&s.fail(Kind::Conflict, Rung::Reload)).len(), 1);
}
