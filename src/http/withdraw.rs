//! `POST /api/withdraw/{id}`: an agent withdraws its request.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use serde_json::Map;

use super::agent::Agent;
use super::body;
use super::error::Error;
use super::extract::Id;
use super::fields::Fields;
use super::json::Json;
use super::wire::ApprovalResponse;
use crate::app::App;

pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Agent(credential): Agent,
    request: Request,
) -> Result<ApprovalResponse, Error> {
    // The body is optional.
    let body = if body::of(request.extensions())?.is_empty() {
        Map::new()
    } else {
        Json::from_request(request, &()).await?.0
    };
    let mut fields = Fields::new(body);
    let secret = fields.secret();
    fields.finish()?;
    let approval = app.withdraw(&id, &credential, secret.as_deref()).await?;
    Ok(ApprovalResponse::new(&app, StatusCode::OK, &approval))
}
