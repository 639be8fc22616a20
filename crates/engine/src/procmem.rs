//! The processes below a browser, and how much memory they use, from /proc.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The browser's memory, read now and then beside the heartbeats.
#[derive(Debug, Default)]
pub(crate) struct BrowserMemory {
    bytes: Arc<AtomicU64>,
    busy: Arc<AtomicBool>,
    read_at: Mutex<Option<Instant>>,
}

impl BrowserMemory {
    /// Reading walks the kernel's tables of each process: not every second.
    const EVERY: Duration = Duration::from_secs(15);

    /// As last read, in bytes; `None` before that, and where nothing is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self.bytes.load(Ordering::Relaxed) {
            0 => None,
            bytes => Some(bytes),
        }
    }

    /// Begins a reading where the last one is old. Never waits for it.
    pub(crate) fn refresh(&self, pid: u32) {
        let mut read_at = self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        if read_at.is_some_and(|at| at.elapsed() < Self::EVERY)
            || self.busy.swap(true, Ordering::AcqRel)
        {
            return;
        }
        *read_at = Some(Instant::now());
        let (bytes, busy) = (Arc::clone(&self.bytes), Arc::clone(&self.busy));
        tokio::task::spawn_blocking(move || {
            bytes.store(tree_bytes(pid).unwrap_or(0), Ordering::Relaxed);
            busy.store(false, Ordering::Release);
        });
    }
}

/// The proportional set size of the tree in bytes, in which each shared page
/// counts once; the resident size where the kernel does not tell. `None` where
/// the process is gone.
///
/// Reads a few files for each process of the tree: some milliseconds.
pub(crate) fn tree_bytes(root: u32) -> Option<u64> {
    let tree = tree(root, &parents());
    let total: u64 = tree.iter().filter_map(|pid| process_bytes(*pid)).sum();
    (total > 0).then_some(total)
}

/// The descendants of a process whose command line holds this argument.
pub(crate) fn descendants_with(root: u32, argument: &str) -> Vec<u32> {
    tree(root, &parents())
        .into_iter()
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                // A forked renderer writes its own line anew, with spaces for the zero bytes.
                line.split(|byte| matches!(byte, 0 | b' '))
                    .any(|arg| arg == argument.as_bytes())
            })
        })
        .collect()
}

fn process_bytes(pid: u32) -> Option<u64> {
    pss(pid).or_else(|| resident(pid))
}

fn pss(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    kib_of(&rollup, "Pss:")
}

fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kib_of(&status, "VmRSS:")
}

/// Reads `Name:   123 kB` as bytes.
fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Every process with its parent.
fn parents() -> HashMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return HashMap::new();
    };
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parent_in(&stat)?))
        })
        .collect()
}

/// The parent in a stat line. The command's name, in brackets, may hold anything.
fn parent_in(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn tree(root: u32, parents: &HashMap<u32, u32>) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(pid, its)| **its == parent && **pid != parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_is_more_than_nothing() {
        let bytes = tree_bytes(std::process::id()).unwrap();
        assert!(bytes > 100 * 1024, "{bytes}");
    }

    #[test]
    fn a_gone_process_uses_none() {
        assert_eq!(tree_bytes(u32::MAX - 1), None);
    }

    #[test]
    fn names_with_brackets_do_not_confuse() {
        assert_eq!(parent_in("12 (a) b (c)) S 7 12 12 0"), Some(7));
    }

    #[test]
    fn the_tree_holds_grandchildren_and_no_strangers() {
        let parents = HashMap::from([(2, 1), (3, 2), (4, 3), (9, 8), (1, 0)]);
        let mut tree = tree(2, &parents);
        tree.sort_unstable();
        assert_eq!(tree, [2, 3, 4]);
    }
}
