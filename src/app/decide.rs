//! Opening the decision page and deciding: identifies the caller and applies the form.

use std::time::Duration;

use super::error::Error;
use super::state::App;
use crate::azure::{Member, NotSignedIn};
use crate::domain::{
    Approval, Approver, Assurance, CheckedForm, CodeCheck, DecisionResult, DecisionStep, Verdict,
};
use crate::keys::FormPurpose;
use crate::store::{ReadError, RowVersion, Versioned};
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
    /// [`Error::Hidden`] when the caller is not an approver, whatever else is wrong with the row; otherwise as
    /// [`App::load`].
    pub async fn load_for_approver(
        &self,
        id: &ApprovalId,
        caller: &Caller,
    ) -> Result<(Versioned, Identified), Error> {
        let row = self.store.read(id).await;
        let row = row.map_err(|unread| self.hide_from_strangers(unread, caller))?;
        let identified = self.identify(&row.approval, caller)?;
        Ok((self.check_receipt(row)?, identified))
    }

    /// The error of a row that could not be read. It is for its approvers alone, by the columns as stored.
    fn hide_from_strangers(&self, unread: ReadError, caller: &Caller) -> Error {
        let Some(row) = unread.row else {
            return unread.error.into();
        };
        let find = |action: &str| self.find_approver(&row.approvers, action, row.ended_at, caller);
        if row.action.as_deref().and_then(find).is_some() {
            unread.error.into()
        } else {
            Error::Hidden(Some(Box::new(unread.error.into())))
        }
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
        let (row, _) = self.load_for_approver(id, caller).await?;
        let (row, decided) = self
            .update(row, |approval, now| {
                let identified = self.identify(approval, caller)?;
                Ok((identified, self.apply(form, identified, approval, now)))
            })
            .await?;
        if decided.1 == DecisionResult::Recorded {
            self.keep_rejection(&row.approval).await;
        }
        Ok((row.approval, decided))
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
        let (row, _) = self.load_for_approver(id, caller).await?;
        let revealing = self.update(row, |approval, _| {
            let identified = self.identify(approval, caller)?;
            let checked = self.check_form(form, FormPurpose::Reveal, identified, approval);
            Ok((identified, approval.judge_reveal(&checked)))
        });
        let (row, revealed) = revealing.await?;
        Ok((row.approval, revealed))
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
        let identified = match &caller.member {
            // Even with an approver's link, the person the agent acts for never decides.
            Some(Ok(member))
                if principal.is_some_and(|person| self.may_belong_to(person, member)) =>
            {
                return Err(Error::Hidden(None));
            }
            _ => {
                let request = &approval.request;
                let ended_at = approval.closed_at().unwrap_or(request.expires_at);
                let approvers = &approval.approvers;
                self.find_approver(approvers, &request.action, Some(ended_at), caller)
            }
        };
        let may_decide = |identified: &Identified| {
            let address = &approval.approvers[identified.approver].address;
            self.config.allowed_approvers.allows(address)
                && !principal.is_some_and(|person| person.is_same_person(address))
        };
        identified.filter(may_decide).ok_or(Error::Hidden(None))
    }

    /// The approver that the caller is by sign-in, or else by link.
    fn find_approver(
        &self,
        approvers: &[Approver],
        action: &str,
        ended_at: Option<Timestamp>,
        caller: &Caller,
    ) -> Option<Identified> {
        if let Some(Ok(member)) = &caller.member {
            let is_member = |approver: &Approver| self.belongs_to(&approver.address, member);
            if let Some(approver) = approvers.iter().position(is_member) {
                let assurance = Assurance::Entra(member.object_id);
                return Some(Identified {
                    approver,
                    assurance,
                });
            }
        }
        let sign_in = self.config.sign_in.as_ref();
        if sign_in.is_some_and(|it| it.is_required_for(action)) {
            return None;
        }
        if ended_at.is_none_or(|ended_at| self.now() >= ended_at + LINK_LIFETIME) {
            return None;
        }
        let approver = self.link_keys.link_holder(approvers, &caller.link)?;
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
