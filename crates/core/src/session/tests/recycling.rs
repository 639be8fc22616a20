//! A browser that works is replaced as planned.

use super::*;

#[test]
fn a_browser_that_works_is_drained_and_replaced_without_an_incident() {
    let mut s = Story::ready();
    let epoch = s.epoch();
    let effects = s.on(Event::Recycle {
        epoch,
        why: Recycle::Memory,
    });
    assert!(
        matches!(
            effects[..],
            [
                Effect::Drain {
                    why: Recycle::Memory
                },
                Effect::Arm {
                    after_ms: 15_000,
                    ..
                }
            ]
        ),
        "{effects:?}"
    );
    assert_eq!((s.state(), s.epoch()), ("starting", epoch));
    // By level, the page goes on saying that it is ready.
    assert_eq!(s.phase(Phase::Ready), []);
    // Asked for again, it is not begun again.
    assert_eq!(
        s.on(Event::Recycle {
            epoch,
            why: Recycle::Age
        }),
        []
    );
    let effects = s.on(Event::Drained { epoch });
    assert_eq!(opened(&effects), [OpenStep::Secure]);
    assert_eq!(s.on(Event::Drained { epoch }), [], "told late");
    s.phase(Phase::Syncing);
    let effects = s.phase(Phase::Ready);
    assert_eq!((s.state(), incident_end(&effects)), ("ready", None));
}

#[test]
fn a_drain_ends_by_its_deadline_or_by_what_matters_more() {
    let draining = || {
        let mut s = Story::ready();
        let epoch = s.epoch();
        s.on(Event::Recycle {
            epoch,
            why: Recycle::Age,
        });
        s
    };
    let mut s = draining();
    assert_eq!(opened(&s.fire()), [OpenStep::Secure]);

    let mut s = draining();
    let effects = s.fail(Kind::PageGone, Rung::NewPage);
    assert!(matches!(effects[0], Effect::OpenIncident { .. }));
    assert_eq!(opened(&effects), [OpenStep::NewPage]);

    let mut s = draining();
    s.phase(Phase::Offline);
    assert_eq!(s.state(), "recovering");

    let mut s = draining();
    assert!(matches!(s.on(Event::Stop)[..], [Effect::Close { .. }]));

    // A failure that came first is what is answered.
    let mut s = Story::ready();
    s.fail(Kind::PageGone, Rung::NewPage);
    let epoch = s.epoch();
    let before = s.machine.clone();
    assert_eq!(
        s.on(Event::Recycle {
            epoch,
            why: Recycle::Memory
        }),
        []
    );
    assert_eq!(s.machine, before);
}
