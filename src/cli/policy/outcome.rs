//! What a policy would do with a request, for people and for programs.

use human_oversight::policy::{
    Ask, Candidate, CommentRule, Effect, Explanation, Limit, Matched, PlanFault, Policy, Reask,
    Requirement, Truth,
};
use serde_json::{Value, json};

use super::request::Request;

pub(super) struct Outcome {
    pub(super) effect: Effect,
    /// Why the gate would refuse the request: its code, and words.
    pub(super) refusal: Option<(&'static str, String)>,
    /// What each rule says; empty unless it was asked for.
    explanations: Vec<Explanation>,
}

impl Outcome {
    pub(super) fn new(policy: &Policy, request: &Request) -> Self {
        let effect = policy.evaluate(&request.asked());
        let refusal = refusal(policy, request, &effect);
        Self {
            effect,
            refusal,
            explanations: Vec::new(),
        }
    }

    /// With what each rule says.
    pub(super) fn explained(policy: &Policy, request: &Request) -> Self {
        Self {
            explanations: policy.explain(&request.asked()),
            ..Self::new(policy, request)
        }
    }

    /// One word for the effect.
    pub(super) fn word(&self) -> &'static str {
        match self.effect {
            Effect::Requester { .. } => "requester",
            Effect::Approve { .. } => "approve",
            Effect::Deny { .. } => "deny",
            Effect::Require(_) => "require",
        }
    }

    /// The rules that decide.
    pub(super) fn rules(&self) -> Vec<&Matched> {
        match &self.effect {
            Effect::Requester { .. } => Vec::new(),
            Effect::Approve { candidates, .. } => candidates.iter().map(|it| &it.rule).collect(),
            Effect::Deny { rules, .. } => rules.iter().collect(),
            Effect::Require(it) => it.rules.iter().collect(),
        }
    }

    /// The asks of each stage, such as `2 finance`.
    pub(super) fn stages(&self) -> Vec<Vec<String>> {
        let words = |stage: &Vec<Ask>| stage.iter().map(words_of_ask).collect();
        match &self.effect {
            Effect::Require(it) => it.stages.iter().map(words).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn json(&self) -> Value {
        let matched = |it: &&Matched| json!({"rule": it.rule.as_str(), "certain": it.is_certain, "facts": it.facts});
        let mut out = json!({
            "outcome": self.word(),
            "rules": self.rules().iter().map(matched).collect::<Vec<_>>(),
            "refused": self.refusal.as_ref().map(|(code, why)| json!({"code": code, "why": why})),
            "explanations": self.explanations.iter().map(json_of_explanation).collect::<Vec<_>>(),
        });
        match &self.effect {
            Effect::Requester { .. } => {}
            Effect::Approve {
                candidates,
                otherwise,
            } => {
                let limit =
                    |limit: Limit| json!({"times": limit.times, "perSeconds": limit.per.as_secs()});
                let limits = candidates.iter().map(|it| it.limit.map(limit));
                out["limits"] = limits.collect();
                out["otherwise"] = match **otherwise {
                    Effect::Deny { .. } => json!("deny"),
                    _ => json!("requester"),
                };
            }
            Effect::Deny { reason, .. } => out["reason"] = json!(reason),
            Effect::Require(it) => out["requirement"] = json_of_requirement(it, &self.stages()),
        }
        out
    }

    pub(super) fn text(&self) -> String {
        let mut lines = vec![match &self.effect {
            Effect::Requester { .. } => {
                "requester: the approvers whom the agent names decide".to_owned()
            }
            Effect::Approve { candidates, .. } => format!("approve{}", words_of_limit(candidates)),
            Effect::Deny { reason, .. } => format!("deny: {reason}"),
            Effect::Require(_) => {
                let stages = self.stages().into_iter().map(|asks| asks.join(" and "));
                format!("require: {}", stages.collect::<Vec<_>>().join(", then "))
            }
        }];
        for matched in self.rules() {
            let doubt = if matched.is_certain { "" } else { " may apply" };
            lines.push(format!(
                "  rule {}{doubt}: {}",
                matched.rule,
                matched.facts.join("; ")
            ));
        }
        if let Effect::Require(it) = &self.effect {
            lines.extend(
                words_of_requirement(it)
                    .into_iter()
                    .map(|line| format!("  {line}")),
            );
        }
        if let Some((code, why)) = &self.refusal {
            lines.push(format!("refused ({code}): {why}"));
        }
        let deciding = self.rules();
        let others = self
            .explanations
            .iter()
            .filter(|it| !deciding.iter().any(|matched| matched.rule == it.rule));
        lines.extend(others.map(|it| {
            let matches = match it.truth {
                Truth::True => "matches too",
                Truth::Unknown => "is not certain",
                Truth::False => "does not match",
            };
            format!(
                "rule {} ({}) {matches}: {}",
                it.rule,
                it.effect,
                it.facts.join("; ")
            )
        }));
        lines.join("\n")
    }
}

/// Why the gate would refuse a request of which the policy says this, in the order in which it finds out.
fn refusal(policy: &Policy, request: &Request, effect: &Effect) -> Option<(&'static str, String)> {
    let invalid = |why: &str| Some(("validation", why.to_owned()));
    if let Some(why) = &request.unlisted {
        return invalid(why);
    }
    if !request.can_be_called_back(policy) {
        return invalid(
            "/callback/channel is no channel that the policy lets this agent be called back by (callback_for)",
        );
    }
    let asks_requested = match effect {
        Effect::Requester { .. } => true,
        Effect::Require(it) => it.asks_requested(),
        Effect::Approve { .. } | Effect::Deny { .. } => false,
    };
    if asks_requested && !request.names_approvers {
        return invalid("/approverEmails is missing: people must decide this");
    }
    let Effect::Require(it) = effect else {
        return None;
    };
    if it.on_behalf_of_required && request.asked().on_behalf_of.is_none() {
        return invalid("the rule needs `onBehalfOf`");
    }
    let time = it.timeout.unwrap_or(request.time).min(request.time);
    let fault = it.check(time).err()?;
    Some((code(&fault), fault.to_string()))
}

/// The code of the problem with which the gate refuses.
fn code(fault: &PlanFault) -> &'static str {
    match fault {
        PlanFault::QuorumUnsatisfiable { .. } | PlanFault::NoTime { .. } => "quorum_unsatisfiable",
        PlanFault::TooLarge { .. } => "plan_too_large",
    }
}

fn words_of_ask(ask: &Ask) -> String {
    format!("{} {}", ask.needed, ask.from.name())
}

fn words_of_limit(candidates: &[Candidate]) -> String {
    match candidates.first().and_then(|it| it.limit) {
        Some(limit) => format!(
            ", at most {} times in {} s",
            limit.times,
            limit.per.as_secs()
        ),
        None => String::new(),
    }
}

fn words_of_requirement(it: &Requirement) -> Vec<String> {
    let seconds = |what: &str, time: Option<std::time::Duration>| {
        time.map(|time| format!("{what} {} s", time.as_secs()))
    };
    let flag = |is_set: bool, what: &str| is_set.then(|| what.to_owned());
    let comment = match it.comment {
        CommentRule::Never => None,
        CommentRule::OnReject => Some("a rejection needs words".to_owned()),
        CommentRule::Always => Some("each decision needs words".to_owned()),
    };
    [
        flag(it.sign_in, "approving takes sign-in"),
        comment,
        seconds("decided within", it.timeout),
        seconds("approved no earlier than", it.not_before),
        seconds("claimed within", it.run_within),
        flag(
            it.on_behalf_of_required,
            "the request must name the person the agent acts for",
        ),
        flag(
            it.reask == Reask::Refuse,
            "refused when asked again after a rejection",
        ),
        seconds("the same again may be allowed for at most", it.grants),
        it.escalate.as_ref().map(|it| {
            let to = it.from.join(", ");
            format!("escalated to {to} after {} % of the time", it.after_percent)
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn json_of_requirement(it: &Requirement, stages: &[Vec<String>]) -> Value {
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs());
    json!({
        "stages": stages,
        "rejections": it.rejections,
        "signIn": it.sign_in,
        "comment": it.comment.word(),
        "notBeforeSeconds": seconds(it.not_before),
        "timeoutSeconds": seconds(it.timeout),
        "runWithinSeconds": seconds(it.run_within),
        "onBehalfOfRequired": it.on_behalf_of_required,
        "summary": it.summary.iter().map(|pointer| pointer.as_str()).collect::<Vec<_>>(),
        "rejectReasons": it.reject_reasons,
        "reask": it.reask.word(),
        "grantsSeconds": seconds(it.grants),
        "escalate": it.escalate.as_ref().map(|it| json!({"afterPercent": it.after_percent.get(), "to": it.from})),
    })
}

fn json_of_explanation(it: &Explanation) -> Value {
    json!({
        "rule": it.rule.as_str(),
        "effect": it.effect,
        "matches": match it.truth {
            Truth::True => "yes",
            Truth::Unknown => "unknown",
            Truth::False => "no",
        },
        "facts": it.facts,
    })
}
