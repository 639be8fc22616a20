//! `/api`: what WhatsApp itself is asked, and does at once.

use crate::client::Reply;
use crate::http_waha::{CHAT, refused};
use crate::surface::Surface;
use hyper::Method;
use serde_json::{Value, json};
use steadfast_core::action::{
    Action, Activity, Answer, Contact, Group, GroupSetting, HistoryMessage, Participant, Refusal,
};
use steadfast_core::ids::ChatId;
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::outbox::Ack;
use steadfast_core::time::UnixMs;
use steadfast_gateway::sessions::Me;

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
