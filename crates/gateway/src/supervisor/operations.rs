//! What is done to a session's browser: one thing at a time, in the order asked.

use super::actor::Input;
use super::sink::CurrentEpoch;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ids::{Epoch, SessionId};
use steadfast_core::port::{Close, Connector, Engine, EventSink, OpenStep};
use tokio::sync::{mpsc, oneshot};

/// One thing to do.
pub(super) enum Operation {
    /// Open the next connection.
    Open { step: OpenStep, epoch: Epoch },
    /// Close what is open.
    Close { how: Close },
    /// Log the link out, close, and remove the profile.
    LogOut { engine: Option<Arc<dyn Engine>> },
    /// Say when everything before this is done.
    Done(oneshot::Sender<()>),
}

/// How long WhatsApp may take to log a link out before we go on without its word.
const LOGOUT_LIMIT: Duration = Duration::from_secs(15);
/// How long the browser may take to close before its profile is removed.
const CLOSE_LIMIT_MS: u64 = 10_000;

/// Does what is asked until nobody can ask any more.
pub(super) async fn run(
    session: SessionId,
    connector: Arc<dyn Connector>,
    sink: Arc<dyn EventSink>,
    current: CurrentEpoch,
    mut queue: mpsc::Receiver<Operation>,
    inputs: mpsc::Sender<Input>,
) {
    while let Some(operation) = queue.recv().await {
        match operation {
            // Something newer is wanted already.
            Operation::Open { epoch, .. } if !current.is(epoch) => {}
            Operation::Open { step, epoch } => {
                let opened = connector.open(step, epoch, Arc::clone(&sink)).await;
                let input = match opened {
                    Ok(engine) => Input::Opened(epoch, engine),
                    Err(failure) => Input::OpenFailed(epoch, failure),
                };
                if inputs.send(input).await.is_err() {
                    connector.close(Close::Kill).await;
                    return;
                }
            }
            Operation::Close { how } => connector.close(how).await,
            Operation::LogOut { engine } => {
                log_out(&session, engine.as_deref()).await;
                erase(&session, connector.as_ref()).await;
            }
            Operation::Done(reply) => {
                let _ = reply.send(());
            }
        }
    }
    connector.close(Close::Kill).await;
}

async fn log_out(session: &SessionId, engine: Option<&dyn Engine>) {
    let Some(engine) = engine else {
        tracing::warn!(
            event = "logout_without_page", session = %session,
            "no page is open: remove the link on the phone, under linked devices",
        );
        return;
    };
    match tokio::time::timeout(LOGOUT_LIMIT, engine.logout()).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => {
            tracing::warn!(event = "logout_failed", session = %session, kind = %failure.kind, evidence = failure.evidence);
        }
        Err(_) => {
            tracing::warn!(event = "logout_failed", session = %session, evidence = "no answer in time");
        }
    }
}

/// Never removes a profile under a live browser.
async fn erase(session: &SessionId, connector: &dyn Connector) {
    connector
        .close(Close::Graceful {
            deadline_ms: CLOSE_LIMIT_MS,
        })
        .await;
    if let Err(failure) = connector.erase().await {
        tracing::error!(event = "profile_not_removed", session = %session, kind = %failure.kind, evidence = failure.evidence);
    }
}
