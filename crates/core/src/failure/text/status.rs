//! Numbers by which WhatsApp's server ends or refuses a connection.
//!
//! Sources: Baileys' `DisconnectReason` and whatsmeow's
//! `ConnectFailureReason`, which give the same numbers to the same facts. A
//! number means this only where the text speaks of the connection: the same
//! `403` on one group is that group's affair.

use super::super::verdict::{Handed, Verdict};
use super::super::{Kind, Operation as Op, Rung};
use super::fold::Folded;
use super::rule::Match;

/// Words that say that the text is about the connection.
const CONNECTION: &[&str] = &[
    "connection",
    "connect failure",
    "connect_failure",
    "stream",
    "disconnect",
    "reconnect",
    "logged out",
    "loggedout",
    "failure reason",
    "statusreason",
    "\"location\"",
    "\"close\"",
    "'close'",
    "desconect",
    "conex",
    "koneksi",
    "verbindung",
    "connexion",
    "connession",
    "соединени",
    "подключени",
    "bağlantı",
    "连接",
    "<failure",
    "banned",
    "socket closed",
];

/// Words that say that it is about one request, or about another server.
const ELSEWHERE: &[&str] = &[
    "nack",
    "server returned error",
    "info query",
    "upload",
    "download",
    "proxy",
    "devtools",
    "=cdp",
    "chrome not connected",
    "browser not connected",
    "groupmetadata",
    "qr refs",
    "badsession",
    "from another location",
    "device_removed",
];

/// Reads the number of a closed or refused connection.
pub(super) fn read(text: &Folded, operation: Option<Op>) -> Option<Match> {
    let login = operation == Some(Op::Auth) && text.says("login|log in|logging in|authenticat");
    let spoken_of =
        login || CONNECTION.iter().any(|x| text.says(x)) || opens_with_it(text.as_str(), operation);
    if !spoken_of || ELSEWHERE.iter().any(|x| text.says(x)) {
        return None;
    }
    let banned_for = opens_with_it(text.as_str(), operation)
        .then(|| why_banned(text.as_str()))
        .flatten();
    banned_for
        .or_else(|| numbers(text.as_str()).find_map(meaning))
        .map(|verdict| Match {
            concept: "the number of a closed connection",
            verdict,
        })
}

/// `402: temporarily banned`, `403 (access denied)`: of a login or an event, a
/// text that opens with a number speaks of the connection.
fn opens_with_it(text: &str, operation: Option<Op>) -> bool {
    matches!(operation, Some(Op::Auth | Op::Listen))
        && text.bytes().take_while(u8::is_ascii_digit).count() == 3
        && text
            .get(3..)
            .is_some_and(|rest| rest.starts_with([':', ' ']))
}

/// Why an account was banned for a while: 101 to 106 in whatsmeow's table.
fn why_banned(text: &str) -> Option<Verdict> {
    let number = text.get(..3)?.parse().ok()?;
    let reason = text.as_bytes().get(3) == Some(&b':') && (101..=106_u16).contains(&number);
    reason.then(|| Verdict::of(Kind::BannedOrRestricted))
}

fn meaning(number: u16) -> Option<Verdict> {
    let of = Verdict::of;
    Some(match number {
        // logged out; forced logout
        401 | 516 => of(Kind::AuthRequired),
        // temporarily banned; the primary device is gone or locked; banned
        402 | 403 | 406 => of(Kind::BannedOrRestricted),
        // the client is too old; its user agent is refused
        405 | 409 => of(Kind::WaIncompatible),
        // lost or timed out; the server ends; restart required, once after pairing
        408 | 501..=504 | 515 => of(Kind::NetworkDown),
        // multi-device mismatch
        411 => of(Kind::AuthFailed).rung(Rung::Operator),
        // the messenger's token expired, is invalid, is not found
        413..=415 => of(Kind::AuthFailed),
        // closed: found by the check of the open socket, before anything is written
        428 => of(Kind::NetworkDown).handed(Handed::Refused),
        // replaced by another connection of the same device
        440 => of(Kind::Conflict),
        _ => return None,
    })
}

/// Numbers of three digits that stand alone and are no place in a source file.
fn numbers(text: &str) -> impl Iterator<Item = u16> {
    let bytes = text.as_bytes();
    bytes
        .windows(3)
        .enumerate()
        .filter_map(move |(at, digits)| {
            let before = at.checked_sub(1).and_then(|i| bytes.get(i)).copied();
            let after = bytes.get(at + 3).copied();
            let joins = |c: Option<u8>| {
                c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.'))
            };
            let place = before == Some(b':') && matches!(after, Some(b':' | b')'));
            if joins(before) || joins(after) || place || !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            std::str::from_utf8(digits).ok()?.parse().ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<Kind> {
        read(&Folded::new(text), None).map(|found| found.verdict.kind)
    }

    #[test]
    fn a_number_counts_only_where_the_connection_is_spoken_of() {
        assert_eq!(kind("connection closed, code 440"), Some(Kind::Conflict));
        assert_eq!(
            kind("lastDisconnect: {statusCode:401}"),
            Some(Kind::AuthRequired)
        );
        assert_eq!(kind("403 on that group"), None);
        assert_eq!(kind("server returned error 403 on this connection"), None);
    }

    #[test]
    fn places_in_source_files_are_no_numbers() {
        assert_eq!(kind("connection closed at socket.js:401:20"), None);
        assert_eq!(kind("connection closed at socket.js:12:401)"), None);
        assert_eq!(kind("connection 14015"), None);
    }
}
