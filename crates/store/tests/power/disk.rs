//! A disk that keeps what was synced, and of the rest what it pleases.
//!
//! The disk records each thing that is done to one folder, in order. A power
//! cut at any place of that record gives a folder as it may be found
//! afterwards: what was synced before is whole; of what was not, each 512-byte
//! sector of a write, each change of a file's length and each change of the
//! folder itself is there or not, by the dice. So writes are torn, come out of
//! order, and files that were made, renamed or removed may be found as before.
//!
//! One record can be cut as often as one likes.

use crate::dice::Dice;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a disk writes whole or not at all, in bytes. Real ones promise 512 or 4096.
const SECTOR: u64 = 512;

/// A file, under whatever name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId(usize);

/// One thing that was done to the folder.
#[derive(Debug, Clone)]
enum Step {
    /// A new, empty file under this name.
    Made(String, FileId),
    Renamed {
        from: String,
        to: String,
    },
    Removed(String),
    Written {
        file: FileId,
        at: u64,
        bytes: Vec<u8>,
    },
    Resized(FileId, u64),
    /// All that was done to the file before this place is on the disk.
    Synced(FileId, usize),
    /// All that was done to the folder's names before this place is on the disk.
    FolderSynced(usize),
}

/// Which of the syncs a disk really does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Honesty {
    /// Every one.
    Honest,
    /// None: what a disk does that answers from a cache without a battery.
    SyncsNothing,
    /// Those of files, not those of the folder.
    ForgetsNames,
}

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Lost,
    Kept,
    /// Kept up to a place of the record, lost after it.
    KeptUpTo(usize),
    /// Each piece for itself, with so many chances in a hundred.
    Diced(u64),
}

impl Fate {
    fn roll(dice: &mut Dice, at: usize) -> Self {
        match dice.below(6) {
            0 => Self::Lost,
            1 => Self::Kept,
            2 => Self::KeptUpTo(dice.index(at + 1)),
            3 => Self::Diced(90),
            4 => Self::Diced(10),
            _ => Self::Diced(50),
        }
    }

    fn spares(self, place: usize, dice: &mut Dice) -> bool {
        match self {
            Self::Lost => false,
            Self::Kept => true,
            Self::KeptUpTo(end) => place < end,
            Self::Diced(chances) => dice.below(100) < chances,
        }
    }
}

/// What stands in a folder: each file's bytes by its name.
pub(crate) type Folder = BTreeMap<String, Vec<u8>>;

/// The record of one folder.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    record: Mutex<Record>,
    /// Where the record begins: what comes before is how it was found.
    begin: usize,
}

#[derive(Debug, Default)]
struct Record {
    steps: Vec<Step>,
    files: usize,
    names: HashMap<String, FileId>,
}

impl Disk {
    /// A disk on which this is found.
    pub(crate) fn holding(folder: &Folder) -> Self {
        let mut disk = Self::default();
        for (name, bytes) in folder {
            let file = disk.file(name, true).unwrap();
            disk.write(file, 0, bytes);
            disk.sync(file, disk.place());
        }
        disk.sync_folder(disk.place());
        disk.begin = disk.place();
        disk
    }

    /// The first place at which the power can be cut.
    pub(crate) fn begin(&self) -> usize {
        self.begin
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place in the record that is reached now.
    pub(crate) fn place(&self) -> usize {
        self.record().steps.len()
    }

    /// The file of this name; made where it may be.
    pub(crate) fn file(&self, name: &str, make: bool) -> Option<FileId> {
        let mut record = self.record();
        if let Some(file) = record.names.get(name) {
            return Some(*file);
        }
        make.then(|| {
            let file = FileId(record.files);
            record.files += 1;
            record.names.insert(name.to_owned(), file);
            record.steps.push(Step::Made(name.to_owned(), file));
            file
        })
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        let mut record = self.record();
        if let Some(file) = record.names.remove(from) {
            record.names.insert(to.to_owned(), file);
            record.steps.push(Step::Renamed {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        let mut record = self.record();
        if record.names.remove(name).is_some() {
            record.steps.push(Step::Removed(name.to_owned()));
        }
    }

    pub(crate) fn write(&self, file: FileId, at: u64, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        self.record().steps.push(Step::Written { file, at, bytes });
    }

    pub(crate) fn resize(&self, file: FileId, bytes: u64) {
        self.record().steps.push(Step::Resized(file, bytes));
    }

    /// A sync that was asked for at `since` has come to its end.
    pub(crate) fn sync(&self, file: FileId, since: usize) {
        self.record().steps.push(Step::Synced(file, since));
    }

    /// A sync of the folder that was asked for at `since` has come to its end.
    pub(crate) fn sync_folder(&self, since: usize) {
        self.record().steps.push(Step::FolderSynced(since));
    }

    /// The folder as it stands while the power is on.
    pub(crate) fn now(&self) -> Folder {
        let record = self.record();
        Found::all(&record.steps).folder()
    }

    /// The folder as it may be found after a power cut at this place.
    pub(crate) fn cut(&self, place: usize, honesty: Honesty, dice: &mut Dice) -> Folder {
        let record = self.record();
        let steps = &record.steps[..place];
        let (mut files, mut names) = (vec![self.begin; record.files], self.begin);
        for step in steps {
            match (step, honesty) {
                (Step::Synced(file, since), Honesty::Honest | Honesty::ForgetsNames) => {
                    files[file.0] = *since;
                }
                (Step::FolderSynced(since), Honesty::Honest) => names = *since,
                _ => {}
            }
        }
        let (of_files, of_names) = (Fate::roll(dice, place), Fate::roll(dice, place));
        let mut found = Found {
            // A file made longer shows what lay on the disk before, or nothing.
            old: dice.flip().then(|| dice.byte()),
            ..Found::default()
        };
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::Made(..) | Step::Renamed { .. } | Step::Removed(_) => {
                    if at < names || of_names.spares(at, dice) {
                        found.apply(step);
                    } else {
                        found.remember(step);
                    }
                }
                Step::Written { file, .. } | Step::Resized(file, _) if at < files[file.0] => {
                    found.apply(step);
                }
                Step::Written {
                    file,
                    at: from,
                    bytes,
                } => {
                    for (from, sector) in sectors(*from, bytes) {
                        if of_files.spares(at, dice) {
                            found.write(*file, from, sector);
                        }
                    }
                }
                Step::Resized(..) => {
                    if of_files.spares(at, dice) {
                        found.apply(step);
                    }
                }
                Step::Synced(..) | Step::FolderSynced(_) => {}
            }
        }
        let mut folder = found.folder();
        // What is shared between processes through memory is worth nothing now.
        for (name, bytes) in &mut folder {
            if name.ends_with("-shm") {
                bytes.fill_with(|| dice.byte());
            }
        }
        folder
    }
}

/// Cuts a write at the borders of the disk's sectors.
fn sectors(at: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let (mut at, mut rest) = (at, bytes);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let room = (SECTOR - at % SECTOR).min(rest.len() as u64);
        let (sector, after) = rest.split_at(usize::try_from(room).unwrap());
        let from = at;
        (at, rest) = (at + room, after);
        Some((from, sector))
    })
}

/// A folder that is put together from steps.
#[derive(Default)]
struct Found {
    names: BTreeMap<String, FileId>,
    files: BTreeMap<FileId, Vec<u8>>,
    /// With what the new part of a file that grew is filled.
    old: Option<u8>,
    /// Names as they were while the power was on.
    live: HashMap<String, FileId>,
}

impl Found {
    fn all(steps: &[Step]) -> Self {
        let mut found = Self::default();
        for step in steps {
            found.apply(step);
        }
        found
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Made(name, file) => {
                self.names.insert(name.clone(), *file);
            }
            Step::Renamed { from, to } => {
                // Where the first name never came to the disk, the second one
                // still does: it is one entry that was written anew.
                if let Some(file) = self.live.get(from) {
                    self.names.insert(to.clone(), *file);
                }
                self.names.remove(from);
            }
            Step::Removed(name) => {
                self.names.remove(name);
            }
            Step::Written { file, at, bytes } => self.write(*file, *at, bytes),
            Step::Resized(file, bytes) => self.resize(*file, *bytes),
            Step::Synced(..) | Step::FolderSynced(_) => {}
        }
        self.remember(step);
    }

    fn remember(&mut self, step: &Step) {
        match step {
            Step::Made(name, file) => {
                self.live.insert(name.clone(), *file);
            }
            Step::Renamed { from, to } => {
                if let Some(file) = self.live.remove(from) {
                    self.live.insert(to.clone(), file);
                }
            }
            Step::Removed(name) => {
                self.live.remove(name);
            }
            _ => {}
        }
    }

    fn write(&mut self, file: FileId, at: u64, bytes: &[u8]) {
        let end = at + bytes.len() as u64;
        let long = self.files.entry(file).or_default().len() as u64;
        if end > long {
            self.resize(file, end);
        }
        let at = usize::try_from(at).unwrap();
        let content = self.files.entry(file).or_default();
        content[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn resize(&mut self, file: FileId, bytes: u64) {
        let new_part = self.old.unwrap_or(0);
        let content = self.files.entry(file).or_default();
        content.resize(usize::try_from(bytes).unwrap(), new_part);
    }

    fn folder(self) -> Folder {
        let Self { names, files, .. } = self;
        let content = |file| files.get(&file).cloned().unwrap_or_default();
        names
            .into_iter()
            .map(|(name, file)| (name, content(file)))
            .collect()
    }
}

/// Puts files into an empty folder.
pub(crate) fn lay_out(folder: &Folder, at: &Path) {
    for (name, bytes) in folder {
        std::fs::write(at.join(name), bytes).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_cut(disk: &Disk, place: usize, honesty: Honesty) -> Vec<Folder> {
        let cut = |seed| disk.cut(place, honesty, &mut Dice::new(seed));
        (0..300).map(cut).collect()
    }

    #[test]
    fn what_is_synced_with_its_name_is_always_found() {
        let disk = Disk::default();
        let file = disk.file("a", true).unwrap();
        disk.write(file, 0, &[1; 2_000]);
        disk.sync(file, disk.place());
        let without_name = disk.place();
        disk.sync_folder(disk.place());
        let place = disk.place();
        let found = every_cut(&disk, place, Honesty::Honest);
        assert!(found.iter().all(|found| found["a"] == [1; 2_000]));
        for (place, honesty) in [
            (without_name, Honesty::Honest),
            (place, Honesty::ForgetsNames),
            (place, Honesty::SyncsNothing),
        ] {
            let found = every_cut(&disk, place, honesty);
            assert!(found.iter().any(|found| !found.contains_key("a")));
        }
    }

    #[test]
    fn a_write_that_was_not_synced_is_torn_between_sectors_and_comes_out_of_order() {
        let disk = Disk::default();
        let file = disk.file("a", true).unwrap();
        disk.write(file, 0, &[1; 1_024]);
        disk.sync(file, disk.place());
        disk.sync_folder(disk.place());
        disk.write(file, 0, &[2; 1_024]);
        disk.write(file, 0, &[3; 512]);
        let mut seen = std::collections::BTreeSet::new();
        for found in every_cut(&disk, disk.place(), Honesty::Honest) {
            let found = &found["a"];
            for sector in found.chunks(512) {
                assert!(sector.iter().all(|byte| *byte == sector[0]));
            }
            seen.insert((found[0], found[512]));
        }
        let all = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)];
        assert!(seen.into_iter().eq(all));
    }

    #[test]
    fn a_rename_that_was_not_synced_shows_either_name() {
        let disk = Disk::default();
        let file = disk.file("new", true).unwrap();
        disk.write(file, 0, b"x");
        disk.sync(file, disk.place());
        disk.sync_folder(disk.place());
        disk.rename("new", "old");
        let found = every_cut(&disk, disk.place(), Honesty::Honest);
        assert!(found.iter().all(|found| found.len() == 1));
        assert!(found.iter().any(|found| found.contains_key("new")));
        assert!(found.iter().any(|found| found.contains_key("old")));
        disk.sync_folder(disk.place());
        let found = every_cut(&disk, disk.place(), Honesty::Honest);
        assert!(found.iter().all(|found| found["old"] == b"x"));
    }

    #[test]
    fn what_a_file_grows_by_is_nothing_or_old_bytes() {
        let disk = Disk::default();
        let file = disk.file("a", true).unwrap();
        disk.sync_folder(disk.place());
        disk.write(file, 0, &[1; 512]);
        disk.write(file, 512, &[2; 512]);
        let found = every_cut(&disk, disk.place(), Honesty::Honest);
        assert!(
            found
                .iter()
                .any(|f| f["a"].len() == 1_024 && f["a"][0] == 0)
        );
        assert!(found.iter().any(|f| f["a"].len() == 1_024 && f["a"][0] > 2));
    }
}
