//! A standing grant: an approver allows an agent exactly the same again, until a time and a number of times.

use std::time::Duration;

use super::assurance::Assurance;
use super::request::Request;
use crate::values::word::words;
use crate::values::{Address, ApprovalId, Digest, Owner, Timestamp};

/// What a plan allows a standing grant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantTerms {
    /// The longest time from the approval to the end of the grant.
    pub longest: Duration,
    /// The digest of the rules that allow it: other rules void it.
    pub rules: Digest,
}

/// The grant that an approver wants to give with an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantWish {
    /// The time from the approval to the end of the grant.
    pub lasts: Duration,
    pub uses: u32,
}

/// What a grant is for: it approves a request that has exactly the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantScope {
    pub owner: Owner,
    pub agent: String,
    pub action: String,
    /// The digest of the parameters.
    pub digest: Digest,
    pub on_behalf_of: Option<Address>,
}

/// A standing grant, not yet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: String,
    pub scope: GrantScope,
    /// The digest of the rules that allow it.
    pub rules: Digest,
    /// The most requests that it approves.
    pub uses: u16,
    pub given_at: Timestamp,
    /// From this moment on it approves nothing.
    pub until: Timestamp,
    /// The approver who gave it.
    pub giver: Address,
    /// How they were identified.
    pub assurance: Assurance,
    /// The request with whose approval it was given.
    pub given_with: ApprovalId,
}

/// A grant with the signed record of it. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedGrant {
    pub grant: Grant,
    /// The signed record.
    pub proof: String,
}

words! {
    /// What ended a grant before its time.
    pub enum GrantEnd {
        /// Its giver revoked it.
        Giver = "giver",
        Operator = "operator",
        /// An approver rejected what reads the same, or revoked the approval of it.
        Rejection = "rejection",
        /// The operator paused what it covers.
        Pause = "pause",
    }
}

impl GrantTerms {
    /// The most uses of a grant.
    pub const MOST_USES: u16 = 1_000;

    /// The uses that are offered.
    pub const DEFAULT_USES: u32 = 10;

    /// Whether an approver may give such a grant. One that is too large is refused, never cut.
    pub fn allows(&self, wish: GrantWish) -> bool {
        let lasts = Duration::from_secs(1)..=self.longest;
        lasts.contains(&wish.lasts) && (1..=u32::from(Self::MOST_USES)).contains(&wish.uses)
    }
}

impl GrantScope {
    /// The scope of a request; `None` if it was stored without an owner.
    pub fn of(request: &Request) -> Option<Self> {
        Some(Self {
            owner: request.owner.clone()?,
            agent: request.id.agent().to_owned(),
            action: request.action.clone(),
            digest: request.parameters.digest,
            on_behalf_of: request.on_behalf_of.clone(),
        })
    }
}
