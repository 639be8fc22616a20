//! How a step is taken, given what still runs: a pure choice.

use steadfast_core::port::OpenStep;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrowserState {
    Gone,
    WithoutPage,
    WithPage,
}

/// What is to become of the profile before the browser starts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProfileStep {
    Keep,
    /// Keep it, and a copy of it: the browser has just closed it cleanly.
    KeepCopy,
    Restore,
    Fresh,
}

/// What is done to a page that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// Its script is ended.
    Terminate,
    /// It takes its link back.
    TakeOver,
}

/// How a step is taken, given what still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Keep the page, and do this to it first.
    Adopt(Before),
    /// Load WhatsApp Web anew in the same page.
    Load,
    /// Another page in the same browser. Also for a crashed page: opening a new one takes
    /// 66 ms, reviving the old one 97 (measured).
    NewPage,
    /// Another browser.
    Start(ProfileStep),
}

impl Way {
    pub(super) fn choose(step: OpenStep, runs: BrowserState) -> Self {
        match (step, runs) {
            (OpenStep::Secure, _) => Self::Start(ProfileStep::KeepCopy),
            (OpenStep::RestoreProfile, _) => Self::Start(ProfileStep::Restore),
            (OpenStep::FreshProfile, _) => Self::Start(ProfileStep::Fresh),
            (OpenStep::RestartBrowser, _)
            | (
                OpenStep::Launch
                | OpenStep::TerminateScript
                | OpenStep::TakeOver
                | OpenStep::Reload
                | OpenStep::NewPage,
                BrowserState::Gone,
            ) => Self::Start(ProfileStep::Keep),
            (OpenStep::NewPage, BrowserState::WithPage)
            | (
                OpenStep::Launch
                | OpenStep::TerminateScript
                | OpenStep::TakeOver
                | OpenStep::Reload
                | OpenStep::NewPage,
                BrowserState::WithoutPage,
            ) => Self::NewPage,
            (OpenStep::Launch, BrowserState::WithPage) => Self::Adopt(Before::Nothing),
            (OpenStep::TerminateScript, BrowserState::WithPage) => Self::Adopt(Before::Terminate),
            (OpenStep::TakeOver, BrowserState::WithPage) => Self::Adopt(Before::TakeOver),
            (OpenStep::Reload, BrowserState::WithPage) => Self::Load,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_uses_what_still_runs_and_starts_what_does_not() {
        use BrowserState::{Gone, WithPage, WithoutPage};
        let keep = Way::Start(ProfileStep::Keep);
        for (step, gone, without, with) in [
            (
                OpenStep::Launch,
                keep,
                Way::NewPage,
                Way::Adopt(Before::Nothing),
            ),
            (
                OpenStep::TerminateScript,
                keep,
                Way::NewPage,
                Way::Adopt(Before::Terminate),
            ),
            (
                OpenStep::TakeOver,
                keep,
                Way::NewPage,
                Way::Adopt(Before::TakeOver),
            ),
            (OpenStep::Reload, keep, Way::NewPage, Way::Load),
            (OpenStep::NewPage, keep, Way::NewPage, Way::NewPage),
            (OpenStep::RestartBrowser, keep, keep, keep),
        ] {
            assert_eq!(Way::choose(step, Gone), gone, "{step:?}");
            assert_eq!(Way::choose(step, WithoutPage), without, "{step:?}");
            assert_eq!(Way::choose(step, WithPage), with, "{step:?}");
        }
        assert_eq!(
            Way::choose(OpenStep::FreshProfile, WithPage),
            Way::Start(ProfileStep::Fresh)
        );
    }
}
