//! The requests as the inbox of local development shows them.

use super::error::Error;
use super::state::App;
use crate::domain::{Approval, Status};

/// The maximum number of requests that are shown.
const SHOWN: usize = 50;

impl App {
    /// The open requests, by deadline, then the others, from the last on. Leaves out rows that cannot be trusted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn overview(&self) -> Result<Vec<Approval>, Error> {
        let mut approvals = Vec::new();
        let mut position = None;
        loop {
            let (page, next) = self.store.all(position).await?;
            approvals.extend(page.into_iter().filter_map(|row| row.approval.ok()));
            position = next;
            if position.is_none() {
                break;
            }
        }
        let now = self.now();
        let (mut open, mut ended): (Vec<Approval>, Vec<Approval>) = approvals
            .into_iter()
            .partition(|approval| approval.status(now) == Status::Pending);
        open.sort_by_key(|approval| approval.request.expires_at);
        let ended_at = |approval: &Approval| {
            let stored = approval.closed_at();
            stored.unwrap_or(approval.request.expires_at)
        };
        ended.sort_by_key(|approval| std::cmp::Reverse(ended_at(approval)));
        open.extend(ended);
        open.truncate(SHOWN);
        Ok(open)
    }
}
