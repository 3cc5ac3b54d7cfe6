use std::future::Future;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::runtime::sleep;

/// How long a call is retried while the gate is unavailable, where the call has no deadline of its own.
pub(crate) const OUTAGE_RETRY_WINDOW: Duration = Duration::from_secs(60);

/// How long a gate is called that has never responded.
const FIRST_CONTACT_WINDOW: Duration = Duration::from_secs(30);

/// How often an outage is logged.
const OUTAGE_LOG_INTERVAL: Duration = Duration::from_secs(30);

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Repeats a call after transient errors, within [`OUTAGE_RETRY_WINDOW`]. All routes of the gate are
/// idempotent.
pub(crate) async fn retry_transient<T, Fut>(call: impl Fn() -> Fut) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Error>>,
{
    retry(call, |_| OUTAGE_RETRY_WINDOW).await
}

/// The same for a call before anything was submitted: a gate that does not respond is given up earlier,
/// and at once if what answers is no gate, its certificate is not accepted, or there is no access token for it.
pub(crate) async fn retry_first_contact<T, Fut>(call: impl Fn() -> Fut) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Error>>,
{
    let window = |error: &Error| match error {
        Error::Tls { .. } | Error::NoToken(_) | Error::InvalidResponse(_) => Duration::ZERO,
        Error::Unreachable { .. } => FIRST_CONTACT_WINDOW,
        _ => OUTAGE_RETRY_WINDOW,
    };
    retry(call, window).await
}

async fn retry<T, Fut>(
    call: impl Fn() -> Fut,
    window: impl Fn(&Error) -> Duration,
) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Error>>,
{
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut outage = OutageLog::default();
    loop {
        match call().await {
            Err(error) if error.is_transient() => {
                let left = window(&error).saturating_sub(started.elapsed());
                if left.is_zero() {
                    return Err(error);
                }
                outage.warn(&error);
                // Whatever the gate asks for, it is called once more at the end.
                sleep(error.retry_after().unwrap_or(pause).min(left)).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
            result => return result,
        }
    }
}

/// Logs that the gate does not answer: at the first call that fails, and later once in an interval.
#[derive(Default)]
pub(crate) struct OutageLog {
    warned: Option<Instant>,
}

impl OutageLog {
    pub(crate) fn warn(&mut self, error: &Error) {
        if self
            .warned
            .is_none_or(|at| at.elapsed() >= OUTAGE_LOG_INTERVAL)
        {
            self.warned = Some(Instant::now());
            tracing::warn!(
                "the gate does not answer: {}; trying again",
                error.with_causes()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_gate_that_asks_for_a_longer_wait_is_called_once_more() {
        let calls = AtomicU32::new(0);
        let busy = async || {
            calls.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(Error::Unavailable {
                status: 503,
                retry_after: Some(Duration::from_secs(900)),
            })
        };
        let window = Duration::from_millis(50);
        let error = retry(busy, |_| window).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { status: 503, .. }));
        assert_eq!(calls.into_inner(), 2);
    }
}
