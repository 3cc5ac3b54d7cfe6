//! Waiting where nothing is `async`: the same steps, on a runtime of their own.

use std::fmt;
use std::future::Future;
use std::sync::LazyLock;
use std::sync::mpsc::sync_channel;

use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use crate::gate::Action;
use crate::outcome::{Outcome, Refusal};
use crate::parameters::Parameters;
use crate::permit::Permit;

/// One thread for all who wait; made when the first one does.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("human-oversight")
        .enable_all()
        .build()
        .expect("a thread can be started")
});

/// Waits on this thread for what runs on that one: so it may be called anywhere, in another runtime
/// too, whose thread it then holds up.
pub(crate) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (done, ended) = sync_channel(1);
    RUNTIME.spawn(async move { done.send(future.await).ok() });
    ended.recv().expect("what runs there does not panic")
}

impl Action {
    /// As [`Action::run`], on this thread, which it holds up until somebody decides.
    pub fn run_blocking<'p, P: Serialize, T>(
        &self,
        params: &'p P,
        action: impl FnOnce(&'p P) -> T,
    ) -> Outcome<T> {
        match self.claim_blocking(params) {
            Ok(permit) => {
                let value = action(params);
                permit.executed_blocking();
                Outcome::Executed(value)
            }
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// As [`Action::try_run`], on this thread, which it holds up until somebody decides.
    pub fn try_run_blocking<'p, P: Serialize, T, E: fmt::Display>(
        &self,
        params: &'p P,
        action: impl FnOnce(&'p P) -> Result<T, E>,
    ) -> Outcome<Result<T, E>> {
        match self.claim_blocking(params) {
            Ok(permit) => {
                let result = action(params);
                match &result {
                    Ok(_) => permit.executed_blocking(),
                    Err(error) => permit.failed_blocking(error),
                }
                Outcome::Executed(result)
            }
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// As [`Action::claim`], on this thread, which it holds up until somebody decides.
    ///
    /// # Errors
    /// When it is anything but a verified approval.
    pub fn claim_blocking(&self, params: &impl Serialize) -> Result<Permit, Refusal> {
        let parameters = Parameters::of(params).map_err(Refusal::invalid)?;
        let approved = parameters.digest();
        let action = self.clone();
        let permit = wait(async move {
            let pending = action.submit_exactly(Ok(parameters.clone())).await?;
            pending.granted(parameters).await
        })?;
        match Parameters::of(params) {
            Ok(now) if now.digest() == approved => Ok(permit),
            _ => Err(wait(permit.changed())),
        }
    }
}

impl Permit {
    /// As [`Permit::executed`], on this thread.
    pub fn executed_blocking(self) {
        wait(self.executed());
    }

    /// As [`Permit::failed`], on this thread.
    pub fn failed_blocking(self, error: impl fmt::Display) {
        wait(self.failed(error.to_string()));
    }
}
