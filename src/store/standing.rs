//! The rows of the table `standing…`: facts that outlive one request. They are sealed as rows of version 2,
//! whatever `HO_ROWS` says.

use super::error::StoreError;
use super::handle::Store;
use super::row::{self, Columns, Keys, Scope};
use super::standing_row::{StandingKind, StandingRow, Version, check_size, decode, encode};
use super::versioned::ETag;
use crate::values::Timestamp;

/// The longest row key, in characters: half of the service's 1 KiB.
const ROW_KEY_CHARS: usize = 512;

impl Store {
    /// Reads a row of the standing table; `None` if there is none. The table must exist. A count whose key is not
    /// among the link keys any more is a row without columns.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if its seal or its form is not that of a row of this gate, or the store's own.
    pub async fn standing(
        &self,
        kind: StandingKind,
        name: &str,
    ) -> Result<Option<StandingRow>, StoreError> {
        let keys = keys_of(kind, name)?;
        match self.find_standing(kind, name).await? {
            None => Ok(None),
            Some((columns, etag)) => {
                let row = self.read_standing(kind, &keys, columns, etag);
                row.await.map(Some)
            }
        }
    }

    /// Reads all rows of a kind, in the order of their keys. The table must exist.
    ///
    /// # Errors
    /// As [`Store::standing`], for any of them.
    pub async fn standing_of(&self, kind: StandingKind) -> Result<Vec<StandingRow>, StoreError> {
        let rows = self.standing_rows_of(kind).await?;
        rows.into_iter().collect()
    }

    /// As [`Store::standing_of`], with the error of each row that cannot be trusted.
    ///
    /// # Errors
    /// The store's own.
    pub async fn standing_rows_of(
        &self,
        kind: StandingKind,
    ) -> Result<Vec<Result<StandingRow, StoreError>>, StoreError> {
        let (mut rows, mut cursor) = (Vec::new(), None);
        loop {
            let listed = self.backend.list_standing_of(kind.word(), cursor).await;
            let (page, next) = self.note_loss(listed)?;
            for raw in page {
                let row = self.read_standing(kind, &raw.keys, raw.columns, raw.etag);
                rows.push(row.await);
            }
            // Of many rows, so that others get their turn.
            tokio::task::yield_now().await;
            cursor = next;
            if cursor.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Inserts a new row, or replaces the one that was read, if it is unchanged. Returns it as stored.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] for a new row, [`StoreError::Conflict`] for one that was read, or the
    /// store's own.
    pub async fn put_standing(
        &self,
        row: StandingRow,
        now: Timestamp,
    ) -> Result<StandingRow, StoreError> {
        let keys = keys_of(row.kind, &row.name)?;
        check_size(&row)?;
        let (etag, revision) = match &row.version {
            None => (None, 0),
            Some(version) => (Some(version.etag.clone()), version.revision),
        };
        let revision = revision.saturating_add(1);
        let gate = self.gate_id_to_write().await?;
        let scope = Scope {
            gate: &gate.id,
            table: &self.standing,
        };
        let columns = encode(&keys, &row, now).seal(revision, scope, self.link_keys()?);
        let etag = self.backend.put_standing(keys, columns, etag).await?;
        let version = Version {
            etag,
            revision,
            written_at: now,
        };
        Ok(StandingRow {
            version: Some(version),
            ..row
        })
    }

    /// Deletes a row, if it is unchanged since it was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], also for a row that was not read, or the store's own.
    pub async fn delete_standing(&self, row: &StandingRow) -> Result<(), StoreError> {
        let version = row.version.as_ref().ok_or(StoreError::Conflict)?;
        let keys = keys_of(row.kind, &row.name)?;
        self.backend.delete_standing(&keys, &version.etag).await
    }

    /// Writes a row in place of whatever is stored under its name, also of what cannot be trusted.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another write came in between, or the store's own.
    pub async fn overwrite_standing(
        &self,
        row: StandingRow,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let found = self.find_standing(row.kind, &row.name).await?;
        let version = found.map(|(columns, etag)| Version {
            etag,
            revision: columns.revision().unwrap_or(0),
            written_at: now,
        });
        let stored = self.put_standing(StandingRow { version, ..row }, now).await;
        stored.map(drop).map_err(|error| match error {
            StoreError::AlreadyExists => StoreError::Conflict,
            error => error,
        })
    }

    /// Deletes what is stored under a name, also what cannot be trusted. Returns whether there was a row.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another write came in between, or the store's own.
    pub async fn remove_standing(
        &self,
        kind: StandingKind,
        name: &str,
    ) -> Result<bool, StoreError> {
        let Some((_, etag)) = self.find_standing(kind, name).await? else {
            return Ok(false);
        };
        let keys = keys_of(kind, name)?;
        self.backend.delete_standing(&keys, &etag).await?;
        Ok(true)
    }

    async fn find_standing(
        &self,
        kind: StandingKind,
        name: &str,
    ) -> Result<Option<(Columns, ETag)>, StoreError> {
        let found = self.backend.get_standing(&keys_of(kind, name)?).await;
        self.note_loss(found)
    }

    /// Verifies and decodes a row. A count whose key is gone has no columns.
    async fn read_standing(
        &self,
        kind: StandingKind,
        keys: &Keys,
        columns: Columns,
        etag: ETag,
    ) -> Result<StandingRow, StoreError> {
        if kind.is_count() && columns.is_orphaned(self.link_keys()?) {
            let mut row = decode(kind, keys, &columns, etag)?;
            row.columns.clear();
            return Ok(row);
        }
        self.verify_standing(kind, keys, columns, etag).await
    }

    /// Verifies the seal of a row and decodes it.
    pub(super) async fn verify_standing(
        &self,
        kind: StandingKind,
        keys: &Keys,
        columns: Columns,
        etag: ETag,
    ) -> Result<StandingRow, StoreError> {
        let link_keys = self.link_keys()?;
        let gate = self.gate_id_to_read().await?;
        columns.check(gate.all(), &self.standing, link_keys)?;
        decode(kind, keys, &columns, etag)
    }
}

fn keys_of(kind: StandingKind, name: &str) -> Result<Keys, StoreError> {
    let key = row::encode_key(name);
    if key.len() > ROW_KEY_CHARS {
        return Err(StoreError::TooLarge {
            column: "RowKey",
            size: key.len(),
            limit: ROW_KEY_CHARS,
        });
    }
    Ok((kind.word().to_owned(), key))
}
