//! Delivery reports: what the mail service says about an email after it has accepted it.
//!
//! The ids of all emails of a request begin alike. One row of the standing table, written beside the first email,
//! leads from that beginning to the request, whose emails have ids that can be derived again.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::error::Error;
use super::state::App;
use crate::domain::{Approval, Notice};
use crate::keys::message_group;
use crate::store::{StandingKind, StandingRow, StoreError};
use crate::values::{Address, ApprovalId};

/// A report that an email did not arrive.
#[derive(Debug)]
pub struct NonDelivery {
    /// The id under which the gate sent it.
    pub message: Uuid,
    /// The address to which it was sent.
    pub recipient: String,
    /// The mail service's word for what became of it; not a text of anyone else.
    pub status: &'static str,
}

/// The column with the id of the request.
const REQUEST: &str = "Request";

impl App {
    /// Keeps to which request the ids of its emails lead, if these are its first and the mail service reports
    /// deliveries. A failure is only logged: the emails are sent all the same.
    pub(super) async fn keep_message_group(&self, approval: &Approval, is_first: bool) {
        if !is_first || !self.mailer.reports_deliveries() {
            return;
        }
        if let Err(error) = self.try_keep(approval).await {
            let (id, cause) = (approval.request.id.to_string(), error.to_string());
            tracing::warn!(id, cause, "delivery reports will not find a request");
        }
    }

    async fn try_keep(&self, approval: &Approval) -> Result<(), StoreError> {
        let now = self.now();
        let Some(message) = self.link_keys.message_id(approval, 0, Notice::Request, now) else {
            return Ok(());
        };
        self.store.prepare().await?;
        let id = approval.request.id.to_string();
        let columns = BTreeMap::from([(REQUEST.to_owned(), id)]);
        let row = StandingRow::new(StandingKind::Delivery, &message_group(message), columns);
        match self.store.put_standing(row, now).await {
            // The people of an earlier stage had emails before.
            Err(StoreError::AlreadyExists) => Ok(()),
            stored => stored.map(drop),
        }
    }

    /// Records that an email did not arrive, once. A report of an email that the gate does not know, or that was sent
    /// to another address, changes nothing.
    ///
    /// # Errors
    /// When the rows cannot be read, trusted or written; then the report must be made again.
    pub async fn record_non_delivery(self: &Arc<Self>, report: &NonDelivery) -> Result<(), Error> {
        let Some(id) = self.find_request(report.message).await? else {
            tracing::info!("a delivery report names no known email");
            return Ok(());
        };
        let row = match self.load(&id).await {
            Err(Error::NotFound) => {
                tracing::info!("a delivery report names no known email");
                return Ok(());
            }
            row => row?,
        };
        let id = id.to_string();
        let Some((approver, notice)) = self.find_email(&row.approval, report.message) else {
            tracing::info!(id, "a delivery report names no known email");
            return Ok(());
        };
        let address = &row.approval.approvers[approver].address;
        let recipient = Address::from_known(&report.recipient);
        if !recipient.is_some_and(|it| it.is_same_mailbox(address)) {
            tracing::warn!(id, "a delivery report names another recipient");
            return Ok(());
        }
        let (_, is_new) = self
            .update_and_tell(row, |approval, now| {
                Ok(approval.record_non_delivery(approver, notice, now))
            })
            .await?;
        if is_new {
            let (kind, approver, status) = (notice.word(), approver + 1, report.status);
            tracing::warn!(id, kind, approver, status, "email not delivered");
        }
        Ok(())
    }

    async fn find_request(&self, message: Uuid) -> Result<Option<ApprovalId>, Error> {
        self.store.prepare().await?;
        let name = message_group(message);
        let Some(row) = self.store.standing(StandingKind::Delivery, &name).await? else {
            return Ok(None);
        };
        let id = row.columns.get(REQUEST).and_then(|id| id.parse().ok());
        id.map(Some)
            .ok_or_else(|| StoreError::damaged(REQUEST).into())
    }

    /// The approver and the notice whose email has this id.
    fn find_email(&self, approval: &Approval, message: Uuid) -> Option<(usize, Notice)> {
        let approvers = approval.approvers.iter().enumerate();
        let mut emails = approvers.flat_map(|(index, approver)| {
            let deliveries = approver.deliveries.iter();
            deliveries.map(move |delivery| (index, delivery))
        });
        let (index, delivery) = emails.find(|(index, delivery)| {
            let sent_at = delivery.state.at();
            let id = self
                .link_keys
                .message_id(approval, *index, delivery.notice, sent_at);
            id == Some(message)
        })?;
        Some((index, delivery.notice))
    }
}
