//! File names that strangers gave, made harmless.

/// The longest name that is kept, in characters; file systems take 255 bytes.
const MAX_CHARS: usize = 120;

/// The last part of a path, without anything that a terminal, a shell, a file
/// system or a header could stumble over. `None` where nothing is left.
pub fn harmless(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .map(|c| match c {
            '<' | '>' | ':' | '"' | '|' | '?' | '*' => '_',
            c => c,
        })
        .collect();
    let clean = clean.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let short = shorten(clean);
    (!short.is_empty()).then_some(short)
}

/// Cuts the middle out of a long name, so that its ending stays.
fn shorten(name: &str) -> String {
    let chars = name.chars().count();
    if chars <= MAX_CHARS {
        return name.to_owned();
    }
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending)
        .filter(|ending| ending.chars().count() <= 10);
    match ending {
        Some(ending) => {
            let room = MAX_CHARS - 1 - ending.chars().count();
            let stem: String = name.chars().take(room).collect();
            format!("{stem}.{ending}")
        }
        None => name.chars().take(MAX_CHARS).collect(),
    }
}

/// Marks that turn the direction of a text around, or take no room: a name
/// must not look like another one.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// The name in a `Content-Disposition` header, in either of its forms.
pub fn from_disposition(header: &str) -> Option<String> {
    let parameter = |name: &str| {
        header.split(';').skip(1).find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if let Some(value) = parameter("filename*") {
        let encoded = value.splitn(3, '\'').nth(2)?;
        return harmless(&percent_decoded(encoded));
    }
    harmless(parameter("filename")?.trim_matches('"'))
}

/// The name with which a URL's path ends.
pub fn from_path(path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    harmless(&percent_decoded(path.rsplit('/').next()?))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = (byte == b'%').then(|| {
            let mut ahead = rest.clone();
            let digits = [ahead.next()?, ahead.next()?];
            let number = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
            rest = ahead;
            Some(number)
        });
        bytes.push(decoded.flatten().unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_harmless() {
        for (given, kept) in [
            ("report.pdf", Some("report.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\tmp\\x.txt", Some("x.txt")),
            ("a\r\nSet-Cookie: x", Some("aSet-Cookie_ x")),
            ("invoice\u{202e}fdp.exe", Some("invoicefdp.exe")),
            ("..", None),
            ("", None),
            (" .hidden ", Some("hidden")),
            ("größe 👍.png", Some("größe 👍.png")),
        ] {
            assert_eq!(harmless(given).as_deref(), kept, "{given:?}");
        }
        let long = harmless(&format!("{}.jpeg", "x".repeat(500))).unwrap();
        assert_eq!(long.chars().count(), 120);
        assert_eq!(&long[115..], ".jpeg");
    }

    #[test]
    fn names_are_found_in_headers_and_paths() {
        let header = "attachment; filename=\"plain.txt\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.txt";
        assert_eq!(from_disposition(header).as_deref(), Some("größe.txt"));
        let header = "inline; filename=\"a b.pdf\"";
        assert_eq!(from_disposition(header).as_deref(), Some("a b.pdf"));
        assert_eq!(from_disposition("attachment"), None);
        assert_eq!(from_path("/x/y%20z.png?a=b").as_deref(), Some("y z.png"));
        assert_eq!(from_path("/x/"), None);
        assert_eq!(from_path("/%2e%2e%2f%zz").as_deref(), Some("%zz"));
    }
}
