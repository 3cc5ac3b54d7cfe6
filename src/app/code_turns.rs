//! Checks the codes of one person one after another in this process, so that codes sent at once are counted before the
//! next one is looked at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// The forms with a code that are being applied, by the name of the person's row.
#[derive(Default)]
pub struct CodeTurns(StdMutex<HashMap<String, Weak<Mutex<()>>>>);

/// The turn of one form; dropping it lets the next one of the same person go on.
pub(super) struct CodeTurn {
    _turn: OwnedMutexGuard<()>,
}

impl CodeTurns {
    /// Waits until no other form of this person is being applied.
    pub(super) async fn take(&self, person: &str) -> CodeTurn {
        CodeTurn {
            _turn: self.line(person).lock_owned().await,
        }
    }

    fn line(&self, person: &str) -> Arc<Mutex<()>> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(person).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::default();
        lines.insert(person.to_owned(), Arc::downgrade(&line));
        line
    }
}
