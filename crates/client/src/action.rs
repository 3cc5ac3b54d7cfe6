use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use human_oversight_protocol::types::{Approval, NewCallback};

use crate::gate::Gate;

/// One kind of action behind the gate.
#[derive(Clone)]
pub struct Action {
    pub(crate) gate: Gate,
    pub(crate) description: String,
    pub(crate) timeout: Option<Duration>,
    pub(crate) reason: Option<String>,
    pub(crate) on_behalf_of: Option<String>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) supersedes: Option<String>,
    pub(crate) callback: Option<NewCallback>,
    on_pending: Option<Arc<OnPending>>,
}

type OnPending = dyn Fn(&Approval) + Send + Sync;

impl Gate {
    /// An action that needs approval, described for people in 1 to 256 characters.
    pub fn action(&self, description: impl Into<String>) -> Action {
        Action {
            gate: self.clone(),
            description: description.into(),
            timeout: None,
            reason: None,
            on_behalf_of: None,
            correlation_id: None,
            supersedes: None,
            callback: None,
            on_pending: None,
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action")
            .field("agent", &self.gate.agent)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

impl Action {
    /// The approvers of this action.
    #[must_use]
    pub fn approvers(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.gate = self.gate.approvers(addresses);
        self
    }

    /// The time for a decision: 10 seconds to 30 days, in whole seconds. The default is the gate's.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Why the agent wants this, in its own words: at most 2,000 characters, shown as not verified.
    #[must_use]
    pub fn reason(mut self, text: impl Into<String>) -> Self {
        self.reason = Some(text.into());
        self
    }

    /// The address of the person the agent acts for, who cannot be an approver.
    #[must_use]
    pub fn on_behalf_of(mut self, address: impl Into<String>) -> Self {
        self.on_behalf_of = Some(address.into());
        self
    }

    /// The agent's own name for the request, `[A-Za-z0-9._-]{1,64}`, unique for the agent. The default is
    /// a fresh one for each request.
    ///
    /// A second call in this process with the same name and parameters is the same request, whose approval is used
    /// once. For one in another process, there is [`Gate::claim_key`]; or keep the [`Handle`](crate::Handle) of
    /// [`Action::prepare`], and use [`Action::run_as`].
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// The id of an earlier request of this agent that was rejected, withdrawn or not decided in time, such as
    /// [`Refusal::id`](crate::Refusal::id): this one takes its place, and the approvers see what changed.
    #[must_use]
    pub fn supersedes(mut self, id: impl Into<String>) -> Self {
        self.supersedes = Some(id.into());
        self
    }

    /// Where the gate calls when there is news of the request: the name of a channel of the operator's, or a
    /// [`NewCallback`] with a text that the callback repeats. The agent's web server passes the call to
    /// [`Gate::on_callback`].
    #[must_use]
    pub fn callback(mut self, callback: impl Into<NewCallback>) -> Self {
        self.callback = Some(callback.into());
        self
    }

    /// Called when the request was submitted, and again now and then while it is pending: with the
    /// approvers, the deadline, and whether emails were sent. For a line in a terminal, for example. It must
    /// not block.
    #[must_use]
    pub fn on_pending(mut self, callback: impl Fn(&Approval) + Send + Sync + 'static) -> Self {
        self.on_pending = Some(Arc::new(callback));
        self
    }

    pub(crate) fn notify_pending(&self, approval: &Approval) {
        // A callback that panics must not end the wait.
        if let Some(callback) = &self.on_pending
            && catch_unwind(AssertUnwindSafe(|| callback(approval))).is_err()
        {
            tracing::warn!("on_pending panicked");
        }
    }
}
