//! Files to and from the page, in pieces: a file is never whole in one call,
//! and never whole in our memory.

use crate::Error;
use crate::conclude::{conclude, of};
use crate::link::Link;
use crate::wire::{Have, Nothing, Opened, Piece};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use steadfast_core::failure::{Evidence, Failure, Kind, Operation, Resend, Rung};
use steadfast_core::ids::MessageKey;
use steadfast_core::outbox::MediaFile;
use steadfast_core::port::FileSink;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tracing::debug;

/// One piece: a multiple of 3, so that base64 of the pieces has no padding
/// between, and small enough that no other call waits long behind it.
const PIECE: usize = 384 * 1024;
/// The slowest line that is still waited for: a file may take as long as this
/// many bytes a second need, beyond the usual deadline.
const SLOWEST_LINE: u64 = 128 * 1024;
/// Files on their way to or from one page at a time. Each is some memory of
/// the browser's.
pub(crate) const AT_ONCE: usize = 2;

/// How long a file of this size may take over the network.
pub(crate) fn line_time(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / SLOWEST_LINE)
}

/// Names files in the page. Unique in this process, and pages do not outlive it.
fn token() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("f{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Why a file did not get into the page. Nothing was sent then.
#[derive(Debug)]
pub(crate) enum NotUploaded {
    /// The file itself is at fault: it is gone, or is not what it was.
    File(String),
    /// The disk, for now.
    Disk(std::io::Error),
    /// The page.
    Page(Error),
}

/// A file in the page, for as long as somebody needs it.
pub(crate) struct InPage<'a> {
    link: &'a Link,
    pub(crate) token: String,
}

impl InPage<'_> {
    /// Lets the page forget it. A page that does not answer is over soon, and
    /// the file with it.
    pub(crate) async fn drop_it(self) {
        let deadline = self.link.session.deadlines.call;
        let dropped: Result<Nothing, Error> = self
            .link
            .call("file_drop", json!({ "token": self.token }), deadline)
            .await;
        if let Err(error) = dropped {
            debug!(epoch = self.link.epoch.0, %error, "a file stays in the page for now");
        }
    }
}

/// Brings a file of the media folder into the page.
pub(crate) async fn upload<'a>(
    link: &'a Link,
    folder: Option<&Path>,
    file: &MediaFile,
) -> Result<InPage<'a>, NotUploaded> {
    let Some(folder) = folder else {
        return Err(NotUploaded::File(
            "this gateway has no media folder".to_owned(),
        ));
    };
    let mut source = match File::open(folder.join(file.id.as_str())).await {
        Ok(source) => source,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(NotUploaded::File(
                "the file is no longer in the media folder".to_owned(),
            ));
        }
        Err(error) => return Err(NotUploaded::Disk(error)),
    };
    let length = source.metadata().await.map_err(NotUploaded::Disk)?.len();
    if length != file.size {
        return Err(NotUploaded::File(format!(
            "the media file has {length} bytes and should have {}",
            file.size
        )));
    }
    let deadline = link.session.deadlines.call;
    let in_page = InPage {
        link,
        token: token(),
    };
    let begin = json!({ "token": in_page.token, "size": file.size, "mime": file.mime });
    let _: Have = link
        .call("file_begin", begin, deadline)
        .await
        .map_err(NotUploaded::Page)?;
    let mut at = 0_u64;
    let mut piece = vec![0; PIECE];
    while at < file.size {
        let read = fill(&mut source, &mut piece)
            .await
            .map_err(NotUploaded::Disk)?;
        if read == 0 {
            return Err(NotUploaded::File("the media file was cut short".to_owned()));
        }
        let data = STANDARD.encode(&piece[..read]);
        let args = json!({ "token": in_page.token, "at": at, "data": data });
        let have: Have = link
            .call("file_piece", args, deadline)
            .await
            .map_err(NotUploaded::Page)?;
        at = have.have;
    }
    Ok(in_page)
}

/// Fills as much of the piece as the file has left.
async fn fill(source: &mut File, piece: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        let read = source.read(&mut piece[filled..]).await?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    Ok(filled)
}

/// Fetches the file of a message.
pub(crate) async fn download(
    link: &Link,
    message: &MessageKey,
    limit: u64,
    into: &mut dyn FileSink,
) -> Result<u64, Failure> {
    let operation = Operation::Evaluate;
    let failed = |error: &Error| conclude(operation, error);
    let deadlines = &link.session.deadlines;
    let in_page = InPage {
        link,
        token: token(),
    };
    let fetch = deadlines.server + line_time(limit);
    let args = json!({
        "token": in_page.token,
        "message": message,
        "limit": limit,
        "search_ms": ms(deadlines.search),
        "fetch_ms": ms(fetch),
    });
    let opened: Opened = link
        .call("file_open", args, deadlines.search * 4 + fetch)
        .await
        .map_err(|error| failed(&error))?;
    if !opened.found {
        let what = if opened.conclusive {
            "there is no such message any more"
        } else {
            "the message could not be looked for"
        };
        debug!(why = opened.why, what);
        return Err(Failure {
            kind: if opened.conclusive {
                Kind::PermanentRequestError
            } else {
                Kind::Unknown
            },
            rung: Rung::RejectMessage,
            ..of(operation, Evidence::text(what))
        });
    }
    if opened.too_large {
        return Err(Failure {
            kind: Kind::MediaInvalid,
            rung: Rung::RejectMessage,
            resend: Resend::Yes,
            ..of(
                operation,
                Evidence::text(format!(
                    "the file has {} bytes, and at most {limit} are wanted",
                    opened.size
                )),
            )
        });
    }
    let mut at = 0;
    let mut outcome = Ok(opened.size);
    while at < opened.size {
        let args = json!({ "token": in_page.token, "at": at, "limit": PIECE });
        let bytes = match link.call("file_read", args, deadlines.call).await {
            Ok(Piece { data }) => STANDARD.decode(data).unwrap_or_default(),
            Err(error) => {
                outcome = Err(failed(&error));
                break;
            }
        };
        if bytes.is_empty() {
            outcome = Err(of(operation, Evidence::text("the file was cut short")));
            break;
        }
        if let Err(why) = into.write(&bytes).await {
            outcome = Err(of(operation, Evidence::text(why)));
            break;
        }
        at += bytes.len() as u64;
    }
    in_page.drop_it().await;
    outcome
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_has_longer() {
        assert_eq!(line_time(0), Duration::ZERO);
        assert_eq!(line_time(16 * 1024 * 1024), Duration::from_secs(128));
        assert!(line_time(u64::MAX) > Duration::from_secs(1));
        assert_eq!(PIECE % 3, 0, "no padding between pieces");
    }
}
