//! Alert rules and dashboard speak of metrics and labels that the gateway exports.

use crate::surface::Surface;
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
    serde_json::from_str::<serde_json::Value>(&read("packaging/grafana/steadfast.json")).unwrap();
    surface.stop().await;
}
