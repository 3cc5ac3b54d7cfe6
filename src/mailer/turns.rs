//! A semaphore that serves its queues in turn, so that no owner's emails wait behind all those of another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A number of permits, for which callers wait in queues.
pub(super) struct Turns(Mutex<State>);

struct State {
    free: usize,
    queues: HashMap<String, VecDeque<oneshot::Sender<Turn>>>,
    /// The queues that are not empty; the first is served next.
    order: VecDeque<String>,
}

/// A permit; its drop gives the turn to the next queue.
pub(super) struct Turn(Option<Arc<Turns>>);

impl Turns {
    pub(super) fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: permits,
            queues: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    /// Waits for a permit. Within a queue the first caller is served first.
    pub(super) async fn wait(self: &Arc<Self>, queue: &str) -> Turn {
        let waiting = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Turn(Some(self.clone()));
            }
            let (sender, receiver) = oneshot::channel();
            let waiters = state.queues.entry(queue.to_owned()).or_default();
            waiters.push_back(sender);
            if waiters.len() == 1 {
                state.order.push_back(queue.to_owned());
            }
            receiver
        };
        waiting.await.expect("a waiter is served, or dropped first")
    }

    /// Gives a permit to the next caller who still waits, or keeps it.
    fn pass_on(self: &Arc<Self>) {
        loop {
            let Some(waiter) = self.state().next() else {
                return;
            };
            match waiter.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // This caller has given up. The permit must not be passed on twice.
                Err(mut turn) => turn.0 = None,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next waiter; without one, the permit becomes free.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let Some(queue) = self.order.pop_front() else {
            self.free += 1;
            return None;
        };
        let waiters = self.queues.get_mut(&queue)?;
        let waiter = waiters.pop_front();
        if waiters.is_empty() {
            self.queues.remove(&queue);
        } else {
            self.order.push_back(queue);
        }
        waiter
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn queues_are_served_in_turn() {
        let turns = Turns::new(1);
        let mut held = turns.wait("a").await;
        let names = ["a1", "a2", "a3", "b1", "b2", "c1"];
        let mut waiting: Vec<_> = names
            .iter()
            .map(|name| {
                let turns = turns.clone();
                Some(Box::pin(async move { turns.wait(&name[..1]).await }))
            })
            .collect();
        for waiter in waiting.iter_mut().flatten() {
            assert!(waiter.as_mut().now_or_never().is_none());
        }
        // This one gives up.
        waiting[1] = None;
        let mut served = Vec::new();
        for _ in 0..5 {
            drop(held);
            let next = waiting.iter_mut().enumerate().find_map(|(index, waiter)| {
                let turn = waiter.as_mut()?.as_mut().now_or_never()?;
                Some((index, turn))
            });
            let (index, turn) = next.expect("a waiter is served");
            waiting[index] = None;
            served.push(names[index]);
            held = turn;
        }
        // The caller that gave up has used its queue's turn.
        assert_eq!(served, ["a1", "b1", "c1", "b2", "a3"]);
        drop(held);
        assert!(turns.wait("d").now_or_never().is_some());
    }
}
