//! The groups of a policy.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::matched::{MAX_NAME, is_name};
use super::people::{Member, is_same_person, parse_object_id, split_entry};
use super::reader::{Members, Node};
use super::requirement::{MAX_PEOPLE, Source};
use super::surroundings::Surroundings;
use crate::values::{Address, DirectoryGroup, People};

/// The most groups of a policy.
const MAX_GROUPS: usize = 100;
/// The most characters of an entry: an address, and an object id.
const ENTRY_CHARS: usize = 300;

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) line: usize,
    pub(super) members: Vec<Member>,
    /// Whether an entry is at fault, so that the members are not all.
    pub(super) is_partial: bool,
}

pub(super) type Groups = BTreeMap<String, Group>;

pub(super) fn read(mut table: Members<'_>, surroundings: &Surroundings, people: &People) -> Groups {
    let mut groups = Groups::new();
    for (name, line, mut node) in table.take_all() {
        node.name = format!("group `{}`", crate::reveal::line(name, MAX_NAME));
        if name == Source::REQUESTED {
            node.fault("has the name by which rules call the approvers whom the agent names");
        } else if !is_name(name) {
            node.fault(format!(
                "must have a name of 1 to {MAX_NAME} letters and digits of ASCII, `-` and `_`"
            ));
        }
        if groups.len() == MAX_GROUPS {
            node.fault(format!(
                "is one too many: a policy has at most {MAX_GROUPS} groups"
            ));
            break;
        }
        let entries = node.list().unwrap_or_default();
        let mut members: Vec<Member> = Vec::new();
        for entry in &entries {
            let Some(member) = read_member(entry, surroundings, people) else {
                continue;
            };
            if member.group.is_some() && !surroundings.sign_in_configured {
                entry.fault("names a group or a role, which takes sign-in, and that is not set up");
            }
            if members.iter().any(|other| is_same_person(other, &member)) {
                entry.fault("is the same person as an earlier item");
            }
            let id = member.object_id;
            let others = groups.values().flat_map(|group: &Group| &group.members);
            let same = others.filter(|other| other.address.is_same_mailbox(&member.address));
            for other in same {
                let ids = other.object_id.zip(id);
                if ids.is_some_and(|(other, id)| other != id) {
                    entry.fault("has another object id in another group");
                    break;
                }
                let named = other.group.as_ref().zip(member.group.as_ref());
                if named.is_some_and(|(other, group)| other != group) {
                    entry.fault("has another group or role in another group");
                    break;
                }
            }
            members.push(member);
        }
        let is_partial = members.is_empty() || members.len() < entries.len();
        groups.insert(
            name.to_owned(),
            Group {
                line,
                members,
                is_partial,
            },
        );
    }
    complete_object_ids(&mut groups);
    groups
}

/// `people` knows the object ids of the whole file. The fault names no address: it can end up in a log.
pub(super) fn read_member(
    entry: &Node<'_>,
    surroundings: &Surroundings,
    people: &People,
) -> Option<Member> {
    let allowed = &surroundings.allowed;
    let text = entry.text(ENTRY_CHARS)?;
    let (address, what) = split_entry(text);
    let (id, group) = (
        what.and_then(parse_object_id),
        what.and_then(DirectoryGroup::parse),
    );
    if what.is_some() && id.is_none() && group.is_none() {
        entry.fault(
            "must have an object id of Microsoft Entra ID after the `=`, or `group:ID` or `role:NAME`",
        );
        return None;
    }
    if address.starts_with("*@") {
        entry.fault("is a pattern: a group must name its people");
        return None;
    }
    let address = match Address::parse(address) {
        Ok(address) => address,
        Err(why) => {
            entry.fault(why.to_string());
            return None;
        }
    };
    if !allowed.allows(&address) {
        entry.fault("is not on the list of approvers (HO_ALLOWED_APPROVERS)");
        return None;
    }
    if id.is_some_and(|id| allowed.lists_object_id(&address, id) == Some(false)) {
        entry.fault("has another object id in the list of approvers (HO_ALLOWED_APPROVERS)");
        return None;
    }
    let object_id = id.or_else(|| allowed.object_id(&address));
    Some(Member {
        person: people.person(&address),
        address,
        object_id,
        group,
    })
}

/// Gives each address the object id that another group has for it.
fn complete_object_ids(groups: &mut Groups) {
    let known = object_ids(all_members(groups));
    for member in groups.values_mut().flat_map(|group| &mut group.members) {
        let known = known.get(&member.address.as_str().to_ascii_lowercase());
        member.object_id = member.object_id.or_else(|| known.copied());
    }
}

pub(super) fn all_members(groups: &Groups) -> impl Iterator<Item = &Member> {
    groups.values().flat_map(|group| &group.members)
}

/// The object ids of people, by address in lower case.
pub(super) fn object_ids<'a>(members: impl Iterator<Item = &'a Member>) -> BTreeMap<String, Uuid> {
    let entry = |member: &Member| {
        Some((
            member.address.as_str().to_ascii_lowercase(),
            member.object_id?,
        ))
    };
    members.filter_map(entry).collect()
}

/// The groups and roles of the directory that members must have, by address in lower case.
pub(super) fn directory_groups(groups: &Groups) -> BTreeMap<String, DirectoryGroup> {
    let entry = |member: &Member| {
        Some((
            member.address.as_str().to_ascii_lowercase(),
            member.group.clone()?,
        ))
    };
    all_members(groups).filter_map(entry).collect()
}

impl Group {
    /// Whether a plan can ask the group.
    pub(super) fn fits(&self) -> bool {
        self.members.len() <= MAX_PEOPLE
    }
}
