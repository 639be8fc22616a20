//! Files over HTTP: uploads, limits, what goes wrong, and the files of messages.

use crate::client::{Reply, call};
use crate::fake::{THEN, id};
use crate::surface::Surface;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::inbound::{Extras, InboundMessage, RemoteFile};
use steadfast_core::outbox::{Body, MediaKind};
use steadfast_core::port::Store as _;
use steadfast_sim::contract::SampleFile;

const MESSAGES: &str = "/v1/sessions/default/messages";
const TO: &str = "4915123456789";

async fn send(surface: &Surface, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Reply {
    let bearer = format!("Bearer {}", surface.admin);
    let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
    call(surface.address, method, path, &headers, body).await
}

async fn upload(surface: &Surface, bytes: &[u8]) -> Value {
    let kind = "application/octet-stream";
    let reply = send(surface, Method::POST, "/v1/media", kind, bytes.to_vec()).await;
    assert_eq!(reply.status, 201, "{}", reply.json());
    reply.json()
}

fn files_in(surface: &Surface) -> Vec<String> {
    let folder = std::fs::read_dir(surface.folder.path().join("media")).unwrap();
    let mut names: Vec<_> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

fn message(kind: &str, media: Value) -> Value {
    let mut message = json!({"to": TO, "type": kind});
    message["media"] = media;
    message
}

#[tokio::test]
async fn an_upload_is_on_disk_once_and_private() {
    let surface = Surface::start().await;
    let sample = SampleFile::of(MediaKind::Image);
    let uploaded = upload(&surface, &sample.bytes).await;
    let id = sample.id();
    assert_eq!(uploaded["id"], id.as_str());
    assert_eq!(uploaded["sha256"], id.as_str());
    assert_eq!(uploaded["mime"], "image/png");
    assert_eq!(uploaded["size"], sample.bytes.len());
    assert_eq!(upload(&surface, &sample.bytes).await, uploaded);
    assert_eq!(files_in(&surface), [id.as_str()]);
    let path = surface.app.media.path(&id);
    assert_eq!(std::fs::read(&path).unwrap(), sample.bytes);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);

    // The same as a form, as a browser sends it.
    let mut form = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.png\"\r\nContent-Type: image/png\r\n\r\n".to_vec();
    form.extend(&sample.bytes);
    form.extend(b"\r\n--b--\r\n");
    let kind = "multipart/form-data; boundary=b";
    let reply = send(&surface, Method::POST, "/v1/media", kind, form.clone()).await;
    assert_eq!((reply.status, reply.json()), (201, uploaded));
    form.truncate(form.len() - 4);
    let reply = send(&surface, Method::POST, "/v1/media", kind, form).await;
    reply.problem(400, "invalid_request");
    let empty = send(&surface, Method::POST, "/v1/media", "image/png", Vec::new()).await;
    empty.problem(422, "media_unfit");
    let no_file = b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--".to_vec();
    let reply = send(&surface, Method::POST, "/v1/media", kind, no_file).await;
    reply.problem(422, "invalid_field");
    surface.stop().await;
}

#[tokio::test]
async fn a_file_is_taken_by_id_in_base64_and_as_a_form() {
    let surface = Surface::start().await;
    let sample = SampleFile::of(MediaKind::Image);
    let uploaded = upload(&surface, &sample.bytes).await;
    let by_id = message("image", json!({"id": uploaded["id"]}));
    let text = STANDARD.encode(&sample.bytes);
    let inline = message("image", json!({"base64": text}));
    let lines = message(
        "image",
        json!({"base64": format!("data:image/png;base64,{}\r\n", text)}),
    );
    let mut replies = Vec::new();
    for body in [by_id, inline, lines] {
        replies.push(surface.post(MESSAGES, &body).await);
    }
    let mut form = format!("--b\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n{{\"to\":\"{TO}\",\"type\":\"image\",\"caption\":\"hi\"}}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n").into_bytes();
    form.extend(&sample.bytes);
    form.extend(b"\r\n--b--");
    let kind = "multipart/form-data; boundary=b";
    replies.push(send(&surface, Method::POST, MESSAGES, kind, form).await);
    for reply in replies {
        assert_eq!(reply.status, 202, "{}", reply.json());
        let path = reply.header("location").to_owned();
        let stored = surface.get(&path).await.json();
        assert_eq!(stored["kind"], "image");
        let file = &stored["content"]["file"];
        assert_eq!(file["id"], sample.id().as_str());
        assert_eq!(file["mime"], "image/png");
        assert_eq!(file["size"], sample.bytes.len());
    }
    assert_eq!(files_in(&surface), [sample.id().as_str()]);

    // A document always has a name, and a harmless one.
    let document = json!({"id": uploaded["id"], "filename": "../../a\u{202e}b.png"});
    let reply = surface.post(MESSAGES, &message("document", document)).await;
    let path = reply.header("location").to_owned();
    let stored = surface.get(&path).await.json();
    assert_eq!(stored["content"]["file"]["name"], "ab.png");
    surface.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_what_would() {
    let surface = Surface::with(|config| {
        config.media.max_image_bytes = 2_000;
        config.media.max_inline_bytes = 3_000;
        config.media.max_pixels = 1_000;
    })
    .await;
    let png = SampleFile::of(MediaKind::Image).bytes;
    let large = [png.as_slice(), &[0; 2_000]].concat();
    let mut bomb = png[..16].to_vec();
    bomb.extend([0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
    let inline = |bytes: &[u8]| json!({"base64": STANDARD.encode(bytes)});
    for (kind, media, status, code, says) in [
        (
            "image",
            inline(&large),
            413,
            "media_too_large",
            "media.max_image_bytes",
        ),
        (
            "document",
            inline(&[1; 4_000]),
            413,
            "media_too_large",
            "media.max_inline_bytes",
        ),
        ("image", inline(b"<svg/>"), 422, "media_unfit", "document"),
        ("video", inline(&png), 422, "media_unfit", "films"),
        (
            "sticker",
            inline(&bomb),
            422,
            "media_unfit",
            "media.max_pixels",
        ),
        ("image", inline(b""), 422, "media_unfit", "empty"),
        (
            "image",
            json!({"base64": "%%%"}),
            422,
            "invalid_field",
            "base64",
        ),
        (
            "image",
            json!({"id": "0".repeat(64)}),
            422,
            "media_unknown",
            "no file",
        ),
        (
            "image",
            json!({"url": "ftp://example.com/x"}),
            422,
            "media_unreachable",
            "URL",
        ),
        (
            "image",
            json!({"url": "http://127.0.0.1:9/x"}),
            422,
            "media_unreachable",
            "loopback",
        ),
        (
            "image",
            json!({"url": "http://[::1]/x"}),
            422,
            "media_unreachable",
            "loopback",
        ),
        (
            "image",
            json!({"url": "http://169.254.169.254/"}),
            422,
            "media_unreachable",
            "metadata",
        ),
        (
            "image",
            json!({"mime": "x"}),
            422,
            "invalid_field",
            "exactly one",
        ),
    ] {
        let said = format!("{kind} {media}");
        let reply = surface.post(MESSAGES, &message(kind, media)).await;
        let problem = reply.problem(status, code);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{said}: {detail}");
    }
    let declared = json!({"base64": STANDARD.encode(&png), "mime": "not a type"});
    let reply = surface.post(MESSAGES, &message("image", declared)).await;
    reply.problem(422, "invalid_field");
    // Nothing half done lies about.
    assert!(files_in(&surface).iter().all(|name| name.len() == 64));
    surface.stop().await;
}

#[tokio::test]
async fn a_file_is_fetched_by_url_where_that_is_allowed() {
    let sample = SampleFile::of(MediaKind::Document);
    let bytes = sample.bytes.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut served = 0;
        for _ in 0..20 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let read = stream.read(&mut request).await.unwrap();
            let asked = String::from_utf8_lossy(&request[..read]).into_owned();
            let head = if asked.starts_with("GET /moved") {
                "HTTP/1.1 302 Found\r\nLocation: /files/report%201.pdf\r\nContent-Length: 0\r\n\r\n"
                    .to_owned()
            } else if asked.starts_with("GET /inside") {
                "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n"
                    .to_owned()
            } else if asked.starts_with("GET /files") {
                served += 1;
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: {}\r\n\r\n",
                    bytes.len()
                )
            } else {
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
            };
            stream.write_all(head.as_bytes()).await.unwrap();
            if asked.starts_with("GET /files") {
                stream.write_all(&bytes).await.unwrap();
            }
            stream.shutdown().await.unwrap();
            assert!(served <= 1, "fetched again for a repeated request");
        }
    };
    let talk = async {
        let surface = Surface::with(|config| {
            config.outgoing.allow = vec!["127.0.0.1".to_owned()];
        })
        .await;
        let url = |path: &str| {
            message(
                "document",
                json!({"url": format!("http://127.0.0.1:{port}{path}")}),
            )
        };
        let key = [("idempotency-key", "once")];
        let first = surface.post_with(MESSAGES, &url("/moved"), &key).await;
        assert_eq!(first.status, 202, "{}", first.json());
        let stored = surface.get(first.header("location")).await.json();
        assert_eq!(stored["content"]["file"]["id"], sample.id().as_str());
        assert_eq!(stored["content"]["file"]["name"], "report 1.pdf");
        assert_eq!(stored["content"]["file"]["mime"], "application/pdf");
        let again = surface.post_with(MESSAGES, &url("/moved"), &key).await;
        assert_eq!(again.json(), first.json());
        assert_eq!(again.header("idempotency-replayed"), "true");
        let other = surface.post_with(MESSAGES, &url("/files/x"), &key).await;
        other.problem(422, "idempotency_key_reused");
        let inside = surface.post(MESSAGES, &url("/inside")).await;
        let problem = inside.problem(422, "media_unreachable");
        assert!(problem["detail"].as_str().unwrap().contains("private"));
        let gone = surface.post(MESSAGES, &url("/gone")).await;
        gone.problem(422, "media_unreachable");
        surface.stop().await;
    };
    tokio::select! {
        () = serve => {}
        () = talk => {}
    }
}

fn came_in(with_file: bool) -> InboundMessage {
    InboundMessage {
        wa_message_id: WaMessageId::parse(if with_file { "AC01" } else { "AC02" }).unwrap(),
        chat: ChatId::parse(TO).unwrap(),
        chat_also: None,
        sender: ChatId::parse(TO).unwrap(),
        from_me: false,
        kind: if with_file { "document" } else { "chat" }.to_owned(),
        text: "look".to_owned(),
        sent_at: THEN,
        recovered: false,
        extras: Extras {
            push_name: Some("Bob".to_owned()),
            media: with_file.then(|| RemoteFile {
                mime: "text/html".to_owned(),
                size: Some(5_000),
                name: Some("größe.html".to_owned()),
            }),
            content: (!with_file).then(|| "{\"question\":\"?\"}".to_owned()),
            ..Extras::default()
        },
    }
}

#[tokio::test]
async fn the_file_of_a_message_is_fetched_once_and_served_to_be_saved() {
    let surface = Surface::start().await;
    let message = came_in(true);
    let key = message.key().to_string();
    let file: Vec<u8> = (0..5_000_u32).map(|n| (n % 251) as u8).collect();
    for message in [message, came_in(false)] {
        surface
            .store
            .keep_inbound(&id("default"), message, THEN)
            .await
            .unwrap();
    }
    let listed = surface.get("/v1/sessions/default/inbound").await.json();
    let told = &listed["items"][0];
    assert_eq!(told["push_name"], "Bob");
    assert_eq!(told["media"]["mime"], "text/html");
    assert_eq!(told["media"]["filename"], "größe.html");
    assert_eq!(listed["items"][1]["content"], json!({"question": "?"}));
    assert_eq!(listed["items"][1]["media"], Value::Null);
    let url = told["media"]["url"].as_str().unwrap().to_owned();

    // WhatsApp does not have it: nothing is kept, and it is asked again next time.
    surface.get(&url).await.problem(404, "no_file");
    assert_eq!(files_in(&surface), Vec::<String>::new());
    surface
        .sessions
        .files
        .lock()
        .unwrap()
        .insert(key, file.clone());
    let reply = surface.get(&url).await;
    assert_eq!((reply.status, reply.bytes.as_ref()), (200, file.as_slice()));
    assert_eq!(reply.header("content-type"), "text/html");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(reply.header("content-security-policy").contains("sandbox"));
    assert_eq!(
        reply.header("content-disposition"),
        "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe.html"
    );
    // From here on it is ours, under either name of the message.
    surface.sessions.files.lock().unwrap().clear();
    let by_id = format!("/v1/sessions/default/chats/{TO}@c.us/messages/AC01/media");
    assert_eq!(surface.get(&by_id).await.bytes.as_ref(), file.as_slice());
    let bearer = format!("Bearer {}", surface.admin);
    let headers = [("authorization", bearer.as_str()), ("range", "bytes=10-19")];
    let part = call(surface.address, Method::GET, &url, &headers, "").await;
    assert_eq!((part.status, part.bytes.as_ref()), (206, &file[10..20]));
    assert_eq!(part.header("content-range"), "bytes 10-19/5000");

    let plain = format!("/v1/sessions/default/chats/{TO}@c.us/messages/AC02/media");
    surface.get(&plain).await.problem(404, "no_file");
    let unknown = format!("/v1/sessions/default/chats/{TO}@c.us/messages/AC03/media");
    surface.get(&unknown).await.problem(404, "message_unknown");
    surface.stop().await;
}

#[tokio::test]
async fn old_files_go_and_needed_ones_stay() {
    let surface = Surface::with(|config| config.media.max_total_bytes = 1_048_576).await;
    let image = SampleFile::of(MediaKind::Image);
    upload(&surface, &image.bytes).await;
    let needed = message("image", json!({"id": image.id()}));
    assert_eq!(surface.post(MESSAGES, &needed).await.status, 202);
    upload(&surface, &vec![1; 900_000]).await;
    assert_eq!(surface.app.media.sweep_once().await, 0);
    upload(&surface, &vec![2; 900_000]).await;
    assert_eq!(surface.app.media.sweep_once().await, 1, "the older one");
    assert_eq!(files_in(&surface).len(), 2);
    assert!(files_in(&surface).contains(&image.id().to_string()));
    surface.stop().await;
}

#[tokio::test]
async fn kinds_without_a_file_are_stored_as_they_were_meant() {
    let surface = Surface::start().await;
    let message = came_in(false);
    let key = message.key();
    surface
        .store
        .keep_inbound(&id("default"), message, THEN)
        .await
        .unwrap();
    let chat = format!("/v1/sessions/default/chats/{TO}@c.us/messages/AC02");
    let bearer = format!("Bearer {}", surface.send);
    let json_type = ("content-type", "application/json");
    let headers = [("authorization", bearer.as_str()), json_type];
    let change = async |method: Method, path: &str, body: &str| {
        call(surface.address, method, path, &headers, body.to_owned()).await
    };
    let body_of = async |reply: Reply| {
        assert_eq!(reply.status, 202, "{}", reply.json());
        let stored = surface.get(reply.header("location")).await.json();
        serde_json::from_value::<Body>(stored["content"].clone()).unwrap()
    };
    let reaction = format!("{chat}/reaction");
    let put = change(Method::PUT, &reaction, "{\"emoji\":\"👍\"}").await;
    let Body::Reaction(stored) = body_of(put).await else {
        panic!("no reaction");
    };
    assert_eq!((stored.message, stored.emoji.as_str()), (key, "👍"));
    let taken = change(Method::DELETE, &reaction, "").await;
    let Body::Reaction(stored) = body_of(taken).await else {
        panic!("no reaction");
    };
    assert_eq!(stored.emoji, "");
    let wrong = change(Method::PUT, &reaction, "{\"emoji\":\"ok\"}").await;
    wrong.problem(422, "invalid_field");

    // Only what this account wrote can be changed.
    let edit = change(Method::PATCH, &chat, "{\"text\":\"x\"}").await;
    edit.problem(422, "invalid_field");
    let ours = format!("/v1/sessions/default/chats/{TO}@c.us/messages/3EB0AABBCCDDEEFF001122");
    let edit = change(Method::PATCH, &ours, "{\"text\":\"better\"}").await;
    let Body::Edit(stored) = body_of(edit).await else {
        panic!("no edit");
    };
    assert!(stored.message.from_me && stored.text == "better");
    let revoke = change(Method::DELETE, &ours, "").await;
    assert!(matches!(body_of(revoke).await, Body::Revoke(_)));
    let unknown = json!({"to": TO, "type": "forward", "message": "AC99"});
    let reply = surface.post(MESSAGES, &unknown).await;
    reply.problem(422, "invalid_field");
    let unheard = json!({"to": TO, "text": "x", "colour": "red"});
    surface
        .post(MESSAGES, &unheard)
        .await
        .problem(422, "invalid_field");
    surface.stop().await;
}
