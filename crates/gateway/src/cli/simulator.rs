//! `steadfast simulator`: the WhatsApp Web stand-in by itself.

use super::exit::Exit;
use super::out::CliError;
use super::{Context, StopSignals};
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use steadfast_sim::{CONTROL_HEADER, SimConfig, Simulator};

#[derive(Debug, Args)]
pub(super) struct SimulatorArgs {
    /// Where the page is served; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where its control interface is served
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// Every id and hidden number follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) async fn run(context: &Context, args: SimulatorArgs) -> Result<Exit, CliError> {
    let config = SimConfig {
        listen: args.listen,
        control: args.control,
        seed: args.seed,
        ..SimConfig::default()
    };
    let mut stop = StopSignals::listen()?;
    let simulator = Simulator::start(config).await.map_err(|e| {
        let message = format!("the simulator did not start: {e}");
        CliError::new(
            Exit::Address,
            message,
            "choose other addresses on 127.0.0.1 with --listen and --control",
        )
    })?;
    let (addr, control) = (simulator.addr().to_string(), simulator.control_url());
    context.out.line(format!("page at {addr}"));
    context.out.line(format!("control at {control}"));
    context
        .out
        .line(format!("playground, to open in a browser: {control}/"));
    context.out.line(format!(
        "use it with: STEADFAST_BROWSER__WEB_RESOLVE={addr} STEADFAST_BROWSER__WEB_SPKI={} steadfast serve",
        simulator.spki()
    ));
    context.out.value(&json!({
        "addr": addr,
        "control": control,
        "spki": simulator.spki(),
        "control_header": CONTROL_HEADER,
    }));
    stop.asked().await;
    simulator.shutdown().await;
    Ok(Exit::Done)
}
