//! What can go wrong between the gate and the service.

use std::error::Error;
use std::time::Duration;

use azure_core_legacy::error::{Error as CrateError, ErrorKind};

use crate::azure::credentials::TokenError;
use crate::store::error::StoreError;

/// Why an operation did not succeed, as far as that is known. No text holds a URL, a header or a body.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The service did not do it.
    #[error("the service answered {status} {code}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The service's own name for it, such as `UpdateConditionNotSatisfied`.
        code: String,
    },
    /// The service is busy or broken. It may have done it.
    #[error("the service answered {status} {code}")]
    Busy {
        /// The HTTP status.
        status: u16,
        /// The service's own name for it, such as `ServerBusy`.
        code: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// There was no answer, or only a part of one. The service may have done it.
    #[error("there was no answer: {0}")]
    Lost(String),
    /// No access token could be obtained, so nothing was sent.
    #[error(transparent)]
    SignIn(TokenError),
}

impl Fault {
    /// Whether the same may succeed if it is sent again.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Lost(_))
    }

    pub(super) fn is_code(&self, expected: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == expected)
    }

    pub(super) fn is_status(&self, expected: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == expected)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.to_string())
    }
}

/// Our own faults pass through the crate as its source; its own errors are about answers it cannot read.
impl From<CrateError> for Fault {
    fn from(error: CrateError) -> Self {
        let mut source: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = source {
            if let Some(fault) = inner.downcast_ref::<Self>() {
                return fault.clone();
            }
            source = inner.source();
        }
        Self::Lost(format!("it cannot be read ({})", error.kind()))
    }
}

impl From<Fault> for CrateError {
    fn from(fault: Fault) -> Self {
        let kind = match fault {
            Fault::SignIn(_) => ErrorKind::Credential,
            _ => ErrorKind::Io,
        };
        Self::new(kind, fault)
    }
}
