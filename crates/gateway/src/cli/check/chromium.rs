//! The browser: its sandbox, its libraries, and whether it starts.

use super::finding::Finding;
use crate::browser::probe_browser;
use crate::config::{Config, Flavor, Sandbox};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use steadfast_engine::Binary;

pub(super) fn sandbox(config: &Config) -> Finding {
    const NAME: &str = "sandbox";
    if config.browser.sandbox == Sandbox::Off {
        return Finding::warn(
            NAME,
            "switched off by browser.sandbox",
            "set browser.sandbox = \"auto\"",
        );
    }
    if rustix::process::geteuid().is_root() {
        return Finding::warn(
            NAME,
            "as root Chromium runs without its sandbox",
            "run as a user of its own: useradd --system --create-home steadfast",
        );
    }
    let setting = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    // Either user namespaces or the setuid helper will do.
    let helper = [
        "/usr/lib/chromium/chrome-sandbox",
        "/opt/google/chrome/chrome-sandbox",
    ]
    .iter()
    .any(|path| Path::new(path).exists());
    for (path, closed) in [
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        ),
        ("/proc/sys/user/max_user_namespaces", "0"),
    ] {
        if setting(path) == closed && !helper {
            return Finding::warn(
                NAME,
                format!(
                    "{path} is {closed}: user namespaces are closed, and there is no setuid helper"
                ),
                "apt-get install chromium-sandbox",
            );
        }
    }
    Finding::ok(NAME, "can run")
}

/// The packages of Debian and Ubuntu that hold what a browser needs most often.
const PACKAGES: &[(&str, &str)] = &[
    ("libnss3.", "libnss3"),
    ("libnssutil3.", "libnss3"),
    ("libsmime3.", "libnss3"),
    ("libnspr4.", "libnspr4"),
    ("libatk-1.0.", "libatk1.0-0"),
    ("libatk-bridge-2.0.", "libatk-bridge2.0-0"),
    ("libatspi.", "libatspi2.0-0"),
    ("libcups.", "libcups2"),
    ("libdbus-1.", "libdbus-1-3"),
    ("libdrm.", "libdrm2"),
    ("libgbm.", "libgbm1"),
    ("libasound.", "libasound2"),
    ("libpango-1.0.", "libpango-1.0-0"),
    ("libcairo.", "libcairo2"),
    ("libxkbcommon.", "libxkbcommon0"),
    ("libX11.", "libx11-6"),
    ("libxcb.", "libxcb1"),
    ("libXcomposite.", "libxcomposite1"),
    ("libXdamage.", "libxdamage1"),
    ("libXext.", "libxext6"),
    ("libXfixes.", "libxfixes3"),
    ("libXrandr.", "libxrandr2"),
    ("libglib-2.0.", "libglib2.0-0"),
    ("libgio-2.0.", "libglib2.0-0"),
];

/// Whether the loader finds everything that the browser is linked with.
pub(super) fn libraries(config: &Config) -> Finding {
    const NAME: &str = "libraries";
    let found = match &config.browser.path {
        Some(path) => Binary::at(path),
        None => Binary::find(match config.browser.flavor {
            Flavor::HeadlessShell => steadfast_engine::Flavor::HeadlessShell,
            Flavor::Auto | Flavor::Chromium | Flavor::Headed => {
                steadfast_engine::Flavor::NewHeadless
            }
        }),
    };
    let Ok(browser) = found else {
        return Finding::fail(
            NAME,
            "there is no browser to look at",
            "apt-get install chromium, or name one with browser.path",
        );
    };
    let shown = browser.path().display();
    let asked = Command::new("ldd")
        .arg(browser.path())
        .stdin(Stdio::null())
        .output();
    let said = match asked {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        // A script, or a machine without ldd: the start itself will tell.
        Ok(_) | Err(_) => return Finding::ok(NAME, format!("{shown} is not looked into")),
    };
    let missing = missing(&said);
    if missing.is_empty() {
        return Finding::ok(NAME, format!("{shown} finds all of its own"));
    }
    let mut packages: Vec<&str> = missing.iter().filter_map(|name| package(name)).collect();
    packages.sort_unstable();
    packages.dedup();
    let fix = if packages.is_empty() {
        "apt-get install --reinstall chromium".to_owned()
    } else {
        format!("apt-get install {}", packages.join(" "))
    };
    let detail = format!("{shown} does not find {}", missing.join(", "));
    Finding::fail(NAME, detail, fix)
}

/// The libraries that ldd(1) did not find.
fn missing(said: &str) -> Vec<String> {
    said.lines()
        .filter_map(|line| line.trim().split_once(" => "))
        .filter(|(_, place)| place.trim() == "not found")
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn package(library: &str) -> Option<&'static str> {
    let known = PACKAGES.iter().find(|(name, _)| library.starts_with(name));
    known.map(|(_, package)| *package)
}

/// Starts a browser as the gateway would, on a profile that is thrown away.
pub(super) async fn browser(config: &Config) -> Finding {
    const NAME: &str = "browser";
    match probe_browser(config).await {
        Ok(()) => Finding::ok(NAME, "starts and answers"),
        Err(failure) => Finding::fail(
            NAME,
            format!("{}: {}", failure.kind, failure.evidence),
            match failure.kind {
                steadfast_core::failure::Kind::LaunchFailedMissingBrowser => {
                    "apt-get install chromium, or name one with browser.path".to_owned()
                }
                kind => kind.you_can().to_owned(),
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{missing, package};

    #[test]
    fn missing_libraries_are_read_with_their_packages() {
        let said = "\tlinux-vdso.so.1 (0x0)\n\tlibnss3.so => not found\n\
                    \tlibc.so.6 => /lib/libc.so.6 (0x0)\n\tlibgbm.so.1 => not found\n";
        assert_eq!(missing(said), ["libnss3.so", "libgbm.so.1"]);
        assert_eq!(package("libnss3.so"), Some("libnss3"));
        assert_eq!(package("libgbm.so.1"), Some("libgbm1"));
        assert_eq!(package("libnothing.so"), None);
    }
}
