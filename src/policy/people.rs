//! People in groups.

use toml::de::{DeTable, DeValue};
use uuid::Uuid;

use crate::values::{Address, AllowList, DirectoryGroup, People, Person};

/// A person who may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub address: Address,
    /// Who that is, for comparison.
    pub person: Person,
    /// The object id in Microsoft Entra ID, if the policy or the list of approvers gives this mailbox one: a sign-in for it
    /// must have this id. `person` has the ids of all spellings, which only tell people apart.
    pub object_id: Option<Uuid>,
    /// The group or role of the directory that they must have when they decide, if the policy names one.
    pub group: Option<DirectoryGroup>,
}

/// Whether two entries are one person; see [`Person::is`].
pub fn is_same_person(one: &Member, other: &Member) -> bool {
    one.person.is(&other.person)
}

/// The entries of each person, in the order of their first ones.
pub fn group_by_person<'a>(members: impl IntoIterator<Item = &'a Member>) -> Vec<Vec<&'a Member>> {
    let mut people: Vec<Vec<&Member>> = Vec::new();
    for member in members {
        match people.iter_mut().find(|it| is_same_person(it[0], member)) {
            Some(person) => person.push(member),
            None => people.push(vec![member]),
        }
    }
    people
}

/// Splits an entry for a person: the address, and what follows a `=`.
pub(super) fn split_entry(entry: &str) -> (&str, Option<&str>) {
    let split = entry.rsplit_once('=');
    split.map_or((entry, None), |(address, what)| (address, Some(what)))
}

/// The object id that an entry has for its address, in any form that UUIDs have.
pub(super) fn parse_object_id(what: &str) -> Option<Uuid> {
    Uuid::parse_str(what).ok()
}

/// The people to whom a policy, in its groups and absences, or the list of approvers gives object ids. They are known before
/// an entry is read, since another one can name the object id of its address.
pub(super) fn known(document: &DeTable<'_>, allowed: &AllowList) -> People {
    let mut people = allowed.known_people();
    for name in ["groups", "absence"] {
        if let Some(value) = document.get(name) {
            collect(value.get_ref(), &mut people);
        }
    }
    people
}

fn collect(value: &DeValue<'_>, people: &mut People) {
    match value {
        DeValue::String(text) => {
            let (address, what) = split_entry(text);
            let id = what.and_then(parse_object_id);
            let entry = Address::parse(address).ok().zip(id);
            people.extend(entry.iter().map(|(address, id)| (address, *id)));
        }
        DeValue::Array(items) => items.iter().for_each(|it| collect(it.get_ref(), people)),
        DeValue::Table(table) => table
            .iter()
            .for_each(|(_, it)| collect(it.get_ref(), people)),
        _ => {}
    }
}
