//! Every kind of failure has its page, and the page says what the code says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use steadfast_core::failure::{Kind, Rung};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(kind: Kind) -> String {
    let path = root().join(kind.doc());
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_kind_has_a_page_that_states_its_code_and_rung() {
    for &kind in Kind::ALL {
        let text = page(kind);
        let code = format!("| code | `{}` |", kind.code());
        assert!(text.contains(&code), "{kind}: no line {code}");
        let rung = format!("| cheapest rung | `{}` |", kind.usual_rung());
        assert!(text.contains(&rung), "{kind}: no line {rung}");
        let heals = text
            .lines()
            .find_map(|line| line.strip_prefix("| heals without a person | "))
            .unwrap_or_else(|| panic!("{kind}: says not whether it heals"));
        assert_eq!(
            kind.recoverable(),
            !heals.starts_with("no") && !heals.starts_with("only"),
            "{kind}: {heals}"
        );
    }
}

#[test]
fn every_page_answers_the_same_questions() {
    for &kind in Kind::ALL {
        let text = page(kind);
        for question in [
            "## What it means",
            "## What shows it",
            "## What the gateway does by itself",
            "## What you do",
            "## Messages",
        ] {
            assert!(text.contains(question), "{kind} lacks {question}");
        }
    }
}

#[test]
fn the_index_lists_every_kind_and_rung_and_nothing_else() {
    let folder = root().join("docs/errors");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    for &kind in Kind::ALL {
        let row = format!("| [`{0}`]({0}.md) |", kind.code());
        assert!(index.contains(&row), "the index lacks {kind}");
    }
    for rung in Rung::ALL {
        assert!(
            index.contains(&format!("| `{rung}` |")),
            "the index lacks {rung}"
        );
    }
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = name == "README.md"
            || name
                .strip_suffix(".md")
                .is_some_and(|code| Kind::parse(code).is_some());
        assert!(known, "{name} is a page of no kind");
    }
}
