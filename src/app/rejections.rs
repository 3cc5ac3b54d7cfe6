//! Rejections in the standing table, one row for each content and owner's account: approvers who are asked the
//! same again, or what reads the same, learn that it was rejected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::Instrument;
use uuid::Uuid;

use super::error::Error;
use super::retries::Retries;
use super::state::App;
use super::submission::Submission;
use crate::content;
use crate::domain::{Approval, Assurance, EarlierRejections, Rejection, Request};
use crate::store::text_json::{json, text};
use crate::store::{RowVersion, StandingKind, StandingRow, Store, StoreError};
use crate::values::{Address, ApprovalId, Owner, Timestamp};

/// How long the response of a decision waits for the rejection to be kept.
const KEEP_WITHIN: Duration = Duration::from_secs(5);

/// The column with the rejections of a content, as JSON.
const REJECTIONS: &str = "Rejections";
/// The column with the ids of those that the operator has lifted, as JSON; absent if there are none. A gate that
/// does not know it drops it with the next rejection.
const LIFTED: &str = "Lifted";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RejectionEntry {
    #[serde(with = "text")]
    id: ApprovalId,
    #[serde(with = "text")]
    by: Address,
    #[serde(with = "text")]
    at: Timestamp,
    assurance: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

/// What a row keeps: the rejections, and the row itself, unless there is none.
pub(super) type KeptRejections = Result<(Vec<Rejection>, Option<StandingRow>), StoreError>;

impl App {
    /// The rejections of like content in the time of `HO_REASK_AFTER`, while there is something to decide.
    /// What cannot be read is part of the result: silence would be what an attacker wants.
    pub(super) async fn earlier_rejections(&self, approval: &Approval) -> EarlierRejections {
        let now = self.now();
        let is_open = approval.is_open(now);
        let Some(within) = self.config.reask_after.filter(|_| is_open) else {
            return EarlierRejections::default();
        };
        let names = self.names_of(&approval.request);
        let reading = names.iter().map(|name| read(&self.store, name));
        let (mut kept, mut unreadable) = (Vec::new(), false);
        for row in join_all(reading).await {
            match row {
                Ok((rejections, _)) => {
                    let is_shown =
                        |it: &Rejection| it.is_recent(within, now) && it.id != approval.request.id;
                    for rejection in rejections.into_iter().filter(is_shown) {
                        kept = Rejection::join(&kept, rejection).unwrap_or(kept);
                    }
                }
                Err(error) => {
                    let id = approval.request.id.to_string();
                    tracing::warn!(id, cause = %error, "earlier rejections could not be read");
                    unreadable = true;
                }
            }
        }
        EarlierRejections {
            known: kept,
            unreadable,
        }
    }

    /// Keeps the rejection of a request, if it was rejected; returns whether that is done. A failure is logged and never
    /// costs this approver the decision. `known` is what was read meanwhile. Runs in its own task, so that a
    /// disconnected caller does not interrupt it.
    pub(super) async fn keep_rejection(
        &self,
        approval: &Approval,
        known: Option<KeptRejections>,
    ) -> bool {
        let rejection = Rejection::of(approval).zip(self.config.reask_after);
        let Some((mut rejection, within)) = rejection else {
            return true;
        };
        // A row of version 1 does not say whether there was a code.
        if self.config.rows.version == RowVersion::V1 && rejection.assurance == Assurance::Link {
            rejection.assurance = Assurance::LinkOnly;
        }
        let now = self.now();
        if !rejection.is_recent(within, now) {
            return true;
        }
        let names = self.names_of(&approval.request);
        let (store, id) = (self.store.clone(), rejection.id.to_string());
        let keeping = async move {
            let kept = keep_by_names(&store, &names, rejection, within, now, known).await;
            kept.inspect_err(|error| {
                tracing::warn!(id, cause = %error, "a rejection could not be kept for later requests");
            })
        };
        let keeping = tokio::spawn(keeping.in_current_span());
        matches!(timeout(KEEP_WITHIN, keeping).await, Ok(Ok(Ok(_))))
    }

    /// The name of the row that keeps a rejection of this request.
    pub(super) fn rejections_name(&self, request: &Request) -> String {
        self.names_of(request).swap_remove(0)
    }

    /// Reads the rejections that a row keeps, side by side with the write of another one.
    pub(super) async fn read_rejections(&self, name: Option<String>) -> Option<KeptRejections> {
        self.config.reask_after?;
        Some(read(&self.store, &name?).await)
    }

    /// Checks that nothing refuses what a submission asks again (`reask = "refuse"`).
    ///
    /// # Errors
    /// [`Error::RejectedBefore`]; or [`Error::Unavailable`] if it cannot be read whether it was rejected.
    pub(super) async fn check_not_rejected(
        &self,
        submission: &Submission,
        owner: &Owner,
    ) -> Result<(), Error> {
        // The settings do not load without it.
        let within = self.config.reask_after.ok_or(Error::Bug)?;
        let now = self.now();
        let scope = self.account(owner).to_string();
        let names = self.content_names(&scope, &submission.action, &submission.parameters.json);
        let reading = names.iter().map(|name| read(&self.store, name));
        let mut last: Option<Rejection> = None;
        for row in join_all(reading).await {
            let (rejections, _) =
                row.map_err(|error| Error::without("earlier rejections", &error))?;
            let refusing = rejections
                .into_iter()
                .filter(|it| it.refuses() && it.is_recent(within, now));
            last = refusing.chain(last).max_by_key(|it| it.at);
        }
        match last {
            None => Ok(()),
            Some(Rejection { id, at, .. }) => Err(Error::RejectedBefore { id, at }),
        }
    }

    /// Lets the content of a rejected request be asked again, as [`lift_rejection`].
    ///
    /// # Errors
    /// As [`lift_rejection`].
    pub async fn lift_rejection(&self, id: &ApprovalId) -> Result<bool, Error> {
        let done = lift_rejection(&self.store, id, self.now()).await?;
        let id = id.to_string();
        tracing::warn!(id, done, "what was rejected may be asked again");
        Ok(done)
    }

    /// The names of the rows for the content of a request; the first is that of new rows. A request that was
    /// stored without an owner has the scope of its agent's name.
    fn names_of(&self, request: &Request) -> Vec<String> {
        let scope = match &request.owner {
            Some(owner) => self.account(owner).to_string(),
            None => format!("agent:{}", request.id.agent().to_lowercase()),
        };
        self.content_names(&scope, &request.action, &request.parameters.json)
    }

    fn content_names(&self, scope: &str, action: &str, parameters: &str) -> Vec<String> {
        let content = content::digest(action, parameters);
        self.link_keys.content_names(scope, &content)
    }
}

/// Lifts the rejections that are kept of the content of a rejected request, so that it may be asked again until the
/// next rejection. Returns `false` if they were lifted before. The command line does it without the gate.
///
/// # Errors
/// [`Error::NotFound`] if no rejection of this request is kept, or the store's own.
pub async fn lift_rejection(store: &Store, id: &ApprovalId, now: Timestamp) -> Result<bool, Error> {
    let (mut retries, mut has_lifted) = (Retries::new(), false);
    loop {
        let mut rows = find(store, id).await?;
        if rows.is_empty() {
            return Err(Error::NotFound);
        }
        rows.retain(|(kept, _)| kept.iter().any(|it| !it.is_lifted));
        if rows.is_empty() {
            return Ok(has_lifted);
        }
        for (mut kept, mut row) in rows {
            kept.iter_mut().for_each(|it| it.is_lifted = true);
            row.columns = encode(&kept);
            match store.put_standing(row, now).await {
                Ok(_) => has_lifted = true,
                Err(error) => retries.wait_after(error).await?,
            }
        }
        // Another process may have kept a rejection meanwhile: the rows are read again.
    }
}

/// The rows that keep rejections of the content of a rejected request: several after a rotation of the link keys. They
/// are looked for among all rows, by the requests that they share: their names take the settings of the gate.
async fn find(
    store: &Store,
    id: &ApprovalId,
) -> Result<Vec<(Vec<Rejection>, StandingRow)>, StoreError> {
    let mut ids = BTreeSet::from([id.clone()]);
    loop {
        let rows = store.standing_rows_of(StandingKind::Rejection).await?;
        let rows = rows.into_iter().filter_map(Result::ok);
        let rows = rows.filter_map(|row| Some((decode(&row)?, row)));
        let is_meant = |(kept, _): &(Vec<Rejection>, _)| kept.iter().any(|it| ids.contains(&it.id));
        let rows: Vec<_> = rows.filter(is_meant).collect();
        let found = rows.iter().flat_map(|(kept, _)| kept);
        let found: BTreeSet<ApprovalId> = found.map(|it| it.id.clone()).collect();
        if found.is_subset(&ids) {
            return Ok(rows);
        }
        ids = found;
    }
}

/// Keeps a rejection in the row of the first name, and in the rows of the others that exist: while instances have
/// different first keys, each adds to rows of its own, and what is lifted must be in none of them unlifted.
async fn keep_by_names(
    store: &Store,
    names: &[String],
    mut rejection: Rejection,
    within: Duration,
    now: Timestamp,
    known: Option<KeptRejections>,
) -> Result<(), StoreError> {
    let mut keeping = vec![(&names[0], known)];
    for name in &names[1..] {
        match read(store, name).await {
            Ok((_, None)) => {}
            Ok((kept, row)) => {
                let is_lifted = |it: &Rejection| it.id == rejection.id && it.is_lifted;
                rejection.is_lifted |= kept.iter().any(is_lifted);
                keeping.push((name, Some(Ok((kept, row)))));
            }
            Err(StoreError::Damaged(_)) => keeping.push((name, None)),
            Err(error) => return Err(error),
        }
    }
    for (name, known) in keeping {
        keep(store, name, &rejection, within, now, known).await?;
    }
    Ok(())
}

async fn keep(
    store: &Store,
    name: &str,
    rejection: &Rejection,
    within: Duration,
    now: Timestamp,
    mut known: Option<KeptRejections>,
) -> Result<(), StoreError> {
    let mut retries = Retries::new();
    loop {
        let new = || StandingRow::new(StandingKind::Rejection, name, BTreeMap::new());
        let found = match known.take() {
            Some(known) => known,
            None => read(store, name).await,
        };
        let read = match found {
            // One that cannot be trusted is replaced.
            Err(StoreError::Damaged(_)) => None,
            read => Some(read?),
        };
        let is_damaged = read.is_none();
        let (mut kept, row) = read.unwrap_or_default();
        kept.retain(|it| it.is_recent(within, now));
        let Some(joined) = Rejection::join(&kept, rejection.clone()) else {
            return Ok(());
        };
        let mut row = row.unwrap_or_else(new);
        row.columns = encode(&joined);
        let stored = if is_damaged {
            store.overwrite_standing(row, now).await
        } else {
            store.put_standing(row, now).await.map(drop)
        };
        match stored {
            Ok(()) => return Ok(()),
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

/// The rejections of a row, and the row; none if there is none.
async fn read(store: &Store, name: &str) -> KeptRejections {
    match store.standing(StandingKind::Rejection, name).await? {
        None => Ok((Vec::new(), None)),
        Some(row) => {
            let rejections = decode(&row).ok_or_else(|| StoreError::damaged(REJECTIONS));
            Ok((rejections?, Some(row)))
        }
    }
}

/// Whether one of these rows keeps a rejection from after a time.
pub(super) async fn is_rejected_since(
    store: &Store,
    names: &[String],
    at: Timestamp,
) -> Result<bool, StoreError> {
    for name in names {
        let (kept, _) = read(store, name).await?;
        if kept.iter().any(|rejection| rejection.at > at) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn encode(rejections: &[Rejection]) -> BTreeMap<String, String> {
    let entries = rejections.iter().map(|it| RejectionEntry {
        id: it.id.clone(),
        by: it.by.clone(),
        at: it.at,
        assurance: it.assurance.word().to_owned(),
        object_id: it.assurance.object_id(),
        comment: it.comment.clone(),
    });
    let entries: Vec<_> = entries.collect();
    let mut columns = BTreeMap::from([(REJECTIONS.to_owned(), json(&entries))]);
    let lifted = rejections.iter().filter(|it| it.is_lifted);
    let lifted: Vec<String> = lifted.map(|it| it.id.to_string()).collect();
    if !lifted.is_empty() {
        columns.insert(LIFTED.to_owned(), json(&lifted));
    }
    columns
}

fn decode(row: &StandingRow) -> Option<Vec<Rejection>> {
    let entries: Vec<RejectionEntry> = serde_json::from_str(row.columns.get(REJECTIONS)?).ok()?;
    let lifted: Vec<String> = match row.columns.get(LIFTED) {
        None => Vec::new(),
        Some(json) => serde_json::from_str(json).ok()?,
    };
    let rejections = entries.into_iter().map(|entry| {
        Some(Rejection {
            is_lifted: lifted.contains(&entry.id.to_string()),
            id: entry.id,
            by: entry.by,
            at: entry.at,
            assurance: Assurance::from_word(&entry.assurance, entry.object_id)?,
            comment: entry.comment,
        })
    });
    rejections.collect()
}
