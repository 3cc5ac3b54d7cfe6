//! What the tables say: whether they can be used, the gate's id, the clock, the keys, the last sweep.

use std::collections::BTreeMap;

use human_oversight::app::{
    Finding, check_clock, check_mail, check_standing_rows, check_sweep, last_sweep,
    look_for_off_channels, pauses,
};
use human_oversight::config::{Config, StoreSettings};
use human_oversight::mailer::MailHealth;
use human_oversight::store::{Store, StoreError, TableState};
use human_oversight::values::Timestamp;

use super::super::clock::{clock, now};
use super::super::maintenance::{link_keys, open, unusable};
use super::keys::check_keys;

/// What was found, by topic.
pub(super) struct StoreFindings {
    pub(super) tables: Vec<Finding>,
    pub(super) pauses: Vec<Finding>,
    pub(super) clock: Finding,
    pub(super) keys: Vec<Finding>,
    pub(super) sweep: Finding,
    /// That email does not get through, as far as the sweeps know.
    pub(super) mail: Option<Finding>,
    /// The channels that are switched off, and since when.
    pub(super) off: Result<BTreeMap<String, Timestamp>, StoreError>,
}

pub(super) async fn check(
    config: &Config,
    settings: &StoreSettings,
) -> anyhow::Result<StoreFindings> {
    let keys = link_keys(settings).unwrap_or_default();
    let has_keys = keys.is_some();
    let store = open(settings, 0, clock(), keys)?;
    let probe = store.probe().await;
    let is_new = probe
        .tables
        .iter()
        .all(|(_, it)| matches!(it, TableState::Missing));
    let lost = if has_keys {
        store.prepare().await.err()
    } else {
        None
    };
    let lost = lost.filter(|error| matches!(error, StoreError::StandingLost));
    let mut tables = probe.tables;
    // What is lost is no table that is still to be created.
    tables.retain(|(name, state)| {
        lost.is_none() || !name.starts_with("standing") || !matches!(state, TableState::Missing)
    });
    let mut tables: Vec<Finding> = tables.into_iter().map(table).collect();
    let (mut pauses, mut swept) = (Vec::new(), Ok(None));
    let mut off = Ok(BTreeMap::new());
    if has_keys && !is_new {
        tables.push(gate_id(&store).await);
        pauses = match lost {
            Some(error) => vec![Finding::failed(format!("unknown: {error}"))],
            None => {
                let damaged = check_standing_rows(&store).await;
                let damaged = damaged.unwrap_or_else(|it| Some(Finding::failed(it.to_string())));
                tables.extend(damaged);
                check_pauses(&store).await
            }
        };
        swept = last_sweep(&store).await;
        off = look_for_off_channels(&store).await;
    }
    let record = swept.as_ref().ok().cloned().flatten();
    let failing = record.as_ref().filter(|it| it.mail_failing.is_some());
    let mail = failing.map(|it| check_mail(config, Some(it), MailHealth::default(), now()));
    let sweep = if has_keys {
        check_sweep(config, swept, now())
    } else {
        Finding::warning("unknown: reading its record takes HO_LINK_KEYS")
    };
    Ok(StoreFindings {
        tables,
        pauses,
        clock: check_clock(store.clock_difference()),
        keys: check_keys(settings, record.as_ref()),
        sweep,
        mail,
        off,
    })
}

fn table((name, state): (String, TableState)) -> Finding {
    match state {
        TableState::Usable => Finding::ok(format!("{name} can be read and written")),
        TableState::Missing => Finding::warning(format!(
            "{name} does not exist: the gate creates it at its start"
        )),
        TableState::Unreadable(error) => Finding::failed(format!("{name} cannot be read: {error}")),
        TableState::Unwritable(error) => {
            Finding::failed(format!("{name} cannot be written: {error}"))
        }
    }
}

/// A pause that cannot be read or trusted stops everything.
async fn check_pauses(store: &Store) -> Vec<Finding> {
    match pauses(store).await {
        Ok(standing) if standing.is_empty() => vec![Finding::ok("none stands")],
        Ok(standing) => {
            let standing = standing.into_iter();
            let paused = standing.map(|it| format!("{} is paused since {}", it.scope, it.since));
            paused.map(Finding::warning).collect()
        }
        Err(error) => vec![Finding::failed(format!(
            "everything is paused: {:#}",
            unusable(error)
        ))],
    }
}

async fn gate_id(store: &Store) -> Finding {
    match store.check_gate_id().await {
        Ok((id, former)) => {
            let former = match former.join(", ") {
                none if none.is_empty() => none,
                former => format!(", and was {former}"),
            };
            Finding::ok(format!("the gate's id is {id}{former}"))
        }
        Err(
            error @ (StoreError::GateId { .. }
            | StoreError::GateIdDamaged(_)
            | StoreError::GateIdOfOtherKey(_)
            | StoreError::StandingLost),
        ) => Finding::failed(error.to_string()),
        Err(error) => Finding::warning(format!("the gate's id is not known: {error}")),
    }
}
