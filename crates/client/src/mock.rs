//! A gate for the tests of agents: no person is asked, a policy of the test decides.
//!
//! ```
//! use human_oversight_client::mock::{Answer, MockGate};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let mock = MockGate::new(|request| match request.action_description.as_str() {
//!     "Delete User Account" => Answer::Reject("Not this one.".to_owned()),
//!     _ => Answer::Approve,
//! });
//! let gate = mock.gate().agent("UserManagerAgent").approvers(["alice@example.com"]);
//!
//! let user = serde_json::json!({"user_id": "1"});
//! let outcome = gate.action("Delete User Account").run(&user, async |_| "deleted").await;
//!
//! assert_eq!(outcome.into_result().unwrap_err().comment.as_deref(), Some("Not this one."));
//! assert_eq!(mock.requests()[0].parameters["user_id"], "1");
//! # });
//! ```
//!
//! The client is the real one: it waits, verifies signed receipts (each mock has a key of its own), claims
//! and reports. Only the network is missing. [`MockGate::callbacks`] are what the gate would send to an agent that does
//! not wait.

use std::fmt;
use std::sync::Arc;

use human_oversight_protocol::types::{Approval, NewApproval};

use crate::client::Client;
use crate::gate::Gate;
pub use crate::mock_callback::MockCallback;
use crate::mock_callback::callback;
pub use crate::mock_server::Answer;
use crate::mock_server::MockServer;

/// A gate without people; see the [module](self).
#[derive(Clone)]
pub struct MockGate(Arc<MockServer>);

impl fmt::Debug for MockGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockGate").finish_non_exhaustive()
    }
}

impl MockGate {
    /// A gate that answers each request as `policy` says.
    pub fn new(policy: impl Fn(&NewApproval) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(MockServer::new(policy)))
    }

    /// The gate, for an agent under test.
    pub fn gate(&self) -> Gate {
        let mut gate = Gate::new(Client::mock(self.0.clone()));
        gate.callback_secret = Some(self.0.callback_secret());
        gate
    }

    /// The requests that were accepted, in order.
    pub fn requests(&self) -> Vec<NewApproval> {
        self.0.requests()
    }

    /// The approvals of these requests, in the same order, with the outcomes that were reported.
    pub fn approvals(&self) -> Vec<Approval> {
        self.0.approvals()
    }

    /// The callbacks of those requests that name a channel, in the same order, signed now: for the handler that calls
    /// [`Gate::on_callback`]. Each call of this method is another delivery of all of them.
    pub fn callbacks(&self) -> Vec<MockCallback> {
        let secret = self.0.callback_secret();
        let requests = self.requests().into_iter().zip(self.approvals());
        requests
            .filter_map(|(request, approval)| {
                Some(callback(&request.callback?, &approval, &secret))
            })
            .collect()
    }
}

impl Gate {
    /// A gate without people, which decides by `policy`; for tests of actions that need no approval there,
    /// or of what an agent does when it is refused. See [`crate::mock`].
    pub fn policy(policy: impl Fn(&NewApproval) -> Answer + Send + Sync + 'static) -> Self {
        MockGate::new(policy).gate()
    }
}
