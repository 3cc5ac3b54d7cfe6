//! Why the store did not do what it was asked to.

/// Why the store did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row.
    #[error("no such row")]
    NotFound,
    /// There is such a row already.
    #[error("the row exists")]
    AlreadyExists,
    /// The agent has as many open requests as it may.
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
    /// The row was written by the Logic App that the gate replaces: it is for reports, and nothing to
    /// decide about.
    #[error("the row was written by the legacy Logic App")]
    Legacy,
    /// A copied row is sealed for a gate with another id.
    #[error("the row is sealed for the gate {0}: --gate-id {0} puts it back all the same")]
    OtherGate(String),
    /// The setting and the kept id of the gate differ.
    #[error(
        "HO_GATE_ID is {set}, but the rows of this table are sealed for the gate {kept}: \
         `{set},{kept}` changes it"
    )]
    GateId {
        /// The setting.
        set: String,
        /// The id that is kept.
        kept: String,
    },
    /// The row would be larger than the store takes.
    #[error("the row is too large: {column} has {size} of {limit} characters")]
    TooLarge {
        /// Which column.
        column: &'static str,
        /// What it has.
        size: usize,
        /// What it may have.
        limit: usize,
    },
    /// The store cannot be reached, is full or broken. Nothing is half-done; in the worst case a
    /// write still takes effect.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}
