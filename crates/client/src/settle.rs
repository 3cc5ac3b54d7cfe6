//! A callback of the gate, and what an agent does with it: it settles the request that it is about.

use std::fmt;
use std::future::Future;

use human_oversight_protocol::callback::{NotVerified, Secret};
use serde::Serialize;
use time::OffsetDateTime;

use crate::action::Action;
use crate::error::Error;
use crate::gate::Gate;
use crate::handle::{Handle, approval_id};
use crate::outcome::Outcome;
use crate::pending::infallible;
use crate::wake::wake;

/// A verified callback: there is news of a request. It proves no decision, so it says nothing of one:
/// [`Action::settle`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Callback {
    /// The approval's id, which is the [`Handle::id`] of the stored handle.
    pub id: String,
    /// The agent that submitted the request.
    pub agent_name: String,
    /// The agent's own name for the request.
    pub correlation_id: String,
    /// The agent's own text, as [`NewCallback`](crate::types::NewCallback) had it.
    pub state: Option<String>,
}

/// Why a callback counts for nothing. Answer it with `401`: the gate then tries again for some time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// This process has no secret to verify it with.
    #[error("there is no secret for callbacks: set HO_CALLBACK_SECRET")]
    NoSecret,
    /// It is not the gate's, or was not sent now.
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
}

impl Gate {
    /// The secret of the channel by which this agent gets its callbacks: `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn callback_secret(mut self, secret: &str) -> Result<Self, Error> {
        let invalid = |why| Error::Settings(format!("HO_CALLBACK_SECRET: {why}"));
        self.callback_secret = Some(Secret::parse(secret).map_err(invalid)?);
        Ok(self)
    }

    /// Verifies a callback as the agent's web server got it: all headers of the call, such as those of a `HeaderMap`,
    /// and the bytes of its body. Then look up what is stored for its [`Callback::id`], and settle it with
    /// [`Action::settle`]; the [front page](crate#callbacks) has an example.
    ///
    /// What waits for this request in this process, such as a function with `#[approval_gate]`, looks at once.
    ///
    /// # Errors
    /// When it is anything but a callback of the gate's, signed with the secret (`HO_CALLBACK_SECRET`, or
    /// [`Gate::callback_secret`]) and sent within five minutes of now.
    pub fn on_callback<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        headers: impl IntoIterator<Item = (N, V)>,
        body: impl AsRef<[u8]>,
    ) -> Result<Callback, CallbackError> {
        let secret = self.callback_secret.as_ref();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let verified =
            secret
                .ok_or(CallbackError::NoSecret)?
                .verify(headers, body.as_ref(), now)?;
        let id = approval_id(&verified.data.agent_name, &verified.data.correlation_id);
        wake(&id);
        Ok(Callback {
            id,
            agent_name: verified.data.agent_name,
            correlation_id: verified.data.correlation_id,
            state: verified.data.state,
        })
    }
}

impl Action {
    /// Looks at a request that was submitted under a stored handle, and runs `action` on `params` if it is a verified
    /// approval of exactly these, like [`Action::run_as`]; but it does not wait. There is no outcome if there is no
    /// decision yet.
    ///
    /// It may be called any number of times, by several processes at once: `action` runs once, and each other call is
    /// refused as [`Reason::Used`](crate::Reason::Used). The gate repeats a callback that is not answered in time, so
    /// an `action` that takes longer than some seconds meets such a call. After [`Reason::Unavailable`] and
    /// [`Reason::Paused`] a later call may succeed, so keep the handle. Dropping the future leaves the request pending.
    ///
    /// [`Reason::Unavailable`]: crate::Reason::Unavailable
    /// [`Reason::Paused`]: crate::Reason::Paused
    pub async fn settle<'p, P, T, F, Fut>(
        &self,
        handle: Handle,
        params: &'p P,
        action: F,
    ) -> Option<Outcome<T>>
    where
        P: Serialize,
        F: FnOnce(&'p P) -> Fut,
        Fut: Future<Output = T>,
    {
        let run = |params| infallible(action(params));
        let outcome = self.try_settle(handle, params, run).await?;
        Some(outcome.map(|Ok(value)| value))
    }

    /// Like [`Action::settle`], for an action that can fail: the report says whether it did.
    pub async fn try_settle<'p, P, T, E, F, Fut>(
        &self,
        handle: Handle,
        params: &'p P,
        action: F,
    ) -> Option<Outcome<Result<T, E>>>
    where
        P: Serialize,
        E: fmt::Display,
        F: FnOnce(&'p P) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let outcome = match self.resume(handle).look().await {
            Ok(Some(decided)) => decided.try_run(params, action).await,
            Ok(None) => return None,
            Err(refusal) => Outcome::Refused(refusal),
        };
        Some(outcome.logged())
    }
}
