//! HTTP/1.1 as its bytes: an HTTP library hides the order, the case and the repetition of headers, and
//! they are what a host changes.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) type Connection = BufReader<TcpStream>;

/// The first line and the headers of a message, in Latin-1: each character is one byte.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a head. `None` if the connection ends before its first byte.
    pub(crate) async fn read(from: &mut Connection) -> io::Result<Option<Self>> {
        // Such as the first byte of TLS, which the web server does not wait to see the end of.
        let first = from.fill_buf().await?.first().copied();
        if first.is_some_and(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace()) {
            return Err(broken());
        }
        let mut head = Self::default();
        loop {
            let mut line = Vec::new();
            from.read_until(b'\n', &mut line).await?;
            let line = latin1(&line);
            let Some(line) = line.strip_suffix('\n') else {
                let is_empty = head.line.is_empty() && line.is_empty();
                return is_empty.then_some(None).ok_or_else(broken);
            };
            let line = line.trim_end_matches('\r');
            if head.line.is_empty() {
                head.line = line.to_owned();
            } else if line.is_empty() {
                return Ok(Some(head));
            } else {
                let (name, value) = line.split_once(':').ok_or_else(broken)?;
                head.headers
                    .push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }

    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        let is_named = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers.iter().find(is_named).map(|(_, v)| &**v)
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        let is_named = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers.iter().filter(is_named).count()
    }

    pub(crate) fn push(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(crate) fn remove(&mut self, names: &[&str]) {
        let is_kept = |name: &str| !names.iter().any(|n| n.eq_ignore_ascii_case(name));
        self.headers.retain(|(name, _)| is_kept(name));
    }

    /// The head with the empty line behind it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        from_latin1(&(text + "\r\n"))
    }
}

/// How a body ends, and how much of it is left.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

impl Framing {
    /// The framing that a head announces, if any.
    pub(crate) fn of(head: &Head) -> Option<Self> {
        if head.first("transfer-encoding").is_some() {
            return Some(Self::Chunked);
        }
        let length = head.first("content-length")?.parse().ok()?;
        Some(Self::Length(length))
    }

    /// The next part of the body: one chunk, or what has arrived. Empty after the last.
    pub(crate) async fn next(&mut self, from: &mut Connection) -> io::Result<Vec<u8>> {
        let mut part = Vec::new();
        match self {
            Self::Length(0) => {}
            Self::Length(left) => {
                part.resize((*left).min(64 * 1024), 0);
                let read = from.read(&mut part).await?;
                if read == 0 {
                    return Err(broken());
                }
                part.truncate(read);
                *left -= read;
            }
            Self::Chunked => {
                let mut size = String::new();
                from.read_line(&mut size).await?;
                let size = usize::from_str_radix(size.trim(), 16).map_err(|_| broken())?;
                part.resize(size, 0);
                from.read_exact(&mut part).await?;
                let mut line = Vec::new();
                // The end of the chunk, or the trailers behind the last one.
                while from.read_until(b'\n', &mut line).await? > 2 && size == 0 {
                    line.clear();
                }
            }
            Self::UntilClosed => {
                from.read_buf(&mut part).await?;
            }
        }
        Ok(part)
    }

    /// The whole body.
    pub(crate) async fn read(mut self, from: &mut Connection) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let part = self.next(from).await?;
            if part.is_empty() {
                return Ok(body);
            }
            body.extend(part);
        }
    }
}

/// Writes a chunk; an empty one is the last.
pub(crate) async fn write_chunk(to: &mut Connection, part: &[u8]) -> io::Result<()> {
    let size = format!("{:x}\r\n", part.len());
    to.write_all(&[size.as_bytes(), part, b"\r\n"].concat())
        .await
}

pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

pub(crate) fn from_latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(c).expect("a byte"))
        .collect()
}

fn broken() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
