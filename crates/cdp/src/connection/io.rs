//! The two loops that move bytes between the pipe and the table.

use super::{Connection, Phase};
use crate::frame::{FrameDecoder, MAX_FRAME};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;

/// Reads until the pipe ends; then the browser is gone.
pub(crate) async fn read_loop(connection: Arc<Connection>, mut from: pipe::Receiver) {
    let mut decoder = FrameDecoder::new(MAX_FRAME);
    'reading: loop {
        match from.read_buf(decoder.room()).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the browser's pipe cannot be read");
                break;
            }
        }
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => connection.take(frame),
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "the connection is given up");
                    break 'reading;
                }
            }
        }
    }
    connection.die();
}

/// Writes what is queued until the connection closes; then its end of the pipe is closed.
pub(crate) async fn write_loop(connection: Arc<Connection>, mut to: pipe::Sender) {
    let mut closing = std::pin::pin!(connection.reached(Phase::Closing));
    loop {
        let mut bytes = Vec::new();
        let written = tokio::select! {
            biased;
            () = &mut closing => break,
            written = async {
                connection.next_commands(&mut bytes).await;
                to.write_all(&bytes).await
            } => written,
        };
        if let Err(error) = written {
            tracing::debug!(%error, "the browser's pipe cannot be written");
            connection.die();
            break;
        }
    }
}
