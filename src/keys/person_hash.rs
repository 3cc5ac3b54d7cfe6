//! Keyed hashes of people, by which what concerns a person is found without reading every row.

use human_oversight_protocol::parameters::hex;

use super::link_keys::{LinkKey, LinkKeys};
use crate::values::Address;

const HASH_BYTES: usize = 8;

impl LinkKeys {
    /// The hash of a person, by [`Address::name`], in what is written now: 16 hexadecimal digits.
    pub fn person_hash(&self, name: &str) -> String {
        hash(self.current(), name)
    }

    /// The hashes of a person under all keys, so that what was written before a rotation is still found.
    pub fn person_hashes(&self, address: &Address) -> Vec<String> {
        let name = address.name();
        self.all().map(|key| hash(key, &name)).collect()
    }
}

fn hash(key: &LinkKey, name: &str) -> String {
    let mac = key.mac([b"oversight person 1", name.as_bytes()]);
    hex(&mac.as_ref()[..HASH_BYTES])
}
