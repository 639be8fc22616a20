use super::*;

#[test]
fn each_ref_is_good_until_its_own_time_is_over() {
    let mut bench = Bench::new(quick());
    let conn = bench.hello(None, false);
    let refs = bench.refs(conn);
    // 20 s each and half a second for the way: the first is dead, the second not.
    bench.at(20_501);
    assert_eq!(refused(bench.scan(&refs[0])), PhoneRefusal::Expired);
    bench.at(120_501);
    assert_eq!(refused(bench.scan(&refs[5])), PhoneRefusal::Expired);
    bench.say(conn, &json!({"op": "refresh_qr"}));
    let fresh = bench.refs(conn);
    assert_eq!(refused(bench.scan(&refs[5])), PhoneRefusal::Expired);
    bench.at(120_501 + 100_500);
    assert_eq!(refused(bench.scan(&fresh[3])), PhoneRefusal::Expired);
    bench.scan(&fresh[5]).unwrap();
}

#[test]
fn pairing_codes_end_and_are_used_once() {
    let mut bench = Bench::new(quick());
    let conn = bench.hello(None, false);
    let number = account();
    let ask = |bench: &mut Bench, rid: u64| {
        bench.say(
            conn,
            &json!({"op": "pair_code_request", "rid": rid, "phone": format!("+{PHONE}")}),
        );
        let Some(Plain::Result { ok, body, .. }) = bench.plains(conn).next_back() else {
            panic!("no answer");
        };
        (*ok, body.clone())
    };
    let (_, first) = ask(&mut bench, 1);
    let (ok, again) = ask(&mut bench, 2);
    assert_eq!((ok, &again["code"]), (false, &json!(429)));
    bench.at(180_001);
    let late = bench
        .world
        .enter_pairing_code(&number, first["code"].as_str().unwrap());
    assert_eq!(refused(late), PhoneRefusal::Expired);
    let (_, second) = ask(&mut bench, 3);
    let code = second["code"].as_str().unwrap();
    bench
        .world
        .create_account(NewAccount {
            phone: "4915100000099".to_owned(),
            ..NewAccount::default()
        })
        .unwrap();
    let other = Number::parse("4915100000099").unwrap();
    assert_eq!(
        refused(bench.world.enter_pairing_code(&other, code)),
        PhoneRefusal::OtherNumber
    );
    bench.world.enter_pairing_code(&number, code).unwrap();
    assert_eq!(
        refused(bench.world.enter_pairing_code(&number, code)),
        PhoneRefusal::Expired
    );
}

#[test]
fn a_phone_links_four_companions_and_no_more() {
    let mut bench = Bench::new(quick());
    for _ in 0..4 {
        bench.link();
    }
    let conn = bench.hello(None, false);
    let reference = bench.refs(conn)[0].clone();
    assert_eq!(
        refused(bench.scan(&reference)),
        PhoneRefusal::TooManyDevices
    );
    let number = account();
    assert_eq!(bench.world.unlink(&number, None, 0).unwrap(), 4);
    bench.scan(&reference).unwrap();
}

#[test]
fn silence_is_ended_by_deadlines() {
    let mut bench = Bench::new(quick());
    let mute = bench.world.connect();
    let showing = bench.hello(None, false);
    let reference = bench.refs(showing)[0].clone();
    bench.scan(&reference).unwrap();
    bench.at(9_999);
    assert!(bench.closed.is_empty());
    bench.at(10_000);
    // One said no hello, the other did not commit its login.
    assert_eq!(bench.closed, [(mute, Some(1002)), (showing, Some(1002))]);
    let number = account();
    assert!(bench.world.view(&number).unwrap().devices.is_empty());
}

#[test]
fn a_ban_ends_by_its_time_and_a_lock_does_not() {
    let mut bench = Bench::new(quick());
    let login = bench.link();
    let number = account();
    let conn = bench.log_in(&login, 0);
    bench.world.ban(&number, Some(60_000)).unwrap();
    bench.listen();
    assert_eq!(bench.closed.last(), Some(&(conn, Some(1000))));
    let conn = bench.hello(Some(&login), true);
    assert!(
        bench
            .plains(conn)
            .any(|p| matches!(p, Plain::Failure { reason: 402, expire_s, .. } if *expire_s == 60))
    );
    bench.at(60_000);
    bench.log_in(&login, 60_000);
    bench.world.ban(&number, None).unwrap();
    bench.at(10_000_000);
    let conn = bench.hello(Some(&login), true);
    assert!(bench.plains(conn).any(|p| matches!(
        p,
        Plain::Failure {
            reason: 403,
            logout_reason: 3,
            ..
        }
    )));
}
