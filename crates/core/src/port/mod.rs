//! What the outside must implement: what drives a link ([`engine`]), what
//! survives us ([`store`]).

pub mod engine;
pub mod store;

pub use engine::{
    Capabilities, ChatSummary, Close, Connector, Engine, EngineEvent, EngineHealth, EventSink,
    FileSink, InboundRefused, LookupOutcome, OpenStep, Phase, SendOutcome,
};
pub use store::{
    Accepted, IdempotencyKey, Incident, IncidentStep, MessageQuery, OutboxDepth, Outcome, Recorded,
    Scope, SessionRecord, Store, StoreError, StoredInbound, TokenRecord,
};
