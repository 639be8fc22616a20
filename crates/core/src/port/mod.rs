//! What the outside must implement: what drives a link ([`engine`]), what
//! survives us ([`store`]), with who may do what ([`token`]) and who did it ([`audit`]).

pub mod audit;
pub mod engine;
pub mod store;
pub mod token;

pub use audit::{AuditEntry, NewAudit};
pub use engine::{
    Capabilities, ChatSummary, Close, Connector, Engine, EngineEvent, EngineHealth, EventSink,
    FileSink, InboundRefused, LookupOutcome, OpenStep, PasskeyEnd, Phase, SendOutcome,
};
pub use store::{
    Accepted, BatchAccepted, IdempotencyKey, Incident, IncidentStep, KeptAnswer, MessageQuery,
    OutboxDepth, Outcome, Quota, Recorded, SessionRecord, Store, StoreError, StoredInbound,
};
pub use token::{PreviousSecret, Rotation, Scope, TokenEnd, TokenRecord};
