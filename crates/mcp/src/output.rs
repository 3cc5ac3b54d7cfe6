//! The client's side: whole lines, one at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncWriteExt, Stdout};
use tokio::sync::Mutex;

pub(crate) struct Output {
    stdout: Mutex<Stdout>,
    is_broken: AtomicBool,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            stdout: Mutex::new(tokio::io::stdout()),
            is_broken: AtomicBool::new(false),
        }
    }

    /// Writes bytes as they are. What the client no longer reads is lost.
    pub(crate) async fn write(&self, line: &[u8]) {
        let mut stdout = self.stdout.lock().await;
        let written = stdout.write_all(line).await;
        if written.is_err() || stdout.flush().await.is_err() {
            self.is_broken.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the client has closed its end.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }
}
