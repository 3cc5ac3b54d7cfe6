//! How often people are asked: budgets, and content that was rejected before.

use std::time::Duration;

use super::error::{ConfigError, ConfigErrors};
use super::lookup::{Lookup, seconds, unusable};
use crate::domain::{Budget, Budgets};

pub(super) fn budgets(get: &Lookup<'_>, errors: &mut ConfigErrors) -> Budgets {
    let mut read = |name, default: &str| {
        let text = get(name);
        let budget = match text.as_deref().unwrap_or(default) {
            "off" => Ok(None),
            text => match Budget::parse(text) {
                Some(budget) => Ok(Some(budget)),
                None => Err(unusable(
                    name,
                    "it must be `BURST/HOUR`, emails at once and emails per hour from 1 to 3600, or `off`",
                )),
            },
        };
        errors.or(budget, None)
    };
    Budgets {
        recipient: read("HO_MAIL_BUDGET", "25/60"),
        owner: read("HO_OWNER_BUDGET", "200/1200"),
    }
}

pub(super) fn reask_after(get: &Lookup<'_>) -> Result<Option<Duration>, ConfigError> {
    const NAME: &str = "HO_REASK_AFTER";
    if get(NAME).as_deref() == Some("off") {
        return Ok(None);
    }
    let time = seconds(get, NAME, 86_400, 0..=2_592_000).map_err(|_| {
        unusable(
            NAME,
            "it must be a whole number of seconds from 0 to 2592000, or `off`",
        )
    })?;
    Ok(Some(time).filter(|time| !time.is_zero()))
}
