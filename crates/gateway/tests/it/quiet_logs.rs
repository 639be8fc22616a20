//! What an eventful run leaves in its log: no text, no number, no secret.

use crate::binary::{Serving, run, steadfast};
use crate::cli_link::{DEADLINE, PHONE, World};
use crate::client::call;
use hyper::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use steadfast_sim::frames::PageFault;
use steadfast_sim::world::{Fault, OutsideMessage};

/// Between two looks at what tells nobody when it changes.
const PAUSE: Duration = Duration::from_millis(50);
const FRIEND: &str = "4915199988777";
const STRANGER: &str = "4915177766555";
const SAID: &str = "the kettle sings at midnight";
const HEARD: &str = "bring the blue umbrella";
const GUESS: &str = "sf_a_notTheRealOneButSecretAllTheSame0000000000";

/// What of this stands in a log.
fn leaked<'a>(log: &str, secrets: &[&'a str]) -> Vec<&'a str> {
    let bare: String = log.chars().filter(|c| !" +-()".contains(*c)).collect();
    let found = |secret: &&str| {
        // A number may be written with gaps, a text in another case.
        let tight = secret.replace(' ', "");
        log.contains(*secret) || bare.to_lowercase().contains(&tight.to_lowercase())
    };
    secrets.iter().copied().filter(|s| found(s)).collect()
}

#[test]
fn a_leak_would_be_found() {
    let line = |text: &str| format!("{{\"level\":\"INFO\",\"message\":\"sent {text} to it\"}}");
    let secrets = [FRIEND, SAID];
    assert_eq!(leaked(&line("nothing"), &secrets), Vec::<&str>::new());
    assert_eq!(leaked(&line("49151 999 88777"), &secrets), [FRIEND]);
    assert_eq!(leaked(&line(&format!("{FRIEND}@c.us")), &secrets), [FRIEND]);
    assert_eq!(
        leaked(&line("The kettle sings at midnight"), &secrets),
        [SAID]
    );
}

#[test]
fn an_eventful_run_leaves_nothing_private_in_its_log() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    world.init(dir.path(), &[]);
    let mut command = world.command(dir.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    let serving = Serving::start_as(&mut command);
    let made = run(world.command(dir.path()).args([
        "token", "new", "--name", "shop", "--scope", "admin", "--json",
    ]));
    let token = made.values()[0]["token"].as_str().unwrap().to_owned();
    let ask = |method: Method, path: &str, key: &str, body: String| {
        let headers = [
            ("x-api-key", key),
            ("content-type", "application/json"),
            ("idempotency-key", "order-4711"),
        ];
        let address = serving.address();
        world
            .runtime
            .block_on(call(address, method, path, &headers, body))
    };
    let messages = "/v1/sessions/default/messages";
    let body = |to: &str, text: &str| json!({"to": to, "text": text}).to_string();

    // Sent, and delivered.
    let sent = run(world
        .command(dir.path())
        .args(["send", FRIEND, SAID, "--wait", "60"]));
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    let second = ask(Method::POST, messages, &token, body(FRIEND, SAID));
    assert_eq!(second.status, 202);
    // Refused in all the ways that quote what came.
    for (path, key, body, status) in [
        (messages, GUESS, body(FRIEND, SAID), 401),
        (messages, token.as_str(), body("12", SAID), 422),
        (
            messages,
            token.as_str(),
            format!("{{\"to\": \"{FRIEND}\", \"{SAID}\": 1}}"),
            422,
        ),
        (
            messages,
            token.as_str(),
            format!("{{\"text\": \"{SAID}"),
            400,
        ),
        (messages, token.as_str(), body(STRANGER, SAID), 422),
        (
            "/v1/sessions/default/check-number",
            token.as_str(),
            json!({"number": STRANGER}).to_string(),
            200,
        ),
        (
            "/v1/sessions/default/pairing-code",
            token.as_str(),
            json!({"phone": STRANGER}).to_string(),
            409,
        ),
    ] {
        let refused = ask(Method::POST, path, key, body);
        assert_eq!(refused.status, status, "{path}");
    }
    let lost = format!("/v1/nowhere/{FRIEND}?text=umbrella");
    let lost = ask(Method::GET, &lost, &token, String::new());
    assert_eq!(lost.status, 404);
    // Received, and healed meanwhile.
    let control = world.simulator.control();
    let outside = OutsideMessage {
        from: STRANGER.to_owned(),
        text: HEARD.to_owned(),
        ..OutsideMessage::default()
    };
    control.outside_message(PHONE, &outside).unwrap();
    let inbound = "/v1/sessions/default/inbound";
    let until = Instant::now() + DEADLINE;
    while ask(Method::GET, inbound, &token, String::new()).json()["items"] == json!([]) {
        assert!(Instant::now() < until, "nothing came in");
        world
            .runtime
            .block_on(async { tokio::time::sleep(PAUSE).await });
    }
    let fault = Fault::Page {
        account: None,
        fault: PageFault::Navigate {
            url: "about:blank".to_owned(),
        },
    };
    control.fault(fault).unwrap();
    let incidents = "/v1/sessions/default/incidents";
    let until = Instant::now() + DEADLINE;
    while ask(Method::GET, incidents, &token, String::new()).json()["items"][0]["closed_at"]
        .is_null()
    {
        assert!(Instant::now() < until, "no incident came and went");
        world
            .runtime
            .block_on(async { tokio::time::sleep(PAUSE).await });
    }
    let again = run(world
        .command(dir.path())
        .args(["send", FRIEND, SAID, "--wait", "90"]));
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let rotated = run(steadfast(dir.path()).args(["token", "rotate", "shop", "--json"]));
    let rotated = rotated.values()[0]["token"].as_str().unwrap().to_owned();
    let restart = "/v1/sessions/default/restart";
    let restarted = ask(Method::POST, restart, &rotated, String::new());
    assert_eq!(restarted.status, 200);

    let first = serving.said["token"].as_str().unwrap_or(&token).to_owned();
    let (code, log) = serving.end("TERM");
    assert_eq!(code, Some(0), "{log}");
    for event in [
        "message_received",
        "session_closed",
        "restarted",
        "admin_act",
    ] {
        assert!(
            log.contains(event),
            "the run was not eventful, it lacks {event}:\n{log}"
        );
    }
    let secrets = [
        PHONE,
        FRIEND,
        STRANGER,
        SAID,
        HEARD,
        GUESS,
        "umbrella",
        "order-4711",
        &token,
        &rotated,
        &first,
    ];
    assert_eq!(leaked(&log, &secrets), Vec::<&str>::new(), "{log}");
    world.end();
}
