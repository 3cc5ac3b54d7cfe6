//! What the signed texts have in common.

use std::fmt;

use human_oversight_protocol::jws::Fault;
use human_oversight_protocol::receipt::Assurance;

use crate::domain;
use crate::values::Timestamp;

/// How a row contradicts what was signed: it was changed outside the gate. Votes are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    #[error("its receipt is {}", unproven(*.0))]
    ReceiptSignature(Fault),
    #[error("the stored request contradicts its receipt in {0}")]
    Receipt(Part),
    #[error("vote {0} is {why}", why = unproven(*.1))]
    VoteSignature(usize, Fault),
    #[error("vote {0} contradicts its signed record in {1}")]
    Vote(usize, Part),
    #[error("its revocation is {}", unproven(*.0))]
    RevocationSignature(Fault),
    #[error("the stored revocation contradicts its signed record")]
    Revocation,
    #[error("its permit is {}", unproven(*.0))]
    PermitSignature(Fault),
    #[error("the stored claim contradicts its permit")]
    Permit,
    #[error("the standing grant that it names is {}", unproven(*.0))]
    GrantSignature(Fault),
    #[error("the standing grant that it names is changed, or for something else")]
    Grant,
}

/// The part of a row that differs from what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    PolicyDigest,
    Plan,
    Votes,
    HandOvers,
    /// The request, or the decision or vote itself.
    Decision,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PolicyDigest => "the digest of the policy",
            Self::Plan => "the plan",
            Self::Votes => "the votes",
            Self::HandOvers => "the hand-overs",
            Self::Decision => "the request or what was decided",
        })
    }
}

impl Contradiction {
    /// The words for a standing grant itself, in place of a request that it approved.
    pub fn of_grant(self) -> String {
        match self {
            Self::GrantSignature(fault) => format!("a standing grant is {}", unproven(fault)),
            _ => "a standing grant contradicts its signed record".to_owned(),
        }
    }
}

fn unproven(fault: Fault) -> &'static str {
    match fault {
        Fault::Malformed | Fault::UnknownKey | Fault::BadSignature => {
            "not signed by a key of the gate"
        }
        Fault::RevokedKey => "signed with a receipt key that is revoked",
        Fault::KeyNotInForce => "dated outside the time of its key, by its nbf and exp",
    }
}

pub(super) fn assurance(assurance: domain::Assurance) -> Assurance {
    match assurance {
        domain::Assurance::Link => Assurance::Link,
        domain::Assurance::LinkOnly => Assurance::LinkOnly,
        domain::Assurance::Entra(_) => Assurance::Entra,
    }
}

/// When the person authenticated, in seconds since 1970.
pub(super) fn auth_time(assurance: domain::Assurance) -> Option<i64> {
    assurance.auth_time().map(Timestamp::unix_seconds)
}

pub(super) fn auth_context(assurance: domain::Assurance) -> Option<String> {
    assurance.auth_context().map(|context| context.to_string())
}

pub(super) fn object_id(assurance: domain::Assurance) -> Option<String> {
    assurance.object_id().map(|id| id.to_string())
}
