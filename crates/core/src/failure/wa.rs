//! What WhatsApp Web says of itself in typed form: states, logout reasons,
//! send results, negative acks.
//!
//! Names and numbers as @wppconnect/wa-js 4.6.0 declares them (`SOCKET_STATE`,
//! `StreamMode`, `LOGOUT_REASON_CODE`, `SendMsgResult`, `ACK`).

use super::verdict::{Handed, Verdict};
use super::{Kind, Rung};

/// A socket state or stream mode by its name, in any case. `None` where the
/// name is not one of a failure, or not known.
pub(super) fn named_state(name: &str) -> Option<Verdict> {
    let of = Verdict::of;
    Some(match name.to_ascii_uppercase().as_str() {
        // WhatsApp Web can be told to take over ("use here").
        "CONFLICT" => of(Kind::Conflict).rung(Rung::Reload),
        "UNPAIRED" => of(Kind::AuthRequired),
        // Codes were shown until WhatsApp stopped making new ones.
        "UNPAIRED_IDLE" => of(Kind::AuthRequired).rung(Rung::Operator),
        "TOS_BLOCK" | "SMB_TOS_BLOCK" => of(Kind::BannedOrRestricted),
        "PROXYBLOCK" => of(Kind::NetworkDown).rung(Rung::Operator),
        "DEPRECATED_VERSION" => of(Kind::WaIncompatible)
            .rung(Rung::Reload)
            .handed(Handed::Before),
        "UNLAUNCHED" => of(Kind::TransientContext).rung(Rung::Reload),
        "TIMEOUT" | "OFFLINE" | "DISCONNECTED" | "OPENING" | "PAIRING" | "RESUMING" => {
            of(Kind::NetworkDown)
        }
        _ => return None,
    })
}

/// Why a link ended, in the one word that libraries give for it
/// (`DisconnectReason` of Baileys, `disconnected` of whatsapp-web.js).
pub(super) fn named_reason(name: &str) -> Option<Verdict> {
    let of = Verdict::of;
    Some(match name {
        "replaced" | "conflict" | "connectionreplaced" | "connection_replaced" => {
            of(Kind::Conflict)
        }
        "logout" | "loggedout" | "logged_out" | "unpaired" | "navigation" | "device_removed" => {
            of(Kind::AuthRequired)
        }
        "banned" | "forbidden" | "tos_block" | "account_locked" => of(Kind::BannedOrRestricted),
        "badsession" | "bad_session" => of(Kind::ProfileCorrupt).rung(Rung::Relink),
        "multidevicemismatch" => of(Kind::AuthFailed).rung(Rung::Operator),
        "timedout" | "connectionlost" | "connectionclosed" | "restartrequired"
        | "unavailableservice" | "unavailable" | "network" => of(Kind::NetworkDown),
        _ => return None,
    })
}

/// The state that the probe found where it should have been CONNECTED.
pub(super) fn socket_state(name: &str) -> Verdict {
    named_state(name).unwrap_or_else(|| match name.to_ascii_uppercase().as_str() {
        "OPENING" | "PAIRING" | "RESUMING" | "SYNCING" | "CONNECTED" | "NORMAL" | "MAIN" => {
            Verdict::of(Kind::NetworkDown)
        }
        "QR" => Verdict::of(Kind::AuthRequired),
        _ => Verdict::of(Kind::Unknown),
    })
}

/// `post_logout=1&logout_reason=N`.
pub(super) fn logged_out(reason: Option<i64>) -> Verdict {
    match reason {
        // SYNC_FAIL, INITIAL_HISTORY_SYNC_TIMEOUT: it was linked, then gave up.
        Some(1 | 2) => Verdict::of(Kind::AuthFailed).handed(Handed::Everything),
        // ACCOUNT_LOCKED
        Some(3) => Verdict::of(Kind::BannedOrRestricted),
        // 0 is CLIENT_FATAL: the web client gave itself up.
        _ => Verdict::of(Kind::AuthRequired),
    }
}

/// `messageSendResult`, with or without its prefix `ERROR_`.
pub(super) fn send_result(result: &str) -> Verdict {
    let upper = result.to_ascii_uppercase();
    match upper.strip_prefix("ERROR_").unwrap_or(&upper) {
        // The page keeps it in its own outbox.
        "NETWORK" => Verdict::of(Kind::NetworkDown),
        // The upload comes before the send.
        "UPLOAD" => Verdict::of(Kind::MediaInvalid)
            .rung(Rung::Retry)
            .handed(Handed::Before),
        // EXPIRED, CANCELLED and UNKNOWN leave open how far it came.
        _ => Verdict::of(Kind::Unknown),
    }
}

/// An ack level below zero.
pub(super) fn ack_error(level: i64) -> Verdict {
    match level {
        // CONTENT_GONE, CONTENT_TOO_BIG, CONTENT_UNUPLOADABLE
        -5..=-3 => Verdict::of(Kind::MediaInvalid),
        // FAILED, EXPIRED, INACTIVE, MD_DOWNGRADE and what may come
        _ => Verdict::of(Kind::Unknown),
    }
}
