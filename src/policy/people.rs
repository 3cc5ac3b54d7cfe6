//! People in groups.

use uuid::Uuid;

use crate::values::{Address, DirectoryGroup};

/// A person who may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub address: Address,
    /// The object id in Microsoft Entra ID, if the policy or the list of approvers has one.
    pub object_id: Option<Uuid>,
    /// The group or role of the directory that they must have when they decide, if the policy names one.
    pub group: Option<DirectoryGroup>,
}

/// Whether two entries are one person: their object ids are equal, or their addresses, without regard to case
/// and `+tag`.
pub fn is_same_person(one: &Member, other: &Member) -> bool {
    let ids = one.object_id.zip(other.object_id);
    ids.is_some_and(|(one, other)| one == other) || one.address.is_same_person(&other.address)
}

/// The entries of each person, in the order of their first ones. An entry that is the same person as two others
/// makes one of the three.
pub fn group_by_person<'a>(members: impl IntoIterator<Item = &'a Member>) -> Vec<Vec<&'a Member>> {
    let mut people: Vec<Vec<&Member>> = Vec::new();
    for member in members {
        let is_known = |person: &Vec<&Member>| person.iter().any(|it| is_same_person(it, member));
        let first = people.iter().position(is_known).unwrap_or(people.len());
        let mut joined: Vec<&Member> = people
            .extract_if(first.., |it| is_known(it))
            .flatten()
            .collect();
        joined.push(member);
        people.insert(first, joined);
    }
    people
}
