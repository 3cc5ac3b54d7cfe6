//! Reads bodies before a handler answers, so that no answer overtakes its request.
//!
//! A server that answers before the body has arrived must close the connection, and a proxy that is still
//! sending then reports a failure of its own instead of that answer.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use human_oversight_protocol::types::BODY_BYTES;
use hyper::body::Body as _;

use super::error::Error;

/// Of a larger body, as much is read and discarded before the answer.
const DISCARD_LIMIT: usize = 32 * 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// The time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The body of a request, or why it is refused.
#[derive(Clone)]
struct Arrived(Result<Bytes, Refused>);

#[derive(Clone, Copy)]
enum Refused {
    Encoded,
    TooLarge,
    TooSlow,
    Incomplete,
}

/// Middleware that reads the whole body.
pub(super) async fn read(mut request: Request, next: Next) -> Response {
    let is_encoded = is_encoded(request.headers());
    let mut body = std::mem::take(request.body_mut());
    let arrived = match tokio::time::timeout(BODY_TIMEOUT, collect(&mut body)).await {
        Ok(Err(Refused::TooLarge)) => {
            tokio::time::timeout(DISCARD_TIMEOUT, discard(body))
                .await
                .ok();
            Err(Refused::TooLarge)
        }
        Ok(Ok(_)) if is_encoded => Err(Refused::Encoded),
        Ok(arrived) => arrived,
        Err(_) => Err(Refused::TooSlow),
    };
    request.extensions_mut().insert(Arrived(arrived));
    next.run(request).await
}

/// The body, from the extensions of a request that has passed [`read`].
pub(super) fn of(extensions: &Extensions) -> Result<Bytes, Error> {
    let Arrived(body) = extensions.get().ok_or(Error::Bug)?;
    body.clone().map_err(|refused| match refused {
        Refused::Encoded => Error::Encoding,
        Refused::TooLarge => {
            Error::TooLarge(format!("The body may have at most {BODY_BYTES} bytes."))
        }
        Refused::TooSlow => Error::TooSlow,
        Refused::Incomplete => Error::BadRequest("The body is incomplete.".to_owned()),
    })
}

/// Whether the body is compressed, or says so.
fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    !encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

async fn collect(body: &mut Body) -> Result<Bytes, Refused> {
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(Refused::TooLarge);
    }
    match Limited::new(body, BODY_BYTES).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refused::TooLarge),
        Err(_) => Err(Refused::Incomplete),
    }
}

async fn discard(body: Body) {
    let mut body = Limited::new(body, DISCARD_LIMIT);
    while let Some(Ok(_)) = body.frame().await {}
}
