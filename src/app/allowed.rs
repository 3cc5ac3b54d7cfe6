//! Whether those who approved may still approve.

use super::state::App;
use crate::domain::{Approval, Assurance, Decider, Execution, Status};
use crate::values::{Address, Timestamp};

impl App {
    /// Those whose approval counts, and who may no longer approve, so that the action cannot run; while it still might.
    pub fn disallowed_approvers<'a>(
        &self,
        approval: &'a Approval,
        now: Timestamp,
    ) -> Vec<&'a Address> {
        let is_awaited = approval.execution(now) == Some(Execution::Awaited);
        if approval.status(now) != Status::Pending && !is_awaited {
            return Vec::new();
        }
        let approvals: Vec<(&Address, Assurance)> = match approval.decision().map(|it| &it.by) {
            // Loading the policy is the operator's own permission.
            Some(Decider::Policy { .. }) => Vec::new(),
            Some(Decider::Grant(signed)) => vec![(&signed.grant.giver, signed.grant.assurance)],
            // Without a policy the decision is the only vote; rows of version 1 have no others either.
            Some(Decider::Person { address, assurance }) if approval.votes.is_empty() => {
                vec![(address, *assurance)]
            }
            Some(Decider::Person { .. }) | None => {
                let ballots = approval.approving_ballots();
                let address = |person: usize| &approval.approvers[person].address;
                ballots
                    .map(|it| (address(it.person), it.assurance))
                    .collect()
            }
        };
        let approvals = approvals.into_iter();
        let unlisted =
            approvals.filter(|(address, assurance)| !self.is_allowed(address, *assurance));
        unlisted.map(|(address, _)| address).collect()
    }

    /// Whether the operator's list, and the policy, still have an approver who was identified so.
    pub(super) fn is_allowed(&self, address: &Address, assurance: Assurance) -> bool {
        let allowed = &self.config.allowed_approvers;
        let object_id = assurance.object_id();
        let is_member = object_id.and_then(|id| self.has_object_id(address, id));
        // Only a sign-in was held against the group.
        let is_known = object_id.is_some() || !self.takes_group(address);
        allowed.allows(address) && is_member != Some(false) && is_known
    }
}
