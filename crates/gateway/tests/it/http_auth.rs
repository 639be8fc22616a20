//! Who may do what.

use crate::client::call;
use crate::surface::{LOCAL, Surface};
use hyper::Method;
use steadfast_core::port::Store as _;

#[tokio::test]
async fn a_token_is_asked_for_and_checked() {
    let surface = Surface::start().await;
    let get = async |headers: &[(&str, &str)]| {
        call(surface.address, Method::GET, "/v1/sessions", headers, "").await
    };
    let none = get(&[]).await;
    none.problem(401, "token_missing");
    assert!(none.header("www-authenticate").starts_with("Bearer"));
    let basic = [("authorization", "Basic dXNlcjpwYXNz")];
    get(&basic).await.problem(401, "token_missing");
    let wrong = [("authorization", "Bearer sf_a_wrong")];
    get(&wrong).await.problem(401, "token_unknown");
    let stranger = [("authorization", "Bearer hunter2")];
    get(&stranger).await.problem(401, "token_unknown");
    let bearer = format!("bearer {}", surface.read);
    assert_eq!(get(&[("authorization", &bearer)]).await.status, 200);
    assert_eq!(get(&[("x-api-key", &surface.read)]).await.status, 200);
    assert_eq!(get(&[("x-api-key", LOCAL)]).await.status, 200);
    surface.stop().await;
}

#[tokio::test]
async fn scopes_grow_from_read_to_admin() {
    let surface = Surface::start().await;
    let tokens = [&surface.read, &surface.send, &surface.admin];
    for (method, path, body, allowed) in [
        (Method::GET, "/v1/sessions", "", [true, true, true]),
        (Method::GET, "/metrics", "", [true, true, true]),
        (
            Method::POST,
            "/v1/sessions/default/messages",
            r#"{"to":"4915123456789","text":"x"}"#,
            [false, true, true],
        ),
        (
            Method::POST,
            "/api/whatsapp/check-number",
            r#"{"number":"4915123456789"}"#,
            [false, true, true],
        ),
        (
            Method::POST,
            "/v1/sessions/default/restart",
            "",
            [false, false, true],
        ),
        (Method::GET, "/api/whatsapp/qr", "", [false, false, true]),
        (
            Method::POST,
            "/v1/sessions/default/stop",
            "",
            [false, false, true],
        ),
    ] {
        for (token, allowed) in tokens.into_iter().zip(allowed) {
            let headers = [
                ("x-api-key", token.as_str()),
                ("content-type", "application/json"),
            ];
            let reply = call(surface.address, method.clone(), path, &headers, body).await;
            if allowed {
                assert!(reply.status < 300, "{path}: {}", reply.status);
            } else {
                reply.problem(403, "scope_missing");
            }
        }
    }
    surface.stop().await;
}

#[tokio::test]
async fn failed_logins_never_block_a_valid_token_and_revoking_holds_at_once() {
    let surface = Surface::start().await;
    for i in 0..200 {
        let guess = format!("Bearer sf_a_guess{i}");
        let headers = [("authorization", guess.as_str())];
        let reply = call(surface.address, Method::GET, "/v1/sessions", &headers, "").await;
        assert_eq!(reply.status, 401);
    }
    assert_eq!(surface.get("/v1/sessions").await.status, 200);
    assert_eq!(surface.app.metrics.auth_failures.get(["unknown"]), 200);
    surface.store.remove_token("admin").await.unwrap();
    surface
        .get("/v1/sessions")
        .await
        .problem(401, "token_unknown");
    surface.stop().await;
}
