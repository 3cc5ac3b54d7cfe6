//! A client of the tests, and the proxy with its server.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gate::{ALICE, Gate};
use crate::relay::Relay;

pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_human-oversight-mcp");

pub(crate) const CLAIM_KEY: &str =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The settings of a proxy that passes some tools of the stand-in server.
pub(crate) const SETTINGS: &str =
    "agent = \"Files\"\npass = [\"read_*\", \"list_*\"]\nhold = [\"read_secret\"]\n";

const PATIENCE: Duration = Duration::from_secs(30);

/// A program that cargo has built next to the proxy.
pub(crate) fn built(name: &str) -> PathBuf {
    let path = Path::new(PROXY).with_file_name(name);
    assert!(path.exists(), "run first: cargo build --bin {name}");
    path
}

pub(crate) fn stand_in_server() -> PathBuf {
    built("examples").join("stand_in_server")
}

/// Looks until there is something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A number of the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Where random choices begin; `HO_MCP_SEED` repeats a run.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    setting("HO_MCP_SEED").unwrap_or(now.as_nanos() as u64)
}

/// The next of a sequence of numbers (SplitMix64).
pub(crate) fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % below
}

/// The folder of a stand-in server, which notes there what it receives and runs.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The names and arguments of the calls that ran.
    pub(crate) fn runs(&self) -> Vec<Value> {
        let runs = std::fs::read_to_string(self.path().join("runs")).unwrap_or_default();
        runs.lines()
            .map(|run| serde_json::from_str(run).unwrap())
            .collect()
    }

    pub(crate) fn received(&self) -> Vec<u8> {
        std::fs::read(self.path().join("received")).unwrap_or_default()
    }

    /// What the server answers to `tools/list` from now on.
    pub(crate) fn list(&self, result: &impl Display) {
        std::fs::write(self.path().join("tools"), result.to_string()).unwrap();
    }

    /// What the tool `as told` writes from now on, with the id of its call for each `ID`.
    pub(crate) fn answer(&self, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join("answer"), bytes).unwrap();
    }

    /// Lets the tool `slow` answer.
    pub(crate) fn go(&self) {
        std::fs::write(self.path().join("go"), "").unwrap();
    }
}

/// A process that a client speaks to: the proxy, or the server itself.
pub(crate) struct Session {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    /// What was read while something else was awaited.
    skipped: VecDeque<Value>,
    next_id: u64,
}

/// The command of a proxy with a stand-in server in `folder`.
pub(crate) fn proxy(gate_url: &str, folder: &Folder, settings: &str) -> Command {
    let config = folder.path().join("settings.toml");
    std::fs::write(&config, settings).unwrap();
    let mut command = Command::new(PROXY);
    command
        .env_clear()
        .env("HO_CLAIM_KEY", CLAIM_KEY)
        .env("HO_URL", gate_url)
        .env("APPROVER_EMAILS", ALICE)
        .args(["--config".as_ref(), config.as_os_str()])
        .args(["--server", "files"]);
    command
}

impl Session {
    /// A proxy that answers held calls within 30 seconds.
    pub(crate) fn start(gate: &Gate, folder: &Folder) -> Self {
        Self::answering_within(gate, folder, "30s")
    }

    pub(crate) fn answering_within(gate: &Gate, folder: &Folder, time: &str) -> Self {
        let mut command = proxy(&gate.url, folder, SETTINGS);
        command.args(["--answer-within", time]);
        Self::spawn(with_server(&mut command, folder))
    }

    /// Starts a proxy whose way to the gate is this relay.
    pub(crate) fn through(relay: &Relay, folder: &Folder) -> Self {
        Self::spawn(with_server(
            &mut proxy(&relay.url, folder, SETTINGS),
            folder,
        ))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while matches!(stdout.read_until(b'\n', &mut line), Ok(1..)) {
                sender.send(std::mem::take(&mut line)).ok();
            }
        });
        Self {
            child,
            stdin,
            lines,
            skipped: VecDeque::new(),
            next_id: 0,
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    pub(crate) fn line(&mut self) -> Vec<u8> {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// Sends a request and returns its id.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(format!("{request}\n").as_bytes());
        id
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Gives a request up, and waits until the proxy knows.
    pub(crate) fn cancel(&mut self, id: u64) {
        let params = json!({"requestId": id});
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        self.send(format!("{cancel}\n").as_bytes());
        self.settle();
    }

    /// Waits for the answer to a request.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        self.message(|message| message["id"] == id && message["method"].is_null())
    }

    /// Waits for a message.
    pub(crate) fn message(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.skipped.iter().position(&is_it) {
            return self.skipped.remove(at).unwrap();
        }
        loop {
            let line = self.line();
            let message: Value = serde_json::from_slice(&line).unwrap();
            if is_it(&message) {
                return message;
            }
            self.skipped.push_back(message);
        }
    }

    /// What a held call was answered by the proxy itself: its text and its status.
    pub(crate) fn told(&mut self, id: u64) -> (String, String) {
        let answer = self.answer(id);
        let result = &answer["result"];
        assert_eq!(result["isError"], true, "{answer}");
        let status = &result["_meta"]["human-oversight/approval"]["status"];
        let [text, status] = [&result["content"][0]["text"], status];
        (
            text.as_str()
                .unwrap_or_else(|| panic!("{answer}"))
                .to_owned(),
            status
                .as_str()
                .unwrap_or_else(|| panic!("{answer}"))
                .to_owned(),
        )
    }

    /// Waits until the proxy has read all that was sent.
    pub(crate) fn settle(&mut self) {
        let id = self.request("ping", &json!({}));
        self.answer(id);
    }

    pub(crate) fn close_input(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// All lines until the end of the output.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            rest.extend(line);
        }
        rest
    }

    /// The id of the process that the proxy has started, while it runs.
    pub(crate) fn server(&self) -> Option<String> {
        let id = self.child.id();
        let children = format!("/proc/{id}/task/{id}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        children.split_whitespace().next().map(str::to_owned)
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Adds the stand-in server to the command of a proxy.
pub(crate) fn with_server<'a>(command: &'a mut Command, folder: &Folder) -> &'a mut Command {
    command.arg("--").arg(stand_in_server()).arg(folder.path())
}

/// The output of a program that ends, of both streams, and its exit code.
pub(crate) fn output(command: &mut Command) -> (String, i32) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    (text, child.wait().unwrap().code().unwrap())
}
