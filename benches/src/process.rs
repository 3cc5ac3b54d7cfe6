//! A server as a process, with its costs from /proc.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The folder of a server. Its emails are in memory: they stand for those that a network takes, and what a file system
/// needs to create a file differs tenfold with what was deleted before.
pub(crate) struct Folder {
    dir: TempDir,
    _mails: TempDir,
}

impl Folder {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (dir, mails) = (tempfile::tempdir()?, tempfile::tempdir_in("/dev/shm")?);
        symlink(mails.path(), dir.path().join("mail"))?;
        Ok(Self { dir, _mails: mails })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// A local server, which is killed when this is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
}

impl Server {
    /// Starts a server that prints `url="http://127.0.0.1:PORT` to its standard output.
    pub(crate) async fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        while let Some(line) = lines.next_line().await? {
            let Some((_, rest)) = line.split_once("url=\"http://127.0.0.1:") else {
                continue;
            };
            let port = rest
                .trim_end()
                .split('"')
                .next()
                .unwrap_or_default()
                .parse()?;
            // Drained, or the server would block on its output.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(Self { port, child });
        }
        bail!("it ended: {command:?}")
    }

    /// Starts a server that does not print its address, on a port that was free a moment ago.
    pub(crate) async fn at(port: u16, command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let until = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            if Instant::now() > until {
                bail!("it does not listen: {command:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(Self { port, child })
    }

    fn proc(&self, file: &str) -> String {
        let id = self.child.id().unwrap_or_default();
        std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default()
    }

    /// CPU time so far of all threads, ended ones included.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks: u64 = [11, 12]
            .iter()
            .filter_map(|&n| fields.get(n)?.parse::<u64>().ok())
            .sum();
        // A tick is 10 ms on all common kernels.
        Duration::from_millis(ticks * 10)
    }

    /// Its proportional share of memory (PSS), in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let pss = self.proc("smaps_rollup");
        let line = pss.lines().find(|line| line.starts_with("Pss:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number
            .and_then(|number| number.parse().ok())
            .unwrap_or_default()
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it is bound").port()
}

/// The gate with a folder.
pub(crate) fn gate(binary: &Path, dir: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("HO_PORT", "0")
        .env("HO_STORE", format!("embedded:{}", dir.display()))
        .env("HO_MAIL", format!("file:{}", dir.join("mail").display()))
        .env("HO_OPEN_LIMIT", "10000")
        // The hand-rolled gate has none.
        .env("HO_MAIL_BUDGET", "off")
        .env("HO_OWNER_BUDGET", "off")
        // Outcome notices are part of a life, so they are sent during the measurement.
        .env("HO_SWEEP_SECONDS", "1");
    command
}
