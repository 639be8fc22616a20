//! Removes files that nobody needs any more. When, stands in
//! [`housekeeping`](crate::housekeeping).

use super::{MediaStore, UNFINISHED};
use crate::events;
use steadfast_core::ids::MediaId;
use steadfast_core::time::UnixMs;
use tokio::fs::ReadDir;

/// How many files are looked at or removed in one go.
pub(crate) const SWEPT_AT_ONCE: u32 = 200;

/// How far the folder was searched for files that the store does not know.
#[derive(Debug, Default)]
pub(crate) struct Orphans(Option<ReadDir>);

impl MediaStore {
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
            .forget_media(before, self.config.max_total_bytes, SWEPT_AT_ONCE)
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

    /// Removes files that the store does not know: a crash came between. Goes
    /// on for one go; whether there is more.
    pub(crate) async fn clear_orphans(&self, searched: &mut Orphans) -> bool {
        if searched.0.is_none() {
            searched.0 = tokio::fs::read_dir(self.folder()).await.ok();
        }
        let Some(entries) = &mut searched.0 else {
            return false;
        };
        for _ in 0..SWEPT_AT_ONCE {
            let Ok(Some(entry)) = entries.next_entry().await else {
                return false;
            };
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
        true
    }
}
