//! Who must agree to a request and who has, where the operator's policy says so.

use askama::Template;

use super::hand_over::describe_place;
use super::template::render;
use super::time::{Sentence, Zone};
use super::unproven::{describe_agents_part, describe_unproven};
use crate::domain::{Approval, Assurance, Ballot, Place, Plan, Role, Status, Tally, Verdict};
use crate::reveal;
use crate::values::{Address, Timestamp};

/// The plan of a request for display.
#[derive(Template)]
#[template(path = "plan.html")]
pub(super) struct PlanView {
    /// The rules that apply, and why.
    pub(super) because: String,
    /// What must be agreed, stage by stage; empty where the policy itself decided.
    pub(super) stages: Vec<String>,
    /// Who else can be asked: by escalation, and in place of absent people.
    pub(super) notes: Vec<Sentence>,
    pub(super) votes: Vec<VoteView>,
    /// Whose approval is missing now; only on the page.
    pub(super) awaiting: Vec<String>,
    /// SHA-256 of the policy's text.
    pub(super) digest: String,
}

pub(super) struct VoteView {
    pub(super) what: Sentence,
    pub(super) comment: Option<String>,
    /// That anyone with the link of that approver can have voted and written the comment, where that is so.
    pub(super) unproven: Option<String>,
}

impl VoteView {
    /// All votes. `show` makes the comments harmless.
    pub(super) fn of(
        approval: &Approval,
        zone: &Zone,
        mut show: impl FnMut(&str) -> String,
    ) -> Vec<Self> {
        let ballots = approval.votes.iter().map(|vote| &vote.ballot);
        let votes = ballots.map(|ballot| Self {
            what: describe_vote(approval, ballot, zone),
            comment: ballot
                .words
                .shown_with_question()
                .map(|it| show(&reveal::prose(&it))),
            unproven: (ballot.assurance == Assurance::LinkOnly).then(|| {
                let part = ballot.words.are_unproven(Some(ballot.assurance)).then(|| {
                    // Of the votes, the agent gets the words of the one that decides.
                    let preset = ballot.words.preset.as_deref();
                    describe_agents_part(preset.filter(|_| decides(approval, ballot)))
                });
                describe_unproven(part)
            }),
        });
        votes.collect()
    }
}

impl PlanView {
    /// The view at `now`; `None` where the agent named the approvers. The facts quote parameters, and are left
    /// out unless `with_facts`. `show` makes the agent's texts and comments harmless.
    pub(super) fn new(
        approval: &Approval,
        with_facts: bool,
        zone: &Zone,
        now: Timestamp,
        mut show: impl FnMut(&str) -> String,
    ) -> Option<Self> {
        let plan = &approval.plan;
        let policy = plan.policy()?;
        // Two rules can apply for the same reason.
        let mut facts: Vec<String> = Vec::new();
        for fact in policy.facts.iter().filter(|_| with_facts) {
            let fact = show(&reveal::prose(fact));
            if !facts.contains(&fact) {
                facts.push(fact);
            }
        }
        let (rules, which) = match policy.rules.as_slice() {
            [one] => (one.clone(), "rule"),
            more => (more.join(", "), "rules"),
        };
        let because = if facts.is_empty() {
            format!("The organisation's policy asks for this ({which} {rules}).")
        } else {
            format!(
                "The organisation's policy asks for this ({which} {rules}): {}.",
                facts.join("; ")
            )
        };
        Some(Self {
            because,
            stages: describe_stages(approval),
            notes: notes(approval, zone, now),
            votes: VoteView::of(approval, zone, show),
            awaiting: Vec::new(),
            digest: policy.digest.to_string(),
        })
    }

    /// Shows the people of `is_listed` whose approval could be given now, ask by ask.
    pub(super) fn show_awaited(
        &mut self,
        approval: &Approval,
        is_listed: impl Fn(&Address) -> bool,
        now: Timestamp,
    ) {
        let asks = awaiting(approval, now).into_iter().map(|mut voters| {
            voters.retain(|&person| is_listed(&approval.approvers[person].address));
            if voters.is_empty() {
                "people who have left the list of approvers".to_owned()
            } else {
                addresses(approval, &voters)
            }
        });
        self.awaiting = asks.collect();
    }

    pub(super) fn on_page(&self) -> String {
        render(self)
    }
}

/// What is needed, in one line: `one approval is enough`, or how far each stage is.
pub(super) fn describe_needed(approval: &Approval) -> String {
    match approval.plan.policy() {
        None => "one approval is enough".to_owned(),
        Some(_) => describe_stages(approval).join("; "),
    }
}

fn describe_stages(approval: &Approval) -> Vec<String> {
    let stages = 0..approval.plan.stages.len();
    stages.map(|it| describe_stage(approval, it)).collect()
}

/// `1. finance: 1 of 2 approvals`.
fn describe_stage(approval: &Approval, stage: usize) -> String {
    let plan = &approval.plan;
    let asks = plan.asks_of(stage, &approval.votes).into_iter();
    let asks = asks.map(|(ask, given)| {
        let needed = ask.needed.get();
        let approvals = if needed == 1 { "approval" } else { "approvals" };
        format!("{}: {given} of {needed} {approvals}", source(&ask.from))
    });
    let asks: Vec<String> = asks.collect();
    match plan.stages.len() {
        1 => asks.join("; "),
        _ => format!("{}. {}", stage + 1, asks.join("; ")),
    }
}

fn source(from: &str) -> &str {
    if from == Plan::REQUESTED {
        "the people whom the agent names"
    } else {
        from
    }
}

/// How many rejections there must be, where one may not be enough.
pub(super) fn describe_rejections(approval: &Approval, now: Timestamp) -> Option<String> {
    let needed = approval.plan.rejections.get();
    if needed == 1 || approval.status(now) != Status::Pending {
        return None;
    }
    let words = match approval.rejections() {
        0 => "none is given".to_owned(),
        1 => "1 is given".to_owned(),
        given => format!("{given} are given"),
    };
    Some(format!(
        "It takes {needed} rejections to reject this, or fewer if too few people are left to approve it; {words}."
    ))
}

/// From when on it can be approved, while that is ahead.
pub(super) fn describe_hold(approval: &Approval, zone: &Zone, now: Timestamp) -> Option<Sentence> {
    let from = zone.time(approval.approvable_from(now)?.up_to_minute());
    let sentence = Sentence::new("This can be approved from ").time(from);
    Some(sentence.words(" on. A rejection counts at once."))
}

/// The people whose approval could be given now, ask by ask.
fn awaiting(approval: &Approval, now: Timestamp) -> Vec<Vec<usize>> {
    let plan = &approval.plan;
    let Tally::Open { stage } = plan.tally(&approval.votes) else {
        return Vec::new();
    };
    if approval.status(now) != Status::Pending {
        return Vec::new();
    }
    let asks = plan.asks_of(stage, &approval.votes).into_iter().enumerate();
    let unmet = asks.filter(|(_, (ask, given))| *given < ask.needed.get().into());
    unmet
        .map(|(ask, _)| approval.voters_of(Place { stage, ask }, now))
        .collect()
}

pub(super) fn addresses(approval: &Approval, people: &[usize]) -> String {
    let people = people.iter();
    let people = people.map(|&person| approval.approvers[person].address.as_str());
    people.collect::<Vec<_>>().join(", ")
}

/// When the open stage was escalated, or the last one that was, the people whom that asked, and their groups.
fn last_escalation(approval: &Approval) -> Option<(Timestamp, Vec<usize>, String)> {
    let escalation = approval.plan.escalation.as_ref()?;
    let (at, people) = approval.last_escalation()?;
    (!people.is_empty()).then(|| (at, people, escalation.from.join(", ")))
}

/// Who was asked by the escalation, if there was one.
pub(super) fn describe_escalation(approval: &Approval, zone: &Zone) -> Option<Sentence> {
    let (at, people, groups) = last_escalation(approval)?;
    let people = addresses(approval, &people);
    let words = format!(" there was no decision, so more people were asked: {people} ({groups}).");
    Some(Sentence::new("By ").time(zone.time(at)).words(words))
}

/// The groups that were asked by the escalation, if there was one.
pub(super) fn escalated_to(approval: &Approval) -> Option<String> {
    last_escalation(approval).map(|(.., groups)| groups)
}

fn notes(approval: &Approval, zone: &Zone, now: Timestamp) -> Vec<Sentence> {
    let mut notes = Vec::new();
    notes.extend(describe_hold(approval, zone, now));
    notes.extend(describe_rejections(approval, now).map(Sentence::new));
    if let Some(escalation) = describe_escalation(approval, zone) {
        notes.push(escalation);
    } else if let Some(at) = approval.next_escalation()
        && at > now
        && approval.status(now) == Status::Pending
        && let Some(escalation) = &approval.plan.escalation
    {
        let groups = escalation.from.join(", ");
        notes.push(
            Sentence::new("If it is not decided by ")
                .time(zone.time(at))
                .words(format!(", {groups} will be asked too.")),
        );
    }
    for substitute in &approval.plan.substitutes {
        let [of, by] = [substitute.of, substitute.by].map(|it| &approval.approvers[it]);
        if by.is_asked() && substitute.from <= now {
            let words = format!(
                "{} is asked in place of {}, who is absent until ",
                by.address, of.address
            );
            let until = zone.time(substitute.until);
            notes.push(Sentence::new(words).time(until).words("."));
        }
    }
    notes
}

/// Whether the decision is that of this vote, with its reason.
fn decides(approval: &Approval, ballot: &Ballot) -> bool {
    let person = &approval.approvers[ballot.person].address;
    let decision = approval.decision();
    decision
        .is_some_and(|it| it.by.person() == Some(person) && it.words.preset == ballot.words.preset)
}

fn describe_vote(approval: &Approval, ballot: &Ballot, zone: &Zone) -> Sentence {
    let address_of = |person: usize| &approval.approvers[person].address;
    let address = address_of(ballot.person);
    let verdict = match ballot.verdict {
        Verdict::Approve => "approved",
        Verdict::Reject => "rejected",
    };
    let from = source(&approval.plan.ask(ballot.place).from);
    let role = match approval.plan.role_of(ballot) {
        Some(Role::Member) | None => from.to_owned(),
        Some(Role::Substitute(it)) => format!("{from}, for {}", address_of(it.of)),
        Some(Role::Escalated) => format!("{from}, asked by escalation"),
        Some(Role::EscalatedFor(it)) => {
            format!("{from}, asked by escalation, for {}", address_of(it.of))
        }
    };
    let place = describe_place(approval, ballot.person);
    Sentence::new(format!("{address}{place} {verdict} on "))
        .time(zone.time(ballot.at))
        .words(format!(" ({role})"))
}
