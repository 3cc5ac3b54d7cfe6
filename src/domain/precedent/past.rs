//! The decision on an earlier request, as a later one is compared with it.

use std::collections::BTreeMap;

use super::scalars::Range;
use crate::domain::decision::Verdict;
use crate::values::Timestamp;

/// The decision of a person on an earlier request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDecision {
    pub verdict: Verdict,
    pub at: Timestamp,
    /// Whether what was asked is exactly what is asked now, on behalf of the same person.
    pub is_same: bool,
    /// Whether the reader was among those who were asked then. Only they see its numbers.
    pub reader_was_asked: bool,
    /// By pointer.
    pub values: BTreeMap<String, PastValues>,
    pub numbers: BTreeMap<String, Range>,
    /// How many items the lists had. Of this and the two that follow nothing is known of a decision that an earlier
    /// version kept.
    pub lengths: Option<BTreeMap<String, Range>>,
    /// The pointers of the values under names that suggest a secret.
    pub secrets: Option<PastValues>,
    /// The person on whose behalf the agent acted; one value also where there was no person.
    pub on_behalf_of: Option<PastValues>,
    /// Whether parameters were left out, because there were too many.
    pub is_cut: bool,
}

/// The values that an earlier request had at a pointer, each once and in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastValues {
    pub hashes: Vec<String>,
    /// Those of the present request's values that it had too.
    pub shared: Vec<String>,
    /// The hashes of those that the present request has not.
    pub missing: Vec<String>,
}

impl PastDecision {
    pub(super) fn has(&self, pointer: &str) -> bool {
        self.values.contains_key(pointer) || self.numbers.contains_key(pointer)
    }

    /// Whether it is known what it had at a pointer, if anything.
    pub(super) fn is_known(&self, pointer: &str) -> bool {
        !self.is_cut || self.has(pointer)
    }
}
