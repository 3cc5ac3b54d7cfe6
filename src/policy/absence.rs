//! Reads who is absent, and who votes in their place.

use std::collections::BTreeMap;

use toml::de::DeValue;
use uuid::Uuid;

use super::groups::{Groups, all_members, object_ids, read_member};
use super::people::{Member, is_same_person};
use super::reader::{Members, Node};
use super::surroundings::Surroundings;
use crate::values::{People, Timestamp};

/// The most absences of a policy.
const MAX_ABSENCES: usize = 500;

/// The time in which a person is absent, and who votes in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    pub person: Member,
    pub substitute: Member,
    pub from: Timestamp,
    /// The end, which is not part of it.
    pub until: Timestamp,
    /// The line in the file.
    pub(super) line: usize,
}

impl Absence {
    /// Whether some of it is in the time from `from` until `until`.
    pub fn overlaps(&self, from: Timestamp, until: Timestamp) -> bool {
        self.from < until && from < self.until
    }
}

pub(super) fn read(
    nodes: &Node<'_>,
    groups: &Groups,
    surroundings: &Surroundings,
    people: &People,
) -> Vec<Absence> {
    let read = |node: &Node<'_>| read_member(node, surroundings, people);
    let mut ids = object_ids(all_members(groups));
    let mut absences: Vec<Absence> = Vec::new();
    for (index, node) in nodes.list().unwrap_or_default().iter().enumerate() {
        if index == MAX_ABSENCES {
            node.fault(format!(
                "is one too many: a policy has at most {MAX_ABSENCES} absences"
            ));
            break;
        }
        let Some(table) = node.table() else { continue };
        let Some(absence) = read_absence(table, node, &mut ids, &read) else {
            continue;
        };
        let is_other = |other: &&Absence| {
            is_same_person(&other.person, &absence.person)
                && other.overlaps(absence.from, absence.until)
        };
        if let Some(other) = absences.iter().find(is_other) {
            let line = other.line;
            node.fault(format!(
                "overlaps the absence of the same person in line {line}"
            ));
        }
        absences.push(absence);
    }
    absences
}

fn read_absence(
    mut table: Members<'_>,
    node: &Node<'_>,
    ids: &mut BTreeMap<String, Uuid>,
    read: &dyn Fn(&Node<'_>) -> Option<Member>,
) -> Option<Absence> {
    table.name = node.name.clone();
    let line = table.line;
    let mut person = |name| {
        let node = table.require(name)?;
        let mut person = read(&node)?;
        complete_object_id(&mut person, &node, ids);
        Some(person)
    };
    let (absent, substitute) = (person("person"), person("substitute"));
    for person in [&absent, &substitute].into_iter().flatten() {
        if person.group.is_some() {
            node.fault("names a group or a role of Microsoft Entra ID, which only the members of groups can have");
        }
    }
    let mut time = |name| table.require(name).and_then(|node| read_time(&node));
    let (from, until) = (time("from"), time("until"));
    table.finish();
    let absence = Absence {
        person: absent?,
        substitute: substitute?,
        from: from?,
        until: until?,
        line,
    };
    if is_same_person(&absence.person, &absence.substitute) {
        node.fault("has the same person as `person` and as `substitute`");
    }
    if absence.from >= absence.until {
        node.fault("ends before it begins: `until` is the end, which is not part of it");
    }
    Some(absence)
}

/// Gives a person the object id that the address has above; another one is a fault.
fn complete_object_id(person: &mut Member, node: &Node<'_>, ids: &mut BTreeMap<String, Uuid>) {
    let address = person.address.as_str().to_ascii_lowercase();
    match (person.object_id, ids.get(&address)) {
        (Some(id), Some(known)) if id != *known => {
            node.fault("has another object id in a group or in an earlier absence");
        }
        (Some(id), None) => {
            ids.insert(address, id);
        }
        (_, known) => person.object_id = known.copied(),
    }
}

/// A day begins at midnight UTC.
fn read_time(node: &Node<'_>) -> Option<Timestamp> {
    let time = match node.value() {
        DeValue::Datetime(time) if time.time.is_none() => {
            Timestamp::parse(&format!("{time}T00:00:00Z"))
        }
        DeValue::Datetime(time) => Timestamp::parse(&time.to_string()),
        _ => None,
    };
    if time.is_none() {
        node.fault(
            "must be a day such as 2026-12-24, or a time with its offset such as 2026-12-24T18:00:00+01:00, \
             without quotes",
        );
    }
    time
}
