//! Traces, told to a collector of the test's own.

use crate::binary::{Serving, steadfast};
use crate::client::{DEADLINE, call};
use hyper::Method;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;
use steadfast_gateway::embed::{Ack, Gateway, LinkStep, Outgoing, scripted};
use steadfast_gateway::traces::trace_of;

const KEY: &str = "secret-4711";
const OURS: &str = "4915112345678";
const NUMBER: &str = "4915123456789";
const TEXT: &str = "very private";
const PRIVATE: [&str; 3] = [NUMBER, TEXT, "sf_a_"];

/// Takes requests, and gives each one's address, key and body.
fn collector() -> (SocketAddr, Receiver<(String, String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = channel();
    std::thread::spawn(move || {
        let mut refusals = 1;
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut first, mut key, mut length) = (String::new(), String::new(), 0);
            stream.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim().split_once(": ") else {
                    break;
                };
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.parse().unwrap(),
                    "x-key" => value.clone_into(&mut key),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            // The first is told to come again, and must.
            let status = if refusals > 0 { "503 Busy" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            if refusals > 0 {
                refusals -= 1;
                continue;
            }
            let body = serde_json::from_slice(&body).unwrap();
            if sender.send((first, key, body)).is_err() {
                return;
            }
        }
    });
    (address, received)
}

/// The first span that suits among those that come.
fn awaited(received: &Receiver<(String, String, Value)>, suits: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + DEADLINE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let (first, key, body) = received.recv_timeout(left).expect("it was not told");
        assert!(first.starts_with("POST /v1/traces "), "{first}");
        assert_eq!(key, KEY);
        let text = body.to_string();
        for private in PRIVATE {
            assert!(!text.contains(private), "{text}");
        }
        let resource = &body["resourceSpans"][0];
        let service = &resource["resource"]["attributes"][0];
        assert_eq!(service["value"]["stringValue"], "ours");
        let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        if let Some(span) = spans.iter().find(|span| suits(span)) {
            return span.clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_found_by_its_id_from_accepted_to_sent() {
    let (address, received) = collector();
    let dir = tempfile::tempdir().unwrap();
    let world = scripted::World::start(7, scripted::Knobs::default(), OURS).unwrap();
    let phone = world.phone.clone();
    let gateway = Gateway::builder(dir.path())
        .scripted(world)
        .set("telemetry.otlp_endpoint", format!("http://{address}"))
        .set("telemetry.otlp_headers", format!("x-key={KEY}"))
        .set("telemetry.service_name", "ours")
        .start()
        .await
        .unwrap();
    let session = gateway.session("default").unwrap();
    let order = Outgoing::text(NUMBER, TEXT).unwrap().key("order-1");
    let id = session.send(order).await.unwrap().id;
    let linked = session.link(DEADLINE, |step| match step {
        LinkStep::Qr(qr) => {
            phone.control().scan(OURS, &qr.code).unwrap();
        }
        LinkStep::Passkey(_) => panic!("nobody asked for one"),
    });
    linked.await.unwrap();
    gateway
        .wait_for_ack(&id, Ack::Server, DEADLINE)
        .await
        .unwrap();
    let trace = format!("{:032x}", trace_of(id.as_str()).unwrap());
    let message = tokio::task::spawn_blocking(move || {
        awaited(&received, |span| {
            span["name"] == "message" && span["traceId"] == trace
        })
    });
    let message = message.await.unwrap();
    let attributes = message["attributes"].as_array().unwrap();
    assert!(
        attributes.contains(&json!({"key": "steadfast.outcome", "value": {"stringValue": "sent"}}))
    );
    assert_eq!(message["status"], Value::Null);
    gateway.shutdown().await;
}

#[test]
fn a_request_is_told_in_its_caller_s_trace() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (address, received) = collector();
    let dir = tempfile::tempdir().unwrap();
    let mut command = steadfast(dir.path());
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--json"])
        .env(
            "STEADFAST_TELEMETRY__OTLP_ENDPOINT",
            format!("http://{address}/"),
        )
        .env("STEADFAST_TELEMETRY__OTLP_HEADERS", format!("x-key={KEY}"))
        .env("STEADFAST_TELEMETRY__SERVICE_NAME", "ours");
    let serving = Serving::start_as(&mut command);
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [
        ("x-api-key", serving.token()),
        ("content-type", "application/json"),
        ("traceparent", &parent),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let body = json!({"to": NUMBER, "text": TEXT}).to_string();
    let path = "/v1/sessions/default/messages";
    let reply = runtime.block_on(call(serving.address(), Method::POST, path, &headers, body));
    assert_eq!(reply.status, 202);

    let span = awaited(&received, |span| span["traceId"] == TRACE);
    assert_eq!(span["name"], "POST /v1/sessions/{session}/messages");
    assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(span["kind"], 2);
    let attributes = span["attributes"].as_array().unwrap();
    assert!(
        attributes
            .contains(&json!({"key": "http.response.status_code", "value": {"intValue": "202"}}))
    );
    let nanos = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"));
    let (code, log) = serving.end("TERM");
    assert_eq!(code, Some(0));
    assert!(!log.contains(KEY), "{log}");
}
