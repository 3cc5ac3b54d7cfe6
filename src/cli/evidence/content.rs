//! What the files of an evidence folder say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::bail;
use human_oversight::domain::{Approval, Decider, Execution, State};
use human_oversight::store::StoreError;
use human_oversight::values::Timestamp;
use human_oversight_protocol::parameters::{hex, sha256};
use serde_json::{Map, Value, json};

use super::super::output::plain;
use super::folder::{Folder, NewFile};

/// The time in which the requests were submitted.
#[derive(Clone, Copy)]
pub(super) struct Period {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Period {
    fn includes(self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }
}

/// The files that are written while rows are read, and what is counted meanwhile.
pub(super) struct Content {
    period: Period,
    with_parameters: bool,
    rows: NewFile,
    receipts: NewFile,
    verification: NewFile,
    /// By the digest of its text.
    policies: BTreeMap<String, PolicyVersion>,
    counts: Counts,
}

/// How many there are of each kind, by its word.
#[derive(Default)]
struct Counts {
    requests: u64,
    legacy: u64,
    untrusted: u64,
    votes: u64,
    statuses: BTreeMap<String, u64>,
    executions: BTreeMap<String, u64>,
    deciders: BTreeMap<String, u64>,
    assurances: BTreeMap<String, u64>,
}

/// A version of the policy that applied to requests.
struct PolicyVersion {
    rules: BTreeSet<String>,
    requests: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Content {
    pub(super) fn new(
        folder: &Folder,
        period: Period,
        with_parameters: bool,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            period,
            with_parameters,
            rows: folder.open("rows.jsonl")?,
            receipts: folder.open("receipts.jsonl")?,
            verification: folder.open("verification.txt")?,
            policies: BTreeMap::new(),
            counts: Counts::default(),
        })
    }

    /// Takes a row of the table. It is written if its request is of the period, or if that cannot be told.
    pub(super) fn add(
        &mut self,
        columns: Map<String, Value>,
        approval: &Result<Approval, StoreError>,
        problem: Option<String>,
    ) -> anyhow::Result<()> {
        if let Some(problem) = &problem {
            self.note_row(&columns, problem)?;
        }
        let requested_at = match approval {
            Ok(approval) => Some(approval.request.requested_at),
            Err(_) => {
                let at = columns.get("RequestTimestamp").and_then(Value::as_str);
                at.and_then(Timestamp::parse)
            }
        };
        if requested_at.is_some_and(|at| !self.period.includes(at)) {
            return Ok(());
        }
        let columns = if self.with_parameters {
            columns
        } else {
            without_parameters(columns)
        };
        writeln!(self.rows, "{}", Value::Object(columns))?;
        match approval {
            Ok(approval) => {
                self.counts.untrusted += u64::from(problem.is_some());
                self.add_approval(approval)?;
            }
            Err(StoreError::Legacy) => self.counts.legacy += 1,
            Err(_) => self.counts.untrusted += 1,
        }
        Ok(())
    }

    /// Writes what is wrong with a row.
    pub(super) fn note_row(
        &mut self,
        columns: &Map<String, Value>,
        problem: &str,
    ) -> anyhow::Result<()> {
        let text = |name| columns.get(name).and_then(Value::as_str).unwrap_or("?");
        let keys = ["PartitionKey", "RowKey"].map(|name| plain(text(name)));
        self.note(&format!("{}: {}", keys.join("/"), plain(problem)))
    }

    /// Writes a line of the result of the verification.
    pub(super) fn note(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.verification, "{line}")?)
    }

    /// Ends the files. Each text of a policy must be one that applied.
    pub(super) fn finish(self, folder: &mut Folder, texts: &[Vec<u8>]) -> anyhow::Result<()> {
        let mut known = BTreeSet::new();
        for text in texts {
            let digest = hex(&sha256(text));
            if !self.policies.contains_key(&digest) {
                bail!("a text of the policy, with the digest {digest}, applied to no request");
            }
            if known.insert(digest.clone()) {
                folder.write(&format!("policies/{digest}.toml"), text)?;
            }
        }
        let versions = self.policies.iter().map(|(digest, version)| {
            json!({
                "digest": digest, "rules": version.rules, "requests": version.requests,
                "first": version.first.to_string(), "last": version.last.to_string(),
                "text": known.contains(digest).then(|| format!("policies/{digest}.toml")),
            })
        });
        let versions: Vec<Value> = versions.collect();
        let counts = json!({
            "requests": self.counts.requests, "legacyRows": self.counts.legacy,
            "untrustedRows": self.counts.untrusted, "votes": self.counts.votes,
            "byStatus": self.counts.statuses, "byExecution": self.counts.executions,
            "byDecider": self.counts.deciders, "byAssurance": self.counts.assurances,
        });
        for file in [self.rows, self.receipts, self.verification] {
            folder.close(file)?;
        }
        folder.write("policies.json", &serde_json::to_vec_pretty(&versions)?)?;
        folder.write("counts.json", &serde_json::to_vec_pretty(&counts)?)
    }

    fn add_approval(&mut self, approval: &Approval) -> anyhow::Result<()> {
        let counts = &mut self.counts;
        counts.requests += 1;
        counts.votes += approval.votes.len() as u64;
        let count = |of: &mut BTreeMap<String, u64>, word: &str| {
            *of.entry(word.to_owned()).or_default() += 1;
        };
        count(&mut counts.statuses, approval.state.status().word());
        if let State::Approved { execution, .. } = &approval.state {
            count(
                &mut counts.executions,
                execution.word().unwrap_or("Awaited"),
            );
        }
        if let Some(decision) = approval.decision() {
            let decider = match &decision.by {
                Decider::Person { assurance, .. } => {
                    count(&mut counts.assurances, assurance.word());
                    "person"
                }
                Decider::Policy { .. } => "policy",
                Decider::Grant(_) => "grant",
            };
            count(&mut counts.deciders, decider);
        }
        if let Some(policy) = approval.plan.policy() {
            let at = approval.request.requested_at;
            let version = self.policies.entry(policy.digest.to_string());
            let version = version.or_insert_with(|| PolicyVersion {
                rules: BTreeSet::new(),
                requests: 0,
                first: at,
                last: at,
            });
            version.rules.extend(policy.rules.iter().cloned());
            version.requests += 1;
            version.first = version.first.min(at);
            version.last = version.last.max(at);
        }
        let id = approval.request.id.to_string();
        for (kind, jws) in signed(approval) {
            let line = json!({"id": id, "kind": kind, "jws": jws});
            writeln!(self.receipts, "{line}")?;
        }
        Ok(())
    }
}

/// What the gate signed of a request.
fn signed(approval: &Approval) -> Vec<(&'static str, &str)> {
    let votes = approval.votes.iter();
    let mut found: Vec<_> = votes.map(|vote| ("vote", vote.receipt.as_str())).collect();
    if let Some(decision) = approval.decision() {
        if let Decider::Grant(signed) = &decision.by {
            found.push(("grant", &signed.proof));
        }
        found.push(("receipt", &decision.receipt));
    }
    if let State::Approved { execution, .. } = &approval.state {
        match execution {
            Execution::Executing { claim, .. }
            | Execution::Executed { claim, .. }
            | Execution::Failed { claim, .. }
            | Execution::Unknown { claim, .. } => {
                found.extend(claim.permit.as_deref().map(|permit| ("permit", permit)));
            }
            Execution::Revoked { revocation, .. } => found.push(("revocation", &revocation.proof)),
            Execution::Awaited | Execution::Lapsed { .. } => {}
        }
    }
    found
}

/// Without the values of the parameters: the column itself, and the facts of the plan, which quote them.
fn without_parameters(mut columns: Map<String, Value>) -> Map<String, Value> {
    columns.remove("Parameters");
    if let Some(plan) = columns.get("Plan").and_then(Value::as_str) {
        match serde_json::from_str::<Map<String, Value>>(plan) {
            Ok(mut plan) => {
                plan.remove("facts");
                columns.insert("Plan".to_owned(), Value::Object(plan).to_string().into());
            }
            Err(_) => {
                columns.remove("Plan");
            }
        }
    }
    columns
}
