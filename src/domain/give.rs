//! Giving a standing grant with an approval.

use super::approval::Approval;
use super::decision::Decider;
use super::grant::{Grant, GrantScope, GrantWish};
use super::state::State;

impl Approval {
    /// The grant that the approver of this request gives with the approval; `None` where the plan allows no such
    /// grant, or no person approved.
    pub fn grant(&self, wish: GrantWish, id: String) -> Option<Grant> {
        let terms = self.plan.grants.filter(|terms| terms.allows(wish))?;
        let State::Approved { decision, .. } = &self.state else {
            return None;
        };
        let Decider::Person { address, assurance } = &decision.by else {
            return None;
        };
        Some(Grant {
            id,
            scope: GrantScope::of(&self.request)?,
            rules: terms.rules,
            uses: wish.uses.try_into().ok()?,
            given_at: decision.at,
            until: decision.at + wish.lasts,
            giver: address.clone(),
            assurance: *assurance,
            given_with: self.request.id.clone(),
        })
    }
}
