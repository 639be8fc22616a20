//! What the outside must implement: what drives a link ([`engine`]), what
//! survives us ([`store`]), with who may do what ([`token`]) and who did it ([`audit`]);
//! how long what is over is kept ([`keeping`]); the log of what happens ([`events`]) and where it is pushed to ([`webhooks`]).

pub mod audit;
pub mod engine;
pub mod events;
pub mod keeping;
pub mod store;
pub mod token;
pub mod webhooks;

pub use audit::{AuditEntry, NewAudit};
pub use engine::{
    Capabilities, ChatSummary, Close, Connector, Engine, EngineEvent, EngineHealth, EventSink,
    FileSink, InboundRefused, LookupOutcome, OpenStep, PasskeyEnd, Phase, Picture, SendOutcome,
};
pub use events::{EventLog, EventPage, EventQuery, EventSpan, TrimEvents, Trimmed};
pub use keeping::{ForgetMessages, ForgottenMessages};
pub use store::{
    Accepted, BatchAccepted, IdempotencyKey, Incident, IncidentStep, KeptAnswer, MediaRecord,
    MessageQuery, OutboxDepth, Outcome, Quota, Recorded, SessionRecord, Store, StoreError,
    StoredInbound,
};
pub use token::{PreviousSecret, Rotation, Scope, TokenEnd, TokenRecord};
pub use webhooks::{
    Delivery, DeliveryAttempt, DeliveryCounts, DeliveryState, OldSecret, Replay, RetryPolicy,
    SecretText, Settled, StoredWebhook, WebhookRecord, WebhookState, WebhookStore,
};
