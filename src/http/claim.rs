//! `POST /api/claim/{id}`: an agent claims an approval before it runs the action.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::agent::Agent;
use super::error::Error;
use super::extract::Id;
use super::fields::Fields;
use super::json::Json;
use super::wire::ApprovalResponse;
use crate::app::App;

pub(super) async fn claim(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Agent(credential): Agent,
    Json(body): Json,
) -> Result<ApprovalResponse, Error> {
    let mut fields = Fields::new(body);
    let nonce = fields.required("nonce");
    let nonce = nonce.and_then(|value| fields.nonce(value));
    let secret = fields.secret();
    fields.finish()?;
    let approval = app
        .claim(
            &id,
            &credential,
            &nonce.unwrap_or_default(),
            secret.as_deref(),
        )
        .await?;
    let mut response = ApprovalResponse::new(&app, StatusCode::OK, &approval);
    response.approval.permit = approval.permit().map(str::to_owned);
    Ok(response)
}
