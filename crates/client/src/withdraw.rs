use human_oversight_protocol::types::Withdrawal;
use tokio::runtime::Handle as Runtime;

use crate::client::Client;
use crate::handle::Handle;
use crate::retry::retry_transient;

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
        // Without a runtime the call cannot be made: the request then ends at its deadline.
        if let (Some(Handle { id, secret }), Ok(runtime)) =
            (self.handle.take(), Runtime::try_current())
        {
            let client = self.client.clone();
            runtime.spawn(async move {
                let secret = Some(secret);
                let withdrawal = Withdrawal { secret };
                if let Err(error) = retry_transient(|| client.withdraw(&id, &withdrawal)).await {
                    tracing::warn!(id, %error, "the request could not be withdrawn");
                }
            });
        }
    }
}
