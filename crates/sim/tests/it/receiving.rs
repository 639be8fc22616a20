use crate::client::{BOB, PHONE, Page, fast, link, login, start};
use serde_json::{Value, json};
use steadfast_sim::world::{NewAccount, OutsideMessage};

fn from_bob(text: &str, count: u32) -> OutsideMessage {
    OutsideMessage {
        from: BOB.to_owned(),
        text: text.to_owned(),
        count: Some(count),
        ..OutsideMessage::default()
    }
}

#[tokio::test]
async fn what_arrives_while_away_waits_in_order_until_it_is_confirmed() {
    let sim = start(fast()).await;
    let device = link(&sim).await;
    drop(login(&sim, &device).await);
    // More than go out at once without a confirmation.
    let ids = sim
        .control()
        .outside_message(PHONE, &from_bob("n {n}", 600))
        .unwrap();
    let mut page = Page::open(&sim).await;
    page.hello(&device, true).await;
    assert_eq!(page.until("offline").await["count"], 600);
    let mut first_sids = Vec::new();
    for _ in 0..256 {
        let message = page.until("message").await;
        assert_eq!(message["offline"], true);
        first_sids.push(message["sid"].clone());
    }
    // Only the first 100 are confirmed before the page dies.
    page.send(json!({"op": "received", "sids": first_sids[..100]}))
        .await;
    page.send(json!({"op": "ping", "n": 0})).await;
    page.until("pong").await;
    drop(page);
    let mut page = Page::open(&sim).await;
    page.hello(&device, true).await;
    assert_eq!(page.until("offline").await["count"], 500);
    let mut got: Vec<Value> = Vec::new();
    loop {
        let frame = page.next().await.unwrap();
        if frame["op"] == "offline_done" {
            break;
        }
        if frame["op"] == "message" {
            page.send(json!({"op": "received", "sids": [frame["sid"]]}))
                .await;
            got.push(frame["id"].clone());
        }
    }
    let expected: Vec<Value> = ids[100..].iter().map(|id| json!(id)).collect();
    assert_eq!(got, expected);
    let live = sim
        .control()
        .outside_message(PHONE, &from_bob("now", 1))
        .unwrap();
    let message = page.until("message").await;
    assert_eq!(
        (&message["id"], &message["offline"]),
        (&json!(live[0]), &json!(false))
    );
    assert_eq!(message["author"], format!("{BOB}@c.us"));
    sim.shutdown().await;
}

#[tokio::test]
async fn a_new_companion_gets_the_phones_history() {
    let sim = start(fast()).await;
    let mut page = login(&sim, &link(&sim).await).await;
    page.text("3EB0AA", &format!("{BOB}@c.us"), "hello").await;
    page.until("ack").await;
    sim.control()
        .outside_message(PHONE, &from_bob("hi", 1))
        .unwrap();
    sim.control().save_contact(PHONE, BOB, "Bob").unwrap();
    let device = link(&sim).await;
    let mut second = Page::open(&sim).await;
    second.hello(&device, false).await;
    let seen = second.caught_up().await;
    let sync = seen.iter().find(|f| f["op"] == "sync").unwrap();
    let bodies: Vec<&str> = sync["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|m| m["body"].as_str())
        .collect();
    assert_eq!(bodies, ["hello", "hi"]);
    assert_eq!(sync["chats"][0]["name"], "Bob");
    assert_eq!(sync["contacts"][0]["name"], "Bob");
    assert_eq!(sync["chats"][0]["unread"], 1);
    let older = second
        .ask(json!({"q": "history", "chat": format!("{BOB}@c.us"), "before": null, "count": 1}))
        .await;
    assert_eq!(
        (&older["messages"][0]["body"], &older["end"]),
        (&json!("hi"), &json!(false))
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn reading_on_one_companion_clears_the_other() {
    let sim = start(fast()).await;
    let mut one = login(&sim, &link(&sim).await).await;
    let mut two = login(&sim, &link(&sim).await).await;
    sim.control()
        .outside_message(PHONE, &from_bob("hi", 1))
        .unwrap();
    one.until("message").await;
    one.send(json!({"op": "read", "chat": format!("{BOB}@c.us"), "ids": []}))
        .await;
    let update = two.until("chat_update").await;
    assert_eq!(
        (&update["chat"], &update["unread"]),
        (&json!(format!("{BOB}@c.us")), &json!(0))
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn two_accounts_of_one_world_write_to_each_other() {
    let sim = start(fast()).await;
    sim.control()
        .create_account(NewAccount {
            phone: BOB.to_owned(),
            ..NewAccount::default()
        })
        .unwrap();
    sim.control().set_phone_online(BOB, false).unwrap();
    let mut ada = login(&sim, &link(&sim).await).await;
    ada.text("3EB0AA", &format!("{BOB}@c.us"), "to an account")
        .await;
    ada.until("ack").await;
    sim.control().set_phone_online(BOB, true).unwrap();
    let mut page = Page::open(&sim).await;
    page.hello(&Value::Null, false).await;
    let qr = page.until("qr").await;
    sim.control().scan(BOB, &page.code(&qr, 0)).unwrap();
    let device = page.until("paired").await["device"].clone();
    page.send(json!({"op": "paired_ok"})).await;
    page.end().await;
    let mut bob = login(&sim, &device).await;
    ada.text("3EB0BB", &format!("{BOB}@c.us"), "live").await;
    let message = bob.until("message").await;
    assert_eq!(
        (&message["id"], &message["from_me"]),
        (&json!("3EB0BB"), &json!(false))
    );
    assert_eq!(message["push_name"], "Ada");
    bob.send(json!({"op": "read", "chat": format!("{PHONE}@c.us"), "ids": ["3EB0BB"]}))
        .await;
    loop {
        let receipt = ada.until("receipt").await;
        if receipt["ids"] == json!(["3EB0BB"]) && receipt["level"] == 3 {
            break;
        }
    }
    sim.shutdown().await;
}
