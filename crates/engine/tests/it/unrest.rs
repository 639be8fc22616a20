//! A page that loads itself anew at any moment, under messages that flow.

use crate::harness::{Scene, chat, run, text};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_core::backoff::Backoff;
use steadfast_core::outbox::Ack;
use steadfast_core::port::SendOutcome;
use steadfast_engine::{Injected, RetryPolicy, send_with_retry};
use steadfast_sim::journal::Event;

const CHATS: usize = 4;
const EACH: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn reloads_at_any_moment_lose_and_double_nothing() {
    // Slow enough that every reload meets messages under way.
    let slow = crate::harness::knobs(serde_json::json!({"ack_delay_ms": 120}));
    let (scene, engine) = Scene::linked_with(slow, |_| {}).await;
    let scene = Arc::new(scene);
    let done = Arc::new(AtomicBool::new(false));
    let chats: Vec<_> = (0..CHATS)
        .map(|n| {
            let (scene, engine) = (scene.clone(), engine.clone());
            run(async move {
                let to = chat(&format!("491516000000{n}"));
                let policy = RetryPolicy {
                    attempts: 60,
                    backoff: Backoff {
                        base_ms: 200,
                        max_ms: 1_000,
                    },
                    seed: n as u64,
                };
                let mut ids = Vec::new();
                for k in 0..EACH {
                    let id = scene.mint();
                    let body = text(&format!("{n}/{k}"));
                    let outcome =
                        send_with_retry(policy, &id, &to, &body, || Some(engine.clone())).await;
                    assert!(
                        matches!(outcome, SendOutcome::HandedOff(ack) if ack >= Ack::Server),
                        "{n}/{k}: {outcome:?}"
                    );
                    ids.push(id);
                }
                (to, ids)
            })
        })
        .collect();
    let unrest = {
        let (scene, done) = (scene.clone(), done.clone());
        run(async move {
            let mut reloads = 0_u64;
            // At moments that move through the page's start and its work.
            while !done.load(Ordering::Relaxed) && reloads < 12 {
                tokio::time::sleep(Duration::from_millis(300 + 170 * (reloads % 7))).await;
                scene.connector.inject(Injected::ReloadPage).await.unwrap();
                reloads += 1;
            }
            reloads
        })
    };
    let mut sent = Vec::new();
    for task in chats {
        sent.push(task.await.unwrap());
    }
    done.store(true, Ordering::Relaxed);
    let reloads = unrest.await.unwrap();
    assert!(
        reloads >= 2,
        "the messages were through before anything happened"
    );

    for (to, ids) in sent {
        for id in &ids {
            scene.delivered(id).await;
            assert_eq!(scene.taken_and_delivered(id), (1, 1), "{id}");
        }
        let order: Vec<String> = scene
            .sim
            .control()
            .journal(0, usize::MAX, &[Event::Taken])
            .entries
            .into_iter()
            .filter(|e| e.chat.as_deref().is_some_and(|c| c.contains(to.user())))
            .filter_map(|e| e.id)
            .collect();
        let wanted: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        assert_eq!(order, wanted, "{to}");
    }
    drop(engine);
    Arc::into_inner(scene).unwrap().end().await;
}
