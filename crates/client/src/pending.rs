use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::runtime::Handle as Runtime;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use crate::Error;
use crate::client::{AWAY, Client, persist};
use crate::gate::Action;
use crate::outcome::{Outcome, Refusal};
use crate::parameters::{Parameters, hex};
use crate::permit::Permit;
use crate::receipt::{self, NotPermitted, Run};
use crate::types::{Approval, Claim, ExecutionStatus, KeySet, Status, Withdrawal};

/// How long one call waits for a decision to land, where the gate does not mind.
const LONG_POLL: Duration = Duration::from_secs(25);

/// A gate that says to come back so soon does not mind a call that waits there. One whose waiting is
/// billed says more the longer the request waits: then it is asked, and asked again.
const AT_ONCE: Duration = Duration::from_secs(1);

/// By how much the clocks of agent and gate may differ.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);

/// What a process stores to take its request up again later: with it, whoever has it can use the
/// approval, so keep it as you keep a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// The approval's id.
    pub id: String,
    /// The secret that the gate demands of the claimant.
    pub secret: String,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A request that waits for a person.
///
/// Whoever stops waiting (drops the future of [`Pending::run`], [`Pending::try_run`] or
/// [`Pending::claim`]) takes the request back, so that nobody decides for nobody; unless it is
/// detached, as one is that was submitted under a stored [`Handle`], or taken up again.
#[derive(Debug)]
#[must_use = "nobody waits for the decision yet"]
pub struct Pending {
    pub(crate) action: Action,
    pub(crate) handle: Handle,
    pub(crate) approval: Option<Approval>,
    pub(crate) detached: bool,
}

impl Pending {
    /// What to store for [`Action::resume`].
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Leaves the request standing when nobody waits for it any more: for waits that outlive their
    /// process.
    pub fn detach(mut self) -> Self {
        self.detached = true;
        self
    }

    /// The request as the gate last showed it; nothing before the first answer of a resumed one.
    pub fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }

    /// Takes the request back, so that nobody need decide it any more.
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
            .try_run(params, |params| infallibly(action(params)))
            .await;
        outcome.map(|Ok(value)| value)
    }

    /// As [`Pending::run`], for an action that can fail.
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
                // Nothing borrows the result while the gate is told, so an agent in a task of its own
                // may have any result that can be sent.
                match result.as_ref().err().map(ToString::to_string) {
                    None => permit.executed().await,
                    Some(error) => permit.failed(error).await,
                }
                Outcome::Executed(result)
            }
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// Waits for the decision, verifies it and claims it: after this the action may run on `params`,
    /// once, by whoever holds the [`Permit`]. For an action that needs the receipt; any other is
    /// better run by [`Pending::run`].
    ///
    /// # Errors
    /// When it is anything but a verified approval of exactly these parameters.
    pub async fn claim(self, params: &impl Serialize) -> Result<Permit, Refusal> {
        let parameters = Parameters::of(params).map_err(Refusal::invalid)?;
        let approved = parameters.digest();
        let permit = self.granted(parameters).await?;
        // The very value that will be run, just before.
        match Parameters::of(params) {
            Ok(now) if now.digest() == approved => Ok(permit),
            _ => Err(permit.changed().await),
        }
    }

    /// Waits, verifies, claims, and verifies what was claimed.
    pub(crate) async fn granted(self, parameters: Parameters) -> Result<Permit, Refusal> {
        let approval = tracing::info_span!("approval", id = self.handle.id);
        self.wait_and_claim(parameters).instrument(approval).await
    }

    async fn wait_and_claim(mut self, parameters: Parameters) -> Result<Permit, Refusal> {
        let decided = self.decided().await?;
        tracing::debug!(status = ?decided.status, "decided");
        match decided.status {
            // A `Timeout` may be provisional, and a `Pending` past its deadline is none: only the
            // claim settles them.
            Status::Approved | Status::Timeout | Status::Pending => {}
            _ => return Err(Refusal::from_status(&decided)),
        }
        let keys = self.keys(&decided).await?;
        if decided.status == Status::Approved {
            // First, so that a mistake of this process does not use the approval up.
            self.verify(&decided, &parameters, &keys)?;
        }
        // In a task of its own: whoever stops waiting just now leaves a permit that reports itself.
        let claiming = async move { self.claimed(&parameters, &keys).await }.in_current_span();
        match tokio::spawn(claiming).await {
            Ok(permit) => permit.map(Permit::handed_out),
            Err(_) => Err(Refusal::unverified("the claim's task ended")),
        }
    }

    async fn claimed(self, parameters: &Parameters, keys: &KeySet) -> Result<Permit, Refusal> {
        let claim = Claim {
            nonce: random_hex::<16>(),
            secret: Some(self.handle.secret.clone()),
        };
        let client = &self.action.gate.client;
        let id = &self.handle.id;
        let permit = |receipt| Permit::new(client.clone(), self.handle.clone(), receipt);
        let mut refused_before = false;
        let approval = loop {
            match persist(|| client.claim(id, &claim)).await {
                Ok(approval) => break approval,
                Err(Error::Problem(problem)) if problem.status == 409 => {}
                Err(error @ Error::Problem(_)) => return Err(error.into()),
                Err(error) => {
                    // It may have been granted all the same: then nobody else need wait for it.
                    permit(String::new())
                        .failed("not run: the answer to the claim was lost")
                        .await;
                    return Err(error.into());
                }
            }
            let (approval, _) = persist(|| client.status(id, Duration::ZERO)).await?;
            // Two instances of the gate may differ by a moment about the time: what the second claim
            // finds, the first has stored.
            if refused_before || approval.status != Status::Timeout {
                return Err(Refusal::from_status(&approval));
            }
            refused_before = true;
            sleep(Duration::from_secs(1)).await;
        };
        let verified = match is_ours_to_run(&approval, id) {
            true => self.verify(&approval, parameters, keys),
            false => Err(Refusal::unverified(
                "the gate's answer to the claim is not a yes",
            )),
        };
        match verified {
            Ok(receipt) => Ok(permit(receipt)),
            Err(refusal) => {
                let why = "not run: the approval could not be verified";
                permit(String::new()).failed(why).await;
                Err(refusal)
            }
        }
    }

    /// Waits until the request is no longer pending, as the gate tells it, or its time is over.
    async fn decided(&mut self) -> Result<Approval, Refusal> {
        let client = self.action.gate.client.clone();
        // Given up for whatever reason, nobody need decide it any more.
        let given_up = match self.detached {
            false => Withdraw::when_dropped(&client, &self.handle),
            true => Withdraw::never(&client),
        };
        let started = Instant::now();
        let mut pause = AT_ONCE;
        loop {
            let wait = if pause <= AT_ONCE {
                LONG_POLL
            } else {
                Duration::ZERO
            };
            match client.status(&self.handle.id, wait).await {
                Ok((approval, stay_away)) => {
                    let is_over = seconds_since(&approval.expires_at)? > CLOCK_LEEWAY;
                    let is_pending = approval.status == Status::Pending && !is_over;
                    self.approval = Some(approval.clone());
                    if !is_pending {
                        given_up.forget();
                        return Ok(approval);
                    }
                    self.action.pending(&approval);
                    pause = stay_away.unwrap_or(AT_ONCE);
                }
                Err(error) if error.is_passing() => {
                    // Nobody answers. The deadline that the gate once told still holds here.
                    let is_over = match &self.approval {
                        Some(approval) => seconds_since(&approval.expires_at)? > CLOCK_LEEWAY,
                        None => true,
                    };
                    if is_over && started.elapsed() > AWAY {
                        return Err(error.into());
                    }
                    pause = error.retry_after().unwrap_or_else(|| (pause * 2).min(AWAY));
                }
                Err(error) => return Err(error.into()),
            }
            sleep(pause).await;
        }
    }

    /// What to believe receipts by. The gate is asked for its keys again only when those that it
    /// published before do not verify this receipt: they change as its operator changes them.
    async fn keys(&self, decided: &Approval) -> Result<KeySet, Refusal> {
        let gate = &self.action.gate;
        if let Some(keys) = &gate.trusted {
            return Ok(keys.clone());
        }
        let known = gate.published().clone();
        if let Some(receipt) = &decided.receipt
            && receipt::verify(receipt, &known).is_ok()
        {
            return Ok(known);
        }
        let published = persist(|| gate.client.keys()).await?;
        gate.published().clone_from(&published);
        Ok(published)
    }

    /// The receipt, if it is one for exactly this.
    fn verify(
        &self,
        approval: &Approval,
        parameters: &Parameters,
        keys: &KeySet,
    ) -> Result<String, Refusal> {
        let unverified = |what: &str| Err(Refusal::unverified(what));
        let Some(receipt) = &approval.receipt else {
            return unverified("the approval has no receipt");
        };
        let gate = &self.action.gate;
        let claims = receipt::verify(receipt, keys).map_err(Refusal::unverified)?;
        if claims.sub != self.handle.id {
            return unverified("the receipt is for another request");
        }
        let run = Run {
            agent: &gate.agent,
            action: &self.action.description,
            parameters,
        };
        let leeway = CLOCK_LEEWAY.as_secs();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        match claims.permit(&run, now.saturating_sub_unsigned(leeway)) {
            Ok(()) => {}
            Err(NotPermitted::Lapsed) => return Err(Refusal::lapsed()),
            Err(other) => return Err(Refusal::unverified(other)),
        }
        let mut asked = gate.approvers.iter();
        if !asked.any(|asked| is_same_address(asked, &claims.approver)) {
            return unverified("the receipt names somebody who was not asked");
        }
        Ok(receipt.clone())
    }
}

/// Takes a request back when it is dropped.
pub(crate) struct Withdraw {
    client: Client,
    handle: Option<Handle>,
}

impl Withdraw {
    pub(crate) fn when_dropped(client: &Client, handle: &Handle) -> Self {
        Self {
            client: client.clone(),
            handle: Some(handle.clone()),
        }
    }

    fn never(client: &Client) -> Self {
        Self {
            client: client.clone(),
            handle: None,
        }
    }

    pub(crate) fn forget(mut self) {
        self.handle = None;
    }
}

impl Drop for Withdraw {
    fn drop(&mut self) {
        // Outside of a runtime there is nobody to do it: the request then ends by its deadline.
        if let (Some(Handle { id, secret }), Ok(runtime)) =
            (self.handle.take(), Runtime::try_current())
        {
            let client = self.client.clone();
            runtime.spawn(async move {
                let secret = Some(secret);
                let withdrawal = Withdrawal { secret };
                if let Err(error) = persist(|| client.withdraw(&id, &withdrawal)).await {
                    tracing::warn!(id, %error, "the request could not be withdrawn");
                }
            });
        }
    }
}

/// Whether a claim was granted, in words that this version knows.
fn is_ours_to_run(approval: &Approval, id: &str) -> bool {
    let execution = approval
        .execution
        .as_ref()
        .map(|execution| execution.status);
    approval.id == id
        && approval.status == Status::Approved
        && execution == Some(ExecutionStatus::Executing)
}

/// The gate writes the domain in ASCII (RFC 5890), people as they like.
fn is_same_address(asked: &str, signed: &str) -> bool {
    let ascii = |address: &str| {
        let (local, domain) = address.trim().rsplit_once('@')?;
        let url = reqwest::Url::parse(&format!("http://{domain}/")).ok()?;
        Some(format!("{local}@{}", url.host_str()?).to_lowercase())
    };
    ascii(asked).is_some_and(|asked| Some(asked) == ascii(signed))
}

pub(crate) async fn infallibly<T>(action: impl Future<Output = T>) -> Result<T, Infallible> {
    Ok(action.await)
}

/// How long ago that was; nothing for a time to come.
fn seconds_since(expires_at: &str) -> Result<Duration, Refusal> {
    let expires_at = OffsetDateTime::parse(expires_at, &Rfc3339)
        .map_err(|_| Refusal::unverified("the gate named no readable deadline"))?;
    let since = OffsetDateTime::now_utc() - expires_at;
    Ok(since.try_into().unwrap_or(Duration::ZERO))
}

pub(crate) fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system gives random bytes");
    hex(&bytes)
}
