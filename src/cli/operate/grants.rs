//! The standing grants on the store, and how they are printed.

use anyhow::anyhow;
use human_oversight::app::{self, Error};
use human_oversight::http::standing_grants;
use human_oversight::keys::ReceiptKeys;
use human_oversight::reveal;
use human_oversight::store::Store;
use human_oversight_protocol::operate::{GrantRevoked, StandingGrant, StandingGrants};

use super::super::clock::now;
use super::super::maintenance::unusable;
use super::super::output::show;
use super::super::unknown_id::NO_GRANT;

/// The most characters of an action that are printed.
const ACTION_CHARS: usize = 100;

/// Without receipt keys, what signed the grants is not checked.
pub(crate) async fn list(
    store: &Store,
    keys: Option<ReceiptKeys>,
) -> anyhow::Result<StandingGrants> {
    let list = app::list_grants(store, keys.as_ref()).await;
    let list = list.map_err(unusable)?;
    Ok(standing_grants(&list, now()))
}

pub(crate) async fn revoke(store: &Store, id: &str) -> anyhow::Result<GrantRevoked> {
    let done = app::end_grant(store, id, now()).await;
    let done = done.map_err(|error| match error {
        Error::NotFound => anyhow!(NO_GRANT),
        error => unusable(error),
    })?;
    let id = id.to_owned();
    Ok(GrantRevoked { done, id })
}

pub(crate) fn print(list: &StandingGrants) {
    match list.grants.len() {
        0 => show("There are no standing grants."),
        1 => show("1 standing grant (id, state, used, until, given by, agent, action):"),
        count => show(&format!(
            "{count} standing grants (id, state, used, until, given by, agent, action):"
        )),
    }
    for grant in &list.grants {
        let StandingGrant {
            id,
            state,
            used,
            uses,
            until,
            approver,
            ..
        } = grant;
        let agent = reveal::line(&grant.agent_name, ACTION_CHARS);
        let action = reveal::line(&grant.action_description, ACTION_CHARS);
        show(&format!(
            "  {id}  {state}  {used} of {uses}  {until}  {approver}  {agent}  {action}"
        ));
    }
    if list.unreadable > 0 {
        let count = list.unreadable;
        show(&format!(
            "{count} standing grants, or rows of them, cannot be trusted and approve nothing: see `verify`."
        ));
    }
}
