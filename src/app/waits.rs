//! Limits the calls of one caller that wait for a decision, so that no caller takes the connections of others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::Error;
use crate::values::Owner;

/// The maximum number of calls of one caller that wait at the same time, in each process.
const MAX_WAITS: usize = 100;

/// The number of waiting calls of each caller that has one.
#[derive(Default)]
pub struct Waits(Mutex<HashMap<Owner, usize>>);

/// The place of one call; dropping it frees the place.
pub struct Wait {
    waits: Arc<Waits>,
    caller: Owner,
}

impl Waits {
    /// Takes a place for a call of this caller.
    ///
    /// # Errors
    /// When the caller has [`MAX_WAITS`] already.
    pub(super) fn begin(self: &Arc<Self>, caller: Owner) -> Result<Wait, Error> {
        let mut counts = self.counts();
        let count = counts.entry(caller.clone()).or_default();
        if *count >= MAX_WAITS {
            return Err(Error::TooManyWaits(MAX_WAITS));
        }
        *count += 1;
        drop(counts);
        Ok(Wait {
            waits: self.clone(),
            caller,
        })
    }

    /// The number of calls that wait.
    pub fn count(&self) -> usize {
        self.counts().values().sum()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Owner, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut counts = self.waits.counts();
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}
