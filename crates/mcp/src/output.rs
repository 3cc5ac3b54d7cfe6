//! The client's side: whole lines, one at a time.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncWriteExt, Stdout};
use tokio::sync::Mutex;

pub(crate) struct Output {
    stdout: Mutex<Lines>,
    is_broken: AtomicBool,
}

struct Lines {
    stdout: Stdout,
    /// The server has ended in the middle of a line.
    is_open: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        let lines = Lines {
            stdout: tokio::io::stdout(),
            is_open: false,
        };
        Self {
            stdout: Mutex::new(lines),
            is_broken: AtomicBool::new(false),
        }
    }

    /// Writes bytes as they are, but ends first a line that the server has left open. What the client no longer reads is lost.
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

    async fn write_to(&self, lines: &mut Lines, line: &[u8]) {
        if lines.write(line).await.is_err() {
            self.is_broken.store(true, Ordering::Relaxed);
        }
    }
}

impl Lines {
    async fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_open {
            self.stdout.write_all(b"\n").await?;
        }
        self.is_open = !line.ends_with(b"\n");
        self.stdout.write_all(line).await?;
        self.stdout.flush().await
    }
}
