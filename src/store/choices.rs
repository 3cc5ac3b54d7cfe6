//! The rows of the table `decided…` by which a person's own decisions are found: one for each choice of a person, in
//! a partition of that person. A row has the id of the request and nothing else of it. Only the row of the request
//! says what the person chose, so these are not verified when they are read.

use std::collections::HashSet;

use futures_util::future::try_join_all;

use super::decided_row::row_key;
use super::error::StoreError;
use super::gate_id::RowVersion;
use super::handle::Store;
use super::row::{self, Columns, Keys};
use crate::domain::{Approval, Choice};
use crate::values::{Address, ApprovalId};

impl Store {
    /// Keeps choices that people made on a request; nothing where rows of version 1 are written. To keep one again
    /// changes nothing.
    ///
    /// # Errors
    /// The store's own.
    pub async fn keep_choices(
        &self,
        approval: &Approval,
        choices: &[Choice],
    ) -> Result<(), StoreError> {
        if self.rows.version != RowVersion::V2 {
            return Ok(());
        }
        let link_keys = self.link_keys()?;
        let keeping = choices.iter().map(|choice| {
            let address = &approval.approvers[choice.person].address;
            let keys = keys_of(&link_keys.person_hash(&address.name()), approval, choice);
            let mut columns = Columns::default();
            columns.set("PartitionKey", &keys.0);
            columns.set("RowKey", &keys.1);
            columns.set("OperationId", &row::operation_id());
            columns.set("Id", &approval.request.id.to_string());
            self.insert_decided(keys, columns)
        });
        try_join_all(keeping).await.map(drop)
    }

    /// The requests on which one of these people chose last, the newest first; one query for each hash.
    ///
    /// # Errors
    /// The store's own.
    pub async fn chosen_by(
        &self,
        people: &[Address],
        most: u8,
    ) -> Result<Vec<ApprovalId>, StoreError> {
        let link_keys = self.link_keys()?;
        let hashes = people.iter().flat_map(|it| link_keys.person_hashes(it));
        let partitions: HashSet<String> = hashes.map(|it| partition(&it)).collect();
        let listing = partitions
            .iter()
            .map(|partition| self.backend.list_decided_of(partition, most));
        let rows = try_join_all(listing).await?.into_iter().flatten();
        let found = rows.filter_map(|((_, row), columns)| {
            let id = columns.text("Id")?.parse().ok()?;
            Some((row, id))
        });
        let mut found: Vec<(String, ApprovalId)> = found.collect();
        found.sort();
        let mut seen = HashSet::new();
        found.retain(|(_, id)| seen.insert(id.clone()));
        let ids = found.into_iter().map(|(_, id)| id);
        Ok(ids.take(most.into()).collect())
    }

    /// Deletes the rows of the choices that people made on a request.
    pub(super) async fn delete_choices(&self, approval: &Approval) -> Result<(), StoreError> {
        let link_keys = self.link_keys()?;
        for choice in approval.choices() {
            let address = &approval.approvers[choice.person].address;
            for hash in link_keys.person_hashes(address) {
                let keys = keys_of(&hash, approval, &choice);
                self.backend.delete_decided(&keys).await?;
            }
        }
        Ok(())
    }
}

fn partition(hash: &str) -> String {
    format!("person-{hash}")
}

fn keys_of(hash: &str, approval: &Approval, choice: &Choice) -> Keys {
    (partition(hash), row_key(&approval.request.id, choice.at))
}
