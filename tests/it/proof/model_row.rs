//! A stored row in a model.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use human_oversight::domain::Approval;

/// A stored row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) approval: Arc<Approval>,
    pub(super) version: u8,
    /// The hash of the parts that transitions change, computed once.
    pub(super) fingerprint: u64,
}

impl Row {
    pub(super) fn of(approval: Approval, version: u8) -> Self {
        let mut hasher = DefaultHasher::new();
        let Approval {
            state,
            approvers,
            votes,
            late,
            history,
            ..
        } = &approval;
        format!("{state:?}{approvers:?}{votes:?}{late:?}{history:?}").hash(&mut hasher);
        Self {
            approval: Arc::new(approval),
            version,
            fingerprint: hasher.finish(),
        }
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        (self.version, self.fingerprint) == (other.version, other.fingerprint)
    }
}

impl Hash for Row {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.version, self.fingerprint).hash(hasher);
    }
}
