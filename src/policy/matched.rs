//! A rule that applies to a request, and the facts that show why.

use std::fmt;

/// The id of a rule: letters and digits of ASCII, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(String);

/// The id under which the default decides.
const DEFAULT: &str = "default";

impl RuleId {
    /// What decides if no rule applies.
    pub fn default_rule() -> Self {
        Self(DEFAULT.to_owned())
    }

    /// Parses the id of a rule in a policy.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (is_name(text) && text != DEFAULT).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The most characters of the name of a rule or a group.
pub(super) const MAX_NAME: usize = 64;

/// Whether a text can name a rule or a group.
pub(super) fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=MAX_NAME).contains(&text.len()) && text.chars().all(is_plain)
}

/// A rule that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    pub rule: RuleId,
    /// Whether it applies for certain; otherwise only because a comparison has no answer.
    pub is_certain: bool,
    /// Why, in words for people: `/amount is 18000, more than 50`. They quote no value with the name of a secret.
    pub facts: Vec<String>,
    /// The names of the channels to notify, sorted.
    pub tell: Vec<String>,
}

/// The names of the channels that these rules notify, sorted.
pub fn tell_of(rules: &[Matched]) -> Vec<String> {
    let mut names: Vec<String> = rules.iter().flat_map(|it| it.tell.clone()).collect();
    names.sort();
    names.dedup();
    names
}
