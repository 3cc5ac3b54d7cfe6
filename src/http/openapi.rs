//! `GET /api/openapi.json`: what the interface says of itself, for whoever writes an agent.
//!
//! The document is written by hand; `tests/it/openapi.rs` holds every answer and every limit against
//! it.

use axum::http::header;
use axum::response::IntoResponse;

pub(super) async fn openapi() -> impl IntoResponse {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, include_str!("openapi.json"))
}
