//! The form of a rule, and how a table of them is read.

use super::super::verdict::{Handed, Verdict};
use super::super::{Kind, Operation, Rung};
use super::fold::Folded;

/// One concept, the ways in which it is said, and what follows from it.
#[derive(Debug)]
pub(super) struct Rule {
    /// A name for people who read the table.
    pub(super) concept: &'static str,
    /// Any of these, in the notation of [`Folded::says`].
    says: &'static [&'static str],
    /// None of these: the same words in another sense.
    unless: &'static [&'static str],
    /// Only in these operations; empty means in any.
    only: &'static [Operation],
    verdict: Verdict,
}

/// A rule for a concept of this kind, with the kind's usual rung.
pub(super) const fn rule(concept: &'static str, kind: Kind, says: &'static [&'static str]) -> Rule {
    Rule {
        concept,
        says,
        unless: &[],
        only: &[],
        verdict: Verdict::of(kind),
    }
}

impl Rule {
    pub(super) const fn rung(self, rung: Rung) -> Self {
        Self {
            verdict: self.verdict.rung(rung),
            ..self
        }
    }

    pub(super) const fn handed(self, handed: Handed) -> Self {
        Self {
            verdict: self.verdict.handed(handed),
            ..self
        }
    }

    pub(super) const fn unless(self, unless: &'static [&'static str]) -> Self {
        Self { unless, ..self }
    }

    pub(super) const fn only(self, only: &'static [Operation]) -> Self {
        Self { only, ..self }
    }

    fn matches(&self, text: &Folded, operation: Option<Operation>) -> bool {
        (self.only.is_empty() || operation.is_some_and(|op| self.only.contains(&op)))
            && self.says.iter().any(|pattern| text.says(pattern))
            && !self.unless.iter().any(|pattern| text.says(pattern))
    }

    /// Every pattern, for the test that keeps them in the folded form.
    #[cfg(test)]
    pub(super) fn patterns(&self) -> impl Iterator<Item = &'static str> {
        self.says.iter().chain(self.unless).copied()
    }
}

/// What a rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) concept: &'static str,
    pub(super) verdict: Verdict,
}

/// The first rule of a table that fits.
pub(super) fn first(table: &[Rule], text: &Folded, operation: Option<Operation>) -> Option<Match> {
    table
        .iter()
        .find(|rule| rule.matches(text, operation))
        .map(|rule| Match {
            concept: rule.concept,
            verdict: rule.verdict,
        })
}
