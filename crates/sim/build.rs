//! Lists the page's files, so that the simulator carries them inside.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What a browser may fetch.
const SERVED: &[&str] = &[
    "html",
    "js",
    "css",
    "svg",
    "png",
    "ico",
    "json",
    "webmanifest",
];
/// Folders with the page author's own tools.
const SKIPPED: &[&str] = &["test", "tests", "node_modules"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("page");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    if root.is_dir() {
        collect(&root, &mut files)?;
    }
    files.sort();
    let mut list = String::from("pub(super) static FILES: &[(&str, &[u8])] = &[\n");
    for file in &files {
        let name: Vec<String> = file
            .strip_prefix(&root)
            .unwrap_or(file)
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let _ = writeln!(
            list,
            "    ({:?}, include_bytes!({:?})),",
            name.join("/"),
            file.display().to_string()
        );
    }
    list.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("page_files.rs");
    fs::write(out, list)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_ref()) && !name.starts_with('.') {
                collect(&path, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|e| SERVED.iter().any(|s| e == *s))
        {
            files.push(path);
        }
    }
    Ok(())
}
