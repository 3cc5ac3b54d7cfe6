//! Complete lifecycles: their histories, their times and their decisions.

use human_oversight::domain::{Approval, EventKind, Verdict};
use human_oversight::values::Address;

use super::{LIFETIME_SECS, OUTCOME_WITHIN, RUN_WITHIN, at, decide_late, pending};
use crate::forms::{claim, decide, submit_wrong_code};

/// Lifecycles of every kind.
fn lifecycles() -> Vec<Approval> {
    let decided = |verdict| {
        let mut approval = pending();
        decide(&mut approval, 0, verdict, RUN_WITHIN, at(1_000));
        approval
    };
    let approved = decided(Verdict::Approve);
    let mut executing = approved.clone();
    executing.claim(claim("one"), at(2_000));
    let (mut executed, mut failed) = (executing.clone(), executing.clone());
    executed.report(Ok(()), at(3_000)).unwrap();
    failed.report(Err(None), at(3_000)).unwrap();
    let mut unknown = executing.clone();
    unknown.apply_timeouts(OUTCOME_WITHIN, at(2_000_000));
    let mut reported_late = unknown.clone();
    reported_late.report(Ok(()), at(2_100_000)).unwrap();
    let mut lapsed = approved.clone();
    lapsed.apply_timeouts(OUTCOME_WITHIN, at(1_000_000));
    let mut late = pending();
    decide_late(&mut late, 1, at(LIFETIME_SECS * 1_000));
    let mut cancelled = pending();
    cancelled.withdraw(at(1_000)).unwrap();
    let mut locked = pending();
    for _ in 0..10 {
        submit_wrong_code(&mut locked, 1, at(1_000));
    }
    assert!(locked.approvers[1].is_locked() && !locked.approvers[0].is_locked());
    let rejected = decided(Verdict::Reject);
    vec![
        pending(),
        approved,
        executing,
        executed,
        failed,
        unknown,
        reported_late,
        lapsed,
        rejected,
        late,
        cancelled,
        locked,
    ]
}

#[test]
fn an_altered_history_is_inconsistent() {
    let other_address = Address::parse("carol@example.com").unwrap();
    for lifecycle in lifecycles() {
        assert!(lifecycle.history_is_consistent(), "{lifecycle:?}");
        let is_refused = |change: &dyn Fn(&mut Approval)| {
            let mut changed = lifecycle.clone();
            change(&mut changed);
            assert_ne!(changed, lifecycle);
            assert!(!changed.history_is_consistent(), "{:?}", changed.history);
        };
        for index in 0..lifecycle.history.len() {
            is_refused(&|lifecycle| drop(lifecycle.history.remove(index)));
            is_refused(&|lifecycle| {
                lifecycle
                    .history
                    .insert(index, lifecycle.history[index].clone())
            });
            is_refused(&|lifecycle| lifecycle.history[index].by = Some(other_address.clone()));
            for what in [EventKind::Undeliverable, EventKind::Locked] {
                if lifecycle.history[index].what != what {
                    is_refused(&|lifecycle| lifecycle.history[index].what = what);
                }
            }
        }
        // The times of the state equal those of the history.
        is_refused(&|lifecycle| lifecycle.history[0].at = at(7));
        let last = lifecycle.history.len() - 1;
        if matches!(
            lifecycle.history[last].what,
            EventKind::Approved
                | EventKind::Rejected
                | EventKind::Cancelled
                | EventKind::Claimed
                | EventKind::Executed
                | EventKind::ExecutionFailed
                | EventKind::ExecutionUnknown
                | EventKind::ReportedLate
                | EventKind::AnsweredLate
        ) {
            is_refused(&|lifecycle| lifecycle.history[last].at = at(7));
        }
        // A locked approver requires an event.
        is_refused(&|lifecycle| lifecycle.approvers[0].wrong_codes = 5);
    }
}

#[test]
fn next_due_is_the_next_change_by_time() {
    let due = lifecycles().into_iter().map(|mut lifecycle| {
        lifecycle
            .approvers
            .iter_mut()
            .for_each(|approver| approver.deliveries.clear());
        lifecycle.next_due(OUTCOME_WITHIN)
    });
    let deadline = Some(at(LIFETIME_SECS * 1_000));
    let expected = [
        deadline,
        Some(at(601_000)),
        Some(at(1_002_000)),
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        deadline,
    ];
    assert_eq!(due.collect::<Vec<_>>(), expected);
}

#[test]
fn closed_at_and_signed_decision_match_each_lifecycle() {
    let ended = [
        None,
        Some(1_000),
        Some(1_000),
        Some(1_000),
        Some(1_000),
        Some(1_000),
        Some(1_000),
        Some(1_000),
        Some(1_000),
        Some(LIFETIME_SECS * 1_000),
        Some(1_000),
        None,
    ];
    for (number, (lifecycle, ended)) in lifecycles().iter().zip(ended).enumerate() {
        assert_eq!(lifecycle.closed_at(), ended.map(at), "{number}");
        let verdict = match number {
            1..=7 => Some(Verdict::Approve),
            8 => Some(Verdict::Reject),
            _ => None,
        };
        let decision = lifecycle.signed_decision().map(|(decision, receipt)| {
            assert_eq!((decision.at, receipt), (at(1_000), "receipt"));
            assert_eq!(decision.by.person(), Some(&lifecycle.approvers[0].address));
            decision.verdict()
        });
        assert_eq!(decision, verdict, "{number}");
        assert_eq!(
            lifecycle.decision().is_some(),
            verdict.is_some(),
            "{number}"
        );
    }
}

#[test]
fn a_conflicting_report_is_refused() {
    let all = lifecycles();
    let [executed, failed] = [&all[3], &all[4]].map(Approval::clone);
    for (mut lifecycle, again, other) in [
        (executed, Ok(()), Err(None)),
        (failed.clone(), Err(None), Ok(())),
        (failed, Err(None), Err(Some("other words".to_owned()))),
    ] {
        let before = lifecycle.clone();
        assert!(lifecycle.report(again, at(9_000)).is_ok());
        assert!(lifecycle.report(other, at(9_000)).is_err());
        assert_eq!(lifecycle, before);
    }
}
