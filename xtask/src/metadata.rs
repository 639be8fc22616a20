//! `cargo metadata`, as far as it is used here.

use crate::error::Error;
use serde::Deserialize;
use std::path::PathBuf;
use std::process::Command;

/// The workspace as cargo sees it.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// Every package; with `--no-deps` those of the workspace alone.
    pub(crate) packages: Vec<Package>,
    /// Who uses whom; absent with `--no-deps`.
    pub(crate) resolve: Option<Resolve>,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Cargo's own id of it.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its licence as an SPDX expression.
    pub(crate) license: Option<String>,
    /// Where it comes from; nothing for a package of ours.
    pub(crate) source: Option<String>,
    /// Its Cargo.toml.
    pub(crate) manifest_path: PathBuf,
    /// What it builds.
    pub(crate) targets: Vec<Target>,
    /// What its Cargo.toml asks for.
    #[cfg_attr(not(test), expect(dead_code, reason = "the direction test reads it"))]
    pub(crate) dependencies: Vec<Dependency>,
}

/// Something that a package builds.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    /// `lib`, `bin`, `proc-macro` and so on.
    pub(crate) kind: Vec<String>,
}

impl Package {
    /// Whether it only runs inside the compiler.
    pub(crate) fn is_proc_macro(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

/// One line of a `[dependencies]` table.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(test), expect(dead_code, reason = "the direction test reads it"))]
pub(crate) struct Dependency {
    /// The package asked for.
    pub(crate) name: String,
    /// `dev`, `build`, or nothing for a normal one.
    pub(crate) kind: Option<String>,
    /// Its folder, where it is one of ours.
    pub(crate) path: Option<PathBuf>,
}

/// The resolved graph.
#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    /// One node a package.
    pub(crate) nodes: Vec<Node>,
}

/// One package in the resolved graph.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    /// Its id.
    pub(crate) id: String,
    /// What it uses.
    pub(crate) deps: Vec<NodeDep>,
}

/// One edge of the resolved graph.
#[derive(Debug, Deserialize)]
pub(crate) struct NodeDep {
    /// The id of what is used.
    pub(crate) pkg: String,
    /// For what.
    pub(crate) dep_kinds: Vec<DepKind>,
}

/// For what something is used.
#[derive(Debug, Deserialize)]
pub(crate) struct DepKind {
    /// `dev`, `build`, or nothing for a normal use.
    pub(crate) kind: Option<String>,
}

/// Asks cargo, with these options added.
///
/// # Errors
///
/// Where cargo cannot be started, fails, or answers something else.
pub(crate) fn read(options: &[&str]) -> Result<Metadata, Error> {
    let output = cargo()
        .args(["metadata", "--format-version", "1"])
        .args(options)
        .output()
        .map_err(|source| Error::Start {
            program: "cargo".to_owned(),
            source,
        })?;
    if !output.status.success() {
        return Err(Error::Metadata(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| Error::Metadata(e.to_string()))
}

/// The cargo that runs us, started in the checkout. What it told us of
/// ourselves is not passed on: build scripts that look at it (ring's) would
/// run again, and all that is built on them.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(crate::root());
    for (name, _) in std::env::vars_os() {
        let of_us = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if of_us {
            command.env_remove(name);
        }
    }
    command
}
