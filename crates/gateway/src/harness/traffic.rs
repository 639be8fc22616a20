//! Accepts messages over HTTP, and remembers what was promised.

use super::HarnessError;
use super::client::Client;
use serde_json::json;
use std::time::Duration;

/// A message that the gateway has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The gateway's id.
    pub id: String,
    /// WhatsApp's id.
    pub wa_message_id: String,
    /// The chat, by number.
    pub chat: String,
    /// The text; no two are alike.
    pub text: String,
}

/// What became of an offer.
#[derive(Debug)]
pub enum Offer {
    /// It is on disk.
    Taken(Accepted),
    /// It was refused, and the gateway said so: nobody is owed anything.
    Refused(u16),
    /// No answer came: it may be on disk or not.
    Unanswered(String),
}

/// Offers one message with an idempotency key, and offers it again under the
/// same key until there is an answer, as a careful caller does.
pub async fn accept(
    client: impl AsyncFn() -> Option<Client>,
    chat: &str,
    text: &str,
    patience: Duration,
) -> Result<Offer, HarnessError> {
    let body = json!({"to": chat, "text": text});
    let path = format!("/v1/sessions/{}/messages", crate::app::DEFAULT_SESSION);
    let until = tokio::time::Instant::now() + patience;
    let mut last = "the gateway is down".to_owned();
    while tokio::time::Instant::now() < until {
        if let Some(client) = client().await {
            match client
                .post_once(&path, &body, text, Duration::from_secs(10))
                .await
            {
                Ok(answer) if answer.status == 202 => {
                    let field = |name: &str| answer.body[name].as_str().map(str::to_owned);
                    let (Some(id), Some(wa_message_id)) = (field("id"), field("wa_message_id"))
                    else {
                        return Err(HarnessError::Answer {
                            method: "POST",
                            path,
                            status: answer.status,
                            body: answer.body.to_string(),
                        });
                    };
                    return Ok(Offer::Taken(Accepted {
                        id,
                        wa_message_id,
                        chat: chat.to_owned(),
                        text: text.to_owned(),
                    }));
                }
                Ok(answer) if answer.status == 409 || answer.status >= 500 => {
                    last = answer.body.to_string();
                }
                Ok(answer) => return Ok(Offer::Refused(answer.status)),
                Err(error) => last = error.to_string(),
            }
        }
        // A caller's own pause before it asks again; nothing tells it when to.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(Offer::Unanswered(last))
}
