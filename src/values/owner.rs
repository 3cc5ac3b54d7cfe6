//! The owner of a request: the credential that submitted it.

use std::fmt;

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::digest::Digest;

/// Who may act for a request, as stored in its row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The agents that the operator's list gives to the credential: a name, or a prefix and `*`. Credentials
    /// with the same agents are one owner, so a key can be rotated.
    Agents(String),
    /// The SHA-256 of a function key that is on no list.
    Key(Digest),
    /// A program of the operator's directory that is on no list, by its object id in Entra.
    Identity(Uuid),
    /// A caller without a key, which only a gate without the Functions host has.
    Local,
}

impl Owner {
    /// Parses the text that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("agents", agents)) if !agents.is_empty() => Some(Self::Agents(agents.to_owned())),
            Some(("key", digest)) => Digest::parse(digest).map(Self::Key),
            Some(("entra", id)) => {
                let id: Hyphenated = id.parse().ok()?;
                Some(Self::Identity(id.into()))
            }
            None if text == "local" => Some(Self::Local),
            _ => None,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agents(agents) => write!(f, "agents:{agents}"),
            Self::Key(digest) => write!(f, "key:{digest}"),
            Self::Identity(object_id) => write!(f, "entra:{object_id}"),
            Self::Local => f.write_str("local"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_as_written() {
        for owner in [
            Owner::Agents("Pay*".to_owned()),
            Owner::Agents("key:x".to_owned()),
            Owner::Key(Digest([7; 32])),
            Owner::Identity(Uuid::from_u128(7)),
            Owner::Local,
        ] {
            assert_eq!(Owner::parse(&owner.to_string()), Some(owner));
        }
        for text in [
            "", "agents:", "agents", "key:07", "entra:07", "local:", "Local", "x:y",
        ] {
            assert_eq!(Owner::parse(text), None, "{text}");
        }
    }
}
