//! Charging the limits of rules that approve, which the instances share: one sealed row per rule and owner,
//! replaced on condition that it has not changed.

use std::collections::BTreeMap;

use human_oversight_protocol::parameters::{hex, sha256};

use super::retries::Retries;
use super::state::App;
use crate::domain::LimitUsage;
use crate::policy::{Limit, LimitRefusal, RuleId};
use crate::store::{COLUMN_LIMIT, StandingKind, StandingRow, StoreError};
use crate::values::{Owner, Timestamp};

/// The column with the times of the uses that still count, in milliseconds since 1970; with more than a column holds,
/// the first of several, such as `Uses1`.
const USES: &str = "Uses";

/// Begins a text of many uses, in base 36 and in order, each but the first as the time since the one before. A gate
/// that does not know it takes the row for damaged and approves nothing.
const PACKED: char = '~';
const BASE: u32 = 36;

/// A use that was charged.
pub(super) struct LimitCharge {
    name: String,
    at: Timestamp,
}

impl App {
    /// Charges one use of a rule, which approves nothing without that.
    pub(super) async fn charge_limit(
        &self,
        rule: &RuleId,
        limit: Limit,
        owner: &Owner,
    ) -> Result<LimitCharge, LimitRefusal> {
        let account = self.account(owner);
        let name = hex(&sha256(format!("{rule}\n{account}").as_bytes()));
        let at = self.now();
        let charge = |usage: &mut LimitUsage| {
            let times = usize::try_from(limit.times).unwrap_or(usize::MAX);
            usage.charge(times, limit.per, at)
        };
        match self.change_limit(&name, at, charge).await {
            Ok(true) => Ok(LimitCharge { name, at }),
            Ok(false) => {
                tracing::info!(rule = rule.as_str(), "the limit of a rule is used up");
                Err(LimitRefusal::UsedUp)
            }
            Err(error) => {
                tracing::warn!(rule = rule.as_str(), cause = %error, "the limit of a rule cannot be charged");
                Err(LimitRefusal::Uncounted)
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
        let mut retries = Retries::new();
        loop {
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
                Err(error) => retries.wait_after(error).await?,
            }
        }
    }
}

fn encode(usage: &LimitUsage) -> BTreeMap<String, String> {
    let uses = usage.uses().iter();
    let uses: Vec<String> = uses.map(|at| format!("{:x}", at.unix_millis())).collect();
    let text = uses.join(",");
    if text.len() <= COLUMN_LIMIT {
        return BTreeMap::from([(USES.to_owned(), text)]);
    }
    let mut rest = pack(usage);
    let mut columns = BTreeMap::new();
    for number in 0.. {
        let next = rest.split_off(rest.len().min(COLUMN_LIMIT));
        columns.insert(column(number), rest);
        if next.is_empty() {
            break;
        }
        rest = next;
    }
    columns
}

fn decode(row: &StandingRow) -> Result<LimitUsage, StoreError> {
    let texts = (0..).map_while(|number| row.columns.get(&column(number)));
    let text: String = texts.map(String::as_str).collect();
    let uses = match text.strip_prefix(PACKED) {
        Some(gaps) => unpack(gaps),
        None => entries(&text, 16)
            .map(|millis| Timestamp::from_unix_millis(millis?))
            .collect(),
    };
    uses.map(LimitUsage::new)
        .ok_or_else(|| StoreError::damaged(USES))
}

fn column(number: usize) -> String {
    match number {
        0 => USES.to_owned(),
        number => format!("{USES}{number}"),
    }
}

fn entries(text: &str, base: u32) -> impl Iterator<Item = Option<i64>> {
    let entries = text.split(',').filter(|entry| !entry.is_empty());
    entries.map(move |entry| i64::from_str_radix(entry, base).ok())
}

fn pack(usage: &LimitUsage) -> String {
    let mut uses: Vec<i64> = usage.uses().iter().map(|at| at.unix_millis()).collect();
    uses.sort_unstable();
    let mut before = 0;
    let gaps = uses.into_iter().map(|at| {
        let gap = at - before;
        before = at;
        in_base(gap.unsigned_abs())
    });
    format!("{PACKED}{}", gaps.collect::<Vec<_>>().join(","))
}

fn unpack(gaps: &str) -> Option<Vec<Timestamp>> {
    let mut at = 0_i64;
    let uses = entries(gaps, BASE).map(|gap| {
        at = at.checked_add(gap?)?;
        Timestamp::from_unix_millis(at)
    });
    uses.collect()
}

fn in_base(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % u64::from(BASE)).unwrap_or_default();
        digits.extend(char::from_digit(digit, BASE));
        number /= u64::from(BASE);
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most uses of the longest period, whose gaps take as many digits as they can.
    #[test]
    fn the_most_uses_fit_in_a_row_of_azure_tables() {
        let now = 1_800_000_000_000;
        let mut at = now - 31 * 86_400_000;
        let mut uses = Vec::new();
        for number in 0..100_000 {
            at += if number % 9 < 5 { 46_656 } else { 1_296 };
            uses.extend(Timestamp::from_unix_millis(at));
        }
        assert!(at < now && uses.len() == 100_000);
        let usage = LimitUsage::new(uses);
        let columns = encode(&usage);
        assert!(columns.values().all(|text| text.len() <= COLUMN_LIMIT));
        // An entity has 1 MiB, in which a character takes two bytes.
        let size: usize = columns.values().map(|text| 2 * text.len()).sum();
        assert!(size < 950_000, "{size}");
        let row = StandingRow::new(StandingKind::Limit, "name", columns);
        assert_eq!(decode(&row).unwrap(), usage);
    }
}
