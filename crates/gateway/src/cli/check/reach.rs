//! Whether WhatsApp's server answers from here, and what time it has.

use super::finding::Finding;
use crate::clock::wall_clock;
use crate::config::Config;
use crate::outgoing::Outgoing;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;

/// What the browser opens.
const SERVICE: &str = "https://web.whatsapp.com/";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks, and gives how many seconds the other side's clock is ahead of ours.
pub(super) async fn reach(config: &Config) -> (Finding, Option<i64>) {
    const NAME: &str = "reach";
    if let Some(place) = &config.browser.web_resolve {
        return (stand_in(NAME, place).await, None);
    }
    let asked = match Outgoing::new(&config.outgoing) {
        Ok(outgoing) => outgoing.date(SERVICE, PATIENCE).await,
        Err(error) => {
            let fix = "outgoing.ca_file names a PEM file of certificate authorities";
            return (Finding::fail(NAME, error.to_string(), fix), None);
        }
    };
    match asked {
        Ok(date) => {
            let offset = date.as_deref().and_then(|date| ahead(date, wall_clock()));
            let detail = format!("{SERVICE} answers");
            (Finding::ok(NAME, detail), offset)
        }
        Err(error) => (
            Finding::fail(
                NAME,
                format!("{SERVICE} does not answer: {error}"),
                "let this machine out to port 443 (curl -sSI https://web.whatsapp.com shows the same); sessions that go by a proxy of their own do not need it",
            ),
            None,
        ),
    }
}

/// What stands in for WhatsApp Web by `browser.web_resolve`.
async fn stand_in(name: &'static str, place: &str) -> Finding {
    match tokio::time::timeout(PATIENCE, TcpStream::connect(place)).await {
        Ok(Ok(_)) => Finding::ok(name, format!("{place} answers (browser.web_resolve)")),
        Ok(Err(error)) => Finding::fail(
            name,
            format!("{place} does not answer: {error}"),
            "start what browser.web_resolve names (steadfast simulator), or leave that key out",
        ),
        Err(_) => Finding::fail(
            name,
            format!("{place} does not answer"),
            "leave browser.web_resolve out",
        ),
    }
}

/// How many seconds a `Date` header (RFC 9110, 6.6.1) is ahead of a clock.
fn ahead(date: &str, now: SystemTime) -> Option<i64> {
    let theirs = httpdate::parse_http_date(date).ok()?;
    let seconds = |between: Duration| i64::try_from(between.as_secs()).unwrap_or(i64::MAX);
    Some(match theirs.duration_since(now) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    })
}

#[cfg(test)]
mod tests {
    use super::ahead;
    use std::time::{Duration, SystemTime};

    #[test]
    fn the_other_side_s_clock_is_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(ahead("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(0));
        assert_eq!(ahead("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(60));
        assert_eq!(ahead("Sun, 06 Nov 1994 08:49:07 GMT", now), Some(-30));
        assert_eq!(ahead("yesterday", now), None);
    }
}
