use std::io;
use std::time::Duration;

use human_oversight_protocol::types::Problem;

/// Why a call to the gate gave no usable response. [`crate::Gate`] makes a
/// [`Refusal`](crate::Refusal) of each of these.
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
    /// No TLS connection could be made: the gate's certificate is not accepted, for example, or what answers
    /// does not speak TLS. The settings are wrong, or the certificate is.
    #[error(
        "no TLS connection to the gate: if a private authority has signed its certificate, SSL_CERT_FILE must \
         name the file with the authority's{}",
        through(*.proxy)
    )]
    Tls {
        /// Why.
        source: reqwest::Error,
        /// As in [`Error::Unreachable`].
        proxy: Option<&'static str>,
    },
    /// No access token could be obtained for the gate. The settings are wrong, or the identity service is not
    /// available.
    #[error("no access token could be obtained: {0}")]
    NoToken(String),
    /// The gate cannot respond now. A retry may succeed.
    #[error("the gate is not available now (status {status})")]
    Unavailable {
        /// The HTTP status code.
        status: u16,
        /// How long the gate asks to wait before a retry.
        retry_after: Option<Duration>,
    },
    /// The response is not one that the gate sends, but perhaps what stands before it.
    #[error("not a response of the gate: {0}")]
    InvalidResponse(String),
    /// The settings are incomplete or invalid.
    #[error("{0}")]
    Settings(String),
    /// The gate cannot be trusted: it makes no permits, or has none of the keys that the settings name.
    #[error("{0}")]
    Untrusted(String),
}

/// Names the variable of a proxy, never its value, which may have credentials.
fn through(proxy: Option<&str>) -> String {
    proxy.map_or_else(String::new, |variable| {
        format!(" ({variable} names a proxy, which the call uses unless NO_PROXY names the gate)")
    })
}

/// Whether TLS failed, and not the connection below it.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        // An I/O error hides the error that it wraps from `source`.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if error.is::<rustls::Error>() || wrapped.is_some_and(|it| it.is::<rustls::Error>()) {
            return true;
        }
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

impl Error {
    /// Without the address, which has no secret, but does not belong into logs either.
    pub(crate) fn from_transport(source: reqwest::Error, proxy: Option<&'static str>) -> Self {
        let source = source.without_url();
        if is_tls(&source) {
            Self::Tls { source, proxy }
        } else {
            Self::Unreachable { source, proxy }
        }
    }

    /// Whether the gate may have accepted the call.
    pub(crate) fn may_be_accepted(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_connect(),
            Self::Unavailable { .. } | Self::InvalidResponse(_) => true,
            // It refused the call, or no call was made.
            Self::Problem(_)
            | Self::Tls { .. }
            | Self::NoToken(_)
            | Self::Settings(_)
            | Self::Untrusted(_) => false,
        }
    }

    /// The error and its causes, in one line.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        text
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Tls { .. }
                | Self::NoToken(_)
                | Self::Unavailable { .. }
                | Self::InvalidResponse(_)
        )
    }

    /// How long the gate asks to wait before a retry.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// In one line, and without email addresses, of which problem documents name some.
pub(crate) fn loggable(text: &str) -> String {
    let words = text.split_whitespace();
    let words = words.map(|word| if word.contains('@') { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
