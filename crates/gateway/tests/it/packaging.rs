//! Alert rules and dashboard speak of metrics and labels that the gateway exports.

use crate::surface::Surface;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// Labels that Prometheus itself puts there.
const ALWAYS: [&str; 3] = ["instance", "job", "le"];

/// The names in a text that look like ours, each with the labels that it is narrowed by.
fn named(text: &str) -> Vec<(String, Vec<String>)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for prefix in ["steadfast_", "process_"] {
        for (at, _) in text.match_indices(prefix) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(word) {
                continue;
            }
            let name: String = text[at..].chars().take_while(|c| word(*c)).collect();
            let rest = &text[at + name.len()..];
            let matchers = rest
                .strip_prefix('{')
                .and_then(|rest| rest.split('}').next());
            let labels = matchers
                .unwrap_or_default()
                .split(',')
                .filter_map(|matcher| {
                    let label = matcher.split(['=', '!']).next()?.trim();
                    (!label.is_empty()).then(|| label.to_owned())
                });
            found.push((name, labels.collect()));
        }
    }
    found
}

/// The labels by which a text groups, joins or is shown: `by (a, b)`, `on (a)`,
/// `{{a}}`, `{{ $labels.a }}`, `label_values(name, a)`.
fn mentioned(text: &str) -> Vec<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for keyword in ["by", "without", "on", "ignoring"] {
        for (at, _) in text.match_indices(keyword) {
            let rest = text[at + keyword.len()..].trim_start();
            let begins = !text[..at].chars().next_back().is_some_and(word);
            if let Some((list, _)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'))
                && begins
            {
                found.extend(list.split(',').map(|label| label.trim().to_owned()));
            }
        }
    }
    for shown in text.split("{{").skip(1) {
        let inner = shown.split("}}").next().unwrap_or_default().trim();
        let label = inner.strip_prefix("$labels.").unwrap_or(inner);
        if !label.is_empty() && label.chars().all(word) {
            found.push(label.to_owned());
        }
    }
    for (_, rest) in text
        .match_indices("label_values(")
        .map(|(at, s)| text.split_at(at + s.len()))
    {
        if let Some((_, label)) = rest
            .split(')')
            .next()
            .and_then(|args| args.rsplit_once(','))
        {
            found.push(label.trim().to_owned());
        }
    }
    found
}

/// The rules, panels and variables of a file, each with all that it says of its metrics.
fn pieces(path: &str) -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                let text = |name: &str| members.get(name).and_then(Value::as_str);
                if let Some(said) = text("expr").or(text("query")) {
                    let legend = text("legendFormat").unwrap_or_default();
                    found.push(format!("{said} {legend}"));
                }
                members.values().for_each(|value| collect(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let text = read(path);
    if Path::new(path).extension().is_some_and(|end| end == "json") {
        let mut found = Vec::new();
        collect(&serde_json::from_str(&text).unwrap(), &mut found);
        return found;
    }
    text.split("- alert:").skip(1).map(str::to_owned).collect()
}

#[test]
fn labels_are_found_wherever_one_speaks_of_them() {
    let text =
        "sum by (a, le) (x) / on(b) y {{c}} of {{ $labels.d }} {{ $value | humanize }} only (z)";
    assert_eq!(mentioned(text), ["a", "le", "b", "c", "d"]);
    assert_eq!(mentioned("label_values(steadfast_x{a=\"b\"}, e)"), ["e"]);
}

#[tokio::test]
async fn alerts_and_dashboard_name_what_is_exported() {
    let surface = Surface::start().await;
    let reply = surface.get("/metrics").await;
    let page = String::from_utf8(reply.bytes.to_vec()).unwrap();
    let mut kinds = BTreeMap::new();
    for line in page.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            kinds.insert(name.to_owned(), kind.to_owned());
        }
    }
    // | `name` | label, label | meaning |
    let docs = read("docs/OPERATIONS.md");
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in docs.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        if let (Some(name), Some(list)) = (cells.next(), cells.next()) {
            let name = name.trim_matches('`').to_owned();
            labels.insert(name, list.split(", ").map(str::to_owned).collect());
        }
    }
    let mut seen = BTreeSet::new();
    for file in [
        "packaging/prometheus/alerts.yml",
        "packaging/grafana/steadfast.json",
        "docs/OPERATIONS.md",
    ] {
        for (name, used) in named(&read(file).replace("\\\"", "\"")) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                let base = name.strip_suffix(end)?;
                (kinds.get(base)? == "histogram").then(|| base.to_owned())
            });
            let name = base.unwrap_or(name);
            // The page speaks of a family by the beginning of its names.
            if name.ends_with('_') {
                continue;
            }
            assert!(kinds.contains_key(&name), "{file}: {name} is not exported");
            for label in used {
                let known = labels
                    .get(&name)
                    .is_some_and(|known| known.contains(&label));
                assert!(
                    known || ALWAYS.contains(&label.as_str()),
                    "{file}: {name} has no label {label}"
                );
            }
            seen.insert(name);
        }
    }
    assert!(seen.len() > 25, "{seen:?}");
    let mut said = 0;
    for file in [
        "packaging/prometheus/alerts.yml",
        "packaging/grafana/steadfast.json",
    ] {
        for piece in pieces(file) {
            let names = named(&piece);
            for label in mentioned(&piece) {
                let known = names.iter().any(|(name, _)| {
                    let base = ["_bucket", "_sum", "_count"]
                        .iter()
                        .find_map(|end| name.strip_suffix(end));
                    [Some(name.as_str()), base]
                        .into_iter()
                        .flatten()
                        .any(|name| labels.get(name).is_some_and(|known| known.contains(&label)))
                });
                assert!(
                    known || ALWAYS.contains(&label.as_str()),
                    "{file}: nothing of this has a label {label}: {piece}"
                );
                said += 1;
            }
        }
    }
    assert!(said > 40, "{said}");
    surface.stop().await;
}
