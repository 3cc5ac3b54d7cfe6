//! More than comes on any day: it is held in bounded memory, answered or refused clearly, and lost
//! nowhere.

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

/// An agent has so many requests open, and may not have more.
const OF_AN_AGENT: u64 = 1_000;

fn numbered(agent: u64, number: u64) -> NewApproval {
    NewApproval {
        agent_name: format!("Agent{agent}"),
        correlation_id: Some(format!("load-{number}")),
        approver_emails: vec![ALICE.to_owned()],
        ..request()
    }
}

/// Asks as agents do: again, if the gate could not answer. Also tells how often that was so.
async fn submitted(client: &Client, new: &NewApproval) -> (Approval, u64) {
    let mut refused = 0;
    loop {
        match client.submit(new).await {
            Ok(approval) => return (approval, refused),
            Err(Error::Unavailable { status: 503, .. } | Error::Unreachable(_)) => {
                refused += 1;
                sleep(Duration::from_millis(100)).await;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A thousand more requests open cost no memory to speak of: they are on the disk. What waits costs a
/// connection and a task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_requests_and_waiting_agents_use_bounded_memory() {
    let (agents, waiting) = (cases(1, 10), cases(50, 200));
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[]).await;
    let client = gate.client();
    let (at_start, at_rest) = (memory(&gate, "VmHWM:"), sockets(&gate));
    let submits = stream::iter(0..agents * OF_AN_AGENT).map(|number| {
        let client = client.clone();
        async move {
            submitted(&client, &numbered(number % agents, number))
                .await
                .0
                .id
        }
    });
    let open: Vec<String> = submits.buffer_unordered(32).collect().await;
    for agent in 0..agents {
        let one_more = client.submit(&numbered(agent, u64::MAX)).await;
        let Err(Error::Problem(problem)) = one_more else {
            panic!("{one_more:?}")
        };
        assert_eq!(problem.status, 429);
    }
    let with_open = memory(&gate, "VmHWM:");

    // Each waits on a connection of its own, and nobody else has one.
    drop(client);
    reaches(&gate, |sockets| sockets <= at_rest).await;
    let client = gate.client();
    let waits: Vec<_> = open
        .iter()
        .take(usize::try_from(waiting).unwrap())
        .map(|id| {
            let (client, id) = (client.clone(), id.clone());
            tokio::spawn(async move {
                client
                    .status(&id, Duration::from_secs(100))
                    .await
                    .unwrap()
                    .0
            })
        })
        .collect();
    reaches(&gate, |sockets| sockets >= at_rest + waits.len()).await;
    for id in &open[..waits.len()] {
        client.withdraw(id, &Default::default()).await.unwrap();
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

/// What it may have at most, ever.
const MEMORY_KIB: u64 = 64 * 1024;

/// What the kernel says of its memory, in KiB.
fn memory(gate: &Process, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}

/// Waits until the number of its open sockets is enough.
async fn reaches(gate: &Process, enough: impl Fn(usize) -> bool) {
    eventually(async || enough(sockets(gate)).then_some(())).await;
}

/// How many sockets it has open.
fn sockets(gate: &Process) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", gate.id())).unwrap();
    let is_socket = |fd: &std::io::Result<std::fs::DirEntry>| {
        let target = fd.as_ref().ok().and_then(|fd| fd.path().read_link().ok());
        target.is_some_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    open.filter(is_socket).count()
}

/// Far more at once than it has file descriptors for.
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
                // A connection of its own, which it keeps as long as the gate does.
                let client = Client::new(&url, None).unwrap();
                let new = numbered(0, number);
                start.acquire().await.unwrap().forget();
                let (approval, refused) = submitted(&client, &new).await;
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

/// A mail server that accepts everybody and says nothing: each agent has its answer meanwhile, nothing
/// is decided, and every mail is there when the server speaks again.
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
        async move { submitted(&client, &numbered(0, number)).await.0 }
    });
    let asked: Vec<_> = submits.buffer_unordered(64).collect().await;
    for approval in &asked {
        assert_eq!(approval.status, Status::Pending);
        assert_eq!(approval.deliverable, Deliverable::None);
    }
    assert_eq!(smtp.received().len(), 0, "the answers did not wait for it");
    smtp.always(None);
    let mut sweeps = 0;
    while smtp.received().len() < asked.len() {
        assert!(sweeps < 20, "{} of {all} mails", smtp.received().len());
        gate.pass(Duration::from_secs(60));
        gate.sweep().await;
        sweeps += 1;
    }
    for approval in &asked {
        let now = gate.status(&approval.id).await;
        assert_eq!(
            (now.status, now.deliverable),
            (Status::Pending, Deliverable::Ok)
        );
    }
    assert_eq!(smtp.received().len(), asked.len(), "one mail each");
    record(
        "load_silent_mail_server",
        &[
            ("submits", all),
            ("mails", smtp.received().len() as u64),
            ("sweeps", sweeps),
        ],
    );
}
