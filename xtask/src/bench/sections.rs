//! The parts of `cargo xtask bench self`: each measures, is written down as
//! soon as it has, and can be run alone.

use super::report::{print, publish, table};
use super::{Options, load, own, queue, round_trips, sessions};
use crate::error::Error;
use serde_json::{Map, Value};

/// A part of our own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Section {
    /// Starts, memory, recovery and detection against the bare floors.
    Recovery,
    /// Evaluate, a call into the page, and a send, against the bare protocol and wa-js.
    RoundTrips,
    /// Memory and processor, idle and while messages come.
    Load,
    /// The store against raw SQLite, and the cost of a message as the queue grows.
    Queue,
    /// Sessions on one machine: a thousand without browsers, then with browsers until it is full.
    Sessions,
}

impl Section {
    const ALL: [Self; 5] = [
        Self::Recovery,
        Self::RoundTrips,
        Self::Load,
        Self::Queue,
        Self::Sessions,
    ];

    /// What a command line asks for, in our order.
    fn wanted(only: &[Self]) -> Vec<Self> {
        let wanted = |section: &Self| match only {
            [] => *section != Self::Sessions,
            _ => only.contains(section),
        };
        Self::ALL.into_iter().filter(wanted).collect()
    }

    /// Its name in the JSON, and the command whose marks it has in the document.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Recovery => ("recovery", "self"),
            Self::RoundTrips => ("round_trips", "self --only round-trips"),
            Self::Load => ("load", "self --only load"),
            Self::Queue => ("queue", "self --only queue"),
            Self::Sessions => ("sessions", "self --only sessions"),
        }
    }

    fn measure(self, options: &Options) -> Result<Value, Error> {
        let (_, command) = self.names();
        let to = &options.printing;
        match self {
            Self::Recovery => publish(command, &own::measure(options)?, to, table),
            Self::RoundTrips => {
                let trips = round_trips::measure(options)?;
                publish(command, trips.as_slice(), to, round_trips::table)
            }
            Self::Load => publish(command, &load::measure(options)?, to, load::table),
            Self::Queue => {
                let figures = queue::measure(options)?;
                publish(command, figures.as_slice(), to, queue::table)
            }
            Self::Sessions => {
                let figures = sessions::measure(options)?;
                publish(command, &figures, to, sessions::table)
            }
        }
    }
}

/// Measures what is wanted, part by part.
///
/// # Errors
///
/// Where anything that is measured does not do what it must; what was measured
/// before is written down.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    Options::folder()?;
    let mut all = Map::new();
    for section in Section::wanted(&options.only) {
        let (name, _) = section.names();
        eprintln!("measuring: {name}");
        all.insert(name.to_owned(), section.measure(options)?);
    }
    print(&options.printing, &Value::Object(all));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Parser, ValueEnum};

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        what: crate::bench::What,
    }

    fn options(arguments: &[&str]) -> Options {
        let line = Line::try_parse_from([&["bench", "self"], arguments].concat());
        match line.expect("a command line").what {
            crate::bench::What::Own(options) => options,
            _ => panic!("another command"),
        }
    }

    #[test]
    fn the_long_part_runs_only_where_it_is_named() {
        let all = Section::wanted(&options(&[]).only);
        assert_eq!(all.len(), Section::ALL.len() - 1);
        assert!(!all.contains(&Section::Sessions));
        let two = options(&["--only", "sessions", "--only", "recovery", "--json"]);
        assert!(two.printing.json && !two.printing.dry);
        assert_eq!(
            Section::wanted(&two.only),
            [Section::Recovery, Section::Sessions]
        );
    }

    #[test]
    fn the_documents_marks_are_commands_that_run_the_part() {
        for section in Section::ALL {
            let (_, command) = section.names();
            let arguments: Vec<&str> = command.split(' ').skip(1).collect();
            let found = options(&arguments).only;
            assert!(found.is_empty() || found == [section], "{command}");
        }
        assert_eq!(Section::value_variants(), Section::ALL);
    }
}
