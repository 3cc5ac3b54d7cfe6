//! A request that an agent submits, once it is read and checked.

use std::time::Duration;

use crate::domain::{Callback, Parameters, Request};
use crate::keys::AgentCredential;
use crate::values::{Address, ApprovalId, Digest};

/// A valid request, not yet stored.
pub struct Submission {
    /// The agent's name and its correlation id.
    pub id: ApprovalId,
    /// The action, in one line.
    pub action: String,
    /// The exact arguments.
    pub parameters: Parameters,
    /// The approvers, all on the operator's list; `None` where the policy may choose them.
    pub approvers: Option<Vec<Address>>,
    /// The time to decide.
    pub timeout: Duration,
    /// The agent's explanation.
    pub reason: Option<String>,
    /// The person on whose behalf the agent acts.
    pub on_behalf_of: Option<Address>,
    /// The digest of the claimant's secret.
    pub claimant: Option<Digest>,
    /// The earlier request that this one takes the place of.
    pub supersedes: Option<ApprovalId>,
    /// How the agent is notified of the end.
    pub callback: Option<Callback>,
    /// The digest of the body, which identifies a repeat.
    pub digest: Digest,
    /// The digest of the body with its members that are `null`, as in the rows of earlier versions.
    pub digest_as_sent: Digest,
    /// What the caller presents.
    pub credential: AgentCredential,
}

/// What identifies a repeat of a submission.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) id: ApprovalId,
    digests: [Digest; 2],
    pub(super) credential: AgentCredential,
}

impl Submission {
    pub(super) fn identity(&self) -> Identity {
        Identity {
            id: self.id.clone(),
            digests: [self.digest, self.digest_as_sent],
            credential: self.credential.clone(),
        }
    }
}

impl Identity {
    /// Whether a stored request has the content of the submission.
    pub(super) fn has_content_of(&self, request: &Request) -> bool {
        self.digests.contains(&request.digest)
    }
}
