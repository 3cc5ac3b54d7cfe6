//! The deliveries of a request: when each is due, to which approver, and how it ends.

use std::time::Duration;

use human_oversight::domain::{
    Approval, Deliverable, Delivery, DeliveryFault, DeliveryState, Notice, NotificationSettings,
    SendAttempt, SendResult, State, Status, Verdict,
};

use crate::forms::{claim, decide};

use super::{LIFETIME_SECS, OUTCOME_WITHIN, RUN_WITHIN, at, mailed, pending};

pub(super) const UNAVAILABLE: SendResult = SendResult::Failed(DeliveryFault::Unavailable, None);
pub(super) const UNCLEAR: SendResult = SendResult::Failed(DeliveryFault::Unclear, None);
pub(super) const REFUSED: SendResult = SendResult::Failed(DeliveryFault::Refused, None);

/// A stored request whose emails have not been sent.
pub(super) fn stored() -> Approval {
    let mut approval = pending();
    for approver in &mut approval.approvers {
        approver.deliveries[0].state = DeliveryState::Queued(at(0));
        approver.deliveries[0].attempts = 0;
    }
    approval
}

/// Leases the due deliveries; returns the approver and the notice of each.
fn due(approval: &mut Approval, millis: u64) -> Vec<(usize, Notice)> {
    let attempts = approval.lease_deliveries(NotificationSettings::ALL, at(millis));
    let names = attempts.iter().map(|one| (one.approver, one.notice));
    names.collect()
}

/// The first attempt, under the lease of the stored one.
fn first(approval: &Approval, approver: usize, notice: Notice) -> SendAttempt {
    let leased_until = match delivery(approval, approver, notice).state {
        DeliveryState::Sending(until) => until,
        _ => at(0),
    };
    SendAttempt {
        approver,
        notice,
        number: 1,
        leased_until,
    }
}

pub(super) fn delivery(approval: &Approval, approver: usize, notice: Notice) -> &Delivery {
    let mut deliveries = approval.approvers[approver].deliveries.iter();
    deliveries
        .find(|delivery| delivery.notice == notice)
        .unwrap()
}

pub(super) fn reject(approval: &mut Approval, millis: u64) {
    decide(approval, 0, Verdict::Reject, RUN_WITHIN, at(millis));
}

#[test]
fn reminders_are_planned_at_50_and_85_percent() {
    for (lifetime, expected) in [
        (599, vec![]),
        (600, vec![300_000, 510_000]),
        (LIFETIME_SECS, vec![1_800_000, 3_060_000]),
    ] {
        let approval = mailed(
            at(0),
            Duration::from_secs(lifetime),
            NotificationSettings::ALL,
        );
        for approver in &approval.approvers {
            let planned = approver
                .deliveries
                .iter()
                .map(|delivery| match delivery.state {
                    DeliveryState::Queued(time) => Some((delivery.notice, time)),
                    _ => None,
                });
            let kinds = [Notice::Reminder, Notice::FinalReminder];
            let reminders = kinds.into_iter().zip(expected.iter().copied().map(at));
            assert!(
                planned.eq([None].into_iter().chain(reminders.map(Some))),
                "{lifetime}"
            );
        }
    }
}

#[test]
fn a_send_lease_lasts_one_minute() {
    let mut approval = stored();
    let both = [(0, Notice::Request), (1, Notice::Request)];
    assert_eq!(due(&mut approval, 0), both);
    assert_eq!(
        approval.approvers[0].request_delivery().unwrap().state,
        DeliveryState::Sending(at(60_000))
    );
    assert_eq!(approval.next_due(OUTCOME_WITHIN), Some(at(60_000)));
    assert_eq!(due(&mut approval, 59_999), []);
    let again = approval.lease_deliveries(NotificationSettings::ALL, at(60_000));
    let numbers: Vec<_> = again.iter().map(|one| (one.approver, one.number)).collect();
    assert_eq!(numbers, [(0, 2), (1, 2)]);

    // A result after the lease has expired is ignored.
    let before = approval.clone();
    let request = first(&approval, 0, Notice::Request);
    approval.record_delivery_result(request, SendResult::Sent, at(60_001));
    assert_eq!(approval, before);
}

/// The result of an attempt that does not count is stored, its answer is lost, and another instance has begun the next
/// attempt, which has the same number.
#[test]
fn a_result_that_is_repeated_ends_no_later_attempt() {
    for result in [
        SendResult::NotTried,
        SendResult::Failed(DeliveryFault::Misconfigured, None),
    ] {
        let mut approval = stored();
        let attempts = approval.lease_deliveries(NotificationSettings::ALL, at(0));
        approval.record_delivery_result(attempts[0], result, at(1));
        let again = approval.lease_deliveries(NotificationSettings::ALL, at(400_000));
        assert_eq!((again[0].approver, again[0].number), (0, 1), "{result:?}");
        let before = approval.clone();
        approval.record_delivery_result(attempts[0], result, at(400_001));
        assert_eq!(approval, before, "{result:?}");
    }
}

#[test]
fn a_delivery_result_is_recorded_once() {
    let mut approval = stored();
    let attempts = approval.lease_deliveries(NotificationSettings::ALL, at(0));
    approval.record_delivery_result(attempts[0], SendResult::Sent, at(1));
    let before = approval.clone();
    for result in [SendResult::Sent, UNAVAILABLE, REFUSED] {
        approval.record_delivery_result(attempts[0], result, at(2));
        assert_eq!(approval, before);
    }
    assert_eq!(delivery(&approval, 1, Notice::Request).attempts, 1);
}

/// Whether it was under way when that was queued for the others, or not.
#[test]
fn who_is_asked_while_the_action_fails_gets_the_notice_of_that_alone() {
    for error in [Some("broke".to_owned()), None] {
        let mut approval = stored();
        let asked = approval.lease_deliveries(NotificationSettings::ALL, at(0));
        approval.record_delivery_result(asked[0], SendResult::Sent, at(1));
        decide(&mut approval, 0, Verdict::Approve, RUN_WITHIN, at(2));
        approval.claim(claim("0123456789abcdef"), at(3));
        approval.report(Err(error), at(4)).unwrap();
        approval.record_delivery_result(asked[1], SendResult::Sent, at(5));
        let both = [(0, Notice::Failure), (1, Notice::Failure)];
        assert_eq!(due(&mut approval, 6), both);
        for approver in [0, 1] {
            let outcome = delivery(&approval, approver, Notice::Outcome);
            assert_eq!(outcome.state, DeliveryState::Dropped(at(6)));
        }
    }
}

#[test]
fn a_result_is_recorded_for_its_own_delivery() {
    let mut approval = pending();
    approval.approvers[0].deliveries[0].state = DeliveryState::Queued(at(0));
    let attempts = approval.lease_deliveries(NotificationSettings::ALL, at(3_060_000));
    let of_alice: Vec<_> = attempts.iter().filter(|one| one.approver == 0).collect();
    let [request] = of_alice.as_slice() else {
        panic!("{of_alice:?}");
    };
    assert_eq!((request.notice, request.number), (Notice::Request, 2));
    approval.record_delivery_result(
        first(&approval, 1, Notice::FinalReminder),
        SendResult::Sent,
        at(3_060_001),
    );
    let sent = DeliveryState::Sent(at(3_060_001));
    assert_eq!(delivery(&approval, 1, Notice::FinalReminder).state, sent);
    let earlier = DeliveryState::Sent(at(0));
    assert_eq!(delivery(&approval, 1, Notice::Request).state, earlier);
    let leased = DeliveryState::Sending(at(3_120_000));
    assert_eq!(
        approval.approvers[0].request_delivery().unwrap().state,
        leased
    );
}

#[test]
fn a_final_reminder_replaces_a_missed_reminder() {
    let mut approval = pending();
    let last = [(0, Notice::FinalReminder), (1, Notice::FinalReminder)];
    assert_eq!(due(&mut approval, 3_060_000), last);
    for approver in 0..2 {
        let attempt = first(&approval, approver, Notice::FinalReminder);
        approval.record_delivery_result(attempt, SendResult::Sent, at(3_060_001));
    }
    assert_eq!(due(&mut approval, LIFETIME_SECS * 1_000 - 1), []);

    // On time, both reminders are sent.
    let mut approval = pending();
    let reminders = [(0, Notice::Reminder), (1, Notice::Reminder)];
    assert_eq!(due(&mut approval, 1_799_999), []);
    assert_eq!(due(&mut approval, 1_800_000), reminders);
    for approver in 0..2 {
        let attempt = first(&approval, approver, Notice::Reminder);
        approval.record_delivery_result(attempt, SendResult::Sent, at(1_800_001));
    }
    assert_eq!(due(&mut approval, 3_059_999), []);
    assert_eq!(due(&mut approval, 3_060_000), last);
}

#[test]
fn an_approver_who_was_not_notified_gets_no_reminder() {
    let sent = DeliveryState::Sent(at(0));
    let later = DeliveryState::Queued(at(3_500_000));
    for (state, fault, notified) in [
        (sent, None, true),
        (
            DeliveryState::Unknown(at(1)),
            Some(DeliveryFault::Unclear),
            true,
        ),
        (later, Some(DeliveryFault::Unclear), true),
        (later, Some(DeliveryFault::Unavailable), false),
        (
            DeliveryState::Failed(at(1)),
            Some(DeliveryFault::Refused),
            false,
        ),
    ] {
        let mut approval = pending();
        let request = &mut approval.approvers[1].deliveries[0];
        (request.state, request.fault) = (state, fault);
        for (time, kind) in [
            (1_800_000, Notice::Reminder),
            (3_060_000, Notice::FinalReminder),
        ] {
            let mut expected = vec![(0, kind)];
            expected.extend(notified.then_some((1, kind)));
            assert_eq!(due(&mut approval, time), expected, "{state:?}");
            for (approver, kind) in expected {
                let attempt = first(&approval, approver, kind);
                approval.record_delivery_result(attempt, SendResult::Sent, at(time));
            }
        }
    }
}

#[test]
fn disabled_notifications_are_dropped() {
    let none = NotificationSettings {
        reminders: false,
        outcome: false,
        withdrawn: false,
    };
    let (reminders, outcome, withdrawn) = (
        NotificationSettings {
            reminders: true,
            ..none
        },
        NotificationSettings {
            outcome: true,
            ..none
        },
        NotificationSettings {
            withdrawn: true,
            ..none
        },
    );
    for (settings, has_reminder, has_outcome, has_withdrawn) in [
        (NotificationSettings::ALL, true, true, true),
        (none, false, false, false),
        (reminders, true, false, false),
        (outcome, false, true, false),
        (withdrawn, false, false, true),
    ] {
        let requests = stored().lease_deliveries(settings, at(0));
        assert_eq!(requests.len(), 2, "the request itself cannot be disabled");
        let is_leased = |approval: &mut Approval, time, kind| {
            let attempts = approval.lease_deliveries(settings, at(time));
            assert!(
                attempts.iter().all(|one| one.notice == kind),
                "{attempts:?}"
            );
            if attempts.is_empty() {
                let dropped = DeliveryState::Dropped(at(time));
                assert_eq!(delivery(approval, 0, kind).state, dropped);
            }
            !attempts.is_empty()
        };
        let mut rejected = pending();
        let is_reminded = is_leased(&mut rejected, 1_800_000, Notice::Reminder);
        assert_eq!(is_reminded, has_reminder, "{settings:?}");
        reject(&mut rejected, 1_800_001);
        let is_notified = is_leased(&mut rejected, 1_800_002, Notice::Outcome);
        assert_eq!(is_notified, has_outcome, "{settings:?}");
        let mut cancelled = pending();
        cancelled.withdraw(at(1)).unwrap();
        let is_notified = is_leased(&mut cancelled, 2, Notice::Outcome);
        assert_eq!(is_notified, has_withdrawn, "{settings:?}");
    }
}

#[test]
fn a_closed_request_sends_outcome_notices_only() {
    let mut approval = pending();
    // Alice's email is being sent again; Bob's has not been sent.
    approval.approvers[0].deliveries[0].state = DeliveryState::Queued(at(0));
    approval.approvers[0].deliveries[0].fault = Some(DeliveryFault::Unclear);
    approval.approvers[1].deliveries[0].state = DeliveryState::Queued(at(500_000));
    assert_eq!(due(&mut approval, 0), [(0, Notice::Request)]);
    reject(&mut approval, 1_000);
    let sending = DeliveryState::Sending(at(60_000));
    assert_eq!(
        approval.approvers[0].request_delivery().unwrap().state,
        sending,
        "it may still arrive"
    );
    let dropped = DeliveryState::Dropped(at(1_000));
    assert_eq!(
        approval.approvers[1].request_delivery().unwrap().state,
        dropped
    );
    for approver in 0..2 {
        for kind in [Notice::Reminder, Notice::FinalReminder] {
            assert_eq!(delivery(&approval, approver, kind).state, dropped);
        }
    }
    assert_eq!(due(&mut approval, 59_999), [(0, Notice::Outcome)]);
    assert_eq!(due(&mut approval, 60_000), []);
    let dropped = DeliveryState::Dropped(at(60_000));
    assert_eq!(
        approval.approvers[0].request_delivery().unwrap().state,
        dropped,
        "the lease expired"
    );
    let outcome = first(&approval, 0, Notice::Outcome);
    approval.record_delivery_result(outcome, SendResult::Sent, at(60_001));
    assert_eq!(due(&mut approval, 4_000_000), []);
    assert_eq!(approval.next_due(OUTCOME_WITHIN), None);
    assert_eq!(
        approval.approvers[0].deliveries.len(),
        4,
        "one outcome notice"
    );
    assert_eq!(
        approval.approvers[1].deliveries.len(),
        3,
        "no outcome notice"
    );
}

#[test]
fn an_approver_reached_after_the_end_gets_an_outcome_notice() {
    let mut approval = stored();
    let attempts = approval.lease_deliveries(NotificationSettings::ALL, at(0));
    approval.withdraw(at(1_000)).unwrap();
    assert_eq!(due(&mut approval, 1_000), [], "no approver is notified");
    approval.record_delivery_result(attempts[1], SendResult::Sent, at(2_000));
    let queued = DeliveryState::Queued(at(2_000));
    assert_eq!(delivery(&approval, 1, Notice::Outcome).state, queued);
    approval.record_delivery_result(attempts[0], UNAVAILABLE, at(3_000));
    assert_eq!(
        approval.approvers[0].request_delivery().unwrap().state,
        DeliveryState::Dropped(at(3_000))
    );
    assert_eq!(due(&mut approval, 3_000), [(1, Notice::Outcome)]);
}

#[test]
fn a_request_is_undeliverable_when_every_approver_is_refused() {
    let mut approval = stored();
    let attempts = approval.lease_deliveries(NotificationSettings::ALL, at(0));
    approval.record_delivery_result(attempts[0], REFUSED, at(1_000));
    assert_eq!(approval.status(at(1_000)), Status::Pending);
    let mut other = approval.clone();
    approval.record_delivery_result(attempts[1], REFUSED, at(2_000));
    let undeliverable = State::Undeliverable { at: at(2_000) };
    assert_eq!(approval.state, undeliverable);
    assert_eq!(
        due(&mut approval, 3_000_000),
        [],
        "no outcome notice is due"
    );

    // A request that was closed otherwise keeps its state.
    other.withdraw(at(1_500)).unwrap();
    other.record_delivery_result(attempts[1], REFUSED, at(2_000));
    assert_eq!(other.state, State::Cancelled { at: at(1_500) });
}

#[test]
fn deliverable_and_notified_at_follow_the_deliveries() {
    let reached = |states: [(DeliveryState, Option<DeliveryFault>); 2]| {
        let mut approval = pending();
        for (approver, (state, fault)) in approval.approvers.iter_mut().zip(states) {
            (approver.deliveries[0].state, approver.deliveries[0].fault) = (state, fault);
        }
        (approval.deliverable(), approval.notified_at())
    };
    let sent = |time| (DeliveryState::Sent(at(time)), None);
    let queued = (DeliveryState::Queued(at(9)), None);
    let refused = (DeliveryState::Failed(at(9)), Some(DeliveryFault::Refused));
    let unclear = Some(DeliveryFault::Unclear);
    for (states, expected) in [
        ([sent(5), sent(3)], (Deliverable::Ok, Some(at(3)))),
        ([sent(5), queued], (Deliverable::Degraded, Some(at(5)))),
        ([refused, sent(3)], (Deliverable::Degraded, Some(at(3)))),
        (
            [(DeliveryState::Unknown(at(9)), unclear), refused],
            (Deliverable::Degraded, None),
        ),
        (
            [queued, (DeliveryState::Queued(at(9)), unclear)],
            (Deliverable::Degraded, None),
        ),
        (
            [(DeliveryState::Unknown(at(9)), None), queued],
            (Deliverable::Degraded, None),
        ),
        ([queued, refused], (Deliverable::None, None)),
    ] {
        assert_eq!(reached(states), expected, "{states:?}");
    }
}

#[test]
fn next_due_is_the_earliest_open_delivery() {
    let mut approval = pending();
    assert_eq!(approval.next_due(OUTCOME_WITHIN), Some(at(1_800_000)));
    approval.approvers[1].deliveries[2].state = DeliveryState::Sending(at(700));
    assert_eq!(approval.next_due(OUTCOME_WITHIN), Some(at(700)));
    for approver in &mut approval.approvers {
        for (index, delivery) in approver.deliveries.iter_mut().enumerate() {
            delivery.state = [
                DeliveryState::Sent(at(1)),
                DeliveryState::Failed(at(2)),
                DeliveryState::Dropped(at(3)),
            ][index];
        }
    }
    let deadline = Some(at(LIFETIME_SECS * 1_000));
    assert_eq!(approval.next_due(OUTCOME_WITHIN), deadline);
}

/// A crash between the write of the leases and that of the results: the next attempt follows when the lease has
/// ended, and none follows a result.
#[test]
fn a_failure_is_announced_once_to_each_who_was_asked() {
    let mut approval = pending();
    approval.approvers[1].deliveries[0].state = DeliveryState::Failed(at(1));
    decide(&mut approval, 0, Verdict::Approve, RUN_WITHIN, at(1_000));
    approval.claim(claim("0123456789abcdef"), at(2_000));
    assert_eq!(due(&mut approval, 2_000), [(0, Notice::Outcome)]);
    let outcome = first(&approval, 0, Notice::Outcome);
    approval.record_delivery_result(outcome, SendResult::Sent, at(2_001));

    approval.report(Err(None), at(3_000)).unwrap();
    assert_eq!(approval.next_due(OUTCOME_WITHIN), Some(at(3_000)));
    assert_eq!(due(&mut approval, 3_000), [(0, Notice::Failure)]);
    approval.report(Err(None), at(4_000)).unwrap();
    assert_eq!(due(&mut approval, 62_999), []);
    let attempts = approval.lease_deliveries(NotificationSettings::ALL, at(63_000));
    let [again] = attempts[..] else {
        panic!("{attempts:?}")
    };
    assert_eq!((again.notice, again.number), (Notice::Failure, 2));
    approval.record_delivery_result(again, SendResult::Sent, at(63_001));
    assert_eq!(approval.next_due(OUTCOME_WITHIN), None);
    approval.report(Err(None), at(64_000)).unwrap();
    assert_eq!(due(&mut approval, 999_000_000), []);
}
