//! The calls that are being answered, and the end of the process, which waits for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Counts calls, and announces that the process ends.
#[derive(Default)]
pub struct Calls {
    open: AtomicUsize,
    ending: watch::Sender<bool>,
}

/// A call that is being answered, as long as it lives.
pub struct Call<'a>(&'a Calls);

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
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
