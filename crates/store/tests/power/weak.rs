//! Takes `synchronous = FULL` away from the store, behind its back.
//!
//! SQLite runs a function of ours on each new connection. Below a weakened
//! folder it sets `synchronous = OFF`, and sees to it that the store's own
//! setting is passed over in silence.

#![expect(unsafe_code, reason = "SQLite's hooks are C functions")]

use rusqlite::ffi;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

static WEAK: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static HOOKED: Once = Once::new();

fn weak() -> MutexGuard<'static, Vec<PathBuf>> {
    WEAK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on databases in this folder are never synced at a commit.
pub(crate) fn weaken(folder: &Path) {
    HOOKED.call_once(|| {
        // SAFETY: `on_open` has the form that SQLite calls such functions in,
        // and lives as long as the program.
        let code = unsafe { ffi::sqlite3_auto_extension(Some(on_open)) };
        assert_eq!(code, ffi::SQLITE_OK);
    });
    weak().push(folder.to_owned());
}

unsafe extern "C" fn on_open(
    db: *mut ffi::sqlite3,
    _error: *mut *mut c_char,
    _api: *const ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: SQLite gives an open database; its file name is a C string or null.
    let name = unsafe {
        let name = ffi::sqlite3_db_filename(db, c"main".as_ptr());
        if name.is_null() {
            return ffi::SQLITE_OK;
        }
        CStr::from_ptr(name)
    };
    let here = name.to_str().is_ok_and(|name| {
        weak()
            .iter()
            .any(|folder| Path::new(name).starts_with(folder))
    });
    if !here {
        return ffi::SQLITE_OK;
    }
    let off = c"PRAGMA synchronous = OFF".as_ptr();
    // SAFETY: `db` is open, the text is constant, no result is asked for.
    let code =
        unsafe { ffi::sqlite3_exec(db, off, None, std::ptr::null_mut(), std::ptr::null_mut()) };
    if code != ffi::SQLITE_OK {
        return code;
    }
    // SAFETY: `may` has the form that SQLite calls it in, and needs no data.
    unsafe { ffi::sqlite3_set_authorizer(db, Some(may), std::ptr::null_mut()) }
}

unsafe extern "C" fn may(
    _data: *mut c_void,
    action: c_int,
    what: *const c_char,
    _value: *const c_char,
    _database: *const c_char,
    _source: *const c_char,
) -> c_int {
    if action != ffi::SQLITE_PRAGMA || what.is_null() {
        return ffi::SQLITE_OK;
    }
    // SAFETY: for this action SQLite gives the pragma's name as a C string.
    let what = unsafe { CStr::from_ptr(what) };
    if what == c"synchronous" {
        ffi::SQLITE_IGNORE
    } else {
        ffi::SQLITE_OK
    }
}
