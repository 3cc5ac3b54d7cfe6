//! The members of a JSON object, each as it was written.

use human_oversight_protocol::strict_json;
use serde_json::json;
use serde_json::value::RawValue;

/// The members of an object in their order.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The members of an object. There are none if a name occurs twice, or one is spelt nearly as one of `names`.
    pub(crate) fn read(object: &'a RawValue, names: &[&str]) -> Option<Self> {
        let strict_json::Members(members) = serde_json::from_str(object.get()).ok()?;
        let is_clear = |at: usize, name: &str| {
            let is_near = names.iter().any(|it| *it != name && fold(name) == *it);
            !is_near && !members[..at].iter().any(|(before, _)| before == name)
        };
        let mut named = members.iter().enumerate();
        named
            .all(|(at, (name, _))| is_clear(at, name))
            .then_some(Self(members))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().find(|(member, _)| member == name);
        found.map(|(_, value)| *value)
    }

    /// The object with this member in place of the one of its name, or after all others.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let mut members: Vec<(&str, &str)> = self.iter().map(|(it, raw)| (it, raw.get())).collect();
        match members.iter_mut().find(|(it, _)| *it == name) {
            Some(member) => member.1 = value,
            None => members.push((name, value)),
        }
        let members = members.iter();
        let members = members.map(|(name, value)| format!("{}:{value}", json!(name)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// A name as readers see it that ignore case, in Unicode too: `ſ` is an `s` to them, and the Kelvin sign a `k`.
pub(crate) fn fold(name: &str) -> String {
    let folded = name.chars().flat_map(char::to_uppercase);
    folded.flat_map(char::to_lowercase).collect()
}
