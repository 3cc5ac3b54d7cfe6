//! The digest of what a part of a policy says, however it is written.

use std::collections::BTreeMap;

use human_oversight_protocol::parameters::sha256;
use toml::de::DeValue;

use crate::values::Digest;

/// The SHA-256 of members in the order of their names.
pub(super) fn digest_of<'d>(members: impl Iterator<Item = (&'d str, &'d DeValue<'d>)>) -> Digest {
    let mut text = String::new();
    for (name, value) in members {
        write_member(&mut text, name, value);
    }
    Digest(sha256(text.as_bytes()))
}

fn write_member(text: &mut String, name: &str, value: &DeValue<'_>) {
    text.push_str(&format!("{name:?}="));
    write_value(text, value);
}

/// Writes a value so that two values are written alike only if they are the same.
fn write_value(text: &mut String, value: &DeValue<'_>) {
    match value {
        DeValue::Array(items) => {
            text.push('[');
            items
                .iter()
                .for_each(|item| write_value(text, item.get_ref()));
            text.push(']');
        }
        DeValue::Table(members) => {
            let members = members
                .iter()
                .map(|(name, it)| (name.get_ref().as_ref(), it.get_ref()));
            let members: BTreeMap<&str, &DeValue<'_>> = members.collect();
            text.push('{');
            members
                .iter()
                .for_each(|(name, it)| write_member(text, name, it));
            text.push('}');
        }
        DeValue::String(string) => text.push_str(&format!("{string:?}")),
        scalar => text.push_str(&format!("{scalar:?}")),
    }
    text.push(',');
}
