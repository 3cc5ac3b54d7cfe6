//! Submitting a request for approval of an action, and running the action once it is approved.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use human_oversight_protocol::parameters::{Parameters, hex};
use human_oversight_protocol::types::{Approval, NewApproval, Status};
use serde::Serialize;

use crate::action::Action;
use crate::error::Error;
use crate::gate::Gate;
use crate::handle::Handle;
use crate::interest::Interest;
use crate::outcome::{Outcome, Refusal};
use crate::pending::{Pending, infallible};
use crate::retry::retry_first_contact;
use crate::run_permit::Permit;
use crate::runtime;

impl Action {
    /// Requests approval of exactly `params`, waits, and runs `action` on them only after a person
    /// approved: once, and before the approval lapses. Then reports to the gate that it ran.
    ///
    /// Everything but a verified approval is [`Outcome::Refused`]; there is no other error, and `action`
    /// never runs without one. It counts as executed whatever it returns: for an action that can fail
    /// there is [`Action::try_run`].
    ///
    /// Dropping the future withdraws the request while it is pending, unless it has a correlation id and the gate a
    /// [`Gate::claim_key`]. Once `action` runs, dropping the future drops it too, and reports that it was given up.
    pub async fn run<'p, P, T, F, Fut>(&self, params: &'p P, action: F) -> Outcome<T>
    where
        P: Serialize,
        F: FnOnce(&'p P) -> Fut,
        Fut: Future<Output = T>,
    {
        let outcome = self
            .try_run(params, |params| infallible(action(params)))
            .await;
        outcome.map(|Ok(value)| value)
    }

    /// Like [`Action::run`], for an action that can fail: the report says whether it did.
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
        let outcome = match self.submit(params).await {
            Ok(pending) => pending.try_run(params, action).await,
            Err(refusal) => Outcome::Refused(refusal),
        };
        outcome.logged()
    }

    /// Like [`Action::run`], under a handle that was stored before: submits the request, unless this or
    /// another process has, and resumes it then. So a program can call it with the same handle and the same
    /// parameters after every restart, wherever it was interrupted.
    ///
    /// An approval that was claimed before an interruption is refused as
    /// [`Reason::Used`](crate::Reason::Used): the action may have run. Dropping the future leaves the request pending.
    pub async fn run_as<'p, P, T, F, Fut>(
        &self,
        handle: Handle,
        params: &'p P,
        action: F,
    ) -> Outcome<T>
    where
        P: Serialize,
        F: FnOnce(&'p P) -> Fut,
        Fut: Future<Output = T>,
    {
        let outcome = self
            .try_run_as(handle, params, |params| infallible(action(params)))
            .await;
        outcome.map(|Ok(value)| value)
    }

    /// Like [`Action::run_as`], for an action that can fail.
    pub async fn try_run_as<'p, P, T, E, F, Fut>(
        &self,
        handle: Handle,
        params: &'p P,
        action: F,
    ) -> Outcome<Result<T, E>>
    where
        P: Serialize,
        E: fmt::Display,
        F: FnOnce(&'p P) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let outcome = match self.submit_as(handle, params).await {
            Ok(pending) => pending.try_run(params, action).await,
            Err(refusal) => Outcome::Refused(refusal),
        };
        outcome.logged()
    }

    /// Requests approval of exactly `params`, waits, and claims the approval; see [`Pending::claim`].
    ///
    /// # Errors
    /// When it is anything but a verified approval.
    pub async fn claim(&self, params: &impl Serialize) -> Result<Permit, Refusal> {
        self.submit(params).await?.claim(params).await
    }

    /// A name and a secret for one request, to be stored before it is submitted. Whatever happens then,
    /// [`Action::submit_as`] and [`Action::resume`] find the same request.
    pub fn prepare(&self) -> Handle {
        let Gate {
            agent, claim_key, ..
        } = &self.gate;
        Handle::new(agent, self.correlation_id.as_deref(), claim_key)
    }

    /// Submits the request without waiting for the decision. The result waits, or, by its [`Handle`],
    /// another process later.
    ///
    /// # Errors
    /// When the gate does not accept the request.
    pub async fn submit(&self, params: &impl Serialize) -> Result<Pending, Refusal> {
        self.submit_parameters(&Parameters::new(params)?).await
    }

    /// Like [`Action::submit`], under a handle that was stored before. With the same parameters, a second
    /// call is the same request.
    ///
    /// # Errors
    /// When the gate does not accept the request.
    pub async fn submit_as(
        &self,
        handle: Handle,
        params: &impl Serialize,
    ) -> Result<Pending, Refusal> {
        self.submit_under(handle, &Parameters::new(params)?, true)
            .await
    }

    /// Resumes a request that this or another process submitted.
    ///
    /// If that process had claimed the approval when it died, the action may have run: then it is refused
    /// here, and not run again.
    pub fn resume(&self, handle: Handle) -> Pending {
        Pending::new(self.clone(), handle, true)
    }

    pub(crate) async fn submit_parameters(
        &self,
        parameters: &Parameters,
    ) -> Result<Pending, Refusal> {
        // Another process may wait for it.
        let is_shared = self.correlation_id.is_some() && self.gate.claim_key.is_shared();
        self.submit_under(self.prepare(), parameters, is_shared)
            .await
    }

    async fn submit_under(
        &self,
        handle: Handle,
        parameters: &Parameters,
        is_detached: bool,
    ) -> Result<Pending, Refusal> {
        self.check_handle(&handle)?;
        let request = self.request(&handle, parameters);
        let mut interest = Interest::new(&self.gate.client, &handle, is_detached);
        // First, so that no person decides what could not run.
        self.gate.keys(None).await.map_err(Refusal::before_submit)?;
        let approval = self.call_submit(request, &mut interest).await?;
        if approval.id != handle.id || approval.parameters_digest != hex(&parameters.digest()) {
            return Err(Refusal::unverified(
                "the gate accepted another request than was submitted",
            ));
        }
        if approval.status == Status::Pending {
            self.notify_pending(&approval);
        }
        let pending = Pending::new(self.clone(), handle, is_detached);
        Ok(pending.submitted(approval, interest))
    }

    async fn call_submit(
        &self,
        request: NewApproval,
        interest: &mut Interest,
    ) -> Result<Approval, Refusal> {
        let request = Arc::new(request);
        let may_be_accepted = AtomicBool::new(false);
        let call = async || {
            let (client, request) = (self.gate.client.clone(), Arc::clone(&request));
            let interest = interest.clone();
            let is_mock = client.is_mock();
            let attempt = Box::pin(async move {
                let answer = client.submit(&request).await;
                if answer
                    .as_ref()
                    .map_or_else(Error::may_be_accepted, |_| true)
                {
                    interest.mark_open();
                }
                answer
            });
            let answer = if is_mock {
                attempt.await // at once, with the panics of its policy
            } else {
                // In a task of its own: if the call is dropped now, the withdrawal must not overtake the request.
                let answer = runtime::spawn(attempt).await;
                answer.expect("the call to the gate panicked")
            };
            if answer.as_ref().is_err_and(Error::may_be_accepted) {
                may_be_accepted.store(true, Ordering::Relaxed);
            }
            answer
        };
        let answer = retry_first_contact(call).await;
        if let Err(Error::Problem(problem)) = &answer
            && problem.status == 409
        {
            // The name is that of another request.
            interest.release();
        }
        answer.map_err(|error| {
            if may_be_accepted.into_inner() {
                Refusal::after_submit(error)
            } else {
                Refusal::before_submit(error)
            }
        })
    }

    fn request(&self, handle: &Handle, parameters: &Parameters) -> NewApproval {
        // Beyond what the gate takes, which says so.
        let seconds = |timeout: Duration| u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        NewApproval {
            agent_name: self.gate.agent.clone(),
            action_description: self.description.clone(),
            parameters: parameters.object().clone(),
            approver_emails: self.gate.approvers.clone(),
            // Chosen here, so that a retry after a lost response finds the same request.
            correlation_id: Some(handle.correlation_id().to_owned()),
            timeout_seconds: self.timeout.map(seconds),
            reason: self.reason.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
            claimant: Some(handle.claimant()),
            supersedes: self.supersedes.clone(),
            callback: self.callback.clone(),
        }
    }
}
