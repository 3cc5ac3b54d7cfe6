//! `POST /api/outcome/{id}`: the claimant reports the outcome of the action.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use human_oversight_protocol::types::ERROR_CHARS;

use super::agent::Agent;
use super::error::Error;
use super::extract::Id;
use super::fields::{Fields, Text};
use super::json::Json;
use super::wire::ApprovalResponse;
use crate::app::App;

pub(super) async fn outcome(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Agent(credential): Agent,
    Json(body): Json,
) -> Result<ApprovalResponse, Error> {
    let mut fields = Fields::new(body);
    let status = fields.required("status");
    let error = fields.optional_text("error", Text::Prose, ERROR_CHARS);
    let nonce = fields.optional("nonce");
    let nonce = nonce.and_then(|value| fields.nonce(value));
    let secret = fields.secret();
    let report = match status.as_ref().and_then(|status| status.as_str()) {
        Some("Executed") => {
            if error.is_some() {
                fields.add_error("/error", "is for ExecutionFailed only");
            }
            Ok(())
        }
        Some("ExecutionFailed") => Err(error),
        _ => {
            if status.is_some() {
                fields.add_error("/status", "must be Executed or ExecutionFailed");
            }
            Ok(())
        }
    };
    fields.finish()?;
    let (nonce, secret) = (nonce.as_deref(), secret.as_deref());
    let approval = app
        .report_outcome(&id, &credential, report, nonce, secret)
        .await?;
    Ok(ApprovalResponse::new(&app, StatusCode::OK, &approval))
}
