//! What the machine says: the browser's start, the sandbox, memory, disk and
//! handles.
//!
//! Sources: Chromium's `zygote_host_impl_linux.cc`; errno(3) names and texts;
//! the launchers of Puppeteer, Playwright and chromiumoxide.

use super::super::verdict::Handed;
use super::super::{Kind, Operation as Op, Rung};
use super::rule::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    // ---- no room: said first, because a full disk also breaks locks and databases
    rule(
        "the disk or the quota is full",
        Kind::ResourcesExhausted,
        &[
            "=enospc",
            "no space left on device",
            "os error 28",
            "[errno 28]",
            "not enough space on the disk",
            "=edquot",
            "disk quota exceeded",
            "database or disk is full",
            "sqlite_full",
            "file_error_no_space",
            "quotaexceedederror",
            "quota exceeded + storage|disk|database|=idb|indexeddb|domexception|file|byte|writ",
            "domexception|idb|indexeddb|storage|disk + quota has been exceeded|quota was exceeded|exceeded the quota",
            "storage_quota_exceeded",
            "the disk is full",
            "low on resource|evicted + storage|disk",
        ],
    )
    // The kernel says the same of its namespaces.
    .unless(&["new namespace"]),
    rule(
        "no further process can be started",
        Kind::ResourcesExhausted,
        &[
            "cannot|could not|couldn't|failed to|unable to + =fork",
            "fork: cannot allocate",
            "fork rejected",
            "can't fork",
            "fork failed",
            "spawn + =eagain",
            "spawnsync + =eagain",
            "spawn + =enomem",
            "spawnsync + =enomem",
            "spawn + =emfile",
            "spawnsync + =emfile",
            "pids limit",
            "pids.max",
            "os error 11)",
            "os error 12)",
            "kind: wouldblock",
            "[errno 11]",
            "[errno 35]",
            "nproc limit",
            "can't start new thread",
            "unable to start + thread + resource",
            "fork/exec + resource temporarily unavailable|cannot allocate memory",
            "os error 35)",
        ],
    )
    // The browser's own, of which it says only that a page did not start.
    .unless(&["zygote"])
    .handed(Handed::Before),
    rule(
        "the browser ran into a limit of processes or threads, which may pass",
        Kind::ResourcesExhausted,
        &[
            "pthread_create",
            "failed to start browserthread",
            "failed to create new os thread",
            "uv_thread_create",
            "failed|cannot|can't|unable + create + native thread|worker thread|a thread|new thread",
            "fork: retry",
            "fork: + resource temporarily unavailable",
            "clone: resource temporarily unavailable",
            "system_error|terminate called|thread|process + resource temporarily unavailable",
            "(11) + fatal",
            "zygote + not fork|cannot fork|failed to fork|unable to fork",
        ],
    )
    .unless(&["/lock|leveldb|singleton|profile"])
    .rung(Rung::RestartBrowser),
    rule(
        "memory ran out",
        Kind::ResourcesExhausted,
        &[
            "out of memory",
            "out-of-memory",
            "=enomem",
            "[errno 12]",
            "outofmemory",
            "cannot allocate memory",
            "bad_alloc",
            "oom-kill",
            "oom killer",
            "oomd",
            "=oom",
            "array buffer allocation failed",
            "memory allocation + failed",
            "invalid array buffer length",
            "err_insufficient_resources",
            "err_out_of_memory",
            "memory limit exceeded",
            "low on resource|evicted + memory",
            "sufficient memory",
            "shared memory + failed",
            "shared_memory + failed",
            "/dev/shm + fail",
            "/dev/shm + no space",
            "/dev/shm + too small",
        ],
    )
    .rung(Rung::RestartBrowser),
    rule(
        "memory ran out, as a container's state tells",
        Kind::ResourcesExhausted,
        &["oomkilled"],
    )
    .unless(&[
        "oomkilled:false|oomkilled: false|oomkilled\":false|oomkilled\": false|oomkilled=false|oomkilled = false",
    ])
    .rung(Rung::RestartBrowser),
    rule(
        "file handles ran out",
        Kind::ResourcesExhausted,
        &[
            "=emfile",
            "=enfile",
            "too many open files",
            "os error 24",
            "[errno 24]",
            "number of file watchers reached",
            "inotify + limit",
            "open files|file descriptors|file handles + limit|exceeded|exhausted",
        ],
    ),
    // ---- the browser's start
    rule(
        "a shared library is missing",
        Kind::LaunchFailedMissingLibs,
        &[
            "error while loading shared libraries",
            "error loading shared library",
            "error while loading shared library",
            "cannot open shared object file",
            "missing dependencies to run browsers",
            "missing libraries",
            "symbol lookup error",
            "undefined symbol:",
            "version `glibc",
            "version 'glibc",
            "version `glibcxx",
            "library not loaded:",
            "ld-linux + no such file",
            "ld-linux + could not open",
            "ld-linux + failed to open",
            "ld-musl + error",
            "error relocating",
            "relocation error",
            "required file not found",
            "detected by ld.so",
        ],
    ),
    rule(
        "a file that belongs to the browser is not beside it",
        Kind::LaunchFailedMissingLibs,
        &[
            "icu data|icudtl + invalid|couldn't|could not|cannot|failed|missing|not found",
            ".pak + failed to load|could not|couldn't|cannot|missing|not found|unable",
        ],
    )
    .only(&[Op::Launch]),
    rule(
        "a window was asked for where there is no display",
        Kind::LaunchFailedMissingLibs,
        &[
            "missing x server",
            "unable to open x display",
            "cannot open display",
            "connect to display",
            "connect to x server",
            "the platform failed to initialize",
            "launched a headed browser without having a xserver",
        ],
    ),
    rule(
        "a folder that the browser must write to is not writable",
        Kind::Unknown,
        &[
            "read-only file system",
            "readonly database",
            "sqlite_readonly",
            "=erofs",
            "os error 30",
            "crashpad_handler: --database is required",
            "xdg_config_home",
            "cannot create directory",
            "failed to create directory",
            "failed to create data directory",
            "cannot read and write to its data directory",
            "unable to get the user data directory",
            "user data dir|userdatadir|user-data-dir|profile dir|home dir|data dir|/dev/shm|/tmp + not writable|not writeable|unwritable|permission denied|incorrect permissions|cannot create|cannot be created",
            "mkdir + permission denied",
            "mkdir + =eacces",
            "mkdtemp + =eacces",
        ],
    )
    .rung(Rung::Operator)
    .handed(Handed::ThisCall),
    rule(
        "a folder that the browser must write to is not writable",
        Kind::Unknown,
        &[
            "failed to create|cannot create|can't create|could not create|couldn't create|unable to create|opendir|crash reports + permission denied|=eacces",
        ],
    )
    // A lock that cannot be made is read as one that is held.
    .unless(&["singleton"])
    .rung(Rung::Operator)
    .handed(Handed::ThisCall),
    rule(
        "a file of the profile may not be touched",
        Kind::Unknown,
        &[
            "=eacces|=eperm + , open|, scandir|, copyfile|, lstat|, stat|, access|, chmod|, chown|, symlink",
        ],
    )
    .only(&[Op::Launch, Op::Auth, Op::Listen, Op::Shutdown])
    .rung(Rung::Operator)
    .handed(Handed::ThisCall),
    rule(
        "a file that the program keeps is not where it looks for it",
        Kind::Unknown,
        &["=enoent + , open|, scandir|, copyfile|, rename|, access"],
    )
    // Of a login or its keys, that says that there is none.
    .unless(&["creds|auth_info|session data|sender-key"])
    .only(&[Op::Auth, Op::Listen])
    .rung(Rung::Operator)
    .handed(Handed::ThisCall),
    rule(
        "what runs the browser for others (a snap, a container) failed itself",
        Kind::Unknown,
        &[
            "snap-confine|snap-update-ns|snap-exec|snapd|snap cgroup|tracking cgroup",
            "=cgroup + cannot|could not|couldn't|unable|failed|not permitted",
            "oci runtime|error response from daemon|shim task|=runc|=crun|containerd + fail|error|cannot|unable",
        ],
    )
    .unless(&["executable file not found|no such file or directory"])
    .only(&[Op::Launch])
    .rung(Rung::Operator)
    .handed(Handed::Before),
    rule(
        "this machine's guard does not let the program run",
        Kind::Unknown,
        &[
            "contains a virus|potentially unwanted software|windows defender|antivirus|quarantined|blocked by group policy|blocked by your administrator|application control policy|code signature|cannot be opened because the developer",
        ],
    )
    .only(&[Op::Launch])
    .rung(Rung::Operator)
    .handed(Handed::Before),
    rule(
        "the sandbox cannot start",
        Kind::LaunchFailedSandbox,
        &[
            "no usable sandbox",
            "without --no-sandbox",
            "suid sandbox",
            "setuid sandbox",
            "setuid_sandbox",
            "chrome-sandbox",
            "chrome_sandbox",
            "failed to move to new namespace",
            "new_user_ns",
            "no_new_privs",
            "clone_newuser",
            "unprivileged_userns",
            "user namespaces",
            "user namespace",
            "posix_spawn|spawn_subprocess|unshare|setns + operation not permitted",
            "namespace_sandbox",
            "sandbox + operation not permitted",
            "sandbox/linux",
            "credentials.cc",
            "zygote_host_impl_linux",
            "zygote + check failed",
            "seccomp + fail",
            "apparmor + denied",
        ],
    ),
    rule(
        "a tool or module beside the browser is missing, or the runtime is too old for it",
        Kind::Unknown,
        &[
            "spawn wmic + =enoent",
            "spawn ps + =enoent",
            "spawn which + =enoent",
            "spawn where + =enoent",
            "spawn taskkill + =enoent",
            "spawn powershell + =enoent",
            "spawn reg + =enoent",
            "spawn cmd + =enoent",
            "spawn lsof + =enoent",
            "spawn unzip + =enoent",
            "spawn tar + =enoent",
            "spawn git + =enoent",
            "cannot find module",
            "err_module_not_found",
            "err_dlopen_failed",
            "no module named",
            "could not load the \"sharp\"",
            "invalid elf header",
            "compiled against a different node",
            "syntaxerror + cjs/loader|esm/",
            "digital envelope routines::unsupported",
            "unsupported engine",
            "only supports chrome version",
            "unsupported browser version",
            "spawn ffmpeg + =enoent",
            "spawn ffprobe + =enoent",
            "cannot find ffmpeg|could not find ffmpeg|ffmpeg not found|ffmpeg was not found|ffmpeg: not found|ffmpeg: command not found|ffmpeg is not installed|'ffmpeg' is not recognized",
            "spawn npm + =enoent",
            "spawn xvfb + =enoent",
            "spawn xdg-open + =enoent",
            "spawn /bin/sh + =enoent",
        ],
    )
    .unless(&["waweb"])
    .rung(Rung::Operator)
    .handed(Handed::ThisCall),
    rule(
        "the runtime lacks what a module expects as it is loaded",
        Kind::Unknown,
        &["referenceerror|typeerror + cjs/loader|esm/"],
    )
    .only(&[Op::Launch, Op::Auth])
    .unless(&["executioncontext|evaluat|web.whatsapp|static.whatsapp|puppeteer"])
    .rung(Rung::Operator),
    rule(
        "a library that makes media ready is not installed",
        Kind::Unknown,
        &[
            "=no + library available|module available|package available|tool available|encoder available|encoder found",
            "library|module|package|binary|=tool + not installed|isn't installed|please install|must be installed",
        ],
    )
    .only(&[Op::SendMedia])
    .rung(Rung::Operator)
    .handed(Handed::Before),
    rule(
        "there is no browser where one was looked for",
        Kind::LaunchFailedMissingBrowser,
        &[
            "could not find chrome",
            "could not find chromium",
            "could not find browser",
            "could not find expected browser",
            "could not find the google-chrome",
            "could not find the browser",
            "cannot find chrome",
            "cannot find chromium",
            "chrome not found",
            "chromium not found",
            "browser not found",
            "browser is not installed",
            "browser was not found at",
            "no executable was found",
            "no chrome executable",
            "no chromium executable",
            "no browser executable",
            "executable doesn't exist at",
            "executable does not exist",
            "could not auto detect a chrome",
            "could not auto-detect",
            "no chrome installation",
            "no browser found",
            "no usable browser",
            "chromium revision is not downloaded",
            "revision is not downloaded",
            "chrome_path environment variable",
            "chrom|browser + do you have it installed|ensure|make sure|check that|verify that|verify + is installed|it is installed|it installed",
            "chrome|chromium|browser + installation + missing|corrupted|broken|not found",
            "an `executablepath` or `channel` must be specified",
            "executablepath + must be specified",
            "requires the chromium snap",
            "chromium + snap to be installed",
            "playwright install",
            "spawn + chrom + =enoent",
            "spawn + chrom + =eacces",
            "spawn + edge + =enoent",
            "spawn + browser + =enoent",
            "chrome: not found",
            "chromium: not found",
            "chromium-browser: not found",
            "google-chrome-stable: not found",
            "chrome: command not found",
            "chromium: command not found",
            "chrom + exec format error",
            "/chrom + syntax error: ",
            "=elf: not found",
            "chrom + cannot execute",
        ],
    ),
    rule(
        "the file to start is not there, or is no program for this machine",
        Kind::LaunchFailedMissingBrowser,
        &[
            "spawn + =enoent",
            "spawn + =eacces",
            "spawn + =eperm",
            "spawn + unknown system error",
            "spawn unknown",
            "failed to open elf",
            "access is denied",
            "os error 2)",
            "os error 13)",
            "os error 8)",
            "kind: notfound|kind: permissiondenied",
            "the system cannot find the file specified",
            "the system cannot find the path specified",
            "exec format error",
            "cannot execute binary file",
            "command not found",
            "=enoexec",
            "instruction set",
            "not supported on|not available for|not available on|unsupported + platform|architecture|operating system|arm64|aarch64|armv7",
            "no such file or directory",
            "permission denied + /chrom",
        ],
    )
    .unless(&[
        "=open",
        "mkdir",
        "leveldb",
        "singleton",
        "json",
        "/lock",
        "user data",
        "profile",
        "disk_cache|cache_util|the cache",
        "=read",
    ])
    .only(&[Op::Launch]),
];
