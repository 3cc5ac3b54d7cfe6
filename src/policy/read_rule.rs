//! Reads one rule.

use super::channels::{Channel, read_tell};
use super::demand::read_demand;
use super::effect::Limit;
use super::groups::Groups;
use super::matched::RuleId;
use super::pointer::Pointer;
use super::read_condition::read_conditions;
use super::read_values::{read_globs, read_pointer, read_pointers, read_reason};
use super::reader::{DAY, MINUTE, Members, Node};
use super::rule::{Clause, Kind, Rule};
use super::surroundings::Surroundings;

/// The word of a rule's effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EffectWord {
    Approve,
    Deny,
    Require,
}

const EFFECTS: [(&str, EffectWord); 3] = [
    ("approve", EffectWord::Approve),
    ("deny", EffectWord::Deny),
    ("require", EffectWord::Require),
];

impl EffectWord {
    /// The members that only rules with this effect have.
    fn members(self) -> &'static [&'static str] {
        match self {
            Self::Approve => &["ignore", "limit"],
            Self::Deny => &["reason"],
            Self::Require => &[
                "add_requested",
                "comment",
                "escalate",
                "grants",
                "not_before",
                "on_behalf_of",
                "reask",
                "reject_reasons",
                "rejections",
                "run_within",
                "sign_in",
                "stages",
                "summary",
                "timeout",
            ],
        }
    }
}

/// Reads rules, and gathers the pointers that they compare.
pub(super) struct RuleReader<'a> {
    groups: &'a Groups,
    channels: &'a [Channel],
    surroundings: &'a Surroundings,
    pointers: Vec<Pointer>,
}

impl<'a> RuleReader<'a> {
    pub(super) fn new(
        groups: &'a Groups,
        channels: &'a [Channel],
        surroundings: &'a Surroundings,
    ) -> Self {
        Self {
            groups,
            channels,
            surroundings,
            pointers: Vec::new(),
        }
    }

    pub(super) fn into_pointers(self) -> Vec<Pointer> {
        self.pointers
    }

    /// Reads the rule but for its id; `None` if it has no usable effect.
    pub(super) fn read(&mut self, mut table: Members<'_>, id: RuleId) -> Option<Rule> {
        let line = table.line;
        let digest = table.digest();
        let agents = table.take("agents").map(|node| read_globs(&node));
        let actions = table.take("actions").map(|node| read_globs(&node));
        let when = table.take("when").map(|node| self.read_when(&node));
        let tell = table.take("tell");
        let tell = tell.map(|node| read_tell(&node, self.channels));
        let effect = table.require("effect");
        let effect = effect.and_then(|node| node.word(&EFFECTS));
        let Some(effect) = effect else {
            // Which members it may have is unknown.
            for (_, effect) in EFFECTS {
                let members = effect.members().iter();
                members.for_each(|name| drop(table.take(name)));
            }
            table.finish();
            return None;
        };
        for (word, other) in EFFECTS {
            if other != effect {
                let why = format!("belongs to the effect \"{word}\"");
                table.refuse(other.members(), &why);
            }
        }
        let kind = match effect {
            EffectWord::Approve => read_approve(&mut table),
            EffectWord::Deny => Kind::Deny {
                reason: table.take("reason").and_then(|node| read_reason(&node)),
            },
            EffectWord::Require => {
                let demand = read_demand(&mut table, self.groups, self.surroundings);
                Kind::Require(Box::new(demand))
            }
        };
        table.finish();
        Some(Rule {
            id,
            line,
            digest,
            agents,
            actions,
            when: when.unwrap_or_default(),
            tell: tell.unwrap_or_default(),
            kind,
        })
    }

    fn read_when(&mut self, node: &Node<'_>) -> Vec<Clause> {
        let mut clauses = Vec::new();
        for (index, item) in node.list().unwrap_or_default().into_iter().enumerate() {
            let Some(mut table) = item.table() else {
                continue;
            };
            table.name = format!("condition {}", index + 1);
            let pointer = table.require("parameter");
            let pointer = pointer.and_then(|node| {
                let pointer = read_pointer(&node)?;
                if pointer.is_whole() {
                    node.fault("must name one parameter, such as `/amount`");
                    return None;
                }
                Some(pointer)
            });
            let conditions = read_conditions(&mut table);
            if let Some(pointer) = pointer {
                let subject = self.subject(&pointer);
                clauses.extend(conditions.into_iter().map(|condition| Clause {
                    pointer: pointer.clone(),
                    subject,
                    condition,
                }));
            }
            table.finish();
        }
        clauses
    }

    /// The place of a pointer among those of the policy.
    fn subject(&mut self, pointer: &Pointer) -> usize {
        let known = self.pointers.iter().position(|other| other == pointer);
        known.unwrap_or_else(|| {
            self.pointers.push(pointer.clone());
            self.pointers.len() - 1
        })
    }
}

fn read_approve(table: &mut Members<'_>) -> Kind {
    let ignore = table
        .take("ignore")
        .map(|node| read_pointers(&node, usize::MAX));
    let limit = table.take("limit").and_then(|node| node.table());
    let limit = limit.and_then(|mut table| {
        let times = table
            .require("times")
            .and_then(|node| node.whole(1..=100_000));
        let per = table
            .require("per")
            .and_then(|node| node.duration(MINUTE, 31 * DAY));
        table.finish();
        Some(Limit {
            times: times?,
            per: per?,
        })
    });
    Kind::Approve {
        ignore: ignore.unwrap_or_default(),
        limit,
    }
}
