//! Charging the limits of rules that approve, which the instances share: one sealed row per rule and owner,
//! replaced on condition that it has not changed.

use std::collections::BTreeMap;

use human_oversight_protocol::parameters::{hex, sha256};

use super::attempts::{MAX_WRITE_ATTEMPTS, back_off};
use super::state::App;
use crate::domain::LimitUsage;
use crate::policy::{Limit, RuleId};
use crate::store::{StandingKind, StandingRow, StoreError};
use crate::values::{Owner, Timestamp};

/// The column with the times of the uses that still count, in milliseconds since 1970.
const USES: &str = "Uses";

/// A use that was charged.
pub(super) struct LimitCharge {
    name: String,
    at: Timestamp,
}

impl App {
    /// Charges one use of a rule; `None` where its limit is used up, or cannot be read or written: then the
    /// rule approves nothing.
    pub(super) async fn charge_limit(
        &self,
        rule: &RuleId,
        limit: Limit,
        owner: &Owner,
    ) -> Option<LimitCharge> {
        let account = self.account(owner);
        let name = hex(&sha256(format!("{rule}\n{account}").as_bytes()));
        let at = self.now();
        let charge = |usage: &mut LimitUsage| {
            let times = usize::try_from(limit.times).unwrap_or(usize::MAX);
            usage.charge(times, limit.per, at)
        };
        match self.change_limit(&name, at, charge).await {
            Ok(true) => Some(LimitCharge { name, at }),
            Ok(false) => {
                tracing::info!(rule = rule.as_str(), "the limit of a rule is used up");
                None
            }
            Err(error) => {
                tracing::warn!(rule = rule.as_str(), cause = %error, "the limit of a rule cannot be charged");
                None
            }
        }
    }

    /// Takes back a charge, if there is one, for which nothing was approved. A failure costs the owner one use, and is
    /// logged.
    pub(super) async fn refund_limit(&self, charge: Option<LimitCharge>) {
        let Some(charge) = charge else { return };
        let refund = |usage: &mut LimitUsage| {
            usage.refund(charge.at);
            true
        };
        if let Err(error) = self.change_limit(&charge.name, self.now(), refund).await {
            tracing::warn!(cause = %error, "the use of a rule's limit could not be taken back");
        }
    }

    /// Writes the usage if `change` says so; returns what it said.
    async fn change_limit(
        &self,
        name: &str,
        now: Timestamp,
        change: impl Fn(&mut LimitUsage) -> bool,
    ) -> Result<bool, StoreError> {
        for attempt in 0..MAX_WRITE_ATTEMPTS {
            let row = self.store.standing(StandingKind::Limit, name).await?;
            let mut row =
                row.unwrap_or_else(|| StandingRow::new(StandingKind::Limit, name, BTreeMap::new()));
            let mut usage = decode(&row)?;
            if !change(&mut usage) {
                return Ok(false);
            }
            row.columns = encode(&usage);
            match self.store.put_standing(row, now).await {
                Ok(_) => return Ok(true),
                Err(StoreError::Conflict | StoreError::AlreadyExists) => back_off(attempt).await,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}

fn encode(usage: &LimitUsage) -> BTreeMap<String, String> {
    let uses = usage.uses().iter();
    let uses: Vec<String> = uses.map(|at| format!("{:x}", at.unix_millis())).collect();
    BTreeMap::from([(USES.to_owned(), uses.join(","))])
}

fn decode(row: &StandingRow) -> Result<LimitUsage, StoreError> {
    let uses = row.columns.get(USES).map_or("", String::as_str);
    let uses = uses.split(',').filter(|entry| !entry.is_empty());
    let uses = uses.map(|entry| {
        let millis = i64::from_str_radix(entry, 16).ok()?;
        Timestamp::from_unix_millis(millis)
    });
    let uses: Option<Vec<Timestamp>> = uses.collect();
    uses.map(LimitUsage::new)
        .ok_or_else(|| StoreError::Damaged(USES.to_owned()))
}
