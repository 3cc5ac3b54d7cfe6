//! `POST /api/withdraw/{id}`: an agent takes its request back.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use hyper::body::Body as _;
use serde_json::Map;

use super::App;
use super::claim::{Secret, not_possible};
use super::error::Error;
use super::json::{Fields, Json};
use super::wire::Answer;
use crate::id::ApprovalId;

pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Answer, Error> {
    let id: ApprovalId = id.parse().map_err(|_| Error::NotFound)?;
    // Whoever has no secret to bring has nothing to say.
    let body = match request.body().is_end_stream() {
        true => Map::new(),
        false => Json::from_request(request, &()).await?.0,
    };
    let mut fields = Fields::of(body);
    let secret = Secret::take(&mut fields);
    fields.finish()?;
    let (approval, done) = app
        .change(&id, |approval, now| {
            secret.check(approval)?;
            Ok(approval.withdraw(now))
        })
        .await?;
    match done {
        Ok(()) => Ok(Answer::of(&app, StatusCode::OK, &approval)),
        Err(_) => Err(not_possible(&approval, app.now())),
    }
}
