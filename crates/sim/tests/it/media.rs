use crate::client::{BOB, fast, http, link, login, start};
use serde_json::{Value, json};
use steadfast_sim::knobs::Knobs;
use steadfast_sim::world::Fault;

fn body(answer: &str) -> Value {
    let json = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    serde_json::from_str(json).unwrap_or_default()
}

#[tokio::test]
async fn media_goes_up_into_a_message_and_down_again() {
    let sim = start(Knobs {
        max_media_bytes: 100,
        ..fast()
    })
    .await;
    let mut page = login(&sim, &link(&sim).await).await;
    let auth = page.ask(json!({"q": "media_conn"})).await["auth"]
        .as_str()
        .unwrap()
        .to_owned();
    let up = format!("POST /mms/image?auth={auth}");
    let (status, answer) = http(&sim, &up, b"picture").await;
    assert_eq!(status, 200, "{answer}");
    let uploaded = body(&answer);
    let path = uploaded["direct_path"].as_str().unwrap();
    let (status, answer) = http(&sim, &format!("GET {path}"), b"").await;
    assert_eq!(status, 200);
    assert!(answer.ends_with("picture"), "{answer}");

    let mut message = json!({"op": "send", "id": "3EB0AA", "chat": format!("{BOB}@c.us"),
        "kind": "image", "body": "look", "content": {"media": {"direct_path": path}}});
    page.send(message.clone()).await;
    assert_eq!(page.until("ack").await["id"], "3EB0AA");
    message["id"] = json!("3EB0BB");
    message["content"]["media"]["direct_path"] = json!("/mms/get/nothing");
    page.send(message).await;
    assert_eq!(page.until("nack").await["code"], 404);

    for (target, bytes, expected) in [
        ("POST /mms/image?auth=wrong", &b"x"[..], 401),
        (up.as_str(), &[0; 101][..], 413),
        (&up.replace("image", "folder"), b"x", 400),
        ("GET /mms/get/nothing", b"", 404),
    ] {
        assert_eq!(http(&sim, target, bytes).await.0, expected, "{target}");
    }
    sim.control()
        .fault(Fault::RefuseUploads {
            count: 1,
            status: 503,
        })
        .unwrap();
    assert_eq!(http(&sim, &up, b"x").await.0, 503);
    assert_eq!(http(&sim, &up, b"x").await.0, 200);
    sim.control().fault(Fault::ExpireMedia).unwrap();
    assert_eq!(http(&sim, &format!("GET {path}"), b"").await.0, 410);
    sim.shutdown().await;
}
