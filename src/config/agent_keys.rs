//! The agents that function keys and identities may act for.

use super::error::ConfigError;
use super::lookup::{Lookup, unusable};
use crate::keys::AgentKeys;

pub(super) fn agent_keys(get: &Lookup<'_>) -> Result<Option<AgentKeys>, ConfigError> {
    let Some(list) = get("HO_AGENT_KEYS") else {
        return Ok(None);
    };
    let keys = AgentKeys::parse(&list).ok_or_else(|| {
        unusable(
            "HO_AGENT_KEYS",
            "it must be a list of SHA256=AGENT or OBJECT-ID=AGENT, separated by commas: the SHA-256 of a function \
             key, or the object id of a program in Entra, and the name of an agent",
        )
    });
    keys.map(Some)
}
