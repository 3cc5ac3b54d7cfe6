//! `POST /api/claim/{id}`: an agent takes an approval, once, to run the action.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use human_oversight_protocol::parameters::sha256;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::error::{Error, Standing};
use super::json::{Fields, Json};
use super::wire::Answer;
use super::{App, OwnId};
use crate::approval::{Approval, Claimed};
use crate::id::is_plain_name;
use crate::timestamp::Timestamp;

const NONCE_CHARS: std::ops::RangeInclusive<usize> = 16..=64;
const SECRET_CHARS: usize = 256;

pub(super) async fn claim(
    State(app): State<Arc<App>>,
    OwnId(id): OwnId,
    Json(body): Json,
) -> Result<Answer, Error> {
    let mut fields = Fields::of(body);
    let nonce = match fields.required("nonce") {
        Some(Value::String(nonce))
            if is_plain_name(&nonce, *NONCE_CHARS.end()) && nonce.len() >= *NONCE_CHARS.start() =>
        {
            nonce
        }
        Some(_) => {
            let (least, most) = (NONCE_CHARS.start(), NONCE_CHARS.end());
            fields.fault(
                "/nonce",
                format!("must have {least} to {most} characters of [A-Za-z0-9._-]"),
            );
            String::new()
        }
        None => String::new(),
    };
    let secret = Secret::take(&mut fields);
    fields.finish()?;
    let (approval, (claimed, judged_at)) = app
        .change(&id, |approval, now| {
            secret.check(approval)?;
            Ok((approval.claim(&nonce, now), now))
        })
        .await?;
    match claimed {
        Claimed::Granted => Ok(Answer::of(&app, StatusCode::OK, &approval)),
        Claimed::Refused => Err(not_possible(&approval, judged_at)),
    }
}

/// What a requester proves itself with, where its request named the digest of it.
pub(super) struct Secret(Option<String>);

impl Secret {
    pub(super) fn take(fields: &mut Fields) -> Self {
        match fields.optional("secret") {
            None => Self(None),
            Some(Value::String(secret)) if secret.chars().count() <= SECRET_CHARS => {
                Self(Some(secret))
            }
            Some(_) => {
                fields.fault(
                    "/secret",
                    format!("must be a string of at most {SECRET_CHARS} characters"),
                );
                Self(None)
            }
        }
    }

    pub(super) fn check(&self, approval: &Approval) -> Result<(), Error> {
        let Some(claimant) = approval.request.claimant else {
            return Ok(());
        };
        let brought = sha256(self.0.as_deref().unwrap_or_default().as_bytes());
        match bool::from(brought.ct_eq(&claimant.0)) {
            true => Ok(()),
            false => Err(Error::Forbidden(
                "Only whoever brings the requester's secret may do this.",
            )),
        }
    }
}

/// The conflict that names how the request stood when it was judged.
pub(super) fn not_possible(approval: &Approval, judged_at: Timestamp) -> Error {
    let execution = approval
        .execution(judged_at)
        .and_then(|execution| execution.word());
    Error::Conflict(Standing::Stands(approval.status(judged_at), execution))
}
