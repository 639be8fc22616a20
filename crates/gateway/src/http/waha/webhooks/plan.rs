//! What a session's configuration makes of the endpoints that are there: which
//! webhook was which until now, and what is to be added, changed and removed.
//! A secret that is shown as [`HIDDEN`] is found again in what was.

use super::super::super::problem::Problem;
use super::super::envelope::Kept;
use super::{HIDDEN, WahaWebhook, patterns};
use steadfast_core::port::{RetryPolicy, SecretText, WebhookRecord, WebhookState};

/// One endpoint as it is to be.
pub(super) struct Wanted {
    pub(super) url: String,
    pub(super) kept: Kept,
    pub(super) headers: Vec<(String, SecretText)>,
    pub(super) retry: Option<RetryPolicy>,
}

impl Wanted {
    fn is(&self, record: &WebhookRecord) -> bool {
        record.url == self.url
            && record.retry == self.retry
            && record.headers == self.headers
            && Kept::of(record).as_ref() == Some(&self.kept)
    }

    /// The endpoint with all that is wanted of it, and what it was owed.
    pub(super) fn over(self, record: WebhookRecord) -> WebhookRecord {
        WebhookRecord {
            url: self.url,
            events: patterns(&self.kept.names),
            secret: Some(self.kept.text()),
            headers: self.headers,
            retry: self.retry,
            state: match record.state {
                // Who changes it means it to work.
                WebhookState::Disabled { .. } => WebhookState::Active,
                state @ (WebhookState::Active | WebhookState::Paused) => state,
            },
            ..record
        }
    }
}

/// A webhook as it was: the endpoints that one item of a configuration took.
struct Before {
    url: String,
    key: Option<SecretText>,
    headers: Vec<(String, SecretText)>,
    layers: Vec<(usize, WebhookRecord)>,
}

impl Before {
    /// The endpoints of a session, put together again.
    fn of(records: Vec<WebhookRecord>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for record in records {
            let kept = Kept::of(&record);
            let layer = kept.as_ref().map_or(0, Kept::layer);
            let key = kept.and_then(|kept| kept.key);
            let same = all.iter_mut().find(|before| {
                before.url == record.url
                    && before.key == key
                    && before.headers == record.headers
                    && before.layers[0].1.retry == record.retry
                    && before.layers.iter().all(|(known, _)| *known != layer)
            });
            match same {
                Some(before) => before.layers.push((layer, record)),
                None => all.push(Self {
                    url: record.url.clone(),
                    key,
                    headers: record.headers.clone(),
                    layers: vec![(layer, record)],
                }),
            }
        }
        all
    }

    /// WAHA's names of the events that it wanted, layer by layer.
    fn names(&self) -> Vec<(usize, Vec<String>)> {
        let one = |(layer, record): &(usize, WebhookRecord)| {
            (*layer, Kept::of(record).map_or_else(Vec::new, |k| k.names))
        };
        let mut names: Vec<_> = self.layers.iter().map(one).collect();
        names.sort();
        names
    }
}

impl Kept {
    /// Names of one layer stand at one endpoint: see [`apart`].
    fn layer(&self) -> usize {
        self.names.first().map_or(0, |name| layer(name))
    }
}

impl WahaWebhook {
    /// The names of the events that it wants, layer by layer.
    fn told_of(&self) -> Vec<(usize, Vec<String>)> {
        let layers = apart(self.names().unwrap_or_default()).into_iter();
        let one = |names: Vec<&'static str>| {
            let of = names.first().map_or(0, |name| layer(name));
            (of, names.into_iter().map(str::to_owned).collect())
        };
        layers.map(one).collect()
    }

    /// Whether something stands as [`HIDDEN`] in it.
    fn hides(&self) -> bool {
        let key = self.hmac.as_ref().and_then(|hmac| hmac.key.as_deref());
        key == Some(HIDDEN) || self.custom_headers.iter().any(|h| h.value == HIDDEN)
    }

    /// Whether what it hides is there in `before`, and what it says is the same.
    fn fits(&self, before: &Before) -> bool {
        let key = self.hmac.as_ref().and_then(|hmac| hmac.key.as_deref());
        let same_key = match (key, &before.key) {
            (Some(HIDDEN), Some(_)) | (None, None) => true,
            (Some(key), Some(old)) => key == old.0,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_key
            && self.custom_headers.iter().all(|header| {
                let mut old = before.headers.iter();
                let old = old.find(|(name, _)| *name == header.name);
                header.value != HIDDEN || old.is_some()
            })
    }

    /// The endpoints that it takes: names that are made of the same events of
    /// ours go to different ones. `before` is what it was until now.
    fn wanted(&self, before: Option<&Before>) -> Result<Vec<Wanted>, Problem> {
        let names = self.names()?;
        if names.is_empty() {
            // Nothing is kept of it, also no secret.
            return Ok(Vec::new());
        }
        let nothing = |name: &str| {
            let what = format!("{HIDDEN} stands for nothing here; give the value itself");
            Problem::field(name, what)
        };
        let key = match self.hmac.as_ref().and_then(|hmac| hmac.key.as_deref()) {
            Some(HIDDEN) => {
                let key = before.and_then(|before| before.key.clone());
                Some(key.ok_or_else(|| nothing("config.webhooks.hmac.key"))?)
            }
            Some(key) => Some(SecretText(key.to_owned())),
            None => None,
        };
        let mut headers = Vec::new();
        for header in &self.custom_headers {
            let old = before.and_then(|before| {
                let mut all = before.headers.iter();
                all.find(|(name, _)| *name == header.name)
            });
            let value = match (header.value.as_str(), old) {
                (HIDDEN, Some((_, value))) => value.clone(),
                (HIDDEN, None) => return Err(nothing("config.webhooks.customHeaders")),
                (value, _) => SecretText(value.to_owned()),
            };
            headers.push((header.name.clone(), value));
        }
        let retry = self.retry()?;
        let one = |names: Vec<&'static str>| Wanted {
            url: self.url.clone(),
            kept: Kept {
                key: key.clone(),
                names: names.into_iter().map(str::to_owned).collect(),
            },
            headers: headers.clone(),
            retry: retry.clone(),
        };
        Ok(apart(names).into_iter().map(one).collect())
    }
}

/// Lays names out so that no two of one group can be made of the same event.
fn apart(names: Vec<&'static str>) -> Vec<Vec<&'static str>> {
    let mut layers = vec![Vec::new(); 3];
    for name in names {
        layers[layer(name)].push(name);
    }
    layers.retain(|layer| !layer.is_empty());
    layers
}

fn layer(name: &str) -> usize {
    // What befalls a group has one name each, though all are of one kind.
    match name {
        "message.any" => 1,
        "state.change" => 2,
        _ => 0,
    }
}

/// For each webhook what it was until now, by its place in `before`: the one of
/// its URL, and of its events where there are several. Where one webhook alone
/// is new and one alone is gone, its URL was changed.
fn pairs(webhooks: &[WahaWebhook], before: &[Before]) -> Result<Vec<Option<usize>>, Problem> {
    type Suits = fn(&WahaWebhook, &Before) -> bool;
    let in_turn: [Suits; 3] = [
        |new, old| new.fits(old) && new.told_of() == old.names(),
        WahaWebhook::fits,
        |_, _| true,
    ];
    let mut found: Vec<Option<usize>> = vec![None; webhooks.len()];
    for suits in in_turn {
        for (place, new) in webhooks.iter().enumerate() {
            if found[place].is_some() {
                continue;
            }
            let free = |at: &usize| !found.contains(&Some(*at));
            let old: Vec<usize> = (0..before.len())
                .filter(free)
                .filter(|at| before[*at].url == new.url && suits(new, &before[*at]))
                .collect();
            let secrets = |at: usize| (&before[at].key, &before[at].headers);
            let one = old.iter().all(|at| secrets(*at) == secrets(old[0]));
            if new.hides() && !one {
                let what = format!(
                    "{} has several webhooks with different secrets, and {HIDDEN} may stand for any; give the value itself",
                    new.url
                );
                return Err(Problem::field("config.webhooks", what));
            }
            found[place] = old.first().copied();
        }
    }
    let new: Vec<usize> = (0..found.len()).filter(|at| found[*at].is_none()).collect();
    let gone: Vec<usize> = (0..before.len())
        .filter(|at| !found.contains(&Some(*at)))
        .collect();
    if let ([new], [gone]) = (new.as_slice(), gone.as_slice()) {
        found[*new] = Some(*gone);
    }
    Ok(found)
}

/// What is to be done to the endpoints of a session.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) add: Vec<Wanted>,
    pub(super) alter: Vec<(WebhookRecord, Wanted)>,
    pub(super) remove: Vec<WebhookRecord>,
}

/// Compares, and changes nothing: what cannot be is said before anything is done.
pub(super) fn plan(webhooks: &[WahaWebhook], records: Vec<WebhookRecord>) -> Result<Plan, Problem> {
    let mut before = Before::of(records);
    let pairs = pairs(webhooks, &before)?;
    let mut plan = Plan::default();
    for (webhook, old) in webhooks.iter().zip(pairs) {
        for one in webhook.wanted(old.map(|at| &before[at]))? {
            let layers = old.map(|at| &mut before[at].layers);
            let there = layers.and_then(|layers| {
                let place = layers.iter().position(|(at, _)| *at == one.kept.layer())?;
                Some(layers.swap_remove(place).1)
            });
            match there {
                Some(record) if one.is(&record) => {}
                Some(record) => plan.alter.push((record, one)),
                None => plan.add.push(one),
            }
        }
    }
    let left = before.into_iter().flat_map(|before| before.layers);
    plan.remove = left.map(|(_, record)| record).collect();
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::super::super::envelope::{NAMES, WAHA};
    use super::*;
    use serde_json::json;

    fn webhook(value: serde_json::Value) -> WahaWebhook {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn names_of_the_same_events_stand_apart() {
        let all = webhook(json!({"url": "https://example.org/", "events": ["*"]}));
        let layers = all.wanted(None).unwrap();
        assert_eq!(layers.len(), 3);
        for layer in &layers {
            let mut kinds = Vec::new();
            for name in &layer.kept.names {
                let (_, of) = NAMES.iter().find(|(known, _)| known == name).unwrap();
                for kind in *of {
                    // Changes of a group are told apart by what changed.
                    assert!(!kinds.contains(kind) || *kind == "group.changed", "{kind}");
                    kinds.push(kind);
                }
            }
        }
        let odd = webhook(json!({"url": "x", "events": ["presence.update", "message"]}));
        assert_eq!(odd.wanted(None).unwrap()[0].kept.names, ["message"]);
        let wrong = webhook(json!({"url": "x", "events": ["messages"]}));
        assert!(wrong.wanted(None).is_err());
    }

    #[test]
    fn secrets_are_hidden_and_a_hidden_one_stays() {
        let given = webhook(json!({
            "url": "https://example.org/", "events": ["message"],
            "hmac": {"key": "k"}, "customHeaders": [{"name": "X-A", "value": "v"}],
        }));
        let shown = given.clone().hidden();
        assert!(!json!(shown).to_string().contains("\"k\""));
        let first = given.wanted(None).unwrap().remove(0);
        let record = WebhookRecord {
            id: steadfast_core::ids::WebhookId::mint(steadfast_core::time::UnixMs(1), [1; 10]),
            owner: WAHA.to_owned(),
            url: first.url.clone(),
            events: Vec::new(),
            sessions: Vec::new(),
            headers: first.headers.clone(),
            ordered: false,
            state: WebhookState::Active,
            secret: Some(first.kept.text()),
            old_secret: None,
            envelope: WAHA.to_owned(),
            retry: None,
            created_at: steadfast_core::time::UnixMs(1),
        };
        let before = Before::of(vec![record]).remove(0);
        let again = shown.wanted(Some(&before)).unwrap().remove(0);
        assert!(again.kept == first.kept && again.headers == first.headers);
    }

    fn records(webhooks: &[WahaWebhook]) -> Vec<WebhookRecord> {
        let wanted = webhooks.iter().flat_map(|w| w.wanted(None).unwrap());
        let one = |(n, wanted): (u8, Wanted)| {
            wanted.over(WebhookRecord {
                id: steadfast_core::ids::WebhookId::mint(steadfast_core::time::UnixMs(1), [n; 10]),
                owner: WAHA.to_owned(),
                url: String::new(),
                events: Vec::new(),
                sessions: Vec::new(),
                headers: Vec::new(),
                ordered: false,
                state: WebhookState::Active,
                secret: None,
                old_secret: None,
                envelope: WAHA.to_owned(),
                retry: None,
                created_at: steadfast_core::time::UnixMs(1),
            })
        };
        (1..).zip(wanted).map(one).collect()
    }

    fn signed(url: &str, key: &str, events: &serde_json::Value) -> WahaWebhook {
        webhook(json!({ "url": url, "events": events, "hmac": { "key": key } }))
    }

    /// What is added, changed and removed.
    fn counts(plan: &Plan) -> (usize, usize, usize) {
        (plan.add.len(), plan.alter.len(), plan.remove.len())
    }

    #[test]
    fn whatever_is_changed_of_a_webhook_it_stays_the_same_endpoint() {
        let first = signed("https://a/", "k", &json!(["message", "message.any"]));
        let before = || records(std::slice::from_ref(&first));
        let planned = |new: WahaWebhook| counts(&plan(&[new], before()).unwrap());
        assert_eq!(planned(first.clone()), (0, 0, 0));
        assert_eq!(planned(first.clone().hidden()), (0, 0, 0));
        let more = signed(
            "https://a/",
            "***",
            &json!(["message.ack", "message", "message.any"]),
        );
        assert_eq!(planned(more), (0, 1, 0));
        let key = signed("https://a/", "other", &json!(["message", "message.any"]));
        assert_eq!(planned(key), (0, 2, 0));
        let url = signed("https://b/", "***", &json!(["message", "message.any"]));
        assert_eq!(planned(url), (0, 2, 0));
        let fewer = signed("https://a/", "***", &json!(["message"]));
        assert_eq!(planned(fewer), (0, 0, 1));
        let retried = webhook(json!({ "url": "https://a/", "events": ["message"],
            "hmac": { "key": "***" }, "retries": { "policy": "constant" } }));
        assert_eq!(planned(retried), (0, 1, 1));
    }

    #[test]
    fn a_hidden_secret_that_stands_for_nothing_or_for_several_is_refused() {
        let of = |url: &str, key: &str| signed(url, key, &json!(["message"]));
        let refused = |new: &[WahaWebhook], before: &[WahaWebhook]| {
            let planned = plan(new, records(before));
            planned.err().map(|problem| problem.detail().to_owned())
        };
        assert!(refused(&[of("https://a/", "***")], &[]).is_some());
        let two = [of("https://a/", "1"), of("https://b/", "2")];
        let moved = [of("https://c/", "***"), of("https://d/", "***")];
        assert!(refused(&moved, &two).is_some());
        let unsigned = [webhook(
            json!({ "url": "https://a/", "events": ["message"] }),
        )];
        assert!(refused(&[of("https://a/", "***")], &unsigned).is_some());
        let same = [of("https://a/", "1"), of("https://a/", "2")];
        assert!(refused(&same.clone().map(WahaWebhook::hidden), &same).is_some());
        // What each wants tells them apart.
        let apart = [
            of("https://a/", "1"),
            signed("https://a/", "2", &json!(["message.ack"])),
        ];
        let given = apart.clone().map(WahaWebhook::hidden);
        let planned = plan(&given, records(&apart)).unwrap();
        assert_eq!(counts(&planned), (0, 0, 0));
        let header = webhook(json!({ "url": "https://a/", "events": ["message"],
            "customHeaders": [{ "name": "X-A", "value": "***" }] }));
        assert!(refused(&[header], &unsigned).is_some());
    }
}
