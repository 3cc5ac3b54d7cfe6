//! Finding the pending requests that may ask a person, by the hashes in the entries of the due index.

use std::collections::BTreeSet;

use azure_core_legacy::Continuable;
use futures_util::future::try_join_all;
use serde_json::Value;

use super::client::{Tables, beginning_at, first_page};
use super::index::SHARDS;
use super::retry::{QUERY, with_retry};
use crate::store::entry::may_be_about;
use crate::store::error::StoreError;
use crate::values::{ApprovalId, Timestamp};

impl Tables {
    /// When each is due, and its id. One query for each shard, side by side, and one more for each further 1,000
    /// entries of a shard: the service has no index of people.
    pub(in crate::store) async fn pending_for(
        &self,
        hashes: &BTreeSet<String>,
    ) -> Result<Vec<(Timestamp, ApprovalId)>, StoreError> {
        let shards = SHARDS.map(|shard| self.pending_in(shard, hashes));
        Ok(try_join_all(shards).await?.concat())
    }

    async fn pending_in(
        &self,
        shard: &str,
        hashes: &BTreeSet<String>,
    ) -> Result<Vec<(Timestamp, ApprovalId)>, StoreError> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let (sent, _) = with_retry(QUERY, || {
                let query = self
                    .open
                    .query()
                    .filter(format!("PartitionKey eq '{shard}'"))
                    .select("PartitionKey,RowKey,Id,Due,People");
                first_page(beginning_at(query, from.as_ref()))
            })
            .await;
            let page = sent?;
            from = page.continuation();
            found.extend(page.entities.iter().filter_map(|entity| {
                let text = |name| entity.get(name).and_then(Value::as_str);
                let is_theirs = may_be_about(text("People"), hashes);
                // An entry that the gate did not write has no id; the sweep reports it.
                let id = text("Id").filter(|_| is_theirs)?.parse().ok()?;
                Some((Timestamp::parse(text("Due")?)?, id))
            }));
            if from.is_none() {
                return Ok(found);
            }
        }
    }
}
