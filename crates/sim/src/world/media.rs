//! The media store: bytes by path, bounded.

use super::World;
use super::control::OutsideFile;
use crate::address::Number;
use crate::error::Error;
use crate::journal::{ArrivedFile, Entry, Event};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use steadfast_core::ids::MediaId;

/// All bytes together.
const MAX_BYTES: usize = 512 * 1024 * 1024;
/// How long an upload permission is good.
pub(super) const AUTH_TTL_MS: i64 = 3_600_000;
/// Where media is fetched.
pub(super) const GET_PREFIX: &str = "/mms/get/";

/// Media by the hash in its path.
#[derive(Debug, Default)]
pub(super) struct Media {
    items: BTreeMap<String, Option<Arc<Stored>>>,
    bytes: usize,
    auths: HashMap<String, (Number, i64)>,
}

/// One stored file.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its content.
    pub bytes: Vec<u8>,
    /// As it was uploaded.
    pub kind: String,
}

/// The answer to an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Uploaded {
    /// Where it is.
    pub url: String,
    /// The same without the host.
    pub direct_path: String,
    /// The last part of it.
    pub handle: String,
    /// Of the bytes, base64.
    pub sha256: String,
}

/// Why media was not stored or not found, as an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaRefusal(pub u16);

impl Media {
    pub(super) fn knows(&self, path: &str) -> bool {
        path.strip_prefix(GET_PREFIX)
            .is_some_and(|h| self.items.contains_key(h))
    }

    /// The file that a message's content names, as its recipient fetches it.
    pub(super) fn arrived(&self, content: &Map<String, Value>) -> Option<Box<ArrivedFile>> {
        let path = content.get("media")?.get("direct_path")?.as_str()?;
        let stored = self.items.get(path.strip_prefix(GET_PREFIX)?)?.as_ref()?;
        let digest = Sha256::digest(&stored.bytes);
        Some(Box::new(ArrivedFile {
            sha256: MediaId::of(&digest.into()).into(),
            bytes: stored.bytes.len() as u64,
        }))
    }

    pub(super) fn expire_all(&mut self) {
        for item in self.items.values_mut() {
            *item = None;
        }
        self.bytes = 0;
    }
}

impl World {
    pub(super) fn give_media_auth(&mut self, account: &Number) -> String {
        let auth = self.rng.base64url(24);
        let until = self.unix_ms() + AUTH_TTL_MS;
        let now = self.unix_ms();
        self.media.auths.retain(|_, (_, until)| *until > now);
        self.media
            .auths
            .insert(auth.clone(), (account.clone(), until));
        auth
    }

    /// Takes an upload.
    ///
    /// # Errors
    ///
    /// The HTTP status that the uploader is told.
    pub fn upload(
        &mut self,
        kind: &str,
        auth: &str,
        bytes: Vec<u8>,
    ) -> Result<Uploaded, MediaRefusal> {
        let now = self.unix_ms();
        let account = self
            .media
            .auths
            .get(auth)
            .filter(|(_, until)| *until > now)
            .map(|(account, _)| account.clone());
        let status = if let Some(status) = self.faults.refuse_upload() {
            Some(status)
        } else if !matches!(
            kind,
            "image" | "video" | "audio" | "ptt" | "document" | "sticker"
        ) || bytes.is_empty()
        {
            Some(400)
        } else if account.is_none() {
            Some(401)
        } else if bytes.len() as u64 > self.knobs.max_media_bytes {
            Some(413)
        } else if self.media.bytes.saturating_add(bytes.len()) > MAX_BYTES {
            Some(507)
        } else {
            None
        };
        let mut entry = Entry::new(Event::Upload)
            .kind(kind)
            .level(bytes.len() as i64);
        if let Some(account) = &account {
            entry = entry.account(account);
        }
        if let Some(status) = status {
            entry.event = Event::UploadRefused;
            self.log(entry.level(i64::from(status)));
            return Err(MediaRefusal(status));
        }
        let uploaded = self.store_media(kind, bytes);
        self.log(entry.detail(uploaded.handle.clone()));
        Ok(uploaded)
    }

    /// Stores bytes, whoever they come from.
    pub(super) fn store_media(&mut self, kind: &str, bytes: Vec<u8>) -> Uploaded {
        let digest = Sha256::digest(&bytes);
        let handle = URL_SAFE_NO_PAD.encode(digest);
        self.media.bytes += bytes.len();
        let stored = Arc::new(Stored {
            bytes,
            kind: kind.to_owned(),
        });
        if let Some(Some(older)) = self.media.items.insert(handle.clone(), Some(stored)) {
            self.media.bytes = self.media.bytes.saturating_sub(older.bytes.len());
        }
        let direct_path = format!("{GET_PREFIX}{handle}");
        Uploaded {
            url: format!("https://web.whatsapp.com{direct_path}"),
            direct_path,
            handle,
            sha256: STANDARD.encode(digest),
        }
    }

    /// The content of a message with this file of somebody outside.
    pub(super) fn outside_media(&mut self, kind: &str, file: &OutsideFile) -> Result<Value, Error> {
        let bytes = STANDARD
            .decode(&file.data)
            .map_err(|_| Error::Invalid("file.data: base64".to_owned()))?;
        if self.media.bytes.saturating_add(bytes.len()) > MAX_BYTES {
            return Err(Error::Invalid("file: the media store is full".to_owned()));
        }
        let size = bytes.len();
        let stored = self.store_media(kind, bytes);
        let mut media = serde_json::json!({
            "direct_path": stored.direct_path,
            "mimetype": file.mimetype,
            "size": size,
            "sha256": stored.sha256,
        });
        if let Some(name) = &file.filename {
            media["filename"] = Value::from(name.as_str());
        }
        Ok(media)
    }

    /// Fetches media by the last part of its path.
    ///
    /// # Errors
    ///
    /// 404, or 410 where it has expired.
    pub fn download(&mut self, handle: &str) -> Result<Arc<Stored>, MediaRefusal> {
        let found = self.media.items.get(handle).cloned();
        let handle: String = handle.chars().take(64).collect();
        match found {
            Some(Some(stored)) => {
                self.log(Entry::new(Event::Download).detail(handle));
                Ok(stored)
            }
            Some(None) => Err(MediaRefusal(410)),
            None => Err(MediaRefusal(404)),
        }
    }
}
