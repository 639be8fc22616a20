//! What a gateway with one session takes of the machine: idle, and while
//! messages come at a fixed rate. Memory and processor of the gateway's own
//! process stand apart from its browser's.

use super::gateway::Gateway;
use super::own::fresh;
use super::proc::{Tree, busy, resident};
use super::simulator::Simulator;
use super::stats::{Range, range};
use super::{Options, pause};
use crate::error::Error;
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What a start, or a window before, left to do is done by then.
const SETTLE: Duration = Duration::from_secs(10);
/// Messages before the first window, so that all is loaded.
const WARM_UP: u32 = 50;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// Messages a second while there was load.
    rate: u32,
    /// Windows of each kind, and how long each was, in seconds.
    windows: u32,
    window_s: u64,
    idle: State,
    loaded: State,
}

/// Over the windows of one kind.
#[derive(Debug, Serialize)]
struct State {
    /// Of the gateway's process, in MiB, at each window's end.
    anonymous_mib: Range,
    file_mib: Range,
    /// Its processor seconds a minute.
    processor: Range,
    /// The browser's processes, by their share of what they use, in MiB.
    browser_pss_mib: Range,
    /// Their processor seconds a minute.
    browser_processor: Range,
}

/// As it is gathered.
#[derive(Default)]
struct Windows {
    anonymous: Vec<f64>,
    file: Vec<f64>,
    processor: Vec<f64>,
    browser_pss: Vec<f64>,
    browser_processor: Vec<f64>,
}

impl Windows {
    fn add(
        &mut self,
        gateway: &Gateway,
        meanwhile: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let pid = gateway.process.pid();
        let cost = busy(pid, meanwhile)?;
        let memory = resident(pid)?;
        self.anonymous.push(memory.anonymous_mib);
        self.file.push(memory.file_mib);
        self.processor.push(cost.program);
        self.browser_pss.push(Tree::of(pid).browsers_pss_mib());
        self.browser_processor.push(cost.browsers);
        Ok(())
    }

    fn state(self) -> Result<State, Error> {
        let over = |values| range(values).ok_or_else(|| Error::Bench("no window".to_owned()));
        Ok(State {
            anonymous_mib: over(self.anonymous)?,
            file_mib: over(self.file)?,
            processor: over(self.processor)?,
            browser_pss_mib: over(self.browser_pss)?,
            browser_processor: over(self.browser_processor)?,
        })
    }
}

/// Measures everything.
///
/// # Errors
///
/// Where the gateway does not keep up with the rate, or does not do what it must.
pub(crate) fn measure(options: &Options) -> Result<Figures, Error> {
    let (binary, folder) = (options.binary(), Options::folder()?);
    let simulator = Simulator::start(&binary, &folder)?;
    let data = fresh(&folder, 0)?;
    let gateway = Gateway::start(&binary, &data, &simulator)?;
    gateway.link(&simulator)?;
    for n in 0..WARM_UP {
        gateway.sent(&gateway.accept(n)?)?;
    }
    let window = Duration::from_secs(options.window);
    let (mut idle, mut loaded) = (Windows::default(), Windows::default());
    pause(SETTLE);
    for run in 1..=options.runs {
        eprintln!("idle, window {run} of {}", options.runs);
        idle.add(&gateway, || {
            pause(window);
            Ok(())
        })?;
    }
    for run in 1..=options.runs {
        eprintln!(
            "{} messages/s, window {run} of {}",
            options.rate, options.runs
        );
        let mut ids = Vec::new();
        loaded.add(&gateway, || {
            ids = at_rate(&gateway, options.rate, window)?;
            Ok(())
        })?;
        kept_up(&gateway, &ids, window)?;
    }
    gateway.process.stop()?;
    simulator.unlink()?;
    std::fs::remove_dir_all(&data).map_err(Error::file(&data))?;
    Ok(Figures {
        rate: options.rate,
        windows: options.runs,
        window_s: options.window,
        idle: idle.state()?,
        loaded: loaded.state()?,
    })
}

/// Hands messages over at this rate for so long, over one connection; gives their ids.
fn at_rate(gateway: &Gateway, rate: u32, window: Duration) -> Result<Vec<String>, Error> {
    let mut line = gateway.client().open()?;
    let begun = Instant::now();
    let mut ids = Vec::new();
    for n in 0.. {
        let due = Duration::from_secs_f64(f64::from(n) / f64::from(rate));
        if due >= window {
            break;
        }
        pause(due.saturating_sub(begun.elapsed()));
        let to = format!("49151{:08}", 10_000_000 + n % 10);
        let body = json!({ "to": to, "text": format!("Your order {n} is on its way.") });
        let path = "/v1/sessions/default/messages";
        let answer = line.expect(202, "POST", path, &body.to_string())?;
        ids.push(answer["id"].as_str().unwrap_or_default().to_owned());
    }
    pause(window.saturating_sub(begun.elapsed()));
    Ok(ids)
}

/// All of a window's messages must be with WhatsApp's server soon after it:
/// otherwise it is a queue that grows.
fn kept_up(gateway: &Gateway, ids: &[String], window: Duration) -> Result<(), Error> {
    let ended = Instant::now();
    for id in ids {
        gateway.sent(id)?;
    }
    let late = ended.elapsed();
    if late > window / 10 + Duration::from_secs(1) {
        return Err(Error::Bench(format!(
            "the rate is too high here: the last of {} messages was sent {late:?} late",
            ids.len()
        )));
    }
    Ok(())
}

/// The figures for docs/PERFORMANCE.md.
pub(crate) fn table(figures: &Figures, machine: &str) -> String {
    let Figures {
        rate,
        windows,
        window_s,
        idle,
        loaded,
    } = figures;
    let mut out = format!(
        "Measured on {machine}; {windows} windows of {window_s} s each. p50 (min to max).\n\n\
         | one session | goal | idle | {rate} messages/s |\n|---|---|---|---|\n"
    );
    for (what, goal, of) in [
        (
            "gateway, memory of its own (RssAnon), MiB",
            "<= 30, with the next",
            (|state| state.anonymous_mib) as fn(&State) -> Range,
        ),
        ("gateway, pages of files (RssFile), MiB", "", |state| {
            state.file_mib
        }),
        ("gateway, processor seconds a minute", "", |state| {
            state.processor
        }),
        ("browser, all its processes (PSS), MiB", "", |state| {
            state.browser_pss_mib
        }),
        ("browser, processor seconds a minute", "", |state| {
            state.browser_processor
        }),
    ] {
        let _ = writeln!(
            out,
            "| {what} | {goal} | {:.2} | {:.2} |",
            of(idle),
            of(loaded)
        );
    }
    let more = (loaded.processor.p50 - idle.processor.p50) / f64::from(*rate) / 60.0 * 1e3;
    let _ = write!(
        out,
        "\nA message costs the gateway {more:.1} ms of the processor.\n"
    );
    out
}

#[test]
fn a_messages_cost_is_what_the_load_adds() {
    let range = |p50| Range {
        min: p50,
        p50,
        max: p50,
    };
    let state = |processor| State {
        anonymous_mib: range(8.5),
        file_mib: range(18.0),
        processor: range(processor),
        browser_pss_mib: range(200.0),
        browser_processor: range(1.0),
    };
    let figures = Figures {
        rate: 10,
        windows: 5,
        window_s: 12,
        idle: state(0.2),
        loaded: state(1.4),
    };
    let table = table(&figures, "a machine");
    assert!(
        table.contains("| gateway, processor seconds a minute |  | 0.20 (0.20 to 0.20) | 1.40")
    );
    // 1.2 s for 600 messages.
    assert!(
        table.contains("costs the gateway 2.0 ms of the processor"),
        "{table}"
    );
}
