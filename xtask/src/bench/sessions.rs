//! How many sessions a machine carries: a thousand on engines that need no
//! browser, for what the gateway itself costs (the example `many_sessions` of
//! the gateway); and one real browser after the other, until memory or the
//! processor is gone.

use super::examples::numbers;
use super::gateway::Gateway;
use super::own::fresh;
use super::proc::{Tree, available_mib, busy, limit_files, open_files, resident};
use super::simulator::Simulator;
use super::stats::{Range, tenths};
use super::{Options, pause};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// No further session where less memory than this is left, in MiB.
const LEAST_MEMORY_MIB: f64 = 2_048.0;
/// The processor is gone where a session takes longer than this to be ready.
const LONGEST_START: Duration = Duration::from_mins(1);
/// No further session so long after the first.
const LONGEST: Duration = Duration::from_mins(10);
/// Memory is read after every so many sessions.
const READ_EVERY: u32 = 5;
/// What a start left to do is mostly done by then.
const SETTLE: Duration = Duration::from_secs(5);
/// Over which the processor is read at the end.
const WINDOW: Duration = Duration::from_secs(20);
/// Files that a gateway at its limit may open: for connections, and too few for a browser.
const FILES_LEFT: u64 = 4;
/// Between two looks at a session that starts.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    scripted: Scripted,
    browsers: WithBrowsers,
}

/// As the example tells it.
#[derive(Debug, Serialize, Deserialize)]
struct Scripted {
    sessions: u32,
    one_more_is_refused_with: String,
    made_and_linked_s: f64,
    start_to_all_ready_s: Range,
    shutdown_s: Range,
    anonymous_mib: f64,
    kib_per_session: f64,
    idle_processor_percent: Range,
    idle_processor_percent_few_heartbeats: Range,
    heartbeat_us: Range,
    accepted_per_s: Range,
    sent_per_s: Range,
}

/// Sessions with a browser each.
#[derive(Debug, Serialize)]
struct WithBrowsers {
    /// Seconds from wanting it to ready, a link by QR included: the first, the second, ...
    ready_s: Vec<f64>,
    readings: Vec<Reading>,
    /// Why there was no further one.
    ended: String,
    /// How many were ready at the end of all.
    still_ready: usize,
    /// With all of them idle, processor seconds a minute.
    gateway_processor: f64,
    browsers_processor: f64,
    /// What one more session says where the gateway may open no further file.
    without_files: String,
}

/// Memory with so many sessions, in MiB.
#[derive(Debug, Serialize)]
struct Reading {
    sessions: u32,
    /// Of all browsers, by their share of what they use.
    browsers_pss_mib: f64,
    /// Of the gateway's process.
    gateway_anonymous_mib: f64,
    /// Of the machine.
    available_mib: f64,
}

/// Measures everything.
///
/// # Errors
///
/// Where the example fails, or the gateway does not do what it must before
/// the machine is full.
pub(crate) fn measure(options: &Options) -> Result<Figures, Error> {
    let arguments = numbers(&[
        ("--sessions", options.scripted.into()),
        ("--runs", options.runs.into()),
    ]);
    let examples = options.examples();
    let scripted: Vec<Scripted> =
        examples.figures("steadfast-gateway", "many_sessions", arguments)?;
    let scripted = scripted.into_iter().next();
    Ok(Figures {
        scripted: scripted.ok_or_else(|| Error::Bench("no figure".to_owned()))?,
        browsers: browsers(options)?,
    })
}

fn browsers(options: &Options) -> Result<WithBrowsers, Error> {
    let (binary, folder) = (options.binary(), Options::folder()?);
    let simulator = Simulator::start(&binary, &folder)?;
    let data = fresh(&folder, 0)?;
    // One more, for which no file is left in the end.
    let most = (options.browsers + 1).to_string();
    let settings = [("STEADFAST_SESSION__MAX_SESSIONS", most.as_str())];
    let gateway = Gateway::start_with(&binary, &data, &simulator, &settings)?;
    let pid = gateway.process.pid();
    let (mut ready_s, mut readings) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    let ended = loop {
        let up = ready_s.len() as u32;
        let all = up >= options.browsers;
        if up > 0 && (up == 1 || up.is_multiple_of(READ_EVERY) || all) {
            pause(SETTLE);
            readings.push(read(&gateway, up)?);
        }
        let available = available_mib()?;
        if all {
            break format!("{up} were asked for");
        } else if available < LEAST_MEMORY_MIB {
            break format!("{available:.0} MiB of memory were left");
        } else if begun.elapsed() > LONGEST {
            break format!("{} minutes were over", LONGEST.as_secs() / 60);
        }
        match bring_up(&gateway, &simulator, up)? {
            Ok(took) => {
                eprintln!("session {} is ready after {took:.1?}", up + 1);
                ready_s.push(tenths(took.as_secs_f64()));
            }
            Err(seen) => {
                let longest = LONGEST_START.as_secs();
                break format!(
                    "session {} was not ready within {longest} s: {seen}",
                    up + 1
                );
            }
        }
    };
    let up = ready_s.len() as u32;
    if readings.last().is_none_or(|last| last.sessions < up) {
        pause(SETTLE);
        readings.push(read(&gateway, up)?);
    }
    let cost = busy(pid, || {
        pause(WINDOW);
        Ok(())
    })?;
    let listed = gateway
        .client()
        .expect(200, "GET", "/v1/sessions", &Value::Null)?;
    let still_ready = ready_in(&listed);
    let without_files = without_files(&gateway)?;
    gateway.process.stop()?;
    std::fs::remove_dir_all(&data).map_err(Error::file(&data))?;
    Ok(WithBrowsers {
        ready_s,
        readings,
        ended,
        still_ready,
        gateway_processor: tenths(cost.program),
        browsers_processor: tenths(cost.browsers),
        without_files,
    })
}

fn read(gateway: &Gateway, sessions: u32) -> Result<Reading, Error> {
    let pid = gateway.process.pid();
    Ok(Reading {
        sessions,
        browsers_pss_mib: tenths(Tree::of(pid).browsers_pss_mib()),
        gateway_anonymous_mib: tenths(resident(pid)?.anonymous_mib),
        available_mib: tenths(available_mib()?),
    })
}

/// Makes the next session and links it to an account of its own; how long that
/// took, or what was seen last where it took too long.
fn bring_up(
    gateway: &Gateway,
    simulator: &Simulator,
    before: u32,
) -> Result<Result<Duration, String>, Error> {
    let phone = format!("49152{:08}", 10_000_000 + before);
    simulator.account(&phone)?;
    let client = gateway.client();
    let begun = Instant::now();
    // The first is there from the start.
    let name = if before == 0 {
        "default".to_owned()
    } else {
        let name = format!("s{before}");
        client.expect(201, "POST", "/v1/sessions", &json!({ "name": name }))?;
        name
    };
    let path = format!("/v1/sessions/{name}");
    let mut scanned = String::new();
    loop {
        let session = client.expect(200, "GET", &path, &Value::Null)?;
        if session["ready"] == json!(true) {
            return Ok(Ok(begun.elapsed()));
        }
        if begun.elapsed() > LONGEST_START {
            return Ok(Err(session["state"].to_string()));
        }
        if session["state"] == json!("linking") {
            let path = format!("{path}/qr?format=raw");
            let (status, answer) = client.call("GET", &path, &Value::Null)?;
            let code = answer["code"].as_str().unwrap_or_default();
            if status == 200 && code != scanned {
                code.clone_into(&mut scanned);
                // A phone refuses a code that has just expired; the next one comes.
                let _ = simulator.scan_as(&phone, code);
            }
        }
        pause(LOOK_EVERY);
    }
}

/// Makes one more session of a gateway that may open no further file but a
/// few connections; what that session then says is wrong.
fn without_files(gateway: &Gateway) -> Result<String, Error> {
    let pid = gateway.process.pid();
    limit_files(pid, open_files(pid)? + FILES_LEFT)?;
    let client = gateway.client();
    let body = json!({ "name": "without-files" });
    client.expect(201, "POST", "/v1/sessions", &body)?;
    let begun = Instant::now();
    while begun.elapsed() < LONGEST_START {
        let path = "/v1/sessions/without-files";
        let session = client.expect(200, "GET", path, &Value::Null)?;
        if let (Some(reason), Some(detail)) =
            (session["reason"].as_str(), session["detail"].as_str())
        {
            return Ok(format!("{reason}: {detail}"));
        }
        pause(LOOK_EVERY);
    }
    Err(Error::Bench(
        "a session without files says nothing of it".to_owned(),
    ))
}

/// How many of a list of sessions are ready.
fn ready_in(listed: &Value) -> usize {
    let sessions = listed["items"].as_array().or_else(|| listed.as_array());
    let sessions = sessions.into_iter().flatten();
    sessions.filter(|s| s["ready"] == json!(true)).count()
}

/// The figures for docs/PERFORMANCE.md.
pub(crate) fn table(figures: &Figures, machine: &str) -> String {
    let Figures { scripted, browsers } = figures;
    let mut out = format!("Measured on {machine}. p50 (min to max) over the runs.\n\n");
    let _ = write!(
        out,
        "| {} sessions without browsers | measured |\n|---|---|\n\
         | made and linked, from nothing | {:.0} s |\n\
         | start with all of them linked, to all ready | {:.2} s |\n\
         | end | {:.2} s |\n\
         | memory of the whole process (RssAnon), the simulated WhatsApp in it | {:.1} MiB |\n\
         | of that, for one session, its engine and its page in it | {:.0} KiB |\n\
         | idle, heartbeats each second | {:.1} % of a core |\n\
         | idle, heartbeats each minute | {:.1} % of a core |\n\
         | so that one heartbeat costs | {:.1} us |\n\
         | messages to all of them at once: accepted | {:.0}/s |\n\
         | the same: with the server's ack on disk | {:.0}/s |\n\
         | one session more than `session.max_sessions` | refused: `{}` |\n\n",
        scripted.sessions,
        scripted.made_and_linked_s,
        scripted.start_to_all_ready_s,
        scripted.shutdown_s,
        scripted.anonymous_mib,
        scripted.kib_per_session,
        scripted.idle_processor_percent,
        scripted.idle_processor_percent_few_heartbeats,
        scripted.heartbeat_us,
        scripted.accepted_per_s,
        scripted.sent_per_s,
        scripted.one_more_is_refused_with,
    );
    let up = browsers.ready_s.len();
    let _ = write!(
        out,
        "With a browser each, {up} sessions became ready one after the other; then {}. {} of them were ready at the end. \
         All idle, the gateway takes {:.1} processor seconds a minute, and the browsers {:.1}. \
         One more session, of a gateway that may open no further file, says `{}`.\n\n\
         | sessions | ready after, the last | browsers, PSS | a session, PSS | gateway, RssAnon | memory left |\n\
         |---|---|---|---|---|---|\n",
        browsers.ended,
        browsers.still_ready,
        browsers.gateway_processor,
        browsers.browsers_processor,
        browsers.without_files,
    );
    for reading in &browsers.readings {
        let last = (reading.sessions as usize).checked_sub(1);
        let took = last.and_then(|n| browsers.ready_s.get(n));
        let _ = writeln!(
            out,
            "| {} | {:.1} s | {:.0} MiB | {:.0} MiB | {:.1} MiB | {:.0} MiB |",
            reading.sessions,
            took.copied().unwrap_or_default(),
            reading.browsers_pss_mib,
            reading.browsers_pss_mib / f64::from(reading.sessions.max(1)),
            reading.gateway_anonymous_mib,
            reading.available_mib
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ready_sessions_count() {
        let listed = json!([{"ready": true}, {"ready": false}, {"ready": true}, {}]);
        assert_eq!(ready_in(&listed), 2);
        assert_eq!(ready_in(&json!({ "items": listed })), 2);
        assert_eq!(ready_in(&json!({})), 0);
    }

    #[test]
    fn the_table_says_how_many_and_why_no_more() {
        let line = r#"{"sessions":1000,"one_more_is_refused_with":"session_limit","made_and_linked_s":20.0,
            "start_to_all_ready_s":{"min":1.0,"p50":1.5,"max":2.0},"shutdown_s":{"min":1.0,"p50":1.5,"max":2.0},
            "anonymous_mib":200.0,"kib_per_session":150.0,
            "idle_processor_percent":{"min":5.0,"p50":6.0,"max":7.0},
            "idle_processor_percent_few_heartbeats":{"min":0.5,"p50":1.0,"max":2.0},
            "heartbeat_us":{"min":40.0,"p50":50.5,"max":60.0},
            "accepted_per_s":{"min":4000.0,"p50":5000.0,"max":6000.0},
            "sent_per_s":{"min":400.0,"p50":500.0,"max":600.0}}"#;
        let reading = |sessions, browsers_pss_mib| Reading {
            sessions,
            browsers_pss_mib,
            gateway_anonymous_mib: 12.0,
            available_mib: 9_000.0,
        };
        let figures = Figures {
            scripted: serde_json::from_str(line).expect("a figure"),
            browsers: WithBrowsers {
                ready_s: vec![2.0, 3.5],
                readings: vec![reading(1, 150.0), reading(2, 280.0)],
                ended: "2 were asked for".to_owned(),
                still_ready: 2,
                gateway_processor: 0.4,
                browsers_processor: 3.0,
                without_files: "resources_exhausted: no more files".to_owned(),
            },
        };
        let table = table(&figures, "a machine");
        assert!(table.contains("| so that one heartbeat costs | 50.5 (40.0 to 60.0) us |"));
        assert!(table.contains("refused: `session_limit`"));
        assert!(
            table.contains("2 sessions became ready one after the other; then 2 were asked for.")
        );
        assert!(
            table.contains("| 2 | 3.5 s | 280 MiB | 140 MiB | 12.0 MiB | 9000 MiB |"),
            "{table}"
        );
    }
}
