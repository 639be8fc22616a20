//! Exit codes. They are stable, and listed in docs/OPERATIONS.md.

use std::process::ExitCode;

macro_rules! exits {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal;)*) => {
        /// How a command ends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Exit { $($(#[doc = $doc])* $name = $code,)* }

        impl Exit {
            /// Every code with its meaning.
            pub const ALL: &'static [(u8, &'static str)] = &[$(($code, concat!($($doc),*))),*];
        }
    };
}

exits! {
    /// Done.
    Done = 0;
    /// It was tried and failed, or `check` found something that does not work.
    Failed = 1;
    /// The command line is wrong.
    Usage = 2;
    /// The configuration is wrong.
    Config = 3;
    /// The data folder is not ours, is missing, damaged, of a newer format, or cannot be written.
    DataFolder = 4;
    /// Another gateway runs on the data folder.
    InUse = 5;
    /// The database is not ours, damaged, of a newer version, or the disk is full.
    Store = 6;
    /// The address cannot be listened on.
    Address = 7;
    /// The browser is missing or cannot be set up.
    Browser = 8;
    /// No gateway runs on the data folder, or it does not answer.
    NoGateway = 9;
    /// The gateway refused the request.
    Refused = 10;
    /// It did not happen in the time given.
    TimedOut = 11;
    /// Interrupted by a signal before it was done.
    Interrupted = 130;
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn docs_list_every_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATIONS.md");
        let page = std::fs::read_to_string(path).unwrap();
        for (code, meaning) in Exit::ALL {
            let row = format!("| {code} | {} |", meaning.trim());
            assert!(page.contains(&row), "docs/OPERATIONS.md lacks: {row}");
        }
    }
}
