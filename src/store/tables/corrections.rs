//! Corrections of the due index for which no caller waits: removing an entry that its row no longer names, and
//! moving one to later. One that is lost costs the sweep a read.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;
use tracing::Instrument;

/// The corrections that are under way.
#[derive(Default)]
pub(in crate::store) struct Corrections {
    under_way: Mutex<JoinSet<()>>,
    /// Held by what waits for those that it has taken out, so that what comes later waits for them too.
    settling: tokio::sync::Mutex<()>,
}

impl Corrections {
    pub(super) fn begin(&self, correction: impl Future<Output = ()> + Send + 'static) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while under_way.try_join_next().is_some() {}
        under_way.spawn(correction.in_current_span());
    }

    /// Waits until those that are under way have ended.
    pub(super) async fn settle(&self) {
        let _alone = self.settling.lock().await;
        let mut under_way = {
            let mut under_way = self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *under_way)
        };
        while under_way.join_next().await.is_some() {}
    }
}
