//! Between client and server: every line goes on as it is, but for calls that are held and what belongs to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use human_oversight_client::Gate;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use crate::call::{CallError, Content, Meta};
use crate::claim_key::ClaimKey;
use crate::config::Config;
use crate::held::{HeldCalls, Joined, Seat, Stage};
use crate::message::{Answer, Id, Invalid, Line, ToolCall, answer_line, invalid_line, read_line};
use crate::output::Output;
use crate::request::Request;
use crate::server::Server;
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
    pub(crate) output: Output,
    /// The held calls that have no answer yet, each with what cancels it.
    pub(crate) callers: Mutex<HashMap<Id, oneshot::Sender<()>>>,
}

/// How often a client reads of progress.
const PROGRESS: Duration = Duration::from_secs(5);

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
    }

    /// Reads the server's lines until it closes its end.
    pub(crate) async fn read_server(self: Arc<Self>, output: impl AsyncRead + Unpin) {
        let mut output = BufReader::with_capacity(64 * 1024, output);
        let mut line = Vec::new();
        while matches!(output.read_until(b'\n', &mut line).await, Ok(1..)) {
            if !self.server.take_answer(&line) {
                self.tools.note(&line);
                self.output.write(&line).await;
            }
            line.clear();
            if self.output.is_broken() {
                break;
            }
        }
        self.server.give_up_runs();
    }

    async fn take_line(self: &Arc<Self>, whole: &[u8]) {
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let read = read_line(line);
        match &read {
            Line::Call(call) if self.config.holds(&self.name, &call.tool) => {
                return self.hold(call).await;
            }
            Line::Cancelled(id) => {
                // The server does not know of a call that is held.
                if let Some(cancel) = self.callers().remove(id) {
                    cancel.send(()).ok();
                    return;
                }
            }
            Line::List(id) => self.tools.ask(id.clone()),
            Line::Batch(lines) if lines.iter().any(|line| !self.passes(line)) => {
                return self.refuse_batch(lines).await;
            }
            Line::Invalid(invalid) => return self.refuse(invalid).await,
            Line::Call(_) | Line::Batch(_) | Line::Other => {}
        }
        // An error means that the server is about to end, which ends the proxy.
        self.server.send(whole).await.ok();
    }

    /// Whether a message of a batch needs no approval.
    fn passes(&self, line: &Line<'_>) -> bool {
        match line {
            Line::Call(call) => !self.config.holds(&self.name, &call.tool),
            Line::Invalid(_) => false,
            Line::Cancelled(id) => !self.callers().contains_key(id),
            Line::Other | Line::List(_) | Line::Batch(_) => true,
        }
    }

    async fn refuse(&self, invalid: &Invalid) {
        self.output.write(invalid_line(invalid).as_bytes()).await;
    }

    async fn refuse_batch(&self, lines: &[Line<'_>]) {
        let why = "a batch with a tool call that needs approval: send its messages one by one";
        let mut refused = lines.iter().map(|line| line.refuse(why)).peekable();
        if refused.peek().is_none() {
            return;
        }
        for invalid in refused.filter(|invalid| invalid.id.is_some()) {
            self.refuse(&invalid).await;
        }
    }

    async fn hold(self: &Arc<Self>, call: &ToolCall<'_>) {
        let Some(id) = call.id.clone() else {
            tracing::warn!("a tool call without an id, which cannot be answered, is not run");
            return;
        };
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
        let prepared = self.prepare(call);
        let proxy = self.clone();
        tokio::spawn(async move {
            let answer = match prepared {
                Ok((request, meta)) => proxy.answer(request, meta, cancelled).await,
                Err((error, is_stateless)) => Some(words::unclear(&error).result(is_stateless)),
            };
            proxy.callers().remove(&id);
            if let Some(answer) = answer {
                let line = answer_line(&id, &answer);
                proxy.output.write(line.as_bytes()).await;
            }
        });
    }

    /// What people are asked for a call.
    fn prepare(&self, call: &ToolCall<'_>) -> Result<(Request, Arc<Meta>), (CallError, bool)> {
        let meta = Meta::read(call).map_err(|error| (error, false))?;
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
            Joined::Kept(end) => return Some(finish(&end, meta.is_stateless)),
        };
        let mut progress = Progress::new(&meta);
        loop {
            let stage = seat.stage();
            if let Stage::Ended(end) = stage {
                return Some(finish(&end, meta.is_stateless));
            }
            if let Some(line) = progress.line(&stage) {
                self.output.write(line.as_bytes()).await;
            }
            tokio::select! {
                biased;
                // Also when the client has closed its end.
                _ = &mut cancelled => {
                    self.held.abandon(seat);
                    return None;
                }
                () = seat.changed() => {}
                () = sleep_until(deadline) => return Some(self.unfinished(seat, &stage, &meta)),
                () = sleep(PROGRESS) => {}
            }
        }
    }

    fn unfinished(&self, seat: Seat, stage: &Stage, meta: &Meta) -> Answer {
        match self.held.leave(seat) {
            Some(end) => finish(&end, meta.is_stateless),
            None => words::unfinished(stage).result(meta.is_stateless),
        }
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<Id, oneshot::Sender<()>>> {
        // A panic cannot leave it half-written.
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn finish(end: &crate::held::End, is_stateless: bool) -> Answer {
    match words::end(end) {
        Ok(answer) => answer.clone(),
        Err(words) => words.result(is_stateless),
    }
}

/// Progress notifications for one call.
struct Progress<'a> {
    token: Option<&'a RawValue>,
    count: u32,
}

impl<'a> Progress<'a> {
    fn new(meta: &'a Meta) -> Self {
        let token = meta.progress_token.as_deref();
        Self { token, count: 0 }
    }

    /// The next notification, if the client wants some. Its progress must grow, and the tool's own comes after it, so that
    /// it grows by millionths.
    fn line(&mut self, stage: &Stage) -> Option<String> {
        let (token, message) = (self.token?, words::progress(stage)?);
        self.count += 1;
        let progress = f64::from(self.count) / 1e6;
        let message = json!(message);
        Some(format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{token},\
             \"progress\":{progress},\"message\":{message}}}}}\n"
        ))
    }
}
