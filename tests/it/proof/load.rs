//! Load far above normal use: memory stays bounded, every call is answered or refused clearly, and
//! nothing is lost.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use human_oversight_client::types::{Approval, Deliverable, NewApproval, Status};
use human_oversight_client::{Client, Error};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::{cases, record};
use crate::deadline::{eventually, within};
use crate::harness::{ALICE, TestGate, request};
use crate::process::Process;
use crate::smtp::{Smtp, SmtpFault};

/// The limit of open requests per agent.
const OPEN_LIMIT: u64 = 1_000;

fn numbered(agent: u64, number: u64) -> NewApproval {
    NewApproval {
        agent_name: format!("Agent{agent}"),
        correlation_id: Some(format!("load-{number}")),
        approver_emails: vec![ALICE.to_owned()],
        ..request()
    }
}

/// Submits with retries while the gate is unavailable, as agents do. Also returns the number of retries.
async fn submit_with_retries(client: &Client, new: &NewApproval) -> (Approval, u64) {
    let mut refused = 0;
    loop {
        match client.submit(new).await {
            Ok(approval) => return (approval, refused),
            Err(Error::Unavailable { status: 503, .. } | Error::Unreachable { .. }) => {
                refused += 1;
                sleep(Duration::from_millis(100)).await;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Open requests are on disk and cost almost no memory. A waiting agent costs a connection and a task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_requests_and_waiting_agents_use_bounded_memory() {
    let (agents, waiting) = (cases(1, 10), cases(50, 200));
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[]).await;
    let client = gate.client();
    let (at_start, at_rest) = (memory(&gate, "VmHWM:"), sockets(&gate));
    // One caller may hold 100 waits.
    let callers = || ["a", "b", "c", "d"].map(|key| Client::new(&gate.url, Some(key)).unwrap());
    let clients = callers();
    let submits = stream::iter(0..agents * OPEN_LIMIT).map(|number| {
        // The limit is for each caller and agent.
        let caller = usize::try_from(number % agents).unwrap() % clients.len();
        let client = clients[caller].clone();
        async move {
            let new = numbered(number % agents, number);
            (caller, submit_with_retries(&client, &new).await.0.id)
        }
    });
    let open: Vec<(usize, String)> = submits.buffer_unordered(32).collect().await;
    for agent in 0..agents {
        let caller = &clients[usize::try_from(agent).unwrap() % clients.len()];
        let one_more = caller.submit(&numbered(agent, u64::MAX)).await;
        let Err(Error::Problem(problem)) = one_more else {
            panic!("{one_more:?}")
        };
        assert_eq!(problem.status, 429);
    }
    let with_open = memory(&gate, "VmHWM:");

    // Each waiting agent has its own connection, and no other connection is open.
    drop((client, clients));
    wait_for_sockets(&gate, |sockets| sockets <= at_rest).await;
    let clients = callers();
    let waits: Vec<_> = open
        .iter()
        .take(usize::try_from(waiting).unwrap())
        .map(|(caller, id)| {
            let (client, id) = (clients[*caller].clone(), id.clone());
            tokio::spawn(async move {
                client
                    .status(&id, Duration::from_secs(100))
                    .await
                    .unwrap()
                    .0
            })
        })
        .collect();
    wait_for_sockets(&gate, |sockets| sockets >= at_rest + waits.len()).await;
    for (caller, id) in &open[..waits.len()] {
        clients[*caller]
            .withdraw(id, &Default::default())
            .await
            .unwrap();
    }
    for wait in waits {
        assert_eq!(within(wait).await.unwrap().status, Status::Cancelled);
    }
    let with_all = memory(&gate, "VmHWM:");
    record(
        "load_memory",
        &[
            ("open requests", open.len() as u64),
            ("waiting agents", waiting),
            ("KiB at the start", at_start),
            ("KiB with all open", with_open),
            ("KiB in all", with_all),
        ],
    );
    assert!(with_all < MEMORY_KIB, "{with_all} KiB");
}

/// The maximum peak memory of the gate.
const MEMORY_KIB: u64 = 64 * 1024;

/// A memory figure of the gate from the kernel, in KiB.
fn memory(gate: &Process, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}

/// Waits until the number of the gate's open sockets satisfies `enough`.
async fn wait_for_sockets(gate: &Process, enough: impl Fn(usize) -> bool) {
    eventually(async || enough(sockets(gate)).then_some(())).await;
}

/// The number of the gate's open sockets.
fn sockets(gate: &Process) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", gate.id())).unwrap();
    let is_socket = |fd: &std::io::Result<std::fs::DirEntry>| {
        let target = fd.as_ref().ok().and_then(|fd| fd.path().read_link().ok());
        target.is_some_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    open.filter(is_socket).count()
}

/// More concurrent submits than the gate has file descriptors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_concurrent_submits_none_is_lost() {
    let (all, descriptors) = (cases(200, 1_000), 64);
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {descriptors} && exec \"$0\"");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_human-oversight")])
        .env_clear()
        .kill_on_drop(true);
    let gate = Process::spawn(command, dir.path(), &[]).await;
    let start = Arc::new(Semaphore::new(0));
    let submits: Vec<_> = (0..all)
        .map(|number| {
            let (url, start) = (gate.url.clone(), start.clone());
            tokio::spawn(async move {
                // A separate connection, kept until the gate closes it.
                let client = Client::new(&url, None).unwrap();
                let new = numbered(0, number);
                start.acquire().await.unwrap().forget();
                let (approval, refused) = submit_with_retries(&client, &new).await;
                (approval.id, refused)
            })
        })
        .collect();
    start.add_permits(submits.len());
    let (mut acknowledged, mut refused) = (BTreeSet::new(), 0);
    for submit in submits {
        let (id, times) = within(submit).await.unwrap();
        acknowledged.insert(id);
        refused += times;
    }
    assert_eq!(acknowledged.len() as u64, all);
    assert_eq!(rows(dir.path()), all as i64);
    record(
        "load_burst",
        &[
            ("submits at once", all),
            ("file descriptors", descriptors),
            ("refused and made again", refused),
            ("acknowledged", acknowledged.len() as u64),
        ],
    );
}

fn rows(dir: &Path) -> i64 {
    let connection = rusqlite::Connection::open(dir.join("approvals.db")).unwrap();
    let count = "SELECT count(*) FROM approvals";
    connection.query_row(count, [], |row| row.get(0)).unwrap()
}

/// The mail server accepts connections and sends nothing. Every agent still gets its response, nothing
/// is decided, and every email arrives once the server responds again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_mail_server_delays_no_agent() {
    let all = cases(30, 300);
    let smtp = Smtp::plain().await;
    smtp.always(Some(SmtpFault::Silence));
    let url = smtp.url();
    let gate = TestGate::with(&[
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &url),
        ("HO_MAIL_FROM", "gate@example.com"),
    ])
    .await;
    let submits = stream::iter(0..all).map(|number| {
        let client = gate.client.clone();
        async move { submit_with_retries(&client, &numbered(0, number)).await.0 }
    });
    let submitted: Vec<_> = submits.buffer_unordered(64).collect().await;
    for approval in &submitted {
        assert_eq!(approval.status, Status::Pending);
        assert_eq!(approval.deliverable, Deliverable::None);
    }
    assert_eq!(
        smtp.received().len(),
        0,
        "the responses did not wait for the mail server"
    );
    smtp.always(None);
    let mut sweeps = 0;
    while smtp.received().len() < submitted.len() {
        assert!(sweeps < 20, "{} of {all} emails", smtp.received().len());
        gate.pass(Duration::from_secs(60));
        gate.sweep().await;
        sweeps += 1;
    }
    for approval in &submitted {
        let now = gate.status(&approval.id).await;
        assert_eq!(
            (now.status, now.deliverable),
            (Status::Pending, Deliverable::Ok)
        );
    }
    assert_eq!(
        smtp.received().len(),
        submitted.len(),
        "one email per request"
    );
    record(
        "load_silent_mail_server",
        &[
            ("submits", all),
            ("emails", smtp.received().len() as u64),
            ("sweeps", sweeps),
        ],
    );
}
