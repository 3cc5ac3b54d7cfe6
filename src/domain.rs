//! The lifecycle of an approval: its state, and the transitions between states.
//!
//! No I/O, clock, randomness, keys or serialisation: every transition takes the time at which it
//! happens. A transition that returns `Err` has changed nothing. A refusal that is a value, such as of a
//! claim or of a wrong code, may have changed the approval, and is stored. Use cases load an
//! [`Approval`], apply a transition, and store the result on condition that the stored row has not
//! changed since it was read.
//!
//! Data: `request`, `state`, `decision`, `execution`, `delivery`, `approver`, `history`, joined in
//! `approval`. Transitions, one file each: `decide`, `revoke`, `claim`, `withdraw`, `deliver`, `expire`.
//! `consistency` checks a stored approval against its own history. `pause` and `budget` are about no
//! single request, and `rejection` about what others asked before.

mod approval;
mod approver;
mod budget;
mod claim;
mod consistency;
mod decide;
mod decision;
mod deliver;
mod delivery;
mod execution;
mod expire;
mod history;
mod pause;
mod rejection;
mod request;
mod revoke;
mod state;
mod withdraw;
mod word;

pub use approval::{Approval, InvalidTransition};
pub use approver::{Approver, MAX_WRONG_CODES};
pub use budget::{Bucket, Budget, Budgets, Exhausted, Usage};
pub use claim::ClaimResult;
pub use decide::{CheckedForm, CodeCheck, DecisionResult, DecisionStep};
pub use decision::{Assurance, Decision, LateDecision, Proposal, Verdict};
pub use delivery::{
    Deliverable, Delivery, DeliveryFault, DeliveryState, MISCONFIGURED_PAUSE, Notice,
    NotificationSettings, SendAttempt, SendResult,
};
pub use execution::{Claim, Execution, Revocation, Revoker};
pub use history::{Event, EventKind};
pub use pause::{InvalidPause, Pause, PauseScope};
pub use rejection::{EarlierRejections, Rejection};
pub use request::{Parameters, Request};
pub use revoke::{NotRevocable, RevocationStep};
pub use state::{State, Status};
