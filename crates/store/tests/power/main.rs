//! What the store has answered for survives a power cut.
//!
//! The real store runs on SQLite's real file layer. Between it and the kernel
//! ([`syscalls`]) every change of a file is recorded, with what was synced and
//! what was not ([`disk`]). The record is cut at many places, each time with
//! another part of what was not synced, torn at the sectors of a disk. The
//! store is opened on what is left, and must be exactly as after some number
//! of requests, all answered ones among them ([`life`]).
//!
//! ```sh
//! cargo test --release -p steadfast-store --test power
//! STEADFAST_POWER_SEEDS=5000 cargo test ...   # as many as you like; STEADFAST_POWER_FIRST: from which on
//! STEADFAST_POWER_SEED=77 cargo test ... -- --nocapture   # one alone
//! ```
//!
//! A seed decides what is asked and where the record is cut. How the writer
//! groups waiting requests into commits is up to the machine's threads in two
//! lives of three, so a failure keeps the folder that it was found on.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it saw"
)]

mod ask;
mod dice;
mod disk;
mod doubt;
mod life;
#[path = "../it/support.rs"]
#[expect(
    dead_code,
    reason = "shared with the other tests, which need more of it"
)]
mod support;
mod syscalls;
mod weak;

use disk::{Honesty, lay_out};
use life::{Broken, Ground, Totals, run};
use std::path::Path;

/// As many as fit into the budget of an ordinary test run.
const SEEDS: u64 = 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn what_was_answered_survives_a_power_cut() {
    let (first, seeds) = match number("STEADFAST_POWER_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number("STEADFAST_POWER_FIRST").unwrap_or(1),
            number("STEADFAST_POWER_SEEDS").unwrap_or(SEEDS),
        ),
    };
    let mut totals = Totals::default();
    for seed in first..first + seeds {
        match run(seed, Ground::FIRM) {
            Ok(seen) => totals.add(&seen),
            Err(broken) => fail(seed, &broken),
        }
    }
    println!("{seeds} seeds from {first}: {totals:?}");
    // A cut that nothing hangs on would prove nothing.
    if seeds >= SEEDS {
        assert!(totals.unanswered > totals.cuts / 20, "{totals:?}");
        assert!(totals.kept > 0 && totals.undone > 0, "{totals:?}");
        assert!(totals.folded > 0, "{totals:?}");
    }
}

/// Keeps what was found, and says how to see it again.
fn fail(seed: u64, broken: &Broken) -> ! {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("power-loss-{seed}"));
    let _ = std::fs::remove_dir_all(&kept);
    std::fs::create_dir_all(&kept).unwrap();
    lay_out(&broken.folder, &kept);
    panic!(
        "seed {seed} fails: {}\n\
         replay: STEADFAST_POWER_SEED={seed} cargo test -p steadfast-store --test power -- --nocapture\n\
         what was found is kept in {}",
        broken.why,
        kept.display()
    );
}

/// The proof is worth nothing unless it can fail: a store that does not sync,
/// or is not allowed to, must be found out.
fn is_found_out(ground: Ground) {
    let broken = (1..=20).find_map(|seed| run(seed, ground).err());
    let broken = broken.unwrap_or_else(|| panic!("{ground:?} was not noticed"));
    println!(
        "{ground:?}: {}",
        broken.why.lines().next().unwrap_or_default()
    );
}

#[test]
fn a_disk_that_swallows_syncs_is_found_out() {
    is_found_out(Ground {
        honesty: Honesty::SyncsNothing,
        ..Ground::FIRM
    });
}

#[test]
fn a_disk_that_forgets_the_folder_is_found_out() {
    is_found_out(Ground {
        honesty: Honesty::ForgetsNames,
        ..Ground::FIRM
    });
}

#[test]
fn a_store_that_does_not_sync_is_found_out() {
    is_found_out(Ground {
        weak: true,
        ..Ground::FIRM
    });
}
