//! What a person is in the directory: a member of a group, or the holder of an app role.

use std::fmt;

use uuid::Uuid;

/// A group or an app role of Microsoft Entra ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryGroup {
    /// A group, by its object id.
    Group(Uuid),
    /// An app role of the gate's app registration, by its value.
    Role(String),
}

impl DirectoryGroup {
    /// The maximum length of a role's value, as Entra has it.
    const ROLE_CHARS: usize = 120;

    /// Parses `group:ID` or `role:NAME`. A name has letters and digits of ASCII, `.`, `_` and `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match kind {
            "group" => Uuid::parse_str(name).ok().map(Self::Group),
            "role" => ((1..=Self::ROLE_CHARS).contains(&name.len()) && name.chars().all(is_plain))
                .then(|| Self::Role(name.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for DirectoryGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(id) => write!(f, "group:{id}"),
            Self::Role(name) => write!(f, "role:{name}"),
        }
    }
}
