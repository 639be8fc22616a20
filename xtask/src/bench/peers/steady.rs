//! While nothing fails: cold start, sends a second, latency, memory. One
//! contender runs at a time, and they take turns in every run.

use super::contender::{Contender, Ground, Who};
use crate::bench::pause;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sends that nobody times, so that everything is loaded.
const WARM_UP: usize = 10;
/// Sends one after the other, and ten at a time.
const ONE: usize = 60;
const TEN: usize = 200;
/// Memory is read so long after the start.
const IDLE: Duration = Duration::from_secs(3);
/// A fresh login is on disk by then.
const ON_DISK: Duration = Duration::from_secs(8);

/// One run of one contender. Milliseconds, MiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) who: Who,
    #[serde(rename = "run")]
    pub(crate) number: u32,
    /// From starting the process, linked, to ready.
    pub(crate) cold_start_ms: f64,
    pub(crate) own_mib: f64,
    pub(crate) tree_mib: f64,
    pub(crate) own_after_mib: f64,
    pub(crate) one: Rate,
    pub(crate) ten: Rate,
}

/// Sends until the server's ack.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) errors: usize,
}

/// Links all, and measures each in each run. `keep` gets all that there is
/// after each.
///
/// # Errors
///
/// Where a contender does not start or send.
pub(super) fn measure(
    ground: &Arc<Ground>,
    who: &[Who],
    runs: u32,
    mut keep: impl FnMut(&[Run]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut contenders: Vec<Contender> =
        who.iter().map(|who| Contender::new(*who, ground)).collect();
    for contender in &mut contenders {
        contender.start()?;
        contender.ready()?;
    }
    pause(ON_DISK);
    for contender in &mut contenders {
        contender.stop();
    }
    let mut all = Vec::new();
    for run in 1..=runs {
        let count = contenders.len();
        for turn in 0..count {
            // Each comes first in turn.
            let Some(contender) = contenders.get_mut((turn + run as usize) % count) else {
                continue;
            };
            let one = once(contender, run)?;
            eprintln!(
                "run {run}, {}: ready in {:.0} ms, {:.0} and {:.0} sends/s, {:.0} of {:.0} MiB",
                one.who.name(),
                one.cold_start_ms,
                one.one.per_second,
                one.ten.per_second,
                one.own_mib,
                one.tree_mib
            );
            all.push(one);
            // Whatever interrupts it, what is measured stays.
            keep(&all)?;
        }
    }
    Ok(())
}

fn once(contender: &mut Contender, run: u32) -> Result<Run, Error> {
    let start = Instant::now();
    contender.start()?;
    contender.ready()?;
    let cold_start_ms = start.elapsed().as_secs_f64() * 1_000.0;
    pause(IDLE);
    let (own_mib, tree_mib) = contender.memory().unwrap_or_default();
    let chats: Vec<String> = (0..10)
        .map(|n| format!("49151{:08}", 30_000_000 + n))
        .collect();
    let first = chats.first().cloned().into_iter().collect::<Vec<_>>();
    contender.burst(&format!("warm {run}"), WARM_UP, &chats)?;
    let one = contender.burst(&format!("one {run}"), ONE, &first)?;
    let ten = contender.burst(&format!("ten {run}"), TEN, &chats)?;
    let (own_after_mib, _) = contender.memory().unwrap_or_default();
    contender.stop();
    Ok(Run {
        who: contender.who,
        number: run,
        cold_start_ms,
        own_mib,
        tree_mib,
        own_after_mib,
        one: rate(&one.latencies_ms, one.seconds, one.errors.len()),
        ten: rate(&ten.latencies_ms, ten.seconds, ten.errors.len()),
    })
}

fn rate(latencies: &[f64], seconds: f64, errors: usize) -> Rate {
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
    };
    Rate {
        per_second: sorted.len() as f64 / seconds.max(0.001),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        errors,
    }
}

#[test]
fn a_rate_counts_what_was_acked() {
    let rate = rate(&[3.0, 1.0, 2.0, 4.0], 2.0, 1);
    assert!((rate.per_second - 2.0).abs() < 1e-9);
    assert!((rate.p50_ms - 2.0).abs() < 1e-9 && (rate.p99_ms - 4.0).abs() < 1e-9);
    assert_eq!(rate.errors, 1);
}
