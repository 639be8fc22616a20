//! `/api`: what programs written for WAHA see.

use crate::client::{Reply, call};
use crate::surface::Surface;
use hyper::Method;
use serde_json::{Value, json};
use steadfast_core::action::{
    Action, Activity, Answer, Contact, Group, GroupSetting, HistoryMessage, Participant, Refusal,
};
use steadfast_core::ids::ChatId;
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::outbox::{Ack, Body, Message, Status};
use steadfast_core::port::{MessageQuery, Store as _};
use steadfast_core::time::UnixMs;
use steadfast_gateway::sessions::{AckWait, Me, SessionState};

const CHAT: &str = "4915123456789@c.us";

/// A problem, with the members that WAHA's clients read.
#[track_caller]
pub(crate) fn refused(reply: &Reply, status: u16, code: &str) -> Value {
    let body = reply.problem(status, code);
    assert_eq!(body["statusCode"], status);
    assert_eq!(body["message"], body["detail"]);
    assert_eq!(body["details"], code);
    body
}

#[tokio::test]
async fn a_session_lives_in_wahas_words() {
    let surface = Surface::start().await;
    let made = surface
        .post(
            "/api/sessions",
            &json!({"name": "shop", "start": false, "config": {"metadata": {"user": "7"}, "debug": null, "webhooks": null, "noweb": {"markOnline": true}}}),
        )
        .await;
    assert_eq!(made.status, 201);
    let session = made.json();
    assert_eq!(session["name"], "shop");
    assert_eq!(session["status"], "STOPPED");
    assert_eq!(session["config"]["metadata"], json!({"user": "7"}));
    assert_eq!(session["engine"]["engine"], "WEBJS");
    let again = surface
        .post("/api/sessions", &json!({"name": "shop"}))
        .await;
    refused(&again, 409, "session_exists");

    // Stopped ones are listed only where asked for.
    let names = |reply: Reply| -> Vec<String> {
        let all = reply.json();
        let one = |s: &Value| s["name"].as_str().unwrap().to_owned();
        all.as_array().unwrap().iter().map(one).collect()
    };
    assert_eq!(names(surface.get("/api/sessions").await), ["default"]);
    let all = surface.get("/api/sessions?all=true").await;
    assert_eq!(names(all), ["default", "shop"]);

    let started = surface.post("/api/sessions/shop/start", &json!({})).await;
    assert_eq!(
        (started.status, &started.json()["status"]),
        (201, &json!("STARTING"))
    );
    let changed = surface
        .change(
            Method::PUT,
            "/api/sessions/shop",
            &json!({"config": {"metadata": {"user": "8"}}}),
        )
        .await;
    assert_eq!(changed.status, 200);
    let session = surface.get("/api/sessions/shop").await.json();
    assert_eq!(session["config"]["metadata"]["user"], "8");
    let stopped = surface.post("/api/sessions/shop/stop", &json!({})).await;
    assert_eq!(stopped.json()["status"], "STOPPED");
    let again = surface.post("/api/sessions/shop/restart", &json!({})).await;
    assert_eq!(again.json()["status"], "STARTING");
    // One that was running offers a new code after the logout.
    let out = surface.post("/api/sessions/shop/logout", &json!({})).await;
    assert_eq!(
        (out.status, &out.json()["status"]),
        (201, &json!("STARTING"))
    );

    assert_eq!(surface.delete("/api/sessions/shop").await.status, 200);
    assert_eq!(surface.delete("/api/sessions/shop").await.status, 200);
    refused(
        &surface.get("/api/sessions/shop").await,
        404,
        "session_unknown",
    );
    surface.stop().await;
}

#[tokio::test]
async fn the_default_session_can_be_made_once_though_it_exists() {
    let surface = Surface::start().await;
    let body = json!({"name": "default", "config": {"metadata": {"a": 1}}});
    assert_eq!(surface.post("/api/sessions", &body).await.status, 201);
    let again = surface.post("/api/sessions", &body).await;
    refused(&again, 409, "session_exists");
    // The older form starts what is there, and makes what is not.
    for name in ["default", "new"] {
        let body = json!({"name": name});
        assert_eq!(surface.post("/api/sessions/start", &body).await.status, 201);
    }
    let body = json!({"name": "new", "logout": true});
    assert_eq!(surface.post("/api/sessions/stop", &body).await.status, 201);
    let session = surface.get("/api/sessions/new").await.json();
    assert_eq!(session["status"], "STOPPED");
    // A name is made up where none is given.
    surface.delete("/api/sessions/new").await;
    let made = surface.post("/api/sessions", &json!({})).await;
    assert_eq!(made.status, 201);
    assert!(made.json()["name"].as_str().unwrap().starts_with("s_"));
    surface.stop().await;
}

#[tokio::test]
async fn who_a_session_is_and_how_it_is_linked() {
    let surface = Surface::start().await;
    assert_eq!(
        surface.get("/api/sessions/default/me").await.json(),
        Value::Null
    );
    surface.sessions.change(|view| {
        view.me = Some(Me {
            id: "4915100000000@c.us".parse().unwrap(),
            push_name: Some("Shop".to_owned()),
        });
    });
    let me = surface.get("/api/sessions/default/me").await.json();
    assert_eq!(me, json!({"id": "4915100000000@c.us", "pushName": "Shop"}));

    let none = surface.get("/api/default/auth/qr").await;
    assert_eq!(refused(&none, 409, "wrong_state")["state"], "ready");
    surface
        .sessions
        .change(|view| view.state = SessionState::Linking);
    let soon = surface.get("/api/default/auth/qr").await;
    refused(&soon, 503, "not_ready");
    surface.sessions.change(|view| view.has_qr = true);
    let raw = surface.get("/api/default/auth/qr?format=raw").await.json();
    assert_eq!(raw["value"], "2@ref,key,key,key,1");
    assert_eq!(raw["qr"], raw["value"]);
    let picture = surface.get("/api/default/auth/qr").await;
    assert_eq!(picture.header("content-type"), "image/png");

    // The two Python clients, by the headers that they send.
    let key = ("x-api-key", surface.admin.as_str());
    let json = ("accept", "application/json");
    let path = "/api/default/auth/qr?format=image";
    let waha_py = call(surface.address, Method::GET, path, &[key, json], "").await;
    assert_eq!(waha_py.json()["mimetype"], "image/png");
    let declared = ("content-type", "application/json");
    let waha = call(
        surface.address,
        Method::GET,
        path,
        &[key, json, declared],
        "",
    )
    .await;
    assert_eq!(waha.header("content-type"), "image/png");
    assert!(waha.bytes.starts_with(b"\x89PNG"));

    let body = json!({"phoneNumber": "+49 151 23456789", "method": null});
    let code = surface.post("/api/default/auth/request-code", &body).await;
    assert_eq!(
        (code.status, code.json()),
        (200, json!({"code": "ABCD-1234"}))
    );
    let body = json!({"phoneNumber": "4915123456789", "method": "sms"});
    let code = surface.post("/api/default/auth/request-code", &body).await;
    refused(&code, 501, "unsupported");
    surface.stop().await;
}

#[tokio::test]
async fn a_text_is_on_disk_and_answered_as_it_stands() {
    let surface = Surface::start().await;
    let body = json!({"chatId": CHAT, "text": "hi", "reply_to": null, "linkPreview": true, "mentions": null});
    let reply = surface.post("/api/sendText", &body).await;
    assert_eq!(reply.status, 201);
    let sent = reply.json();
    let all = MessageQuery {
        limit: 10,
        ..MessageQuery::default()
    };
    let session = "default".parse().unwrap();
    let stored = surface.store.messages(&session, all.clone()).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(
        sent["id"],
        format!("true_{CHAT}_{}", stored[0].wa_message_id)
    );
    assert_eq!(
        (&sent["ack"], &sent["ackName"]),
        (&json!(0), &json!("PENDING"))
    );
    assert_eq!(
        (&sent["fromMe"], &sent["source"]),
        (&json!(true), &json!("api"))
    );
    assert_eq!((&sent["to"], &sent["body"]), (&json!(CHAT), &json!("hi")));
    assert_eq!(
        (&sent["hasMedia"], &sent["media"]),
        (&json!(false), &Value::Null)
    );
    assert!(sent["timestamp"].is_i64());
    assert_eq!(sent["_data"]["id"], stored[0].id.as_str());

    // Where the server has it within the wait, the answer says so.
    let mut acked = stored[0].clone();
    acked.status = Status::Sent;
    *surface.sessions.ack.lock().unwrap() = AckWait::Reached(Box::new(acked.clone()));
    let sent = surface.post("/api/sendText", &body).await.json();
    assert_eq!(
        (&sent["ack"], &sent["ackName"]),
        (&json!(Ack::Server.level()), &json!("SERVER"))
    );
    acked.status = Status::Rejected;
    acked.reason = Some("recipient_invalid".to_owned());
    *surface.sessions.ack.lock().unwrap() = AckWait::Ended(Box::new(acked));
    refused(
        &surface.post("/api/sendText", &body).await,
        422,
        "invalid_recipient",
    );

    // A session that does not work accepts all the same, and does not wait.
    surface
        .sessions
        .change(|view| view.state = SessionState::Recovering);
    let key = [("idempotency-key", "k")];
    let first = surface.post_with("/api/sendText", &body, &key).await;
    let second = surface.post_with("/api/sendText", &body, &key).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(second.header("idempotency-replayed"), "true");
    let stored = surface.store.messages(&session, all).await.unwrap();
    assert_eq!(stored.len(), 4);
    surface.stop().await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_said() {
    let surface = Surface::start().await;
    for (body, status, code) in [
        (json!({"chatId": CHAT, "text": ""}), 422, "invalid_field"),
        (
            json!({"chatId": "nobody", "text": "x"}),
            422,
            "invalid_recipient",
        ),
        (
            json!({"chatId": "12@newsletter", "text": "x"}),
            501,
            "unsupported",
        ),
        (
            json!({"chatId": CHAT, "text": "x", "id": "mine"}),
            501,
            "unsupported",
        ),
        (
            json!({"chatId": CHAT, "text": "x", "reply_to": "a@b"}),
            422,
            "invalid_field",
        ),
        (
            json!({"chatId": CHAT, "text": "x", "session": "none"}),
            404,
            "session_unknown",
        ),
        (json!({"chatId": CHAT}), 422, "invalid_field"),
    ] {
        refused(&surface.post("/api/sendText", &body).await, status, code);
    }
    // Beyond its routes too: no token, no JSON, no such address.
    let reply = call(surface.address, Method::POST, "/api/sendText", &[], "").await;
    refused(&reply, 401, "token_missing");
    let key = [
        ("x-api-key", surface.read.as_str()),
        ("content-type", "application/json"),
    ];
    let reply = call(surface.address, Method::POST, "/api/sendText", &key, "{}").await;
    refused(&reply, 403, "scope_missing");
    refused(&surface.get("/api/nothing").await, 404, "not_found");
    refused(
        &surface.post("/api/sendList", &json!({})).await,
        501,
        "unsupported",
    );
    surface.stop().await;
}

#[tokio::test]
async fn chats_and_numbers() {
    let surface = Surface::start().await;
    for path in [
        "/api/default/chats?limit=10",
        "/api/chats?session=default&limit=10&offset=0",
    ] {
        let chats = surface.get(path).await.json();
        assert_eq!(chats[0]["id"], CHAT);
        assert_eq!(chats[0]["isGroup"], false);
        assert_eq!(chats[0]["timestamp"], 1_705_314_600);
    }
    assert_eq!(surface.get("/api/chats?offset=1").await.json(), json!([]));
    let there = surface
        .get("/api/contacts/check-exists?phone=%2B49%20151%2023456789&session=default")
        .await;
    assert_eq!(there.json(), json!({"numberExists": true, "chatId": CHAT}));
    let away = surface.get("/api/checkNumberStatus?phone=331234567").await;
    assert_eq!(away.json(), json!({"numberExists": false, "chatId": null}));
    surface.stop().await;
}

#[tokio::test]
async fn the_gateway_tells_what_it_is() {
    let surface = Surface::start().await;
    let pong = call(surface.address, Method::GET, "/ping", &[], "").await;
    assert_eq!(pong.json(), json!({"message": "pong"}));
    let health = surface.get("/health").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("ok"))
    );
    assert_eq!(health.json()["info"]["store"]["status"], "up");
    for path in ["/api/version", "/api/server/version"] {
        let version = surface.get(path).await.json();
        assert_eq!(
            (&version["engine"], &version["tier"]),
            (&json!("WEBJS"), &json!("PLUS"))
        );
        assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    }
    let status = surface.get("/api/server/status").await.json();
    assert!(status["startTimestamp"].as_i64().unwrap() > 0 && status["uptime"].is_u64());
    surface.stop().await;
}

/// What the page was asked, and what the caller made of its answer.
async fn asked(
    surface: &Surface,
    answer: Answer,
    reply: impl Future<Output = Reply>,
) -> (Action, Reply) {
    *surface.sessions.answer.lock().unwrap() = Ok(answer);
    let reply = reply.await;
    let mut performed = surface.sessions.performed.lock().unwrap();
    (performed.drain(..).next_back().unwrap(), reply)
}

fn chat(text: &str) -> ChatId {
    ChatId::parse(text).unwrap()
}

#[tokio::test]
async fn what_is_done_at_once() {
    let surface = Surface::start().await;
    let body = json!({"session": "default", "chatId": CHAT, "messageId": null});
    for (path, action) in [
        ("sendSeen", Action::MarkRead { chat: chat(CHAT) }),
        (
            "startTyping",
            Action::Typing {
                chat: chat(CHAT),
                activity: Activity::Composing,
            },
        ),
        (
            "stopTyping",
            Action::Typing {
                chat: chat(CHAT),
                activity: Activity::Paused,
            },
        ),
    ] {
        let path = format!("/api/{path}");
        let (done, reply) = asked(&surface, Answer::Done, surface.post(&path, &body)).await;
        assert_eq!((done, reply.status), (action, 201));
        assert_eq!(reply.json(), json!({"success": true}));
    }
    for (presence, online) in [("online", true), ("unavailable", false)] {
        let body = json!({"presence": presence});
        let reply = surface.post("/api/default/presence", &body);
        let (done, reply) = asked(&surface, Answer::Done, reply).await;
        assert_eq!((done, reply.status), (Action::Online(online), 201));
    }
    let typing = surface
        .post("/api/default/presence", &json!({"presence": "typing"}))
        .await;
    refused(&typing, 422, "invalid_field");
    let body = json!({"contactId": CHAT, "session": "default"});
    let reply = surface.post("/api/contacts/block", &body);
    let (done, _) = asked(&surface, Answer::Done, reply).await;
    assert_eq!(
        done,
        Action::Block {
            contact: chat(CHAT),
            blocked: true
        }
    );
    *surface.sessions.answer.lock().unwrap() = Err(Refusal::UnknownChat);
    let no = surface
        .post("/api/sendSeen", &json!({"chatId": CHAT}))
        .await;
    assert_eq!(no.status, 404);
    surface.stop().await;
}

fn held(n: i64, from_me: bool, text: &str) -> HistoryMessage {
    HistoryMessage {
        message: InboundMessage {
            wa_message_id: format!("AC{n}").parse().unwrap(),
            chat: chat(CHAT),
            chat_also: None,
            sender: chat(CHAT),
            from_me,
            kind: "chat".to_owned(),
            text: text.to_owned(),
            sent_at: UnixMs(n * 1_000),
            recovered: false,
            extras: Extras::default(),
        },
        ack: from_me.then_some(Ack::Read),
    }
}

#[tokio::test]
async fn the_messages_of_a_chat() {
    let surface = Surface::start().await;
    surface.sessions.change(|view| {
        view.me = Some(Me {
            id: chat("4915100000000"),
            push_name: None,
        });
    });
    let page = || {
        Answer::History(vec![
            held(1, false, "one"),
            held(2, true, "two"),
            held(3, false, "three"),
        ])
    };
    let bodies = |reply: &Reply| -> Vec<String> {
        let all = reply.json();
        let one = |m: &Value| m["body"].as_str().unwrap().to_owned();
        all.as_array().unwrap().iter().map(one).collect()
    };
    let base = format!("/api/default/chats/{CHAT}/messages");
    for (query, wanted) in [
        ("", &["three", "two", "one"][..]),
        ("?limit=2", &["three", "two"]),
        ("?limit=1&offset=1&downloadMedia=true", &["two"]),
        ("?sortOrder=asc", &["one", "two", "three"]),
        ("?filter.fromMe=true", &["two"]),
        ("?filter.timestamp.gte=2&filter.timestamp.lte=2", &["two"]),
        ("?filter.ack=READ", &["two"]),
    ] {
        let path = format!("{base}{query}");
        let (action, reply) = asked(&surface, page(), surface.get(&path)).await;
        assert!(
            matches!(action, Action::History { limit: 1..=200, .. }),
            "{action:?}"
        );
        assert_eq!(bodies(&reply), wanted, "{query}");
    }
    let path = format!("/api/messages?chatId={CHAT}&session=default&limit=100");
    let (_, reply) = asked(&surface, page(), surface.get(&path)).await;
    let messages = reply.json();
    let theirs = &messages[0];
    assert_eq!(theirs["id"], format!("false_{CHAT}_AC3"));
    assert_eq!(
        (&theirs["from"], &theirs["to"]),
        (&json!(CHAT), &json!("4915100000000@c.us"))
    );
    assert_eq!(
        (&theirs["source"], &theirs["timestamp"]),
        (&json!("app"), &json!(3))
    );
    let ours = &messages[1];
    assert_eq!(
        (&ours["to"], &ours["ack"], &ours["ackName"]),
        (&json!(CHAT), &json!(3), &json!("READ"))
    );

    let one = format!("{base}/true_{CHAT}_AC2");
    let (_, reply) = asked(&surface, page(), surface.get(&one)).await;
    assert_eq!(reply.json()["body"], "two");
    let (_, reply) = asked(&surface, page(), surface.get(&format!("{base}/AC9"))).await;
    refused(&reply, 404, "message_unknown");
    for wrong in ["?limit=0", "?limit=1001", "?filter.ack=GONE"] {
        let reply = surface.get(&format!("{base}{wrong}")).await;
        refused(&reply, 400, "invalid_request");
    }
    surface.stop().await;
}

#[tokio::test]
async fn groups_people_and_the_profile() {
    let surface = Surface::start().await;
    let id = "120363000000000001@g.us";
    let group = Group {
        id: chat(id),
        subject: "Team".to_owned(),
        description: None,
        owner: Some(chat(CHAT)),
        created_at: Some(UnixMs(5_000)),
        only_admins_send: true,
        only_admins_edit: false,
        size: 1,
        participants: vec![Participant {
            id: chat(CHAT),
            is_admin: true,
            is_owner: true,
        }],
    };
    // The two clients name people and the session differently.
    for (path, body) in [
        (
            "/api/default/groups",
            json!({"name": "Team", "participants": [{"id": CHAT}]}),
        ),
        (
            "/api/groups",
            json!({"name": "Team", "participants": [CHAT], "session": "default"}),
        ),
    ] {
        let answer = Answer::Created {
            group: group.clone(),
            participants: vec![],
        };
        let (action, reply) = asked(&surface, answer, surface.post(path, &body)).await;
        assert_eq!(reply.status, 201);
        let wanted = Action::CreateGroup {
            subject: "Team".to_owned(),
            participants: vec![chat(CHAT)],
        };
        assert_eq!(action, wanted);
        let made = reply.json();
        assert_eq!((&made["id"], &made["createdAt"]), (&json!(id), &json!(5)));
        assert_eq!(made["participants"][0]["role"], "superadmin");
        assert_eq!(made["membersCanSendMessages"], false);
    }
    let all = || Answer::Groups(vec![group.clone(), group.clone()]);
    let (_, reply) = asked(&surface, all(), surface.get("/api/default/groups/count")).await;
    assert_eq!(reply.json(), json!({"count": 2}));
    let (_, reply) = asked(&surface, all(), surface.get("/api/default/groups?limit=1")).await;
    assert_eq!(reply.json().as_array().unwrap().len(), 1);
    let path = format!("/api/default/groups/{id}/settings/security/messages-admin-only");
    let (_, reply) = asked(&surface, Answer::Group(group.clone()), surface.get(&path)).await;
    assert_eq!(reply.json(), json!({"adminsOnly": true}));
    let body = json!({"adminsOnly": false});
    let reply = surface.change(Method::PUT, &path, &body);
    let (action, _) = asked(&surface, Answer::Done, reply).await;
    let setting = GroupSetting::OnlyAdminsSend(false);
    assert_eq!(
        action,
        Action::SetGroup {
            group: chat(id),
            setting
        }
    );
    let path = format!("/api/default/groups/{id}/invite-code");
    let (_, reply) = asked(
        &surface,
        Answer::InviteCode("AbC".to_owned()),
        surface.get(&path),
    )
    .await;
    assert_eq!(reply.json(), "AbC");

    let ann = Contact {
        id: chat(CHAT),
        name: Some("Ann".to_owned()),
        push_name: None,
        is_saved: true,
        is_blocked: false,
    };
    let answer = Answer::Contact(Some(ann));
    let path = format!("/api/contacts?contactId={CHAT}&session=default");
    let (action, reply) = asked(&surface, answer, surface.get(&path)).await;
    assert_eq!(action, Action::Contact(chat(CHAT)));
    assert_eq!(
        (&reply.json()["name"], &reply.json()["number"]),
        (&json!("Ann"), &json!("4915123456789"))
    );
    let (_, reply) = asked(&surface, Answer::Contact(None), surface.get(&path)).await;
    refused(&reply, 404, "contact_unknown");
    let body = json!({"status": "away"});
    let reply = surface.change(Method::PUT, "/api/default/profile/status", &body);
    let (action, reply) = asked(&surface, Answer::Done, reply).await;
    assert_eq!(
        (action, reply.json()),
        (
            Action::SetAbout("away".to_owned()),
            json!({"success": true})
        )
    );
    surface.stop().await;
}

/// The newest message of the outbox.
async fn newest(surface: &Surface) -> Message {
    let all = MessageQuery {
        limit: 100,
        ..MessageQuery::default()
    };
    let session = "default".parse().unwrap();
    let mut stored = surface.store.messages(&session, all).await.unwrap();
    stored.pop().unwrap()
}

/// The smallest PNG.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

#[tokio::test]
async fn every_kind_is_accepted_in_either_clients_form() {
    let surface = Surface::start().await;
    let card = "BEGIN:VCARD\nVERSION:3.0\nFN:Bob\nEND:VCARD";
    let ours = format!("true_{CHAT}_3EB0ABABABABABABABABAB");
    for (path, body, kind) in [
        (
            "sendLocation",
            json!({"latitude": 52.5, "longitude": 13, "title": "Berlin"}),
            "location",
        ),
        (
            "sendPoll",
            json!({"poll": {"name": "?", "options": ["a", "b"], "multipleAnswers": false}}),
            "poll",
        ),
        (
            "sendPoll",
            json!({"poll": "?", "options": [{"name": "a", "localId": 0}, {"name": "b", "localId": 1}], "multipleAnswers": true}),
            "poll",
        ),
        (
            "sendContactVcard",
            json!({"contacts": [{"vcard": card}]}),
            "contacts",
        ),
        (
            "sendContactVcard",
            json!({"contacts": [{"fullName": "Bob", "phoneNumber": "+4915155500002", "vcard": null}]}),
            "contacts",
        ),
        (
            "sendImage",
            json!({"file": {"mimetype": "image/png", "filename": "dot.png", "data": PNG}, "caption": "a dot"}),
            "media",
        ),
        (
            "sendFile",
            json!({"file": {"mimetype": "text/plain", "filename": "a.txt", "data": "aGVsbG8="}}),
            "media",
        ),
        ("forwardMessage", json!({"messageId": ours}), "forward"),
        ("reply", json!({"text": "yes", "reply_to": ours}), "text"),
    ] {
        let mut body = body;
        body["chatId"] = CHAT.into();
        body["session"] = "default".into();
        let reply = surface.post(&format!("/api/{path}"), &body).await;
        assert_eq!(
            reply.status,
            201,
            "{path}: {}",
            String::from_utf8_lossy(&reply.bytes)
        );
        let stored = newest(&surface).await;
        assert_eq!(stored.body.kind(), kind, "{path}");
        assert_eq!(stored.to.as_str(), CHAT);
        let said = reply.json();
        assert_eq!(said["id"], format!("true_{CHAT}_{}", stored.wa_message_id));
        assert_eq!(said["hasMedia"], kind == "media", "{path}");
    }
    let Body::Text(text) = newest(&surface).await.body else {
        panic!("a text was answered")
    };
    assert_eq!(text.reply_to.unwrap().to_string(), ours);

    let reaction = json!({"messageId": ours, "reaction": "👍", "session": "default"});
    let reply = surface
        .change(Method::PUT, "/api/reaction", &reaction)
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(newest(&surface).await.body.kind(), "reaction");
    let path = format!("/api/default/chats/{CHAT}/messages/{ours}");
    let reply = surface
        .change(Method::PUT, &path, &json!({"text": "better"}))
        .await;
    assert_eq!(
        (reply.status, newest(&surface).await.body.kind()),
        (200, "edit")
    );
    let reply = surface.delete(&path).await;
    assert_eq!(
        (reply.status, newest(&surface).await.body.kind()),
        (200, "revoke")
    );

    for (path, body, status, code) in [
        (
            "sendImage",
            json!({"file": {"mimetype": "image/png", "data": "no base64!"}}),
            422,
            "invalid_field",
        ),
        (
            "sendImage",
            json!({"file": {"mimetype": "image/png"}}),
            422,
            "invalid_field",
        ),
        (
            "sendVideo",
            json!({"file": {"data": PNG}, "asNote": true}),
            501,
            "unsupported",
        ),
        (
            "sendPoll",
            json!({"poll": {"name": "?", "options": ["a"]}}),
            422,
            "invalid_field",
        ),
        (
            "sendLocation",
            json!({"latitude": 91, "longitude": 0}),
            422,
            "invalid_field",
        ),
        (
            "forwardMessage",
            json!({"messageId": "3EB0"}),
            422,
            "invalid_field",
        ),
    ] {
        let mut body = body;
        body["chatId"] = CHAT.into();
        let reply = surface.post(&format!("/api/{path}"), &body).await;
        refused(&reply, status, code);
    }
    surface.stop().await;
}
