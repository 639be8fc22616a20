//! Why an endpoint was not made, changed or tested.

use crate::clock::RandomError;
use crate::outgoing;
use steadfast_core::ids::WebhookId;
use steadfast_core::port::StoreError;

/// Why an endpoint was not made, changed or tested.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is none of this id.
    #[error("there is no webhook {0}")]
    Unknown(WebhookId),
    /// There are as many as may be.
    #[error("there are {0} webhooks already, as many as webhooks.max_endpoints allows")]
    TooMany(u32),
    /// A field does not fit.
    #[error("{0}: {1}")]
    Field(&'static str, String),
    /// The URL cannot be used, or leads where it must not.
    #[error(transparent)]
    Url(#[from] outgoing::Error),
    /// Its envelope cannot pack a test.
    #[error("{0}")]
    NotPacked(String),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}
