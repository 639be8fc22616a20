//! A WhatsApp that runs on one machine, for tests, demonstrations and chaos.
//!
//! [`world`] is the deterministic machine; [`Hub`] gives it time and
//! sockets; [`server`] shows it to a browser as web.whatsapp.com and
//! [`Control`] lets a test be the phone, the other people and fate (over HTTP
//! too: CONTROL.md). [`journal`] keeps all that happened, [`checker`] judges
//! it. [`scripted`] is an engine without a browser on the same world, and
//! [`contract`] is what every engine must keep. PROTOCOL.md is the wire
//! between the page and the server.

pub mod address;
mod authenticator;
pub mod checker;
pub mod contract;
mod control;
mod control_http;
mod error;
pub mod frames;
mod hub;
pub mod journal;
pub mod knobs;
pub mod phone;
mod playground;
mod rng;
pub mod scripted;
pub mod server;
mod simulator;
mod standalone;
pub mod world;

pub use authenticator::Authenticator;
pub use control::{Control, JournalPage};
pub use control_http::HEADER as CONTROL_HEADER;
pub use error::{Error, PhoneRefusal};
pub use hub::{Connection, Hub, Outbound};
pub use simulator::{SimConfig, Simulator};
pub use standalone::run_standalone;
