//! What is asked of WhatsApp Web beside sending: each route, what it asks, and
//! how a no reads.

use crate::client::call;
use crate::fake::THEN;
use crate::surface::Surface;
use hyper::Method;
use serde_json::{Value, json};
use steadfast_core::action::{
    Action, Activity, Answer, Contact, Group, GroupSetting, HistoryMessage, Participant,
    ParticipantChange, ParticipantResult, Profile, Refusal,
};
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::outbox::Ack;
use steadfast_gateway::sessions::SessionState;

const BASE: &str = "/v1/sessions/default";
const ANN: &str = "4915123456789@c.us";
const GROUP: &str = "120363000000000001@g.us";

fn chat(text: &str) -> ChatId {
    ChatId::parse(text).unwrap()
}

fn group() -> Group {
    Group {
        id: chat(GROUP),
        subject: "Gardeners".to_owned(),
        description: None,
        owner: Some(chat(ANN)),
        created_at: Some(THEN),
        only_admins_send: false,
        only_admins_edit: true,
        size: 1,
        participants: vec![Participant {
            id: chat(ANN),
            is_admin: true,
            is_owner: true,
        }],
    }
}

fn answers(surface: &Surface, answer: Answer) {
    *surface.sessions.answer.lock().unwrap() = Ok(answer);
}

fn refuses(surface: &Surface, why: Refusal) {
    *surface.sessions.answer.lock().unwrap() = Err(why);
}

/// What was asked since the last look.
fn asked(surface: &Surface) -> Vec<Action> {
    std::mem::take(&mut *surface.sessions.performed.lock().unwrap())
}

#[tokio::test]
async fn typing_reading_and_presence_go_through() {
    let surface = Surface::start().await;
    let typing = format!("{BASE}/chats/{ANN}/typing");
    for (word, activity) in [
        ("composing", Activity::Composing),
        ("recording", Activity::Recording),
        ("paused", Activity::Paused),
    ] {
        let reply = surface.post(&typing, &json!({"activity": word})).await;
        assert_eq!((reply.status, reply.bytes.len()), (204, 0));
        let chat = chat(ANN);
        assert_eq!(asked(&surface), [Action::Typing { chat, activity }]);
    }
    let wrong = surface.post(&typing, &json!({"activity": "x"})).await;
    wrong.problem(422, "invalid_field");
    let nobody = format!("{BASE}/chats/hello/typing");
    let wrong = surface.post(&nobody, &json!({"activity": "paused"})).await;
    wrong.problem(422, "invalid_recipient");
    // A bare number in the path is a chat too.
    let read = format!("{BASE}/chats/4915123456789/read");
    assert_eq!(surface.post(&read, &Value::Null).await.status, 204);
    assert_eq!(asked(&surface), [Action::MarkRead { chat: chat(ANN) }]);
    let presence = format!("{BASE}/presence");
    let reply = surface
        .change(Method::PUT, &presence, &json!({"online": true}))
        .await;
    assert_eq!(reply.status, 204);
    assert_eq!(asked(&surface), [Action::Online(true)]);
    refuses(&surface, Refusal::UnknownChat);
    surface
        .post(&read, &Value::Null)
        .await
        .problem(404, "chat_unknown");
    surface.stop().await;
}

#[tokio::test]
async fn history_is_read_in_pages() {
    let surface = Surface::start().await;
    let message = |id: &str, from_me: bool| HistoryMessage {
        message: InboundMessage {
            wa_message_id: WaMessageId::parse(id).unwrap(),
            chat: chat(GROUP),
            chat_also: None,
            sender: chat(ANN),
            from_me,
            kind: "chat".to_owned(),
            text: "hi".to_owned(),
            sent_at: THEN,
            recovered: false,
            extras: Extras::default(),
        },
        ack: from_me.then_some(Ack::Read),
    };
    answers(
        &surface,
        Answer::History(vec![message("AC1", false), message("AC2", true)]),
    );
    let path = format!("{BASE}/chats/{GROUP}/messages");
    let page = surface.get(&format!("{path}?limit=2")).await.json();
    let oldest = format!("false_{GROUP}_AC1_{ANN}");
    assert_eq!(page["next"], oldest);
    assert_eq!(page["items"][0]["key"], oldest);
    assert_eq!(page["items"][0]["ack"], Value::Null);
    assert_eq!(page["items"][1]["ack"], "read");
    assert_eq!(page["items"][1]["sent_at"], "2024-01-15T10:30:00.000Z");
    let older = surface.get(&format!("{path}?before={oldest}")).await;
    // Two are fewer than the fifty that may come: there is no more.
    assert_eq!(older.json()["next"], Value::Null);
    let before = |text: Option<&str>| text.map(|text| text.parse().unwrap());
    assert_eq!(
        asked(&surface),
        [(2, None), (50, Some(oldest.as_str()))].map(|(limit, key)| Action::History {
            chat: chat(GROUP),
            limit,
            before: before(key),
        })
    );
    for wrong in ["limit=0", "limit=201", "before=x", "after=1"] {
        let reply = surface.get(&format!("{path}?{wrong}")).await;
        reply.problem(400, "invalid_request");
    }
    refuses(&surface, Refusal::UnknownMessage);
    let unknown = surface.get(&format!("{path}?before={oldest}")).await;
    unknown.problem(404, "message_unknown");
    answers(&surface, Answer::Picture(Some("https://x".to_owned())));
    let picture = surface.get(&format!("{BASE}/chats/{ANN}/picture")).await;
    assert_eq!(picture.json(), json!({"url": "https://x"}));
    surface.stop().await;
}

#[tokio::test]
async fn many_numbers_are_checked_in_one_request() {
    let surface = Surface::start().await;
    let (ann, nobody) = (chat(ANN), chat("4915100000000"));
    answers(
        &surface,
        Answer::Numbers(vec![
            (nobody.clone(), None),
            (ann.clone(), Some(ann.clone())),
        ]),
    );
    let path = format!("{BASE}/numbers/check");
    let numbers = json!({"numbers": ["+49 151 23456789", "4915100000000", "4915123456789"]});
    let found = surface.post(&path, &numbers).await.json();
    assert_eq!(
        found["items"],
        json!([
            {"number": "+49 151 23456789", "exists": true, "chat_id": ANN},
            {"number": "4915100000000", "exists": false, "chat_id": null},
            {"number": "4915123456789", "exists": true, "chat_id": ANN},
        ])
    );
    // One number twice is one question.
    assert_eq!(asked(&surface), [Action::CheckNumbers(vec![nobody, ann])]);
    let many: Vec<String> = (0..51)
        .map(|n| format!("{}", 4_915_100_000_000_u64 + n))
        .collect();
    for wrong in [json!([]), json!(many), json!(["123"]), json!([GROUP])] {
        let reply = surface.post(&path, &json!({"numbers": wrong})).await;
        reply.problem(422, "invalid_field");
    }
    assert!(asked(&surface).is_empty());
    surface.stop().await;
}

#[tokio::test]
async fn people_profile_and_blocklist() {
    let surface = Surface::start().await;
    let ann = Contact {
        id: chat(ANN),
        name: Some("Ann".to_owned()),
        push_name: None,
        is_saved: true,
        is_blocked: false,
    };
    let shown =
        json!({"id": ANN, "name": "Ann", "push_name": null, "is_saved": true, "is_blocked": false});
    answers(&surface, Answer::Contacts(vec![ann.clone()]));
    let list = surface.get(&format!("{BASE}/contacts")).await.json();
    assert_eq!(list["items"], json!([shown]));
    answers(&surface, Answer::Contact(Some(ann)));
    let one = format!("{BASE}/contacts/{ANN}");
    assert_eq!(surface.get(&one).await.json(), shown);
    answers(&surface, Answer::Contact(None));
    surface.get(&one).await.problem(404, "contact_unknown");
    let wrong = surface.get(&format!("{BASE}/contacts/{GROUP}")).await;
    wrong.problem(422, "invalid_recipient");

    let profile = format!("{BASE}/profile");
    answers(
        &surface,
        Answer::Profile(Profile {
            id: chat(ANN),
            name: Some("Ada".to_owned()),
            about: None,
        }),
    );
    assert_eq!(
        surface.get(&profile).await.json(),
        json!({"id": ANN, "name": "Ada", "about": null})
    );
    asked(&surface);
    let change = json!({"name": "Ada L.", "about": "counting"});
    let reply = surface.change(Method::PATCH, &profile, &change).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        asked(&surface),
        [
            Action::SetProfileName("Ada L.".to_owned()),
            Action::SetAbout("counting".to_owned()),
            Action::Profile
        ]
    );
    for wrong in [
        json!({}),
        json!({"name": ""}),
        json!({"name": "  "}),
        json!({"name": "n".repeat(26)}),
        json!({"about": "a".repeat(140)}),
    ] {
        let reply = surface.change(Method::PATCH, &profile, &wrong).await;
        reply.problem(422, "invalid_field");
    }

    answers(&surface, Answer::Blocklist(vec![chat(ANN)]));
    let list = format!("{BASE}/blocklist");
    assert_eq!(
        surface.get(&list).await.json()["items"],
        json!([{"id": ANN}])
    );
    asked(&surface);
    let one = format!("{list}/{ANN}");
    let put = surface.change(Method::PUT, &one, &Value::Null).await;
    let removed = surface.delete(&one).await;
    assert_eq!((put.status, removed.status), (204, 204));
    assert_eq!(
        asked(&surface),
        [true, false].map(|blocked| Action::Block {
            contact: chat(ANN),
            blocked
        })
    );
    refuses(&surface, Refusal::NotOnWhatsApp);
    let refused = surface.change(Method::PUT, &one, &Value::Null).await;
    refused.problem(422, "not_on_whatsapp");
    surface.stop().await;
}

#[tokio::test]
async fn groups_are_made_and_changed() {
    let surface = Surface::start().await;
    let groups = format!("{BASE}/groups");
    answers(
        &surface,
        Answer::Created {
            group: group(),
            participants: vec![ParticipantResult {
                id: chat(ANN),
                code: 403,
            }],
        },
    );
    let new = json!({"subject": "Gardeners", "participants": [ANN, "4915123456789"]});
    let made = surface.post(&groups, &new).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("location"), format!("{groups}/{GROUP}"));
    let body = made.json();
    assert_eq!(body["group"]["created_at"], "2024-01-15T10:30:00.000Z");
    assert_eq!(
        body["participants"],
        json!([{"id": ANN, "done": false, "code": 403}])
    );
    let (subject, participants) = ("Gardeners".to_owned(), vec![chat(ANN)]);
    assert_eq!(
        asked(&surface),
        [Action::CreateGroup {
            subject,
            participants
        }]
    );
    let many: Vec<String> = (0..51)
        .map(|n| format!("{}", 4_915_100_000_000_u64 + n))
        .collect();
    for wrong in [
        json!({"subject": "", "participants": [ANN]}),
        json!({"subject": "s".repeat(101), "participants": [ANN]}),
        json!({"subject": "s", "participants": []}),
        json!({"subject": "s", "participants": many}),
        json!({"subject": "s", "participants": [GROUP]}),
    ] {
        let reply = surface.post(&groups, &wrong).await;
        reply.problem(422, "invalid_field");
    }

    answers(&surface, Answer::Groups(vec![group()]));
    let list = surface.get(&groups).await.json();
    assert_eq!(list["items"][0]["subject"], "Gardeners");
    answers(&surface, Answer::Group(group()));
    let one = format!("{groups}/{GROUP}");
    let shown = surface.get(&one).await.json();
    assert_eq!(
        shown["participants"],
        json!([{"id": ANN, "is_admin": true, "is_owner": true}])
    );
    asked(&surface);
    let change = json!({"subject": "Weeders", "description": "", "only_admins_send": true});
    let changed = surface.change(Method::PATCH, &one, &change).await;
    assert_eq!(changed.status, 200);
    let set = |setting| Action::SetGroup {
        group: chat(GROUP),
        setting,
    };
    assert_eq!(
        asked(&surface),
        [
            set(GroupSetting::Subject("Weeders".to_owned())),
            set(GroupSetting::Description(String::new())),
            set(GroupSetting::OnlyAdminsSend(true)),
            Action::Group(chat(GROUP)),
        ]
    );
    for wrong in [
        json!({}),
        json!({"subject": ""}),
        json!({"description": "d".repeat(2_049)}),
    ] {
        let reply = surface.change(Method::PATCH, &one, &wrong).await;
        reply.problem(422, "invalid_field");
    }
    let person = surface.get(&format!("{groups}/{ANN}")).await;
    person.problem(422, "invalid_recipient");
    surface.stop().await;
}

#[tokio::test]
async fn people_come_and_go_in_groups() {
    let surface = Surface::start().await;
    let one = format!("{BASE}/groups/{GROUP}");
    answers(
        &surface,
        Answer::Participants(vec![ParticipantResult {
            id: chat(ANN),
            code: 200,
        }]),
    );
    for (word, change) in [
        ("add", ParticipantChange::Add),
        ("remove", ParticipantChange::Remove),
        ("promote", ParticipantChange::Promote),
        ("demote", ParticipantChange::Demote),
    ] {
        let body = json!({"change": word, "participants": [ANN]});
        let reply = surface.post(&format!("{one}/participants"), &body).await;
        assert_eq!(
            reply.json()["items"],
            json!([{"id": ANN, "done": true, "code": 200}])
        );
        assert_eq!(
            asked(&surface),
            [Action::Participants {
                group: chat(GROUP),
                change,
                participants: vec![chat(ANN)]
            }]
        );
    }
    answers(&surface, Answer::InviteCode("AbC".to_owned()));
    let invite = json!({"code": "AbC", "link": "https://chat.whatsapp.com/AbC"});
    let path = format!("{one}/invite");
    assert_eq!(surface.get(&path).await.json(), invite);
    assert_eq!(surface.delete(&path).await.json(), invite);
    answers(
        &surface,
        Answer::Joined {
            group: chat(GROUP),
            pending: true,
        },
    );
    let join = format!("{BASE}/groups/join");
    let body = json!({"code": "https://chat.whatsapp.com/AbC"});
    let joined = surface.post(&join, &body).await.json();
    assert_eq!(joined, json!({"group": GROUP, "pending": true}));
    let wrong = surface.post(&join, &json!({"code": "a b"})).await;
    assert_eq!(wrong.problem(422, "invalid_field")["field"], "code");
    answers(&surface, Answer::Done);
    let left = surface.post(&format!("{one}/leave"), &Value::Null).await;
    assert_eq!(left.status, 204);
    assert_eq!(
        asked(&surface),
        [
            Action::InviteCode(chat(GROUP)),
            Action::RevokeInviteCode(chat(GROUP)),
            Action::JoinGroup("AbC".to_owned()),
            Action::LeaveGroup(chat(GROUP)),
        ]
    );
    for (why, status, code) in [
        (Refusal::UnknownGroup, 404, "group_unknown"),
        (Refusal::InviteInvalid, 404, "invite_invalid"),
        (Refusal::NotMember, 409, "group_forbidden"),
        (Refusal::NotAdmin, 409, "group_forbidden"),
        (Refusal::GroupFull, 409, "group_full"),
        (Refusal::Refused, 422, "whatsapp_refused"),
    ] {
        refuses(&surface, why);
        let problem = surface.get(&one).await.problem(status, code);
        assert_eq!(problem["retryable"], false, "{code}");
    }
    surface.stop().await;
}

#[tokio::test]
async fn a_session_that_is_not_ready_says_so_and_scopes_hold() {
    let surface = Surface::start().await;
    let path = format!("{BASE}/contacts");
    // An engine that answers off the point is a failure of its own.
    surface.get(&path).await.problem(503, "whatsapp_failed");
    surface
        .sessions
        .change(|view| view.state = SessionState::Recovering);
    let soon = surface.get(&path).await;
    assert_eq!(soon.problem(503, "not_ready")["retryable"], true);
    surface
        .sessions
        .change(|view| view.state = SessionState::LoggedOut);
    surface.get(&path).await.problem(409, "wrong_state");
    let missing = surface.get("/v1/sessions/nobody/contacts").await;
    missing.problem(404, "session_unknown");
    let reader = [("x-api-key", surface.read.as_str())];
    let writes = [
        (Method::POST, format!("{BASE}/chats/{ANN}/read")),
        (Method::PUT, format!("{BASE}/blocklist/{ANN}")),
        (Method::DELETE, format!("{BASE}/blocklist/{ANN}")),
        (Method::GET, format!("{BASE}/groups/{GROUP}/invite")),
        (Method::POST, format!("{BASE}/groups/{GROUP}/leave")),
        (Method::PATCH, format!("{BASE}/profile")),
    ];
    for (method, path) in writes {
        let reply = call(surface.address, method, &path, &reader, "").await;
        reply.problem(403, "scope_missing");
    }
    assert_eq!(asked(&surface), [Action::Contacts]);
    surface.stop().await;
}
