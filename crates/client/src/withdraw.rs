use human_oversight_protocol::types::Withdrawal;

use crate::client::Client;
use crate::handle::Handle;
use crate::retry::retry_transient;
use crate::runtime;

/// Withdraws a request when it is dropped, unless it was disarmed: a request without a waiting agent
/// needs no decision.
pub(crate) struct WithdrawOnDrop {
    client: Client,
    handle: Option<Handle>,
}

impl WithdrawOnDrop {
    pub(crate) fn new(client: &Client, handle: &Handle) -> Self {
        Self {
            client: client.clone(),
            handle: Some(handle.clone()),
        }
    }

    pub(crate) fn disarm(mut self) {
        self.handle = None;
    }
}

impl Drop for WithdrawOnDrop {
    fn drop(&mut self) {
        if let Some(Handle { id, secret }) = self.handle.take() {
            let client = self.client.clone();
            drop(runtime::spawn(async move {
                let secret = Some(secret);
                let withdrawal = Withdrawal { secret };
                if let Err(error) = retry_transient(|| client.withdraw(&id, &withdrawal)).await {
                    tracing::warn!(id, %error, "the request could not be withdrawn");
                }
            }));
        }
    }
}
