//! What belongs to a task: the gate of a scope, and the proof of the gated function that runs in it.

use std::future::Future;

use crate::gate::Gate;
use crate::run_permit::Proof;

tokio::task_local! {
    static GATE: Gate;
    static PROOF: Proof;
}

impl Gate {
    /// Runs `future` with this gate in place of the environment's: the functions with `#[approval_gate]` that
    /// it calls use this one, unless they name a gate themselves. So a test of an agent needs no environment,
    /// and each test can have a gate of its own, such as a `MockGate`.
    ///
    /// A task or thread that `future` spawns is outside the scope: give it a scope of its own.
    pub async fn scope<T>(&self, future: impl Future<Output = T>) -> T {
        GATE.scope(self.clone(), future).await
    }

    /// Like [`Gate::scope`], for a function that is not `async`.
    pub fn scope_blocking<T>(&self, function: impl FnOnce() -> T) -> T {
        GATE.sync_scope(self.clone(), function)
    }

    /// The gate of the scope, if there is one.
    #[cfg(feature = "macros")]
    pub(crate) fn of_scope() -> Option<Self> {
        GATE.try_with(Self::clone).ok()
    }
}

impl Proof {
    /// The proof of the innermost function with `#[approval_gate]` that runs in this task, or in this thread if
    /// it is not `async`: for an action that passes it on to a service. There is none outside such functions,
    /// nor in a task or thread that one spawns.
    pub fn current() -> Option<Self> {
        PROOF.try_with(Self::clone).ok()
    }
}

/// Runs the body of a gated function.
#[cfg(feature = "macros")]
pub(crate) fn with_proof<F: Future>(
    proof: Proof,
    body: F,
) -> impl Future<Output = F::Output> + use<F> {
    PROOF.scope(proof, body)
}

/// Runs the body of a gated function that is not `async`.
#[cfg(feature = "macros")]
pub(crate) fn with_proof_blocking<T>(proof: Proof, body: impl FnOnce() -> T) -> T {
    PROOF.sync_scope(proof, body)
}
