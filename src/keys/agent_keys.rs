//! Which agents a function key speaks for. The host knows that a key is good; whose it is, it does not
//! say.

use human_oversight_protocol::parameters::sha256;
use subtle::ConstantTimeEq;

use crate::values::Digest;

/// For each key the agents whose names begin, or read, like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKeys(Vec<(Digest, Pattern)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Name(String),
    Beginning(String),
}

impl AgentKeys {
    /// `SHA256=AGENT,…`: a key as its SHA-256 in hexadecimal digits, and an agent's name, or its
    /// beginning and `*`. A key may be there several times.
    pub fn parse(list: &str) -> Option<Self> {
        let entries = list
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let entries: Vec<_> = entries
            .map(|entry| {
                let (key, agent) = entry.split_once('=')?;
                let pattern = match agent.trim().strip_suffix('*') {
                    Some(beginning) => Pattern::Beginning(beginning.to_owned()),
                    None => Pattern::Name(agent.trim().to_owned()),
                };
                let is_empty = matches!(&pattern, Pattern::Name(name) if name.is_empty());
                (!is_empty).then_some((Digest::parse(key.trim())?, pattern))
            })
            .collect::<Option<_>>()?;
        (!entries.is_empty()).then_some(Self(entries))
    }

    /// Whether whoever has this key may speak for this agent.
    pub fn allow(&self, key: &str, agent: &str) -> bool {
        let key = sha256(key.as_bytes());
        let of_key = |(digest, _): &&(Digest, Pattern)| bool::from(digest.0.ct_eq(&key));
        self.0
            .iter()
            .filter(of_key)
            .any(|(_, pattern)| match pattern {
                Pattern::Name(name) => name == agent,
                Pattern::Beginning(beginning) => agent.starts_with(beginning),
            })
    }
}

#[cfg(test)]
mod tests {
    use human_oversight_protocol::parameters::hex;

    use super::*;

    #[test]
    fn a_key_speaks_for_its_agents_alone() {
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
            assert_eq!(keys.allow(key, agent), allowed, "{key} {agent}");
        }
    }

    #[test]
    fn a_list_that_is_wrong_is_none() {
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
