//! No test waits without an end.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::Location;
use std::sync::{Mutex, Once, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::proof::cases;

/// The longest wait for one thing: many times what it takes, on a busy machine too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

/// The output of `future`. The test fails when it takes longer than [`DEADLINE`].
#[track_caller]
pub(crate) fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        let output = timeout(DEADLINE, future).await;
        output.unwrap_or_else(|_| panic!("waited for {DEADLINE:?} at {caller}"))
    }
}

/// The same for `work` that blocks.
#[track_caller]
pub(crate) fn blocking_within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, output) = mpsc::channel();
    thread::spawn(move || done.send(work()).ok());
    let output = output.recv_timeout(DEADLINE);
    output.unwrap_or_else(|_| panic!("waited for {DEADLINE:?}"))
}

/// What `look` returns once it returns something. The test fails when that takes longer than
/// [`DEADLINE`].
#[track_caller]
pub(crate) fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    within(async move {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(Duration::from_millis(10)).await;
        }
    })
}

/// Held by each gate of a test, so that calls that wait for a decision end too: when it is held for
/// longer than a test may take, the whole run ends and names the test.
pub(crate) struct TestDeadline(u64);

/// When each was started, and by which test; the first is the oldest.
static HELD: Mutex<BTreeMap<u64, (Instant, String)>> = Mutex::new(BTreeMap::new());

impl TestDeadline {
    pub(crate) fn start() -> Self {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| drop(thread::spawn(watch)));
        let test = thread::current().name().unwrap_or_default().to_owned();
        let mut held = HELD.lock().unwrap();
        let number = held.last_key_value().map_or(0, |(last, _)| last + 1);
        held.insert(number, (Instant::now(), test));
        Self(number)
    }
}

impl Drop for TestDeadline {
    fn drop(&mut self) {
        HELD.lock().unwrap().remove(&self.0);
    }
}

fn watch() {
    let longest = Duration::from_secs(cases(900, 7_200));
    loop {
        thread::sleep(Duration::from_secs(1));
        let held = HELD.lock().unwrap();
        if let Some((_, (since, test))) = held.first_key_value()
            && since.elapsed() > longest
        {
            // Not by a macro: the test harness captures those.
            writeln!(io::stderr(), "\n!! {test} has not ended within {longest:?}").ok();
            std::process::exit(101);
        }
    }
}
