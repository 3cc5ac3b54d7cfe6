//! Precedent: what people decided earlier on the same action of the same agent, and what is new or out of range among a
//! request's parameters. Evidence for an approver; it decides nothing. What the policy or a standing grant decides does
//! not count: an agent could make anything familiar with it, or crowd out what people decided.

mod compare;
mod finding;
mod past;
mod scalars;

use super::decision::Verdict;
use compare::compare;
pub use finding::{Deviation, Finding, Part};
pub use past::{PastDecision, PastValues};
pub use scalars::{Range, Scalars};

/// What earlier decisions say about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precedent {
    /// The earlier decisions, newest first, up to a number of [`Precedent::MOST`].
    pub past: Vec<PastDecision>,
    /// The number of those that are approvals: the request is compared with these alone, so that an agent makes nothing
    /// familiar by what is rejected.
    pub approvals: usize,
    pub findings: Vec<Finding>,
    /// Whether every parameter and the person on whose behalf the agent acts were compared, and nothing stands out.
    pub is_familiar: bool,
}

impl Precedent {
    /// The most earlier decisions that are read for a request.
    pub const MOST: u8 = 50;

    /// The most earlier decisions that are shown.
    pub const SHOWN: usize = 5;

    /// Compares a request with the approvals among the earlier decisions, newest first.
    pub fn new(present: &Scalars, past: Vec<PastDecision>) -> Self {
        let approvals = past.iter().filter(|it| it.verdict == Verdict::Approve);
        let approvals: Vec<&PastDecision> = approvals.collect();
        let mut findings = compare(present, &approvals);
        findings.sort_by_key(|finding| finding.what.is_usual());
        let is_familiar = approvals.iter().any(|it| it.on_behalf_of.is_some())
            && !present.is_partial
            && !approvals.iter().any(|it| it.is_cut)
            && findings.iter().all(|it| it.what.is_usual());
        Self {
            approvals: approvals.len(),
            findings,
            is_familiar,
            past,
        }
    }
}

#[cfg(test)]
mod tests;
