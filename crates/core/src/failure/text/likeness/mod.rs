//! Likeness: what no rule knows, compared with the failures that are known.
//!
//! Each word of a text votes for the kinds in whose texts it has stood, and
//! the operation votes with them (naive Bayes). The counts in `words.tsv` are
//! taken from the labelled texts in tests/fixtures; words that stood in one
//! text only are left out. A guess is only for the people who ask `explain`:
//! the ladder never acts on one.

#[cfg(test)]
mod tests;

use super::super::{Kind, Operation as Op};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// A headline is told in so many words; what follows is a stack.
const WORDS: usize = 80;
/// What a word that never stood in a kind's texts still counts for.
const UNSEEN: f64 = 0.03;
/// The same for an operation, of which there are few.
const UNSEEN_OPERATION: f64 = 0.3;
/// The operation says as much as two words.
const OPERATION_WEIGHT: f64 = 2.0;
/// How far ahead of the next the first must be, as a logarithm.
const AHEAD: f64 = 1.5;
/// Fewer known words than this say nothing.
const LEAST_WORDS: usize = 2;

/// Words that hold sentences together and stand in texts of every kind.
const JOINTS: &[&str] = &[
    "the", "and", "for", "was", "were", "has", "have", "had", "been", "are", "you", "your", "with",
    "that", "this", "from", "but", "its", "will", "would", "should", "may", "than", "then",
    "there",
];

static KNOWN: LazyLock<Votes> = LazyLock::new(|| Votes::read(include_str!("words.tsv")));

/// The kind whose known texts this one is most like; `None` where no kind
/// stands out, or where it is like those that say nothing.
pub(super) fn guess(text: &str, operation: Option<Op>) -> Option<Kind> {
    KNOWN.guess(text, operation)
}

/// In how many texts of each kind a word has stood.
#[derive(Debug, Default, Clone, PartialEq)]
struct Votes {
    texts: BTreeMap<Kind, u32>,
    words: BTreeMap<String, BTreeMap<Kind, u32>>,
}

impl Votes {
    /// Reads lines of `word<TAB>kind count<TAB>kind count...`. The first line
    /// has no word: it counts the texts.
    fn read(table: &str) -> Self {
        let mut votes = Self::default();
        for line in table.lines() {
            let mut fields = line.split('\t');
            let word = fields.next().unwrap_or_default();
            let counts = fields
                .filter_map(|field| {
                    let (kind, count) = field.split_once(' ')?;
                    Some((Kind::parse(kind)?, count.parse().ok()?))
                })
                .collect();
            if word.is_empty() {
                votes.texts = counts;
            } else {
                votes.words.insert(word.to_owned(), counts);
            }
        }
        votes
    }

    fn guess(&self, text: &str, operation: Option<Op>) -> Option<Kind> {
        let words = words(text);
        let known: Vec<_> = words
            .iter()
            .filter_map(|word| self.words.get(word))
            .collect();
        if known.len() < LEAST_WORDS {
            return None;
        }
        let operation = operation.and_then(|op| self.words.get(&named(op)));
        let mut scores: Vec<(f64, Kind)> = self
            .texts
            .iter()
            .map(|(&kind, &texts)| {
                let share = |counts: &BTreeMap<Kind, u32>, unseen: f64, choices: usize| {
                    let stood = f64::from(counts.get(&kind).copied().unwrap_or(0));
                    let choices = u32::try_from(choices).map_or(1.0, f64::from);
                    ((stood + unseen) / (f64::from(texts) + choices * unseen)).ln()
                };
                let of_words: f64 = known
                    .iter()
                    .map(|counts| share(counts, UNSEEN, Kind::ALL.len()))
                    .sum();
                let of_operation = operation.map_or(0.0, |counts| {
                    OPERATION_WEIGHT * share(counts, UNSEEN_OPERATION, Op::ALL.len())
                });
                (of_words + of_operation, kind)
            })
            .collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        match scores.as_slice() {
            [(first, kind), (second, _), ..] if first - second >= AHEAD => {
                Some(*kind).filter(|kind| *kind != Kind::Unknown)
            }
            _ => None,
        }
    }
}

/// How an operation stands among the words.
fn named(operation: Op) -> String {
    format!("={operation}")
}

/// The words of a text: letters in runs of three and more, with names in
/// camel case taken apart, and numbers of three digits, which are codes.
fn words(text: &str) -> BTreeSet<String> {
    let text = super::apart(text).to_lowercase();
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| {
            let letters = word.chars().all(char::is_alphabetic) && word.chars().nth(2).is_some();
            letters || (word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit()))
        })
        .filter(|word| !JOINTS.contains(word))
        .take(WORDS)
        .map(str::to_owned)
        .collect()
}
