//! Reads a policy.

use std::collections::BTreeMap;

use super::absence::{self, Absence};
use super::channels::{self, Channel};
use super::contradiction::contradiction;
use super::demand::read_escalate;
use super::fault::Fault;
use super::groups::{self, Groups};
use super::matched::{MAX_NAME, RuleId};
use super::people::{self, Member};
use super::pointer::Pointer;
use super::read_rule::RuleReader;
use super::read_values::read_reason;
use super::reader::{Members, Reader};
use super::requirement::{Escalate, Reask};
use super::rule::{Kind, Rule};
use super::surroundings::Surroundings;
use crate::values::People;

/// The version of the language.
pub(super) const VERSION: u32 = 1;
/// The most bytes of a policy.
const MAX_BYTES: usize = 64 << 10;
/// The most rules of a policy.
const MAX_RULES: usize = 500;

/// A policy as read.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) groups: Groups,
    pub(super) channels: Vec<Channel>,
    pub(super) default: DefaultEffect,
    pub(super) rules: Vec<Rule>,
    pub(super) absences: Vec<Absence>,
    /// Of the operator's list too.
    pub(super) known_people: People,
    /// The pointers that rules compare.
    pub(super) pointers: Vec<Pointer>,
}

/// What no rule matches.
#[derive(Clone, Debug)]
pub(super) enum DefaultEffect {
    /// The approvers whom the agent names decide.
    Require {
        escalate: Option<Escalate>,
    },
    Deny(Option<String>),
}

impl Document {
    pub(super) fn needs_sign_in(&self) -> bool {
        let takes_it = |rule: &Rule| matches!(&rule.kind, Kind::Require(demand) if demand.sign_in);
        let mut members = groups::all_members(&self.groups);
        self.rules.iter().any(takes_it) || members.any(|member| member.group.is_some())
    }

    /// The people whom it names: the members of groups, then those of absences.
    pub(super) fn people(&self) -> impl Iterator<Item = &Member> {
        let absences = self.absences.iter();
        let absences = absences.flat_map(|absence| [&absence.person, &absence.substitute]);
        groups::all_members(&self.groups).chain(absences)
    }

    pub(super) fn refuses_rejected(&self) -> bool {
        let refuses = |rule: &Rule| matches!(&rule.kind, Kind::Require(demand) if demand.reask == Reask::Refuse);
        self.rules.iter().any(refuses)
    }

    pub(super) fn needs_bound_names(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| needs_bound_names(&rule.kind).is_some())
    }

    pub(super) fn allows_grants(&self) -> bool {
        let allows =
            |rule: &Rule| matches!(&rule.kind, Kind::Require(demand) if demand.grants.is_some());
        self.rules.iter().any(allows)
    }
}

/// # Errors
/// All faults.
pub(super) fn load(text: &str, surroundings: &Surroundings) -> Result<Document, Vec<Fault>> {
    let reader = Reader::new(text);
    let document = read(&reader, text, surroundings);
    let faults = reader.finish();
    match document {
        Some(document) if faults.is_empty() => Ok(document),
        _ => Err(faults),
    }
}

fn read(reader: &Reader<'_>, text: &str, surroundings: &Surroundings) -> Option<Document> {
    if text.len() > MAX_BYTES {
        reader.fault(1, format!("the policy has more than {MAX_BYTES} bytes"));
        return None;
    }
    let parsed = reader.parse()?;
    let mut members = Members::new(reader, parsed.get_ref(), 1, "the policy".to_owned());
    if let Some(version) = members.require("version") {
        version.whole(VERSION..=VERSION);
    }
    let known_people = people::known(parsed.get_ref(), &surroundings.allowed);
    let channels = members.take("channels").and_then(|node| node.table());
    let channels = channels.map_or_else(Vec::new, channels::read);
    let groups = members.take("groups").and_then(|node| node.table());
    let groups = groups.map_or_else(Groups::new, |table| {
        groups::read(table, surroundings, &known_people)
    });
    let absences = members.take("absence");
    let absences = absences.map(|node| absence::read(&node, &groups, surroundings, &known_people));
    let default = members.take("default").and_then(|node| node.table());
    let none = DefaultEffect::Require { escalate: None };
    let default = default.map_or(none, |table| read_default(table, &groups));
    let rules = members.take("rule");
    members.finish();

    let mut rule_reader = RuleReader::new(&groups, &channels, surroundings);
    let mut read: Vec<Rule> = Vec::new();
    let mut lines: BTreeMap<RuleId, usize> = BTreeMap::new();
    let nodes = rules.and_then(|node| node.list()).unwrap_or_default();
    if let Some(node) = nodes.get(MAX_RULES) {
        node.fault(format!(
            "is one too many: a policy has at most {MAX_RULES} rules"
        ));
    }
    for node in nodes.iter().take(MAX_RULES) {
        let Some(mut table) = node.table() else {
            continue;
        };
        let Some((id, line)) = read_id(&mut table) else {
            rule_reader.read(table, RuleId::default_rule());
            continue;
        };
        if let Some(earlier) = lines.insert(id.clone(), line) {
            reader.fault(
                line,
                format!("rule `{id}` has the id of the rule in line {earlier}"),
            );
        }
        let Some(rule) = rule_reader.read(table, id) else {
            continue;
        };
        check_rule(reader, &rule, surroundings);
        read.push(rule);
    }
    Some(Document {
        default,
        absences: absences.unwrap_or_default(),
        known_people,
        rules: read,
        pointers: rule_reader.into_pointers(),
        groups,
        channels,
    })
}

fn read_id(table: &mut Members<'_>) -> Option<(RuleId, usize)> {
    let node = table.require("id")?;
    let id = RuleId::parse(node.text(MAX_NAME)?);
    if id.is_none() {
        node.fault(format!(
            "must have 1 to {MAX_NAME} letters and digits of ASCII, `-` and `_`, and not be `default`"
        ));
    }
    let id = id?;
    table.name = format!("rule `{id}`");
    table.line = node.line;
    Some((id, node.line))
}

fn read_default(mut table: Members<'_>, groups: &Groups) -> DefaultEffect {
    table.name = "`[default]`".to_owned();
    let effect = table.require("effect");
    let denies = effect.and_then(|node| node.word(&[("require", false), ("deny", true)]));
    let default = if denies.unwrap_or(true) {
        table.refuse(&["escalate"], "belongs to the effect \"require\"");
        DefaultEffect::Deny(table.take("reason").and_then(|node| read_reason(&node)))
    } else {
        table.refuse(&["reason"], "belongs to the effect \"deny\"");
        let escalate = table.take("escalate");
        DefaultEffect::Require {
            escalate: escalate.and_then(|node| read_escalate(&node, groups)),
        }
    };
    table.finish();
    default
}

/// Checks what only the whole rule shows.
fn check_rule(reader: &Reader<'_>, rule: &Rule, surroundings: &Surroundings) {
    let clauses: Vec<_> = rule.when.iter().collect();
    if let Some(pointer) = contradiction(&clauses) {
        reader.fault(
            rule.line,
            format!(
                "rule `{}` can never match: its conditions on {pointer} contradict each other",
                rule.id
            ),
        );
    }
    let are_bound = surroundings.names_bound || surroundings.development;
    if let Some(what) = needs_bound_names(&rule.kind)
        && !are_bound
    {
        reader.fault(
            rule.line,
            format!(
                "rule `{}` {what}, which takes HO_AGENT_KEYS: without it an agent's name is its own claim",
                rule.id
            ),
        );
    }
}

/// What a rule does that takes agents' names which are bound to their credentials.
fn needs_bound_names(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Approve { .. } => Some("approves"),
        Kind::Require(demand) if demand.grants.is_some() => Some("has `grants`"),
        Kind::Deny { .. } | Kind::Require(_) => None,
    }
}
