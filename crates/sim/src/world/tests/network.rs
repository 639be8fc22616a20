use super::*;

#[test]
fn a_black_hole_hears_and_says_nothing_but_the_world_goes_on() {
    let mut bench = Bench::new(quick());
    let login = bench.link();
    let conn = bench.log_in(&login, 0);
    bench.text(conn, "3EB01", BOB, "before");
    bench.world.fault(Fault::BlackHole { ms: 5_000 }).unwrap();
    bench.listen();
    let said = bench.told.len();
    bench.text(conn, "3EB02", BOB, "inside");
    bench.at(4_999);
    assert_eq!(bench.told.len(), said);
    assert_eq!(bench.events(Event::Delivered).len(), 1);
    assert_eq!(bench.events(Event::Taken).len(), 1);
    bench.at(5_000);
    assert_eq!(bench.closed.last(), Some(&(conn, None)));
    // The receipt that nobody heard waits for the next connection.
    let conn = bench.log_in(&login, 5_000);
    assert_eq!(bench.levels(conn), [2, 3]);
}

#[test]
fn a_later_outage_is_not_ended_by_the_timer_of_an_earlier_one() {
    let mut bench = Bench::new(quick());
    bench.world.fault(Fault::NetworkAway { ms: 1_000 }).unwrap();
    bench.world.fault(Fault::NetworkBack).unwrap();
    bench.at(500);
    bench.world.fault(Fault::NetworkAway { ms: 1_000 }).unwrap();
    bench.at(1_000);
    assert_eq!(bench.world.network(), Network::Refusing);
    bench.at(1_500);
    assert_eq!(bench.world.network(), Network::Up);
}
