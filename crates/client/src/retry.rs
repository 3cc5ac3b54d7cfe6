use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Error;

/// How long a call is retried while the gate is unavailable, where the call has no deadline of its own.
pub(crate) const OUTAGE_RETRY_WINDOW: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Repeats a call after transient errors, within [`OUTAGE_RETRY_WINDOW`]. All routes of the gate are
/// idempotent.
pub(crate) async fn retry_transient<T, Fut>(call: impl Fn() -> Fut) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Error>>,
{
    let deadline = Instant::now() + OUTAGE_RETRY_WINDOW;
    let mut pause = FIRST_PAUSE;
    loop {
        match call().await {
            Err(error) if error.is_transient() => {
                let wait = error.retry_after().unwrap_or(pause);
                if Instant::now() + wait > deadline {
                    return Err(error);
                }
                sleep(wait).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
            result => return result,
        }
    }
}
