use crate::client::{BOB, PHONE, fast, link, login, start};
use serde_json::{Value, json};
use steadfast_sim::Simulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn call(sim: &Simulator, head: &str, headers: &str, body: &Value) -> (u16, Value) {
    let addr = sim.control_url().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = format!(
        "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let json = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    (status, serde_json::from_str(json).unwrap_or_default())
}

const OURS: &str = "X-Steadfast-Sim: 1\r\n";

#[tokio::test]
async fn browsers_are_kept_out() {
    let sim = start(fast()).await;
    assert_eq!(call(&sim, "GET /state", "", &Value::Null).await.0, 403);
    let with_origin = format!("{OURS}Origin: https://web.whatsapp.com\r\n");
    assert_eq!(
        call(&sim, "GET /state", &with_origin, &Value::Null).await.0,
        403
    );
    let (status, state) = call(&sim, "GET /state", OURS, &Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(state["spki"], sim.spki());
    assert_eq!(state["network"], "up");
    sim.shutdown().await;
}

#[tokio::test]
async fn everything_can_be_done_from_another_process() {
    let sim = start(fast()).await;
    let mut page = login(&sim, &link(&sim).await).await;
    let a = format!("/accounts/{PHONE}");
    for (head, body, status) in [
        (
            "POST /accounts".to_owned(),
            json!({"phone": "4915100000077"}),
            200,
        ),
        (
            "POST /accounts".to_owned(),
            json!({"phone": "4915100000077"}),
            409,
        ),
        ("POST /accounts".to_owned(), json!({"phone": "77"}), 400),
        (format!("GET {a}"), Value::Null, 200),
        ("GET /accounts/4999999999".to_owned(), Value::Null, 404),
        (format!("POST {a}/scan"), json!({"code": "nonsense"}), 409),
        (
            format!("POST {a}/messages"),
            json!({"from": BOB, "text": "hi {n}", "count": 3}),
            200,
        ),
        (
            format!("POST {a}/contacts"),
            json!({"phone": BOB, "name": "Bob"}),
            200,
        ),
        (
            format!("POST {a}/chatstate"),
            json!({"from": BOB, "state": "composing"}),
            200,
        ),
        (
            format!("PATCH /people/{BOB}"),
            json!({"online": false}),
            200,
        ),
        (format!("PATCH /people/{BOB}"), json!({"onlin": false}), 400),
        (
            "POST /groups".to_owned(),
            json!({"subject": "G", "owner": PHONE, "members": [BOB]}),
            200,
        ),
        ("PATCH /knobs".to_owned(), json!({"ack_delay_ms": 7}), 200),
        ("PATCH /knobs".to_owned(), json!({"ack_dealy_ms": 7}), 400),
        (
            "POST /faults".to_owned(),
            json!({"kind": "drop_acks", "count": 1}),
            200,
        ),
        (
            "POST /faults".to_owned(),
            json!({"kind": "earthquake"}),
            400,
        ),
    ] {
        let (got, answer) = call(&sim, &head, OURS, &body).await;
        assert_eq!(got, status, "{head} {body}: {answer}");
    }
    for n in 1..=3 {
        assert_eq!(page.until("message").await["body"], format!("hi {n}"));
    }
    let (_, first) = call(&sim, "GET /journal?limit=2", OURS, &Value::Null).await;
    assert_eq!(first["next"], 2);
    let (_, incoming) = call(
        &sim,
        "GET /journal?events=incoming&limit=10000",
        OURS,
        &Value::Null,
    )
    .await;
    assert_eq!(incoming["entries"].as_array().unwrap().len(), 3);
    let last = incoming["last"].as_u64().unwrap();
    let path = format!("GET /journal?after={last}&events=unlinked&wait_ms=20000");
    let (waited, unlinked) = tokio::join!(call(&sim, &path, OURS, &Value::Null), async {
        call(&sim, &format!("POST {a}/unlink"), OURS, &Value::Null).await
    });
    assert_eq!(unlinked.1["unlinked"], 1);
    assert_eq!(waited.1["entries"][0]["event"], "unlinked");
    sim.shutdown().await;
}
