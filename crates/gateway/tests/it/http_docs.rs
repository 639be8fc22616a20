//! The description that the gateway gives of itself.

use crate::client::call;
use crate::surface::Surface;
use hyper::Method;
use serde_json::Value;
use steadfast_gateway::http::problem::Code;

#[tokio::test]
async fn the_description_is_complete_and_true() {
    let surface = Surface::start().await;
    let reply = call(surface.address, Method::GET, "/openapi.json", &[], "").await;
    let api = reply.json();
    assert!(
        api["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        api["openapi"]
    );
    let mut operations = 0;
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            let responses = operation["responses"].as_object().unwrap();
            let name = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{name}: {id} is taken");
            let good = |status: &String| status.starts_with('2') || status == "101";
            assert!(responses.keys().any(good), "{name}");
            assert!(
                !operation["summary"].as_str().unwrap_or_default().is_empty(),
                "{name}"
            );
            check_route(&surface, method, path, responses).await;
        }
    }
    assert!(operations >= 30, "{operations}");
    check_references(&api, &api);
    surface.stop().await;
}

/// Each operation that is described is there, and answers a request without
/// anything (no token, no body) with a status that is described.
async fn check_route(
    surface: &Surface,
    method: &str,
    path: &str,
    responses: &serde_json::Map<String, Value>,
) {
    let method: Method = method.to_uppercase().parse().unwrap();
    let real = path
        .replace("{session}", "default")
        .replace("{chat}", "4915123456789@c.us")
        .replace("{contact}", "4915123456789@c.us")
        .replace("{group}", "120363000000000001@g.us")
        .replace("{message}", "msg_00000000000000000000000000")
        .replace("{webhook}", "whk_00000000000000000000000000")
        // One that is there would end what the test itself uses.
        .replace("{name}", "nobody");
    let anonymous = call(surface.address, method.clone(), &real, &[], "").await;
    let with_token = [("x-api-key", surface.admin.as_str())];
    let mut replies = vec![anonymous];
    // A stream does not end by itself.
    if path != "/v1/events/stream" {
        replies.push(call(surface.address, method.clone(), &real, &with_token, "").await);
    }
    for reply in replies {
        assert_ne!(reply.status, 405, "{method} {path}");
        assert!(
            responses.contains_key(&reply.status.to_string()),
            "{method} {path} answered {}, which is not described",
            reply.status
        );
    }
}

fn check_references(api: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(api.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            for member in members.values() {
                check_references(api, member);
            }
        }
        Value::Array(items) => {
            for item in items {
                check_references(api, item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let surface = Surface::start().await;
    let reply = call(surface.address, Method::GET, "/docs", &[], "").await;
    assert_eq!(reply.status, 200);
    assert!(
        reply
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    let page = String::from_utf8(reply.bytes.to_vec()).unwrap();
    // An address in a sentence is fetched by nobody.
    for outside in [
        "src=",
        "<script",
        "@import",
        "url(",
        "href=http",
        "href=\"http",
        "href='http",
        "href=//",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    for part in [
        "/v1/sessions/{session}/messages",
        "id=idempotency_key_reused>",
        "<code>text</code>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Where `doc` of every problem leads.
    for code in Code::ALL {
        let row = format!("id={}>", code.as_str());
        assert!(page.contains(&row), "{row}");
    }
    surface.stop().await;
}
