//! The HTTP under `azure_data_tables`: our own client with a pool, since the crate's has none. Time limits
//! are the caller's.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core_legacy::headers::{ACCEPT, HeaderName, HeaderValue, Headers};
use azure_core_legacy::{Body, BytesStream, HttpClient, Request, Response, StatusCode};
use reqwest::Client;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::fault::Fault;
use super::service_clock::ServiceClock;
use crate::azure::http::{causes, retry_after};

/// Headers that the crate requires in every response, which a proxy may have removed. Their values are unused.
const EXPECTED: [(&str, &str); 5] = [
    ("x-ms-request-id", "00000000-0000-0000-0000-000000000000"),
    ("x-ms-version", "2019-12-12"),
    ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("server", "unknown"),
    ("preference-applied", "return-no-content"),
];

const JSON: &str = "application/json;odata=nometadata";

/// Carries requests to the service: an HTTP client, or the simulated network of a test.
#[async_trait]
pub trait Wire: fmt::Debug + Send + Sync {
    /// The answer, or why there is none.
    async fn carry(&self, request: reqwest::Request) -> Result<reqwest::Response, String>;
}

#[async_trait]
impl Wire for Client {
    async fn carry(&self, request: reqwest::Request) -> Result<reqwest::Response, String> {
        self.execute(request).await.map_err(causes)
    }
}

#[derive(Debug)]
pub(super) struct Transport {
    pub(super) wire: Arc<dyn Wire>,
    pub(super) service_clock: Arc<ServiceClock>,
}

#[async_trait]
impl HttpClient for Transport {
    /// Failures become a [`Fault`], so that nothing of a response but status and code is passed on.
    async fn execute_request(&self, request: &Request) -> azure_core_legacy::Result<Response> {
        Ok(self.exchange(request).await?)
    }
}

impl Transport {
    async fn exchange(&self, request: &Request) -> Result<Response, Fault> {
        let method = request.method();
        let method = method.as_ref().parse().expect("a method of HTTP");
        let mut sent = reqwest::Request::new(method, request.url().clone());
        let headers = request.headers().iter();
        let headers: HashMap<String, String> = headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()))
            .collect();
        *sent.headers_mut() =
            HeaderMap::try_from(&headers).map_err(|error| Fault::Lost(error.to_string()))?;
        // Without it, errors come as XML.
        if request.headers().get_optional_str(&ACCEPT).is_none() {
            let json = reqwest::header::HeaderValue::from_static(JSON);
            sent.headers_mut().insert("accept", json);
        }
        if let Body::Bytes(bytes) = request.body() {
            *sent.body_mut() = Some(bytes.clone().into());
        }
        let answer = self.wire.carry(sent).await.map_err(Fault::Lost)?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        self.service_clock.compare(&headers);
        let body = answer
            .bytes()
            .await
            .map_err(|error| Fault::Lost(causes(error)))?;
        if !status.is_success() {
            return Err(fault(status.as_u16(), &headers, &body));
        }
        for (name, value) in EXPECTED {
            let value = reqwest::header::HeaderValue::from_static(value);
            headers.entry(name).or_insert(value);
        }
        let status = StatusCode::try_from(status.as_u16()).expect("a success is known");
        Ok(Response::new(
            status,
            legacy_headers(&headers),
            Box::pin(BytesStream::new(body)),
        ))
    }
}

fn fault(status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
    let code = code(headers, body);
    match status {
        408 | 429 | 500..=599 => Fault::Busy {
            status,
            code,
            retry_after: retry_after(headers),
        },
        _ => Fault::Refused { status, code },
    }
}

/// The service's error code: one word, even if a proxy responded.
fn code(headers: &HeaderMap, body: &[u8]) -> String {
    let header = headers
        .get("x-ms-error-code")
        .and_then(|value| value.to_str().ok().map(str::to_owned));
    let json = || {
        let body: Value = serde_json::from_slice(body).ok()?;
        Some(body.get("odata.error")?.get("code")?.as_str()?.to_owned())
    };
    // Some errors are XML whatever `Accept` says.
    let xml = || {
        let (_, rest) = std::str::from_utf8(body).ok()?.split_once("code>")?;
        Some(rest.split_once('<')?.0.to_owned())
    };
    let code = header.or_else(json).or_else(xml);
    code.filter(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()))
        .unwrap_or_else(|| "without a code".to_owned())
}

fn legacy_headers(headers: &HeaderMap) -> Headers {
    let headers: HashMap<_, _> = headers
        .iter()
        .filter_map(|(name, value)| {
            let value = HeaderValue::from(value.to_str().ok()?.to_owned());
            Some((HeaderName::from(name.as_str().to_owned()), value))
        })
        .collect();
    headers.into()
}
