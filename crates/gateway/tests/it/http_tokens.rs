//! Tokens over HTTP: made, narrowed, ended, rotated, used; and who did what.

use crate::client::{Reply, call};
use crate::surface::{LOCAL, Surface};
use hyper::Method;
use serde_json::{Value, json};
use steadfast_core::port::{Scope, Store as _, TokenRecord};
use steadfast_core::time::UnixMs;
use steadfast_gateway::clock::{Clock as _, SystemClock, SystemRandom};
use steadfast_gateway::token;

async fn ask(surface: &Surface, token: &str, method: Method, path: &str, body: &str) -> Reply {
    let mut headers = vec![("x-api-key", token)];
    if !body.is_empty() {
        headers.push(("content-type", "application/json"));
    }
    call(surface.address, method, path, &headers, body.to_owned()).await
}

/// Makes a token over HTTP; its secret.
async fn made(surface: &Surface, body: &Value) -> String {
    let reply = surface.post("/v1/tokens", body).await;
    assert_eq!(reply.status, 201, "{}", reply.json());
    reply.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let surface = Surface::start().await;
    let wanted =
        json!({"name": "shop", "scope": "send", "sessions": ["default"], "expires_in": 3600});
    let reply = surface.post("/v1/tokens", &wanted).await;
    let answer = reply.json();
    assert_eq!(
        (reply.status, reply.header("location")),
        (201, "/v1/tokens/shop")
    );
    let secret = answer["token"].as_str().unwrap();
    assert!(secret.starts_with("sf_s_"), "{answer}");
    assert_eq!(answer["sessions"], json!(["default"]));
    let list = surface.get("/v1/tokens").await;
    let text = String::from_utf8_lossy(&list.bytes).into_owned();
    assert!(!text.contains(secret) && !text.contains("hash"), "{text}");
    let list = list.json();
    let shop = list["items"].as_array().unwrap();
    let shop = shop.iter().find(|t| t["name"] == "shop").unwrap();
    assert_eq!(shop["scope"], "send");
    assert_eq!(shop["last_used_at"], Value::Null);
    assert!(shop["expires_at"].as_str() > shop["created_at"].as_str());

    surface
        .post("/v1/tokens", &wanted)
        .await
        .problem(409, "token_exists");
    for (field, wrong) in [
        ("name", json!({"name": "a b", "scope": "send"})),
        ("name", json!({"name": "local", "scope": "send"})),
        (
            "sessions",
            json!({"name": "x", "scope": "send", "sessions": []}),
        ),
        (
            "sessions",
            json!({"name": "x", "scope": "send", "sessions": ["A B"]}),
        ),
        (
            "expires_in",
            json!({"name": "x", "scope": "send", "expires_in": 0}),
        ),
    ] {
        let problem = surface.post("/v1/tokens", &wrong).await;
        assert_eq!(problem.problem(422, "invalid_field")["field"], field);
    }
    let wrong = json!({"name": "x", "scope": "root"});
    surface
        .post("/v1/tokens", &wrong)
        .await
        .problem(422, "invalid_field");

    let works = ask(&surface, secret, Method::GET, "/v1/sessions", "").await;
    assert_eq!(works.status, 200);
    assert_eq!(surface.delete("/v1/tokens/shop").await.status, 204);
    surface
        .delete("/v1/tokens/shop")
        .await
        .problem(404, "no_such_token");
    ask(&surface, secret, Method::GET, "/v1/sessions", "")
        .await
        .problem(401, "token_unknown");
    for (method, path) in [
        (Method::GET, "/v1/tokens"),
        (Method::DELETE, "/v1/tokens/read"),
        (Method::GET, "/v1/audit"),
    ] {
        let refused = ask(&surface, &surface.send, method, path, "").await;
        refused.problem(403, "scope_missing");
    }
    surface.stop().await;
}

#[tokio::test]
async fn a_token_ends_at_its_time() {
    let surface = Surface::start().await;
    let now = SystemClock.unix();
    for (name, ends, taken) in [("over", now.0 - 1, false), ("alive", now.0 + 600_000, true)] {
        let secret = token::mint(Scope::Read, &SystemRandom).unwrap();
        let record = TokenRecord {
            expires_at: Some(UnixMs(ends)),
            ..TokenRecord::new(name, token::hash(&secret).unwrap(), Scope::Read, now)
        };
        surface.store.add_token(record).await.unwrap();
        let reply = ask(&surface, &secret, Method::GET, "/v1/sessions", "").await;
        if taken {
            assert_eq!(reply.status, 200);
        } else {
            let problem = reply.problem(401, "token_expired");
            assert!(
                problem["detail"].as_str().unwrap().contains("time"),
                "{problem}"
            );
            assert!(reply.header("www-authenticate").contains("invalid_token"));
        }
    }
    // A new secret without a new end would be of no use.
    surface
        .post("/v1/tokens/over/rotate", &Value::Null)
        .await
        .problem(400, "invalid_request");
    let reply = surface
        .post("/v1/tokens/over/rotate?expires_in=60", &Value::Null)
        .await;
    let fresh = reply.json()["token"].as_str().unwrap().to_owned();
    let works = ask(&surface, &fresh, Method::GET, "/v1/sessions", "").await;
    assert_eq!(works.status, 200);
    surface.stop().await;
}

#[tokio::test]
async fn a_rotated_secret_is_taken_for_a_while_and_not_for_longer() {
    let surface = Surface::start().await;
    let old = made(&surface, &json!({"name": "shop", "scope": "send"})).await;
    let works = async |secret: &str| {
        ask(&surface, secret, Method::GET, "/v1/sessions", "")
            .await
            .status
    };
    let rotated = surface.post("/v1/tokens/shop/rotate", &Value::Null).await;
    assert_eq!(rotated.status, 200);
    let rotated = rotated.json();
    assert!(rotated["previous_until"].is_string(), "{rotated}");
    let new = rotated["token"].as_str().unwrap();
    assert_ne!(old, new);
    assert_eq!((works(&old).await, works(new).await), (200, 200));
    let again = surface
        .post("/v1/tokens/shop/rotate?grace=0", &Value::Null)
        .await
        .json();
    let newest = again["token"].as_str().unwrap();
    assert_eq!(works(newest).await, 200);
    let ended = ask(&surface, new, Method::GET, "/v1/sessions", "").await;
    ended.problem(401, "token_expired");
    // Of the one before that nothing is known any more.
    let gone = ask(&surface, &old, Method::GET, "/v1/sessions", "").await;
    gone.problem(401, "token_unknown");
    surface
        .post("/v1/tokens/nobody/rotate", &Value::Null)
        .await
        .problem(404, "no_such_token");
    surface
        .post("/v1/tokens/shop/rotate?grace=9999999", &Value::Null)
        .await
        .problem(400, "invalid_request");
    surface
        .post("/v1/tokens/shop/rotate?expires_in=0", &Value::Null)
        .await
        .problem(400, "invalid_request");
    surface.stop().await;
}

/// What a token for one session meets at every address that the gateway has.
#[tokio::test]
async fn a_token_for_one_session_finds_no_other() {
    let surface = Surface::start().await;
    let reply = surface.post("/v1/sessions", &json!({"name": "shop"})).await;
    assert_eq!(reply.status, 201);
    let body = json!({"name": "narrow", "scope": "admin", "sessions": ["shop"]});
    let narrow = made(&surface, &body).await;
    let theirs = surface
        .post(
            "/v1/sessions/default/messages",
            &json!({"to": "4915123456789", "text": "x"}),
        )
        .await
        .json();
    let theirs = theirs["id"].as_str().unwrap();

    let api = surface.get("/openapi.json").await.json();
    let mut met = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            // Lists, which leave out what the token is not for: below.
            let sorted = ["/v1/sessions", "/v1/events", "/api/sessions"].contains(&path.as_str())
                && method == "get";
            // A stream does not end by itself.
            let endless = path == "/v1/events/stream" || path == "/v1/events/ws";
            if operation["security"] == json!([{}]) || sorted || endless {
                continue;
            }
            let real = path
                .replace("{session}", "default")
                .replace("{chat}", "4915123456789@c.us")
                .replace("{contact}", "4915123456789@c.us")
                .replace("{group}", "120363000000000001@g.us")
                .replace("{message}", theirs)
                .replace("{webhook}", "whk_00000000000000000000000000")
                .replace("{name}", "read");
            let method: Method = method.to_uppercase().parse().unwrap();
            let reply = ask(&surface, &narrow, method.clone(), &real, "").await;
            met += 1;
            if path.starts_with("/v1/messages/") {
                reply.problem(404, "message_unknown");
            } else if path.contains("{session}") || path.starts_with("/api/whatsapp") {
                reply.problem(404, "session_unknown");
            } else if path == "/v1/media" {
                // A file belongs to no session before a message names it.
                reply.problem(422, "media_unfit");
            } else if path.starts_with("/v1") {
                reply.problem(403, "sessions_only");
            } else {
                // Where a session is named in the body or the query, or is `default` unnamed.
                assert!(reply.status >= 400, "{method} {path}: {}", reply.status);
            }
        }
    }
    assert!(met >= 30, "{met}");
    let events = ask(&surface, &narrow, Method::GET, "/v1/events", "").await;
    let other = |event: &Value| event["session"] != "shop";
    let events = events.json();
    assert!(
        !events["items"].as_array().unwrap().iter().any(other),
        "{events}"
    );
    let seen = ask(&surface, &narrow, Method::GET, "/v1/sessions", "").await;
    let names: Vec<Value> = seen.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["name"].clone())
        .collect();
    assert_eq!(names, ["shop"]);
    // What is its own it may do.
    for (method, path) in [
        (Method::GET, "/v1/sessions/shop"),
        (Method::POST, "/v1/sessions/shop/stop"),
        (Method::GET, "/v1/sessions/shop/messages"),
    ] {
        let reply = ask(&surface, &narrow, method, path, "").await;
        assert_eq!(reply.status, 200, "{path}");
    }
    assert_eq!(
        surface.get(&format!("/v1/messages/{theirs}")).await.json()["status"],
        "accepted",
        "nobody took it back"
    );
    surface.stop().await;
}

#[tokio::test]
async fn a_token_remembers_its_last_use() {
    let surface = Surface::start().await;
    let before = SystemClock.unix();
    let reply = ask(&surface, &surface.read, Method::GET, "/v1/sessions", "").await;
    assert_eq!(reply.status, 200);
    let used = surface.use_is_stored("read").await;
    assert!(used >= before);
    // One that is refused for its scope was used all the same... by somebody
    // who has it; one that is only used seconds later costs no write.
    for _ in 0..50 {
        ask(&surface, &surface.read, Method::GET, "/v1/sessions", "").await;
    }
    let tokens = surface.store.tokens().await.unwrap();
    let read = tokens.iter().find(|t| t.name == "read").unwrap();
    assert_eq!(read.last_used_at, Some(used));
    surface.stop().await;
}

#[tokio::test]
async fn what_administrators_do_is_written_down() {
    let surface = Surface::start().await;
    let made = json!({"name": "shop", "scope": "send"});
    assert_eq!(surface.post("/v1/tokens", &made).await.status, 201);
    let session = json!({"name": "second"});
    assert_eq!(surface.post("/v1/sessions", &session).await.status, 201);
    surface
        .post("/v1/sessions", &session)
        .await
        .problem(409, "session_exists");
    let restart = "/v1/sessions/second/restart";
    assert_eq!(surface.post(restart, &Value::Null).await.status, 200);
    let local = ask(
        &surface,
        LOCAL,
        Method::POST,
        "/v1/sessions/second/stop",
        "",
    )
    .await;
    assert_eq!(local.status, 200);
    let refused = ask(
        &surface,
        &surface.send,
        Method::DELETE,
        "/v1/sessions/second",
        "",
    )
    .await;
    refused.problem(403, "scope_missing");
    assert_eq!(surface.delete("/v1/sessions/second").await.status, 204);
    assert_eq!(surface.delete("/v1/tokens/shop").await.status, 204);
    // Looking is no act.
    assert_eq!(surface.get("/v1/tokens").await.status, 200);
    let acts = |page: &Value| -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|i| (text(&i["actor"]), text(&i["act"]), text(&i["target"])))
            .collect()
    };
    let whole = surface.get("/v1/audit").await.json();
    let expected = [
        ("admin", "token_revoked", "shop"),
        ("admin", "session_deleted", "second"),
        ("local", "session_stopped", "second"),
        ("admin", "session_restarted", "second"),
        ("admin", "session_created", "second"),
        ("admin", "token_created", "shop"),
    ]
    .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(acts(&whole), expected);
    assert_eq!(whole["next"], Value::Null);
    let page = surface.get("/v1/audit?limit=2").await.json();
    assert_eq!(acts(&page), expected[..2]);
    let next = page["next"].as_str().unwrap();
    let page = surface
        .get(&format!("/v1/audit?limit=2&before={next}"))
        .await
        .json();
    assert_eq!(acts(&page), expected[2..4]);
    surface.stop().await;
}
