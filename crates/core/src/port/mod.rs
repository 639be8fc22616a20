//! What the outside must implement: what drives a link ([`engine`]), what
//! survives us ([`store`]).

pub mod engine;
pub mod store;

pub use engine::{
    Capabilities, ChatSummary, Close, Connector, Engine, EngineEvent, EngineHealth, EventSink,
    FileSink, InboundRefused, LookupOutcome, OpenStep, Phase, SendOutcome,
};
pub use store::{
    Accepted, BatchAccepted, IdempotencyKey, Incident, IncidentStep, KeptAnswer, MessageQuery,
    OutboxDepth, Outcome, Quota, Recorded, Scope, SessionRecord, Store, StoreError, StoredInbound,
    TokenRecord,
};
