//! `cargo xtask ci`: every check and test, cheapest first, the tests last, so
//! that the runner's own summary is the last thing on the screen.
//!
//! Everything is built in the release profile: clippy shares build scripts and
//! proc macros with the product, doc tests share its libraries, and SQLite is
//! compiled once.

use crate::conformance;
use crate::error::Error;
use crate::licenses;
use crate::metadata::cargo;
use std::fmt;
use std::process::{Command, Stdio};
use std::time::Instant;

/// One step. The order here is the order of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Step {
    /// Formatting.
    Fmt,
    /// The shell scripts, where shellcheck is installed.
    Shellcheck,
    /// Licences, banned crates and sources, where cargo-deny is installed.
    Deny,
    /// THIRD-PARTY.md tells the truth.
    Licenses,
    /// Lints, in all targets.
    Clippy,
    /// The docs build without a broken link.
    Doc,
    /// The examples in the docs.
    Doctest,
    /// The published clients against the simulator, in the short form.
    Conformance,
    /// All other tests.
    Test,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fmt => "fmt",
            Self::Shellcheck => "shellcheck",
            Self::Deny => "deny",
            Self::Licenses => "licenses",
            Self::Clippy => "clippy",
            Self::Doc => "doc",
            Self::Doctest => "doctest",
            Self::Conformance => "conformance",
            Self::Test => "test",
        })
    }
}

/// How a step ended that did not fail.
enum Outcome {
    Passed,
    Skipped(&'static str),
}

/// Runs the steps, or only those named. Stops at the first that fails.
///
/// Writes what each took to target/ci/steps.json.
///
/// # Errors
///
/// The step that failed.
pub(crate) fn run(only: &[Step]) -> Result<(), Error> {
    let mut report = Vec::new();
    for &step in <Step as clap::ValueEnum>::value_variants() {
        if !only.is_empty() && !only.contains(&step) {
            continue;
        }
        eprintln!("==== {step}");
        let start = Instant::now();
        let outcome = step.run();
        let seconds = start.elapsed().as_secs_f64();
        let result = match &outcome {
            Ok(Outcome::Passed) => "passed",
            Ok(Outcome::Skipped(_)) => "skipped",
            Err(_) => "failed",
        };
        report.push(serde_json::json!({
            "step": step.to_string(), "result": result, "seconds": seconds,
        }));
        write_report(&report)?;
        match outcome? {
            Outcome::Skipped(why) => eprintln!("     skipped: {why}"),
            Outcome::Passed if step == Step::Test => {}
            Outcome::Passed => eprintln!("     passed in {seconds:.1} s"),
        }
    }
    Ok(())
}

impl Step {
    fn run(self) -> Result<Outcome, Error> {
        let mut command = cargo();
        match self {
            Self::Fmt => command.args(["fmt", "--all", "--check"]),
            Self::Shellcheck => {
                if !answers("shellcheck", &["--version"]) {
                    return Ok(Outcome::Skipped(
                        "shellcheck is not installed (apt-get install shellcheck)",
                    ));
                }
                command = Command::new("shellcheck");
                command
                    .current_dir(crate::root())
                    .args(["run", "test", ".ci/run", "scripts/setup.sh"])
                    .args(["postinst", "prerm", "postrm"].map(|s| format!("packaging/debian/{s}")))
                    .arg("--external-sources")
            }
            Self::Deny => {
                if !answers("cargo-deny", &["--version"]) {
                    return Ok(Outcome::Skipped(
                        "cargo-deny is not installed (cargo install --locked cargo-deny), \
                         and takes too long to build here",
                    ));
                }
                command.args(["deny", "--locked", "check", "--hide-inclusion-graph"]);
                command.args(["licenses", "bans", "sources"])
            }
            Self::Licenses => return licenses::check().map(|()| Outcome::Passed),
            Self::Clippy => {
                command.args(["clippy", "--workspace", "--all-targets", "--release"]);
                command.args(["--locked", "--", "-D", "warnings"])
            }
            Self::Doc => command
                .args(["doc", "--workspace", "--no-deps", "--release", "--locked"])
                // Links to private modules serve those who read the source.
                .env(
                    "RUSTDOCFLAGS",
                    "-D warnings -A rustdoc::private_intra_doc_links",
                ),
            Self::Doctest => command
                .args(["test", "--doc", "--workspace", "--release", "--locked"])
                .arg("--quiet"),
            Self::Conformance => {
                command.args(["build", "--release", "--locked", "--bin", "steadfast"]);
                if !succeeds(&mut command)? {
                    return Err(Error::Step(self));
                }
                let short = conformance::Options::short();
                return conformance::run(&short, conformance::Into::Target)
                    .map(|()| Outcome::Passed)
                    .inspect_err(|error| eprintln!("{error}"))
                    .map_err(|_| Error::Step(self));
            }
            Self::Test if has_nextest() => {
                command.args(["nextest", "run", "--workspace", "--release", "--locked"])
            }
            // Doc tests have had their step.
            Self::Test => command
                .args(["test", "--workspace", "--all-targets", "--release"])
                .args(["--locked", "--no-fail-fast"]),
        };
        if succeeds(&mut command)? {
            Ok(Outcome::Passed)
        } else {
            Err(Error::Step(self))
        }
    }
}

/// Runs it, and tells whether it ended well.
fn succeeds(command: &mut Command) -> Result<bool, Error> {
    let status = command.stdin(Stdio::null()).status();
    status
        .map(|status| status.success())
        .map_err(|source| Error::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })
}

fn has_nextest() -> bool {
    answers("cargo-nextest", &["nextest", "--version"])
}

/// Whether a program is there and runs.
fn answers(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn write_report(steps: &[serde_json::Value]) -> Result<(), Error> {
    let folder = crate::root().join("target/ci");
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let path = folder.join("steps.json");
    let text = format!("{:#}\n", serde_json::json!({ "steps": steps }));
    std::fs::write(&path, text).map_err(Error::file(&path))
}
