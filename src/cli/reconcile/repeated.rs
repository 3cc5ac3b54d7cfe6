//! Finds a member that stands twice in one object, of which a reader would take one and another reader the other.

use std::collections::HashSet;

use human_oversight::reveal;
use human_oversight_protocol::strict_json::{Members, member_pointer};
use serde_json::value::RawValue;

/// The longest pointer that is shown.
const POINTER_CHARS: usize = 200;

/// The first member whose name an object of this JSON text has twice, as a JSON pointer (RFC 6901).
pub(super) fn repeated_member(json: &[u8]) -> Option<String> {
    let found = find(serde_json::from_slice(json).ok()?, "")?;
    Some(reveal::line(&found, POINTER_CHARS))
}

fn find(value: &RawValue, pointer: &str) -> Option<String> {
    let text = value.get();
    if text.starts_with('{') {
        let Members(members) = serde_json::from_str(text).ok()?;
        let mut names = HashSet::new();
        members.iter().find_map(|(name, member)| {
            let pointer = member_pointer(pointer, name);
            if names.insert(name) {
                find(member, &pointer)
            } else {
                Some(pointer)
            }
        })
    } else if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let mut items = items.into_iter().enumerate();
        items.find_map(|(index, item)| find(item, &format!("{pointer}/{index}")))
    } else {
        None
    }
}
