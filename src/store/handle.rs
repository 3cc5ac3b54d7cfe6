//! The handle of the store: its backend, keys and settings.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::backend::Backend;
use super::clock_difference::ClockDifference;
use super::embedded::{self, Embedded};
use super::gate_id::{GateId, RowSettings};
use super::observed_gate_id::ObservedGateId;
use super::tables::{self, Account, Tables, Wire};
use crate::keys::LinkKeys;
use crate::values::Clock;

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(super) backend: Backend,
    /// The names of the tables, which row MACs cover.
    pub(super) table: Arc<str>,
    pub(super) standing: Arc<str>,
    pub(super) decided: Arc<str>,
    pub(super) open_limit: usize,
    pub(super) keys: Option<Arc<LinkKeys>>,
    pub(super) rows: Arc<RowSettings>,
    pub(super) gate_id: Arc<OnceCell<Arc<GateId>>>,
    pub(super) observed_id: ObservedGateId,
    pub(super) prepared: Arc<OnceCell<()>>,
}

impl Store {
    /// A store in a file of the folder `dir`, opened at its first use. An owner's agent can have at most
    /// `open_limit` requests that wait for people. Rows are sealed with `keys`; without keys
    /// the store is read-only and verifies no row MAC.
    pub fn embedded(dir: &Path, open_limit: usize, keys: Option<Arc<LinkKeys>>) -> Self {
        let backend = Backend::Embedded(Embedded::new(dir));
        Self::new(
            backend,
            [embedded::REQUESTS, embedded::STANDING, embedded::DECIDED],
            open_limit,
            keys,
        )
    }

    /// A store in the tables `{table}`, `open{table}`, `standing{table}` and `decided{table}` of a storage
    /// account, created if they do not exist. Sends nothing yet; later everything over `wire`. For the limit and the keys
    /// see [`Store::embedded`].
    pub fn tables(
        account: &Account,
        table: &str,
        wire: Arc<dyn Wire>,
        clock: Clock,
        open_limit: usize,
        keys: Option<Arc<LinkKeys>>,
    ) -> Self {
        let [standing, decided] = ["standing", "decided"].map(|kind| tables::table_of(kind, table));
        let names = [table, &standing, &decided];
        let tables = Tables::new(account, names, wire, clock, keys.clone());
        Self::new(Backend::Tables(Arc::new(tables)), names, open_limit, keys)
    }

    fn new(
        backend: Backend,
        [table, standing, decided]: [&str; 3],
        open_limit: usize,
        keys: Option<Arc<LinkKeys>>,
    ) -> Self {
        Self {
            backend,
            table: table.into(),
            standing: standing.into(),
            decided: decided.into(),
            open_limit,
            keys,
            rows: Arc::default(),
            gate_id: Arc::default(),
            observed_id: ObservedGateId::default(),
            prepared: Arc::default(),
        }
    }

    /// The difference between the clock of this machine and that of the table service, by the date of its last
    /// answer; `None` where the store is a file, or has not told its time.
    pub fn clock_difference(&self) -> Option<ClockDifference> {
        match &self.backend {
            Backend::Tables(tables) => tables.clock_difference(),
            Backend::Embedded(_) => None,
        }
    }

    /// The store with other settings for rows.
    #[must_use]
    pub fn with_rows(self, rows: RowSettings) -> Self {
        Self {
            rows: Arc::new(rows),
            gate_id: Arc::default(),
            observed_id: ObservedGateId::default(),
            prepared: Arc::default(),
            ..self
        }
    }
}
