//! The handler's process: started, supervised, and restarted as the host does it.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::{TcpListener, TcpSocket};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Front, FunctionApp, Mode};
use crate::canary;
use crate::deadline::{TestDeadline, within};
use crate::harness::http;

/// The log level that the host gives to a line of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Information,
    Warning,
    Error,
}

/// The state of the handler's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Starting,
    Ready,
    /// The handler ended with code 0, and this host does not restart it.
    Abandoned,
    /// Three errors within half an hour: the host itself ends.
    HostStopped,
}

/// A port for successive servers. The kernel gives it to no other process: it is bound by a socket that
/// does not listen, which leaves it free for a server that binds it explicitly.
pub(crate) struct ReservedPort {
    pub(crate) number: u16,
    _socket: TcpSocket,
}

impl ReservedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self {
            number: socket.local_addr().unwrap().port(),
            _socket: socket,
        }
    }
}

/// The host with its handler.
pub(crate) struct Host {
    pub(crate) url: String,
    pub(crate) handler: SocketAddr,
    pub(crate) health: watch::Receiver<Health>,
    log: Arc<Mutex<Vec<(Level, String)>>>,
    process: Arc<Mutex<Option<u32>>>,
    supervisor: tokio::task::JoinHandle<()>,
    /// The times from each start of the handler to its first response.
    pub(crate) starts: Arc<Mutex<Vec<Duration>>>,
    _deadline: TestDeadline,
}

/// Runs the handler's process and restarts it.
struct Supervisor {
    app: FunctionApp,
    port: ReservedPort,
    settings: Vec<(String, String)>,
    restart_on_zero: bool,
    log: Arc<Mutex<Vec<(Level, String)>>>,
    process: Arc<Mutex<Option<u32>>>,
    starts: Arc<Mutex<Vec<Duration>>>,
    health: watch::Sender<Health>,
}

impl Host {
    /// Starts the host over the files in `root`. `restart_on_zero`: hosts since 2026 restart a handler
    /// that ended with code 0; older ones do not.
    pub(crate) async fn start(
        root: &Path,
        settings: &[(&str, &str)],
        restart_on_zero: bool,
        mode: Option<Mode>,
    ) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = FunctionApp::read(root, settings)?;
        let port = ReservedPort::new();
        let handler = SocketAddr::from(([127, 0, 0, 1], port.number));
        let mode = mode.unwrap_or(app.mode);
        Front::open(app.clone(), mode, listener, handler, None);
        let (sender, health) = watch::channel(Health::Starting);
        let (log, process, starts) = (Arc::default(), Arc::default(), Arc::default());
        let supervisor = Supervisor {
            app,
            port,
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.replace("{url}", &url)))
                .collect(),
            restart_on_zero,
            log: Arc::clone(&log),
            process: Arc::clone(&process),
            starts: Arc::clone(&starts),
            health: sender,
        };
        let supervisor = tokio::spawn(supervisor.run());
        Ok(Self {
            url,
            handler,
            health,
            log,
            process,
            supervisor,
            starts,
            _deadline: TestDeadline::start(),
        })
    }

    /// Waits until the handler is in this state.
    pub(crate) async fn until(&mut self, health: Health) {
        let reached = self.health.wait_for(|now| *now == health);
        within(reached).await.expect("the host lives");
    }

    /// Sends SIGKILL to the handler, as the host does; the supervisor restarts it.
    pub(crate) async fn kill_handler(&mut self) {
        let id = self.process.lock().unwrap().expect("the handler runs");
        self.health.borrow_and_update();
        let status = Command::new("kill")
            .args(["-9", &id.to_string()])
            .status()
            .await
            .unwrap();
        assert!(status.success());
        within(self.health.changed()).await.unwrap();
    }

    pub(crate) fn log(&self) -> Vec<(Level, String)> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The child is killed when the task drops it.
        self.supervisor.abort();
    }
}

impl Supervisor {
    async fn run(self) {
        let mut errors: VecDeque<Instant> = VecDeque::new();
        loop {
            let code = match self.spawn() {
                Ok(child) => self.watch(child).await,
                // The host logs the error and waits for ever.
                Err(error) => {
                    self.write(
                        Level::Error,
                        format!("Failed to start Worker Channel: {error}"),
                    );
                    return;
                }
            };
            *self.process.lock().unwrap() = None;
            match code {
                Some(200) => {}
                Some(0) if self.restart_on_zero => {}
                Some(0) => {
                    self.health.send_replace(Health::Abandoned);
                    return;
                }
                _ => {
                    let now = Instant::now();
                    if errors
                        .back()
                        .is_some_and(|last| now - *last > Duration::from_secs(1_800))
                    {
                        errors.clear();
                    }
                    errors.push_back(now);
                    if errors.len() >= 3 {
                        self.write(
                            Level::Error,
                            "Exceeded http worker restart retry count".to_owned(),
                        );
                        self.health.send_replace(Health::HostStopped);
                        return;
                    }
                }
            }
            self.health.send_replace(Health::Starting);
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let app = &self.app;
        // A file of the app takes precedence; any other name is resolved through PATH.
        let own = app.root.join(&app.executable);
        let program = if own.is_file() {
            own
        } else {
            PathBuf::from(&app.executable)
        };
        let id = Uuid::now_v7().to_string();
        let mut command = Command::new(program);
        command
            .current_dir(&app.root)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", self.port.number.to_string())
            .env("FUNCTIONS_HTTPWORKER_PORT", self.port.number.to_string())
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &id)
            .env("FUNCTIONS_HTTPWORKER_ID", &id)
            .env("FUNCTIONS_APP_ROOT_PATH", &app.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        loop {
            match command.spawn() {
                // A script that was just written: a process that another test starts still has it open.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    std::thread::yield_now();
                }
                spawned => return spawned,
            }
        }
    }

    /// Watches the process until it ends. Returns its exit code, or `None` if a signal ended it.
    async fn watch(&self, mut child: Child) -> Option<i32> {
        let started = Instant::now();
        *self.process.lock().unwrap() = child.id();
        let out = self.read(child.stdout.take().unwrap(), |_| Level::Information);
        let err = self.read(child.stderr.take().unwrap(), |line| {
            if line.to_ascii_lowercase().contains("warn") {
                Level::Warning
            } else {
                Level::Error
            }
        });
        let ready = async {
            // Any response to the ping counts.
            let url = format!("http://127.0.0.1:{}/", self.port.number);
            let http = http().build().unwrap();
            while http.get(&url).send().await.is_err() {
                if started.elapsed() > Duration::from_secs(30) {
                    self.write(
                        Level::Error,
                        "Initializing HttpWorker timed out.".to_owned(),
                    );
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
            self.starts.lock().unwrap().push(started.elapsed());
            self.health.send_replace(Health::Ready);
        };
        let mut ended = None;
        let process = async { ended = child.wait().await.ok() };
        let life = async {
            tokio::select! {
                () = process => {}
                () = async { ready.await; std::future::pending().await } => {}
            }
        };
        tokio::join!(life, out, err);
        ended.and_then(|status| status.code())
    }

    async fn read(&self, lines: impl AsyncRead + Unpin, level: impl Fn(&str) -> Level) {
        let mut lines = BufReader::new(lines).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            canary::exit_if_secret(&line);
            self.write(level(&line), line);
        }
    }

    fn write(&self, level: Level, line: String) {
        self.log.lock().unwrap().push((level, line));
    }
}
