//! The common part of the stand-ins for email services with an HTTP API.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

/// A stand-in for an email service, which runs until the test ends.
pub(crate) struct Service<M> {
    url: String,
    shared: Arc<Shared<M>>,
}

/// Decides about a request: accepts or refuses the email, and returns the response.
pub(crate) type Judge<M> = fn(&Request<Bytes>, &mut Known<M>) -> Response;

/// The state of a service: the trusted token and the accepted emails.
pub(crate) struct Known<M> {
    token: Option<String>,
    pub(crate) mails: Vec<M>,
}

impl<M> Known<M> {
    /// Whether the request has the trusted token.
    pub(crate) fn trusts(&self, request: &Request<Bytes>) -> bool {
        self.token.as_ref().is_some_and(|token| {
            said(request, "authorization").strip_prefix("Bearer ") == Some(token)
        })
    }
}

impl<M: Clone + Send + 'static> Service<M> {
    pub(crate) async fn judging(judge: Judge<M>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            shared: Arc::new(Shared {
                judge,
                seen: Mutex::new(Seen {
                    requests: Vec::new(),
                    next: VecDeque::new(),
                    known: Known {
                        token: None,
                        mails: Vec::new(),
                    },
                }),
            }),
        };
        tokio::spawn(Arc::clone(&service.shared).listen(listener));
        service
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sets the bearer token that requests must have.
    pub(crate) fn trust(&self, token: &str) {
        self.shared.seen.lock().unwrap().known.token = Some(token.to_owned());
    }

    /// Every request so far, accepted or not.
    pub(crate) fn requests(&self) -> Vec<Request<Bytes>> {
        self.shared.seen.lock().unwrap().requests.clone()
    }

    pub(crate) fn mails(&self) -> Vec<M> {
        self.shared.seen.lock().unwrap().known.mails.clone()
    }

    /// Queues a response for the next request, which is then not evaluated.
    pub(crate) fn answer_with(&self, answer: Response) {
        let mut seen = self.shared.seen.lock().unwrap();
        seen.next.push_back(Next::Answer(answer));
    }

    /// The next request is evaluated; then its connection is closed without a response.
    pub(crate) fn lose_answer(&self) {
        self.shared.seen.lock().unwrap().next.push_back(Next::Cut);
    }

    /// The next request is evaluated, and its connection stays open without a response.
    pub(crate) fn fall_silent(&self) {
        let mut seen = self.shared.seen.lock().unwrap();
        seen.next.push_back(Next::Silence);
    }
}

/// The value of a header; empty if the header is missing.
pub(crate) fn said<'a>(request: &'a Request<Bytes>, header: &str) -> &'a str {
    let value = request.headers().get(header);
    value.map_or("", |value| value.to_str().unwrap_or_default())
}

/// An error response in the common form of Microsoft's services.
pub(crate) fn refusal(status: u16, retry_after: Option<u64>, code: &str, why: &str) -> Response {
    let mut answer = Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        answer = answer.header(header::RETRY_AFTER, seconds);
    }
    let body = json!({"error": {"code": code, "message": why}});
    answer.body(Body::from(body.to_string())).unwrap()
}

/// How the next request is answered.
enum Next {
    Answer(Response),
    Cut,
    Silence,
}

/// The state that all connections share.
struct Shared<M> {
    judge: Judge<M>,
    seen: Mutex<Seen<M>>,
}

struct Seen<M> {
    requests: Vec<Request<Bytes>>,
    next: VecDeque<Next>,
    known: Known<M>,
}

impl<M: Send + 'static> Shared<M> {
    async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            let shared = Arc::clone(&self);
            tokio::spawn(async move {
                let answer = service_fn(|request| shared.answer(request));
                let client = TokioIo::new(client);
                http1::Builder::new().serve_connection(client, answer).await
            });
        }
    }

    /// An error closes the connection.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let request = Request::from_parts(parts, body);
        let (judged, next) = {
            let mut seen = self.seen.lock().unwrap();
            seen.requests.push(request.clone());
            let next = seen.next.pop_front();
            if let Some(Next::Answer(answer)) = next {
                return Ok(answer);
            }
            ((self.judge)(&request, &mut seen.known), next)
        };
        match next {
            Some(Next::Silence) => std::future::pending().await,
            Some(_) => Err(io::ErrorKind::ConnectionAborted.into()),
            None => Ok(judged),
        }
    }
}
