//! Finding the pending requests that may ask a person.

use std::collections::HashSet;

use super::backend::Backend;
use super::error::StoreError;
use super::handle::Store;
use crate::values::{Address, ApprovalId};

impl Store {
    /// The pending requests that may ask one of these people, now or later, in the order in which they are due. Only
    /// the row of a request says whether it asks them.
    ///
    /// # Errors
    /// The store's own.
    pub async fn pending_for(&self, people: &[Address]) -> Result<Vec<ApprovalId>, StoreError> {
        let mut found = match &self.backend {
            Backend::Embedded(embedded) => embedded.pending_for(people)?,
            Backend::Tables(tables) => {
                let keys = self.link_keys()?;
                let hashes = people.iter().flat_map(|it| keys.person_hashes(it));
                tables.pending_for(&hashes.collect()).await?
            }
        };
        found.sort_by_key(|(due, _)| *due);
        // A request can have an orphaned entry, too.
        let mut seen = HashSet::new();
        found.retain(|(_, id)| seen.insert(id.clone()));
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }
}
