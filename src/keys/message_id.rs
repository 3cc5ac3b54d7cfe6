//! The ids by which the mail service names emails in its delivery reports. They are keyed hashes, so that a report of
//! an email can be made up only by who has seen its id.

use human_oversight_protocol::parameters::hex;
use uuid::Uuid;

use super::link_keys::LinkKeys;
use crate::domain::{Approval, Notice};
use crate::values::Timestamp;

/// What the ids of all emails of a request begin with, in bytes.
const GROUP_BYTES: usize = 8;

impl LinkKeys {
    /// The id of the email with which an approver gets a notice at a time, the same for every attempt of that day, until
    /// the operator has it sent again. `None` if a key is no longer configured.
    pub fn message_id(
        &self,
        approval: &Approval,
        approver: usize,
        notice: Notice,
        at: Timestamp,
    ) -> Option<Uuid> {
        let group = self.derive("oversight request of a message 1", &approval.approvers[0])?;
        let approver = &approval.approvers[approver];
        let label = format!("oversight message 1 {}", approver.email_name(notice, at));
        let message = self.derive(&label, approver)?;
        let mut bytes = [0; 16];
        bytes[..GROUP_BYTES].copy_from_slice(&group.as_ref()[..GROUP_BYTES]);
        bytes[GROUP_BYTES..].copy_from_slice(&message.as_ref()[..GROUP_BYTES]);
        Some(Uuid::new_v8(bytes))
    }
}

/// What the ids of all emails of a request have in common: 16 hexadecimal digits.
pub fn message_group(message: Uuid) -> String {
    hex(&message.as_bytes()[..GROUP_BYTES])
}
