//! The client's own runtime. Every call to the gate and every pause between calls runs on it, never on the
//! caller's runtime: a blocking call may hold that one's threads, it may end before a pooled connection
//! does, and there may be none.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;

/// One thread, started by the first call.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("human-oversight")
        .enable_all()
        .build()
        .expect("a thread can be started")
});

/// How many futures of [`spawn`] have not ended.
static UNFINISHED: LazyLock<watch::Sender<usize>> = LazyLock::new(watch::Sender::default);

/// Waits until the client has reported and withdrawn what it still has to: what became of a run whose
/// [`Permit`](crate::Permit) was dropped, and requests whose waiting future was dropped. These calls are made
/// in the background, and a process that ends before they do loses them. Call it last, before `main` returns.
/// While the gate is unavailable it takes up to two minutes.
pub async fn flush() {
    let mut unfinished = UNFINISHED.subscribe();
    // An error means that the sender is gone, which is static.
    unfinished.wait_for(|count| *count == 0).await.ok();
}

/// Like [`flush`], but blocks the thread.
pub fn flush_blocking() {
    wait(flush());
}

/// Runs `future` and returns its output. Dropping the wait cancels it.
pub(crate) async fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    struct Task<T>(JoinHandle<T>);
    impl<T> Drop for Task<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut task = Task(RUNTIME.spawn(future.in_current_span()));
    match (&mut task.0).await {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Runs `future` to its end, whether or not its output is awaited; [`flush`] waits for it. There is no
/// output if it panics.
pub(crate) fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = Option<T>> + Send + 'static {
    let unfinished = Unfinished::begin();
    let (sender, output) = oneshot::channel();
    let task = async move {
        // An output that nothing waits for is dropped here, before the task counts as finished.
        sender.send(future.await).ok();
        drop(unfinished);
    };
    RUNTIME.spawn(task.in_current_span());
    async move { output.await.ok() }
}

/// Runs `future` and blocks this thread until it ends. May be called inside another runtime, whose thread
/// it then blocks.
pub(crate) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = sync_channel(1);
    let task = RUNTIME.spawn(future.in_current_span());
    RUNTIME.spawn(async move { sender.send(task.await).ok() });
    match receiver.recv().expect("the runtime does not end") {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

pub(crate) async fn sleep(duration: Duration) {
    run(async move { tokio::time::sleep(duration).await }).await;
}

struct Unfinished;

impl Unfinished {
    fn begin() -> Self {
        UNFINISHED.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        UNFINISHED.send_modify(|count| *count -= 1);
    }
}
