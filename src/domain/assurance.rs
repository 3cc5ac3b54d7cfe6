//! How sure it is who an approver was.

use uuid::Uuid;

use crate::values::{AuthContext, Timestamp};

/// How an approver was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assurance {
    /// By the link token and the one-time code in their email.
    Link,
    /// By the link token alone, which the holder of a forwarded email has too: enough to reject, but not to
    /// speak to the agent.
    LinkOnly,
    /// By signing in with Microsoft Entra ID.
    Entra(SignedIn),
}

/// A person who has signed in with Microsoft Entra ID, as the member with this object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedIn {
    pub object_id: Uuid,
    /// When they authenticated, by the platform; `None` where it does not say so, or a row has no place for it.
    pub auth_time: Option<Timestamp>,
    /// The operator's authentication context, if the sign-in satisfied it.
    pub context: Option<AuthContext>,
}

/// Why the sign-in of a person is not enough for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInFault {
    /// It is not of the time that the operator demands.
    TooOld,
    /// Its time counts, and is further in the future than clocks may differ.
    Ahead,
    /// The operator demands its time, which the platform does not say.
    TimeUnknown,
    /// The person is not in a group of the directory, or lacks the role, that the operator demands.
    NotInGroup,
    /// The operator demands a group or role, and the platform does not say whether the person has it.
    GroupUnknown,
    /// The link of the person's email is missing, and the sign-in is not fresh.
    LinkMissing,
    /// The link of the person's email is missing, and the platform does not say the time of the sign-in.
    LinkMissingAndTimeUnknown,
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
            ("Entra", Some(object_id)) => Some(Self::Entra(SignedIn::as_member(object_id))),
            _ => None,
        }
    }

    /// The assurance with what is stored of a sign-in; `None` if there is any without a sign-in.
    pub fn with_sign_in(
        self,
        auth_time: Option<Timestamp>,
        context: Option<AuthContext>,
    ) -> Option<Self> {
        match self {
            Self::Entra(SignedIn { object_id, .. }) => Some(Self::Entra(SignedIn {
                object_id,
                auth_time,
                context,
            })),
            _ => (auth_time.is_none() && context.is_none()).then_some(self),
        }
    }

    /// What is known of the sign-in, if the person signed in.
    pub fn signed_in(self) -> Option<SignedIn> {
        match self {
            Self::Link | Self::LinkOnly => None,
            Self::Entra(signed_in) => Some(signed_in),
        }
    }

    /// The person's object id in Microsoft Entra ID.
    pub fn object_id(self) -> Option<Uuid> {
        self.signed_in().map(|it| it.object_id)
    }

    /// When the person authenticated, if they signed in and it is known.
    pub fn auth_time(self) -> Option<Timestamp> {
        self.signed_in()?.auth_time
    }

    /// The authentication context that the sign-in satisfied.
    pub fn auth_context(self) -> Option<AuthContext> {
        self.signed_in()?.context
    }
}

impl SignedIn {
    /// A member of whose sign-in no more is known.
    pub fn as_member(object_id: Uuid) -> Self {
        Self {
            object_id,
            auth_time: None,
            context: None,
        }
    }
}
