//! Which requests the calls of this process wait for. One that no call waits for any more needs no decision.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use human_oversight_protocol::types::Withdrawal;

use crate::client::Client;
use crate::error::{Error, loggable};
use crate::handle::Handle;
use crate::retry::retry_transient;
use crate::runtime;

/// The gate's address, the request's id, and the digest of its secret.
type Key = (String, String, String);

static WAITED_FOR: LazyLock<Mutex<HashMap<Key, Waiting>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Waiting {
    calls: usize,
    /// Whether the gate may have the request, without a decision.
    may_be_open: bool,
    /// Whether a call has left it open, for another process or a later call.
    stays_open: bool,
}

/// The interest of one call in a request. When the last one is dropped, the request is withdrawn, if it may be open.
#[derive(Debug)]
pub(crate) struct Interest {
    client: Client,
    handle: Handle,
    /// Whether the request stays open after this call, and so after the others.
    is_detached: bool,
    /// Whether this call leaves it to others to withdraw the request.
    is_released: bool,
}

impl Interest {
    /// With `is_detached`, the request stays open after this call.
    pub(crate) fn new(client: &Client, handle: &Handle, is_detached: bool) -> Self {
        let interest = Self {
            client: client.clone(),
            handle: handle.clone(),
            is_detached,
            is_released: false,
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

    /// Leaves it to others to withdraw the request: to the wait that follows, or because it is that of another call.
    pub(crate) fn release(&mut self) {
        self.is_released = true;
    }

    fn set_open(&self, may_be_open: bool) {
        waited_for().entry(self.key()).or_default().may_be_open = may_be_open;
    }

    fn key(&self) -> Key {
        key(&self.client, &self.handle)
    }

    /// What was known of the request, if this was the last interest in it.
    fn end(&self) -> Option<Waiting> {
        let (mut waited_for, key) = (waited_for(), self.key());
        let waiting = waited_for.get_mut(&key)?;
        waiting.stays_open |= self.is_detached;
        waiting.calls -= 1;
        if waiting.calls > 0 {
            return None;
        }
        waited_for.remove(&key)
    }
}

impl Clone for Interest {
    fn clone(&self) -> Self {
        Self::new(&self.client, &self.handle, self.is_detached)
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let needs_end = |waiting: Waiting| waiting.may_be_open && !waiting.stays_open;
        if self.end().is_some_and(needs_end) && !self.is_released {
            let withdrawal = withdraw(self.client.clone(), self.handle.clone());
            drop(runtime::spawn(withdrawal));
        }
    }
}

fn waited_for() -> MutexGuard<'static, HashMap<Key, Waiting>> {
    WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(client: &Client, handle: &Handle) -> Key {
    let address = client.address().to_owned();
    (address, handle.id.clone(), handle.claimant())
}

/// Withdraws a request, unless a call waits for it meanwhile.
async fn withdraw(client: Client, handle: Handle) {
    let key = key(&client, &handle);
    let Handle { id, secret } = handle;
    let secret = Some(secret);
    let withdrawal = Withdrawal { secret };
    let attempt = || async {
        if waited_for().contains_key(&key) {
            return Ok(());
        }
        client.withdraw(&id, &withdrawal).await.map(drop)
    };
    match retry_transient(attempt).await {
        Ok(()) => {}
        // The gate never got it.
        Err(Error::Problem(problem)) if problem.status == 404 => {}
        Err(error) => {
            let error = loggable(&error.with_causes());
            tracing::warn!(id, error, "the request could not be withdrawn");
        }
    }
}
