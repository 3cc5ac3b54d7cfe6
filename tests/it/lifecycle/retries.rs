//! Failed deliveries: when each is retried, and how it ends.

use std::time::Duration;

use human_oversight::domain::{
    Approval, Deliverable, Delivery, DeliveryFault, DeliveryState, Notice, NotificationSettings,
    Plan, SendAttempt, SendResult, Status,
};

use super::deliveries::{REFUSED, UNAVAILABLE, UNCLEAR, delivery, reject, stored};
use super::{OUTCOME_WITHIN, at, pending};

#[test]
fn a_failed_delivery_is_retried_with_backoff_until_the_deadline() {
    let mut approval = pending();
    approval.approvers.truncate(1);
    approval.plan = Plan::of_requester(1);
    approval.approvers[0].deliveries[0].state = DeliveryState::Queued(at(0));
    approval.approvers[0].deliveries[0].attempts = 0;
    approval.approvers[0].deliveries.truncate(1);
    let (mut now, mut pauses) = (at(0), Vec::new());
    loop {
        approval.apply_timeouts(OUTCOME_WITHIN, now);
        let attempts = approval.lease_deliveries(NotificationSettings::ALL, now);
        let [attempt] = attempts.as_slice() else {
            break;
        };
        assert!(
            approval
                .lease_deliveries(NotificationSettings::ALL, now)
                .is_empty(),
            "the lease is exclusive"
        );
        approval.record_delivery_result(
            *attempt,
            SendResult::Failed(DeliveryFault::Unavailable, None),
            now,
        );
        // The result of an attempt whose lease has expired is ignored.
        let old = SendAttempt {
            number: attempt.number - 1,
            ..*attempt
        };
        approval.record_delivery_result(old, SendResult::Sent, now);
        assert_eq!(approval.deliverable(), Deliverable::None);
        let next = approval.next_due(OUTCOME_WITHIN).unwrap();
        assert!(next > now, "the retry is delayed");
        pauses.push(next.since(now).as_secs());
        now = next;
    }
    assert_eq!(
        pauses,
        [
            30, 60, 120, 300, 600, 622, 466, 350, 262, 196, 147, 110, 83, 62, 46, 35, 30, 30, 30,
            15
        ],
        "a quarter of the time that is left; the last pause ends at the deadline"
    );
    assert_eq!(approval.status(now), Status::Timeout);
    assert!(matches!(
        approval.approvers[0].request_delivery().unwrap().state,
        DeliveryState::Dropped(_)
    ));
    assert_eq!(
        approval.next_due(OUTCOME_WITHIN),
        None,
        "an approver who was not notified gets no outcome notice"
    );
}

/// Records `result` for each attempt; returns the pauses in seconds and the delivery at the end.
fn pauses(mut approval: Approval, kind: Notice, result: SendResult) -> (Vec<u64>, Delivery) {
    let mut pauses = Vec::new();
    loop {
        let state = delivery(&approval, 0, kind).state;
        let DeliveryState::Queued(now) = state else {
            return (pauses, delivery(&approval, 0, kind).clone());
        };
        let attempts = approval.lease_deliveries(NotificationSettings::ALL, now);
        let Some(attempt) = attempts.iter().find(|one| one.notice == kind) else {
            return (pauses, delivery(&approval, 0, kind).clone());
        };
        approval.record_delivery_result(*attempt, result, now);
        if let DeliveryState::Queued(next) = delivery(&approval, 0, kind).state {
            pauses.push(next.since(now).as_secs());
        }
        if pauses.len() == 20 {
            return (pauses, delivery(&approval, 0, kind).clone());
        }
    }
}

#[test]
fn a_request_is_retried_without_limit_and_an_outcome_notice_twelve_times() {
    let growing = [30, 60, 120, 300, 600, 1_200];
    let then = |count| [&growing[..], &vec![1_800; count]].concat();
    let day = |mut approval: Approval| {
        approval.request.expires_at = at(0) + Duration::from_secs(86_400);
        approval.approvers.truncate(1);
        approval.plan = Plan::of_requester(1);
        approval
    };
    let (waits, request) = pauses(day(stored()), Notice::Request, UNAVAILABLE);
    assert_eq!(waits, then(14));
    assert_eq!(request.attempts, 20);

    let mut rejected = day(pending());
    reject(&mut rejected, 0);
    let (waits, notice) = pauses(rejected, Notice::Outcome, UNAVAILABLE);
    assert_eq!(waits, then(5));
    assert!(matches!(notice.state, DeliveryState::Failed(_)));
    assert_eq!(notice.attempts, 12);
    assert_eq!(notice.fault, Some(DeliveryFault::Unavailable));
}

#[test]
fn a_retry_waits_as_long_as_the_mail_system_asks() {
    for (requested, waited) in [(10, 30), (45, 45), (3_000, 3_000)] {
        let mut approval = stored();
        let attempts = approval.lease_deliveries(NotificationSettings::ALL, at(0));
        let requested = Some(Duration::from_secs(requested));
        let busy = SendResult::Failed(DeliveryFault::Unavailable, requested);
        approval.record_delivery_result(attempts[0], busy, at(1_000));
        let next = DeliveryState::Queued(at(1_000 + waited * 1_000));
        assert_eq!(
            approval.approvers[0].request_delivery().unwrap().state,
            next
        );
    }
}

#[test]
fn a_misconfigured_send_counts_as_no_attempt() {
    let misconfigured = SendResult::Failed(DeliveryFault::Misconfigured, None);
    let (waits, request) = pauses(stored(), Notice::Request, misconfigured);
    assert_eq!(waits, [300; 20]);
    assert_eq!(request.attempts, 0);
    assert_eq!(request.fault, Some(DeliveryFault::Misconfigured));
}

#[test]
fn a_send_that_was_not_tried_counts_as_no_attempt_and_is_due_at_once() {
    let (waits, request) = pauses(stored(), Notice::Request, SendResult::NotTried);
    assert_eq!(waits, [0; 20]);
    assert_eq!((request.attempts, request.fault), (0, None));
}

#[test]
fn an_unknown_outcome_is_retried_once() {
    for (results, expected) in [
        (
            [UNCLEAR, SendResult::Sent],
            DeliveryState::Sent(at(100_000)),
        ),
        ([UNCLEAR, UNCLEAR], DeliveryState::Unknown(at(100_000))),
        ([UNAVAILABLE, UNCLEAR], DeliveryState::Queued(at(160_000))),
        ([UNCLEAR, UNAVAILABLE], DeliveryState::Queued(at(160_000))),
        ([UNCLEAR, REFUSED], DeliveryState::Failed(at(100_000))),
        (
            [UNCLEAR, SendResult::NotTried],
            DeliveryState::Queued(at(100_000)),
        ),
    ] {
        let mut approval = stored();
        for (result, time) in results.into_iter().zip([0, 100_000]) {
            let attempts = approval.lease_deliveries(NotificationSettings::ALL, at(time));
            approval.record_delivery_result(attempts[0], result, at(time));
        }
        let request = approval.approvers[0].request_delivery().unwrap();
        assert_eq!(request.state, expected, "{results:?}");
        let fault = match results[1] {
            SendResult::Sent => None,
            // It may still have arrived.
            SendResult::NotTried => Some(DeliveryFault::Unclear),
            SendResult::Failed(fault, _) => Some(fault),
        };
        assert_eq!(request.fault, fault);
    }
}
