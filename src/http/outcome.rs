//! `POST /api/outcome/{id}`: the claimant says what became of the action.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::claim::{Secret, not_possible};
use super::error::Error;
use super::json::{Fields, Json, Text};
use super::wire::Answer;
use super::{App, Id};

const ERROR_CHARS: usize = 2_000;

pub(super) async fn outcome(
    State(app): State<Arc<App>>,
    Id(id): Id,
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
    let (approval, (done, judged_at)) = app
        .change(&id, |approval, now| {
            secret.check(approval)?;
            Ok((approval.report(report.clone(), now), now))
        })
        .await?;
    match done {
        Ok(()) => Ok(Answer::of(&app, StatusCode::OK, &approval)),
        Err(_) => Err(not_possible(&approval, judged_at)),
    }
}
