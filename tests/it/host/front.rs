//! The HTTP front: routes, keys, and the delivery of a request to the handler.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use uuid::Uuid;

use super::app::{AuthLevel, Function, FunctionApp, Trigger};
use super::kestrel::{Request, complete};
use super::modes::{delivered, returned};
use super::sign_in::SignIn;
use super::wire::{Connection, Framing, Head, write_chunk};
use super::{KEY, MASTER_KEY, Mode, OTHER_KEY};

/// The HTTP front: checks routes and keys, and delivers requests to a handler.
pub(crate) struct Front {
    app: FunctionApp,
    mode: Mode,
    handler: SocketAddr,
    sign_in: Option<SignIn>,
}

/// The body of a request, if it has one; an error if its chunks are malformed.
type Content = Option<io::Result<Vec<u8>>>;

struct Answer {
    head: Head,
    body: AnswerBody,
}

enum AnswerBody {
    Whole(Vec<u8>),
    /// It is passed on as it comes from the handler.
    Stream(Connection, Framing),
}

/// How a delivery failed.
enum Failure {
    NotConnected,
    /// The connection was closed before the first byte of an answer.
    Closed,
    Broken,
}

impl Front {
    /// Answers on `listener` for the handler at `handler`, until the test ends.
    pub(crate) fn open(
        app: FunctionApp,
        mode: Mode,
        listener: TcpListener,
        handler: SocketAddr,
        sign_in: Option<SignIn>,
    ) {
        let front = Arc::new(Self {
            app,
            mode,
            handler,
            sign_in,
        });
        tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let front = Arc::clone(&front);
                client.set_nodelay(true).ok();
                tokio::spawn(async move { front.serve(BufReader::new(client)).await });
            }
        });
    }

    /// Answers the requests of a connection.
    async fn serve(&self, mut client: Connection) -> io::Result<()> {
        loop {
            let head = match Head::read(&mut client).await {
                Ok(None) => return Ok(()),
                Ok(Some(head)) => Request::parse(head),
                Err(_) => Err(400),
            };
            let mut request = match head {
                Ok(request) => request,
                Err(status) => return write(&mut client, own(status, false), true).await,
            };
            if request.head.first("expect") == Some("100-continue") && client.buffer().is_empty() {
                client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let content = match request.framing {
                None => None,
                Some(framing @ Framing::Length(_)) => Some(Ok(framing.read(&mut client).await?)),
                Some(framing) => Some(framing.read(&mut client).await),
            };
            let answer = tokio::select! {
                answer = self.answer(&mut request, &content) => answer,
                () = closed(client.get_ref()) => return Ok(()),
            };
            let is_last = request.is_last
                || matches!(content, Some(Err(_)))
                || answer.head.first("connection") == Some("close");
            write(&mut client, answer, is_last).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    async fn answer(&self, request: &mut Request, content: &Content) -> Answer {
        let is_head = request.method == "HEAD";
        let own = |status| own(status, is_head);
        if request.path == "/" {
            return own(204);
        }
        if let Some(sign_in) = &self.sign_in {
            if let Some(headers) = sign_in.answer(&request.path, &request.query) {
                let mut answer = own(302);
                answer.head.headers.extend(headers);
                return answer;
            }
            sign_in.identify(&mut request.head);
        }
        match self.app.route(&request.method, &request.path) {
            None => own(404),
            Some(function) if !is_allowed(function, request) => own(401),
            Some(_) => self
                .deliver(request, content)
                .await
                .unwrap_or_else(|| own(500)),
        }
    }

    /// Delivers as often as the host does. The proxying host repeats a call that failed up to ten times, but for
    /// a body that was sent; in both modes, .NET itself sends one without a body again, up to three times, when
    /// the connection was closed before an answer. So reading must change nothing.
    async fn deliver(&self, request: &Request, content: &Content) -> Option<Answer> {
        let invocation = Uuid::now_v7().to_string();
        let length = content
            .as_ref()
            .map(|content| content.as_ref().map_or(usize::MAX, Vec::len));
        let head = delivered(request, self.mode, &invocation, self.handler, length);
        let (rounds, has_content) = match self.mode {
            Mode::Proxying => (10, length.is_some()),
            Mode::Forwarding => (1, length.is_some_and(|length| length > 0)),
        };
        let sends = if has_content { 1 } else { 4 };
        let mut pause = Duration::from_millis(50);
        let mut is_spent = head.is_none();
        for round in 0..rounds {
            if round > 0 {
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(250));
            }
            for _ in 0..sends {
                let Some(head) = head.as_ref().filter(|_| !is_spent) else {
                    break;
                };
                match self.send(head, content, request.method == "HEAD").await {
                    Ok(answer) => return Some(answer),
                    Err(Failure::NotConnected) => break,
                    Err(failure) => {
                        is_spent = length.unwrap_or(0) > 0;
                        if matches!(failure, Failure::Broken) {
                            break;
                        }
                    }
                }
            }
        }
        None
    }

    /// Sends the request once, over a connection of its own.
    async fn send(&self, head: &Head, content: &Content, is_head: bool) -> Result<Answer, Failure> {
        let handler = TcpStream::connect(self.handler).await;
        let handler = handler.map_err(|_| Failure::NotConnected)?;
        handler.set_nodelay(true).ok();
        let mut handler = BufReader::new(handler);
        send_request(&mut handler, head, content)
            .await
            .map_err(|_| Failure::Broken)?;
        let head = loop {
            match Head::read(&mut handler).await {
                Ok(Some(head)) if head.line.starts_with("HTTP/1.1 100") => {}
                Ok(Some(answer)) => break answer,
                Ok(None) => return Err(Failure::Closed),
                Err(_) => return Err(Failure::Broken),
            }
        };
        let status = head.line.split(' ').nth(1);
        let is_bodiless = is_head || matches!(status, Some("204" | "304"));
        let framing = match Framing::of(&head) {
            _ if is_bodiless => Framing::Length(0),
            framing => framing.unwrap_or(Framing::UntilClosed),
        };
        if self.mode == Mode::Proxying {
            let head = returned(&head, self.mode, None);
            let body = AnswerBody::Stream(handler, framing);
            return Ok(Answer { head, body });
        }
        let body = framing.read(&mut handler).await;
        let body = body.map_err(|_| Failure::Broken)?;
        let length = (!is_head).then_some(body.len());
        Ok(Answer {
            head: returned(&head, self.mode, length),
            body: AnswerBody::Whole(body),
        })
    }
}

async fn send_request(to: &mut Connection, head: &Head, content: &Content) -> io::Result<()> {
    to.write_all(&head.bytes()).await?;
    let is_chunked = head.first("transfer-encoding").is_some();
    match content {
        None => Ok(()),
        Some(Err(_)) => Err(io::ErrorKind::InvalidData.into()),
        Some(Ok(body)) if !is_chunked => to.write_all(body).await,
        Some(Ok(body)) => {
            if !body.is_empty() {
                write_chunk(to, body).await?;
            }
            write_chunk(to, b"").await
        }
    }
}

/// Writes an answer. Where the handler's breaks off, so does this one.
async fn write(client: &mut Connection, answer: Answer, is_last: bool) -> io::Result<()> {
    let Answer { mut head, body } = answer;
    let (mut handler, mut framing) = match body {
        AnswerBody::Whole(body) => {
            complete(&mut head, is_last);
            return client.write_all(&[head.bytes(), body].concat()).await;
        }
        AnswerBody::Stream(handler, framing) => (handler, framing),
    };
    let is_chunked = !matches!(framing, Framing::Length(_));
    if is_chunked {
        head.push("Transfer-Encoding", "chunked");
    }
    complete(&mut head, is_last);
    client.write_all(&head.bytes()).await?;
    loop {
        let Ok(part) = framing.next(&mut handler).await else {
            client.get_ref().set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        };
        if is_chunked {
            write_chunk(client, &part).await?;
        } else {
            client.write_all(&part).await?;
        }
        if part.is_empty() {
            return Ok(());
        }
    }
}

/// An answer of the host itself.
fn own(status: u16, is_head: bool) -> Answer {
    let reason = StatusCode::from_u16(status).unwrap();
    let mut head = Head {
        line: format!("HTTP/1.1 {status} {}", reason.canonical_reason().unwrap()),
        headers: Vec::new(),
    };
    if status != 204 && !is_head {
        head.push("Content-Length", "0");
    }
    Answer {
        head,
        body: AnswerBody::Whole(Vec::new()),
    }
}

/// Whether a request may call a function: level `function` requires a key, level `admin` the master key. A key
/// in the header is the one that counts; two keys are none. Case is ignored.
fn is_allowed(function: &Function, request: &Request) -> bool {
    let Trigger::Http { level, .. } = function.trigger else {
        return false;
    };
    let keys: &[&str] = match level {
        AuthLevel::Anonymous => return true,
        AuthLevel::Function => &[KEY, OTHER_KEY, MASTER_KEY],
        AuthLevel::Admin => &[MASTER_KEY],
    };
    let query = request.query.trim_start_matches('?');
    let codes: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name.eq_ignore_ascii_case("code"))
        .map(|(_, code)| code.into_owned())
        .collect();
    let sent = match request.head.first("x-functions-key") {
        Some(key) => key.to_owned(),
        None => codes.join(","),
    };
    keys.iter().any(|key| key.eq_ignore_ascii_case(&sent))
}

/// Ends when the client closes its connection. What it sends ahead stays unread.
async fn closed(client: &TcpStream) {
    if let Ok(1..) = client.peek(&mut [0]).await {
        std::future::pending().await
    }
}
