//! The column `Plan`: who must agree, where the operator's policy said so.

use std::num::NonZeroU8;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use crate::domain::{
    Approval, Ask, Escalation, GrantTerms, Origin, Plan, PolicyOrigin, Stage, Substitute,
};
use crate::policy::{CommentRule, Pointer};
use crate::store::text_json::{json, text};
use crate::values::{Digest, Timestamp};

const COLUMN: &str = "Plan";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlanEntry {
    #[serde(with = "text")]
    digest: Digest,
    rules: Vec<String>,
    facts: Vec<String>,
    stages: Vec<Vec<AskEntry>>,
    rejections: NonZeroU8,
    sign_in: bool,
    #[serde(with = "text")]
    comment: CommentRule,
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
    #[serde(with = "text")]
    rules_digest: Digest,
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
    #[serde(with = "text")]
    from: Timestamp,
    #[serde(with = "text")]
    until: Timestamp,
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
    let substitutes = plan.substitutes.iter().map(|it| SubstituteEntry {
        of: it.of,
        by: it.by,
        from: it.from,
        until: it.until,
    });
    let entry = PlanEntry {
        digest: policy.digest,
        rules: policy.rules.clone(),
        facts: policy.facts.clone(),
        stages: plan.stages.iter().map(asks).collect(),
        rejections: plan.rejections,
        sign_in: plan.sign_in,
        comment: plan.comment,
        not_before_seconds: plan.not_before.as_secs(),
        summary: plan.summary.iter().map(Pointer::to_string).collect(),
        reject_reasons: plan.reject_reasons.clone(),
        run_within_seconds: plan.run_within.map(|it| it.as_secs()),
        grants: plan.grants.map(|terms| GrantsEntry {
            longest_seconds: terms.longest.as_secs(),
            rules_digest: terms.rules,
        }),
        escalation: plan.escalation.as_ref().map(|it| EscalationEntry {
            after_percent: it.after_percent,
            from: it.from.clone(),
            to: it.to.clone(),
        }),
        substitutes: substitutes.collect(),
        tell: plan.tell.clone(),
    };
    columns.set(COLUMN, &json(&entry));
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
    let substitutes = entry.substitutes.into_iter().map(|it| Substitute {
        of: it.of,
        by: it.by,
        from: it.from,
        until: it.until,
    });
    Ok(Plan {
        origin: Origin::Policy(PolicyOrigin {
            digest: entry.digest,
            rules: entry.rules,
            facts: entry.facts,
        }),
        stages: entry.stages.into_iter().map(stage).collect(),
        rejections: entry.rejections,
        sign_in: entry.sign_in,
        comment: entry.comment,
        not_before: Duration::from_secs(entry.not_before_seconds),
        summary: entry
            .summary
            .iter()
            .map(|text| Pointer::parse(text).map_err(|_| COLUMN))
            .collect::<Result<_, _>>()?,
        reject_reasons: entry.reject_reasons,
        run_within: entry.run_within_seconds.map(Duration::from_secs),
        grants: entry.grants.map(|it| GrantTerms {
            longest: Duration::from_secs(it.longest_seconds),
            rules: it.rules_digest,
        }),
        escalation: entry.escalation.map(|it| Escalation {
            after_percent: it.after_percent,
            from: it.from,
            to: it.to,
        }),
        substitutes: substitutes.collect(),
        tell: entry.tell,
        hand_overs: Vec::new(),
    })
}
