//! The groups of a policy.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::matched::{MAX_NAME, is_name};
use super::people::{Member, is_same_person};
use super::reader::{Members, Node};
use super::requirement::MAX_PEOPLE;
use crate::values::{Address, AllowList};

/// The most groups of a policy.
const MAX_GROUPS: usize = 100;
/// The most characters of an entry: an address, and an object id.
const ENTRY_CHARS: usize = 300;

/// The name by which rules call the approvers whom the agent names.
pub(super) const REQUESTED: &str = "requested";

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) line: usize,
    pub(super) members: Vec<Member>,
    /// Whether an entry is at fault, so that the members are not all.
    pub(super) is_partial: bool,
}

pub(super) type Groups = BTreeMap<String, Group>;

pub(super) fn read(mut table: Members<'_>, allowed: &AllowList) -> Groups {
    let mut groups = Groups::new();
    for (name, line, mut node) in table.take_all() {
        node.name = format!("group `{}`", crate::reveal::line(name, MAX_NAME));
        if name == REQUESTED {
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
            let Some(member) = read_member(entry, allowed) else {
                continue;
            };
            if members.iter().any(|other| is_same_person(other, &member)) {
                entry.fault("is the same person as an earlier item");
            }
            let id = member.object_id;
            let others = groups.values().flat_map(|group: &Group| &group.members);
            let mut ids = others.filter(|other| other.address.is_same_mailbox(&member.address));
            if ids.any(|other| {
                other
                    .object_id
                    .is_some_and(|other| id.is_some_and(|id| id != other))
            }) {
                entry.fault("has another object id in another group");
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

/// The fault names no address: it can end up in a log.
pub(super) fn read_member(entry: &Node<'_>, allowed: &AllowList) -> Option<Member> {
    let text = entry.text(ENTRY_CHARS)?;
    let (address, id) = match text.rsplit_once('=') {
        None => (text, None),
        Some((_, id)) if id.starts_with("group:") || id.starts_with("role:") => {
            entry
                .fault("names a group or a role of Microsoft Entra ID, which is not yet supported");
            return None;
        }
        Some((address, id)) => {
            let Ok(id) = Uuid::parse_str(id) else {
                entry.fault("must have an object id of Microsoft Entra ID after the `=`");
                return None;
            };
            (address, Some(id))
        }
    };
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
    Some(Member { address, object_id })
}

/// Gives each address the object id that another group has for it.
fn complete_object_ids(groups: &mut Groups) {
    let known = object_ids(groups);
    for member in groups.values_mut().flat_map(|group| &mut group.members) {
        let known = known.get(&member.address.as_str().to_ascii_lowercase());
        member.object_id = member.object_id.or_else(|| known.copied());
    }
}

/// The object ids of the groups' members, by address in lower case.
pub(super) fn object_ids(groups: &Groups) -> BTreeMap<String, Uuid> {
    let members = groups.values().flat_map(|group| &group.members);
    let entry = |member: &Member| {
        Some((
            member.address.as_str().to_ascii_lowercase(),
            member.object_id?,
        ))
    };
    members.filter_map(entry).collect()
}

impl Group {
    /// Whether a plan can ask the group.
    pub(super) fn fits(&self) -> bool {
        self.members.len() <= MAX_PEOPLE
    }
}
