//! The sweep: what time alone brings about is stored, and mails that are due are sent.
//!
//! It only tidies and tells people: deadlines hold without it. Running it twice does no harm.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::Instant;

use super::App;
use super::error::Error;
use super::wire;
use crate::id::ApprovalId;
use crate::store::Due;

/// How long one sweep may take; the next one begins with what is due then.
const BUDGET: Duration = Duration::from_secs(50);

/// So many requests are tidied at once.
const AT_ONCE: usize = 8;

/// What a sweep did.
#[derive(Default)]
pub(super) struct Swept {
    looked_at: u32,
    mails: usize,
    failed: u32,
    complete: bool,
}

/// What the cloud's front end puts on every request from outside, and the host on none of its own.
const FROM_OUTSIDE: [&str; 3] = ["x-forwarded-for", "x-arr-log-id", "disguised-host"];

/// The timer's call, as the Functions host makes it. The answer must be this JSON object: an empty
/// one would hang the host. No route of the host leads here; should one ever, it is closed.
pub(super) async fn tick(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Error> {
    if FROM_OUTSIDE.iter().any(|name| headers.contains_key(*name)) {
        return Err(Error::NotFound);
    }
    let Swept {
        looked_at,
        mails,
        failed,
        complete,
    } = sweep(&app).await;
    let log = format!("{looked_at} due, {mails} mails, {failed} failed, complete: {complete}");
    Ok(wire::json(
        &json!({"Outputs": {}, "Logs": [log], "ReturnValue": null}),
    ))
}

pub(super) async fn sweep(app: &App) -> Swept {
    let until = Instant::now() + BUDGET;
    let started_at = app.now();
    let mut swept = Swept::default();
    let mut place = None;
    loop {
        // Those that become due meanwhile are the next sweep's.
        let (page, next) = match app.store.due(started_at, place).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(cause = %error, "the sweep could not see what is due");
                swept.failed += 1;
                break;
            }
        };
        // Several at once: a mail system that says nothing must not hold up what needs none.
        let page = page.into_iter().take_while(|_| Instant::now() < until);
        let looks = stream::iter(page.map(|due| look(app, due))).buffer_unordered(AT_ONCE);
        let mut looks = pin!(looks);
        while let Some(mails) = looks.next().await {
            swept.looked_at += 1;
            match mails {
                Some(mails) => swept.mails += mails,
                None => swept.failed += 1,
            }
        }
        place = next;
        if Instant::now() >= until {
            break;
        }
        if place.is_none() {
            swept.complete = swept.failed == 0;
            break;
        }
    }
    if swept.looked_at > 0 {
        let Swept {
            looked_at,
            mails,
            failed,
            complete,
        } = swept;
        tracing::info!(looked_at, mails, failed, complete, "swept");
    }
    swept
}

/// How many mails were sent about something that is due; nothing if it could not be tidied, which the
/// log is told.
async fn look(app: &App, due: Due) -> Option<usize> {
    let Some(id) = &due.id else {
        tracing::error!("a row that is due is none of the gate's");
        return None;
    };
    match tidy(app, id, &due).await {
        Ok(mails) => Some(mails),
        Err(error) => {
            let id = id.to_string();
            let cause = error.cause();
            tracing::error!(id, cause, "the sweep could not tidy a request");
            None
        }
    }
}

/// One request, in one write, and its mails after that.
async fn tidy(app: &App, id: &ApprovalId, due: &Due) -> Result<usize, Error> {
    let Some(row) = app.store.get_if_due(id, due, app.now()).await? else {
        return Ok(0);
    };
    let before = row.approval.clone();
    let (row, attempts) = app
        .change_row(app.trusted(row)?, |approval, now| {
            approval.tidy(app.config.outcome_within, now);
            Ok(approval.lease_mails(app.config.mail_notes, now))
        })
        .await?;
    if row.approval == before {
        // It was due by settings that have changed since.
        let due = before.next_due(app.config.outcome_within);
        app.replace(row, due, before.history.len()).await?;
        return Ok(0);
    }
    let mails = attempts.len();
    app.notify(row, attempts).await?;
    Ok(mails)
}
