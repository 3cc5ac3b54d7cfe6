//! `POST /api/withdraw/{id}`: an agent takes its request back.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use hyper::body::Body as _;
use serde_json::Map;

use super::claim::{Secret, not_possible};
use super::error::Error;
use super::json::{Fields, Json};
use super::wire::Answer;
use super::{App, OwnId};

pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    OwnId(id): OwnId,
    request: Request,
) -> Result<Answer, Error> {
    // Whoever has no secret to bring has nothing to say.
    let body = match request.body().is_end_stream() {
        true => Map::new(),
        false => Json::from_request(request, &()).await?.0,
    };
    let mut fields = Fields::of(body);
    let secret = Secret::take(&mut fields);
    fields.finish()?;
    let (approval, ()) = app
        .change(&id, |approval, now| {
            secret.check(approval)?;
            let done = approval.withdraw(now);
            done.map_err(|_| not_possible(approval, now))
        })
        .await?;
    Ok(Answer::of(&app, StatusCode::OK, &approval))
}
