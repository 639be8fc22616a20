//! What others send to us.

use crate::ids::{ChatId, WaMessageId};
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// One message that reached this account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// The sender's id of it; with the chat it is unique.
    pub wa_message_id: WaMessageId,
    /// The chat that it stands in.
    pub chat: ChatId,
    /// Who wrote it: the chat itself, or a member of a group.
    pub sender: ChatId,
    /// True where this account wrote it on another device.
    pub from_me: bool,
    /// WhatsApp's name for its kind: `chat`, `image`, `ptt`, ...
    pub kind: String,
    /// The text or caption; empty where there is none.
    pub text: String,
    /// When the sender sent it.
    pub sent_at: UnixMs,
    /// True where it was fetched after a recovery instead of pushed live.
    pub recovered: bool,
}
