//! A stand-in for `sendMail` of Microsoft Graph with MIME content, written from the published description.
//! A message without a sender, a recipient or a text is refused.

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_parser::MessageParser;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::harness::http;
use crate::service::{Known, Service, refusal, said};

/// The only known mailbox.
pub(crate) const MAILBOX: &str = "gate@example.com";

/// An accepted message is its MIME source.
pub(crate) type Graph = Service<String>;

impl Graph {
    pub(crate) async fn start() -> Self {
        Self::judging(respond).await
    }

    /// The sent messages.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.mails()
    }

    /// Queues an answer for the next request.
    pub(crate) fn answer(&self, status: u16, retry_after: Option<u64>, code: &'static str) {
        self.answer_with(refusal(status, retry_after, code, "as the test says"));
    }
}

fn respond(request: &Request<Bytes>, known: &mut Known<String>) -> Response {
    let error = |status, code, why| refusal(status, None, code, why);
    if !known.trusts(request) {
        return error(401, "InvalidAuthenticationToken", "the token");
    }
    let path = request.uri().path();
    let mailbox = path
        .strip_prefix("/v1.0/users/")
        .and_then(|rest| rest.strip_suffix("/sendMail"));
    let Some(mailbox) = mailbox else {
        return error(400, "BadRequest", "the path");
    };
    if mailbox.replace("%40", "@") != MAILBOX {
        return error(404, "ErrorInvalidUser", "the mailbox");
    }
    if request.method() != Method::POST {
        return error(405, "Request_BadRequest", "the method");
    }
    if said(request, "content-type") != "text/plain" {
        return error(400, "BadRequest", "the content type");
    }
    let Ok(source) = BASE64.decode(request.body()) else {
        let why = "Invalid base64 string for MIME content.";
        return error(400, "ErrorMimeContentInvalidBase64String", why);
    };
    match String::from_utf8(source) {
        Ok(source) if is_message(&source) => known.mails.push(source),
        _ => return error(400, "ErrorMimeContentInvalid", "the message"),
    }
    Response::builder().status(202).body(Body::empty()).unwrap()
}

fn is_message(source: &str) -> bool {
    MessageParser::default().parse(source).is_some_and(|mail| {
        mail.from().is_some() && mail.to().is_some() && mail.body_text(0).is_some()
    })
}

const MESSAGE: &str = "From: gate@example.com\r\nTo: alice@example.com\r\n\r\nhello\r\n";

fn request(graph: &Graph, body: String) -> RequestBuilder {
    let url = format!("{}/v1.0/users/{MAILBOX}/sendMail", graph.url());
    http()
        .build()
        .unwrap()
        .post(url)
        .header("content-type", "text/plain")
        .bearer_auth("a token")
        .body(body)
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// The status and the code of a refusal.
async fn refused(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_mime_message_is_sent_unchanged() {
    let graph = Graph::start().await;
    graph.trust("a token");
    let answer = request(&graph, BASE64.encode(MESSAGE))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.bytes().await.unwrap(), "");
    assert_eq!(graph.sent(), [MESSAGE]);
    // Graph has no idempotency key: a repeated call sends a second message.
    assert_eq!(status(request(&graph, BASE64.encode(MESSAGE))).await, 202);
    assert_eq!(graph.sent(), [MESSAGE, MESSAGE]);
}

#[tokio::test]
async fn only_a_valid_message_for_the_known_mailbox_is_sent() {
    let graph = Graph::start().await;
    let mail = BASE64.encode(MESSAGE);
    let untrusted = refused(request(&graph, mail.clone())).await;
    assert_eq!(untrusted, (401, "InvalidAuthenticationToken".to_owned()));
    graph.trust("a token");
    for (body, code) in [
        (MESSAGE.to_owned(), "ErrorMimeContentInvalidBase64String"),
        (
            BASE64.encode("To: alice@example.com\r\n\r\nx"),
            "ErrorMimeContentInvalid",
        ),
        (BASE64.encode([0xff]), "ErrorMimeContentInvalid"),
    ] {
        let expected = (400, code.to_owned());
        assert_eq!(refused(request(&graph, body)).await, expected);
    }
    let client = http().build().unwrap();
    for (path, kind, status, code) in [
        (
            "users/bob@example.com/sendMail",
            "text/plain",
            404,
            "ErrorInvalidUser",
        ),
        ("me/sendMail", "text/plain", 400, "BadRequest"),
        (
            "users/gate@example.com/sendMail",
            "application/json",
            400,
            "BadRequest",
        ),
    ] {
        let other = client
            .post(format!("{}/v1.0/{path}", graph.url()))
            .header("content-type", kind)
            .bearer_auth("a token")
            .body(mail.clone());
        assert_eq!(refused(other).await, (status, code.to_owned()));
    }
    assert_eq!(graph.sent(), [] as [&str; 0]);
}

#[tokio::test]
async fn queued_answers_are_sent_in_order_or_lost() {
    let graph = Graph::start().await;
    graph.trust("a token");
    let request = || request(&graph, BASE64.encode(MESSAGE));
    graph.answer(429, Some(7), "TooManyRequests");
    graph.answer(403, None, "ErrorAccessDenied");
    graph.lose_answer();
    let answer = request().send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "7");
    let answer: Value = answer.json().await.unwrap();
    let expected = json!({"code": "TooManyRequests", "message": "as the test says"});
    assert_eq!(answer, json!({"error": expected}));
    let denied = (403, "ErrorAccessDenied".to_owned());
    assert_eq!(refused(request()).await, denied);
    assert!(request().send().await.is_err());
    assert_eq!(graph.requests().len(), 3);
    assert_eq!(graph.sent(), [MESSAGE]);
}
