//! `steadfast-client` and a gateway: everything that it asks, over the scripted
//! engine; and the real binary killed in between.

use crate::binary::{Serving, steadfast};
use crate::http_front_door::certificate;
use crate::port::Held;
use crate::scripted::Scripted;
use crate::surface::Surface;
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::time::Duration;
use steadfast_client::{
    Batch, Client, Error, Listing, MediaKind, Message, NewWebhook, Priority, SessionState, Start,
    Status, Transport, Wait,
};
use steadfast_core::outbox::MediaKind as CoreKind;
use steadfast_gateway::clock::{Clock as _, SystemClock};
use steadfast_sim::contract::SampleFile;

const FRIEND: &str = "4915123456789";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_sends_looks_and_follows() {
    let gateway = Scripted::ready(|config| {
        config.outgoing.allow = vec!["127.0.0.1".to_owned()];
    })
    .await;
    let url = format!("http://{}", gateway.address);
    let client = Client::new(&url, &gateway.token).unwrap();
    let readiness = client.readiness().await.unwrap();
    assert!(readiness.ready && readiness.checks["store"].status == "pass");
    assert_eq!(readiness.sessions["ready"], 1);
    assert_eq!(
        client.alive().await.unwrap().version,
        env!("CARGO_PKG_VERSION")
    );
    let session = client.session("default").await.unwrap();
    assert_eq!((session.state, session.ready), (SessionState::Ready, true));
    assert_eq!(client.sessions().await.unwrap().len(), 1);
    let numbers = client.check_numbers("default", &[FRIEND]).await.unwrap();
    assert_eq!((numbers[0].number.as_str(), numbers.len()), (FRIEND, 1));

    // A text, waited for; the same value again is the same message.
    let hello = Message::text(FRIEND, "hello").wait(Wait::Server, Duration::from_secs(20));
    let sent = client.send("default", &hello).await.unwrap();
    assert!(sent.reached && !sent.replayed, "{sent:?}");
    let again = client.send("default", &hello).await.unwrap();
    assert_eq!((&again.id, again.replayed), (&sent.id, true));

    // A file, out of memory and from the disk.
    let sample = SampleFile::of(CoreKind::Image);
    let file = client.upload(sample.bytes.clone()).await.unwrap();
    assert_eq!(
        (file.mime.as_str(), file.size),
        ("image/png", sample.bytes.len() as u64)
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    std::fs::write(&path, &sample.bytes).unwrap();
    assert_eq!(client.upload_file(path).await.unwrap(), file);
    let photo = Message::media(FRIEND, MediaKind::Image, &file)
        .caption("here it is")
        .priority(Priority::High)
        .expires_in(Duration::from_hours(1));
    let photo = client.send("default", &photo).await.unwrap();
    assert_eq!(client.message(&photo.id).await.unwrap().kind, "image");

    // Many at once, one of them wrong.
    let now = SystemClock.unix();
    let place = Message::of(FRIEND, "location")
        .field("latitude", 52.5)
        .field("longitude", 13.4);
    let batch = Batch::new([
        Message::text(FRIEND, "later").send_in(Duration::from_hours(1)),
        Message::text("12", "nobody"),
        place
            .send_at(now.plus(3_600_000).rfc3339())
            .expires_at(now.plus(7_200_000).rfc3339()),
    ]);
    let answer = client.send_batch("default", &batch).await.unwrap();
    assert_eq!((answer.accepted, answer.refused), (2, 1));
    let refused = answer.results[1].problem.as_ref().unwrap();
    assert_eq!(refused.code, "invalid_recipient");
    let later = answer.results[0].message.as_ref().unwrap();
    let repeated = client.send_batch("default", &batch).await.unwrap();
    assert_eq!(repeated.results[0].message.as_ref().unwrap().id, later.id);

    // What became of them.
    let newest = Listing::default().before("end").limit(3);
    let page = client.messages("default", &newest).await.unwrap();
    assert_eq!(
        (page.items[0].kind.as_str(), page.items.len()),
        ("location", 3)
    );
    let older = Listing::default().before(page.next.unwrap());
    let rest = client.messages("default", &older).await.unwrap();
    assert_eq!(rest.items[0].id, sent.id);
    let waits = client.message(&later.id).await.unwrap();
    assert_eq!(
        (waits.status, waits.waits_for.as_deref()),
        (Status::Accepted, Some("scheduled"))
    );
    let view = client.message(&sent.id).await.unwrap();
    assert_eq!(view.text.as_deref(), Some("hello"));
    assert!(!view.acks.is_empty(), "{view:?}");
    assert_eq!(view.attempt_log.len(), 1);
    let mut events = client
        .events(Start::Oldest)
        .types(["message.sent"])
        .sessions(["default"]);
    let told = events.next_page().await.unwrap();
    assert_eq!(
        (told.items[0].kind.as_str(), &told.items[0].data["id"]),
        ("message.sent", &sent.id.clone().into())
    );

    // The same log as a stream, on which what happens next comes by itself.
    let from = Start::After(told.items[0].seq.to_string());
    let stream = client.events(from).types(["message.sent"]).into_stream();
    let seen: Vec<_> = tokio::time::timeout(Duration::from_mins(1), async {
        let (seen, soon) = tokio::join!(stream.take(2).try_collect(), async {
            let soon = Message::text(FRIEND, "soon");
            client.send("default", &soon).await.unwrap()
        });
        let seen: Vec<steadfast_client::Event> = seen.unwrap();
        assert_eq!(seen[1].data["id"], soon.id);
        seen
    })
    .await
    .expect("two messages were sent");
    assert_eq!(seen[0].data["id"], photo.id);
    assert!(!seen[0].gap && seen[0].seq < seen[1].seq);

    // Problems by their codes.
    let error = client
        .send("nowhere", &Message::text(FRIEND, "x"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Problem(_)) && !error.may_be_accepted());
    assert_eq!(error.code(), Some("session_unknown"));
    let stranger = Client::new(&url, "sf_s_nobody").unwrap();
    assert_eq!(
        stranger.sessions().await.unwrap_err().code(),
        Some("token_unknown")
    );

    let hook = NewWebhook {
        url: "http://127.0.0.1:9/hook".to_owned(),
        events: vec!["session.deleted".to_owned()],
        ..NewWebhook::default()
    };
    let made = client.add_webhook(&hook).await.unwrap();
    assert!(made.secret.unwrap().expose().starts_with("whsec_"));
    let listed = client.webhooks().await.unwrap();
    assert_eq!((listed.len(), &listed[0].id), (1, &made.webhook.id));
    drop(client);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepts_and_events_go_on_over_a_killed_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let port = Held::some();
    let address = port.address;
    let serve = || {
        let mut command = steadfast(dir.path());
        command.args(["serve", "--listen", &address.to_string(), "--json"]);
        command
    };
    let gateway = Serving::start_as(&mut serve());
    // A try that hangs is not forgiven by the next one.
    let client = Client::builder(format!("http://{address}"), gateway.token())
        .deadline(Duration::from_mins(10))
        .patience(Duration::from_mins(1))
        .build()
        .unwrap();
    let first = client
        .send("default", &Message::text(FRIEND, "one"))
        .await
        .unwrap();
    let mut events = client.events(Start::Oldest).types(["message.accepted"]);
    let told = events.next_page().await.unwrap();
    assert_eq!(told.items[0].data["id"], first.id);
    let stream = client.events(Start::Oldest).types(["message.accepted"]);
    let mut stream = stream.into_stream();
    let streamed = stream.try_next().await.unwrap().unwrap();
    assert_eq!(streamed.data["id"], first.id);
    gateway.end("KILL");

    // Begun while nobody is there, and done once somebody is.
    let mut command = serve();
    let started = tokio::task::spawn_blocking(move || Serving::start_as(&mut command));
    let message = Message::text(FRIEND, "two");
    let sent = client.send("default", &message);
    let next = stream.try_next();
    let (sent, told, next, gateway) = tokio::join!(sent, events.next_page(), next, started);
    let (sent, gateway) = (sent.unwrap(), gateway.unwrap());
    let next = next.unwrap().unwrap();
    assert_eq!(
        (next.gap, &next.data["id"]),
        (false, &sent.id.clone().into())
    );
    // Or further on, where something of another type stands behind it already.
    let position: i64 = stream.position().unwrap().parse().unwrap();
    assert!(position >= next.seq);
    let told = told.unwrap();
    assert_eq!(
        (told.items.len(), &told.items[0].data["id"]),
        (1, &sent.id.into())
    );
    let all = client
        .messages("default", &Listing::default())
        .await
        .unwrap();
    let texts: Vec<_> = all.items.iter().filter_map(|m| m.text.as_deref()).collect();
    assert_eq!(texts, ["one", "two"]);
    drop((client, events, stream));
    assert_eq!(gateway.end("TERM").0, Some(0));
}

#[tokio::test]
async fn tls_is_spoken_with_whom_is_believed_and_with_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let gateway = Surface::with(|config| {
        config.server.tls_cert = Some(folder.path().join("cert.pem"));
        config.server.tls_key = Some(folder.path().join("key.pem"));
    })
    .await;
    let port = gateway.address.port();
    let localhost = format!("https://localhost:{port}");
    let authority = std::fs::read(folder.path().join("cert.pem")).unwrap();
    let of = |url: &str| Client::builder(url, &gateway.send);
    let trusting = |url: &str| of(url).root_certificates(authority.as_slice());

    // Everything that goes over a connection goes over this one.
    let client = trusting(&localhost).build().unwrap();
    let sent = client
        .send("default", &Message::text(FRIEND, "sealed"))
        .await
        .unwrap();
    assert_eq!(client.message(&sent.id).await.unwrap().id, sent.id);
    let events = client.events(Start::Oldest).types(["message.accepted"]);
    let told = events.into_stream().try_next().await.unwrap().unwrap();
    assert_eq!(told.data["id"], sent.id);

    // Not by the public roots, not by another authority, not under another
    // name. It is said at once, and nothing was sent.
    let elsewhere = tempfile::tempdir().unwrap();
    certificate(elsewhere.path());
    let another = std::fs::read(elsewhere.path().join("cert.pem")).unwrap();
    let by_address = format!("https://127.0.0.1:{port}");
    for (client, why) in [
        (of(&localhost), "Builder::root_certificates"),
        (of(&localhost).root_certificates(another), "certificate"),
        (trusting(&by_address), "not valid for name"),
    ] {
        let client = client.build().unwrap();
        let message = Message::text(FRIEND, "to nobody");
        let error = client.send("default", &message).await.unwrap_err();
        let Error::Transport(Transport::Tls(said)) = &error else {
            panic!("{error:?}");
        };
        assert!(said.contains("certificate") && said.contains(why), "{said}");
        assert!(!error.is_retryable() && !error.may_be_accepted());
        let mut events = client.events(Start::Oldest).into_stream();
        let error = events.try_next().await.unwrap_err();
        assert!(matches!(error, Error::Transport(Transport::Tls(_))));
        assert!(events.next().await.is_none(), "nobody is asked again");
    }
    let all = client
        .messages("default", &Listing::default())
        .await
        .unwrap();
    assert_eq!(all.items.len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_apart() {
    let gateway = Surface::start().await;
    let url = format!("https://{}", gateway.address);
    let client = Client::new(url, &gateway.send).unwrap();
    let error = client.sessions().await.unwrap_err();
    assert!(
        matches!(error, Error::Transport(Transport::Tls(_))),
        "{error:?}"
    );
    assert!(!error.may_be_accepted());
    gateway.stop().await;
}
