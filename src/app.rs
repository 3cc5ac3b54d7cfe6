//! The use cases, without HTTP. Each one loads an approval, applies a transition of the
//! [`domain`](crate::domain), and stores the result on condition that the row has not changed.
//!
//! A transition only queues emails: submit sends the first ones, the sweep all others.

mod accounts;
mod assemble;
mod attempts;
mod budgets;
mod calls;
mod changes;
mod claim;
mod decide;
mod error;
mod notify;
mod overview;
mod owner;
mod pause_cache;
mod paused;
mod pauses;
mod rejections;
mod revoke;
mod set_aside;
mod state;
mod submit;
mod sweep;
mod wait;
mod waits;

pub use accounts::OwnerAccounts;
pub use assemble::AssembleError;
pub use calls::{Call, Calls};
pub use changes::ChangeNotifier;
pub use decide::{Caller, CodeForm, DecisionForm, Identified};
pub use error::{ConflictReason, Error};
pub use pause_cache::PauseCache;
pub use pauses::{Executing, Running, executing, pause, pauses, resume};
pub use revoke::revoke_for_operator;
pub use set_aside::SetAside;
pub use state::App;
pub use submit::Submission;
pub use sweep::{SweepReport, sweep_forever};
pub use waits::{Wait, Waits};
