//! The same faults at the same moment for all contenders, with messages in
//! flight; what became of each message the simulated server's journal tells.

use super::contender::{Contender, Ground, Who};
use super::judge::{Fate, Offer, Taken, fate, recovery_ms};
use super::kinds::{Blow, Kind, shuffled};
use crate::bench::pause;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Between two messages to one contender.
const PACE: Duration = Duration::from_millis(200);
/// Chats that each contender's messages go to, in turn.
const CHATS: u64 = 4;
/// Messages before the fault, so that some are in flight.
const BEFORE: Duration = Duration::from_millis(1_500);
/// Messages after all have recovered.
const AFTER: Duration = Duration::from_millis(1_500);
/// For what is still under way once nothing is offered any more.
const SETTLE: Duration = Duration::from_secs(5);
/// How long a probe may take before a contender counts as not working.
const PROBE: Duration = Duration::from_secs(8);
/// How often a fault is tried on a contender that has no browser at the moment.
const STRIKES: u32 = 25;
/// A service manager's pause before it starts what has ended again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// One fault of one round, to one contender.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Struck {
    pub(crate) who: Who,
    pub(crate) kind: Kind,
    pub(crate) round: u32,
    /// Nothing where it had not recovered within the bound.
    pub(crate) recovery_ms: Option<i64>,
    /// How often its process ended by itself and was started again meanwhile.
    pub(crate) restarts: u32,
    pub(crate) fate: Fate,
}

/// How the faults are let loose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    pub(crate) bound_s: u64,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) who: Vec<Who>,
}

struct Arena {
    ground: Arc<Ground>,
    contenders: Vec<Contender>,
    offers: Vec<Offer>,
    next: u64,
    /// When each fault struck each, Unix milliseconds.
    faults: BTreeMap<(Who, Kind, u32), (i64, u32)>,
    journal: Journal,
}

/// Everything that the server took, read on as it grows.
#[derive(Default)]
struct Journal {
    after: u64,
    taken: Vec<Taken>,
}

impl Journal {
    /// Reads what is new; waits for it so long.
    fn read(&mut self, ground: &Ground, wait: Duration) -> Result<(), Error> {
        let mut wait = wait.as_millis();
        loop {
            let path = format!(
                "/journal?after={}&limit=10000&events=taken&wait_ms={wait}",
                self.after
            );
            let page = ground.simulator.ask("GET", &path, &Value::Null)?;
            let entries = page["entries"].as_array().cloned().unwrap_or_default();
            self.taken.extend(entries.iter().filter_map(Taken::read));
            let next = page["next"].as_u64().unwrap_or(self.after);
            let last = page["last"].as_u64().unwrap_or(next);
            let grew = next > self.after;
            self.after = next;
            wait = 0;
            if !grew || next >= last {
                return Ok(());
            }
        }
    }

    fn of(&self, who: Who) -> Vec<Taken> {
        let phone = who.phone();
        let own = |t: &&Taken| t.account.starts_with(&phone);
        self.taken.iter().filter(own).cloned().collect()
    }
}

/// Lets all faults loose on all, round by round. `keep` gets the verdicts so
/// far after each, and at the end those that count.
///
/// # Errors
///
/// Where a contender cannot even be started, or the simulator does not answer.
pub(super) fn measure(
    ground: &Arc<Ground>,
    plan: &Plan,
    mut keep: impl FnMut(Vec<Struck>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut arena = Arena {
        ground: Arc::clone(ground),
        contenders: plan
            .who
            .iter()
            .map(|who| Contender::new(*who, ground))
            .collect(),
        offers: Vec::new(),
        next: 1,
        faults: BTreeMap::new(),
        journal: Journal::default(),
    };
    for contender in &mut arena.contenders {
        contender.start()?;
        contender.ready()?;
    }
    for round in 1..=plan.rounds {
        for kind in shuffled(&plan.kinds, plan.seed + u64::from(round)) {
            arena.all_work(round, kind)?;
            arena.strike(round, kind, Duration::from_secs(plan.bound_s))?;
            // Whatever interrupts it, what is measured stays.
            keep(arena.verdicts(plan.bound_s))?;
        }
    }
    // What a hung call brings late counts as brought.
    pause(SETTLE);
    arena.journal.read(&arena.ground, Duration::ZERO)?;
    keep(arena.verdicts(plan.bound_s))
}

impl Arena {
    /// One message to each contender that is named.
    fn offer(&mut self, round: u32, kind: Kind, purpose: &str, to: &[usize]) {
        for &place in to {
            let Some(contender) = self.contenders.get_mut(place) else {
                continue;
            };
            let n = self.next;
            self.next += 1;
            let chat = format!("49151{:08}", 20_000_000 + n / to.len() as u64 % CHATS);
            let text = format!("{purpose}{round} {} {n}", kind.tag());
            let at_ms = now_ms();
            contender.offer(n, &chat, &text);
            if purpose == "fault " {
                self.offers.push(Offer {
                    who: contender.who,
                    round,
                    kind,
                    n,
                    chat,
                    text,
                    at_ms,
                });
            }
        }
    }

    /// Sees to it that everybody works before a fault: whoever does not is
    /// started again, as a person would.
    fn all_work(&mut self, round: u32, kind: Kind) -> Result<(), Error> {
        let everybody: Vec<usize> = (0..self.contenders.len()).collect();
        let silent = self.probe(round, kind, "probe ", &everybody)?;
        for &place in &silent {
            let Some(contender) = self.contenders.get_mut(place) else {
                continue;
            };
            eprintln!("     {} is started again by hand", contender.who.name());
            contender.kill();
            contender.start()?;
        }
        for &place in &silent {
            if let Some(contender) = self.contenders.get(place)
                && let Err(error) = contender.ready()
            {
                eprintln!("     {error}");
            }
        }
        for place in self.probe(round, kind, "again ", &silent)? {
            if let Some(contender) = self.contenders.get(place) {
                eprintln!(
                    "     {} sends nothing after a start: see {}",
                    contender.who.name(),
                    contender.folder().display()
                );
            }
        }
        Ok(())
    }

    /// Whoever of these brings no message to the server in time.
    fn probe(
        &mut self,
        round: u32,
        kind: Kind,
        purpose: &str,
        of: &[usize],
    ) -> Result<Vec<usize>, Error> {
        self.offer(round, kind, purpose, of);
        let wanted = format!("{purpose}{round} {} ", kind.tag());
        let deadline = Instant::now() + PROBE;
        loop {
            self.journal
                .read(&self.ground, Duration::from_millis(200))?;
            let silent: Vec<usize> = of
                .iter()
                .copied()
                .filter(|place| {
                    self.contenders.get(*place).is_some_and(|c| {
                        let taken = self.journal.of(c.who);
                        !taken.iter().rev().any(|t| t.text.starts_with(&wanted))
                    })
                })
                .collect();
            if silent.is_empty() || Instant::now() > deadline {
                return Ok(silent);
            }
        }
    }

    fn strike(&mut self, round: u32, kind: Kind, bound: Duration) -> Result<(), Error> {
        let everybody: Vec<usize> = (0..self.contenders.len()).collect();
        let ticks = ticker();
        let start = Instant::now();
        let mut struck: Option<Instant> = None;
        let mut ended: HashMap<usize, Instant> = HashMap::new();
        let mut recovered_at: Option<Instant> = None;
        loop {
            let _ = ticks.recv();
            self.offer(round, kind, "fault ", &everybody);
            self.revive(round, kind, &mut ended);
            let Some(since) = struck else {
                if start.elapsed() >= BEFORE {
                    self.let_loose(round, kind)?;
                    struck = Some(Instant::now());
                }
                continue;
            };
            self.journal.read(&self.ground, Duration::ZERO)?;
            if recovered_at.is_none() && self.all_recovered(round, kind) {
                recovered_at = Some(Instant::now());
            }
            if recovered_at.is_some_and(|at| at.elapsed() >= AFTER) || since.elapsed() >= bound {
                break;
            }
        }
        drop(ticks);
        pause(SETTLE);
        self.journal.read(&self.ground, Duration::ZERO)?;
        self.say(round, kind);
        Ok(())
    }

    /// Strikes all at once; who is begun with changes from round to round, so
    /// that nobody is always the first.
    fn let_loose(&mut self, round: u32, kind: Kind) -> Result<(), Error> {
        let simulator = &*self.ground.simulator;
        let mut order: Vec<&Contender> = self.contenders.iter().collect();
        let turns = order.len().max(1);
        order.rotate_left(round as usize % turns);
        let blows = order
            .iter()
            .enumerate()
            .map(|(place, at)| Ok((at.who, patiently(|| kind.aim(at, place == 0))?)))
            .collect::<Result<Vec<(Who, Blow)>, Error>>()?;
        let struck = std::thread::scope(|scope| {
            let strike = |(who, blow): &(Who, Blow)| {
                let at = now_ms();
                (*who, at, blow.strike(simulator))
            };
            let striking: Vec<_> = blows
                .iter()
                .map(|blow| scope.spawn(move || strike(blow)))
                .collect();
            let died = |_| Error::Bench("a thread that strikes died".to_owned());
            striking
                .into_iter()
                .map(|thread| thread.join().map_err(died))
                .collect::<Result<Vec<(Who, i64, Result<(), Error>)>, Error>>()
        })?;
        for ((who, mut at, landed), (place, on)) in struck.into_iter().zip(order.iter().enumerate())
        {
            if landed.is_err() {
                // It had just started its browser again.
                patiently(|| {
                    at = now_ms();
                    kind.aim(on, place == 0)?.strike(simulator)
                })?;
            }
            self.faults.insert((who, kind, round), (at, 0));
        }
        Ok(())
    }

    /// A service manager for all: what has ended is started again after a second.
    fn revive(&mut self, round: u32, kind: Kind, ended: &mut HashMap<usize, Instant>) {
        for (place, contender) in self.contenders.iter_mut().enumerate() {
            if contender.alive() {
                ended.remove(&place);
                continue;
            }
            let since = *ended.entry(place).or_insert_with(Instant::now);
            if since.elapsed() >= RESTART_PAUSE {
                contender.kill();
                if let Err(error) = contender.start() {
                    eprintln!("     {error}");
                }
                if let Some((_, restarts)) = self.faults.get_mut(&(contender.who, kind, round)) {
                    *restarts += 1;
                }
                ended.remove(&place);
            }
        }
    }

    fn all_recovered(&self, round: u32, kind: Kind) -> bool {
        self.contenders
            .iter()
            .all(|c| self.recovery(c.who, round, kind).is_some())
    }

    fn recovery(&self, who: Who, round: u32, kind: Kind) -> Option<i64> {
        let (at, _) = self.faults.get(&(who, kind, round))?;
        recovery_ms(&self.offered(who, round, kind), &self.journal.of(who), *at)
    }

    fn offered(&self, who: Who, round: u32, kind: Kind) -> Vec<&Offer> {
        let own = |o: &&Offer| o.who == who && o.round == round && o.kind == kind;
        self.offers.iter().filter(own).collect()
    }

    fn say(&self, round: u32, kind: Kind) {
        let each: Vec<String> = self
            .contenders
            .iter()
            .map(|c| {
                let took = self.recovery(c.who, round, kind).map_or_else(
                    || "not".to_owned(),
                    |ms| format!("{:.1} s", ms as f64 / 1_000.0),
                );
                format!("{} {took}", c.who.name())
            })
            .collect();
        eprintln!("round {round}, {}: {}", kind.words(), each.join(", "));
    }

    fn verdicts(&self, bound_s: u64) -> Vec<Struck> {
        let most = bound_s as i64 * 1_000;
        self.faults
            .iter()
            .map(|((who, kind, round), (_, restarts))| {
                let offers = self.offered(*who, *round, *kind);
                let answers = self
                    .contenders
                    .iter()
                    .find(|c| c.who == *who)
                    .map(|c| {
                        c.answers
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .clone()
                    })
                    .unwrap_or_default();
                Struck {
                    who: *who,
                    kind: *kind,
                    round: *round,
                    recovery_ms: self.recovery(*who, *round, *kind).filter(|ms| *ms <= most),
                    restarts: *restarts,
                    fate: fate(&offers, &self.journal.of(*who), &answers),
                }
            })
            .collect()
    }
}

/// Tries until it works: a contender may just be about to start its browser again.
fn patiently<T>(mut act: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..STRIKES {
        if let Ok(done) = act() {
            return Ok(done);
        }
        pause(PACE);
    }
    act()
}

/// Ticks at the pace of the messages until it is dropped.
fn ticker() -> Receiver<()> {
    let (to, ticks) = channel();
    std::thread::spawn(move || {
        while to.send(()).is_ok() {
            pause(PACE);
        }
    });
    ticks
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |t| t.as_millis() as i64)
}
