//! Between client and server: every line goes on as it is, but for calls that are held and what belongs to them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use human_oversight_client::Gate;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use crate::answer::{Answer, answer_line, read_answer};
use crate::call::{CallError, Content, Meta, TaskForm, check_action};
use crate::claim_key::ClaimKey;
use crate::config::Config;
use crate::end::log_unclear;
use crate::held::{HeldCalls, Joined, Stage};
use crate::id::Id;
use crate::lock::lock;
use crate::message::{
    Asked, Invalid, Line, Part, TaskRequest, ToolCall, invalid_line, read_line, refuse_batch,
};
use crate::output::Output;
use crate::progress::{PERIOD, Progress, Tokens};
use crate::request::Request;
use crate::requests::Requests;
use crate::server::Server;
use crate::support;
use crate::tasks::Tasks;
use crate::template::Filling;
use crate::tools::Tools;
use crate::words;

pub(crate) struct Proxy {
    pub(crate) config: Config,
    pub(crate) gate: Gate,
    pub(crate) key: Arc<ClaimKey>,
    /// The server's name: a part of what people approve.
    pub(crate) name: String,
    pub(crate) answer_within: Duration,
    pub(crate) server: Arc<Server>,
    pub(crate) held: Arc<HeldCalls>,
    pub(crate) tools: Tools,
    pub(crate) tasks: Tasks,
    pub(crate) output: Output,
    pub(crate) progress_tokens: Tokens,
    pub(crate) requests: Requests,
    /// The client has declared tasks, as revision 2025-11-25 does.
    pub(crate) has_tasks: AtomicBool,
    pub(crate) server_lists_tasks: AtomicBool,
    /// The requests that the proxy answers and has not answered yet, each with what cancels it.
    pub(crate) callers: Mutex<HashMap<Id, oneshot::Sender<()>>>,
}

impl Proxy {
    /// Reads the client's lines until it closes its end.
    pub(crate) async fn read_client(self: Arc<Self>, input: impl AsyncRead + Unpin) {
        let mut input = BufReader::with_capacity(64 * 1024, input);
        let mut line = Vec::new();
        while matches!(input.read_until(b'\n', &mut line).await, Ok(1..)) {
            self.take_line(&line).await;
            line.clear();
        }
        // What waits has no caller any more.
        self.callers().clear();
        self.tasks.clear();
        self.held.close();
    }

    /// Reads the server's lines until it closes its end.
    pub(crate) async fn read_server(self: Arc<Self>, output: impl AsyncRead + Unpin) {
        let mut output = BufReader::with_capacity(64 * 1024, output);
        let mut line = Vec::new();
        while matches!(output.read_until(b'\n', &mut line).await, Ok(1..)) {
            let permit = |message: &[u8]| self.requests.permit(message);
            let left = self.server.take_answers(&line, permit);
            if let Some(left) = left.filter(|left| self.progress_tokens.passes(left)) {
                match self.change(&left) {
                    Some(changed) => self.output.write(changed.as_bytes()).await,
                    None => self.output.write(&left).await,
                }
            }
            line.clear();
            if self.output.is_broken() {
                break;
            }
        }
        self.held.end_runs();
    }

    async fn take_line(self: &Arc<Self>, whole: &[u8]) {
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let read = read_line(line, self.server.own_ids());
        match &read {
            Line::Call(call) if self.config.holds(&self.name, &call.tool) => {
                return self.hold(call).await;
            }
            Line::Cancelled(id) => {
                // The server does not know of a call that is held.
                if self.cancel(id) {
                    return;
                }
            }
            Line::Asked(id, asked) => {
                if let Some(answer) = self.note(id, *asked) {
                    return self.output.write(answer_line(id, &answer).as_bytes()).await;
                }
            }
            Line::Task(request) if Tasks::is_own(&request.task) => {
                return self.take_task(request).await;
            }
            Line::Batch(parts) => return self.take_batch(parts, whole).await,
            Line::Invalid(invalid) => return self.refuse(invalid).await,
            Line::Call(_) | Line::Task(_) | Line::Other(_) => {}
        }
        self.forward(read.requests(), whole.to_owned());
    }

    /// Cancels calls also where the rest of the batch is refused.
    async fn take_batch(&self, parts: &[Part<'_>], whole: &[u8]) {
        let is_theirs = |part: &&Part<'_>| match &part.line {
            Line::Cancelled(id) => !self.cancel(id),
            _ => true,
        };
        let left: Vec<&Part<'_>> = parts.iter().filter(is_theirs).collect();
        if left.iter().any(|part| !self.passes(&part.line)) {
            return self.refuse_batch(&left).await;
        }
        let requests = left.iter().flat_map(|part| part.line.requests());
        if left.len() == parts.len() {
            self.forward(requests, whole.to_owned());
        } else if !left.is_empty() {
            let texts: Vec<&str> = left.iter().map(|part| part.text).collect();
            self.forward(requests, format!("[{}]\n", texts.join(",")).into_bytes());
        }
    }

    /// Sends the server a line with these requests.
    fn forward<'a>(&self, requests: impl IntoIterator<Item = &'a Id>, line: Vec<u8>) {
        let callers = self.callers();
        for id in requests {
            // One that is held has the id for itself.
            if !callers.contains_key(id) {
                self.requests.add(id.clone());
            }
        }
        // A server that does not read is about to end, which ends the proxy.
        drop(self.server.send(line));
    }

    /// Whether it was a call that is held.
    fn cancel(&self, id: &Id) -> bool {
        self.requests.unwatch(id);
        let cancel = self.callers().remove(id);
        cancel.is_some_and(|cancel| {
            cancel.send(()).ok();
            true
        })
    }

    /// Notes a request whose answer is to be read, unless the proxy itself answers it.
    fn note(&self, id: &Id, asked: Asked) -> Option<Answer> {
        match asked {
            Asked::Tasks if self.server_lists_tasks.load(Ordering::Relaxed) => {}
            Asked::Tasks if self.tasks.is_empty() && !self.has_tasks.load(Ordering::Relaxed) => {
                return None;
            }
            Asked::Tasks => return self.tasks.list(None),
            Asked::Initialize { .. } | Asked::Tools => {}
        }
        self.requests.watch(id.clone(), asked);
        None
    }

    /// Reads a line of the server if it answers such a request. Returns the line in its place where the client is to read
    /// of tasks.
    fn change(&self, line: &[u8]) -> Option<String> {
        if self.requests.watches_none() {
            return None;
        }
        let (id, answer) = read_answer(line)?;
        let asked = self.requests.unwatch(&id)?;
        let Answer::Result(result) = answer else {
            return None;
        };
        let changed = match asked {
            Asked::Initialize { has_tasks } => {
                self.server_lists_tasks
                    .store(support::lists_tasks(&result), Ordering::Relaxed);
                let changed = support::with_tasks(&result).filter(|_| has_tasks);
                self.has_tasks.store(changed.is_some(), Ordering::Relaxed);
                changed
            }
            Asked::Tools => {
                if let Some(tools) = self.tools.note(&result) {
                    self.config.warn_of_idle_patterns(&self.name, &tools);
                }
                let is_held = |tool: &str| self.config.holds(&self.name, tool);
                let has_tasks = self.has_tasks.load(Ordering::Relaxed);
                has_tasks.then(|| support::with_task_support(&result, is_held))?
            }
            Asked::Tasks => self.tasks.list(Some(&result)),
        };
        Some(answer_line(&id, &changed?))
    }

    async fn take_task(self: &Arc<Self>, request: &TaskRequest) {
        let (method, task) = (request.method, request.task.clone());
        let proxy = self.clone();
        self.take(request.id.clone(), |mut cancelled| async move {
            tokio::select! {
                answer = proxy.tasks.answer(&task, method) => Some(answer),
                _ = &mut cancelled => None,
            }
        })
        .await;
    }

    /// Whether a message of a batch needs no approval.
    fn passes(&self, line: &Line<'_>) -> bool {
        match line {
            Line::Call(call) => !self.config.holds(&self.name, &call.tool),
            Line::Invalid(_) => false,
            Line::Task(request) => !Tasks::is_own(&request.task),
            Line::Other(_) | Line::Asked(..) | Line::Cancelled(_) | Line::Batch(_) => true,
        }
    }

    async fn refuse(&self, invalid: &Invalid) {
        self.output.write(invalid_line(invalid).as_bytes()).await;
    }

    async fn refuse_batch(&self, parts: &[&Part<'_>]) {
        let why = "a batch with a tool call that needs approval, or with a message that is not clear: send its \
                   messages one by one";
        for invalid in refuse_batch(parts, why) {
            self.refuse(&invalid).await;
        }
    }

    async fn hold(self: &Arc<Self>, call: &ToolCall<'_>) {
        let Some(id) = call.id.clone() else {
            tracing::warn!("a tool call without an id, which cannot be answered, is not run");
            return;
        };
        let wants_task = call.params.given("task").is_some();
        let prepared = self.prepare(call).inspect_err(log_unclear);
        let proxy = self.clone();
        self.take(id, |cancelled| async move {
            match prepared {
                Ok((request, meta)) => match meta.task {
                    Some(form) => Some(proxy.begin_task(request, meta, form)),
                    None => proxy.answer(request, meta, cancelled).await,
                },
                Err((error, _)) if wants_task => Some(words::unclear(&error).error()),
                Err((error, is_stateless)) => Some(words::unclear(&error).result(is_stateless)),
            }
        })
        .await;
    }

    /// Answers a request of the client, unless it is cancelled before.
    async fn take<A>(self: &Arc<Self>, id: Id, answer: impl FnOnce(oneshot::Receiver<()>) -> A)
    where
        A: Future<Output = Option<Answer>> + Send + 'static,
    {
        let (cancel, cancelled) = oneshot::channel();
        let is_new = {
            let mut callers = self.callers();
            let is_new = !callers.contains_key(&id);
            if is_new {
                callers.insert(id.clone(), cancel);
            }
            is_new
        };
        if !is_new {
            let (code, why) = (-32_600, "a request of this id has no answer yet");
            let id = Some(id);
            return self.refuse(&Invalid { id, code, why }).await;
        }
        self.requests.remove(&id);
        let answer = answer(cancelled);
        let proxy = self.clone();
        tokio::spawn(async move {
            let answer = answer.await;
            if let Some(answer) = answer.filter(|_| proxy.leave(&id)) {
                let line = answer_line(&id, &answer);
                proxy.output.write(line.as_bytes()).await;
            }
        });
    }

    /// Whether the answer to a request of this id may be written: not if it was cancelled, and another one has the id.
    fn leave(&self, id: &Id) -> bool {
        let mut callers = self.callers();
        // What waits for the end of the other one is there still.
        let is_anothers = callers.get(id).is_some_and(|it| !it.is_closed());
        if !is_anothers {
            callers.remove(id);
        }
        !is_anothers
    }

    /// The task of a held call, which waits in its place.
    fn begin_task(self: &Arc<Self>, request: Request, meta: Arc<Meta>, form: TaskForm) -> Answer {
        let task = match self.tasks.begin(form, meta.clone()) {
            Ok(task) => task,
            Err(refusal) => return refusal,
        };
        let joined = self.held.join(request, meta);
        let created = task.created();
        let proxy = self.clone();
        tokio::spawn(async move {
            let (held, output) = (&proxy.held, &proxy.output);
            task.attend(joined, held, output, &proxy.progress_tokens)
                .await;
        });
        created
    }

    /// What people are asked for a call.
    fn prepare(&self, call: &ToolCall<'_>) -> Result<(Request, Arc<Meta>), (CallError, bool)> {
        let mut meta = Meta::read(call).map_err(|error| (error, false))?;
        meta.needs_task = self.tools.needs_task(&call.tool);
        let with_era = |error| (error, meta.is_stateless);
        let content = Content::read(call).map_err(with_era)?;
        let filling = Filling {
            server: &self.name,
            tool: &content.tool,
            arguments: &content.arguments,
        };
        let summary = self.config.summary(&filling);
        let parameters = content.parameters(&self.name, summary).map_err(with_era)?;
        let words = self.config.action(&filling);
        check_action(&words, &content.tool).map_err(with_era)?;
        let mut action = self.gate.action(words.as_str());
        if let Some(timeout) = self.config.timeout {
            action = action.timeout(timeout);
        }
        if let Some(claim) = self.tools.claim(&content.tool) {
            // Shown last, and marked as not verified.
            action = action.reason(claim);
        }
        let client = self.gate.client().clone();
        let request = Request::new(client, action, &words, parameters, self.key.clone());
        Ok((request, Arc::new(meta)))
    }

    /// The answer to a held call, in time for its client. There is none if the client went away.
    async fn answer(
        &self,
        request: Request,
        meta: Arc<Meta>,
        mut cancelled: oneshot::Receiver<()>,
    ) -> Option<Answer> {
        let deadline = Instant::now() + self.answer_within;
        let mut seat = match self.held.join(request, meta.clone()) {
            Joined::Seat(seat) => seat,
            Joined::Kept(ended) => return Some(words::end(ended.read(), meta.is_stateless)),
        };
        let mut progress = Progress::new(&meta, &self.output, &self.progress_tokens);
        loop {
            let stage = seat.stage();
            if let Stage::Ended(ended) = stage {
                return Some(words::end(ended.read(), meta.is_stateless));
            }
            progress.write(&stage).await;
            tokio::select! {
                biased;
                // Also when the client has closed its end.
                _ = &mut cancelled => return None,
                () = seat.changed() => {}
                () = sleep_until(deadline), if !meta.continues => {
                    return Some(words::so_far(&seat.stage(), meta.is_stateless));
                }
                () = sleep(PERIOD) => {}
            }
        }
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<Id, oneshot::Sender<()>>> {
        lock(&self.callers)
    }
}
