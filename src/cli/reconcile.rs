//! `human-oversight reconcile`: holds what really happened against the approvals that agents claimed.

mod mapping;
mod repeated;
mod report;
mod table;

use std::fs::File;
use std::io::{BufRead, Read, stdin};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use human_oversight::config::StoreSettings;
use human_oversight::domain::{Approval, Claimed, Coverage};
use human_oversight::keys::{check_claim, receipt};
use human_oversight::store::StoreError;
use human_oversight::values::Timestamp;
use human_oversight_protocol::types::KeySet;
use serde_json::Value;

use super::clock::{clock, now};
use super::copied::for_each_copied_row;
use super::maintenance::{for_each_row, link_keys, open_to_judge};
use super::text;
use super::value_parsers::{date, seconds};
use super::verify::public_keys;
use mapping::{Line, Mapping};
use repeated::repeated_member;
use report::Report;
use table::Table;

/// The longest line that is read, in bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// Hold what really happened against the approvals that agents claimed
///
/// It reads actions, one JSON object a line in the order of time, and the store of the gate's settings, or a
/// backup. The exit code is 2 if one of them cannot be read; 1 if an action has no approval of its own, an
/// approval has no action, or a row cannot be trusted; or else 0.
#[derive(Args)]
pub(crate) struct Options {
    /// The file with the actions; - reads them from the standard input
    #[arg(long, value_name = "FILE")]
    actions: PathBuf,
    /// A file that says where a line has what (else: at, action, parameters, and perhaps id)
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// The beginning of the time that the actions cover: 2026-11-01, or a time as in 2026-11-01T08:00:00Z
    #[arg(long, value_name = "DATE", value_parser = date)]
    since: Option<Timestamp>,
    /// The end of that time, which is not part of it (else now); no approval is missed before its own time has ended
    #[arg(long, value_name = "DATE", value_parser = date)]
    until: Option<Timestamp>,
    /// Where the file begins, if before --since: its lines from then on say which approvals are used (else --since)
    #[arg(long, value_name = "DATE", value_parser = date, requires = "since")]
    lines_since: Option<Timestamp>,
    /// By how much the times of the actions can differ from those of the gate (else 300)
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    slack: Option<Duration>,
    /// The public keys of the receipts, as /api/keys returns them (else HO_RECEIPT_KEYS)
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Read this file, which `backup` wrote, instead of the store
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    /// Write the table for the report into this file, as comma-separated values, in place of an earlier table only
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The approvals of the store, as far as they are compared.
struct Approvals<'a> {
    options: &'a Options,
    mapping: &'a Mapping,
    receipt_keys: KeySet,
    /// Whether the row MACs are verified.
    sealed: bool,
    slack: Duration,
    until: Timestamp,
    found: Vec<Claimed>,
    /// Rows that cannot be read or trusted.
    unreadable: u64,
    /// Those of them whose claim has no permit.
    unsigned: u64,
}

/// Prints each mismatch, and what was counted.
///
/// # Errors
/// When the actions, the mapping or the rows cannot be read: then nothing is proved.
pub(crate) async fn run(settings: StoreSettings, options: &Options) -> anyhow::Result<ExitCode> {
    let until = options.until.unwrap_or_else(now);
    if options.since.is_some_and(|since| since >= until) {
        bail!("--since must be before --until, and before now");
    }
    if options
        .lines_since
        .is_some_and(|it| options.since < Some(it))
    {
        bail!("--lines-since must be before --since");
    }
    let table = options.table.as_deref().map(Table::new).transpose()?;
    let mapping = Mapping::read(options.mapping.as_deref())?;
    let (approvals, unreadable) = read_approvals(&settings, options, &mapping, until).await?;
    let mut coverage = Coverage::new(approvals);
    let mut report = Report::new(options.json, table, unreadable)?;
    let mut last = None;
    let source: Box<dyn Read> = match options.actions.to_str() {
        Some("-") => Box::new(stdin()),
        _ => Box::new(
            File::open(&options.actions)
                .with_context(|| format!("{} cannot be read", options.actions.display()))?,
        ),
    };
    for_each_action(source, &mapping, |line| match line {
        Line::Action(performed) if options.reads(performed.at, until) => {
            let (number, at) = (performed.number, performed.at);
            if let Some(last) = last.replace(at).filter(|&last| at < last) {
                bail!(
                    "line {number} of the actions is of {at}, and an earlier line of {last}: sort them by time"
                );
            }
            if Some(at) < options.since {
                coverage.add_judged(&performed);
                report.ignored += 1;
                return Ok(());
            }
            let (matched, action) = (coverage.matched(), performed.action.clone());
            let found = coverage.add(performed);
            if coverage.matched() > matched {
                report.matched(at, &action);
            }
            found.iter().try_for_each(|it| report.print(it))
        }
        Line::Action(_) | Line::Other => {
            report.ignored += 1;
            Ok(())
        }
    })?;
    // Of a time that has not ended, lines may still come.
    let (mismatches, unsettled, counts) = coverage.finish(until.min(now()));
    mismatches.iter().try_for_each(|it| report.print(it))?;
    report.finish(&unsettled, counts)
}

/// The approvals that are compared, and the number of rows that cannot be trusted.
async fn read_approvals(
    settings: &StoreSettings,
    options: &Options,
    mapping: &Mapping,
    until: Timestamp,
) -> anyhow::Result<(Vec<Claimed>, u64)> {
    let keys = link_keys(settings)?;
    let mut approvals = Approvals {
        options,
        mapping,
        receipt_keys: public_keys(settings, options.keys.as_deref())?,
        sealed: keys.is_some(),
        slack: options.slack.unwrap_or(Duration::from_secs(300)),
        until,
        found: Vec::new(),
        unreadable: 0,
        unsigned: 0,
    };
    if keys.is_none() {
        eprintln!(
            "Without HO_LINK_KEYS what was signed is proved; all other columns are only consistent."
        );
    }
    match &options.backup {
        Some(file) => for_each_copied_row(file, keys.as_deref(), |_, approval| {
            approvals.add(approval);
            Ok(())
        })?,
        None => {
            let store = open_to_judge(settings, clock(), keys).await?;
            for_each_row(&store, async |row| {
                approvals.add(row.approval);
                Ok(())
            })
            .await?;
        }
    }
    if approvals.unsigned > 0 {
        eprintln!(
            "{} claims have no permit: HO_LINK_KEYS would prove them, or show that someone wrote them.",
            approvals.unsigned
        );
    }
    Ok((approvals.found, approvals.unreadable))
}

/// Calls `visit` with each line of actions. One line is in memory.
fn for_each_action(
    source: impl Read,
    mapping: &Mapping,
    mut visit: impl FnMut(Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut lines = text::buffered(source).context("the actions cannot be read")?;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut lines)
            .take(MOST_BYTES + 1)
            .read_until(b'\n', &mut line);
        let length = read.context("the actions cannot be read")?;
        if length == 0 {
            break;
        }
        if length as u64 > MOST_BYTES {
            bail!("line {number} of the actions is longer than {MOST_BYTES} bytes");
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_slice(&line)
            .map_err(|error| anyhow!("line {number} of the actions is no JSON: {error}"))?;
        if let Some(member) = repeated_member(&line) {
            bail!("line {number} of the actions has two members of one name: {member}");
        }
        let action = mapping.action(number, &value);
        visit(action.map_err(|why| anyhow!("line {number} of the actions: {why}"))?)?;
    }
    Ok(())
}

impl Options {
    /// Where the lines that are read begin.
    fn lines_since(&self) -> Option<Timestamp> {
        self.lines_since.or(self.since)
    }

    fn reads(&self, at: Timestamp, until: Timestamp) -> bool {
        self.lines_since() <= Some(at) && at < until
    }
}

impl Approvals<'_> {
    fn add(&mut self, approval: Result<Approval, StoreError>) {
        match approval {
            // Who can write the table could cover an action with a row of their own.
            Ok(approval) if !self.is_proved(&approval) => self.unreadable += 1,
            Ok(approval) => self.found.extend(self.claimed(&approval)),
            Err(StoreError::Legacy) => {}
            Err(_) => self.unreadable += 1,
        }
    }

    /// Whether what is compared is proved: the decision by its receipt, the claim by the row MAC or by its permit.
    fn is_proved(&mut self, approval: &Approval) -> bool {
        if receipt::check(approval, &self.receipt_keys).is_err() {
            return false;
        }
        let claim = approval.granted_claim().filter(|_| !self.sealed);
        let Some(claim) = claim else { return true };
        self.unsigned += u64::from(claim.permit.is_none());
        claim.permit.is_some() && check_claim(approval, &self.receipt_keys).is_ok()
    }

    /// What is compared of an approval that was claimed, if its time is not wholly outside that of the lines.
    fn claimed(&self, approval: &Approval) -> Option<Claimed> {
        let (claimed_at, ended_at) = approval.claimed_during()?;
        let (from, until) = (claimed_at - self.slack, ended_at + self.slack);
        let begin = self.options.lines_since();
        if Some(until) < begin || self.until <= from {
            return None;
        }
        // One that ended before is for the comparison of that time to judge.
        let is_judged = self.options.since < Some(until);
        let parameters = serde_json::from_str(&approval.request.parameters.json).ok()?;
        Some(Claimed {
            id: approval.request.id.to_string(),
            action: self.mapping.fold(&approval.request.action),
            parameters: self.mapping.approved(&parameters),
            from,
            until,
            has_run: is_judged && !approval.execution_failed(),
            is_whole: begin <= Some(from),
        })
    }
}
