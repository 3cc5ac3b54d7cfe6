//! Handing an approver's seat over to another person.

use std::sync::Arc;
use std::time::Duration;

use super::code_form::{CodeForm, Judged};
use super::error::Error;
use super::identify::Caller;
use super::notify::Leased;
use super::state::App;
use crate::domain::{Approval, Assurance, DecisionResult, HandOverStep, HandOverWish};
use crate::keys::FormPurpose;
use crate::policy::is_same_person;
use crate::store::RowVersion;
use crate::values::{Address, ApprovalId, Person, Timestamp};

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
    ) -> Result<Judged, Error> {
        if self.config.rows.version == RowVersion::V1 {
            return Err(Error::Forbidden("With HO_ROWS=1 nothing is handed over."));
        }
        let loaded = self.load_for_form(id, caller, form.kind()).await?;
        self.check_machine_clock()?;
        if let Some(held) = loaded.hold.held {
            return Ok(Judged::held_back(loaded, held));
        }
        let mut leased = Leased::default();
        let purpose = FormPurpose::HandOver;
        let handing = self.judge_code_form(loaded, caller, form, purpose, |approval, form, now| {
            leased = Leased::default();
            let candidates = self.receivers(approval, form.approver, form.assurance);
            let receiver = match approval.judge_hand_over(form, wish, &candidates, now) {
                HandOverStep::Record(receiver) => receiver,
                HandOverStep::Done(DecisionResult::ReceiverRefused) => {
                    return Ok(self.refusal_of(wish, now));
                }
                HandOverStep::Done(result) => return Ok(result),
            };
            let receiver = self.new_approver(&approval.request, receiver);
            approval.record_hand_over(form.approver, receiver, wish.reason.clone(), now);
            // Leasing within the write asks the receiver at once.
            leased = self.lease(approval, now);
            Ok(DecisionResult::HandedOver)
        });
        let (row, identified, result) = handing.await?;
        Ok(Judged {
            approval: self.notify_in_background(row, leased),
            identified,
            result,
        })
    }

    /// The people to whom an approver may hand their seat: of the groups that were asked for it, as the policy has them
    /// today, and of the operator's list, without its patterns. Those who are in the plan, the person for whom the agent
    /// acts, and those who are absent now, are not among them, by any of their addresses. The seat of someone who must
    /// have a group or role of the directory goes to others who must, also from who substitutes them. None where the
    /// approver has nothing to hand over.
    pub fn receivers(
        &self,
        approval: &Approval,
        approver: usize,
        assurance: Assurance,
    ) -> Vec<Address> {
        let now = self.now();
        let is_possible = approval.can_hand_over(approver, now);
        if !is_possible || self.config.rows.version == RowVersion::V1 {
            return Vec::new();
        }
        let (policy, list) = (&self.config.policy, &self.config.allowed_approvers);
        let known = approval.approvers.iter().map(|it| &it.address);
        let excluded = known.chain(&approval.request.on_behalf_of);
        let excluded: Vec<Person> = excluded.map(|it| self.people.person(it)).collect();
        let groups = approval.plan.groups_of(approver).into_iter();
        let groups = groups.flat_map(|name| policy.as_ref().map_or(&[][..], |it| it.group(name)));
        let groups = groups.map(|member| &member.address);
        let mut receivers: Vec<Address> = Vec::new();
        let mut offered: Vec<Person> = Vec::new();
        let voted = approval.votes.iter().map(|vote| vote.ballot.assurance);
        let signed_in: Vec<Assurance> = voted.chain([assurance]).collect();
        let mut seats = approval.plan.seats_held_by(approver).chain([approver]);
        let takes_group = seats.any(|it| self.takes_group(&approval.approvers[it].address));
        for address in groups.chain(list.people()) {
            let person = self.people.person(address);
            let mut ids = signed_in.iter().filter_map(|it| it.object_id());
            let is_excluded =
                ids.any(|id| person.has(id)) || excluded.iter().any(|it| it.may_be(&person));
            // Listed twice, they are offered once.
            let is_offered = offered.iter().any(|it| it.is(&person));
            let is_absent = || self.absent_until(address, now).is_some();
            if !is_excluded
                && !is_offered
                && list.allows(address)
                && (!takes_group || self.takes_group(address))
                && !is_absent()
            {
                receivers.push(address.clone());
                offered.push(person);
            }
        }
        receivers
    }

    /// Why the person who was chosen may not have a seat.
    fn refusal_of(&self, wish: &HandOverWish, now: Timestamp) -> DecisionResult {
        let until = wish.to.as_ref().and_then(|to| self.absent_until(to, now));
        match until {
            Some(until) => DecisionResult::ReceiverAbsent { until },
            None => DecisionResult::ReceiverRefused,
        }
    }

    /// The end of the absence in which a person is now, as the policy says. What is handed to them then would wait for
    /// them, since the substitutes were chosen at the submit.
    fn absent_until(&self, person: &Address, now: Timestamp) -> Option<Timestamp> {
        let policy = self.config.policy.as_ref()?;
        let person = policy.member(person);
        let mut absences = policy.absences(now, now + Duration::from_millis(1));
        let absence = absences.find(|it| is_same_person(&it.person, &person));
        absence.map(|it| it.until)
    }
}
