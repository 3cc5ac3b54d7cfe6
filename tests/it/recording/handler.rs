//! The handler behind the recorded host: it writes down what it gets, and misbehaves when asked to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::host::{Framing, Head, KEY, MASTER_KEY, from_latin1, latin1};

/// The headers of `beh/cookies`.
const MANY_HEADERS: &str = "Content-Type: text/html; charset=utf-8\r\nContent-Length: 4\r\n\
    Set-Cookie: a=1; Path=/; HttpOnly\r\nSet-Cookie: b=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT\r\n\
    Content-Disposition: inline\r\nLocation: /x y\r\nETag: W/\"x\"\r\n\
    Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nExpires: 0\r\nVary: a\r\nVary: b\r\n\
    WWW-Authenticate: Bearer\r\nWWW-Authenticate: Basic\r\nX-Dup: one\r\nX-Dup: two\r\nx-empty:\r\n\
    Retry-After: 5\r\nAllow: GET\r\nContent-Language: de\r\nConnection: keep-alive\r\n\
    Keep-Alive: timeout=9\r\nServer: handler\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
    X-Powered-By: me\r\n";

const GZIPPED: &[u8] =
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcbH\xcd\xc9\xc9WH\xaf\xca,\0\0\x19j\xd2\xdf\n\0\0\0";

/// A handler for one exchange.
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    delivered: Vec<Value>,
    invocation: String,
    description: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    line: String,
    headers: Vec<String>,
    body_len: usize,
    body: String,
}

impl Recorder {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let seen = Arc::clone(&recorder.seen);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move { serve(BufReader::new(connection), &seen).await });
            }
        });
        recorder
    }

    /// Every delivery, as the recording has it.
    pub(super) fn delivered(&self) -> Vec<Value> {
        self.seen.lock().unwrap().delivered.clone()
    }

    /// The last body of an answer that describes the request.
    pub(super) fn description(&self) -> String {
        self.seen.lock().unwrap().description.clone()
    }

    /// Masks what differs between runs.
    pub(super) fn mask(&self, text: &str) -> String {
        let seen = self.seen.lock().unwrap();
        let mut text = text
            .replace(
                &format!("127.0.0.1:{}", self.address.port()),
                "127.0.0.1:{port}",
            )
            .replace(KEY, "{key}")
            .replace(&KEY.to_uppercase(), "{KEY}")
            .replace(MASTER_KEY, "{master}");
        if !seen.invocation.is_empty() {
            text = text.replace(&seen.invocation, "{invocation}");
        }
        let lines = text.split("\r\n").map(|line| match line.split_once(": ") {
            // The handler's own date is another year's.
            Some(("Date", date)) if date.ends_with("GMT") && !date.contains(" 2024 ") => {
                "Date: {date}"
            }
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\r\n")
    }
}

/// Reads a request, records it and answers.
async fn serve(mut connection: BufReader<TcpStream>, seen: &Mutex<Seen>) -> Option<()> {
    let head = Head::read(&mut connection).await.ok()??;
    let text = latin1(&head.bytes());
    let ids = head.first("x-azure-functions-invocationid");
    let id = ids
        .and_then(|ids| ids.rsplit(", ").next())
        .unwrap_or_default();
    let number = {
        let mut seen = seen.lock().unwrap();
        if seen.delivered.is_empty() {
            seen.invocation = id.to_owned();
        }
        seen.delivered
            .push(json!({"head": text.trim_end_matches("\r\n")}));
        seen.delivered.len()
    };
    let (mut body, mut chunks) = (Vec::new(), None);
    if let Some(mut framing) = Framing::of(&head) {
        let mut sizes = Vec::new();
        loop {
            let part = framing.next(&mut connection).await.ok()?;
            sizes.push(part.len());
            if part.is_empty() {
                break;
            }
            body.extend(part);
        }
        chunks = matches!(framing, Framing::Chunked).then_some(sizes);
    }
    {
        let delivered = &mut seen.lock().unwrap().delivered[number - 1];
        delivered["body"] = latin1(&body).into();
        delivered["bodyLen"] = body.len().into();
        delivered["chunks"] = json!(chunks);
    }
    let path = head.line.split(' ').nth(1)?.to_owned();
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let answer = match path.strip_prefix("/api/beh/") {
        Some("reset") => {
            connection.get_ref().set_zero_linger().ok()?;
            return None;
        }
        Some("stream") => return stream(&mut connection, query).await,
        Some("parthead") => {
            sleep(Duration::from_millis(100)).await;
            b"HTTP/1.1 200 OK\r\nConte".to_vec()
        }
        Some(what) => misbehave(what, query, number)?,
        None => {
            let description = describe(&head, &body);
            seen.lock().unwrap().description.clone_from(&description);
            let is_head = head.line.starts_with("HEAD");
            let length = description.len();
            let shown = if is_head { "" } else { &description };
            from_latin1(&format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{shown}"
            ))
        }
    };
    connection.write_all(&answer).await.ok()
}

/// The answer under `beh/`. None closes the connection without one.
fn misbehave(what: &str, query: &str, number: usize) -> Option<Vec<u8>> {
    let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let parameter = |name: &str| {
        parameters
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| &**v)
    };
    let text = match what {
        "drop" => return None,
        "dropif" if number <= parameter("n")?.parse().ok()? => return None,
        "dropif" => format!(
            "HTTP/1.1 200 OK\r\nX-Attempt: {number}\r\nContent-Length: 9\r\n\r\nattempt {number}"
        ),
        "partial" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(),
        "noCL" => "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil close".to_owned(),
        "headCL" => {
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1234\r\n\r\n".to_owned()
        }
        "gz" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n";
            format!("{head}Content-Length: 30\r\n\r\n{}", latin1(GZIPPED))
        }
        "cookies" => format!("HTTP/1.1 200 OK\r\n{MANY_HEADERS}\r\nbody"),
        _ => {
            let status = parameter("c")?;
            let location = match status {
                "301" | "302" | "303" | "307" => "Location: /api/one/elsewhere?x=1\r\n",
                _ => "",
            };
            let rest = match status {
                "204" => "\r\n".to_owned(),
                "304" => "ETag: \"x\"\r\n\r\n".to_owned(),
                _ => format!(
                    "Content-Type: application/problem+json\r\n{location}X-H: 1\r\n\
                     Content-Length: 14\r\n\r\n{{\"status\":{status}}}"
                ),
            };
            format!("HTTP/1.1 {status} Weird Reason\r\n{rest}")
        }
    };
    Some(from_latin1(&text))
}

/// Five chunks with pauses.
async fn stream(connection: &mut BufReader<TcpStream>, query: &str) -> Option<()> {
    assert_eq!(query, "n=5&ms=300");
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await.ok()?;
    for number in 0..5 {
        let chunk = format!("9\r\ndata: {number}\n\n\r\n");
        connection.write_all(chunk.as_bytes()).await.ok()?;
        sleep(Duration::from_millis(300)).await;
    }
    connection.write_all(b"0\r\n\r\n").await.ok()
}

/// The request as Python's `json.dumps(…, indent=1)` describes it.
fn describe(head: &Head, body: &[u8]) -> String {
    let headers = head.headers.iter();
    let description = Description {
        line: head.line.clone(),
        headers: headers.map(|(n, v)| format!("{n}: {v}")).collect(),
        body_len: body.len(),
        body: latin1(body),
    };
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    description.serialize(&mut serializer).unwrap();
    // Bytes beyond ASCII would count twice.
    let text = String::from_utf8(text).unwrap();
    text.chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect()
}
