//! The execution of an approved action, from the claim to the reported outcome.

use std::fmt;

use crate::values::{Address, Timestamp};

/// A claim that was granted, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name of the claim, chosen by the agent.
    pub nonce: String,
    /// The signed answer. Claims that were granted with rows of version 1 have none.
    pub permit: Option<String>,
}

/// The execution of an approved action. `Executed` and `Failed` are what the agent reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// Not claimed yet.
    Awaited,
    /// Claimed; the action is running.
    Executing { at: Timestamp, claim: Claim },
    /// Reported as successful.
    Executed { at: Timestamp, claim: Claim },
    /// Reported as failed.
    Failed {
        at: Timestamp,
        claim: Claim,
        error: Option<String>,
    },
    /// No outcome was reported in time.
    Unknown { at: Timestamp, claim: Claim },
    /// Not claimed in time.
    Lapsed { at: Timestamp },
    /// Revoked before it was claimed.
    Revoked {
        at: Timestamp,
        revocation: Revocation,
    },
}

/// The revocation of an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub by: Revoker,
    /// The signed record, made in the same write.
    pub proof: String,
}

/// Who revoked an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoker {
    /// The approver who had given it.
    Approver(Address),
    /// The operator.
    Operator,
}

impl Revoker {
    /// The address of the approver, if one did.
    pub(super) fn approver(&self) -> Option<&Address> {
        match self {
            Self::Approver(address) => Some(address),
            Self::Operator => None,
        }
    }

    /// Parses the text that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "operator" => Some(Self::Operator),
            address => Address::from_known(address).map(Self::Approver),
        }
    }
}

impl fmt::Display for Revoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approver(address) => address.fmt(f),
            Self::Operator => f.write_str("operator"),
        }
    }
}

impl Execution {
    /// The claim that was granted, if one was.
    pub(super) fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Executing { claim, .. }
            | Self::Executed { claim, .. }
            | Self::Failed { claim, .. }
            | Self::Unknown { claim, .. } => Some(claim),
            Self::Awaited | Self::Lapsed { .. } | Self::Revoked { .. } => None,
        }
    }

    /// The word in rows and responses; `None` until the approval is claimed or lapses.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Awaited => None,
            Self::Executing { .. } => Some("Executing"),
            Self::Executed { .. } => Some("Executed"),
            Self::Failed { .. } => Some("ExecutionFailed"),
            Self::Unknown { .. } => Some("ExecutionUnknown"),
            Self::Lapsed { .. } => Some("Lapsed"),
            Self::Revoked { .. } => Some("Revoked"),
        }
    }
}
