//! What an email to one approver has that no other has.

use uuid::Uuid;

/// The parts of an email that are different for each approver.
pub struct EmailSecrets {
    /// The id by which delivery reports name it.
    pub message_id: Uuid,
    /// The link to the decision page; with the link token unless the approver signs in.
    pub link: String,
    /// The one-time code, unless the approver signs in.
    pub code: Option<String>,
    /// The address of the approver's list, if the approver signs in.
    pub list: Option<String>,
}
