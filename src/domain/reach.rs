//! Whether a plan can still be met by the people who have not voted.

use super::plan::{Plan, counted, given};
use super::vote::{Ballot, Place, Vote};

impl Plan {
    /// Whether those who can still be reached, or will be asked, can meet every unmet ask of the open stage, each person
    /// one.
    pub(super) fn can_be_reached(
        &self,
        votes: &[Vote],
        is_reachable: impl Fn(usize) -> bool,
    ) -> bool {
        let ballots = counted(votes);
        self.can_be_met_by(
            self.open_places(votes),
            |seat| !has_vote(seat, &ballots) && is_reachable(seat),
            |it| given(it, &ballots),
        )
    }

    /// Whether people who have not voted can still meet every unmet ask, each person one.
    pub(super) fn can_be_met(&self, ballots: &[&Ballot]) -> bool {
        self.can_be_met_by(
            self.places(),
            |seat| !has_vote(seat, ballots),
            |it| given(it, ballots),
        )
    }

    /// As [`Plan::can_be_met`], after these votes and an approval that is cast for an ask in a seat, without further votes of
    /// `lost` people.
    pub(super) fn can_be_met_after(
        &self,
        votes: &[Vote],
        place: Place,
        seat: usize,
        lost: &[usize],
    ) -> bool {
        let ballots = counted(votes);
        let is_lost = |it: usize| lost.contains(&self.holder(it));
        let is_waiting = |it: usize| it != seat && !has_vote(it, &ballots) && !is_lost(it);
        let given = |it: Place| given(it, &ballots) + usize::from(it == place);
        self.can_be_met_by(self.places(), is_waiting, given)
    }

    /// A matching of the approvals that these asks miss with the seats that wait (augmenting paths).
    fn can_be_met_by(
        &self,
        places: impl IntoIterator<Item = Place>,
        is_waiting: impl Fn(usize) -> bool,
        given: impl Fn(Place) -> usize,
    ) -> bool {
        let mut missing: Vec<Vec<usize>> = Vec::new();
        for place in places {
            let waiting = self.seats_of(place).filter(|&it| is_waiting(it));
            let needed = usize::from(self.ask(place).needed.get());
            let count = needed.saturating_sub(given(place));
            missing.extend(std::iter::repeat_n(waiting.collect::<Vec<_>>(), count));
        }
        let mut filled = vec![None; missing.iter().flatten().max().map_or(0, |most| most + 1)];
        (0..missing.len()).all(|one| {
            let mut tried = vec![false; filled.len()];
            fill(one, &missing, &mut filled, &mut tried)
        })
    }
}

fn has_vote(seat: usize, ballots: &[&Ballot]) -> bool {
    ballots.iter().any(|ballot| ballot.seat == seat)
}

/// Finds a seat for a missing approval, moving the one that has it to another seat if need be.
fn fill(
    one: usize,
    missing: &[Vec<usize>],
    filled: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    missing[one].iter().any(|&seat| {
        if std::mem::replace(&mut tried[seat], true) {
            return false;
        }
        let is_free = match filled[seat] {
            None => true,
            Some(other) => fill(other, missing, filled, tried),
        };
        if is_free {
            filled[seat] = Some(one);
        }
        is_free
    })
}
