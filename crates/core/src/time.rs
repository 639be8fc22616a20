//! Points in time, as plain numbers that a caller passes in.

use serde::{Deserialize, Serialize};

/// Milliseconds on a clock that never goes back and knows no date.
///
/// Everything that waits, times out or backs off is measured with this one,
/// so that a jump of the wall clock changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonoMs(pub u64);

impl MonoMs {
    /// The point `ms` later; stays at the end of time instead of wrapping.
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`, zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds since 1970-01-01 UTC, by the wall clock.
///
/// For what people read and agree on: when a message was accepted, when it
/// expires. Never for measuring how long something took.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// The point `ms` later; stays at the end of time instead of wrapping.
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// Milliseconds since `earlier`, zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// RFC 3339 in UTC with milliseconds: `2024-01-15T10:30:00.000Z`.
    pub fn rfc3339(self) -> String {
        let days = self.0.div_euclid(86_400_000);
        let ms_of_day = self.0.rem_euclid(86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (h, rest) = (ms_of_day / 3_600_000, ms_of_day % 3_600_000);
        let (m, rest) = (rest / 60_000, rest % 60_000);
        let (s, ms) = (rest / 1000, rest % 1000);
        format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
    }

    /// Reads RFC 3339: a date and a time with `Z` or an offset, years 0000 to
    /// 9999. Digits of a second beyond the third are left out; a leap second
    /// counts as the second after. `None` where it is no such time.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let (year, month, day) = (
            digits(date.get(0..4)?)?,
            digits(date.get(5..7)?)?,
            digits(date.get(8..10)?)?,
        );
        let dashes = date.get(4..5)? == "-" && date.get(7..8)? == "-";
        let (clock, rest) = rest.split_at_checked(8)?;
        let (h, m, s) = (
            digits(clock.get(0..2)?)?,
            digits(clock.get(3..5)?)?,
            digits(clock.get(6..8)?)?,
        );
        let colons = clock.get(2..3)? == ":" && clock.get(5..6)? == ":";
        let valid = dashes
            && colons
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && h < 24
            && m < 60
            && s <= 60;
        if !valid {
            return None;
        }
        let (ms, rest) = match rest.strip_prefix('.') {
            None => (0, rest),
            Some(rest) => {
                let end = rest.find(|c: char| !c.is_ascii_digit())?;
                let (fraction, rest) = rest.split_at(end);
                (milliseconds(fraction)?, rest)
            }
        };
        let offset_ms = offset_ms(rest)?;
        let days = days_from_civil(year, month, day);
        let of_day = ((h * 60 + m) * 60 + s) * 1_000 + ms;
        Some(Self(days * 86_400_000 + of_day - offset_ms))
    }
}

fn digits(text: &str) -> Option<i64> {
    let all = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

fn milliseconds(fraction: &str) -> Option<i64> {
    let first = fraction.get(..3).unwrap_or(fraction);
    Some(digits(first)? * [100, 10, 1][first.len() - 1])
}

/// `Z`, or `+01:00`, in milliseconds east of UTC.
fn offset_ms(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.get(0..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (h, m) = text.get(1..)?.split_once(':')?;
    let valid = h.len() == 2 && m.len() == 2;
    let (h, m) = (digits(h)?, digits(m)?);
    (valid && h < 24 && m < 60).then_some(sign * (h * 60 + m) * 60_000)
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A date of the proleptic Gregorian calendar to days since 1970-01-01: the
/// inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Days since 1970-01-01 to a date of the proleptic Gregorian calendar.
///
/// The era is 400 years, which start on 1 March, so that the leap day is last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_people_write_them() {
        assert_eq!(UnixMs(0).rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            UnixMs(1_705_314_600_000).rfc3339(),
            "2024-01-15T10:30:00.000Z"
        );
        assert_eq!(
            UnixMs(951_827_696_789).rfc3339(),
            "2000-02-29T12:34:56.789Z"
        );
        assert_eq!(UnixMs(-1).rfc3339(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_is_written_reads_back() {
        for ms in [
            0,
            -1,
            1_705_314_600_000,
            951_827_696_789,
            951_782_400_000,
            -62_167_219_200_000,
            253_402_300_799_999,
        ] {
            assert_eq!(
                UnixMs::parse_rfc3339(&UnixMs(ms).rfc3339()),
                Some(UnixMs(ms))
            );
        }
        for text in [
            "2024-01-15T10:30:00Z",
            "2024-01-15t10:30:00.0z",
            "2024-01-15 11:30:00+01:00",
            "2024-01-14T23:00:00.000999-11:30",
        ] {
            assert_eq!(
                UnixMs::parse_rfc3339(text),
                Some(UnixMs(1_705_314_600_000)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2024-01-15",
            "2024-01-15T10:30:00",
            "2024-01-15T10:30Z",
            "2024-02-30T10:30:00Z",
            "2023-02-29T10:30:00Z",
            "2024-13-01T10:30:00Z",
            "2024-01-15T24:00:00Z",
            "2024-01-15T10:30:00.Z",
            "2024-01-15T10:30:00.5",
            "2024-01-15T10:30:00+1:00",
            "2024-01-15T10:30:00+01",
            "2024-01-15T10:30:00Zz",
            "+024-01-15T10:30:00Z",
            "2024/01/15T10:30:00Z",
            "２024-01-15T10:30:00Z",
            "1705314600000",
        ] {
            assert_eq!(UnixMs::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn elapsed_never_wraps() {
        assert_eq!(UnixMs(5).since(UnixMs(9)), 0);
        assert_eq!(MonoMs(5).since(MonoMs(9)), 0);
        assert_eq!(MonoMs(u64::MAX).plus(1), MonoMs(u64::MAX));
    }
}
