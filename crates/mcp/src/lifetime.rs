//! The start and the end of proxy and server.

use std::future::Future;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use human_oversight_client::{Gate, Refusal, flush};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::cli::Arguments;
use crate::config::{Config, ConfigError, has_approvers, read_environment};
use crate::held::HeldCalls;
use crate::output::Output;
use crate::progress::Tokens;
use crate::proxy::Proxy;
use crate::requests::Requests;
use crate::server::{Server, exit_code};
use crate::tasks::Tasks;
use crate::tools::Tools;

#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the tool server {program} cannot be started: {source}")]
    Server { program: String, source: io::Error },
}

/// The time to report what became of calls, after the server has ended.
const REPORT: Duration = Duration::from_secs(10);

/// The time for what the server has written before its end. A process that it started may keep its output open.
const REST: Duration = Duration::from_secs(2);

/// The time for the end of a server that has closed its output.
const END: Duration = Duration::from_secs(5);

/// Runs the server behind the proxy until it ends. Returns its exit code.
pub(crate) async fn run(arguments: Arguments) -> Result<u8, StartError> {
    let config = Config::read(&arguments.config)?;
    config.check(&arguments.server_name())?;
    let (gate, key) = read_environment()?;
    warn(&arguments);
    let gate = gate.agent(config.agent.clone());
    let started = Server::start(&arguments.server_command);
    let (server, mut child, stdout) = started.map_err(|source| StartError::Server {
        program: arguments.server_command[0].to_string_lossy().into_owned(),
        source,
    })?;
    tokio::spawn(check(gate.clone()));
    let server = Arc::new(server);
    let held = Arc::new(HeldCalls::new(server.clone()));
    let proxy = Arc::new(Proxy {
        config,
        gate,
        key: Arc::new(key),
        name: arguments.server_name(),
        answer_within: arguments.answer_within,
        server: server.clone(),
        held: held.clone(),
        tools: Tools::default(),
        tasks: Tasks::default(),
        requests: Requests::default(),
        has_tasks: AtomicBool::new(false),
        server_lists_tasks: AtomicBool::new(false),
        output: Output::new(),
        progress_tokens: Tokens::default(),
        callers: Mutex::default(),
    });
    let from_server = tokio::spawn(proxy.clone().read_server(stdout));
    let from_client = proxy.read_client(tokio::io::stdin());
    let code = wait(&mut child, &server, from_client, from_server).await;
    held.end_runs();
    timeout(REPORT, async {
        held.idle().await;
        flush().await;
    })
    .await
    .ok();
    Ok(code)
}

/// Names what may be missing, and not be missed before a call is held.
fn warn(arguments: &Arguments) {
    if !has_approvers() {
        tracing::warn!(
            "APPROVER_EMAILS is not set: held calls are refused unless the gate's policy names the approvers"
        );
    }
    if arguments.names_no_server() {
        tracing::warn!(
            server = arguments.server_name(),
            "--server is not given: all servers of this command have one name, and a call that people approve for one of \
             them may run at another"
        );
    }
}

/// Waits for the end of the server, which the end of the client asks for.
async fn wait(
    child: &mut Child,
    server: &Server,
    from_client: impl Future<Output = ()>,
    mut from_server: tokio::task::JoinHandle<()>,
) -> u8 {
    tokio::pin!(from_client);
    let (mut has_client, mut has_server) = (true, true);
    let mut signals = Signals::new();
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            // Nothing that it wants can be answered without the server's output.
            () = &mut from_client, if has_client && has_server => {
                has_client = false;
                server.close();
            }
            _ = &mut from_server, if has_server => {
                has_server = false;
                server.close();
            }
            () = sleep(END), if !has_server => {
                tracing::error!(
                    "the server has closed its output and has not ended: the proxy ends, and nothing more is run"
                );
                return 1;
            }
            signal = signals.next() => signal.send(child.id()),
        }
    };
    if has_server {
        timeout(REST, from_server).await.ok();
    }
    status.map_or(1, exit_code)
}

/// Finds wrong settings early. Tools that need no approval can be used all the same.
async fn check(gate: Gate) {
    if let Err(error) = gate.check().await {
        let detail = Refusal::before_submit(error).loggable_detail();
        tracing::error!(
            detail,
            "the gate does not answer, or not as it should: held calls are refused until it does"
        );
    }
}

#[cfg(unix)]
use unix::Signals;

#[cfg(unix)]
mod unix {
    use rustix::process::{Pid, Signal, kill_process};
    use tokio::signal::unix::{Signal as Incoming, SignalKind, signal};

    /// The signals that end a server.
    pub(super) struct Signals {
        terminate: Incoming,
        interrupt: Incoming,
        hangup: Incoming,
    }

    pub(super) struct Passed(Signal);

    impl Signals {
        pub(super) fn new() -> Self {
            let listen = |kind| signal(kind).expect("this signal can be caught");
            Self {
                terminate: listen(SignalKind::terminate()),
                interrupt: listen(SignalKind::interrupt()),
                hangup: listen(SignalKind::hangup()),
            }
        }

        pub(super) async fn next(&mut self) -> Passed {
            Passed(tokio::select! {
                _ = self.terminate.recv() => Signal::TERM,
                _ = self.interrupt.recv() => Signal::INT,
                _ = self.hangup.recv() => Signal::HUP,
            })
        }
    }

    impl Passed {
        /// Sends it to the server as well.
        pub(super) fn send(&self, id: Option<u32>) {
            let id = id.and_then(|id| i32::try_from(id).ok());
            if let Some(id) = id.and_then(Pid::from_raw) {
                kill_process(id, self.0).ok();
            }
        }
    }
}

#[cfg(not(unix))]
use other::Signals;

#[cfg(not(unix))]
mod other {
    /// Windows ends both at once.
    pub(super) struct Signals;

    pub(super) struct Passed;

    impl Signals {
        pub(super) fn new() -> Self {
            Self
        }

        pub(super) async fn next(&mut self) -> Passed {
            std::future::pending().await
        }
    }

    impl Passed {
        pub(super) fn send(&self, _: Option<u32>) {}
    }
}
