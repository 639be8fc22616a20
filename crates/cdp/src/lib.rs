//! A thin client of the Chrome DevTools Protocol over `--remote-debugging-pipe`.

mod binary;
mod browser;
mod error;
mod event;
mod options;
mod page;
pub mod reap;

pub use binary::{Binary, Flavor};
pub use browser::{Browser, Exit, Target, Version};
pub use error::{Error, LaunchError};
pub use event::{Context, PageEvent, PageEvents};
pub use options::{LaunchOptions, UserAgent};
pub use page::{Page, PageState};
