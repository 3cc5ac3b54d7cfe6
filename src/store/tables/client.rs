//! The clients of the tables, and what their operations share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use azure_core_legacy::{RetryOptions, TransportOptions};
use azure_data_tables::clients::{EntityClient, TableClient, TableServiceClientBuilder};
use azure_data_tables::operations::{QueryEntityBuilder, QueryEntityResponse};
use azure_storage::CloudLocation;
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::account::Account;
use super::corrections::Corrections;
use super::fault::Fault;
use super::retry::{POINT, with_retry};
use super::service_clock::ServiceClock;
use super::sign_in;
use super::transport::{Transport, Wire};
use crate::keys::LinkKeys;
use crate::store::clock_difference::ClockDifference;
use crate::store::error::StoreError;
use crate::store::row::{Columns, Keys};
use crate::store::versioned::ETag;
use crate::values::Clock;

pub(in crate::store) struct Tables {
    pub(super) approvals: TableClient,
    pub(super) open: TableClient,
    pub(super) standing: TableClient,
    pub(super) decided: TableClient,
    /// Hash the people of an index entry; without keys, entries name none.
    pub(super) keys: Option<Arc<LinkKeys>>,
    pub(super) corrections: Corrections,
    /// Whether this process has seen the tables.
    pub(super) has_tables: AtomicBool,
    service_clock: Arc<ServiceClock>,
}

impl Tables {
    pub(in crate::store) fn new(
        account: &Account,
        [table, standing, decided]: [&str; 3],
        wire: Arc<dyn Wire>,
        clock: Clock,
        keys: Option<Arc<LinkKeys>>,
    ) -> Self {
        let credentials = sign_in::credentials(&account.sign_in, clock);
        let location = CloudLocation::Custom {
            // Unused with a custom endpoint.
            account: String::new(),
            uri: account.endpoint.clone(),
        };
        let service_clock = Arc::new(ServiceClock::default());
        let transport = Transport {
            wire,
            service_clock: service_clock.clone(),
        };
        let service = TableServiceClientBuilder::with_location(location, credentials)
            .transport(TransportOptions::new(Arc::new(transport)))
            .retry(RetryOptions::none())
            .build();
        Self {
            approvals: service.table_client(table),
            open: service.table_client(format!("open{table}")),
            standing: service.table_client(standing),
            decided: service.table_client(decided),
            keys,
            corrections: Corrections::default(),
            has_tables: AtomicBool::new(false),
            service_clock,
        }
    }

    /// The difference of the clocks by the service's last answer.
    pub(in crate::store) fn clock_difference(&self) -> Option<ClockDifference> {
        self.service_clock.difference()
    }
}

/// Why a write failed; with an unknown outcome it may have taken effect.
pub(super) struct WriteError {
    pub(super) error: StoreError,
    pub(super) outcome_known: bool,
}

/// Maps the refusal of a write.
pub(super) fn refusal(fault: Fault, expected: Option<&ETag>) -> StoreError {
    match expected {
        None if fault.is_code("EntityAlreadyExists") => StoreError::AlreadyExists,
        Some(_) if fault.is_status(412) || fault.is_code("ResourceNotFound") => {
            StoreError::Conflict
        }
        _ => fault.into(),
    }
}

/// Reads a row of any content.
pub(super) async fn get(
    table: &TableClient,
    keys: &Keys,
) -> Result<Option<(Columns, ETag)>, StoreError> {
    Ok(find(table, keys).await?)
}

/// As [`get`], with the service's answer where it fails.
pub(super) async fn find(
    table: &TableClient,
    (partition, row): &Keys,
) -> Result<Option<(Columns, ETag)>, Fault> {
    let client = entity(table, partition, row);
    let (sent, _) = with_retry(POINT, || client.get::<Map<String, Value>>().into_future()).await;
    match sent {
        Ok(found) => {
            let etag = ETag(found.etag.to_string());
            Ok(Some((Columns::from_entity(found.entity), etag)))
        }
        Err(fault) if fault.is_code("ResourceNotFound") => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// A query that continues after a position.
pub(super) fn beginning_at(
    query: QueryEntityBuilder,
    keys: Option<&(String, Option<String>)>,
) -> QueryEntityBuilder {
    match keys.cloned() {
        None => query,
        Some((partition, None)) => query.initial_partition_key(partition),
        Some((partition, Some(row))) => query.initial_partition_key(partition).initial_row_key(row),
    }
}

/// The next page of a query. The future does not borrow it.
pub(super) fn first_page(
    query: QueryEntityBuilder,
) -> impl Future<Output = azure_core_legacy::Result<QueryEntityResponse<Map<String, Value>>>> {
    let mut pages = query.into_stream();
    async move { pages.next().await.expect("there is one page at least") }
}

/// The crate does not escape keys; keys of the gate need no escaping.
pub(super) fn entity(table: &TableClient, partition: &str, row: &str) -> EntityClient {
    table.partition_key_client(partition).entity_client(row)
}
