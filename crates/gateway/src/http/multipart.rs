//! Reads `multipart/form-data` (RFC 7578) as it comes: pieces in, parts out.
//! What is held at a time is one boundary and one head, whatever is sent.

/// The longest head of a part.
const MAX_HEAD: usize = 8 * 1024;
/// The longest boundary (RFC 2046).
const MAX_BOUNDARY: usize = 70;

/// Why a body is no form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    /// The content type names none.
    #[error("the content type names no boundary; send multipart/form-data; boundary=...")]
    NoBoundary,
    /// A part's head does not end, or cannot be read.
    #[error("the head of a part cannot be read")]
    Head,
    /// It ended before its last boundary.
    #[error("the form broke off before its end")]
    Cut,
}

/// What comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A part begins.
    Begin {
        /// The field's name.
        name: String,
        /// The file's name, where it is one.
        filename: Option<String>,
        /// The file's type, by its owner's word.
        mime: Option<String>,
    },
    /// Bytes of the part.
    Data(Vec<u8>),
    /// The part is whole.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary: a new part or the end.
    Boundary,
    Head,
    Body,
    /// Behind the last boundary.
    Over,
}

/// A form that is being read.
#[derive(Debug)]
pub(super) struct Form {
    /// The line's end, two dashes and the boundary.
    mark: Vec<u8>,
    held: Vec<u8>,
    state: State,
}

impl Form {
    /// A form with the boundary that its content type names.
    pub(super) fn new(content_type: &str) -> Result<Self, FormError> {
        let boundary = content_type
            .split(';')
            .skip(1)
            .find_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim()
                    .eq_ignore_ascii_case("boundary")
                    .then(|| value.trim())
            })
            .map(|value| value.trim_matches('"'))
            .filter(|value| (1..=MAX_BOUNDARY).contains(&value.len()))
            .ok_or(FormError::NoBoundary)?;
        Ok(Self {
            mark: format!("\r\n--{boundary}").into_bytes(),
            // As if a line had ended before: the first boundary begins the body.
            held: b"\r\n".to_vec(),
            state: State::Preamble,
        })
    }

    /// Takes the next bytes, and gives what can be told by now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, FormError> {
        self.held.extend_from_slice(bytes);
        let mut events = Vec::new();
        while self.step(&mut events)? {}
        Ok(events)
    }

    /// The body is over.
    pub(super) fn finish(&self) -> Result<(), FormError> {
        match self.state {
            State::Over => Ok(()),
            State::Preamble | State::Boundary | State::Head | State::Body => Err(FormError::Cut),
        }
    }

    /// Goes on where that is possible with what is held.
    fn step(&mut self, events: &mut Vec<Event>) -> Result<bool, FormError> {
        match self.state {
            State::Preamble => Ok(self.seek_boundary(None)),
            State::Body => Ok(self.seek_boundary(Some(events))),
            State::Boundary => {
                if self.held.starts_with(b"--") {
                    self.state = State::Over;
                    return Ok(true);
                }
                // Blanks may stand behind a boundary; nothing else may.
                let blanks = self
                    .held
                    .iter()
                    .take_while(|b| matches!(b, b' ' | b'\t'))
                    .count();
                let rest = &self.held[blanks..];
                if rest.starts_with(b"\r\n") {
                    self.held.drain(..blanks + 2);
                    self.state = State::Head;
                    return Ok(true);
                }
                if blanks > MAX_HEAD || !(rest.is_empty() || rest == b"\r" || rest == b"-") {
                    return Err(FormError::Head);
                }
                Ok(false)
            }
            State::Head => {
                let end = if self.held.starts_with(b"\r\n") {
                    Some((0, 2))
                } else {
                    find(&self.held, b"\r\n\r\n").map(|at| (at, at + 4))
                };
                let Some((end, next)) = end else {
                    return if self.held.len() > MAX_HEAD {
                        Err(FormError::Head)
                    } else {
                        Ok(false)
                    };
                };
                if end > MAX_HEAD {
                    return Err(FormError::Head);
                }
                events.push(begin(&self.held[..end])?);
                self.held.drain(..next);
                self.state = State::Body;
                Ok(true)
            }
            State::Over => {
                self.held.clear();
                Ok(false)
            }
        }
    }

    /// Gives everything before the next boundary away, and goes behind it.
    fn seek_boundary(&mut self, events: Option<&mut Vec<Event>>) -> bool {
        let found = find(&self.held, &self.mark);
        // What may be the beginning of a boundary stays.
        let end = found.unwrap_or_else(|| self.held.len().saturating_sub(self.mark.len() - 1));
        let data: Vec<u8> = self.held.drain(..end).collect();
        if found.is_some() {
            self.held.drain(..self.mark.len());
            self.state = State::Boundary;
        }
        if let Some(events) = events {
            if !data.is_empty() {
                events.push(Event::Data(data));
            }
            if found.is_some() {
                events.push(Event::End);
            }
        }
        found.is_some()
    }
}

fn find(held: &[u8], what: &[u8]) -> Option<usize> {
    held.windows(what.len()).position(|window| window == what)
}

/// Reads the head of a part.
fn begin(head: &[u8]) -> Result<Event, FormError> {
    let head = std::str::from_utf8(head).map_err(|_| FormError::Head)?;
    let (mut name, mut filename, mut mime) = (None, None, None);
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(':').ok_or(FormError::Head)?;
        if key.eq_ignore_ascii_case("content-disposition") {
            for (parameter, value) in parameters(value) {
                match parameter.as_str() {
                    "name" => name = Some(value),
                    "filename" => filename = Some(value),
                    _ => {}
                }
            }
        } else if key.eq_ignore_ascii_case("content-type") {
            mime = Some(value.trim().to_owned());
        }
    }
    Ok(Event::Begin {
        name: name.ok_or(FormError::Head)?,
        filename,
        mime,
    })
}

/// `form-data; a=b; c="d;\"e"`: what stands behind the first part.
fn parameters(value: &str) -> Vec<(String, String)> {
    let (mut parts, mut part, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in value.chars() {
        match c {
            c if escaped => {
                part.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    let pairs = parts.iter().skip(1).filter_map(|part| part.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=\"xYz\"";

    fn read(body: &[u8], piece: usize) -> Result<Vec<Event>, FormError> {
        let mut form = Form::new(TYPE)?;
        let mut events: Vec<Event> = Vec::new();
        for bytes in body.chunks(piece.max(1)) {
            for event in form.push(bytes)? {
                match (events.last_mut(), event) {
                    (Some(Event::Data(whole)), Event::Data(more)) => whole.extend(more),
                    (_, event) => events.push(event),
                }
            }
            assert!(form.held.len() <= MAX_HEAD + piece + form.mark.len() + 4);
        }
        form.finish()?;
        Ok(events)
    }

    fn form(data: &[u8]) -> Vec<u8> {
        let mut body = b"preamble\r\n--xYz\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\n49\r\n--xYz  \r\ncontent-disposition: form-data; name=file; filename=\"a;\\\"b.png\"\r\nContent-Type: image/png\r\n\r\n".to_vec();
        body.extend(data);
        body.extend(b"\r\n--xYz--\r\nepilogue");
        body
    }

    fn wanted(data: &[u8]) -> Vec<Event> {
        let mut events = vec![
            Event::Begin {
                name: "to".to_owned(),
                filename: None,
                mime: None,
            },
            Event::Data(b"49".to_vec()),
            Event::End,
            Event::Begin {
                name: "file".to_owned(),
                filename: Some("a;\"b.png".to_owned()),
                mime: Some("image/png".to_owned()),
            },
        ];
        if !data.is_empty() {
            events.push(Event::Data(data.to_vec()));
        }
        events.push(Event::End);
        events
    }

    #[test]
    fn a_form_is_read_however_it_is_cut() {
        let data = b"one\r\n--xY\r\n--two\r\n\r\n";
        for piece in 1..60 {
            assert_eq!(read(&form(data), piece), Ok(wanted(data)), "{piece}");
        }
        assert_eq!(read(&form(b""), 7), Ok(wanted(b"")));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for (body, error) in [
            (b"".as_slice(), FormError::Cut),
            (b"--xYz\r\n", FormError::Cut),
            (
                b"--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\nabc",
                FormError::Cut,
            ),
            (b"--xYz\r\nno colon\r\n\r\n", FormError::Head),
            (b"--xYz\r\nContent-Type: a/b\r\n\r\n", FormError::Head),
            (b"--xYzz", FormError::Head),
        ] {
            assert_eq!(
                read(body, 3),
                Err(error),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        let endless = [b"--xYz\r\nX: ".as_slice(), &vec![b'x'; 20_000]].concat();
        assert_eq!(read(&endless, 1_000), Err(FormError::Head));
        assert_eq!(
            Form::new("multipart/form-data").unwrap_err(),
            FormError::NoBoundary
        );
    }

    proptest! {
        #[test]
        fn any_bytes_come_through(data in prop::collection::vec(any::<u8>(), 0..400), piece in 1..50_usize) {
            prop_assume!(find(&data, b"\r\n--xYz").is_none());
            prop_assert_eq!(read(&form(&data), piece), Ok(wanted(&data)));
        }

        #[test]
        fn nothing_breaks_it(body in prop::collection::vec(any::<u8>(), 0..400), piece in 1..50_usize) {
            let _ = read(&body, piece);
            let _ = read(&[b"--xYz\r\n".as_slice(), &body].concat(), piece);
        }
    }
}
