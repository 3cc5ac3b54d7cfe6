//! The list of approvers.

use super::error::ConfigError;
use super::lookup::{Lookup, unusable};
use crate::values::AllowList;

pub(super) fn allowed_approvers(get: &Lookup<'_>) -> Result<AllowList, ConfigError> {
    let Some(list) = get("HO_ALLOWED_APPROVERS") else {
        return Ok(AllowList::Anyone);
    };
    AllowList::parse(&list).map_err(|why| {
        let form = "it must be a list of addresses (optionally with `=` and an Entra object id) and `*@domain` \
                    patterns, separated by commas";
        unusable(
            "HO_ALLOWED_APPROVERS",
            &format!("{form}; an address {why}"),
        )
    })
}
