//! What the approvers of a request should know about requests before it: earlier rejections of the same, and the
//! request that it supersedes.

use super::error::{ConflictReason, Error};
use super::state::App;
use crate::domain::{Approval, Earlier, NotSuperseded, SendAttempt, Superseded};
use crate::keys::AgentCredential;
use crate::values::ApprovalId;

impl App {
    /// The earlier requests, while there is something to decide.
    pub async fn earlier(&self, approval: &Approval) -> Earlier {
        let (rejections, superseded) =
            tokio::join!(self.earlier_rejections(approval), self.superseded(approval));
        Earlier {
            rejections,
            superseded,
        }
    }

    /// As [`App::earlier`], for the emails of these attempts; nothing is read if none of them asks.
    pub(super) async fn earlier_for(
        &self,
        approval: &Approval,
        attempts: &[SendAttempt],
    ) -> Earlier {
        if attempts.iter().any(|attempt| attempt.notice.asks()) {
            self.earlier(approval).await
        } else {
            Earlier::default()
        }
    }

    /// Checks that the earlier request that a submission names is the caller's, and ended without an approval.
    ///
    /// # Errors
    /// [`Error::NotSuperseded`], the same for another owner's as for an absent one; or the store's own.
    pub(super) async fn check_superseded(
        &self,
        id: &ApprovalId,
        credential: &AgentCredential,
    ) -> Result<(), Error> {
        let earlier = match self.load_owned(id, credential).await {
            Ok(row) => row.approval,
            Err(hidden @ (Error::NotFound | Error::Hidden(_))) => {
                if let Some(cause) = hidden.cause() {
                    tracing::error!(id = id.to_string(), cause, "integrity problem");
                }
                return Err(Error::NotSuperseded(NotSuperseded::Unknown));
            }
            Err(Error::Conflict(ConflictReason::Legacy)) => {
                return Err(Error::NotSuperseded(NotSuperseded::Unknown));
            }
            Err(error) => return Err(error),
        };
        let checked = earlier.check_superseded(self.now());
        checked.map_err(Error::NotSuperseded)
    }

    /// The request that this one supersedes. What cannot be read is part of the result.
    async fn superseded(&self, approval: &Approval) -> Option<Superseded> {
        let is_open = approval.is_open(self.now());
        let id = approval.request.supersedes.clone().filter(|_| is_open)?;
        Some(match self.load(&id).await {
            Ok(row) if row.approval.is_before(approval) => {
                Superseded::Known(Box::new(row.approval))
            }
            Ok(_) | Err(Error::NotFound) => Superseded::Gone(id),
            Err(error) => {
                let (id_of_this, cause) = (approval.request.id.to_string(), error.cause());
                tracing::warn!(
                    id = id_of_this,
                    cause,
                    "the request that this one supersedes could not be read"
                );
                Superseded::Unreadable(id)
            }
        })
    }
}
