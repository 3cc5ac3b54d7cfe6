//! Deciding: applies the form of a caller who was identified.

use std::sync::Arc;

use super::code_form::{CodeForm, Judged};
use super::error::Error;
use super::form_load::{FormKind, LoadedForm};
use super::identify::{Caller, Identified};
use super::state::App;
use crate::domain::{
    Approval, Assurance, Ballot, CheckedDecision, CodeCheck, DecisionResult, DecisionStep,
    GrantWish, Verdict, Words, join_lines,
};
use crate::keys::FormPurpose;
use crate::store::RowVersion;
use crate::values::{ApprovalId, Timestamp};

/// A decision form as posted.
#[derive(Clone)]
pub struct DecisionForm {
    pub csrf_token: String,
    /// Empty in the form of an earlier gate.
    pub page_token: String,
    /// The one-time code; empty if the approver entered none.
    pub code: String,
    pub verdict: Verdict,
    /// The reason chosen from the list.
    pub preset: Option<String>,
    pub comment: Option<String>,
    /// The standing grant to give with an approval.
    pub grant: Option<GrantWish>,
    /// How many votes the page showed.
    pub votes: usize,
    /// What was typed beside the button that rejects.
    pub words: Option<String>,
    /// The question for a changed request.
    pub question: Option<String>,
}

impl DecisionForm {
    /// How many characters were typed.
    fn typed(&self) -> usize {
        let texts = [&self.comment, &self.words, &self.question];
        let texts = texts.into_iter().flatten();
        texts.map(|it| it.chars().count()).sum()
    }

    fn kind(&self, caller: &Caller) -> FormKind<'_> {
        let is_signed_in = matches!(caller.member, Some(Ok(_)));
        FormKind {
            page_token: &self.page_token,
            code: &self.code,
            // A link approves nothing without a code.
            may_decide: is_signed_in || !self.code.is_empty() || self.verdict == Verdict::Reject,
        }
    }
}

impl App {
    /// Applies a decision form.
    ///
    /// # Errors
    /// As [`App::load_for_approver`].
    pub async fn decide(
        self: &Arc<Self>,
        id: &ApprovalId,
        caller: &Caller,
        form: &DecisionForm,
    ) -> Result<Judged, Error> {
        let loaded = self.load_for_form(id, caller, form.kind(caller)).await?;
        self.check_machine_clock()?;
        match (loaded.hold.held, form.verdict) {
            (None, _) => self.record_form(loaded, caller, form).await,
            // A rejection needs no code, unless it needs own words.
            (Some(held), Verdict::Reject) => {
                let code = String::new();
                let has_code = !form.code.is_empty();
                let form = &DecisionForm {
                    code,
                    ..form.clone()
                };
                let mut rejected = self.record_form(loaded, caller, form).await?;
                rejected.result = match (rejected.result, held) {
                    (DecisionResult::CommentMissing, held) if has_code => held,
                    (DecisionResult::Recorded, DecisionResult::CodesHeld { until }) if has_code => {
                        DecisionResult::RejectedWithoutCode { until }
                    }
                    (result, _) => result,
                };
                Ok(rejected)
            }
            (Some(held), Verdict::Approve) => Ok(Judged::held_back(loaded, held)),
        }
    }

    /// Applies a form whose code is not held back, and stores the result.
    async fn record_form(
        self: &Arc<Self>,
        loaded: LoadedForm,
        caller: &Caller,
        form: &DecisionForm,
    ) -> Result<Judged, Error> {
        let LoadedForm {
            row,
            identified,
            announcement,
            hold,
        } = loaded;
        let wish = form.grant.filter(|_| form.verdict == Verdict::Approve);
        let voided = match wish {
            Some(_) => self.grants_voided(&row.approval.request).await,
            None => Ok(0),
        };
        let approval = &row.approval;
        let rejects = || self.rejects(form, identified, approval);
        self.void_grants_if(&approval.request, None, rejects)
            .await?;
        let is_rejection = form.verdict == Verdict::Reject;
        let known = is_rejection.then(|| self.rejections_name(&approval.request));
        let updating = self.update_announced(row, announcement, |approval, now| {
            let identified = self.identify(approval, caller)?;
            let was_decided = approval.decision().is_some();
            let result = self.apply(form, identified, approval, now)?;
            let is_new = !was_decided && approval.decision().is_some();
            let leased = self.lease_after_form(approval, result == DecisionResult::Recorded, now);
            Ok((identified, result, leased, is_new))
        });
        let (updated, known) = tokio::join!(updating, self.read_rejections(known));
        let (row, (identified, mut result, leased, is_new)) = updated?;
        let approval = self.notify_in_background(row, leased);
        let approver = identified.approver;
        if result.is_wrong_code() || self.is_wrong_rejection(form, identified, result, &approval) {
            self.count_wrong_code(&approval, approver).await?;
        }
        drop(hold);
        if result == DecisionResult::Recorded {
            self.keep_decision_in_background(&approval);
            self.keep_rejection(&approval, known).await;
        }
        if let Some(wish) = wish.filter(|_| result == DecisionResult::Recorded) {
            // A form that was sent again, after a lost answer, gives nothing.
            let is_given = if is_new {
                self.give_grant(&approval, wish, voided).await
            } else {
                self.grant_given_with(&approval, approver).await.is_some()
            };
            if !is_given {
                result = DecisionResult::GrantNotGiven;
            }
        }
        Ok(Judged {
            approval,
            identified,
            result,
        })
    }

    /// Whether a rejection, which needs no code, was stored with a wrong one.
    fn is_wrong_rejection(
        &self,
        form: &DecisionForm,
        identified: Identified,
        result: DecisionResult,
        approval: &Approval,
    ) -> bool {
        form.verdict == Verdict::Reject
            && result == DecisionResult::Recorded
            && identified.assurance == Assurance::Link
            && self.check_code(approval, identified.approver, &form.code) == CodeCheck::Wrong
    }

    /// Whether a form is about to reject. What is not yet stored may still change that.
    fn rejects(&self, form: &DecisionForm, identified: Identified, approval: &Approval) -> bool {
        if form.verdict != Verdict::Reject {
            return false;
        }
        let mut after = approval.clone();
        let result = self.apply(form, identified, &mut after, self.now());
        matches!(result, Ok(DecisionResult::Recorded)) && after != *approval
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
    ) -> Result<Judged, Error> {
        if !self.withholds_values() {
            return Err(Error::Forbidden("With HO_ROWS=1 no value is withheld."));
        }
        let loaded = self.load_for_form(id, caller, form.kind()).await?;
        if let Some(held) = loaded.hold.held {
            return Ok(Judged::held_back(loaded, held));
        }
        let judging = self.judge_code_form(
            loaded,
            caller,
            form,
            FormPurpose::Reveal,
            |approval, form, _| Ok(approval.judge_reveal(form)),
        );
        let (row, identified, result) = judging.await?;
        Ok(Judged {
            approval: row.approval,
            identified,
            result,
        })
    }

    /// Whether pages opened by link withhold values: a row of version 1 cannot count the codes that show them.
    pub fn withholds_values(&self) -> bool {
        self.config.rows.version == RowVersion::V2
    }

    /// The reasons for a rejection that the page offers: those of the policy's rules, or the operator's.
    pub fn reject_reasons<'a>(&'a self, approval: &'a Approval) -> &'a [String] {
        match approval.plan.reject_reasons.as_slice() {
            [] => &self.config.reject_reasons,
            of_rules => of_rules,
        }
    }

    fn apply(
        &self,
        form: &DecisionForm,
        identified: Identified,
        approval: &mut Approval,
        now: Timestamp,
    ) -> Result<DecisionResult, Error> {
        let reasons = self.reject_reasons(approval);
        if form.preset.as_ref().is_some_and(|it| !reasons.contains(it)) {
            return Ok(DecisionResult::UnknownReason);
        }
        // A row of version 1 has no place for a reason apart from the comment, nor can it say that a rejection
        // came by the link alone.
        let is_v1_rejection =
            self.config.rows.version == RowVersion::V1 && form.verdict == Verdict::Reject;
        let secrets = (form.csrf_token.as_str(), form.code.as_str());
        let mut checked = self.check_form(secrets, FormPurpose::Decision, identified, approval);
        if is_v1_rejection {
            checked.code = CodeCheck::Right;
        }
        let allowed = &self.config.allowed_approvers;
        let people = approval.approvers.iter().enumerate();
        let unlisted = people.filter(|(_, it)| !allowed.allows(&it.address));
        let decision = CheckedDecision {
            form: checked,
            unlisted: unlisted.map(|(person, _)| person).collect(),
            verdict: form.verdict,
            preset: form.preset.clone().filter(|_| !is_v1_rejection),
            comment: if is_v1_rejection {
                let typed = join_lines(form.comment.as_deref(), form.words.as_deref());
                let typed = join_lines(typed.as_deref(), form.question.as_deref());
                let words = Words {
                    preset: form.preset.clone(),
                    comment: typed,
                    question: None,
                };
                words.shown()
            } else {
                form.comment.clone()
            },
            grant: form.grant,
            votes: Some(form.votes),
            words: form.words.clone().filter(|_| !is_v1_rejection),
            question: form.question.clone().filter(|_| !is_v1_rejection),
            typed: form.typed(),
        };
        match approval.judge_form(&decision, now) {
            DecisionStep::Sign(ballot) => {
                self.record_ballot(approval, ballot)?;
                Ok(DecisionResult::Recorded)
            }
            DecisionStep::Done(result) => Ok(result),
        }
    }

    /// Signs and records a ballot, and the decision that it makes.
    ///
    /// # Errors
    /// When no receipt key is in force: then the approval must not be stored.
    pub(super) fn record_ballot(
        &self,
        approval: &mut Approval,
        ballot: Ballot,
    ) -> Result<(), Error> {
        let (keys, issuer) = (&self.receipt_keys, &self.base_url);
        let proposal = approval.proposal(&ballot, self.config.run_within);
        if let Some(vote) = keys.sign_vote(issuer, approval, &ballot)? {
            approval.record_vote(ballot, vote);
        }
        if let Some(proposal) = proposal {
            let receipt = keys.sign(issuer, approval, &proposal)?;
            approval.record_decision(proposal, receipt);
        }
        Ok(())
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
}
