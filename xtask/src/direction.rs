//! Which crate may depend on which: the map of docs/ARCHITECTURE.md as a test.

use crate::metadata::{self, Metadata};
use std::fmt;

/// Each crate with all that it may use of ours. A crate that is not here may
/// not exist: whoever adds one decides where it stands.
const MAY_USE: &[(&str, &[&str])] = &[
    ("steadfast-core", &[]),
    ("steadfast-cdp", &[]),
    // It knows the gateway by its HTTP interface alone, like any other program.
    ("steadfast-client", &[]),
    ("steadfast-store", &["steadfast-core"]),
    ("steadfast-sim", &["steadfast-core"]),
    ("steadfast-engine", &["steadfast-core", "steadfast-cdp"]),
    (
        "steadfast-gateway",
        &[
            "steadfast-core",
            "steadfast-engine",
            "steadfast-store",
            "steadfast-sim",
        ],
    ),
    // It looks at the others from outside; nothing that ships uses it.
    (
        "xtask",
        &[
            "steadfast-core",
            "steadfast-cdp",
            "steadfast-engine",
            "steadfast-store",
            "steadfast-sim",
            "steadfast-gateway",
        ],
    ),
];

/// What tests may use beside that: the engine is tested against the simulator,
/// and the gateway with a person's own browser beside its own, and by the
/// client that programs use.
const TESTS_MAY_USE: &[(&str, &str)] = &[
    ("steadfast-engine", "steadfast-sim"),
    ("steadfast-gateway", "steadfast-cdp"),
    ("steadfast-gateway", "steadfast-client"),
];

/// All that core may take from outside. None of it does I/O or reads a clock.
const CORE_MAY_TAKE: &[&str] = &["async-trait", "serde", "thiserror"];

/// One crate using another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    /// One of ours, not a crate from outside.
    ours: bool,
    /// Used by tests alone.
    tests: bool,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tests = if self.tests { " (in tests)" } else { "" };
        write!(f, "{} -> {}{tests}", self.from, self.to)
    }
}

/// The edges that the map does not have.
fn forbidden(edges: &[Edge]) -> Vec<&Edge> {
    edges.iter().filter(|edge| !is_allowed(edge)).collect()
}

fn is_allowed(edge: &Edge) -> bool {
    let (from, to) = (edge.from.as_str(), edge.to.as_str());
    if !edge.ours {
        return from != "steadfast-core" || edge.tests || CORE_MAY_TAKE.contains(&to);
    }
    let on_the_map = MAY_USE
        .iter()
        .any(|(name, uses)| *name == from && uses.contains(&to));
    on_the_map || (edge.tests && TESTS_MAY_USE.contains(&(from, to)))
}

fn edges(metadata: &Metadata) -> Vec<Edge> {
    let mut edges = Vec::new();
    for package in &metadata.packages {
        for dependency in &package.dependencies {
            edges.push(Edge {
                from: package.name.clone(),
                to: dependency.name.clone(),
                ours: dependency.path.is_some(),
                tests: dependency.kind.as_deref() == Some("dev"),
            });
        }
    }
    edges
}

#[test]
fn every_edge_of_the_workspace_is_on_the_map() {
    let metadata = metadata::read(&["--no-deps", "--offline"]).expect("cargo metadata");
    for package in &metadata.packages {
        assert!(
            MAY_USE.iter().any(|(name, _)| *name == package.name),
            "{} has no place on the map in {}",
            package.name,
            file!()
        );
    }
    let edges = edges(&metadata);
    assert!(
        edges
            .iter()
            .any(|e| e.from == "steadfast-gateway" && e.to == "steadfast-core"),
        "the graph was not read: {edges:?}"
    );
    let wrong: Vec<String> = forbidden(&edges).iter().map(ToString::to_string).collect();
    assert!(
        wrong.is_empty(),
        "not on the map: {}; docs/ARCHITECTURE.md says why",
        wrong.join(", ")
    );
}

#[test]
fn a_wrong_edge_is_found() {
    let edge = |from: &str, to: &str, ours, tests| Edge {
        from: from.to_owned(),
        to: to.to_owned(),
        ours,
        tests,
    };
    let right = [
        edge("steadfast-engine", "steadfast-cdp", true, false),
        edge("steadfast-engine", "steadfast-sim", true, true),
        edge("steadfast-cdp", "tokio", false, false),
        edge("steadfast-core", "serde", false, false),
        edge("steadfast-core", "proptest", false, true),
    ];
    assert_eq!(forbidden(&right), Vec::<&Edge>::new());
    for wrong in [
        edge("steadfast-core", "steadfast-cdp", true, false),
        edge("steadfast-cdp", "steadfast-core", true, false),
        edge("steadfast-cdp", "steadfast-core", true, true),
        edge("steadfast-engine", "steadfast-sim", true, false),
        edge("steadfast-engine", "steadfast-store", true, false),
        edge("steadfast-gateway", "steadfast-cdp", true, false),
        edge("steadfast-gateway", "steadfast-client", true, false),
        edge("steadfast-client", "steadfast-core", true, false),
        edge("steadfast-store", "steadfast-gateway", true, true),
        edge("steadfast-core", "tokio", false, false),
        edge("steadfast-newcomer", "steadfast-core", true, false),
    ] {
        let mut graph = right.to_vec();
        graph.push(wrong.clone());
        assert_eq!(forbidden(&graph), [&wrong]);
    }
}
