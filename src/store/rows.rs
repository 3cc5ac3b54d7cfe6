//! Reading and writing rows.

use std::time::Duration;

use super::announcement::Announcement;
use super::backend::Backend;
use super::embedded::Condition;
use super::entry::IndexEntry;
use super::error::StoreError;
use super::gate_id::{OpenedBy, RowVersion};
use super::handle::Store;
use super::listing::{Cursor, Due, DuePage, StoredRow};
use super::row::{self, Columns, Format};
use super::unverified::ReadError;
use super::versioned::{ETag, Reserved, Versioned};
use crate::domain::{Approval, Status};
use crate::values::{ApprovalId, Timestamp};

/// The limits of the time after which a row of the tables is read again.
const SOONEST_REREAD: Duration = Duration::from_secs(1);
const LATEST_REREAD: Duration = Duration::from_secs(8);

impl Store {
    /// Prepares the store, once, and finds out whether it is usable. Only calls that read the standing table
    /// wait for it. A gate creates what is missing; for a command nothing is created.
    ///
    /// # Errors
    /// [`StoreError::GateId`] if it belongs to another gate, or the store's own. Then the next call tries
    /// again.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let preparing = self.prepared.get_or_try_init(|| self.prepare_tables());
        preparing.await.copied()
    }

    async fn prepare_tables(&self) -> Result<(), StoreError> {
        let is_command = self.rows.opened_by == OpenedBy::Command;
        match &self.backend {
            // The file is created at its first use.
            Backend::Embedded(embedded) if !embedded.exists() => return Ok(()),
            Backend::Tables(tables) if !is_command => tables.prepare().await?,
            Backend::Embedded(embedded) if !is_command => embedded.prepare()?,
            Backend::Embedded(_) | Backend::Tables(_) => {}
        }
        match self.keys {
            None => Ok(()),
            Some(_) if is_command => self.ensure_gate_id_is_kept().await,
            Some(_) => self.prepare_gate_id().await,
        }
    }

    /// Inserts a row; the sweep processes it when it is `due`.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] or [`StoreError::OpenLimit`] (in no fixed
    /// order), or the store's own.
    pub async fn insert(
        &self,
        approval: Approval,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        self.insert_in(self.rows.version, approval, due).await
    }

    pub(super) async fn insert_in(
        &self,
        version: RowVersion,
        approval: Approval,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        let reserved = self.reserve_in(version, approval, due).await?;
        self.insert_reserved(reserved).await
    }

    /// Makes a row ready to be inserted. In tables that writes its index entry and counts the open requests: nothing
    /// that can be seen, so that it may run side by side with what the insert depends on.
    ///
    /// # Errors
    /// [`StoreError::OpenLimit`], or the store's own.
    pub async fn reserve(
        &self,
        approval: Approval,
        due: Option<Timestamp>,
    ) -> Result<Reserved, StoreError> {
        self.reserve_in(self.rows.version, approval, due).await
    }

    async fn reserve_in(
        &self,
        version: RowVersion,
        approval: Approval,
        due: Option<Timestamp>,
    ) -> Result<Reserved, StoreError> {
        let row = self.seal(version, &approval, due, &[], 1).await?;
        if let Backend::Tables(tables) = &self.backend {
            let id = &approval.request.id;
            tables.reserve(id, &row, self.open_limit(&approval)).await?;
        }
        Ok(Reserved { approval, row })
    }

    /// Inserts a row that was made ready.
    ///
    /// # Errors
    /// As [`Store::insert`].
    pub async fn insert_reserved(&self, reserved: Reserved) -> Result<Versioned, StoreError> {
        let Reserved { approval, row } = reserved;
        let entry = row.entry.clone();
        let etag = match &self.backend {
            Backend::Embedded(embedded) => {
                let open_limit = self.open_limit(&approval);
                embedded.write(row, Condition::New { open_limit }).await?
            }
            Backend::Tables(tables) => tables.insert(row).await?,
        };
        Ok(Versioned {
            approval,
            etag,
            entry,
            revision: 1,
        })
    }

    /// Ends a reservation whose row is not inserted.
    pub async fn release(&self, reserved: &Reserved) {
        if let Backend::Tables(tables) = &self.backend {
            tables.release(&reserved.row).await;
        }
    }

    /// What is decided already, as by the policy, waits for no person.
    fn open_limit(&self, approval: &Approval) -> Option<usize> {
        let is_pending = approval.state.status() == Status::Pending;
        is_pending.then_some(self.open_limit)
    }

    /// Waits until the corrections of the due index that are under way have ended. No call waits for them; one that
    /// is lost costs the sweep a read.
    pub async fn settle(&self) {
        if let Backend::Tables(tables) = &self.backend {
            tables.settle().await;
        }
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the store's own.
    pub async fn get(&self, id: &ApprovalId) -> Result<Versioned, StoreError> {
        self.read(id).await.map_err(|unread| unread.error)
    }

    /// Reads a row for a caller who may not be allowed to know of it.
    ///
    /// # Errors
    /// As [`Store::get`], with what the row says about its owner and approvers.
    pub async fn read(&self, id: &ApprovalId) -> Result<Versioned, ReadError> {
        let keys = row::keys(id);
        let found = match &self.backend {
            Backend::Embedded(embedded) => embedded.get(&keys),
            Backend::Tables(tables) => tables.get(&keys).await,
        };
        let (columns, etag) = match found {
            // There is a row, of which nothing can be read.
            Err(error @ StoreError::Damaged(_)) => {
                let row = Some(Box::default());
                return Err(ReadError { error, row });
            }
            found => found?,
        };
        let stored = row::unverified_columns(&columns);
        let read = self.versioned(columns, etag, id).await;
        read.map_err(|error| ReadError {
            error,
            row: Some(Box::new(row::unverified(stored))),
        })
    }

    async fn versioned(
        &self,
        columns: Columns,
        etag: ETag,
        id: &ApprovalId,
    ) -> Result<Versioned, StoreError> {
        let entry = match &self.backend {
            Backend::Embedded(_) => None,
            Backend::Tables(_) => IndexEntry::from_columns(&columns)?,
        };
        let (approval, revision) = self.verify_and_decode(columns, id).await?;
        Ok(Versioned {
            approval,
            etag,
            entry,
            revision,
        })
    }

    /// Writes the index entry of a decision that may follow, in tables: side by side with the read of its row, so that
    /// the decision does not wait for it. The caller may not be an approver: the entry decides nothing and, until a row
    /// names it, costs the sweep one read.
    pub async fn announce_decision(&self, id: &ApprovalId, at: Timestamp) -> Option<Announcement> {
        let Backend::Tables(tables) = &self.backend else {
            return None;
        };
        let entry = IndexEntry::of_decision(id, at, &row::operation_id());
        let announcement = Announcement::new(tables.clone(), entry);
        let written = tables.insert_entry(id, &announcement.entry).await;
        written.is_ok().then_some(announcement)
    }

    /// Replaces a row, if it is unchanged since it was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn replace(
        &self,
        row: Versioned,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        self.replace_announced(row, due, None).await
    }

    /// As [`Store::replace`], for a row whose decision may be announced.
    ///
    /// # Errors
    /// As [`Store::replace`].
    pub async fn replace_announced(
        &self,
        row: Versioned,
        due: Option<Timestamp>,
        announcement: Option<Announcement>,
    ) -> Result<Versioned, StoreError> {
        let Versioned {
            approval,
            etag,
            entry: was,
            revision,
        } = row;
        let revision = revision.saturating_add(1);
        let version = self.rows.version;
        let announced = announcement.as_ref().map(|it| &it.entry);
        let known: Vec<&IndexEntry> = announced.into_iter().chain(was.as_ref()).collect();
        let row = self.seal(version, &approval, due, &known, revision).await?;
        let entry = row.entry.clone();
        let names = |it: &Announcement| {
            entry
                .as_ref()
                .is_some_and(|named| named.key == it.entry.key)
        };
        let taken_over = announcement.filter(names).map(Announcement::take_over);
        let etag = match &self.backend {
            Backend::Embedded(embedded) => {
                embedded.write(row, Condition::Is(etag.version()?)).await?
            }
            Backend::Tables(tables) => {
                let id = &approval.request.id;
                let is_announced = taken_over.is_some();
                tables.replace(id, row, (&etag, was), is_announced).await?
            }
        };
        Ok(Versioned {
            approval,
            etag,
            entry,
            revision,
        })
    }

    /// A page of what is due at `now`, longest due first, after a position.
    ///
    /// # Errors
    /// The store's own.
    pub async fn due(&self, now: Timestamp, from: Option<Cursor>) -> Result<DuePage, StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.due(now, from),
            Backend::Tables(tables) => tables.due(now, from).await,
        }
    }

    /// Reads the row of a due request; `None` if it is not due, in which case the early or orphaned index
    /// entry is corrected. (In the embedded store the row is its own index entry.)
    ///
    /// # Errors
    /// The store's own.
    pub async fn get_if_due(
        &self,
        id: &ApprovalId,
        due: &Due,
        now: Timestamp,
    ) -> Result<Option<Versioned>, StoreError> {
        let (Backend::Tables(tables), Some(seen)) = (&self.backend, &due.index) else {
            return self.get(id).await.map(Some);
        };
        let found = match self.get(id).await {
            Err(StoreError::NotFound) => None,
            // Only the gate writes entries.
            Err(StoreError::Legacy) => {
                return Err(StoreError::damaged("its columns"));
            }
            found => Some(found?),
        };
        let entry = found.as_ref().and_then(|row| row.entry.as_ref());
        let is_due = tables.correct_entry(id, seen, entry, now).await;
        Ok(found.filter(|_| is_due))
    }

    /// A page of all rows, in the order of their keys, after a position; and the next position, if there
    /// is more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn all(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<StoredRow>, Option<Cursor>), StoreError> {
        let (page, next) = match &self.backend {
            Backend::Embedded(embedded) => embedded.all(from)?,
            Backend::Tables(tables) => tables.all(from).await?,
        };
        let mut gate = None;
        if page.iter().any(|row| row.columns.format() == Format::V2) {
            gate = self.gate_id_to_list().await?;
        }
        let mut rows = Vec::with_capacity(page.len());
        for row in page {
            rows.push(self.stored_row(row, gate.as_deref()).await);
        }
        Ok((rows, next))
    }

    /// Deletes a row, if it is unchanged since it was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn delete(&self, row: &StoredRow) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.delete(row).await,
            Backend::Tables(tables) => tables.delete(row).await,
        }
    }

    /// How long a subscription to the row of a request may be relied on before the row is read again, for a request
    /// that has waited for this time: another process may have changed it. On tables, where that is likely, it is a
    /// 120th of that time, from 1 s to 8 s: at most 720 reads in any hour.
    pub fn reread_after(&self, waited: Duration) -> Duration {
        match &self.backend {
            Backend::Embedded(_) => Duration::from_secs(15),
            Backend::Tables(_) => (waited / 120).clamp(SOONEST_REREAD, LATEST_REREAD),
        }
    }
}
