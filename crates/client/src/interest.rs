//! Which requests the calls of this process wait for. One that no call waits for any more needs no decision.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use human_oversight_protocol::types::Withdrawal;

use crate::client::Client;
use crate::error::Error;
use crate::handle::Handle;
use crate::retry::retry_transient;
use crate::runtime;

/// By the gate's address and the request's id.
static WAITED_FOR: LazyLock<Mutex<HashMap<(String, String), Waiting>>> =
    LazyLock::new(Mutex::default);

#[derive(Default)]
struct Waiting {
    calls: usize,
    /// Whether the gate may have the request, without a decision.
    may_be_open: bool,
}

/// The interest of one call in a request. When the last one is dropped, the request is withdrawn, if it may be open.
#[derive(Debug)]
pub(crate) struct Interest {
    client: Client,
    handle: Handle,
    /// Whether the request is to be withdrawn after this call.
    withdraws: bool,
}

impl Interest {
    /// With `is_detached`, the request stays open after this call.
    pub(crate) fn new(client: &Client, handle: &Handle, is_detached: bool) -> Self {
        let interest = Self {
            client: client.clone(),
            handle: handle.clone(),
            withdraws: !is_detached,
        };
        waited_for().entry(interest.key()).or_default().calls += 1;
        interest
    }

    /// The gate has the request, or may have it.
    pub(crate) fn mark_open(&self) {
        self.set_open(true);
    }

    /// There is a decision, so that no call need withdraw the request.
    pub(crate) fn settle(self) {
        self.set_open(false);
    }

    /// The request stays open after this call.
    pub(crate) fn keep_open(mut self) -> Self {
        self.withdraws = false;
        self
    }

    fn set_open(&self, may_be_open: bool) {
        waited_for().entry(self.key()).or_default().may_be_open = may_be_open;
    }

    fn key(&self) -> (String, String) {
        (self.client.address().to_owned(), self.handle.id.clone())
    }

    /// What was known of the request, if this was the last interest in it.
    fn end(&self) -> Option<Waiting> {
        let (mut waited_for, key) = (waited_for(), self.key());
        let waiting = waited_for.get_mut(&key)?;
        waiting.calls -= 1;
        if waiting.calls > 0 {
            return None;
        }
        waited_for.remove(&key)
    }
}

impl Clone for Interest {
    fn clone(&self) -> Self {
        Self::new(&self.client, &self.handle, !self.withdraws)
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let is_open = self.end().is_some_and(|waiting| waiting.may_be_open);
        if is_open && self.withdraws {
            let withdrawal = withdraw(self.client.clone(), self.handle.clone());
            drop(runtime::spawn(withdrawal));
        }
    }
}

fn waited_for() -> MutexGuard<'static, HashMap<(String, String), Waiting>> {
    WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn withdraw(client: Client, Handle { id, secret }: Handle) {
    let secret = Some(secret);
    let withdrawal = Withdrawal { secret };
    match retry_transient(|| client.withdraw(&id, &withdrawal)).await {
        Ok(_) => {}
        // The gate never got it.
        Err(Error::Problem(problem)) if problem.status == 404 => {}
        Err(error) => tracing::warn!(id, %error, "the request could not be withdrawn"),
    }
}
