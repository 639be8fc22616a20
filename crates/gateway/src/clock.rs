//! Where time and randomness come in. Everything else is handed them, so that
//! a test can hold both still.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use steadfast_core::time::{MonoMs, UnixMs};

/// The two clocks.
pub trait Clock: Send + Sync {
    /// The wall clock, for what people read and agree on.
    fn unix(&self) -> UnixMs;
    /// The clock that never goes back, for everything that is measured.
    fn mono(&self) -> MonoMs;
}

/// The environment variable that names a file with so many milliseconds by
/// which this process's wall clock is ahead of the machine's. For the chaos
/// harness alone, which must not set the machine's clock: nobody else sets it,
/// and without it nothing is read.
pub const AHEAD_FILE: &str = "STEADFAST_TEST_CLOCK_FILE";

/// The wall clock of this process: the machine's, or as far from it as the
/// chaos harness says.
pub fn wall_clock() -> SystemTime {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let right = SystemTime::now();
    let Some(file) = FILE.get_or_init(|| std::env::var_os(AHEAD_FILE).map(PathBuf::from)) else {
        return right;
    };
    // Where there is no file the clock is right.
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let ahead: i64 = text.trim().parse().unwrap_or_default();
    let by = Duration::from_millis(ahead.unsigned_abs());
    let wrong = if ahead < 0 {
        right.checked_sub(by)
    } else {
        right.checked_add(by)
    };
    wrong.unwrap_or(right)
}

/// The machine's clocks. The monotonic one counts from the first reading in
/// this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix(&self) -> UnixMs {
        // A clock before 1970 is a broken clock; ids and records still need a number.
        let since = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> MonoMs {
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        MonoMs(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The operating system could not give random bytes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct RandomError(String);

/// A source of unguessable bytes.
pub trait Random: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError>;
}

/// The operating system's source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        getrandom::fill(buffer).map_err(|e| RandomError(e.to_string()))
    }
}

/// `N` fresh random bytes.
pub fn random_bytes<const N: usize>(random: &dyn Random) -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}
