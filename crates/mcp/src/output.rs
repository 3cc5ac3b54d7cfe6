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
        self.write_to(&mut *self.stdout.lock().await, line).await;
    }

    /// Writes bytes unless this holds once no other line is being written.
    pub(crate) async fn write_unless(&self, is_off: &AtomicBool, line: &[u8]) {
        let mut stdout = self.stdout.lock().await;
        if !is_off.load(Ordering::Relaxed) {
            self.write_to(&mut stdout, line).await;
        }
    }

    /// Whether the client has closed its end.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    async fn write_to(&self, stdout: &mut Stdout, line: &[u8]) {
        let written = stdout.write_all(line).await;
        if written.is_err() || stdout.flush().await.is_err() {
            self.is_broken.store(true, Ordering::Relaxed);
        }
    }
}
