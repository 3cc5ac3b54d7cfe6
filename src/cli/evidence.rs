//! `human-oversight evidence`: writes a folder for an auditor, or checks one.

mod check;
mod content;
mod folder;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use human_oversight::config::StoreSettings;
use human_oversight::keys::ReceiptKeys;
use human_oversight::store::name_gate;
use human_oversight::values::Timestamp;
use human_oversight::version::VERSION;
use human_oversight_protocol::manifest;
use human_oversight_protocol::types::KeySet;

use super::clock::{clock, now};
use super::copied::{for_each_copied_row, set_keys};
use super::maintenance::{for_each_row, link_keys, open_to_judge, receipt_keys};
use super::output::say;
use super::unfinished::Unfinished;
use super::value_parsers::date;
use super::verify::{Verification, public_keys};
use content::{Content, Period};
use folder::{Folder, MANIFEST};

/// Write a folder of evidence for an auditor, with a signed manifest, or check one
///
/// It has the requests of a time, what was signed of them, the public keys, the versions of the policy, the result of
/// `verify` and counts. The exit code is 2 if no folder was written, or none can be checked; 1 if `verify` finds a
/// problem, or if a file of the folder is not as it was signed; or else 0.
#[derive(Args)]
pub(crate) struct Options {
    /// The beginning of the time in which the requests were submitted: 2026-11-01, or a time as in 2026-11-01T08:00:00Z
    #[arg(long, value_name = "DATE", value_parser = date, required_unless_present = "check")]
    since: Option<Timestamp>,
    /// The end of that time, which is not part of it
    #[arg(long, value_name = "DATE", value_parser = date, required_unless_present = "check")]
    until: Option<Timestamp>,
    /// The folder to create (else evidence-SINCE-UNTIL)
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Write the parameters too, which may be personal data
    #[arg(long)]
    with_parameters: bool,
    /// A text of the policy that applied in that time; can be repeated
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Read this file, which `backup` wrote, instead of the store
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    /// The public keys of the receipts, as /api/keys returns them (else HO_RECEIPT_KEYS)
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Check this folder, which this command wrote, against its manifest
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["since", "until", "output", "with_parameters", "policy", "backup"]
    )]
    check: Option<PathBuf>,
}

/// Writes a folder, or checks one.
///
/// # Errors
/// When the rows, the keys or the folder cannot be read, or the new folder cannot be written: then there is none.
pub(crate) async fn run(settings: StoreSettings, options: &Options) -> anyhow::Result<ExitCode> {
    let public = public_keys(&settings, options.keys.as_deref())?;
    if let Some(dir) = &options.check {
        return check::run(dir, &public);
    }
    let (Some(since), Some(until)) = (options.since, options.until) else {
        bail!("it takes --since and --until");
    };
    let begun = now();
    if since >= until || since >= begun {
        bail!("--since must be before --until, and before now");
    }
    let signing = receipt_keys(&settings)?;
    let signing = signing.context("without HO_RECEIPT_KEYS the manifest cannot be signed")?;
    let path = options.output.clone().unwrap_or_else(|| {
        let day = |at: Timestamp| at.to_string()[..10].to_owned();
        PathBuf::from(format!("evidence-{}-{}", day(since), day(until)))
    });
    let (unfinished, mut folder) = Unfinished::make(&path, || Folder::create(&path))?;
    let period = Period { since, until };
    let written = write(&settings, options, period, (&public, &signing), &mut folder).await;
    if written.is_err() {
        // A part of it is no evidence.
        folder.discard();
    }
    unfinished.end();
    let problems = written?;
    say(&format!("{} was written.", path.display()));
    if begun < until {
        say(&check::not_ended(begun));
    }
    if problems > 0 {
        say(&format!(
            "There are {problems} problems: {} names them.",
            path.join("verification.txt").display()
        ));
    }
    Ok(ExitCode::from(u8::from(problems > 0)))
}

/// Writes all files. Returns the number of problems.
async fn write(
    settings: &StoreSettings,
    options: &Options,
    period: Period,
    (public, signing): (&KeySet, &ReceiptKeys),
    folder: &mut Folder,
) -> anyhow::Result<u64> {
    let keys = link_keys(settings)?;
    let mut verification = Verification::new(public, keys.as_deref());
    let mut content = Content::new(folder, period, options.with_parameters)?;
    match &options.backup {
        Some(file) => {
            for_each_copied_row(file, keys.as_deref(), |columns, approval| {
                let problem = verification.add(&approval);
                content.add(columns, &approval, problem)
            })?;
            content.note("A backup: its standing rows and kept decisions were not verified.")?;
        }
        None => {
            let store = open_to_judge(settings, clock(), keys.clone()).await?;
            let now = now();
            for_each_row(&store, async |mut row| {
                set_keys(&mut row.columns, &row.keys);
                let distrust = verification.add(&row.approval);
                if distrust.is_none() {
                    let pending = verification.add_pending(&store, &row, now);
                    if let Some(problem) = pending.await? {
                        content.note_row(&row.columns, &problem)?;
                    }
                }
                if let Some(keys) = &keys {
                    name_gate(&mut row.columns, keys);
                }
                content.add(row.columns, &row.approval, distrust)
            })
            .await?;
            let mut problems = Vec::new();
            let report = |problem: &str| problems.push(problem.to_owned());
            verification.add_sealed_rows(&store, report).await?;
            problems.iter().try_for_each(|it| content.note(it))?;
        }
    }
    content.note(&verification.summary())?;
    content.finish(folder, &policies(&options.policy)?)?;
    folder.write("keys.json", &serde_json::to_vec_pretty(public)?)?;
    let claims = manifest::Claims {
        iat: now().unix_seconds(),
        since: period.since.to_string(),
        until: period.until.to_string(),
        with_parameters: options.with_parameters,
        version: VERSION.clone(),
        files: folder.sums(),
    };
    let signed = signing.sign_manifest(&claims)?;
    folder.write(MANIFEST, signed.as_bytes())?;
    Ok(verification.problems())
}

/// The texts of policies.
fn policies(files: &[PathBuf]) -> anyhow::Result<Vec<Vec<u8>>> {
    let read = |file: &PathBuf| {
        std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
    };
    files.iter().map(read).collect()
}
