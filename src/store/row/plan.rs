//! The column `Plan`: who must agree, where the operator's policy said so.

use std::num::NonZeroU8;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::text::Text;
use crate::domain::{
    Approval, Ask, CommentRule, Escalation, GrantTerms, Origin, Plan, PolicyOrigin, Stage,
    Substitute,
};
use crate::policy::Pointer;
use crate::values::{Digest, Timestamp};

const COLUMN: &str = "Plan";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlanEntry {
    digest: String,
    rules: Vec<String>,
    facts: Vec<String>,
    stages: Vec<Vec<AskEntry>>,
    rejections: NonZeroU8,
    sign_in: bool,
    comment: String,
    not_before_seconds: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    summary: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reject_reasons: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_within_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grants: Option<GrantsEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    escalation: Option<EscalationEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    substitutes: Vec<SubstituteEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tell: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrantsEntry {
    longest_seconds: u64,
    rules_digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EscalationEntry {
    after_percent: NonZeroU8,
    from: Vec<String>,
    to: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubstituteEntry {
    of: usize,
    by: usize,
    from: String,
    until: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskEntry {
    from: String,
    members: Vec<usize>,
    needed: NonZeroU8,
}

pub(super) fn encode(approval: &Approval, columns: &mut Columns) {
    let plan = &approval.plan;
    let Some(policy) = plan.policy() else { return };
    let asks = |stage: &Stage| {
        let asks = stage.asks.iter().map(|ask| AskEntry {
            from: ask.from.clone(),
            members: ask.members.clone(),
            needed: ask.needed,
        });
        asks.collect()
    };
    let entry = PlanEntry {
        digest: policy.digest.to_string(),
        rules: policy.rules.clone(),
        facts: policy.facts.clone(),
        stages: plan.stages.iter().map(asks).collect(),
        rejections: plan.rejections,
        sign_in: plan.sign_in,
        comment: plan.comment.to_text(),
        not_before_seconds: plan.not_before.as_secs(),
        summary: plan.summary.iter().map(Pointer::to_string).collect(),
        reject_reasons: plan.reject_reasons.clone(),
        run_within_seconds: plan.run_within.map(|it| it.as_secs()),
        grants: plan.grants.map(|terms| GrantsEntry {
            longest_seconds: terms.longest.as_secs(),
            rules_digest: terms.rules.to_string(),
        }),
        escalation: plan.escalation.as_ref().map(|it| EscalationEntry {
            after_percent: it.after_percent,
            from: it.from.clone(),
            to: it.to.clone(),
        }),
        substitutes: plan.substitutes.iter().map(SubstituteEntry::new).collect(),
        tell: plan.tell.clone(),
    };
    let text = serde_json::to_string(&entry).expect("plain structs are JSON");
    columns.set(COLUMN, &text);
}

/// The plan in the row, or that of a row without one, which has `approvers` of the agent's choice.
pub(super) fn decode(columns: &mut Columns, approvers: usize) -> Result<Plan, &'static str> {
    let Some(text) = columns.take_optional::<String>(COLUMN)? else {
        return Ok(Plan::of_requester(approvers));
    };
    let entry: PlanEntry = serde_json::from_str(&text).map_err(|_| COLUMN)?;
    let stage = |asks: Vec<AskEntry>| {
        let asks = asks.into_iter().map(|ask| Ask {
            from: ask.from,
            members: ask.members,
            needed: ask.needed,
        });
        Stage {
            asks: asks.collect(),
        }
    };
    let substitutes = entry.substitutes.into_iter();
    let substitutes = substitutes.map(SubstituteEntry::into_substitute);
    Ok(Plan {
        origin: Origin::Policy(PolicyOrigin {
            digest: Digest::parse(&entry.digest).ok_or(COLUMN)?,
            rules: entry.rules,
            facts: entry.facts,
        }),
        stages: entry.stages.into_iter().map(stage).collect(),
        rejections: entry.rejections,
        sign_in: entry.sign_in,
        comment: CommentRule::from_text(&entry.comment).ok_or(COLUMN)?,
        not_before: Duration::from_secs(entry.not_before_seconds),
        summary: entry
            .summary
            .iter()
            .map(|text| Pointer::parse(text).map_err(|_| COLUMN))
            .collect::<Result<_, _>>()?,
        reject_reasons: entry.reject_reasons,
        run_within: entry.run_within_seconds.map(Duration::from_secs),
        grants: entry.grants.map(GrantsEntry::into_terms).transpose()?,
        escalation: entry.escalation.map(|it| Escalation {
            after_percent: it.after_percent,
            from: it.from,
            to: it.to,
        }),
        substitutes: substitutes.collect::<Option<_>>().ok_or(COLUMN)?,
        tell: entry.tell,
        hand_overs: Vec::new(),
    })
}

impl GrantsEntry {
    fn into_terms(self) -> Result<GrantTerms, &'static str> {
        Ok(GrantTerms {
            longest: Duration::from_secs(self.longest_seconds),
            rules: Digest::parse(&self.rules_digest).ok_or(COLUMN)?,
        })
    }
}

impl SubstituteEntry {
    fn new(substitute: &Substitute) -> Self {
        Self {
            of: substitute.of,
            by: substitute.by,
            from: substitute.from.to_string(),
            until: substitute.until.to_string(),
        }
    }

    fn into_substitute(self) -> Option<Substitute> {
        Some(Substitute {
            of: self.of,
            by: self.by,
            from: Timestamp::parse(&self.from)?,
            until: Timestamp::parse(&self.until)?,
        })
    }
}
