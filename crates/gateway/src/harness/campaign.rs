//! Messages flow, faults strike, and in the end the books must balance.
//!
//! The messages are cut into as many parts as there are faults. Half of a
//! part is accepted, the fault strikes, and the other half comes while the
//! gateway heals: each fault finds messages in flight.

use super::HarnessError;
use super::fault::{FaultKind, Healed};
use super::gateway::LogEvent;
use super::report::{Report, Tally};
use super::stage::{PHONE, READY_WITHIN, Stage, StageOptions};
use super::traffic::{Accepted, Offer, accept};
use crate::app::DEFAULT_SESSION;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::backoff::Random;
use steadfast_sim::checker::{self, Fate, Verdict};
use tokio::sync::watch;

/// How a campaign is fought.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The gateway's binary.
    pub steadfast: PathBuf,
    /// The browser; found by itself where `None`.
    pub browser: Option<PathBuf>,
    /// How many messages.
    pub messages: u32,
    /// To how many chats.
    pub chats: u32,
    /// Which faults, in order.
    pub plan: Vec<FaultKind>,
    /// Repeats the run.
    pub seed: u64,
    /// Between two messages.
    pub pace: Duration,
    /// Where the gateway's log is kept, in full.
    pub log: Option<PathBuf>,
}

/// What is shown while it goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Simulator and gateway run; the phone scans.
    Linking,
    /// The session is ready for the first time.
    Ready,
    /// So many messages are on disk.
    Accepted(u32),
    /// A fault strikes.
    Struck(FaultKind),
    /// It was healed.
    Healed(FaultKind, Healed),
    /// It was not.
    NotHealed(FaultKind, &'a HarnessError),
    /// The gateway said something about a failure.
    Gateway(&'a LogEvent),
    /// Everything is accepted, and all faults are over.
    Settling,
}

/// How long everything may take to settle once the faults are over.
const SETTLES_WITHIN: Duration = Duration::from_mins(2);
/// How long a caller goes on offering a message while the gateway is down.
const PATIENCE: Duration = Duration::from_mins(1);

impl Campaign {
    /// A plan of so many faults: each kind once before any repeats, in an
    /// order that the seed decides.
    pub fn plan(kinds: &[FaultKind], faults: u32, seed: u64) -> Vec<FaultKind> {
        let mut random = Random::new(seed);
        let mut plan = Vec::new();
        while plan.len() < faults as usize && !kinds.is_empty() {
            let mut round = kinds.to_vec();
            for i in (1..round.len()).rev() {
                let j = usize::try_from(random.up_to(i as u64)).unwrap_or_default();
                round.swap(i, j);
            }
            plan.extend(round);
        }
        plan.truncate(faults as usize);
        plan
    }

    /// Fights it. `show` is told of everything as it happens.
    ///
    /// # Errors
    /// Where the run itself could not be carried out; a gateway that fails
    /// shows in the report.
    pub async fn fight(
        self,
        show: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<(Report, Verdict), HarnessError> {
        let stage = Stage::set(StageOptions {
            steadfast: self.steadfast.clone(),
            browser: self.browser.clone(),
            seed: self.seed,
            log: self.log.clone(),
            env: vec![(
                // Somebody must win a conflict without a person.
                "STEADFAST_SESSION__CONFLICT".to_owned(),
                "takeover".to_owned(),
            )],
        })
        .await?;
        let fought = self.fight_on(&stage, show).await;
        let tail = match &fought {
            Ok((report, verdict)) if report.is_clean() && verdict.is_clean() => None,
            Ok(_) | Err(_) => Some(stage.log_tail().await),
        };
        stage.strike().await?;
        if let Some(tail) = tail {
            tracing::warn!(event = "gateway_log", tail);
        }
        fought
    }

    async fn fight_on(
        &self,
        stage: &Arc<Stage>,
        show: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<(Report, Verdict), HarnessError> {
        show(Progress::Linking);
        let mut events = stage.events();
        stage.ready(&mut events, READY_WITHIN).await?;
        show(Progress::Ready);

        // How many messages may be accepted so far, and how many are.
        let (allow, allowed) = watch::channel(0);
        let (count, mut counted) = watch::channel(0);
        let traffic = self.offer_all(stage, allowed, count, show);
        let faults = self.strike_all(stage, allow, &mut counted, show);
        let fight = async { tokio::try_join!(traffic, faults) };
        tokio::pin!(fight);
        let mut log = stage.events();
        let (accepted, tally) = loop {
            tokio::select! {
                biased;
                fought = &mut fight => break fought?,
                event = log.recv() => match event {
                    Ok(event) if tells_of_failure(&event) => show(Progress::Gateway(&event)),
                    Ok(_) | Err(_) => {}
                },
            }
        };
        show(Progress::Settling);
        settle(stage).await?;
        let verdict = verdict(stage, &accepted).await?;
        Ok((tally.report(&verdict, self.seed), verdict))
    }

    /// Where part `k` of the messages ends, and where its fault strikes.
    fn part(&self, k: usize) -> (u32, u32) {
        let parts = self.plan.len().max(1) as u64;
        let place = |halves: u64| {
            u32::try_from(u64::from(self.messages) * halves / (2 * parts)).unwrap_or(self.messages)
        };
        (place(2 * k as u64 + 1), place(2 * k as u64 + 2))
    }

    async fn offer_all(
        &self,
        stage: &Arc<Stage>,
        mut allowed: watch::Receiver<u32>,
        count: watch::Sender<u32>,
        show: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<Accepted>, HarnessError> {
        let mut accepted = Vec::new();
        for i in 0..self.messages {
            // The faults end only after all is allowed.
            if allowed.wait_for(|most| i < *most).await.is_err() {
                break;
            }
            let chat = format!("4915550{:06}", 100 + i % self.chats.max(1));
            let text = format!("Steadfast {} message {i}", self.seed);
            let client = async || stage.client().await;
            match accept(client, &chat, &text, PATIENCE).await? {
                Offer::Taken(message) => accepted.push(message),
                Offer::Refused(status) => {
                    tracing::warn!(event = "offer_refused", status);
                }
                Offer::Unanswered(why) => {
                    tracing::warn!(event = "offer_unanswered", why);
                }
            }
            count.send_replace(i + 1);
            show(Progress::Accepted(i + 1));
            tokio::time::sleep(self.pace).await;
        }
        Ok(accepted)
    }

    async fn strike_all(
        &self,
        stage: &Stage,
        allow: watch::Sender<u32>,
        counted: &mut watch::Receiver<u32>,
        show: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Tally, HarnessError> {
        let mut tally = Tally::default();
        for (k, kind) in self.plan.iter().copied().enumerate() {
            let (strikes_at, ends_at) = self.part(k);
            allow.send_replace(ends_at);
            if counted.wait_for(|n| *n >= strikes_at).await.is_err() {
                break;
            }
            show(Progress::Struck(kind));
            match kind.strike(stage).await {
                Ok(healed) => {
                    show(Progress::Healed(kind, healed));
                    tally.note(kind, Some(healed));
                }
                Err(error) => {
                    show(Progress::NotHealed(kind, &error));
                    tally.note(kind, None);
                }
            }
        }
        allow.send_replace(self.messages);
        let _ = counted.wait_for(|n| *n >= self.messages).await;
        Ok(tally)
    }
}

/// Waits until the gateway owes nothing.
async fn settle(stage: &Stage) -> Result<(), HarnessError> {
    let owes_nothing = async {
        loop {
            if let Some(client) = stage.client().await
                && let Ok(session) = client.get(&format!("/v1/sessions/{DEFAULT_SESSION}")).await
                && session["outbox"]["accepted"] == 0
                && session["outbox"]["sending"] == 0
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // What does not settle shows as lost; that is for the judge to say.
    let _ = tokio::time::timeout(SETTLES_WITHIN, owes_nothing).await;
    Ok(())
}

/// Judged by the journal alone: what the simulated server took, and what the
/// recipients' phones got.
async fn verdict(stage: &Stage, accepted: &[Accepted]) -> Result<Verdict, HarnessError> {
    let parked = stage.parked().await?;
    let accepted: Vec<checker::Accepted> = (0..)
        .zip(accepted)
        .map(|(order, message)| checker::Accepted {
            wa_id: message.wa_message_id.clone(),
            chat: message.chat.clone(),
            lane: 0,
            order,
            body: checker::digest(&message.text),
            fate: if parked.contains(&message.id) {
                Fate::Parked
            } else {
                Fate::Owed
            },
        })
        .collect();
    let journal = stage.control().journal(0, usize::MAX, &[]);
    Ok(checker::judge(
        PHONE,
        &accepted,
        &journal.entries,
        journal.truncated,
    ))
}

fn tells_of_failure(event: &LogEvent) -> bool {
    use crate::events::{RESTART_ATTEMPT, RESTART_FAILED, RESTARTED, SESSION_CLOSED};
    [SESSION_CLOSED, RESTART_ATTEMPT, RESTARTED, RESTART_FAILED].contains(&event.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_once_before_any_repeats() {
        let plan = Campaign::plan(&FaultKind::ALL, 40, 7);
        assert_eq!(plan.len(), 40);
        let mut first: Vec<_> = plan[..FaultKind::ALL.len()].to_vec();
        first.sort_unstable();
        let mut all = FaultKind::ALL.to_vec();
        all.sort_unstable();
        assert_eq!(first, all);
        assert_eq!(plan, Campaign::plan(&FaultKind::ALL, 40, 7));
        assert_ne!(plan, Campaign::plan(&FaultKind::ALL, 40, 8));
    }
}
