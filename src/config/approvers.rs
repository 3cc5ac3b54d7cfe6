//! The list of approvers.

use super::error::{ConfigError, ConfigErrors};
use super::lookup::{Lookup, explain_quotes, first_unusable, non_empty, unusable};
use crate::values::AllowList;

pub(super) fn allowed_approvers(get: &Lookup<'_>) -> Result<AllowList, ConfigError> {
    let Some(list) = get("HO_ALLOWED_APPROVERS") else {
        return Ok(AllowList::Anyone);
    };
    AllowList::parse(&list).map_err(|why| {
        let form = "it must be a list of addresses (optionally with `=` and an Entra object id) and `*@domain` \
                    patterns (optionally with `=group:ID` or `=role:NAME`), separated by commas";
        let wrong = first_unusable(&list, |entry| AllowList::parse(entry).is_ok());
        let what = match wrong {
            None => "it has no entry".to_owned(),
            Some((number, entry)) => match foreign_character(entry) {
                Some(' ') => format!("entry {number} has a space"),
                Some(c) if c.is_ascii_graphic() => format!("entry {number} has the character `{c}`"),
                Some(c) => format!("entry {number} has the character U+{:04X}", u32::from(c)),
                None => format!("entry {number} {why}"),
            },
        };
        unusable("HO_ALLOWED_APPROVERS", &format!("{what}; {form}"))
    })
}

/// Reads the list alone, for a command.
///
/// # Errors
/// When it cannot be used.
pub fn read_allowed_approvers(
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<AllowList, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let list = allowed_approvers(&|name| non_empty(&lookup, name));
    let list = errors.or(list, AllowList::Anyone);
    explain_quotes(&mut errors, lookup);
    errors.finish(list)
}

/// The first character that no entry has: quotes, another separator, or one that does not show.
fn foreign_character(entry: &str) -> Option<char> {
    let is_of_entries = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@:".contains(c);
    entry.chars().find(|&c| !is_of_entries(c))
}

/// Refuses groups of the directory without sign-in, and those that a pattern of the same domain makes void.
pub(super) fn check_groups(list: &AllowList, signs_in: bool, errors: &mut ConfigErrors) {
    if list.has_group() && !signs_in {
        errors.push(unusable(
            "HO_ALLOWED_APPROVERS",
            "a group or role takes sign-in: set HO_IDENTITY=entra or HO_REQUIRE_ENTRA_FOR",
        ));
    }
    if list.has_void_group() {
        errors.push(unusable(
            "HO_ALLOWED_APPROVERS",
            "a domain is listed with a group or role and without, which makes the former void",
        ));
    }
}
