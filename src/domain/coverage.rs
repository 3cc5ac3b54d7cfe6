//! What really happened, held against what was approved and claimed.
//!
//! Actions come one after another and are not kept once they are matched, so memory grows with the approvals alone. Each
//! approval covers one action.

use std::collections::HashMap;

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
    NeverExecuted {
        approval: String,
    },
}

/// How many there were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub matched: u64,
    pub never_approved: u64,
    pub other_parameters: u64,
    pub twice: u64,
    pub never_executed: u64,
}

/// The state of a comparison.
#[derive(Debug)]
pub struct Coverage {
    approvals: Vec<Slot>,
    by_content: HashMap<(String, Digest), Vec<usize>>,
    by_action: HashMap<String, Vec<usize>>,
    /// Actions that no approval covered, to be held against the approvals that are left.
    uncovered: Vec<Performed>,
    counts: Counts,
}

#[derive(Debug)]
struct Slot {
    approval: Claimed,
    /// The number of the action that it covers.
    covers: Option<u64>,
}

impl Coverage {
    /// The most actions without an approval that are named; the others are counted as never approved.
    pub const MOST_UNCOVERED: usize = 100_000;

    pub fn new(mut approvals: Vec<Claimed>) -> Self {
        // Of several that fit, the one that ends first is used first.
        approvals.sort_by_key(|it| it.until);
        let mut by_content: HashMap<_, Vec<_>> = HashMap::new();
        let mut by_action: HashMap<_, Vec<_>> = HashMap::new();
        for (index, it) in approvals.iter().enumerate() {
            let content = (it.action.clone(), it.parameters);
            by_content.entry(content).or_default().push(index);
            by_action.entry(it.action.clone()).or_default().push(index);
        }
        let slots = approvals.into_iter().map(|approval| Slot {
            approval,
            covers: None,
        });
        Self {
            approvals: slots.collect(),
            by_content,
            by_action,
            uncovered: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Takes the next action, in the order of time. Returns what is known to be wrong with it already.
    pub fn add(&mut self, performed: Performed) -> Option<Mismatch> {
        let content = (performed.action.clone(), performed.parameters);
        let fitting = self.by_content.get(&content).into_iter().flatten();
        let fitting = fitting.filter(|&&it| self.approvals[it].approval.covers(performed.at));
        let mut used = None;
        for &index in fitting {
            match self.approvals[index].covers {
                None => {
                    self.approvals[index].covers = Some(performed.number);
                    self.counts.matched += 1;
                    return None;
                }
                Some(first) => used = Some((index, first)),
            }
        }
        if let Some((index, first)) = used {
            self.counts.twice += 1;
            let approval = self.approvals[index].approval.id.clone();
            return Some(Mismatch::Twice {
                performed,
                approval,
                first,
            });
        }
        if self.uncovered.len() < Self::MOST_UNCOVERED {
            self.uncovered.push(performed);
        } else {
            self.counts.never_approved += 1;
        }
        None
    }

    /// Ends the comparison at `until`: the mismatches that were left open, and the counts of all.
    pub fn finish(mut self, until: Timestamp) -> (Vec<Mismatch>, Counts) {
        let mut mismatches = Vec::new();
        for performed in std::mem::take(&mut self.uncovered) {
            let same = self.by_action.get(&performed.action).into_iter().flatten();
            let mut same = same.copied().filter(|&it| {
                let slot = &self.approvals[it];
                slot.covers.is_none() && slot.approval.covers(performed.at)
            });
            match same.next() {
                None => {
                    self.counts.never_approved += 1;
                    mismatches.push(Mismatch::NeverApproved(performed));
                }
                Some(index) => {
                    self.counts.other_parameters += 1;
                    let slot = &mut self.approvals[index];
                    slot.covers = Some(performed.number);
                    let approval = slot.approval.id.clone();
                    mismatches.push(Mismatch::OtherParameters {
                        performed,
                        approval,
                    });
                }
            }
        }
        for slot in self.approvals {
            let is_over = slot.approval.until <= until;
            if slot.covers.is_none() && slot.approval.has_run && is_over {
                self.counts.never_executed += 1;
                let approval = slot.approval.id;
                mismatches.push(Mismatch::NeverExecuted { approval });
            }
        }
        (mismatches, self.counts)
    }
}

impl Claimed {
    fn covers(&self, at: Timestamp) -> bool {
        (self.from..=self.until).contains(&at)
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
