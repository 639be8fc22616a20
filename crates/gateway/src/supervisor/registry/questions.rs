//! Questions to a page: in their turn, with a bound, and only where one can answer.

use super::super::view;
use super::{QUESTION_LIMIT, Supervisor};
use crate::sessions::SessionError;
use std::collections::BTreeMap;
use std::sync::Arc;
use steadfast_core::action::{Action, Answer};
use steadfast_core::ids::{ChatId, SessionId};
use steadfast_core::port::Engine;
use steadfast_core::session::State;

impl Supervisor {
    /// Puts one action to the page, in its turn.
    pub(super) async fn ask(
        &self,
        session: &SessionId,
        action: &Action,
    ) -> Result<Answer, SessionError> {
        let handle = self.handle(session)?;
        let engine = self.engine(session, "ready", is_ready)?;
        let question = async {
            // Never closed, so that there is always a turn to come.
            let _turn = handle.asking.acquire().await.ok();
            engine.perform(action).await
        };
        match asked(question).await? {
            Answer::Refused(why) => Err(SessionError::Refused(why)),
            answer => Ok(answer),
        }
    }

    /// Asks WhatsApp only about the numbers of which nothing is known.
    pub(super) async fn check_numbers(
        &self,
        session: &SessionId,
        numbers: Vec<ChatId>,
    ) -> Result<Answer, SessionError> {
        let (known, now) = (&self.shared.numbers, self.shared.clock.mono());
        self.handle(session)?;
        let mut found: BTreeMap<ChatId, Option<ChatId>> = BTreeMap::new();
        let mut unknown = Vec::new();
        for number in &numbers {
            match known.get(session, number, now) {
                Some(said) => {
                    found.insert(number.clone(), said);
                }
                None => unknown.push(number.clone()),
            }
        }
        if !unknown.is_empty() {
            let answer = self.ask(session, &Action::CheckNumbers(unknown)).await?;
            let Answer::Numbers(said) = answer else {
                return Err(SessionError::Unsupported("checking many numbers at once"));
            };
            for (number, id) in said {
                known.put(session, &number, id.as_ref(), now);
                found.insert(number, id);
            }
        }
        Ok(Answer::Numbers(
            numbers
                .into_iter()
                .map(|number| {
                    let id = found.get(&number).cloned().flatten();
                    (number, id)
                })
                .collect(),
        ))
    }

    /// The page, where it can be asked.
    pub(super) fn engine(
        &self,
        session: &SessionId,
        wanted: &'static str,
        suits: fn(&State) -> bool,
    ) -> Result<Arc<dyn Engine>, SessionError> {
        let handle = self.handle(session)?;
        let state = handle.snapshot().state;
        let engine = handle.engine.borrow().clone();
        match engine {
            Some(engine) if suits(&state) => Ok(engine),
            Some(_) | None => Err(SessionError::WrongState {
                state: view::state(&state),
                wanted,
            }),
        }
    }
}

/// Bounds a question to the page.
pub(super) async fn asked<T>(
    question: impl Future<Output = Result<T, steadfast_core::failure::Failure>>,
) -> Result<T, SessionError> {
    match tokio::time::timeout(QUESTION_LIMIT, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failure)) => Err(SessionError::Failed(Box::new(failure))),
        Err(_) => Err(SessionError::Timeout(
            u64::try_from(QUESTION_LIMIT.as_millis()).unwrap_or(u64::MAX),
        )),
    }
}

pub(super) fn is_ready(state: &State) -> bool {
    matches!(state, State::Ready { .. })
}

pub(super) fn is_linking(state: &State) -> bool {
    matches!(state, State::Linking { .. })
}
