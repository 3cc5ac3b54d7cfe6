//! Reads a policy.

use std::collections::BTreeMap;

use human_oversight_protocol::parameters::sha256;
use uuid::Uuid;

use super::absence::{self, Absence};
use super::channels::{self, Channel};
use super::contradiction::contradiction;
use super::demand::read_escalate;
use super::fault::Fault;
use super::groups::{self, Groups};
use super::matched::{MAX_NAME, RuleId};
use super::people;
use super::pointer::Pointer;
use super::read_rule::RuleReader;
use super::read_values::read_reason;
use super::reader::{Members, Node, Reader};
use super::requirement::Escalate;
use super::rule::{Kind, Rule};
use super::surroundings::Surroundings;
use crate::values::{AllowList, Digest, DirectoryGroup, People};

/// The most bytes of a policy.
const MAX_BYTES: usize = 64 << 10;
/// The most rules of a policy.
const MAX_RULES: usize = 500;

/// A policy that loads without fault.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) digest: Digest,
    pub(super) allowed: AllowList,
    /// By address in lower case.
    pub(super) object_ids: BTreeMap<String, Uuid>,
    /// By address in lower case.
    pub(super) directory_groups: BTreeMap<String, DirectoryGroup>,
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

impl Policy {
    /// The version of the language.
    pub const VERSION: u32 = 1;

    /// Parses the text of a policy file.
    ///
    /// # Errors
    /// All faults, in the order of their lines.
    pub fn parse(text: &str, surroundings: &Surroundings) -> Result<Self, Vec<Fault>> {
        let reader = Reader::new(text);
        let policy = read(&reader, text, surroundings);
        let faults = reader.finish();
        match policy {
            Some(policy) if faults.is_empty() => Ok(policy),
            _ => Err(faults),
        }
    }
}

fn read(reader: &Reader<'_>, text: &str, surroundings: &Surroundings) -> Option<Policy> {
    if text.len() > MAX_BYTES {
        reader.fault(1, format!("the policy has more than {MAX_BYTES} bytes"));
        return None;
    }
    let parsed = reader.parse()?;
    let mut members = Members::new(reader, parsed.get_ref(), 1, "the policy".to_owned());
    if let Some(version) = members.require("version") {
        version.whole(Policy::VERSION..=Policy::VERSION);
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
    let nodes = members.take("rule").and_then(|node| node.list());
    let nodes = nodes.unwrap_or_default();
    members.finish();

    let mut rule_reader = RuleReader::new(&groups, &channels, surroundings);
    let rules = read_rules(reader, &mut rule_reader, &nodes, surroundings);
    let absences = absences.unwrap_or_default();
    let absent = absences.iter().flat_map(|it| [&it.person, &it.substitute]);
    let people = groups::all_members(&groups).chain(absent);
    Some(Policy {
        digest: Digest(sha256(text.as_bytes())),
        allowed: surroundings.allowed.clone(),
        object_ids: groups::object_ids(people),
        directory_groups: groups::directory_groups(&groups),
        default,
        absences,
        known_people,
        rules,
        pointers: rule_reader.into_pointers(),
        groups,
        channels,
    })
}

fn read_rules(
    reader: &Reader<'_>,
    rule_reader: &mut RuleReader<'_>,
    nodes: &[Node<'_>],
    surroundings: &Surroundings,
) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut lines: BTreeMap<RuleId, usize> = BTreeMap::new();
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
        rules.push(rule);
    }
    rules
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
pub(super) fn needs_bound_names(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Approve { .. } => Some("approves"),
        Kind::Require(demand) if demand.grants.is_some() => Some("has `grants`"),
        Kind::Deny { .. } | Kind::Require(_) => None,
    }
}
