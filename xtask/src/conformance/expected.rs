//! What is known to be wrong with the clients, and what they say then. Each
//! entry pins one step: it must fail, and in these words.

use super::client::{Outcome, Ran, Step};

/// A bug of a client.
pub(super) struct Known {
    client: &'static str,
    /// The versions that have it.
    versions: &'static [&'static str],
    step: &'static str,
    /// Stands in what the step says when it fails.
    says: &'static str,
    /// For people: what is wrong, and whose fault it is.
    pub(super) why: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        client: "whatsapp-web.js",
        versions: &["1.34.7"],
        step: "quick_sync",
        says: "the event ready",
        why: "it is ready only by the event of the sync's end; a page that has synced before it listens is never ready for it",
    },
    Known {
        client: "whatsapp-web.js",
        versions: &["1.34.7"],
        step: "renamed_key",
        says: "sendMessage said undefined",
        why: "it finds the sent message again by `_serialized`, which WhatsApp Web renamed in July 2026; the message goes out, the caller is told undefined",
    },
    Known {
        client: "whatsapp-web.js",
        versions: &["1.34.7"],
        step: "page_closed",
        says: "the event disconnected",
        why: "it does not watch its page: no event tells that it is gone",
    },
];

/// What a step's end means.
pub(super) enum Verdict {
    Fine,
    /// It failed as it is known to.
    Known(&'static Known),
    Unexpected(String),
}

/// The name of the package, without the suffix of its second copy in peers/.
fn package(name: &str) -> &str {
    name.strip_suffix("-newest").unwrap_or(name)
}

/// Judges one step.
pub(super) fn judge(ran: &Ran, step: &Step) -> Verdict {
    let known = KNOWN.iter().find(|known| {
        known.client == package(&ran.name)
            && known.versions.contains(&ran.version.as_str())
            && known.step == step.name
    });
    let reason = step.reason.clone().unwrap_or_default();
    match (step.result, known) {
        (Outcome::Passed, None) => Verdict::Fine,
        (Outcome::Failed, Some(known)) if reason.contains(known.says) => Verdict::Known(known),
        (Outcome::Passed, Some(known)) => Verdict::Unexpected(format!(
            "it passed, though {} is known to fail it: {}",
            ran.version, known.why
        )),
        (Outcome::Failed, Some(_)) => {
            Verdict::Unexpected(format!("it failed otherwise than it is known to: {reason}"))
        }
        (Outcome::Failed, None) => Verdict::Unexpected(reason),
        (Outcome::NotReached, _) => Verdict::Unexpected(format!("not reached: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(name: &str) -> Ran {
        Ran {
            name: name.to_owned(),
            version: "1.34.7".to_owned(),
            skipped: None,
            steps: Vec::new(),
            broken: None,
        }
    }

    fn step(name: &str, result: Outcome, reason: &str) -> Step {
        Step {
            name: name.to_owned(),
            result,
            reason: Some(reason.to_owned()),
            ms: 1,
        }
    }

    #[test]
    fn only_what_is_pinned_may_fail_and_what_is_pinned_must() {
        let wweb = ran("whatsapp-web.js-newest");
        let late = "the event ready: nothing within 10000 ms";
        let known = step("quick_sync", Outcome::Failed, late);
        assert!(matches!(judge(&wweb, &known), Verdict::Known(_)));
        let fine = step("text", Outcome::Passed, "");
        assert!(matches!(judge(&wweb, &fine), Verdict::Fine));
        for (ran, step) in [
            (&wweb, step("quick_sync", Outcome::Passed, "")),
            (&wweb, step("quick_sync", Outcome::Failed, "no browser")),
            (&wweb, step("text", Outcome::Failed, "no ack")),
            (&wweb, step("text", Outcome::NotReached, "needs link")),
            (&ran("@wppconnect/wa-js"), known),
        ] {
            assert!(matches!(judge(ran, &step), Verdict::Unexpected(_)));
        }
    }
}
