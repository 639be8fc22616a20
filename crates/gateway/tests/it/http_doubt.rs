//! A disk that does not answer in time: what a caller is told, and what a repeat does.

use crate::surface::Surface;
use serde_json::json;
use std::sync::Arc;
use steadfast_core::port::Store as _;
use steadfast_store::{Options, SqliteStore};

const MESSAGES: &str = "/v1/sessions/default/messages";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accept_in_doubt_is_said_to_be_and_a_repeat_stores_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steadfast.db");
    // What does go on must get there within it, however busy the machine is.
    let hasty = Options {
        patience_ms: 4_000,
        busy_timeout_ms: 60_000,
        ..Options::default()
    };
    let store = Arc::new(SqliteStore::open(&path, hasty).unwrap());
    let surface = Surface::over(store.clone(), |_| {}).await;
    // That the token is used is written down beside its first request. Were that
    // the write that hangs, the message would wait behind it and never be begun.
    surface.get(MESSAGES).await;
    surface.use_is_stored("admin").await;
    // Another program holds the database: the write is begun, and does not end.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let message = json!({"to": "4915123456789", "text": "once"});
    let key = [("idempotency-key", "order-1")];
    let doubted = surface.post_with(MESSAGES, &message, &key).await;
    let problem = doubted.problem(503, "storage_unknown");
    assert_eq!(problem["retryable"], true);
    assert_eq!(doubted.header("retry-after"), "1");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("same Idempotency-Key"), "{detail}");

    // It goes on where it stood, and the message is stored after all.
    other.execute_batch("ROLLBACK").unwrap();
    let again = surface.post_with(MESSAGES, &message, &key).await;
    assert_eq!(again.status, 202, "{}", again.json());
    assert_eq!(again.header("idempotency-replayed"), "true");
    let all = surface.get(MESSAGES).await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    surface.stop().await;
    store.close().await;
}
