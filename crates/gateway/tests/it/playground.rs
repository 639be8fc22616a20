//! The simulator's playground, as a newcomer uses it beside the dashboard.

use crate::binary::{Serving, steadfast};
use crate::client::call;
use crate::person::{LONG, Person};
use hyper::Method;
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use steadfast_sim::CONTROL_HEADER;

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_is_the_phone_and_fate() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = steadfast(dir.path());
    command
        .env_remove("STEADFAST_BROWSER__PATH")
        .env_remove("STEADFAST_BROWSER__WEB_RESOLVE")
        .args(["serve", "--simulator", "--listen", "127.0.0.1:0", "--json"]);
    let serving = Serving::start_as(&mut command);
    let control = serving.said["simulator"]["control"]
        .as_str()
        .unwrap()
        .to_owned();
    let address: SocketAddr = control.strip_prefix("http://").unwrap().parse().unwrap();

    let person = Person::start().await;
    person.open(&format!("{control}/")).await;
    person.clicks("Get a phone").await;
    person.sees("has WhatsApp now").await;
    // The gateway shows its code as soon as its browser is up.
    person
        .until("the scan to be taken", "(document.body.innerText.includes('Device 1') || (document.getElementById('scan').click(), false))")
        .await;
    let headers = [
        ("x-api-key", serving.token()),
        ("content-type", "application/json"),
    ];
    let body = json!({"to": "4915198765432", "text": "Good morning"}).to_string();
    let sent = call(
        serving.address(),
        Method::POST,
        "/v1/sessions/default/messages",
        &headers,
        body,
    )
    .await;
    assert_eq!(sent.status, 202);
    person.sees("Good morning").await;
    person.types("Reply as them", "And to you").await;
    person.clicks("Reply").await;
    person.sees("And to you").await;
    person.clicks("Close the page").await;
    person.sees("Close the page: done").await;
    person
        .inspects("playground", &["playground-light.png"])
        .await;
    // The gateway heals, and what came in meanwhile is there.
    person
        .until(
            "the device to be back",
            "document.querySelector('.devices')?.innerText.includes('connected')",
        )
        .await;
    let until = Instant::now() + LONG;
    loop {
        let path = "/v1/sessions/default/inbound";
        let arrived = call(serving.address(), Method::GET, path, &headers, "").await;
        if arrived.json().to_string().contains("And to you") {
            break;
        }
        assert!(Instant::now() < until, "it never came: {}", arrived.json());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    person.clicks("Unlink device 1").await;
    person.sees("Unlinked.").await;
    person.met_no_trouble().await;
    person.end().await;

    // Other pages stay out.
    for headers in [
        vec![],
        vec![(CONTROL_HEADER, "1"), ("origin", "http://evil.example")],
        vec![(CONTROL_HEADER, "1"), ("origin", "null")],
    ] {
        let refused = call(address, Method::GET, "/state", &headers, "").await;
        assert_eq!(refused.status, 403, "{headers:?}");
    }
    assert_eq!(serving.end("TERM").0, Some(0));
}
