//! The host's web server, Kestrel: what it refuses by itself, and how it orders headers.

use super::wire::{Framing, Head, from_latin1, latin1};

/// The largest body.
const MAX_BODY: usize = 100 << 20;

/// Headers that have a place of their own, in this order before all others.
const REQUEST_HEADERS: &[&str] = &[
    "Accept",
    "Connection",
    "Host",
    "User-Agent",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Cache-Control",
    "Content-Type",
    "Cookie",
    "Date",
    "Expect",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "Keep-Alive",
    "Max-Forwards",
    "Origin",
    "Pragma",
    "Proxy-Authorization",
    "Range",
    "Referer",
    "Request-Id",
    "TE",
    "traceparent",
    "tracestate",
    "Transfer-Encoding",
    "Upgrade",
    "Content-Length",
];
const RESPONSE_HEADERS: &[&str] = &[
    "Content-Length",
    "Connection",
    "Content-Type",
    "Date",
    "Server",
    "Allow",
    "Cache-Control",
    "Content-Encoding",
    "Content-Language",
    "ETag",
    "Expires",
    "Keep-Alive",
    "Last-Modified",
    "Location",
    "Pragma",
    "Retry-After",
    "Set-Cookie",
    "Transfer-Encoding",
    "Vary",
    "WWW-Authenticate",
];

/// A request that the web server has accepted.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// Decoded, but for an escaped `/` and what is no UTF-8. Like the headers in Latin-1.
    pub(super) path: String,
    /// As sent, with its `?`.
    pub(super) query: String,
    pub(super) head: Head,
    pub(super) framing: Option<Framing>,
    /// The connection is closed after the answer.
    pub(super) is_last: bool,
}

impl Request {
    /// The request of a head, or the status of its refusal.
    pub(super) fn parse(mut head: Head) -> Result<Self, u16> {
        let line = head.line.clone();
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(400);
        };
        let is_old = version == "HTTP/1.0";
        let connection = head.first("connection").unwrap_or_default();
        let connection = connection.to_ascii_lowercase();
        let is_utf8 =
            |(_, value): &(String, String)| std::str::from_utf8(&from_latin1(value)).is_ok();
        let is_refused = !target.starts_with('/')
            || !has_valid_host(&head, is_old)
            || head.count("content-length") > 1
            || !head.headers.iter().all(is_utf8);
        if is_refused {
            return Err(400);
        }
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let path = without_dot_segments(&decoded(path).ok_or(400_u16)?);
        let framing = Framing::of(&head);
        let is_too_large = matches!(framing, Some(Framing::Length(length)) if length > MAX_BODY);
        if is_too_large || head.first("host").is_none() {
            return Err(500);
        }
        for (name, value) in &mut head.headers {
            if name.eq_ignore_ascii_case("connection") && connection.contains("keep-alive") {
                *value = "keep-alive".to_owned();
            }
            if name.eq_ignore_ascii_case("content-length")
                && matches!(framing, Some(Framing::Chunked))
            {
                *name = "X-Content-Length".to_owned();
            }
        }
        head.headers = ordered(head.headers, REQUEST_HEADERS);
        head.headers.dedup_by(|next, first| {
            let is_same = next.0.eq_ignore_ascii_case(&first.0);
            if is_same {
                let separator = match first.0.as_str() {
                    "Cookie" => "; ",
                    "User-Agent" => " ",
                    _ => ", ",
                };
                first.1 = format!("{}{separator}{}", first.1, next.1);
            }
            is_same
        });
        Ok(Self {
            method: method.to_ascii_uppercase(),
            path,
            query: query.to_owned(),
            head,
            framing,
            is_last: is_old || connection == "close",
        })
    }
}

/// Completes the head of an answer: the connection, the date, the server, and the order.
pub(super) fn complete(head: &mut Head, is_last: bool) {
    if is_last && head.first("connection").is_none() {
        head.push("Connection", "close");
    }
    if head.first("date").is_none() {
        let now = std::time::SystemTime::now();
        head.push("Date", httpdate(now));
    }
    if head.first("server").is_none() {
        head.push("Server", "Kestrel");
    }
    head.headers = ordered(std::mem::take(&mut head.headers), RESPONSE_HEADERS);
}

fn httpdate(time: std::time::SystemTime) -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time::OffsetDateTime::from(time).format(format).unwrap()
}

/// Known headers first, in their order and spelling; the others as they came. Equal names stand together.
fn ordered(headers: Vec<(String, String)>, known: &[&str]) -> Vec<(String, String)> {
    let names: Vec<String> = headers.iter().map(|(name, _)| name.clone()).collect();
    let place = |name: &str| {
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        let unknown = || known.len() + names.iter().position(|n| is(n)).unwrap();
        known.iter().position(|n| is(n)).unwrap_or_else(unknown)
    };
    let mut ordered: Vec<_> = headers
        .into_iter()
        .map(|(name, value)| (place(&name), name, value))
        .collect();
    ordered.sort_by_key(|(place, ..)| *place);
    ordered
        .into_iter()
        .map(|(place, name, value)| {
            let name = known.get(place).map_or(name, |known| (*known).to_owned());
            (name, value)
        })
        .collect()
}

fn has_valid_host(head: &Head, is_old: bool) -> bool {
    match head.first("host") {
        None => is_old,
        Some(host) => head.count("host") == 1 && !host.contains([' ', '/', '@', '?', '#']),
    }
}

/// A path without its escapes, but for `%2F` and what is no UTF-8. None if it contains a NUL.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path;
    while let Some(first) = rest.bytes().next() {
        let run = escaped_run(rest);
        if run.is_empty() {
            bytes.push(first);
            rest = &rest[1..];
            continue;
        }
        if run.contains(&0) {
            return None;
        }
        let escaped = &rest[..run.len() * 3];
        match std::str::from_utf8(&run) {
            Ok(_) => {
                for (index, byte) in run.iter().enumerate() {
                    match byte {
                        b'/' => bytes.extend(escaped[index * 3..][..3].bytes()),
                        byte => bytes.push(*byte),
                    }
                }
            }
            Err(_) => bytes.extend(escaped.bytes()),
        }
        rest = &rest[escaped.len()..];
    }
    Some(latin1(&bytes))
}

/// The bytes of the escapes that a text begins with.
fn escaped_run(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks_exact(3)
        .map_while(escaped_byte)
        .collect()
}

/// The byte that `%` and two digits stand for.
pub(super) fn escaped_byte(escape: &[u8]) -> Option<u8> {
    let [b'%', digits @ ..] = escape else {
        return None;
    };
    let digits = digits.get(..2)?;
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16)
        .ok()
        .filter(|_| is_hex)
}

fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." && kept.len() > 1 {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    kept.join("/")
}
