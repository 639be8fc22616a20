//! The Debian package: made, installed, used, removed and purged by the real
//! dpkg, in a throw-away root that lies over this machine's own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs as root in mount and process namespaces of its own: all that it
/// changes is in memory, and gone with it.
const INSIDE: &str = r#"
set -eu
mount -t tmpfs -o mode=0755 tmpfs "$SCRATCH"
mkdir "$SCRATCH/upper" "$SCRATCH/work" "$SCRATCH/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" "$SCRATCH/root"
cp "$PACKAGE" "$SCRATCH/root/steadfast.deb"
mount -t proc proc "$SCRATCH/root/proc"
mount --rbind /dev "$SCRATCH/root/dev"
# No systemd is to be asked, should one run here.
mkdir -p "$SCRATCH/root/run"
mount -t tmpfs tmpfs "$SCRATCH/root/run"
mount -t tmpfs tmpfs "$SCRATCH/root/tmp"
chmod 1777 "$SCRATCH/root/tmp"
# Not chroot: in one, nobody but root gets the namespaces of Chromium's sandbox.
cd "$SCRATCH/root"
pivot_root . mnt
cd /
umount -l /mnt
exec /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -eu -c "$STEPS"
"#;

const STEPS: &str = r#"
export DEBIAN_FRONTEND=noninteractive
as_service() {
    setpriv --reuid steadfast --regid steadfast --init-groups env \
        HOME=/var/lib/steadfast STEADFAST_DATA_DIR=/var/lib/steadfast \
        STEADFAST_CONFIG=/etc/steadfast/steadfast.toml STEADFAST_SERVER__LISTEN=127.0.0.1:0 \
        STEADFAST_BROWSER__WEB_RESOLVE=127.0.0.1:9 "$@"
}
dpkg -i /steadfast.deb
[ "$(stat -c '%a %U' /var/lib/steadfast)" = '700 steadfast' ]
[ "$(stat -c '%a %G' /etc/steadfast)" = '750 steadfast' ]
[ -s /usr/share/man/man1/steadfast-send.1.gz ]
[ -s /usr/share/bash-completion/completions/steadfast ]
(cd / && md5sum --quiet -c /var/lib/dpkg/info/steadfast.md5sums)
echo installed

as_service steadfast check --no-reach --json >/tmp/check || true
grep '"name":"browser"' /tmp/check
as_service env STEADFAST_BROWSER__PATH=/nonexistent steadfast serve --json >/tmp/said 2>/tmp/log &
gateway=$!
tries=0
until as_service steadfast status >/tmp/status 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { cat /tmp/log /tmp/status; exit 1; }
    sleep 0.1
done
grep default /tmp/status
# What it holds, an upgrade and a removal leave alone.
dpkg -i /steadfast.deb
kill -TERM "$(cat /var/lib/steadfast/LOCK)"
wait $gateway
echo '# mine' >>/etc/steadfast/steadfast.toml
dpkg -r steadfast
[ ! -e /usr/bin/steadfast ]
[ -s /var/lib/steadfast/steadfast.db ]
grep -q mine /etc/steadfast/steadfast.toml
echo removed
dpkg -i /steadfast.deb
grep -q mine /etc/steadfast/steadfast.toml
dpkg -P steadfast
if [ -e /var/lib/steadfast ] || [ -e /etc/steadfast ] || getent passwd steadfast; then exit 1; fi
find /usr /etc /var/lib/dpkg/info -name '*steadfast*' >/tmp/left
if [ -s /tmp/left ]; then cat /tmp/left; exit 1; fi
echo purged
"#;

fn can(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    output.is_ok_and(|output| output.status.success())
}

/// Why it cannot be tried here; `None` where it can.
fn hindrance(binary: &Path) -> Option<&'static str> {
    if !binary.exists() {
        return Some("the binary is not built");
    }
    if !can("dpkg-query", &["-W", "chromium"]) {
        return Some("Debian's chromium is not installed, which the package needs");
    }
    let overlay = "t=$(mktemp -d) && mount -t tmpfs x $t && mkdir $t/u $t/w $t/r && \
                   mount -t overlay x -o lowerdir=/,upperdir=$t/u,workdir=$t/w $t/r";
    if !can("unshare", &["--mount", "sh", "-c", overlay]) {
        return Some("it needs root, and the right to mount");
    }
    None
}

#[test]
#[expect(clippy::print_stderr, reason = "a test says why it did not run")]
fn the_package_installs_serves_and_leaves_nothing_behind() {
    let xtask = PathBuf::from(env!("CARGO_BIN_EXE_xtask"));
    let binary = xtask.with_file_name("steadfast");
    if let Some(why) = hindrance(&binary) {
        eprintln!("not tested: {why}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new(&xtask)
        .arg("deb")
        .arg("--binary")
        .arg(&binary)
        .arg("--out")
        .arg(folder.path().join("out"))
        .output()
        .expect("xtask");
    let path = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{said}");
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).expect("a folder");
    let run = Command::new("timeout")
        .args([
            "--kill-after=5",
            "120",
            "unshare",
            "--mount",
            "--pid",
            "--fork",
        ])
        .args(["--kill-child", "sh", "-c", INSIDE])
        .env("SCRATCH", &scratch)
        .env("PACKAGE", &path)
        .env("STEPS", STEPS)
        .output()
        .expect("unshare");
    let said = [run.stdout, run.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(run.status.success(), "{said}");
    for step in ["installed", "removed", "purged"] {
        assert!(said.lines().any(|line| line == step), "{step}: {said}");
    }
    let browser = said.lines().find(|line| line.contains("\"browser\""));
    let browser = browser.unwrap_or_default();
    // Where this machine's kernel gives users no namespaces, that is no fault of the package.
    let started = browser.contains("\"ok\"") || browser.contains("launch_failed_sandbox");
    assert!(started, "as the service's user: {browser}");
}
