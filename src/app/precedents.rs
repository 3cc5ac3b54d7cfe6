//! Keeping decisions for later requests of the same action, and comparing a request with them.

use std::time::Duration;

use tokio::time::timeout;

use super::error::Error;
use super::retries::Retries;
use super::state::App;
use crate::domain::{Approval, Choice, Precedent, Scalars, Status};
use crate::store::{RowVersion, Store, StoreError};
use crate::values::ApprovalId;

/// How long a page waits for the earlier decisions.
const READ_WITHIN: Duration = Duration::from_millis(300);

/// How long after a failure the sweep tries again to keep a decision.
const RETRY_AFTER: Duration = Duration::from_secs(60);

impl App {
    /// What earlier decisions say about a pending request, for the approver at `reader`. `None` if it cannot be
    /// read in time: that costs the page this evidence, and nothing else.
    pub async fn precedent(&self, approval: &Approval, reader: usize) -> Option<Precedent> {
        let request = &approval.request;
        let are_kept = self.config.rows.version == RowVersion::V2;
        if !are_kept || approval.status(self.now()) != Status::Pending {
            return None;
        }
        let id = request.id.to_string();
        let reader = &approval.approvers[reader].address;
        let reading = self.store.decided_before(request, reader);
        let cause = match timeout(READ_WITHIN, reading).await {
            Ok(Ok(before)) => {
                if before.untrusted > 0 {
                    let rows = before.untrusted;
                    tracing::warn!(
                        id,
                        rows,
                        "earlier decisions cannot be trusted and are left out"
                    );
                }
                let present = Scalars::of_request(request);
                return Some(Precedent::new(&present, before.decisions));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        tracing::warn!(id, cause, "earlier decisions could not be read");
        None
    }

    /// Keeps the decision of a request, if it has one, and the last choice of a person for their list, in its own
    /// task, for which no answer waits. If the process ends before that, the sweep does it once there is a decision.
    pub(super) fn keep_decision_in_background(&self, approval: &Approval) {
        // Earlier ones are kept already.
        let newest = self.listed_choices(approval).pop();
        if approval.decision().is_none() && newest.is_none() {
            return;
        }
        let (store, approval) = (self.store.clone(), approval.clone());
        let keeping = async move {
            let kept = keep(&store, &approval, newest.as_slice()).await;
            if let Err(error) = kept {
                warn(&approval.request.id, &error);
            }
        };
        self.calls.in_background(keeping);
    }

    /// Keeps the decision of a due request, if it has one; returns whether that is done.
    pub(super) async fn keep_decision(&self, approval: &Approval) -> bool {
        let choices = match approval.decision() {
            Some(_) => self.listed_choices(approval),
            None => Vec::new(),
        };
        let kept = keep(&self.store, approval, &choices).await;
        kept.inspect_err(|error| warn(&approval.request.id, error))
            .is_ok()
    }

    /// What people chose, where they have a list: only people who sign in have one.
    fn listed_choices(&self, approval: &Approval) -> Vec<Choice> {
        match self.config.sign_in {
            Some(_) => approval.choices(),
            None => Vec::new(),
        }
    }

    /// Makes a request due again whose decision could not be kept.
    pub(super) async fn keep_decision_later(&self, id: &ApprovalId) -> Result<(), Error> {
        let mut retries = Retries::new();
        loop {
            let row = self.load(id).await?;
            let again = self.now() + RETRY_AFTER;
            let due = row.approval.next_due(self.config.outcome_within);
            let due = due.map_or(again, |due| due.min(again));
            match self.store.replace(row, Some(due)).await {
                Ok(_) => return Ok(()),
                Err(error) => retries.wait_after(error).await?,
            }
        }
    }
}

async fn keep(store: &Store, approval: &Approval, choices: &[Choice]) -> Result<(), StoreError> {
    let (decided, chosen) = tokio::join!(
        store.keep_decided(approval),
        store.keep_choices(approval, choices)
    );
    decided.and(chosen)
}

fn warn(id: &ApprovalId, error: &StoreError) {
    let id = id.to_string();
    tracing::warn!(id, cause = %error, "a decision could not be kept for later requests");
}
