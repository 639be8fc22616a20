//! Starts the simulator and prints where it is as one line of JSON:
//! `{"addr": .., "control": .., "spki": ..}`. Ends with Ctrl-C.
//!
//! `cargo run -p steadfast-sim --example sim -- [--port N] [--control-port N]
//! [--seed N] [--page-dir DIR] [--account PHONE]... [--knobs JSON]`

use std::net::{Ipv4Addr, SocketAddr};
use steadfast_sim::knobs::Knobs;
use steadfast_sim::world::NewAccount;
use steadfast_sim::{SimConfig, run_standalone};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let mut config = SimConfig::default();
    let mut accounts = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        let port = |v: &str| -> Result<SocketAddr, AnyError> {
            Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, v.parse()?)))
        };
        match name.as_str() {
            "--port" => config.listen = port(&value)?,
            "--control-port" => config.control = port(&value)?,
            "--seed" => config.seed = value.parse()?,
            "--page-dir" => config.page_dir = Some(value.into()),
            "--account" => accounts.push(NewAccount {
                phone: value,
                ..NewAccount::default()
            }),
            "--knobs" => {
                config.knobs = Knobs::default().patched(&serde_json::from_str(&value)?)?;
            }
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let ready = |line: &str| {
        use std::io::Write as _;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())
    };
    run_standalone(config, accounts, ready, async {
        // Without a signal handler there is nothing to wait for.
        let _ = tokio::signal::ctrl_c().await;
    })
    .await?;
    Ok(())
}
