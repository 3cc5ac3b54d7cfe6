//! Charging the budgets of an owner, which the instances share: one sealed row per owner, replaced on
//! condition that it has not changed. Charges of this process that meet are written together.

use std::collections::BTreeMap;

use human_oversight_protocol::parameters::{hex, sha256};
use tokio::sync::oneshot;

use super::accounts::{Refused, Settlement};
use super::error::Error;
use super::retries::Retries;
use super::state::App;
use crate::domain::{Approver, Charge, Usage};
use crate::store::{StandingKind, StandingRow, StoreError};
use crate::values::{Owner, Timestamp};

const OWNER_FULL: &str = "OwnerFullTimestamp";
const RECIPIENTS: &str = "Recipients";
const POLICY_FULL: &str = "PolicyFullTimestamp";

impl App {
    /// Charges an owner, or nothing.
    pub(super) async fn charge(&self, owner: &Owner, charge: &Charge) -> Result<(), Refused> {
        self.settle(owner, charge, false).await
    }

    /// Takes back a charge for what was not done. A failure costs the owner some budget, and is logged.
    pub(super) async fn refund(&self, owner: &Owner, charge: &Charge) {
        if let Err(Refused::Unavailable(error)) = self.settle(owner, charge, true).await {
            let cause = error.cause();
            tracing::warn!(cause, "a charge could not be taken back");
        }
    }

    async fn settle(&self, owner: &Owner, charge: &Charge, is_refund: bool) -> Result<(), Refused> {
        let budgets = self.config.budgets;
        let is_limited = match charge {
            Charge::Emails(_) => budgets.owner.is_some() || budgets.recipient.is_some(),
            Charge::PolicyDecision => budgets.policy.is_some(),
        };
        if !is_limited {
            return Ok(());
        }
        let (reply, settled) = oneshot::channel();
        let owner = &self.account(owner);
        let account = self.accounts.get(owner);
        account.queue().push(Settlement {
            charge: charge.clone(),
            is_refund,
            reply,
        });
        // The call that holds the row writes the whole queue, perhaps with this charge.
        let mut row = account.row.lock().await;
        let batch = std::mem::take(&mut *account.queue());
        if !batch.is_empty() {
            self.write_batch(owner, &mut row, batch).await;
        }
        drop(row);
        settled.await.unwrap_or_else(|_| {
            let interrupted = Error::Unavailable("a charge was interrupted".to_owned());
            Err(Refused::Unavailable(interrupted))
        })
    }

    /// Writes a batch, and replies to each of its charges.
    async fn write_batch(
        &self,
        owner: &Owner,
        row: &mut Option<StandingRow>,
        batch: Vec<Settlement>,
    ) {
        let mut retries = Retries::new();
        let results = loop {
            let error = match self.try_batch(owner, row, &batch).await {
                Ok(results) => break results,
                Err(error) => error,
            };
            if let Err(error) = retries.wait_after(error).await {
                let refused = Refused::Unavailable(Error::without("the budgets", &error));
                break vec![Err(refused); batch.len()];
            }
        };
        for (settlement, result) in batch.into_iter().zip(results) {
            settlement.reply.send(result).ok();
        }
    }

    async fn try_batch(
        &self,
        owner: &Owner,
        last: &mut Option<StandingRow>,
        batch: &[Settlement],
    ) -> Result<Vec<Result<(), Refused>>, StoreError> {
        let now = self.now();
        let name = hex(&sha256(owner.to_string().as_bytes()));
        let is_fresh = last.is_none();
        // Taken, so that after any failure the row is read again.
        let row = match last.take() {
            None => self.store.standing(StandingKind::Budget, &name).await?,
            last => last,
        };
        let mut usage = row.as_ref().map_or_else(|| Ok(Usage::default()), decode)?;
        let before = usage.clone();
        let mut results = Vec::with_capacity(batch.len());
        for settlement in batch {
            results.push(self.apply_settlement(settlement, &mut usage, now));
        }
        if !is_fresh && results.iter().any(Result::is_err) {
            // Another instance may have taken a charge back.
            return Err(StoreError::Conflict);
        }
        if usage == before {
            *last = row;
            return Ok(results);
        }
        let columns = encode(&usage);
        let changed = match row {
            Some(mut row) => {
                row.columns = columns;
                row
            }
            None => StandingRow::new(StandingKind::Budget, &name, columns),
        };
        *last = Some(self.store.put_standing(changed, now).await?);
        Ok(results)
    }

    fn apply_settlement(
        &self,
        settlement: &Settlement,
        usage: &mut Usage,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let (charge, budgets) = (&settlement.charge, self.config.budgets);
        if settlement.is_refund {
            usage.refund(charge, budgets, now);
            return Ok(());
        }
        let charged = usage.charge(charge, budgets, now);
        charged.map_err(Refused::Exhausted)
    }
}

/// The charge for asking these people.
pub(super) fn emails_to(approvers: Vec<&Approver>) -> Charge {
    let names = approvers.into_iter().map(|approver| {
        let person = sha256(approver.address.name().as_bytes());
        hex(&person[..4])
    });
    Charge::Emails(names.collect())
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Exhausted(exhausted) => Self::Exhausted(exhausted),
            Refused::Unavailable(error) => error,
        }
    }
}

fn encode(usage: &Usage) -> BTreeMap<String, String> {
    let mut columns = BTreeMap::new();
    for (name, full_at) in [(OWNER_FULL, usage.owner), (POLICY_FULL, usage.policy)] {
        if let Some(full_at) = full_at {
            columns.insert(name.to_owned(), full_at.to_string());
        }
    }
    let recipients = usage.recipients.iter();
    let recipients =
        recipients.map(|(name, full_at)| format!("{name}:{:x}", full_at.unix_millis()));
    let recipients: Vec<_> = recipients.collect();
    columns.insert(RECIPIENTS.to_owned(), recipients.join(","));
    columns
}

fn decode(row: &StandingRow) -> Result<Usage, StoreError> {
    let full_at = |name: &str| {
        let text = row.columns.get(name);
        let full_at =
            text.map(|text| Timestamp::parse(text).ok_or_else(|| StoreError::damaged(name)));
        full_at.transpose()
    };
    let recipients = row.columns.get(RECIPIENTS).map_or("", String::as_str);
    let recipients = recipients.split(',').filter(|entry| !entry.is_empty());
    let recipients = recipients.map(|entry| {
        let (name, full_at) = entry.split_once(':')?;
        let full_at = i64::from_str_radix(full_at, 16).ok()?;
        Some((name.to_owned(), Timestamp::from_unix_millis(full_at)?))
    });
    Ok(Usage {
        owner: full_at(OWNER_FULL)?,
        policy: full_at(POLICY_FULL)?,
        recipients: recipients
            .collect::<Option<_>>()
            .ok_or_else(|| StoreError::damaged(RECIPIENTS))?,
    })
}
