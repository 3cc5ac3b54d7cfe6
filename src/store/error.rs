//! Why an operation of the store failed.

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The row does not exist.
    #[error("no such row")]
    NotFound,
    /// The row exists already.
    #[error("the row exists")]
    AlreadyExists,
    /// The agent has reached its limit of open requests.
    #[error("the agent has too many open requests")]
    OpenLimit,
    /// The row was changed since it was read.
    #[error("the row was changed since it was read")]
    Conflict,
    /// The row is not one that the gate wrote, or was changed since.
    #[error("the row is damaged: {0}")]
    Damaged(String),
    /// The row is sealed, and has a column that this version cannot know the meaning of.
    #[error("the row was written by a later version: it has the column {0}")]
    LaterVersion(String),
    /// `HO_ROWS` is 1, and the row has a column that version 1 lacks.
    #[error(
        "a row of version 1 cannot say all that this row does: set HO_ROWS=2, which writes it, once all instances of \
         the gate are of this version"
    )]
    NeedsVersion2,
    /// The row was written by the legacy Logic App: it is for reports, and cannot be decided.
    #[error("the row was written by the legacy Logic App")]
    Legacy,
    /// A copied row is sealed for a gate with another id.
    #[error("the row is sealed for the gate {0}: --gate-id {0} puts it back all the same")]
    OtherGate(String),
    /// The setting differs from the stored id of the gate.
    #[error(
        "HO_GATE_ID is {set}, but the rows of this table are sealed for the gate {kept}: \
         `{set},{kept}` changes it"
    )]
    GateId {
        /// The setting.
        set: String,
        /// The stored id.
        kept: String,
    },
    /// The stored id of the gate cannot be verified: its key is not among the link keys.
    #[error(
        "the gate's id {0:?} is sealed with a key that is not in HO_LINK_KEYS. A command takes the link keys of \
         the gate. A gate whose key was replaced takes HO_GATE_ID with this id: see \
         docs/operations.md#keys-and-key-rotation"
    )]
    GateIdOfOtherKey(String),
    /// The stored id of the gate was changed.
    #[error(
        "the gate's id cannot be trusted, and so no row that is sealed for it: the row gate/id of the standing table is \
         damaged: {0}. See docs/operations.md#a-row-is-damaged"
    )]
    GateIdDamaged(String),
    /// The standing table, or the gate's id in it, is gone: no absence of a row means anything.
    #[error(
        "the standing table or its row gate/id is lost, and with it which pauses stand, the standing grants and the \
         gate's id: set HO_PAUSED=1 and start the gate, which creates it anew: see \
         docs/operations.md#the-standing-table-is-lost"
    )]
    StandingLost,
    /// A column exceeds its limit.
    #[error("the row is too large: {column} has {size} of {limit} characters")]
    TooLarge {
        column: &'static str,
        /// In UTF-16 units.
        size: usize,
        /// In UTF-16 units.
        limit: usize,
    },
    /// The store cannot be reached, is full or broken. Nothing is half-done; in the worst case a
    /// write still takes effect.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

impl StoreError {
    /// A column is not as the gate wrote it.
    pub(crate) fn damaged(column: &str) -> Self {
        Self::Damaged(column.to_owned())
    }
}
