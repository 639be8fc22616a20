//! `steadfast config`: what is in force and where it came from.

use super::Context;
use super::exit::Exit;
use super::out::{CliError, Tone};
use crate::config::{Entry, Source, doc};
use clap::Args;
use serde_json::json;
use toml::Value;

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Only what somebody set
    #[arg(long)]
    changed: bool,
    /// Print docs/CONFIGURATION.md instead
    #[arg(long, conflicts_with = "changed")]
    markdown: bool,
}

pub(super) fn run(context: &Context, args: &ConfigArgs) -> Result<Exit, CliError> {
    let out = context.out;
    if args.markdown {
        out.raw(doc::markdown().trim_end());
        return Ok(Exit::Done);
    }
    let loaded = context.load_config(Vec::new())?;
    let entries: Vec<_> = loaded
        .entries
        .iter()
        .filter(|entry| !args.changed || entry.source != Source::Default)
        .collect();
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let value = shown(entry).to_string();
            vec![entry.key.to_owned(), value, entry.source.to_string()]
        })
        .collect();
    out.table(&["key", "value", "from"], &rows);
    for entry in entries {
        let from = match &entry.source {
            Source::Default => None,
            Source::File(path) => Some(path.display().to_string()),
            Source::Env(name) => Some(name.clone()),
            Source::Flag(flag) => Some((*flag).to_owned()),
        };
        out.value(&json!({
            "key": entry.key,
            "value": shown(entry),
            "source": entry.source.kind(),
            "from": from,
        }));
    }
    for warning in &loaded.warnings {
        out.value(&json!({"warning": warning}));
        out.line(out.tone(Tone::Warn, &format!("warning: {warning}")));
    }
    Ok(Exit::Done)
}

/// The value, without what may be a secret: this is what people paste into reports.
fn shown(entry: &Entry) -> Value {
    match (entry.key, &entry.value) {
        ("telemetry.otlp_headers", Value::Array(lines)) => {
            let names = lines
                .iter()
                .filter_map(|line| line.as_str()?.split('=').next());
            Value::Array(names.map(|name| format!("{name}=...").into()).collect())
        }
        (_, value) => value.clone(),
    }
}
