//! `GET /api/keys`: the public keys of receipts and permits, and who signs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;

use super::wire::json;
use crate::app::App;

pub(super) async fn keys(State(app): State<Arc<App>>) -> impl IntoResponse {
    json(&app.published_keys())
}
