//! The log, for tests.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::subscriber::DefaultGuard;

/// The log of what the gates of this thread do.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Collects the lines, as long as the result lives.
    pub(crate) fn collect(&self) -> DefaultGuard {
        let log = self.clone();
        let lines = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(lines)
    }

    /// All lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let log = self.0.lock().unwrap();
        let log = std::str::from_utf8(&log).unwrap();
        log.lines().map(str::to_owned).collect()
    }

    /// The number of lines with these words.
    pub(crate) fn count(&self, words: &str) -> usize {
        let log = self.0.lock().unwrap();
        let log = std::str::from_utf8(&log).unwrap();
        log.lines().filter(|line| line.contains(words)).count()
    }
}
