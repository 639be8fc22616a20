//! Files of messages on their way from WhatsApp. A large one may take longer
//! than a request, and than its caller waits: it is fetched once, by a task of
//! its own, and whoever asks for it meanwhile waits for the same one.

use super::HttpState;
use super::problem::{Code, Problem};
use crate::media::{Filling, Kept};
use crate::sessions::SessionError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use steadfast_core::failure::Kind;
use steadfast_core::ids::{MessageKey, SessionId};
use tokio::sync::watch;

/// Files that are fetched at a time, of all sessions.
const AT_ONCE: usize = 32;
/// Files that have come and are remembered: those of messages that are not in
/// the store are found by nothing else.
const REMEMBERED: usize = 256;

type Which = (SessionId, String);
type Outcome = Option<Result<Kept, Problem>>;

/// The fetches that run, and what came of the last ones.
#[derive(Default)]
pub(super) struct Fetches(Mutex<HashMap<Which, watch::Receiver<Outcome>>>);

/// How far a fetch has come.
fn runs(outcome: &watch::Receiver<Outcome>) -> bool {
    // One that broke off without a word runs no more.
    outcome.borrow().is_none() && outcome.has_changed().is_ok()
}

impl Fetches {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Which, watch::Receiver<Outcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of the last fetch of this file, where it came.
    fn known(&self, which: &Which) -> Option<Kept> {
        let outcome = self.lock().get(which).map(|o| o.borrow().clone());
        outcome.flatten()?.ok()
    }

    /// The fetch that runs, or the end at which to tell of a new one.
    fn join(
        &self,
        which: Which,
    ) -> Result<(watch::Receiver<Outcome>, Option<watch::Sender<Outcome>>), Problem> {
        let mut all = self.lock();
        if let Some(outcome) = all.get(&which).filter(|outcome| runs(outcome)) {
            return Ok((outcome.clone(), None));
        }
        if all.values().filter(|outcome| runs(outcome)).count() >= AT_ONCE {
            let what = format!("{AT_ONCE} files are being fetched already");
            return Err(Problem::new(Code::StorageOverloaded, what).retry_after(5));
        }
        if all.len() >= REMEMBERED {
            all.retain(|_, outcome| runs(outcome));
        }
        let (told, outcome) = watch::channel(None);
        all.insert(which, outcome.clone());
        Ok((outcome, Some(told)))
    }
}

/// The file of a message, from WhatsApp. Who goes away, or whose time is up,
/// finds it here later.
pub(super) async fn fetch(
    state: &Arc<HttpState>,
    session: &SessionId,
    key: &MessageKey,
) -> Result<Kept, Problem> {
    let which = (session.clone(), key.to_string());
    if let Some(known) = state.fetches.known(&which)
        && let Some(kept) = state.app.media.find(&known.id).await?
    {
        state.app.media.used(&kept).await?;
        return Ok(kept);
    }
    let (mut outcome, begins) = state.fetches.join(which)?;
    if let Some(told) = begins {
        let (state, session, key) = (Arc::clone(state), session.clone(), key.clone());
        let owner = Arc::clone(&state);
        // Bounded by the engine, by the size of the file.
        owner.tasks.spawn(async move {
            let bring = bring(&state, &session, &key);
            let end = state.stopping.run_until_cancelled(bring).await;
            let end = end.unwrap_or_else(|| {
                let what = "the gateway ends, and the file has not come yet";
                Err(Problem::new(Code::ShuttingDown, what).retry_after(5))
            });
            told.send_replace(Some(end));
        });
    }
    let end = outcome.wait_for(Option::is_some).await;
    let end = end.ok().and_then(|end| end.clone());
    end.unwrap_or_else(|| {
        let what = "a bug ended the fetch of this file; the gateway goes on";
        Err(Problem::new(Code::Internal, what))
    })
}

/// Fetches a file from WhatsApp and keeps it.
async fn bring(state: &HttpState, session: &SessionId, key: &MessageKey) -> Result<Kept, Problem> {
    let media = &state.app.media;
    let limit = media.config.max_inbound_bytes;
    let mut incoming = media.begin(limit).await?;
    let mut filling = Filling::new(&mut incoming);
    let fetched = state
        .app
        .sessions
        .download(session, key, limit, &mut filling)
        .await;
    let failed = filling.failed.take();
    match (fetched, failed) {
        (_, Some(error)) => return Err(error.into()),
        (Err(SessionError::Failed(failure)), None)
            if matches!(
                failure.kind,
                Kind::MediaInvalid | Kind::PermanentRequestError
            ) =>
        {
            return Err(Problem::new(Code::NoFile, failure.evidence));
        }
        (Err(error), None) => return Err(error.into()),
        (Ok(_), None) => {}
    }
    let kept = media.keep(incoming).await?;
    let store = &state.app.store;
    store
        .inbound_fetched(session, &key.chat, &key.id, &kept.id)
        .await?;
    Ok(kept)
}
