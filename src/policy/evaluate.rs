//! Applies the rules to a request.

use super::effect::{Asked, Candidate, Effect, LimitRefusal};
use super::load::{DefaultEffect, Policy};
use super::matched::{Matched, RuleId};
use super::people::Member;
use super::requirement::Requirement;
use super::rule::{Facets, Kind, Rule};
use super::subject::Subject;
use super::text::Text;
use super::truth::Truth;

const DEFAULT_REASON: &str = "No rule of the policy allows this.";
const LIMIT_REASON: &str = "The policy allows no more of these for now.";

impl Policy {
    /// What becomes of a request. Whether a requirement can be a plan, [`Requirement::check`] says.
    pub fn evaluate(&self, asked: &Asked<'_>) -> Effect {
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
            self.fill(&mut joined, asked);
            return Effect::Require(joined);
        }
        if !candidates.is_empty() && demands.is_empty() {
            let otherwise = Box::new(self.default_effect(&candidates, Vec::new(), asked));
            return Effect::Approve {
                candidates,
                otherwise,
            };
        }
        let doubtful = demands.into_iter().map(|(_, matched)| matched).collect();
        self.default_effect(&[], doubtful, asked)
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

    /// [`Effect::Requester`] as a requirement: one approval of the people whom the agent names. `limits` says why limits
    /// keep rules from deciding, if that is why the default does.
    pub fn requirement_of_requester(&self, limits: Vec<String>, asked: &Asked<'_>) -> Requirement {
        let escalate = match &self.default {
            DefaultEffect::Require { escalate } => escalate.clone(),
            DefaultEffect::Deny(_) => None,
        };
        let mut demand = Requirement::of_requester(escalate);
        demand.rules.push(Matched {
            rule: RuleId::default_rule(),
            is_certain: true,
            facts: facts(limits, "no rule applies"),
            tell: Vec::new(),
        });
        self.fill(&mut demand, asked);
        demand
    }

    /// What the default says, where the limits of `used_up` are used up; `doubtful` are the rules that may apply.
    fn default_effect(
        &self,
        used_up: &[Candidate],
        doubtful: Vec<Matched>,
        asked: &Asked<'_>,
    ) -> Effect {
        let rules = used_up.iter().map(|it| &it.rule.rule);
        let limits: Vec<String> = rules.map(|it| LimitRefusal::UsedUp.fact(it)).collect();
        let reason = match &self.default {
            DefaultEffect::Deny(reason) => reason,
            DefaultEffect::Require { escalate } => {
                return match escalate {
                    None => Effect::Requester { limits },
                    Some(_) => Effect::Require(self.requirement_of_requester(limits, asked)),
                };
            }
        };
        let doubts = doubtful.into_iter().flat_map(|matched| {
            let facts = matched.facts.join("; ");
            [format!("rule {} may apply: {facts}", matched.rule)]
        });
        let otherwise = if limits.is_empty() {
            DEFAULT_REASON
        } else {
            LIMIT_REASON
        };
        let facts = facts(limits, "no rule applies for certain").into_iter();
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

    /// Names the people.
    fn fill(&self, demand: &mut Requirement, asked: &Asked<'_>) {
        let requested = asked.requested.iter().map(|it| self.member(it));
        let requested: Vec<Member> = requested.collect();
        let acted_for = asked.on_behalf_of.map(|it| self.member(it));
        demand.fill(&requested, |member| {
            let acted_for = acted_for.as_ref();
            acted_for.is_some_and(|it| it.person.may_be(&member.person))
        });
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

/// Why the default decides: because of limits, or else in these words.
fn facts(limits: Vec<String>, otherwise: &str) -> Vec<String> {
    if limits.is_empty() {
        vec![otherwise.to_owned()]
    } else {
        limits
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
