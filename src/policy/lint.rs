//! What is likely a mistake in a policy that loads.

use std::collections::BTreeSet;

use super::absence::Absence;
use super::condition::{Condition, Scalar};
use super::contradiction::contradiction;
use super::fault::Fault;
use super::load::{DefaultEffect, Policy};
use super::people::is_same_person;
use super::requirement::{MAX_TIME, Requirement, Source};
use super::rule::{Clause, Kind, Rule};
use super::text::Glob;
use super::truth::Truth;

impl Policy {
    /// What is likely a mistake, in the order of the lines.
    pub fn warnings(&self) -> Vec<Fault> {
        let mut warnings = self.unused_groups();
        warnings.extend(self.idle_rules());
        warnings.extend(self.impossible_pairs());
        warnings.extend(self.loose_approvals());
        warnings.extend(self.loopholes());
        warnings.extend(self.absent_substitutes());
        warnings.sort();
        warnings
    }

    fn unused_groups(&self) -> Vec<Fault> {
        let demands = self.rules.iter().filter_map(Rule::demand);
        let demands: Vec<&Requirement> = demands.collect();
        let asks = demands
            .iter()
            .flat_map(|demand| demand.stages.iter().flatten());
        let asked = asks.filter_map(|ask| match &ask.from {
            Source::Group(name) => Some(name.as_str()),
            Source::Requested => None,
        });
        let by_rules = demands.iter().filter_map(|demand| demand.escalate.as_ref());
        let by_default = match &self.default {
            DefaultEffect::Require { escalate } => escalate.as_ref(),
            DefaultEffect::Deny(_) => None,
        };
        let escalates = by_rules.chain(by_default).flat_map(|it| &it.from);
        let used: BTreeSet<&str> = asked.chain(escalates.map(String::as_str)).collect();
        let unused = self
            .groups
            .iter()
            .filter(|(name, _)| !used.contains(name.as_str()));
        let warning = |(name, group): (&String, &super::groups::Group)| Fault {
            line: group.line,
            message: format!("group `{name}` is in no rule"),
        };
        unused.map(warning).collect()
    }

    /// Absences in which the substitute is absent too: then neither may answer.
    fn absent_substitutes(&self) -> Vec<Fault> {
        let are_both = |one: &Absence, other: &Absence| {
            is_same_person(&one.substitute, &other.person) && one.overlaps(other.from, other.until)
        };
        let mut warnings = Vec::new();
        for absence in &self.absences {
            if let Some(other) = self.absences.iter().find(|it| are_both(absence, it)) {
                warnings.push(Fault {
                    line: absence.line,
                    message: format!(
                        "the substitute is absent for a part of this time too, by line {}",
                        other.line
                    ),
                });
            }
        }
        warnings
    }

    /// Rules that another one makes idle, whatever the request.
    fn idle_rules(&self) -> Vec<Fault> {
        let mut warnings = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let by = |(at, other): &(usize, &Rule)| {
                *at != index && rule.is_idle_beside(other, *at < index) && other.covers(rule)
            };
            if let Some((_, other)) = self.rules.iter().enumerate().find(by) {
                warnings.push(Fault {
                    line: rule.line,
                    message: format!(
                        "rule `{}` never changes the outcome: rule `{}` in line {} matches the same requests",
                        rule.id, other.id, other.line
                    ),
                });
            }
        }
        warnings
    }

    /// Rules whose demands cannot be met together, although one request can match both.
    fn impossible_pairs(&self) -> Vec<Fault> {
        let mut warnings = Vec::new();
        let demands: Vec<(&Rule, &Requirement)> = self
            .rules
            .iter()
            .filter_map(|rule| Some((rule, rule.demand()?)))
            .collect();
        for (index, (rule, demand)) in demands.iter().enumerate() {
            for (other, other_demand) in &demands[..index] {
                let mut joined = (*demand).clone();
                joined.join(other_demand);
                let time = joined.timeout.unwrap_or(MAX_TIME);
                if let Err(fault) = joined.check_alone(time)
                    && !rule.excludes(other)
                {
                    warnings.push(Fault {
                        line: rule.line,
                        message: format!(
                            "a request that matches rule `{}` and rule `{}` in line {} is refused: {fault}",
                            rule.id, other.id, other.line
                        ),
                    });
                }
            }
        }
        warnings
    }

    /// Approvals in which a parameter is named but may have any value.
    fn loose_approvals(&self) -> Vec<Fault> {
        let approvals = self
            .rules
            .iter()
            .filter(|rule| matches!(rule.kind, Kind::Approve { .. }));
        let mut warnings = Vec::new();
        for rule in approvals {
            if rule
                .actions
                .as_ref()
                .is_none_or(|globs| globs.iter().any(Glob::is_any))
            {
                warnings.push(Fault {
                    line: rule.line,
                    message: format!("rule `{}` approves every action", rule.id),
                });
            }
            let loose = rule.when.iter().filter(|clause| {
                let mut others = rule
                    .when
                    .iter()
                    .filter(|other| other.pointer == clause.pointer);
                others.all(|other| other.condition == Condition::Exists(true))
            });
            warnings.extend(loose.map(|clause| Fault {
                line: rule.line,
                message: format!(
                    "rule `{}` approves any value of {}",
                    rule.id, clause.pointer
                ),
            }));
        }
        warnings
    }
}

impl Rule {
    pub(super) fn demand(&self) -> Option<&Requirement> {
        match &self.kind {
            Kind::Require(demand) => Some(demand),
            _ => None,
        }
    }

    /// Whether the rule makes no difference if `other`, which may be the earlier one, matches too.
    fn is_idle_beside(&self, other: &Self, is_earlier: bool) -> bool {
        let tells = || !self.tell.iter().all(|name| other.tell.contains(name));
        match (&self.kind, &other.kind) {
            // All denials, and all that ask people, tell their channels.
            (Kind::Deny { .. }, Kind::Deny { .. }) | (Kind::Require(_), Kind::Require(_))
                if tells() =>
            {
                false
            }
            // Of two denials the first gives the words.
            (Kind::Deny { .. }, Kind::Deny { .. }) => is_earlier,
            (_, Kind::Deny { .. }) | (Kind::Approve { .. }, Kind::Require(_)) => true,
            (Kind::Approve { .. }, Kind::Approve { limit, .. }) => is_earlier && limit.is_none(),
            (Kind::Require(demand), Kind::Require(greater)) => {
                let mut joined = (**greater).clone();
                joined.join(demand);
                joined == **greater && (is_earlier || demand != greater)
            }
            _ => false,
        }
    }

    /// Whether each request that the rule `other` matches, or may match, is one that this rule does, as far as
    /// patterns and conditions tell.
    fn covers(&self, other: &Self) -> bool {
        // An approval matches only what it mentions.
        let mentions_as_much = match (&self.kind, &other.kind) {
            (Kind::Approve { ignore, .. }, Kind::Approve { ignore: others, .. }) => {
                let clauses = |rule: &Self| -> BTreeSet<_> {
                    rule.when
                        .iter()
                        .map(|clause| clause.pointer.clone())
                        .collect()
                };
                let mentions: BTreeSet<_> =
                    clauses(self).into_iter().chain(ignore.clone()).collect();
                clauses(other)
                    .into_iter()
                    .chain(others.clone())
                    .all(|it| mentions.contains(&it))
            }
            _ => true,
        };
        let is_implied = |clause: &Clause| {
            let mut others = other
                .when
                .iter()
                .filter(|other| other.pointer == clause.pointer);
            others.any(|other| implies(&other.condition, &clause.condition))
        };
        mentions_as_much
            && covers(self.agents.as_ref(), other.agents.as_ref())
            && covers(self.actions.as_ref(), other.actions.as_ref())
            && self.when.iter().all(is_implied)
    }

    /// Whether no request matches both for certain, as far as patterns and conditions tell.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        let clauses: Vec<&Clause> = self.when.iter().chain(&other.when).collect();
        excludes(self.agents.as_ref(), other.agents.as_ref())
            || excludes(self.actions.as_ref(), other.actions.as_ref())
            || contradiction(&clauses).is_some()
    }
}

fn covers(globs: Option<&Vec<Glob>>, others: Option<&Vec<Glob>>) -> bool {
    let covers_one =
        |other: &Glob| globs.is_none_or(|globs| globs.iter().any(|glob| glob.covers(other)));
    match others {
        Some(others) => others.iter().all(covers_one),
        None => globs.is_none_or(|globs| globs.iter().any(Glob::is_any)),
    }
}

fn excludes(globs: Option<&Vec<Glob>>, others: Option<&Vec<Glob>>) -> bool {
    let pairs = globs.zip(others);
    pairs.is_some_and(|(globs, others)| {
        globs
            .iter()
            .all(|glob| others.iter().all(|other| glob.excludes(other)))
    })
}

/// Whether a value that meets the first condition, or may meet it, does so with the second.
fn implies(one: &Condition, other: &Condition) -> bool {
    use std::cmp::Ordering;

    use super::condition::Relation as R;
    match (one, other) {
        (one, other) if one == other => true,
        (Condition::Number(relation, number), Condition::Number(wider, bound)) => {
            let order = number.cmp(bound);
            match (relation, wider) {
                (R::MoreThan, R::MoreThan | R::AtLeast) | (R::AtLeast, R::AtLeast) => order.is_ge(),
                (R::AtLeast, R::MoreThan) => order == Ordering::Greater,
                (R::LessThan, R::LessThan | R::AtMost) | (R::AtMost, R::AtMost) => order.is_le(),
                (R::AtMost, R::LessThan) => order == Ordering::Less,
                _ => false,
            }
        }
        (Condition::OneOf(values), Condition::OneOf(wider)) => {
            values.iter().all(|value| wider.contains(value))
        }
        (Condition::OneOf(values), wider @ (Condition::Number(..) | Condition::NoneOf(_))) => {
            let is_number = |value: &Scalar| matches!(value, Scalar::Number(_));
            let holds = |value: &Scalar| wider.judge(&value.as_subject()) == Truth::True;
            values.iter().all(|value| is_number(value) && holds(value))
        }
        _ => false,
    }
}
