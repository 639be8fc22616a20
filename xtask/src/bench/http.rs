//! One HTTP request to a server on this machine: enough to measure with, and
//! nothing between us and the socket that would have to be measured too.

use crate::error::Error;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest that connecting, or any one read or write, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, with the header that it lets us in for.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    header: String,
}

impl Client {
    /// `url` as in `http://127.0.0.1:8080`; a path behind it is dropped.
    ///
    /// # Errors
    ///
    /// Where it names no address.
    pub(crate) fn new(url: &str, header: String) -> Result<Self, Error> {
        let address = url.strip_prefix("http://").unwrap_or(url);
        let address = address.split('/').next().unwrap_or_default();
        let address = address
            .parse()
            .map_err(|e| Error::Bench(format!("{url:?} is no address: {e}")))?;
        Ok(Self { address, header })
    }

    /// Asks, and gives status and body (`null` where it is no JSON).
    ///
    /// # Errors
    ///
    /// Where the server cannot be reached or does not speak HTTP.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<(u16, Value), Error> {
        self.exchange(method, path, body)
            .map_err(|e| Error::Bench(format!("{method} {path} at {}: {e}", self.address)))
    }

    /// As [`Self::call`], where only this status will do.
    ///
    /// # Errors
    ///
    /// As [`Self::call`], and where the status is another.
    pub(crate) fn expect(
        &self,
        status: u16,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        match self.call(method, path, body)? {
            (found, answer) if found == status => Ok(answer),
            (found, answer) => Err(Error::Bench(format!(
                "{method} {path} answered {found}, not {status}: {answer}"
            ))),
        }
    }

    /// Opens a connection that stays open.
    ///
    /// # Errors
    ///
    /// Where the server cannot be reached.
    pub(crate) fn open(&self) -> Result<Line, Error> {
        let socket = self
            .connect()
            .map_err(|e| Error::Bench(format!("{} cannot be reached: {e}", self.address)))?;
        Ok(Line {
            from: BufReader::new(socket),
            head: format!(
                "Host: {}\r\n{}\r\nContent-Type: application/json\r\n",
                self.address, self.header
            ),
        })
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let socket = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(socket)
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
        let mut socket = self.connect()?;
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.header,
            body.len()
        );
        socket.write_all(request.as_bytes())?;
        read_answer(BufReader::new(socket))
    }
}

/// A connection that stays open, for one request after the other.
pub(crate) struct Line {
    from: BufReader<TcpStream>,
    head: String,
}

impl Line {
    /// Asks; only this status will do. Gives the body.
    ///
    /// # Errors
    ///
    /// Where the server is gone or answers otherwise.
    pub(crate) fn expect(
        &mut self,
        status: u16,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Value, Error> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{body}",
            self.head,
            body.len()
        );
        let answered = self
            .from
            .get_mut()
            .write_all(request.as_bytes())
            .and_then(|()| read_answer(&mut self.from))
            .map_err(|e| Error::Bench(format!("{method} {path}: {e}")))?;
        match answered {
            (found, answer) if found == status => Ok(answer),
            (found, answer) => Err(Error::Bench(format!(
                "{method} {path} answered {found}, not {status}: {answer}"
            ))),
        }
    }
}

fn read_answer(mut from: impl BufRead) -> std::io::Result<(u16, Value)> {
    let bad = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    from.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| bad("no status line"))?;
    let mut length = None;
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(bad("the head ended early"));
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<u64>().ok();
        }
    }
    let mut body = Vec::new();
    match length {
        Some(length) => from.take(length).read_to_end(&mut body)?,
        None => from.read_to_end(&mut body)?,
    };
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

#[test]
fn an_answer_is_read_to_its_length() {
    let text = "HTTP/1.1 202 Accepted\r\ncontent-length: 8\r\nX: y\r\n\r\n{\"a\": 1}more";
    let (status, body) = read_answer(text.as_bytes()).expect("an answer");
    assert_eq!((status, body), (202, serde_json::json!({"a": 1})));
    assert!(read_answer(&b"HTTP/1.1 200 OK\r\n"[..]).is_err());
    assert!(read_answer(&b""[..]).is_err());
}
