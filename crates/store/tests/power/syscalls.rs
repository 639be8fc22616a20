//! Stands between this program and the C library's file functions.
//!
//! SQLite and Rust's own library both reach the kernel through functions of
//! the C library: `open64`, `write`, `pwrite64`, `ftruncate64`, `fsync`,
//! `rename`, `unlink`, `close`. A program that has functions of these names is
//! linked to its own. These do what the originals do, by a system call, and
//! tell the [`Disk`] of the folder about it. So the store under test is the
//! real one, with SQLite's real file layer under it: also what it does by
//! itself, when it puts a new database into its place, is recorded.
//!
//! What is missed here would be noticed: a test compares the record with the
//! folder byte by byte.
//!
//! Syncs below a watched folder are recorded and not done: a file system that
//! stays up shows every write anyway, and the test takes no wear out of a real disk.

#![expect(
    unsafe_code,
    reason = "the C library's functions take raw pointers and descriptors"
)]

use crate::disk::{Disk, FileId};
use rustix::fd::{BorrowedFd, IntoRawFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// What is known of a descriptor below a watched folder.
#[derive(Clone)]
enum Open {
    File(Arc<Disk>, FileId),
    Folder(Arc<Disk>),
    /// Below a folder where nothing is recorded. Its syncs fail while the flag is up.
    Scratch(Arc<AtomicBool>),
}

#[derive(Default)]
struct Watched {
    folders: Vec<(PathBuf, Option<Arc<Disk>>)>,
    /// Scratch folders whose disk may fail.
    failing: Vec<(PathBuf, Arc<AtomicBool>)>,
    open: HashMap<c_int, Open>,
}

static WATCHED: LazyLock<Mutex<Watched>> = LazyLock::new(Mutex::default);

fn watched() -> MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watched {
    /// The watched folder that a path lies in, and its name there; no name where it is the folder.
    fn place(&self, path: &Path) -> Option<(Option<Arc<Disk>>, Option<String>)> {
        self.folders.iter().find_map(|(folder, disk)| {
            if path == folder {
                return Some((disk.clone(), None));
            }
            let name = path.strip_prefix(folder).ok()?.to_str()?.to_owned();
            Some((disk.clone(), Some(name)))
        })
    }

    /// Whether syncs at a path fail, now and later.
    fn fails(&self, path: &Path) -> Arc<AtomicBool> {
        let found = self
            .failing
            .iter()
            .find(|(folder, _)| path.starts_with(folder));
        found.map(|(_, flag)| Arc::clone(flag)).unwrap_or_default()
    }
}

/// Watches a folder for as long as it is kept.
pub(crate) struct Watch(PathBuf);

impl Watch {
    /// Records what is done in the folder.
    pub(crate) fn record(folder: &Path, disk: Arc<Disk>) -> Self {
        Self::begin(folder, Some(disk))
    }

    /// Leaves out the syncs in the folder, and records nothing.
    pub(crate) fn scratch(folder: &Path) -> Self {
        Self::begin(folder, None)
    }

    /// The same, on a disk that fails every sync while the flag is up.
    pub(crate) fn failing(folder: &Path) -> (Self, Arc<AtomicBool>) {
        let flag = Arc::new(AtomicBool::new(false));
        watched()
            .failing
            .push((folder.to_owned(), Arc::clone(&flag)));
        (Self::begin(folder, None), flag)
    }

    fn begin(folder: &Path, disk: Option<Arc<Disk>>) -> Self {
        let folder = folder.to_owned();
        watched().folders.push((folder.clone(), disk));
        Self(folder)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = watched();
        watched.folders.retain(|(folder, _)| *folder != self.0);
        watched.failing.retain(|(folder, _)| *folder != self.0);
    }
}

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

/// Answers as the C library does: -1, and why in `errno`.
fn answer<T: Into<i64>>(result: rustix::io::Result<T>) -> i64 {
    match result {
        Ok(value) => value.into(),
        Err(error) => {
            // SAFETY: glibc gives a place that is the calling thread's own.
            unsafe { *__errno_location() = error.raw_os_error() };
            -1
        }
    }
}

fn done(result: rustix::io::Result<()>) -> c_int {
    answer(result.map(|()| 0)) as c_int
}

/// SAFETY: `path` must be a C string that outlives the answer.
unsafe fn path_of<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(path) };
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// SAFETY: `fd` must be open for as long as the answer is used.
unsafe fn borrowed<'a>(fd: c_int) -> BorrowedFd<'a> {
    // SAFETY: the caller's promise.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

fn file_of(fd: c_int) -> Option<(Arc<Disk>, FileId)> {
    match watched().open.get(&fd) {
        Some(Open::File(disk, file)) => Some((Arc::clone(disk), *file)),
        _ => None,
    }
}

// The mode is variadic in C. On the machines that this project runs on, a
// variadic integer is passed like any other third argument; where the caller
// gave none, its flags say that nothing is made and the value is not used.
#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: `open` asks the same of its caller.
    let path = unsafe { path_of(path) };
    let wanted = OFlags::from_bits_retain(flags.cast_unsigned());
    let mode = if wanted.intersects(OFlags::CREATE | OFlags::TMPFILE) {
        Mode::from_raw_mode(mode)
    } else {
        Mode::empty()
    };
    // One lock around both, so that no two calls are told in the wrong order.
    let mut watched = watched();
    let opened = rustix::fs::openat(CWD, path, wanted, mode).map(IntoRawFd::into_raw_fd);
    if let (Ok(fd), Some((disk, name))) = (&opened, watched.place(path)) {
        let open = match (disk, name) {
            (None, _) => Some(Open::Scratch(watched.fails(path))),
            (Some(disk), None) => Some(Open::Folder(disk)),
            (Some(disk), Some(name)) => {
                disk.file(&name, wanted.contains(OFlags::CREATE))
                    .map(|file| {
                        if wanted.contains(OFlags::TRUNC) {
                            disk.resize(file, 0);
                        }
                        Open::File(disk, file)
                    })
            }
        };
        if let Some(open) = open {
            watched.open.insert(*fd, open);
        }
    }
    answer(opened) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    if fd < 0 {
        return done(Err(Errno::BADF));
    }
    // Before it is closed: afterwards another thread may be given the number.
    watched().open.remove(&fd);
    // SAFETY: `close` asks the same of its caller.
    unsafe { rustix::io::close(fd) };
    0
}

/// SAFETY: as `write` asks.
unsafe fn bytes_of<'a>(bytes: *const c_void, count: usize) -> &'a [u8] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(bytes.cast(), count) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    // SAFETY: `write` asks the same of its caller.
    let (open, bytes) = unsafe { (borrowed(fd), bytes_of(bytes, count)) };
    let file = file_of(fd);
    let at = file.as_ref().and_then(|_| rustix::fs::tell(open).ok());
    let written = rustix::io::write(open, bytes);
    if let (Ok(written), Some((disk, file)), Some(at)) = (written, file, at) {
        disk.write(file, at, &bytes[..written]);
    }
    answer(written.map(|count| count as i64)) as isize
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, count: usize, at: i64) -> isize {
    // SAFETY: `pwrite` asks the same of its caller.
    let (open, bytes) = unsafe { (borrowed(fd), bytes_of(bytes, count)) };
    let at = at.cast_unsigned();
    let written = rustix::io::pwrite(open, bytes, at);
    if let (Ok(written), Some((disk, file))) = (written, file_of(fd)) {
        disk.write(file, at, &bytes[..written]);
    }
    answer(written.map(|count| count as i64)) as isize
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate64(fd: c_int, bytes: i64) -> c_int {
    let bytes = bytes.cast_unsigned();
    // SAFETY: `ftruncate` asks the same of its caller.
    let resized = rustix::fs::ftruncate(unsafe { borrowed(fd) }, bytes);
    if let (Ok(()), Some((disk, file))) = (resized, file_of(fd)) {
        disk.resize(file, bytes);
    }
    done(resized)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    let open = watched().open.get(&fd).cloned();
    match open {
        // SAFETY: `fsync` asks the same of its caller.
        None => done(rustix::fs::fsync(unsafe { borrowed(fd) })),
        Some(Open::Scratch(fails)) if fails.load(Ordering::SeqCst) => done(Err(Errno::IO)),
        Some(Open::Scratch(_)) => 0,
        Some(Open::File(disk, file)) => {
            disk.sync(file, disk.place());
            0
        }
        Some(Open::Folder(disk)) => {
            disk.sync_folder(disk.place());
            0
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: `rename` asks the same of its caller.
    let (from, to) = unsafe { (path_of(from), path_of(to)) };
    let watched = watched();
    let renamed = rustix::fs::renameat(CWD, from, CWD, to);
    if let (Ok(()), Some((Some(disk), Some(from)))) = (renamed, watched.place(from))
        && let Some((_, Some(to))) = watched.place(to)
    {
        disk.rename(&from, &to);
    }
    done(renamed)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: `unlink` asks the same of its caller.
    let path = unsafe { path_of(path) };
    let watched = watched();
    let removed = rustix::fs::unlinkat(CWD, path, rustix::fs::AtFlags::empty());
    if let (Ok(()), Some((Some(disk), Some(name)))) = (removed, watched.place(path)) {
        disk.remove(&name);
    }
    done(removed)
}
