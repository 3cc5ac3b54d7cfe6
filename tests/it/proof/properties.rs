//! Random sequences, generated and shrunk by proptest: here of transitions, checked against the
//! guarantees of the lifecycle; in `stores`, of writes to both stores and to a reference store.

mod stores;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use human_oversight::domain::{
    Approval, ClaimResult, DeliveryFault, Notice, NotificationSettings, Parameters, Request,
    SendAttempt, SendResult, Status, Verdict,
};
use human_oversight::values::{ApprovalId, Digest, Timestamp};
use human_oversight_client::parameters::sha256;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::forms::{claim, decide, submit_wrong_code};
use crate::lifecycle::approver;

use super::{cases, record};

const RUN_WITHIN: Duration = Duration::from_secs(600);
const OUTCOME_WITHIN: Duration = Duration::from_secs(1_000);
const APPROVERS: [&str; 3] = ["alice@example.com", "bob@example.com", "carol@example.com"];

/// The day before a leap day, shortly before midnight.
fn start() -> Timestamp {
    Timestamp::parse("2028-02-28T23:59:30.000Z").unwrap()
}

/// A runner with a fixed seed, for this number of sequences.
fn runner(cases: u64) -> TestRunner {
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// A step in the lifecycle of a request. A number selects an approver, a nonce or an attempt in progress.
#[derive(Clone, Copy, Debug)]
enum Step {
    Decide(usize, Verdict),
    MistypeCode(usize),
    DecideLate(usize, Verdict),
    Claim(usize),
    Report(bool),
    Withdraw,
    Sweep,
    /// The result of a send attempt is recorded.
    RecordResult(usize, SendResult),
}

fn steps() -> impl Strategy<Value = (Duration, Step)> {
    let verdict = || select(vec![Verdict::Approve, Verdict::Reject]);
    let index = 0..APPROVERS.len();
    let result = select(vec![
        SendResult::Sent,
        SendResult::Sent,
        SendResult::NotTried,
        SendResult::Failed(DeliveryFault::Refused, None),
        SendResult::Failed(DeliveryFault::Refused, None),
        SendResult::Failed(DeliveryFault::Unavailable, Some(Duration::from_secs(90))),
        SendResult::Failed(DeliveryFault::Unclear, None),
        SendResult::Failed(DeliveryFault::Misconfigured, None),
    ]);
    let step = prop_oneof![
        2 => (index.clone(), verdict()).prop_map(|(who, verdict)| Step::Decide(who, verdict)),
        1 => index.clone().prop_map(Step::MistypeCode),
        1 => (index, verdict()).prop_map(|(who, verdict)| Step::DecideLate(who, verdict)),
        2 => (0..2_usize).prop_map(Step::Claim),
        2 => any::<bool>().prop_map(Step::Report),
        1 => Just(Step::Withdraw),
        3 => Just(Step::Sweep),
        5 => (0..9_usize, result).prop_map(|(which, result)| Step::RecordResult(which, result)),
    ];
    let pause = select(vec![
        0, 1, 999, 30_000, 60_000, 299_999, 600_000, 3_600_000, 90_000_000,
    ]);
    (pause.prop_map(Duration::from_millis), step)
}

/// An approval and the send attempts in progress.
struct Lifecycle {
    approval: Approval,
    sending: Vec<SendAttempt>,
    now: Timestamp,
}

impl Lifecycle {
    fn new(agent: &str, correlation: &str, seconds: u64) -> Self {
        let request = Request {
            owner: None,
            agent_object_id: None,
            supersedes: None,
            callback: None,
            needs_step_up: false,
            id: ApprovalId::new(agent, correlation).unwrap(),
            action: "Delete".to_owned(),
            parameters: Parameters {
                json: "{}".to_owned(),
                digest: Digest(sha256(b"{}")),
            },
            reason: None,
            on_behalf_of: None,
            claimant: None,
            digest: Digest([0; 32]),
            requested_at: start(),
            expires_at: start() + Duration::from_secs(seconds),
        };
        let approvers = APPROVERS.map(approver);
        Self {
            approval: Approval::new(request, approvers.into()),
            sending: Vec::new(),
            now: start(),
        }
    }

    /// Applies a step as the handlers do. Returns whether the action may run now.
    fn apply(&mut self, step: Step) -> bool {
        let Self {
            approval,
            sending,
            now,
        } = self;
        match step {
            Step::Decide(who, verdict) => {
                decide(approval, who, verdict, RUN_WITHIN, *now);
            }
            Step::MistypeCode(who) if approval.approvers[who].is_locked() => {}
            Step::MistypeCode(who) => submit_wrong_code(approval, who, *now),
            Step::DecideLate(_, _) if approval.status(*now) != Status::Timeout => {}
            Step::DecideLate(who, verdict) => {
                decide(approval, who, verdict, RUN_WITHIN, *now);
            }
            Step::Claim(who) => {
                return approval.claim(claim(&format!("nonce-{who}")), *now)
                    == ClaimResult::Granted;
            }
            Step::Report(done) => {
                approval
                    .report(if done { Ok(()) } else { Err(None) }, *now)
                    .ok();
            }
            Step::Withdraw => {
                approval.withdraw(*now).ok();
            }
            Step::Sweep => {
                approval.apply_timeouts(OUTCOME_WITHIN, *now);
                sending.extend(approval.lease_deliveries(NotificationSettings::ALL, *now));
            }
            Step::RecordResult(_, _) if sending.is_empty() => {}
            Step::RecordResult(which, result) => {
                let attempt = sending.remove(which % sending.len());
                approval.record_delivery_result(attempt, result, *now);
            }
        }
        false
    }

    /// Sweeps whenever the approval is due, and sends every email, until nothing is due.
    fn end(&mut self) {
        let mut sweeps = 0;
        while let Some(due) = self.approval.next_due(OUTCOME_WITHIN) {
            self.now = self.now.max(due);
            self.apply(Step::Sweep);
            while !self.sending.is_empty() {
                self.apply(Step::RecordResult(0, SendResult::Sent));
            }
            sweeps += 1;
            assert!(sweeps <= 20, "always due: {:?}", self.approval);
        }
    }
}

/// Lifetimes include the shortest and the longest that are allowed, and values around the thresholds of
/// reminders.
fn lifecycles() -> impl Strategy<Value = (u64, Vec<(Duration, Step)>)> {
    let seconds = select(vec![10, 599, 600, 3_600, 86_400, 2_592_000]);
    (seconds, prop::collection::vec(steps(), 1..40))
}

#[test]
fn any_sequence_of_transitions_keeps_the_guarantees_and_ends() {
    let reached = RefCell::new(BTreeSet::new());
    let run = runner(cases(3_000, 300_000)).run(&lifecycles(), |(seconds, steps)| {
        let mut lifecycle = Lifecycle::new("agent", "1", seconds);
        let mut holder = None;
        for (pause, step) in steps {
            lifecycle.now = lifecycle.now + pause;
            let before = lifecycle.approval.clone();
            let was = before.status(lifecycle.now);
            let may_run = lifecycle.apply(step);
            let Lifecycle { approval, now, .. } = &lifecycle;
            prop_assert!(approval.history_is_consistent());
            prop_assert!(approval.history.starts_with(&before.history));
            prop_assert!(approval.history.is_sorted_by_key(|event| event.at));
            prop_assert!(was == Status::Pending || was == approval.status(*now));
            prop_assert_eq!(before.request.clone(), approval.request.clone());
            if let Some(decision) = before.decision() {
                prop_assert_eq!(approval.decision(), Some(decision));
            }
            if let (true, Step::Claim(who)) = (may_run, step) {
                prop_assert_eq!(*holder.get_or_insert(who), who);
            }
            // No outcome notice exists while the request is pending.
            for delivery in approval
                .approvers
                .iter()
                .flat_map(|approver| &approver.deliveries)
            {
                let is_outcome = delivery.notice == Notice::Outcome;
                prop_assert!(!is_outcome || approval.state.status() != Status::Pending);
            }
            // After a sweep, the approval is due later or never.
            if let Step::Sweep = step {
                let due = approval.next_due(OUTCOME_WITHIN);
                prop_assert!(due.is_none_or(|due| due > *now), "{:?}", approval);
            }
        }
        lifecycle.end();
        let end = lifecycle
            .approval
            .execution(lifecycle.now)
            .and_then(|it| it.word());
        let end = end.unwrap_or_else(|| lifecycle.approval.status(lifecycle.now).word());
        reached.borrow_mut().insert(end);
        prop_assert!(
            !["Pending", "Approved", "Executing"].contains(&end),
            "{}",
            end
        );
        Ok(())
    });
    run.unwrap();
    record(
        "lifecycle",
        &[
            ("lives", cases(3_000, 300_000)),
            ("kinds of end", reached.borrow().len() as u64),
        ],
    );
    assert_eq!(reached.borrow().len(), 8, "{reached:?}");
}
