//! What commands print: tables and colour for people on a terminal, plain
//! lines in a pipe, one JSON value a line where that is asked for.

use super::exit::Exit;
use crate::config::ConfigError;
use crate::data_dir::DataDirError;
use crate::serve::ServeError;
use serde::Serialize;
use serde_json::json;
use std::io::{self, IsTerminal as _, Write as _};
use steadfast_core::port::StoreError;

/// Why a command did not do what it was asked, and what helps.
#[derive(Debug)]
pub struct CliError {
    /// How the process ends.
    pub exit: Exit,
    /// What is wrong.
    pub message: String,
    /// What a person should do; empty where the message says it all.
    pub remedy: String,
}

impl CliError {
    /// An error with its remedy.
    pub fn new(exit: Exit, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::new(
            Exit::Config,
            error.to_string(),
            "correct it; docs/CONFIGURATION.md and `steadfast config` list every key",
        )
    }
}

impl From<DataDirError> for CliError {
    fn from(error: DataDirError) -> Self {
        let exit = match &error {
            DataDirError::InUse { .. } => Exit::InUse,
            DataDirError::Nowhere
            | DataDirError::Foreign { .. }
            | DataDirError::Missing(_)
            | DataDirError::Newer { .. }
            | DataDirError::Damaged { .. }
            | DataDirError::Io { .. } => Exit::DataFolder,
        };
        Self::new(exit, error.to_string(), error.remedy())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        ServeError::Store(error).into()
    }
}

impl From<ServeError> for CliError {
    fn from(error: ServeError) -> Self {
        let exit = match &error {
            ServeError::DataDir(_) => {
                if let ServeError::DataDir(inner) = error {
                    return inner.into();
                }
                Exit::DataFolder
            }
            ServeError::Bind { .. } => Exit::Address,
            ServeError::Store(_) | ServeError::Webhooks(_) => Exit::Store,
            ServeError::Browser { .. } => Exit::Browser,
            ServeError::Media(_) => Exit::DataFolder,
            ServeError::Tls(_) | ServeError::Outgoing(_) | ServeError::Telemetry(_) => Exit::Config,
            ServeError::Random(_) | ServeError::Interrupted(_) => Exit::Failed,
        };
        Self::new(exit, error.to_string(), error.remedy())
    }
}

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    json: bool,
    terminal: bool,
    colour: bool,
}

/// Colours with a meaning.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    /// It is well.
    Good,
    /// Look at it.
    Warn,
    /// It is not well.
    Bad,
    /// Less important.
    Dim,
    /// More important.
    Bold,
}

impl Out {
    /// As standard output is, and NO_COLOR says (no-color.org: any value but an empty one).
    pub fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            json,
            terminal: terminal && !json,
            colour: terminal && !json && !no_color && !dumb,
        }
    }

    /// Whether JSON was asked for.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person looks at a terminal.
    pub fn is_terminal(self) -> bool {
        self.terminal
    }

    /// One line for people; nothing with `--json`.
    pub fn line(self, text: impl AsRef<str>) {
        if !self.json {
            write_line(text.as_ref());
        }
    }

    /// One JSON value on a line of its own; nothing without `--json`.
    pub fn value(self, value: &impl Serialize) {
        if self.json
            && let Ok(text) = serde_json::to_string(value)
        {
            write_line(&text);
        }
    }

    /// One line whatever was asked for: the output itself.
    pub fn raw(self, text: impl AsRef<str>) {
        write_line(text.as_ref());
    }

    /// A text in a colour, where colours are shown.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// A QR code: with its own colours on a terminal, right on any background.
    pub fn qr(self, picture: &crate::qr::Picture) {
        let text = if self.colour {
            picture.half_blocks_ansi()
        } else {
            picture.half_blocks()
        };
        self.line(text.trim_end_matches('\n'));
    }

    /// Rows in columns on a terminal, with tabs between in a pipe.
    pub fn table(self, headers: &[&str], rows: &[Vec<String>]) {
        if self.json {
            return;
        }
        if !self.terminal {
            for row in rows {
                write_line(&row.join("\t"));
            }
            return;
        }
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            longest.max(headers.get(column).map_or(0, |h| h.len()))
        };
        let mut widths: Vec<usize> = (0..headers.len()).map(width).collect();
        if let Some(room) = terminal_width() {
            fit(&mut widths, room);
        }
        let aligned = |cells: Vec<&str>| {
            let padded: Vec<String> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{:<width$}", cut(cell, *width)))
                .collect();
            padded.join("  ").trim_end().to_owned()
        };
        write_line(&self.tone(Tone::Bold, &aligned(headers.to_vec())));
        for row in rows {
            write_line(&aligned(row.iter().map(String::as_str).collect()));
        }
    }

    /// Begins a screen anew, where there is one.
    pub fn clear(self) {
        if self.terminal {
            let mut out = io::stdout().lock();
            let _ = out.write_all(b"\x1b[H\x1b[2J");
        }
    }

    /// What went wrong: on standard error for people, on standard output with `--json`.
    pub fn error(self, error: &CliError) {
        if self.json {
            self.value(&json!({
                "error": {
                    "exit": error.exit as u8,
                    "message": error.message,
                    "remedy": error.remedy,
                }
            }));
            return;
        }
        let mut text = format!("error: {}\n", error.message);
        if !error.remedy.is_empty() {
            text.push_str("  what helps: ");
            text.push_str(&error.remedy);
            text.push('\n');
        }
        // Nobody is left to tell where standard error is gone.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

/// The terminal's columns; `COLUMNS` has the last word.
fn terminal_width() -> Option<usize> {
    let told = std::env::var("COLUMNS").ok();
    if let Some(columns) = told.and_then(|text| text.parse().ok()) {
        return Some(columns);
    }
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Narrows the widest columns until all fit. The first stays whole: it holds
/// what one copies into the next command.
fn fit(widths: &mut [usize], room: usize) {
    const NARROWEST: usize = 8;
    let gaps = 2 * widths.len().saturating_sub(1);
    loop {
        let used = widths.iter().sum::<usize>() + gaps;
        let Some(over) = used.checked_sub(room).filter(|over| *over > 0) else {
            return;
        };
        let others = widths.iter_mut().skip(1);
        let Some(widest) = others.max_by_key(|width| **width) else {
            return;
        };
        if *widest <= NARROWEST {
            return;
        }
        *widest -= over.div_ceil(4).min(*widest - NARROWEST);
    }
}

/// A text in so many columns, with a mark where something is missing.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}\u{2026}")
}

fn write_line(text: &str) {
    // A reader that went away (`| head`) has what it wanted.
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.write_all(b"\n");
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::{cut, fit};

    #[test]
    fn a_table_fits_the_terminal() {
        let mut widths = [30, 50, 8, 90];
        fit(&mut widths, 100);
        assert_eq!(widths[0], 30);
        assert!(widths.iter().sum::<usize>() + 6 <= 100, "{widths:?}");
        let mut narrow = [30, 50, 90];
        fit(&mut narrow, 20);
        assert_eq!(narrow, [30, 8, 8], "no column vanishes");
        let mut wide = [3, 4];
        fit(&mut wide, 80);
        assert_eq!(wide, [3, 4]);
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("browser_gone", 8), "browser\u{2026}");
        assert_eq!(cut("\u{e4}\u{f6}\u{fc}", 3), "\u{e4}\u{f6}\u{fc}");
    }
}
