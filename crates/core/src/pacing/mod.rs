//! How fast an account may send: protection of the account, not a tool for spam.
//!
//! WhatsApp restricts accounts that behave like machines: many messages at
//! once, at an even beat, at night, from a number that was silent yesterday.
//! A [`Pacer`] keeps an account within what its owner has configured, and
//! slows down by itself where WhatsApp asks for it. It cannot make unwanted
//! messages wanted: who writes to many strangers is banned at any pace.
//!
//! It reads no clock and draws no random number. What it must know after a
//! restart is a [`History`], which the store keeps.

mod history;
mod pacer;
mod policy;

pub use history::{History, QUARTER_MS, Quarter, quarter_of};
pub use pacer::{Held, Pacer, Permit, Turn};
pub use policy::{Exempt, Policy, QuietHours};
