//! Deterministic simulation: the real supervisor, delivery and inbox, on the
//! real machines of core, against a modelled WhatsApp, under virtual time.
//!
//! A seed decides everything: what is accepted when, which faults come, how
//! long each step takes, what fails, and when the gateway itself is killed.
//! After the faults end, everything must settle within a stated bound.
//!
//! ```sh
//! cargo test --release -p steadfast-gateway --test simulate
//! STEADFAST_SIMULATE_SEED=77 cargo test ... -- --nocapture   # replay one, with its trace
//! STEADFAST_SIMULATE_SCHEDULES=5000000 cargo test ...        # as many as you like
//! ```

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test program: it fails loudly and prints what it found"
)]

mod acks;
mod check;
mod engine;
mod full;
mod run;
mod schedule;
mod world;

use schedule::{Happening, Schedule};
use steadfast_core::pacing;

/// As many as fit into the budget of an ordinary test run.
const SCHEDULES: u64 = 100_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn every_schedule_is_safe_and_settles() {
    if let Some(seed) = number("STEADFAST_SIMULATE_SEED") {
        let schedule = Schedule::from_seed(seed);
        println!("{schedule:#?}");
        let outcome = run::run(&schedule, true);
        println!("{outcome:#?}");
        outcome.verdict.expect("the schedule fails");
        return;
    }
    let schedules = number("STEADFAST_SIMULATE_SCHEDULES").unwrap_or(SCHEDULES);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let first = number("STEADFAST_SIMULATE_FIRST").unwrap_or(1);
    let totals = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let mut totals = check::Totals::default();
                    let mut seed = first + thread;
                    while seed < first + schedules {
                        let schedule = Schedule::from_seed(seed);
                        let outcome = run::run(&schedule, false);
                        if let Err(why) = &outcome.verdict {
                            fail(seed, &schedule, why);
                        }
                        totals.add(&outcome);
                        seed += threads;
                    }
                    totals
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|w| w.join().expect("a schedule failed"))
            .fold(check::Totals::default(), |sum, totals| sum.and(&totals))
    });
    println!("{schedules} schedules: {totals:?}");
    // A simulation in which nothing happens would prove nothing.
    assert!(totals.accepted > schedules);
    if schedules >= 1_000 {
        assert!(totals.faults > schedules / 2, "{totals:?}");
        assert!(totals.crashes > schedules / 10, "{totals:?}");
        assert!(totals.looked_up > 0, "{totals:?}");
        assert!(totals.refused > 0, "{totals:?}");
        assert!(totals.parked > 0, "{totals:?}");
        assert!(totals.repeats_dropped > 0, "{totals:?}");
        assert!(totals.expired > schedules / 20, "{totals:?}");
        assert!(totals.recycled > schedules / 20, "{totals:?}");
        assert!(totals.canaries > schedules / 20, "{totals:?}");
    }
}

/// Shrinks, then says how to see it again.
fn fail(seed: u64, schedule: &Schedule, why: &str) -> ! {
    let small = schedule::shrink(schedule, |s| run::run(s, false).verdict.is_err());
    let outcome = run::run(&small, true);
    panic!(
        "seed {seed} fails: {why}\n\
         replay: STEADFAST_SIMULATE_SEED={seed} cargo test -p steadfast-gateway --test simulate -- --nocapture\n\
         shrunk to: {small:#?}\nwhich fails with: {:?}\ntrace:\n{}",
        outcome.verdict,
        outcome.trace.join("\n"),
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 1_234, 98_765] {
        let schedule = Schedule::from_seed(seed);
        let (a, b) = (run::run(&schedule, true), run::run(&schedule, true));
        assert_eq!(a.trace, b.trace, "seed {seed}");
    }
}

/// A one-time code that comes last of all is among the first to go.
#[test]
fn a_code_overtakes_a_campaign() {
    const CAMPAIGN: usize = 60;
    let accept = |chat, lane| Happening::Accept {
        chat,
        ttl_ms: None,
        lane,
        later_ms: None,
    };
    let mut happenings: Vec<_> = (0_u8..60)
        .map(|n| (u64::from(n), accept(n % 7, 2)))
        .collect();
    // Its chat has a part of the campaign before it.
    happenings.push((3_000, accept(3, 0)));
    let schedule = Schedule {
        seed: 7,
        happenings,
        pacing: pacing::Policy {
            per_minute: 30,
            burst: 1,
            ..pacing::Policy::default()
        },
        defect: None,
    };
    let outcome = run::run(&schedule, false);
    outcome.verdict.expect("the schedule fails");
    assert_eq!(outcome.delivered.len(), CAMPAIGN + 1);
    let code = run::wa_id(CAMPAIGN).expect("an id");
    let place = outcome.delivered.iter().position(|id| *id == code);
    // What went before it came was one message every two seconds, at most.
    assert!(place.is_some_and(|place| place < 10), "{place:?}");
}

/// The check is worth nothing unless it can fail: each planted defect must be noticed.
#[test]
fn planted_defects_are_noticed() {
    for defect in world::Defect::ALL {
        let noticed = (1..4_000).any(|seed| {
            let mut schedule = Schedule::from_seed(seed);
            schedule.defect = Some(defect);
            run::run(&schedule, false).verdict.is_err()
        });
        assert!(noticed, "{defect:?} was not noticed");
    }
}
