//! Values that rows store as text.

use uuid::Uuid;

use crate::domain::{
    DeliveryFault, EventKind, GrantEnding, Notice, Purpose, Revoker, Status, Verdict,
};
use crate::policy::CommentRule;
use crate::values::{Address, ApprovalId, AuthContext, Digest, Owner, Timestamp};

/// A value that is stored as text.
pub(crate) trait Text: Sized {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Option<Self>;
}

impl Text for String {
    fn to_text(&self) -> String {
        self.clone()
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// Types with `Display` and a parsing function.
macro_rules! text {
    ($($name:ty: $read:expr,)*) => {
        $(impl Text for $name {
            fn to_text(&self) -> String {
                self.to_string()
            }

            fn from_text(text: &str) -> Option<Self> {
                $read(text)
            }
        })*
    };
}

text! {
    Timestamp: Timestamp::parse,
    Address: Address::from_known,
    ApprovalId: |text: &str| text.parse().ok(),
    Digest: Digest::parse,
    Owner: Owner::parse,
    Revoker: Revoker::parse,
    Uuid: |text: &str| Uuid::parse_str(text).ok(),
    AuthContext: AuthContext::parse,
}

/// Enums with stored words.
macro_rules! text_of_words {
    ($($name:ty,)*) => {
        $(impl Text for $name {
            fn to_text(&self) -> String {
                self.word().to_owned()
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::from_word(text)
            }
        })*
    };
}

text_of_words! {
    Status,
    Verdict,
    Notice,
    DeliveryFault,
    EventKind,
    GrantEnding,
    CommentRule,
    Purpose,
}
