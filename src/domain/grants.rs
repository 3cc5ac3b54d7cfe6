//! The standing grants for what reads the same: their uses and ends, and the events of both for channels and givers.

use std::collections::BTreeMap;

use super::grant::{Grant, GrantEnd, GrantScope, SignedGrant};
use super::standing_outbox::{GrantEnding, GrantSummary, StandingFact, StandingOutbox};
use crate::values::{ApprovalId, MAX_CLOCK_SKEW, Timestamp};

/// A grant, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldGrant {
    pub signed: SignedGrant,
    /// The requests that took a use. One of which the insert failed counts too.
    pub used: u16,
    /// The correlation ids of the last of them: a repeat takes no other use.
    pub taken_by: Vec<String>,
    /// When and by what it was ended.
    pub ended: Option<(Timestamp, GrantEnd)>,
}

/// The state of a grant at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// It approves this many more requests.
    Active {
        left: u16,
    },
    UsedUp,
    Expired,
    Ended(Timestamp, GrantEnd),
}

impl GrantState {
    /// The word in responses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active { .. } => "active",
            Self::UsedUp => "used up",
            Self::Expired => "expired",
            Self::Ended(_, by) => by.word(),
        }
    }
}

/// The grants for what reads the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub held: Vec<HeldGrant>,
    /// How often all of them were ended together, or one of them made room for another. One that was approved before
    /// that, and is added after it, is void from the start.
    pub voided: u64,
    /// The channels that get the end of a grant, by its id, until it has ended.
    pub tell: BTreeMap<String, Vec<String>>,
    pub outbox: StandingOutbox,
}

impl HeldGrant {
    /// The most requests that are remembered of those that took a use, so that they fit into a column.
    pub const MOST_TAKEN_BY: usize = 64;

    pub fn state(&self, now: Timestamp) -> GrantState {
        let grant = &self.signed.grant;
        match self.ended {
            Some((at, by)) => GrantState::Ended(at, by),
            None if self.used >= grant.uses => GrantState::UsedUp,
            None if now >= grant.until => GrantState::Expired,
            None => GrantState::Active {
                left: grant.uses - self.used,
            },
        }
    }

    pub fn is_active(&self, now: Timestamp) -> bool {
        matches!(self.state(now), GrantState::Active { .. })
    }

    /// Whether it approves exactly this at `now`.
    fn is_active_for(&self, scope: &GrantScope, now: Timestamp) -> bool {
        self.signed.grant.scope == *scope && self.is_active(now)
    }

    /// Whether it may approve something more, or what it has approved may be claimed.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.signed.grant.until
    }

    /// Whether it can still be ended: it may be in force by another clock, which is behind.
    pub fn can_end(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.signed.grant.until + MAX_CLOCK_SKEW
    }

    /// Whether this can end it. What the operator names ends whatever the clock says.
    pub fn can_end_by(&self, by: GrantEnd, now: Timestamp) -> bool {
        self.can_end(now) || (by == GrantEnd::Operator && self.ended.is_none())
    }

    /// Whether this request took a use, with which it may still be approved.
    fn has_use_of(&self, id: &ApprovalId, scope: &GrantScope, now: Timestamp) -> bool {
        let mut taken_by = self.taken_by.iter();
        self.signed.grant.scope == *scope
            && self.is_in_force(now)
            && taken_by.any(|taken_by| taken_by == id.correlation())
    }

    /// Takes a use for a request.
    fn take(&mut self, id: &ApprovalId) {
        self.used += 1;
        if self.taken_by.len() >= Self::MOST_TAKEN_BY {
            self.taken_by.remove(0);
        }
        self.taken_by.push(id.correlation().to_owned());
    }

    /// Ends it, if it can end.
    fn end(&mut self, by: GrantEnd, now: Timestamp) -> bool {
        let can_end = self.can_end_by(by, now);
        if can_end {
            self.ended = Some((now, by));
        }
        can_end
    }
}

impl Grants {
    /// The most that are kept for what reads the same, so that they fit into their row.
    pub const MOST: usize = 5;

    /// Adds a grant, in place of an earlier one for exactly the same. `voided` is what [`Grants::voided`] was before
    /// the approval with which it is given was stored; `tell` are the channels that get its events. Returns whether it
    /// stands: if not, nothing is to be stored.
    pub fn add(
        &mut self,
        signed: SignedGrant,
        voided: u64,
        tell: &[String],
        now: Timestamp,
    ) -> bool {
        // Its write may be repeated after a lost response, and must not take back uses.
        if let Some(held) = self.held.iter().find(|held| held.signed == signed) {
            return held.is_active(now);
        }
        if self.voided != voided {
            return false;
        }
        self.expire(now);
        let before = self.held.len();
        self.replace(&signed.grant.scope, now);
        // The others stay while there is room: for what they have approved, and for the operator's list.
        if self.held.len() >= Self::MOST && !self.make_room(now) {
            return false;
        }
        if self.held.len() < before {
            // None of those that made room is added again.
            self.voided += 1;
        }
        let grant = &signed.grant;
        if !tell.is_empty() {
            self.tell.insert(grant.id.clone(), tell.to_vec());
        }
        let given = StandingFact::GrantGiven(summary(grant, 0));
        self.outbox.push(given, true, tell, grant.given_at);
        self.held.push(HeldGrant {
            signed,
            used: 0,
            taken_by: Vec::new(),
            ended: None,
        });
        true
    }

    /// Removes the active grant for exactly this, which another one replaces. Returns whether there was one.
    pub fn replace(&mut self, scope: &GrantScope, now: Timestamp) -> bool {
        let is_replaced = |held: &mut HeldGrant| held.is_active_for(scope, now);
        let replaced: Vec<HeldGrant> = self.held.extract_if(.., is_replaced).collect();
        for held in &replaced {
            self.announce_end(held, GrantEnding::Replacement, now);
        }
        !replaced.is_empty()
    }

    /// Removes a grant that approves nothing more, if there is one; of several, one of which nothing can be claimed.
    /// Returns whether there was one.
    fn make_room(&mut self, now: Timestamp) -> bool {
        let over = self.held.iter().enumerate();
        let over = over.filter(|(_, held)| !held.is_active(now));
        let over = over.min_by_key(|(_, held)| held.can_end(now));
        let index = over.map(|(index, _)| index);
        index.map(|index| self.held.remove(index)).is_some()
    }

    /// Removes all grants but these, without a word to channels. None of them is added again. Returns whether there were
    /// others.
    pub fn keep_only(&mut self, is_meant: impl Fn(&SignedGrant) -> bool) -> bool {
        let removed = self.held.extract_if(.., |held| !is_meant(&held.signed));
        let removed: Vec<HeldGrant> = removed.collect();
        for held in &removed {
            self.tell.remove(&held.signed.grant.id);
        }
        self.voided += u64::from(!removed.is_empty());
        !removed.is_empty()
    }

    /// Takes one use of the grant for exactly this, if there is one that is active at `now` and `may_use` it. A request
    /// that took one, of which the insert may have failed or is under way, has it still: its id is stored once.
    pub fn take(
        &mut self,
        scope: &GrantScope,
        id: &ApprovalId,
        now: Timestamp,
        may_use: impl FnOnce(&SignedGrant) -> bool,
    ) -> Option<SignedGrant> {
        let index = self.index_for(scope, id, now)?;
        let held = &mut self.held[index];
        if !may_use(&held.signed) {
            return None;
        }
        let signed = held.signed.clone();
        if !held.has_use_of(id, scope, now) {
            held.take(id);
            let held = held.clone();
            if held.state(now) == GrantState::UsedUp {
                self.announce_end(&held, GrantEnding::Uses, now);
            }
        }
        Some(signed)
    }

    /// The grant of which this request has a use, or would take one.
    pub fn held_for(
        &self,
        scope: &GrantScope,
        id: &ApprovalId,
        now: Timestamp,
    ) -> Option<&HeldGrant> {
        self.index_for(scope, id, now)
            .map(|index| &self.held[index])
    }

    fn index_for(&self, scope: &GrantScope, id: &ApprovalId, now: Timestamp) -> Option<usize> {
        let mut held = self.held.iter();
        let has_use = held.position(|held| held.has_use_of(id, scope, now));
        let mut held = self.held.iter();
        has_use.or_else(|| held.position(|held| held.is_active_for(scope, now)))
    }

    /// Whether what a grant has approved is not to be claimed, since it was ended; `None` if it is not held here.
    pub fn has_ended(&self, id: &str) -> Option<bool> {
        let held = self.held.iter().find(|held| held.signed.grant.id == id)?;
        Some(held.ended.is_some())
    }

    /// Ends one grant. Returns whether there was something to end.
    pub fn end(&mut self, id: &str, by: GrantEnd, now: Timestamp) -> bool {
        self.end_where(by, now, |grant| grant.id == id)
    }

    /// Ends the grant that was given with a request, for its giver, who revoked that approval.
    pub fn end_given_with(&mut self, id: &ApprovalId, now: Timestamp) {
        self.end_where(GrantEnd::Giver, now, |grant| grant.given_with == *id);
    }

    /// Ends all grants that `is_meant`, and those that are about to be added.
    pub fn void(&mut self, by: GrantEnd, now: Timestamp, is_meant: impl Fn(&Grant) -> bool) {
        self.voided += 1;
        self.end_where(by, now, is_meant);
    }

    /// Announces the end of the grants whose time is over.
    pub fn expire(&mut self, now: Timestamp) {
        let expired = self.held.iter().filter(|held| self.has_expired(held, now));
        for held in expired.cloned().collect::<Vec<_>>() {
            self.announce_end(&held, GrantEnding::Time, held.signed.grant.until);
        }
    }

    /// Whether there is something to announce or to send.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.outbox.is_due(now) || self.held.iter().any(|held| self.has_expired(held, now))
    }

    /// Whether channels have yet to get that its time is over.
    fn has_expired(&self, held: &HeldGrant, now: Timestamp) -> bool {
        let is_awaited = self.tell.contains_key(&held.signed.grant.id);
        is_awaited && held.state(now) == GrantState::Expired
    }

    fn end_where(
        &mut self,
        by: GrantEnd,
        now: Timestamp,
        is_meant: impl Fn(&Grant) -> bool,
    ) -> bool {
        // One whose time is over ends for clocks that are behind, but that is no news.
        self.expire(now);
        let (mut any, mut news) = (false, Vec::new());
        let held = self.held.iter_mut();
        for held in held.filter(|held| is_meant(&held.signed.grant)) {
            let was_active = held.is_active(now);
            any |= held.end(by, now);
            if was_active {
                news.push(held.clone());
            }
        }
        for held in &news {
            self.announce_end(held, by.into(), now);
        }
        any
    }

    fn announce_end(&mut self, held: &HeldGrant, by: GrantEnding, at: Timestamp) {
        let grant = &held.signed.grant;
        let channels = self.tell.remove(&grant.id).unwrap_or_default();
        // The notice at the latest end is queued from the start.
        let concerns_giver = by != GrantEnding::Time;
        let ended = StandingFact::GrantEnded(summary(grant, held.used), by);
        self.outbox.push(ended, concerns_giver, &channels, at);
    }
}

/// What events say about a grant once it was used this often.
fn summary(grant: &Grant, used: u16) -> GrantSummary {
    GrantSummary {
        id: grant.id.clone(),
        agent: grant.scope.agent.clone(),
        action: grant.scope.action.clone(),
        given_with: grant.given_with.clone(),
        giver: grant.giver.clone(),
        uses: grant.uses,
        used,
        until: grant.until,
    }
}

impl From<GrantEnd> for GrantEnding {
    fn from(by: GrantEnd) -> Self {
        match by {
            GrantEnd::Giver => Self::Giver,
            GrantEnd::Operator => Self::Operator,
            GrantEnd::Rejection => Self::Rejection,
            GrantEnd::Pause => Self::Pause,
        }
    }
}
