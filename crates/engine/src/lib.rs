//! Drives WhatsApp Web in Chromium: the browser implementation of the ports
//! `Connector` and `Engine`.
//!
//! Read in this order: [`BrowserConnector`] opens an epoch on a profile
//! (`connector`, `profile`), with our own scripts and wa-js in the page
//! (`script`, `page/*.js`). `watch` hears the page, `link` decides what is told,
//! by level (`phase`), `engine` answers the supervisor, `inbox` brings what
//! others wrote. Errors of all kinds meet in `conclude`.
//!
//! Three rules hold everywhere:
//! - The page's state is read by level. An event only says when to look.
//! - *Not sent* is said only of what surely was not handed over; all else that
//!   fails is *unknown*, to be looked up.
//! - Whatever belongs to an epoch that is over changes nothing.

mod conclude;
mod connector;
mod engine;
mod error;
mod files;
mod happenings;
mod inbox;
mod inject;
mod link;
mod memory;
mod options;
mod phase;
mod picture;
mod procmem;
mod profile;
mod retry;
mod script;
mod watch;
mod wire;

pub use connector::BrowserConnector;
pub use error::Error;
pub use inject::Injected;
pub use options::{Deadlines, EngineOptions};
pub use profile::{PortableError, ProfileBackup, backup_profile, pack_profile, unpack_profile};
pub use retry::{RetryPolicy, execute_with_retry, is_worth_retrying, send_with_retry};
pub use script::{WA_JS_LICENCE, WA_JS_NOTICES, WA_JS_VERSION};
pub use steadfast_cdp::{Binary, Flavor, UserAgent};
