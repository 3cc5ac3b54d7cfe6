//! Exhaustive model of a plan with two stages: two of three people of finance, then one of two people of
//! security, of whom one is in both groups. They vote, change their minds and revoke in every order, through
//! gates that read and write the row in two steps; writes and responses are lost, time passes, an agent
//! claims. The guarantees are derived from the votes anew, not by the rules of `src/domain/`.

mod guarantees;

use std::num::NonZeroU8;
use std::time::Duration;

use human_oversight::domain::{
    Approval, Ask, CheckedDecision, DecisionResult, DecisionStep, Origin, Place, Plan,
    PolicyOrigin, Stage, State, Status, Verdict,
};
use human_oversight::values::{Digest, Timestamp};
use stateright::{Model, Property};

use super::model_row::Row;
use super::{cases, check_all, find_each, record};
use crate::forms::{claim, form, record_ballot, revoke};
use crate::lifecycle::{approver, request_of};
use guarantees::{ACKNOWLEDGED, APPENDED, CLOSED, IN_ORDER, IN_TIME, ONE_VOTE, QUORUM, SEEN, VETO};

const LIFE: Duration = Duration::from_secs(300);

/// The people of finance, and of security: the third is in both.
const FINANCE: [usize; 3] = [0, 1, 2];
const SECURITY: [usize; 2] = [2, 3];
const PEOPLE: usize = 4;

/// The approvals that finance must give.
const NEEDED: usize = 2;

fn at(late: bool) -> Timestamp {
    let requested_at = Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap();
    requested_at + if late { LIFE } else { Duration::ZERO }
}

fn needed(count: usize) -> NonZeroU8 {
    NonZeroU8::new(u8::try_from(count).unwrap()).unwrap()
}

fn stage(from: &str, members: &[usize], count: usize) -> Stage {
    let ask = Ask {
        from: from.to_owned(),
        members: members.to_vec(),
        needed: needed(count),
    };
    Stage { asks: vec![ask] }
}

fn plan(rejections: usize) -> Plan {
    Plan {
        origin: Origin::Policy(PolicyOrigin {
            digest: Digest([0; 32]),
            rules: vec!["payments".to_owned()],
            facts: Vec::new(),
        }),
        stages: vec![
            stage("finance", &FINANCE, NEEDED),
            stage("security", &SECURITY, 1),
        ],
        rejections: needed(rejections),
        ..Plan::of_requester(0)
    }
}

/// A row to be stored; email is not modelled.
fn row(mut approval: Approval, version: u8) -> Row {
    for approver in &mut approval.approvers {
        approver.deliveries.clear();
    }
    Row::of(approval, version)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    /// With the number of votes that its page does not show.
    Vote(Verdict, usize),
    Revoke,
}

/// The conditional write of a call, between evaluation and storage.
#[derive(Clone, Debug, PartialEq, Hash)]
struct PreparedWrite {
    version: u8,
    next: Row,
    acknowledges: Option<Verdict>,
    /// Whether it has an approval of a person who had not seen what they must.
    is_unseen: bool,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct World {
    late: bool,
    row: Row,
    writes: Vec<Option<PreparedWrite>>,
    /// What was last acknowledged to each person.
    acknowledged: Vec<Option<Verdict>>,
    faults: u8,
    granted: bool,
    /// Whether a write changed earlier votes, or added one to a closed request.
    rewritten: bool,
    added_after_close: bool,
    approved_unseen: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    /// The deadline passes.
    Tick,
    Call(usize, Call),
    Write(usize),
    /// The write is applied, and its response is lost.
    WriteAndLose(usize),
    /// The write is not applied.
    LoseWrite(usize),
    Claim,
}

/// Bugs seeded into the gate, to prove that the model detects each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// A person votes again.
    DoubleVote,
    /// A quorum that is thought too large is made smaller.
    ClampedQuorum,
    VoteAfterClose,
    /// A vote counts for a stage that is not open.
    StageSkipped,
    /// No approvals are needed.
    ZeroNeeded,
    /// The vote of a member of both groups counts for both.
    VoteInTwoAsks,
    /// The write ignores that others voted meanwhile.
    UnconditionalWrite,
    /// The person is answered before the write.
    AcknowledgedBeforeWritten,
    /// The deadline counts only once the sweep has stored it.
    ExpiryOnlyInTheSweep,
    /// Rejections are counted, and change nothing.
    VetoIgnored,
    /// An approval counts whatever its page has shown.
    CountedUnseen,
}

struct Gate {
    faults: u8,
    rejections: usize,
    bug: Bug,
}

impl Gate {
    /// Applies a call to the row that was read; returns what is acknowledged to the person.
    fn evaluate(
        &self,
        person: usize,
        call: Call,
        row: &mut Approval,
        late: bool,
    ) -> Option<Verdict> {
        let now = at(late && self.bug != Bug::ExpiryOnlyInTheSweep);
        let Call::Vote(verdict, unseen) = call else {
            let revoked = revoke(row, person, now) == DecisionResult::Revoked;
            return revoked.then_some(Verdict::Reject);
        };
        let mut judged = row.clone();
        match self.bug {
            Bug::DoubleVote => judged.votes.retain(|vote| vote.ballot.person != person),
            Bug::VoteAfterClose => judged.state = State::Pending,
            Bug::StageSkipped => judged.plan.stages[0].asks.clear(),
            Bug::ClampedQuorum => judged.plan.stages[0].asks[0].needed = needed(1),
            _ => {}
        }
        let form = CheckedDecision {
            votes: match self.bug {
                Bug::CountedUnseen => None,
                _ => row.votes.len().checked_sub(unseen),
            },
            ..form(person, verdict, None)
        };
        match judged.judge_form(&form, now) {
            DecisionStep::Done(result) => (result == DecisionResult::Recorded).then_some(verdict),
            DecisionStep::Sign(mut ballot) => {
                ballot.at = at(late);
                self.record(row, ballot);
                Some(verdict)
            }
        }
    }

    fn record(&self, row: &mut Approval, ballot: human_oversight::domain::Ballot) {
        let plan = row.plan.clone();
        match self.bug {
            Bug::ClampedQuorum => row.plan.stages[0].asks[0].needed = needed(1),
            Bug::ZeroNeeded => row.plan.stages.iter_mut().for_each(|it| it.asks.clear()),
            Bug::VetoIgnored => row.plan.rejections = needed(PEOPLE + 1),
            Bug::VoteInTwoAsks if ballot.person == FINANCE[2] => row.plan.stages.truncate(1),
            _ => {}
        }
        record_ballot(row, ballot, LIFE);
        row.plan = plan;
    }

    fn write(&self, world: &mut World, person: usize, is_received: bool) -> Option<()> {
        let write = world.writes[person].take()?;
        let is_applied = world.row.version == write.version || self.bug == Bug::UnconditionalWrite;
        if is_applied {
            let (before, after) = (&world.row.approval, &write.next.approval);
            world.rewritten |= !after.votes.starts_with(&before.votes);
            let was_closed = before.state != State::Pending;
            world.added_after_close |= was_closed && after.votes.len() > before.votes.len();
            world.approved_unseen |= write.is_unseen;
            world.row = Row {
                version: world.row.version + 1,
                ..write.next
            };
            if is_received {
                world.acknowledged[person] = write.acknowledges.or(world.acknowledged[person]);
            }
        }
        // A conflict that is not reported looks like a lost write.
        (is_applied || is_received).then_some(())
    }
}

impl Model for Gate {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let approvers = ["a", "b", "c", "d"].map(|name| approver(&format!("{name}@example.com")));
        let request = request_of(at(false), LIFE);
        let approval = Approval::with_plan(request, plan(self.rejections), approvers.into());
        vec![World {
            late: false,
            row: row(approval, 0),
            writes: vec![None; PEOPLE],
            acknowledged: vec![None; PEOPLE],
            faults: self.faults,
            granted: false,
            rewritten: false,
            added_after_close: false,
            approved_unseen: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if !world.late {
            actions.push(Action::Tick);
        }
        if world.row.approval.state.status() == Status::Approved && !world.granted {
            actions.push(Action::Claim);
        }
        for person in 0..PEOPLE {
            if world.writes[person].is_none() {
                let pages = 0..=world.row.approval.votes.len();
                actions.extend(
                    pages.map(|unseen| Action::Call(person, Call::Vote(Verdict::Approve, unseen))),
                );
                let calls = [Call::Vote(Verdict::Reject, 0), Call::Revoke];
                actions.extend(calls.map(|call| Action::Call(person, call)));
                continue;
            }
            actions.push(Action::Write(person));
            if world.faults > 0 {
                actions.extend([Action::WriteAndLose(person), Action::LoseWrite(person)]);
            }
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Tick => world.late = true,
            Action::Claim => {
                let mut approval = Approval::clone(&world.row.approval);
                approval.claim(claim("nonce"), at(false));
                world.row = row(approval, world.row.version + 1);
                world.granted = true;
            }
            Action::Call(person, call) => {
                let mut approval = Approval::clone(&world.row.approval);
                let acknowledges = self.evaluate(person, call, &mut approval, world.late);
                if approval == *world.row.approval || self.bug == Bug::AcknowledgedBeforeWritten {
                    world.acknowledged[person] = acknowledges.or(world.acknowledged[person]);
                }
                if approval != *world.row.approval {
                    let is_unseen = match call {
                        Call::Vote(Verdict::Approve, unseen) => {
                            guarantees::is_unseen(&approval, unseen)
                        }
                        _ => false,
                    };
                    world.writes[person] = Some(PreparedWrite {
                        is_unseen,
                        version: world.row.version,
                        next: row(approval, world.row.version + 1),
                        acknowledges,
                    });
                }
            }
            Action::Write(person) => self.write(&mut world, person, true)?,
            Action::WriteAndLose(person) => {
                self.write(&mut world, person, false)?;
                world.faults -= 1;
            }
            Action::LoseWrite(person) => {
                world.writes[person] = None;
                world.faults -= 1;
            }
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        guarantees::all()
    }
}

#[test]
fn every_order_of_votes_and_faults_keeps_the_guarantees() {
    let mut states = 0;
    for rejections in [1, 2] {
        let gate = Gate {
            faults: u8::try_from(cases(1, 2)).unwrap(),
            rejections,
            bug: Bug::None,
        };
        states += check_all(gate);
    }
    record("votes", &[("faults", cases(1, 2)), ("states", states)]);
}

#[test]
fn each_bug_seeded_into_voting_is_found() {
    let found = [
        (Bug::DoubleVote, ONE_VOTE),
        (Bug::ClampedQuorum, QUORUM),
        (Bug::VoteAfterClose, CLOSED),
        (Bug::StageSkipped, IN_ORDER),
        (Bug::ZeroNeeded, QUORUM),
        (Bug::VoteInTwoAsks, QUORUM),
        (Bug::UnconditionalWrite, APPENDED),
        (Bug::AcknowledgedBeforeWritten, ACKNOWLEDGED),
        (Bug::ExpiryOnlyInTheSweep, IN_TIME),
        (Bug::VetoIgnored, VETO),
        (Bug::CountedUnseen, SEEN),
    ];
    let with = |bug| Gate {
        faults: 1,
        rejections: 1,
        bug,
    };
    find_each("votes-bugs", &found, with);
}

/// The ask of a stage.
pub(super) fn place(stage: usize) -> Place {
    Place { stage, ask: 0 }
}
