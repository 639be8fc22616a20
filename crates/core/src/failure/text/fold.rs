//! Text made comparable: bounded, lower case, one space for any white space.

use std::borrow::Cow;

/// No more of a text than this is read. A stack trace or the tail of a
/// standard error fits many times over.
pub(in crate::failure) const LOOKED_AT_BYTES: usize = 64 * 1024;

/// A text as the rules see it.
#[derive(Debug)]
pub(super) struct Folded(String);

impl Folded {
    /// Folds a text. Escapes that JSON or a log has put in (`\"`, `\n`) are
    /// taken as what they stand for, typographic quotes as plain ones.
    pub(super) fn new(text: &str) -> Self {
        let text = head(text, LOOKED_AT_BYTES);
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let c = match (c, chars.peek()) {
                ('\\', Some('n' | 'r' | 't')) => {
                    chars.next();
                    ' '
                }
                ('\\', Some('"' | '\'' | '\\')) => continue,
                ('\u{2018}' | '\u{2019}', _) => '\'',
                ('\u{201c}' | '\u{201d}', _) => '"',
                (c, _) if c.is_whitespace() || c.is_control() => ' ',
                (c, _) if c.is_ascii() => c.to_ascii_lowercase(),
                (c, _) => c.to_lowercase().next().unwrap_or(c),
            };
            if c != ' ' || !out.ends_with(' ') {
                out.push(c);
            }
        }
        Self(out)
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.trim()
    }

    /// Whether one pattern is in the text. Parts joined by ` + ` must all be
    /// there, in any order; `|` stands between the words of which a part needs
    /// one; a word that starts with `=` must stand alone.
    pub(super) fn says(&self, pattern: &str) -> bool {
        pattern.split(" + ").all(|part| {
            part.split('|').any(|word| match word.strip_prefix('=') {
                Some(word) => has_word(&self.0, word),
                None => self.0.contains(word),
            })
        })
    }
}

/// The beginning and the end of a text that is longer than is read: the
/// headline stands first, what killed a process last.
pub(super) fn ends(text: &str) -> Cow<'_, str> {
    if text.len() <= LOOKED_AT_BYTES {
        return Cow::Borrowed(text);
    }
    let half = LOOKED_AT_BYTES / 2 - 1;
    let mut start = text.len() - half;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let tail = text.get(start..).unwrap_or_default();
    Cow::Owned(format!("{}\n{tail}", head(text, half)))
}

/// The first `limit` bytes, cut between characters.
pub(in crate::failure) fn head(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, found)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|t| t.chars().next());
        // `socket.js:429:20` is a place in a source file.
        let place = before == Some(':') && matches!(after, Some(':' | ')'));
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word) && !place
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_case_white_space_and_escapes() {
        let folded = Folded::new("{\"error\":\"Cannot read\\n   \\\"Chat\\\"\t\u{2019}s\"}");
        assert_eq!(folded.as_str(), "{\"error\":\"cannot read \"chat\" 's\"}");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(head("aé", 2), "a");
        assert_eq!(head("", 2), "");
    }

    #[test]
    fn of_a_long_text_both_ends_are_read() {
        let text = format!("é first {} last é", "x".repeat(2 * LOOKED_AT_BYTES));
        let read = ends(&text);
        assert!(read.len() <= LOOKED_AT_BYTES);
        assert!(read.starts_with("é first ") && read.ends_with(" last é"));
        assert_eq!(ends("short"), "short");
    }

    #[test]
    fn words_stand_alone() {
        let folded = Folded::new("code=440, id 1440");
        assert!(folded.says("=440"));
        assert!(!folded.says("=144"));
        assert!(!Folded::new("at a.js:429:20").says("=429"));
        assert!(!folded.says("=40"));
        assert!(folded.says("code + =1440"));
        assert!(!folded.says("code + absent"));
        assert!(folded.says("absent|code + =9|=440"));
    }
}
