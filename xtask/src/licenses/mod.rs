//! THIRD-PARTY.md: what the binary carries that others wrote, and the notices
//! that their licences ask us to pass on.
//!
//! Counted is what reaches the binary: normal dependencies of the gateway,
//! all the way down, and the in-page library. Tests, build scripts and macros
//! that run inside the compiler are not passed on to anyone.

mod carried;
mod expression;

use crate::error::Error;
use crate::metadata;
use carried::Carried;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The package whose dependencies are counted.
const PRODUCT: &str = "steadfast-gateway";

/// The systems that Steadfast is built for, as in deny.toml.
const SYSTEMS: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// The in-page library's folder; `./run` and `./test` install it.
const PAGE_LIBRARY: &str = "node_modules/@wppconnect/wa-js";

/// Writes THIRD-PARTY.md.
///
/// # Errors
///
/// Where the dependencies, or a licence text that must be passed on, cannot be read.
pub(crate) fn write() -> Result<(), Error> {
    let path = path();
    std::fs::write(&path, render()?).map_err(Error::file(&path))
}

/// Compares THIRD-PARTY.md with what [`write()`] would write.
///
/// # Errors
///
/// As [`write()`], and where they differ.
pub(crate) fn check() -> Result<(), Error> {
    let path = path();
    let found = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
    if found == render()? {
        Ok(())
    } else {
        Err(Error::NoticesStale)
    }
}

fn path() -> PathBuf {
    crate::root().join("THIRD-PARTY.md")
}

fn render() -> Result<String, Error> {
    let mut options = vec!["--locked"];
    for system in SYSTEMS {
        options.extend(["--filter-platform", system]);
    }
    let crates = carried::crates(&metadata::read(&options)?, PRODUCT)?;
    let page_library = crate::root().join(PAGE_LIBRARY);
    Ok(document(
        &crates,
        &read(&page_library.join("package.json"))?,
        &read(&page_library.join("dist/wppconnect-wa.js.LICENSE.txt"))?,
    ))
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::file(path))
}

fn document(crates: &[Carried], page_library: &str, page_notices: &str) -> String {
    let mut out = String::from(
        "# Third-party software\n\n\
         Written by `cargo xtask licenses`; do not edit. The `steadfast` binary carries the software\n\
         below. Where a licence leaves the choice, we take the Apache License 2.0, whose text is in\n\
         [LICENSE](LICENSE); other licences and notices are passed on in full.\n\n\
         ## In-page library\n\n",
    );
    let version = serde_json::from_str::<serde_json::Value>(page_library)
        .ok()
        .and_then(|p| p["version"].as_str().map(str::to_owned))
        .unwrap_or_default();
    let _ = write!(
        out,
        "`@wppconnect/wa-js` {version}, Apache-2.0, by the WPPConnect Team. Its bundle carries these\n\
         notices; the licences that they name are [MIT](#the-mit-licence) and\n\
         [BSD-3-Clause](#the-bsd-3-clause-licence).\n\n```text\n{}\n```\n\n",
        notices_once(page_notices),
    );
    out.push_str("## Crates\n\n| crate | version | licence |\n|---|---|---|\n");
    for c in crates {
        let _ = writeln!(out, "| {} | {} | {} |", c.name, c.version, c.licence);
    }
    out.push_str(
        "\nThe C source of SQLite, which libsqlite3-sys carries, is in the public domain. Rust's standard\n\
         library is under MIT OR Apache-2.0.\n\n## Licences and notices\n",
    );
    let mut by_text: BTreeMap<&str, Vec<&Carried>> = BTreeMap::new();
    for c in crates {
        for text in &c.texts {
            by_text.entry(text).or_default().push(c);
        }
    }
    let mut texts: Vec<_> = by_text.into_iter().collect();
    texts.sort_by_key(|(text, users)| (users[0].name.clone(), text.len(), *text));
    for (text, users) in texts {
        let names: Vec<&str> = users.iter().map(|c| c.name.as_str()).collect();
        let _ = write!(out, "\n### {}\n\n```text\n{text}\n```\n", names.join(", "));
    }
    let _ = write!(out, "\n### The MIT licence\n\n```text\n{MIT}```\n");
    let _ = write!(
        out,
        "\n### The BSD-3-Clause licence\n\n```text\n{BSD_3_CLAUSE}```\n"
    );
    out
}

/// The bundle's comments without their marks, each said once: it repeats the
/// Apache header for every year, which LICENSE holds already.
fn notices_once(comments: &str) -> String {
    let mut said: Vec<String> = Vec::new();
    for comment in comments.split("/*!").flat_map(|c| c.split("/**")) {
        let lines: Vec<&str> = comment
            .lines()
            .map(|line| {
                line.trim()
                    .trim_end_matches("*/")
                    .trim_start_matches('*')
                    .trim()
            })
            .filter(|line| !line.is_empty())
            .collect();
        let end = lines
            .iter()
            .position(|line| line.starts_with("Licensed under the Apache License"))
            .map_or(lines.len(), |i| i + 1);
        let notice = lines[..end].join("\n");
        if !notice.is_empty() && !said.contains(&notice) {
            said.push(notice);
        }
    }
    said.join("\n\n")
}

/// The words of licences that the bundle's notices only name.
const MIT: &str = include_str!("MIT.txt");
const BSD_3_CLAUSE: &str = include_str!("BSD-3-Clause.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_said_once_and_without_comment_marks() {
        let apache = "/*!\n * Copyright 2021 A\n *\n * Licensed under the Apache License, Version 2.0\n * more\n */\n";
        let other = "/*!\n * B v1\n * MIT\n */";
        assert_eq!(
            notices_once(&format!("{apache}\n{apache}\n{other}")),
            "Copyright 2021 A\nLicensed under the Apache License, Version 2.0\n\nB v1\nMIT"
        );
    }

    #[test]
    fn a_text_that_several_crates_share_stands_once() {
        let carried = |name: &str| Carried {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT".to_owned(),
            texts: vec!["Copyright (c) X".to_owned()],
        };
        let out = document(&[carried("a"), carried("b")], r#"{"version":"4.6.0"}"#, "");
        assert_eq!(out.matches("Copyright (c) X").count(), 1);
        assert!(out.contains("### a, b\n"));
        assert!(out.contains("`@wppconnect/wa-js` 4.6.0"));
    }
}
