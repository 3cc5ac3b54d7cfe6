//! The health of the gate and of what it depends on.

use std::time::Duration;

use super::finding::{Finding, Grade, check_clock, check_receipt_keys};
use super::record::{MAIL_GRACE, all_mail_health};
use super::standing_damage::check_pauses;
use super::state::App;
use super::sweep_record::{SweepRecord, last_sweep};
use crate::config::Config;
use crate::mailer::MailHealth;
use crate::store::StoreError;
use crate::values::Timestamp;

/// How late a sweep may be. After a host is killed, none is triggered for about 61 s.
const SWEEP_GRACE: Duration = Duration::from_secs(150);

/// What was found.
#[derive(Clone, Debug)]
pub struct Health {
    /// The findings by name.
    pub checks: [(&'static str, Finding); 6],
    pub last_sweep: Option<SweepRecord>,
    /// When the next sweep is due.
    pub next_sweep: Option<Timestamp>,
    pub at: Timestamp,
}

impl Health {
    /// The worst grade.
    pub fn grade(&self) -> Grade {
        Grade::worst(self.checks.iter().map(|(_, finding)| finding))
    }

    /// The failures, with their names.
    pub fn failures(&self) -> String {
        let failed = self.checks.iter();
        let failed = failed.filter(|(_, finding)| finding.grade == Grade::Failed);
        let failed: Vec<_> = failed
            .map(|(name, finding)| format!("{name}: {}", finding.detail))
            .collect();
        failed.join("; ")
    }
}

impl App {
    /// Looks at everything that the gate depends on. Writes nothing, and sends no email.
    pub async fn health(&self) -> Health {
        let store = &self.store;
        let looked = async {
            let is_whole = store.ensure_standing_is_whole();
            let all = tokio::try_join!(store.try_reading(), is_whole, check_pauses(store));
            all.map(|(_, (), damage)| damage)
        };
        let (looked, is_whole, swept) =
            tokio::join!(looked, store.is_index_whole(), last_sweep(store));
        let now = self.now();
        let last = swept.as_ref().ok().cloned().flatten();
        Health {
            checks: [
                ("store", self.check_store(looked)),
                ("index", check_index(is_whole)),
                (
                    "mail",
                    check_mail(&self.config, last.as_ref(), self.mailer.health(), now),
                ),
                ("clock", check_clock(store.clock_difference())),
                ("keys", check_receipt_keys(&self.receipt_keys, now)),
                ("sweep", check_sweep(&self.config, swept, now)),
            ],
            next_sweep: next_sweep(&self.config, last.as_ref(), now),
            last_sweep: last,
            at: now,
        }
    }

    fn check_store(&self, looked: Result<Option<Finding>, StoreError>) -> Finding {
        match looked {
            Ok(Some(damage)) => damage,
            Ok(None) => Finding::ok(self.config.store.name()),
            Err(error) => Finding::failed(error.to_string()),
        }
    }
}

/// Judges whether email gets through, by what this process and the sweeps of all have seen.
pub fn check_mail(
    config: &Config,
    last: Option<&SweepRecord>,
    own: MailHealth,
    now: Timestamp,
) -> Finding {
    let transport = config.mail.name();
    let health = all_mail_health(last, own, now);
    match (health.failing, health.accepted_at) {
        (Some(failing), _) => {
            let (since, cause) = (failing.since, &failing.cause);
            let detail = format!("{transport}: failing since {since}: {cause}");
            if now.since(since) < MAIL_GRACE {
                Finding::warning(detail)
            } else {
                Finding::failed(detail)
            }
        }
        (None, Some(at)) => Finding::ok(format!("{transport}: an email was accepted at {at}")),
        (None, None) => Finding::ok(format!(
            "{transport}: no email was sent yet, as far as this process and the sweeps know"
        )),
    }
}

fn check_index(is_whole: Result<bool, StoreError>) -> Finding {
    match is_whole {
        Ok(true) => Finding::ok("whole"),
        Ok(false) => Finding::warning(
            "new or lost: the next sweep rebuilds it, and sends nothing that is due before that",
        ),
        Err(error) => Finding::failed(error.to_string()),
    }
}

/// Judges the last sweep of any instance.
pub fn check_sweep(
    config: &Config,
    swept: Result<Option<SweepRecord>, StoreError>,
    now: Timestamp,
) -> Finding {
    let last = match swept {
        Ok(Some(last)) => last,
        Ok(None) => return Finding::warning("no sweep has ended yet"),
        Err(error) => return Finding::failed(format!("unknown: {error}")),
    };
    let (ended, report) = (last.ended_at, last.report);
    let was_due = next_after(config, ended);
    let is_late = was_due.is_some_and(|due| now > due + SWEEP_GRACE);
    let completed = match last.completed_at {
        Some(at) => format!("the last complete one ended at {at}"),
        None => "none was complete".to_owned(),
    };
    if is_late {
        return Finding::failed(format!(
            "overdue: the last one ended at {ended}; {completed}"
        ));
    }
    let detail = format!("ended at {ended}: {report}");
    if !report.complete {
        Finding::warning(format!("{detail}; {completed}"))
    } else if report.set_aside > 0 {
        Finding::warning(format!("{detail}: see `list --damaged`"))
    } else {
        Finding::ok(detail)
    }
}

fn next_sweep(config: &Config, last: Option<&SweepRecord>, now: Timestamp) -> Option<Timestamp> {
    // What is overdue is due at the next time after now.
    let after = match &config.sweep_schedule {
        Some(_) => now,
        None => last.map_or(now, |last| last.ended_at),
    };
    next_after(config, after)
}

fn next_after(config: &Config, after: Timestamp) -> Option<Timestamp> {
    match &config.sweep_schedule {
        Some(schedule) if config.behind_host => schedule.next(after),
        _ => Some(after + config.sweep_every),
    }
}
