//! Whatever comes through the pipe: the connection never panics, holds a
//! bounded amount of memory, and every call ends with an answer or a typed error.
//!
//! `PROPTEST_CASES` asks for more cases; a failure prints its case, shrunk,
//! and keeps its seed under `proptest-regressions/`.

use super::*;
use crate::event::PageEvents;
use crate::frame::FrameDecoder;
use garble::garbled;
use proptest::prelude::*;
use serde_json::Value;

#[path = "../../tests/fuzz/garble.rs"]
mod garble;

const LONG: Duration = Duration::from_mins(1);

/// Every kind of message that the connection reads.
fn valid() -> Vec<String> {
    let exception = r#"{"text":"Uncaught","url":"https://x/","lineNumber":3,
        "exception":{"description":"Error: x","value":{"a":[1]}}}"#;
    [
        r#"{"method":"Target.attachedToTarget","params":{"sessionId":"S2","targetInfo":{"targetId":"T2","type":"page"}}}"#.to_owned(),
        r#"{"method":"Target.detachedFromTarget","params":{"sessionId":"S2"}}"#.to_owned(),
        r#"{"method":"Target.targetDestroyed","params":{"targetId":"T2"}}"#.to_owned(),
        r#"{"method":"Target.targetCrashed","params":{"targetId":"T"}}"#.to_owned(),
        r#"{"method":"Inspector.targetCrashed","sessionId":"S"}"#.to_owned(),
        r#"{"method":"Inspector.targetReloadedAfterCrash","sessionId":"S"}"#.to_owned(),
        r#"{"method":"Runtime.executionContextCreated","sessionId":"S","params":{"context":
            {"id":1,"uniqueId":"u","origin":"o","auxData":{"isDefault":true,"frameId":"T"}}}}"#.to_owned(),
        r#"{"method":"Runtime.executionContextDestroyed","sessionId":"S","params":{"executionContextUniqueId":"u"}}"#.to_owned(),
        r#"{"method":"Runtime.executionContextsCleared","sessionId":"S"}"#.to_owned(),
        r#"{"method":"Runtime.bindingCalled","sessionId":"S","params":{"name":"n","payload":"p","executionContextId":1}}"#.to_owned(),
        format!(r#"{{"method":"Runtime.exceptionThrown","sessionId":"S","params":{{"exceptionDetails":{exception}}}}}"#),
        r#"{"method":"Runtime.exceptionThrown","sessionId":"S","params":{"exceptionDetails":{"text":"x","url":"u","lineNumber":3}}}"#.to_owned(),
        r#"{"method":"Page.frameNavigated","sessionId":"S","params":{"frame":{"id":"T","url":"https://x/"}}}"#.to_owned(),
        r#"{"method":"Page.loadEventFired","sessionId":"S","params":{}}"#.to_owned(),
        r#"{"method":"Page.javascriptDialogOpening","sessionId":"S","params":{"type":"alert","message":"m"}}"#.to_owned(),
        r#"{"id":1,"sessionId":"S","result":{"result":{"type":"object","value":{"a":1}}}}"#.to_owned(),
        r#"{"id":1,"result":{"result":{"type":"number","unserializableValue":"NaN"}}}"#.to_owned(),
        format!(r#"{{"id":1,"result":{{"result":{{"type":"object","subtype":"error"}},"exceptionDetails":{exception}}}}}"#),
        r#"{"id":1,"error":{"code":-32000,"message":"Execution was terminated"}}"#.to_owned(),
        r#"{"id":9007199254740993,"result":{}}"#.to_owned(),
        // In the right form, with a number that leaves no room for one more.
        r#"{"method":"Runtime.exceptionThrown","sessionId":"S","params":{"exceptionDetails":{"text":"x","url":"u","lineNumber":18446744073709551615}}}"#.to_owned(),
    ]
    .to_vec()
}

fn attached() -> (Arc<Connection>, Arc<Session>) {
    let connection = Arc::new(Connection::new());
    connection.take(
        br#"{"method":"Target.attachedToTarget","params":{"sessionId":"S","targetInfo":{"targetId":"T"}}}"#,
    );
    let session = connection.session("S").unwrap();
    (connection, session)
}

/// Reads all that waits; how much text that was.
fn drain(events: &mut PageEvents) -> usize {
    std::iter::from_fn(|| events.try_recv())
        .map(|event| format!("{event:?}").len())
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nearly_right_messages_break_nothing(
        messages in prop::collection::vec(garbled(valid()), 1..12)
    ) {
        let (connection, session) = attached();
        let mut events = session.subscribe();
        for message in &messages {
            connection.take(&message.0);
            drain(&mut events);
        }
        prop_assert_eq!(connection.phase(), Phase::Open);
        prop_assert!(connection.table().queue.len() <= messages.len());
    }

    #[test]
    fn any_answer_is_read_or_refused(answer in garbled(valid()), written: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (connection, session) = attached();
            let call = connection.call(Some(&session), "M.m", (), LONG, OnCrashed::Refuse);
            let answered = async {
                if written {
                    connection.next_commands(&mut Vec::new()).await;
                }
                connection.take(&answer.0);
            };
            // The clock is paused: an answer that names no call of ours ends in a timeout at once.
            let (ended, ()) = tokio::join!(biased; call, answered);
            assert!(written || ended.is_err(), "an answer to what was not asked");
            if let Ok(raw) = ended {
                let _ = wire::read_evaluated::<Value>("M.m", &raw);
                let _ = wire::read_evaluated::<String>("M.m", &raw);
                let _ = wire::read::<Attached>("M.m", &raw);
            }
            let table = connection.table();
            assert!(table.pending.is_empty());
            let queued: usize = table.queue.iter().map(|command| command.bytes.len()).sum();
            assert_eq!(table.queued_bytes, queued);
        });
    }

    #[test]
    fn frames_are_the_same_wherever_the_stream_is_cut(
        messages in prop::collection::vec(garbled(valid()), 0..6),
        rest in prop::collection::vec(any::<u8>(), 0..40),
        limit in prop_oneof![Just(64_usize), Just(1 << 20)],
        pieces in prop::collection::vec(1..64_usize, 1..200),
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend(&message.0);
            stream.push(0);
        }
        stream.extend(rest);
        let read = |pieces: &mut dyn Iterator<Item = usize>| {
            let (mut decoder, mut frames, mut left) = (FrameDecoder::new(limit), Vec::new(), &stream[..]);
            while !left.is_empty() {
                let (piece, after) = left.split_at(pieces.next().unwrap_or(1).min(left.len()));
                left = after;
                decoder.room().extend_from_slice(piece);
                loop {
                    match decoder.next_frame() {
                        Ok(Some(frame)) => frames.push(frame.to_vec()),
                        Ok(None) => break,
                        // Nothing is read after this; what came before is the same.
                        Err(_) => return (frames, true),
                    }
                }
            }
            (frames, false)
        };
        let whole = read(&mut std::iter::repeat(stream.len().max(1)));
        prop_assert_eq!(read(&mut std::iter::repeat(1)), whole.clone());
        prop_assert_eq!(read(&mut pieces.iter().copied().cycle()), whole);
    }
}

/// A number that only a patched browser would send, kept because it once was a panic.
#[test]
fn the_last_line_of_a_file_may_have_any_number() {
    let (connection, session) = attached();
    let mut events = session.subscribe();
    for message in valid() {
        connection.take(message.as_bytes());
    }
    assert!(drain(&mut events) > 0);
}

#[test]
fn a_flood_of_pages_is_bounded() {
    let (connection, _session) = attached();
    for page in 0..20_000 {
        connection.take(
            format!(
                r#"{{"method":"Target.attachedToTarget","params":{{"sessionId":"F{page}","targetInfo":{{"targetId":"T{page}"}}}}}}"#
            )
            .as_bytes(),
        );
    }
    assert!(connection.table().sessions.len() <= MAX_SESSIONS);
    // A page that goes makes room for the next one.
    connection.take(br#"{"method":"Target.detachedFromTarget","params":{"sessionId":"F0"}}"#);
    connection.take(
        br#"{"method":"Target.attachedToTarget","params":{"sessionId":"new","targetInfo":{"targetId":"N"}}}"#,
    );
    assert!(connection.session("new").is_some());
}

#[test]
fn a_flood_of_events_that_nobody_reads_is_bounded() {
    let (connection, session) = attached();
    let mut events = session.subscribe();
    let long = "x".repeat(1 << 20);
    let flood = [
        format!(
            r#"{{"method":"Runtime.executionContextCreated","sessionId":"S","params":{{"context":{{"id":1,"uniqueId":"u","origin":"{long}"}}}}}}"#
        ),
        format!(
            r#"{{"method":"Runtime.executionContextDestroyed","sessionId":"S","params":{{"executionContextUniqueId":"{long}"}}}}"#
        ),
        format!(
            r#"{{"method":"Runtime.bindingCalled","sessionId":"S","params":{{"name":"{long}","payload":"","executionContextId":1}}}}"#
        ),
        format!(
            r#"{{"method":"Page.javascriptDialogOpening","sessionId":"S","params":{{"type":"{long}","message":""}}}}"#
        ),
    ];
    for message in flood.iter().cycle().take(64) {
        connection.take(message.as_bytes());
    }
    // Eight mebibytes, and one message more.
    assert!(drain(&mut events) <= 10 << 20);
}

/// The real loops on real pipes, against a peer that writes without end and reads nothing.
#[tokio::test]
async fn a_peer_that_floods_and_never_reads_leaves_every_call_answered() {
    use tokio::io::AsyncWriteExt as _;
    let (connection, session) = attached();
    let ((to_us, from_peer), (to_peer, from_us)) = (
        tokio::net::unix::pipe::pipe().unwrap(),
        tokio::net::unix::pipe::pipe().unwrap(),
    );
    let mut work = tokio::task::JoinSet::new();
    work.spawn(read_loop(Arc::clone(&connection), from_peer));
    work.spawn(write_loop(Arc::clone(&connection), to_peer));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..600 {
        let (connection, session) = (Arc::clone(&connection), Arc::clone(&session));
        calls.spawn(async move {
            let text = "x".repeat(4_096);
            connection
                .call(Some(&session), "M.m", text, LONG, OnCrashed::Refuse)
                .await
        });
    }
    let mut peer = to_us;
    let large = format!(
        r#"{{"method":"Runtime.bindingCalled","sessionId":"S","params":{{"name":"n","payload":"{}","executionContextId":1}}}}"#,
        "x".repeat(16 << 20)
    );
    let mut events = session.subscribe();
    peer.write_all(large.as_bytes()).await.unwrap();
    peer.write_all(b"\0\0\0{\"id\":99999999,\"result\":{}}\0not json\0")
        .await
        .unwrap();
    for message in valid()
        .iter()
        .filter(|message| message.contains("bindingCalled"))
        .cycle()
        .take(5_000)
    {
        peer.write_all(message.as_bytes()).await.unwrap();
        peer.write_all(b"\0").await.unwrap();
    }
    let seen = tokio::time::timeout(LONG, events.recv()).await.unwrap();
    assert!(
        matches!(seen, Some(crate::event::PageEvent::BindingCalled { payload, .. }) if payload.len() == 16 << 20)
    );
    drop((peer, from_us));
    // The peer has gone: nobody is left waiting.
    let ended = tokio::time::timeout(LONG, calls.join_all()).await.unwrap();
    assert_eq!(ended.len(), 600);
    for answer in ended {
        assert!(
            matches!(
                answer,
                Err(Error::BrowserGone { .. } | Error::Overloaded { .. })
            ) || answer.is_ok()
        );
    }
    tokio::time::timeout(LONG, work.join_all()).await.unwrap();
    assert!(connection.table().pending.is_empty());
}

/// A frame without an end: what was read is given up at the bound, not kept for ever.
#[tokio::test]
async fn a_frame_beyond_the_bound_ends_the_connection() {
    let mut decoder = FrameDecoder::new(16 << 20);
    let piece = vec![b'x'; 1 << 20];
    let mut refused = None;
    for pieces in 1..=20 {
        decoder.room().extend_from_slice(&piece);
        if decoder.next_frame().is_err() {
            refused = Some(pieces);
            break;
        }
    }
    assert_eq!(refused, Some(17));
}
