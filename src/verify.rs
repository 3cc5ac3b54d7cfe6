//! `human-oversight verify`: holds every row of a table against its proofs.
//!
//! For an auditor: it needs to read the table and the public keys of receipts (`/api/keys`), and trusts
//! neither the gate nor whoever can write the table. It writes nothing.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use human_oversight::approval::Approval;
use human_oversight::config::{Config, StoreChoice};
use human_oversight::keyring::{self, NamedKey};
use human_oversight::receipt::{self, ReceiptKeys};
use human_oversight::store::{Store, StoreError};
use human_oversight::token::LinkKeys;
use human_oversight_client::types::KeySet;

/// What was found.
#[derive(Default)]
struct Found {
    rows: u64,
    decided: u64,
    predecessors: u64,
    unsealed: u64,
    problems: u64,
}

/// Prints each row that cannot be trusted, and what was found in all.
///
/// # Errors
/// When the table or the keys cannot be read: then nothing was shown.
pub(crate) async fn run(
    config: &Config,
    store: &Store,
    keys: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    if let StoreChoice::Embedded(dir) = &config.store
        && !dir.is_dir()
    {
        bail!("there is nothing in {}", dir.display());
    }
    let receipt_keys = receipt_keys(config, keys)?;
    let link_keys = named(config, &config.link_keys, "link.keys")?;
    let link_keys = link_keys.map(|keys| LinkKeys::new(&keys)).transpose();
    let link_keys = link_keys.context("HO_LINK_KEYS cannot be used")?;
    let mut found = Found::default();
    let mut place = None;
    loop {
        let (page, next) = store.all(place).await.context("the table cannot be read")?;
        for stored in page {
            found.rows += 1;
            let (partition, row) = &stored.keys;
            let problem = match &stored.approval {
                Ok(approval) => {
                    found.decided += u64::from(approval.decision().is_some());
                    let can_tell = link_keys
                        .as_ref()
                        .is_some_and(|keys| keys.can_tell(approval));
                    found.unsealed += u64::from(!can_tell);
                    contradiction(approval, &receipt_keys, link_keys.as_ref())
                }
                Err(StoreError::Predecessor) => {
                    found.predecessors += 1;
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                found.problems += 1;
                say(&format!("{partition}/{row}: {problem}"));
            }
        }
        place = next;
        if place.is_none() {
            break;
        }
    }
    say(&found.summary());
    Ok(match found.problems {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn contradiction(
    approval: &Approval,
    receipt_keys: &KeySet,
    link_keys: Option<&LinkKeys>,
) -> Option<String> {
    if let Err(contradiction) = receipt::check(approval, receipt_keys) {
        return Some(contradiction.to_string());
    }
    let is_sealed = link_keys.is_none_or(|keys| keys.are_sealed(approval));
    (!is_sealed).then(|| "the stored request contradicts its seal".to_owned())
}

impl Found {
    fn summary(&self) -> String {
        let Self {
            rows,
            decided,
            predecessors,
            unsealed,
            problems,
        } = self;
        let mut summary = format!(
            "{rows} rows: {decided} decisions with their receipts, {predecessors} rows of the \
             predecessor, which prove nothing, {problems} problems."
        );
        if *unsealed > 0 {
            summary.push_str(&format!(
                "\nThe seals of {unsealed} rows could not be checked: their keys are not in \
                 HO_LINK_KEYS. A receipt needs no seal; a request that nobody decided has only that."
            ));
        }
        summary
    }
}

/// The public keys in a file as `/api/keys` gives them, or those of the gate's own settings.
fn receipt_keys(config: &Config, file: Option<&Path>) -> anyhow::Result<KeySet> {
    if let Some(file) = file {
        let text =
            std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        return serde_json::from_slice(&text)
            .with_context(|| format!("{} is no JWK set of receipt keys", file.display()));
    }
    match named(config, &config.receipt_keys, "receipt.keys")? {
        Some(keys) => Ok(ReceiptKeys::new(&keys)
            .context("HO_RECEIPT_KEYS cannot be used")?
            .public()
            .clone()),
        None => bail!("there are no keys to check with: give it --keys FILE or HO_RECEIPT_KEYS"),
    }
}

/// Keys of the settings, or those that a developer's gate keeps beside its store; none are made.
fn named(
    config: &Config,
    configured: &Option<Vec<NamedKey>>,
    file: &str,
) -> anyhow::Result<Option<Vec<NamedKey>>> {
    let file = config.home.join(file);
    match (configured, &config.store) {
        (Some(keys), _) => Ok(Some(keys.clone())),
        (None, StoreChoice::Embedded(_)) if file.exists() => {
            let text = std::fs::read_to_string(&file)?;
            Ok(Some(keyring::parse(text.trim())?))
        }
        _ => Ok(None),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn say(line: &str) {
    println!("{line}");
}
