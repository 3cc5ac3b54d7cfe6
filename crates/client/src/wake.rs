//! Wakes the waits of this process that a callback is about.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::timeout;

use crate::runtime;

/// The ids of the requests that callbacks are about. A wait that misses some, because there are more at once, is woken
/// by that.
static NEWS: LazyLock<Sender<String>> = LazyLock::new(|| broadcast::channel(64).0);

/// Ends the sleep of each [`Alarm`] for this request, or the next one.
pub(crate) fn wake(id: &str) {
    // An error means that nothing waits.
    NEWS.send(id.to_owned()).ok();
}

/// A sleep that a callback ends. It misses none from its creation on.
pub(crate) struct Alarm {
    id: String,
    news: Receiver<String>,
}

impl Alarm {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            news: NEWS.subscribe(),
        }
    }

    /// Sleeps for this time at most.
    pub(crate) async fn sleep(mut self, longest: Duration) -> Self {
        runtime::run(async move {
            timeout(longest, self.ring()).await.ok();
            self
        })
        .await
    }

    async fn ring(&mut self) {
        loop {
            match self.news.recv().await {
                Ok(id) if id != self.id => {}
                // `Closed` does not happen: the sender is static.
                Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
            }
        }
    }
}
