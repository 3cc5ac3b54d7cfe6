//! `GET /api/openapi.json`: the description of the HTTP interface, for authors of agents.
//!
//! The document is written by hand; `tests/it/openapi.rs` compares it with every response and every limit.

use axum::http::header;
use axum::response::IntoResponse;

pub(super) async fn openapi() -> impl IntoResponse {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, include_str!("openapi.json"))
}
