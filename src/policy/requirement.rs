//! What `require` rules demand of the decision on a request.

use std::num::NonZeroU8;
use std::time::Duration;

use super::channels::MAX_TOLD;
use super::matched::{Matched, tell_of};
use super::people::{Member, group_by_person, is_same_person};
use super::pointer::Pointer;
use crate::values::word::words;

/// The most stages of a plan.
pub const MAX_STAGES: usize = 5;
/// The most people whom a plan asks.
pub const MAX_PEOPLE: usize = 20;
/// The most votes that a plan can get before it is decided.
pub const MAX_VOTES: u8 = 12;
/// The longest time for a decision.
pub(super) const MAX_TIME: Duration = Duration::from_secs(30 * 86_400);
/// The most reasons for a rejection that the page of a plan offers.
pub(super) const MAX_REASONS: usize = 20;

/// What all matching `require` rules demand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The rules, in the order of the file.
    pub rules: Vec<Matched>,
    /// Whose approvals are needed, one stage after another. The asks of a stage are in the order of their
    /// groups' names, those whom the agent names last.
    pub stages: Vec<Vec<Ask>>,
    /// The number of rejections that end the request.
    pub rejections: NonZeroU8,
    /// Whether approving takes sign-in.
    pub sign_in: bool,
    pub comment: CommentRule,
    /// How long after the opening of a stage an approval can first be given.
    pub not_before: Option<Duration>,
    /// The longest time to decide.
    pub timeout: Option<Duration>,
    /// The longest time to claim the approval.
    pub run_within: Option<Duration>,
    /// Whether the request must name the person on whose behalf the agent acts.
    pub on_behalf_of_required: bool,
    /// The parameters that are shown first.
    pub summary: Vec<Pointer>,
    /// The reasons for a rejection that the page offers.
    pub reject_reasons: Vec<String>,
    pub reask: Reask,
    /// The longest standing grant that an approver may give; `None` where one may not be given.
    pub grants: Option<Duration>,
    /// Who is asked too when a stage stays open.
    pub escalate: Option<Escalate>,
}

/// The people who are asked too when a stage stays open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalate {
    /// The share of the time from the opening of the stage to the deadline, in percent: 1 to 99.
    pub after_percent: NonZeroU8,
    /// The names of their groups, sorted.
    pub from: Vec<String>,
    /// The members of the groups; those whom an ask names are not asked by escalation.
    pub to: Vec<Member>,
}

/// The approvals that one group gives in one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub from: Source,
    /// Who may give them: without the person on whose behalf the agent acts.
    pub members: Vec<Member>,
    pub needed: NonZeroU8,
}

/// Where the members of an ask come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A group of the policy.
    Group(String),
    /// The approvers whom the agent names.
    Requested,
}

words! {
    /// When a vote needs a comment. Of two, the greater is the stricter.
    #[derive(Default, PartialOrd, Ord)]
    pub enum CommentRule {
        #[default]
        Never = "never",
        OnReject = "on-reject",
        Always = "always",
    }
}

words! {
    /// What happens when the agent submits again what was rejected. Of two, the greater is the stricter.
    #[derive(Default, PartialOrd, Ord)]
    pub enum Reask {
        /// The approvers see the earlier rejection.
        #[default]
        Show = "show",
        /// The request is refused.
        Refuse = "refuse",
    }
}

/// Why a requirement cannot be a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// `422 quorum_unsatisfiable`.
    #[error(
        "stage {stage} needs {needed} of {from}, and {free} can give one: those whom no other part of the plan \
         asks, without the person on whose behalf the agent acts"
    )]
    QuorumUnsatisfiable {
        stage: usize,
        from: Source,
        needed: NonZeroU8,
        /// The members whom no other ask of the plan names.
        free: usize,
    },
    /// `422 quorum_unsatisfiable`.
    #[error(
        "{stages} stages in which no approval counts for {not_before} s do not fit in {time} s"
    )]
    NoTime {
        stages: usize,
        not_before: u64,
        time: u64,
    },
    /// `422 plan_too_large`.
    #[error("the plan has {count} {what}; {most} is the most")]
    TooLarge {
        what: &'static str,
        count: usize,
        most: usize,
    },
}

impl Requirement {
    /// One approval of those whom the agent names.
    pub(super) fn of_requester(escalate: Option<Escalate>) -> Self {
        let mut requirement = Self {
            rules: Vec::new(),
            stages: vec![Vec::new()],
            rejections: NonZeroU8::MIN,
            sign_in: false,
            comment: CommentRule::default(),
            not_before: None,
            timeout: None,
            run_within: None,
            on_behalf_of_required: false,
            summary: Vec::new(),
            reject_reasons: Vec::new(),
            reask: Reask::default(),
            grants: None,
            escalate,
        };
        requirement.add_requested();
        requirement
    }

    /// Whether the requirement needs approvers whom the agent names.
    pub fn asks_requested(&self) -> bool {
        self.asks().any(|(_, ask)| ask.from == Source::Requested)
    }

    /// Whether a single approval decides.
    pub fn takes_one_approval(&self) -> bool {
        let mut asks = self.asks();
        asks.next()
            .is_some_and(|(_, ask)| ask.needed == NonZeroU8::MIN)
            && asks.next().is_none()
    }

    /// Checks that the requirement can be a plan: it is within the limits, the members of each ask can give
    /// its approvals whatever those of the others do, and the stages fit in the time to decide.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self, time: Duration) -> Result<(), PlanFault> {
        self.check_size()?;
        for (stage, ask) in self.asks() {
            self.check_ask(stage, ask)?;
        }
        self.check_time(time)
    }

    /// Checks what is known before an agent names approvers: two asks of those have the same members.
    pub(super) fn check_alone(&self, time: Duration) -> Result<(), PlanFault> {
        self.check_size()?;
        let is_requested = |(_, ask): &(usize, &Ask)| ask.from == Source::Requested;
        let are_shared = self.asks().filter(is_requested).nth(1).is_some();
        for (stage, ask) in self.asks().filter(|ask| are_shared || !is_requested(ask)) {
            self.check_ask(stage, ask)?;
        }
        self.check_time(time)
    }

    /// Whether an ask names this person.
    pub fn asks_person(&self, person: &Member) -> bool {
        let mut members = self.asks().flat_map(|(_, ask)| &ask.members);
        members.any(|member| is_same_person(member, person))
    }

    /// The people whom escalation adds: those whom no ask names.
    pub fn escalated(&self) -> Vec<&Member> {
        let added = self.escalate.iter().flat_map(|it| &it.to);
        added.filter(|member| !self.asks_person(member)).collect()
    }

    /// All asks, each with the number of its stage, from 1.
    fn asks(&self) -> impl Iterator<Item = (usize, &Ask)> {
        let stages = self.stages.iter().enumerate();
        stages.flat_map(|(index, stage)| stage.iter().map(move |ask| (index + 1, ask)))
    }

    fn check_size(&self) -> Result<(), PlanFault> {
        let mut people: Vec<&Member> = self.asks().flat_map(|(_, ask)| &ask.members).collect();
        people.extend(self.escalate.iter().flat_map(|it| &it.to));
        let approvals: usize = self
            .asks()
            .map(|(_, ask)| usize::from(ask.needed.get()))
            .sum();
        // Each rejection but the last can be an approval first, which is revoked: two votes.
        let votes = approvals + 2 * usize::from(self.rejections.get() - 1);
        for (what, count, most) in [
            ("stages", self.stages.len(), MAX_STAGES),
            ("votes", votes, MAX_VOTES.into()),
            (
                "reasons for a rejection",
                self.reject_reasons.len(),
                MAX_REASONS,
            ),
            ("channels", tell_of(&self.rules).len(), MAX_TOLD),
            (
                "people",
                group_by_person(people.iter().copied()).len(),
                MAX_PEOPLE,
            ),
        ] {
            if count > most {
                return Err(PlanFault::TooLarge { what, count, most });
            }
        }
        Ok(())
    }

    fn check_ask(&self, stage: usize, ask: &Ask) -> Result<(), PlanFault> {
        let others = || self.asks().filter(|(_, other)| !std::ptr::eq(*other, ask));
        let is_free = |member: &&Member| {
            let mut members = others().flat_map(|(_, other)| &other.members);
            !members.any(|other| is_same_person(member, other))
        };
        let free: Vec<&Member> = ask.members.iter().filter(is_free).collect();
        let free = group_by_person(free.iter().copied()).len();
        if free >= usize::from(ask.needed.get()) {
            return Ok(());
        }
        Err(PlanFault::QuorumUnsatisfiable {
            stage,
            from: ask.from.clone(),
            needed: ask.needed,
            free,
        })
    }

    fn check_time(&self, time: Duration) -> Result<(), PlanFault> {
        let (stages, not_before) = (self.stages.len(), self.not_before.unwrap_or_default());
        if stages > 0 && not_before.saturating_mul(stages as u32) < time {
            return Ok(());
        }
        Err(PlanFault::NoTime {
            stages,
            not_before: not_before.as_secs(),
            time: time.as_secs(),
        })
    }
}

impl Source {
    /// The name by which rules and plans call the approvers whom the agent names.
    pub const REQUESTED: &str = "requested";

    /// The name in plans and answers.
    pub fn name(&self) -> &str {
        match self {
            Self::Group(name) => name,
            Self::Requested => Self::REQUESTED,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group {name}"),
            Self::Requested => f.write_str("the approvers whom the agent names"),
        }
    }
}
