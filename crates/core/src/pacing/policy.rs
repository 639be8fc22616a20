//! What an owner has configured.

use crate::time::UnixMs;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1_440 * MINUTE_MS;

/// How fast an account may send. The default holds nothing back, but slows
/// down where WhatsApp asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Messages that may begin in a minute; 0 for any number.
    pub per_minute: u32,
    /// Messages that may begin at once after a rest; at least 1.
    pub burst: u32,
    /// Up to this long a pause is made after each message, at random, in milliseconds.
    pub jitter_ms: u64,
    /// When nothing begins.
    pub quiet: Option<QuietHours>,
    /// The clock of days and quiet hours: so many minutes ahead of UTC.
    pub utc_offset_min: i32,
    /// Messages that may begin in a day; 0 for any number.
    pub per_day: u32,
    /// On the first day a new account may begin so many messages, on the
    /// second twice as many, and so on.
    pub warm_up_per_day: u32,
    /// For so many days from its first message; 0 for no warm-up.
    pub warm_up_days: u32,
    /// What does not hold messages of the high lane back.
    pub high_skips: Exempt,
    /// Whether to slow down where WhatsApp refuses messages as too many.
    pub heeds_refusals: bool,
    /// After so long without another refusal the pace is doubled again, until
    /// it is what it was.
    pub recover_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            per_minute: 0,
            burst: 1,
            jitter_ms: 0,
            quiet: None,
            utc_offset_min: 0,
            per_day: 0,
            warm_up_per_day: 0,
            warm_up_days: 0,
            high_skips: Exempt::default(),
            heeds_refusals: true,
            recover_ms: 600_000,
        }
    }
}

/// What does not hold messages of the high lane back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent settings, no states"
)]
pub struct Exempt {
    /// The rate.
    pub rate: bool,
    /// The random pause.
    pub jitter: bool,
    /// The quiet hours.
    pub quiet: bool,
    /// The cap of a day, warm-up too.
    pub per_day: bool,
}

impl Default for Exempt {
    /// Somebody waits for a message of the high lane: it goes at night too,
    /// and without a random pause. How many an account sends is what WhatsApp
    /// counts, whatever they are for.
    fn default() -> Self {
        Self {
            rate: false,
            jitter: true,
            quiet: true,
            per_day: false,
        }
    }
}

/// Hours in which nothing begins: from a minute of the day to another one,
/// over midnight where the second is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// The first quiet minute, 0 to 1439.
    pub from_min: u16,
    /// The first minute that is not quiet any more, 0 to 1439.
    pub until_min: u16,
}

impl QuietHours {
    /// Reads `22:00-07:00`. `None` where it is no such thing, or empty.
    pub fn parse(text: &str) -> Option<Self> {
        let minute = |text: &str| -> Option<u16> {
            let (hours, minutes) = text.trim().split_once(':')?;
            let two = |digits: &str| {
                let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
                plain.then(|| digits.parse::<u16>().ok()).flatten()
            };
            let (hours, minutes) = (two(hours)?, two(minutes)?);
            (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
        };
        let (from, until) = text.split_once('-')?;
        let (from_min, until_min) = (minute(from)?, minute(until)?);
        (from_min != until_min).then_some(Self {
            from_min,
            until_min,
        })
    }
}

impl Policy {
    /// Reads an offset from UTC, `+05:30` or `-03:00`, in minutes.
    pub fn parse_offset(text: &str) -> Option<i32> {
        let (sign, rest) = match text.as_bytes().first()? {
            b'+' => (1, text.get(1..)?),
            b'-' => (-1, text.get(1..)?),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let two = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<i32>().ok()).flatten()
        };
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        // From UTC-12 to UTC+14, in quarters: there are no others.
        let offset = sign * (hours * 60 + minutes);
        ((-720..=840).contains(&offset) && offset % 15 == 0).then_some(offset)
    }

    /// Milliseconds since the local day began.
    fn ms_of_day(&self, at: UnixMs) -> i64 {
        let ahead = i64::from(self.utc_offset_min) * MINUTE_MS;
        at.0.saturating_add(ahead).rem_euclid(DAY_MS)
    }

    /// When the local day began that this time is in.
    pub fn day_of(&self, at: UnixMs) -> UnixMs {
        UnixMs(at.0.saturating_sub(self.ms_of_day(at)))
    }

    /// When the next local day begins.
    pub fn next_day(&self, at: UnixMs) -> UnixMs {
        UnixMs(self.day_of(at).0.saturating_add(DAY_MS))
    }

    /// When the quiet hours end, where this time is in them.
    pub fn quiet_until(&self, at: UnixMs) -> Option<UnixMs> {
        let QuietHours {
            from_min,
            until_min,
        } = self.quiet?;
        let from = i64::from(from_min) * MINUTE_MS;
        let until = i64::from(until_min) * MINUTE_MS;
        let now = self.ms_of_day(at);
        let quiet = if from < until {
            (from..until).contains(&now)
        } else {
            now >= from || now < until
        };
        let left = (until - now).rem_euclid(DAY_MS);
        quiet.then(|| UnixMs(at.0.saturating_add(left)))
    }

    /// How many messages may begin on the day of this time, where that is bounded.
    pub fn cap_of_day(&self, at: UnixMs, first_begun_at: Option<UnixMs>) -> Option<u64> {
        let usual = (self.per_day > 0).then_some(u64::from(self.per_day));
        let first_day = self.day_of(first_begun_at.unwrap_or(at));
        let days = self.day_of(at).since(first_day) / DAY_MS.unsigned_abs();
        if days >= u64::from(self.warm_up_days) {
            return usual;
        }
        let warm_up = u64::from(self.warm_up_per_day).saturating_mul(days + 1);
        Some(usual.map_or(warm_up, |usual| usual.min(warm_up)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-01-15 in UTC, at an hour and a minute.
    fn at(hour: i64, minute: i64) -> UnixMs {
        UnixMs(1_705_276_800_000 + (hour * 60 + minute) * MINUTE_MS)
    }

    #[test]
    fn quiet_hours_read_and_go_over_midnight() {
        let policy = |text: &str, utc_offset_min| Policy {
            quiet: QuietHours::parse(text),
            utc_offset_min,
            ..Policy::default()
        };
        let night = policy("22:00-07:00", 0);
        assert_eq!(night.quiet_until(at(21, 59)), None);
        assert_eq!(night.quiet_until(at(22, 0)), Some(at(31, 0)));
        assert_eq!(night.quiet_until(at(6, 59)), Some(at(7, 0)));
        assert_eq!(night.quiet_until(at(7, 0)), None);
        let noon = policy("12:00-13:30", 330);
        assert_eq!(noon.quiet_until(at(6, 30)), Some(at(8, 0)));
        assert_eq!(noon.quiet_until(at(8, 0)), None);
        for wrong in [
            "",
            "22-7",
            "22:00-22:00",
            "24:00-07:00",
            "2:00-07:00",
            "22:00",
            "+2:00-07:00",
        ] {
            assert_eq!(QuietHours::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_begin_where_their_owner_lives() {
        for (text, offset) in [
            ("+05:30", 330),
            ("-03:00", -180),
            ("+00:00", 0),
            ("+14:00", 840),
        ] {
            assert_eq!(Policy::parse_offset(text), Some(offset), "{text}");
        }
        for wrong in ["05:30", "+5:30", "+05:31", "+15:00", "-12:15", "UTC", ""] {
            assert_eq!(Policy::parse_offset(wrong), None, "{wrong}");
        }
        let there = Policy {
            utc_offset_min: 330,
            ..Policy::default()
        };
        assert_eq!(
            there.day_of(at(18, 29)),
            UnixMs(at(0, 0).0 - 330 * MINUTE_MS)
        );
        assert_eq!(there.day_of(at(18, 30)), at(18, 30));
        assert_eq!(there.next_day(at(18, 29)), at(18, 30));
    }

    #[test]
    fn a_new_account_begins_with_little() {
        let policy = Policy {
            per_day: 50,
            warm_up_per_day: 20,
            warm_up_days: 7,
            ..Policy::default()
        };
        let day = |n: i64| UnixMs(at(9, 0).0 + n * DAY_MS);
        let first = Some(at(23, 0));
        assert_eq!(policy.cap_of_day(day(0), None), Some(20));
        let caps: Vec<_> = (0..8).map(|n| policy.cap_of_day(day(n), first)).collect();
        let expected = [20, 40, 50, 50, 50, 50, 50, 50].map(Some);
        assert_eq!(caps, expected);
        let uncapped = Policy {
            per_day: 0,
            ..policy
        };
        assert_eq!(uncapped.cap_of_day(day(6), first), Some(140));
        assert_eq!(uncapped.cap_of_day(day(7), first), None);
    }
}
