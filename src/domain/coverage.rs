//! What really happened, held against what was approved and claimed.
//!
//! Actions come one after another, in the order of time, and are not kept once it is known what they are, so memory grows
//! with the approvals alone. Each approval covers one action. Of several that fit an action, the one that ends first is
//! used; the time this takes grows with the logarithm of their number.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::approval::Approval;
use super::execution::Execution;
use super::history::EventKind;
use super::state::State;
use crate::values::{Digest, Timestamp};

/// An approval that an agent claimed, and the time in which its action can have run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The request's id.
    pub id: String,
    pub action: String,
    /// Of the parameters that are compared.
    pub parameters: Digest,
    pub from: Timestamp,
    pub until: Timestamp,
    /// Whether an action is missing if there is none: not where the agent reported that it failed.
    pub has_run: bool,
    /// Whether the actions that are compared cover its beginning.
    pub is_whole: bool,
}

/// An action that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performed {
    /// Its number in what was read, from 1.
    pub number: u64,
    /// What names it there.
    pub name: Option<String>,
    pub action: String,
    /// Of the parameters that are compared.
    pub parameters: Digest,
    pub at: Timestamp,
}

/// An action without an approval, or an approval without an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    NeverApproved(Performed),
    /// An approval of the same action in this time was for other parameters.
    OtherParameters {
        performed: Performed,
        approval: String,
    },
    /// The approval covers an earlier action.
    Twice {
        performed: Performed,
        approval: String,
        first: u64,
    },
    NeverExecuted(Claimed),
}

/// An approval without an action, which may be among actions that are not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// Its time began before that of the actions.
    BeganBefore(Claimed),
    /// Its time ends after that of the actions.
    NotOver(Claimed),
}

/// How many there were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub matched: u64,
    pub never_approved: u64,
    pub other_parameters: u64,
    pub twice: u64,
    pub never_executed: u64,
    /// Those of `never_approved` that were not compared with approvals for other parameters, since too many waited.
    pub not_compared: u64,
}

/// The state of a comparison.
#[derive(Debug)]
pub struct Coverage {
    /// In the order in which they begin.
    slots: Vec<Slot>,
    by_action: HashMap<String, Group>,
    /// Actions without an approval, by the time after which no other action can match what they are compared with.
    waiting: BTreeMap<(Timestamp, u64), Performed>,
    counts: Counts,
}

#[derive(Debug)]
struct Slot {
    approval: Claimed,
    is_used: bool,
    /// The latest end of this approval and of those of the same action that begin earlier.
    reach: Timestamp,
}

/// The approvals of an action.
#[derive(Debug, Default)]
struct Group {
    all: Queue,
    by_parameters: HashMap<Digest, Same>,
}

/// The approvals of an action with the same parameters.
#[derive(Debug, Default)]
struct Same {
    queue: Queue,
    /// The one that ends last of those that cover an action, and the number of that action.
    used: Option<(usize, u64)>,
}

/// Takes from approvals the one that fits a time and ends first. The times must not run backwards.
#[derive(Debug, Default)]
struct Queue {
    /// In the order in which they begin.
    slots: Vec<usize>,
    /// How many have begun.
    begun: usize,
    /// Those that have begun and may be open, by their ends; of those that end together, the last to begin comes first.
    open: BinaryHeap<(Reverse<Timestamp>, usize)>,
}

impl Coverage {
    /// The most actions without an approval that wait, which takes as long as approvals of the same action overlap.
    pub const MOST_WAITING: usize = 100_000;

    pub fn new(mut approvals: Vec<Claimed>) -> Self {
        // Of those with the same times, the last is used first: one whose agent did not report a failure.
        approvals.sort_by_key(|it| (it.from, it.has_run));
        let mut slots: Vec<Slot> = Vec::with_capacity(approvals.len());
        let mut by_action: HashMap<String, Group> = HashMap::new();
        for (index, approval) in approvals.into_iter().enumerate() {
            let group = by_action.entry(approval.action.clone()).or_default();
            let before = group.all.slots.last().map(|&it| slots[it].reach);
            group.all.slots.push(index);
            let same = group.by_parameters.entry(approval.parameters).or_default();
            same.queue.slots.push(index);
            slots.push(Slot {
                is_used: false,
                reach: before.map_or(approval.until, |it| it.max(approval.until)),
                approval,
            });
        }
        Self {
            slots,
            by_action,
            waiting: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// Takes an action that an earlier comparison judged: it uses its approval, and is counted nowhere.
    pub fn add_judged(&mut self, performed: &Performed) {
        self.cover(performed);
    }

    /// Takes the next action, in the order of time. Returns what is known to be wrong by now.
    pub fn add(&mut self, performed: Performed) -> Vec<Mismatch> {
        let mut found = self.compare_those_before(Some(performed.at));
        if self.cover(&performed) {
            self.counts.matched += 1;
            return found;
        }
        let Some(group) = self.by_action.get_mut(&performed.action) else {
            found.push(self.never_approved(performed));
            return found;
        };
        let same = group.by_parameters.get(&performed.parameters);
        if let Some((index, first)) = same.and_then(|same| same.used)
            && performed.at <= self.slots[index].approval.until
        {
            self.counts.twice += 1;
            let approval = self.slots[index].approval.id.clone();
            found.push(Mismatch::Twice {
                performed,
                approval,
                first,
            });
            return found;
        }
        match group.all.reach(performed.at, &self.slots) {
            Some(_) if self.waiting.len() >= Self::MOST_WAITING => {
                self.counts.not_compared += 1;
                found.push(self.never_approved(performed));
            }
            Some(reach) => {
                self.waiting.insert((reach, performed.number), performed);
            }
            None => found.push(self.never_approved(performed)),
        }
        found
    }

    /// How many actions matched so far.
    pub fn matched(&self) -> u64 {
        self.counts.matched
    }

    /// Ends the comparison at `until`: the mismatches that were left open, the approvals of which nothing is known, and
    /// the counts of all.
    pub fn finish(mut self, until: Timestamp) -> (Vec<Mismatch>, Vec<Unsettled>, Counts) {
        let mut mismatches = self.compare_those_before(None);
        let mut unsettled = Vec::new();
        for Slot {
            approval, is_used, ..
        } in self.slots
        {
            if is_used || !approval.has_run {
                continue;
            }
            if until < approval.until {
                unsettled.push(Unsettled::NotOver(approval));
            } else if !approval.is_whole {
                unsettled.push(Unsettled::BeganBefore(approval));
            } else {
                self.counts.never_executed += 1;
                mismatches.push(Mismatch::NeverExecuted(approval));
            }
        }
        (mismatches, unsettled, self.counts)
    }

    /// Uses the approval of exactly this action, if one is left.
    fn cover(&mut self, performed: &Performed) -> bool {
        let group = self.by_action.get_mut(&performed.action);
        let same = group.and_then(|it| it.by_parameters.get_mut(&performed.parameters));
        let Some(same) = same else {
            return false;
        };
        let Some(index) = same.queue.take(performed.at, &self.slots) else {
            return false;
        };
        let slot = &mut self.slots[index];
        slot.is_used = true;
        let until = slot.approval.until;
        let ends_last = |(it, _): (usize, u64)| self.slots[it].approval.until <= until;
        if same.used.is_none_or(ends_last) {
            same.used = Some((index, performed.number));
        }
        true
    }

    /// Compares the actions that wait, or those that need not wait longer than until `now`, with the approvals that are
    /// left.
    fn compare_those_before(&mut self, now: Option<Timestamp>) -> Vec<Mismatch> {
        let mut found = Vec::new();
        while let Some(entry) = self.waiting.first_entry() {
            if now.is_some_and(|now| now <= entry.key().0) {
                break;
            }
            let performed = entry.remove();
            let group = self.by_action.get_mut(&performed.action);
            let left = group.and_then(|it| it.all.take(performed.at, &self.slots));
            found.push(match left {
                None => self.never_approved(performed),
                Some(index) => {
                    self.counts.other_parameters += 1;
                    let slot = &mut self.slots[index];
                    slot.is_used = true;
                    let approval = slot.approval.id.clone();
                    Mismatch::OtherParameters {
                        performed,
                        approval,
                    }
                }
            });
        }
        found
    }

    fn never_approved(&mut self, performed: Performed) -> Mismatch {
        self.counts.never_approved += 1;
        Mismatch::NeverApproved(performed)
    }
}

impl Queue {
    fn take(&mut self, at: Timestamp, slots: &[Slot]) -> Option<usize> {
        while let Some(&index) = self.slots.get(self.begun) {
            let approval = &slots[index].approval;
            if at < approval.from {
                break;
            }
            self.open.push((Reverse(approval.until), index));
            self.begun += 1;
        }
        while let Some((Reverse(until), index)) = self.open.pop() {
            if at <= until && !slots[index].is_used {
                return Some(index);
            }
        }
        None
    }

    /// The latest end of the approvals that have begun at this time; `None` if none of them fits it.
    fn reach(&self, at: Timestamp, slots: &[Slot]) -> Option<Timestamp> {
        let begun = |&it: &usize| slots[it].approval.from <= at;
        let last = self.slots.partition_point(begun).checked_sub(1)?;
        let reach = slots[self.slots[last]].reach;
        (at <= reach).then_some(reach)
    }
}

impl Approval {
    /// When the agent claimed the approval, and the time by which the action had run or had to: that of the reported
    /// outcome, or else the end of the approval. `None` if it was not claimed.
    pub fn claimed_during(&self) -> Option<(Timestamp, Timestamp)> {
        let State::Approved {
            run_by, execution, ..
        } = &self.state
        else {
            return None;
        };
        let mut events = self.history.iter();
        let claimed = events.find(|event| event.what == EventKind::Claimed)?;
        let until = match execution {
            Execution::Executed { at, .. } | Execution::Failed { at, .. } => *at,
            _ => *run_by,
        };
        Some((claimed.at, until))
    }

    /// Whether the agent reported that the action failed.
    pub fn execution_failed(&self) -> bool {
        let State::Approved { execution, .. } = &self.state else {
            return false;
        };
        matches!(execution, Execution::Failed { .. })
    }
}
