//! What must hold, whatever happened.

use crate::world::{ME, Truth};
use std::collections::BTreeMap;
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::outbox::{Message, Priority, Status};
use steadfast_core::pacing;
use steadfast_core::time::UnixMs;

/// What was promised: a message that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    pub(crate) chat: ChatId,
    pub(crate) id: WaMessageId,
    pub(crate) priority: Priority,
    pub(crate) scheduled: bool,
}

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Result<(), String>,
    pub(crate) accepted: u64,
    pub(crate) parked: u64,
    pub(crate) expired: u64,
    pub(crate) recycled: u64,
    pub(crate) canaries: u64,
    pub(crate) faults: u64,
    pub(crate) crashes: u64,
    pub(crate) refused: u64,
    pub(crate) looked_up: u64,
    pub(crate) repeats_dropped: u64,
    /// Messages as the recipients got them, without canaries.
    pub(crate) delivered: Vec<WaMessageId>,
    pub(crate) trace: Vec<String>,
}

/// The sum over many runs.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) accepted: u64,
    pub(crate) parked: u64,
    pub(crate) expired: u64,
    pub(crate) recycled: u64,
    pub(crate) canaries: u64,
    pub(crate) faults: u64,
    pub(crate) crashes: u64,
    pub(crate) refused: u64,
    pub(crate) looked_up: u64,
    pub(crate) repeats_dropped: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.accepted += outcome.accepted;
        self.parked += outcome.parked;
        self.expired += outcome.expired;
        self.recycled += outcome.recycled;
        self.canaries += outcome.canaries;
        self.faults += outcome.faults;
        self.crashes += outcome.crashes;
        self.refused += outcome.refused;
        self.looked_up += outcome.looked_up;
        self.repeats_dropped += outcome.repeats_dropped;
    }

    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            parked: self.parked + other.parked,
            expired: self.expired + other.expired,
            recycled: self.recycled + other.recycled,
            canaries: self.canaries + other.canaries,
            faults: self.faults + other.faults,
            crashes: self.crashes + other.crashes,
            refused: self.refused + other.refused,
            looked_up: self.looked_up + other.looked_up,
            repeats_dropped: self.repeats_dropped + other.repeats_dropped,
        }
    }
}

/// Holds the store's word against the truth.
pub(crate) fn judge(accepted: &[Promise], stored: &[Message], truth: &Truth) -> Result<(), String> {
    if stored.len() != accepted.len() {
        return Err(format!(
            "{} accepted, {} stored",
            accepted.len(),
            stored.len()
        ));
    }
    let mut copies: BTreeMap<&WaMessageId, u32> = BTreeMap::new();
    for (_, id) in &truth.delivered {
        *copies.entry(id).or_default() += 1;
    }
    if let Some((id, n)) = copies.iter().find(|(_, n)| **n > 1) {
        return Err(format!("{id} was delivered {n} times"));
    }
    for message in stored {
        let delivered = copies.contains_key(&message.wa_message_id);
        match message.status {
            Status::Sent | Status::Delivered | Status::Read | Status::Played if !delivered => {
                return Err(format!("{} counts as sent, and is lost", message.id));
            }
            // It ran out of time where nobody could say whether it had gone out.
            Status::Parked
                if message.expires_at.is_some()
                    && message.reason.as_deref() == Some("lookup_unavailable") => {}
            // Only what was in flight when a login was lost may wait for a person.
            Status::Parked
                if message.reason.as_deref() != Some("login_lost")
                    || truth.logins_lost == 0
                    || truth.parked_unduly.contains(&message.id) =>
            {
                return Err(format!(
                    "{} was parked ({:?}) although no login was lost under it",
                    message.id, message.reason
                ));
            }
            Status::Sent | Status::Delivered | Status::Read | Status::Played | Status::Parked => {}
            Status::Accepted | Status::Sending => {
                return Err(format!(
                    "{} did not settle: {:?}, {} attempts, {:?}",
                    message.id, message.status, message.attempts, message.detail
                ));
            }
            Status::Expired if delivered => {
                return Err(format!(
                    "{} counts as expired, and was delivered",
                    message.id
                ));
            }
            Status::Expired if message.expires_at.is_some() => {}
            Status::Rejected | Status::Expired | Status::Cancelled => {
                return Err(format!("{} ended as {:?}", message.id, message.status));
            }
        }
    }
    if let Some(id) = truth.sent_again.first() {
        return Err(format!("{id} was sent again under another login"));
    }
    if let Some(id) = truth.sent_late.first() {
        return Err(format!("{id} was handed over after its time"));
    }
    if let Some(id) = truth.sent_early.first() {
        return Err(format!("{id} was handed over before its time"));
    }
    in_order(accepted, &truth.delivered)
}

/// Each lane's messages arrived in the order of acceptance. One that was
/// scheduled goes when it is due: it may come after later ones of its lane.
fn in_order(accepted: &[Promise], delivered: &[(ChatId, WaMessageId)]) -> Result<(), String> {
    let place: BTreeMap<&WaMessageId, (usize, &Promise)> = accepted
        .iter()
        .enumerate()
        .map(|(i, promise)| (&promise.id, (i, promise)))
        .collect();
    let mut last: BTreeMap<(&ChatId, Priority), usize> = BTreeMap::new();
    // Canaries are nobody's messages.
    for (chat, id) in delivered.iter().filter(|(chat, _)| chat.user() != ME) {
        let Some(&(i, promise)) = place.get(id) else {
            return Err(format!("{id} was delivered, and nobody accepted it"));
        };
        if promise.chat != *chat {
            return Err(format!("{id} went to {chat}, and was for {}", promise.chat));
        }
        if promise.scheduled {
            continue;
        }
        let lane = (chat, promise.priority);
        if last.get(&lane).is_some_and(|&before| before > i) {
            return Err(format!("{id} came out of order in {chat}"));
        }
        last.insert(lane, i);
    }
    Ok(())
}

/// In no span did more messages begin than a burst and the rate allow, with
/// restarts of the gateway in it or not.
pub(crate) fn keeps_pace(begun: &[UnixMs], pacing: &pacing::Policy) -> Result<(), String> {
    if pacing.per_minute == 0 {
        return Ok(());
    }
    let interval = u64::from(60_000 / pacing.per_minute);
    for (i, first) in begun.iter().enumerate() {
        for (count, last) in (1_u64..).zip(&begun[i..]) {
            let most = u64::from(pacing.burst) + last.since(*first) / interval + 1;
            if count > most {
                return Err(format!("{count} messages began where {most} may"));
            }
        }
    }
    Ok(())
}
