use super::*;

#[test]
fn acks_receipts_and_reading_come_after_their_delays() {
    let mut bench = Bench::new(Knobs {
        ack_delay_ms: 100,
        delivery_delay_ms: 300,
        read_delay_ms: 1_000,
        sync_delay_ms: 0,
        ..Knobs::default()
    });
    let login = bench.link();
    let conn = bench.log_in(&login, 0);
    bench.text(conn, "3EB01", BOB, "hello");
    bench.at(99);
    assert!(!bench.plains(conn).any(|p| matches!(p, Plain::Ack { .. })));
    bench.at(100);
    assert!(bench.plains(conn).any(|p| matches!(p, Plain::Ack { .. })));
    bench.at(299);
    assert!(bench.levels(conn).is_empty());
    bench.at(300);
    assert_eq!(bench.levels(conn), [2]);
    bench.at(1_299);
    assert_eq!(bench.levels(conn), [2]);
    bench.at(1_300);
    assert_eq!(bench.levels(conn), [2, 3]);
}

#[test]
fn a_shorter_delay_lets_nothing_overtake() {
    let mut bench = Bench::new(Knobs {
        delivery_delay_ms: 5_000,
        ..quick()
    });
    let login = bench.link();
    let conn = bench.log_in(&login, 0);
    bench.text(conn, "3EB01", BOB, "slow");
    let patch = json!({"delivery_delay_ms": 0});
    bench.world.turn(patch.as_object().unwrap()).unwrap();
    bench.text(conn, "3EB02", BOB, "fast");
    bench.at(1_000);
    assert!(bench.events(Event::Delivered).is_empty());
    bench.at(5_000);
    let order: Vec<_> = bench
        .events(Event::Delivered)
        .iter()
        .map(|e| e.id.clone().unwrap())
        .collect();
    assert_eq!(order, ["3EB01", "3EB02"]);
}

#[test]
fn a_phone_that_is_off_gets_everything_in_order_when_it_is_back() {
    let mut bench = Bench::new(quick());
    let login = bench.link();
    let conn = bench.log_in(&login, 0);
    let online = |online| PersonPatch {
        online: Some(online),
        ..PersonPatch::default()
    };
    bench.world.patch_person(BOB, online(false)).unwrap();
    for n in 0..5 {
        bench.text(conn, &format!("3EB0{n}"), BOB, "x");
    }
    bench.at(60_000);
    assert!(bench.events(Event::Delivered).is_empty());
    assert!(bench.levels(conn).is_empty());
    bench.world.patch_person(BOB, online(true)).unwrap();
    bench.listen();
    let order: Vec<_> = bench
        .events(Event::Delivered)
        .iter()
        .map(|e| e.id.clone().unwrap())
        .collect();
    assert_eq!(order, ["3EB00", "3EB01", "3EB02", "3EB03", "3EB04"]);
    assert_eq!(bench.levels(conn), [2; 5]);
}

#[test]
fn a_server_and_phones_that_forget_ids_deliver_twice() {
    for (server, phones, delivered, dropped) in [
        (true, true, 1, 0),
        (false, true, 1, 1),
        (false, false, 2, 0),
    ] {
        let mut bench = Bench::new(Knobs {
            drop_repeats: server,
            recipients_drop_repeats: phones,
            ..quick()
        });
        let login = bench.link();
        let conn = bench.log_in(&login, 0);
        bench.text(conn, "3EB01", BOB, "x");
        bench.text(conn, "3EB01", BOB, "x");
        bench.at(1_000);
        assert_eq!(bench.events(Event::Delivered).len(), delivered);
        assert_eq!(bench.events(Event::DeliveredRepeat).len(), dropped);
        assert_eq!(
            bench.world.journal().repeats_dropped(),
            u64::from(server),
            "{server} {phones}"
        );
    }
}

#[test]
fn voice_notes_are_played_and_reactions_are_not_read() {
    let mut bench = Bench::new(quick());
    let login = bench.link();
    let conn = bench.log_in(&login, 0);
    for (id, kind) in [("3EB01", "ptt"), ("3EB02", "reaction")] {
        bench.say(
            conn,
            &json!({"op": "send", "id": id, "chat": BOB, "kind": kind, "body": ""}),
        );
    }
    bench.at(10_000);
    let levels = |id: &str| -> Vec<i64> {
        bench
            .events(Event::Receipt)
            .iter()
            .filter(|e| e.id.as_deref() == Some(id))
            .filter_map(|e| e.level)
            .collect()
    };
    assert_eq!(levels("3EB01"), [2, 3, 4]);
    assert_eq!(levels("3EB02"), [2]);
}

#[test]
fn a_note_to_oneself_is_read_by_ones_own_phone() {
    let mut bench = Bench::new(quick());
    let login = bench.link();
    let conn = bench.log_in(&login, 0);
    bench.text(conn, "3EB01", &format!("{PHONE}@c.us"), "canary");
    bench.at(1_000);
    assert_eq!(bench.levels(conn), [3]);
    assert_eq!(bench.events(Event::Incoming).len(), 0);
}
