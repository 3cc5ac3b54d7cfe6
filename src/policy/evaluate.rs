//! Applies the rules to a request.

use super::effect::{Asked, Candidate, Effect};
use super::load::{DefaultEffect, Document};
use super::matched::{Matched, RuleId};
use super::people::Member;
use super::requirement::Requirement;
use super::rule::{Facets, Kind, Rule};
use super::subject::Subject;
use super::text::Text;
use super::truth::Truth;
use crate::values::Address;

const DEFAULT_REASON: &str = "No rule of the policy allows this.";
const LIMIT_REASON: &str = "The policy allows no more of these for now.";

impl Document {
    /// `member` gives an address its object id.
    pub(super) fn evaluate(
        &self,
        asked: &Asked<'_>,
        member: &dyn Fn(&Address) -> Member,
    ) -> Effect {
        let facets = self.facets(asked);
        let (mut denials, mut candidates) = (Vec::new(), Vec::new());
        let mut demands: Vec<(&Requirement, Matched)> = Vec::new();
        let mut reason = None;
        for rule in &self.rules {
            let truth = rule.judge(&facets);
            let matched = || rule.matched(truth, &facets);
            match &rule.kind {
                _ if truth == Truth::False => {}
                Kind::Deny { reason: words } => {
                    reason.get_or_insert_with(|| words.clone().unwrap_or_else(|| denial(&rule.id)));
                    denials.push(matched());
                }
                Kind::Require(demand) => demands.push((demand, matched())),
                Kind::Approve { limit, .. } if truth == Truth::True => candidates.push(Candidate {
                    rule: matched(),
                    limit: *limit,
                }),
                Kind::Approve { .. } => {}
            }
        }
        if let Some(reason) = reason {
            return Effect::Deny {
                rules: denials,
                reason,
            };
        }
        // A default denial takes a rule that applies for certain, whatever the limits say.
        let is_lifted = demands.iter().any(|(_, matched)| matched.is_certain)
            || candidates.iter().any(|candidate| candidate.limit.is_none());
        let is_denied = !is_lifted && matches!(self.default, DefaultEffect::Deny(_));
        if !demands.is_empty() && !is_denied {
            let mut joined = join(demands);
            fill(&mut joined, asked, member);
            return Effect::Require(joined);
        }
        if !candidates.is_empty() && demands.is_empty() {
            let otherwise = Box::new(self.default_effect(&candidates, Vec::new(), asked, member));
            return Effect::Approve {
                candidates,
                otherwise,
            };
        }
        let doubtful = demands.into_iter().map(|(_, matched)| matched).collect();
        self.default_effect(&[], doubtful, asked, member)
    }

    /// Looks at a request as rules do.
    pub(super) fn facets<'a>(&self, asked: &Asked<'a>) -> Facets<'a> {
        let subjects = self
            .pointers
            .iter()
            .map(|it| Subject::new(it.find(asked.parameters)));
        Facets {
            agent: Text::new(asked.agent),
            action: Text::new(asked.action),
            subjects: subjects.collect(),
            parameters: asked.parameters,
        }
    }

    /// What the default demands where it asks people: one approval of those whom the agent names. `used_up` says which
    /// limits are used up, if that is why it decides.
    pub(super) fn default_requirement(
        &self,
        used_up: Vec<String>,
        asked: &Asked<'_>,
        member: &dyn Fn(&Address) -> Member,
    ) -> Requirement {
        let escalate = match &self.default {
            DefaultEffect::Require { escalate } => escalate.clone(),
            DefaultEffect::Deny(_) => None,
        };
        let mut demand = Requirement::of_requester(escalate);
        demand.rules.push(Matched {
            rule: RuleId::default_rule(),
            is_certain: true,
            facts: facts(used_up, "no rule applies"),
            tell: Vec::new(),
        });
        fill(&mut demand, asked, member);
        demand
    }

    /// What the default says, where the limits of `used_up` are used up; `doubtful` are the rules that may apply.
    fn default_effect(
        &self,
        used_up: &[Candidate],
        doubtful: Vec<Matched>,
        asked: &Asked<'_>,
        member: &dyn Fn(&Address) -> Member,
    ) -> Effect {
        let limits = used_up.iter().map(|it| &it.rule.rule);
        let used_up: Vec<String> = limits
            .map(|rule| format!("the limit of rule {rule} is used up"))
            .collect();
        let reason = match &self.default {
            DefaultEffect::Deny(reason) => reason,
            DefaultEffect::Require { escalate } => {
                return match escalate {
                    None => Effect::Requester { used_up },
                    Some(_) => Effect::Require(self.default_requirement(used_up, asked, member)),
                };
            }
        };
        let doubts = doubtful.into_iter().flat_map(|matched| {
            let facts = matched.facts.join("; ");
            [format!("rule {} may apply: {facts}", matched.rule)]
        });
        let otherwise = if used_up.is_empty() {
            DEFAULT_REASON
        } else {
            LIMIT_REASON
        };
        let facts = facts(used_up, "no rule applies for certain").into_iter();
        Effect::Deny {
            rules: vec![Matched {
                rule: RuleId::default_rule(),
                is_certain: true,
                facts: facts.chain(doubts).collect(),
                tell: Vec::new(),
            }],
            reason: reason.clone().unwrap_or_else(|| otherwise.to_owned()),
        }
    }
}

impl Rule {
    fn matched(&self, truth: Truth, facets: &Facets<'_>) -> Matched {
        Matched {
            rule: self.id.clone(),
            is_certain: truth == Truth::True,
            facts: self.facts(facets),
            tell: self.tell.clone(),
        }
    }
}

/// Names the people.
fn fill(demand: &mut Requirement, asked: &Asked<'_>, member: &dyn Fn(&Address) -> Member) {
    let requested: Vec<Member> = asked.requested.iter().map(member).collect();
    let acted_for = asked.on_behalf_of.map(member);
    demand.fill(&requested, |member| {
        let acted_for = acted_for.as_ref();
        acted_for.is_some_and(|it| it.person.may_be(&member.person))
    });
}

/// Why the default decides: since limits are used up, or else in these words.
fn facts(used_up: Vec<String>, otherwise: &str) -> Vec<String> {
    if used_up.is_empty() {
        vec![otherwise.to_owned()]
    } else {
        used_up
    }
}

fn denial(rule: &RuleId) -> String {
    format!("The policy denies this (rule {rule}).")
}

fn join(demands: Vec<(&Requirement, Matched)>) -> Requirement {
    let mut demands = demands.into_iter();
    let (first, matched) = demands.next().expect("a rule demands");
    let mut joined = first.clone();
    joined.rules.push(matched);
    for (demand, matched) in demands {
        joined.join(demand);
        joined.rules.push(matched);
    }
    joined
}
