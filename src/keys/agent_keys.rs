//! The agents that a function key, or a program of the directory, may act for.

use std::collections::BTreeSet;
use std::fmt;

use subtle::ConstantTimeEq;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::agent_credential::AgentCredential;
use crate::values::Digest;

/// The agents of each credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKeys(Vec<(Listed, Pattern)>);

/// A credential as the list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listed {
    /// The SHA-256 of a function key.
    Key(Digest),
    /// The object id of a program in Entra.
    Identity(Uuid),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    Name(String),
    Prefix(String),
}

impl AgentKeys {
    /// Parses `SHA256=AGENT,OBJECT-ID=AGENT,…`: the SHA-256 of a key in hexadecimal digits or the object id of a
    /// program, and the name of an agent or a prefix of names and `*`. A credential may have several entries.
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
                (!is_empty).then_some((Listed::parse(key.trim())?, pattern))
            })
            .collect::<Option<_>>()?;
        (!entries.is_empty()).then_some(Self(entries))
    }

    /// The entry of this credential that covers this agent, as its name or prefix and `*`: of several, the
    /// longest.
    pub fn find(&self, credential: &AgentCredential, agent: &str) -> Option<String> {
        let entries = self.0.iter();
        let entries = entries
            .filter(|(listed, _)| listed.names(credential))
            .map(|(_, pattern)| pattern);
        entries
            .filter(|pattern| pattern.covers(agent))
            .map(ToString::to_string)
            .max_by_key(String::len)
    }

    /// The account of an entry's agents: the first, in order, of all entries that its keys join to it. So a key
    /// with several entries has one account, and so have the keys between which an agent moves.
    pub fn account(&self, agents: &str) -> String {
        let mut joined: BTreeSet<&Pattern> = self.patterns_of(|it| it.to_string() == agents);
        loop {
            let keys: Vec<&Listed> = self.keys_of(&joined);
            let next = self.0.iter().filter(|(key, _)| keys.contains(&key));
            let next: BTreeSet<&Pattern> = next.map(|(_, pattern)| pattern).collect();
            if next.len() <= joined.len() {
                break;
            }
            joined = next;
        }
        // What was listed once is an account of its own.
        let first = joined.first();
        first.map_or_else(|| agents.to_owned(), ToString::to_string)
    }

    /// Whether a key has several entries.
    pub fn has_shared_accounts(&self) -> bool {
        let entries = self.0.iter().enumerate();
        let is_repeated = |(at, (key, pattern)): (usize, &(Listed, Pattern))| {
            let others = self.0[..at].iter();
            others
                .filter(|(other, _)| other == key)
                .any(|(_, other)| other != pattern)
        };
        entries.into_iter().any(is_repeated)
    }

    /// Whether an entry covers several names of agents, which are then one owner.
    pub fn has_prefixes(&self) -> bool {
        let mut patterns = self.0.iter().map(|(_, pattern)| pattern);
        patterns.any(|pattern| matches!(pattern, Pattern::Prefix(_)))
    }

    /// Whether an entry names a program of the directory.
    pub fn has_identities(&self) -> bool {
        let mut listed = self.0.iter().map(|(listed, _)| listed);
        listed.any(|listed| matches!(listed, Listed::Identity(_)))
    }

    /// Whether an entry covers no name for which this holds, whatever follows a beginning.
    pub fn has_patterns_without(&self, can_be_name: impl Fn(&str) -> bool) -> bool {
        let mut names = self.0.iter().map(|(_, pattern)| match pattern {
            Pattern::Name(name) => name,
            Pattern::Prefix(beginning) => beginning.trim_end(),
        });
        names.any(|name| !can_be_name(name))
    }

    /// Whether several keys have an entry for the same agents, and so are one owner.
    pub fn has_shared_owners(&self) -> bool {
        let entries = self.0.iter().enumerate();
        let is_shared = |(at, (key, pattern)): (usize, &(Listed, Pattern))| {
            let others = self.0[..at].iter();
            others
                .filter(|(_, other)| other == pattern)
                .any(|(other, _)| other != key)
        };
        entries.into_iter().any(is_shared)
    }

    fn patterns_of(&self, is_meant: impl Fn(&Pattern) -> bool) -> BTreeSet<&Pattern> {
        let patterns = self.0.iter().map(|(_, pattern)| pattern);
        patterns.filter(|pattern| is_meant(pattern)).collect()
    }

    fn keys_of(&self, patterns: &BTreeSet<&Pattern>) -> Vec<&Listed> {
        let entries = self.0.iter();
        let entries = entries.filter(|(_, pattern)| patterns.contains(pattern));
        entries.map(|(key, _)| key).collect()
    }
}

impl Listed {
    /// Parses the SHA-256 of a key, or an object id with hyphens.
    fn parse(text: &str) -> Option<Self> {
        let object_id = || text.parse::<Hyphenated>().ok();
        let key = Digest::parse(text).map(Self::Key);
        key.or_else(|| object_id().map(|id| Self::Identity(id.into())))
    }

    fn names(&self, credential: &AgentCredential) -> bool {
        match (self, credential) {
            (Self::Key(listed), AgentCredential::Key(key)) => {
                let is_listed = |key: &Digest| bool::from(listed.0.ct_eq(&key.0));
                let digests = key.digests();
                digests
                    .iter()
                    .fold(false, |found, key| found | is_listed(key))
            }
            (Self::Identity(listed), AgentCredential::Identity(object_id)) => listed == object_id,
            _ => false,
        }
    }
}

impl Pattern {
    fn covers(&self, agent: &str) -> bool {
        match self {
            Self::Name(name) => name == agent,
            Self::Prefix(prefix) => agent.starts_with(prefix),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use human_oversight_protocol::parameters::{hex, sha256};

    use super::super::function_key::FunctionKey;
    use super::*;

    #[test]
    fn a_key_finds_the_longest_entry_for_its_own_agents() {
        let [one, two] = ["one", "Two"].map(|key| hex(&sha256(key.as_bytes())));
        let keys = format!("{one}=UserManager, {one}=Pay*,{one}=Payments,{two}=*");
        let keys = AgentKeys::parse(&keys).unwrap();
        for (key, agent, found) in [
            ("one", "UserManager", Some("UserManager")),
            ("ONE", "UserManager", Some("UserManager")),
            ("one", "UserManager2", None),
            ("one", "Payments", Some("Payments")),
            ("one", "Payments2", Some("Pay*")),
            ("one", "Other", None),
            ("Two", "Other", Some("*")),
            // Listed in another case than the host was given.
            ("two", "Other", None),
            ("three", "UserManager", None),
            ("", "UserManager", None),
        ] {
            let key = AgentCredential::Key(FunctionKey::new(key.to_owned()));
            assert_eq!(keys.find(&key, agent).as_deref(), found, "{agent}");
        }
    }

    #[test]
    fn an_object_id_finds_its_own_agents_and_moves_an_agent_from_its_key() {
        let [listed, other] = [1, 2].map(Uuid::from_u128);
        let key = hex(&sha256(b"one"));
        let list = format!("{listed}=Payments,{}=Pay*,{key}=Payments", listed.simple());
        assert_eq!(AgentKeys::parse(&list), None, "without hyphens");
        let list = format!(
            "{}=Payments,{listed}=Pay*,{key}=Payments",
            listed.to_string().to_uppercase()
        );
        let keys = AgentKeys::parse(&list).unwrap();
        let [listed, other] = [listed, other].map(AgentCredential::Identity);
        let key = AgentCredential::Key(FunctionKey::new("one".to_owned()));
        for (credential, agent, found) in [
            (&listed, "Payments", Some("Payments")),
            (&listed, "Payroll", Some("Pay*")),
            (&listed, "Mail", None),
            (&other, "Payments", None),
            (&key, "Payments", Some("Payments")),
            (&key, "Payroll", None),
        ] {
            assert_eq!(keys.find(credential, agent).as_deref(), found, "{agent}");
        }
        assert!(keys.has_shared_owners());
    }

    #[test]
    fn the_entries_that_keys_join_have_one_account() {
        let [one, two, three] = ["one", "two", "three"].map(|key| hex(&sha256(key.as_bytes())));
        let keys = format!("{one}=Refunds,{one}=Pay*,{two}=Pay*,{two}=Audit,{three}=Mail");
        let keys = AgentKeys::parse(&keys).unwrap();
        for (agents, account) in [
            ("Refunds", "Audit"),
            ("Pay*", "Audit"),
            ("Audit", "Audit"),
            ("Mail", "Mail"),
            ("Formerly listed", "Formerly listed"),
        ] {
            assert_eq!(keys.account(agents), account);
        }
        assert!(keys.has_shared_accounts());
        let keys = format!("{one}=Pay*,{two}=Pay*,{three}=Mail,{three}=Mail");
        assert!(!AgentKeys::parse(&keys).unwrap().has_shared_accounts());
    }

    #[test]
    fn keys_and_agents_that_are_one_owner_are_known() {
        let [one, two] = ["one", "two"].map(|key| hex(&sha256(key.as_bytes())));
        for (keys, has_prefixes, has_shared_owners) in [
            (format!("{one}=Pay,{one}=Mail,{two}=Refund"), false, false),
            (format!("{one}=Pay,{one}=Pay"), false, false),
            (format!("{one}=Pay*,{two}=Pay"), true, false),
            (format!("{one}=Pay,{one}=Mail,{two}=Mail"), false, true),
            (format!("{one}=*,{two}=*"), true, true),
        ] {
            let parsed = AgentKeys::parse(&keys).unwrap();
            let found = (parsed.has_prefixes(), parsed.has_shared_owners());
            assert_eq!(found, (has_prefixes, has_shared_owners), "{keys}");
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
