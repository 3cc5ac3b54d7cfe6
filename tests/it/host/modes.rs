//! What the host makes of a request in each of its two modes, and of the handler's answer.

use std::net::SocketAddr;

use super::kestrel::{Request, escaped_byte};
use super::wire::{Head, from_latin1, latin1};
use super::{Mode, VERSION};

/// The headers of a body, which .NET keeps behind the others.
const CONTENT: &[&str] = &[
    "Allow",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
    "Expires",
    "Last-Modified",
];

/// What the proxying host passes on in neither direction.
const HOPS: &[&str] = &[
    "Connection",
    "HTTP2-Settings",
    "Keep-Alive",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Transfer-Encoding",
    "Upgrade",
];

/// The head that the handler gets; `body` is the size of the body. None if .NET cannot send it.
pub(super) fn delivered(
    request: &Request,
    mode: Mode,
    invocation: &str,
    handler: SocketAddr,
    body: Option<usize>,
) -> Option<Head> {
    let is_ascii = |(_, value): &(String, String)| value.is_ascii();
    if !request.head.headers.iter().all(is_ascii) {
        return None;
    }
    match mode {
        Mode::Proxying => Some(proxied(request, invocation, handler, body)),
        Mode::Forwarding => forwarded(request, invocation, body),
    }
}

/// As YARP proxies, which the host uses.
fn proxied(request: &Request, invocation: &str, handler: SocketAddr, body: Option<usize>) -> Head {
    let path = escaped(&request.path, b"/:@!$&'()*+,;=-._~", false);
    let query = escaped(&request.query, b"?/:@!$&'()*+,;=-._~", true);
    let mut head = Head {
        line: format!("{} {path}{query} HTTP/1.1", request.method),
        headers: request.head.headers.clone(),
    };
    let public = head.first("host").unwrap_or_default().to_owned();
    head.remove(HOPS);
    head.remove(&["Host", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host"]);
    head.remove(&["X-Forwarded-Prefix", "X-Forwarded-Proto"]);
    let content = take_content(&mut head);
    head.headers
        .insert(0, ("Host".to_owned(), handler.to_string()));
    for (name, value) in [
        ("X-Azure-Functions-HostVersion", VERSION),
        ("X-Azure-Functions-InvocationId", invocation),
        ("x-ms-invocation-id", invocation),
    ] {
        // What the client sent is replaced.
        set(&mut head, name, |_| value.to_owned());
    }
    // As recorded on a developer's machine.
    head.push("X-Forwarded-For", "127.0.0.1");
    head.push("X-Forwarded-Host", public);
    head.push("X-Forwarded-Proto", "http");
    let is_chunked = body.is_some() && request.head.first("content-length").is_none();
    if is_chunked {
        head.push("Transfer-Encoding", "chunked");
    }
    head.headers.extend(content);
    announce_no_body(&mut head, request, body);
    head
}

/// As hosts forwarded before they knew proxying: the request is rebuilt.
fn forwarded(request: &Request, invocation: &str, body: Option<usize>) -> Option<Head> {
    if request.head.first("transfer-encoding").is_some() {
        // The header is copied, the body is not: .NET refuses to send that.
        return None;
    }
    let mut head = Head {
        line: format!(
            "{} {}{} HTTP/1.1",
            request.method,
            reparsed(&request.path),
            rebuilt_query(&request.query)
        ),
        headers: request.head.headers.clone(),
    };
    take_content(&mut head);
    let after = |separator: &'static str, new: String| {
        move |sent: Option<&str>| match sent {
            Some(sent) => format!("{sent}{separator}{new}"),
            None => new.clone(),
        }
    };
    set(
        &mut head,
        "X-Azure-Functions-HostVersion",
        after(", ", VERSION.to_owned()),
    );
    set(
        &mut head,
        "X-Azure-Functions-InvocationId",
        after(", ", invocation.to_owned()),
    );
    let agent = format!("Azure-Functions-Host/{VERSION}");
    set(&mut head, "User-Agent", after(" ", agent));
    if let Some(length @ 1..) = body {
        head.push("Content-Length", length.to_string());
        if let Some(kind) = request.head.first("content-type") {
            is_media_type(kind).then_some(())?;
            head.push("Content-Type", kind);
        }
    }
    announce_no_body(&mut head, request, body);
    Some(head)
}

/// .NET says that a method which usually has a body has none.
fn announce_no_body(head: &mut Head, request: &Request, body: Option<usize>) {
    let usually_has_one = matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
    let is_empty = body.unwrap_or(0) == 0;
    if usually_has_one && is_empty && head.first("content-length").is_none() {
        head.push("Content-Length", "0");
    }
}

fn take_content(head: &mut Head) -> Vec<(String, String)> {
    let is_content = |name: &str| CONTENT.iter().any(|n| n.eq_ignore_ascii_case(name));
    let (content, others) = std::mem::take(&mut head.headers)
        .into_iter()
        .partition(|(name, _)| is_content(name));
    head.headers = others;
    content
}

/// Sets a header in its place, from what the client sent.
fn set(head: &mut Head, name: &str, value: impl Fn(Option<&str>) -> String) {
    let sent = head
        .headers
        .iter_mut()
        .find(|(n, _)| n.eq_ignore_ascii_case(name));
    match sent {
        Some((_, sent)) => *sent = value(Some(sent.as_str())),
        None => head.push(name, value(None)),
    }
}

/// The handler's answer as the host passes it on. A forwarding host has read the whole `body`.
pub(super) fn returned(head: &Head, mode: Mode, body: Option<usize>) -> Head {
    let mut head = head.clone();
    let content = take_content(&mut head);
    head.headers.extend(content);
    if mode == Mode::Proxying {
        head.remove(HOPS);
        return head;
    }
    head.remove(&["Transfer-Encoding"]);
    head.headers.retain(|(_, value)| !value.is_empty());
    for (name, value) in &mut head.headers {
        if name.eq_ignore_ascii_case("location") {
            *value = value.replace(' ', "%20");
        }
    }
    if let Some(length) = body
        && !head.line.starts_with("HTTP/1.1 204")
    {
        head.remove(&["Content-Length"]);
        head.push("Content-Length", length.to_string());
    }
    head
}

fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |part: &str| !part.is_empty() && !part.contains([' ', ',', '/', '"', '(']);
    essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// `new Uri(…).AbsolutePath`: parsed again after its escapes are decoded, so that necessary ones are lost.
fn reparsed(path: &str) -> String {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let path = path[..end].replace('\\', "/");
    escaped(&path, b"/:@!$&'()*+,;=-._~", true)
}

/// Rebuilt from a dictionary: a repeated name becomes one with all its values.
fn rebuilt_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.trim_start_matches('?').as_bytes()) {
        match pairs
            .iter_mut()
            .find(|(n, _)| n.eq_ignore_ascii_case(&name))
        {
            Some(pair) => *pair = (name.into_owned(), format!("{},{value}", pair.1)),
            None => pairs.push((name.into_owned(), value.into_owned())),
        }
    }
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| {
            let [name, value] = [name, value].map(|text| {
                let bytes = latin1(text.as_bytes());
                escaped(&bytes, b"-._~,", false)
            });
            format!("{name}={value}")
        })
        .collect();
    match pairs.as_slice() {
        [] => String::new(),
        pairs => format!("?{}", pairs.join("&")),
    }
}

/// Escapes every byte but letters, digits and `kept`, and escapes that are there if they stay.
fn escaped(text: &str, kept: &[u8], keeps_escapes: bool) -> String {
    let bytes = from_latin1(text);
    let mut escaped = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        let stays = byte.is_ascii_alphanumeric()
            || kept.contains(byte)
            || (keeps_escapes && escaped_byte(&bytes[index..]).is_some());
        if stays {
            escaped.push(char::from(*byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
