//! A person's decision, before and after it is signed.

use uuid::Uuid;

use super::word::words;
use crate::values::{Address, Timestamp};

words! {
    /// An approver's choice.
    pub enum Verdict {
        Approve,
        Reject,
    }
}

/// How an approver was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assurance {
    /// By the link token and the one-time code in their email.
    Link,
    /// By the link token alone, which the holder of a forwarded email has too: enough to reject, but not to
    /// speak to the agent.
    LinkOnly,
    /// By signing in with Microsoft Entra ID, as the member with this object id.
    Entra(Uuid),
}

impl Assurance {
    /// The word in stored rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Link => "Link",
            Self::LinkOnly => "LinkOnly",
            Self::Entra(_) => "Entra",
        }
    }

    /// The person's object id in Microsoft Entra ID.
    pub fn object_id(self) -> Option<Uuid> {
        match self {
            Self::Link | Self::LinkOnly => None,
            Self::Entra(object_id) => Some(object_id),
        }
    }
}

/// A final decision with its receipt, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The approver who decided.
    pub by: Address,
    /// How they were identified.
    pub assurance: Assurance,
    pub comment: Option<String>,
    pub at: Timestamp,
    /// The signed receipt, made in the same write.
    pub receipt: String,
}

impl Decision {
    /// The comment that the agent gets.
    pub fn comment_for_agent(&self) -> Option<&str> {
        self.comment
            .as_deref()
            .filter(|_| self.assurance != Assurance::LinkOnly)
    }
}

/// A decision that the rules allow, not yet signed and stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The approver who decides.
    pub by: Address,
    /// How they were identified.
    pub assurance: Assurance,
    pub comment: Option<String>,
    pub at: Timestamp,
    /// The deadline for claiming an approval; `None` for a rejection.
    pub run_by: Option<Timestamp>,
}

impl Proposal {
    /// The comment that the agent gets.
    pub fn comment_for_agent(&self) -> Option<&str> {
        self.comment
            .as_deref()
            .filter(|_| self.assurance != Assurance::LinkOnly)
    }

    pub fn verdict(&self) -> Verdict {
        if self.run_by.is_some() {
            Verdict::Approve
        } else {
            Verdict::Reject
        }
    }
}

/// A decision submitted after the deadline; it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateDecision {
    /// The approver who submitted it.
    pub by: Address,
    /// What they would have decided.
    pub verdict: Verdict,
    pub at: Timestamp,
}
