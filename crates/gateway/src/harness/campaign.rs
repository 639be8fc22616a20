//! Messages flow, faults strike, and in the end the books must balance.
//!
//! The messages are cut into as many parts as there are faults. Half of a
//! part is accepted, the fault strikes, and the other half comes while the
//! gateway heals: each fault finds messages in flight.

use super::HarnessError;
use super::fault::{FaultKind, Healed, Target};
use super::gateway::LogEvent;
use super::parked::Loss;
use super::report::{Report, Tally};
use super::stage::{PHONE, READY_WITHIN, Stage, StageOptions};
use super::traffic::Traffic;
use crate::app::DEFAULT_SESSION;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::backoff::Random;
use steadfast_sim::checker::{Finding, Verdict};
use tokio::sync::watch;
use tokio::time::Instant;

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
    /// Kinds that cannot run on this machine, with the reason.
    pub skipped: BTreeMap<&'static str, String>,
    /// Repeats the run.
    pub seed: u64,
    /// Between two messages.
    pub pace: Duration,
    /// Where the gateway's log is kept.
    pub log: Option<PathBuf>,
    /// Whether everything goes on afterwards, until the run is dropped.
    pub stay: bool,
}

/// What is shown while it goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Simulator and gateway run; the phone scans.
    Linking,
    /// The session is ready for the first time.
    Ready,
    /// So many messages are on disk.
    Accepted(usize),
    /// A fault strikes.
    Struck(FaultKind),
    /// It was healed.
    Healed(FaultKind, Healed),
    /// It was not.
    NotHealed(&'a NotHealed),
    /// The gateway said something about a failure.
    Gateway(&'a LogEvent),
    /// Everything is accepted, and all faults are over.
    Settling,
    /// The run is over, and everything goes on for whoever wants to look at it.
    Stays(&'a Fought, Place),
}

/// Where a stage can be looked at.
#[derive(Debug)]
pub struct Place {
    /// The gateway's dashboard.
    pub dashboard: String,
    /// What one logs in with.
    pub token: String,
    /// The page on which one is the phone.
    pub playground: String,
}

/// A fault that was not healed, and what is known of it.
#[derive(Debug, serde::Serialize)]
pub struct NotHealed {
    /// Which fault of the run, from 1.
    pub fault: usize,
    /// Its kind.
    pub kind: FaultKind,
    /// What did not happen.
    pub why: String,
    /// The session, its last incidents and the gateway's last words, as they were then.
    pub evidence: Value,
}

/// What a campaign comes to.
#[derive(Debug)]
pub struct Fought {
    /// The sum.
    pub report: Report,
    /// The judge's word on it.
    pub verdict: Verdict,
    /// Messages that wait for a person though no login was destroyed under them.
    pub parked_unduly: Vec<Finding>,
    /// Messages that the gateway would not take.
    pub unaccepted: Vec<Finding>,
    /// Messages of which the gateway says in the end what it should not.
    pub unsettled: Vec<Finding>,
}

impl Fought {
    /// Each thing that is wrong with a message.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let verdict = &self.verdict;
        [
            &verdict.lost,
            &verdict.duplicated,
            &verdict.reordered,
            &verdict.altered,
            &verdict.misdelivered,
            &verdict.undue,
            &verdict.unaccounted,
            &self.parked_unduly,
            &self.unaccepted,
            &self.unsettled,
        ]
        .into_iter()
        .flatten()
    }

    /// Whether nothing at all is wrong.
    pub fn is_clean(&self) -> bool {
        self.report.is_clean() && self.verdict.is_clean() && self.findings().next().is_none()
    }
}

/// How long everything may take to settle once the faults are over.
const SETTLES_WITHIN: Duration = Duration::from_mins(2);
/// How long a session may take to be ready before the next fault, where the
/// one before still has an effect.
const CALM_WITHIN: Duration = Duration::from_mins(1);
/// Messages that a fault may keep for itself.
const KEPT_PER_FAULT: u32 = 4;

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
    pub async fn fight(self, show: &(dyn Fn(Progress<'_>) + Sync)) -> Result<Fought, HarnessError> {
        let stage = Stage::set(StageOptions {
            steadfast: self.steadfast.clone(),
            browser: self.browser.clone(),
            seed: self.seed,
            log: self.log.clone(),
            small_disks: self.plan.iter().any(|kind| kind.needs_small_disks()),
            env: [
                // Somebody must win a conflict without a person, and nobody is
                // unlinked as often in life as here.
                ("STEADFAST_SESSION__CONFLICT", "takeover"),
                ("STEADFAST_SESSION__TAKEOVER_LIMIT", "10000"),
                ("STEADFAST_SESSION__RELINK_LIMIT", "10000"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        })
        .await?;
        let fought = Box::pin(self.fight_on(&stage, show)).await;
        if self.stay
            && let (Ok(fought), Some(client)) = (&fought, stage.client().await)
        {
            let place = Place {
                dashboard: client.page(),
                token: client.token().to_owned(),
                playground: stage.playground(),
            };
            show(Progress::Stays(fought, place));
            std::future::pending::<()>().await;
        }
        let tail = match &fought {
            Ok(fought) if fought.is_clean() => None,
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
    ) -> Result<Fought, HarnessError> {
        show(Progress::Linking);
        let mut events = stage.events();
        stage.ready(&mut events, READY_WITHIN).await?;
        show(Progress::Ready);

        let kept = self.plan.iter().filter(|kind| kind.keeps_messages());
        let kept = u32::try_from(kept.count()).unwrap_or(u32::MAX);
        let kept = kept.saturating_mul(KEPT_PER_FAULT);
        let traffic = Traffic::new(self.seed, self.messages, kept);
        // How many messages may be accepted so far, and how many are.
        let (allow, allowed) = watch::channel(0);
        let (count, mut counted) = watch::channel(0);
        let flow = self.flow(stage, &traffic, allowed, count, show);
        let faults = self.strike_all(stage, &traffic, allow, &mut counted, show);
        let fight = async { tokio::try_join!(flow, faults) };
        tokio::pin!(fight);
        let mut log = stage.events();
        let ((), books) = loop {
            tokio::select! {
                biased;
                fought = &mut fight => break fought?,
                event = log.recv() => match event {
                    Ok(event) if tells_of_failure(&event) => show(Progress::Gateway(&event)),
                    Ok(_) | Err(_) => {}
                },
            }
        };
        traffic.spend_the_rest(stage).await?;
        show(Progress::Settling);
        settle(stage).await;
        judge(stage, &traffic, &books, self.seed).await
    }

    /// Where part `k` of so many messages ends, and where its fault strikes.
    fn part(&self, k: usize, messages: u32) -> (u32, u32) {
        let parts = self.plan.len().max(1) as u64;
        let place = |halves: u64| {
            u32::try_from(u64::from(messages) * halves / (2 * parts)).unwrap_or(messages)
        };
        (place(2 * k as u64 + 1), place(2 * k as u64 + 2))
    }

    async fn flow(
        &self,
        stage: &Stage,
        traffic: &Traffic,
        mut allowed: watch::Receiver<u32>,
        count: watch::Sender<u32>,
        show: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<(), HarnessError> {
        for i in 0.. {
            // The faults end only after all is allowed.
            if allowed.wait_for(|most| i < *most).await.is_err() {
                break;
            }
            let Some(offered) = traffic.flow(stage, self.chats).await? else {
                break;
            };
            count.send_replace(offered);
            show(Progress::Accepted(traffic.accepted_so_far()));
            tokio::time::sleep(self.pace).await;
        }
        Ok(())
    }

    async fn strike_all(
        &self,
        stage: &Stage,
        traffic: &Traffic,
        allow: watch::Sender<u32>,
        counted: &mut watch::Receiver<u32>,
        show: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Books, HarnessError> {
        let mut books = Books {
            tally: Tally::new(self.skipped.clone()),
            losses: Vec::new(),
        };
        let mut turns: BTreeMap<FaultKind, u32> = BTreeMap::new();
        let flowing = traffic.flowing();
        for (k, kind) in self.plan.iter().copied().enumerate() {
            let (strikes_at, ends_at) = self.part(k, flowing);
            allow.send_replace(ends_at);
            if counted.wait_for(|n| *n >= strikes_at).await.is_err() {
                break;
            }
            let turn = turns.entry(kind).or_default();
            let target = Target {
                stage,
                traffic,
                turn: *turn,
            };
            *turn += 1;
            show(Progress::Struck(kind));
            if kind.destroys_the_login() {
                books.losses.push(Loss {
                    parked_before: stage.messages("parked").await?,
                    healed: None,
                });
            }
            let struck = strike(kind, target).await;
            match struck {
                Ok(healed) => {
                    show(Progress::Healed(kind, healed));
                    books.tally.note(kind, Some(healed));
                }
                Err(error) => {
                    books.tally.note(kind, None);
                    show(Progress::NotHealed(&NotHealed {
                        fault: k + 1,
                        kind,
                        why: error.to_string(),
                        evidence: stage.evidence().await,
                    }));
                    // The run goes on with a session that is ready, or not at all.
                    if let Err(error) = stage.revive(READY_WITHIN).await {
                        tracing::error!(event = "run_given_up", %error);
                        traffic.close();
                        return Ok(books);
                    }
                }
            }
            if let (true, Some(loss)) = (kind.destroys_the_login(), books.losses.last_mut()) {
                loss.healed = Some(Instant::now());
            }
        }
        allow.send_replace(flowing);
        let _ = counted.wait_for(|n| *n >= flowing).await;
        Ok(books)
    }
}

/// What is written down while faults strike.
struct Books {
    tally: Tally,
    /// Each login that was destroyed.
    losses: Vec<Loss>,
}

/// One fault, on a session that is ready, and with nothing of it left afterwards.
async fn strike(kind: FaultKind, target: Target<'_>) -> Result<Healed, HarnessError> {
    let mut events = target.stage.events();
    // What the fault before may have left: it was healed, and can stumble again.
    target.stage.ready(&mut events, CALM_WITHIN).await?;
    let healed = kind.strike(target).await?;
    target.stage.calm().await?;
    Ok(healed)
}

/// Waits until the gateway owes nothing.
async fn settle(stage: &Stage) {
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
    // What does not settle is for the judge to say, message by message.
    let _ = tokio::time::timeout(SETTLES_WITHIN, owes_nothing).await;
}

/// Judged by the journal: what the simulated server took, and what the
/// recipients' phones got.
async fn judge(
    stage: &Stage,
    traffic: &Traffic,
    books: &Books,
    seed: u64,
) -> Result<Fought, HarnessError> {
    let words = match stage.words().await {
        Ok(words) => Some(words),
        Err(error) => {
            tracing::error!(event = "messages_not_read", %error);
            None
        }
    };
    let journal = stage.control().journal(0, usize::MAX, &[]);
    let judged = super::judge::judge(
        PHONE,
        &traffic.accepted(),
        words.as_ref(),
        &books.losses,
        &journal.entries,
        journal.truncated,
    );
    let unaccepted = traffic.unaccepted().into_iter().map(|offer| Finding {
        wa_id: String::new(),
        chat: offer.chat,
        what: offer.what,
    });
    Ok(Fought {
        report: books
            .tally
            .report(&judged.verdict, traffic.messages(), seed),
        verdict: judged.verdict,
        parked_unduly: judged.parked_unduly,
        unaccepted: unaccepted.collect(),
        unsettled: judged.unsettled,
    })
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
        let all = FaultKind::ALL;
        let plan = Campaign::plan(all, 60, 7);
        assert_eq!(plan.len(), 60);
        let mut first: Vec<_> = plan[..all.len()].to_vec();
        first.sort_unstable();
        let mut sorted = all.to_vec();
        sorted.sort_unstable();
        assert_eq!(first, sorted);
        assert_eq!(plan, Campaign::plan(all, 60, 7));
        assert_ne!(plan, Campaign::plan(all, 60, 8));
    }
}
