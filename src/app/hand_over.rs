//! Handing an approver's seat over to another person.

use std::sync::Arc;

use super::decide::CodeForm;
use super::error::Error;
use super::identify::{Caller, Identified};
use super::state::App;
use crate::domain::{Approval, Assurance, DecisionResult, HandOverStep, HandOverWish};
use crate::keys::FormPurpose;
use crate::policy::{Member, is_same_person};
use crate::store::RowVersion;
use crate::values::{Address, ApprovalId};

impl App {
    /// Applies a form that hands the approver's seat over, and asks the receiver if their vote is needed now.
    ///
    /// # Errors
    /// As [`App::load_for_approver`].
    pub async fn hand_over(
        self: &Arc<Self>,
        id: &ApprovalId,
        caller: &Caller,
        form: &CodeForm,
        wish: &HandOverWish,
    ) -> Result<(Approval, (Identified, DecisionResult)), Error> {
        if self.config.rows.version == RowVersion::V1 {
            return Err(Error::Forbidden("With HO_ROWS=1 nothing is handed over."));
        }
        let (row, identified) = self.load_for_approver(id, caller).await?;
        self.check_clock()?;
        if let Some(held) = self
            .check_hold(&row.approval, identified, &form.code)
            .await?
        {
            return Ok((row.approval, (identified, held)));
        }
        let (row, (handed_over, attempts)) = self
            .update(row, |approval, now| {
                let identified = self.identify(approval, caller)?;
                let checked = self.check_form(form, FormPurpose::HandOver, identified, approval);
                let candidates = self.receivers(approval, identified);
                let receiver = match approval.judge_hand_over(&checked, wish, &candidates, now) {
                    HandOverStep::Record(receiver) => receiver,
                    HandOverStep::Done(result) => return Ok(((identified, result), Vec::new())),
                };
                let receiver = self.new_approver(&approval.request, receiver);
                let reason = wish.reason.clone();
                approval.record_hand_over(identified.approver, receiver, reason, now);
                // Leasing within the write asks the receiver at once.
                let attempts = approval.lease_deliveries(self.config.notifications, now);
                Ok(((identified, DecisionResult::HandedOver), attempts))
            })
            .await?;
        if handed_over.1.is_wrong_code() {
            self.count_wrong_code(&row.approval, handed_over.0.approver)
                .await?;
        }
        let approval = row.approval.clone();
        self.notify_in_background(row, attempts);
        Ok((approval, handed_over))
    }

    /// The people to whom an approver may hand their seat: of the groups that were asked for it, as the policy has them
    /// today, and of the operator's list, without its patterns. Those who are in the plan, and the person for whom the
    /// agent acts, are not among them, by any of their addresses. None where the approver has nothing to hand over.
    pub fn receivers(
        &self,
        approval: &Approval,
        Identified {
            approver,
            assurance,
            ..
        }: Identified,
    ) -> Vec<Address> {
        let is_possible = approval.can_hand_over(approver, self.now());
        if !is_possible || self.config.rows.version == RowVersion::V1 {
            return Vec::new();
        }
        let (policy, list) = (&self.config.policy, &self.config.allowed_approvers);
        let member = |address: &Address| match policy {
            Some(policy) => policy.member(address),
            None => Member {
                address: address.clone(),
                object_id: list.object_id(address),
                group: None,
            },
        };
        let known = approval.approvers.iter().map(|it| member(&it.address));
        let acted_for = approval.request.on_behalf_of.as_ref().map(member);
        let mut excluded: Vec<Member> = known.chain(acted_for).collect();
        let groups = approval.plan.groups_of(approver).into_iter();
        let groups = groups.flat_map(|name| policy.as_ref().map_or(&[][..], |it| it.group(name)));
        let listed = list.people().map(member);
        let mut receivers = Vec::new();
        for person in groups.cloned().chain(listed) {
            let is_self = match assurance {
                Assurance::Entra(it) => person.object_id == Some(it.object_id),
                Assurance::Link | Assurance::LinkOnly => false,
            };
            let is_excluded = is_self || excluded.iter().any(|it| is_same_person(it, &person));
            if !is_excluded && list.allows(&person.address) && approval.may_receive(&person.address)
            {
                receivers.push(person.address.clone());
                // Listed twice, they are offered once.
                excluded.push(person);
            }
        }
        receivers
    }
}
