//! Removes files that nobody needs any more.

use super::{MediaStore, UNFINISHED};
use crate::events;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ids::MediaId;
use steadfast_core::time::UnixMs;
use tokio_util::sync::CancellationToken;

/// How often old files are looked for.
const EVERY: Duration = Duration::from_mins(10);
/// How many are removed in one go; the next go follows at once where there are more.
const BATCH: u32 = 200;
/// Between two goes, so that nobody waits for us.
const BREATH: Duration = Duration::from_millis(200);

impl MediaStore {
    /// Sweeps now and then, until told to stop.
    pub(crate) async fn sweep_until(self: Arc<Self>, stop: CancellationToken) {
        self.clear_orphans().await;
        loop {
            let wait = match self.sweep_once().await {
                removed if removed == BATCH as usize => BREATH,
                _ => EVERY,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Forgets up to a batch of files that no message needs and whose time is
    /// up, or that are too much together; how many.
    pub async fn sweep_once(&self) -> usize {
        // The store forgets first: a crash in between leaves an orphan, which
        // the next start removes, and never a message without its file.
        let _moving = self.moving.lock().await;
        let now = self.clock.unix();
        let keep = i64::try_from(self.config.keep_ms).unwrap_or(i64::MAX);
        let before = UnixMs(now.0.saturating_sub(keep));
        let forgotten = self
            .store
            .forget_media(before, self.config.max_total_bytes, BATCH)
            .await;
        let forgotten = match forgotten {
            Ok(forgotten) => forgotten,
            Err(error) => {
                tracing::warn!(event = events::STORE_FAILED, %error, "old files could not be looked for");
                return 0;
            }
        };
        for id in &forgotten {
            self.remove(id).await;
        }
        if !forgotten.is_empty() {
            tracing::debug!(
                event = events::MEDIA_SWEPT,
                count = forgotten.len(),
                "old files were removed"
            );
        }
        forgotten.len()
    }

    pub(super) async fn remove(&self, id: &MediaId) {
        match tokio::fs::remove_file(self.path(id)).await {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(event = events::MEDIA_NOT_REMOVED, %error, "an old file could not be removed");
            }
        }
    }

    /// Removes files that the store does not know: a crash came between.
    async fn clear_orphans(&self) {
        let Ok(mut entries) = tokio::fs::read_dir(self.folder()).await else {
            return;
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(|name| MediaId::parse(name).ok()) else {
                if !name.to_string_lossy().ends_with(UNFINISHED) {
                    tracing::debug!("something that is not ours lies in the media folder");
                }
                continue;
            };
            let _moving = self.moving.lock().await;
            if matches!(self.store.media(&id).await, Ok(None)) {
                self.remove(&id).await;
            }
        }
    }
}
