//! `steadfast check`: finds what is wrong on this machine, with the command
//! that mends it.

mod chromium;
mod finding;
mod machine;
mod place;
mod reach;

use super::Context;
use super::client::Client;
use super::exit::Exit;
use super::out::{CliError, Tone};
use crate::config::Config;
use clap::Args;
use finding::{Finding, Verdict};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Do not start a browser
    #[arg(long)]
    no_browser: bool,
    /// Do not ask WhatsApp's server for an answer
    #[arg(long)]
    no_reach: bool,
}

pub(super) async fn run(context: &Context, args: CheckArgs) -> Result<Exit, CliError> {
    let mut bad = false;
    let mut tell = |finding: Finding| {
        bad |= finding.verdict == Verdict::Fail;
        show(context, &finding);
    };
    let path = context.data_dir()?;
    let running = Client::find(context).await.ok().flatten();
    tell(place::data_folder(&path, running.as_ref()));
    let config = match context.load_config(Vec::new()) {
        Ok(loaded) => {
            tell(Finding::ok("configuration", "every key is known and fits"));
            for warning in &loaded.warnings {
                tell(Finding::warn(
                    "configuration",
                    warning,
                    "rename it, or remove it",
                ));
            }
            loaded.config
        }
        Err(error) => {
            tell(Finding::fail(
                "configuration",
                &error.message,
                &error.remedy,
            ));
            Config::defaults()?
        }
    };
    tell(place::port(&config, running.as_ref()));
    tell(place::disk(&path));
    tell(machine::memory());
    tell(machine::shared_memory());
    tell(machine::limits());
    let (reached, offset) = if args.no_reach {
        let skipped = Finding::warn("reach", "not tried", "leave --no-reach out");
        (skipped, None)
    } else {
        reach::reach(&config).await
    };
    tell(reached);
    tell(machine::clock(offset));
    tell(chromium::sandbox(&config));
    tell(chromium::libraries(&config));
    if args.no_browser {
        tell(Finding::warn(
            "browser",
            "not tried",
            "leave --no-browser out",
        ));
    } else {
        tell(chromium::browser(&config).await);
    }
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

fn show(context: &Context, finding: &Finding) {
    let out = context.out;
    out.value(finding);
    let (tone, word) = match finding.verdict {
        Verdict::Ok => (Tone::Good, "ok"),
        Verdict::Warn => (Tone::Warn, "warn"),
        Verdict::Fail => (Tone::Bad, "FAIL"),
    };
    let word = out.tone(tone, &format!("{word:<4}"));
    out.line(format!("{word} {}: {}", finding.name, finding.detail));
    if let Some(fix) = &finding.fix {
        out.line(format!("     what helps: {fix}"));
    }
}
