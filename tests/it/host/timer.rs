//! The host's timer: how it calls a function and interprets the response.

use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use uuid::Uuid;

use super::VERSION;
use crate::deadline::within;

/// The host's interpretation of a timer function's response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    Succeeded {
        logs: Vec<String>,
    },
    Failed(String),
    /// The host would wait for five minutes and then kill the handler.
    Hang,
}

/// Calls a function as the host's timer does: by its name, with a chunked body.
pub(crate) async fn tick(handler: SocketAddr, function: &str) -> Invocation {
    let body = json!({
        "Data": {"timer": {
            "Schedule": {"AdjustForDST": true},
            "ScheduleStatus": {"Last": "0001-01-01T00:00:00+00:00", "Next": "2026-08-20T10:05:00+00:00",
                               "LastUpdated": "2026-08-20T10:00:00.0012345+00:00"},
            "IsPastDue": true}},
        "Metadata": {"sys": {"MethodName": function, "UtcNow": "2026-08-20T10:05:00.01Z", "RandGuid": Uuid::now_v7().to_string()}},
    });
    let chunks = body.to_string().into_bytes();
    let chunks =
        futures_util::stream::iter(chunks.chunks(50).map(<[u8]>::to_vec).collect::<Vec<_>>());
    let chunks = futures_util::StreamExt::map(chunks, Ok::<_, std::io::Error>);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{handler}/{function}"))
        .header("content-type", "application/json; charset=utf-8")
        .header("x-azure-functions-hostversion", VERSION)
        .header("x-azure-functions-invocationid", Uuid::now_v7().to_string())
        .header("user-agent", format!("Azure-Functions-Host/{VERSION}"))
        .body(Body::from_stream(chunks))
        .unwrap();
    let http: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    match within(http.request(request)).await {
        Err(error) => Invocation::Failed(error.to_string()),
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            let body = within(to_bytes(Body::new(body), 1 << 20)).await.unwrap();
            interpret(parts.status, &parts.headers, &body)
        }
    }
}

fn interpret(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Invocation {
    if !status.is_success() {
        return Invocation::Failed(format!("status {status}"));
    }
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if body.is_empty() || body == b"null" {
        return Invocation::Hang;
    }
    if !json.starts_with("application/json") {
        return Invocation::Failed("Invalid HttpResponseMessage".to_owned());
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(answer)) => {
            let logs = answer
                .get("Logs")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            Invocation::Succeeded {
                logs: logs
                    .iter()
                    .filter_map(|l| l.as_str().map(str::to_owned))
                    .collect(),
            }
        }
        _ => Invocation::Failed("the answer is no JSON object".to_owned()),
    }
}
