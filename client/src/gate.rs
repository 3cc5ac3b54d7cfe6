use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::outcome::{Outcome, Refusal};
use crate::parameters::{Parameters, hex, sha256};
use crate::receipt::{self, NotPermitted, Run};
use crate::types::{
    Approval, Claim, ExecutionStatus, KeySet, NewApproval, Report, Status, Withdrawal,
};
use crate::{Client, Error};

/// How long one call waits for a decision to land while the request is young.
const LONG_POLL: Duration = Duration::from_secs(25);

/// After this age a request is asked about now and then only: a call that hangs costs the operator
/// as much as the work it waits for.
const YOUNG: Duration = Duration::from_secs(120);

/// How long a gate that cannot be reached is tried again, for calls that have no deadline of their
/// own.
const PATIENCE: Duration = Duration::from_secs(60);

/// By how much the clocks of agent and gate may differ.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);

/// The gate, seen from an agent. Cheap to clone; see the front page for an example.
#[derive(Clone, Debug)]
pub struct Gate {
    client: Client,
    trusted: Option<KeySet>,
    agent: String,
    approvers: Vec<String>,
}

impl Gate {
    /// A gate reached through `client`.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            trusted: None,
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

    /// An action that needs approval, described for people in 1 to 256 characters.
    pub fn action(&self, description: impl Into<String>) -> Action {
        Action {
            gate: self.clone(),
            description: description.into(),
            timeout: None,
            reason: None,
            on_behalf_of: None,
            correlation_id: None,
        }
    }
}

/// One kind of action behind the gate.
#[derive(Clone, Debug)]
pub struct Action {
    gate: Gate,
    description: String,
    timeout: Option<Duration>,
    reason: Option<String>,
    on_behalf_of: Option<String>,
    correlation_id: Option<String>,
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

    /// Asks for approval of exactly `params`, waits, and runs `action` on them only if a person
    /// approved: once, and before the approval lapses. Then tells the gate that it ran.
    ///
    /// Everything that is not a verified approval is [`Outcome::Refused`]: this never fails
    /// otherwise, and never runs the action without one. For an action that can fail there is
    /// [`Action::try_run`]: here, whatever it returns counts as executed.
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
        self.submit_as(self.prepare(), params).await
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
        let params = Parameters::of(params).map_err(Refusal::invalid)?;
        let (_, correlation) = handle.id.split_once('.').unwrap_or_default();
        let request = NewApproval {
            agent_name: self.gate.agent.clone(),
            action_description: self.description.clone(),
            parameters: params.object().clone(),
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
        let approval = persist(PATIENCE, || client.submit(&request)).await?;
        if approval.id != handle.id || approval.parameters_digest != hex(&params.digest()) {
            return Err(Refusal::unverified(
                "the gate took another request than was sent",
            ));
        }
        Ok(Pending {
            action: self.clone(),
            handle,
            approval: Some(approval),
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
        }
    }
}

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
#[derive(Debug)]
pub struct Pending {
    action: Action,
    handle: Handle,
    approval: Option<Approval>,
}

impl Pending {
    /// What to store for [`Action::resume`].
    pub fn handle(&self) -> &Handle {
        &self.handle
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
                match &result {
                    Ok(_) => permit.executed().await,
                    Err(error) => permit.failed(error).await,
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
    pub async fn claim(mut self, params: &impl Serialize) -> Result<Permit, Refusal> {
        let decided = self.decided().await?;
        match decided.status {
            // A `Timeout` may be provisional, and a `Pending` past its deadline is none: only the
            // claim settles them.
            Status::Approved | Status::Timeout | Status::Pending => {}
            _ => return Err(Refusal::from_status(&decided)),
        }
        let keys = self.keys().await?;
        if decided.status == Status::Approved {
            // First, so that a mistake of this process does not use the approval up.
            self.verify(&decided, params, &keys)?;
        }
        let claim = Claim {
            nonce: random_hex::<16>(),
            secret: Some(self.handle.secret.clone()),
        };
        let client = &self.action.gate.client;
        let id = &self.handle.id;
        let mut refused_before = false;
        let approval = loop {
            match persist(PATIENCE, || client.claim(id, &claim)).await {
                Ok(approval) => break approval,
                Err(Error::Problem(problem)) if problem.status == 409 => {}
                Err(error) => return Err(error.into()),
            }
            let (approval, _) = persist(PATIENCE, || client.status(id, Duration::ZERO)).await?;
            // Two instances of the gate may differ by a moment about the time: what the second claim
            // finds, the first has stored.
            if refused_before || approval.status != Status::Timeout {
                return Err(Refusal::from_status(&approval));
            }
            refused_before = true;
            sleep(Duration::from_secs(1)).await;
        };
        let verified = match is_ours_to_run(&approval, id) {
            true => self.verify(&approval, params, &keys),
            false => Err(Refusal::unverified(
                "the gate's answer to the claim is not a yes",
            )),
        };
        let permit = |receipt| Permit {
            client: client.clone(),
            handle: self.handle.clone(),
            receipt,
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
        let started = Instant::now();
        let mut pause = Duration::from_secs(1);
        loop {
            let wait = if started.elapsed() < YOUNG {
                LONG_POLL
            } else {
                Duration::ZERO
            };
            match client.status(&self.handle.id, wait).await {
                Ok((approval, stay_away)) => {
                    self.approval = Some(approval.clone());
                    let is_over = seconds_since(&approval.expires_at)? > CLOCK_LEEWAY;
                    if approval.status != Status::Pending || is_over {
                        return Ok(approval);
                    }
                    pause = stay_away.unwrap_or(Duration::from_secs(1));
                }
                Err(error) if error.is_passing() => {
                    // Nobody answers. The deadline that the gate once told still holds here.
                    let is_over = match &self.approval {
                        Some(approval) => seconds_since(&approval.expires_at)? > CLOCK_LEEWAY,
                        None => true,
                    };
                    if is_over && started.elapsed() > PATIENCE {
                        return Err(error.into());
                    }
                    pause = error
                        .retry_after()
                        .unwrap_or_else(|| (pause * 2).min(PATIENCE));
                }
                Err(error) => return Err(error.into()),
            }
            sleep(pause).await;
        }
    }

    async fn keys(&self) -> Result<KeySet, Refusal> {
        let gate = &self.action.gate;
        match &gate.trusted {
            Some(keys) => Ok(keys.clone()),
            None => Ok(persist(PATIENCE, || gate.client.keys()).await?),
        }
    }

    /// The receipt, if it is one for exactly this.
    fn verify(
        &self,
        approval: &Approval,
        params: &impl Serialize,
        keys: &KeySet,
    ) -> Result<String, Refusal> {
        let unverified = |what: &str| Err(Refusal::unverified(what));
        let Some(receipt) = &approval.receipt else {
            return unverified("the approval has no receipt");
        };
        let gate = &self.action.gate;
        let claims = receipt::verify(receipt, keys).map_err(Refusal::unverified)?;
        let params = Parameters::of(params).map_err(Refusal::invalid)?;
        if claims.sub != self.handle.id {
            return unverified("the receipt is for another request");
        }
        let run = Run {
            agent: &gate.agent,
            action: &self.action.description,
            parameters: &params,
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

/// The permission to run an action, once and now: an approval that was verified and claimed. The gate
/// waits to hear what became of it.
#[must_use = "the approval is used up: run the action, and say what became of it"]
pub struct Permit {
    client: Client,
    handle: Handle,
    receipt: String,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("id", &self.handle.id)
            .finish_non_exhaustive()
    }
}

impl Permit {
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
        self.report(ExecutionStatus::ExecutionFailed, Some(&error))
            .await;
    }

    async fn report(&self, status: ExecutionStatus, error: Option<&dyn fmt::Display>) {
        // The words of an action are often a program's output, with all that is in it.
        let words = |error: &dyn fmt::Display| -> String {
            let plain = |c: char| {
                if c.is_control() && c != '\n' && c != '\t' {
                    '\u{FFFD}'
                } else {
                    c
                }
            };
            error.to_string().chars().map(plain).take(2_000).collect()
        };
        let report = Report {
            status,
            error: error.map(words),
            secret: Some(self.handle.secret.clone()),
        };
        let id = &self.handle.id;
        if let Err(error) = persist(PATIENCE, || self.client.outcome(id, &report)).await {
            tracing::warn!(id = self.handle.id, %error, "the outcome could not be reported");
        }
    }
}

async fn infallibly<T>(action: impl Future<Output = T>) -> Result<T, Infallible> {
    Ok(action.await)
}

/// Repeats a call while the gate is away, for `patience` at most. Only for calls that are safe to
/// repeat, which every call of the gate is.
async fn persist<T, Fut>(patience: Duration, call: impl Fn() -> Fut) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Error>>,
{
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(250);
    loop {
        match call().await {
            Err(error) if error.is_passing() => {
                let wait = error.retry_after().unwrap_or(pause);
                if Instant::now() + wait > deadline {
                    return Err(error);
                }
                sleep(wait).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
            result => return result,
        }
    }
}

/// How long ago that was; nothing for a time to come.
fn seconds_since(expires_at: &str) -> Result<Duration, Refusal> {
    let expires_at = OffsetDateTime::parse(expires_at, &Rfc3339)
        .map_err(|_| Refusal::unverified("the gate named no readable deadline"))?;
    let since = OffsetDateTime::now_utc() - expires_at;
    Ok(since.try_into().unwrap_or(Duration::ZERO))
}

fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system gives random bytes");
    hex(&bytes)
}
