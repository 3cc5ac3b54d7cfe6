//! The columns `Votes` and `VoteReceipts`: what each person chose, and the signed records of that.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::columns::Columns;
use crate::domain::{Approval, Approver, Assurance, Ballot, Place, Verdict, Vote, Words};
use crate::store::text_json::{json, optional_text, text};
use crate::values::{AuthContext, Timestamp};

const VOTES: &str = "Votes";
const RECEIPTS: &str = "VoteReceipts";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VoteEntry {
    /// The index of the approver.
    person: usize,
    /// The address, for the report.
    approver: String,
    stage: usize,
    ask: usize,
    assurance: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object_id: Option<Uuid>,
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    auth_time: Option<Timestamp>,
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    auth_context: Option<AuthContext>,
    #[serde(with = "text")]
    vote: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preset: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    question: Option<String>,
    #[serde(with = "text")]
    at: Timestamp,
}

pub(super) fn encode(approval: &Approval, columns: &mut Columns) {
    if approval.votes.is_empty() {
        return;
    }
    let entries = approval.votes.iter().map(|Vote { ballot, .. }| VoteEntry {
        person: ballot.person,
        approver: approval.approvers[ballot.person].address.to_string(),
        stage: ballot.place.stage,
        ask: ballot.place.ask,
        assurance: ballot.assurance.word().to_owned(),
        object_id: ballot.assurance.object_id(),
        auth_time: ballot.assurance.auth_time(),
        auth_context: ballot.assurance.auth_context(),
        vote: ballot.verdict,
        preset: ballot.words.preset.clone(),
        comment: ballot.words.comment.clone(),
        question: ballot.words.question.clone(),
        at: ballot.at,
    });
    let receipts = approval.votes.iter().map(|vote| vote.receipt.as_str());
    columns.set(VOTES, &json(&entries.collect::<Vec<_>>()));
    columns.set(RECEIPTS, &json(&receipts.collect::<Vec<_>>()));
}

pub(super) fn decode(
    columns: &mut Columns,
    approvers: &[Approver],
) -> Result<Vec<Vote>, &'static str> {
    let votes: Option<String> = columns.take_optional(VOTES)?;
    let receipts: Option<String> = columns.take_optional(RECEIPTS)?;
    let (Some(votes), Some(receipts)) = (&votes, &receipts) else {
        let is_empty = votes.is_none() && receipts.is_none();
        return if is_empty { Ok(Vec::new()) } else { Err(VOTES) };
    };
    let entries: Vec<VoteEntry> = serde_json::from_str(votes).map_err(|_| VOTES)?;
    let receipts: Vec<String> = serde_json::from_str(receipts).map_err(|_| RECEIPTS)?;
    if entries.is_empty() || entries.len() != receipts.len() {
        return Err(RECEIPTS);
    }
    let votes = entries.into_iter().zip(receipts).map(|(entry, receipt)| {
        let voter = approvers.get(entry.person)?;
        let ballot = entry.into_ballot(voter)?;
        Some(Vote { ballot, receipt })
    });
    votes.collect::<Option<_>>().ok_or(VOTES)
}

impl VoteEntry {
    fn into_ballot(self, voter: &Approver) -> Option<Ballot> {
        if self.approver != voter.address.as_str() {
            return None;
        }
        let assurance = Assurance::from_word(&self.assurance, self.object_id)?
            .with_sign_in(self.auth_time, self.auth_context)?;
        Some(Ballot {
            person: self.person,
            place: Place {
                stage: self.stage,
                ask: self.ask,
            },
            // Known once all of the row is read.
            seat: self.person,
            assurance,
            verdict: self.vote,
            words: Words {
                preset: self.preset,
                comment: self.comment,
                question: self.question,
            },
            at: self.at,
        })
    }
}
