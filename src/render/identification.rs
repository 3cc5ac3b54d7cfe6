//! Who uses a form.

/// How the approver is identified.
pub enum Identification {
    /// By their link; an approval also requires the one-time code.
    Link {
        /// The link token.
        link: String,
        /// Whether approving by this link is locked.
        locked: bool,
    },
    SignedIn {
        /// The link token, if they came with it.
        link: Option<String>,
    },
}

impl Identification {
    /// The link token, which the form sends back.
    pub(super) fn link(&self) -> Option<&str> {
        match self {
            Self::Link { link, .. } => Some(link),
            Self::SignedIn { link } => link.as_deref(),
        }
    }
}
