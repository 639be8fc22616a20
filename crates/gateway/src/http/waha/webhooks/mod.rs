//! The webhooks of a session's configuration, kept as endpoints like any other:
//! with retries, order, dead letters and attempts to look at under `/v1/webhooks`.
//! [`plan`] says what a new configuration makes of those that are there.

mod plan;

use super::super::HttpState;
use super::super::problem::Problem;
use super::envelope::{NAMES, NEVER_TOLD, WAHA};
use super::nullable;
use crate::outgoing::Target;
use crate::webhooks::NewWebhook;
use plan::{Wanted, plan};
use serde::{Deserialize, Serialize};
use steadfast_core::ids::SessionId;
use steadfast_core::port::{RetryPolicy, WebhookRecord, WebhookState};
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

impl WahaWebhook {
    /// As somebody sees it who may not change it: most of a webhook's URL is
    /// as good as a password.
    pub(super) fn for_reader(mut self) -> Self {
        let origin = Target::parse(&self.url).map(|target| target.origin());
        self.url = origin.map_or_else(|_| HIDDEN.to_owned(), |origin| format!("{origin}/{HIDDEN}"));
        self
    }

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
        webhook.names()?;
        webhook.retry()?;
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

/// Makes the session's endpoints what its configuration says. What is changed,
/// and what stays as it is, keeps what it is owed.
pub(super) async fn keep(
    state: &HttpState,
    session: &SessionId,
    webhooks: &[WahaWebhook],
) -> Result<(), Problem> {
    let plan = plan(webhooks, endpoints(state, session).await?)?;
    for (record, wanted) in plan.alter {
        let endpoints = &state.app.webhooks;
        endpoints.alter(&record.id, |now| wanted.over(now)).await?;
    }
    for wanted in plan.add {
        add(state, session, wanted).await?;
    }
    for record in plan.remove {
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
pub(in crate::http) async fn forget(state: &HttpState, session: &SessionId) -> Result<(), Problem> {
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
}
