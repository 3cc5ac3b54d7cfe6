//! What changes for a gate with these settings when this version replaces an earlier one
//! (`human-oversight check --upgrade`).

use super::agent_keys::agent_keys;
use super::approvers::allowed_approvers;
use super::error::ConfigError;
use super::lookup::{Lookup, flag, non_empty};
use super::schedule::{SweepSchedule, sweep_schedule};
use crate::keys::AgentKeys;
use crate::values::{AllowList, InvalidAddress};

/// One change that affects a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeItem {
    /// The setting that it depends on.
    pub setting: &'static str,
    pub change: &'static str,
    /// What to do, and what keeps the earlier behaviour.
    pub remedy: &'static str,
}

/// The settings that the items depend on. The keys are not among them: they are in a vault, and the check
/// also runs elsewhere.
struct Settings {
    local: bool,
    allowed_approvers: Result<AllowList, ConfigError>,
    signs_in_always: bool,
    wildcard_links_allowed: bool,
    sets_run_within: bool,
    /// Whether the list of approvers has addresses that can no longer be used, and no other fault.
    lists_route: bool,
    agent_keys: Result<Option<AgentKeys>, ConfigError>,
    schedule: Result<Option<SweepSchedule>, ConfigError>,
}

const ITEMS: [fn(&Settings) -> Option<UpgradeItem>; 8] = [
    wildcard_links,
    listed_routes,
    run_within,
    owners,
    owners_of_several_agents,
    owners_with_several_keys,
    accounts,
    schedule,
];

/// The changes that affect a gate with these settings. None explains a setting that could not be used before either.
pub fn upgrade_items(lookup: impl Fn(&str) -> Option<String>) -> Vec<UpgradeItem> {
    let settings = Settings::read(&|name| non_empty(&lookup, name));
    ITEMS.iter().filter_map(|item| item(&settings)).collect()
}

impl Settings {
    fn read(get: &Lookup<'_>) -> Self {
        let local = get("HO_LOCAL").as_deref() == Some("1");
        Self {
            local,
            schedule: sweep_schedule(get, !local),
            allowed_approvers: allowed_approvers(get),
            signs_in_always: get("HO_IDENTITY").as_deref() == Some("entra"),
            wildcard_links_allowed: flag(get, "HO_ALLOW_WILDCARD_LINKS").unwrap_or(false),
            sets_run_within: get("HO_RUN_WITHIN").is_some(),
            lists_route: get("HO_ALLOWED_APPROVERS").is_some_and(|list| lists_route(&list)),
            agent_keys: agent_keys(get),
        }
    }
}

fn lists_route(list: &str) -> bool {
    let entries = list.split(',').filter(|entry| !entry.trim().is_empty());
    let mut faults = entries
        .filter_map(|entry| AllowList::parse(entry).err())
        .peekable();
    faults.peek().is_some() && faults.all(|fault| fault == InvalidAddress::Route)
}

fn wildcard_links(settings: &Settings) -> Option<UpgradeItem> {
    let list = settings.allowed_approvers.as_ref().ok()?;
    let is_affected = list.has_pattern()
        && !settings.local
        && !settings.signs_in_always
        && !settings.wildcard_links_allowed;
    is_affected.then_some(UpgradeItem {
        setting: "HO_ALLOWED_APPROVERS",
        change: "The gate no longer starts with a `*@domain` pattern while links decide: the agent chooses \
                 the mailbox that gets link and code, which may be its own, a distribution list or an alias.",
        remedy: "Name the addresses, or require sign-in with HO_IDENTITY=entra. To keep the pattern, set \
                 HO_ALLOW_WILDCARD_LINKS=1 (Bicep: allowWildcardLinks).",
    })
}

fn listed_routes(settings: &Settings) -> Option<UpgradeItem> {
    let is_affected = settings.allowed_approvers.is_err() && settings.lists_route;
    is_affected.then_some(UpgradeItem {
        setting: "HO_ALLOWED_APPROVERS",
        change: "The gate does not start with this list. An address can no longer contain any of \
                 % ! / = | { } `, which mail servers can read as a route to another mailbox.",
        remedy: "Remove such addresses, and list another address of these people. Nothing keeps them.",
    })
}

fn run_within(settings: &Settings) -> Option<UpgradeItem> {
    (!settings.local && !settings.sets_run_within).then_some(UpgradeItem {
        setting: "HO_RUN_WITHIN",
        change: "An approval can be claimed for 15 minutes, before for an hour. An agent that looks for the \
                 decision less often, such as by cron, finds it lapsed.",
        remedy: "Set HO_RUN_WITHIN=900 if that is enough, or HO_RUN_WITHIN=3600 to keep the hour.",
    })
}

fn schedule(settings: &Settings) -> Option<UpgradeItem> {
    settings.schedule.is_err().then_some(UpgradeItem {
        setting: "HO_SWEEP_SCHEDULE",
        change: "Behind the Functions host the gate does not start without a schedule that the host can read: \
                 the host disables the sweep, and nothing is sent again, reminded or expired.",
        remedy: "Set HO_SWEEP_SCHEDULE, such as to `0 * * * * *` (Bicep: sweepSchedule).",
    })
}

fn owners(settings: &Settings) -> Option<UpgradeItem> {
    (!settings.local && settings.agent_keys == Ok(None)).then_some(UpgradeItem {
        setting: "HO_AGENT_KEYS",
        change: "A request belongs to the function key that submitted it. Other keys get 404 for it, and \
                 replacing a key leaves its open requests without an owner. Agents with one key are one owner, \
                 under whatever names they ask: each can claim, report and withdraw the requests of the others. Calls \
                 that the host forwards instead of proxying, as hosts before spring 2025 do, get 403.",
        remedy: "List the keys in HO_AGENT_KEYS, one for each agent; keys with the same right-hand side act \
                 together. A gate with one agent and a newer host needs nothing.",
    })
}

fn owners_of_several_agents(settings: &Settings) -> Option<UpgradeItem> {
    let keys = settings.agent_keys.as_ref().ok()?.as_ref()?;
    keys.has_prefixes().then_some(UpgradeItem {
        setting: "HO_AGENT_KEYS",
        change: "An entry ends with `*`. All agents with such names are one owner: each can claim, report and \
                 withdraw the requests of the others, and a pause of the owner covers all.",
        remedy: "Give each agent a key and an entry with its whole name. Where the names are of one agent, such as \
                 of its versions, it needs nothing.",
    })
}

fn owners_with_several_keys(settings: &Settings) -> Option<UpgradeItem> {
    let keys = settings.agent_keys.as_ref().ok()?.as_ref()?;
    keys.has_shared_owners().then_some(UpgradeItem {
        setting: "HO_AGENT_KEYS",
        change: "Entries of several keys have the same right-hand side. These keys are one owner: each can claim, \
                 report and withdraw what was submitted with the others.",
        remedy: "Where a key is being replaced, remove the entry of the old one afterwards. Otherwise give the keys \
                 agents of their own.",
    })
}

fn accounts(settings: &Settings) -> Option<UpgradeItem> {
    let keys = settings.agent_keys.as_ref().ok()?.as_ref()?;
    keys.has_shared_accounts().then_some(UpgradeItem {
        setting: "HO_AGENT_KEYS",
        change: "A key has several entries. Their agents share one budget, and what was rejected for one of \
                 them is shown when another asks it again.",
        remedy: "Give each agent a key of its own, so that each has a budget of its own; or raise HO_MAIL_BUDGET \
                 and HO_OWNER_BUDGET.",
    })
}
