//! What happens in one simulated run, decided by its seed.

use crate::world::Defect;
use steadfast_core::backoff::Random;
use steadfast_core::pacing;

/// Something that happens from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A message to this chat is accepted into a lane, which may be worth
    /// sending for so long only, and may be wanted so much later.
    Accept {
        chat: u8,
        ttl_ms: Option<u64>,
        lane: u8,
        later_ms: Option<u64>,
    },
    /// The page goes away.
    ClosePage,
    /// The page loses its context and begins anew by itself.
    SelfReload,
    /// The browser dies.
    KillBrowser,
    /// The page answers nothing from here on.
    Hang,
    /// WhatsApp cannot be reached for so long.
    Outage { ms: u64 },
    /// The phone removes the link.
    Unlink,
    /// The link is opened elsewhere.
    Conflict,
    /// The next so many server acks get lost.
    DropAcks { count: u8 },
    /// The next so many sends are refused before they are handed over.
    RefuseSends { count: u8 },
    /// WhatsApp refuses the next so many sends, since they come too fast.
    TooFast { count: u8 },
    /// The disk has no room for so long.
    DiskFull { ms: u64 },
    /// The browser cannot start the next so many times.
    BreakLaunch { count: u8 },
    /// The gateway is killed and started again.
    KillGateway,
    /// Somebody restarts the session.
    Restart,
    /// Somebody writes to us.
    Inbound,
    /// The browser uses more memory than it may, until it is replaced.
    Bloat,
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// Decides every delay and chance inside the run.
    pub(crate) seed: u64,
    /// What happens, and when, in virtual milliseconds.
    pub(crate) happenings: Vec<(u64, Happening)>,
    /// How fast the session may send.
    pub(crate) pacing: pacing::Policy,
    /// A defect of the modelled WhatsApp, where the check itself is tested.
    pub(crate) defect: Option<Defect>,
}

impl Schedule {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5EED);
        let messages = 2 + random.up_to(8);
        let faults = random.up_to(5);
        let chats = 1 + random.up_to(2);
        let span = 2_000 + random.up_to(20_000);
        let mut happenings = Vec::new();
        for _ in 0..messages {
            let chat = u8::try_from(random.up_to(chats)).unwrap_or_default();
            let ttl_ms = (random.up_to(5) == 0).then(|| random.up_to(8_000));
            let lane = u8::try_from(random.up_to(2)).unwrap_or_default();
            let later_ms = (random.up_to(5) == 0).then(|| 1 + random.up_to(8_000));
            let accept = Happening::Accept {
                chat,
                ttl_ms,
                lane,
                later_ms,
            };
            happenings.push((random.up_to(span), accept));
        }
        for _ in 0..faults {
            happenings.push((random.up_to(span), fault(&mut random)));
        }
        happenings.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            happenings,
            pacing: paced(&mut random),
            defect: None,
        }
    }

    pub(crate) fn faults(&self) -> u64 {
        let accepts = |h: &Happening| matches!(h, Happening::Accept { .. });
        self.happenings.iter().filter(|(_, h)| !accepts(h)).count() as u64
    }
}

/// In one run of four the session is paced.
fn paced(random: &mut Random) -> pacing::Policy {
    if random.up_to(3) > 0 {
        return pacing::Policy::default();
    }
    pacing::Policy {
        per_minute: 20 + u32::try_from(random.up_to(100)).unwrap_or_default(),
        burst: 1 + u32::try_from(random.up_to(3)).unwrap_or_default(),
        jitter_ms: random.up_to(2_000),
        ..pacing::Policy::default()
    }
}

/// How long a disk stays full until a person has made room: longer than
/// anything in the gateway may be patient.
const UNTIL_SOMEBODY_COMES_MS: u64 = 300_000;

fn fault(random: &mut Random) -> Happening {
    let count = u8::try_from(1 + random.up_to(2)).unwrap_or(1);
    let ms = 500 + random.up_to(15_000);
    match random.up_to(20) {
        0 | 1 => Happening::ClosePage,
        2 => Happening::SelfReload,
        3 | 4 => Happening::KillBrowser,
        5 | 6 => Happening::Hang,
        7 => Happening::Outage { ms },
        8 => Happening::Unlink,
        9 => Happening::Conflict,
        10 => Happening::DropAcks { count },
        11 => Happening::RefuseSends { count },
        // Five minutes of virtual time cost real time too: not each time.
        12 if random.up_to(3) == 0 => Happening::DiskFull {
            ms: UNTIL_SOMEBODY_COMES_MS,
        },
        12 => Happening::DiskFull { ms },
        13 => Happening::BreakLaunch { count },
        14 | 15 => Happening::KillGateway,
        16 => Happening::Restart,
        17 | 18 => Happening::Bloat,
        19 => Happening::TooFast { count },
        _ => Happening::Inbound,
    }
}

/// Leaves out whatever the failure does not need.
pub(crate) fn shrink(schedule: &Schedule, fails: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut small = schedule.clone();
    let mut i = 0;
    while i < small.happenings.len() {
        let mut without = small.clone();
        without.happenings.remove(i);
        if fails(&without) {
            small = without;
            i = 0;
        } else {
            i += 1;
        }
    }
    small
}
