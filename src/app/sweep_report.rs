//! The result of a sweep.

use std::fmt;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Index entries processed.
    pub processed: u32,
    /// Emails that were accepted.
    pub sent: usize,
    /// Emails that were attempted and not accepted, or perhaps not.
    pub unsent: usize,
    /// Entries that failed, and are processed by the next sweep.
    pub failed: u32,
    /// Entries that cannot be trusted. They stay, and become due again once they are repaired.
    pub set_aside: u32,
    /// Whether everything else that was due was processed.
    pub complete: bool,
}

impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processed,
            sent,
            unsent,
            failed,
            set_aside,
            complete,
        } = self;
        write!(
            f,
            "{processed} due, {sent} emails sent, {unsent} not sent, {failed} failed, {set_aside} set aside, \
             complete: {complete}"
        )
    }
}
