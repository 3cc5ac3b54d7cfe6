use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::Serialize;
use uuid::Uuid;

use crate::client::persist;
use crate::outcome::{Outcome, Reason, Refusal};
use crate::parameters::{Parameters, ParametersError, hex, sha256};
use crate::pending::{Handle, Pending, Withdraw, infallibly, random_hex};
use crate::permit::Permit;
use crate::types::{Approval, KeySet, NewApproval, Status};
use crate::{Client, Error};

/// The gate, seen from an agent. Cheap to clone; see the front page for an example.
#[derive(Clone, Debug)]
pub struct Gate {
    pub(crate) client: Client,
    pub(crate) trusted: Option<KeySet>,
    /// What the gate published when it was last asked.
    published: Arc<Mutex<KeySet>>,
    pub(crate) agent: String,
    pub(crate) approvers: Vec<String>,
}

impl Gate {
    /// A gate reached through `client`.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            trusted: None,
            published: Arc::default(),
            agent: "agent".to_owned(),
            approvers: Vec::new(),
        }
    }

    /// A gate as the environment describes it: `HO_URL`, `HO_KEY` (the Functions key; may be absent)
    /// and `APPROVER_EMAILS` (comma-separated; may be absent).
    ///
    /// # Errors
    /// When `HO_URL` is missing or no absolute address.
    pub fn from_env() -> Result<Self, Error> {
        let setting = |name| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let url = setting("HO_URL").ok_or_else(|| {
            Error::Settings("HO_URL is not set: give it the gate's address".to_owned())
        })?;
        let gate = Self::new(Client::new(url.trim(), setting("HO_KEY").as_deref())?);
        Ok(match setting("APPROVER_EMAILS") {
            Some(list) => gate.approvers(list.split(',').map(str::trim).filter(|a| !a.is_empty())),
            None => gate,
        })
    }

    /// A gate that asks nobody and decides by a policy, for tests: of actions that need no approval
    /// there, or of what an agent does when it is refused. See [`crate::mock`].
    #[cfg(feature = "mock")]
    pub fn policy(
        decide: impl Fn(&NewApproval) -> crate::mock::Answer + Send + Sync + 'static,
    ) -> Self {
        crate::mock::MockGate::new(decide).gate()
    }

    /// Which agent asks: 1 to 128 characters.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>) -> Self {
        self.agent = name.into();
        self
    }

    /// Who may decide, unless an action names others.
    #[must_use]
    pub fn approvers(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.approvers = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// Believe receipts by these keys only, instead of those that the gate publishes when asked.
    #[must_use]
    pub fn trust(mut self, keys: KeySet) -> Self {
        self.trusted = Some(keys);
        self
    }

    pub(crate) fn published(&self) -> MutexGuard<'_, KeySet> {
        // Nobody leaves it half-written.
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// An action that needs approval, described for people in 1 to 256 characters.
    pub fn action(&self, description: impl Into<String>) -> Action {
        Action {
            gate: self.clone(),
            description: description.into(),
            timeout: None,
            reason: None,
            on_behalf_of: None,
            correlation_id: None,
            on_pending: None,
        }
    }
}

/// One kind of action behind the gate.
#[derive(Clone)]
pub struct Action {
    pub(crate) gate: Gate,
    pub(crate) description: String,
    timeout: Option<Duration>,
    reason: Option<String>,
    on_behalf_of: Option<String>,
    correlation_id: Option<String>,
    on_pending: Option<Arc<OnPending>>,
}

/// Who hears of a request while it is pending.
type OnPending = dyn Fn(&Approval) + Send + Sync;

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action")
            .field("agent", &self.gate.agent)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

impl Action {
    /// Who may decide about this action.
    #[must_use]
    pub fn approvers(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.gate = self.gate.approvers(addresses);
        self
    }

    /// How long people have to decide: 10 seconds to 30 days, in whole seconds. The gate's own
    /// default applies if this is never said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Why the agent wants this, in its own words: at most 2,000 characters, shown as not verified.
    #[must_use]
    pub fn reason(mut self, words: impl Into<String>) -> Self {
        self.reason = Some(words.into());
        self
    }

    /// The address of the person the agent acts for, who is never asked to approve.
    #[must_use]
    pub fn on_behalf_of(mut self, address: impl Into<String>) -> Self {
        self.on_behalf_of = Some(address.into());
        self
    }

    /// The agent's own name for the request, `[A-Za-z0-9._-]{1,64}`, which nobody else may have used.
    /// A fresh one is made if this is never said. To ask twice for one thing, keep the [`Handle`] of
    /// [`Action::prepare`] and use [`Action::submit_as`].
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Is told of the request when it was taken, and again now and then while nobody has decided: who
    /// was asked and until when, whether their mails went out. For a line in a terminal, say; it must
    /// not block.
    #[must_use]
    pub fn on_pending(mut self, tell: impl Fn(&Approval) + Send + Sync + 'static) -> Self {
        self.on_pending = Some(Arc::new(tell));
        self
    }

    pub(crate) fn pending(&self, approval: &Approval) {
        // Whoever shows the wait must not be able to end it.
        if let Some(tell) = &self.on_pending
            && catch_unwind(AssertUnwindSafe(|| tell(approval))).is_err()
        {
            tracing::warn!("on_pending panicked");
        }
    }

    /// Asks for approval of exactly `params`, waits, and runs `action` on them only if a person
    /// approved: once, and before the approval lapses. Then tells the gate that it ran.
    ///
    /// Everything that is not a verified approval is [`Outcome::Refused`]: this never fails
    /// otherwise, and never runs the action without one. For an action that can fail there is
    /// [`Action::try_run`]: here, whatever it returns counts as executed.
    ///
    /// Dropping the future takes the request back while nobody has decided. Once the action runs, it
    /// drops that too, and tells the gate that it was given up.
    pub async fn run<'p, P, T, F, Fut>(&self, params: &'p P, action: F) -> Outcome<T>
    where
        P: Serialize,
        F: FnOnce(&'p P) -> Fut,
        Fut: Future<Output = T>,
    {
        let outcome = self
            .try_run(params, |params| infallibly(action(params)))
            .await;
        outcome.map(|Ok(value)| value)
    }

    /// Asks for approval of exactly `params`, waits, and claims it; see [`Pending::claim`].
    ///
    /// # Errors
    /// When it is anything but a verified approval.
    pub async fn claim(&self, params: &impl Serialize) -> Result<Permit, Refusal> {
        self.submit(params).await?.claim(params).await
    }

    /// As [`Action::run`], for an action that can fail: the gate is told which it was.
    pub async fn try_run<'p, P, T, E, F, Fut>(
        &self,
        params: &'p P,
        action: F,
    ) -> Outcome<Result<T, E>>
    where
        P: Serialize,
        E: fmt::Display,
        F: FnOnce(&'p P) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        match self.submit(params).await {
            Ok(pending) => pending.try_run(params, action).await,
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// A name and a secret for one request, to be stored before it is made: whatever happens then,
    /// [`Action::submit_as`] and [`Action::resume`] find the same request by them.
    pub fn prepare(&self) -> Handle {
        let fresh = || Uuid::now_v7().to_string();
        let correlation = self.correlation_id.clone().unwrap_or_else(fresh);
        let agent = BASE64URL.encode(&self.gate.agent);
        Handle {
            id: format!("{agent}.{correlation}"),
            secret: random_hex::<32>(),
        }
    }

    /// Only asks. What comes back waits for the answer, now or, by its [`Handle`], in another
    /// process later.
    ///
    /// # Errors
    /// When the gate does not take the request.
    pub async fn submit(&self, params: &impl Serialize) -> Result<Pending, Refusal> {
        self.submit_exactly(Parameters::of(params)).await
    }

    pub(crate) async fn submit_exactly(
        &self,
        parameters: Result<Parameters, ParametersError>,
    ) -> Result<Pending, Refusal> {
        let handle = self.prepare();
        let given_up = Withdraw::when_dropped(&self.gate.client, &handle);
        let pending = self.submit_under(handle, parameters).await;
        // Where the answer was lost, the request may be there all the same.
        match &pending {
            Err(refusal) if refusal.reason == Reason::Unavailable => drop(given_up),
            _ => given_up.forget(),
        }
        Ok(Pending {
            detached: false,
            ..pending?
        })
    }

    /// As [`Action::submit`], under a name that was stored before. Doing it again with the same
    /// parameters is the same request.
    ///
    /// # Errors
    /// When the gate does not take the request.
    pub async fn submit_as(
        &self,
        handle: Handle,
        params: &impl Serialize,
    ) -> Result<Pending, Refusal> {
        self.submit_under(handle, Parameters::of(params)).await
    }

    async fn submit_under(
        &self,
        handle: Handle,
        parameters: Result<Parameters, ParametersError>,
    ) -> Result<Pending, Refusal> {
        let parameters = parameters.map_err(Refusal::invalid)?;
        let (_, correlation) = handle.id.split_once('.').unwrap_or_default();
        let request = NewApproval {
            agent_name: self.gate.agent.clone(),
            action_description: self.description.clone(),
            parameters: parameters.object().clone(),
            approver_emails: self.gate.approvers.clone(),
            // Chosen here, so that a retry after a lost answer finds the same request.
            correlation_id: Some(correlation.to_owned()),
            timeout_seconds: match self.timeout {
                Some(timeout) => Some(u32::try_from(timeout.as_secs()).map_err(Refusal::invalid)?),
                None => None,
            },
            reason: self.reason.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
            claimant: Some(hex(&sha256(handle.secret.as_bytes()))),
        };
        let client = &self.gate.client;
        let approval = persist(|| client.submit(&request)).await?;
        if approval.id != handle.id || approval.parameters_digest != hex(&parameters.digest()) {
            return Err(Refusal::unverified(
                "the gate took another request than was sent",
            ));
        }
        if approval.status == Status::Pending {
            self.pending(&approval);
        }
        Ok(Pending {
            action: self.clone(),
            handle,
            approval: Some(approval),
            detached: true,
        })
    }

    /// Takes a request up again that this or another process submitted.
    ///
    /// If that process had already claimed the approval when it died, the action may have run: it is
    /// refused here, and never run again by itself.
    pub fn resume(&self, handle: Handle) -> Pending {
        Pending {
            action: self.clone(),
            handle,
            approval: None,
            detached: true,
        }
    }
}
