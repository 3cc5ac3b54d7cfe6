//! `GET /api/keys`: the public keys of receipts, for whoever wants to check one.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;

use super::App;
use super::wire::json;

pub(super) async fn keys(State(app): State<Arc<App>>) -> impl IntoResponse {
    json(app.receipt_keys.public())
}
