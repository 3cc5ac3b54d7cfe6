//! `POST /api/outcome/{id}`: the claimant says what became of the action.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::claim::{Secret, not_possible};
use super::error::Error;
use super::json::{Fields, Json, Text};
use super::wire::Answer;
use super::{App, OwnId};

const ERROR_CHARS: usize = 2_000;

pub(super) async fn outcome(
    State(app): State<Arc<App>>,
    OwnId(id): OwnId,
    Json(body): Json,
) -> Result<Answer, Error> {
    let mut fields = Fields::of(body);
    let status = fields.required("status");
    let error = fields.optional_text("error", Text::Prose, ERROR_CHARS);
    let secret = Secret::take(&mut fields);
    let report = match status.as_ref().and_then(|status| status.as_str()) {
        Some("Executed") => {
            if error.is_some() {
                fields.fault("/error", "is for ExecutionFailed only");
            }
            Ok(())
        }
        Some("ExecutionFailed") => Err(error),
        _ => {
            if status.is_some() {
                fields.fault("/status", "must be Executed or ExecutionFailed");
            }
            Ok(())
        }
    };
    fields.finish()?;
    let (approval, ()) = app
        .change(&id, |approval, now| {
            secret.check(approval)?;
            let done = approval.report(report.clone(), now);
            done.map_err(|_| not_possible(approval, now))
        })
        .await?;
    Ok(Answer::of(&app, StatusCode::OK, &approval))
}
