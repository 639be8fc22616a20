//! Files of messages on disk: each once, under the digest of its content.
//!
//! A file is written beside its place, synced, moved there, and its folder
//! synced, all before the message that needs it is accepted. So a file at its
//! place is whole, whatever happened. Which files are kept, and for whom,
//! stands in the store; a file that the store does not know is nobody's.

pub mod name;
pub mod rules;
pub mod sniff;
mod sweep;

pub(crate) use sweep::{Orphans, SWEPT_AT_ONCE};

use crate::clock::{Clock, Random, random_bytes};
use crate::config;
use crate::events;
use crate::outgoing::Outgoing;
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steadfast_core::ids::MediaId;
use steadfast_core::port::{FileSink, MediaRecord, Store, StoreError};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

/// The ending of a file that is still being written.
const UNFINISHED: &str = "part";

/// Why a file was not kept.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// No room on the disk.
    #[error("the disk is full")]
    Full,
    /// More bytes than may be.
    #[error("longer than {0} bytes")]
    TooLarge(u64),
    /// Anything else that the system said.
    #[error("the media folder cannot be used: {0}")]
    Io(String),
    /// The store did not take note of it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<io::Error> for MediaError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full,
            _ => Self::Io(error.to_string()),
        }
    }
}

/// The media folder.
pub struct MediaStore {
    folder: PathBuf,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    pub(crate) config: config::Media,
    /// The way to files that callers name by URL.
    pub(crate) outgoing: Arc<Outgoing>,
    /// Held while a file comes to its place or leaves it, so that none is
    /// removed that somebody has just brought again.
    moving: Mutex<()>,
}

/// A file that is kept, as far as its bytes tell.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its content's digest.
    pub id: MediaId,
    /// Its length.
    pub size: u64,
    /// Its first bytes.
    pub head: Vec<u8>,
}

impl MediaStore {
    /// Makes the folder, and clears what an earlier life left half done.
    ///
    /// # Errors
    /// Where the folder cannot be made or read.
    pub fn open(
        folder: PathBuf,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        config: config::Media,
        outgoing: Arc<Outgoing>,
    ) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        if let Some(parent) = folder.parent() {
            std::fs::File::open(parent)?.sync_all()?;
        }
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == UNFINISHED) {
                std::fs::remove_file(&path)?;
            }
        }
        Ok(Self {
            folder,
            store,
            clock,
            random,
            config,
            outgoing,
            moving: Mutex::new(()),
        })
    }

    /// Where a file is, or would be.
    pub fn path(&self, id: &MediaId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    /// Begins a file of at most `limit` bytes.
    ///
    /// # Errors
    /// Where the disk has no room, or the folder cannot be written.
    pub async fn begin(&self, limit: u64) -> Result<Incoming, MediaError> {
        let name: [u8; 16] =
            random_bytes(self.random.as_ref()).map_err(|e| MediaError::Io(e.to_string()))?;
        let name: String = name
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let path = self.folder.join(format!("{name}.{UNFINISHED}"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = tokio::fs::OpenOptions::from(options).open(&path).await?;
        Ok(Incoming {
            file,
            place: Place { path, done: false },
            digest: Sha256::new(),
            size: 0,
            limit,
            head: Vec::new(),
        })
    }

    /// Keeps a file that has come whole. `Ok` means that it outlives a crash.
    ///
    /// # Errors
    /// Where it does not. Nothing is kept then.
    pub async fn keep(&self, incoming: Incoming) -> Result<Kept, MediaError> {
        let Incoming {
            mut file,
            mut place,
            digest,
            size,
            head,
            limit: _,
        } = incoming;
        file.flush().await?;
        file.sync_all().await?;
        let id = MediaId::of(&digest.finalize().into());
        let _moving = self.moving.lock().await;
        let target = self.path(&id);
        tokio::fs::rename(&place.path, &target).await?;
        place.done = true;
        let kept = Kept { id, size, head };
        let noted = async {
            File::open(&self.folder).await?.sync_all().await?;
            self.used(&kept).await
        };
        match noted.await {
            Ok(()) => Ok(kept),
            Err(error) => {
                self.disown(&kept.id, &error).await;
                Err(error)
            }
        }
    }

    /// Removes a file that was not taken note of: on a full disk what is
    /// nobody's takes the room that somebody waits for. One that was brought
    /// before stays, and so does one of which nobody knows; the next start looks.
    async fn disown(&self, id: &MediaId, error: &MediaError) {
        let in_doubt = matches!(error, MediaError::Store(StoreError::Unknown(_)));
        if !in_doubt && matches!(self.store.media(id).await, Ok(None)) {
            self.remove(id).await;
        }
    }

    /// Takes note that a file is used now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn used(&self, kept: &Kept) -> Result<(), MediaError> {
        let record = MediaRecord {
            id: kept.id.clone(),
            size: kept.size,
            mime: sniff::sniff(&kept.head)
                .unwrap_or("application/octet-stream")
                .to_owned(),
            used_at: self.clock.unix(),
        };
        Ok(self.store.put_media(record).await?)
    }

    /// A file that was kept before, with its first bytes.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn find(&self, id: &MediaId) -> Result<Option<Kept>, MediaError> {
        use tokio::io::AsyncReadExt as _;
        let Some(record) = self.store.media(id).await? else {
            return Ok(None);
        };
        let file = match File::open(self.path(id)).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut head = Vec::new();
        file.take(sniff::HEAD_BYTES as u64)
            .read_to_end(&mut head)
            .await?;
        Ok(Some(Kept {
            id: id.clone(),
            size: record.size,
            head,
        }))
    }

    /// Width and height of a picture; `None` where it does not say them. A
    /// photograph may say them behind more than is kept of it for looking at.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn dimensions(&self, kept: &Kept) -> Result<Option<(u32, u32)>, MediaError> {
        let found = sniff::dimensions(&kept.head);
        let whole = kept.size <= kept.head.len() as u64;
        if found.is_some() || whole || sniff::sniff(&kept.head) != Some("image/jpeg") {
            return Ok(found);
        }
        let path = self.path(&kept.id);
        let look = move || sniff::jpeg(&mut BufReader::new(std::fs::File::open(path)?));
        let looked = tokio::task::spawn_blocking(look).await;
        let looked = looked.map_err(|error| MediaError::Io(error.to_string()))?;
        Ok(looked?)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A file that is still coming. Dropped, it leaves nothing behind.
pub struct Incoming {
    file: File,
    place: Place,
    digest: Sha256,
    size: u64,
    limit: u64,
    head: Vec<u8>,
}

/// Removes an unfinished file.
struct Place {
    path: PathBuf,
    done: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.done
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(event = events::MEDIA_NOT_REMOVED, %error, "an unfinished file stays until the next start");
        }
    }
}

impl Incoming {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Where they are too many, or the disk has no room.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), MediaError> {
        self.size += piece.len() as u64;
        if self.size > self.limit {
            return Err(MediaError::TooLarge(self.limit));
        }
        let room = sniff::HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
        self.digest.update(piece);
        self.file.write_all(piece).await?;
        Ok(())
    }
}

/// A file that comes from elsewhere, as a sink. Remembers why it failed.
pub struct Filling<'a> {
    incoming: &'a mut Incoming,
    /// What went wrong here, where something did.
    pub failed: Option<MediaError>,
}

impl<'a> Filling<'a> {
    /// Fills this file.
    pub fn new(incoming: &'a mut Incoming) -> Self {
        Self {
            incoming,
            failed: None,
        }
    }
}

#[async_trait]
impl FileSink for Filling<'_> {
    async fn write(&mut self, piece: &[u8]) -> Result<(), String> {
        match self.incoming.write(piece).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let said = error.to_string();
                self.failed = Some(error);
                Err(said)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemClock, SystemRandom};
    use crate::config::Config;
    use steadfast_store::MemoryStore;

    fn open(folder: &Path, store: &Arc<MemoryStore>) -> MediaStore {
        let config = Config::defaults().unwrap();
        let outgoing = Arc::new(Outgoing::new(&config.outgoing).unwrap());
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let store = store.clone();
        MediaStore::open(
            folder.to_owned(),
            store,
            clock,
            random,
            config.media,
            outgoing,
        )
        .unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn what_is_not_whole_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("media");
        let store = Arc::new(MemoryStore::new());
        let media = open(&folder, &store);
        let mut given_up = media.begin(100).await.unwrap();
        given_up.write(b"half").await.unwrap();
        assert_eq!(names(&folder).len(), 1);
        drop(given_up);
        assert_eq!(names(&folder), Vec::<String>::new());
        let mut long = media.begin(3).await.unwrap();
        let refused = long.write(b"four").await;
        assert!(matches!(refused, Err(MediaError::TooLarge(3))));
        drop(long);
        // A crash leaves its half file, and the next start clears it.
        std::fs::write(folder.join("0f.part"), "half").unwrap();
        drop(open(&folder, &store));
        assert_eq!(names(&folder), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_file_that_the_store_does_not_know_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("media");
        let store = Arc::new(MemoryStore::new());
        let media = Arc::new(open(&folder, &store));
        let mut file = media.begin(100).await.unwrap();
        file.write(b"known").await.unwrap();
        let kept = media.keep(file).await.unwrap();
        let orphan = MediaId::of(&[7; 32]);
        std::fs::write(media.path(&orphan), "nobody's").unwrap();
        let mut searched = Orphans::default();
        assert!(!media.clear_orphans(&mut searched).await, "there is more");
        assert_eq!(names(&folder), [kept.id.to_string()]);
        assert_eq!(media.find(&kept.id).await.unwrap().unwrap().head, b"known");
        assert!(media.find(&orphan).await.unwrap().is_none());
    }

    /// Its size stands behind more than is kept of it for looking at.
    #[tokio::test]
    async fn a_photograph_is_read_on_until_it_says_how_large_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let media = open(&dir.path().join("media"), &Arc::new(MemoryStore::new()));
        let mut jpeg = b"\xFF\xD8".to_vec();
        for _ in 0..5 {
            jpeg.extend(b"\xFF\xE1\xFF\xFF");
            jpeg.extend(vec![0; 65_533]);
        }
        assert!(jpeg.len() > sniff::HEAD_BYTES);
        for (end, found) in [
            (
                b"\xFF\xC2\0\x11\x08\xFF\xDC\xFF\xDC".as_slice(),
                Some((65_500, 65_500)),
            ),
            (b"\xFF\xDA\0\x02", None),
            (b"\xFF", None),
        ] {
            let mut file = media.begin(1 << 20).await.unwrap();
            file.write(&jpeg).await.unwrap();
            file.write(end).await.unwrap();
            let kept = media.keep(file).await.unwrap();
            assert_eq!(media.dimensions(&kept).await.unwrap(), found);
        }
    }

    #[test]
    fn a_full_disk_is_told_as_one() {
        // ENOSPC, EDQUOT, EFBIG.
        for code in [28, 122, 27] {
            let error = MediaError::from(io::Error::from_raw_os_error(code));
            assert!(matches!(error, MediaError::Full), "{error}");
        }
        let other = MediaError::from(io::Error::from_raw_os_error(5));
        assert!(matches!(other, MediaError::Io(_)));
    }
}
