//! The aggregate: a request, its approvers and its state, with its history.

use super::approver::Approver;
use super::decision::{Decision, LateDecision, Proposal, Verdict};
use super::delivery::{Delivery, Notice};
use super::execution::Execution;
use super::history::{Event, EventKind};
use super::outbox::ChannelDelivery;
use super::plan::{Plan, counted};
use super::request::Request;
use super::state::{State, Status};
use super::vote::Vote;
use crate::values::{Address, Timestamp};
use std::time::Duration;

/// Requests with a shorter time to decide get no reminders.
const REMINDERS_FROM: Duration = Duration::from_secs(600);

/// A request and everything that happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The request; never changes.
    pub request: Request,
    /// The state as stored; [`Approval::status`] is the state at a given time.
    pub state: State,
    /// Who must agree; but for the seats that are handed over, it never changes.
    pub plan: Plan,
    /// The people who may decide, or vote on, the request; none where the policy decided.
    pub approvers: Vec<Approver>,
    /// The votes in order, where the plan keeps them.
    pub votes: Vec<Vote>,
    /// The deliveries to channels, in the order of the events.
    pub outbox: Vec<ChannelDelivery>,
    /// The first decision that arrived after the deadline.
    pub late: Option<LateDecision>,
    /// One event for each transition, in order.
    pub history: Vec<Event>,
}

/// The state does not allow this transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state does not allow this")]
pub struct InvalidTransition;

/// Whether the time to claim an approval has passed: by whole seconds, as the receipt and the permit have it.
pub(super) fn has_lapsed(run_by: Timestamp, now: Timestamp) -> bool {
    now.unix_seconds() >= run_by.unix_seconds()
}

impl Approval {
    /// A new request whose approvers the agent chose.
    pub fn new(request: Request, approvers: Vec<Approver>) -> Self {
        let plan = Plan::of_requester(approvers.len());
        Self::with_plan(request, plan, approvers)
    }

    /// A new request: pending, with a delivery due at once to each approver of the first stage.
    pub fn with_plan(request: Request, plan: Plan, approvers: Vec<Approver>) -> Self {
        let now = request.requested_at;
        let mut approval = Self {
            request,
            state: State::Pending,
            plan,
            approvers,
            votes: Vec::new(),
            outbox: Vec::new(),
            late: None,
            history: Vec::new(),
        };
        approval.log(now, EventKind::Submitted, None);
        approval.open_stage(0, now);
        approval
    }

    /// Asks the people of a stage.
    pub(super) fn open_stage(&mut self, stage: usize, now: Timestamp) {
        let people = self.plan.people_of(stage, now);
        self.ask(&people, now);
    }

    /// Queues the request, and reminders of it, to people who have not been asked and have not voted; also to those who
    /// were not on the operator's list when they were to be asked.
    pub(super) fn ask(&mut self, people: &[usize], now: Timestamp) {
        let notices = self.notices_from(now);
        for &person in people {
            let has_voted = self.ballot_of(person).is_some();
            let approver = &mut self.approvers[person];
            if has_voted || approver.is_asked() {
                continue;
            }
            if approver.request_delivery().is_some() {
                self.ask_again(person, now);
                continue;
            }
            let queued = notices.iter();
            let queued = queued.map(|&(notice, at)| Delivery::queued(notice, at));
            approver.deliveries.extend(queued);
        }
    }

    /// Queues the request again, and reminders of it, to a person who was asked and whose vote is needed again.
    pub(super) fn ask_again(&mut self, person: usize, now: Timestamp) {
        let notices = self.notices_from(now);
        let approver = &mut self.approvers[person];
        if approver.request_delivery().is_some() {
            for (notice, at) in notices {
                approver.queue_again(notice, at, now);
            }
        }
    }

    /// What asks a person from `now` on, and when: reminders once they can approve.
    fn notices_from(&self, now: Timestamp) -> Vec<(Notice, Timestamp)> {
        let from = self.approvable_from(now).unwrap_or(now);
        let life = self.request.expires_at.since(from);
        let mut notices = vec![(Notice::Request, now)];
        if life >= REMINDERS_FROM {
            notices.push((Notice::Reminder, from + life / 2));
            notices.push((Notice::FinalReminder, from + life * 85 / 100));
        }
        notices
    }

    /// The status at `now`: a deadline that has passed counts before the timeout is stored.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.state.status() {
            Status::Pending if now >= self.request.expires_at => Status::Timeout,
            stored => stored,
        }
    }

    /// The execution at `now`; `None` unless the request is approved.
    pub fn execution(&self, now: Timestamp) -> Option<Execution> {
        match &self.state {
            State::Approved {
                execution: Execution::Awaited,
                run_by,
                ..
            } if has_lapsed(*run_by, now) => Some(Execution::Lapsed { at: *run_by }),
            State::Approved { execution, .. } => Some(execution.clone()),
            _ => None,
        }
    }

    /// Whether the request waits for a decision, or its approval for a claim.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.status(now) == Status::Pending || self.execution(now) == Some(Execution::Awaited)
    }

    pub fn decision(&self) -> Option<&Decision> {
        match &self.state {
            State::Approved { decision, .. } | State::Rejected(decision) => Some(decision),
            _ => None,
        }
    }

    /// What was decided.
    pub fn verdict(&self) -> Option<Verdict> {
        match &self.state {
            State::Approved { .. } => Some(Verdict::Approve),
            State::Rejected(_) => Some(Verdict::Reject),
            _ => None,
        }
    }

    /// The question for a changed request that the agent gets: of the rejections that count, the last one that asks.
    pub fn question_for_agent(&self) -> Option<&str> {
        let State::Rejected(decision) = &self.state else {
            return None;
        };
        let question = decision.words.question_for_agent(decision.by.assurance());
        question.or_else(|| {
            let ballots = counted(&self.votes).into_iter().rev();
            let mut rejections = ballots.filter(|it| it.verdict == Verdict::Reject);
            rejections.find_map(|it| it.words.question_for_agent(Some(it.assurance)))
        })
    }

    /// The proposal that was signed, and its receipt.
    pub fn signed_decision(&self) -> Option<(Proposal, &str)> {
        let run_by = match &self.state {
            State::Approved { run_by, .. } => Some(*run_by),
            _ => None,
        };
        let decision = self.decision()?;
        let proposal = Proposal {
            by: decision.by.clone(),
            words: decision.words.clone(),
            at: decision.at,
            run_by,
        };
        Some((proposal, &decision.receipt))
    }

    /// The stored time at which it was decided or otherwise closed.
    pub fn closed_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Pending => None,
            State::Approved { decision, .. } | State::Rejected(decision) => Some(decision.at),
            State::Timeout { at } | State::Cancelled { at } | State::Undeliverable { at } => {
                Some(*at)
            }
        }
    }

    /// Ends the request in `state`.
    pub(super) fn close(
        &mut self,
        state: State,
        what: EventKind,
        by: Option<Address>,
        now: Timestamp,
    ) {
        self.state = state;
        self.log(now, what, by);
        self.close_deliveries(now);
    }

    /// Drops the unsent deliveries that ask for a decision, and queues the outcome notice.
    pub(super) fn close_deliveries(&mut self, now: Timestamp) {
        for (_, approver) in self.seated_approvers() {
            approver.drop_requests(now);
        }
        self.queue_once(Notice::Outcome, now);
    }

    /// Queues a notice, of which there is one, to all whom the request may have reached or who chose without it, by
    /// sign-in, and who have not handed their seat over.
    pub(super) fn queue_once(&mut self, notice: Notice, now: Timestamp) {
        let choices = self.choices();
        let overtaken = self.overtaken();
        for (person, approver) in self.seated_approvers() {
            if (approver.was_asked() || choices.iter().any(|it| it.person == person))
                && approver.queue_once(notice, now)
                && let Some((_, by)) = overtaken.filter(|(it, _)| *it == notice)
            {
                // What asked them was still under way when that was queued for the others.
                approver.queue_once(by, now);
            }
        }
    }

    /// The approvers who have not handed their seat over, with their indexes.
    pub(super) fn seated_approvers(&mut self) -> impl Iterator<Item = (usize, &mut Approver)> {
        let plan = &self.plan;
        let approvers = self.approvers.iter_mut().enumerate();
        approvers.filter(|(person, _)| plan.hand_over_by(*person).is_none())
    }

    pub(super) fn log(&mut self, at: Timestamp, what: EventKind, by: Option<Address>) {
        self.history.push(Event { at, what, by });
        self.queue_for_channels();
    }
}
