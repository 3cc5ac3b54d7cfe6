//! Sending emails of a request again for the operator. The command line does it without the gate.

use std::time::Duration;

use super::error::Error;
use super::retries::Retries;
use crate::domain::{Approval, Requeued};
use crate::store::Store;
use crate::values::{Address, AllowList, ApprovalId, Clock};

/// Queues emails of a request again, for the next sweep, to people on the `list`: none if there is nothing to send, or
/// it waits for its turn already.
///
/// # Errors
/// When the request does not exist, cannot be trusted or cannot be read.
pub async fn resend(
    store: &Store,
    id: &ApprovalId,
    list: &AllowList,
    clock: &Clock,
) -> Result<Requeued, Error> {
    let is_listed = |person: &Address| list.allows(person);
    let mut last = Requeued::default();
    let queued = queue_again(store, id, |approval| {
        last = approval.queue_again(is_listed, clock());
        last.emails
    });
    queued.await?;
    Ok(last)
}

/// Queues something of a request again, for the next sweep. Returns what `queue` does.
pub(super) async fn queue_again(
    store: &Store,
    id: &ApprovalId,
    mut queue: impl FnMut(&mut Approval) -> usize,
) -> Result<usize, Error> {
    let mut retries = Retries::new();
    loop {
        let mut row = store.get(id).await?;
        let queued = queue(&mut row.approval);
        if queued == 0 {
            return Ok(0);
        }
        // If an outcome is awaited, the sweep finds the request early and stores the right time.
        let due = row.approval.next_due(Duration::ZERO);
        match store.replace(row, due).await {
            Ok(_) => return Ok(queued),
            Err(error) => retries.wait_after(error).await?,
        }
    }
}
