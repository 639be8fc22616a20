//! One page's WebSocket: frames in, frames out, until either side ends it.

use super::App;
use crate::hub::{Connection, Outbound};
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use std::time::Duration;

/// The largest frame, either way.
const MAX_FRAME: usize = 1024 * 1024;
/// How long the other side has to answer our close.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

pub(super) async fn open(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .on_upgrade(move |socket| async move {
            let connection = app.hub.connect();
            run(socket, connection).await;
        })
}

async fn run(mut socket: WebSocket, mut connection: Connection) {
    let cut = connection.cut.clone();
    loop {
        tokio::select! {
            biased;
            // Dropped without a close frame: the page sees code 1006.
            () = cut.cancelled() => return,
            out = connection.out.recv() => match out {
                Some(Outbound::Frame(frame)) => {
                    let Ok(text) = serde_json::to_string(&frame) else {
                        continue;
                    };
                    tokio::select! {
                        () = cut.cancelled() => return,
                        sent = socket.send(Message::Text(text.into())) => {
                            if sent.is_err() {
                                return;
                            }
                        }
                    }
                }
                Some(Outbound::Close(code)) => {
                    close(&mut socket, code).await;
                    return;
                }
                None => return,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => connection.frame(text.as_str()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => {
                    close(&mut socket, 1003).await;
                    return;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        }
    }
}

/// Says goodbye and waits a moment for the answer, so that the page sees the
/// code and not a reset.
async fn close(socket: &mut WebSocket, code: u16) {
    let goodbye = Message::Close(Some(CloseFrame {
        code,
        reason: "".into(),
    }));
    let _ = tokio::time::timeout(CLOSE_DEADLINE, async {
        if socket.send(goodbye).await.is_ok() {
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(message, Message::Close(_)) {
                    break;
                }
            }
        }
    })
    .await;
}
