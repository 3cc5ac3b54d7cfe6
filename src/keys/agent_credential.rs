//! What an agent presents to the gate.

use uuid::Uuid;

use super::function_key::FunctionKey;
use crate::values::Owner;

/// The proof of which program calls.
#[derive(Clone)]
pub enum AgentCredential {
    /// A function key, which the host has checked. It may be empty.
    Key(FunctionKey),
    /// A program of the operator's directory, by its object id in Entra, which the platform has verified.
    Identity(Uuid),
}

impl AgentCredential {
    /// Whether there is none.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Key(key) if key.is_empty())
    }

    /// The object id in Entra of the program that calls, if it has identified itself by one.
    pub fn object_id(&self) -> Option<Uuid> {
        match self {
            Self::Key(_) => None,
            Self::Identity(object_id) => Some(*object_id),
        }
    }

    /// The owner of what this credential submits, if no list gives it another.
    pub fn owner(&self) -> Owner {
        match self {
            Self::Key(key) => key.owner(),
            Self::Identity(object_id) => Owner::Identity(*object_id),
        }
    }

    /// The owners by which an operator may name the credential.
    pub fn owners(&self) -> Vec<Owner> {
        match self {
            Self::Key(key) => key.owners().to_vec(),
            Self::Identity(object_id) => vec![Owner::Identity(*object_id)],
        }
    }
}
