//! What the operator's policy says about a submitted request.

use std::time::Duration;

use serde_json::Value;

use super::error::Error;
use super::limits::LimitCharge;
use super::state::App;
use super::submission::Submission;
use crate::domain::{
    self, Approval, Decider, Escalation, GrantTerms, Origin, Plan, PolicyOrigin, SignedGrant,
    Stage, Substitute, Verdict,
};
use crate::policy::{
    Absence, Ask, Asked, Candidate, Effect, MAX_PEOPLE, MAX_TOLD, Matched, Member, Policy, Reask,
    Requirement, RuleId, group_by_person, is_same_person, tell_of,
};
use crate::values::{Address, Owner, Timestamp};

/// The most rules and facts that a plan names, so that it fits into its column: a name that looks like many
/// others may match every rule of a policy.
const MAX_RULES: usize = 50;
const MAX_FACTS: usize = 50;

/// What becomes of a request when it is submitted.
pub(super) enum Ruling {
    /// It repeats one that is stored.
    Stored(Box<Approval>),
    /// People decide.
    Ask {
        plan: Plan,
        people: Vec<Address>,
        /// The time to decide.
        time: Duration,
        /// Whether to ask what was rejected before.
        reask: Reask,
    },
    Decide(DecidedAlone),
}

/// What is decided without asking a person now: by the policy, or by a standing grant.
pub(super) struct DecidedAlone {
    pub(super) plan: Plan,
    pub(super) decider: Decider,
    pub(super) verdict: Verdict,
    /// Why it denies.
    pub(super) reason: Option<String>,
    /// The limit that was charged.
    pub(super) charged: Option<LimitCharge>,
}

impl DecidedAlone {
    /// Approves what the plan asks people for, as one of them has allowed.
    pub(super) fn by_grant(plan: Plan, signed: SignedGrant) -> Self {
        Self {
            plan: Plan {
                stages: Vec::new(),
                grants: None,
                escalation: None,
                substitutes: Vec::new(),
                ..plan
            },
            decider: Decider::Grant(Box::new(signed)),
            verdict: Verdict::Approve,
            reason: None,
            charged: None,
        }
    }

    /// The deadline for claiming an approval, which is never after the end of the grant that gives it.
    pub(super) fn run_by(&self, run_by: Timestamp) -> Timestamp {
        match &self.decider {
            Decider::Grant(signed) => run_by.min(signed.grant.until),
            _ => run_by,
        }
    }
}

impl App {
    /// Judges a submission by the policy, and charges the limit of a rule that approves it.
    ///
    /// # Errors
    /// When the policy asks for people whom the request does not name, or for more than there are.
    pub(super) async fn judge(
        &self,
        submission: &Submission,
        owner: &Owner,
    ) -> Result<Ruling, Error> {
        let Some(policy) = &self.config.policy else {
            return requested(submission);
        };
        let now = self.now();
        let parameters: Value =
            serde_json::from_str(&submission.parameters.json).map_err(|_| Error::Bug)?;
        let asked = Asked {
            agent: submission.id.agent(),
            action: &submission.action,
            parameters: &parameters,
            on_behalf_of: submission.on_behalf_of.as_ref(),
            requested: submission.approvers.as_deref().unwrap_or_default(),
        };
        let mut effect = policy.evaluate(&asked);
        loop {
            effect = match effect {
                Effect::Requester { limits } => {
                    return requested_or_required(policy, limits, &asked, submission, now);
                }
                Effect::Require(requirement) => {
                    return required(policy, requirement, submission, now);
                }
                Effect::Deny { rules, reason } => return Ok(denied(policy, &rules, reason)),
                Effect::Approve {
                    candidates,
                    otherwise,
                } => {
                    // Only the first can be the first to be charged: without a limit, it decides.
                    let is_charged = candidates.first().is_some_and(|it| it.limit.is_some());
                    if is_charged
                        && let Some(stored) = self.find_stored(&submission.identity()).await?
                    {
                        return Ok(Ruling::Stored(Box::new(stored)));
                    }
                    match self.approve_alone(policy, candidates, owner).await {
                        Ok(ruling) => return Ok(ruling),
                        Err(facts) => otherwise.since_limits(facts),
                    }
                }
            }
        }
    }

    /// Approves by the first rule whose limit allows it, and charges that; or says why none does.
    async fn approve_alone(
        &self,
        policy: &Policy,
        candidates: Vec<Candidate>,
        owner: &Owner,
    ) -> Result<Ruling, Vec<String>> {
        let mut facts = Vec::new();
        for candidate in candidates {
            let rule = &candidate.rule.rule;
            let charged = match candidate.limit {
                None => None,
                Some(limit) => match self.charge_limit(rule, limit, owner).await {
                    Ok(charge) => Some(charge),
                    Err(refusal) => {
                        facts.push(refusal.fact(rule));
                        continue;
                    }
                },
            };
            return Ok(Ruling::Decide(DecidedAlone {
                decider: decider(policy, rule),
                plan: plan_of_rules(policy, &[candidate.rule]),
                verdict: Verdict::Approve,
                reason: None,
                charged,
            }));
        }
        Err(facts)
    }
}

/// Rejects by the first of these rules, or by the default.
fn denied(policy: &Policy, rules: &[Matched], reason: String) -> Ruling {
    let rule = rules.first().map(|it| it.rule.clone());
    let rule = rule.unwrap_or_else(RuleId::default_rule);
    Ruling::Decide(DecidedAlone {
        plan: plan_of_rules(policy, rules),
        decider: decider(policy, &rule),
        verdict: Verdict::Reject,
        reason: Some(reason),
        charged: None,
    })
}

/// Asks the people whom the agent names: by a plan of the policy, where that is because of limits, or one of them is
/// absent.
fn requested_or_required(
    policy: &Policy,
    limits: Vec<String>,
    asked: &Asked<'_>,
    submission: &Submission,
    now: Timestamp,
) -> Result<Ruling, Error> {
    if submission.approvers.is_none() {
        let why = (!limits.is_empty()).then(|| limits.join("; "));
        return Err(Error::ApproversMissing(why));
    }
    // People and the agent read of limits; that no rule applies is usual.
    let is_usual = limits.is_empty();
    let requirement = policy.requirement_of_requester(limits, asked);
    let mut absences = policy.absences(now, now + submission.timeout);
    let is_absent = absences.any(|it| requirement.asks_person(&it.person));
    if is_usual && !is_absent {
        return requested(submission);
    }
    required(policy, requirement, submission, now)
}

/// The people whom the agent names; the decision of one is enough.
fn requested(submission: &Submission) -> Result<Ruling, Error> {
    let people = submission
        .approvers
        .clone()
        .ok_or(Error::ApproversMissing(None))?;
    Ok(Ruling::Ask {
        plan: Plan::of_requester(people.len()),
        people,
        time: submission.timeout,
        reask: Reask::Show,
    })
}

/// The people of a plan.
fn required(
    policy: &Policy,
    requirement: Requirement,
    submission: &Submission,
    now: Timestamp,
) -> Result<Ruling, Error> {
    if requirement.asks_requested() && submission.approvers.is_none() {
        return Err(Error::ApproversMissing(None));
    }
    if requirement.on_behalf_of_required && submission.on_behalf_of.is_none() {
        return Err(Error::PrincipalMissing);
    }
    let time = requirement.timeout.unwrap_or(submission.timeout);
    let time = time.min(submission.timeout);
    requirement.check(time).map_err(Error::Plan)?;
    // Two addresses of one person are one, and so one vote.
    let asked = requirement.stages.iter().flatten();
    let asked = asked.flat_map(|ask| &ask.members);
    let escalated = requirement.escalated();
    let mut people = group_by_person(asked.chain(escalated.iter().copied()));
    let stages = stages(&requirement, &people);
    let escalation = requirement.escalate.as_ref();
    let escalation = escalation.filter(|_| !escalated.is_empty());
    let escalation = escalation.map(|it| Escalation {
        after_percent: it.after_percent,
        from: it.from.clone(),
        to: indexes(&people, escalated.iter().copied()),
    });
    let absences = policy.absences(now, now + time);
    let substitutes = substitutes(absences, &mut people, submission, policy);
    let plan = Plan {
        stages,
        escalation,
        substitutes,
        rejections: requirement.rejections,
        sign_in: requirement.sign_in,
        comment: requirement.comment,
        not_before: requirement.not_before.unwrap_or_default(),
        summary: requirement.summary.clone(),
        reject_reasons: requirement.reject_reasons.clone(),
        run_within: requirement.run_within,
        grants: grant_terms(policy, &requirement),
        ..plan_of_rules(policy, &requirement.rules)
    };
    let people = people
        .iter()
        .map(|entries| entries[0].address.clone())
        .collect();
    let reask = requirement.reask;
    Ok(Ruling::Ask {
        plan,
        people,
        time,
        reask,
    })
}

fn stages(requirement: &Requirement, people: &[Vec<&Member>]) -> Vec<Stage> {
    let ask = |ask: &Ask| domain::Ask {
        members: indexes(people, &ask.members),
        from: ask.from.name().to_owned(),
        needed: ask.needed,
    };
    let stages = requirement.stages.iter();
    let stages = stages.map(|asks| Stage {
        asks: asks.iter().map(ask).collect(),
    });
    stages.collect()
}

/// The indexes of those of the people who are among the members.
fn indexes<'a>(
    people: &[Vec<&Member>],
    members: impl IntoIterator<Item = &'a Member>,
) -> Vec<usize> {
    let index = |member| people.iter().position(|it| it.contains(&member));
    let mut indexes: Vec<usize> = members.into_iter().filter_map(index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    indexes
}

/// What standing grants may be: only where a single approval decides.
fn grant_terms(policy: &Policy, requirement: &Requirement) -> Option<GrantTerms> {
    let longest = requirement
        .grants
        .filter(|_| requirement.takes_one_approval())?;
    let ids: Vec<String> = requirement
        .rules
        .iter()
        .map(|it| it.rule.to_string())
        .collect();
    Some(GrantTerms {
        longest,
        rules: policy.digest_of(&ids),
    })
}

/// Adds the substitutes of those who are absent to the people, as far as a plan can ask them. Someone whom the plan
/// names anyway, or for whom the agent acts, substitutes no one.
fn substitutes<'a>(
    absences: impl Iterator<Item = &'a Absence>,
    people: &mut Vec<Vec<&'a Member>>,
    submission: &Submission,
    policy: &Policy,
) -> Vec<Substitute> {
    let acted_for = submission.on_behalf_of.as_ref();
    let acted_for = acted_for.map(|person| policy.people().person(person));
    let asked = people.len();
    let mut substitutes: Vec<Substitute> = Vec::new();
    for absence in absences {
        let by = &absence.substitute;
        let is = |person: &Member, entries: &[&Member]| {
            entries.iter().any(|it| is_same_person(it, person))
        };
        let mut of = people[..asked].iter();
        let Some(of) = of.position(|it| is(&absence.person, it)) else {
            continue;
        };
        let is_excluded = people.iter().any(|it| is(by, it))
            || acted_for.as_ref().is_some_and(|it| it.may_be(&by.person));
        let mut earlier = substitutes.iter();
        let by = match earlier.find(|it| is(by, &people[it.by])) {
            // The person is absent more than once, or the substitute is that of another one too.
            Some(earlier) => earlier.by,
            None if is_excluded || people.len() >= MAX_PEOPLE => continue,
            None => {
                people.push(vec![by]);
                people.len() - 1
            }
        };
        substitutes.push(Substitute {
            of,
            by,
            from: absence.from,
            until: absence.until,
        });
    }
    substitutes
}

fn decider(policy: &Policy, rule: &RuleId) -> Decider {
    Decider::Policy {
        rule: rule.to_string(),
        digest: policy.digest(),
    }
}

/// The plan of these rules, as yet without stages.
fn plan_of_rules(policy: &Policy, rules: &[Matched]) -> Plan {
    Plan {
        origin: Origin::Policy(PolicyOrigin {
            digest: policy.digest(),
            rules: rules
                .iter()
                .take(MAX_RULES)
                .map(|it| it.rule.to_string())
                .collect(),
            facts: rules
                .iter()
                .flat_map(|it| it.facts.clone())
                .take(MAX_FACTS)
                .collect(),
        }),
        stages: Vec::new(),
        // Only several rules that deny can name more.
        tell: tell_of(rules).into_iter().take(MAX_TOLD).collect(),
        ..Plan::of_requester(0)
    }
}
