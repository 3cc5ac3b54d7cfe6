//! The measurements. The programs take turns, so that changes of the machine's load affect all alike.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::life::{Connection, KEY, Kind, live_for, request};
use crate::process::{Folder, Server, free_port, gate};

/// Where the programs are.
pub(crate) struct Programs<'a> {
    pub(crate) gate: &'a Path,
    pub(crate) bare: &'a Path,
    /// Python with FastAPI.
    pub(crate) python: &'a Path,
    pub(crate) peer: &'a Path,
    /// The script that runs Azurite.
    pub(crate) azurite: &'a Path,
}

/// A server with a fresh folder.
pub(crate) struct Running {
    pub(crate) kind: Kind,
    pub(crate) server: Server,
    dir: Folder,
}

impl Programs<'_> {
    pub(crate) async fn gate(&self) -> anyhow::Result<Running> {
        self.gate_with(|_| ()).await
    }

    pub(crate) async fn gate_with(
        &self,
        settings: impl Fn(&mut Command),
    ) -> anyhow::Result<Running> {
        let dir = Folder::new()?;
        let mut command = gate(self.gate, dir.path());
        settings(&mut command);
        let server = Server::start(&mut command).await?;
        let kind = Kind::Gate(dir.path().join("mail"));
        Ok(Running { kind, server, dir })
    }

    pub(crate) async fn hand_rolled(&self) -> anyhow::Result<Running> {
        let dir = Folder::new()?;
        let port = free_port();
        let mut command = Command::new(self.python);
        command
            .args([
                "-m",
                "uvicorn",
                "gate:app",
                "--loop",
                "uvloop",
                "--http",
                "httptools",
            ])
            .args([
                "--log-level",
                "warning",
                "--no-access-log",
                "--port",
                &port.to_string(),
            ])
            .arg("--app-dir")
            .arg(self.peer)
            .env("GATE_DIR", dir.path())
            .env("GATE_KEY", KEY)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let server = Server::at(port, &mut command).await?;
        let kind = Kind::HandRolled(dir.path().join("mail"));
        Ok(Running { kind, server, dir })
    }
}

impl Running {
    /// The file of the gate's store.
    pub(crate) fn file(&self) -> anyhow::Result<rusqlite::Connection> {
        let file = rusqlite::Connection::open(self.dir.path().join("approvals.db"))?;
        file.busy_timeout(Duration::from_secs(60))?;
        Ok(file)
    }
}

/// The median, minimum and maximum of the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        let at = |n: usize| rounds.get(n).copied().unwrap_or(f64::NAN);
        Self {
            median: at(rounds.len() / 2),
            min: at(0),
            max: at(rounds.len().saturating_sub(1)),
        }
    }
}

/// Lives per second, and CPU milliseconds per life.
pub(crate) struct Throughput {
    pub(crate) gate: (Spread, Spread),
    pub(crate) hand_rolled: (Spread, Spread),
    /// The ratio of the two, round by round.
    pub(crate) ratio: (Spread, Spread),
}

pub(crate) async fn throughput(
    programs: &Programs<'_>,
    connections: usize,
    (rounds, time): (usize, Duration),
) -> anyhow::Result<Throughput> {
    let both = [programs.gate().await?, programs.hand_rolled().await?];
    let mut measured: [Vec<(f64, f64)>; 2] = Default::default();
    for round in 0..=rounds {
        for (running, measured) in both.iter().zip(&mut measured) {
            let before = running.server.cpu();
            let (lives, took) =
                live_for(&running.kind, running.server.port, connections, time).await?;
            let cpu = running.server.cpu() - before;
            // The first round warms both up.
            if round > 0 {
                measured.push((
                    f64::from(lives) / took.as_secs_f64(),
                    cpu.as_secs_f64() * 1e3 / f64::from(lives.max(1)),
                ));
            }
        }
    }
    let [gate, other] = measured;
    let spread = |of: &[(f64, f64)]| {
        (
            Spread::of(of.iter().map(|m| m.0)),
            Spread::of(of.iter().map(|m| m.1)),
        )
    };
    let pairs = || gate.iter().zip(&other);
    Ok(Throughput {
        ratio: (
            Spread::of(pairs().map(|(gate, other)| gate.0 / other.0)),
            Spread::of(pairs().map(|(gate, other)| other.1 / gate.1)),
        ),
        gate: spread(&gate),
        hand_rolled: spread(&other),
    })
}

/// Milliseconds from the decision until the agent knows it: for a long poll of the gate, and for a poll of
/// the hand-rolled gate every second.
pub(crate) async fn resume(
    programs: &Programs<'_>,
    times: u32,
) -> anyhow::Result<(Spread, Spread)> {
    let (gate, other) = (programs.gate().await?, programs.hand_rolled().await?);
    let (mut held, mut polled) = (Vec::new(), Vec::new());
    for n in 0..times {
        held.push(one_resume(&gate, "?wait=60", Duration::ZERO, n).await?);
        // Decisions fall anywhere between two polls.
        let into_the_second = Duration::from_millis(u64::from(n * 1_000 / times));
        polled.push(one_resume(&other, "", into_the_second, n).await?);
    }
    Ok((Spread::of(held), Spread::of(polled)))
}

async fn one_resume(running: &Running, wait: &str, later: Duration, n: u32) -> anyhow::Result<f64> {
    let (kind, port) = (&running.kind, running.server.port);
    let mut approver = Connection::open(port).await?;
    let asked = kind.submit(&mut approver, &format!("Agent{n}")).await?;
    let path = format!("/api/status/{}{wait}", asked.id);
    let agent = tokio::spawn(async move {
        let mut http = Connection::open(port).await?;
        loop {
            let found = http.get(&path).await?.json()?;
            if found["status"] != "Pending" {
                return anyhow::Ok(Instant::now());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(100) + later).await;
    let decided = Instant::now();
    kind.approve(&mut approver, &asked).await?;
    let known = agent.await??;
    Ok((known - decided).as_secs_f64() * 1e3)
}

/// Milliseconds from the start to the first response, and CPU milliseconds until then.
pub(crate) struct Start {
    pub(crate) gate: Spread,
    pub(crate) gate_cpu: Spread,
    pub(crate) bare: Spread,
}

pub(crate) async fn start(programs: &Programs<'_>, times: usize) -> anyhow::Result<Start> {
    let (mut gates, mut cpus, mut bares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..times {
        let dir = Folder::new()?;
        let (took, server) = first_answer(&mut gate(programs.gate, dir.path())).await?;
        gates.push(took);
        cpus.push(server.cpu().as_secs_f64() * 1e3);
        let (took, _) = first_answer(&mut Command::new(programs.bare)).await?;
        bares.push(took);
    }
    Ok(Start {
        gate: Spread::of(gates),
        gate_cpu: Spread::of(cpus),
        bare: Spread::of(bares),
    })
}

async fn first_answer(command: &mut Command) -> anyhow::Result<(f64, Server)> {
    let started = Instant::now();
    let server = Server::start(command).await?;
    Connection::open(server.port).await?.get("/").await?;
    Ok((started.elapsed().as_secs_f64() * 1e3, server))
}

/// KiB before the first request, KiB per waiting agent, and CPU use of the wait in percent.
pub(crate) async fn waiting(
    programs: &Programs<'_>,
    agents: usize,
) -> anyhow::Result<(u64, f64, f64)> {
    let running = programs.gate().await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let idle = running.server.memory();
    let port = running.server.port;
    // One key may hold 100 waits.
    let key = |n: usize| format!("key-{}", n / 100);
    let mut paths = Vec::new();
    let mut first = Connection::open_as(port, key(0)).await?;
    for n in 0..agents {
        if n % 100 == 0 {
            first = Connection::open_as(port, key(n)).await?;
        }
        let asked = running
            .kind
            .submit(&mut first, &format!("Agent{}", n % 32))
            .await?;
        paths.push((key(n), format!("/api/status/{}?wait=100", asked.id)));
    }
    let before = running.server.memory();
    let mut waiting = Vec::new();
    for (key, path) in paths {
        let mut http = Connection::open_as(port, key).await?;
        waiting.push(tokio::spawn(async move { http.get(&path).await.map(drop) }));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (after, cpu) = (running.server.memory(), running.server.cpu());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let busy = (running.server.cpu() - cpu).as_secs_f64() * 10.0;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    Ok((
        idle,
        (after.saturating_sub(before)) as f64 / agents as f64,
        busy,
    ))
}

/// Status calls per second, against responses of the same length from a bare server.
pub(crate) async fn status(
    programs: &Programs<'_>,
    (rounds, time): (usize, Duration),
) -> anyhow::Result<(Spread, Spread, Spread)> {
    let gate = programs.gate().await?;
    let bare = Server::start(&mut Command::new(programs.bare)).await?;
    let mut http = Connection::open(gate.server.port).await?;
    let asked = gate.kind.submit(&mut http, "Agent").await?;
    let path = format!("/api/status/{}", asked.id);
    let (mut gates, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        gates.push(reads(gate.server.port, &path, time).await?);
        bares.push(reads(bare.port, &path, time).await?);
    }
    let ratio = Spread::of(gates.iter().zip(&bares).map(|(gate, bare)| gate / bare));
    Ok((Spread::of(gates), Spread::of(bares), ratio))
}

async fn reads(port: u16, path: &str, time: Duration) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let path = path.to_owned();
        workers.spawn(async move {
            let mut http = Connection::open(port).await?;
            let mut reads = 0_u32;
            while started.elapsed() < time {
                http.get(&path).await?;
                reads += 1;
            }
            anyhow::Ok(reads)
        });
    }
    let mut all = 0;
    while let Some(worker) = workers.join_next().await {
        all += worker??;
    }
    Ok(f64::from(all) / started.elapsed().as_secs_f64())
}

/// Sequential durable writes of 4 KiB per second: the limit of the disk.
pub(crate) fn disk(time: Duration) -> anyhow::Result<f64> {
    use std::io::Write;
    let mut file = tempfile::tempfile()?;
    let (started, mut writes) = (Instant::now(), 0_u32);
    while started.elapsed() < time {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        writes += 1;
    }
    Ok(f64::from(writes) / started.elapsed().as_secs_f64())
}

/// Milliseconds for a submit, a status and a sweep, by the number of rows.
pub(crate) struct Size {
    pub(crate) rows: u64,
    pub(crate) submit: f64,
    pub(crate) status: f64,
    pub(crate) sweep: f64,
}

/// With closed requests.
pub(crate) async fn history(programs: &Programs<'_>, sizes: &[u64]) -> anyhow::Result<Vec<Size>> {
    let running = programs.gate().await?;
    let mut http = Connection::open(running.server.port).await?;
    running.kind.live(&mut http, "Past").await?;
    let mut measured = Vec::new();
    for &rows in sizes {
        let file = running.file()?;
        // These rows are never read, so they may be empty.
        file.execute(
            "WITH RECURSIVE n(i) AS (SELECT (SELECT count(*) FROM approvals) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO approvals SELECT 'Past', 'copy-' || i, 1, NULL, '{}' FROM n WHERE i < ?1",
            [i64::try_from(rows)?],
        )?;
        drop(file);
        measured.push(size(&running, "Past", rows).await?);
    }
    Ok(measured)
}

/// With open requests, none of them due.
pub(crate) async fn open(programs: &Programs<'_>, sizes: &[u64]) -> anyhow::Result<Vec<Size>> {
    let running = programs.gate().await?;
    let (mut measured, mut there) = (Vec::new(), 0);
    for &rows in sizes {
        fill(running.server.port, rows - there, 3_600).await?;
        there = rows;
        measured.push(size(&running, "Agent0", rows).await?);
    }
    Ok(measured)
}

/// Submits requests with this timeout.
pub(crate) async fn fill(port: u16, rows: u64, seconds: u32) -> anyhow::Result<()> {
    let mut workers = tokio::task::JoinSet::new();
    for n in 0..32 {
        let mine = rows / 32 + u64::from(n < rows % 32);
        workers.spawn(async move {
            let mut http = Connection::open(port).await?;
            let mut request = request(&format!("Agent{n}"));
            request["timeoutSeconds"] = seconds.into();
            for _ in 0..mine {
                http.post("/api/submit", request.clone())
                    .await?
                    .expect(202)?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

/// The seconds that a sweep took, and its report.
async fn sweep(http: &mut Connection) -> anyhow::Result<(f64, Value)> {
    let started = Instant::now();
    let report = http.post("/sweep", json!({})).await?;
    Ok((started.elapsed().as_secs_f64(), report.json()?))
}

/// Sweeps of requests that are all due.
pub(crate) struct Sweeps {
    pub(crate) rows: u64,
    /// Seconds for all sweeps, and for the longest one.
    pub(crate) all: f64,
    pub(crate) longest: f64,
    pub(crate) sweeps: u32,
}

/// With expired requests: each is stored as timed out, its approver notified, and the delivery stored.
pub(crate) async fn due(programs: &Programs<'_>, rows: u64) -> anyhow::Result<Sweeps> {
    let dir = Folder::new()?;
    // Only the sweeps below run.
    let mut command = gate(programs.gate, dir.path());
    let server = Server::start(command.env("HO_SWEEP_SECONDS", "86400")).await?;
    // The shortest timeout.
    fill(server.port, rows, 10).await?;
    tokio::time::sleep(Duration::from_secs(11)).await;
    let mut http = Connection::open(server.port).await?;
    let (mut times, mut processed) = (Vec::new(), 0);
    loop {
        let (took, report) = sweep(&mut http).await?;
        times.push(took);
        let log = report["Logs"][0].as_str().context("a log line")?;
        let (due, rest) = log.split_once(" due, ").context("the number of due rows")?;
        processed += due.parse::<u64>()?;
        if !rest.contains(" 0 failed") {
            bail!("{log}");
        }
        if rest.ends_with("complete: true") {
            break;
        }
    }
    if processed < rows {
        bail!("{processed} of {rows} were due");
    }
    Ok(Sweeps {
        rows,
        all: times.iter().sum(),
        longest: times.iter().copied().fold(0.0, f64::max),
        sweeps: u32::try_from(times.len())?,
    })
}

async fn size(running: &Running, agent: &str, rows: u64) -> anyhow::Result<Size> {
    let mut http = Connection::open(running.server.port).await?;
    let (mut submits, mut reads, mut sweeps) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..50 {
        let started = Instant::now();
        let asked = running.kind.submit(&mut http, agent).await?;
        submits.push(started.elapsed().as_secs_f64() * 1e3);
        let started = Instant::now();
        http.get(&format!("/api/status/{}", asked.id)).await?;
        reads.push(started.elapsed().as_secs_f64() * 1e3);
        sweeps.push(sweep(&mut http).await?.0 * 1e3);
    }
    Ok(Size {
        rows,
        submit: Spread::of(submits).median,
        status: Spread::of(reads).median,
        sweep: Spread::of(sweeps).median,
    })
}
