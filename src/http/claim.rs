//! `POST /api/claim/{id}`: an agent claims an approval before it runs the action.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use super::agent::Agent;
use super::error::Error;
use super::extract::Id;
use super::fields::Fields;
use super::json::Json;
use super::wire::ApprovalResponse;
use crate::app::App;
use crate::values::is_plain_name;

const NONCE_CHARS: RangeInclusive<usize> = 16..=64;

pub(super) async fn claim(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Agent(credential): Agent,
    Json(body): Json,
) -> Result<ApprovalResponse, Error> {
    let mut fields = Fields::new(body);
    let nonce = match fields.required("nonce") {
        Some(Value::String(nonce))
            if is_plain_name(&nonce, *NONCE_CHARS.end()) && nonce.len() >= *NONCE_CHARS.start() =>
        {
            nonce
        }
        Some(_) => {
            let (least, most) = (NONCE_CHARS.start(), NONCE_CHARS.end());
            fields.add_error(
                "/nonce",
                format!("must have {least} to {most} characters of [A-Za-z0-9._-]"),
            );
            String::new()
        }
        None => String::new(),
    };
    let secret = fields.secret();
    fields.finish()?;
    let approval = app
        .claim(&id, &credential, &nonce, secret.as_deref())
        .await?;
    let mut response = ApprovalResponse::new(&app, StatusCode::OK, &approval);
    response.approval.permit = approval.permit().map(str::to_owned);
    Ok(response)
}
