//! Sequences at random, made and shrunk by proptest: here of moves in a life, against what always
//! holds; and of writes, against both stores and one simple model of a store.

mod stores;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use human_oversight::domain::{
    Approval, Approver, ClaimResult, DeliveryFault, Notice, NotificationSettings, Parameters,
    Request, SendAttempt, SendResult, Status, Verdict,
};
use human_oversight::values::{Address, ApprovalId, Digest, Timestamp};
use human_oversight_client::parameters::sha256;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::forms::{decide, submit_wrong_code};

use super::{cases, record};

const RUN_WITHIN: Duration = Duration::from_secs(600);
const OUTCOME_WITHIN: Duration = Duration::from_secs(1_000);
const APPROVERS: [&str; 3] = ["alice@example.com", "bob@example.com", "carol@example.com"];

/// The day before a leap day, shortly before midnight.
fn start() -> Timestamp {
    Timestamp::parse("2028-02-28T23:59:30.000Z").unwrap()
}

/// The same sequences each time, so many of them.
fn runner(cases: u64) -> TestRunner {
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// What can happen to a request; a number picks an approver, a nonce, or an attempt that is under way.
#[derive(Clone, Copy, Debug)]
enum Move {
    Decide(usize, Verdict),
    MistypeCode(usize),
    AnswerLate(usize, Verdict),
    Claim(usize),
    Report(bool),
    Withdraw,
    Sweep,
    /// A mail that was being sent was, or was not.
    Settle(usize, SendResult),
}

fn moves() -> impl Strategy<Value = (Duration, Move)> {
    let verdict = || select(vec![Verdict::Approve, Verdict::Reject]);
    let index = 0..APPROVERS.len();
    let result = select(vec![
        SendResult::Sent,
        SendResult::Sent,
        SendResult::Failed(DeliveryFault::Refused, None),
        SendResult::Failed(DeliveryFault::Unavailable, Some(Duration::from_secs(90))),
        SendResult::Failed(DeliveryFault::Unclear, None),
        SendResult::Failed(DeliveryFault::Misconfigured, None),
    ]);
    let step = prop_oneof![
        2 => (index.clone(), verdict()).prop_map(|(who, verdict)| Move::Decide(who, verdict)),
        1 => index.clone().prop_map(Move::MistypeCode),
        1 => (index, verdict()).prop_map(|(who, verdict)| Move::AnswerLate(who, verdict)),
        2 => (0..2_usize).prop_map(Move::Claim),
        2 => any::<bool>().prop_map(Move::Report),
        1 => Just(Move::Withdraw),
        3 => Just(Move::Sweep),
        5 => (0..9_usize, result).prop_map(|(which, result)| Move::Settle(which, result)),
    ];
    let pause = select(vec![
        0, 1, 999, 30_000, 60_000, 299_999, 600_000, 3_600_000, 90_000_000,
    ]);
    (pause.prop_map(Duration::from_millis), step)
}

/// A request in its life, and the mails that are under way.
struct Life {
    approval: Approval,
    sending: Vec<SendAttempt>,
    now: Timestamp,
}

impl Life {
    fn new(agent: &str, correlation: &str, seconds: u64) -> Self {
        let request = Request {
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
        let approvers = APPROVERS.map(|address| Approver {
            address: Address::parse(address).unwrap(),
            link_key: "k".to_owned(),
            mac: "s".to_owned(),
            wrong_codes: 0,
            deliveries: Vec::new(),
        });
        Self {
            approval: Approval::new(request, approvers.into()),
            sending: Vec::new(),
            now: start(),
        }
    }

    /// Makes a move as the handlers do; whether the action may run now.
    fn make(&mut self, step: Move) -> bool {
        let Self {
            approval,
            sending,
            now,
        } = self;
        match step {
            Move::Decide(who, verdict) => {
                decide(approval, who, verdict, RUN_WITHIN, *now);
            }
            Move::MistypeCode(who) if approval.approvers[who].is_locked() => {}
            Move::MistypeCode(who) => submit_wrong_code(approval, who, *now),
            Move::AnswerLate(_, _) if approval.status(*now) != Status::Timeout => {}
            Move::AnswerLate(who, verdict) => {
                decide(approval, who, verdict, RUN_WITHIN, *now);
            }
            Move::Claim(who) => {
                return approval.claim(&format!("nonce-{who}"), *now) == ClaimResult::Granted;
            }
            Move::Report(done) => {
                approval
                    .report(if done { Ok(()) } else { Err(None) }, *now)
                    .ok();
            }
            Move::Withdraw => {
                approval.withdraw(*now).ok();
            }
            Move::Sweep => {
                approval.apply_timeouts(OUTCOME_WITHIN, *now);
                sending.extend(approval.lease_deliveries(NotificationSettings::ALL, *now));
            }
            Move::Settle(_, _) if sending.is_empty() => {}
            Move::Settle(which, result) => {
                let attempt = sending.remove(which % sending.len());
                approval.record_delivery_result(attempt, result, *now);
            }
        }
        false
    }

    /// Sweeps when it is due, with mails that arrive, until nothing is due any more.
    fn end(&mut self) {
        let mut sweeps = 0;
        while let Some(due) = self.approval.next_due(OUTCOME_WITHIN) {
            self.now = self.now.max(due);
            self.make(Move::Sweep);
            while !self.sending.is_empty() {
                self.make(Move::Settle(0, SendResult::Sent));
            }
            sweeps += 1;
            assert!(sweeps <= 20, "due for ever: {:?}", self.approval);
        }
    }
}

/// A life is as long as people may set it, and longer and shorter than what mails go by.
fn lives() -> impl Strategy<Value = (u64, Vec<(Duration, Move)>)> {
    let seconds = select(vec![10, 599, 600, 3_600, 86_400, 2_592_000]);
    (seconds, prop::collection::vec(moves(), 1..40))
}

#[test]
fn any_sequence_of_transitions_keeps_the_guarantees_and_ends() {
    let reached = RefCell::new(BTreeSet::new());
    let run = runner(cases(3_000, 300_000)).run(&lives(), |(seconds, steps)| {
        let mut life = Life::new("agent", "1", seconds);
        let mut holder = None;
        for (pause, step) in steps {
            life.now = life.now + pause;
            let before = life.approval.clone();
            let was = before.status(life.now);
            let may_run = life.make(step);
            let Life { approval, now, .. } = &life;
            prop_assert!(approval.history_is_consistent());
            prop_assert!(approval.history.starts_with(&before.history));
            prop_assert!(approval.history.is_sorted_by_key(|event| event.at));
            prop_assert!(was == Status::Pending || was == approval.status(*now));
            prop_assert_eq!(before.request.clone(), approval.request.clone());
            if let Some(decision) = before.decision() {
                prop_assert_eq!(approval.decision(), Some(decision));
            }
            if let (true, Move::Claim(who)) = (may_run, step) {
                prop_assert_eq!(*holder.get_or_insert(who), who);
            }
            // Nobody is asked any more about what is decided, and nobody is told before.
            for mail in approval
                .approvers
                .iter()
                .flat_map(|approver| &approver.deliveries)
            {
                let is_note = mail.notice == Notice::Outcome;
                prop_assert!(!is_note || approval.state.status() != Status::Pending);
            }
            // What a sweep leaves is due later, not again at once.
            if let Move::Sweep = step {
                let due = approval.next_due(OUTCOME_WITHIN);
                prop_assert!(due.is_none_or(|due| due > *now), "{:?}", approval);
            }
        }
        life.end();
        let end = life.approval.execution(life.now).and_then(|it| it.word());
        let end = end.unwrap_or_else(|| life.approval.status(life.now).word());
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
