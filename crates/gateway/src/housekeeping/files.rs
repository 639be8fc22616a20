//! Files of messages that nobody needs any more. How one is removed is the
//! media folder's own matter ([`MediaStore`]); when it is, stands here.

use super::{Chore, Rhythm};
use crate::media::{MediaStore, Orphans, SWEPT_AT_ONCE};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_mins(10);
const BREATH: Duration = Duration::from_millis(200);

/// The media folder.
pub(super) struct Files {
    media: Arc<MediaStore>,
    /// What a crash may have left is looked for once, before anything else.
    orphans: Option<Orphans>,
}

impl Files {
    pub(super) fn new(media: Arc<MediaStore>) -> Self {
        Self {
            media,
            orphans: Some(Orphans::default()),
        }
    }
}

#[async_trait]
impl Chore for Files {
    fn rhythm(&self) -> Rhythm {
        Rhythm {
            every: EVERY,
            breath: BREATH,
        }
    }

    async fn piece(&mut self) -> bool {
        if let Some(orphans) = &mut self.orphans {
            if !self.media.clear_orphans(orphans).await {
                self.orphans = None;
            }
            return true;
        }
        self.media.sweep_once().await == SWEPT_AT_ONCE as usize
    }
}
