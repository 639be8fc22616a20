//! A made-up machine for `scripts/setup.sh`: a checkout, and a PATH that holds
//! the tools every Debian has and stand-ins for those that it may lack. Each
//! stand-in writes down how it was called.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use tempfile::TempDir;

/// What the script may use without asking: Essential packages of Debian.
const ESSENTIAL: &[&str] = &[
    "bash",
    "cat",
    "cut",
    "env",
    "flock",
    "grep",
    "head",
    "mkdir",
    "rm",
    "sed",
    "sha256sum",
    "sort",
    "tail",
    "touch",
];

/// Installs what it is asked for, as stand-ins; fails while dpkg is broken.
const APT_GET: &str = r#"
[ "$BROKEN" = forever ] && [ "$*" != "${*#*install}" ] && { echo "E: dpkg was interrupted"; exit 100; }
case "$*" in
*--fix-broken*) rm -f "$MACHINE/half-configured" ;;
*install*)
    [ -e "$MACHINE/half-configured" ] && { echo "E: Unmet dependencies"; exit 100; }
    for word in "$@"; do
        case "$word" in
        gcc) cp_stub cc ;;
        ca-certificates) touch "$MACHINE/ca-bundle" ;;
        chromium) cp_stub "$word" ;;
        npm) cp_stub npm; cp_stub node ;;
        nodejs) cp_stub node ;;
        python3-venv) cp_stub python3 ;;
        xvfb) cp_stub Xvfb ;;
        esac
    done ;;
esac
"#;

const NPM: &str = r#"
[ -e "$MACHINE/no-network" ] && { echo "npm error network"; exit 1; }
mkdir -p node_modules
"#;

/// Answers whether it can make an environment, and makes one.
const PYTHON: &str = r#"
case "$*" in
-c*) [ ! -e "$MACHINE/no-venv" ] ;;
"-m venv target/setup/python/"*)
    mkdir -p "$3/bin"
    cat "$MACHINE/shelf/venv-python" >"$3/bin/python"
    "$MACHINE_CHMOD" +x "$3/bin/python" ;;
*) exit 2 ;;
esac
"#;

/// The Python inside an environment: all it is asked for is pip.
const VENV_PYTHON: &str = r#"
case "$*" in
"-m pip install "*) [ ! -e "$MACHINE/no-network" ] || { echo "ERROR: no index"; exit 1; } ;;
esac
"#;

/// Held while a stand-in is written and while a process is started: a process
/// born in between would hold the file open, and nobody could run it.
static WRITING: Mutex<()> = Mutex::new(());

pub(crate) struct Machine {
    dir: TempDir,
    env: Vec<(&'static str, String)>,
}

/// How one set-up went.
pub(crate) struct Run {
    pub(crate) ok: bool,
    /// What it said.
    pub(crate) said: String,
    /// What it called, one call a line, without apt's fixed options.
    pub(crate) calls: Vec<String>,
}

impl Machine {
    /// With Rust, and nothing else: root on a fresh Debian.
    pub(crate) fn bare() -> Self {
        let machine = Self {
            dir: tempfile::tempdir().expect("a folder"),
            env: vec![("BROKEN", "no".to_owned())],
        };
        for folder in ["bin", "shelf", "checkout/tests/tools", "checkout/peers"] {
            fs::create_dir_all(machine.path(folder)).expect("a folder");
        }
        for tool in ESSENTIAL {
            let real = find(tool).unwrap_or_else(|| panic!("{tool} is Essential in Debian"));
            symlink(real, machine.path("bin").join(tool)).expect("a link");
        }
        for name in [
            "Cargo.toml",
            "package.json",
            "package-lock.json",
            "peers/package.json",
            "peers/package-lock.json",
            "tests/tools/checks.txt",
            "tests/tools/waha.txt",
            "tests/tools/waha-py.txt",
        ] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            fs::copy(root.join(name), machine.path("checkout").join(name)).expect("a copy");
        }
        // What apt-get installs is taken from the shelf.
        machine.stand_in("shelf", "cc", "");
        machine.stand_in("shelf", "chromium", "");
        machine.stand_in("shelf", "npm", NPM);
        machine.stand_in("shelf", "node", "");
        machine.stand_in("shelf", "Xvfb", "");
        machine.stand_in("shelf", "python3", PYTHON);
        machine.stand_in("shelf", "venv-python", VENV_PYTHON);
        machine.install("apt-get", APT_GET);
        machine.install("apt-cache", "echo '  Candidate: 150.0-1~deb12u1'");
        machine.install("dpkg", "");
        machine.install("id", "echo 0");
        machine.install("cargo", "echo 'cargo 1.95.0'");
        machine.install("rustc", "echo 'rustc 1.95.0 (abc 2026-01-01)'");
        machine
    }

    /// With all that set-up asks for.
    pub(crate) fn ready() -> Self {
        let machine = Self::bare();
        assert!(machine.set_up().ok, "a bare machine must become ready");
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a stand-in on PATH, with this body.
    pub(crate) fn install(&self, name: &str, body: &str) {
        self.stand_in("bin", name, body);
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path("bin").join(name)).expect("it was there");
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.env.push((name, value.to_owned()));
    }

    pub(crate) fn touch(&self, name: &str) {
        fs::write(self.path(name), "").expect("a file");
    }

    fn stand_in(&self, folder: &str, name: &str, body: &str) {
        let path = self.path(folder).join(name);
        let text = format!(
            "#!/usr/bin/env bash\n\
             cp_stub() {{ cat \"$MACHINE/shelf/$1\" >\"$MACHINE/bin/$1\"; \
             \"$MACHINE_CHMOD\" +x \"$MACHINE/bin/$1\"; }}\n\
             echo \"{name} $*\" >>\"$MACHINE/calls\"\n{body}\n"
        );
        let _alone = WRITING.lock();
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    /// Runs `setup` once, as `./run` does, and tells what was new.
    pub(crate) fn set_up(&self) -> Run {
        self.run("setup")
    }

    /// Runs `setup` once, as `./test` does.
    pub(crate) fn set_up_for_tests(&self) -> Run {
        self.run("setup_for_tests")
    }

    fn run(&self, setup: &str) -> Run {
        let calls = self.path("calls");
        fs::write(&calls, "").expect("a file");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/setup.sh");
        let mut command = Command::new(find("bash").expect("bash"));
        command
            .args(["-euo", "pipefail", "-c"])
            // Folders of the machine that runs the test are none of this one's.
            .arg(format!(
                "root=$1; . \"$2\"; ca_bundle=$3; browser_folders=(); pythons=(python3); {setup}"
            ))
            .arg("set-up")
            .args([self.path("checkout"), script, self.path("ca-bundle")])
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("MACHINE", self.dir.path())
            .env("MACHINE_CHMOD", find("chmod").expect("chmod"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = {
            let _alone = WRITING.lock();
            command.spawn().expect("bash starts")
        };
        let output = child.wait_with_output().expect("bash ends");
        assert!(output.stdout.is_empty(), "standard output is the product's");
        let calls = fs::read_to_string(&calls).expect("the calls");
        let noise = "-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 ";
        Run {
            ok: output.status.success(),
            said: String::from_utf8(output.stderr).expect("text"),
            calls: calls
                .lines()
                .map(|call| call.replace(noise, ""))
                // Asking what is there changes nothing.
                .filter(|call| !["id", "rustc", "cargo", "cc"].contains(&first_word(call)))
                .filter(|call| !call.contains("python -c ") && !call.contains("python3 -c "))
                .collect(),
        }
    }
}

fn first_word(call: &str) -> &str {
    call.split(' ').next().unwrap_or_default()
}

fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(tool))
        .find(|candidate| candidate.is_file())
}
