//! What a policy would have done with the requests that a gate has stored. One row at a time is in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use human_oversight::config::StoreSettings;
use human_oversight::domain::{Approval, Verdict};
use human_oversight::policy::{Effect, Policy, RuleId};
use human_oversight::store::StoreError;
use human_oversight::values::Timestamp;
use serde_json::{Value, json};

use super::outcome::Outcome;
use super::request::Request;
use crate::cli::clock::clock;
use crate::cli::copied::for_each_copied_row;
use crate::cli::environment;
use crate::cli::held::HeldOutput;
use crate::cli::maintenance::{for_each_row, link_keys, open_to_judge};
use crate::cli::output::show;

/// What was found so far.
struct Rehearsal<'a> {
    policy: &'a Policy,
    since: Option<Timestamp>,
    json: Option<HeldOutput>,
    requests: u64,
    contradicted: u64,
    /// Rows that cannot be read or trusted.
    unreadable: u64,
    /// Rows of the legacy Logic App.
    legacy: u64,
    counts: BTreeMap<RuleId, Count>,
}

/// The requests that a rule would have decided, alone or with others.
#[derive(Default)]
struct Count {
    requests: u64,
    /// Of these, where the rule only may apply.
    doubtful: u64,
    /// Of these, what people approved and rejected.
    approved: u64,
    rejected: u64,
    contradicted: u64,
}

/// Prints what the policy would have done with the requests of the store, or of a backup.
///
/// # Errors
/// When the store or the backup cannot be read to its end.
pub(super) async fn run(
    policy: &Policy,
    since: Option<Timestamp>,
    backup: Option<&Path>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let settings = StoreSettings::read(environment::value)?;
    let keys = link_keys(&settings)?;
    let mut rehearsal = Rehearsal {
        policy,
        since,
        json: json.then(HeldOutput::new).transpose()?,
        requests: 0,
        contradicted: 0,
        unreadable: 0,
        legacy: 0,
        counts: BTreeMap::new(),
    };
    if keys.is_none() {
        eprintln!("Without HO_LINK_KEYS the rows are taken as they are: nothing proves them.");
    }
    if let Some(json) = &mut rehearsal.json {
        json.line("{\"contradictions\": [")?;
    }
    match backup {
        Some(file) => {
            for_each_copied_row(file, keys.as_deref(), |_, approval| rehearsal.add(approval))?;
        }
        None => {
            let store = open_to_judge(&settings, clock(), keys).await?;
            for_each_row(&store, async |row| rehearsal.add(row.approval)).await?;
        }
    }
    let is_clean = rehearsal.contradicted == 0 && rehearsal.unreadable == 0;
    rehearsal.finish()?;
    Ok(ExitCode::from(u8::from(!is_clean)))
}

impl Rehearsal<'_> {
    fn add(&mut self, approval: Result<Approval, StoreError>) -> anyhow::Result<()> {
        let approval = match approval {
            Ok(approval) => approval,
            Err(StoreError::Legacy) => {
                self.legacy += 1;
                return Ok(());
            }
            Err(_) => {
                self.unreadable += 1;
                return Ok(());
            }
        };
        let is_earlier = |since| approval.request.requested_at < since;
        if self.since.is_some_and(is_earlier) {
            return Ok(());
        }
        let request = Request::stored(&approval)?;
        let outcome = Outcome::new(self.policy, &request);
        let verdict = verdict_of_person(&approval);
        let is_contradicted =
            verdict.is_some_and(|verdict| contradicts(&request, &outcome, verdict));
        self.requests += 1;
        for (rule, is_certain) in deciding(&outcome) {
            let count = self.counts.entry(rule).or_default();
            count.requests += 1;
            count.doubtful += u64::from(!is_certain);
            count.approved += u64::from(verdict == Some(Verdict::Approve));
            count.rejected += u64::from(verdict == Some(Verdict::Reject));
            count.contradicted += u64::from(is_contradicted);
        }
        if let Some(verdict) = verdict.filter(|_| is_contradicted) {
            self.contradicted += 1;
            self.print(&approval, verdict, &outcome)?;
        }
        Ok(())
    }

    /// Prints a decision that the policy contradicts.
    fn print(
        &mut self,
        approval: &Approval,
        verdict: Verdict,
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        let rules: Vec<String> = deciding(outcome)
            .map(|(rule, _)| rule.to_string())
            .collect();
        let verdict = match verdict {
            Verdict::Approve => "approved",
            Verdict::Reject => "rejected",
        };
        let would = match outcome.refusal {
            Some(_) => "refuse",
            None => outcome.word(),
        };
        let id = approval.request.id.to_string();
        if let Some(json) = &mut self.json {
            let comma = if self.contradicted > 1 { "," } else { "" };
            let found = json!({"id": id, "verdict": verdict, "policy": would, "rules": rules});
            return json.line(&format!("{comma}{found}"));
        }
        let rules = rules.join(", ");
        show(&format!(
            "{id}: a person {verdict} it, the policy would {would} it (rule {rules})"
        ));
        Ok(())
    }

    /// Prints what was counted; as JSON, all that was found.
    fn finish(self) -> anyhow::Result<()> {
        let none = Count::default();
        let by_default = self.counts.get(&RuleId::default_rule());
        let default = by_default.map(|count| (RuleId::default_rule(), "default", count));
        let rules = self.policy.list_rules().map(|(rule, effect)| {
            let count = self.counts.get(rule).unwrap_or(&none);
            (rule.clone(), effect, count)
        });
        let rules: Vec<_> = rules.chain(default).collect();
        let unused = rules.iter().filter(|(_, _, count)| count.requests == 0);
        let unused: Vec<&str> = unused.map(|(rule, ..)| rule.as_str()).collect();
        if let Some(mut json) = self.json {
            let rules = rules
                .iter()
                .map(|(rule, effect, count)| count.json(rule, effect));
            let rest = json!({
                "requests": self.requests,
                "contradicted": self.contradicted,
                "unreadable": self.unreadable,
                "legacy": self.legacy,
                "digest": self.policy.digest().to_string(),
                "rules": rules.collect::<Vec<_>>(),
                "unused": unused,
            });
            json.line(&format!("],{}", &rest.to_string()[1..]))?;
            return json.print();
        }
        for (rule, effect, count) in &rules {
            show(&count.text(rule, effect));
        }
        show(&format!(
            "{} requests; {} decisions of people contradicted.",
            self.requests, self.contradicted
        ));
        if !unused.is_empty() {
            show(&format!("Never used: {}.", unused.join(", ")));
        }
        if self.unreadable + self.legacy > 0 {
            show(&format!(
                "Left out: {} rows that cannot be trusted (see `verify`), {} of the legacy Logic App.",
                self.unreadable, self.legacy
            ));
        }
        Ok(())
    }
}

impl Count {
    fn json(&self, rule: &RuleId, effect: &str) -> Value {
        json!({
            "rule": rule.as_str(),
            "effect": effect,
            "requests": self.requests,
            "doubtful": self.doubtful,
            "approved": self.approved,
            "rejected": self.rejected,
            "contradicted": self.contradicted,
        })
    }

    fn text(&self, rule: &RuleId, effect: &str) -> String {
        let Self {
            requests,
            doubtful,
            approved,
            rejected,
            contradicted,
        } = self;
        let doubts = match doubtful {
            0 => String::new(),
            _ => format!(", {doubtful} of them in doubt"),
        };
        format!(
            "rule {rule} ({effect}): {requests} requests{doubts}; people approved {approved} and rejected \
             {rejected}; {contradicted} contradicted"
        )
    }
}

/// What a person decided.
fn verdict_of_person(approval: &Approval) -> Option<Verdict> {
    let (proposal, _) = approval.signed_decision()?;
    proposal.by.person().map(|_| proposal.verdict())
}

/// Whether the policy would have let happen what a person rejected, or have stopped what a person approved. That it
/// would ask people contradicts neither, nor does a plan of those whom the agent named where they are not known.
fn contradicts(request: &Request, outcome: &Outcome, verdict: Verdict) -> bool {
    match (&outcome.effect, verdict) {
        (Effect::Deny { .. }, Verdict::Approve) | (Effect::Approve { .. }, Verdict::Reject) => true,
        (Effect::Require(it), Verdict::Approve) => {
            let is_known = request.is_requested_known || !it.asks_requested();
            is_known && outcome.refusal.is_some()
        }
        _ => false,
    }
}

/// The rules that would have decided, and whether each applies for certain. Of several that approve it is the first,
/// as if its limit were never used up.
fn deciding(outcome: &Outcome) -> impl Iterator<Item = (RuleId, bool)> {
    let mut rules: Vec<_> = outcome
        .rules()
        .into_iter()
        .map(|it| (it.rule.clone(), it.is_certain))
        .collect();
    match outcome.effect {
        Effect::Requester { .. } => rules.push((RuleId::default_rule(), true)),
        Effect::Approve { .. } => rules.truncate(1),
        _ => {}
    }
    rules.into_iter()
}
