//! The handle of the store: its backend, keys and settings.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::backend::Backend;
use super::embedded::{self, Embedded};
use super::gate_id::{GateId, RowSettings};
use super::tables::{self, Account, Tables, Wire};
use crate::keys::LinkKeys;
use crate::values::Clock;

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(super) backend: Backend,
    /// The name of the table, as seals have it, and of the one beside it.
    pub(super) table: Arc<str>,
    pub(super) standing: Arc<str>,
    pub(super) open_limit: usize,
    pub(super) keys: Option<Arc<LinkKeys>>,
    pub(super) rows: Arc<RowSettings>,
    pub(super) gate_id: Arc<OnceCell<Arc<GateId>>>,
}

impl Store {
    /// A store in a file of the folder `dir`, which is opened at the first use. No agent can have
    /// more than `open_limit` requests in it that are still due for something. Rows are sealed with
    /// `keys`; without them a store can be read, and no seal is checked.
    pub fn embedded(dir: &Path, open_limit: usize, keys: Option<Arc<LinkKeys>>) -> Self {
        let backend = Backend::Embedded(Embedded::new(dir));
        Self::new(
            backend,
            embedded::REQUESTS,
            embedded::STANDING,
            open_limit,
            keys,
        )
    }

    /// A store in a table of a storage account, with one `open{table}` and one `standing{table}` beside
    /// it; they are created when they are missed. Nothing is sent yet, and all of it goes over `wire`.
    /// For the limit and the keys see [`Store::embedded`].
    pub fn tables(
        account: &Account,
        table: &str,
        wire: Arc<dyn Wire>,
        clock: Clock,
        open_limit: usize,
        keys: Option<Arc<LinkKeys>>,
    ) -> Self {
        let standing = tables::standing_table(table);
        let tables = Tables::new(account, table, &standing, wire, clock);
        Self::new(
            Backend::Tables(Arc::new(tables)),
            table,
            &standing,
            open_limit,
            keys,
        )
    }

    fn new(
        backend: Backend,
        table: &str,
        standing: &str,
        open_limit: usize,
        keys: Option<Arc<LinkKeys>>,
    ) -> Self {
        Self {
            backend,
            table: table.into(),
            standing: standing.into(),
            open_limit,
            keys,
            rows: Arc::default(),
            gate_id: Arc::default(),
        }
    }

    /// The same store, with rows written in this way.
    #[must_use]
    pub fn with_rows(self, rows: RowSettings) -> Self {
        Self {
            rows: Arc::new(rows),
            gate_id: Arc::default(),
            ..self
        }
    }
}
