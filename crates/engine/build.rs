//! Embeds the in-page library and its licences.
//!
//! wa-js is installed by npm, pinned by the root's package-lock.json, and is
//! not kept in this repository.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// The package's files that we need: where they lie in it, and what they are called here.
const FILES: [(&str, &str); 3] = [
    ("dist/wppconnect-wa.js", "wa.js"),
    ("dist/wppconnect-wa.js.LICENSE.txt", "wa-parts.txt"),
    ("LICENSE", "wa-licence.txt"),
];

#[expect(
    clippy::print_stderr,
    reason = "how a build script tells a person what is wrong"
)]
fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    let variable = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or_else(|| format!("cargo did not set {name}"))
    };
    let package = variable("CARGO_MANIFEST_DIR")?.join("../../node_modules/@wppconnect/wa-js");
    let out = variable("OUT_DIR")?;
    for (from, to) in FILES {
        let from = package.join(from);
        println!("cargo:rerun-if-changed={}", from.display());
        fs::copy(&from, out.join(to)).map_err(|error| missing(&from, &error))?;
    }
    let manifest = package.join("package.json");
    println!("cargo:rerun-if-changed={}", manifest.display());
    println!("cargo:rerun-if-changed=build.rs");
    let text = fs::read_to_string(&manifest).map_err(|error| missing(&manifest, &error))?;
    println!("cargo:rustc-env=WA_JS_VERSION={}", version(&text)?);
    Ok(())
}

fn missing(file: &Path, error: &std::io::Error) -> String {
    format!(
        "cannot read {}: {error}.\nThe in-page library @wppconnect/wa-js is installed by npm: run `./run build` in the \
         root of the project, or `npm ci` there.",
        file.display()
    )
}

/// The package's own version, without a JSON parser among the build dependencies.
fn version(manifest: &str) -> Result<&str, String> {
    manifest
        .split_once("\"version\"")
        .and_then(|(_, rest)| rest.split('"').nth(1))
        .ok_or_else(|| "the package.json of @wppconnect/wa-js names no version".to_owned())
}
