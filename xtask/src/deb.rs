//! `cargo xtask deb`: a Debian package of a built binary, by dpkg-deb(1).
//!
//! What is in it is written down here and in packaging/debian; manual pages and
//! completions are asked of the binary itself. docs/decisions/0008 says why no
//! other tool makes it.

use crate::error::Error;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is said of the package where one looks for it.
const DESCRIPTION: &str = "\
WhatsApp gateway that loses nothing and heals itself
 Sends and receives WhatsApp messages from your own number, over HTTP. It drives
 WhatsApp Web in a headless browser: what it accepted is on disk, sent once, and
 outlives every crash of the browser.
 .
 It is an unofficial client, not made or endorsed by WhatsApp.";

/// Files that go into the package as they are: from the checkout, to the root, mode.
const FILES: &[(&str, &str, u32)] = &[
    (
        "packaging/systemd/steadfast.service",
        "lib/systemd/system/steadfast.service",
        0o644,
    ),
    (
        "packaging/debian/steadfast.toml",
        "etc/steadfast/steadfast.toml",
        0o640,
    ),
    (
        "packaging/debian/copyright",
        "usr/share/doc/steadfast/copyright",
        0o644,
    ),
    ("NOTICE", "usr/share/doc/steadfast/NOTICE", 0o644),
    (
        "docs/CONFIGURATION.md",
        "usr/share/doc/steadfast/CONFIGURATION.md",
        0o644,
    ),
    (
        "docs/OPERATIONS.md",
        "usr/share/doc/steadfast/OPERATIONS.md",
        0o644,
    ),
    (
        "packaging/prometheus/alerts.yml",
        "usr/share/doc/steadfast/examples/alerts.yml",
        0o644,
    ),
    (
        "packaging/grafana/steadfast.json",
        "usr/share/doc/steadfast/examples/grafana.json",
        0o644,
    ),
];

/// Makes the package; where it is.
///
/// # Errors
/// Where a tool is missing or refuses, or a file cannot be written.
pub(crate) fn make(binary: &Path, out: &Path) -> Result<PathBuf, Error> {
    let root = out.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).map_err(Error::file(&root))?;
    }
    put(binary, &root.join("usr/bin/steadfast"), 0o755)?;
    for (from, to, mode) in FILES {
        put(&crate::root().join(from), &root.join(to), *mode)?;
    }
    let third_party = root.join("usr/share/doc/steadfast/THIRD-PARTY.md");
    put(&crate::root().join("THIRD-PARTY.md"), &third_party, 0o644)?;
    // gzip: smaller by four fifths, and what man(1) expects.
    let pages = root.join("usr/share/man/man1");
    said(Command::new(binary).arg("man").arg("--dir").arg(&pages))?;
    let mut squeezed = vec![third_party];
    for entry in fs::read_dir(&pages).map_err(Error::file(&pages))? {
        squeezed.push(entry.map_err(Error::file(&pages))?.path());
    }
    said(Command::new("gzip").arg("-9n").args(&squeezed))?;
    for (shell, place) in [
        ("bash", "usr/share/bash-completion/completions/steadfast"),
        ("zsh", "usr/share/zsh/vendor-completions/_steadfast"),
        ("fish", "usr/share/fish/vendor_completions.d/steadfast.fish"),
    ] {
        let text = said(Command::new(binary).args(["completions", shell]))?;
        write(&root.join(place), &text, 0o644)?;
    }
    let architecture = said(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = architecture.trim();
    control(&root, architecture)?;
    let package = out.join(format!(
        "steadfast_{}_{architecture}.deb",
        env!("CARGO_PKG_VERSION")
    ));
    said(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .arg(&root)
            .arg(&package),
    )?;
    Ok(package)
}

/// What dpkg reads: who it is, what it needs, what it runs.
fn control(root: &Path, architecture: &str) -> Result<(), Error> {
    let control = root.join("DEBIAN");
    let sizes = said(
        Command::new("du")
            .args(["-sk", "--exclude=DEBIAN"])
            .arg(root),
    )?;
    let size = sizes.split_whitespace().next().unwrap_or("0");
    // The binary needs the C library that it was linked with, or a newer one.
    let libc = said(Command::new("dpkg-query").args(["-W", "-f", "${Version}", "libc6"]))?;
    let libc = libc.split('-').next().unwrap_or_default();
    let text = format!(
        "Package: steadfast\n\
         Version: {}\n\
         Architecture: {architecture}\n\
         Maintainer: The authors of Steadfast <steadfast@localhost>\n\
         Installed-Size: {size}\n\
         Section: net\n\
         Priority: optional\n\
         Depends: libc6 (>= {libc}), libgcc-s1, passwd, chromium | google-chrome-stable\n\
         Recommends: chromium-sandbox\n\
         Description: {DESCRIPTION}\n",
        env!("CARGO_PKG_VERSION"),
    );
    write(&control.join("control"), &text, 0o644)?;
    write(
        &control.join("conffiles"),
        "/etc/steadfast/steadfast.toml\n",
        0o644,
    )?;
    for script in ["postinst", "prerm", "postrm"] {
        let from = crate::root().join("packaging/debian").join(script);
        put(&from, &control.join(script), 0o755)?;
    }
    let sums = said(Command::new("sh").current_dir(root).args([
        "-c",
        "find . -type f ! -path './DEBIAN/*' -printf '%P\\0' | sort -z | xargs -0 md5sum",
    ]))?;
    write(&control.join("md5sums"), &sums, 0o644)
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<(), Error> {
    make_parent(to)?;
    fs::copy(from, to).map_err(Error::file(from))?;
    fs::set_permissions(to, Permissions::from_mode(mode)).map_err(Error::file(to))
}

fn write(to: &Path, text: &str, mode: u32) -> Result<(), Error> {
    make_parent(to)?;
    fs::write(to, text).map_err(Error::file(to))?;
    fs::set_permissions(to, Permissions::from_mode(mode)).map_err(Error::file(to))
}

/// Folders of a package are everybody's to enter, whatever the umask here.
fn make_parent(path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent().filter(|parent| !parent.exists()) else {
        return Ok(());
    };
    make_parent(parent)?;
    fs::create_dir(parent).map_err(Error::file(parent))?;
    fs::set_permissions(parent, Permissions::from_mode(0o755)).map_err(Error::file(parent))
}

/// Runs a program to its end; what it said.
fn said(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|source| Error::Start {
        program: program.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Program {
        program,
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
