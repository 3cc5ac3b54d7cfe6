//! Finds a member that stands twice in one object, of which a reader would take one and another reader the other.

use std::collections::HashSet;
use std::fmt;

use human_oversight::reveal;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The longest pointer that is shown.
const POINTER_CHARS: usize = 200;

/// The first member whose name an object of this JSON text has twice, as a JSON pointer (RFC 6901).
pub(super) fn repeated_member(json: &[u8]) -> Option<String> {
    let mut found = None;
    let place = Place {
        pointer: String::new(),
        found: &mut found,
    };
    // That it is JSON was seen before.
    let _ = place.deserialize(&mut serde_json::Deserializer::from_slice(json));
    found.map(|pointer| reveal::line(&pointer, POINTER_CHARS))
}

/// Reads a value, and keeps nothing of it.
struct Place<'a> {
    pointer: String,
    found: &'a mut Option<String>,
}

impl Place<'_> {
    fn under(&mut self, token: &str) -> Place<'_> {
        let token = token.replace('~', "~0").replace('/', "~1");
        Place {
            pointer: format!("{}/{token}", self.pointer),
            found: self.found,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let member = self.under(&name);
            if !names.insert(name) {
                *member.found = Some(member.pointer);
                return Err(A::Error::custom("a name stands twice"));
            }
            members.next_value_seed(member)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            if items
                .next_element_seed(self.under(&index.to_string()))?
                .is_none()
            {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
