//! Memory that was freed goes back to the system.
//!
//! The C library keeps what a program frees for its next wish (malloc_trim(3)).
//! Scripts for the page, snapshots and bursts of messages leave nearly half of the
//! gateway's own memory that way, which a small server has better use for.

use super::{Chore, Rhythm};
use async_trait::async_trait;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(20);

/// The process's own memory.
pub(super) struct Memory;

#[async_trait]
impl Chore for Memory {
    fn rhythm(&self) -> Rhythm {
        Rhythm {
            every: EVERY,
            breath: EVERY,
        }
    }

    async fn piece(&mut self) -> bool {
        // A panic is impossible, and the end of the runtime is no matter here.
        let _ = tokio::task::spawn_blocking(give_back).await;
        false
    }
}

/// Gives every whole page back that nothing lives in.
#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "there is no safe way to ask the C library for it"
)]
fn give_back() {
    // SAFETY: it takes a number, locks what it touches, and moves nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
fn give_back() {}

#[cfg(test)]
#[cfg(target_env = "gnu")]
mod tests {
    use super::*;

    /// Memory of this process that is no file's, in KiB.
    fn own_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse().unwrap()
    }

    #[tokio::test]
    async fn what_was_freed_goes_back_although_something_lives_behind_it() {
        let mut pieces: Vec<Box<[u8]>> = (0..32_768).map(|n| vec![n as u8; 1_024].into()).collect();
        let last = pieces.pop();
        drop(pieces);
        let kept = own_kib();
        assert!(!Memory.piece().await);
        let left = own_kib();
        assert!(kept > left + 16 * 1_024, "{kept} KiB, then {left} KiB");
        drop(last);
    }
}
