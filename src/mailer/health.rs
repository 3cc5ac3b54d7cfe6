//! Whether email gets through, as far as this process knows.

use crate::values::Timestamp;

/// The last results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailHealth {
    /// When the service last accepted an email.
    pub accepted_at: Option<Timestamp>,
    /// The failures since then.
    pub failing: Option<MailFailing>,
}

/// Failures in a row that are not about one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFailing {
    /// The first failure.
    pub since: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// Why the last one failed. The text is for the log.
    pub cause: String,
}

impl MailHealth {
    pub(super) fn accepted(&mut self, at: Timestamp) {
        self.accepted_at = Some(at);
        self.failing = None;
    }

    /// Records a failure; without a cause, the one before stands.
    pub(super) fn failed(&mut self, at: Timestamp, cause: Option<&str>) {
        let failing = self.failing.get_or_insert_with(|| MailFailing {
            since: at,
            last: at,
            cause: String::new(),
        });
        failing.last = at;
        if let Some(cause) = cause {
            cause.clone_into(&mut failing.cause);
        }
    }
}
