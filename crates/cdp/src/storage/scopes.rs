//! Write transactions that a dead browser left unfinished in IndexedDB.
//!
//! IndexedDB writes down, for each write transaction that has begun to write,
//! which locks it holds and how to undo it; the next start takes the locks and
//! undoes. Chromium (seen with 156) takes all of them as exclusive, also that
//! of the database, which transactions on different object stores share. So
//! where two of them were under way when the browser was killed, the second
//! lock is refused, the database counts as corrupt ("Unknown corruption"), and
//! is thrown away, the login with it: 4 of 30 browsers killed under load, and
//! none of those with one transaction or none.
//!
//! The remedy leaves the undoing to Chromium: every lock stays with the first
//! transaction that names it, and is taken from the others by one more record
//! in the database's log.

use super::log;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Where a database writes down what its transactions lock: four zero bytes
/// (no database, no store, no index), scopes, metadata; the scope's number follows.
const METADATA: [u8; 6] = [0, 0, 0, 0, 50, 1];
/// A batch's first sequence number and how many operations follow.
const BATCH: usize = 12;
/// The field of the metadata that holds a lock, as protocol buffers write it.
const LOCK: u8 = 0x0a;
/// A longer log is left alone: Chromium's own are at most 4 MiB, and a large
/// transaction more.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Mends the databases of a profile that no browser has open. How many
/// transactions had a lock taken from them: 0 nearly always.
///
/// # Errors
/// The profile cannot be read or written. Nothing is worse than it was then.
pub fn mend(user_data_dir: &Path) -> io::Result<usize> {
    let mut mended = 0;
    for database in super::indexed_dbs(&user_data_dir.join("Default"))? {
        if let Some(log) = newest_log(&database)? {
            mended += mend_log(&log)?;
        }
    }
    Ok(mended)
}

/// The log that the database was being written to.
fn newest_log(database: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for file in fs::read_dir(database)? {
        let path = file?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let (Some(number), Some("log")) = (number, path.extension().and_then(|e| e.to_str())) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

fn mend_log(path: &Path) -> io::Result<usize> {
    if fs::metadata(path)?.len() > LONGEST {
        return Ok(0);
    }
    let Some(log) = log::read(&fs::read(path)?) else {
        return Ok(0);
    };
    let Some((batch, mended)) = without_shared_locks(&log.records) else {
        return Ok(0);
    };
    let mut file = File::options().write(true).open(path)?;
    let end = u64::try_from(log.end).map_err(io::Error::other)?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    file.write_all(&log::appended(log.end, &batch))?;
    file.sync_data()?;
    Ok(mended)
}

/// The batch that takes from every unfinished transaction the locks that one
/// before it holds, and from how many. `None` where nothing is to be done, or
/// something is not as we know it.
fn without_shared_locks(records: &[Vec<u8>]) -> Option<(Vec<u8>, usize)> {
    let mut unfinished: BTreeMap<&[u8], &[u8]> = BTreeMap::new();
    let mut next_sequence = 0;
    for record in records {
        let (head, mut rest) = record.split_at_checked(BATCH)?;
        let (sequence, count) = head.split_first_chunk()?;
        let count = u32::from_le_bytes(count.try_into().ok()?);
        let after = u64::from_le_bytes(*sequence).checked_add(u64::from(count))?;
        next_sequence = next_sequence.max(after);
        for _ in 0..count {
            let (&kind, after) = rest.split_first()?;
            let (key, after) = counted(after)?;
            let is_metadata = key.starts_with(&METADATA);
            match kind {
                0 => {
                    rest = after;
                    if is_metadata {
                        unfinished.remove(key);
                    }
                }
                1 => {
                    let (value, after) = counted(after)?;
                    rest = after;
                    if is_metadata {
                        unfinished.insert(key, value);
                    }
                }
                _ => return None,
            }
        }
    }
    // One that is finished, and only has its notes to clear away, locks nothing.
    unfinished.retain(|_, locks| !locks.is_empty());
    let mut held = HashSet::new();
    let mut batch = vec![0; BATCH];
    let mut mended: u32 = 0;
    for (key, value) in unfinished {
        let named = locks(value)?;
        let kept: Vec<&[u8]> = named
            .iter()
            .copied()
            .filter(|lock| held.insert(*lock))
            .collect();
        if kept.len() == named.len() {
            continue;
        }
        if kept.is_empty() {
            // Without any it would count as finished.
            return None;
        }
        let mut value = Vec::new();
        for lock in kept {
            value.push(LOCK);
            put_counted(&mut value, lock);
        }
        batch.push(1);
        put_counted(&mut batch, key);
        put_counted(&mut batch, &value);
        mended += 1;
    }
    if mended == 0 {
        return None;
    }
    batch[..8].copy_from_slice(&next_sequence.to_le_bytes());
    batch[8..BATCH].copy_from_slice(&mended.to_le_bytes());
    Some((batch, usize::try_from(mended).ok()?))
}

/// The locks in a transaction's metadata, which holds nothing else while it is unfinished.
fn locks(mut metadata: &[u8]) -> Option<Vec<&[u8]>> {
    let mut locks = Vec::new();
    while let Some((&field, rest)) = metadata.split_first() {
        let (lock, rest) = (field == LOCK).then(|| counted(rest))??;
        locks.push(lock);
        metadata = rest;
    }
    Some(locks)
}

/// Bytes behind their count, which is a varint, and what follows them.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut count, mut shift) = (0_usize, 0);
    for (at, &byte) in bytes.iter().enumerate().take(5) {
        count |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return bytes.get(at + 1..)?.split_at_checked(count);
        }
    }
    None
}

fn put_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut count = bytes.len();
    while count >= 0x80 {
        out.push(count.to_le_bytes()[0] | 0x80);
        count >>= 7;
    }
    out.push(count.to_le_bytes()[0]);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch as LevelDB writes it: `None` deletes.
    fn batch(sequence: u64, operations: &[(&[u8], Option<&[u8]>)]) -> Vec<u8> {
        let mut out = sequence.to_le_bytes().to_vec();
        out.extend_from_slice(&u32::try_from(operations.len()).unwrap().to_le_bytes());
        for (key, value) in operations {
            out.push(u8::from(value.is_some()));
            put_counted(&mut out, key);
            if let Some(value) = value {
                put_counted(&mut out, value);
            }
        }
        out
    }

    fn scope(number: u8) -> Vec<u8> {
        [METADATA.as_slice(), &[number]].concat()
    }

    /// Metadata with these locks.
    fn holding(locks: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for lock in locks {
            out.push(LOCK);
            put_counted(&mut out, lock.as_bytes());
        }
        out
    }

    #[test]
    fn a_shared_lock_stays_with_the_first() {
        let (one, two) = (scope(4), scope(5));
        let records = [
            batch(
                10,
                &[(b"row", Some(b"x")), (&one, Some(&holding(&["db", "a"])))],
            ),
            batch(12, &[(&two, Some(&holding(&["db", "b", "c"])))]),
        ];
        let wanted = batch(13, &[(&two, Some(&holding(&["b", "c"])))]);
        assert_eq!(without_shared_locks(&records), Some((wanted, 1)));
    }

    #[test]
    fn one_transaction_and_finished_ones_are_left_alone() {
        let (one, two, three) = (scope(1), scope(2), scope(3));
        let locks = holding(&["db", "a"]);
        let records = [
            batch(
                1,
                &[
                    (&one, Some(&locks)),
                    (&two, Some(&locks)),
                    (&three, Some(&locks)),
                ],
            ),
            // Committed, and cleared away.
            batch(4, &[(&two, Some(b""))]),
            batch(5, &[(&one, None)]),
        ];
        assert_eq!(without_shared_locks(&records), None);
        assert_eq!(without_shared_locks(&[]), None);
    }

    #[test]
    fn what_is_not_as_we_know_it_is_left_alone() {
        let (one, two) = (scope(1), scope(2));
        // All that the second holds is held by the first: it would seem finished.
        let same = holding(&["db"]);
        let records = [batch(1, &[(&one, Some(&same)), (&two, Some(&same))])];
        assert_eq!(without_shared_locks(&records), None);
        // Another field than a lock.
        let other = [holding(&["db", "b"]), vec![0x10, 1]].concat();
        let records = [batch(1, &[(&one, Some(&same)), (&two, Some(&other))])];
        assert_eq!(without_shared_locks(&records), None);
        // A batch that says less than it announces.
        let mut short = batch(1, &[(&one, Some(&same))]);
        short[8] = 2;
        assert_eq!(without_shared_locks(&[short]), None);
        // More than there can be.
        let last = batch(u64::MAX, &[(&one, Some(&same))]);
        assert_eq!(without_shared_locks(&[last]), None);
    }

    #[test]
    fn the_log_is_mended_in_place_and_a_torn_end_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("Default/IndexedDB/x.indexeddb.leveldb");
        fs::create_dir_all(&database).unwrap();
        let (one, two) = (scope(1), scope(2));
        let mut bytes = Vec::new();
        for record in [
            batch(1, &[(&one, Some(&holding(&["db", "a"])))]),
            batch(2, &[(&two, Some(&holding(&["db", "b"])))]),
        ] {
            bytes.extend(log::appended(bytes.len(), &record));
        }
        let torn = log::appended(bytes.len(), b"never finished");
        bytes.extend(&torn[..torn.len() - 3]);
        fs::write(database.join("000009.log"), "older: not read").unwrap();
        fs::write(database.join("000010.log"), &bytes).unwrap();
        fs::write(database.join("LOG"), "not a log of this kind").unwrap();
        fs::write(folder.path().join("Default/IndexedDB/stray"), "no database").unwrap();
        assert_eq!(mend(folder.path()).unwrap(), 1);
        let log = log::read(&fs::read(database.join("000010.log")).unwrap()).unwrap();
        assert_eq!(log.records.len(), 3);
        assert_eq!(log.records[2], batch(3, &[(&two, Some(&holding(&["b"])))]));
        // Once is enough.
        assert_eq!(mend(folder.path()).unwrap(), 0);
        let nothing = tempfile::tempdir().unwrap();
        assert_eq!(mend(nothing.path()).unwrap(), 0);
    }
}
