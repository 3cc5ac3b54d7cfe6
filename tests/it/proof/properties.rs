//! Sequences at random, made and shrunk by proptest: of moves in a life, against what always holds;
//! and of writes, against both stores and one simple model of a store.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use human_oversight::address::Address;
use human_oversight::approval::{
    Approval, Approver, Assurance, Attempt, Claimed, Digest, MailFault, MailKind, MailResult,
    Notes, Parameters, Request, Status, Verdict,
};
use human_oversight::id::ApprovalId;
use human_oversight::store::{Store, StoreError, Stored, Versioned};
use human_oversight::timestamp::Timestamp;
use human_oversight_client::parameters::sha256;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{cases, record};
use crate::azurite::fresh_table;
use crate::store::Ground;

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
    Settle(usize, MailResult),
}

fn moves() -> impl Strategy<Value = (Duration, Move)> {
    let verdict = || select(vec![Verdict::Approve, Verdict::Reject]);
    let index = 0..APPROVERS.len();
    let result = select(vec![
        MailResult::Sent,
        MailResult::Sent,
        MailResult::Failed(MailFault::Refused, None),
        MailResult::Failed(MailFault::Unavailable, Some(Duration::from_secs(90))),
        MailResult::Failed(MailFault::Unclear, None),
        MailResult::Failed(MailFault::Misconfigured, None),
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
    sending: Vec<Attempt>,
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
            seal: "s".to_owned(),
            wrong_codes: 0,
            mails: Vec::new(),
        });
        Self {
            approval: Approval::submitted(request, approvers.into()),
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
                let known = (who, Assurance::Link);
                if let Ok(ruling) = approval.judge(known, verdict, None, RUN_WITHIN, *now) {
                    approval.record(ruling, "receipt".to_owned());
                }
            }
            Move::MistypeCode(who) if approval.approvers[who].is_locked() => {}
            Move::MistypeCode(who) => approval.count_wrong_code(who, *now),
            Move::AnswerLate(who, verdict) => approval.answer_late(who, verdict, *now),
            Move::Claim(who) => {
                return approval.claim(&format!("nonce-{who}"), *now) == Claimed::Granted;
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
                approval.tidy(OUTCOME_WITHIN, *now);
                sending.extend(approval.lease_mails(Notes::ALL, *now));
            }
            Move::Settle(_, _) if sending.is_empty() => {}
            Move::Settle(which, result) => {
                let attempt = sending.remove(which % sending.len());
                approval.settle_mail(attempt, result, *now);
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
                self.make(Move::Settle(0, MailResult::Sent));
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
fn whatever_happens_in_a_life_its_promises_hold_and_it_ends() {
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
            prop_assert!(approval.is_told_by_its_history());
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
                .flat_map(|approver| &approver.mails)
            {
                let is_note = mail.kind == MailKind::Outcome;
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

/// What is done to a store; numbers pick a row, and one of the versions of it that were read.
#[derive(Clone, Debug)]
enum Write {
    Insert(usize, Option<u64>),
    Replace(usize, usize, Vec<(Duration, Move)>, Option<u64>),
    Delete(usize, usize),
    LookForDue(u64),
    ReadAll,
}

const ROWS: usize = 4;

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let due = || proptest::option::weighted(0.8, 0..400_u64);
    let steps = prop::collection::vec(moves(), 1..4);
    let write = prop_oneof![
        3 => (0..ROWS, due()).prop_map(|(row, due)| Write::Insert(row, due)),
        6 => (0..ROWS, 0..3_usize, steps, due())
            .prop_map(|(row, version, steps, due)| Write::Replace(row, version, steps, due)),
        1 => (0..ROWS, 0..3_usize).prop_map(|(row, version)| Write::Delete(row, version)),
        3 => (0..400_u64).prop_map(Write::LookForDue),
        1 => Just(Write::ReadAll),
    ];
    prop::collection::vec(write, 1..24)
}

/// A store as simple as can be, beside one that is not.
struct Beside {
    store: Store,
    model: BTreeMap<ApprovalId, (Approval, Option<Timestamp>)>,
    /// What was read of each row, the latest first; and of each row among all.
    read: [Vec<Versioned>; ROWS],
    stored: [Vec<Stored>; ROWS],
    /// Writes that were taken, and refused.
    counts: [u64; 2],
}

fn id(row: usize) -> ApprovalId {
    ApprovalId::new(["plain", "Ünï'('~"][row % 2], &format!("row-{}", row / 2)).unwrap()
}

fn due_at(seconds: u64) -> Timestamp {
    start() + Duration::from_secs(seconds)
}

impl Beside {
    fn new(store: Store) -> Self {
        Self {
            store,
            model: BTreeMap::new(),
            read: Default::default(),
            stored: Default::default(),
            counts: [0; 2],
        }
    }

    async fn make(&mut self, write: Write) {
        match write {
            Write::Insert(row, due) => {
                let (id, due) = (id(row), due.map(due_at));
                let new = Life::new(id.agent(), id.correlation(), 3_600).approval;
                match self.store.insert(new.clone(), due).await {
                    Ok(inserted) => {
                        assert!(!self.model.contains_key(&id), "inserted twice");
                        self.model.insert(id, (new, due));
                        self.read[row].insert(0, inserted);
                    }
                    Err(StoreError::AlreadyExists) => assert!(self.model.contains_key(&id)),
                    Err(error) => panic!("{error}"),
                }
            }
            Write::Replace(row, version, steps, due) => {
                let (id, due) = (id(row), due.map(due_at));
                let Some(mut changed) = self.read[row].get(version).cloned() else {
                    return;
                };
                let stored = self.model.get(&id).map(|(approval, _)| approval);
                let is_latest = version == 0 && stored.is_some();
                let mut life = Life::new(id.agent(), id.correlation(), 3_600);
                life.approval = changed.approval;
                for (pause, step) in steps {
                    life.now = life.now + pause;
                    life.make(step);
                }
                changed.approval = life.approval;
                match self.store.replace(changed.clone(), due).await {
                    Ok(replaced) => {
                        assert!(is_latest, "a stale version was taken");
                        self.counts[0] += 1;
                        self.model.insert(id, (changed.approval, due));
                        self.read[row].insert(0, replaced);
                    }
                    Err(StoreError::Conflict) => {
                        assert!(!is_latest, "the latest was refused");
                        self.counts[1] += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Write::Delete(row, version) => {
                let Some(stored) = self.stored[row].get(version) else {
                    return;
                };
                let is_there = self.model.contains_key(&id(row));
                match self.store.delete(stored).await {
                    Ok(()) => {
                        let (latest, _) = self.model.remove(&id(row)).unwrap();
                        assert_eq!(stored.approval.as_ref().unwrap(), &latest);
                        self.read[row].clear();
                        self.stored[row].clear();
                    }
                    Err(StoreError::Conflict) => assert!(is_there),
                    Err(error) => panic!("{error}"),
                }
            }
            Write::LookForDue(seconds) => self.look(due_at(seconds)).await,
            Write::ReadAll => self.read_all().await,
        }
    }

    /// What is due by the index, and by the row that it leads to.
    async fn look(&self, now: Timestamp) {
        let (mut seen, mut place) = (BTreeSet::new(), None);
        loop {
            let (page, next) = self.store.due(now, place).await.unwrap();
            for due in page {
                let id = due.id.clone().unwrap();
                if let Some(row) = self.store.look(&id, &due, now).await.unwrap() {
                    assert_eq!(row.approval, self.model[&id].0);
                    assert!(seen.insert(id.to_string()), "due twice");
                }
            }
            place = next;
            if place.is_none() {
                break;
            }
        }
        let is_due = |due: &Option<Timestamp>| due.is_some_and(|due| due <= now);
        let model = self.model.iter().filter(|(_, (_, due))| is_due(due));
        assert_eq!(seen, model.map(|(id, _)| id.to_string()).collect());
    }

    async fn read_all(&mut self) {
        let (mut rows, mut place) = (Vec::new(), None);
        loop {
            let (page, next) = self.store.all(place).await.unwrap();
            rows.extend(page);
            place = next;
            if place.is_none() {
                break;
            }
        }
        assert_eq!(rows.len(), self.model.len());
        for row in rows {
            let approval = row.approval.as_ref().unwrap();
            let (expected, due) = &self.model[&approval.request.id];
            assert_eq!((approval, row.is_due), (expected, due.is_some()));
            let number = (0..ROWS).find(|number| id(*number) == approval.request.id);
            self.stored[number.unwrap()].insert(0, row);
        }
        for row in 0..ROWS {
            match (self.store.get(&id(row)).await, self.model.get(&id(row))) {
                (Ok(found), Some((expected, _))) => assert_eq!(&found.approval, expected),
                (Err(StoreError::NotFound), None) => {}
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
    }
}

fn holds_beside_the_model(name: &str, cases: u64, ground: impl Fn() -> Ground) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let made = Cell::new(0);
    let counts = Cell::new([0, 0]);
    let run = runner(cases).run(&writes(), |writes| {
        made.set(made.get() + writes.len() as u64);
        runtime.block_on(async {
            let ground = ground();
            let store = ground.open();
            store.prepare().await.unwrap();
            let mut beside = Beside::new(store);
            for write in writes {
                beside.make(write).await;
            }
            beside.look(due_at(1_000)).await;
            beside.read_all().await;
            let [taken, refused] = counts.get();
            counts.set([taken + beside.counts[0], refused + beside.counts[1]]);
        });
        Ok(())
    });
    run.unwrap();
    let [taken, refused] = counts.get();
    record(
        name,
        &[
            ("sequences", cases),
            ("operations", made.get()),
            ("replaced", taken),
            ("conflicts", refused),
        ],
    );
}

#[test]
fn the_file_does_what_a_simple_store_does() {
    let ground = || Ground::File(tempfile::tempdir().unwrap());
    holds_beside_the_model("store-file", cases(200, 5_000), ground);
}

#[test]
fn the_tables_do_what_a_simple_store_does() {
    let ground = || Ground::Tables(fresh_table());
    holds_beside_the_model("store-tables", cases(60, 1_000), ground);
}
