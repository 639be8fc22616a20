use super::*;
use serde::Deserialize;
use std::fmt::Write as _;

const LABELLED: &[&str] = &[
    include_str!("../../../../tests/fixtures/failures.jsonl"),
    include_str!("../../../../tests/fixtures/heldout.jsonl"),
    include_str!("../../../../tests/fixtures/later.jsonl"),
    include_str!("../../../../tests/fixtures/gathered.jsonl"),
    include_str!("../../../../tests/fixtures/near.jsonl"),
];

#[derive(Debug, Clone, Deserialize)]
struct Entry {
    text: String,
    operation: Option<String>,
    kind: String,
}

impl Entry {
    fn kind(&self) -> Kind {
        Kind::parse(&self.kind).unwrap()
    }

    fn operation(&self) -> Option<Op> {
        self.operation.as_deref().and_then(Op::read)
    }
}

fn entries() -> Vec<Entry> {
    LABELLED
        .iter()
        .flat_map(|set| set.lines())
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Votes {
    fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut votes = Self::default();
        for entry in entries {
            let kind = entry.kind();
            *votes.texts.entry(kind).or_default() += 1;
            for word in words(&entry.text)
                .into_iter()
                .chain(entry.operation().map(named))
            {
                *votes
                    .words
                    .entry(word)
                    .or_default()
                    .entry(kind)
                    .or_default() += 1;
            }
        }
        votes
            .words
            .retain(|_, counts| counts.values().sum::<u32>() > 1);
        votes
    }

    fn written(&self) -> String {
        let mut out = String::new();
        let lines = std::iter::once(("", &self.texts)).chain(
            self.words
                .iter()
                .map(|(word, counts)| (word.as_str(), counts)),
        );
        for (word, counts) in lines {
            out.push_str(word);
            for (kind, count) in counts {
                write!(out, "\t{kind} {count}").unwrap();
            }
            out.push('\n');
        }
        out
    }
}

/// `STEADFAST_WRITE=1 cargo test -p steadfast-core words` writes it anew.
#[test]
fn the_words_are_those_of_the_labelled_texts() {
    let votes = Votes::of(entries().iter());
    if std::env::var_os("STEADFAST_WRITE").is_some() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/failure/text/likeness/words.tsv"
        );
        std::fs::write(path, votes.written()).unwrap();
    } else {
        assert!(*KNOWN == votes, "write words.tsv anew, see above");
    }
}

/// Every tenth text is guessed by the words of the others alone: no better
/// measure of what a guess is worth for a text that nobody has seen.
#[test]
fn a_text_that_was_left_out_is_often_guessed() {
    let entries = entries();
    let (mut right, mut wrong) = (0, 0);
    for fold in 0..10 {
        let others = entries.iter().enumerate().filter(|(i, _)| i % 10 != fold);
        let votes = Votes::of(others.map(|(_, entry)| entry));
        for entry in entries.iter().skip(fold).step_by(10) {
            match votes.guess(&entry.text, entry.operation()) {
                Some(kind) if kind == entry.kind() => right += 1,
                Some(_) => wrong += 1,
                None => {}
            }
        }
    }
    let figures = format!("of {}: {right} right, {wrong} wrong", entries.len());
    assert!(right * 2 > entries.len() && right > 2 * wrong, "{figures}");
}

#[test]
fn a_few_words_say_nothing() {
    for text in ["", "error", "zzz qqq", "12 345678 ab"] {
        assert_eq!(guess(text, Some(Op::Send)), None, "{text}");
    }
}

#[test]
fn names_are_taken_apart_and_codes_are_kept() {
    let found: Vec<_> = words("SessionClosed: at x.js status_463 12345 ok")
        .into_iter()
        .collect();
    assert_eq!(found, ["463", "closed", "session", "status"]);
}
