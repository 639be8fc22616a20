//! The client against a real Chromium, and against programs that only claim to be one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed scenario ends here; helpers are not inside #[test]"
)]

mod support;

mod browser_killed;
mod clean_close;
mod dialogs;
mod event_flood;
mod fake_browser;
mod hang;
mod headless_shell;
mod killed_profile;
mod large_messages;
mod launch_failures;
mod orphan;
mod owner_killed;
mod page_closed;
mod page_crash;
mod page_navigates;
mod page_reload;
mod parallel_calls;
mod renderer_killed;
mod stopped_browser;
mod user_agent;
