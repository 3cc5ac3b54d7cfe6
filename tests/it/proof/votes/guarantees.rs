//! What must hold in every reachable state, derived from the votes alone.

use human_oversight::domain::{Approval, Ballot, State, Status, Verdict, Vote};
use stateright::Property;

use super::{FINANCE, Gate, NEEDED, PEOPLE, SECURITY, World, at, place};

pub(super) const QUORUM: &str =
    "approved only by two people of finance and another one of security";
pub(super) const ONE_VOTE: &str = "no person approves twice";
pub(super) const IN_ORDER: &str = "security votes only after finance has agreed";
pub(super) const APPENDED: &str = "votes are never changed or removed";
pub(super) const CLOSED: &str = "no vote is added to a closed request";
pub(super) const IN_TIME: &str = "votes count only before the deadline";
pub(super) const ACKNOWLEDGED: &str = "what is acknowledged is recorded";
pub(super) const VETO: &str = "an acknowledged rejection is final where one is enough";
pub(super) const SEEN: &str =
    "who approves has seen every rejection, and every vote if theirs is the last of its stage";

pub(super) fn all() -> Vec<Property<Gate>> {
    let always = Property::<Gate>::always;
    let sometimes = Property::<Gate>::sometimes;
    vec![
        always(QUORUM, |_, world| is_quorate(world)),
        always(ONE_VOTE, |_, world| {
            let approvals = |person| {
                let own = ballots(world).filter(|it| it.person == person);
                own.filter(|it| it.verdict == Verdict::Approve).count()
            };
            (0..PEOPLE).all(|person| approvals(person) <= 1)
        }),
        always(IN_ORDER, |_, world| {
            let votes: Vec<&Ballot> = ballots(world).collect();
            votes.iter().enumerate().all(|(index, vote)| {
                let earlier = votes[..index]
                    .iter()
                    .filter(|it| it.place == place(0) && it.verdict == Verdict::Approve);
                vote.place == place(0) || earlier.count() >= NEEDED
            })
        }),
        always(APPENDED, |_, world| !world.rewritten),
        always(CLOSED, |_, world| !world.added_after_close),
        always(IN_TIME, |_, world| {
            ballots(world).all(|it| it.at < at(true))
        }),
        always(ACKNOWLEDGED, |_, world| {
            world
                .acknowledged
                .iter()
                .enumerate()
                .all(|(person, acknowledged)| {
                    acknowledged
                        .is_none_or(|verdict| is_recorded(&world.row.approval, person, verdict))
                })
        }),
        always(VETO, |gate, world| {
            let is_vetoed =
                gate.rejections == 1 && ballots(world).any(|it| it.verdict == Verdict::Reject);
            !is_vetoed || status(world) == Status::Rejected
        }),
        always(SEEN, |_, world| !world.approved_unseen),
        sometimes("approved", |_, world| status(world) == Status::Approved),
        sometimes("approved and claimed", |_, world| world.granted),
        sometimes("rejected in the second stage", |_, world| {
            status(world) == Status::Rejected && ballots(world).any(|it| it.place == place(1))
        }),
    ]
}

fn ballots(world: &World) -> impl Iterator<Item = &Ballot> {
    world.row.approval.votes.iter().map(|vote| &vote.ballot)
}

fn status(world: &World) -> Status {
    world.row.approval.state.status()
}

fn is_quorate(world: &World) -> bool {
    let State::Approved { .. } = world.row.approval.state else {
        return true;
    };
    let last = |person: usize| ballots(world).filter(|it| it.person == person).last();
    let approves = |person: usize, stage: usize| {
        last(person).is_some_and(|it| it.place == place(stage) && it.verdict == Verdict::Approve)
    };
    let finance = FINANCE.iter().filter(|&&person| approves(person, 0));
    let security = SECURITY.iter().filter(|&&person| approves(person, 1));
    finance.count() >= NEEDED && security.count() >= 1
}

/// Whether the last vote is an approval that its person must not give before they have seen as many votes before it.
pub(super) fn is_unseen(row: &Approval, unseen: usize) -> bool {
    let (own, before) = row.votes.split_last().unwrap();
    let place = own.ballot.place;
    let (seen, since) = before.split_at(before.len() - unseen);
    let is_rejection = |it: &Vote| it.ballot.verdict == Verdict::Reject;
    let approvals = |votes: &[Vote]| {
        let takes_back = |by| {
            let mut rejections = votes.iter().filter(|it| is_rejection(it));
            rejections.any(|it| it.ballot.person == by)
        };
        let here = votes.iter().filter(|it| it.ballot.place == place);
        let given = here.filter(|it| !takes_back(it.ballot.person));
        given.count() + 1
    };
    let needed = if place == self::place(0) { NEEDED } else { 1 };
    let has_become_last = approvals(before) >= needed && approvals(seen) < needed;
    let skips_a_stage = place != self::place(0) && {
        let finance = seen.iter().filter(|it| it.ballot.place == self::place(0));
        finance.count() < NEEDED
    };
    since.iter().any(is_rejection) || has_become_last || skips_a_stage
}

/// Whether the row has this choice of the person: a vote, or the decision that a revocation changed.
fn is_recorded(row: &Approval, person: usize, verdict: Verdict) -> bool {
    let mut own = row.votes.iter().filter(|it| it.ballot.person == person);
    let is_revoked = row
        .execution(at(false))
        .is_some_and(|it| it.word() == Some("Revoked"));
    own.any(|it| it.ballot.verdict == verdict) || (verdict == Verdict::Reject && is_revoked)
}
