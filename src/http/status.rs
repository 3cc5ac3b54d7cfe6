//! `GET /api/status/{id}`: the state of a request; `?wait=N` waits for the decision.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use super::agent::Agent;
use super::error::Error;
use super::extract::{Id, wait_parameter};
use super::wire::ApprovalResponse;
use crate::app::App;

pub(super) async fn status(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Agent(credential): Agent,
    RawQuery(query): RawQuery,
) -> Result<ApprovalResponse, Error> {
    let approval = match wait_parameter(query.as_deref())? {
        Some(wait) => {
            let _place = app.begin_wait(&credential)?;
            app.wait_for_decision(&id, &credential, wait).await?
        }
        None => app.load_owned(&id, &credential).await?.approval,
    };
    app.check_clock_of_end(&approval)?;
    Ok(ApprovalResponse::new(&app, StatusCode::OK, &approval))
}
