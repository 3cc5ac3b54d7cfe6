//! The agents that function keys and identities may act for.

use super::error::ConfigError;
use super::lookup::{Lookup, first_unusable, unusable};
use crate::keys::AgentKeys;

pub(super) fn agent_keys(get: &Lookup<'_>) -> Result<Option<AgentKeys>, ConfigError> {
    let Some(list) = get("HO_AGENT_KEYS") else {
        return Ok(None);
    };
    let keys = AgentKeys::parse(&list).ok_or_else(|| {
        let form = "it must be a list of SHA256=AGENT or OBJECT-ID=AGENT, separated by commas: the SHA-256 of a \
                    function key, or the object id of a program in Entra, and the name of an agent";
        let wrong = first_unusable(&list, |entry| AgentKeys::parse(entry).is_some());
        let what = wrong.map(|(number, _)| format!("; entry {number} is none"));
        unusable("HO_AGENT_KEYS", &(form.to_owned() + &what.unwrap_or_default()))
    });
    keys.map(Some)
}
