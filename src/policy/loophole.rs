//! Ways around what the words of a policy seem to say.

use super::condition::{Condition, Relation};
use super::contradiction::torn_text;
use super::fault::Fault;
use super::load::Policy;
use super::requirement::{Ask, Requirement, Source};
use super::rule::{Clause, Kind, Rule};

impl Policy {
    pub(super) fn loopholes(&self) -> Vec<Fault> {
        let mut warnings = Vec::new();
        for rule in &self.rules {
            let warn = |message| Fault {
                line: rule.line,
                message,
            };
            warnings.extend(rule.unbounded().map(|clause| {
                warn(format!(
                    "rule `{}` approves negative numbers too: {} has no lower bound",
                    rule.id, clause.pointer
                ))
            }));
            let clauses: Vec<&Clause> = rule.when.iter().collect();
            warnings.extend(torn_text(&clauses).map(|pointer| {
                warn(format!(
                    "rule `{}` matches only what cannot be compared: no text meets all its conditions on {pointer}",
                    rule.id
                ))
            }));
            if rule.demand().is_some_and(asks_proven_members_by_link) {
                warnings.push(warn(format!(
                    "rule `{}` asks a member with a group or role of the directory, and has no `sign_in`: a \
                     substitute of theirs can decide by link",
                    rule.id
                )));
            }
            warnings.extend(self.rules.iter().filter_map(|other| {
                let group = rule.escalates_into(other)?;
                Some(warn(format!(
                    "rule `{}` escalates also where rule `{}` in line {} matches: its people can then approve in \
                     the place of group `{group}`",
                    rule.id, other.id, other.line
                )))
            }));
        }
        warnings
    }
}

impl Rule {
    /// The conditions of an approval that no number is too small for.
    fn unbounded(&self) -> impl Iterator<Item = &Clause> {
        let is_approval = matches!(self.kind, Kind::Approve { .. });
        let is_bounded = |clause: &Clause| {
            let mut others = self.when.iter().filter(|it| it.pointer == clause.pointer);
            others.any(|it| {
                matches!(
                    it.condition,
                    Condition::Number(Relation::AtLeast | Relation::MoreThan, _)
                        | Condition::OneOf(_)
                )
            })
        };
        self.when.iter().filter(move |clause| {
            let is_upper = matches!(
                clause.condition,
                Condition::Number(Relation::AtMost | Relation::LessThan, _)
            );
            is_approval && is_upper && !is_bounded(clause)
        })
    }

    /// A group that only `other` asks, and in whose place those can approve to whom this rule escalates.
    fn escalates_into<'a>(&self, other: &'a Self) -> Option<&'a str> {
        let (demand, other_demand) = (self.demand()?, other.demand()?);
        let escalate = demand.escalate.as_ref()?;
        let is_named = |ask: &&Ask| asks(demand).any(|own| own.from == ask.from);
        let foreign = asks(other_demand).filter(|ask| !is_named(ask));
        let group = foreign.into_iter().find_map(|ask| match &ask.from {
            Source::Group(name) => Some(name.as_str()),
            Source::Requested => None,
        })?;
        let own = other_demand.escalate.as_ref();
        let says_so = own.is_some_and(|it| escalate.from.iter().all(|name| it.from.contains(name)));
        let mut joined = demand.clone();
        joined.join(other_demand);
        (!says_so && !joined.escalated().is_empty() && !self.excludes(other)).then_some(group)
    }
}

fn asks(demand: &Requirement) -> impl Iterator<Item = &Ask> {
    demand.stages.iter().flatten()
}

/// Whether a group or role of the directory counts for a member alone, and not for who takes their place.
fn asks_proven_members_by_link(demand: &Requirement) -> bool {
    let mut members = asks(demand).flat_map(|ask| &ask.members);
    !demand.sign_in && members.any(|member| member.group.is_some())
}
