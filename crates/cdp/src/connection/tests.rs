//! The connection's rules, held without a browser.

use super::*;
use crate::event::PageEvent;
use proptest::prelude::*;

const LONG: Duration = Duration::from_mins(1);

/// A connection with one page, as after an attach.
fn attached() -> (Arc<Connection>, Arc<Session>) {
    let connection = Arc::new(Connection::new());
    connection.take(
        br#"{"method":"Target.attachedToTarget","params":{"sessionId":"S","targetInfo":{"targetId":"T","type":"page"}}}"#,
    );
    let session = connection.session("S").unwrap();
    (connection, session)
}

/// Starts a call and lets it be registered.
async fn called(
    connection: &Arc<Connection>,
    session: &Arc<Session>,
) -> tokio::task::JoinSet<Answer> {
    let mut call = tokio::task::JoinSet::new();
    let (connection, session) = (Arc::clone(connection), Arc::clone(session));
    call.spawn(async move {
        connection
            .call(Some(&session), "M.m", (), LONG, OnCrashed::Refuse)
            .await
    });
    tokio::task::yield_now().await;
    call
}

async fn outcome(mut call: tokio::task::JoinSet<Answer>) -> Error {
    call.join_next().await.unwrap().unwrap().unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn whether_a_call_was_written_is_told_exactly() {
    let method = "M.m";
    for written in [false, true] {
        let in_flight = written;
        for (message, wanted) in [
            (
                r#"{"method":"Target.targetCrashed","params":{"targetId":"T"}}"#,
                Error::PageCrashed { method, in_flight },
            ),
            (
                r#"{"method":"Inspector.targetCrashed","sessionId":"S"}"#,
                Error::PageCrashed { method, in_flight },
            ),
            (
                r#"{"method":"Target.detachedFromTarget","params":{"sessionId":"S"}}"#,
                Error::PageGone { method, in_flight },
            ),
            (
                r#"{"method":"Target.targetDestroyed","params":{"targetId":"T"}}"#,
                Error::PageGone { method, in_flight },
            ),
        ] {
            let (connection, session) = attached();
            let call = called(&connection, &session).await;
            let mut bytes = Vec::new();
            if written {
                connection.next_commands(&mut bytes).await;
            }
            connection.take(message.as_bytes());
            assert_eq!(outcome(call).await, wanted);
            // What was not written never will be.
            assert!(!connection.table().dequeue(&mut Vec::new()));
            assert_eq!(connection.table().queued_bytes, 0);
        }
        let (connection, session) = attached();
        let call = called(&connection, &session).await;
        if written {
            connection.next_commands(&mut Vec::new()).await;
        }
        // The clock is paused: nothing else is to be done, so the deadline comes.
        assert_eq!(
            outcome(call).await,
            Error::Timeout {
                method,
                after: LONG,
                in_flight
            }
        );
        assert!(!connection.table().dequeue(&mut Vec::new()));
    }
}

#[tokio::test]
async fn a_crash_is_told_once_and_ends_with_the_reload() {
    let (connection, session) = attached();
    let mut events = session.subscribe();
    for _ in 0..2 {
        connection.take(br#"{"method":"Inspector.targetCrashed","sessionId":"S"}"#);
        connection.take(br#"{"method":"Target.targetCrashed","params":{"targetId":"T"}}"#);
        assert_eq!(*session.state.borrow(), PageState::Crashed);
        let call = called(&connection, &session).await;
        assert_eq!(
            outcome(call).await,
            Error::PageCrashed {
                method: "M.m",
                in_flight: false
            }
        );
        connection.take(br#"{"method":"Inspector.targetReloadedAfterCrash","sessionId":"S"}"#);
        assert_eq!(*session.state.borrow(), PageState::Alive);
        assert_eq!(events.try_recv(), Some(PageEvent::Crashed));
        assert_eq!(events.try_recv(), Some(PageEvent::Revived));
        assert_eq!(events.try_recv(), None);
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_behind() {
    let (connection, session) = attached();
    let call = called(&connection, &session).await;
    assert_eq!(connection.table().pending.len(), 1);
    drop(call);
    tokio::task::yield_now().await;
    assert_eq!(connection.table().pending.len(), 0);
    assert_eq!(connection.table().queue.len(), 0);
}

/// Messages of the right shape with strange contents.
fn strange() -> impl Strategy<Value = Vec<u8>> {
    let method = prop_oneof![
        Just("Target.attachedToTarget"),
        Just("Target.detachedFromTarget"),
        Just("Target.targetCrashed"),
        Just("Inspector.targetCrashed"),
        Just("Inspector.targetReloadedAfterCrash"),
        Just("Runtime.executionContextCreated"),
        Just("Runtime.executionContextDestroyed"),
        Just("Runtime.executionContextsCleared"),
        Just("Runtime.bindingCalled"),
        Just("Runtime.exceptionThrown"),
        Just("Page.frameNavigated"),
        Just("Page.javascriptDialogOpening"),
        Just("No.such"),
    ];
    let params = prop_oneof![
        Just(String::from("{}")),
        Just(String::from("[]")),
        Just(String::from("null")),
        Just(String::from(r#"{"targetId":"T","sessionId":"S"}"#)),
        Just(String::from(r#"{"frame":{"url":"\ud83d"}}"#)),
        Just(String::from(
            r#"{"context":{"id":1,"uniqueId":"u","auxData":{"isDefault":true,"frameId":"T"}}}"#
        )),
        Just(String::from(r#"{"exceptionDetails":{"text":"\udc00"}}"#)),
        ".{0,20}",
    ];
    (method, params, any::<bool>()).prop_map(|(method, params, on_page)| {
        let session = if on_page { r#","sessionId":"S""# } else { "" };
        format!(r#"{{"method":"{method}","params":{params}{session}}}"#).into_bytes()
    })
}

proptest! {
    #[test]
    fn no_message_breaks_the_connection(
        messages in prop::collection::vec(
            prop_oneof![strange(), prop::collection::vec(any::<u8>(), 0..40)], 0..30
        )
    ) {
        let (connection, _session) = attached();
        for message in &messages {
            connection.take(message);
        }
        prop_assert_eq!(connection.phase(), Phase::Open);
        // It still serves a new page.
        connection.take(
            br#"{"method":"Target.attachedToTarget","params":{"sessionId":"S2","targetInfo":{"targetId":"T2"}}}"#,
        );
        prop_assert!(connection.session("S2").is_some());
    }
}
