//! The rules of deciding: what a submitted decision form does to a request.

use super::approval::Approval;
use super::approver::MAX_WRONG_CODES;
use super::decision::{
    Assurance, Decision, LateDecision, Proposal, SignInFault, Verdict, Words, join_lines,
};
use super::execution::Execution;
use super::grant::GrantWish;
use super::history::EventKind;
use super::state::{State, Status};
use super::vote::Ballot;
use crate::values::Timestamp;

/// A submitted decision form, once the approver is identified and the secrets in it are checked.
#[derive(Clone, Debug)]
pub struct CheckedForm {
    /// The index of the approver.
    pub approver: usize,
    /// The other approvers who are known to be the same person.
    pub aliases: Vec<usize>,
    /// How they were identified.
    pub assurance: Assurance,
    /// Whether a sign-in is enough for a decision.
    pub sign_in: Result<(), SignInFault>,
    /// The people who have left the operator's list: an approval is counted so that their votes are not needed, if it
    /// can be.
    pub unlisted: Vec<usize>,
    /// Whether its CSRF token is that of this request and approver.
    pub has_valid_token: bool,
    /// What it decides; a form that revokes rejects.
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
    pub code: CodeCheck,
}

/// The result of checking a one-time code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeCheck {
    Missing,
    Wrong,
    Right,
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

/// The result of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionResult {
    /// The request has this approver's decision, from this form or an earlier one.
    Recorded,
    /// The same for a rejection with a code, while none of this person counts before this time.
    RejectedWithoutCode {
        until: Timestamp,
    },
    /// The request was closed by something else.
    AlreadyClosed,
    /// The hidden values may be shown, this once.
    Revealed,
    /// This approver's approval is revoked, by this form or an earlier one.
    Revoked,
    /// The approval was claimed or has lapsed, so it can no longer be revoked.
    AlreadyUsed,
    /// The deadline had passed.
    Late,
    /// The form is not of this request and approver, or approves after votes that its page did not show.
    InvalidForm,
    /// Approving by this approver's link is locked.
    Locked,
    /// No code of this person counts before this time, after too many wrong ones.
    CodesHeld {
        until: Timestamp,
    },
    /// An approval by link needs the one-time code.
    CodeMissing,
    /// This person has voted otherwise before.
    AlreadyVoted,
    /// Nothing of the open stage needs this person's vote.
    NotNeeded,
    /// The plan needs a signed-in person.
    SignInNeeded,
    /// The sign-in is not enough.
    SignInRefused(SignInFault),
    /// The reason is not on the list.
    UnknownReason,
    /// An approval with a reason for a rejection, chosen or typed: Enter approves from any field of the form.
    Contradictory,
    /// The plan needs a comment, chosen from the list or with the code.
    CommentMissing,
    /// The comment has more characters than this.
    CommentTooLong {
        most: usize,
    },
    /// The plan allows no such standing grant.
    GrantRefused,
    /// The approval counts, and the standing grant that was to be given with it does not stand.
    GrantNotGiven,
    /// The standing grant has ended, by this form or before.
    GrantEnded,
    /// The standing grant was not in force, so the form has ended nothing.
    GrantGone,
    /// This approver has handed their seat over, by this form or before.
    HandedOver,
    /// This approver has handed their seat over before, and does not vote any more.
    SeatGone,
    /// The form that hands a seat over names no receiver.
    ReceiverMissing,
    /// The receiver may not have the seat: they were asked, are acted for, or are not among those offered.
    ReceiverRefused,
    /// The receiver is absent until this time.
    ReceiverAbsent {
        until: Timestamp,
    },
    /// The request has as many people as it may have, which is this many.
    TooManyPeople {
        most: usize,
    },
    HandOverReasonMissing,
    /// The reason of a hand-over has more characters than this.
    HandOverReasonTooLong {
        most: usize,
    },
    /// No approval counts before this time.
    TooEarly {
        until: Timestamp,
    },
    /// The code was wrong; after `left` more wrong codes the link is locked.
    CodeWrong {
        left: u32,
    },
}

impl DecisionResult {
    /// Whether a code was wrong.
    pub fn is_wrong_code(self) -> bool {
        matches!(self, Self::CodeWrong { .. })
    }
}

impl Approval {
    /// Applies the rules of deciding to a form: a person votes once and in time, an approval by link needs the
    /// code, wrong codes are counted, and a late decision is recorded as late.
    pub fn judge_form(&mut self, form: &CheckedForm, now: Timestamp) -> DecisionStep {
        if !form.has_valid_token {
            return DecisionStep::Done(DecisionResult::InvalidForm);
        }
        if self.plan.hand_over_by(form.approver).is_some() {
            return DecisionStep::Done(DecisionResult::SeatGone);
        }
        DecisionStep::Done(match self.status(now) {
            Status::Pending => match self.check_vote(form, now) {
                Ok(ballot) => return DecisionStep::Sign(ballot),
                Err(result) => result,
            },
            _ if self.has_decision_of(form) => DecisionResult::Recorded,
            // A person who voted in time is not late.
            _ if self.vote_of(form).is_some() => DecisionResult::AlreadyClosed,
            Status::Timeout if self.late.is_some() => DecisionResult::Late,
            Status::Timeout => match self.check_late_proof(form, now) {
                Ok(()) => {
                    self.record_late(form, now);
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
        match verify_code(form, &mut self.approvers[form.approver].wrong_reveal_codes) {
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
        match verify_code(form, &mut approver.wrong_revocation_codes) {
            Ok(()) => DecisionResult::GrantEnded,
            Err(refused) => refused,
        }
    }

    /// Records a signed proposal from [`Approval::judge_form`], in the same write.
    pub fn record_decision(&mut self, proposal: Proposal, receipt: String) -> DecisionResult {
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
        DecisionResult::Recorded
    }

    /// A rejection that only people read needs no code, since a forged one is harmless.
    fn check_late_proof(
        &mut self,
        form: &CheckedForm,
        now: Timestamp,
    ) -> Result<(), DecisionResult> {
        form.sign_in.map_err(DecisionResult::SignInRefused)?;
        match form.verdict {
            Verdict::Approve => self.check_code(form, now),
            Verdict::Reject => Ok(()),
        }
    }

    /// Checks what proves who sends a vote, and that it has the words that the plan wants. Whatever the result, a wrong
    /// code counts if a right one would have another: else each form would be a free guess.
    fn check_vote_proof(
        &mut self,
        form: &CheckedForm,
        has_words: bool,
        now: Timestamp,
    ) -> Result<(), DecisionResult> {
        form.sign_in.map_err(DecisionResult::SignInRefused)?;
        // A reason from the list reaches the agent without a code.
        let needs_words = self.plan.comment.applies_to(form.verdict) && form.preset.is_none();
        let is_rejection = form.verdict == Verdict::Reject;
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
        let checked = verify_code(form, &mut approver.wrong_codes);
        if checked == Err(DecisionResult::CodeWrong { left: 0 }) {
            let by = approver.address.clone();
            self.log(now, EventKind::Locked, Some(by));
        }
        checked
    }

    /// The ballot of a form on a pending request, or what becomes of the form instead.
    fn check_vote(&mut self, form: &CheckedForm, now: Timestamp) -> Result<Ballot, DecisionResult> {
        if let Some(vote) = self.vote_of(form) {
            return Err(if vote.ballot.verdict == form.verdict {
                DecisionResult::Recorded
            } else {
                DecisionResult::AlreadyVoted
            });
        }
        if self.has_voted_as_another(form) {
            return Err(DecisionResult::AlreadyVoted);
        }
        let place = self.place_without(&form.unlisted, form.approver, now);
        let place = place.ok_or(DecisionResult::NotNeeded)?;
        let ballot = Ballot::bare(form.approver, place, form.verdict, now);
        let is_outdated = |shown| self.is_outdated(&ballot, shown);
        if form.verdict == Verdict::Approve && form.votes.is_some_and(is_outdated) {
            return Err(DecisionResult::InvalidForm);
        }
        if self.plan.sign_in && form.assurance.object_id().is_none() {
            return Err(DecisionResult::SignInNeeded);
        }
        let held_back = self.held_back_until(ballot.place.stage, now);
        if let Some(until) = held_back.filter(|_| form.verdict == Verdict::Approve) {
            return Err(DecisionResult::TooEarly { until });
        }
        let reasons = [&form.preset, &form.words, &form.question];
        let has_reason = reasons.into_iter().any(Option::is_some);
        if form.verdict == Verdict::Approve && has_reason {
            return Err(DecisionResult::Contradictory);
        }
        let comment = join_lines(form.comment.as_deref(), form.words.as_deref());
        let most = self.plan.longest_comment();
        if form.typed > most {
            return Err(DecisionResult::CommentTooLong { most });
        }
        let is_refused = |wish| !self.plan.grants.is_some_and(|terms| terms.allows(wish));
        if form.verdict == Verdict::Approve && form.grant.is_some_and(is_refused) {
            return Err(DecisionResult::GrantRefused);
        }
        let has_words = comment.is_some() || form.question.is_some();
        self.check_vote_proof(form, has_words, now)?;
        Ok(Ballot {
            assurance: match (form.assurance, form.code) {
                (Assurance::Link, CodeCheck::Missing | CodeCheck::Wrong) => Assurance::LinkOnly,
                (assurance, _) => assurance,
            },
            words: Words {
                preset: form
                    .preset
                    .clone()
                    .filter(|_| form.verdict == Verdict::Reject),
                comment,
                question: form.question.clone(),
            },
            ..ballot
        })
    }

    fn record_late(&mut self, form: &CheckedForm, now: Timestamp) {
        self.expire(now);
        let by = self.approvers[form.approver].address.clone();
        self.late = Some(LateDecision {
            by: by.clone(),
            verdict: form.verdict,
            at: now,
        });
        self.log(now, EventKind::AnsweredLate, Some(by));
    }

    fn has_decision_of(&self, form: &CheckedForm) -> bool {
        if let Some(vote) = self.vote_of(form) {
            return vote.ballot.verdict == form.verdict;
        }
        let address = &self.approvers[form.approver].address;
        let decided_by = self.decision().and_then(|it| it.by.person());
        self.verdict() == Some(form.verdict) && decided_by == Some(address)
    }
}

/// Checks the code in a form, of which `wrong_codes` are counted. A signed-in person needs no code.
pub(super) fn verify_code(form: &CheckedForm, wrong_codes: &mut u32) -> Result<(), DecisionResult> {
    if let Assurance::Entra(_) = form.assurance {
        return Ok(());
    }
    if *wrong_codes >= MAX_WRONG_CODES {
        return Err(DecisionResult::Locked);
    }
    match form.code {
        CodeCheck::Right => Ok(()),
        CodeCheck::Missing => Err(DecisionResult::CodeMissing),
        CodeCheck::Wrong => {
            *wrong_codes += 1;
            let left = MAX_WRONG_CODES - *wrong_codes;
            Err(DecisionResult::CodeWrong { left })
        }
    }
}
