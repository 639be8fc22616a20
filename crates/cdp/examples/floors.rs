//! The bare floors: what detection and recovery cost with this client alone.
//!
//! A gateway can be no faster than the browser and the protocol beneath it.
//! This measures that floor, so that the gateway is compared with what is
//! possible on the same machine, not with a figure from another one.
//!
//! ```text
//! cargo run --release -p steadfast-cdp --example floors -- --runs 20
//! ```
//!
//! Options: `--runs N` (default 10), `--only NAME` (repeatable),
//! `--flavor new|shell|headed`, `--browser PATH`, `--profile DIR` (kept; a
//! temporary one otherwise), `--no-sandbox` (set for root by itself), `--arg
//! ARG` (repeatable: one more browser argument), `--url URL` with
//! `--ready-expr JS`: a page counts as back when the expression is truthy in
//! it (looked at every 5 ms inside the page, told by event); without an
//! address, when it answers an evaluation. `--inject FILE` (repeatable) runs
//! a script before the page's own.
//!
//! Each figure is one JSON object on a line: `{"what", "unit", "runs", "min",
//! "median", "max"}`; the first line says what was measured. Times begin
//! when the fault is caused.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use steadfast_cdp::{
    Binary, Browser, Flavor, LaunchOptions, Page, PageEvent, PageEvents, PageState,
};
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Nothing here takes this long unless it hangs.
const LONG: Duration = Duration::from_mins(1);

/// How the page tells that it is ready.
const BINDING: &str = "__floorsReady";

/// How many evaluations one throughput figure takes.
const EVALUATIONS: u32 = 5000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let bench = Bench::from_args(std::env::args().skip(1))?;
    let first = bench.start().await?;
    println!(
        "{}",
        json!({
            "browser": first.browser.version().product,
            "flavor": format!("{:?}", bench.options.flavor),
            "binary": bench.options.binary.path(),
            "url": bench.url,
            "cores": std::thread::available_parallelism()?.get(),
            "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
        })
    );
    first.browser.close(LONG).await;
    for (what, unit) in FIGURES {
        if bench.only.is_empty() || bench.only.iter().any(|only| what.starts_with(only)) {
            let mut samples = Vec::new();
            for _ in 0..bench.runs {
                samples.push(bench.measure(what).await?);
            }
            report(what, unit, samples);
        }
    }
    Ok(())
}

/// All that is measured, with its unit.
const FIGURES: [(&str, &str); 16] = [
    ("start_cold", "ms"),
    ("detect_page_close", "ms"),
    ("detect_page_crash", "ms"),
    ("detect_renderer_kill", "ms"),
    ("detect_browser_kill", "ms"),
    ("detect_reload", "ms"),
    ("terminate_hung_script", "ms"),
    ("recover_browser_kill", "ms"),
    ("recover_page_close", "ms"),
    ("recover_renderer_kill", "ms"),
    ("new_tab", "ms"),
    ("recover_reload", "ms"),
    ("recover_crash_reload", "ms"),
    ("evaluate_sequential", "per_s"),
    ("evaluate_16_in_flight", "per_s"),
    ("client_cpu_per_5000_evaluates", "ms"),
];

fn report(what: &str, unit: &str, mut samples: Vec<f64>) {
    samples.sort_by(f64::total_cmp);
    let round = |value: f64| (value * 10.0).round() / 10.0;
    println!(
        "{}",
        json!({
            "what": what,
            "unit": unit,
            "runs": samples.len(),
            "min": samples.first().copied().map(round),
            "median": median(&samples).map(round),
            "max": samples.last().copied().map(round),
        })
    );
}

/// Of sorted samples.
fn median(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

struct Bench {
    options: LaunchOptions,
    runs: usize,
    only: Vec<String>,
    url: Option<String>,
    ready: Option<String>,
    inject: Vec<String>,
    /// Removed at the end.
    _temporary: Option<tempfile::TempDir>,
}

impl Bench {
    fn from_args(mut args: impl Iterator<Item = String>) -> Outcome<Self> {
        let (mut runs, mut flavor, mut path, mut profile) =
            (10, Flavor::NewHeadless, None, None::<PathBuf>);
        let (mut only, mut extra, mut inject) = (Vec::new(), Vec::new(), Vec::new());
        let (mut url, mut ready) = (None, None);
        let mut no_sandbox = rustix::process::geteuid().is_root();
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--runs" => runs = value()?.parse()?,
                "--only" => only.push(value()?),
                "--flavor" => {
                    flavor = match value()?.as_str() {
                        "new" => Flavor::NewHeadless,
                        "shell" => Flavor::HeadlessShell,
                        "headed" => Flavor::Headed,
                        other => return Err(format!("no such flavor: {other}").into()),
                    }
                }
                "--browser" => path = Some(PathBuf::from(value()?)),
                "--profile" => profile = Some(value()?.into()),
                "--no-sandbox" => no_sandbox = true,
                "--arg" => extra.push(value()?),
                "--url" => url = Some(value()?),
                "--ready-expr" => ready = Some(value()?),
                "--inject" => inject.push(std::fs::read_to_string(value()?)?),
                other => return Err(format!("no such option: {other}").into()),
            }
        }
        let binary = match path {
            Some(path) => Binary::at(&path)?,
            None => Binary::find(flavor)?,
        };
        let temporary = profile.is_none().then(tempfile::tempdir).transpose()?;
        let folder = profile
            .or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned()))
            .unwrap_or_default();
        let mut options = LaunchOptions::new(binary, folder);
        options.flavor = flavor;
        options.no_sandbox = no_sandbox;
        options.extra_args = extra;
        Ok(Self {
            options,
            runs,
            only,
            url,
            ready,
            inject,
            _temporary: temporary,
        })
    }

    async fn measure(&self, what: &str) -> Outcome<f64> {
        if what == "start_cold" {
            let begun = Instant::now();
            let scene = self.start().await?;
            let took = ms(begun);
            scene.browser.close(LONG).await;
            return Ok(took);
        }
        let mut scene = self.start().await?;
        let figure = match what {
            "detect_page_close" => detect_page_close(&scene).await?,
            "detect_page_crash" => detect_page_crash(&scene).await?,
            "detect_renderer_kill" => detect_renderer_kill(&scene).await?,
            "detect_browser_kill" => detect_browser_kill(&scene).await?,
            "detect_reload" => detect_reload(&scene).await?,
            "terminate_hung_script" => terminate_hung_script(&scene).await?,
            "recover_browser_kill" => {
                let begun = Instant::now();
                kill(scene.browser.pid())?;
                scene.browser.exited().await;
                scene = self.start().await?;
                ms(begun)
            }
            "new_tab" => {
                let begun = Instant::now();
                let page = scene.browser.new_page("about:blank", LONG).await?;
                scene = self.show(scene.browser, page).await?;
                ms(begun)
            }
            "recover_page_close" => {
                let begun = Instant::now();
                scene.page.close(LONG).await?;
                let page = scene.browser.new_page("about:blank", LONG).await?;
                scene = self.show(scene.browser, page).await?;
                ms(begun)
            }
            "recover_renderer_kill" => {
                let begun = Instant::now();
                kill_renderers(&scene).await?;
                scene.page.gone().await;
                let dead = scene.page.clone();
                let page = scene.browser.new_page("about:blank", LONG).await?;
                let (shown, closed) =
                    tokio::join!(self.show(scene.browser, page), dead.close(LONG));
                closed?;
                scene = shown?;
                ms(begun)
            }
            "recover_reload" => {
                let begun = Instant::now();
                scene.page.reload(LONG).await?;
                self.ready(&mut scene).await?;
                ms(begun)
            }
            "recover_crash_reload" => {
                let begun = Instant::now();
                scene.page.crash(LONG).await?;
                scene.page.revive(LONG).await?;
                self.ready(&mut scene).await?;
                ms(begun)
            }
            "evaluate_sequential" => per_second(evaluate_from(&scene, 1).await?),
            "evaluate_16_in_flight" => per_second(evaluate_from(&scene, 16).await?),
            "client_cpu_per_5000_evaluates" => {
                let before = clock_gettime(ClockId::ProcessCPUTime);
                evaluate_from(&scene, 1).await?;
                let after = clock_gettime(ClockId::ProcessCPUTime);
                let seconds = after.tv_sec - before.tv_sec;
                seconds as f64 * 1e3 + (after.tv_nsec - before.tv_nsec) as f64 / 1e6
            }
            other => return Err(format!("no such figure: {other}").into()),
        };
        if scene.browser.is_gone() {
            scene.browser.exited().await;
        } else {
            scene.browser.close(LONG).await;
        }
        Ok(figure)
    }

    /// A new browser whose page is ready.
    async fn start(&self) -> Outcome<Scene> {
        let browser = Browser::launch(&self.options).await?;
        let page = browser.first_page(LONG).await?;
        self.show(browser, page).await
    }

    /// Shows the address in a new page and waits until it is ready.
    async fn show(&self, browser: Browser, page: Page) -> Outcome<Scene> {
        let events = page.events();
        let mut scene = Scene {
            browser,
            page,
            events,
        };
        if let Some(url) = &self.url {
            for script in &self.inject {
                scene.page.add_script_on_new_document(script, LONG).await?;
            }
            if let Some(ready) = &self.ready {
                scene.page.add_binding(BINDING, LONG).await?;
                let watch = format!(
                    "{{ const timer = setInterval(() => {{ let ready = false; \
                       try {{ ready = Boolean({ready}) }} catch {{}} \
                       if (ready) {{ clearInterval(timer); {BINDING}('') }} }}, 5) }}"
                );
                scene.page.add_script_on_new_document(&watch, LONG).await?;
            }
            scene.page.navigate(url, LONG).await?;
        }
        self.ready(&mut scene).await?;
        Ok(scene)
    }

    async fn ready(&self, scene: &mut Scene) -> Outcome<()> {
        let told = async {
            if self.url.is_none() {
                scene.page.evaluate("1", LONG).await?;
                return Ok(());
            }
            loop {
                match scene.events.recv().await {
                    Some(PageEvent::BindingCalled { name, .. }) if &*name == BINDING => {
                        return Ok(());
                    }
                    Some(PageEvent::Loaded) if self.ready.is_none() => return Ok(()),
                    Some(_) => {}
                    None => return Err::<(), Box<dyn Error>>("the page is gone".into()),
                }
            }
        };
        tokio::time::timeout(LONG, told)
            .await
            .map_err(|_| "the page did not become ready")?
    }
}

struct Scene {
    browser: Browser,
    page: Page,
    events: PageEvents,
}

async fn detect_page_close(scene: &Scene) -> Outcome<f64> {
    let calls = pending(&scene.page).await?;
    let begun = Instant::now();
    let params = json!({ "targetId": scene.page.target_id() });
    let _: Value = scene
        .browser
        .call("Target.closeTarget", params, LONG)
        .await?;
    scene.page.gone().await;
    calls.join_all().await;
    Ok(ms(begun))
}

async fn detect_page_crash(scene: &Scene) -> Outcome<f64> {
    let calls = pending(&scene.page).await?;
    let begun = Instant::now();
    scene.page.crash(LONG).await?;
    calls.join_all().await;
    Ok(ms(begun))
}

async fn detect_renderer_kill(scene: &Scene) -> Outcome<f64> {
    let processes: Value = scene
        .browser
        .call("SystemInfo.getProcessInfo", json!({}), LONG)
        .await?;
    let calls = pending(&scene.page).await?;
    let begun = Instant::now();
    kill_those(&processes)?;
    let state = scene.page.gone().await;
    calls.join_all().await;
    if state != PageState::Crashed {
        return Err(format!("the page is {state:?} after its renderer was killed").into());
    }
    Ok(ms(begun))
}

async fn kill_renderers(scene: &Scene) -> Outcome<()> {
    let processes: Value = scene
        .browser
        .call("SystemInfo.getProcessInfo", json!({}), LONG)
        .await?;
    kill_those(&processes)
}

/// Kills the renderers among a browser's processes.
fn kill_those(processes: &Value) -> Outcome<()> {
    for process in processes["processInfo"].as_array().into_iter().flatten() {
        if process["type"] == "renderer"
            && let Some(pid) = process["id"].as_u64()
        {
            kill(u32::try_from(pid)?)?;
        }
    }
    Ok(())
}

async fn detect_browser_kill(scene: &Scene) -> Outcome<f64> {
    let calls = pending(&scene.page).await?;
    let begun = Instant::now();
    kill(scene.browser.pid())?;
    scene.browser.gone().await;
    calls.join_all().await;
    Ok(ms(begun))
}

async fn detect_reload(scene: &Scene) -> Outcome<f64> {
    let calls = pending(&scene.page).await?;
    let begun = Instant::now();
    scene.page.reload(LONG).await?;
    calls.join_all().await;
    Ok(ms(begun))
}

async fn terminate_hung_script(scene: &Scene) -> Outcome<f64> {
    let mut calls = JoinSet::new();
    let page = scene.page.clone();
    calls.spawn(async move { page.evaluate("for (;;) {}", LONG).await });
    tokio::task::yield_now().await;
    // Long enough that the loop surely runs.
    let probe = scene.page.evaluate("1", Duration::from_millis(300)).await;
    if probe.is_ok() {
        return Err("the page does not hang".into());
    }
    let begun = Instant::now();
    scene.page.terminate_script(LONG).await?;
    calls.join_all().await;
    Ok(ms(begun))
}

/// Calls that wait in the page for ever.
async fn pending(page: &Page) -> Outcome<JoinSet<()>> {
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let page = page.clone();
        calls.spawn(async move {
            let _ = page.evaluate("new Promise(() => {})", LONG).await;
        });
    }
    tokio::task::yield_now().await;
    page.evaluate("1", LONG).await?;
    Ok(calls)
}

/// Evaluates 5,000 times, from so many callers at once.
async fn evaluate_from(scene: &Scene, callers: u32) -> Outcome<Duration> {
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for caller in 0..callers {
        let page = scene.page.clone();
        calls.spawn(async move {
            for turn in 0..EVALUATIONS / callers {
                let wanted = caller * EVALUATIONS + turn;
                if page.evaluate_as::<u32>(&wanted.to_string(), LONG).await? != wanted {
                    return Ok(false);
                }
            }
            Ok::<bool, steadfast_cdp::Error>(true)
        });
    }
    for outcome in calls.join_all().await {
        if !outcome? {
            return Err("an answer went to another caller".into());
        }
    }
    Ok(begun.elapsed())
}

fn per_second(took: Duration) -> f64 {
    f64::from(EVALUATIONS) / took.as_secs_f64()
}

fn kill(pid: u32) -> Outcome<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("no such process")?;
    Ok(kill_process(pid, Signal::KILL)?)
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
