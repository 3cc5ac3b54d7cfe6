//! Revoking an approval on the store.

use anyhow::{Context, anyhow};
use human_oversight::app::{self, ConflictReason, Error};
use human_oversight::config::StoreSettings;
use human_oversight::domain::Execution;
use human_oversight::keys::receipt::ReceiptKeys;
use human_oversight::store::{RowSettings, Store};
use human_oversight::values::ApprovalId;
use human_oversight_protocol::operate::Revoked;

use super::super::clock::{clock, now};
use super::super::maintenance;
use super::super::unknown_id::NO_REQUEST;

/// The keys that sign: a revocation is signed as the decision was.
pub(crate) fn receipt_keys(settings: &StoreSettings) -> anyhow::Result<ReceiptKeys> {
    let keys = maintenance::receipt_keys(settings)?;
    keys.context("without HO_RECEIPT_KEYS the revocation cannot be signed")
}

pub(crate) async fn revoke(
    store: &Store,
    keys: &ReceiptKeys,
    rows: &RowSettings,
    id: &ApprovalId,
) -> anyhow::Result<Revoked> {
    let revoked = app::revoke_for_operator(store, keys, rows, id, &clock()).await;
    let (approval, done) = revoked.map_err(refusal)?;
    store.settle().await;
    match approval.execution(now()) {
        Some(Execution::Revoked { at, revocation }) => Ok(Revoked {
            done,
            id: id.to_string(),
            since: at.to_string(),
            by: revocation.by.to_string(),
        }),
        _ => Err(refusal(Error::Bug)),
    }
}

fn refusal(error: Error) -> anyhow::Error {
    match error {
        Error::NotFound => anyhow!(NO_REQUEST),
        Error::Forbidden(why) => anyhow!(why),
        Error::Conflict(ConflictReason::NotRevocable(why)) => anyhow!(why),
        Error::Conflict(ConflictReason::Legacy) => {
            anyhow!("the request belongs to the legacy Logic App and ended there")
        }
        Error::Integrity(cause) => anyhow!("the stored request cannot be trusted: {cause}"),
        Error::Unsigned(cause) => anyhow!("nothing was revoked: {cause}"),
        error => anyhow!(
            "it may be revoked nevertheless, so repeat the command: {}",
            error.cause().unwrap_or("the store cannot be used")
        ),
    }
}
