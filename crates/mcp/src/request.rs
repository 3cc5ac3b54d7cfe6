//! One held call as a request at the gate.
//!
//! Its correlation id is derived from what people are asked, with a generation: the same call joins the request
//! that is open, in this process or another, and is a new request when that one has finished.

use std::sync::Arc;
use std::time::Duration;

use human_oversight_client::types::{Approval, ExecutionStatus, Status};
use human_oversight_client::{Action, Client, Error, Handle, Permit, Reason, Refusal};
use human_oversight_protocol::parameters::Parameters;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, sleep};

use crate::claim_key::ClaimKey;

/// What people are asked.
pub(crate) struct Request {
    client: Client,
    action: Action,
    pub(crate) parameters: Parameters,
    key: Arc<ClaimKey>,
    /// Of all generations.
    pub(crate) name: String,
}

/// What a process knows of the generations of a request.
#[derive(Clone, Copy)]
pub(crate) enum Generation {
    /// It used this one last, and has not got its end.
    Used(u32),
    /// It got the ends of those before this one; later ones that have ended were other processes'.
    Next(u32),
}

/// How long one status call waits for a decision.
const LONG_POLL: Duration = Duration::from_secs(25);

/// The pause between status calls, unless the gate asks for a longer one.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause that a gate that is not available can ask for: a decision is not missed for more.
const MAX_ASKED_PAUSE: Duration = Duration::from_secs(60);

/// How long a gate is called that does not answer whether the call is known to it.
const OUTAGE: Duration = Duration::from_secs(30);

/// Until when a process that does not know whether the end of a request was read takes it for unread.
const UNREAD: Duration = Duration::from_secs(86_400);

impl Request {
    pub(crate) fn new(
        client: Client,
        action: Action,
        words: &str,
        parameters: Parameters,
        key: Arc<ClaimKey>,
    ) -> Self {
        // Two texts, so that neither can be mistaken for a part of the other.
        let content = json!([words, parameters.canonical()]).to_string();
        let name = key.name(&content);
        Self {
            client,
            action,
            parameters,
            key,
            name,
        }
    }

    /// The approval's id.
    pub(crate) fn id(&self, generation: u32) -> String {
        self.handle(generation).1.id
    }

    /// The generation to use, and how its request stands if there is one. Fails when the gate does not answer for 30
    /// seconds; `on_outage` is called when it does not answer.
    pub(crate) async fn locate(
        &self,
        known: Option<Generation>,
        on_outage: impl Fn(),
    ) -> Result<(u32, Option<Approval>), Refusal> {
        let started = Instant::now();
        let mut pause = MIN_PAUSE;
        // Then what answers otherwise stands before the gate.
        let has_answered = known.is_some();
        loop {
            let found = match known {
                Some(Generation::Used(used)) => self.status(used).await.map(|it| (used, it)),
                Some(Generation::Next(next)) => self.latest(next, is_open).await,
                None => self.latest(0, is_unread).await,
            };
            match found {
                Err(error)
                    if error.is_transient()
                        && (has_answered || !may_be_set_wrongly(&error))
                        && started.elapsed() + pause < OUTAGE =>
                {
                    on_outage();
                    sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                Err(error) if has_answered && may_be_set_wrongly(&error) => {
                    return Err(error.into());
                }
                found => return found.map_err(Refusal::before_submit),
            }
        }
    }

    /// Submits the request of a generation. The client tries again while the gate does not answer.
    ///
    /// If another session has asked the same meanwhile, its request is this one too, also where the gate refuses this one,
    /// since the two differ in what is said of the tool, or in whom they ask. What runs is compared before the claim.
    pub(crate) async fn submit(&self, generation: u32) -> Result<Option<Approval>, Refusal> {
        let (action, handle) = self.handle(generation);
        match action.submit_as(handle, self.parameters.object()).await {
            Ok(pending) => Ok(pending.approval().cloned()),
            Err(refusal) if refusal.reason == Reason::Invalid => {
                match self.status(generation).await {
                    Ok(Some(approval)) => Ok(Some(approval)),
                    _ => Err(refusal),
                }
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Waits until the request of a generation, which was `stored` so, is no longer pending. Fails when the gate does not
    /// answer after the deadline; `on_outage` is called when it does not answer.
    pub(crate) async fn wait(
        &self,
        generation: u32,
        stored: Option<Approval>,
        on_pending: impl Fn(Approval),
        on_outage: impl Fn(),
    ) -> Result<Approval, Refusal> {
        let id = self.id(generation);
        let mut deadline = None;
        match stored {
            Some(approval) if approval.status != Status::Pending => return Ok(approval),
            Some(approval) => {
                deadline = deadline_of(&approval);
                on_pending(approval);
            }
            None => {}
        }
        let mut pause = MIN_PAUSE;
        // Where the host bills waiting calls, the gate asks for a longer pause, and the calls do not wait. The first
        // call finds that out.
        let mut may_wait = false;
        let mut is_away = false;
        loop {
            let wait = if may_wait { LONG_POLL } else { Duration::ZERO };
            let has_waited = std::mem::take(&mut may_wait);
            pause = match self.client.status(&id, wait).await {
                Ok((approval, _)) if approval.status != Status::Pending => return Ok(approval),
                Ok((approval, retry_after)) => {
                    is_away = false;
                    deadline = deadline_of(&approval);
                    on_pending(approval);
                    let pause = retry_after.unwrap_or(MIN_PAUSE);
                    may_wait = pause <= MIN_PAUSE;
                    if may_wait && !has_waited {
                        continue;
                    }
                    pause
                }
                // A later call reads what was decided before.
                Err(error) if deadline.is_some_and(|at| at <= OffsetDateTime::now_utc()) => {
                    return Err(error.into());
                }
                Err(error) if error.is_transient() => {
                    on_outage();
                    let pause = pause_after(&error, pause);
                    if !std::mem::replace(&mut is_away, true) {
                        let cause = Refusal::before_submit(error).loggable_detail();
                        tracing::warn!(id, cause, "the gate does not answer: it is asked again");
                    }
                    pause
                }
                Err(error) => return Err(error.into()),
            };
            sleep(pause).await;
        }
    }

    /// Claims the approval of a generation, if it is a verified one of exactly these parameters.
    pub(crate) async fn claim(&self, generation: u32) -> Result<Permit, Refusal> {
        let (action, handle) = self.handle(generation);
        action.resume(handle).claim(self.parameters.object()).await
    }

    async fn status(&self, generation: u32) -> Result<Option<Approval>, Error> {
        match self
            .client
            .status(&self.id(generation), Duration::ZERO)
            .await
        {
            Ok((approval, _)) => Ok(Some(approval)),
            Err(Error::Problem(problem)) if problem.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The latest generation from `first` on if its request is wanted, or else the next one. Generations are submitted
    /// in order, so the first one that is missing is found by halves.
    async fn latest(
        &self,
        first: u32,
        is_wanted: impl Fn(&Approval) -> bool,
    ) -> Result<(u32, Option<Approval>), Error> {
        let Some(approval) = self.status(first).await? else {
            return Ok((first, None));
        };
        let (mut latest, mut approval, mut step) = (first, approval, 1);
        while let Some(found) = self.status(latest + step).await? {
            (latest, approval, step) = (latest + step, found, step * 2);
        }
        let mut missing = latest + step;
        while missing - latest > 1 {
            let middle = latest + (missing - latest) / 2;
            match self.status(middle).await? {
                Some(found) => (latest, approval) = (middle, found),
                None => missing = middle,
            }
        }
        Ok(if is_wanted(&approval) {
            (latest, Some(approval))
        } else {
            (missing, None)
        })
    }

    fn handle(&self, generation: u32) -> (Action, Handle) {
        let correlation_id = format!("mcp-{}-{generation}", self.name);
        let action = self.action.clone().correlation_id(correlation_id);
        let Handle { id, .. } = action.prepare();
        let secret = self.key.claim_secret(&id);
        (action, Handle { id, secret })
    }
}

fn deadline_of(approval: &Approval) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&approval.expires_at, &Rfc3339).ok()
}

/// Whether the request has not ended.
fn is_open(approval: &Approval) -> bool {
    let execution = approval.execution.as_ref().map(|it| it.status);
    matches!(
        (approval.status, execution),
        (Status::Pending | Status::Unknown, _)
            | (
                Status::Approved,
                None | Some(ExecutionStatus::Executing | ExecutionStatus::Unknown)
            )
    )
}

/// Whether a caller that this process does not know of may still want the end of this request. The result of a run went
/// to the process that ran it.
fn is_unread(approval: &Approval) -> bool {
    if is_open(approval) {
        return true;
    }
    let execution = approval.execution.as_ref();
    let ended_at = match execution.map(|it| it.status) {
        Some(ExecutionStatus::Executed | ExecutionStatus::ExecutionFailed) => return false,
        _ => execution
            .map(|it| &it.timestamp)
            .or(approval.response_timestamp.as_ref()),
    };
    let ended_at = ended_at.and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    ended_at.is_some_and(|at| OffsetDateTime::now_utc() - at < UNREAD)
}

/// Whether the address or a setting may be wrong, if the gate has never answered.
fn may_be_set_wrongly(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidResponse(_) | Error::Tls { .. } | Error::NoToken(_)
    )
}

/// The pause before the next call, which comes after the last pause.
fn pause_after(error: &Error, last: Duration) -> Duration {
    match error.retry_after() {
        Some(asked) => asked.min(MAX_ASKED_PAUSE),
        None => (last * 2).min(MAX_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_not_missed_for_what_a_host_asks_for() {
        for (asked, seconds) in [(Some(900), 60), (Some(15), 15), (None, 10)] {
            let error = Error::Unavailable {
                status: 503,
                retry_after: asked.map(Duration::from_secs),
            };
            let pause = pause_after(&error, MAX_PAUSE);
            assert_eq!(pause, Duration::from_secs(seconds));
        }
    }
}
