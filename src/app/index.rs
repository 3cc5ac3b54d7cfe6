//! Notices a due index that was lost, and rebuilds it, over several sweeps if one has not the time.

use tokio::time::Instant;

use super::index_rebuild::Progress;
use super::state::App;
use crate::store::StoreError;

impl App {
    /// Rebuilds the due index if it is not whole, at most until a time; the next sweep goes on from there. Without
    /// an earlier sweep it is not lost but new. The marker is read unless this sweep has seen it.
    ///
    /// # Errors
    /// The store's own.
    pub(super) async fn restore_index(
        &self,
        has_swept: bool,
        has_marker: bool,
        until: Instant,
    ) -> Result<(), StoreError> {
        // Another sweep of this process is at it.
        let Ok(mut progress) = self.index_rebuild.0.try_lock() else {
            return Ok(());
        };
        if progress.is_none() {
            if has_marker || self.store.is_index_whole().await? {
                return Ok(());
            }
            if has_swept {
                tracing::error!("the due index was lost: it is being rebuilt");
            }
            *progress = Some(Progress {
                cursor: None,
                entries: 0,
                was_lost: has_swept,
            });
        }
        while let Some(under_way) = progress.as_mut() {
            let (entries, next) = self.store.rebuild_index(under_way.cursor.clone()).await?;
            under_way.entries += entries;
            under_way.cursor = next;
            if under_way.cursor.is_none() {
                let (entries, was_lost) = (under_way.entries, under_way.was_lost);
                if was_lost {
                    tracing::warn!(entries, "the due index was rebuilt");
                }
                *progress = None;
            } else if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }
}
