use std::fmt;

use tokio::runtime::Handle as Runtime;

use crate::client::{Client, persist};
use crate::outcome::Refusal;
use crate::pending::Handle;
use crate::types::{ExecutionStatus, Report};

/// The permission to run an action, once and now: an approval that was verified and claimed. The gate
/// waits to hear what became of it. Whoever drops it without a word (a panic does) leaves the action
/// half done as far as anybody knows, and so the gate is told that.
#[must_use = "the approval is used up: run the action, and say what became of it"]
pub struct Permit {
    client: Client,
    handle: Option<Handle>,
    receipt: String,
    runtime: Runtime,
    /// Whether anybody could have begun to run the action.
    handed_out: bool,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.handle.as_ref().map(|handle| &handle.id);
        f.debug_struct("Permit")
            .field("id", &id)
            .finish_non_exhaustive()
    }
}

impl Permit {
    pub(crate) fn new(client: Client, handle: Handle, receipt: String) -> Self {
        Self {
            client,
            handle: Some(handle),
            receipt,
            runtime: Runtime::current(),
            handed_out: false,
        }
    }

    pub(crate) fn handed_out(mut self) -> Self {
        self.handed_out = true;
        self
    }

    /// The signed receipt, for a service that demands one before it does what the agent asks for.
    pub fn receipt(&self) -> &str {
        &self.receipt
    }

    /// Tells the gate that the action ran.
    pub async fn executed(self) {
        self.report(ExecutionStatus::Executed, None).await;
    }

    /// Tells the gate that the action failed, and how: at most 2,000 characters of it.
    pub async fn failed(self, error: impl fmt::Display) {
        let status = ExecutionStatus::ExecutionFailed;
        self.report(status, Some(error.to_string())).await;
    }

    /// Gives it back: what was approved is not what would run.
    pub(crate) async fn changed(self) -> Refusal {
        let why = "not run: the parameters changed while the decision was awaited";
        self.failed(why).await;
        Refusal::unverified(why)
    }

    /// In a task of its own: whoever does not wait for it to end has told the gate all the same.
    async fn report(mut self, status: ExecutionStatus, error: Option<String>) {
        // Where it is awaited it must run, too: the runtime of the claim may be held up, or gone.
        self.runtime = Runtime::current();
        if let Some(told) = self.tell(status, error)
            && told.await.is_err()
        {
            tracing::warn!("the outcome could not be reported: its task ended");
        }
    }

    fn tell(
        &mut self,
        status: ExecutionStatus,
        error: Option<String>,
    ) -> Option<tokio::task::JoinHandle<()>> {
        let Handle { id, secret } = self.handle.take()?;
        let client = self.client.clone();
        let report = Report {
            status,
            error: error.map(|words| plain(&words)),
            secret: Some(secret),
        };
        Some(self.runtime.spawn(async move {
            if let Err(error) = persist(|| client.outcome(&id, &report)).await {
                tracing::warn!(id, %error, "the outcome could not be reported");
            }
        }))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let why = match self.handed_out {
            true => "given up while it ran: it may have run, or a part of it",
            false => "not run: nobody waited for the approval any more",
        };
        self.runtime = Runtime::try_current().unwrap_or_else(|_| self.runtime.clone());
        self.tell(ExecutionStatus::ExecutionFailed, Some(why.to_owned()));
    }
}

/// The words of an action are often a program's output, with all that is in it.
fn plain(words: &str) -> String {
    let plain = |c: char| match c.is_control() && c != '\n' && c != '\t' {
        true => '\u{FFFD}',
        false => c,
    };
    words.chars().map(plain).take(2_000).collect()
}
