//! The aggregate: a request, its approvers and its state, with its history.

use super::approver::Approver;
use super::decision::{Decision, LateDecision, Proposal};
use super::delivery::{Delivery, Notice};
use super::execution::Execution;
use super::history::{Event, EventKind};
use super::request::Request;
use super::state::{State, Status};
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
    /// The people who may decide; at least one.
    pub approvers: Vec<Approver>,
    /// The first decision that arrived after the deadline.
    pub late: Option<LateDecision>,
    /// One event for each transition, in order.
    pub history: Vec<Event>,
}

/// The state does not allow this transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state does not allow this")]
pub struct InvalidTransition;

impl Approval {
    /// A new request: pending, with a delivery to each approver due at once.
    pub fn new(request: Request, mut approvers: Vec<Approver>) -> Self {
        let now = request.requested_at;
        let life = request.expires_at.since(now);
        let mut plan = vec![(Notice::Request, now)];
        if life >= REMINDERS_FROM {
            plan.push((Notice::Reminder, now + life / 2));
            plan.push((Notice::FinalReminder, now + life * 85 / 100));
        }
        for approver in &mut approvers {
            let planned = plan
                .iter()
                .map(|&(notice, at)| Delivery::queued(notice, at));
            approver.deliveries = planned.collect();
        }
        let mut approval = Self {
            request,
            state: State::Pending,
            approvers,
            late: None,
            history: Vec::new(),
        };
        approval.log(now, EventKind::Submitted, None);
        approval
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
            } if now >= *run_by => Some(Execution::Lapsed { at: *run_by }),
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

    /// The proposal that was signed, and its receipt.
    pub fn signed_decision(&self) -> Option<(Proposal, &str)> {
        let run_by = match &self.state {
            State::Approved { run_by, .. } => Some(*run_by),
            _ => None,
        };
        let Decision {
            by,
            assurance,
            comment,
            at,
            receipt,
        } = self.decision()?;
        let proposal = Proposal {
            by: by.clone(),
            assurance: *assurance,
            comment: comment.clone(),
            at: *at,
            run_by,
        };
        Some((proposal, receipt))
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

    pub(super) fn close_deliveries(&mut self, now: Timestamp) {
        for approver in &mut self.approvers {
            approver.close_deliveries(now);
        }
    }

    pub(super) fn log(&mut self, at: Timestamp, what: EventKind, by: Option<Address>) {
        self.history.push(Event { at, what, by });
    }
}
