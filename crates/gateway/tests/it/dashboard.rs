//! The dashboard as somebody uses it who has never seen it: from the first
//! start to a day on which things fail. Pictures of it go to target/dashboard;
//! with STEADFAST_TEST_PICTURES set to docs/img too.

use crate::binary::{Serving, steadfast_on};
use crate::cli_outbox::park_in;
use crate::person::Person;
use crate::port::Held;
use serde_json::{Value, json};
use std::path::Path;
use steadfast_sim::journal::Event;
use steadfast_sim::world::{Fault, NewAccount};
use steadfast_sim::{SimConfig, Simulator};

const PHONE: &str = "4915112345678";

async fn simulator() -> Simulator {
    let knobs = json!({"delivery_delay_ms": 300, "read_delay_ms": 500, "qr_ttl_ms": 6_000});
    let config = SimConfig {
        knobs: serde_json::from_value(knobs).unwrap(),
        ..SimConfig::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    let account = NewAccount {
        phone: PHONE.to_owned(),
        push_name: Some("Shop".to_owned()),
        addressing: None,
        passkey: false,
    };
    simulator.control().create_account(account).unwrap();
    simulator
}

fn serve(simulator: &Simulator, data_dir: &Path, port: &Held) -> Serving {
    let listen = port.address.to_string();
    let mut command = steadfast_on(simulator, data_dir);
    command
        // An endpoint at which nobody listens.
        .env("STEADFAST_OUTGOING__ALLOW", "127.0.0.1")
        .args(["serve", "--listen", &listen, "--json"]);
    Serving::start_as(&mut command)
}

/// Those that docs/DASHBOARD.md shows.
const SHOWN: [&str; 6] = [
    "sessions-light.png",
    "link-light.png",
    "send-light.png",
    "incidents-light.png",
    "outbox-dark.png",
    "session-phone.png",
];

async fn goes(person: &Person, name: &str, title: &str) {
    person.clicks(name).await;
    let shown = format!(
        "document.querySelector('h1')?.textContent === {}",
        json!(title)
    );
    person.until(title, &shown).await;
}

async fn log_in(person: &Person, serving: &Serving) {
    person.open(&format!("http://{}/", serving.address())).await;
    person.sees("The gateway printed one").await;
    person.types("Token", "sf_a_wrong").await;
    person.clicks("Log in").await;
    person.sees("this token is not known here").await;
    person.inspects("login", &SHOWN).await;
    person.types("Token", serving.token()).await;
    person.presses("Enter").await;
}

async fn link(person: &Person, simulator: &Simulator) {
    // The first start leads there by itself.
    person.sees("Link default").await;
    let picture = "document.querySelector('.qr img')?.naturalWidth > 0 && document.querySelector('.qr img').src";
    let first = person.until("a code", picture).await;
    person.inspects("link", &SHOWN).await;
    let another = format!("({picture}) !== {first} && ({picture})");
    person.until("the code to renew itself", &another).await;
    person
        .types("The account’s number", "+49 151 1234 5678")
        .await;
    person.clicks("Get a code").await;
    person
        .until(
            "a pairing code",
            "document.querySelector('.pair')?.textContent.length === 9",
        )
        .await;
    let codes = simulator.control().codes();
    simulator
        .control()
        .scan(PHONE, codes.last().expect("a code is on show"))
        .unwrap();
    person.sees("default is linked").await;
    person.sees("+4915112345678").await;
}

async fn send(person: &Person, simulator: &Simulator) {
    person.clicks("Send a test message").await;
    person.types("To", "+49 151 98765432").await;
    person.types("Text", "Is the shop open on Sunday?").await;
    person.clicks("Send").await;
    // Each step is seen, as it comes.
    for status in ["sent", "delivered", "read"] {
        let reached = format!(
            "document.querySelectorAll('.journey li.done').length >= {}",
            1 + ["sent", "delivered", "read"]
                .iter()
                .position(|s| *s == status)
                .unwrap()
                + 1
        );
        person.until(status, &reached).await;
    }
    let arrived = simulator
        .control()
        .journal(0, usize::MAX, &[Event::Delivered]);
    assert_eq!(arrived.entries.len(), 1);
    assert_eq!(
        arrived.entries[0].body.as_deref(),
        Some("Is the shop open on Sunday?")
    );
    person.inspects("send", &SHOWN).await;
}

async fn fail_and_heal(person: &Person, simulator: &Simulator) {
    goes(person, "Incidents", "Incidents").await;
    person.sees("Nothing has failed here.").await;
    let closes: Fault = serde_json::from_value(
        json!({"kind": "page", "account": PHONE, "fault": {"kind": "navigate", "url": "about:blank"}}),
    )
    .unwrap();
    simulator.control().fault(closes).unwrap();
    // Live: nobody reloads anything.
    person
        .until(
            "the incident healed",
            "document.querySelector('[data-outcome=\"recovered\"]') !== null",
        )
        .await;
    person.sees("ready again after").await;
    person.inspects("incidents", &SHOWN).await;
}

async fn restart(
    person: &Person,
    simulator: &Simulator,
    dir: &Path,
    port: &Held,
    serving: Serving,
) -> Serving {
    assert_eq!(serving.end("TERM").0, Some(0));
    person.sees("The gateway does not answer.").await;
    park_in(dir, 3).await;
    let again = serve(simulator, dir, port);
    person.sees("The gateway was restarted at").await;
    again
}

async fn decide(person: &Person) {
    person
        .until(
            "ready again",
            "(location.hash = '#/sessions', document.querySelector('.badge.good') !== null)",
        )
        .await;
    goes(person, "Outbox", "Outbox").await;
    person.clicks("Parked 3").await;
    person
        .until(
            "the parked ones",
            "document.querySelectorAll('tr[data-status=\"parked\"]').length === 3",
        )
        .await;
    person.inspects("outbox", &SHOWN).await;
    person.clicks("Send again").await;
    person.clicks("Parked 2").await;
    person.clicks("Drop").await;
    person.sees("This cannot be taken back.").await;
    person.clicks("Drop it").await;
    person
        .until(
            "one left",
            "document.querySelectorAll('tr[data-status=\"parked\"]').length === 1",
        )
        .await;
    person.clicks("Read").await;
    person
        .until(
            "the released one read",
            "document.querySelectorAll('tr[data-status=\"read\"]').length === 2",
        )
        .await;
    person
        .clicks("More about the message to 4915198765432")
        .await;
    person.sees("Attempt 1").await;
}

async fn look_around(person: &Person, downloads: &Path) {
    goes(person, "Sessions", "Sessions").await;
    person.inspects("sessions", &SHOWN).await;
    person.clicks("default").await;
    person.sees("Browser memory").await;
    person
        .until(
            "a plot",
            "document.querySelectorAll('figure svg').length >= 2",
        )
        .await;
    person.inspects("session", &SHOWN).await;
    goes(person, "Events", "Events").await;
    person.sees("incident.closed").await;
    person.inspects("events", &SHOWN).await;
    goes(person, "Webhooks", "Webhooks").await;
    person.types("Address", "http://127.0.0.1:9/in").await;
    person.clicks("Add").await;
    person.sees("whsec_").await;
    person.clicks("127.0.0.1:9").await;
    person.sees("Every event was taken").await;
    person.inspects("webhook", &SHOWN).await;
    person.clicks("Pause").await;
    person.sees("paused").await;
    goes(person, "Tokens", "Tokens").await;
    person.types("Name", "till").await;
    person.clicks("Make it").await;
    person.sees("The secret of till").await;
    person.inspects("tokens", &SHOWN).await;
    person.clicks("Revoke till").await;
    person.clicks("Revoke").await;
    person.sees("till was revoked.").await;

    let allow = json!({"behavior": "allow", "downloadPath": downloads});
    person.call("Page.setDownloadBehavior", allow).await;
    goes(person, "System", "System").await;
    person.inspects("system", &SHOWN).await;
    person.clicks("Save diagnostics").await;
    person.sees("The file was made at").await;
}

/// The file that was saved, once it is whole.
async fn saved(downloads: &Path) -> String {
    let deadline = std::time::Instant::now() + crate::person::LONG;
    loop {
        let whole = std::fs::read_dir(downloads).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).ok()?;
            (path.extension()? == "json" && serde_json::from_str::<Value>(&text).is_ok())
                .then_some(text)
        });
        if let Some(text) = whole {
            return text;
        }
        assert!(std::time::Instant::now() < deadline, "nothing was saved");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_links_sends_and_watches_it_heal() {
    let simulator = simulator().await;
    let dir = tempfile::tempdir().unwrap();
    let downloads = tempfile::tempdir().unwrap();
    let port = Held::some();
    let serving = serve(&simulator, dir.path(), &port);
    let person = Person::start().await;
    log_in(&person, &serving).await;
    link(&person, &simulator).await;
    send(&person, &simulator).await;
    fail_and_heal(&person, &simulator).await;
    let serving = restart(&person, &simulator, dir.path(), &port, serving).await;
    decide(&person).await;
    look_around(&person, downloads.path()).await;
    let file = saved(downloads.path()).await;
    for left_out in [PHONE, "4915198765432", "Is the shop open", "whsec_", "Shop"] {
        assert!(!file.contains(left_out), "{left_out} is in the diagnostics");
    }
    let file: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["sessions"][0]["name"], "default");
    assert!(!file["transitions"].as_array().unwrap().is_empty());
    assert!(!file["incidents"].as_array().unwrap().is_empty());
    assert_eq!(file["pages"][0]["session"], "default");
    let png = file["pages"][0]["png"].as_str().unwrap_or_default();
    assert!(png.starts_with("iVBORw0KGgo"), "{}", file["pages"]);

    person.met_no_trouble().await;

    // Without a mouse: the first stop leads past the navigation.
    person.reloads().await;
    person.sees("Diagnostics").await;
    person.presses("Tab").await;
    let first = person.reads("document.activeElement.textContent").await;
    assert_eq!(first, "Skip to the content");
    person.clicks("Log out").await;
    person.sees("The gateway printed one").await;
    person.end().await;
    assert_eq!(serving.end("TERM").0, Some(0));
    simulator.shutdown().await;
}
