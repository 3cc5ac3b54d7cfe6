//! The mails of a request by themselves: which are due when, to whom, and what becomes of each.

use std::time::Duration;

use human_oversight::approval::{
    Approval, Assurance, Attempt, Deliverable, Mail, MailFault, MailKind, MailResult, MailState,
    Notes, State, Status, Verdict,
};

use super::{LIFE, OUTCOME_WITHIN, RUN_WITHIN, at, mailed, pending};

const UNAVAILABLE: MailResult = MailResult::Failed(MailFault::Unavailable, None);
const UNCLEAR: MailResult = MailResult::Failed(MailFault::Unclear, None);
const REFUSED: MailResult = MailResult::Failed(MailFault::Refused, None);

/// A request that was stored, and whose questions nobody has begun to send.
fn stored() -> Approval {
    let mut approval = pending();
    for approver in &mut approval.approvers {
        approver.mails[0].state = MailState::Queued(at(0));
        approver.mails[0].attempts = 0;
    }
    approval
}

/// Takes the mails that are due: whose, and which.
fn due(approval: &mut Approval, millis: u64) -> Vec<(usize, MailKind)> {
    let attempts = approval.lease_mails(Notes::ALL, at(millis));
    let names = attempts.iter().map(|one| (one.approver, one.kind));
    names.collect()
}

fn first(approver: usize, kind: MailKind) -> Attempt {
    Attempt {
        approver,
        kind,
        number: 1,
    }
}

fn mail(approval: &Approval, approver: usize, kind: MailKind) -> &Mail {
    let mut mails = approval.approvers[approver].mails.iter();
    mails.find(|mail| mail.kind == kind).unwrap()
}

fn reject(approval: &mut Approval, millis: u64) {
    let who = (0, Assurance::Link);
    let ruling = approval.judge(who, Verdict::Reject, None, RUN_WITHIN, at(millis));
    approval.record(ruling.unwrap(), "receipt".to_owned());
}

#[test]
fn reminders_are_planned_at_half_and_at_85_percent_of_ten_minutes_or_more() {
    for (life, expected) in [
        (599, vec![]),
        (600, vec![300_000, 510_000]),
        (LIFE, vec![1_800_000, 3_060_000]),
    ] {
        let approval = mailed(at(0), Duration::from_secs(life), Notes::ALL);
        for approver in &approval.approvers {
            let planned = approver.mails.iter().map(|mail| match mail.state {
                MailState::Queued(time) => Some((mail.kind, time)),
                _ => None,
            });
            let kinds = [MailKind::Reminder, MailKind::LastReminder];
            let reminders = kinds.into_iter().zip(expected.iter().copied().map(at));
            assert!(
                planned.eq([None].into_iter().chain(reminders.map(Some))),
                "{life}"
            );
        }
    }
}

#[test]
fn a_mail_is_one_senders_for_a_minute() {
    let mut approval = stored();
    let both = [(0, MailKind::Question), (1, MailKind::Question)];
    assert_eq!(due(&mut approval, 0), both);
    assert_eq!(approval.question(0).state, MailState::Sending(at(60_000)));
    assert_eq!(approval.next_due(OUTCOME_WITHIN), Some(at(60_000)));
    assert_eq!(due(&mut approval, 59_999), []);
    let again = approval.lease_mails(Notes::ALL, at(60_000));
    let numbers: Vec<_> = again.iter().map(|one| (one.approver, one.number)).collect();
    assert_eq!(numbers, [(0, 2), (1, 2)]);

    // Whoever comes back after that has nothing to say of it any more.
    let before = approval.clone();
    approval.settle_mail(first(0, MailKind::Question), MailResult::Sent, at(60_001));
    assert_eq!(approval, before);
}

#[test]
fn what_was_settled_is_not_settled_again() {
    let mut approval = stored();
    let attempts = approval.lease_mails(Notes::ALL, at(0));
    approval.settle_mail(attempts[0], MailResult::Sent, at(1));
    let before = approval.clone();
    for result in [MailResult::Sent, UNAVAILABLE, REFUSED] {
        approval.settle_mail(attempts[0], result, at(2));
        assert_eq!(approval, before);
    }
    assert_eq!(mail(&approval, 1, MailKind::Question).attempts, 1);
}

#[test]
fn an_attempt_settles_the_mail_that_it_was_for() {
    let mut approval = pending();
    approval.approvers[0].mails[0].state = MailState::Queued(at(0));
    let attempts = approval.lease_mails(Notes::ALL, at(3_060_000));
    let ours: Vec<_> = attempts.iter().filter(|one| one.approver == 0).collect();
    let [question] = ours.as_slice() else {
        panic!("{ours:?}");
    };
    assert_eq!((question.kind, question.number), (MailKind::Question, 2));
    approval.settle_mail(
        first(1, MailKind::LastReminder),
        MailResult::Sent,
        at(3_060_001),
    );
    let sent = MailState::Sent(at(3_060_001));
    assert_eq!(mail(&approval, 1, MailKind::LastReminder).state, sent);
    let earlier = MailState::Sent(at(0));
    assert_eq!(mail(&approval, 1, MailKind::Question).state, earlier);
    let leased = MailState::Sending(at(3_120_000));
    assert_eq!(approval.question(0).state, leased);
}

#[test]
fn after_a_long_silence_one_reminder_is_enough() {
    let mut approval = pending();
    let last = [(0, MailKind::LastReminder), (1, MailKind::LastReminder)];
    assert_eq!(due(&mut approval, 3_060_000), last);
    for approver in 0..2 {
        let attempt = first(approver, MailKind::LastReminder);
        approval.settle_mail(attempt, MailResult::Sent, at(3_060_001));
    }
    assert_eq!(due(&mut approval, LIFE * 1_000 - 1), []);

    // In time each has its turn.
    let mut approval = pending();
    let reminders = [(0, MailKind::Reminder), (1, MailKind::Reminder)];
    assert_eq!(due(&mut approval, 1_799_999), []);
    assert_eq!(due(&mut approval, 1_800_000), reminders);
    for approver in 0..2 {
        let attempt = first(approver, MailKind::Reminder);
        approval.settle_mail(attempt, MailResult::Sent, at(1_800_001));
    }
    assert_eq!(due(&mut approval, 3_059_999), []);
    assert_eq!(due(&mut approval, 3_060_000), last);
}

#[test]
fn who_got_no_question_is_not_reminded_of_it() {
    let sent = MailState::Sent(at(0));
    let later = MailState::Queued(at(3_500_000));
    for (state, fault, asked) in [
        (sent, None, true),
        (MailState::Unknown(at(1)), Some(MailFault::Unclear), true),
        (later, Some(MailFault::Unclear), true),
        (later, Some(MailFault::Unavailable), false),
        (MailState::Failed(at(1)), Some(MailFault::Refused), false),
    ] {
        let mut approval = pending();
        let question = &mut approval.approvers[1].mails[0];
        (question.state, question.fault) = (state, fault);
        for (time, kind) in [
            (1_800_000, MailKind::Reminder),
            (3_060_000, MailKind::LastReminder),
        ] {
            let mut expected = vec![(0, kind)];
            expected.extend(asked.then_some((1, kind)));
            assert_eq!(due(&mut approval, time), expected, "{state:?}");
            for (approver, kind) in expected {
                let attempt = first(approver, kind);
                approval.settle_mail(attempt, MailResult::Sent, at(time));
            }
        }
    }
}

#[test]
fn what_nobody_wants_is_dropped() {
    let none = Notes {
        reminders: false,
        outcome: false,
        withdrawn: false,
    };
    let (reminders, outcome, withdrawn) = (
        Notes {
            reminders: true,
            ..none
        },
        Notes {
            outcome: true,
            ..none
        },
        Notes {
            withdrawn: true,
            ..none
        },
    );
    for (notes, reminded, told, told_of_withdrawal) in [
        (Notes::ALL, true, true, true),
        (none, false, false, false),
        (reminders, true, false, false),
        (outcome, false, true, false),
        (withdrawn, false, false, true),
    ] {
        let asked = stored().lease_mails(notes, at(0));
        assert_eq!(asked.len(), 2, "the question is always wanted");
        let taken = |approval: &mut Approval, time, kind| {
            let attempts = approval.lease_mails(notes, at(time));
            assert!(attempts.iter().all(|one| one.kind == kind), "{attempts:?}");
            if attempts.is_empty() {
                let dropped = MailState::Dropped(at(time));
                assert_eq!(mail(approval, 0, kind).state, dropped);
            }
            !attempts.is_empty()
        };
        let mut rejected = pending();
        let is_reminded = taken(&mut rejected, 1_800_000, MailKind::Reminder);
        assert_eq!(is_reminded, reminded, "{notes:?}");
        reject(&mut rejected, 1_800_001);
        let is_told = taken(&mut rejected, 1_800_002, MailKind::Outcome);
        assert_eq!(is_told, told, "{notes:?}");
        let mut cancelled = pending();
        cancelled.withdraw(at(1)).unwrap();
        let is_told = taken(&mut cancelled, 2, MailKind::Outcome);
        assert_eq!(is_told, told_of_withdrawal, "{notes:?}");
    }
}

#[test]
fn a_closed_request_asks_nobody_and_tells_whoever_was_asked_once() {
    let mut approval = pending();
    // Alice's question is on its way once more, Bob was not reached yet.
    approval.approvers[0].mails[0].state = MailState::Queued(at(0));
    approval.approvers[0].mails[0].fault = Some(MailFault::Unclear);
    approval.approvers[1].mails[0].state = MailState::Queued(at(500_000));
    assert_eq!(due(&mut approval, 0), [(0, MailKind::Question)]);
    reject(&mut approval, 1_000);
    let sending = MailState::Sending(at(60_000));
    assert_eq!(approval.question(0).state, sending, "it may still go out");
    let dropped = MailState::Dropped(at(1_000));
    assert_eq!(approval.question(1).state, dropped);
    for approver in 0..2 {
        for kind in [MailKind::Reminder, MailKind::LastReminder] {
            assert_eq!(mail(&approval, approver, kind).state, dropped);
        }
    }
    assert_eq!(due(&mut approval, 59_999), [(0, MailKind::Outcome)]);
    assert_eq!(due(&mut approval, 60_000), []);
    let dropped = MailState::Dropped(at(60_000));
    assert_eq!(approval.question(0).state, dropped, "nobody came back");
    approval.settle_mail(first(0, MailKind::Outcome), MailResult::Sent, at(60_001));
    assert_eq!(due(&mut approval, 4_000_000), []);
    assert_eq!(approval.next_due(OUTCOME_WITHIN), None);
    assert_eq!(approval.approvers[0].mails.len(), 4, "told once");
    assert_eq!(approval.approvers[1].mails.len(), 3, "never asked");
}

#[test]
fn who_is_reached_after_the_end_is_told_too() {
    let mut approval = stored();
    let attempts = approval.lease_mails(Notes::ALL, at(0));
    approval.withdraw(at(1_000)).unwrap();
    assert_eq!(due(&mut approval, 1_000), [], "nobody has been asked yet");
    approval.settle_mail(attempts[1], MailResult::Sent, at(2_000));
    let queued = MailState::Queued(at(2_000));
    assert_eq!(mail(&approval, 1, MailKind::Outcome).state, queued);
    approval.settle_mail(attempts[0], UNAVAILABLE, at(3_000));
    assert_eq!(approval.question(0).state, MailState::Dropped(at(3_000)));
    assert_eq!(due(&mut approval, 3_000), [(1, MailKind::Outcome)]);
}

/// Fails what is due again and again: the pauses in seconds, and how it ended.
fn pauses(mut approval: Approval, kind: MailKind, result: MailResult) -> (Vec<u64>, Mail) {
    let mut pauses = Vec::new();
    loop {
        let state = mail(&approval, 0, kind).state;
        let MailState::Queued(now) = state else {
            return (pauses, mail(&approval, 0, kind).clone());
        };
        let attempts = approval.lease_mails(Notes::ALL, now);
        let Some(attempt) = attempts.iter().find(|one| one.kind == kind) else {
            return (pauses, mail(&approval, 0, kind).clone());
        };
        approval.settle_mail(*attempt, result, now);
        if let MailState::Queued(next) = mail(&approval, 0, kind).state {
            pauses.push(next.since(now).as_secs());
        }
        if pauses.len() == 20 {
            return (pauses, mail(&approval, 0, kind).clone());
        }
    }
}

#[test]
fn a_question_is_tried_until_it_is_of_no_use_and_a_note_twelve_times() {
    let growing = [30, 60, 120, 300, 600, 1_200];
    let then = |count| [&growing[..], &vec![1_800; count]].concat();
    let day = |mut approval: Approval| {
        approval.request.expires_at = at(0) + Duration::from_secs(86_400);
        approval.approvers.truncate(1);
        approval
    };
    let (tried, question) = pauses(day(stored()), MailKind::Question, UNAVAILABLE);
    assert_eq!(tried, then(14));
    assert_eq!(question.attempts, 20);

    let mut rejected = day(pending());
    reject(&mut rejected, 0);
    let (tried, note) = pauses(rejected, MailKind::Outcome, UNAVAILABLE);
    assert_eq!(tried, then(5));
    assert!(matches!(note.state, MailState::Failed(_)));
    assert_eq!(note.attempts, 12);
    assert_eq!(note.fault, Some(MailFault::Unavailable));
}

#[test]
fn a_mail_waits_as_long_as_the_mail_system_asks() {
    for (asked, waited) in [(10, 30), (45, 45), (3_000, 3_000)] {
        let mut approval = stored();
        let attempts = approval.lease_mails(Notes::ALL, at(0));
        let asked = Some(Duration::from_secs(asked));
        let busy = MailResult::Failed(MailFault::Unavailable, asked);
        approval.settle_mail(attempts[0], busy, at(1_000));
        let next = MailState::Queued(at(1_000 + waited * 1_000));
        assert_eq!(approval.question(0).state, next);
    }
}

#[test]
fn wrong_settings_count_as_no_attempt() {
    let misconfigured = MailResult::Failed(MailFault::Misconfigured, None);
    let (tried, question) = pauses(stored(), MailKind::Question, misconfigured);
    assert_eq!(tried, [300; 20]);
    assert_eq!(question.attempts, 0);
    assert_eq!(question.fault, Some(MailFault::Misconfigured));
}

#[test]
fn what_may_have_arrived_is_tried_once_more_unless_something_else_comes_between() {
    for (results, expected) in [
        ([UNCLEAR, MailResult::Sent], MailState::Sent(at(100_000))),
        ([UNCLEAR, UNCLEAR], MailState::Unknown(at(100_000))),
        ([UNAVAILABLE, UNCLEAR], MailState::Queued(at(160_000))),
        ([UNCLEAR, UNAVAILABLE], MailState::Queued(at(160_000))),
        ([UNCLEAR, REFUSED], MailState::Failed(at(100_000))),
    ] {
        let mut approval = stored();
        for (result, time) in results.into_iter().zip([0, 100_000]) {
            let attempts = approval.lease_mails(Notes::ALL, at(time));
            approval.settle_mail(attempts[0], result, at(time));
        }
        let question = approval.question(0);
        assert_eq!(question.state, expected, "{results:?}");
        let fault = match results[1] {
            MailResult::Sent => None,
            MailResult::Failed(fault, _) => Some(fault),
        };
        assert_eq!(question.fault, fault);
    }
}

#[test]
fn a_request_ends_when_nobody_can_ever_be_asked() {
    let mut approval = stored();
    let attempts = approval.lease_mails(Notes::ALL, at(0));
    approval.settle_mail(attempts[0], REFUSED, at(1_000));
    assert_eq!(approval.status(at(1_000)), Status::Pending);
    let mut other = approval.clone();
    approval.settle_mail(attempts[1], REFUSED, at(2_000));
    let undeliverable = State::Undeliverable { at: at(2_000) };
    assert_eq!(approval.state, undeliverable);
    assert_eq!(due(&mut approval, 3_000_000), [], "nobody was asked");

    // What has ended otherwise stays as it ended.
    other.withdraw(at(1_500)).unwrap();
    other.settle_mail(attempts[1], REFUSED, at(2_000));
    assert_eq!(other.state, State::Cancelled { at: at(1_500) });
}

#[test]
fn a_row_says_whom_the_question_reached_and_when_the_first() {
    let reached = |states: [(MailState, Option<MailFault>); 2]| {
        let mut approval = pending();
        for (approver, (state, fault)) in approval.approvers.iter_mut().zip(states) {
            (approver.mails[0].state, approver.mails[0].fault) = (state, fault);
        }
        (approval.deliverable(), approval.notified_at())
    };
    let sent = |time| (MailState::Sent(at(time)), None);
    let queued = (MailState::Queued(at(9)), None);
    let refused = (MailState::Failed(at(9)), Some(MailFault::Refused));
    let unclear = Some(MailFault::Unclear);
    for (states, expected) in [
        ([sent(5), sent(3)], (Deliverable::Ok, Some(at(3)))),
        ([sent(5), queued], (Deliverable::Degraded, Some(at(5)))),
        ([refused, sent(3)], (Deliverable::Degraded, Some(at(3)))),
        (
            [(MailState::Unknown(at(9)), unclear), refused],
            (Deliverable::Degraded, None),
        ),
        (
            [queued, (MailState::Queued(at(9)), unclear)],
            (Deliverable::Degraded, None),
        ),
        (
            [(MailState::Unknown(at(9)), None), queued],
            (Deliverable::Degraded, None),
        ),
        ([queued, refused], (Deliverable::None, None)),
    ] {
        assert_eq!(reached(states), expected, "{states:?}");
    }
}

#[test]
fn the_next_mail_is_the_earliest_that_is_not_done() {
    let mut approval = pending();
    assert_eq!(approval.next_due(OUTCOME_WITHIN), Some(at(1_800_000)));
    approval.approvers[1].mails[2].state = MailState::Sending(at(700));
    assert_eq!(approval.next_due(OUTCOME_WITHIN), Some(at(700)));
    for approver in &mut approval.approvers {
        for (index, mail) in approver.mails.iter_mut().enumerate() {
            mail.state = [
                MailState::Sent(at(1)),
                MailState::Failed(at(2)),
                MailState::Dropped(at(3)),
            ][index];
        }
    }
    let deadline = Some(at(LIFE * 1_000));
    assert_eq!(approval.next_due(OUTCOME_WITHIN), deadline);
}
