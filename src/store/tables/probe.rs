//! Probes of the tables.

use azure_data_tables::IfMatchCondition;
use azure_data_tables::clients::TableClient;

use super::client::{Tables, entity, first_page};
use super::fault::Fault;
use super::retry::{POINT, with_retry};
use crate::store::error::StoreError;
use crate::store::table_state::{StoreProbe, TableState, probe_row};

/// No row has this version.
const NO_VERSION: &str = "W/\"datetime'2000-01-01T00%3A00%3A00.0000000Z'\"";

impl Tables {
    pub(in crate::store) async fn probe(&self) -> StoreProbe {
        let mut probe = StoreProbe { tables: Vec::new() };
        for (table, is_reported) in [
            (&self.approvals, true),
            (&self.open, false),
            (&self.standing, false),
            (&self.decided, true),
        ] {
            let state = match read(table).await {
                Err(fault) if fault.is_code("TableNotFound") => TableState::Missing,
                Err(fault) => TableState::Unreadable(fault.into()),
                Ok(()) => {
                    let written = if is_reported {
                        delete_nothing(table).await.map_err(StoreError::from)
                    } else {
                        self.write_and_delete(table).await
                    };
                    written.map_or_else(TableState::Unwritable, |()| TableState::Usable)
                }
            };
            probe.tables.push((table.table_name().to_owned(), state));
        }
        probe
    }

    pub(in crate::store) async fn try_reading(&self) -> Result<(), StoreError> {
        Ok(read(&self.approvals).await?)
    }

    async fn write_and_delete(&self, table: &TableClient) -> Result<(), StoreError> {
        let (keys, columns) = probe_row();
        let written = self.write(table, &keys, &columns, None).await;
        let etag = written.map_err(|failed| failed.error)?;
        self.delete_from(table, &keys, &etag).await
    }
}

/// Reads a row.
pub(super) async fn read(table: &TableClient) -> Result<(), Fault> {
    let read = || first_page(table.query().top(1_u32).select("RowKey"));
    with_retry(POINT, read).await.0.map(drop)
}

/// Deletes a row that does not exist: the service refuses that as not found only to those who may delete.
async fn delete_nothing(table: &TableClient) -> Result<(), Fault> {
    let ((partition, row), _) = probe_row();
    let client = entity(table, &partition, &row);
    let (sent, _) = with_retry(POINT, || {
        let condition = IfMatchCondition::Etag(NO_VERSION.to_owned().into());
        client.delete().if_match(condition).into_future()
    })
    .await;
    match sent {
        Err(fault) if fault.is_code("ResourceNotFound") || fault.is_status(412) => Ok(()),
        Err(fault) => Err(fault),
        Ok(_) => Ok(()),
    }
}
