use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use human_oversight_protocol::parameters::{Parameters, hex};
use human_oversight_protocol::types::{Approval, Claim, KeySet, NOT_RUN, Status, Withdrawal};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::Instrument;

use crate::action::Action;
use crate::error::Error;
use crate::handle::{Handle, random_hex};
use crate::interest::Interest;
use crate::outcome::{Outcome, Refusal};
use crate::retry::{OUTAGE_RETRY_WINDOW, OutageLog, retry_transient};
use crate::run_permit::{Permit, Proof};
use crate::runtime::{self, sleep};
use crate::verify::CLOCK_LEEWAY_SECONDS;
use crate::wake::Alarm;

/// How long one status call waits for a decision, where the gate lets calls wait.
const LONG_POLL: Duration = Duration::from_secs(25);

/// The pause between calls that wait. Where the host bills waiting calls, the gate sends a longer
/// `Retry-After`, and the calls do not wait; the first call finds that out.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// A pending request.
///
/// Dropping the future of [`Pending::run`], [`Pending::try_run`] or [`Pending::claim`] withdraws the
/// request, since a decision would have no effect; except if it is detached, as it is after
/// [`Action::submit_as`] and [`Action::resume`], and where a [`Gate::claim_key`](crate::Gate::claim_key) makes its name
/// known to other processes.
#[derive(Debug)]
#[must_use = "a request has no effect until its decision is awaited"]
pub struct Pending {
    action: Action,
    handle: Handle,
    approval: Option<Approval>,
    /// Whether `approval` is what the claim goes by, without another wait.
    is_decided: bool,
    detached: bool,
    /// Until the wait begins, so that no other call withdraws the request before it.
    submitted: Option<Interest>,
}

impl Pending {
    pub(crate) fn new(action: Action, handle: Handle, detached: bool) -> Self {
        Self {
            action,
            handle,
            approval: None,
            is_decided: false,
            detached,
            submitted: None,
        }
    }

    pub(crate) fn submitted(mut self, approval: Approval, mut interest: Interest) -> Self {
        self.approval = Some(approval);
        interest.release();
        self.submitted = Some(interest);
        self
    }

    /// What to store for [`Action::resume`].
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Keeps the request open when its future is dropped: for waits that outlive their process.
    pub fn detach(mut self) -> Self {
        self.detached = true;
        self
    }

    /// The request in the gate's last response; nothing before the first response after
    /// [`Action::resume`].
    pub fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }

    /// Withdraws the request, so that it needs no decision any more.
    ///
    /// # Errors
    /// When it is too late, or the gate cannot be reached.
    pub async fn withdraw(self) -> Result<Approval, Error> {
        let withdrawal = Withdrawal {
            secret: Some(self.handle.secret),
        };
        self.action
            .gate
            .client
            .withdraw(&self.handle.id, &withdrawal)
            .await
    }

    /// Waits for the decision and runs `action` on `params` if it is a verified approval of exactly
    /// these; see [`Action::run`].
    pub async fn run<'p, P, T, F, Fut>(self, params: &'p P, action: F) -> Outcome<T>
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

    /// Like [`Pending::run`], for an action that can fail.
    pub async fn try_run<'p, P, T, E, F, Fut>(
        self,
        params: &'p P,
        action: F,
    ) -> Outcome<Result<T, E>>
    where
        P: Serialize,
        E: fmt::Display,
        F: FnOnce(&'p P) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        match self.claim(params).await {
            Ok(permit) => {
                let result = action(params).await;
                // No borrow of the result lives across the report, so that the future is `Send` for a
                // result that is `Send` but not `Sync`.
                match result.as_ref().err().map(ToString::to_string) {
                    None => permit.executed().await,
                    Some(error) => permit.failed(error).await,
                }
                Outcome::Executed(result)
            }
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// Waits for the decision, verifies it and claims the approval. The holder of the [`Permit`] may then
    /// run the action on `params`, once. For an action that needs the receipt; [`Pending::run`] is simpler
    /// for any other.
    ///
    /// # Errors
    /// When it is anything but a verified approval of exactly these parameters.
    pub async fn claim(self, params: &impl Serialize) -> Result<Permit, Refusal> {
        let parameters = Parameters::new(params)?;
        let approved = parameters.digest();
        let permit = self.claim_parameters(parameters).await?;
        // Compares the value that is about to be used.
        let is_unchanged = Parameters::new(params).is_ok_and(|now| now.digest() == approved);
        permit.revalidate(is_unchanged).await
    }

    /// Waits for the decision, verifies it, claims the approval, and verifies the permit in the response.
    pub(crate) async fn claim_parameters(self, parameters: Parameters) -> Result<Permit, Refusal> {
        let approval = tracing::info_span!("approval", id = self.handle.id);
        // On the heap, so that the futures of gated functions stay small.
        let claiming = Box::pin(self.wait_and_claim(parameters));
        claiming.instrument(approval).await
    }

    async fn wait_and_claim(mut self, parameters: Parameters) -> Result<Permit, Refusal> {
        self.action.check_handle(&self.handle)?;
        let decided = self.wait_for_decision(&parameters).await?;
        tracing::debug!(status = ?decided.status, "decided");
        match decided.status {
            // Claimed before, lapsed or revoked: no claim would be granted.
            Status::Approved if decided.execution.is_some() => {
                return Err(Refusal::from_status(&decided));
            }
            // A `Timeout` may be provisional, and a `Pending` past its deadline not stored yet: the claim
            // settles both.
            Status::Approved | Status::Timeout | Status::Pending => {}
            _ => return Err(Refusal::from_status(&decided)),
        }
        // Before the claim, so that a mistake of this process does not use up the approval.
        let keys = self.keys(&decided).await?;
        if decided.status == Status::Approved {
            let Self { action, handle, .. } = &self;
            action.verify(handle, &decided, &parameters, &keys)?;
        }
        // In a task of its own: if the wait is dropped now, the permit is still made, and reports itself.
        let claim = async move { self.claim_verified(&parameters).await };
        match runtime::spawn(claim).await {
            Some(permit) => permit.map(Permit::hand_out),
            None => Err(Refusal::unverified("the claim's task ended")),
        }
    }

    async fn keys(&self, approval: &Approval) -> Result<KeySet, Refusal> {
        let keys = self.action.gate.keys(Some(approval)).await;
        keys.map_err(Refusal::after_submit)
    }

    async fn claim_verified(self, parameters: &Parameters) -> Result<Permit, Refusal> {
        // In memory alone, and for this claim alone: an answer that was recorded from another is none to it.
        let nonce = random_hex::<16>();
        let approval = self.call_claim(&nonce).await?;
        match self.verify_claim(&nonce, &approval, parameters).await {
            Ok(proof) => Ok(self.permit(proof)),
            Err(refusal) => {
                let why = "the approval could not be verified";
                self.report_not_run(&nonce, why).await;
                Err(refusal)
            }
        }
    }

    async fn verify_claim(
        &self,
        nonce: &str,
        approval: &Approval,
        parameters: &Parameters,
    ) -> Result<Proof, Refusal> {
        let keys = self.keys(approval).await?;
        let claim = (&self.handle, nonce);
        self.action.verify_claim(claim, approval, parameters, &keys)
    }

    async fn call_claim(&self, nonce: &str) -> Result<Approval, Refusal> {
        let claim = Claim {
            nonce: nonce.to_owned(),
            secret: Some(self.handle.secret.clone()),
        };
        let client = &self.action.gate.client;
        let id = &self.handle.id;
        let may_be_granted = AtomicBool::new(false);
        let attempt = async || {
            let answer = client.claim(id, &claim).await;
            if answer.as_ref().is_err_and(Error::may_be_accepted) {
                may_be_granted.store(true, Ordering::Relaxed);
            }
            answer
        };
        let mut is_second_try = false;
        loop {
            let conflict = match retry_transient(&attempt).await {
                Ok(approval) => return Ok(approval),
                Err(Error::Problem(problem)) if problem.status == 409 => problem,
                Err(error) => {
                    let is_refused = matches!(&error, Error::Problem(it) if it.status < 500);
                    if may_be_granted.load(Ordering::Relaxed) || !is_refused {
                        // Without a report a claim that was granted would end as unknown.
                        let why = "the answer to the claim was lost";
                        self.report_not_run(nonce, why).await;
                    }
                    return Err(Refusal::after_submit(error));
                }
            };
            let status = retry_transient(|| client.status(id, Duration::ZERO)).await;
            let (approval, _) = status.map_err(Refusal::after_submit)?;
            // The clocks of two instances of the gate may differ slightly: the first claim made the gate
            // store the state that the second one finds.
            if is_second_try || approval.status != Status::Timeout {
                if approval.status == Status::Pending {
                    // This call waits for its decision no more.
                    self.interest().mark_open();
                }
                return Err(Refusal::after_conflict(conflict, &approval));
            }
            is_second_try = true;
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn interest(&self) -> Interest {
        Interest::new(&self.action.gate.client, &self.handle, self.detached)
    }

    fn permit(&self, proof: Proof) -> Permit {
        let client = self.action.gate.client.clone();
        Permit::new(client, self.handle.clone(), proof)
    }

    async fn report_not_run(&self, nonce: &str, why: &str) {
        let client = self.action.gate.client.clone();
        let permit = Permit::unverified(client, self.handle.clone(), nonce);
        permit.failed(format!("{NOT_RUN}: {why}")).await;
    }

    /// Asks the gate once. There is nothing if the request is pending, and its deadline has not passed.
    pub(crate) async fn look(mut self) -> Result<Option<Self>, Refusal> {
        self.action.check_handle(&self.handle)?;
        let client = &self.action.gate.client;
        let status = client.status(&self.handle.id, Duration::ZERO).await;
        let (approval, _) = status.map_err(Refusal::after_submit)?;
        self.is_decided = approval.status != Status::Pending || is_over(&approval)?;
        self.approval = Some(approval);
        Ok(self.is_decided.then_some(self))
    }

    /// Waits until the gate says that the request is no longer pending, or its deadline has passed.
    async fn wait_for_decision(&mut self, parameters: &Parameters) -> Result<Approval, Refusal> {
        if let Some(approval) = self.approval.as_ref().filter(|_| self.is_decided) {
            return Ok(approval.clone());
        }
        let client = self.action.gate.client.clone();
        // Dropped also after an error: without a waiting agent the request needs no decision.
        let interest = self.interest();
        interest.mark_open();
        self.submitted = None;
        let digest = hex(&parameters.digest());
        let started = Instant::now();
        let mut pause = MIN_PAUSE;
        let mut may_wait = false;
        let mut alarm = Alarm::new(&self.handle.id);
        let mut outage = OutageLog::default();
        loop {
            let wait = if may_wait { LONG_POLL } else { Duration::ZERO };
            match client.status(&self.handle.id, wait).await {
                Ok((approval, retry_after)) => {
                    // Before people decide what could not run.
                    if approval.parameters_digest != digest {
                        return Err(Refusal::unverified("the request is for other parameters"));
                    }
                    let is_over = is_over(&approval)?;
                    self.approval = Some(approval.clone());
                    if approval.status != Status::Pending || is_over {
                        interest.settle();
                        return Ok(approval);
                    }
                    self.action.notify_pending(&approval);
                    pause = retry_after.unwrap_or(MIN_PAUSE);
                    let has_waited = std::mem::replace(&mut may_wait, pause <= MIN_PAUSE);
                    if may_wait && !has_waited {
                        continue;
                    }
                }
                Err(error) if error.is_transient() => {
                    // The deadline of the last response holds during an outage too.
                    let is_over = self.approval.as_ref().map_or(Ok(true), is_over)?;
                    if is_over && started.elapsed() > OUTAGE_RETRY_WINDOW {
                        return Err(Refusal::after_submit(error));
                    }
                    outage.warn(&error);
                    let next = (pause * 2).min(OUTAGE_RETRY_WINDOW);
                    // A decision is not missed for a time that a host asks for.
                    let asked = error.retry_after().map(|it| it.min(OUTAGE_RETRY_WINDOW));
                    pause = asked.unwrap_or(next);
                    may_wait = false;
                }
                Err(error) => return Err(Refusal::after_submit(error)),
            }
            alarm = alarm.sleep(pause).await;
        }
    }
}

pub(crate) async fn infallible<T>(action: impl Future<Output = T>) -> Result<T, Infallible> {
    Ok(action.await)
}

/// Whether the deadline has passed by any clock within [`CLOCK_LEEWAY_SECONDS`] of this one.
fn is_over(approval: &Approval) -> Result<bool, Refusal> {
    let expires_at = OffsetDateTime::parse(&approval.expires_at, &Rfc3339)
        .map_err(|_| Refusal::unverified("the gate named no readable deadline"))?;
    let leeway = Duration::from_secs(CLOCK_LEEWAY_SECONDS.into());
    Ok(OffsetDateTime::now_utc() - expires_at > leeway)
}
