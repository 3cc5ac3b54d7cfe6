//! Who holds an address. Code that knows no object ids compares [`Address::name`].

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::address::Address;

/// The holder of an address: its [`Address::name`], and the object ids that are known for it in any
/// spelling. With at most one object id each, [`Person::is`] and [`Person::may_be`] say the same, and are transitive. An
/// address with several is shared: it may belong to each of its holders, and makes no one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    name: String,
    object_ids: BTreeSet<Uuid>,
}

impl Person {
    /// With what is known besides, such as the object id of a sign-in.
    #[must_use]
    pub fn with(mut self, object_id: Option<Uuid>) -> Self {
        self.object_ids.extend(object_id);
        self
    }

    /// Whether an object id is known for the person.
    pub fn has(&self, object_id: Uuid) -> bool {
        self.object_ids.contains(&object_id)
    }

    /// Whether both are one person as far as a plan can tell: in doubt they are two, who can still show by sign-in which.
    pub fn is(&self, other: &Self) -> bool {
        let is_same_id = self.object_ids.len() == 1 && self.object_ids == other.object_ids;
        self.name == other.name || is_same_id
    }

    /// Whether both may be one person: in doubt they are, and one of them is refused.
    pub fn may_be(&self, other: &Self) -> bool {
        self.name == other.name || !self.object_ids.is_disjoint(&other.object_ids)
    }
}

/// The object ids that settings give to addresses.
#[derive(Clone, Debug, Default)]
pub struct People(BTreeMap<String, BTreeSet<Uuid>>);

impl People {
    /// The holder of an address.
    pub fn person(&self, address: &Address) -> Person {
        let name = address.name();
        let object_ids = self.0.get(&name).cloned().unwrap_or_default();
        Person { name, object_ids }
    }
}

impl<'a> Extend<(&'a Address, Uuid)> for People {
    fn extend<T: IntoIterator<Item = (&'a Address, Uuid)>>(&mut self, entries: T) {
        for (address, id) in entries {
            self.0.entry(address.name()).or_default().insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAVE: Uuid = Uuid::from_u128(4);
    const ERIN: Uuid = Uuid::from_u128(5);

    fn people(entries: &[(&str, Uuid)]) -> impl Fn(&str) -> Person {
        let parse = |text: &str| Address::from_known(text).unwrap();
        let mut people = People::default();
        for (address, id) in entries {
            people.extend([(&parse(address), *id)]);
        }
        move |text| people.person(&parse(text))
    }

    #[test]
    fn a_person_is_known_by_any_chain_of_spellings_and_object_ids() {
        let of = people(&[
            ("dave@example.com", DAVE),
            ("david@example.com", DAVE),
            ("erin@example.com", ERIN),
        ]);
        let spellings = [
            "dave@example.com",
            "Dave+q@EXAMPLE.com",
            "david@example.com",
            "david+x@example.com",
        ];
        for one in spellings {
            for other in spellings {
                assert!(of(one).is(&of(other)) && of(one).may_be(&of(other)));
            }
            for other in ["erin@example.com", "frank@example.com", "dave@example.org"] {
                assert!(!of(one).is(&of(other)) && !of(one).may_be(&of(other)));
            }
        }
        let signed_in = of("frank@example.com").with(Some(DAVE));
        assert!(signed_in.is(&of("dave+q@example.com")));
    }

    #[test]
    fn a_shared_address_may_be_each_of_its_holders_and_makes_no_one_of_them() {
        let of = people(&[
            ("team@example.com", DAVE),
            ("team@example.com", ERIN),
            ("dave@example.com", DAVE),
            ("erin@example.com", ERIN),
        ]);
        let (team, dave, erin) = (
            of("team+a@example.com"),
            of("dave@example.com"),
            of("erin+b@example.com"),
        );
        assert!(team.may_be(&dave) && dave.may_be(&team) && erin.may_be(&team));
        assert!(!team.is(&dave) && !dave.is(&team) && team.is(&of("TEAM@example.com")));
        assert!(!dave.may_be(&erin) && !dave.is(&erin));
    }
}
