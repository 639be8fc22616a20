//! What is said of the profile: somebody holds it, or it cannot be read.
//!
//! Sources: Chromium's `process_singleton_posix.cc`, LevelDB's status texts,
//! SQLite's result codes, errno(3).

use super::super::{Kind, Operation as Op, Rung};
use super::rule::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    // ---- somebody holds it
    rule(
        "another browser holds the profile",
        Kind::ProfileLocked,
        &[
            "processsingleton",
            "process_singleton",
            "singletonlock",
            "singletonsocket",
            "profile appears to be in use",
            "browser is already running for",
            "user data directory is already in use",
            "user data dir + already in use",
            "userdatadir + already in use",
            "profile + already in use",
            "profile is in use",
            "opening in existing browser session",
            "lock file can not be created",
            "already held by process",
            "/lock: + resource temporarily unavailable",
            "/lock: + file currently in use",
            "failed to lock + profile",
            "browser is already in use for",
            "already in use, please specify a unique value",
            "unable|cannot|could not|failed + move the cache|create cache|move cache|create the cache",
        ],
    ),
    rule(
        "a file of the profile is still held while it is removed or moved",
        Kind::ProfileLocked,
        &[
            "=ebusy",
            "resource busy or locked",
            "device or resource busy",
            "being used by another process",
            "=enotempty",
            "directory not empty",
            "used by another program",
            "winerror 32",
            "=eperm + unlink",
            "=eperm + rmdir",
            "=eperm + rename",
        ],
    )
    .rung(Rung::Retry),
    rule(
        "a database is locked by another process",
        Kind::ProfileLocked,
        &[
            "database is locked",
            "locking protocol",
            "=lock|=locked|=locking + database + cannot|could not|unable|failed",
            "database table is locked",
            "sqlite_busy",
            "sqlite_locked",
        ],
    )
    .rung(Rung::Retry),
    // ---- it cannot be read
    rule(
        "WhatsApp Web could not open its own storage",
        Kind::ProfileCorrupt,
        &[
            "web_fail_storage_initialization",
            "cache_storage_open_failed",
            "missing_enc_salt",
            "web_fail_enc_salt",
            "missing_screen_lock_salt",
        ],
    )
    .rung(Rung::Relink),
    rule(
        "the stored login cannot be read",
        Kind::ProfileCorrupt,
        &[
            "=badsession",
            "bad session",
            "bad_session",
            "creds.json + unexpected|json.parse|invalid json|not valid json|in json|end of json|position",
            "unexpected end of json|unexpected token|json.parse|json at position + auth state|auth-state|authstate|auth_info|multi-file|creds|keystore|session file|session data",
            "creds + corrupt",
            "credentials + corrupt",
            "session file + corrupt",
            "session data + corrupt",
            "corrupted session",
            "session is corrupted",
            "no private key",
            "invalid private key",
            "bad decrypt",
            "unsupported state or unable to authenticate data",
            "failed to decrypt + creds",
        ],
    )
    // An attachment that could not be decrypted says nothing of the login.
    .unless(&[
        "bad decrypt|unable to authenticate data + media|attachment|download|thumbnail|sticker|history sync",
    ])
    .rung(Rung::Relink),
    rule(
        "IndexedDB did not open; often passes",
        Kind::ProfileCorrupt,
        &[
            "backing store for indexeddb.open",
            "backing store for indexeddb.databases",
            "connection to indexed database server lost",
            "idbdatabase|database connection + closing",
            "object store|object stores + not found",
            "internal error opening backing store",
            "unknownerror: internal error",
            "data lost due to missing file",
            // The standard's own words for an UnknownError of a database.
            "reasons unrelated to the database itself",
            "openfailederror",
            "unknownerror + database|indexeddb|=idb",
            "indexeddb|indexed database|idbdatabase + lost|closing|large",
        ],
    )
    .unless(&["deletedatabase"])
    .rung(Rung::Reload),
    rule(
        "an input or output error, not damage",
        Kind::ProfileCorrupt,
        &[
            "backing store",
            "leveldb + io error",
            "leveldb + failed to open",
            "=eio",
            "=euclean",
            "structure needs cleaning",
            "=estale",
            "stale file handle",
            "ext4-fs error|xfs error|btrfs error",
            "i/o error, dev",
            "input/output error",
            "disk i/o error",
            "sqlite_ioerr",
            "unable to open database file",
            "sqlite_cantopen",
        ],
    )
    // Of a pipe to the browser, the same words are of no disk.
    .unless(&["corruption", "checksum", "malformed", "websocket"])
    .rung(Rung::RestartBrowser),
    rule(
        "the browser could not open a profile, and does not say why",
        Kind::ProfileCorrupt,
        &["profile + went wrong|not be opened|cannot be opened|can't be opened|failed to open|unable to open"],
    )
    .unless(&["corrupt", "newer version"])
    .only(&[Op::Launch])
    .rung(Rung::RestartBrowser),
    rule(
        "a database of the profile is damaged",
        Kind::ProfileCorrupt,
        &[
            "corruption:",
            "corruption + table|=block|=log|manifest|record|journal|=index|database",
            "database disk image is malformed",
            "malformed database schema",
            "no such table|no such column + sqlite|database|operationalerror",
            "btreeinitpage",
            "integrity check failed|integrity_check failed|failed integrity check",
            "database + is too new|too new for|newer version",
            "file is not a database",
            "file is encrypted or is not a database",
            "sqlite_corrupt",
            "sqlite_notadb",
            "checksum mismatch",
            "block checksum",
            "leveldb",
            "local data files are corrupt",
            "preferences can not be read",
            "preferences cannot be read",
            "profile error occurred",
            "profile is corrupt",
            "profile + corrupt",
            "userdata + corrupt",
            "indexeddb + corrupt",
            "indexed_db + corrupt",
            "profile + newer version",
            "requested version + less than the existing version",
            "web data + failed to open",
            "login data + failed to open",
            "local state|preferences file + failed|could not|cannot|unable",
        ],
    )
    .rung(Rung::Relink),
];
