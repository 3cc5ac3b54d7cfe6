//! The calls that are held, from the question to the result.
//!
//! Calls of the same content are one request and one run: each of them waits for it, as long as its client does.
//! No one is asked, and nothing is claimed or run, without a call that waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use human_oversight_client::types::{Approval, ExecutionStatus, NOT_RUN};
use human_oversight_client::{Permit, Reason, Refusal};
use tokio::sync::watch;

use crate::call::Meta;
use crate::end::{End, Ended, log_refusal};
use crate::lock::lock;
use crate::request::{Generation, Request};
use crate::server::Server;

/// How far a held call is.
#[derive(Clone)]
pub(crate) enum Stage {
    /// The gate has not answered yet.
    Asking,
    /// The gate cannot be reached so far.
    Away,
    Pending(Box<Approval>),
    Running,
    Ended(Arc<Ended>),
}

/// What a call that joins gets.
pub(crate) enum Joined {
    Seat(Seat),
    /// The end that no call has got.
    Kept(Arc<Ended>),
}

/// A call that waits, until it is dropped.
pub(crate) struct Seat(watch::Receiver<Stage>);

pub(crate) struct HeldCalls {
    server: Arc<Server>,
    state: Mutex<State>,
    /// How many requests are being worked on.
    busy: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    /// The requests that calls wait for, by name.
    open: HashMap<String, Open>,
    generations: HashMap<String, Generation>,
    /// Ends that no call has got when they came.
    kept: HashMap<String, Kept>,
    /// No call will come any more.
    is_over: bool,
}

struct Open {
    stage: Arc<watch::Sender<Stage>>,
    /// Of the call that came last.
    meta: Arc<Meta>,
}

struct Kept {
    since: Instant,
    ended: Arc<Ended>,
}

/// How long an end is kept that no call has got.
const KEEP: Duration = Duration::from_secs(600);

impl HeldCalls {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            state: Mutex::default(),
            busy: watch::Sender::default(),
        }
    }

    /// Joins the request, or begins it.
    pub(crate) fn join(self: &Arc<Self>, request: Request, meta: Arc<Meta>) -> Joined {
        let mut state = self.state();
        state.forget(Instant::now());
        if let Some(kept) = state.kept.get(&request.name) {
            return Joined::Kept(kept.ended.clone());
        }
        let name = request.name.clone();
        if let Some(open) = state.open.get_mut(&name) {
            open.meta = meta;
            return Joined::Seat(Seat(open.stage.subscribe()));
        }
        let (sender, stage) = watch::channel(Stage::Asking);
        let sender = Arc::new(sender);
        let open = Open {
            stage: sender.clone(),
            meta,
        };
        state.open.insert(name, open);
        self.busy.send_modify(|busy| *busy += 1);
        let held = self.clone();
        tokio::spawn(async move {
            held.work(&request, &sender).await;
            held.busy.send_modify(|busy| *busy -= 1);
        });
        Joined::Seat(Seat(stage))
    }

    /// Stops waiting. Whether the call was run, or has run: nothing runs for it after this.
    pub(crate) fn leave(&self, seat: Seat) -> bool {
        // Locked, so that it does not begin to run between the look and the leave.
        let _state = self.state();
        let has_run = match &*seat.0.borrow() {
            Stage::Running => true,
            Stage::Ended(ended) => matches!(ended.end(), End::Answered(_) | End::Lost(_)),
            Stage::Asking | Stage::Away | Stage::Pending(_) => false,
        };
        drop(seat);
        has_run
    }

    /// Nothing runs from now on that does not run yet.
    pub(crate) fn close(&self) {
        self.state().is_over = true;
    }

    /// The server answers no more: nor does anything run that does not run yet.
    pub(crate) fn end_runs(&self) {
        // First, so that no claim is made for what cannot run.
        self.close();
        self.server.give_up_runs();
    }

    /// Waits until nothing is being claimed, run or reported.
    pub(crate) async fn idle(&self) {
        // An error means that the sender is gone, which `self` owns.
        self.busy.subscribe().wait_for(|busy| *busy == 0).await.ok();
    }

    async fn work(&self, request: &Request, stage: &watch::Sender<Stage>) {
        let decided = loop {
            tokio::select! {
                decided = self.ask(request, stage) => break decided,
                () = stage.closed() => if self.give_up(request, stage) { return },
            }
        };
        let (generation, approval) = match decided {
            Ok(decided) => decided,
            Err(refusal) => return self.refuse(request, stage, refusal, None),
        };
        // A claim uses the approval up.
        if self.give_up(request, stage) {
            return;
        }
        match request.claim(generation).await {
            Ok(permit) => self.run(request, stage, generation, permit).await,
            Err(refusal) => self.refuse(request, stage, refusal, Some(approval)),
        }
    }

    /// Asks, unless the request is open, and waits for the decision.
    async fn ask(
        &self,
        request: &Request,
        stage: &watch::Sender<Stage>,
    ) -> Result<(u32, Approval), Refusal> {
        let known = self.state().generations.get(&request.name).copied();
        let on_pending = |approval| {
            stage.send_replace(Stage::Pending(Box::new(approval)));
        };
        let on_outage = || {
            stage.send_replace(Stage::Away);
        };
        let (generation, found) = request.locate(known, on_outage).await?;
        let stored = match found {
            None => {
                // A request that is not stored has no end, so a later one is another session's.
                self.state().know(request, Generation::Next(generation));
                request.submit(generation).await?
            }
            found => found,
        };
        self.state().know(request, Generation::Used(generation));
        let approval = request
            .wait(generation, stored, on_pending, on_outage)
            .await?;
        Ok((generation, approval))
    }

    /// Gives the request up if no call waits for it any more, or none can run. It stays open at the gate.
    fn give_up(&self, request: &Request, stage: &watch::Sender<Stage>) -> bool {
        let mut state = self.state();
        let is_vain = stage.receiver_count() == 0 || state.is_over;
        if is_vain {
            state.open.remove(&request.name);
        }
        is_vain
    }

    async fn run(
        &self,
        request: &Request,
        stage: &watch::Sender<Stage>,
        generation: u32,
        permit: Permit,
    ) {
        let Some(meta) = self.caller(request, stage, generation) else {
            return permit
                .failed(format!("{NOT_RUN}: no call waited for it any more"))
                .await;
        };
        match self.server.run(&request.parameters, &meta).await {
            Ok(answer) => {
                let failure = answer.failure();
                self.end(request, stage, Some(generation + 1), End::Answered(answer));
                match failure {
                    None => permit.executed().await,
                    Some(error) => permit.failed(error).await,
                }
            }
            Err(lost) => {
                // Reports that it was given up while it ran.
                drop(permit);
                self.end(request, stage, Some(generation + 1), End::Lost(lost));
            }
        }
    }

    /// The call to run for, unless each client went away while the approval was claimed. It is not kept for a later call:
    /// an operator may have paused operations by then.
    fn caller(
        &self,
        request: &Request,
        stage: &watch::Sender<Stage>,
        generation: u32,
    ) -> Option<Arc<Meta>> {
        let mut state = self.state();
        if stage.receiver_count() > 0 && !state.is_over {
            stage.send_replace(Stage::Running);
            return state.open.get(&request.name).map(|open| open.meta.clone());
        }
        state.open.remove(&request.name);
        state.know(request, Generation::Next(generation + 1));
        None
    }

    fn refuse(
        &self,
        request: &Request,
        stage: &watch::Sender<Stage>,
        refusal: Refusal,
        approval: Option<Approval>,
    ) {
        log_refusal(&refusal);
        let next = {
            let state = self.state();
            match state.generations.get(&request.name) {
                Some(Generation::Used(used)) if is_final(&refusal) => Some(used + 1),
                _ => None,
            }
        };
        let approval = approval.map(Box::new);
        self.end(request, stage, next, End::Refused { refusal, approval });
    }

    /// Ends the request for the calls that wait. `next` is the generation of the next request, where this one has
    /// finished: its end is kept until a call has got it.
    fn end(&self, request: &Request, stage: &watch::Sender<Stage>, next: Option<u32>, end: End) {
        let mut state = self.state();
        state.open.remove(&request.name);
        let ended = Ended::new(end);
        if let Some(next) = next {
            state.know(request, Generation::Next(next));
            state.keep(request.name.clone(), ended.clone());
        }
        stage.send_replace(Stage::Ended(ended));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn know(&mut self, request: &Request, generation: Generation) {
        self.generations.insert(request.name.clone(), generation);
    }

    fn keep(&mut self, name: String, ended: Arc<Ended>) {
        let since = Instant::now();
        self.kept.insert(name, Kept { since, ended });
    }

    /// Drops ends that a call has got. Of others that were kept long enough it drops the contents, but not that there was
    /// a run.
    fn forget(&mut self, now: Instant) {
        self.kept.retain(|_, Kept { since, ended }| {
            let has_run = !matches!(ended.end(), End::Refused { .. });
            !ended.is_read() && (has_run || now - *since <= KEEP)
        });
        for Kept { since, ended } in self.kept.values_mut() {
            if now - *since > KEEP {
                *ended = ended.forgotten();
            }
        }
    }
}

impl Seat {
    pub(crate) fn stage(&mut self) -> Stage {
        self.0.borrow_and_update().clone()
    }

    /// Waits for the next stage.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // The sender is gone only after the end, which `stage` returns.
            std::future::pending::<()>().await;
        }
    }
}

/// Whether the request has ended, so that the next call is a new one.
fn is_final(refusal: &Refusal) -> bool {
    match refusal.reason {
        Reason::Rejected
        | Reason::Denied
        | Reason::Timeout
        | Reason::Undeliverable
        | Reason::Cancelled
        | Reason::Revoked => true,
        Reason::Used => matches!(
            refusal.execution,
            Some(
                ExecutionStatus::Executed
                    | ExecutionStatus::ExecutionFailed
                    | ExecutionStatus::ExecutionUnknown
            )
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::error;

    #[test]
    fn an_end_is_kept_until_one_of_its_calls_has_got_it() {
        let mut state = State::default();
        let ended = Ended::new(End::Answered(error("the result")));
        state.keep("name".to_owned(), ended.clone());
        // Two calls have it. One of them leaves without having read it.
        let (first, second) = (ended.clone(), ended);
        drop(second);
        state.forget(Instant::now());
        assert_eq!(state.kept.len(), 1);
        first.read();
        state.forget(Instant::now());
        assert!(state.kept.is_empty());
    }

    #[test]
    fn after_ten_minutes_a_run_is_known_without_its_result_and_a_refusal_no_more() {
        let refusal = Refusal::new(Reason::Rejected);
        let refused = End::Refused {
            refusal,
            approval: None,
        };
        let ran = Ended::new(End::Answered(error("the result")));
        let mut state = State::default();
        let later = Instant::now() + KEEP + Duration::from_secs(1);
        for (name, ended) in [("ran", ran.clone()), ("refused", Ended::new(refused))] {
            state.keep(name.to_owned(), ended);
        }
        state.forget(later);
        let kept: Vec<_> = state.kept.values().map(|kept| kept.ended.end()).collect();
        assert!(matches!(kept[..], [End::Forgotten]));
        // A task has the result still, and is asked for it.
        ran.read();
        state.forget(later);
        assert!(state.kept.is_empty());
    }
}
