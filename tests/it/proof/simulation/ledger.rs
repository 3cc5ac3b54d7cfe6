//! The facts that responses have established, checked against the rows.

use std::collections::BTreeMap;
use std::time::Duration;

use human_oversight::domain::{Approval, Event, EventKind, Execution, State, Status, Verdict};
use human_oversight::store::{Store, StoreError};

use super::actor::{REQUESTS, id};
use super::delivery;
use super::quorum::{Figures, SeenVotes};

/// A fact that a response established, and that must stay true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// The request is stored.
    Submitted,
    /// The decision of the approver at this index is recorded.
    Decided(usize, Verdict),
    /// The approver's decision was refused because the request was closed before.
    DecidedOtherwise(usize, Verdict),
    /// The vote of the approver at this index is recorded.
    Voted(usize, Verdict),
    /// The approver's vote was refused because they had voted otherwise.
    VotedOtherwise(usize, Verdict),
    /// The approver has revoked their vote, or the approval.
    VoteRevoked(usize),
    /// The approver at this index has handed their seat over.
    HandedOver(usize),
    /// The approver at this index has approved, and given a standing grant.
    GrantGiven(usize),
    /// The standing grant approves nothing any more.
    GrantEnded,
    /// The email to the approver at this index is recorded as bounced.
    Bounced(usize),
    /// The request was closed before a vote.
    Closed,
    /// The decision was too late.
    Late,
    /// The status is final.
    Final(Status),
    /// The agent with this nonce may run the action.
    Claimed(String),
    /// The agent with this nonce may not run the action.
    Refused(String),
    /// The agent with this nonce runs the action.
    Runs(String),
    /// The outcome is reported.
    Reported,
    /// The approval is revoked: no agent runs the action.
    Revoked,
}

#[derive(Default)]
pub(super) struct Ledger {
    facts: BTreeMap<usize, Vec<Fact>>,
    past: BTreeMap<usize, Vec<Event>>,
    /// What was seen of the votes, under a policy.
    votes: Option<SeenVotes>,
}

impl Ledger {
    pub(super) fn new(has_policy: bool) -> Self {
        Self {
            votes: has_policy.then(SeenVotes::default),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, request: usize, fact: Fact) {
        let facts = self.facts.entry(request).or_default();
        if matches!(fact, Fact::Runs(_)) {
            let is_run = |fact: &Fact| matches!(fact, Fact::Runs(_));
            assert!(!facts.iter().any(is_run), "request {request} ran twice");
        }
        if !facts.contains(&fact) {
            facts.push(fact);
        }
    }

    pub(super) async fn check(&mut self, store: &Store) {
        for request in 0..REQUESTS {
            let facts = self.facts.get(&request).map_or(&[][..], Vec::as_slice);
            let row = match store.get(&id(request)).await {
                Ok(row) => row.approval,
                Err(StoreError::NotFound) => {
                    assert!(facts.is_empty(), "request {request} is gone: {facts:?}");
                    continue;
                }
                Err(error) => panic!("request {request}: {error}"),
            };
            if let Some(votes) = &mut self.votes {
                votes.check(&row);
            }
            let past = self.past.entry(request).or_default();
            check_invariants(&row, past);
            past.clone_from(&row.history);
            for fact in facts {
                assert!(
                    holds(fact, &row),
                    "request {request}: {fact:?}, but {row:?}"
                );
            }
        }
    }

    /// What was counted of the votes, under a policy.
    pub(super) fn figures(&self, emails_by_the_sweep: u64) -> Option<Figures> {
        let votes = self.votes.as_ref()?;
        Some(votes.figures(emails_by_the_sweep))
    }

    /// The final status of every stored request.
    pub(super) async fn ends(&self, store: &Store, within: Duration) -> Vec<String> {
        let mut ends = Vec::new();
        for request in 0..REQUESTS {
            let Ok(row) = store.get(&id(request)).await else {
                continue;
            };
            let end = match &row.approval.state {
                State::Approved { execution, .. } => execution.word().unwrap_or("Approved"),
                state => state.status().word(),
            };
            assert!(
                !["Pending", "Approved", "Executing"].contains(&end),
                "request {request} never ends: {end}"
            );
            let due = row.approval.next_due(within);
            assert_eq!(due, None, "request {request} is due for ever: {row:?}");
            ends.push(end.to_owned());
        }
        ends
    }
}

/// Checks what holds for every row, whatever the facts.
fn check_invariants(row: &Approval, past: &[Event]) {
    assert!(row.history_is_consistent(), "{row:?}");
    assert!(
        row.history.starts_with(past),
        "the history has changed: {past:?}, {row:?}"
    );
    if let Some(decision) = row.decision() {
        assert!(
            decision.at < row.request.expires_at,
            "decided too late: {row:?}"
        );
    }
    let ends = row.history.iter().filter(|event| {
        matches!(
            event.what,
            EventKind::Approved
                | EventKind::Rejected
                | EventKind::TimedOut
                | EventKind::Cancelled
                | EventKind::Undeliverable
        )
    });
    assert!(ends.count() <= 1, "{row:?}");
    let claims = row
        .history
        .iter()
        .filter(|event| event.what == EventKind::Claimed);
    for claim in claims {
        let in_time = matches!(row.state, State::Approved { run_by, .. } if claim.at < run_by);
        assert!(in_time, "claimed too late: {row:?}");
    }
}

fn holds(fact: &Fact, row: &Approval) -> bool {
    let decided = |by: usize, verdict| {
        let signed = row.signed_decision();
        signed.is_some_and(|(decision, _)| {
            decision.by.person() == Some(&row.approvers[by].address)
                && decision.verdict() == verdict
        })
    };
    let voted = |by: usize, verdict| {
        let mut ballots = row.votes.iter().map(|vote| &vote.ballot);
        ballots.any(|ballot| ballot.person == by && ballot.verdict == verdict)
    };
    let is_revoked = || match &row.state {
        State::Approved { execution, .. } => matches!(execution, Execution::Revoked { .. }),
        _ => false,
    };
    match fact {
        Fact::Submitted | Fact::GrantEnded => true,
        Fact::Decided(by, verdict) => decided(*by, *verdict),
        Fact::DecidedOtherwise(by, verdict) => {
            row.state != State::Pending && !decided(*by, *verdict)
        }
        Fact::Voted(by, verdict) => voted(*by, *verdict),
        Fact::GrantGiven(by) => voted(*by, Verdict::Approve),
        Fact::VotedOtherwise(by, Verdict::Approve) => voted(*by, Verdict::Reject),
        Fact::VotedOtherwise(by, Verdict::Reject) => voted(*by, Verdict::Approve),
        Fact::VoteRevoked(by) => voted(*by, Verdict::Reject) || is_revoked(),
        Fact::HandedOver(by) => row.plan.hand_overs.iter().any(|it| it.from == *by),
        Fact::Bounced(approver) => delivery::holds(row, *approver),
        Fact::Closed => row.state != State::Pending,
        Fact::Late => row.late.is_some() && row.state.status() == Status::Timeout,
        Fact::Final(status) => row.state.status() == *status,
        Fact::Claimed(nonce) | Fact::Runs(nonce) => claim(row) == Some(nonce),
        // After ExecutionUnknown, even the nonce of the granted claim is refused.
        Fact::Refused(nonce) => {
            let is_unknown = |event: &Event| event.what == EventKind::ExecutionUnknown;
            claim(row) != Some(nonce) || row.history.iter().any(is_unknown)
        }
        Fact::Revoked => is_revoked(),
        Fact::Reported => row
            .history
            .iter()
            .any(|event| event.what == EventKind::Executed),
    }
}

/// The nonce of the granted claim.
fn claim(row: &Approval) -> Option<&str> {
    match &row.state {
        State::Approved { execution, .. } => match execution {
            Execution::Executing { claim, .. }
            | Execution::Executed { claim, .. }
            | Execution::Failed { claim, .. }
            | Execution::Unknown { claim, .. } => Some(&claim.nonce),
            Execution::Awaited | Execution::Lapsed { .. } | Execution::Revoked { .. } => None,
        },
        _ => None,
    }
}
