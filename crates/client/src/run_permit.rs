use std::fmt;
use std::future::Future;

use human_oversight_protocol::types::{ERROR_CHARS, ExecutionStatus, GIVEN_UP, NOT_RUN, Report};

use crate::client::Client;
use crate::error::loggable;
use crate::handle::Handle;
use crate::outcome::Refusal;
use crate::retry::retry_transient;
use crate::runtime;

/// The right to run an action once, now: a verified and claimed approval. The gate expects a report of the
/// outcome. If the permit is dropped without one (a panic does that), the action counts as given up
/// halfway, and that is reported.
#[must_use = "the approval is used up: run the action and report its outcome"]
pub struct Permit {
    client: Client,
    handle: Option<Handle>,
    proof: Proof,
    /// The nonce of the claim, where it is not verified that the gate granted this one. Otherwise reports go without
    /// it, so that gates of earlier versions take them.
    unverified: Option<String>,
    /// Whether the action may have started.
    handed_out: bool,
}

/// What proves the right to run an action, for a service that demands it before it acts.
// All are empty in a permit that only reports that nothing ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proof {
    /// The signed receipt, a compact JWS; see [`crate::receipt`].
    pub receipt: String,
    /// The gate's signed permit, a compact JWS; see [`crate::permit`].
    pub permit: String,
    /// The approver, as the receipt names them.
    pub approver: String,
    /// The approver's comment, if the receipt covers it.
    pub comment: Option<String>,
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
    pub(crate) fn new(client: Client, handle: Handle, proof: Proof) -> Self {
        Self {
            client,
            handle: Some(handle),
            proof,
            unverified: None,
            handed_out: false,
        }
    }

    /// What only reports that nothing ran under this claim: the gate may have granted another one.
    pub(crate) fn unverified(client: Client, handle: Handle, nonce: &str) -> Self {
        let mut permit = Self::new(client, handle, Proof::default());
        permit.unverified = Some(nonce.to_owned());
        permit
    }

    /// Marks the point from which the action may have started.
    pub(crate) fn hand_out(mut self) -> Self {
        self.handed_out = true;
        self
    }

    /// The signed receipt, for a service that demands one before it acts.
    pub fn receipt(&self) -> &str {
        &self.proof.receipt
    }

    /// The gate's signed permit, a compact JWS, for a service that demands one with the receipt.
    pub fn jws(&self) -> &str {
        &self.proof.permit
    }

    /// Receipt and permit.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Reports that the action ran.
    pub async fn executed(self) {
        self.report(ExecutionStatus::Executed, None).await;
    }

    /// Reports that the action failed, with the first 2,000 characters of the error.
    pub async fn failed(self, error: impl fmt::Display) {
        let status = ExecutionStatus::ExecutionFailed;
        self.report(status, Some(error.to_string())).await;
    }

    /// Keeps the permit if the parameters are still those that were approved; else reports a failure.
    pub(crate) async fn revalidate(self, is_unchanged: bool) -> Result<Self, Refusal> {
        if is_unchanged {
            return Ok(self);
        }
        let why = format!("{NOT_RUN}: the parameters changed while the decision was awaited");
        self.failed(&why).await;
        Err(Refusal::unverified(why))
    }

    /// Reports in a task of its own, so that a caller that stops waiting has reported all the same.
    async fn report(mut self, status: ExecutionStatus, error: Option<String>) {
        if let Some(report) = self.spawn_report(status, error) {
            report.await;
        }
    }

    fn spawn_report(
        &mut self,
        status: ExecutionStatus,
        error: Option<String>,
    ) -> Option<impl Future<Output = Option<()>> + use<>> {
        let Handle { id, secret } = self.handle.take()?;
        let client = self.client.clone();
        let report = Report {
            status,
            error: error.map(|text| sanitize(&text)),
            nonce: self.unverified.take(),
            secret: Some(secret),
        };
        Some(runtime::spawn(async move {
            if let Err(error) = retry_transient(|| client.outcome(&id, &report)).await {
                let error = loggable(&error.with_causes());
                tracing::warn!(id, error, "the outcome could not be reported");
            }
        }))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let why = if self.handed_out {
            format!("{GIVEN_UP}: it may have run, or a part of it")
        } else {
            format!("{NOT_RUN}: nothing waited for the approval any more")
        };
        drop(self.spawn_report(ExecutionStatus::ExecutionFailed, Some(why)));
    }
}

/// Cuts the text to the gate's limit and replaces control characters, which a program's output often has
/// and the gate refuses.
fn sanitize(text: &str) -> String {
    let replace = |c: char| {
        if c.is_control() && c != '\n' && c != '\t' {
            '\u{FFFD}'
        } else {
            c
        }
    };
    text.chars().map(replace).take(ERROR_CHARS).collect()
}
