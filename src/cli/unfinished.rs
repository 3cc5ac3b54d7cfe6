//! What a command is writing, and deletes if it is stopped: a part of it is of no use, and may be personal data.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file or folder that is deleted when SIGINT or SIGTERM ends the program. SIGHUP is left alone: `nohup` has it ignored.
pub(crate) struct Unfinished(Arc<Mutex<Option<PathBuf>>>);

impl Unfinished {
    /// Makes the file or folder at `path`. From then on those signals delete it; where they cannot be received, they end the program as ever.
    pub(crate) fn make<T>(
        path: &Path,
        make: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(Self, T)> {
        let unfinished = Arc::new(Mutex::new(None));
        #[cfg(unix)]
        unix::delete_when_stopped(unfinished.clone()).ok();
        // Locked, so that a signal finds nothing or what is to be deleted.
        let mut to_delete = unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        let made = make()?;
        *to_delete = Some(path.to_owned());
        drop(to_delete);
        Ok((Self(unfinished), made))
    }

    /// Keeps what was made: it is complete, or deleted already.
    pub(crate) fn end(self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::{remove_dir_all, remove_file, rename};
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError, mpsc};
    use std::{io, thread};

    use tokio::runtime::Builder;
    use tokio::signal::unix::{SignalKind, signal};

    /// Listens in a thread of its own: the program's only one may wait for a file.
    pub(super) fn delete_when_stopped(unfinished: Arc<Mutex<Option<PathBuf>>>) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let (listening, is_listening) = mpsc::channel();
        thread::spawn(move || {
            runtime.block_on(async {
                let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
                let [Ok(mut interrupt), Ok(mut terminate)] = kinds.map(signal) else {
                    return;
                };
                listening.send(()).ok();
                let kind = tokio::select! {
                    _ = interrupt.recv() => kinds[0],
                    _ = terminate.recv() => kinds[1],
                };
                // Held to the end, so that what is whole meanwhile stays.
                let path = unfinished.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(path) = path.as_ref() {
                    delete(path);
                }
                std::process::exit(128 + kind.as_raw_value());
            });
        });
        // Without an answer the thread has ended.
        is_listening.recv().ok();
        Ok(())
    }

    /// Deletes a file or folder under another name: nothing is written into that meanwhile.
    fn delete(path: &Path) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".stopped");
        let path = match rename(path, &aside) {
            Ok(()) => Path::new(&aside),
            Err(_) => path,
        };
        remove_file(path).or_else(|_| remove_dir_all(path)).ok();
    }
}
