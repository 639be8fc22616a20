//! The command line.

mod backup;
mod campaign;
mod carry;
mod check;
mod clean;
mod client;
mod config;
mod examples;
pub mod exit;
mod explain;
mod init;
mod man;
pub mod out;
mod outbox;
mod passkey;
mod recovery_test;
mod relay;
mod restore;
mod send;
mod serve;
mod simulator;
mod status;
mod stop;
mod tail;
mod token;
mod webhooks;

use crate::config::{FILE_NAME, Layers, Loaded};
use crate::data_dir::DataDir;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use exit::Exit;
use out::{CliError, Out};
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use stop::StopSignals;

const ABOUT: &str =
    "Sends and receives WhatsApp messages from your own number, and loses none of them.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "steadfast", version, about = ABOUT, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Args)]
struct Global {
    /// The data folder [default: steadfast in the XDG data folder]
    #[arg(long, global = true, value_name = "DIR", env = "STEADFAST_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file [default: steadfast.toml in the data folder, where there is one]
    #[arg(long, global = true, value_name = "FILE", env = "STEADFAST_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON value a line on standard output
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::ServeArgs),
    /// Link a number, by QR code, pairing code, or in a window
    Init(init::InitArgs),
    /// Hand one message to the running gateway
    Send(Box<send::SendArgs>),
    /// Say how the running gateway and its sessions are
    Status(status::StatusArgs),
    /// List what waits for a person, and release or discard it
    #[command(subcommand)]
    Outbox(outbox::OutboxCommand),
    /// Show events as they happen
    Tail(tail::TailArgs),
    /// Add, list and test the endpoints that events are pushed to
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// Find what is wrong on this machine, with the command that mends it
    Check(check::CheckArgs),
    /// Remove leftovers from the data folder; never a profile in use
    Clean(clean::CleanArgs),
    /// Copy the data folder, also while the gateway runs
    Backup(backup::BackupArgs),
    /// Make a data folder of a backup
    Restore(restore::RestoreArgs),
    /// Write a linked number into a sealed file, to be used on another machine
    Export(carry::CarryArgs),
    /// Take over a linked number from a file that `export` wrote
    Import(carry::CarryArgs),
    /// Say what a failure text means, and what to do about it
    Explain(explain::ExplainArgs),
    /// Watch messages arrive on a simulated WhatsApp while the browser is killed under them
    Demo(campaign::DemoArgs),
    /// Prove that nothing is lost: many messages, many faults, one verdict
    Chaos(campaign::ChaosArgs),
    /// Watch the gateway come back: health, a fault, a restart, a summary
    RecoveryTest(recovery_test::RecoveryTestArgs),
    /// Stand between a gateway under test and its browser
    #[command(hide = true)]
    Relay(relay::RelayArgs),
    /// Run the WhatsApp Web simulator by itself
    Simulator(simulator::SimulatorArgs),
    /// Make, list, rotate and revoke access tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Print every setting, its value, and where the value came from
    Config(config::ConfigArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands
    Man(man::ManArgs),
}

/// The command line with its examples, as help, completions and manual show it.
pub(crate) fn command() -> clap::Command {
    examples::add(Cli::command())
}

/// What every command knows.
#[derive(Debug, Clone)]
pub struct Context {
    global: Global,
    out: Out,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::from_arg_matches(&command().get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let context = Context {
        out: Out::new(cli.global.json),
        global: cli.global,
    };
    match run(&context, cli.command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            context.out.error(&error);
            error.exit.into()
        }
    }
}

fn run(context: &Context, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Serve(args) => serve::run(context, &args),
        Command::Init(args) => block_on(init::run(context, args)),
        Command::Send(args) => block_on(send::run(context, *args)),
        Command::Status(args) => block_on(status::run(context, args)),
        Command::Outbox(command) => block_on(outbox::run(context, command)),
        Command::Tail(args) => block_on(tail::run(context, args)),
        Command::Webhooks(command) => block_on(webhooks::run(context, command)),
        Command::Check(args) => block_on(check::run(context, args)),
        Command::Clean(args) => clean::run(context, &args),
        Command::Backup(args) => backup::run(context, &args),
        Command::Restore(args) => restore::run(context, &args),
        Command::Export(args) => carry::export(context, &args),
        Command::Import(args) => carry::import(context, &args),
        Command::Explain(args) => explain::run(context, &args),
        Command::Demo(args) => campaign_runtime(campaign::demo(context, args)),
        Command::Chaos(args) => campaign_runtime(campaign::chaos(context, args)),
        Command::RecoveryTest(args) => campaign_runtime(recovery_test::run(context, args)),
        Command::Relay(args) => block_on(relay::run(context, args)),
        Command::Simulator(args) => block_on(simulator::run(context, args)),
        Command::Token(command) => block_on(token::run(context, command)),
        Command::Config(args) => config::run(context, &args),
        Command::Completions { shell } => {
            let mut page = Vec::new();
            clap_complete::generate(shell, &mut self::command(), "steadfast", &mut page);
            context.out.raw(String::from_utf8_lossy(&page).trim_end());
            Ok(Exit::Done)
        }
        Command::Man(args) => man::run(context, &args),
    }
}

/// Runs a command that speaks with a gateway and is gone.
fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::new(Exit::Failed, format!("cannot start: {e}"), ""))?
        .block_on(work)
}

/// Runs a simulator beside what is measured: it may not hold it up.
fn campaign_runtime<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| CliError::new(Exit::Failed, format!("cannot start: {e}"), ""))?
        .block_on(work)
}

impl Context {
    /// The data folder, named or usual.
    fn data_dir(&self) -> Result<PathBuf, CliError> {
        match &self.global.data_dir {
            Some(path) => Ok(path.clone()),
            None => Ok(DataDir::default_path(|name| std::env::var(name).ok())?),
        }
    }

    /// The configuration, with what flags set on top.
    fn load_config(
        &self,
        flags: Vec<(&'static str, &'static str, String)>,
    ) -> Result<Loaded, CliError> {
        let layers = Layers {
            file: self.global.config.clone(),
            fallback_file: self.data_dir().ok().map(|dir| dir.join(FILE_NAME)),
            env: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            flags,
        };
        Ok(crate::config::load(&layers)?)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
