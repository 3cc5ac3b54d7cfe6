//! `human-oversight verify`: checks every row of a table against its receipt and its row MAC.
//!
//! For an auditor: it needs to read the table and the public keys of receipts (`/api/keys`), and trusts
//! neither the gate nor anyone who can write the table. With the gate's own keys it also verifies the row MACs.
//! It changes no row.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use human_oversight::app::{check_request, check_standing};
use human_oversight::config::StoreSettings;
use human_oversight::domain::Approval;
use human_oversight::keys::{LinkKeys, check_claim};
use human_oversight::store::{Store, StoreError, StoredRow};
use human_oversight::values::{Clock, Timestamp};
use human_oversight_protocol::types::KeySet;

use super::maintenance::{
    for_each_decided_row, for_each_row, for_each_standing_row, link_keys, open_to_judge,
    receipt_keys,
};
use super::output::{plain, plain_keys, show};
use super::text;

/// What was verified, and what was found.
pub(crate) struct Verification<'a> {
    keys: &'a KeySet,
    /// With them the rows are read, and so their MACs are verified.
    link_keys: Option<&'a LinkKeys>,
    rows: u64,
    decided: u64,
    votes: u64,
    claims: u64,
    legacy: u64,
    problems: u64,
}

/// Prints each row that cannot be trusted, and a summary.
///
/// # Errors
/// When the table or the keys cannot be read, or the standing table is lost: then nothing is proved.
pub(crate) async fn run(
    settings: StoreSettings,
    clock: Clock,
    keys: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let (now, link_keys) = (clock(), link_keys(&settings)?);
    let store = open_to_judge(&settings, clock, link_keys.clone()).await?;
    let receipt_keys = public_keys(&settings, keys)?;
    let mut verification = Verification::new(&receipt_keys, link_keys.as_deref());
    for_each_row(&store, async |stored| {
        let problem = match verification.add(&stored.approval) {
            None => verification.add_pending(&store, &stored, now).await?,
            problem => problem,
        };
        if let Some(problem) = problem {
            show(&format!(
                "{}: {}",
                plain_keys(&stored.keys),
                plain(&problem)
            ));
        }
        Ok(())
    })
    .await?;
    verification.add_sealed_rows(&store, show).await?;
    show(&verification.summary());
    Ok(match verification.problems() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

impl<'a> Verification<'a> {
    /// `link_keys` are those with which the rows are read, if there are any.
    pub(crate) fn new(keys: &'a KeySet, link_keys: Option<&'a LinkKeys>) -> Self {
        Self {
            keys,
            link_keys,
            rows: 0,
            decided: 0,
            votes: 0,
            claims: 0,
            legacy: 0,
            problems: 0,
        }
    }

    /// Takes a request. Returns why it cannot be trusted, if it cannot.
    pub(crate) fn add(&mut self, approval: &Result<Approval, StoreError>) -> Option<String> {
        self.rows += 1;
        let problem = match (check_request(approval, Some(self.keys)), approval) {
            (Err(distrust), _) => Some(distrust.to_string()),
            (Ok(()), Ok(approval)) => {
                self.decided += u64::from(approval.decision().is_some());
                self.votes += approval.votes.len() as u64;
                self.add_claim(approval).or_else(|| time_problem(approval))
            }
            (Ok(()), Err(_)) => {
                self.legacy += 1;
                None
            }
        };
        self.problems += u64::from(problem.is_some());
        problem
    }

    /// Takes the claim of an approval. Returns how it contradicts its permit, if nothing else proves it.
    fn add_claim(&mut self, approval: &Approval) -> Option<String> {
        let is_signed = approval.granted_claim()?.permit.is_some();
        match check_claim(approval, self.keys) {
            Ok(()) => {
                self.claims += u64::from(is_signed);
                None
            }
            Err(contradiction) => self.link_keys.is_none().then(|| contradiction.to_string()),
        }
    }

    /// Takes what a sound row, read with the link keys, says of its links and of when it is due. Returns what keeps people or
    /// the sweep from it, if anything does.
    pub(crate) async fn add_pending(
        &mut self,
        store: &Store,
        stored: &StoredRow,
        now: Timestamp,
    ) -> anyhow::Result<Option<String>> {
        let (Some(keys), Ok(approval)) = (self.link_keys, &stored.approval) else {
            return Ok(None);
        };
        let problem = match missing_links(approval, keys, now) {
            None => missed(store, stored).await?,
            problem => problem,
        };
        self.problems += u64::from(problem.is_some());
        Ok(problem)
    }

    /// Takes the rows of the standing table and of the table of decisions, and reports those that cannot be trusted.
    /// Without the link keys none can be told from another.
    pub(crate) async fn add_sealed_rows(
        &mut self,
        store: &Store,
        mut report: impl FnMut(&str),
    ) -> anyhow::Result<()> {
        if self.link_keys.is_none() {
            return Ok(());
        }
        for_each_standing_row(store, async |stored| {
            if let Err(distrust) = check_standing(&stored, Some(self.keys)) {
                let (row, problem) = (plain_keys(&stored.keys), plain(&distrust.to_string()));
                self.problems += 1;
                report(&format!("standing row {row}: {problem}"));
            }
            Ok(())
        })
        .await?;
        for_each_decided_row(store, async |stored| {
            if let Err(error) = stored.checked {
                let (row, problem) = (plain_keys(&stored.keys), plain(&error.to_string()));
                self.problems += 1;
                report(&format!("kept decision {row}: {problem}"));
            }
            Ok(())
        })
        .await
    }

    pub(crate) fn problems(&self) -> u64 {
        self.problems
    }

    pub(crate) fn summary(&self) -> String {
        let Self {
            keys: _,
            rows,
            decided,
            votes,
            claims,
            legacy,
            problems,
            link_keys,
        } = self;
        let row_macs = match (link_keys.is_some(), problems) {
            (true, 0) => "All row MACs were verified.",
            (true, _) => {
                "Row MACs were checked too: each that does not verify is among the problems."
            }
            (false, _) => {
                "Row MACs were not verified, which takes HO_LINK_KEYS: what was signed is proved; all other columns \
                 are only consistent."
            }
        };
        let votes = match votes {
            0 => String::new(),
            votes => format!("{votes} votes proved by their signed records.\n"),
        };
        let claims = match claims {
            0 => String::new(),
            claims => format!("{claims} claims proved by their permits.\n"),
        };
        format!(
            "{rows} rows: {decided} decisions proved by their receipts, {legacy} rows of the \
             legacy Logic App, which prove nothing, {problems} problems.\n{votes}{claims}{row_macs}"
        )
    }
}

/// Which keys of the links of an open request are missing, if any are.
fn missing_links(approval: &Approval, keys: &LinkKeys, now: Timestamp) -> Option<String> {
    let links = approval.approvers.iter().map(|it| it.link_key.as_str());
    let missing: BTreeSet<&str> = links.filter(|kid| !keys.has(kid)).collect();
    if missing.is_empty() || !approval.is_open(now) {
        return None;
    }
    Some(format!(
        "it is open, and the links of its approvers are of a key that is not in HO_LINK_KEYS: {}",
        missing.into_iter().collect::<Vec<_>>().join(", ")
    ))
}

/// That the sweep misses a request, if it does.
async fn missed(store: &Store, stored: &StoredRow) -> anyhow::Result<Option<String>> {
    let missed = store.missed(stored).await;
    let missed = missed.context("the due index cannot be read")?;
    Ok(missed.map(|due| {
        format!(
            "it is due at {due}, and the due index does not have it by then, so that no sweep finds it and `executing` \
             leaves it out: `index rebuild-due` repairs that"
        )
    }))
}

/// What is wrong with the times of a row, if they run backwards.
fn time_problem(approval: &Approval) -> Option<String> {
    let (earlier, later) = approval.backward_step()?;
    let (first, second) = (earlier.what.word(), later.what.word());
    Some(format!(
        "its times run backwards: {second} at {}, after {first} at {}: a clock was wrong",
        later.at, earlier.at
    ))
}

/// The public keys in a file as `/api/keys` gives them, or those of the gate's own settings.
pub(crate) fn public_keys(settings: &StoreSettings, file: Option<&Path>) -> anyhow::Result<KeySet> {
    if let Some(file) = file {
        let text = text::read(file)?;
        let keys: KeySet = serde_json::from_slice(&text)
            .with_context(|| format!("{} is no JWK set of receipt keys", file.display()))?;
        if keys.keys.is_empty() {
            bail!("{} has no receipt keys", file.display());
        }
        return Ok(keys);
    }
    match receipt_keys(settings)? {
        Some(keys) => Ok(keys.public().clone()),
        None => bail!("there are no keys to check with: give it --keys FILE or HO_RECEIPT_KEYS"),
    }
}
