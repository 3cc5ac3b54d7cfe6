//! A stand-in for the email service of Azure Communication Services, API version 2025-09-01.
//!
//! It implements the published specification, and is stricter than the service where a mistake of the
//! gate would do harm: it refuses a message with tracked links or with members that the gate does not
//! use.

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::RequestBuilder;
use ring::{digest, hmac};
use serde_json::{Value, json};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};
use uuid::Uuid;

use crate::harness::http;
use crate::service::{Known, Service, refusal, said};

/// The access key of the resource.
pub(crate) const KEY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

/// The format of HTTP dates.
const DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// The only known sender.
const SENDER: &str = "approvals@notify.example.com";

pub(crate) type Acs = Service<Accepted>;

/// A message that was accepted.
#[derive(Clone)]
pub(crate) struct Accepted {
    operation: Uuid,
    message: Value,
}

impl Acs {
    pub(crate) async fn start() -> Self {
        Self::judging(respond).await
    }

    /// The accepted messages. A message that was repeated under the same operation counts once.
    pub(crate) fn sent(&self) -> Vec<Value> {
        let messages = self.mails().into_iter().map(|accepted| accepted.message);
        messages.collect()
    }

    /// Queues an answer for the next request.
    pub(crate) fn answer(&self, status: u16, retry_after: Option<u64>, code: &'static str) {
        self.answer_with(error(status, retry_after, code, "as the test says"));
    }

    /// Queues an error with this message for the next request.
    pub(crate) fn answer_saying(&self, status: u16, code: &'static str, why: &str) {
        self.answer_with(error(status, None, code, why));
    }

    /// Queues a 429 with this `Retry-After` for the next request.
    pub(crate) fn answer_busy_until(&self, retry_after: &str) {
        let mut answer = error(429, None, "TooManyRequests", "as the test says");
        let retry_after = retry_after.parse().unwrap();
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, retry_after);
        self.answer_with(answer);
    }
}

/// The signature of a request.
fn signature(path_and_query: &str, date: &str, host: &str, body: &[u8]) -> String {
    let hash = BASE64.encode(digest::digest(&digest::SHA256, body));
    let signed = format!("POST\n{path_and_query}\n{date};{host};{hash}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64.decode(KEY).unwrap());
    BASE64.encode(hmac::sign(&key, signed.as_bytes()))
}

fn respond(request: &Request<Bytes>, known: &mut Known<Accepted>) -> Response {
    if !known.trusts(request) && !is_signed(request) {
        return error(401, None, "Denied", "Denied by the resource provider.");
    }
    if path_and_query(request) != "/emails:send?api-version=2025-09-01" {
        return error(404, None, "NotFound", "the path or the version");
    }
    if request.method() != Method::POST {
        return error(405, None, "MethodNotAllowed", "the method");
    }
    let Ok(operation) = said(request, "operation-id").parse() else {
        return error(400, None, "BadRequest", "Operation-Id");
    };
    let message = serde_json::from_slice(request.body()).unwrap_or_default();
    if said(request, "content-type") != "application/json" || !is_message(&message) {
        return error(400, None, "BadRequest", "the message");
    }
    if message["senderAddress"] != SENDER {
        return error(404, None, "DomainNotLinked", "the sender");
    }
    let same = |accepted: &Accepted| accepted.operation == operation;
    if !known.mails.iter().any(same) {
        known.mails.push(Accepted { operation, message });
    }
    let location = format!(
        "http://{}/emails/operations/{operation}?api-version=2025-09-01",
        said(request, "host")
    );
    let body = json!({"id": operation, "status": "Running"});
    Response::builder()
        .status(202)
        .header("operation-location", location)
        .header(header::RETRY_AFTER, 20)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

fn error(status: u16, retry_after: Option<u64>, code: &str, why: &str) -> Response {
    let mut answer = refusal(status, retry_after, code, why);
    let code = code.parse().unwrap();
    answer.headers_mut().insert("x-ms-error-code", code);
    answer
}

/// Signed with the key, for just this body, within five minutes of now.
fn is_signed(request: &Request<Bytes>) -> bool {
    let [date, host, hash] =
        ["x-ms-date", "host", "x-ms-content-sha256"].map(|name| said(request, name));
    let body = request.body();
    let expected = signature(path_and_query(request), date, host, body);
    is_recent(date)
        && hash == BASE64.encode(digest::digest(&digest::SHA256, body))
        && said(request, "authorization") == credentials(&expected)
}

fn credentials(signature: &str) -> String {
    format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}")
}

fn is_recent(date: &str) -> bool {
    PrimitiveDateTime::parse(date, DATE).is_ok_and(|date| {
        (OffsetDateTime::now_utc() - date.assume_utc()).abs() <= Duration::minutes(5)
    })
}

fn path_and_query(request: &Request<Bytes>) -> &str {
    request
        .uri()
        .path_and_query()
        .map_or("", |path| path.as_str())
}

/// The gate's part of the specification's `EmailMessage`.
fn is_message(message: &Value) -> bool {
    let content = &message["content"];
    has_members(
        message,
        &[
            "senderAddress",
            "recipients",
            "content",
            "userEngagementTrackingDisabled",
        ],
        &["replyTo", "headers"],
    ) && message["senderAddress"].is_string()
        && message["userEngagementTrackingDisabled"] == true
        && has_members(&message["recipients"], &["to"], &[])
        && are_addresses(&message["recipients"]["to"])
        && has_members(content, &["subject", "plainText", "html"], &[])
        && are_strings(content)
        && (message["replyTo"].is_null() || are_addresses(&message["replyTo"]))
        && (message["headers"].is_null() || are_strings(&message["headers"]))
}

fn are_addresses(list: &Value) -> bool {
    let is_address =
        |one: &Value| has_members(one, &["address"], &["displayName"]) && are_strings(one);
    list.as_array()
        .is_some_and(|list| !list.is_empty() && list.iter().all(is_address))
}

/// Whether an object has every required member, and no other member than these and the optional ones.
fn has_members(object: &Value, required: &[&str], optional: &[&str]) -> bool {
    object.as_object().is_some_and(|object| {
        required.iter().all(|name| object.contains_key(*name))
            && object
                .keys()
                .all(|name| required.contains(&name.as_str()) || optional.contains(&name.as_str()))
    })
}

fn are_strings(object: &Value) -> bool {
    object
        .as_object()
        .is_some_and(|object| object.values().all(Value::is_string))
}

fn message() -> Value {
    json!({
        "senderAddress": SENDER,
        "recipients": {"to": [{"address": "alice@example.com"}]},
        "content": {"subject": "one", "plainText": "two", "html": "<p>three"},
        "headers": {"Message-ID": "<four@notify.example.com>"},
        "userEngagementTrackingDisabled": true,
    })
}

/// A valid request without authentication.
fn request(acs: &Acs, operation: Uuid, body: &str) -> RequestBuilder {
    let url = format!("{}/emails:send?api-version=2025-09-01", acs.url());
    http()
        .build()
        .unwrap()
        .post(url)
        .header("content-type", "application/json")
        .header("operation-id", operation.to_string())
        .body(body.to_owned())
}

/// Signs the request for `body`, at a time that is `ahead` of now.
fn signed(acs: &Acs, request: RequestBuilder, body: &str, ahead: Duration) -> RequestBuilder {
    let date = (OffsetDateTime::now_utc() + ahead).format(DATE).unwrap();
    let host = acs.url().strip_prefix("http://").unwrap();
    let path = "/emails:send?api-version=2025-09-01";
    let signature = signature(path, &date, host, body.as_bytes());
    let hash = BASE64.encode(digest::digest(&digest::SHA256, body.as_bytes()));
    request
        .header("x-ms-date", date)
        .header("x-ms-content-sha256", hash)
        .header("authorization", credentials(&signature))
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// Python computed the expected value, with `key`, `date` and `host` from below:
///
/// ```python
/// sha256 = base64.b64encode(hashlib.sha256(b'{"a":1}').digest()).decode()
/// signed = f"POST\n/emails:send?api-version=2025-09-01\n{date};{host};{sha256}"
/// base64.b64encode(hmac.digest(base64.b64decode(key), signed.encode(), "sha256"))
/// ```
#[test]
fn a_signature_equals_one_computed_in_python() {
    assert_eq!(
        signature(
            "/emails:send?api-version=2025-09-01",
            "Sun, 22 Nov 2026 10:00:00 GMT",
            "contoso.communication.azure.com",
            br#"{"a":1}"#,
        ),
        "mxIwUQwGWw2hNJU0QVbpzpVXyHFtIndpwSJXM+P2gFg="
    );
}

#[tokio::test]
async fn a_repeated_operation_sends_one_message() {
    let acs = Acs::start().await;
    let body = message().to_string();
    let operation = Uuid::now_v7();
    for _ in 0..2 {
        let request = request(&acs, operation, &body);
        let signed = signed(&acs, request, &body, Duration::ZERO);
        let answer = signed.send().await.unwrap();
        assert_eq!(answer.status(), 202);
        assert_eq!(answer.headers()["retry-after"], "20");
        let location = answer.headers()["operation-location"].to_str().unwrap();
        assert!(location.starts_with(&format!("{}/emails/operations/{operation}?", acs.url())));
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer, json!({"id": operation, "status": "Running"}));
    }
    assert_eq!(acs.sent(), [message()]);
    assert_eq!(acs.requests().len(), 2);
    assert_eq!(
        said(&acs.requests()[1], "operation-id"),
        operation.to_string()
    );

    acs.trust("a token");
    assert_eq!(
        status(request(&acs, Uuid::now_v7(), &body).bearer_auth("a token")).await,
        202
    );
    assert_eq!(acs.sent().len(), 2);
}

#[tokio::test]
async fn a_request_must_be_signed_or_have_a_trusted_token() {
    let acs = Acs::start().await;
    let body = message().to_string();
    let request = || request(&acs, Uuid::now_v7(), &body);
    let denied = request().send().await.unwrap();
    assert_eq!(denied.status(), 401);
    assert_eq!(denied.headers()["x-ms-error-code"], "Denied");
    let said: Value = denied.json().await.unwrap();
    let expected = json!({"code": "Denied", "message": "Denied by the resource provider."});
    assert_eq!(said, json!({"error": expected}));

    assert_eq!(status(request().bearer_auth("a token")).await, 401);
    acs.trust("a token");
    assert_eq!(status(request().bearer_auth("another")).await, 401);
    for (signed_for, ahead, expected) in [
        (body.as_str(), Duration::minutes(4), 202),
        (&body, Duration::minutes(6), 401),
        (&body, Duration::minutes(-6), 401),
        ("{}", Duration::ZERO, 401),
    ] {
        let request = signed(&acs, request(), signed_for, ahead);
        assert_eq!(status(request).await, expected, "{signed_for} {ahead}");
    }
    assert_eq!(acs.sent().len(), 1);
}

#[tokio::test]
async fn a_message_with_other_members_is_refused() {
    let acs = Acs::start().await;
    acs.trust("a token");
    for (pointer, value, expected) in [
        ("/userEngagementTrackingDisabled", json!(false), 400),
        ("/recipients/to", json!([]), 400),
        (
            "/recipients/cc",
            json!([{"address": "bob@example.com"}]),
            400,
        ),
        ("/recipients/to/0/address", json!(1), 400),
        ("/recipients/to/0/name", json!("x"), 400),
        ("/content/html", Value::Null, 400),
        ("/headers/X-Number", json!(1), 400),
        ("/replyTo", json!("bob@example.com"), 400),
        ("/replyTo", json!([{"address": "bob@example.com"}]), 202),
        ("/attachments", json!([]), 400),
        ("/senderAddress", json!("gate@example.com"), 404),
    ] {
        let mut message = message();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        message.pointer_mut(parent).unwrap()[name] = value;
        let request = request(&acs, Uuid::now_v7(), &message.to_string()).bearer_auth("a token");
        assert_eq!(status(request).await, expected, "{pointer}");
    }
    let url = format!("{}/emails:send?api-version=2023-03-31", acs.url());
    let old = http().build().unwrap().post(url).bearer_auth("a token");
    assert_eq!(status(old).await, 404);
    let anonymous = request(&acs, Uuid::now_v7(), "").bearer_auth("a token");
    assert_eq!(status(anonymous).await, 400);
    assert_eq!(acs.sent().len(), 1);
}

#[tokio::test]
async fn queued_answers_are_sent_in_order_or_lost() {
    let acs = Acs::start().await;
    acs.trust("a token");
    let body = message().to_string();
    let request = || request(&acs, Uuid::now_v7(), &body).bearer_auth("a token");
    acs.answer(429, Some(7), "TooManyRequests");
    acs.answer(503, None, "ServiceUnavailable");
    acs.lose_answer();
    let answer = request().send().await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "7");
    assert_eq!(answer.headers()["x-ms-error-code"], "TooManyRequests");
    assert_eq!(status(request()).await, 503);
    assert_eq!(acs.sent().len(), 0);
    assert!(request().send().await.is_err());
    assert_eq!(acs.sent().len(), 1);
    assert_eq!(acs.requests().len(), 3);
    assert_eq!(status(request()).await, 202);
}
