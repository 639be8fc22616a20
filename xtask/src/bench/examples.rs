//! The examples of our crates, run as programs that measure: each figure is a
//! line of JSON on their standard output.

use crate::error::Error;
use crate::metadata::cargo;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where the examples come from.
#[derive(Debug, Clone)]
pub(crate) struct Examples {
    /// A folder that they were built into; nothing: cargo builds them, in release.
    pub(crate) built: Option<PathBuf>,
}

impl Examples {
    /// Runs one to its end, and gives what it wrote.
    ///
    /// # Errors
    ///
    /// Where it cannot be started, or fails.
    pub(crate) fn run(
        &self,
        package: &str,
        name: &str,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<String, Error> {
        let mut command = self.command(package, name);
        command.args(arguments);
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| Error::Start {
                program: command.get_program().to_string_lossy().into_owned(),
                source,
            })?;
        if !output.status.success() {
            return Err(Error::Bench(format!("{name} ended with {}", output.status)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// As [`Self::run`], each line read as one figure.
    ///
    /// # Errors
    ///
    /// As [`Self::run`], and where a line is no such figure, or there is none.
    pub(crate) fn figures<T: DeserializeOwned>(
        &self,
        package: &str,
        name: &str,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Vec<T>, Error> {
        figures(name, &self.run(package, name, arguments)?)
    }

    fn command(&self, package: &str, name: &str) -> Command {
        if let Some(folder) = &self.built {
            return Command::new(crate::root().join(folder).join(name));
        }
        let mut command = cargo();
        command.args(["run", "--release", "--locked", "--quiet"]);
        command.args(["--package", package, "--example", name, "--"]);
        command
    }
}

/// Arguments as the examples take them: each a name and a number.
pub(crate) fn numbers(pairs: &[(&str, u64)]) -> Vec<OsString> {
    let pairs = pairs.iter();
    pairs
        .flat_map(|(name, value)| [OsString::from(name), value.to_string().into()])
        .collect()
}

fn figures<T: DeserializeOwned>(name: &str, lines: &str) -> Result<Vec<T>, Error> {
    let figures: Vec<T> = lines
        .lines()
        .map(|line| {
            serde_json::from_str(line)
                .map_err(|error| Error::Bench(format!("{name} said {line:?}: {error}")))
        })
        .collect::<Result<_, _>>()?;
    if figures.is_empty() {
        return Err(Error::Bench(format!("{name} measured nothing")));
    }
    Ok(figures)
}

#[test]
fn every_line_must_be_a_figure() {
    let read = |lines| figures::<Vec<u32>>("it", lines);
    assert_eq!(
        read("[1]\n[2,3]\n").expect("figures"),
        [vec![1], vec![2, 3]]
    );
    assert!(read("[1]\nwarning: something\n").is_err());
    assert!(read("").is_err(), "no figure is no result");
}
