//! The calls that are held, from the question to the result.
//!
//! Calls of the same content are one request and one run: each of them waits for it, as long as its client does.
//! No one is asked, and nothing is claimed or run, without a call that waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use human_oversight_client::types::{Approval, ExecutionStatus, Status};
use human_oversight_client::{Permit, Reason, Refusal};
use tokio::sync::{Notify, watch};
use tokio::time::timeout_at;

use crate::answer::Answer;
use crate::call::Meta;
use crate::request::Request;
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
    Ended(Arc<End>),
}

/// What became of a held call.
pub(crate) enum End {
    /// It ran.
    Answered(Answer),
    Refused {
        refusal: Refusal,
        /// What the gate said last of the request.
        approval: Option<Box<Approval>>,
    },
    /// The server ended while it ran.
    Lost,
    /// It ran for a call whose client went away, and the result is no longer kept.
    Forgotten,
}

/// What a call that joins gets.
pub(crate) enum Joined {
    Seat(Seat),
    /// The end of a call whose client went away.
    Kept(Arc<End>),
}

/// A call that waits.
pub(crate) struct Seat {
    name: String,
    stage: watch::Receiver<Stage>,
}

pub(crate) struct HeldCalls {
    server: Arc<Server>,
    state: Mutex<State>,
    /// A call has joined, or the client has closed its end.
    news: Notify,
    /// How many requests are being worked on.
    busy: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    /// The requests that calls wait for, by name.
    open: HashMap<String, Open>,
    /// The generation that each request used last, or must use next.
    generations: HashMap<String, u32>,
    /// Results that no call has got.
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
    end: Option<Arc<End>>,
}

/// How long a result is kept for a client that went away.
const KEEP: Duration = Duration::from_secs(600);

/// How long an approval is kept that was claimed for a client that went away meanwhile: not longer than the clocks of gate
/// and client may differ, so that it is still valid.
const HOLD: Duration = Duration::from_secs(60);

impl HeldCalls {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            state: Mutex::default(),
            news: Notify::new(),
            busy: watch::Sender::default(),
        }
    }

    /// Joins the request, or begins it.
    pub(crate) fn join(self: &Arc<Self>, request: Request, meta: Arc<Meta>) -> Joined {
        let mut state = self.state();
        state.forget();
        if let Some(Kept { end, .. }) = state.kept.remove(&request.name) {
            return Joined::Kept(end.unwrap_or_else(|| Arc::new(End::Forgotten)));
        }
        let name = request.name.clone();
        if let Some(open) = state.open.get_mut(&name) {
            open.meta = meta;
            let stage = open.stage.subscribe();
            self.news.notify_waiters();
            return Joined::Seat(Seat { name, stage });
        }
        let (sender, stage) = watch::channel(Stage::Asking);
        let sender = Arc::new(sender);
        let open = Open {
            stage: sender.clone(),
            meta,
        };
        state.open.insert(name.clone(), open);
        self.busy.send_modify(|busy| *busy += 1);
        let held = self.clone();
        tokio::spawn(async move {
            held.work(&request, &sender).await;
            held.busy.send_modify(|busy| *busy -= 1);
        });
        Joined::Seat(Seat { name, stage })
    }

    /// Stops waiting. Returns the end if it has come meanwhile.
    pub(crate) fn leave(&self, seat: Seat) -> Option<Arc<End>> {
        // Locked, so that a result is either returned here or kept.
        let _state = self.state();
        match &*seat.stage.borrow() {
            Stage::Ended(end) => Some(end.clone()),
            _ => None,
        }
    }

    /// Stops waiting for a client that went away.
    pub(crate) fn abandon(&self, seat: Seat) {
        let name = seat.name.clone();
        if let Some(end) = self.leave(seat)
            && matches!(*end, End::Answered(_))
        {
            self.state().keep(name, end);
        }
    }

    /// Nothing runs from now on that does not run yet.
    pub(crate) fn close(&self) {
        self.state().is_over = true;
        self.news.notify_waiters();
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
        let (generation, found) = request
            .locate(known, || {
                stage.send_replace(Stage::Away);
            })
            .await?;
        self.state().set_generation(request, generation);
        let on_pending = |approval| {
            stage.send_replace(Stage::Pending(Box::new(approval)));
        };
        let stored = match found {
            None => request.submit(generation).await?,
            found => found,
        };
        stored
            .filter(|approval| approval.status == Status::Pending)
            .map(on_pending);
        let approval = request.wait(generation, on_pending).await?;
        Ok((generation, approval))
    }

    /// Gives the request up if no call waits for it any more. It stays open at the gate.
    fn give_up(&self, request: &Request, stage: &watch::Sender<Stage>) -> bool {
        let mut state = self.state();
        let is_alone = stage.receiver_count() == 0;
        if is_alone {
            state.open.remove(&request.name);
        }
        is_alone
    }

    async fn run(
        &self,
        request: &Request,
        stage: &watch::Sender<Stage>,
        generation: u32,
        permit: Permit,
    ) {
        let Some(meta) = self.caller(request, stage, generation).await else {
            return permit
                .failed("not run: no call waited for it any more")
                .await;
        };
        match self.server.run(&request.parameters, &meta).await {
            Some(answer) => {
                let failure = answer.failure();
                self.end(request, stage, Some(generation + 1), End::Answered(answer));
                match failure {
                    None => permit.executed().await,
                    Some(error) => permit.failed(error).await,
                }
            }
            None => {
                // Reports that it was given up while it ran.
                drop(permit);
                self.end(request, stage, Some(generation + 1), End::Lost);
            }
        }
    }

    /// The call to run for. If its client went away while the approval was claimed, the next same call is awaited.
    async fn caller(
        &self,
        request: &Request,
        stage: &watch::Sender<Stage>,
        generation: u32,
    ) -> Option<Arc<Meta>> {
        let deadline = tokio::time::Instant::now() + HOLD;
        let mut is_late = false;
        loop {
            let news = self.news.notified();
            {
                let mut state = self.state();
                if stage.receiver_count() > 0 && !state.is_over {
                    stage.send_replace(Stage::Running);
                    return state.open.get(&request.name).map(|open| open.meta.clone());
                }
                if is_late || state.is_over {
                    state.open.remove(&request.name);
                    state.set_generation(request, generation + 1);
                    return None;
                }
            }
            is_late = timeout_at(deadline, news).await.is_err();
        }
    }

    fn refuse(
        &self,
        request: &Request,
        stage: &watch::Sender<Stage>,
        refusal: Refusal,
        approval: Option<Approval>,
    ) {
        log(&refusal);
        let next = {
            let state = self.state();
            let generation = state.generations.get(&request.name).copied();
            generation.filter(|_| is_final(&refusal)).map(|it| it + 1)
        };
        let approval = approval.map(Box::new);
        self.end(request, stage, next, End::Refused { refusal, approval });
    }

    /// Ends the request for the calls that wait. `next` is the generation of the next request, where this one has
    /// finished: an end that no call has read is read again by the next one.
    fn end(&self, request: &Request, stage: &watch::Sender<Stage>, next: Option<u32>, end: End) {
        let mut state = self.state();
        state.open.remove(&request.name);
        let end = Arc::new(end);
        let is_read = stage.receiver_count() > 0;
        let is_answer = matches!(*end, End::Answered(_));
        if let Some(next) = next.filter(|_| is_read || is_answer) {
            state.set_generation(request, next);
        }
        if is_answer && !is_read {
            state.keep(request.name.clone(), end.clone());
        }
        stage.send_replace(Stage::Ended(end));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set_generation(&mut self, request: &Request, generation: u32) {
        self.generations.insert(request.name.clone(), generation);
    }

    fn keep(&mut self, name: String, end: Arc<End>) {
        let since = Instant::now();
        let end = Some(end);
        self.kept.insert(name, Kept { since, end });
    }

    /// Drops results that were kept long enough, but not that there were some.
    fn forget(&mut self) {
        let old = self.kept.values_mut();
        old.filter(|kept| kept.since.elapsed() > KEEP)
            .for_each(|kept| kept.end = None);
    }
}

impl Seat {
    pub(crate) fn stage(&mut self) -> Stage {
        self.stage.borrow_and_update().clone()
    }

    /// Waits for the next stage.
    pub(crate) async fn changed(&mut self) {
        if self.stage.changed().await.is_err() {
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

/// One line for the operator, where no person decided.
fn log(refusal: &Refusal) {
    match refusal.reason {
        Reason::Rejected | Reason::Denied | Reason::Timeout | Reason::Cancelled => {}
        reason => {
            // Without email addresses, which problem documents name.
            let detail = refusal.detail.as_deref().unwrap_or_default();
            let words = detail.split_whitespace();
            let words = words.map(|word| if word.contains('@') { "…" } else { word });
            let detail = words.collect::<Vec<_>>().join(" ");
            tracing::warn!(?reason, detail, "not run");
        }
    }
}
