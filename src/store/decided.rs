//! The rows of the table `decided…`: one for each decision of people, and another one for each approval that is revoked,
//! from which later requests of the same action tell their approvers what is new. They are sealed as rows of version 2,
//! and never replaced.
//!
//! All requests of one owner, agent and action are one partition, the newest decision first. The keys follow from
//! the request and its decision alone, so writing a row again changes nothing.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::decided_row::{Reading, decode, encode, keys_of, partition_of, revoked_at};
use super::error::StoreError;
use super::gate_id::RowVersion;
use super::handle::Store;
use super::listing::{Cursor, DECIDED, OF_GATE, OF_TABLE};
use super::row::{Columns, Keys, Scope};
use crate::domain::{Approval, PastDecision, Precedent, Request, State, Verdict};
use crate::values::{Address, Timestamp};

/// Earlier decisions, newest first.
#[derive(Clone, Debug)]
pub struct DecidedBefore {
    pub decisions: Vec<PastDecision>,
    /// The number of rows that cannot be trusted, which are left out.
    pub untrusted: usize,
}

/// A row of the table, of any content.
#[derive(Clone, Debug)]
pub struct StoredDecidedRow {
    /// Partition key and row key.
    pub keys: (String, String),
    /// The columns, with the service's type annotations, and with the table and the gate of its row MAC, or all ids of
    /// the gate.
    pub columns: Map<String, Value>,
    /// Why it cannot be trusted. Without keys none is.
    pub checked: Result<(), StoreError>,
    /// The time of the last write, if the store knows it.
    pub written_at: Option<Timestamp>,
}

impl Store {
    /// Keeps what people decided on a request for later ones; a revoked approval as a rejection, in another row. Returns
    /// whether it was not kept already; false for a request without such a decision, and where rows of version 1 are
    /// written, which have no gate and no owner.
    ///
    /// # Errors
    /// The store's own.
    pub async fn keep_decided(&self, approval: &Approval) -> Result<bool, StoreError> {
        let decision = match approval.decision() {
            Some(it) if it.by.person().is_some() && self.rows.version == RowVersion::V2 => it,
            _ => return Ok(false),
        };
        let kept = match (&approval.state, revoked_at(approval, decision)) {
            (_, Some(at)) => (Verdict::Reject, at),
            (State::Rejected(_), None) => (Verdict::Reject, decision.at),
            _ => (Verdict::Approve, decision.at),
        };
        let keys = keys_of(&approval.request, kept.1);
        let columns = encode(&keys, approval, kept, self.link_keys()?);
        self.insert_decided(keys, columns).await
    }

    /// Seals and inserts a row. Returns whether there was none under these keys.
    pub(super) async fn insert_decided(
        &self,
        keys: Keys,
        columns: Columns,
    ) -> Result<bool, StoreError> {
        let gate = self.gate_id_to_write().await?;
        let scope = Scope {
            gate: &gate.id,
            table: &self.decided,
        };
        let columns = columns.seal(1, scope, self.link_keys()?);
        match self.backend.insert_decided(keys, columns).await {
            Ok(()) => Ok(true),
            Err(StoreError::AlreadyExists) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The last decisions of people on the action of a request, one of each request, as one of its approvers may see
    /// them; one query.
    ///
    /// # Errors
    /// The store's own.
    pub async fn decided_before(
        &self,
        request: &Request,
        reader: &Address,
    ) -> Result<DecidedBefore, StoreError> {
        let (partition, keys) = (partition_of(request), self.link_keys()?);
        let listed = self.backend.list_decided_of(&partition, Precedent::MOST);
        let mut rows = listed.await?.peekable();
        let mut before = DecidedBefore {
            decisions: Vec::new(),
            untrusted: 0,
        };
        if rows.peek().is_none() {
            return Ok(before);
        }
        let gate = self.gate_id_to_read().await?;
        let mut reading = Reading::new(request, reader);
        let mut seen = BTreeSet::new();
        for (row, columns) in rows {
            let checked = columns.check(gate.all(), &self.decided, keys);
            match checked.and_then(|()| decode(&row, &columns, &mut reading, keys)) {
                // That of a revocation comes before that of its approval.
                Ok(_) if !seen.insert(columns.text("Id").map(str::to_owned)) => {}
                Ok(decision) => before.decisions.extend(decision),
                Err(_) => before.untrusted += 1,
            }
        }
        Ok(before)
    }

    /// Deletes the rows of a request's decision and of what people chose on it, if there are any.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn delete_decided(&self, approval: &Approval) -> Result<(), StoreError> {
        self.delete_choices(approval).await?;
        match approval.decision() {
            None => Ok(()),
            Some(decision) => {
                if let Some(at) = revoked_at(approval, decision) {
                    let keys = keys_of(&approval.request, at);
                    self.backend.delete_decided(&keys).await?;
                }
                let keys = keys_of(&approval.request, decision.at);
                self.backend.delete_decided(&keys).await
            }
        }
    }

    /// Deletes a listed row, also one that cannot be trusted.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn delete_stored_decided(&self, row: &StoredDecidedRow) -> Result<(), StoreError> {
        self.backend.delete_decided(&row.keys).await
    }

    /// A page of all rows, after a position; and the next position, if there is more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn all_decided(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<StoredDecidedRow>, Option<Cursor>), StoreError> {
        let (page, next) = self.backend.list_decided(from).await?;
        if page.is_empty() {
            return Ok((Vec::new(), next));
        }
        let gate = self.gate_id_to_read().await;
        let keys = self.link_keys();
        let rows = page.into_iter().map(|raw| {
            let checked = match (keys.as_ref(), gate.as_ref()) {
                (Ok(keys), Ok(gate)) => raw.columns.check(gate.all(), &self.decided, keys),
                (Err(error), _) | (_, Err(error)) => Err(error.clone()),
            };
            let mut columns = raw.entity;
            columns.insert(DECIDED.to_owned(), true.into());
            columns.insert(OF_TABLE.to_owned(), (*self.decided).into());
            if let Ok(gate) = &gate {
                columns.insert(OF_GATE.to_owned(), gate.names().into());
            }
            StoredDecidedRow {
                checked: checked.and_then(|()| raw.columns.check_keys(&raw.keys)),
                keys: raw.keys,
                columns,
                written_at: raw.written_at,
            }
        });
        Ok((rows.collect(), next))
    }

    /// Restores a row of the table from a line of a backup, with a new row MAC; `None` if the line holds no such
    /// row, else whether there was none yet. Where it may be stored: see [`Store::restore`].
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not as a gate with these keys stored it; [`StoreError::OtherGate`]; or
    /// the store's own.
    pub async fn restore_decided(
        &self,
        copy: &Map<String, Value>,
        other_gate: Option<&str>,
    ) -> Result<Option<bool>, StoreError> {
        if copy.get(DECIDED).is_none() {
            return Ok(None);
        }
        let annotation = |name| copy.get(name).and_then(Value::as_str);
        let table = annotation(OF_TABLE).unwrap_or(&self.decided);
        let gate = annotation(OF_GATE).or(other_gate);
        let columns = Columns::from_entity(copy.clone());
        self.check_copy(&columns, table, gate, other_gate).await?;
        self.insert_decided(columns.keys(), columns).await.map(Some)
    }
}
