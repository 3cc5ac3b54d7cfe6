//! The organisation's policy: which requests need whose approval, and which are approved or denied without one.
//!
//! Text in, values out: no I/O, no clock, no randomness.

mod absence;
mod channels;
mod condition;
mod content_digest;
mod contradiction;
mod demand;
mod effect;
mod evaluate;
mod explain;
mod facts;
mod fault;
mod groups;
mod join;
mod leaves;
mod lint;
mod load;
mod loophole;
mod matched;
mod people;
mod pointer;
mod read_condition;
mod read_rule;
mod read_values;
mod reader;
mod requirement;
mod rule;
mod subject;
mod surroundings;
mod text;
mod truth;

use std::collections::BTreeMap;

use human_oversight_protocol::parameters::sha256;
use uuid::Uuid;

use crate::values::{Address, AllowList, Digest, DirectoryGroup, People, Timestamp};

pub use absence::Absence;
pub use channels::{Channel, ChannelKind, MAX_TOLD};
pub use demand::MAX_GRANT;
pub use effect::{Asked, Candidate, Effect, Limit};
pub use explain::Explanation;
pub use fault::Fault;
pub use matched::{Matched, RuleId, tell_of};
pub use people::{Member, group_by_person, is_same_person};
pub use pointer::{InvalidPointer, Pointer};
pub use requirement::{
    Ask, Comment, Escalate, MAX_PEOPLE, MAX_STAGES, MAX_VOTES, PlanFault, Reask, Requirement,
    Source,
};
pub use surroundings::Surroundings;
pub use truth::Truth;

/// A policy that loads without fault.
#[derive(Clone, Debug)]
pub struct Policy {
    digest: Digest,
    document: load::Document,
    allowed: AllowList,
    /// By address in lower case.
    object_ids: BTreeMap<String, Uuid>,
    /// By address in lower case.
    directory_groups: BTreeMap<String, DirectoryGroup>,
}

impl Policy {
    /// The version of the language.
    pub const VERSION: u32 = load::VERSION;

    /// Parses the text of a policy file.
    ///
    /// # Errors
    /// All faults, in the order of their lines.
    pub fn parse(text: &str, surroundings: &Surroundings) -> Result<Self, Vec<Fault>> {
        let document = load::load(text, surroundings)?;
        Ok(Self {
            digest: Digest(sha256(text.as_bytes())),
            allowed: surroundings.allowed.clone(),
            object_ids: groups::object_ids(document.people()),
            directory_groups: groups::directory_groups(&document.groups),
            document,
        })
    }

    /// The SHA-256 of the text.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The number of rules.
    pub fn rules(&self) -> usize {
        self.document.rules.len()
    }

    /// The channels, in the order of their names.
    pub fn channels(&self) -> &[Channel] {
        &self.document.channels
    }

    /// The rules with their effects (`approve`, `deny` or `require`), in the order of the file.
    pub fn list_rules(&self) -> impl Iterator<Item = (&RuleId, &'static str)> {
        let rules = self.document.rules.iter();
        rules.map(|rule| (&rule.id, rule.kind.word()))
    }

    /// Whether a rule, or a member of a group, takes sign-in.
    pub fn needs_sign_in(&self) -> bool {
        self.document.needs_sign_in()
    }

    /// Whether a rule takes agents' names that are bound to their credentials.
    pub fn needs_bound_names(&self) -> bool {
        self.document.needs_bound_names()
    }

    /// Whether a rule refuses what was rejected before.
    pub fn refuses_rejected(&self) -> bool {
        self.document.refuses_rejected()
    }

    /// Whether a rule lets approvers give standing grants.
    pub fn allows_grants(&self) -> bool {
        self.document.allows_grants()
    }

    /// The digest of these rules: their ids and contents, but not those of the groups that they name.
    pub fn digest_of(&self, ids: &[String]) -> Digest {
        let rules = self.document.rules.iter();
        let rules = rules.filter(|rule| ids.iter().any(|id| id == rule.id.as_str()));
        let mut lines: Vec<String> = rules
            .map(|rule| format!("{} {}", rule.id, rule.digest))
            .collect();
        lines.sort();
        Digest(sha256(lines.join("\n").as_bytes()))
    }

    /// What becomes of a request. Whether a requirement can be a plan, [`Requirement::check`] says.
    pub fn evaluate(&self, asked: &Asked<'_>) -> Effect {
        self.document
            .evaluate(asked, &|address| self.member(address))
    }

    /// [`Effect::Requester`] as a requirement: one approval of the people whom the agent names.
    pub fn requirement_of_requester(&self, used_up: Vec<String>, asked: &Asked<'_>) -> Requirement {
        self.document
            .default_requirement(used_up, asked, &|address| self.member(address))
    }

    /// The absences in the time from `from` until `until`, in the order of the file.
    pub fn absences(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = &Absence> {
        let absences = self.document.absences.iter();
        absences.filter(move |absence| absence.overlaps(from, until))
    }

    /// Whether this agent can be called back by the channel of this name.
    pub fn can_call_back(&self, agent: &str, channel: &str) -> bool {
        let mut named = self.channels().iter().filter(|it| it.name == channel);
        named.any(|it| it.can_call_back(agent))
    }

    /// The members of a group; none where there is no such group.
    pub fn group(&self, name: &str) -> &[Member] {
        let group = self.document.groups.get(name);
        group.map_or(&[], |group| group.members.as_slice())
    }

    /// What each rule says about a request, in the order of the file.
    pub fn explain(&self, asked: &Asked<'_>) -> Vec<Explanation> {
        self.document.explain(asked)
    }

    /// What is likely a mistake, in the order of the lines.
    pub fn warnings(&self) -> Vec<Fault> {
        self.document.warnings()
    }

    /// The people to whom the policy or the list of approvers gives object ids.
    pub fn people(&self) -> &People {
        &self.document.known_people
    }

    /// A person, with the object id that the policy or the list of approvers gives the address.
    pub fn member(&self, address: &Address) -> Member {
        let listed = || self.allowed.object_id(address);
        Member {
            address: address.clone(),
            person: self.people().person(address),
            object_id: self.object_id_of(address).or_else(listed),
            group: self.directory_group_of(address).cloned(),
        }
    }

    /// The object id that the policy gives an address.
    pub fn object_id_of(&self, address: &Address) -> Option<Uuid> {
        let address = address.as_str().to_ascii_lowercase();
        self.object_ids.get(&address).copied()
    }

    /// The addresses to which the policy gives an object id.
    pub fn addresses_of(&self, object_id: Uuid) -> impl Iterator<Item = Address> {
        let ids = self
            .object_ids
            .iter()
            .filter(move |(_, id)| **id == object_id);
        ids.filter_map(|(address, _)| Address::from_known(address))
    }

    /// The group or role of the directory that the holder of an address must have when they decide, if a group of the
    /// policy says so.
    pub fn directory_group_of(&self, address: &Address) -> Option<&DirectoryGroup> {
        let address = address.as_str().to_ascii_lowercase();
        self.directory_groups.get(&address)
    }
}
