//! The lifecycle of an approval: its state, and the transitions between states.
//!
//! No I/O, clock, randomness, keys or serialisation: every transition takes the time at which it
//! happens. A transition that returns `Err` has changed nothing. A refusal that is a value, such as of a
//! claim or of a wrong code, may have changed the approval, and is stored. Use cases load an
//! [`Approval`], apply a transition, and store the result on condition that the stored row has not
//! changed since it was read.
//!
//! - Data: `request`, `plan`, `state`, `vote`, `choice`, `decision`, `assurance`, `execution`, `delivery`, `outbox`,
//!   `approver`, `history`, joined in `approval`. `form` is what an approver submits.
//! - Transitions, one file each: `decide`, `cast`, `give`, `hand_over`, `revoke`, `claim`, `withdraw`, `escalate`,
//!   `deliver`, `non_delivery`, `unlisted`, `notices`, `tell`, `resend`, `expire`.
//! - The rules of a plan: `seat` says who votes in which seat, `place` for which ask, and `reach` whether the plan can
//!   still be met.
//! - Checks of a stored approval: `consistency` against its own history, `vote_fault` of its votes.
//! - About no single request: `pause`, `budget`, `limit`, `wrong_codes`, `grant` and `grants`, with `standing_outbox` and
//!   `pause_log` for what channels get of them; `coverage` compares what really happened with the approvals.
//! - About earlier requests: `rejection`, `superseded`, `precedent`.

mod approval;
mod approver;
mod assurance;
mod budget;
mod cast;
mod choice;
mod claim;
mod consistency;
mod coverage;
mod decide;
mod decision;
mod deliver;
mod delivery;
mod escalate;
mod execution;
mod expire;
mod form;
mod give;
mod grant;
mod grants;
mod hand_over;
mod history;
mod limit;
mod non_delivery;
mod notices;
mod outbox;
mod pause;
mod pause_log;
mod place;
mod plan;
mod precedent;
mod reach;
mod rejection;
mod request;
mod resend;
mod revoke;
mod seat;
mod standing_outbox;
mod state;
mod superseded;
mod tell;
mod unlisted;
mod vote;
mod vote_fault;
mod withdraw;
mod wrong_codes;

pub use approval::{Approval, InvalidTransition};
pub use approver::{Approver, MAX_WRONG_CODES};
pub use budget::{Bucket, Budget, Budgets, Charge, Exhausted, Usage};
pub use choice::Choice;
pub use claim::ClaimResult;
pub use coverage::{Claimed, Counts, Coverage, Mismatch, Performed, Unsettled};
pub use decide::{CheckedDecision, DecisionStep};
pub use decision::{
    Assurance, Decider, Decision, LateDecision, Proposal, SignInFault, SignedIn, Verdict, Words,
    join_lines,
};
pub use delivery::{
    Deliverable, Delivery, DeliveryFault, DeliveryState, MISCONFIGURED_PAUSE, Notice,
    NotificationSettings, SendAttempt, SendResult,
};
pub use execution::{Claim, Execution, Revocation, Revoker};
pub use form::{CheckedForm, CodeCheck, DecisionResult};
pub use grant::{Grant, GrantEnd, GrantScope, GrantTerms, GrantWish, SignedGrant};
pub use grants::{GrantState, Grants, HeldGrant};
pub use hand_over::{HandOverStep, HandOverWish};
pub use history::{Event, EventKind};
pub use limit::LimitUsage;
pub use outbox::{
    ChannelAttempt, ChannelDelivery, ChannelEvent, ChannelReadiness, ChannelResult, Purpose,
};
pub use pause::{InvalidPause, Pause, PauseScope};
pub use pause_log::PauseLog;
pub use plan::{Ask, Escalation, HandOver, Origin, Plan, PolicyOrigin, Stage, Substitute, Tally};
pub use precedent::{
    Deviation, Finding, Part, PastDecision, PastValues, Precedent, Range, Scalars,
};
pub use rejection::{EarlierRejections, Rejection};
pub use request::{Callback, Parameters, Request};
pub use resend::Requeued;
pub use revoke::{NotRevocable, RevocationStep};
pub use seat::Role;
pub use standing_outbox::{
    GrantEnding, GrantSummary, StandingEvent, StandingFact, StandingOutbox, StandingPause,
};
pub use state::{State, Status};
pub use superseded::{Earlier, NotSuperseded, Superseded};
pub use vote::{Ballot, COMMENT_CHARS, Place, Vote};
pub use vote_fault::VoteFault;
pub use wrong_codes::WrongCodes;
