//! Retries of an operation, and their time limits.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::fault::Fault;
use crate::keys::random_bytes;

/// The time for one response, and for all attempts.
pub(super) struct RetryPolicy {
    answer: Duration,
    in_all: Duration,
}

/// For one row: a decision takes two or three operations before its answer, one after another, and its caller gives up
/// after 30 s.
pub(super) const POINT: RetryPolicy = RetryPolicy {
    answer: Duration::from_secs(3),
    in_all: Duration::from_secs(7),
};

/// For a query: the service searches for up to 5 s before it gives a page.
pub(super) const QUERY: RetryPolicy = RetryPolicy {
    answer: Duration::from_secs(12),
    in_all: Duration::from_secs(15),
};

/// How long a correction of the index may take. It is tried once: the sweep would do it too.
const CORRECTION: Duration = Duration::from_secs(1);

/// The first pause between attempts; each pause doubles, less jitter.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends until there is a final response or the time is up; returns the number of attempts too.
pub(super) async fn with_retry<T, F>(
    policy: RetryPolicy,
    send: impl Fn() -> F,
) -> (Result<T, Fault>, u32)
where
    F: Future<Output = azure_core_legacy::Result<T>>,
{
    let until = Instant::now() + policy.in_all;
    let mut tries = 0;
    loop {
        tries += 1;
        let answer_by = until.min(Instant::now() + policy.answer);
        let fault = match in_time(answer_by, send()).await {
            Ok(answer) => return (Ok(answer), tries),
            Err(fault) => fault,
        };
        let pause = pause(tries, &fault);
        if !fault.is_transient() || Instant::now() + pause >= until {
            return (Err(fault), tries);
        }
        tokio::time::sleep(pause).await;
    }
}

/// At least the `Retry-After` of the service.
fn pause(tries: u32, fault: &Fault) -> Duration {
    let longest = PAUSE * 2_u32.pow(tries.min(5) - 1);
    let jitter = f64::from(random_bytes::<1>()[0]) / 512.0;
    let pause = longest.mul_f64(1.0 - jitter);
    match fault {
        Fault::Busy {
            retry_after: Some(asked),
            ..
        } => pause.max(*asked),
        _ => pause,
    }
}

/// Corrects the index. A failure loses nothing: the sweep reads the row and corrects the entry.
pub(super) async fn correct_index<T>(send: impl Future<Output = azure_core_legacy::Result<T>>) {
    match in_time(Instant::now() + CORRECTION, send).await {
        Err(fault) if !fault.is_code("ResourceNotFound") => {
            tracing::debug!(cause = %fault, "an entry of what is due could not be tidied");
        }
        _ => {}
    }
}

async fn in_time<T>(
    until: Instant,
    send: impl Future<Output = azure_core_legacy::Result<T>>,
) -> Result<T, Fault> {
    match timeout_at(until, send).await {
        Ok(answer) => answer.map_err(Fault::from),
        Err(_) => Err(Fault::Lost("it took too long".to_owned())),
    }
}
