//! How sure it is who an approver was.

use uuid::Uuid;

/// How an approver was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assurance {
    /// By the link token and the one-time code in their email.
    Link,
    /// By the link token alone, which the holder of a forwarded email has too: enough to reject, but not to
    /// speak to the agent.
    LinkOnly,
    /// By signing in with Microsoft Entra ID, as the member with this object id.
    Entra(Uuid),
}

impl Assurance {
    /// The word in stored rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Link => "Link",
            Self::LinkOnly => "LinkOnly",
            Self::Entra(_) => "Entra",
        }
    }

    /// The assurance of a stored word, with the object id that it needs.
    pub fn from_word(word: &str, object_id: Option<Uuid>) -> Option<Self> {
        match (word, object_id) {
            ("Link", None) => Some(Self::Link),
            ("LinkOnly", None) => Some(Self::LinkOnly),
            ("Entra", Some(object_id)) => Some(Self::Entra(object_id)),
            _ => None,
        }
    }

    /// The person's object id in Microsoft Entra ID.
    pub fn object_id(self) -> Option<Uuid> {
        match self {
            Self::Link | Self::LinkOnly => None,
            Self::Entra(object_id) => Some(object_id),
        }
    }
}
