//! docs/COMPARISON.md and its pictures.

use super::contender::Who;
use super::faults::{Plan, Struck};
use super::judge::Fate;
use super::steady::Run;
use super::svg::{Group, bars, timeline};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Where the pictures are.
const IMAGES: &str = "docs/img";

/// What a run was made on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) date: String,
    pub(crate) machine: String,
    /// What the gateway's binary calls itself.
    pub(crate) gateway: String,
    pub(crate) browser: String,
    pub(crate) node: String,
    /// Of the packages.
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) flags: Vec<String>,
    pub(crate) sync_delay_ms: u64,
}

/// What was measured while nothing failed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Steady {
    pub(crate) setting: Setting,
    pub(crate) all: Vec<Run>,
}

/// What was measured under faults.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Faulty {
    pub(crate) setting: Setting,
    pub(crate) plan: Plan,
    pub(crate) all: Vec<Struck>,
}

/// What a row is called, its digits, and its value.
type Row = (&'static str, usize, fn(&Run) -> f64);

/// Median, least and most.
type Spread = (f64, f64, f64);

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len().saturating_sub(1) / 2)?;
    Some((*middle, *values.first()?, *values.last()?))
}

fn said(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(
        || "-".to_owned(),
        |(median, least, most)| format!("{median:.digits$} ({least:.digits$} to {most:.digits$})"),
    )
}

fn setting(out: &mut String, setting: &Setting) {
    let versions: Vec<String> = setting
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let _ = writeln!(
        out,
        "Measured {} on {}; {}; {}; Node {}; {}.\n",
        setting.date,
        setting.machine,
        setting.gateway,
        setting.browser,
        setting.node.trim_start_matches('v'),
        versions.join(", ")
    );
}

/// Tables and pictures of whichever parts there are.
///
/// # Errors
///
/// Where a picture cannot be written.
pub(crate) fn markdown(steady: Option<&Steady>, faulty: Option<&Faulty>) -> Result<String, Error> {
    let mut out = String::new();
    if let Some(faulty) = faulty {
        under_faults(&mut out, faulty)?;
    }
    if let Some(steady) = steady {
        nothing_fails(&mut out, steady)?;
    }
    if let Some(setting) = steady.map(|s| &s.setting).or(faulty.map(|f| &f.setting)) {
        let _ = writeln!(
            out,
            "### Flags of every browser\n\n```\n{}\n```",
            setting.flags.join("\n")
        );
    }
    Ok(out)
}

fn under_faults(out: &mut String, faulty: &Faulty) -> Result<(), Error> {
    let Faulty {
        setting: on,
        plan,
        all,
    } = faulty;
    picture("recovery.svg", &timeline(all, plan))?;
    out.push_str("### Under faults\n\n");
    setting(out, on);
    let _ = writeln!(
        out,
        "{} of {} faults, seed {}, bound {} s, server's sync {} ms.\n\n\
         ![Recovery after each kind of fault](img/recovery.svg)\n",
        rounds(plan.rounds),
        plan.kinds.len(),
        plan.seed,
        plan.bound_s,
        on.sync_delay_ms
    );
    out.push_str("Seconds from the fault to the first message that was offered after it and reached the server: median (least to most).\n\n| fault |");
    for who in &plan.who {
        let _ = write!(out, " {} |", who.name());
    }
    let _ = write!(out, "\n|---|{}\n", "---|".repeat(plan.who.len()));
    for kind in &plan.kinds {
        let _ = write!(out, "| {} |", kind.words());
        for who in &plan.who {
            let of: Vec<&Struck> = all
                .iter()
                .filter(|s| s.who == *who && s.kind == *kind)
                .collect();
            let times: Vec<f64> = of
                .iter()
                .filter_map(|s| s.recovery_ms)
                .map(|ms| ms as f64 / 1_000.0)
                .collect();
            let never = of.len() - times.len();
            let restarts: u32 = of.iter().map(|s| s.restarts).sum();
            let mut cell = if times.is_empty() {
                format!("not within {} s", plan.bound_s)
            } else if of.len() == 1 {
                said(spread(times), 1)
                    .split(' ')
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            } else {
                said(spread(times.clone()), 1)
            };
            if never > 0 && never < of.len() {
                let _ = write!(cell, ", {never} never");
            }
            if restarts > 0 {
                let _ = write!(cell, " [{restarts}]");
            }
            let _ = write!(out, " {cell} |");
        }
        out.push('\n');
    }
    out.push_str(
        "\n[n]: its process ended, and was started again by the service manager, n times.\n\n\
         What became of the messages, all faults together:\n\n\
         | | offered | lost, no error told | failed, error told | error told, yet sent | doubled | out of order | recovered |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for who in &plan.who {
        let mut sum = Fate::default();
        let own: Vec<&Struck> = all.iter().filter(|s| s.who == *who).collect();
        for struck in &own {
            sum.add(&struck.fate);
        }
        let recovered = own.iter().filter(|s| s.recovery_ms.is_some()).count();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {recovered} of {} |",
            who.name(),
            sum.offered,
            sum.lost,
            sum.failed,
            sum.failed_but_sent,
            sum.duplicated,
            sum.reordered,
            own.len()
        );
    }
    by_kind(out, plan, all);
    Ok(())
}

fn by_kind(out: &mut String, plan: &Plan, all: &[Struck]) {
    out.push_str(
        "\nThe same by fault: lost / failed / doubled / out of order (of those offered).\n\n| fault |",
    );
    for who in &plan.who {
        let _ = write!(out, " {} |", who.name());
    }
    let _ = write!(out, "\n|---|{}\n", "---|".repeat(plan.who.len()));
    for kind in &plan.kinds {
        let _ = write!(out, "| {} |", kind.words());
        for who in &plan.who {
            let mut sum = Fate::default();
            for struck in all.iter().filter(|s| s.who == *who && s.kind == *kind) {
                sum.add(&struck.fate);
            }
            let _ = write!(
                out,
                " {} / {} / {} / {} ({}) |",
                sum.lost, sum.failed, sum.duplicated, sum.reordered, sum.offered
            );
        }
        out.push('\n');
    }
    out.push('\n');
}

fn nothing_fails(out: &mut String, steady: &Steady) -> Result<(), Error> {
    let mut who: Vec<Who> = steady.all.iter().map(|run| run.who).collect();
    who.sort_unstable();
    who.dedup();
    let of = |who: Who, value: fn(&Run) -> f64| {
        let runs = steady.all.iter().filter(|run| run.who == who);
        spread(runs.map(value).collect())
    };
    let group = |title, unit, value: fn(&Run) -> f64| Group {
        title,
        unit,
        bars: who
            .iter()
            .filter_map(|w| of(*w, value).map(|(m, least, most)| (*w, m, least, most)))
            .collect(),
    };
    picture(
        "sends.svg",
        &bars(
            "Sends a second, each until the server's ack (more is better)",
            &[
                group("one in flight", "/s", |run| run.one.per_second),
                group("ten in flight", "/s", |run| run.ten.per_second),
            ],
        ),
    )?;
    picture(
        "memory.svg",
        &bars(
            "Memory, proportional set size (less is better)",
            &[
                group("the driver's own process", "MiB", |run| run.own_mib),
                group("with its browser", "MiB", |run| run.tree_mib),
            ],
        ),
    )?;
    out.push_str("### While nothing fails\n\n");
    setting(out, &steady.setting);
    let _ = writeln!(
        out,
        "{}; median (least to most); server's sync {} ms, in the cold start.\n\n\
         ![Sends a second](img/sends.svg)\n\n![Memory](img/memory.svg)\n",
        runs(&steady.all, &who),
        steady.setting.sync_delay_ms
    );
    out.push_str("| |");
    for w in &who {
        let _ = write!(out, " {} |", w.name());
    }
    let _ = write!(out, "\n|---|{}\n", "---|".repeat(who.len()));
    let rows: [Row; 10] = [
        ("cold start to ready, ms", 0, |run| run.cold_start_ms),
        ("sends/s, 1 in flight", 1, |run| run.one.per_second),
        ("latency p50, 1 in flight, ms", 1, |run| run.one.p50_ms),
        ("latency p99, 1 in flight, ms", 1, |run| run.one.p99_ms),
        ("sends/s, 10 in flight", 1, |run| run.ten.per_second),
        ("latency p50, 10 in flight, ms", 1, |run| run.ten.p50_ms),
        ("latency p99, 10 in flight, ms", 1, |run| run.ten.p99_ms),
        ("driver's memory, idle, MiB", 1, |run| run.own_mib),
        ("driver's memory after 270 sends, MiB", 1, |run| {
            run.own_after_mib
        }),
        ("memory with the browser, idle, MiB", 0, |run| run.tree_mib),
    ];
    for (what, digits, value) in rows {
        let _ = write!(out, "| {what} |");
        for w in &who {
            let _ = write!(out, " {} |", said(of(*w, value), digits));
        }
        out.push('\n');
    }
    let errors: usize = steady
        .all
        .iter()
        .map(|run| run.one.errors + run.ten.errors)
        .sum();
    let _ = writeln!(out, "\nSends that failed in these runs: {errors}.\n");
    Ok(())
}

pub(super) fn rounds(n: u32) -> String {
    format!("{n} {}", if n == 1 { "round" } else { "rounds" })
}

/// How many runs each had: an interrupted measurement leaves some with fewer.
fn runs(all: &[Run], who: &[Who]) -> String {
    let of = |who: &Who| all.iter().filter(|run| run.who == *who).count();
    let least = who.iter().map(of).min().unwrap_or(0);
    match who.iter().map(of).max().unwrap_or(0) {
        1 => "1 run".to_owned(),
        most if most == least => format!("{most} runs"),
        most => format!("{least} to {most} runs"),
    }
}

fn picture(name: &str, svg: &str) -> Result<(), Error> {
    let folder = crate::root().join(IMAGES);
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let path = folder.join(name);
    std::fs::write(&path, svg).map_err(Error::file(&path))
}
