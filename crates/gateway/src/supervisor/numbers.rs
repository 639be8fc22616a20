//! Which numbers have WhatsApp, remembered for a while: asking about many
//! numbers again and again is what gets accounts restricted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use steadfast_core::ids::{ChatId, SessionId};
use steadfast_core::time::MonoMs;

/// Answers that are remembered; beyond it all are forgotten, and asked for again.
const MOST: usize = 10_000;
/// A number that is not on WhatsApp may be so a minute later.
const NO_KEPT: Duration = Duration::from_mins(1);

/// The chat id of a number, or that it has none.
type Found = Option<ChatId>;

/// What WhatsApp has said about numbers. By session, since the chat id may
/// differ between accounts.
#[derive(Debug)]
pub(super) struct Numbers {
    keep: Duration,
    known: Mutex<HashMap<(SessionId, ChatId), (Found, MonoMs)>>,
}

impl Numbers {
    /// Remembers a yes for `keep`, a no for a minute at most.
    pub(super) fn new(keep: Duration) -> Self {
        Self {
            keep,
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(SessionId, ChatId), (Found, MonoMs)>> {
        // Each entry is whole: a panic elsewhere spoils nothing here.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a number now.
    pub(super) fn get(&self, session: &SessionId, number: &ChatId, now: MonoMs) -> Option<Found> {
        let known = self.lock();
        let (found, until) = known.get(&(session.clone(), number.clone()))?;
        (*until > now).then(|| found.clone())
    }

    /// Remembers what WhatsApp said.
    pub(super) fn put(
        &self,
        session: &SessionId,
        number: &ChatId,
        found: Option<&ChatId>,
        now: MonoMs,
    ) {
        let keep = if found.is_some() {
            self.keep
        } else {
            self.keep.min(NO_KEPT)
        };
        if keep.is_zero() {
            return;
        }
        let mut known = self.lock();
        if known.len() >= MOST {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() >= MOST {
            known.clear();
        }
        let until = MonoMs(
            now.0
                .saturating_add(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)),
        );
        known.insert((session.clone(), number.clone()), (found.cloned(), until));
    }

    /// The session is gone.
    pub(super) fn forget(&self, session: &SessionId) {
        self.lock().retain(|(of, _), _| of != session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionId {
        SessionId::parse("default").unwrap()
    }

    fn number(n: usize) -> ChatId {
        ChatId::parse(&format!("{}", 4_915_100_000_000 + n)).unwrap()
    }

    #[test]
    fn a_yes_is_kept_longer_than_a_no() {
        let numbers = Numbers::new(Duration::from_hours(1));
        let (yes, no) = (number(1), number(2));
        numbers.put(&session(), &yes, Some(&yes), MonoMs(0));
        numbers.put(&session(), &no, None, MonoMs(0));
        assert_eq!(numbers.get(&session(), &no, MonoMs(59_999)), Some(None));
        assert_eq!(numbers.get(&session(), &no, MonoMs(60_000)), None);
        assert!(numbers.get(&session(), &yes, MonoMs(3_599_999)).is_some());
        assert_eq!(numbers.get(&session(), &yes, MonoMs(3_600_000)), None);
        let other = SessionId::parse("other").unwrap();
        assert_eq!(numbers.get(&other, &yes, MonoMs(1)), None);
        numbers.forget(&session());
        assert_eq!(numbers.get(&session(), &yes, MonoMs(1)), None);
    }

    #[test]
    fn nothing_is_kept_where_that_is_wished_and_never_too_much() {
        let none = Numbers::new(Duration::ZERO);
        none.put(&session(), &number(1), None, MonoMs(0));
        assert_eq!(none.get(&session(), &number(1), MonoMs(0)), None);
        let numbers = Numbers::new(Duration::from_hours(1));
        for n in 0..=MOST {
            numbers.put(&session(), &number(n), Some(&number(n)), MonoMs(0));
        }
        assert_eq!(numbers.lock().len(), 1);
    }
}
