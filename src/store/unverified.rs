//! What a row that cannot be used says about who may learn of it.

use super::error::StoreError;
use crate::domain::Approver;
use crate::values::{Owner, Timestamp};

/// Why a row could not be read.
#[derive(Debug)]
pub struct ReadError {
    pub error: StoreError,
    /// The row, if there is one.
    pub row: Option<Box<UnverifiedRow>>,
}

/// Columns as they are stored: the row may have been changed outside the gate.
#[derive(Debug, Default)]
pub struct UnverifiedRow {
    /// `None` if the column is missing or cannot be read.
    pub owner: Option<Owner>,
    /// Empty if the column cannot be read.
    pub approvers: Vec<Approver>,
    pub action: Option<String>,
    /// When it was closed, or its deadline.
    pub ended_at: Option<Timestamp>,
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self { error, row: None }
    }
}
