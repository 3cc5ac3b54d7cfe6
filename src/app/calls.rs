//! The calls that are being answered, what they leave to tasks, and the end of the process, which waits for both.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;
use tracing::Instrument;

/// Counts calls, and announces that the process ends.
#[derive(Default)]
pub struct Calls {
    open: AtomicUsize,
    ending: watch::Sender<bool>,
    /// The number of tasks for which no call waits.
    tasks: watch::Sender<usize>,
}

/// A call that is being answered, as long as it lives.
pub struct Call<'a>(&'a Calls);

/// A task that runs, as long as this lives.
struct Task(watch::Sender<usize>);

impl Calls {
    pub fn begin(&self) -> Call<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Call(self)
    }

    /// The number of calls that are being answered.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Announces the end: no call is accepted from now on, and none waits for a decision any longer.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Waits for that announcement.
    pub async fn ending(&self) {
        let mut ending = self.ending.subscribe();
        // The sender lives as long as this, so there is no error.
        ending.wait_for(|is_ending| *is_ending).await.ok();
    }

    /// Runs a task in the background: no call waits for it, but [`Calls::settle`] does.
    pub(super) fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let task = Task(self.tasks.clone());
        self.tasks.send_modify(|count| *count += 1);
        let working = async move {
            let _task = task;
            work.await;
        };
        tokio::spawn(working.in_current_span());
    }

    /// Waits until no such task runs.
    pub async fn settle(&self) {
        let mut tasks = self.tasks.subscribe();
        tasks.wait_for(|count| *count == 0).await.ok();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
