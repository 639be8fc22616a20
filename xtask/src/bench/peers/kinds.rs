//! The faults: what is done, to whom, from where it comes in life.

use super::contender::Contender;
use crate::bench::child::signal;
use crate::bench::simulator::Simulator;
use crate::error::Error;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long the network is away.
const AWAY_MS: u64 = 5_000;

/// One kind of fault.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Kind {
    PageClose,
    PageReload,
    NavigateAway,
    RendererCrash,
    MainThreadHang,
    BrowserKill,
    BrowserStop,
    SocketDrop,
    NetworkAway,
    Conflict,
    DriverKill,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::PageClose,
        Self::PageReload,
        Self::NavigateAway,
        Self::RendererCrash,
        Self::MainThreadHang,
        Self::BrowserKill,
        Self::BrowserStop,
        Self::SocketDrop,
        Self::NetworkAway,
        Self::Conflict,
        Self::DriverKill,
    ];

    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::PageClose => "page closed",
            Self::PageReload => "page reloaded",
            Self::NavigateAway => "page navigated away",
            Self::RendererCrash => "renderer killed",
            Self::MainThreadHang => "page hangs",
            Self::BrowserKill => "browser killed",
            Self::BrowserStop => "browser stopped",
            Self::SocketDrop => "socket cut",
            Self::NetworkAway => "network away 5 s",
            Self::Conflict => "opened elsewhere",
            Self::DriverKill => "driver killed",
        }
    }

    /// The name in a message's text.
    pub(super) fn tag(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// What it means for one contender. The network is everybody's: it goes
    /// away once, with the first of them.
    ///
    /// # Errors
    ///
    /// Where there is nothing to do it to.
    pub(super) fn aim(self, at: &Contender, first: bool) -> Result<Blow, Error> {
        let account = at.who.phone();
        let page = |members: Value| {
            Blow::Fault(json!({ "kind": "page", "account": account, "fault": members }))
        };
        let gone = || Error::Bench(format!("{} has no such process", at.who.name()));
        Ok(match self {
            Self::PageClose => page(json!({ "kind": "close_page" })),
            Self::PageReload => page(json!({ "kind": "reload" })),
            Self::NavigateAway => page(json!({ "kind": "navigate", "url": "about:blank" })),
            Self::MainThreadHang => page(json!({ "kind": "hang", "ms": 0 })),
            Self::RendererCrash => {
                let pages = at.renderers();
                if pages.is_empty() {
                    return Err(gone());
                }
                Blow::Signal(pages, Signal::KILL)
            }
            Self::BrowserKill => Blow::Signal(vec![at.browser().ok_or_else(gone)?], Signal::KILL),
            Self::BrowserStop => Blow::Signal(vec![at.browser().ok_or_else(gone)?], Signal::STOP),
            Self::SocketDrop => Blow::Fault(json!({ "kind": "drop_sockets", "account": account })),
            Self::NetworkAway if !first => Blow::Shared,
            Self::NetworkAway => Blow::Fault(json!({ "kind": "network_away", "ms": AWAY_MS })),
            Self::Conflict => Blow::Fault(json!({ "kind": "conflict", "account": account })),
            Self::DriverKill => Blow::Signal(vec![at.pid().ok_or_else(gone)?], Signal::KILL),
        })
    }
}

/// A fault that has been aimed, and needs no time any more but to strike.
pub(super) enum Blow {
    Signal(Vec<i32>, Signal),
    /// What the simulator is told.
    Fault(Value),
    /// Another's strikes this one too.
    Shared,
}

impl Blow {
    /// Strikes.
    ///
    /// # Errors
    ///
    /// Where the process has gone meanwhile, or the simulator does not answer.
    pub(super) fn strike(&self, simulator: &Simulator) -> Result<(), Error> {
        match self {
            Self::Signal(pids, with) => pids.iter().try_for_each(|pid| signal(*pid, *with)),
            Self::Fault(body) => simulator.ask("POST", "/faults", body).map(|_| ()),
            Self::Shared => Ok(()),
        }
    }
}

/// The order of a round's faults: Fisher and Yates with xorshift64.
pub(super) fn shuffled(kinds: &[Kind], seed: u64) -> Vec<Kind> {
    let mut order = kinds.to_vec();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for place in (1..order.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(place, (state % (place as u64 + 1)) as usize);
    }
    order
}

#[test]
fn the_same_seed_gives_the_same_order_and_every_kind() {
    let one = shuffled(&Kind::ALL, 1);
    assert_eq!(one, shuffled(&Kind::ALL, 1));
    assert_ne!(one, shuffled(&Kind::ALL, 2));
    let mut sorted = one;
    sorted.sort_unstable();
    assert_eq!(sorted, Kind::ALL);
}
