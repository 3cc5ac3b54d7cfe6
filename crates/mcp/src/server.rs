//! The tool server: a child process, and the calls that the proxy itself has under way in it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};

use human_oversight_protocol::parameters::Parameters;
use serde_json::value::RawValue;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::answer::{Answer, Message, looks_like_answer, read_message};
use crate::call::{Meta, run_line, task_result_line};
use crate::claim_key::random_hex;
use crate::end::Lost;
use crate::id::Id;
use crate::lock::lock;
use crate::members::has_doubles;

/// What only the proxy needs of the environment.
const SECRETS: [&str; 2] = ["HO_CLAIM_KEY", "HO_KEY"];

/// A line for the server, and what says that it is written.
struct Line {
    bytes: Vec<u8>,
    written: oneshot::Sender<()>,
}

/// The input of the server. Its standard error and its environment are the proxy's, but for the proxy's secrets.
pub(crate) struct Server {
    /// What the server has not read yet. It may take its time: the proxy reads the client's lines meanwhile.
    lines: Mutex<Option<UnboundedSender<Line>>>,
    /// Of the ids of the proxy's own calls.
    prefix: String,
    runs: Mutex<Runs>,
}

#[derive(Default)]
struct Runs {
    started: u64,
    waiting: HashMap<Id, oneshot::Sender<Result<Answer, Lost>>>,
    /// No answer will come any more.
    has_ended: bool,
}

impl Server {
    /// Starts the command.
    pub(crate) fn start(command: &[OsString]) -> io::Result<(Self, Child, ChildStdout)> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        for secret in SECRETS {
            command.env_remove(secret);
        }
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().expect("it is piped");
        let stdin = child.stdin.take().expect("it is piped");
        let (lines, queue) = unbounded_channel();
        tokio::spawn(write(stdin, queue));
        let server = Self {
            lines: Mutex::new(Some(lines)),
            prefix: random_hex::<8>(),
            runs: Mutex::default(),
        };
        Ok((server, child, stdout))
    }

    /// What only the ids of the proxy's own calls contain.
    pub(crate) fn own_ids(&self) -> &str {
        &self.prefix
    }

    /// Sends bytes as they are, after all that was sent before. What is returned says when they are written; an error, that
    /// the server no longer reads: its end is near.
    pub(crate) fn send(&self, bytes: Vec<u8>) -> oneshot::Receiver<()> {
        let (written, is_written) = oneshot::channel();
        if let Some(lines) = lock(&self.lines).as_ref() {
            lines.send(Line { bytes, written }).ok();
        }
        is_written
    }

    /// Runs a call and waits for its result.
    pub(crate) async fn run(&self, approved: &Parameters, meta: &Meta) -> Result<Answer, Lost> {
        let answer = self.ask(|id| run_line(id, approved, meta)).await?;
        match answer.task().filter(|_| meta.needs_task) {
            // The server answers when the task has ended.
            Some(task) => self.ask(|id| task_result_line(id, &task)).await,
            None => Ok(answer),
        }
    }

    async fn ask(&self, line: impl FnOnce(&Id) -> String) -> Result<Answer, Lost> {
        let (id, answer) = {
            let mut runs = self.runs();
            if runs.has_ended {
                return Err(Lost::ServerEnded);
            }
            runs.started += 1;
            let id = Id::own(&self.prefix, runs.started);
            let (sender, answer) = oneshot::channel();
            runs.waiting.insert(id.clone(), sender);
            (id, answer)
        };
        if self.send(in_ascii(&line(&id))).await.is_err() {
            self.runs().waiting.remove(&id);
            return Err(Lost::ServerEnded);
        }
        answer.await.unwrap_or(Err(Lost::ServerEnded))
    }

    /// Takes from a line of the server what answers calls of the proxy, whose ids the client does not know, and what it may
    /// not be sent. Returns what is left for the client.
    pub(crate) fn take_answers<'a>(
        &self,
        line: &'a [u8],
        permit: impl Fn(&[u8]) -> bool,
    ) -> Option<Cow<'a, [u8]>> {
        let is_clients = |message: &[u8]| self.is_clients(message) && permit(message);
        let Ok(batch) = serde_json::from_slice::<Vec<&RawValue>>(line) else {
            return is_clients(line).then_some(line.into());
        };
        let messages = batch.iter().map(|message| message.get());
        let left: Vec<&str> = messages
            .filter(|message| is_clients(message.as_bytes()))
            .collect();
        if left.len() == batch.len() {
            return Some(line.into());
        }
        let left = format!("[{}]\n", left.join(","));
        (left != "[]\n").then_some(left.into_bytes().into())
    }

    /// Whether a message of the server names no call of the proxy, or is a request or notification. Ends the calls that it
    /// answers, also where it cannot be read.
    fn is_clients(&self, message: &[u8]) -> bool {
        if self.runs().started == 0 {
            return true;
        }
        match read_message(message) {
            Some(Message::Answer(id, answer)) if id.is_own(&self.prefix) => {
                match self.runs().waiting.remove(&id) {
                    Some(run) => drop(run.send(readable(message, answer))),
                    None => {
                        tracing::warn!(
                            "the server answered a call again: the second answer is dropped"
                        )
                    }
                }
                false
            }
            Some(Message::Answer(..)) => true,
            // With an id of the proxy it is the echo of a call.
            Some(Message::Request(id)) if id.as_ref().is_none_or(|it| !it.is_own(&self.prefix)) => {
                true
            }
            Some(Message::Request(_) | Message::Other) => !self.names_runs(message, |_| false),
            None => !self.names_runs(message, |id| looks_like_answer(message, id)),
        }
    }

    /// Whether a message that answers no call names calls of the proxy. Ends those whose answer it is meant to be.
    fn names_runs(&self, message: &[u8], is_meant: impl FnMut(&Id) -> bool) -> bool {
        let named = Id::find_own(&self.prefix, message);
        let (lost, noted): (Vec<_>, Vec<_>) = named.into_iter().partition(is_meant);
        if !lost.is_empty() {
            log_unreadable();
        } else if !noted.is_empty() {
            tracing::warn!(
                "a line of the server names a held call and is no answer: the line is dropped"
            );
        }
        for run in lost.iter().filter_map(|id| self.runs().waiting.remove(id)) {
            run.send(Err(Lost::Unreadable)).ok();
        }
        !(lost.is_empty() && noted.is_empty())
    }

    /// Closes the server's input after all that was sent, which asks it to end.
    pub(crate) fn close(&self) {
        lock(&self.lines).take();
    }

    /// Gives up the calls under way.
    pub(crate) fn give_up_runs(&self) {
        let mut runs = self.runs();
        runs.has_ended = true;
        runs.waiting.clear();
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        lock(&self.runs)
    }
}

/// A line of JSON that reads the same in each encoding that a server may take its input for, and has no other end of a
/// line. Other characters than those of ASCII are in texts only.
fn in_ascii(json: &str) -> Vec<u8> {
    let mut units = [0; 2];
    let escaped = |c: char| {
        if c.is_ascii() {
            c.to_string()
        } else {
            let units = c.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    json.chars().map(escaped).collect::<String>().into_bytes()
}

async fn write(mut stdin: ChildStdin, mut lines: UnboundedReceiver<Line>) {
    while let Some(Line { bytes, written }) = lines.recv().await {
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
        // No one may want to know.
        written.send(()).ok();
    }
}

/// The answer, unless two readers could understand it differently.
fn readable(message: &[u8], answer: Answer) -> Result<Answer, Lost> {
    if std::str::from_utf8(message).is_ok_and(|text| !has_doubles(text)) {
        return Ok(answer);
    }
    log_unreadable();
    Err(Lost::Unreadable)
}

fn log_unreadable() {
    tracing::error!(
        "the server's answer to a held call cannot be read and is dropped: the call may have run"
    );
}

/// The exit code that a shell would report.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or_else(|| Some(128 + signal?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
