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
    SignedIn,
}
