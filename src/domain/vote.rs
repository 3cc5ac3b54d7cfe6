//! The votes of the people who are asked.

use super::decision::{Assurance, Verdict, Words};
use crate::values::Timestamp;

/// The most characters of a comment with a question, and of one where votes are stored: all of a request fit in one
/// column.
pub const COMMENT_CHARS: usize = 2_000;
pub(super) const VOTE_COMMENT_CHARS: usize = 1_000;

/// The position of an ask in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub stage: usize,
    pub ask: usize,
}

/// What a person chose, not yet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// The index of the approver.
    pub person: usize,
    /// The ask for which it counts.
    pub place: Place,
    /// The seat in which it is cast: that of a person whom the plan names. It is not stored, since it follows from the
    /// votes before it.
    pub seat: usize,
    /// How the person was identified.
    pub assurance: Assurance,
    pub verdict: Verdict,
    pub words: Words,
    pub at: Timestamp,
}

impl Ballot {
    /// A vote without words, of a person who came by the link and has the code.
    pub(super) fn bare(
        person: usize,
        (place, seat): (Place, usize),
        verdict: Verdict,
        at: Timestamp,
    ) -> Self {
        Self {
            person,
            place,
            seat,
            assurance: Assurance::Link,
            verdict,
            words: Words::default(),
            at,
        }
    }

    /// The rejection that replaces an approval when its person revokes it.
    pub(super) fn revocation(&self, assurance: Assurance, at: Timestamp) -> Self {
        let position = (self.place, self.seat);
        Self {
            assurance,
            ..Self::bare(self.person, position, Verdict::Reject, at)
        }
    }

    /// Whether it is that rejection.
    pub(super) fn revokes(&self, earlier: &Self) -> bool {
        let revocation = earlier.revocation(self.assurance, self.at);
        earlier.verdict == Verdict::Approve && *self == revocation
    }

    /// Whether the agent gets any words of the person.
    pub(super) fn tells_agent(&self) -> bool {
        let by = Some(self.assurance);
        self.words.for_agent(by).is_some() || self.words.question_for_agent(by).is_some()
    }
}

/// A vote as stored: it is never changed or removed. The last one of a person counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    pub ballot: Ballot,
    /// The signed record, made in the same write.
    pub receipt: String,
}
