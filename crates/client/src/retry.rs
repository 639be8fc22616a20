//! Trying again what is safe to repeat.

use super::error::{Error, Transport};
use std::time::Duration;
use tokio::time::Instant;

/// The first wait between two tries, and the longest that is not asked for.
const PAUSE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// Tries until it is done, until it can never be, or until `patience` is over.
/// Between two tries it waits as long as the answer asks for, and at least for
/// a pause that doubles. What would end too late is not waited for.
pub(crate) async fn until_done<T, F>(
    patience: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let until = Instant::now() + patience;
    let (mut tries, mut in_doubt) = (0, false);
    let mut pause = PAUSE[0];
    loop {
        tries += 1;
        let last = match tokio::time::timeout_at(until, attempt()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error,
            Err(_) => Transport::Timeout(patience).into(),
        };
        in_doubt |= last.may_be_accepted();
        let wait = last.retry_after().unwrap_or_default().max(spread(pause));
        if last.is_retryable() && Instant::now() + wait < until {
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(PAUSE[1]);
            continue;
        }
        // The last word is the whole truth, unless an earlier try may have been taken.
        let whole = tries == 1 || last.may_be_accepted() == in_doubt;
        if whole && !last.is_retryable() {
            return Err(last);
        }
        return Err(Error::GaveUp {
            tries,
            may_be_accepted: in_doubt,
            last: Box::new(last),
        });
    }
}

/// Half of a pause to all of it, so that many clients do not come back at once.
fn spread(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness they come back at once: no reason to fail.
    let _ = getrandom::fill(&mut byte);
    pause / 2 + pause / 2 * u32::from(byte[0]) / 255
}
