//! What comes of an attempt: delivered, tried again, given up; and whether its
//! endpoint goes on.

use crate::config;
use steadfast_core::backoff::Random;
use steadfast_core::port::RetryPolicy;
use steadfast_core::time::UnixMs;

/// The pauses that Standard Webhooks recommends, in milliseconds.
pub const STANDARD_DELAYS_MS: [u64; 10] = [
    0,
    5_000,
    5 * 60_000,
    30 * 60_000,
    2 * 3_600_000,
    5 * 3_600_000,
    10 * 3_600_000,
    14 * 3_600_000,
    20 * 3_600_000,
    24 * 3_600_000,
];

/// When failed deliveries are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The pause before each attempt, in milliseconds; never empty.
    delays_ms: Vec<u64>,
    /// By how many hundredths a pause may be longer.
    jitter_percent: u32,
    /// Longest `Retry-After` that is honoured, in milliseconds.
    retry_after_max_ms: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// An answer came.
    Answered {
        /// Its status.
        status: u16,
        /// How long it asked to be left alone, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// None came.
    Failed,
    /// The URL leads where it must not. No attempt changes that; a change of
    /// the configuration or of the name's address may.
    Refused,
}

/// What is to be done after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: it is delivered.
    Delivered,
    /// Again, at this time.
    Retry {
        /// When.
        at: UnixMs,
    },
    /// Out of attempts: a dead letter.
    Dead,
    /// 410: the endpoint wants nothing any more, now and later.
    Gone,
}

impl Schedule {
    /// As configured. Where pauses cannot be read, which the configuration
    /// rules out, and where there are none, the standard ones.
    pub fn of(config: &config::Webhooks) -> Self {
        let read = |text: &String| config::duration_ms(text);
        let delays_ms: Option<Vec<u64>> = config.retry_delays.iter().map(read).collect();
        Self {
            delays_ms: delays_ms
                .filter(|delays| !delays.is_empty())
                .unwrap_or_else(|| STANDARD_DELAYS_MS.to_vec()),
            jitter_percent: config.jitter_percent,
            retry_after_max_ms: config.retry_after_max_ms,
        }
    }

    /// The same with pauses of an endpoint's own.
    #[must_use]
    pub fn with(&self, policy: &RetryPolicy) -> Self {
        let mut own = self.clone();
        if !policy.delays_ms.is_empty() {
            own.delays_ms.clone_from(&policy.delays_ms);
        }
        own.jitter_percent = policy.jitter_percent;
        own
    }

    /// How many attempts a delivery has.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.delays_ms.len()).unwrap_or(u32::MAX)
    }

    /// When the first attempt of a delivery planned now is due.
    pub fn first(&self, now: UnixMs, random: &mut Random) -> UnixMs {
        now.plus(self.delay(0, random))
    }

    /// What is to be done after attempt number `attempt` (from 1).
    pub fn after(&self, attempt: u32, ended: Ended, now: UnixMs, random: &mut Random) -> Verdict {
        match ended {
            Ended::Answered {
                status: 200..=299, ..
            } => return Verdict::Delivered,
            Ended::Answered { status: 410, .. } => return Verdict::Gone,
            Ended::Answered { .. } | Ended::Failed | Ended::Refused => {}
        }
        if attempt >= self.attempts() {
            return Verdict::Dead;
        }
        let pause = self.delay(attempt as usize, random);
        let asked = self.rest_ms(ended).unwrap_or(0);
        Verdict::Retry {
            at: now.plus(pause.max(asked)),
        }
    }

    /// For how long the endpoint asked to be left alone, in milliseconds, as
    /// far as that is honoured; `None` where it did not, or took the event.
    pub fn rest_ms(&self, ended: Ended) -> Option<u64> {
        match ended {
            Ended::Answered {
                status: 200..=299, ..
            }
            | Ended::Failed
            | Ended::Refused => None,
            Ended::Answered { retry_after_ms, .. } => {
                retry_after_ms.map(|ms| ms.min(self.retry_after_max_ms))
            }
        }
    }

    fn delay(&self, index: usize, random: &mut Random) -> u64 {
        let base = self.delays_ms.get(index).copied().unwrap_or(0);
        let most = base.saturating_mul(u64::from(self.jitter_percent)) / 100;
        base.saturating_add(random.up_to(most))
    }
}

/// `Retry-After` in milliseconds: seconds, or an HTTP date (RFC 9110, 10.2.3).
pub fn retry_after_ms(text: &str, now: UnixMs) -> Option<u64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds: u64 = text.parse().unwrap_or(u64::MAX);
        return Some(seconds.saturating_mul(1_000));
    }
    Some(http_date(text)?.since(now))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that is still sent.
fn http_date(text: &str) -> Option<UnixMs> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year, clock, zone) = (
        words.next()?,
        words.next()?,
        words.next()?,
        words.next()?,
        words.next()?,
    );
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    (zone == "GMT" && words.next().is_none()).then_some(())?;
    UnixMs::parse_rfc3339(&format!("{year}-{month:02}-{day}T{clock}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_705_314_600_000);

    fn schedule(delays: &[&str], jitter_percent: u32) -> Schedule {
        let mut config = config::Config::defaults().unwrap().webhooks;
        config.retry_delays = delays.iter().map(|&text| text.to_owned()).collect();
        config.jitter_percent = jitter_percent;
        Schedule::of(&config)
    }

    fn status(status: u16) -> Ended {
        Ended::Answered {
            status,
            retry_after_ms: None,
        }
    }

    #[test]
    fn a_dead_endpoint_is_tried_as_the_standard_says_and_then_no_more() {
        let schedule = schedule(&[], 0);
        let mut random = Random::new(1);
        let mut now = schedule.first(NOW, &mut random);
        let mut pauses = vec![now.since(NOW)];
        let mut attempt = 1;
        loop {
            match schedule.after(attempt, Ended::Failed, now, &mut random) {
                Verdict::Retry { at } => {
                    pauses.push(at.since(now));
                    now = at;
                    attempt += 1;
                }
                verdict => {
                    assert_eq!(verdict, Verdict::Dead);
                    break;
                }
            }
        }
        assert_eq!(pauses, STANDARD_DELAYS_MS);
    }

    #[test]
    fn jitter_only_makes_pauses_longer_and_not_by_much() {
        let schedule = schedule(&["1s", "10s", "10s"], 20);
        let mut random = Random::new(7);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            let Verdict::Retry { at } = schedule.after(1, status(500), NOW, &mut random) else {
                panic!("no retry");
            };
            let pause = at.since(NOW);
            assert!((10_000..=12_000).contains(&pause), "{pause}");
            seen.insert(pause);
            let first = schedule.first(NOW, &mut random).since(NOW);
            assert!((1_000..=1_200).contains(&first), "{first}");
        }
        assert!(seen.len() > 100, "no two come back together");
    }

    #[test]
    fn only_2xx_counts_and_410_ends_it() {
        let schedule = schedule(&["0s", "1s"], 0);
        let mut random = Random::new(1);
        for good in [200, 201, 202, 204, 299] {
            let verdict = schedule.after(1, status(good), NOW, &mut random);
            assert_eq!(verdict, Verdict::Delivered);
        }
        let again = Verdict::Retry {
            at: NOW.plus(1_000),
        };
        for bad in [
            100, 199, 300, 301, 302, 304, 307, 400, 401, 404, 429, 500, 503, 599,
        ] {
            let verdict = schedule.after(1, status(bad), NOW, &mut random);
            assert_eq!(verdict, again, "{bad}");
            let verdict = schedule.after(2, status(bad), NOW, &mut random);
            assert_eq!(verdict, Verdict::Dead, "{bad}");
        }
        for bad in [Ended::Failed, Ended::Refused] {
            assert_eq!(schedule.after(1, bad, NOW, &mut random), again);
        }
        for attempt in 1..=2 {
            let verdict = schedule.after(attempt, status(410), NOW, &mut random);
            assert_eq!(verdict, Verdict::Gone);
        }
    }

    #[test]
    fn retry_after_is_honoured_within_bounds() {
        let schedule = schedule(&["0s", "5s"], 0);
        let mut random = Random::new(1);
        for (asked_ms, pause_ms) in [
            (0, 5_000),
            (4_000, 5_000),
            (60_000, 60_000),
            (3_600_000, 3_600_000),
            (u64::MAX, 3_600_000),
        ] {
            let ended = Ended::Answered {
                status: 503,
                retry_after_ms: Some(asked_ms),
            };
            let at = NOW.plus(pause_ms);
            assert_eq!(
                schedule.after(1, ended, NOW, &mut random),
                Verdict::Retry { at }
            );
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        for (text, ms) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Mon, 15 Jan 2024 10:30:05 GMT", Some(5_000)),
            ("Mon, 15 Jan 2024 10:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Mon, 15 Foo 2024 10:30:05 GMT", None),
            ("Mon, 15 Jan 2024 10:30:05 CET", None),
        ] {
            assert_eq!(retry_after_ms(text, NOW), ms, "{text:?}");
        }
    }
}
