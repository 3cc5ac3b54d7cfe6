//! Opening the decision page and deciding: who the caller is, and what their form does.

use super::error::Error;
use super::state::App;
use crate::azure::{Member, NotSignedIn};
use crate::domain::{
    Approval, Assurance, CheckedForm, CodeCheck, DecisionResult, DecisionStep, Verdict,
};
use crate::values::{Address, ApprovalId, Timestamp};

/// The person at the decision page.
pub struct Caller {
    /// The link token they came with; empty without one.
    pub link: String,
    /// The member they have signed in as; `None` where sign-in is off.
    pub member: Option<Result<Member, NotSignedIn>>,
}

/// The approver whom a caller was identified as.
#[derive(Clone, Copy, Debug)]
pub struct Identified {
    /// Their index.
    pub approver: usize,
    /// How they were identified.
    pub assurance: Assurance,
}

/// A decision form as posted.
pub struct DecisionForm {
    /// The CSRF token in it.
    pub csrf_token: String,
    /// Approve or reject.
    pub verdict: Verdict,
    /// The one-time code; empty if none was typed.
    pub code: String,
    /// The approver's comment.
    pub comment: Option<String>,
}

impl Caller {
    /// 404, or the sign-in page if the caller has not signed in (which hides whether the request exists).
    pub fn not_found(&self) -> Error {
        match self.member {
            Some(Err(why)) => Error::SignIn(why),
            Some(Ok(_)) | None => Error::NotFound,
        }
    }
}

impl App {
    /// Loads a request for one of its approvers.
    ///
    /// # Errors
    /// When the caller is not one of them, or as [`App::load`].
    pub async fn open(
        &self,
        id: &ApprovalId,
        caller: &Caller,
    ) -> Result<(Approval, Identified), Error> {
        let approval = self.load(id).await?.approval;
        let identified = self.identify(&approval, caller)?;
        Ok((approval, identified))
    }

    /// Applies a decision form.
    ///
    /// # Errors
    /// As [`App::open`].
    pub async fn decide(
        &self,
        id: &ApprovalId,
        caller: &Caller,
        form: &DecisionForm,
    ) -> Result<(Approval, (Identified, DecisionResult)), Error> {
        self.update(id, |approval, now| {
            let identified = self.identify(approval, caller)?;
            Ok((identified, self.apply(form, identified, approval, now)))
        })
        .await
    }

    fn apply(
        &self,
        form: &DecisionForm,
        Identified {
            approver,
            assurance,
        }: Identified,
        approval: &mut Approval,
        now: Timestamp,
    ) -> DecisionResult {
        let keys = &self.link_keys;
        let code = if form.code.is_empty() {
            CodeCheck::Missing
        } else if keys.verify_code(approval, approver, &form.code) {
            CodeCheck::Right
        } else {
            CodeCheck::Wrong
        };
        let form = CheckedForm {
            approver,
            assurance,
            is_current: keys.verify_csrf_token(approval, approver, &form.csrf_token),
            verdict: form.verdict,
            comment: form.comment.clone(),
            code,
        };
        match approval.submit_decision(&form, self.config.run_within, now) {
            DecisionStep::Sign(proposal) => {
                let receipt = self.receipt_keys.sign(&self.base_url, approval, &proposal);
                approval.record(proposal, receipt)
            }
            DecisionStep::Done(result) => result,
        }
    }

    /// The approver whom the caller is.
    ///
    /// # Errors
    /// When the caller is none of them, or one who may not decide: the operator's list counts as it is
    /// now, not as it was at submit.
    fn identify(&self, approval: &Approval, caller: &Caller) -> Result<Identified, Error> {
        let principal = approval.request.on_behalf_of.as_ref();
        let signed_in = match &caller.member {
            // Whatever their link: the person the agent acts for never decides.
            Some(Ok(member)) if principal.is_some_and(|person| self.may_be(person, member)) => {
                return Err(Error::NotFound);
            }
            Some(Ok(member)) => (0..approval.approvers.len())
                .find(|&index| self.is(&approval.approvers[index].address, member))
                .map(|approver| Identified {
                    approver,
                    assurance: Assurance::Entra(member.object_id),
                }),
            _ => None,
        };
        let identified = signed_in.or_else(|| self.link_holder(approval, caller));
        let may_decide = |identified: &Identified| {
            let address = &approval.approvers[identified.approver].address;
            self.config.allowed_approvers.allows(address)
                && !principal.is_some_and(|person| person.is_same_person(address))
        };
        identified.filter(may_decide).ok_or(Error::NotFound)
    }

    fn link_holder(&self, approval: &Approval, caller: &Caller) -> Option<Identified> {
        let sign_in = self.config.sign_in.as_ref();
        if sign_in.is_some_and(|it| it.is_required_for(&approval.request.action)) {
            return None;
        }
        let approver = self.link_keys.link_holder(approval, &caller.link)?;
        Some(Identified {
            approver,
            assurance: Assurance::Link,
        })
    }

    /// Whether an address may belong to a member, under any spelling.
    fn may_be(&self, address: &Address, member: &Member) -> bool {
        let name = Address::parse(&member.name);
        self.is(address, member) || name.is_some_and(|name| name.is_same_person(address))
    }

    /// Whether an address is a member's: by object id where the operator's list has one, else by the name
    /// they sign in with.
    fn is(&self, address: &Address, member: &Member) -> bool {
        let mut ids = self.config.allowed_approvers.object_ids(address).peekable();
        if ids.peek().is_some() {
            return ids.any(|id| id == member.object_id);
        }
        Address::parse(&member.name).is_some_and(|name| name.is_same_mailbox(address))
    }
}
