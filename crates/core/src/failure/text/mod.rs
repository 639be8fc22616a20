//! Texts, where text is all there is.
//!
//! The tables are read in the order given here: what can be mistaken for
//! nothing else first (a full disk, a missing library), what only a context
//! can tell last (a bare `timed out`). Inside a table the more severe and the
//! more specific stand before the general.

mod account;
mod browser;
mod devtools;
mod doubt;
mod exited;
mod fold;
mod foreign;
mod gateway;
mod general;
mod host;
mod likeness;
mod message;
mod network;
mod own_words;
mod page;
mod profile;
mod rule;
mod status;

use super::verdict::{Handed, Verdict};
use super::{Kind, Operation as Op, Rung};
use fold::{Folded, ends};
pub(super) use fold::{LOOKED_AT_BYTES, head};
use rule::{Match, Rule, first};

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Code in the page threw it: whatever its stack looks like, it is no
    /// caller's wrong argument, and no guess may reject a message for it.
    Page,
    /// A log, a standard error, another program.
    Anywhere,
}

/// What a text means. Without an operation, the text's own words are asked
/// for one, but what they suggest never makes a resend safe.
pub(super) fn read(text: &str, operation: Option<Op>) -> Verdict {
    let heard = Heard::new(text, operation);
    heard
        .recognised(Origin::Anywhere)
        .map_or_else(|| unknown(heard.operation), |found| found.verdict)
}

/// The same for somebody who asks what it means: where no rule knows, a guess,
/// and whether it is one.
pub(super) fn read_or_guess(text: &str, operation: Option<Op>) -> (Verdict, bool) {
    let heard = Heard::new(text, operation);
    if let Some(found) = heard.recognised(Origin::Anywhere) {
        return (found.verdict, false);
    }
    heard
        .guessed()
        .map_or_else(|| (unknown(heard.operation), false), |guess| (guess, true))
}

/// What an exception from the page means.
pub(super) fn read_exception(text: &str, operation: Op) -> Verdict {
    let heard = Heard::new(text, Some(operation));
    heard
        .recognised(Origin::Page)
        .map_or_else(|| unknown(heard.operation), |found| found.verdict)
}

/// The tables that know causes. Names are read by these before an envelope
/// around them is.
fn causes() -> impl Iterator<Item = &'static [Rule]> {
    [host::RULES, profile::RULES, account::RULES]
        .into_iter()
        .chain(message::TABLES.iter().copied())
        .chain([browser::RULES, devtools::RULES, network::RULES])
}

/// The tables that know only what a text is like.
fn likely() -> impl Iterator<Item = &'static [Rule]> {
    [gateway::ENVELOPES, general::NO_START, general::RULES].into_iter()
}

/// A text, made ready for the rules.
struct Heard {
    said: String,
    text: Folded,
    operation: Option<Op>,
}

impl Heard {
    fn new(text: &str, operation: Option<Op>) -> Self {
        let said = audible(&ends(text));
        let text = Folded::new(&said);
        let operation = operation.or_else(|| suggested(&text));
        Self {
            said,
            text,
            operation,
        }
    }

    /// The first rule that fits.
    fn recognised(&self, origin: Origin) -> Option<Match> {
        let (text, operation) = (&self.text, self.operation);
        let table = |rules| first(rules, text, operation);
        let anywhere = |found: Option<Match>| found.filter(|_| origin == Origin::Anywhere);
        let found = own_words::sent_by_its_own_result(text, operation)
            .or_else(|| table(message::AFTER))
            .or_else(|| table(gateway::SESSIONS))
            .or_else(|| table(gateway::TELLING))
            .or_else(|| table(gateway::COMING_UP))
            .or_else(|| anywhere(table(gateway::BESIDE)))
            .or_else(|| table(host::RULES))
            .or_else(|| table(profile::RULES))
            .or_else(|| exited::read(text, operation))
            .or_else(|| own_words::named(text, operation))
            .or_else(|| status::read(text, operation))
            .or_else(|| table(account::RULES))
            .or_else(|| table(network::WITHOUT_A_BROWSER))
            .or_else(|| page::read(text, operation, origin))
            .or_else(|| message::TABLES.iter().copied().find_map(table))
            .or_else(|| anywhere(self.why_it_did_not_start()))
            .or_else(|| table(browser::RULES))
            .or_else(|| table(devtools::RULES))
            .or_else(|| table(network::RULES))
            .or_else(|| anywhere(self.by_names(causes())))
            .or_else(|| gateway::only_a_shortened_name(text).then(|| saying_nothing(operation)))
            .or_else(|| anywhere(table(gateway::ENVELOPES)))
            .or_else(|| page::nameless(text, operation))
            .or_else(|| says_nothing(text).then(|| saying_nothing(operation)))
            .or_else(|| anywhere(table(foreign::RULES)))
            .or_else(|| anywhere(table(general::RULES)))
            .or_else(|| anywhere(self.by_names(likely())))?;
        let verdict = match operation {
            Some(Op::Listen) => doubt::of_an_event(found.verdict),
            // A start speaks to the browser alone: what did not answer is it.
            Some(Op::Launch) if found.verdict.kind == Kind::NetworkDown => {
                Verdict::of(Kind::BrowserGone)
            }
            _ => found.verdict,
        };
        Some(Match {
            verdict: doubt::weighed(verdict, text),
            ..found
        })
    }

    /// Why a browser did not start, under whatever its launcher says of that.
    /// The switches of a command line name what was asked for, not what failed.
    fn why_it_did_not_start(&self) -> Option<Match> {
        let words: Vec<&str> = (self.text.as_str().split(' '))
            .filter(|word| !word.starts_with("--"))
            .collect();
        let text = Folded::new(&words.join(" "));
        first(general::NO_START, &text, self.operation)
    }

    /// Programs also speak in names: `phoneNotConnected`, `MEDIA_TOO_LARGE`.
    /// Taken apart they are words like any others. After all that is said in
    /// words, and for nothing sure: the names in a stack are of what works.
    fn by_names(&self, mut tables: impl Iterator<Item = &'static [Rule]>) -> Option<Match> {
        /// A name that says something stands early; a log is full of others.
        const NAMES_WITHIN_BYTES: usize = 2 * 1024;
        let lines: Vec<String> = head(&self.said, NAMES_WITHIN_BYTES)
            .lines()
            .filter(|line| !line.trim_start().starts_with("at "))
            .map(apart)
            .collect();
        let text = Folded::new(&lines.join("\n"));
        let found = tables.find_map(|rules| first(rules, &text, self.operation))?;
        Some(Match {
            verdict: doubt::unsure(found.verdict),
            ..found
        })
    }

    /// What the text is like; failing that, what was being done leaves few
    /// ways to fail.
    fn guessed(&self) -> Option<Verdict> {
        let kind = likeness::guess(&self.said, self.operation).or_else(|| {
            let something = !self.text.as_str().is_empty();
            match self.operation? {
                Op::Launch => something.then_some(Kind::BrowserGone),
                Op::Navigate => something.then_some(Kind::NetworkDown),
                _ => None,
            }
        })?;
        let kind = match self.operation {
            Some(Op::Launch) if of_what_had_started(kind) => Kind::BrowserGone,
            _ => kind,
        };
        let verdict = doubt::unsure(Verdict::of(kind));
        let starting = matches!(self.operation, Some(Op::Launch) | None);
        (starting || !of_a_start(kind)).then(|| doubt::weighed(verdict, &self.text))
    }
}

/// Kinds of which no start can fail: there is no page yet, no link, no message.
const fn of_what_had_started(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::TransientContext
            | Kind::PageGone
            | Kind::PageHung
            | Kind::NavigationTimeout
            | Kind::WaIncompatible
            | Kind::AuthRequired
            | Kind::AuthFailed
            | Kind::Conflict
            | Kind::BannedOrRestricted
            | Kind::RecipientInvalid
            | Kind::MediaInvalid
            | Kind::RateLimited
            | Kind::PermanentRequestError
    )
}

/// Kinds of which only a start can fail.
const fn of_a_start(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::LaunchFailedMissingBrowser
            | Kind::LaunchFailedMissingLibs
            | Kind::LaunchFailedSandbox
    )
}

/// `aNameLikeThis` and `a_name_like_this` as words.
fn apart(line: &str) -> String {
    let mut words = String::with_capacity(line.len() + line.len() / 4);
    let mut small_before = false;
    for c in line.chars() {
        if c == '_' {
            words.push(' ');
        } else {
            if c.is_uppercase() && small_before {
                words.push(' ');
            }
            words.push(c);
        }
        small_before = c.is_lowercase();
    }
    words
}

/// Drops the lines that Chromium writes on machines where all is well, unless
/// there are no others.
fn audible(text: &str) -> String {
    const NOISE: &[&str] = &[
        "bus.cc",
        "the bus",
        "object_proxy.cc",
        "gcm",
        "registration_request.cc",
        "vaapi",
        "viz_main_impl",
        "gl_display",
        "gl_factory",
        "gpu_memory_buffer",
        "angle_platform",
        "vulkan",
        "udev",
        "fontconfig",
        "devtools listening on",
        "permissions-policy",
        "troubleshooting:",
        "device_event_log",
        "ssl_client_socket_impl",
        "policy_logger",
    ];
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            !NOISE.iter().any(|noise| line.contains(noise))
        })
        .collect();
    if kept.iter().all(|line| line.trim().is_empty()) {
        text.to_owned()
    } else {
        kept.join("\n")
    }
}

/// The operation that a text's own words point to.
fn suggested(text: &Folded) -> Option<Op> {
    const SIGNS: &[(Op, &[&str])] = &[
        (
            Op::Launch,
            &[
                "failed to launch",
                "launch the browser",
                "browsertype.launch",
                "puppeteer.launch",
                "spawn ",
            ],
        ),
        (Op::Navigate, &["navigat", "page.goto", " at http"]),
        (
            Op::SendMedia,
            &[
                "sendimage",
                "sendfile",
                "sendmedia",
                "sendvideo",
                "sendvoice",
            ],
        ),
        (
            Op::Send,
            &["sendmessage", "sendtext", "send message", "sending message"],
        ),
    ];
    SIGNS
        .iter()
        .find(|(_, signs)| signs.iter().any(|x| text.says(x)))
        .map(|(op, _)| *op)
}

/// Words by which a program says that it does not know either.
fn says_nothing(text: &Folded) -> bool {
    text.says(
        "unknow error|unknown error|unexpected error|something went wrong|error: undefined|internal error|message: {}|error: {}|message: undefined|: [object object]",
    )
}

fn saying_nothing(operation: Option<Op>) -> Match {
    Match {
        concept: "words that say nothing",
        verdict: unknown(operation),
    }
}

fn unknown(operation: Option<Op>) -> Verdict {
    let rung = match operation {
        Some(Op::Launch | Op::Auth | Op::Navigate) => Rung::RestartBrowser,
        _ => Rung::Retry,
    };
    Verdict::of(Kind::Unknown)
        .rung(rung)
        .handed(Handed::Everything)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_in_the_form_that_texts_are_folded_to() {
        let tables = [
            message::AFTER,
            gateway::SESSIONS,
            gateway::TELLING,
            gateway::COMING_UP,
            gateway::BESIDE,
            gateway::ENVELOPES,
            host::RULES,
            profile::RULES,
            account::RULES,
            browser::RULES,
            devtools::RULES,
            network::WITHOUT_A_BROWSER,
            network::RULES,
            foreign::RULES,
            general::NO_START,
            general::RULES,
        ];
        let tables = tables.into_iter().chain(message::TABLES.iter().copied());
        for pattern in tables.flatten().flat_map(rule::Rule::patterns) {
            assert_eq!(pattern, pattern.to_ascii_lowercase());
            for part in pattern.split(" + ").flat_map(|part| part.split('|')) {
                let part = part.strip_prefix('=').unwrap_or(part);
                assert!(
                    !part.is_empty() && Folded::new(part).says(part),
                    "{pattern}"
                );
            }
        }
    }

    #[test]
    fn the_cause_is_heard_before_its_consequence() {
        for (text, concept) in [
            (
                "No usable sandbox!\nTrace/breakpoint trap (core dumped)",
                "the sandbox cannot start",
            ),
            ("page closed\nbrowserClose", "the browser ended"),
            (
                "ENOSPC while writing leveldb/LOCK",
                "the disk or the quota is full",
            ),
        ] {
            let found = Heard::new(text, Some(Op::Listen)).recognised(Origin::Anywhere);
            assert_eq!(found.map(|found| found.concept), Some(concept), "{text}");
        }
    }
}
