use std::time::Duration;

use crate::types::Problem;

/// Why a call to the gate gave no answer that can be used. In [`crate::Gate`] every one of these is
/// a refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gate said no, and why.
    #[error("{}: {} ({})", .0.title, .0.detail, .0.status)]
    Problem(Box<Problem>),
    /// The gate could not be reached, or the connection broke; trying again may help.
    #[error("the gate could not be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The gate is there but cannot answer now; trying again after this time may help.
    #[error("the gate is not available now (status {status})")]
    Unavailable {
        /// The HTTP status code.
        status: u16,
        /// How long the gate asks to wait.
        retry_after: Option<Duration>,
    },
    /// Something answered, but not as the gate would.
    #[error("not an answer of the gate: {0}")]
    Garbled(String),
    /// The settings in the environment are not complete.
    #[error("{0}")]
    Settings(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unavailable { .. })
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
