//! Takes out of a text what belongs to people: numbers, chat ids, mail
//! addresses, secrets, message bodies, names in home paths.
//!
//! Meant for evidence in logs and incidents: where in doubt it takes too much.

use super::text::head;

/// Keys whose value is a secret.
const SECRET_KEYS: &[&str] = &[
    "token",
    "access_token",
    "refresh_token",
    "authtoken",
    "auth_token",
    "apikey",
    "api_key",
    "x-api-key",
    "api-key",
    "password",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "pairing_code",
    "pairingcode",
    "cookie",
    "mediakey",
    "noisekey",
    "identitykey",
    "advsecretkey",
];

/// Keys whose value is what somebody wrote. `message` and `error` are not
/// among them: their value is the evidence.
const BODY_KEYS: &[&str] = &[
    "body",
    "caption",
    "conversation",
    "text",
    "content",
    "pushname",
    "push_name",
    "notifyname",
    "formattedname",
    "displayname",
    "firstname",
    "lastname",
];

/// Words after which a secret follows without a separator.
const SCHEMES: &[&str] = &["bearer", "basic"];

/// What follows the `@` of a chat id.
const CHAT_SERVERS: &[&str] = &[
    "c.us",
    "s.whatsapp.net",
    "lid",
    "g.us",
    "newsletter",
    "broadcast",
    "hosted.lid",
    "hosted",
];

/// Folders that hold one folder for each person.
const HOMES: &[&str] = &["/home/", "/Users/", "\\Users\\"];

/// No number that people call has fewer digits.
const NUMBER_DIGITS: usize = 7;
/// Numbers written in groups are told from dates and versions by this many.
const GROUPED_DIGITS: usize = 9;
/// Shorter runs of letters and digits are words, not keys.
const TOKEN_CHARS: usize = 32;

/// Masks personal data in the first 64 KiB of a text; the rest is dropped.
///
/// Phone numbers become `<number>`, chat ids `<chat>`, mail addresses
/// `<mail>`, secrets and long keys `<secret>`, quoted bodies and names
/// `<text>`, and a home folder becomes `~`. Linear in the text's length.
pub fn redact(text: &str) -> String {
    let text = head(text, super::text::LOOKED_AT_BYTES);
    let text = values(text);
    let text = homes(&text);
    let text = addresses(&text);
    runs(&text)
}

/// Masks the values of telling keys: `"body":"..."`, `token=...`, `Bearer ...`.
fn values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        out.push_str(word);
        rest = after;
        let Some((skipped, value, mask)) = value_of(word, after) else {
            continue;
        };
        if let (Some(between), Some(behind)) = (after.get(..skipped), after.get(skipped + value..))
        {
            out.push_str(between);
            out.push_str(mask);
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

/// Where the value of a key lies in what follows it: bytes to skip, bytes to
/// mask, and the mask.
fn value_of(word: &str, after: &str) -> Option<(usize, usize, &'static str)> {
    let word = word.to_ascii_lowercase();
    let word = word.as_str();
    if SCHEMES.contains(&word) {
        let value = after.strip_prefix(' ')?;
        let end = value
            .find([' ', '"', '\'', ',', '\n', '}'])
            .unwrap_or(value.len());
        return (end >= 8).then_some((1, end, "<secret>"));
    }
    let secret = SECRET_KEYS.contains(&word);
    if !secret && !BODY_KEYS.contains(&word) {
        return None;
    }
    let closing = after.len() - after.trim_start_matches(['\\', '"', '\'', ' ']).len();
    let separated = after.get(closing..)?;
    let separator = separated.chars().next()?;
    if separator != ':' && (separator != '=' || word == "text" || word == "content") {
        return None;
    }
    let value = separated.get(1..)?;
    let opened = value.trim_start_matches(' ');
    let spaces = value.len() - opened.len();
    let unescaped = opened.trim_start_matches('\\');
    let slashes = opened.len() - unescaped.len();
    let quote = unescaped
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\'' | '`'));
    match quote {
        Some(quote) => {
            let inner = unescaped.get(1..)?;
            let end = closing_quote(inner, quote, slashes > 0);
            let mask = if secret { "<secret>" } else { "<text>" };
            Some((closing + 1 + spaces + slashes + 1, end, mask))
        }
        // A bare value is a secret only where the key says so; `text: bad-request` stays.
        None if secret => {
            let end = opened
                .find([' ', ',', ';', '&', '"', '\'', '}', ')', '\n'])
                .unwrap_or(opened.len());
            (end > 0).then_some((closing + 1 + spaces, end, "<secret>"))
        }
        None => None,
    }
}

/// Where a quoted value ends. In a text that was escaped as a whole the next
/// quote ends it; else one that no backslash precedes.
fn closing_quote(inner: &str, quote: char, escaped: bool) -> usize {
    let mut slash = false;
    for (at, c) in inner.char_indices() {
        if c == quote && (escaped || !slash) {
            return if slash { at - 1 } else { at };
        }
        slash = c == '\\' && !slash;
    }
    inner.len()
}

/// `/home/anna/x` becomes `~/x`.
fn homes(text: &str) -> String {
    let mut out = text.to_owned();
    for home in HOMES {
        let mut from = std::mem::take(&mut out);
        let mut rest = from.as_str();
        while let Some((before, after)) = rest.split_once(home) {
            let end = after
                .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-')))
                .unwrap_or(after.len());
            out.push_str(before);
            // On Windows a drive stands before it.
            out.push('~');
            rest = after.get(end..).unwrap_or_default();
        }
        out.push_str(rest);
        from.clear();
    }
    out
}

/// Masks what stands around an `@`: chat ids and mail addresses.
fn addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        out.push_str(before);
        let lower = head(after, 16).to_ascii_lowercase();
        let server = CHAT_SERVERS.iter().find(|server| {
            lower.strip_prefix(**server).is_some_and(|tail| {
                !tail.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
            })
        });
        let local = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-' | ':');
        let kept = out.trim_end_matches(local).len();
        if let Some(server) = server {
            out.truncate(kept);
            out.push_str("<chat>");
            rest = after.get(server.len()..).unwrap_or_default();
        } else if kept < out.len() && mail_domain(after) > 0 {
            out.truncate(kept);
            out.push_str("<mail>");
            rest = after.get(mail_domain(after)..).unwrap_or_default();
        } else {
            out.push('@');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The length of a host name with a dot and a top level of letters, or 0.
fn mail_domain(after: &str) -> usize {
    let end = after
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
        .unwrap_or(after.len());
    let domain = after.get(..end).unwrap_or_default().trim_end_matches('.');
    let top = domain.rsplit_once('.').map_or("", |(_, top)| top);
    if top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic()) {
        domain.len()
    } else {
        0
    }
}

/// Masks long keys and numbers.
fn runs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // While more bytes than this are left we are in a run that is no key. Then
    // none of its tails is one, and looking at each would take the square of
    // its length.
    let mut keyless = text.len();
    while let Some(c) = rest.chars().next() {
        let key = if rest.len() > keyless {
            ""
        } else {
            run(rest, |c| {
                c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '=')
            })
        };
        if !key.is_empty() {
            keyless = rest.len() - key.len();
        }
        let digits = number(rest);
        let (taken, mask) = if key.len() >= TOKEN_CHARS
            && key.contains(|c: char| c.is_ascii_digit())
            && key.contains(|c: char| c.is_ascii_alphabetic())
        {
            (key.len(), Some("<secret>"))
        } else if digits > 0 {
            (digits, Some("<number>"))
        } else {
            // On to the next place where something may begin.
            let same = |x: char| x.is_ascii_alphanumeric();
            let word = run(rest, same).len();
            (if word > 0 { word } else { c.len_utf8() }, None)
        };
        match mask {
            Some(mask) => out.push_str(mask),
            None => out.push_str(rest.get(..taken).unwrap_or_default()),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

fn run(text: &str, of: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c: char| !of(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The length of the phone number that a text begins with, or 0.
fn number(text: &str) -> usize {
    let plain = run(text, |c| c.is_ascii_digit());
    if plain.len() >= NUMBER_DIGITS {
        return plain.len();
    }
    let plus = text.starts_with('+');
    if !plus && plain.is_empty() && !text.starts_with('(') {
        return 0;
    }
    // Groups of digits with one space, dash, dot or bracket between them.
    let (mut digits, mut end, mut gap) = (0, 0, 0);
    for (at, c) in text.char_indices().take(24) {
        match c {
            '0'..='9' => {
                digits += 1;
                end = at + 1;
                gap = 0;
            }
            '+' if at == 0 => {}
            ' ' | '-' | '(' | ')' if gap < 2 => gap += 1,
            _ => break,
        }
    }
    let needed = if plus { NUMBER_DIGITS } else { GROUPED_DIGITS };
    if digits >= needed && !is_date(text) {
        end
    } else {
        0
    }
}

/// `2024-01-15`, as logs begin with.
fn is_date(text: &str) -> bool {
    let mut parts = head(text, 10).split('-');
    let mut is = |len: usize| {
        parts
            .next()
            .is_some_and(|part| part.len() == len && part.bytes().all(|b| b.is_ascii_digit()))
    };
    is(4) && is(2) && is(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_what_belongs_to_people() {
        for (text, masked) in [
            ("to 4915112345678@c.us failed", "to <chat> failed"),
            ("jid 123456789-1600000000@g.us", "jid <chat>"),
            ("false_12345@lid_3EB0AA", "<chat>_3EB0AA"),
            ("call +49 (151) 123-45678 now", "call <number> now"),
            ("number 4915112345678.", "number <number>."),
            ("11 98765-4321", "<number>"),
            ("mail anna.b@example.org, thanks", "mail <mail>, thanks"),
            (
                "Authorization: Bearer abcdef0123456789",
                "Authorization: Bearer <secret>",
            ),
            ("?token=s3cr3t&x=1", "?token=<secret>&x=1"),
            (
                r#"{"password":"a b","n":1}"#,
                r#"{"password":"<secret>","n":1}"#,
            ),
            (
                r#"{"body":"hi \"you\" there","id":1}"#,
                r#"{"body":"<text>","id":1}"#,
            ),
            (
                r#"{\"caption\":\"hello\",\"x\":2}"#,
                r#"{\"caption\":\"<text>\",\"x\":2}"#,
            ),
            (
                "open '/home/anna/wa/SingletonLock'",
                "open '~/wa/SingletonLock'",
            ),
            (r"C:\Users\Anna\x", r"C:~\x"),
            ("key 0123456789abcdef0123456789abcdef.", "key <secret>."),
        ] {
            assert_eq!(redact(text), masked);
        }
    }

    #[test]
    fn leaves_the_evidence() {
        for text in [
            "Error: Protocol error (Runtime.callFunctionOn): Target closed.",
            "[1015/195510.670960:ERROR:zygote_host_impl_linux.cc(89)] no sandbox",
            r#"{"success":false,"message":"session closed"}"#,
            "2024-01-15 10:30:00 net::ERR_TIMED_OUT at https://web.whatsapp.com",
            "puppeteer-core@24.1.0 and @wppconnect/wa-js",
            "info query returned status 400: text: bad-request",
            "",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn the_length_is_bounded() {
        assert!(redact(&"x".repeat(200_000)).len() <= 64 * 1024);
    }
}
