//! A thin client of the Chrome DevTools Protocol over `--remote-debugging-pipe`.
//!
//! It starts a Chromium, speaks to it over a pipe that no other process can
//! reach, and tells at once and by type when a page, its document or the
//! browser dies: no call outlives what it was addressed to, and none waits
//! longer than its deadline. It knows the twenty or so methods and events that
//! this needs; all others pass through [`Page::call`] or are passed over.
//!
//! Read in order: [`Binary`] finds the browser, [`LaunchOptions`] says how to
//! start it, [`Browser`] is the running process, [`Page`] one session on one
//! page, [`PageEvents`] what the page tells, [`Error`] what can go wrong, and
//! [`reap`] what to do at the start about what an earlier owner left behind.
//!
//! Every queue has a bound: 1,024 commands (or 128 MiB) that wait to be
//! written and 8,192 calls that wait for an answer ([`Error::Overloaded`],
//! nothing written), 1,024 events or 8 MiB a receiver ([`PageEvent::Lagged`]),
//! 64 MiB a command ([`Error::TooLarge`]), 256 MiB a message from the browser
//! (beyond it the connection ends), 16 KiB of stderr.

mod binary;
mod browser;
mod connection;
mod deadline;
mod error;
mod event;
pub mod flags;
mod frame;
mod options;
mod page;
mod process;
mod procfs;
pub mod reap;
mod session;
pub mod storage;
mod wire;

pub use binary::{Binary, Flavor};
pub use browser::{Browser, Exit, Target, Version};
pub use error::{EXIT_PROFILE_IN_USE, Error, LaunchError};
pub use event::{Context, PageEvent, PageEvents};
pub use options::{LaunchOptions, UserAgent};
pub use page::{Page, PageState};
pub use wire::read_text;
