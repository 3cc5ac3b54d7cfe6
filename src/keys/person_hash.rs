//! Keyed hashes of people, by which what concerns a person is found without reading every row.

use human_oversight_protocol::parameters::hex;

use super::link_keys::{LinkKey, LinkKeys};
use crate::values::Address;

const HASH_BYTES: usize = 8;

impl LinkKeys {
    /// The hash of a person, by [`Address::person`], in what is written now: 16 hexadecimal digits.
    pub fn person_hash(&self, person: &str) -> String {
        hash(self.current(), person)
    }

    /// The hashes of a person under all keys, so that what was written before a rotation is still found.
    pub fn person_hashes(&self, address: &Address) -> Vec<String> {
        let person = address.person();
        self.all().map(|key| hash(key, &person)).collect()
    }
}

fn hash(key: &LinkKey, person: &str) -> String {
    let mac = key.mac([b"oversight person 1", person.as_bytes()]);
    hex(&mac.as_ref()[..HASH_BYTES])
}
