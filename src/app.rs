//! The use cases, without HTTP. Each one loads an approval, applies a transition of the
//! [`domain`](crate::domain), stores the result on condition that the row has not changed, and sends the
//! notifications that are due.

mod assemble;
mod changes;
mod claim;
mod decide;
mod error;
mod notify;
mod state;
mod status;
mod submit;
mod sweep;

pub use assemble::AssembleError;
pub use changes::ChangeNotifier;
pub use decide::{Caller, DecisionForm, Identified};
pub use error::{ConflictReason, Error};
pub use state::App;
pub use submit::Submission;
pub use sweep::{SweepReport, sweep_forever};
