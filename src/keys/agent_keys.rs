//! The agents that a function key may act for. The host checks function keys, but does not report whose
//! they are.

use human_oversight_protocol::parameters::sha256;
use subtle::ConstantTimeEq;

use crate::values::Digest;

/// The agents of each function key, by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKeys(Vec<(Digest, Pattern)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Name(String),
    Prefix(String),
}

impl AgentKeys {
    /// Parses `SHA256=AGENT,…`: the SHA-256 of a key in hexadecimal digits, and the name of an agent or a
    /// prefix of names and `*`. A key may have several entries.
    pub fn parse(list: &str) -> Option<Self> {
        let entries = list
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let entries: Vec<_> = entries
            .map(|entry| {
                let (key, agent) = entry.split_once('=')?;
                let pattern = match agent.trim().strip_suffix('*') {
                    Some(prefix) => Pattern::Prefix(prefix.to_owned()),
                    None => Pattern::Name(agent.trim().to_owned()),
                };
                let is_empty = matches!(&pattern, Pattern::Name(name) if name.is_empty());
                (!is_empty).then_some((Digest::parse(key.trim())?, pattern))
            })
            .collect::<Option<_>>()?;
        (!entries.is_empty()).then_some(Self(entries))
    }

    /// Whether a caller with this key may act for this agent.
    pub fn allows(&self, key: &str, agent: &str) -> bool {
        let key = sha256(key.as_bytes());
        let has_key = |(digest, _): &&(Digest, Pattern)| bool::from(digest.0.ct_eq(&key));
        self.0
            .iter()
            .filter(has_key)
            .any(|(_, pattern)| match pattern {
                Pattern::Name(name) => name == agent,
                Pattern::Prefix(prefix) => agent.starts_with(prefix),
            })
    }
}

#[cfg(test)]
mod tests {
    use human_oversight_protocol::parameters::hex;

    use super::*;

    #[test]
    fn a_key_allows_its_own_agents_only() {
        let [one, two] = ["one", "two"].map(|key| hex(&sha256(key.as_bytes())));
        let keys = format!("{one}=UserManager, {one}=Pay*,{two}=*");
        let keys = AgentKeys::parse(&keys).unwrap();
        for (key, agent, allowed) in [
            ("one", "UserManager", true),
            ("one", "UserManager2", false),
            ("one", "Payments", true),
            ("one", "Other", false),
            ("two", "Other", true),
            ("three", "UserManager", false),
            ("", "UserManager", false),
        ] {
            assert_eq!(keys.allows(key, agent), allowed, "{key} {agent}");
        }
    }

    #[test]
    fn an_invalid_list_does_not_parse() {
        let key = hex(&sha256(b"one"));
        for list in [
            "",
            ",",
            "x",
            "x=Agent",
            &key,
            &format!("{key}="),
            &format!("{key}=A,y=B"),
        ] {
            assert_eq!(AgentKeys::parse(list), None, "{list}");
        }
    }
}
