//! A receiver of the events for channels.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Barrier, Semaphore};

use crate::deadline::eventually;
use crate::openapi::check_webhook;

/// The secret of every channel: 24 bytes.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    /// The event's type.
    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

/// Accepts everything, unless it has another answer.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    always: Arc<Mutex<Option<Answer>>>,
}

pub(crate) type Answer = (u16, Option<(&'static str, String)>);

/// The URL of a receiver that accepts a message when the semaphore grants a permit.
pub(crate) async fn holding(permits: Arc<Semaphore>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let receive = || async move { permits.acquire().await.unwrap().forget() };
    let router = Router::new().fallback(receive);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The URL of a receiver that answers each message with `410` once this number has arrived.
pub(crate) async fn gone_after(messages: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let all = Arc::new(Barrier::new(messages));
    let receive = || async move {
        all.wait().await;
        StatusCode::GONE
    };
    let router = Router::new().fallback(receive);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!(
                "http://{}/hook?sig=topsecret",
                listener.local_addr().unwrap()
            ),
            ..Self::default()
        };
        let kept = receiver.clone();
        let receive =
            move |headers: HeaderMap, body: Bytes| async move { kept.answer(headers, &body) };
        let router = Router::new().fallback(receive);
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn answer(&self, headers: HeaderMap, body: &[u8]) -> Response {
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.received
            .lock()
            .unwrap()
            .push(Received { headers, body });
        let next = self.answers.lock().unwrap().pop_front();
        let next = next.or_else(|| self.always.lock().unwrap().clone());
        let (status, header) = next.unwrap_or((204, None));
        let mut answer = (StatusCode::from_u16(status).unwrap(), "topsecret").into_response();
        if let Some((name, value)) = header {
            answer.headers_mut().insert(name, value.parse().unwrap());
        }
        answer
    }

    /// Answers the next message like this.
    pub(crate) fn answer_once(&self, status: u16, header: Option<(&'static str, String)>) {
        self.answers.lock().unwrap().push_back((status, header));
    }

    /// Answers every message like this from now on; `None` accepts them.
    pub(crate) fn answer_always(&self, status: Option<u16>) {
        *self.always.lock().unwrap() = status.map(|status| (status, None));
    }

    /// What it has received, each of which is as the interface's description says.
    pub(crate) fn received(&self) -> Vec<Received> {
        let received = self.received.lock().unwrap().clone();
        for Received { headers, body } in &received {
            check_webhook(headers, body);
        }
        received
    }

    /// What it has received, once it has received that number.
    pub(crate) async fn until(&self, count: usize) -> Vec<Received> {
        let look = async || (self.received.lock().unwrap().len() >= count).then_some(());
        eventually(look).await;
        let received = self.received();
        assert_eq!(received.len(), count, "{received:?}");
        received
    }

    /// The types of the events, sorted.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self.received().iter().map(Received::kind).collect();
        kinds.sort();
        kinds
    }
}
