//! Opening the decision page and deciding: identifies the caller and applies the form.

use std::time::Duration;

use super::error::Error;
use super::state::App;
use crate::azure::{Member, NotSignedIn};
use crate::domain::{
    Approval, Assurance, CheckedForm, CodeCheck, DecisionResult, DecisionStep, Verdict,
};
use crate::keys::FormPurpose;
use crate::store::RowVersion;
use crate::values::{Address, ApprovalId, Timestamp};

/// How long an approver's link opens a request after its end.
const LINK_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// A caller of the decision page, not yet identified.
pub struct Caller {
    /// Their link token; empty without one.
    pub link: String,
    /// The member they are signed in as; `None` if sign-in is off.
    pub member: Option<Result<Member, NotSignedIn>>,
}

/// The approver that a caller was identified as.
#[derive(Clone, Copy, Debug)]
pub struct Identified {
    /// The index of the approver.
    pub approver: usize,
    /// How they were identified.
    pub assurance: Assurance,
}

/// A decision form as posted.
pub struct DecisionForm {
    pub csrf_token: String,
    /// The one-time code; empty if the approver entered none.
    pub code: String,
    pub verdict: Verdict,
    pub comment: Option<String>,
}

/// A form that revokes an approval or shows hidden values, as posted.
pub struct CodeForm {
    pub csrf_token: String,
    /// The one-time code; empty if the approver entered none.
    pub code: String,
}

impl Caller {
    /// "Not found", or the demand to sign in for a caller who has not, so that the response does not reveal
    /// whether the request exists.
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
    /// When the caller is not an approver, or as [`App::load`].
    pub async fn load_for_approver(
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
    /// As [`App::load_for_approver`].
    pub async fn decide(
        &self,
        id: &ApprovalId,
        caller: &Caller,
        form: &DecisionForm,
    ) -> Result<(Approval, (Identified, DecisionResult)), Error> {
        let (approval, decided) = self
            .update(id, |approval, now| {
                let identified = self.identify(approval, caller)?;
                Ok((identified, self.apply(form, identified, approval, now)))
            })
            .await?;
        if decided.1 == DecisionResult::Recorded {
            self.keep_rejection(&approval).await;
        }
        Ok((approval, decided))
    }

    /// Applies a form that shows hidden values.
    ///
    /// # Errors
    /// As [`App::load_for_approver`].
    pub async fn reveal_values(
        &self,
        id: &ApprovalId,
        caller: &Caller,
        form: &CodeForm,
    ) -> Result<(Approval, (Identified, DecisionResult)), Error> {
        if !self.withholds_values() {
            return Err(Error::Forbidden("With HO_ROWS=1 no value is withheld."));
        }
        self.update(id, |approval, _| {
            let identified = self.identify(approval, caller)?;
            let checked = self.check_form(form, FormPurpose::Reveal, identified, approval);
            Ok((identified, approval.judge_reveal(&checked)))
        })
        .await
    }

    /// Whether pages opened by link withhold values: a row of version 1 cannot count the codes that show them.
    pub fn withholds_values(&self) -> bool {
        self.config.rows.version == RowVersion::V2
    }

    /// Checks the secrets in a form that decides nothing.
    pub(super) fn check_form(
        &self,
        form: &CodeForm,
        purpose: FormPurpose,
        Identified {
            approver,
            assurance,
        }: Identified,
        approval: &Approval,
    ) -> CheckedForm {
        let (keys, token) = (&self.link_keys, &form.csrf_token);
        CheckedForm {
            has_valid_token: keys.verify_csrf_token(approval, approver, purpose, token),
            code: self.check_code(approval, approver, &form.code),
            approver,
            assurance,
            verdict: Verdict::Reject,
            comment: None,
        }
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
        let token = &form.csrf_token;
        let checked = CheckedForm {
            approver,
            assurance,
            has_valid_token: self.link_keys.verify_csrf_token(
                approval,
                approver,
                FormPurpose::Decision,
                token,
            ),
            verdict: form.verdict,
            comment: form.comment.clone(),
            code: match self.config.rows.version {
                // A row of version 1 cannot say that a rejection came by the link alone.
                RowVersion::V1 if form.verdict == Verdict::Reject => CodeCheck::Right,
                _ => self.check_code(approval, approver, &form.code),
            },
        };
        match approval.judge_form(&checked, self.config.run_within, now) {
            DecisionStep::Sign(proposal) => {
                let receipt = self.receipt_keys.sign(&self.base_url, approval, &proposal);
                approval.record_decision(proposal, receipt)
            }
            DecisionStep::Done(result) => result,
        }
    }

    pub(super) fn check_code(
        &self,
        approval: &Approval,
        approver: usize,
        typed: &str,
    ) -> CodeCheck {
        if typed.is_empty() {
            CodeCheck::Missing
        } else if self.link_keys.verify_code(approval, approver, typed) {
            CodeCheck::Right
        } else {
            CodeCheck::Wrong
        }
    }

    /// Identifies the caller as an approver.
    ///
    /// # Errors
    /// When the caller is not an approver, or is one who may not decide: the operator's current list counts,
    /// not the list at submit.
    pub(super) fn identify(
        &self,
        approval: &Approval,
        caller: &Caller,
    ) -> Result<Identified, Error> {
        let principal = approval.request.on_behalf_of.as_ref();
        let signed_in = match &caller.member {
            // Even with an approver's link, the person the agent acts for never decides.
            Some(Ok(member))
                if principal.is_some_and(|person| self.may_belong_to(person, member)) =>
            {
                return Err(Error::NotFound);
            }
            Some(Ok(member)) => (0..approval.approvers.len())
                .find(|&index| self.belongs_to(&approval.approvers[index].address, member))
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
        let ended_at = approval.closed_at().unwrap_or(approval.request.expires_at);
        if self.now() >= ended_at + LINK_LIFETIME {
            return None;
        }
        let approver = self.link_keys.link_holder(approval, &caller.link)?;
        Some(Identified {
            approver,
            assurance: Assurance::Link,
        })
    }

    /// Whether an address may belong to a member, in any spelling.
    fn may_belong_to(&self, address: &Address, member: &Member) -> bool {
        let name = Address::from_known(&member.name);
        self.belongs_to(address, member) || name.is_some_and(|name| name.is_same_person(address))
    }

    /// Whether an address belongs to a member: by object id if the operator's list has one, otherwise by the
    /// name of the member.
    fn belongs_to(&self, address: &Address, member: &Member) -> bool {
        let by_id = &self.config.allowed_approvers;
        let by_id = by_id.lists_object_id(address, member.object_id);
        by_id.unwrap_or_else(|| {
            Address::from_known(&member.name).is_some_and(|name| name.is_same_mailbox(address))
        })
    }
}
