//! What a command of the operator's finds.

use human_oversight::app::Executing;
use human_oversight::domain::Pause;

/// The state after a command.
pub(crate) struct Report {
    /// Whether there was a pause to end.
    pub(crate) done: bool,
    pub(crate) pauses: Vec<Pause>,
    pub(crate) executing: Executing,
    /// The number of open requests in the scope, unless an older gate does not say.
    pub(crate) open: Option<usize>,
}
