//! The page docs/CONFIGURATION.md, made from the table of keys.

use super::{KEYS, Key, Kind};
use std::fmt::Write as _;

const INTRO: &str = "\
# Configuration

One TOML file; every key can also be set by an environment variable. Later layers win: default, file,
environment, flag. An unknown key is an error that names the nearest known one, and so is a value that does not
fit. `steadfast config` prints what is in force and where each value came from.

The file is the one named by `--config FILE` or `STEADFAST_CONFIG`, else `steadfast.toml` in the data folder.
The data folder is named by `--data-dir DIR` or `STEADFAST_DATA_DIR`, else it is `steadfast` in the XDG data
folder (`~/.local/share/steadfast`). Lists in the environment are written `a,b` or, where an item holds a comma,
as a TOML array. Times are in milliseconds, sizes in bytes. An empty text means \"not set\".

A running gateway reads its configuration again on SIGHUP (`systemctl reload steadfast`). It takes the keys that are
marked \u{21bb} below; of others that have changed it says in its log that they wait for a restart. A configuration that
is wrong changes nothing.

This page is made from the program's own table of keys: `steadfast config --markdown`.
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = String::from(INTRO);
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let _ = write!(
                page,
                "\n## [{section}]\n\n| key | default | takes | meaning |\n|---|---|---|---|\n"
            );
        }
        let _ = writeln!(
            page,
            "| `{}`{}<br>`{}` | `{}` | {} | {} |",
            key.leaf(),
            if key.is_live() { " \u{21bb}" } else { "" },
            key.env_name(),
            key.default_value(),
            takes(key),
            key.doc
        );
    }
    page
}

fn takes(key: &Key) -> String {
    match key.kind {
        Kind::Switch => "`true`, `false`".to_owned(),
        Kind::Number { min, max } => format!("{min} to {max}"),
        Kind::Choice(words) => {
            let quoted: Vec<_> = words.iter().map(|w| format!("`{w}`")).collect();
            quoted.join(", ")
        }
        Kind::Text(_) => "text".to_owned(),
        Kind::List(_) => "list of texts".to_owned(),
    }
}
