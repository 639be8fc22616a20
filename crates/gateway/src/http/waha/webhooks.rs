//! The webhooks of a session's configuration, kept as endpoints like any other:
//! with retries, order, dead letters and attempts to look at under `/v1/webhooks`.

use super::super::HttpState;
use super::super::problem::Problem;
use super::envelope::{Kept, NAMES, NEVER_TOLD, WAHA};
use super::nullable;
use crate::outgoing::Target;
use crate::webhooks::NewWebhook;
use serde::{Deserialize, Serialize};
use steadfast_core::ids::SessionId;
use steadfast_core::port::{RetryPolicy, SecretText, WebhookRecord, WebhookState};
use utoipa::ToSchema;

/// What stands in an answer in the place of a secret. Given back, the secret stays.
const HIDDEN: &str = "***";
/// How many webhooks one session may have.
const MAX_WEBHOOKS: usize = 10;
/// WAHA's own, where a policy is given without them.
const DELAY_SECONDS: f64 = 2.0;
const ATTEMPTS: f64 = 15.0;
/// By how many hundredths a pause may be longer.
const JITTER_PERCENT: u32 = 10;

/// What signs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct WahaHmac {
    /// Any text. `***` keeps the one that is there.
    key: Option<String>,
}

/// When failed deliveries are tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaRetries {
    /// constant, linear or exponential.
    policy: Option<String>,
    /// 2 where left out.
    delay_seconds: Option<f64>,
    /// 15 where left out.
    attempts: Option<f64>,
}

/// A header that goes with every request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct WahaHeader {
    name: String,
    /// `***` keeps the one that is there.
    value: String,
}

/// A webhook of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaWebhook {
    url: String,
    /// WAHA's names of events; `*` for all that are told here.
    events: Vec<String>,
    hmac: Option<WahaHmac>,
    retries: Option<WahaRetries>,
    #[serde(default, deserialize_with = "nullable")]
    custom_headers: Vec<WahaHeader>,
}

/// One endpoint as it is to be.
struct Wanted {
    url: String,
    kept: Kept,
    headers: Vec<(String, SecretText)>,
    retry: Option<RetryPolicy>,
}

impl WahaWebhook {
    /// Without what is secret.
    pub(super) fn hidden(mut self) -> Self {
        if let Some(hmac) = &mut self.hmac
            && hmac.key.is_some()
        {
            hmac.key = Some(HIDDEN.to_owned());
        }
        for header in &mut self.custom_headers {
            HIDDEN.clone_into(&mut header.value);
        }
        self
    }

    /// The names of the events that it wants, each once, of those that are told here.
    fn names(&self) -> Result<Vec<&'static str>, Problem> {
        let mut names = Vec::new();
        for wanted in &self.events {
            let found: Vec<&'static str> = NAMES
                .iter()
                .map(|(name, _)| *name)
                .filter(|name| wanted == "*" || name == wanted)
                .collect();
            if found.is_empty() && !NEVER_TOLD.contains(&wanted.as_str()) {
                let wanted: String = wanted.chars().take(64).collect();
                let what = format!("{wanted:?} is no event of WAHA");
                return Err(Problem::field("config.webhooks.events", what));
            }
            for name in found {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    fn retry(&self) -> Result<Option<RetryPolicy>, Problem> {
        let Some(retries) = &self.retries else {
            return Ok(None);
        };
        let wrong = |what: &str| Problem::field("config.webhooks.retries", what);
        let attempts = retries.attempts.unwrap_or(ATTEMPTS);
        if !(1.0..=50.0).contains(&attempts) {
            return Err(wrong("attempts is 1 to 50"));
        }
        let delay = retries.delay_seconds.unwrap_or(DELAY_SECONDS);
        if !(0.0..=86_400.0).contains(&delay) {
            return Err(wrong("delaySeconds is 0 to 86400"));
        }
        let factor: fn(i32) -> f64 = match retries.policy.as_deref() {
            None | Some("linear") => f64::from,
            Some("constant") => |_| 1.0,
            Some("exponential") => |n| 2_f64.powi(n - 1),
            Some(_) => return Err(wrong("policy is constant, linear or exponential")),
        };
        // The first attempt is made at once; a pause is at most a week.
        let pause = |n: i32| match n {
            0 => 0,
            n => ((delay * factor(n)).min(604_800.0) * 1_000.0) as u64,
        };
        Ok(Some(RetryPolicy {
            delays_ms: (0..attempts as i32).map(pause).collect(),
            jitter_percent: JITTER_PERCENT,
        }))
    }

    /// The endpoints that it takes: names that are made of the same events of
    /// ours go to different ones. `before` is what is there for this URL.
    fn wanted(&self, before: Option<&WebhookRecord>) -> Result<Vec<Wanted>, Problem> {
        let key = match self.hmac.as_ref().and_then(|hmac| hmac.key.as_deref()) {
            Some(HIDDEN) => before.and_then(Kept::of).and_then(|kept| kept.key),
            Some(key) => Some(SecretText(key.to_owned())),
            None => None,
        };
        let mut headers = Vec::new();
        for header in &self.custom_headers {
            let old = before.and_then(|record| {
                let mut all = record.headers.iter();
                all.find(|(name, _)| *name == header.name)
            });
    /// As somebody sees it who may not change it: most of a webhook's URL is
    /// as good as a password.
    pub(super) fn for_reader(mut self) -> Self {
        let origin = Target::parse(&self.url).map(|target| target.origin());
        self.url = origin.map_or_else(|_| HIDDEN.to_owned(), |origin| format!("{origin}/{HIDDEN}"));
        self
    }

            let value = match (header.value.as_str(), old) {
                (HIDDEN, Some((_, value))) => value.clone(),
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
        Ok(apart(self.names()?).into_iter().map(one).collect())
    }
}

/// Lays names out so that no two of one group can be made of the same event.
fn apart(names: Vec<&'static str>) -> Vec<Vec<&'static str>> {
    // What befalls a group has one name each, though all are of one kind.
    let layer = |name: &str| match name {
        "message.any" => 1,
        "state.change" => 2,
        _ => 0,
    };
    let mut layers = vec![Vec::new(); 3];
    for name in names {
        layers[layer(name)].push(name);
    }
    layers.retain(|layer| !layer.is_empty());
    layers
}

/// What each name is made of.
fn patterns(names: &[String]) -> Vec<String> {
    let mut patterns = Vec::new();
    for (name, kinds) in NAMES {
        if names.iter().any(|wanted| wanted == name) {
            for kind in *kinds {
                if !patterns.iter().any(|known| known == kind) {
                    patterns.push((*kind).to_owned());
                }
            }
        }
    }
    patterns
}

/// What is wrong with them, where something is.
pub(super) fn check(webhooks: &[WahaWebhook]) -> Result<(), Problem> {
    if webhooks.len() > MAX_WEBHOOKS {
        let what = format!("give at most {MAX_WEBHOOKS}");
        return Err(Problem::field("config.webhooks", what));
    }
    for webhook in webhooks {
        webhook.wanted(None)?;
    }
    Ok(())
}

async fn endpoints(state: &HttpState, session: &SessionId) -> Result<Vec<WebhookRecord>, Problem> {
    let all = state.app.webhooks.list().await?;
    let records = all.into_iter().map(|(stored, _)| stored.record);
    let ours =
        records.filter(|record| record.owner == WAHA && record.sessions == [session.clone()]);
    Ok(ours.collect())
}

/// Makes the session's endpoints what its configuration says. What stays as it
/// is keeps what it is owed.
pub(super) async fn keep(
    state: &HttpState,
    session: &SessionId,
    webhooks: &[WahaWebhook],
) -> Result<(), Problem> {
    let mut before = endpoints(state, session).await?;
    let mut wanted = Vec::new();
    for webhook in webhooks {
        let old = before.iter().find(|record| record.url == webhook.url);
        wanted.extend(webhook.wanted(old)?);
    }
    for one in wanted {
        let same = before.iter().position(|record| {
            record.url == one.url
                && record.retry == one.retry
                && Kept::of(record).as_ref() == Some(&one.kept)
        });
        match same {
            Some(place) => {
                let record = before.swap_remove(place);
                if record.headers != one.headers {
                    let change = Change {
                        headers: Some(one.headers),
                        ..Change::default()
                    };
                    state.app.webhooks.change(&record.id, change).await?;
                }
            }
            None => add(state, session, one).await?,
        }
    }
    for record in before {
        state.app.webhooks.remove(&record.id).await?;
    }
    Ok(())
}

async fn add(state: &HttpState, session: &SessionId, wanted: Wanted) -> Result<(), Problem> {
    let new = NewWebhook {
        owner: WAHA.to_owned(),
        url: wanted.url,
        events: patterns(&wanted.kept.names),
        sessions: vec![session.clone()],
        headers: wanted.headers,
        ordered: false,
        state: WebhookState::Active,
        secret: Some(wanted.kept.text()),
        envelope: WAHA.to_owned(),
        retry: wanted.retry,
    };
    state.app.webhooks.add(new).await?;
    Ok(())
}

/// Forgets the session's endpoints.
pub(super) async fn forget(state: &HttpState, session: &SessionId) -> Result<(), Problem> {
    keep(state, session, &[]).await
}

#[cfg(test)]
mod tests {
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
    fn retries_become_pauses() {
        let pauses = |retries: serde_json::Value| {
            let all = webhook(json!({"url": "x", "events": [], "retries": retries}));
            all.retry().unwrap().unwrap().delays_ms
        };
        let of = |policy: &str| json!({"policy": policy, "delaySeconds": 2, "attempts": 4});
        assert_eq!(pauses(of("constant")), [0, 2_000, 2_000, 2_000]);
        assert_eq!(pauses(of("linear")), [0, 2_000, 4_000, 6_000]);
        assert_eq!(pauses(of("exponential")), [0, 2_000, 4_000, 8_000]);
        assert_eq!(pauses(json!({})).len(), 15);
        for wrong in [
            json!({"attempts": 0}),
            json!({"policy": "never"}),
            json!({"delaySeconds": -1}),
        ] {
            let all = webhook(json!({"url": "x", "events": [], "retries": wrong}));
            assert!(all.retry().is_err());
        }
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
        let again = shown.wanted(Some(&record)).unwrap().remove(0);
        assert!(again.kept == first.kept && again.headers == first.headers);
    }
}
