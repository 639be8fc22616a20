//! The routes of `http_actions` over the real supervisor, with the scripted
//! engine in a world that has other people in it.

use crate::client::{DEADLINE, Reply};
use crate::fake::id;
use crate::surface::Surface;
use hyper::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast_core::ids::{ChatId, SessionId};
use steadfast_core::port::{Connector, Store};
use steadfast_core::proxy::ProxySetting;
use steadfast_gateway::browser::supervisor_options;
use steadfast_gateway::clock::{SystemClock, SystemRandom};
use steadfast_gateway::config::Config;
use steadfast_gateway::metrics::Metrics;
use steadfast_gateway::sessions::Sessions;
use steadfast_gateway::supervisor::{Connectors, Supervisor};
use steadfast_sim::journal::Event;
use steadfast_sim::knobs::Knobs;
use steadfast_sim::phone::Phone as _;
use steadfast_sim::scripted::ScriptedWorld;
use steadfast_sim::world::OutsideMessage;
use steadfast_store::MemoryStore;

const PHONE: &str = "4915110000001";
const ANN: &str = "4915155500001@c.us";
const BOB: &str = "4915155500002@c.us";
const NOBODY: &str = "4915155500009@c.us";
const BASE: &str = "/v1/sessions/default";

struct Only(Arc<dyn Connector>);

impl Connectors for Only {
    fn connector(&self, _: &SessionId, _: ProxySetting) -> Arc<dyn Connector> {
        Arc::clone(&self.0)
    }
}

struct Stage {
    surface: Surface,
    world: ScriptedWorld,
    supervisor: Arc<Supervisor>,
}

impl Stage {
    /// A gateway whose one session is linked and ready.
    async fn ready() -> Self {
        let world = ScriptedWorld::start(7, Knobs::default(), PHONE).unwrap();
        let (connector, _) = world.connector(1);
        let config = Config::defaults().unwrap();
        let store = Arc::new(MemoryStore::new());
        let supervisor = Supervisor::start(
            supervisor_options(&config),
            Arc::new(Only(Arc::new(connector))),
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
            Arc::new(Metrics::default()),
            &id("default"),
        )
        .await
        .unwrap();
        let sessions = Arc::clone(&supervisor) as Arc<dyn Sessions>;
        let surface = Surface::of(store, Some(sessions), |_| {}).await;
        let stage = Self {
            surface,
            world,
            supervisor,
        };
        let session = id("default");
        let code = until("a code", async || {
            let qr = stage.supervisor.qr(&session).await.unwrap();
            qr.map(|qr| qr.code)
        })
        .await;
        stage.world.phone.scan(&code).await.unwrap();
        until("ready", async || {
            let view = stage.supervisor.get(&session).await.unwrap();
            view.ready().then_some(())
        })
        .await;
        stage
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.surface.get(&format!("{BASE}/{path}")).await;
        fine(&reply, 200, path);
        reply.json()
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.surface.post(&format!("{BASE}/{path}"), body).await
    }

    async fn change(&self, method: Method, path: &str, body: &Value) -> Reply {
        let path = format!("{BASE}/{path}");
        self.surface.change(method, &path, body).await
    }

    async fn end(self) {
        self.supervisor.shutdown(DEADLINE).await;
        self.surface.stop().await;
    }
}

fn fine(reply: &Reply, status: u16, what: &str) {
    let body = String::from_utf8_lossy(&reply.bytes);
    assert_eq!(reply.status, status, "{what}: {body}");
}

/// Asks until there is an answer.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_chat_and_its_people() {
    let stage = Stage::ready().await;
    let ann = ChatId::parse(ANN).unwrap();
    for n in 1..=3 {
        stage
            .world
            .phone
            .send_text(&ann, &format!("number {n}"))
            .await
            .unwrap();
    }
    let messages = format!("chats/{ANN}/messages");
    until("three messages", async || {
        let reply = stage.surface.get(&format!("{BASE}/{messages}")).await;
        (reply.status == 200 && reply.json()["items"].as_array()?.len() == 3).then_some(())
    })
    .await;
    let page = stage.get(&format!("{messages}?limit=2")).await;
    let texts: Vec<_> = [0, 1].map(|i| page["items"][i]["text"].clone()).into();
    assert_eq!(texts, ["number 2", "number 3"]);
    let next = page["next"].as_str().unwrap();
    let older = stage
        .get(&format!("{messages}?limit=2&before={next}"))
        .await;
    assert_eq!(older["items"][0]["text"], "number 1");
    assert_eq!(older["next"], Value::Null);

    let typing = format!("chats/{ANN}/typing");
    let reply = stage.post(&typing, &json!({"activity": "composing"})).await;
    fine(&reply, 204, "typing");
    let reply = stage.post(&format!("chats/{ANN}/read"), &Value::Null).await;
    fine(&reply, 204, "read");
    let reply = stage
        .change(Method::PUT, "presence", &json!({"online": true}))
        .await;
    fine(&reply, 204, "presence");
    for event in [Event::Chatstate, Event::Read, Event::Presence] {
        let seen = stage.world.phone.wait_for(event, DEADLINE, &|_| true);
        seen.await.unwrap();
    }
    let contacts = stage.get("contacts").await;
    assert_eq!(contacts["items"][0]["id"], ANN);
    assert_eq!(
        stage.get(&format!("contacts/{ANN}")).await["is_saved"],
        false
    );
    let unknown = stage.surface.get(&format!("{BASE}/contacts/{BOB}")).await;
    unknown.problem(404, "contact_unknown");
    let picture = stage.get(&format!("chats/{ANN}/picture")).await;
    assert_eq!(picture, json!({"url": null}));

    let blocked = format!("blocklist/{ANN}");
    let reply = stage.change(Method::PUT, &blocked, &Value::Null).await;
    fine(&reply, 204, "block");
    assert_eq!(stage.get("blocklist").await["items"], json!([{"id": ANN}]));
    let reply = stage.surface.delete(&format!("{BASE}/{blocked}")).await;
    fine(&reply, 204, "unblock");
    assert_eq!(stage.get("blocklist").await["items"], json!([]));

    let profile = json!({"name": "Ada L.", "about": "counting"});
    let reply = stage.change(Method::PATCH, "profile", &profile).await;
    fine(&reply, 200, "profile");
    assert_eq!(
        until("the new name", async || {
            let now = stage.get("profile").await;
            (now["name"] == "Ada L.").then_some(now)
        })
        .await["about"],
        "counting"
    );
    stage.end().await;
}

#[tokio::test]
async fn numbers_are_asked_about_once() {
    let stage = Stage::ready().await;
    let nobody = ChatId::parse(NOBODY).unwrap();
    stage.world.phone.set_exists(&nobody, false).await.unwrap();
    let asked = async || {
        let entries = stage.world.phone.journal().await.unwrap();
        let checks = entries
            .iter()
            .filter(|e| e.kind.as_deref() == Some("exists"));
        checks.count()
    };
    let before = asked().await;
    let numbers = json!({"numbers": [ANN, NOBODY]});
    for _ in 0..2 {
        let reply = stage.post("numbers/check", &numbers).await;
        assert_eq!(
            reply.json()["items"],
            json!([
                {"number": ANN, "exists": true, "chat_id": ANN},
                {"number": NOBODY, "exists": false, "chat_id": null},
            ])
        );
    }
    // The single check shares what is known.
    let single = stage.post("check-number", &json!({"number": ANN})).await;
    assert_eq!(single.json()["exists"], true);
    assert_eq!(asked().await, before + 1);
    let more = json!({"numbers": [ANN, BOB]});
    fine(&stage.post("numbers/check", &more).await, 200, "numbers");
    assert_eq!(asked().await, before + 2);
    stage.end().await;
}

#[tokio::test]
async fn a_group_from_making_to_leaving() {
    let stage = Stage::ready().await;
    let nobody = ChatId::parse(NOBODY).unwrap();
    stage.world.phone.set_exists(&nobody, false).await.unwrap();
    let new = json!({"subject": "Gardeners", "participants": [ANN, NOBODY]});
    let made = stage.post("groups", &new).await;
    fine(&made, 201, "groups");
    let made = made.json();
    assert_eq!(
        made["participants"],
        json!([{"id": ANN, "done": true, "code": 200}, {"id": NOBODY, "done": false, "code": 404}])
    );
    let group = format!("groups/{}", made["group"]["id"].as_str().unwrap());
    for (change, code) in [
        ("add", 200),
        ("promote", 200),
        ("demote", 200),
        ("remove", 200),
    ] {
        let body = json!({"change": change, "participants": [BOB]});
        let reply = stage.post(&format!("{group}/participants"), &body).await;
        assert_eq!(reply.json()["items"][0]["code"], code, "{change}");
    }
    let change = json!({"subject": "Weeders", "description": "by hand", "only_admins_send": true,
        "only_admins_edit": true});
    let changed = stage.change(Method::PATCH, &group, &change).await;
    fine(&changed, 200, "change");
    let now = stage.get(&group).await;
    assert_eq!(changed.json(), now);
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&now[field], value, "{field}");
    }
    assert_eq!(now["size"], 2);
    let listed = stage.get("groups").await;
    assert_eq!(listed["items"][0]["subject"], "Weeders");
    assert_eq!(listed["items"][0]["participants"], json!([]));

    let invite = format!("{group}/invite");
    let first = stage.get(&invite).await;
    let fresh = stage
        .surface
        .delete(&format!("{BASE}/{invite}"))
        .await
        .json();
    assert_ne!(first["code"], fresh["code"]);
    let reply = stage.post(&format!("{group}/leave"), &Value::Null).await;
    fine(&reply, 204, "leave");
    let again = stage.post(&format!("{group}/leave"), &Value::Null).await;
    again.problem(409, "group_forbidden");
    let old = stage
        .post("groups/join", &json!({"code": first["code"]}))
        .await;
    old.problem(404, "invite_invalid");
    let back = stage
        .post("groups/join", &json!({"code": fresh["link"]}))
        .await;
    assert_eq!(
        back.json(),
        json!({"group": made["group"]["id"], "pending": false})
    );
    let alone = json!({"subject": "Alone", "participants": [NOBODY]});
    let refused = stage.post("groups", &alone).await;
    refused.problem(422, "not_on_whatsapp");
    let missing = format!("{BASE}/groups/120363999999999999@g.us");
    let missing = stage.surface.get(&missing).await;
    missing.problem(404, "group_unknown");
    stage.end().await;
}

#[tokio::test]
async fn what_becomes_of_messages_and_groups_stands_in_the_log() {
    let stage = Stage::ready().await;
    let ann = ChatId::parse(ANN).unwrap();
    let phone = &stage.world.phone;
    let id = phone.send_text(&ann, "helo").await.unwrap();
    let about = |kind: &str, text: &str| OutsideMessage {
        from: ANN.to_owned(),
        kind: Some(kind.to_owned()),
        text: text.to_owned(),
        content: [
            ("target", json!({"id": id, "chat": ANN, "author": ANN})),
            ("reaction", json!(text)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect(),
        ..OutsideMessage::default()
    };
    for (kind, text) in [("edit", "hello"), ("reaction", "👍"), ("revoke", "")] {
        phone.send(&about(kind, text)).await.unwrap();
    }
    phone
        .create_group("Theirs", &ann, &[phone.id()])
        .await
        .unwrap();
    let types = "message.edited,message.reaction,message.revoked,group.changed";
    let told = until("four events", async || {
        let page = stage
            .surface
            .get(&format!("/v1/events?types={types}"))
            .await;
        let items = page.json()["items"].as_array()?.clone();
        (items.len() == 4).then_some(items)
    })
    .await;
    let short: Vec<Value> = told
        .iter()
        .map(|event| {
            let data = &event["data"];
            json!([event["type"], data["text"], data["emoji"], data["change"]])
        })
        .collect();
    assert_eq!(
        short,
        [
            json!(["message.edited", "hello", null, null]),
            json!(["message.reaction", null, "👍", null]),
            json!(["message.revoked", null, null, null]),
            json!(["group.changed", null, null, "create"]),
        ]
    );
    assert_eq!(told[0]["data"]["wa_message_id"], id.as_str());
    stage.end().await;
}
