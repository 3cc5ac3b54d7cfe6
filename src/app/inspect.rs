//! What operators list, page by page: what is open, what is not sent, what cannot be trusted.

use human_oversight_protocol::types::KeySet;

use super::trust::{Distrust, check_request, check_standing};
use crate::domain::{Approval, Delivery, DeliveryState};
use crate::keys::{ReceiptKeys, receipt};
use crate::store::{Cursor, Store, StoreError, StoredRow};
use crate::values::Timestamp;
use crate::values::word::words;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// What waits for a decision or a claim.
    Open,
    /// Emails that were not accepted, or perhaps not.
    Unsent,
    /// Rows and due entries that cannot be trusted.
    Damaged,
}

/// A row, or a due entry, that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// `row`, `standing row`, `kept decision` or `due entry`.
    pub table: &'static str,
    /// Its keys; of a due entry their digest.
    pub row: String,
    pub cause: String,
}

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCursor {
    table: Table,
    cursor: Option<Cursor>,
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// The requests that are open, or of which an email [is not sent](is_unsent).
    pub requests: Vec<Approval>,
    pub damaged: Vec<DamagedRow>,
    /// Requests that cannot be read or trusted, in a listing that does not name them; each may belong there.
    pub unreadable: usize,
    /// `None` at the end.
    pub next: Option<TableCursor>,
}

words! {
    /// The tables, in the order in which they are read.
    enum Table {
        Requests = "requests",
        Standing = "standing",
        Decided = "decided",
        Due = "due",
    }
}

/// Reads one page. Without receipt keys, receipts are not checked.
///
/// # Errors
/// The store's own.
pub async fn inspect(
    store: &Store,
    keys: Option<&ReceiptKeys>,
    what: Inspection,
    from: Option<TableCursor>,
    now: Timestamp,
) -> Result<Inspected, StoreError> {
    let TableCursor { table, cursor } = from.unwrap_or_default();
    let keys = keys.map(ReceiptKeys::public);
    let mut found = Inspected::default();
    let next = match table {
        Table::Requests => {
            let (page, next) = store.all(cursor).await?;
            for row in page {
                found.add_request(row, what, keys, now);
            }
            next
        }
        Table::Standing => {
            let (page, next) = store.all_standing(cursor).await?;
            for row in page {
                found.add("standing row", &row.keys, check_standing(&row, keys));
            }
            next
        }
        Table::Decided => {
            let (page, next) = store.all_decided(cursor).await?;
            for row in page {
                let checked = row.checked.map_err(Distrust::from);
                found.add("kept decision", &row.keys, checked);
            }
            next
        }
        Table::Due => {
            let page = store.due(now, cursor).await?;
            let foreign = page.due.into_iter().filter_map(|due| due.id.err());
            found.damaged.extend(foreign.map(|row| DamagedRow {
                table: "due entry",
                row,
                cause: "it is not of the gate".to_owned(),
            }));
            page.next
        }
    };
    found.next = match next {
        Some(cursor) => Some(TableCursor {
            table,
            cursor: Some(cursor),
        }),
        None if what == Inspection::Damaged => table.next().map(TableCursor::beginning),
        None => None,
    };
    Ok(found)
}

/// Whether an email was tried and not accepted, or given up. A reminder that is not due yet was not tried.
pub fn is_unsent(delivery: &Delivery) -> bool {
    match delivery.state {
        DeliveryState::Queued(_) => delivery.fault.is_some(),
        DeliveryState::Sending(_) | DeliveryState::Failed(_) | DeliveryState::Unknown(_) => true,
        DeliveryState::Sent(_) | DeliveryState::Dropped(_) => false,
    }
}

fn has_unsent(approval: &Approval) -> bool {
    let mut deliveries = approval.approvers.iter().flat_map(|one| &one.deliveries);
    deliveries.any(is_unsent)
}

impl Inspected {
    /// Takes a row of the table of requests, if it is of what is listed.
    fn add_request(
        &mut self,
        row: StoredRow,
        what: Inspection,
        keys: Option<&KeySet>,
        now: Timestamp,
    ) {
        match (what, row.approval) {
            (Inspection::Open, Ok(approval)) if approval.is_open(now) => self.list(approval, keys),
            (Inspection::Unsent, Ok(approval)) if has_unsent(&approval) => {
                self.list(approval, keys)
            }
            (Inspection::Damaged, read) => {
                self.add("row", &row.keys, check_request(&read, keys));
            }
            (_, Ok(_) | Err(StoreError::Legacy)) => {}
            (_, Err(_)) => self.unreadable += 1,
        }
    }

    fn list(&mut self, approval: Approval, keys: Option<&KeySet>) {
        if keys.is_none_or(|keys| receipt::check(&approval, keys).is_ok()) {
            self.requests.push(approval);
        } else {
            self.unreadable += 1;
        }
    }

    fn add(
        &mut self,
        table: &'static str,
        (partition, row): &(String, String),
        checked: Result<(), Distrust>,
    ) {
        self.damaged.extend(checked.err().map(|cause| DamagedRow {
            table,
            row: format!("{partition}/{row}"),
            cause: cause.to_string(),
        }));
    }
}

impl TableCursor {
    fn beginning(table: Table) -> Self {
        Self {
            table,
            cursor: None,
        }
    }

    /// The cursor as a text, for [`TableCursor::decode`].
    pub fn encode(&self) -> String {
        let cursor = self.cursor.as_ref().map(Cursor::encode).unwrap_or_default();
        format!("{}:{cursor}", self.table.word())
    }

    /// `None` if it is no such cursor.
    pub fn decode(text: &str) -> Option<Self> {
        let (word, cursor) = text.split_once(':')?;
        let table = Table::from_word(word)?;
        Some(match cursor {
            "" => Self::beginning(table),
            cursor => Self {
                table,
                cursor: Some(Cursor::decode(cursor)?),
            },
        })
    }
}

impl Default for TableCursor {
    fn default() -> Self {
        Self::beginning(Table::Requests)
    }
}

impl Table {
    fn next(self) -> Option<Self> {
        let mut tables = Self::ALL.into_iter();
        tables.find(|table| *table == self)?;
        tables.next()
    }
}
