//! The real binary with a real browser: every kind of message arrives at the
//! simulator's other phone, files outlive the gateway, and what comes in is had
//! byte for byte.

use crate::binary::{Serving, steadfast_on};
use crate::client::{Reply, call};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use steadfast_core::outbox::MediaKind;
use steadfast_sim::contract::SampleFile;
use steadfast_sim::journal::{Entry, Event};
use steadfast_sim::world::{NewAccount, OutsideFile, OutsideMessage};
use steadfast_sim::{SimConfig, Simulator};

const PHONE: &str = "4915112345678";
const FRIEND: &str = "4915120000002";
/// A browser starts, a page loads and syncs, on a machine that does other things too.
const DEADLINE: Duration = Duration::from_mins(2);

struct Scene {
    simulator: Simulator,
    serving: Serving,
    token: String,
}

fn gateway(simulator: &Simulator, dir: &Path) -> Serving {
    let mut command = steadfast_on(simulator, dir);
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    Serving::start_as(&mut command)
}

impl Scene {
    /// A gateway whose session is linked and ready.
    async fn linked(dir: &Path) -> Self {
        let simulator = Simulator::start(SimConfig::default()).await.unwrap();
        let account = NewAccount {
            phone: PHONE.to_owned(),
            ..NewAccount::default()
        };
        simulator.control().create_account(account).unwrap();
        let serving = gateway(&simulator, dir);
        let token = serving.token().to_owned();
        let scene = Self {
            simulator,
            serving,
            token,
        };
        let code = scene
            .until("a code", async || {
                let reply = scene.get("/v1/sessions/default/qr").await;
                (reply.status == 200).then(|| reply.json()["code"].as_str().unwrap().to_owned())
            })
            .await;
        scene.simulator.control().scan(PHONE, &code).unwrap();
        scene.ready().await;
        scene
    }

    async fn ready(&self) {
        self.until("ready", async || {
            let session = self.get("/v1/sessions/default").await.json();
            (session["state"] == "ready").then_some(())
        })
        .await;
    }

    /// Asks until there is an answer: the binary tells of nothing by itself.
    async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        call(self.serving.address(), method, path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, &Value::Null).await
    }

    /// Accepts a message; its WhatsApp id.
    async fn accept(&self, mut body: Value) -> String {
        body["to"] = FRIEND.into();
        let reply = self
            .call(Method::POST, "/v1/sessions/default/messages", &body)
            .await;
        assert_eq!(reply.status, 202, "{body}: {}", reply.json());
        reply.json()["wa_message_id"].as_str().unwrap().to_owned()
    }

    /// Waits until something has reached the friend's phone.
    async fn arrived(&self, what: &'static str, pleases: impl Fn(&Entry) -> bool) -> Entry {
        self.simulator
            .control()
            .wait_for_entry(0, what, DEADLINE, |e| {
                e.event == Event::Delivered && pleases(e)
            })
            .await
            .unwrap()
    }

    async fn arrives(&self, body: Value) -> Entry {
        let id = self.accept(body).await;
        let entry = self
            .arrived("the message", |e| e.id.as_deref() == Some(id.as_str()))
            .await;
        assert_eq!(
            entry.peer.as_deref(),
            Some(format!("{FRIEND}@c.us").as_str())
        );
        entry
    }
}

fn content(entry: &Entry) -> Value {
    entry
        .content
        .as_ref()
        .map_or(Value::Null, |content| Value::Object((**content).clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_message_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::linked(dir.path()).await;
    let first = scene.accept(json!({"text": "first"})).await;
    scene
        .arrived("the first", |e| e.id.as_deref() == Some(first.as_str()))
        .await;

    let got = scene
        .arrives(json!({"text": format!("hi @{FRIEND}"), "mentions": [FRIEND], "reply_to": first}))
        .await;
    assert_eq!(content(&got)["quoted"]["id"], first.as_str());
    assert_eq!(content(&got)["mentions"], json!([format!("{FRIEND}@c.us")]));
    let got = scene
        .arrives(json!({"type": "location", "latitude": 52.5, "longitude": 13.4, "name": "Berlin"}))
        .await;
    assert_eq!(
        (got.kind.as_deref(), &content(&got)["lat"]),
        (Some("location"), &json!(52.5))
    );
    let got = scene
        .arrives(
            json!({"type": "contacts", "contacts": [{"name": "Eve", "phone": "+49 151 55555555"}]}),
        )
        .await;
    assert_eq!(got.kind.as_deref(), Some("vcard"));
    assert!(got.body.unwrap().contains("waid=4915155555555"));
    let got = scene
        .arrives(json!({"type": "poll", "question": "Tea?", "options": ["yes", "no"]}))
        .await;
    assert_eq!(content(&got)["poll"]["options"], json!(["yes", "no"]));
    let got = scene
        .arrives(json!({"type": "forward", "message": first}))
        .await;
    assert_eq!(
        (got.body.as_deref(), &content(&got)["isForwarded"]),
        (Some("first"), &json!(true))
    );

    for kind in MediaKind::ALL {
        let sample = SampleFile::of(kind);
        let media = json!({"base64": STANDARD.encode(&sample.bytes), "mime": sample.mime});
        let got = scene
            .arrives(json!({"type": kind.as_str(), "media": media}))
            .await;
        let file = got
            .file
            .unwrap_or_else(|| panic!("no file in {:?}", got.kind));
        assert_eq!(file.sha256, sample.id().as_str(), "{}", kind.as_str());
    }

    let message = format!("/v1/sessions/default/chats/{FRIEND}/messages/{first}");
    let reaction = format!("{message}/reaction");
    for (method, path, body, kind) in [
        (Method::PUT, &reaction, json!({"emoji": "🎉"}), "reaction"),
        (Method::PATCH, &message, json!({"text": "better"}), "edit"),
        (Method::DELETE, &message, Value::Null, "revoke"),
    ] {
        let reply = scene.call(method, path, &body).await;
        assert_eq!(reply.status, 202, "{kind}: {}", reply.json());
        let got = scene
            .arrived(kind, |e| e.kind.as_deref() == Some(kind))
            .await;
        assert_eq!(content(&got)["target"]["id"], first.as_str());
    }
    scene.serving.end("TERM");
    scene.simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_outlives_the_gateway_between_accept_and_send() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::linked(dir.path()).await;
    // The browser is away when it is accepted, and the gateway dies then.
    let stop = scene
        .call(Method::POST, "/v1/sessions/default/stop", &Value::Null)
        .await;
    assert_eq!(stop.status, 200, "{}", stop.json());
    let sample = SampleFile::of(MediaKind::Document);
    let media = json!({"base64": STANDARD.encode(&sample.bytes), "filename": "a.pdf"});
    let id = scene
        .accept(json!({"type": "document", "media": media}))
        .await;
    let (code, _) = scene.serving.end("KILL");
    assert_eq!(code, None);
    scene.serving = gateway(&scene.simulator, dir.path());
    let start = scene
        .call(Method::POST, "/v1/sessions/default/start", &Value::Null)
        .await;
    assert_eq!(start.status, 200, "{}", start.json());
    let got = scene
        .arrived("the document", |e| e.id.as_deref() == Some(id.as_str()))
        .await;
    assert_eq!(got.file.as_ref().unwrap().sha256, sample.id().as_str());
    assert_eq!(content(&got)["media"]["filename"], "a.pdf");
    scene.serving.end("TERM");
    scene.simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_comes_in_is_had_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::linked(dir.path()).await;
    let sample = SampleFile::of(MediaKind::Image);
    let message = OutsideMessage {
        from: FRIEND.to_owned(),
        kind: Some("image".to_owned()),
        text: "look".to_owned(),
        file: Some(OutsideFile {
            data: STANDARD.encode(&sample.bytes),
            mimetype: sample.mime.to_owned(),
            filename: None,
        }),
        ..OutsideMessage::default()
    };
    let control = scene.simulator.control();
    control.outside_message(PHONE, &message).unwrap();
    let told = scene
        .until("the picture", async || {
            let listed = scene.get("/v1/sessions/default/inbound").await.json();
            listed["items"].get(0).cloned()
        })
        .await;
    assert_eq!(
        (&told["kind"], &told["text"]),
        (&json!("image"), &json!("look"))
    );
    assert_eq!(told["media"]["mime"], sample.mime);
    let reply = scene.get(told["media"]["url"].as_str().unwrap()).await;
    assert_eq!(
        reply.status,
        200,
        "{}",
        String::from_utf8_lossy(&reply.bytes)
    );
    assert_eq!(reply.bytes.as_ref(), sample.bytes.as_slice());
    assert_eq!(reply.header("content-type"), "image/png");
    scene.serving.end("TERM");
    scene.simulator.shutdown().await;
}
