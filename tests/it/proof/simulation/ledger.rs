//! What anybody was told, held against the rows.

use std::collections::BTreeMap;

use human_oversight::domain::{Approval, Event, EventKind, Execution, State, Status, Verdict};
use human_oversight::store::{Store, StoreError};

use super::WITHIN;
use super::actor::{REQUESTS, id};

/// Something that was told and must stay true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// The request is stored.
    Asked,
    /// The approver's decision stands.
    Decided(&'static str, Verdict),
    /// It does not, as the request is closed otherwise.
    DecidedOtherwise(&'static str, Verdict),
    /// The answer was too late.
    Late,
    /// The request stands so, for good.
    Stands(Status),
    /// Whoever has this nonce may run the action.
    Claimed(String),
    /// Whoever has this nonce may not.
    Refused(String),
    /// The action is run.
    Runs(String),
    /// The outcome is known.
    Reported,
}

#[derive(Default)]
pub(super) struct Ledger {
    told: BTreeMap<usize, Vec<Fact>>,
    past: BTreeMap<usize, Vec<Event>>,
}

impl Ledger {
    pub(super) fn tell(&mut self, request: usize, fact: Fact) {
        let told = self.told.entry(request).or_default();
        if matches!(fact, Fact::Runs(_)) {
            let is_run = |fact: &Fact| matches!(fact, Fact::Runs(_));
            assert!(!told.iter().any(is_run), "request {request} ran twice");
        }
        if !told.contains(&fact) {
            told.push(fact);
        }
    }

    pub(super) async fn check(&mut self, store: &Store) {
        for request in 0..REQUESTS {
            let told = self.told.get(&request).map_or(&[][..], Vec::as_slice);
            let row = match store.get(&id(request)).await {
                Ok(row) => row.approval,
                Err(StoreError::NotFound) => {
                    assert!(told.is_empty(), "request {request} is gone: {told:?}");
                    continue;
                }
                Err(error) => panic!("request {request}: {error}"),
            };
            let past = self.past.entry(request).or_default();
            check_by_itself(&row, past);
            past.clone_from(&row.history);
            for fact in told {
                assert!(
                    holds(fact, &row),
                    "request {request}: {fact:?}, but {row:?}"
                );
            }
        }
    }

    /// How the requests ended, all of them.
    pub(super) async fn ends(&self, store: &Store) -> Vec<String> {
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
            let due = row.approval.next_due(WITHIN);
            assert_eq!(due, None, "request {request} is due for ever: {row:?}");
            ends.push(end.to_owned());
        }
        ends
    }
}

/// What holds of a row whoever was told what.
fn check_by_itself(row: &Approval, past: &[Event]) {
    assert!(row.history_is_consistent(), "{row:?}");
    assert!(
        row.history.starts_with(past),
        "the past has changed: {past:?}, {row:?}"
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
            EventKind::Approved | EventKind::Rejected | EventKind::TimedOut | EventKind::Cancelled
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
    let decided = |by: &str, verdict| {
        let ruling = row.signed_decision();
        ruling.is_some_and(|(ruling, _)| ruling.by.as_str() == by && ruling.verdict() == verdict)
    };
    match fact {
        Fact::Asked => true,
        Fact::Decided(by, verdict) => decided(by, *verdict),
        Fact::DecidedOtherwise(by, verdict) => {
            row.state != State::Pending && !decided(by, *verdict)
        }
        Fact::Late => row.late.is_some() && row.state.status() == Status::Timeout,
        Fact::Stands(status) => row.state.status() == *status,
        Fact::Claimed(nonce) | Fact::Runs(nonce) => claim(row) == Some(nonce),
        // Not even the claimant is granted it again once it was given up.
        Fact::Refused(nonce) => {
            let is_given_up = |event: &Event| event.what == EventKind::ExecutionUnknown;
            claim(row) != Some(nonce) || row.history.iter().any(is_given_up)
        }
        Fact::Reported => row
            .history
            .iter()
            .any(|event| event.what == EventKind::Executed),
    }
}

/// The nonce that the approval was claimed with.
fn claim(row: &Approval) -> Option<&str> {
    match &row.state {
        State::Approved { execution, .. } => match execution {
            Execution::Executing { nonce, .. }
            | Execution::Executed { nonce, .. }
            | Execution::Failed { nonce, .. }
            | Execution::Unknown { nonce, .. } => Some(nonce),
            Execution::Awaited | Execution::Lapsed { .. } => None,
        },
        _ => None,
    }
}
