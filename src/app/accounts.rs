//! What this process knows of the owners that it has charged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::error::Error;
use crate::domain::{Charge, Exhausted};
use crate::store::StandingRow;
use crate::values::Owner;

/// The owners that this process has charged.
#[derive(Default)]
pub struct OwnerAccounts(Mutex<HashMap<Owner, Arc<Account>>>);

#[derive(Default)]
pub(super) struct Account {
    /// Charges that are not written yet.
    queue: Mutex<Vec<Settlement>>,
    /// The row as last read or written, held while a batch is written.
    pub(super) row: tokio::sync::Mutex<Option<StandingRow>>,
}

/// A charge that is made or taken back.
pub(super) struct Settlement {
    pub(super) charge: Charge,
    pub(super) is_refund: bool,
    pub(super) reply: oneshot::Sender<Result<(), Refused>>,
}

/// Why a charge was not made.
#[derive(Clone, Debug)]
pub(super) enum Refused {
    Exhausted(Exhausted),
    /// The budgets cannot be read, trusted or written.
    Unavailable(Error),
}

impl Account {
    pub(super) fn queue(&self) -> MutexGuard<'_, Vec<Settlement>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OwnerAccounts {
    pub(super) fn get(&self, owner: &Owner) -> Arc<Account> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.entry(owner.clone()).or_default().clone()
    }
}
