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

use human_oversight_protocol::parameters::sha256;
use uuid::Uuid;

use crate::values::{Address, Digest, DirectoryGroup, People, Timestamp};
use load::needs_bound_names;
use rule::Rule;

pub use absence::Absence;
pub use channels::{Channel, ChannelKind, MAX_TOLD};
pub use demand::MAX_GRANT;
pub use effect::{Asked, Candidate, Effect, Limit, LimitRefusal};
pub use explain::Explanation;
pub use fault::Fault;
pub use load::Policy;
pub use matched::{Matched, RuleId, tell_of};
pub use people::{Member, group_by_person, is_same_person};
pub use pointer::{InvalidPointer, Pointer};
pub use requirement::{
    Ask, CommentRule, Escalate, MAX_PEOPLE, MAX_STAGES, MAX_VOTES, PlanFault, Reask, Requirement,
    Source,
};
pub use surroundings::Surroundings;
pub use truth::Truth;

impl Policy {
    /// The SHA-256 of the text.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The number of rules.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// The channels, in the order of their names.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The rules with their effects (`approve`, `deny` or `require`), in the order of the file.
    pub fn list_rules(&self) -> impl Iterator<Item = (&RuleId, &'static str)> {
        self.rules.iter().map(|rule| (&rule.id, rule.kind.word()))
    }

    /// Whether a rule, or a member of a group, takes sign-in.
    pub fn needs_sign_in(&self) -> bool {
        let mut members = groups::all_members(&self.groups);
        self.demands().any(|demand| demand.sign_in) || members.any(|member| member.group.is_some())
    }

    /// Whether a rule takes agents' names that are bound to their credentials.
    pub fn needs_bound_names(&self) -> bool {
        let mut kinds = self.rules.iter().map(|rule| &rule.kind);
        kinds.any(|kind| needs_bound_names(kind).is_some())
    }

    /// Whether a rule refuses what was rejected before.
    pub fn refuses_rejected(&self) -> bool {
        self.demands().any(|demand| demand.reask == Reask::Refuse)
    }

    /// Whether a rule lets approvers give standing grants.
    pub fn allows_grants(&self) -> bool {
        self.demands().any(|demand| demand.grants.is_some())
    }

    /// The digest of these rules: their ids and contents, but not those of the groups that they name.
    pub fn digest_of(&self, ids: &[String]) -> Digest {
        let rules = self.rules.iter();
        let rules = rules.filter(|rule| ids.iter().any(|id| id == rule.id.as_str()));
        let mut lines: Vec<String> = rules
            .map(|rule| format!("{} {}", rule.id, rule.digest))
            .collect();
        lines.sort();
        Digest(sha256(lines.join("\n").as_bytes()))
    }

    /// The absences in the time from `from` until `until`, in the order of the file.
    pub fn absences(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = &Absence> {
        let absences = self.absences.iter();
        absences.filter(move |absence| absence.overlaps(from, until))
    }

    /// Whether this agent can be called back by the channel of this name.
    pub fn can_call_back(&self, agent: &str, channel: &str) -> bool {
        let mut named = self.channels().iter().filter(|it| it.name == channel);
        named.any(|it| it.can_call_back(agent))
    }

    /// The members of a group; none where there is no such group.
    pub fn group(&self, name: &str) -> &[Member] {
        let group = self.groups.get(name);
        group.map_or(&[], |group| group.members.as_slice())
    }

    /// The people to whom the policy or the list of approvers gives object ids.
    pub fn people(&self) -> &People {
        &self.known_people
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
    /// What its `require` rules demand.
    fn demands(&self) -> impl Iterator<Item = &Requirement> {
        self.rules.iter().filter_map(Rule::demand)
    }
}
