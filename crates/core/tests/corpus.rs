//! How well failure texts are understood.
//!
//! `failures.jsonl` is ground truth: texts from issue threads and sources,
//! labelled by hand. `heldout.jsonl` is a second set of the same sort, and
//! `later.jsonl` a third: K, M, N and P are batches, each labelled before it
//! was measured, with the rules mended after each. So are Q, R, S, V, W, Y, Z,
//! A, C and D of `gathered.jsonl`; its T and U are wordings without a thread, from
//! the lists of names and messages in the sources of the libraries. E, G and J of
//! `near.jsonl` are texts of the corpus' own sort, labelled and committed before
//! a rule was run on them, G from other projects and authors; so are its K and L
//! (other texts than those of the same letters elsewhere), L with the wordings of
//! other authors. All were
//! used for tuning, and the words of all are those that `explain` guesses by:
//! no figure here says how an unseen text is read (docs/decisions/0005 does).
//! The figures that all must reach stand here as asserts; the one that may
//! never give way is that no text is called safe to send again when it is not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use serde::Deserialize;
use std::fmt::Write as _;
use steadfast_core::failure::explain;

#[derive(Debug, Deserialize)]
struct Entry {
    id: String,
    text: String,
    operation: Option<String>,
    kind: String,
    cheapest_rung: String,
    safe_to_resend: String,
}

/// Right answers out of all, and what was wrong.
#[derive(Debug, Default)]
struct Score {
    entries: usize,
    kinds: usize,
    rungs: usize,
    resends: usize,
    unsafe_yes: usize,
    report: String,
}

impl Score {
    fn of(lines: &str) -> Self {
        let mut score = Self::default();
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            let entry: Entry = serde_json::from_str(line).expect(line);
            score.add(&entry);
        }
        score
    }

    fn add(&mut self, entry: &Entry) {
        let got = explain(&entry.text, entry.operation.as_deref());
        let (kind, rung) = (got.kind.as_str(), got.rung.as_str());
        let resend = got.safe_to_resend.as_str();
        self.entries += 1;
        self.kinds += usize::from(kind == entry.kind);
        self.rungs += usize::from(rung == entry.cheapest_rung);
        self.resends += usize::from(resend == entry.safe_to_resend);
        let unsafe_yes = resend == "yes" && entry.safe_to_resend != "yes";
        self.unsafe_yes += usize::from(unsafe_yes);
        if kind != entry.kind || rung != entry.cheapest_rung || resend != entry.safe_to_resend {
            writeln!(
                self.report,
                "{}{} [{}] {} / {} / {}  got {kind} / {rung} / {resend}\n    {}",
                entry.id,
                if unsafe_yes { " UNSAFE" } else { "" },
                entry.operation.as_deref().unwrap_or("-"),
                entry.kind,
                entry.cheapest_rung,
                entry.safe_to_resend,
                entry
                    .text
                    .chars()
                    .take(220)
                    .collect::<String>()
                    .replace('\n', "\\n"),
            )
            .unwrap();
        }
    }

    /// Prints the figures and what was wrong, then holds them against the
    /// least that is allowed, in percent.
    fn demand(&self, kinds: usize, rungs: usize, resends: usize) {
        let share = |right: usize| right as f64 * 100.0 / self.entries as f64;
        println!(
            "{}{} entries: kinds {:.1}%, rungs {:.1}%, resends {:.1}%, unsafe yes {}",
            self.report,
            self.entries,
            share(self.kinds),
            share(self.rungs),
            share(self.resends),
            self.unsafe_yes
        );
        assert_eq!(self.unsafe_yes, 0, "a resend was called safe that is not");
        assert!(self.kinds * 100 >= self.entries * kinds, "kinds");
        assert!(self.rungs * 100 >= self.entries * rungs, "rungs");
        assert!(self.resends * 100 >= self.entries * resends, "resends");
    }
}

#[test]
fn the_corpus_is_understood() {
    let score = Score::of(include_str!("fixtures/failures.jsonl"));
    assert_eq!(score.entries, 138);
    score.demand(95, 90, 80);
}

#[test]
fn the_second_set_is_understood_too() {
    let score = Score::of(include_str!("fixtures/heldout.jsonl"));
    assert!(score.entries >= 120);
    score.demand(85, 85, 80);
}

#[test]
fn what_was_collected_later_is_understood_too() {
    let score = Score::of(include_str!("fixtures/later.jsonl"));
    assert!(score.entries >= 295);
    score.demand(95, 95, 90);
}

#[test]
fn what_was_gathered_last_is_understood_too() {
    let score = Score::of(include_str!("fixtures/gathered.jsonl"));
    assert!(score.entries >= 1058);
    score.demand(95, 95, 90);
}

#[test]
fn what_is_of_the_corpus_own_sort_is_understood_too() {
    let score = Score::of(include_str!("fixtures/near.jsonl"));
    assert!(score.entries >= 383);
    score.demand(95, 95, 90);
}

/// 276 texts were written and labelled by two authors who had not seen a rule: what
/// may stand where the corpus' own numbers have gaps. Those that are in no other set
/// were read like this on the first try: 95.8 % of kinds, rungs and resends. Three rules were
/// mended since. `explain` does not guess by their words.
#[test]
fn what_stands_between_the_corpus_own_texts_is_understood_too() {
    let score = Score::of(include_str!("fixtures/between.jsonl"));
    assert_eq!(score.entries, 192);
    score.demand(95, 95, 95);
}

/// Whatever a gateway wraps around a text, and however it breaks its lines.
#[test]
fn no_wrapping_makes_a_resend_safe() {
    let sets = [
        include_str!("fixtures/failures.jsonl"),
        include_str!("fixtures/heldout.jsonl"),
        include_str!("fixtures/later.jsonl"),
        include_str!("fixtures/gathered.jsonl"),
        include_str!("fixtures/near.jsonl"),
        include_str!("fixtures/between.jsonl"),
    ];
    let mut tried = 0;
    for line in sets.into_iter().flat_map(str::lines) {
        let entry: Entry = serde_json::from_str(line).unwrap();
        let operation = entry.operation.as_deref();
        let sending = matches!(operation, Some("send" | "send_media"));
        if !sending || entry.safe_to_resend == "yes" {
            continue;
        }
        let said = serde_json::to_string(&entry.text).unwrap();
        for wrapped in [
            format!(r#"{{"status":400,"error":"Bad Request","response":{{"message":[{said}]}}}}"#),
            format!(r#"{{"statusCode":422,"message":{said},"error":"Unprocessable Entity"}}"#),
            format!(r#"{{"success":false,"error":{said}}}"#),
            format!("2 UNKNOWN: {}", entry.text),
            format!("[session-1:client] Error: {}", entry.text),
            format!("{}\n    at Client.sendMessage (/app/a.js:9:4)", entry.text),
            entry.text.replace('\n', " "),
            entry.text.to_uppercase(),
        ] {
            let answer = explain(&wrapped, operation).safe_to_resend.as_str();
            assert_ne!(answer, "yes", "{}: {wrapped}", entry.id);
            tried += 1;
        }
    }
    assert!(tried > 400);
}

/// `STEADFAST_FAILURES=file.jsonl cargo nextest run -p steadfast-core --run-ignored only --no-capture`
#[test]
#[ignore = "measures a file of one's own"]
fn a_file_of_ones_own() {
    let path = std::env::var("STEADFAST_FAILURES").unwrap();
    Score::of(&std::fs::read_to_string(path).unwrap()).demand(0, 0, 0);
}
