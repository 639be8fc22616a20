//! A program with the gateway inside: links a number, sends, receives, ends.
//!
//! It runs against the simulator, with a real browser and a phone that scans by
//! itself: `cargo run -p steadfast-gateway --example embed`. For the real
//! WhatsApp, leave out the two settings and show the code to a person.
#![allow(
    clippy::print_stdout,
    reason = "an example shows on the terminal what it does"
)]

use std::time::Duration;
use steadfast_gateway::embed::{Ack, AckWait, Error, Gateway, LinkStep, Outgoing};
use steadfast_sim::world::{NewAccount, OutsideMessage};
use steadfast_sim::{SimConfig, Simulator};

const OURS: &str = "4915112345678";
const THEIRS: &str = "4915198765432";
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let simulator = Simulator::start(SimConfig::default()).await?;
    let phone = simulator.control().clone();
    phone.create_account(NewAccount {
        phone: OURS.to_owned(),
        push_name: Some("Shop".to_owned()),
        ..NewAccount::default()
    })?;

    let folder = tempfile::tempdir()?;
    let gateway = Gateway::builder(folder.path())
        .set("browser.web_resolve", simulator.addr())
        .set("browser.web_spki", simulator.spki())
        .start()
        .await?;
    let session = gateway.session("default")?;

    // What is taken before the number is linked waits on disk.
    let early = Outgoing::text(THEIRS, "Taken before the number was linked")?.key("first");
    let early = session.send(early).await?;
    println!("{} is on disk", early.id);
    let linked = session
        .link(PATIENCE, |step| match step {
            LinkStep::Qr(qr) => {
                println!("a phone scans {:.20}...", qr.code);
                if let Err(error) = phone.scan(OURS, &qr.code) {
                    println!("the phone says: {error}");
                }
            }
            LinkStep::Passkey(challenge) => println!("a passkey: {}", challenge.options),
        })
        .await?;
    println!("linked as {:?}", linked.me.map(|me| me.id.to_string()));
    match gateway
        .wait_for_ack(&early.id, Ack::Device, PATIENCE)
        .await?
    {
        AckWait::Reached(message) => println!("the message is {}", message.status.as_str()),
        AckWait::Ended(message) => println!("the message ended as {}", message.status.as_str()),
        AckWait::TimedOut => println!("the message is still on its way"),
    }

    let answer = OutsideMessage {
        from: THEIRS.to_owned(),
        text: "Thank you".to_owned(),
        ..OutsideMessage::default()
    };
    phone.outside_message(OURS, &answer)?;
    let reply = async {
        loop {
            match session.inbound(0, 10).await?.into_iter().next() {
                Some(stored) => return Ok::<_, Error>(stored.message),
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let reply = tokio::time::timeout(PATIENCE, reply).await??;
    println!("{} wrote: {}", reply.sender, reply.text);

    let health = session.health().await?;
    println!("{:?}: {}", health.overall, health.recommendations[0]);
    gateway.shutdown().await;
    simulator.shutdown().await;
    Ok(())
}
