//! The network goes away and comes back, or seems to.

use super::*;

#[test]
fn a_network_outage_is_waited_out_without_restarts() {
    let mut s = Story::ready();
    let epoch = s.epoch();
    let effects = s.phase(Phase::Offline);
    assert_eq!(opened(&effects), []);
    for _ in 0..1000 {
        let timer = s.machine.state().timer().unwrap();
        let effects = s.on(Event::NetworkProbed {
            timer,
            reachable: false,
        });
        assert!(
            matches!(effects[..], [Effect::Arm { after_ms, .. }] if (100..=2_000).contains(&after_ms))
        );
        let effects = s.fire();
        assert!(matches!(effects[..], [Effect::ProbeNetwork { .. }]));
    }
    assert_eq!(s.epoch(), epoch, "the page was kept");
    let effects = s.phase(Phase::Ready);
    assert_eq!(
        incident_end(&effects),
        Some(IncidentEnd::Recovered { by: Rung::Retry })
    );
}

#[test]
fn a_page_that_does_not_reconnect_when_the_network_is_back_is_reloaded() {
    let mut s = Story::ready();
    s.phase(Phase::Offline);
    let timer = s.machine.state().timer().unwrap();
    let epoch = s.epoch();
    let effects = s.on(Event::NetworkProbed {
        timer,
        reachable: true,
    });
    // It may be waiting between two tries of its own.
    assert!(
        matches!(effects[..], [Effect::Reconnect { epoch: of }, Effect::Arm { .. }] if of == epoch),
        "{effects:?}"
    );
    assert_eq!(opened(&s.fire()), [OpenStep::Reload]);
}

#[test]
fn a_browser_that_cannot_load_for_want_of_network_is_opened_when_it_is_back() {
    let mut s = Story::new();
    s.on(Event::Start);
    let epoch = s.epoch();
    let effects = s.on(Event::OpenFailed {
        epoch,
        failure: failure(Kind::NetworkDown, Rung::Retry),
    });
    assert_eq!(opened(&effects), []);
    let timer = s.machine.state().timer().unwrap();
    let effects = s.on(Event::NetworkProbed {
        timer,
        reachable: true,
    });
    assert_eq!(opened(&effects), [OpenStep::Reload]);
}

/// A navigation that finds no network leaves an error page, which never
/// reconnects: it is loaded anew the moment the network is back.
#[test]
fn an_error_page_is_loaded_anew_when_the_network_is_back() {
    let mut s = Story::ready();
    let epoch = s.epoch();
    let not_loaded = Failure {
        operation: Operation::Navigate,
        ..failure(Kind::NetworkDown, Rung::Retry)
    };
    let effects = s.on(Event::Failed {
        epoch,
        failure: not_loaded,
    });
    assert_eq!(opened(&effects), []);
    assert_eq!(s.machine.state().epoch(), None, "nothing of it counts");
    assert_eq!(opened(&s.probe(false)), []);
    s.fire();
    assert_eq!(opened(&s.probe(true)), [OpenStep::Reload]);
    let effects = s.phase(Phase::Ready);
    assert_eq!(
        incident_end(&effects),
        Some(IncidentEnd::Recovered { by: Rung::Reload })
    );
}

/// Where the probe says yes and the browser no, nothing spins: the waits grow,
/// and at last the browser itself is doubted.
#[test]
fn a_probe_that_the_browser_contradicts_never_spins() {
    let mut s = Story::ready();
    let mut steps = vec![];
    let mut waits = 0;
    for _ in 0..20 {
        let epoch = s.epoch();
        s.on(Event::Failed {
            epoch,
            failure: Failure {
                operation: Operation::Navigate,
                ..failure(Kind::NetworkDown, Rung::Retry)
            },
        });
        let mut effects = s.probe(true);
        if opened(&effects).is_empty() {
            waits += 1;
            effects = s.fire();
        }
        steps.extend(opened(&effects));
    }
    assert_eq!(steps[..3], [OpenStep::Reload; 3]);
    assert!(steps.contains(&OpenStep::RestartBrowser), "{steps:?}");
    assert!(waits >= 10, "{waits} of 20 were waited for");
}
