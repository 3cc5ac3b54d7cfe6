//! A member of the directory, as the platform's claims say.

use uuid::Uuid;

use crate::values::{AuthContext, DirectoryGroup, Timestamp};

/// A member of the directory who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Their immutable id in Entra.
    pub object_id: Uuid,
    /// The name they sign in with, usually their email address.
    pub name: String,
    /// When they authenticated; `None` where the platform does not say one time.
    pub auth_time: Option<Timestamp>,
    /// The authentication contexts that their sign-in satisfied.
    pub auth_contexts: Vec<AuthContext>,
    /// The groups that the claims name.
    pub groups: Vec<Uuid>,
    /// Whether the claims say that there are more groups than they name.
    pub has_more_groups: bool,
    /// The app roles that the claims name.
    pub roles: Vec<String>,
}

impl Member {
    /// Whether they are in a group or have a role; `None` where the claims do not say so. A registration without the
    /// claim, and a person without any group or role, look the same.
    pub fn has(&self, group: &DirectoryGroup) -> Option<bool> {
        let (is_named, is_known) = match group {
            DirectoryGroup::Group(id) => (
                self.groups.contains(id),
                !self.groups.is_empty() && !self.has_more_groups,
            ),
            DirectoryGroup::Role(name) => (self.roles.contains(name), !self.roles.is_empty()),
        };
        (is_named || is_known).then_some(is_named)
    }
}
