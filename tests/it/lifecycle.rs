//! The lifecycle in the domain: every transition from every state, and random sequences of transitions.

mod deliveries;
mod histories;
mod retries;

use std::time::Duration;

use human_oversight::domain::{
    Approval, Approver, ClaimResult, DecisionResult, DeliveryFault, DeliveryState, EventKind,
    Execution, Notice, NotificationSettings, Parameters, Request, SendAttempt, SendResult, State,
    Status, Verdict,
};
use human_oversight::values::{Address, ApprovalId, Digest, Timestamp};

use crate::forms::{claim, decide, revoke, submit_wrong_code};

const LIFETIME_SECS: u64 = 3_600;
const RUN_WITHIN: Duration = Duration::from_secs(600);
const OUTCOME_WITHIN: Duration = Duration::from_secs(1_000);

/// The time `millis` milliseconds after the submit.
fn at(millis: u64) -> Timestamp {
    Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap() + Duration::from_millis(millis)
}

fn pending() -> Approval {
    mailed(
        at(0),
        Duration::from_secs(LIFETIME_SECS),
        NotificationSettings::ALL,
    )
}

/// A request without parameters.
pub(crate) fn request_of(now: Timestamp, lifetime: Duration) -> Request {
    Request {
        owner: None,
        agent_object_id: None,
        supersedes: None,
        callback: None,
        needs_step_up: false,
        id: ApprovalId::new("agent", "1").unwrap(),
        action: "Delete".to_owned(),
        parameters: Parameters {
            json: "{}".to_owned(),
            digest: Digest([0; 32]),
        },
        reason: None,
        on_behalf_of: None,
        claimant: None,
        digest: Digest([0; 32]),
        requested_at: now,
        expires_at: now + lifetime,
    }
}

/// An approver who has not been asked.
pub(crate) fn approver(address: &str) -> Approver {
    Approver {
        // Earlier versions stored addresses that can no longer be entered.
        address: Address::from_known(address).unwrap(),
        link_key: "k".to_owned(),
        mac: "s".to_owned(),
        wrong_codes: 0,
        wrong_revocation_codes: 0,
        wrong_reveal_codes: 0,
        wrong_hand_over_codes: 0,
        deliveries: Vec::new(),
    }
}

/// A request whose email was sent to both approvers.
pub(crate) fn mailed(
    now: Timestamp,
    lifetime: Duration,
    settings: NotificationSettings,
) -> Approval {
    let request = request_of(now, lifetime);
    let approvers = ["alice@example.com", "bob@example.com"].map(approver);
    let mut approval = Approval::new(request, approvers.into());
    for attempt in approval.lease_deliveries(settings, now) {
        approval.record_delivery_result(attempt, SendResult::Sent, now);
    }
    approval
}

/// Every operation on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Approve,
    Reject,
    Claim,
    ClaimAgain,
    ClaimOther,
    ReportDone,
    ReportFailed,
    Withdraw,
    ApplyTimeouts,
    DecideLate,
    WrongCode,
    Revoke,
}

const MOVES: [Move; 12] = [
    Move::Approve,
    Move::Reject,
    Move::Claim,
    Move::ClaimAgain,
    Move::ClaimOther,
    Move::ReportDone,
    Move::ReportFailed,
    Move::Withdraw,
    Move::ApplyTimeouts,
    Move::DecideLate,
    Move::WrongCode,
    Move::Revoke,
];

/// Decides after the deadline.
fn decide_late(approval: &mut Approval, approver: usize, now: Timestamp) -> DecisionResult {
    decide(approval, approver, Verdict::Approve, RUN_WITHIN, now)
}

/// Makes a move as the use cases do; returns whether it succeeded.
fn make(approval: &mut Approval, step: Move, now: Timestamp) -> bool {
    let decide = |approval: &mut Approval, verdict| {
        decide(approval, 0, verdict, RUN_WITHIN, now) == DecisionResult::Recorded
    };
    match step {
        Move::Approve => decide(approval, Verdict::Approve),
        Move::Reject => decide(approval, Verdict::Reject),
        Move::Claim | Move::ClaimAgain => {
            approval.claim(claim("mine"), now) == ClaimResult::Granted
        }
        Move::ClaimOther => approval.claim(claim("other"), now) == ClaimResult::Granted,
        Move::ReportDone => approval.report(Ok(()), now).is_ok(),
        Move::ReportFailed => approval.report(Err(None), now).is_ok(),
        Move::Withdraw => approval.withdraw(now).is_ok(),
        Move::ApplyTimeouts => {
            approval.apply_timeouts(OUTCOME_WITHIN, now);
            true
        }
        Move::DecideLate => {
            approval.status(now) == Status::Timeout
                && decide_late(approval, 1, now) == DecisionResult::Late
        }
        Move::WrongCode => {
            submit_wrong_code(approval, 0, now);
            true
        }
        Move::Revoke => revoke(approval, 0, now) == DecisionResult::Revoked,
    }
}

/// The status of the request, or of its execution if there is one.
fn place(approval: &Approval, now: Timestamp) -> &'static str {
    match approval.execution(now) {
        None => approval.status(now).word(),
        Some(Execution::Awaited) => "Approved",
        Some(Execution::Executing { .. }) => "Executing",
        Some(Execution::Executed { .. }) => "Executed",
        Some(Execution::Failed { .. }) => "ExecutionFailed",
        Some(Execution::Unknown { .. }) => "ExecutionUnknown",
        Some(Execution::Lapsed { .. }) => "Lapsed",
        Some(Execution::Revoked { .. }) => "Revoked",
    }
}

/// A request whose emails to both approvers were refused permanently at this time.
fn undeliverable(millis: u64) -> Approval {
    let mut approval = pending();
    for approver in &mut approval.approvers {
        approver.deliveries[0].state = DeliveryState::Sending(at(LIFETIME_SECS * 1_000));
    }
    for approver in 0..2 {
        let attempt = SendAttempt {
            approver,
            notice: Notice::Request,
            number: 1,
            leased_until: at(LIFETIME_SECS * 1_000),
        };
        let refused = SendResult::Failed(DeliveryFault::Refused, None);
        approval.record_delivery_result(attempt, refused, at(millis));
    }
    approval
}

#[test]
fn a_delivery_refused_after_the_deadline_leaves_the_timeout() {
    let status = pending().status(at(LIFETIME_SECS * 1_000));
    assert_eq!(status, Status::Timeout);
    let mut approval = undeliverable(LIFETIME_SECS * 1_000);
    approval.apply_timeouts(OUTCOME_WITHIN, at(LIFETIME_SECS * 1_000 + 1));
    assert_eq!(approval.state.status(), status);
}

/// One request in each place, and the time of the transition to test.
fn places() -> Vec<(&'static str, Approval, u64)> {
    let after = |moves: &[(Move, u64)]| {
        let mut approval = pending();
        for &(step, time) in moves {
            assert!(make(&mut approval, step, at(time)), "{step:?}");
        }
        approval
    };
    let approved = (Move::Approve, 1_000);
    let claimed = (Move::Claim, 2_000);
    vec![
        ("Pending", pending(), 3_000),
        ("Timeout", pending(), LIFETIME_SECS * 1_000),
        (
            "Timeout",
            after(&[(Move::ApplyTimeouts, LIFETIME_SECS * 1_000)]),
            LIFETIME_SECS * 1_000 + 1,
        ),
        ("Approved", after(&[approved]), 3_000),
        ("Rejected", after(&[(Move::Reject, 1_000)]), 3_000),
        ("Cancelled", after(&[(Move::Withdraw, 1_000)]), 3_000),
        ("Undeliverable", undeliverable(1_000), 3_000),
        ("Executing", after(&[approved, claimed]), 3_000),
        (
            "Executed",
            after(&[approved, claimed, (Move::ReportDone, 2_500)]),
            3_000,
        ),
        (
            "ExecutionFailed",
            after(&[approved, claimed, (Move::ReportFailed, 2_500)]),
            3_000,
        ),
        (
            "ExecutionUnknown",
            after(&[approved, claimed, (Move::ApplyTimeouts, 1_002_000)]),
            1_003_000,
        ),
        ("Lapsed", after(&[approved]), 601_000),
        (
            "Lapsed",
            after(&[approved, (Move::ApplyTimeouts, 601_000)]),
            602_000,
        ),
        ("Revoked", after(&[approved, (Move::Revoke, 2_000)]), 3_000),
    ]
}

#[test]
fn every_transition_matches_the_table() {
    // The place after each allowed move. Every other move is refused and changes nothing, except for
    // timeouts.
    let target = |from: &'static str, step: Move| match (from, step) {
        ("Pending", Move::Approve) => Some("Approved"),
        ("Pending", Move::Reject) => Some("Rejected"),
        // A repeated decision is confirmed.
        (
            from @ ("Approved" | "Executing" | "Executed" | "ExecutionFailed" | "ExecutionUnknown"
            | "Lapsed" | "Revoked"),
            Move::Approve,
        ) => Some(from),
        ("Rejected", Move::Reject) => Some("Rejected"),
        ("Pending", Move::Withdraw) => Some("Cancelled"),
        ("Cancelled", Move::Withdraw) => Some("Cancelled"),
        ("Approved", Move::Claim | Move::ClaimAgain | Move::ClaimOther) => Some("Executing"),
        ("Approved" | "Revoked", Move::Revoke) => Some("Revoked"),
        ("Executing", Move::Claim | Move::ClaimAgain) => Some("Executing"),
        ("Executing" | "ExecutionUnknown", Move::ReportDone) => Some("Executed"),
        ("Executing" | "ExecutionUnknown", Move::ReportFailed) => Some("ExecutionFailed"),
        ("Executed", Move::ReportDone) => Some("Executed"),
        ("ExecutionFailed", Move::ReportFailed) => Some("ExecutionFailed"),
        ("Timeout", Move::DecideLate) => Some("Timeout"),
        _ => None,
    };
    let mut cells = 0;
    for (from, before, time) in places() {
        for step in MOVES {
            let now = at(time);
            assert_eq!(place(&before, now), from, "{step:?}");
            let mut after = before.clone();
            let done = make(&mut after, step, now);
            match target(from, step) {
                Some(to) => {
                    assert!(done, "{from} {step:?}");
                    assert_eq!(place(&after, now), to, "{from} {step:?}");
                }
                None => {
                    let always = matches!(step, Move::ApplyTimeouts | Move::WrongCode);
                    assert!(!done || always, "{from} {step:?}");
                    assert_eq!(place(&after, now), from, "{from} {step:?}");
                }
            }
            assert!(
                after.history.starts_with(&before.history),
                "earlier events do not change"
            );
            cells += 1;
        }
    }
    assert_eq!(cells, 14 * 12);
}

#[test]
fn deadlines_are_half_open_to_the_millisecond() {
    let end = LIFETIME_SECS * 1_000;
    for (time, in_time) in [(end - 1, true), (end, false), (end + 1, false)] {
        for step in [Move::Approve, Move::Reject, Move::Withdraw] {
            assert_eq!(
                make(&mut pending(), step, at(time)),
                in_time,
                "{step:?} {time}"
            );
        }
    }
    for (time, in_time) in [(600_999, true), (601_000, false)] {
        let mut approval = pending();
        make(&mut approval, Move::Approve, at(1_000));
        assert_eq!(make(&mut approval, Move::Claim, at(time)), in_time);
    }
}

#[test]
fn random_transitions_keep_the_invariants() {
    // A fixed seed, so that a failure can be repeated.
    let mut seed: u64 = 20_261_122;
    let mut random = |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut reached = std::collections::BTreeSet::new();
    for walk in 0..5_000 {
        let mut approval = pending();
        let (mut time, mut holder, mut final_decision) = (0, None, None);
        for _ in 0..12 {
            time += [0, 1, 1_000, 60_000, 400_000, 2_000_000][random(6) as usize];
            let step = MOVES[random(MOVES.len() as u64) as usize];
            let now = at(time);
            let was = approval.status(now);
            let done = make(&mut approval, step, now);
            reached.insert(place(&approval, now));
            assert!(
                approval.history_is_consistent(),
                "walk {walk}: {approval:?}"
            );
            if was != Status::Pending {
                assert_eq!(
                    approval.status(now),
                    was,
                    "walk {walk}: a final status stays"
                );
            }
            if let Some(decision) = approval.decision() {
                let decision = final_decision.get_or_insert_with(|| decision.clone());
                assert_eq!(approval.decision(), Some(&*decision), "walk {walk}");
                assert!(decision.at < approval.request.expires_at);
            }
            let granted = done && matches!(step, Move::Claim | Move::ClaimAgain | Move::ClaimOther);
            if granted {
                let who = step == Move::ClaimOther;
                assert_eq!(
                    *holder.get_or_insert(who),
                    who,
                    "walk {walk}: one holder of the claim"
                );
            }
            let finals = approval.history.iter().filter(|event| {
                matches!(
                    event.what,
                    EventKind::Approved
                        | EventKind::Rejected
                        | EventKind::TimedOut
                        | EventKind::Cancelled
                        | EventKind::Undeliverable
                )
            });
            assert!(finals.count() <= 1, "walk {walk}");
            assert!(
                approval.history.is_sorted_by_key(|event| event.at),
                "walk {walk}"
            );
            let is_done = !matches!(approval.state, State::Pending)
                && matches!(place(&approval, now), "Timeout" | "Rejected" | "Cancelled");
            if is_done {
                // Only outcome notices are due, and nothing after them.
                for attempt in approval.lease_deliveries(NotificationSettings::ALL, now) {
                    assert_eq!(attempt.notice, Notice::Outcome);
                    approval.record_delivery_result(attempt, SendResult::Sent, now);
                }
                assert_eq!(approval.next_due(OUTCOME_WITHIN), None);
            }
        }
    }
    let all = [
        "Approved",
        "Cancelled",
        "Executed",
        "Executing",
        "ExecutionFailed",
        "ExecutionUnknown",
        "Lapsed",
        "Pending",
        "Rejected",
        "Revoked",
        "Timeout",
    ];
    assert_eq!(
        reached,
        all.into(),
        "these moves reach every place except Undeliverable"
    );
}

#[test]
fn debug_output_shows_the_digest_of_parameters() {
    let shown = format!("{:?}", pending().request.parameters);
    assert_eq!(shown, format!("Parameters({})", "00".repeat(32)));
    assert_eq!(format!("{:?}", Digest([10; 32])), "0a".repeat(32));
    let digest = Digest::parse(&"0aF0".repeat(16)).unwrap();
    assert_eq!(digest.to_string(), "0af0".repeat(16));
    for text in [
        "",
        "0",
        &"0a".repeat(31),
        &"0g".repeat(32),
        &"0a".repeat(33),
    ] {
        assert_eq!(Digest::parse(text), None, "{text}");
    }
}
