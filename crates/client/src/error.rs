use std::time::Duration;

use human_oversight_protocol::types::Problem;

/// Why a call to the gate gave no usable response. [`crate::Gate`] makes a refusal of each of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gate refused the call, and says why.
    #[error("{}: {} ({})", .0.title, .0.detail, .0.status)]
    Problem(Box<Problem>),
    /// The gate could not be reached, or the connection broke. A retry may succeed.
    #[error("the gate could not be reached{}", through(*.proxy))]
    Unreachable {
        /// Why.
        source: reqwest::Error,
        /// The variable that names a proxy for the gate, which the call used unless `NO_PROXY` excludes it.
        proxy: Option<&'static str>,
    },
    /// The gate cannot respond now. A retry may succeed.
    #[error("the gate is not available now (status {status})")]
    Unavailable {
        /// The HTTP status code.
        status: u16,
        /// How long the gate asks to wait before a retry.
        retry_after: Option<Duration>,
    },
    /// The response is not one that the gate sends.
    #[error("not a response of the gate: {0}")]
    InvalidResponse(String),
    /// The settings are incomplete or invalid.
    #[error("{0}")]
    Settings(String),
}

/// Names the variable of a proxy, never its value, which may have credentials.
fn through(proxy: Option<&str>) -> String {
    proxy.map_or_else(String::new, |variable| {
        format!(" ({variable} names a proxy, which the call uses unless NO_PROXY names the gate)")
    })
}

impl Error {
    /// Whether the same call may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unavailable { .. })
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
