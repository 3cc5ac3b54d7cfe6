//! One rule, and which requests it matches.

use serde_json::Value;

use super::condition::Condition;
use super::effect::Limit;
use super::facts;
use super::leaves::unmentioned;
use super::matched::RuleId;
use super::pointer::Pointer;
use super::requirement::Requirement;
use super::subject::Subject;
use super::text::{Glob, Text};
use super::truth::Truth;
use crate::reveal;
use crate::values::Digest;

/// How many leaves that a rule does not mention are named, and the most characters of each.
const NAMED_LEAVES: usize = 5;
const LEAF_CHARS: usize = 100;

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: RuleId,
    /// The line of its id.
    pub(super) line: usize,
    /// The SHA-256 of all its members but the id.
    pub(super) digest: Digest,
    /// Patterns of agents' names; `None` matches all.
    pub(super) agents: Option<Vec<Glob>>,
    /// Patterns of actions; `None` matches all.
    pub(super) actions: Option<Vec<Glob>>,
    pub(super) when: Vec<Clause>,
    /// The names of the channels to notify, sorted.
    pub(super) tell: Vec<String>,
    pub(super) kind: Kind,
}

/// A condition on the value at a pointer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clause {
    pub(super) pointer: Pointer,
    /// The place of the pointer among those of the policy.
    pub(super) subject: usize,
    pub(super) condition: Condition,
}

/// The effect of a rule.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Approve {
        /// What may have any value.
        ignore: Vec<Pointer>,
        limit: Option<Limit>,
    },
    Deny {
        reason: Option<String>,
    },
    /// What it demands alone.
    Require(Box<Requirement>),
}

impl Kind {
    /// The word in policies.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::Deny { .. } => "deny",
            Self::Require(_) => "require",
        }
    }
}

/// A request, with what rules look at computed once.
pub(super) struct Facets<'a> {
    pub(super) agent: Text<'a>,
    pub(super) action: Text<'a>,
    /// What the pointers of the policy name.
    pub(super) subjects: Vec<Subject<'a>>,
    pub(super) parameters: &'a Value,
}

impl Rule {
    /// Whether the rule matches. For an approval, also whether it mentions everything that the request has.
    pub(super) fn judge(&self, facets: &Facets<'_>) -> Truth {
        let names = any_matches(self.agents.as_ref(), &facets.agent)
            .min(any_matches(self.actions.as_ref(), &facets.action));
        if names == Truth::False {
            return names;
        }
        let clauses = self.when.iter().map(|clause| clause.judge(facets));
        let truth = names.min(Truth::all(clauses));
        if truth == Truth::True && !self.unmentioned(facets, 1).is_empty() {
            Truth::Unknown
        } else {
            truth
        }
    }

    /// Pointers to what an `approve` rule does not mention, at most `most`.
    fn unmentioned(&self, facets: &Facets<'_>, most: usize) -> Vec<String> {
        let Kind::Approve { ignore, .. } = &self.kind else {
            return Vec::new();
        };
        let compared = self.when.iter().map(|clause| &clause.pointer);
        let mentioned: Vec<&Pointer> = compared.chain(ignore).collect();
        unmentioned(facets.parameters, &mentioned, most)
    }

    /// Why the rule matches, or may match.
    pub(super) fn facts(&self, facets: &Facets<'_>) -> Vec<String> {
        let mut found = Vec::new();
        for (what, patterns, name) in [
            ("agent", &self.agents, &facets.agent),
            ("action", &self.actions, &facets.action),
        ] {
            let patterns = patterns.iter().flatten();
            // The last of several greatest.
            if let Some(best) = patterns.rev().max_by_key(|pattern| pattern.matches(name))
                && !best.is_any()
            {
                found.push(facts::of_name(what, best, name));
            }
        }
        let clauses = self.when.iter();
        found.extend(
            clauses.map(|it| facts::of_value(&it.pointer, &it.condition, it.subject(facets))),
        );
        if found.is_empty() {
            found.push("the rule is for every request".to_owned());
        }
        // Two comparisons of one condition can have the same.
        found.dedup();
        found
    }

    /// Why the rule does not match for certain.
    pub(super) fn obstacles(&self, facets: &Facets<'_>) -> Vec<String> {
        let mut found = Vec::new();
        for (what, patterns, name) in [
            ("agent", &self.agents, &facets.agent),
            ("action", &self.actions, &facets.action),
        ] {
            match any_matches(patterns.as_ref(), name) {
                Truth::True => {}
                Truth::False => found.push(format!("the {what} matches no pattern")),
                Truth::Unknown => {
                    found.push(format!("the {what} may match a pattern, spelt otherwise"))
                }
            }
        }
        for clause in &self.when {
            let subject = clause.subject(facets);
            match clause.judge(facets) {
                Truth::True => {}
                Truth::False => found.push(format!("{} does not fit", clause.pointer)),
                Truth::Unknown => {
                    found.push(facts::of_value(&clause.pointer, &clause.condition, subject))
                }
            }
        }
        let unmentioned = self.unmentioned(facets, NAMED_LEAVES).into_iter();
        found.extend(unmentioned.map(|pointer| {
            let pointer = reveal::line(&pointer, LEAF_CHARS);
            format!("{pointer} is neither in `when` nor in `ignore`")
        }));
        found.dedup();
        found
    }
}

impl Clause {
    fn subject<'f, 'a>(&self, facets: &'f Facets<'a>) -> &'f Subject<'a> {
        &facets.subjects[self.subject]
    }

    fn judge(&self, facets: &Facets<'_>) -> Truth {
        self.condition.judge(self.subject(facets))
    }
}

fn any_matches(patterns: Option<&Vec<Glob>>, name: &Text<'_>) -> Truth {
    patterns.map_or(Truth::True, |patterns| {
        Truth::any(patterns.iter().map(|pattern| pattern.matches(name)))
    })
}
