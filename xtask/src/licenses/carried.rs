//! The crates that the binary carries, with the texts to pass on.

use super::expression::is_met_by;
use crate::error::Error;
use crate::metadata::{Metadata, Package};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One crate from outside.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its SPDX expression.
    pub(crate) licence: String,
    /// What must be passed on beside our own LICENSE.
    pub(crate) texts: Vec<String>,
}

/// The crates from outside that `product` reaches by normal dependencies,
/// sorted by name and version.
///
/// # Errors
///
/// Where a crate asks for its notice to be passed on and has none, or names no licence.
pub(crate) fn crates(metadata: &Metadata, product: &str) -> Result<Vec<Carried>, Error> {
    let reached = reached(metadata, product)?;
    let mut carried = Vec::new();
    let mut without = Vec::new();
    for package in &metadata.packages {
        if package.source.is_none() || !reached.contains(package.id.as_str()) {
            continue;
        }
        match package.license.as_deref().map(|l| (l, texts(package, l))) {
            Some((licence, Ok(texts))) => carried.push(Carried {
                name: package.name.clone(),
                version: package.version.clone(),
                licence: licence.to_owned(),
                texts,
            }),
            Some((_, Err(error))) => return Err(error),
            None => without.push(package.name.as_str()),
        }
    }
    for c in &carried {
        if c.texts.is_empty() && !is_met_by(&c.licence, "Apache-2.0") {
            without.push(&c.name);
        }
    }
    if !without.is_empty() {
        return Err(Error::NoLicence(without.join(", ")));
    }
    carried.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(carried)
}

fn reached<'a>(metadata: &'a Metadata, product: &str) -> Result<BTreeSet<&'a str>, Error> {
    let nodes: BTreeMap<&str, _> = metadata
        .resolve
        .iter()
        .flat_map(|resolve| &resolve.nodes)
        .map(|node| (node.id.as_str(), node))
        .collect();
    let start = metadata
        .packages
        .iter()
        .find(|package| package.name == product)
        .ok_or_else(|| Error::Metadata(format!("no package {product}")))?;
    let in_the_compiler: BTreeSet<&str> = metadata
        .packages
        .iter()
        .filter(|package| package.is_proc_macro())
        .map(|package| package.id.as_str())
        .collect();
    let mut reached = BTreeSet::new();
    let mut next = vec![start.id.as_str()];
    while let Some(id) = next.pop() {
        if in_the_compiler.contains(id) || !reached.insert(id) {
            continue;
        }
        for dep in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
            if dep.dep_kinds.iter().any(|kind| kind.kind.is_none()) {
                next.push(&dep.pkg);
            }
        }
    }
    Ok(reached)
}

/// The texts of one crate. Under Apache-2.0 its NOTICE alone, since LICENSE
/// holds the licence; else all that it brings, but for the Apache text.
fn texts(package: &Package, licence: &str) -> Result<Vec<String>, Error> {
    let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
    let notice_only = is_met_by(licence, "Apache-2.0");
    let mut texts = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(Error::file(folder))? {
        let entry = entry.map_err(Error::file(folder))?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        let wanted = if notice_only {
            name.starts_with("NOTICE")
        } else {
            ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        let path = entry.path();
        if wanted && path.is_file() {
            let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
            if !text.contains("Apache License\n") {
                texts.insert(tidy(&text));
            }
        }
    }
    Ok(texts.into_iter().collect())
}

/// Without trailing blanks, so that texts that differ in nothing else are one.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(edge_kind: Option<&str>, target: &str, licence: &str, folder: &Path) -> Metadata {
        let manifest = folder.join("Cargo.toml");
        serde_json::from_value(serde_json::json!({
            "packages": [
                { "id": "p", "name": "product", "version": "0.1.0", "license": "Apache-2.0", "source": null,
                  "manifest_path": manifest, "targets": [{ "kind": ["lib"] }], "dependencies": [] },
                { "id": "x", "name": "x", "version": "1.2.3", "license": licence, "source": "a registry",
                  "manifest_path": manifest, "targets": [{ "kind": [target] }], "dependencies": [] },
            ],
            "resolve": { "nodes": [
                { "id": "p", "deps": [{ "pkg": "x", "dep_kinds": [{ "kind": edge_kind }] }] },
                { "id": "x", "deps": [] },
            ]},
        }))
        .expect("metadata as cargo writes it")
    }

    #[test]
    fn only_what_reaches_the_binary_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("LICENSE-MIT"), "Copyright X\n").expect("a file");
        let names = |kind, target| -> Vec<String> {
            let found = crates(&metadata(kind, target, "MIT", folder.path()), "product");
            found.expect("crates").into_iter().map(|c| c.name).collect()
        };
        assert_eq!(names(None, "lib"), ["x"]);
        assert_eq!(names(Some("dev"), "lib"), Vec::<String>::new());
        assert_eq!(names(Some("build"), "lib"), Vec::<String>::new());
        assert_eq!(names(None, "proc-macro"), Vec::<String>::new());
    }

    #[test]
    fn a_notice_that_is_missing_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let mit = crates(&metadata(None, "lib", "MIT", folder.path()), "product");
        assert!(matches!(mit, Err(Error::NoLicence(names)) if names == "x"));
        let apache = crates(
            &metadata(None, "lib", "MIT OR Apache-2.0", folder.path()),
            "product",
        );
        assert!(apache.is_ok(), "LICENSE holds that text: {apache:?}");
    }
}
