//! What each rule says about a request, for the tools.

use super::effect::Asked;
use super::load::Policy;
use super::matched::RuleId;
use super::truth::Truth;

/// What one rule says about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub rule: RuleId,
    /// `approve`, `deny` or `require`.
    pub effect: &'static str,
    /// Whether it matches.
    pub truth: Truth,
    /// Why it matches, or why it does not match for certain.
    pub facts: Vec<String>,
}

impl Policy {
    /// What each rule says about a request, in the order of the file.
    pub fn explain(&self, asked: &Asked<'_>) -> Vec<Explanation> {
        let facets = self.facets(asked);
        let explain = |rule: &super::rule::Rule| {
            let truth = rule.judge(&facets);
            let facts = match truth {
                Truth::True => rule.facts(&facets),
                Truth::Unknown | Truth::False => rule.obstacles(&facets),
            };
            Explanation {
                rule: rule.id.clone(),
                effect: rule.kind.word(),
                truth,
                facts,
            }
        };
        self.rules.iter().map(explain).collect()
    }
}
