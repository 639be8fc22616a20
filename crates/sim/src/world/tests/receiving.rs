use super::*;

#[test]
fn a_long_history_comes_in_chunks_that_are_answered_one_by_one() {
    let mut bench = Bench::new(Knobs {
        history_messages: 10,
        ..quick()
    });
    let number = account();
    for n in 0..120 {
        let message = OutsideMessage {
            from: format!("49152{n:08}"),
            text: "m{n}".to_owned(),
            count: Some(12),
            ..OutsideMessage::default()
        };
        bench.world.outside_message(&number, &message).unwrap();
    }
    let login = bench.link();
    let conn = bench.hello(Some(&login), false);
    let (mut chats, mut messages) = (0, 0);
    for n in 1..=6 {
        let sent: Vec<_> = bench
            .plains(conn)
            .filter_map(|p| match p {
                Plain::Sync(chunk) => Some(chunk),
                _ => None,
            })
            .collect();
        assert_eq!(sent.len(), n, "no chunk before the last was answered");
        let chunk = sent[n - 1];
        assert_eq!((chunk.chunk, chunk.chunks), (n, 6));
        chats += chunk.chats.len();
        messages += chunk.messages.len();
        bench.say(conn, &json!({"op": "sync_ok", "chunk": n}));
    }
    assert_eq!((chats, messages), (120, 1_200));
    bench.at(1);
    assert!(bench.plains(conn).any(|p| matches!(p, Plain::OfflineDone)));
}

#[test]
fn items_stay_queued_until_they_are_confirmed_and_keep_their_sids() {
    let mut bench = Bench::new(quick());
    let number = account();
    let login = bench.link();
    let first = bench.log_in(&login, 0);
    let message = OutsideMessage {
        from: BOB.to_owned(),
        text: "{n}".to_owned(),
        count: Some(3),
        ..OutsideMessage::default()
    };
    bench.world.outside_message(&number, &message).unwrap();
    bench.listen();
    assert_eq!(bench.items(first).len(), 3);
    bench.say(first, &json!({"op": "received", "sids": [2, 99]}));
    bench.world.closed(first);
    let second = bench.log_in(&login, 1);
    let sids: Vec<_> = bench
        .items(second)
        .iter()
        .map(|(s, o, _)| (*s, *o))
        .collect();
    assert_eq!(sids, [(1, true), (3, true)]);
    bench.say(second, &json!({"op": "received", "sids": [1, 3]}));
    bench.world.closed(second);
    let third = bench.log_in(&login, 2);
    assert!(bench.items(third).is_empty());
}

#[test]
fn groups_let_in_whom_they_should() {
    let mut bench = Bench::new(quick());
    let login = bench.link();
    let conn = bench.log_in(&login, 0);
    let number = account();
    let owner = Number::parse("4915100000002").unwrap();
    let group = bench
        .world
        .create_group("Trip", &owner, std::slice::from_ref(&number))
        .unwrap();
    bench.listen();
    assert!(
        bench
            .items(conn)
            .iter()
            .any(|(_, _, i)| matches!(i, Item::GroupUpdate { action, .. } if action == "create"))
    );
    bench.text(conn, "3EB01", &group, "hello all");
    let ask = |bench: &mut Bench, question: Value| {
        let mut question = question;
        question["op"] = json!("query");
        question["rid"] = json!(1);
        bench.say(conn, &question);
        match bench.plains(conn).next_back() {
            Some(Plain::Result { ok, body, .. }) => (*ok, body.get("code").cloned()),
            other => panic!("{other:?}"),
        }
    };
    let add = json!({"q": "group_participants", "id": group, "action": "add", "participants": ["4915100000003"]});
    assert_eq!(ask(&mut bench, add), (false, Some(json!(403))));
    assert!(ask(&mut bench, json!({"q": "group_leave", "id": group})).0);
    bench.text(conn, "3EB02", &group, "from outside");
    bench.at(100);
    let refused = bench.events(Event::Refused);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].level, Some(403));
    assert_eq!(bench.events(Event::Taken).len(), 1);
}

/// Frames of every op with members of every wrong kind: nothing panics, and
/// the world still works.
#[test]
fn nonsense_breaks_nothing() {
    let mut bench = Bench::new(quick());
    let login = bench.link();
    let conn = bench.log_in(&login, 0);
    let mut rng = Rng::new(9);
    let values = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("@"),
        json!("x".repeat(3_000)),
        json!([]),
        json!([[{}]]),
        json!({}),
        json!(true),
        json!(BOB),
        json!("120363@g.us"),
    ];
    let members = [
        "n",
        "rid",
        "phone",
        "id",
        "chat",
        "kind",
        "body",
        "content",
        "sids",
        "ids",
        "state",
        "available",
        "q",
        "chunk",
        "text",
        "participants",
        "action",
        "subject",
        "value",
        "before",
        "count",
        "code",
        "level",
    ];
    let questions = [
        "exists",
        "lids",
        "media_conn",
        "history",
        "chat",
        "chat_action",
        "contact",
        "profile_picture",
        "about",
        "set_push_name",
        "set_about",
        "blocklist",
        "block",
        "group_create",
        "group_info",
        "groups",
        "group_participants",
        "group_set",
        "group_leave",
        "group_invite",
        "group_by_invite",
        "group_join",
        "devices",
    ];
    for _ in 0..5_000 {
        let pick = |rng: &mut Rng, n: usize| rng.below(n as u64) as usize;
        let op = CLIENT_OPS[pick(&mut rng, CLIENT_OPS.len())];
        let mut frame = json!({"op": op});
        for _ in 0..pick(&mut rng, 6) {
            let member = members[pick(&mut rng, members.len())];
            frame[member] = values[pick(&mut rng, values.len())].clone();
        }
        if op == "query" {
            frame["q"] = json!(questions[pick(&mut rng, questions.len())]);
        }
        bench.say(conn, &frame);
        bench.told.clear();
    }
    bench.text(conn, "3EB0FFFF", BOB, "still there");
    assert!(bench.plains(conn).any(|p| matches!(p, Plain::Ack { .. })));
}
