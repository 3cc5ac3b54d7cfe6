//! The rules of deciding: what a submitted decision form does to a request.

use super::approval::Approval;
use super::decision::{Assurance, Decision, LateDecision, Proposal, Verdict, Words, join_lines};
use super::execution::Execution;
use super::form::{CheckedForm, CodeCheck, DecisionResult};
use super::grant::GrantWish;
use super::history::EventKind;
use super::state::{State, Status};
use super::vote::Ballot;
use crate::values::Timestamp;

/// A submitted decision form, once checked.
#[derive(Clone, Debug)]
pub struct CheckedDecision {
    pub form: CheckedForm,
    /// The people who have left the operator's list: an approval is counted so that no further votes of theirs are needed,
    /// if it can be.
    pub unlisted: Vec<usize>,
    pub verdict: Verdict,
    /// The reason chosen from the list; it counts for a rejection alone.
    pub preset: Option<String>,
    pub comment: Option<String>,
    /// The standing grant to give with an approval.
    pub grant: Option<GrantWish>,
    /// How many votes its page showed; `None` if it need not have shown them.
    pub votes: Option<usize>,
    /// Typed beside the button that rejects; it counts for a rejection alone.
    pub words: Option<String>,
    /// The question for a changed request; it counts for a rejection alone.
    pub question: Option<String>,
    /// How many characters were typed, in all of these.
    pub typed: usize,
}

/// The next step for a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionStep {
    /// It counts: sign the ballot and [`Approval::record_vote`] it where the plan keeps votes, and sign the
    /// proposal that it makes ([`Approval::proposal`]) and [`Approval::record_decision`] that.
    Sign(Ballot),
    /// Nothing remains to be done.
    Done(DecisionResult),
}

impl Approval {
    /// Applies the rules of deciding to a form: a person votes once and in time, an approval by link needs the
    /// code, wrong codes are counted, and a late decision is recorded as late.
    pub fn judge_form(&mut self, decision: &CheckedDecision, now: Timestamp) -> DecisionStep {
        let form = &decision.form;
        if !form.has_valid_token {
            return DecisionStep::Done(DecisionResult::InvalidForm);
        }
        if self.plan.hand_over_by(form.approver).is_some() {
            return DecisionStep::Done(DecisionResult::SeatGone);
        }
        DecisionStep::Done(match self.status(now) {
            Status::Pending => match self.check_vote(decision, now) {
                Ok(ballot) => return DecisionStep::Sign(ballot),
                Err(result) => result,
            },
            _ if self.has_decision_of(decision) => DecisionResult::Recorded,
            // A person who voted in time is not late.
            _ if self.vote_of(form).is_some() => DecisionResult::AlreadyClosed,
            Status::Timeout if self.late.is_some() => DecisionResult::Late,
            Status::Timeout => match self.check_late_proof(decision, now) {
                Ok(()) => {
                    self.record_late(decision, now);
                    DecisionResult::Late
                }
                Err(refused) => refused,
            },
            _ => DecisionResult::AlreadyClosed,
        })
    }

    /// Whether a form with the code may show the hidden values; a wrong code counts.
    pub fn judge_reveal(&mut self, form: &CheckedForm) -> DecisionResult {
        if !form.has_valid_token {
            return DecisionResult::InvalidForm;
        }
        if self.plan.hand_over_by(form.approver).is_some() {
            return DecisionResult::SeatGone;
        }
        match form.verify_code(&mut self.approvers[form.approver].wrong_reveal_codes) {
            Ok(()) => DecisionResult::Revealed,
            Err(refused) => refused,
        }
    }

    /// Whether a form with the code may end a standing grant; a wrong code counts as at the form that revokes.
    pub fn judge_grant_revocation(&mut self, form: &CheckedForm) -> DecisionResult {
        if !form.has_valid_token {
            return DecisionResult::InvalidForm;
        }
        let approver = &mut self.approvers[form.approver];
        match form.verify_code(&mut approver.wrong_revocation_codes) {
            Ok(()) => DecisionResult::GrantEnded,
            Err(refused) => refused,
        }
    }

    /// Records a signed proposal from [`Approval::judge_form`], in the same write.
    pub fn record_decision(&mut self, proposal: Proposal, receipt: String) {
        let Proposal {
            by,
            words,
            at,
            run_by,
        } = proposal;
        let person = by.person().cloned();
        let decision = Decision {
            by,
            words,
            at,
            receipt,
        };
        let (state, what) = match run_by {
            Some(run_by) => {
                let execution = Execution::Awaited;
                let state = State::Approved {
                    decision,
                    run_by,
                    execution,
                };
                (state, EventKind::Approved)
            }
            None => (State::Rejected(decision), EventKind::Rejected),
        };
        self.close(state, what, person, at);
    }

    /// A rejection that only people read needs no code, since a forged one is harmless.
    fn check_late_proof(
        &mut self,
        decision: &CheckedDecision,
        now: Timestamp,
    ) -> Result<(), DecisionResult> {
        let form = &decision.form;
        form.sign_in.map_err(DecisionResult::SignInRefused)?;
        match decision.verdict {
            Verdict::Approve => self.check_code(form, now),
            Verdict::Reject => Ok(()),
        }
    }

    /// Checks what proves who sends a vote, and that it has the words that the plan wants. Whatever the result, a wrong
    /// code counts if a right one would have another: else each form would be a free guess.
    fn check_vote_proof(
        &mut self,
        decision: &CheckedDecision,
        has_words: bool,
        now: Timestamp,
    ) -> Result<(), DecisionResult> {
        let form = &decision.form;
        form.sign_in.map_err(DecisionResult::SignInRefused)?;
        // A reason from the list reaches the agent without a code.
        let needs_words =
            self.plan.comment.applies_to(decision.verdict) && decision.preset.is_none();
        let is_rejection = decision.verdict == Verdict::Reject;
        let is_link_only = form.assurance == Assurance::Link && form.code == CodeCheck::Missing;
        if needs_words && (!has_words || is_rejection && is_link_only) {
            return Err(DecisionResult::CommentMissing);
        }
        if is_rejection && !needs_words {
            return Ok(());
        }
        self.check_code(form, now)
    }

    fn check_code(&mut self, form: &CheckedForm, now: Timestamp) -> Result<(), DecisionResult> {
        let approver = &mut self.approvers[form.approver];
        let checked = form.verify_code(&mut approver.wrong_codes);
        if checked == Err(DecisionResult::CodeWrong { left: 0 }) {
            let by = approver.address.clone();
            self.log(now, EventKind::Locked, Some(by));
        }
        checked
    }

    /// The ballot of a form on a pending request, or what becomes of the form instead.
    fn check_vote(
        &mut self,
        decision: &CheckedDecision,
        now: Timestamp,
    ) -> Result<Ballot, DecisionResult> {
        let form = &decision.form;
        if let Some(vote) = self.vote_of(form) {
            return Err(if vote.ballot.verdict == decision.verdict {
                DecisionResult::Recorded
            } else {
                DecisionResult::AlreadyVoted
            });
        }
        if self.has_voted_as_another(form) {
            return Err(DecisionResult::AlreadyVoted);
        }
        let place = self.place_without(&decision.unlisted, form.approver, now);
        let place = place.ok_or(DecisionResult::NotNeeded)?;
        let ballot = Ballot::bare(form.approver, place, decision.verdict, now);
        let is_outdated = |shown| self.is_outdated(&ballot, shown);
        if decision.verdict == Verdict::Approve && decision.votes.is_some_and(is_outdated) {
            return Err(DecisionResult::InvalidForm);
        }
        if self.plan.sign_in && form.assurance.object_id().is_none() {
            return Err(DecisionResult::SignInNeeded);
        }
        let held_back = self.held_back_until(ballot.place.stage, now);
        if let Some(until) = held_back.filter(|_| decision.verdict == Verdict::Approve) {
            return Err(DecisionResult::TooEarly { until });
        }
        let reasons = [&decision.preset, &decision.words, &decision.question];
        let has_reason = reasons.into_iter().any(Option::is_some);
        if decision.verdict == Verdict::Approve && has_reason {
            return Err(DecisionResult::Contradictory);
        }
        let comment = join_lines(decision.comment.as_deref(), decision.words.as_deref());
        let most = self.plan.longest_comment();
        if decision.typed > most {
            return Err(DecisionResult::CommentTooLong { most });
        }
        let is_refused = |wish| !self.plan.grants.is_some_and(|terms| terms.allows(wish));
        if decision.verdict == Verdict::Approve && decision.grant.is_some_and(is_refused) {
            return Err(DecisionResult::GrantRefused);
        }
        let has_words = comment.is_some() || decision.question.is_some();
        self.check_vote_proof(decision, has_words, now)?;
        Ok(Ballot {
            assurance: match (form.assurance, form.code) {
                (Assurance::Link, CodeCheck::Missing | CodeCheck::Wrong) => Assurance::LinkOnly,
                (assurance, _) => assurance,
            },
            words: Words {
                preset: decision.preset.clone(),
                comment,
                question: decision.question.clone(),
            },
            ..ballot
        })
    }

    fn record_late(&mut self, decision: &CheckedDecision, now: Timestamp) {
        self.expire(now);
        let by = self.approvers[decision.form.approver].address.clone();
        self.late = Some(LateDecision {
            by: by.clone(),
            verdict: decision.verdict,
            at: now,
        });
        self.log(now, EventKind::AnsweredLate, Some(by));
    }

    fn has_decision_of(&self, decision: &CheckedDecision) -> bool {
        if let Some(vote) = self.vote_of(&decision.form) {
            return vote.ballot.verdict == decision.verdict;
        }
        let address = &self.approvers[decision.form.approver].address;
        let decided_by = self.decision().and_then(|it| it.by.person());
        self.verdict() == Some(decision.verdict) && decided_by == Some(address)
    }
}
