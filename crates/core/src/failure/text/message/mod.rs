//! What is one message's or one request's own fault, and rate limits.
//!
//! Sources: the error codes of @wppconnect/wa-js and whatsapp-web.js, the
//! info-query errors of whatsmeow, WhatsApp's negative acks and nack codes.

mod media;
mod often;
mod recipient;
mod request;

use super::super::verdict::Handed;
use super::super::{Kind, Operation as Op, Rung};
use super::rule::{Rule, rule};

const SENDING: &[Op] = &[Op::Send, Op::SendMedia];
const ASKING: &[Op] = &[Op::Send, Op::SendMedia, Op::Evaluate, Op::Lookup];

/// In the order in which they are asked.
pub(super) const TABLES: &[&[Rule]] = &[
    KEYS,
    often::RULES,
    recipient::RULES,
    NACKS,
    media::RULES,
    request::RULES,
];

/// A program's own database, which has nothing to do with the message itself.
const DATABASES: &[&str] = &[
    "prisma",
    "sequelize",
    "typeorm",
    "queryfailederror",
    "mongoerror",
    "mongoservererror",
    "mongooseerror",
    "sqlstate",
    "sql logic error",
    "cannot start a transaction",
    "failed to begin transaction",
    "unique constraint",
    "foreign key constraint",
    "duplicate key value",
    "duplicate entry",
    "deadlock detected",
    "relation + does not exist + select|insert|update|sql",
    "column + does not exist",
    "mongoose",
    "cast to objectid failed",
    "too many clients already",
    "remaining connection slots",
];

/// The message had gone out: said before anything else can be.
pub(super) const AFTER: &[Rule] = &[
    rule(
        "it failed while it told of a success",
        Kind::Unknown,
        &[
            "reportsucceeded",
            "report succeeded",
            "successreporter",
            "sent successfully",
        ],
    )
    .rung(Rung::Operator)
    .handed(Handed::After),
    rule(
        "the gateway's own database failed beside a send: it writes before and after",
        Kind::Unknown,
        DATABASES,
    )
    .only(ASKING)
    .rung(Rung::Operator)
    .handed(Handed::ThisCall),
    rule(
        "the gateway's own code broke, before or after it sent",
        Kind::Unknown,
        &[
            "runtime error: ",
            "nil pointer dereference",
            "invalid memory address",
            "internal_server_error + index out of range",
        ],
    )
    .only(ASKING)
    .rung(Rung::Retry)
    .handed(Handed::ThisCall),
    rule(
        "the library of the keys broke, for one device of many or for all",
        Kind::Unknown,
        &[
            "libsignal|signalprotocol|session-record|session_record|session_cipher|session-cipher|session_builder|session-builder + typeerror|referenceerror|rangeerror|cannot read",
        ],
    )
    .only(ASKING)
    .handed(Handed::ThisCall),
    rule(
        "the page holds a message with this id already",
        Kind::Unknown,
        &["duplicatemessageerror", "duplicate message"],
    )
    .only(SENDING),
];

/// Signal's keys: a message that cannot be read or written for some device.
const KEYS: &[Rule] = &[
    rule(
        "a message to us could not be decrypted; its sender is asked again",
        Kind::Unknown,
        &[
            "failed to decrypt",
            "bad mac",
            "bad decrypt",
            "failure in decrypting",
            "could not decrypt|couldn't decrypt|cannot decrypt|can't decrypt|unable to decrypt|error decrypting + message|media",
            "mismatching mac",
            "no matching sessions found",
            "message absent from node",
            "key used already or never filled",
            "undecryptable",
        ],
    )
    .only(&[Op::Listen]),
    rule(
        "a message could not be encrypted, so it was not sent",
        Kind::Unknown,
        &[
            "sessionerror: no session",
            "no sessions + libsignal",
            "failed to encrypt group message",
        ],
    )
    .handed(Handed::Refused),
    rule(
        "one device of many could not be encrypted for; the others got the message",
        Kind::Unknown,
        &[
            "failed to encrypt",
            "can't encrypt message for device",
            "no signal session established",
            "failed to process prekey bundle",
            "failed to fetch prekey|invalid prekey in",
        ],
    )
    // What a vote or a comment is sealed with, and no device's key.
    .unless(&["message secret"])
    .handed(Handed::ThisCall),
];

/// WhatsApp's server took the stanza and did not like it.
const NACKS: &[Rule] = &[
    rule(
        "the server could not take the message just now",
        Kind::NetworkDown,
        &["nack|negative publish ack|server returned error|serverstatuscodeerror + =408|=500|=503"],
    ),
    rule(
        "the server refused the message itself",
        Kind::PermanentRequestError,
        &["=nack|publishnack|negative publish ack|server returned error"],
    ),
];
