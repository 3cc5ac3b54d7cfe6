//! Exact counts for one approval: executions, writes synced to the disk, bytes, instructions.
//! (tests/it/tables.rs counts the operations on tables.) None of them depends on the load of the
//! machine; docs/performance.md explains each.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::claim::claim;
use crate::deadline::{blocking_within, eventually};
use crate::end_to_end;
use crate::harness::{ALICE, TestGate, for_alice, http, mails, question};
use crate::host::tick;
use crate::outcome::report;
use crate::process::{Process, decide, decide_at};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_takes_six_executions_and_one_per_poll() {
    let dir = tempfile::tempdir().unwrap();
    let host = end_to_end::host(dir.path(), None, &[end_to_end::EVERY_CALL]).await;
    let gate = end_to_end::gate(&host);
    for approvals in [1, 2] {
        let asked = end_to_end::run_approval(&gate, &host, dir.path()).await;
        // A browser follows the redirect after the decision.
        http()
            .build()
            .unwrap()
            .get(&asked.link)
            .send()
            .await
            .unwrap();
        let expected = [
            ("claim", approvals),
            ("decision", 3 * approvals),
            // The agent fetches them once.
            ("keys", 1),
            ("outcome", approvals),
            ("status", approvals),
            ("submit", approvals),
        ];
        let expected = expected
            .map(|(name, times)| (name.to_owned(), times))
            .into();
        assert_eq!(end_to_end::count_calls(&host, &expected).await, expected);
    }
}

/// For each step of an approval by one approver, the lines that the gate logs, and their bytes at most. `scripts/cost`
/// reads them here.
const LOGGED: [(&str, usize, usize); 7] = [
    ("submit", 3, 640),
    ("status while it is pending", 0, 0),
    ("the page, the decision, the page again", 4, 840),
    ("status", 1, 210),
    ("claim", 2, 420),
    ("outcome", 2, 425),
    ("sweep", 2, 410),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_logs_the_recorded_lines() {
    let dir = tempfile::tempdir().unwrap();
    let host = end_to_end::host(dir.path(), None, &[]).await;
    let client = end_to_end::client(&host);
    // What only the first call logs.
    client.submit(&for_alice()).await.unwrap();
    tick(host.handler, "sweep").await;
    let mut seen = host.log().len();
    let mut take = async |count: usize| {
        let lines = eventually(async || {
            let lines = host.log().split_off(seen);
            (lines.len() >= count).then_some(lines)
        })
        .await;
        seen += lines.len();
        let bytes = lines.iter().map(|(_, line)| line.len() + 1).sum::<usize>();
        (lines.len(), bytes)
    };
    let mut logged = Vec::new();
    let [submit, pending, decision, decided, claimed, outcome, sweep] = LOGGED.map(|it| it.1);
    let id = client.submit(&for_alice()).await.unwrap().id;
    logged.push(take(submit).await);
    client.status(&id, Duration::ZERO).await.unwrap();
    logged.push(take(pending).await);
    let asked = question(&mails(&dir.path().join("mail")), &id, ALICE);
    let form = format!("decision=approve&code={}", asked.code);
    assert_eq!(decide_at(&asked.link, &form).await.unwrap(), 303);
    let browser = http().build().unwrap();
    browser.get(&asked.link).send().await.unwrap();
    logged.push(take(decision).await);
    client.status(&id, Duration::ZERO).await.unwrap();
    logged.push(take(decided).await);
    client.claim(&id, &claim("0123456789abcdef")).await.unwrap();
    logged.push(take(claimed).await);
    client.outcome(&id, &report(None)).await.unwrap();
    logged.push(take(outcome).await);
    tick(host.handler, "sweep").await;
    logged.push(take(sweep).await);
    for ((step, lines, most), (found, bytes)) in LOGGED.into_iter().zip(logged) {
        assert_eq!(found, lines, "{step}");
        assert!(bytes <= most && bytes >= most * 4 / 5, "{step}: {bytes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_fits_in_one_flight_and_a_response_in_one_packet() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let page = gate.get(&gate.question(&approval, ALICE).link).await;
    // TCP's initial window is ten packets (RFC 6928), so the page takes one round trip.
    assert!(page.body.len() < 14_000, "{}", page.body.len());
    let status = serde_json::to_vec(&gate.status(&approval.id).await).unwrap();
    assert!(status.len() < 1_400, "{}", status.len());
}

/// Runs this number of lifecycles, one after another, in a gate under a tool. Returns the tool's output.
async fn run_under(tool: &[&str], binary: &str, lifecycles: usize) -> String {
    let dir = tempfile::tempdir().unwrap();
    // The sweep at the start and the first request open a new file in either order, with different
    // numbers of writes, so the file is created before the count. A gate that stops may close its file or not,
    // with different numbers too, so this one is killed.
    let first = Process::start(dir.path(), &[]).await;
    first.client().submit(&for_alice()).await.unwrap();
    first.kill().await;
    let written = dir.path().join("tool.txt");
    let mut command = Command::new(tool[0]);
    let arguments = tool[1..]
        .iter()
        .map(|it| it.replace("FILE", written.to_str().unwrap()));
    command
        .args(arguments)
        .arg(binary)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // No sweep runs during the count.
    let gate = Process::spawn(command, dir.path(), &[("HO_SWEEP_SECONDS", "86400")]).await;
    for _ in 0..lifecycles {
        run_lifecycle(dir.path(), &gate).await;
    }
    gate.terminate().await;
    std::fs::read_to_string(written).unwrap()
}

async fn run_lifecycle(dir: &Path, gate: &Process) {
    let client = gate.client();
    let id = client.submit(&for_alice()).await.unwrap().id;
    client.status(&id, Duration::ZERO).await.unwrap();
    let decided = decide(dir, &id, "decision=approve&code=CODE").await;
    assert_eq!(decided.unwrap(), 303);
    client.status(&id, Duration::ZERO).await.unwrap();
    let claim = claim("0123456789abcdef");
    client.claim(&id, &claim).await.unwrap();
    client.outcome(&id, &report(None)).await.unwrap();
}

/// Whether a tool is installed. A missing tool is reported, and is an error in CI.
fn is_installed(tool: &str) -> bool {
    let mut version = std::process::Command::new(tool);
    version.arg("--version");
    let is_here = blocking_within(move || version.output()).is_ok();
    assert!(
        is_here || std::env::var("CI").is_err(),
        "CI must count with {tool}"
    );
    if !is_here {
        eprintln!("\n!! {tool} is missing: this is NOT counted.\n");
    }
    is_here
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_is_synced_once() {
    if !is_installed("strace") {
        return;
    }
    let mut counted = Vec::new();
    for lifecycles in [5, 15] {
        let tool = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", "FILE"];
        let text = run_under(&tool, env!("CARGO_BIN_EXE_human-oversight"), lifecycles).await;
        let begun = text
            .lines()
            .take_while(|line| !line.contains("--- SIGTERM"))
            .filter(|line| line.contains("sync(") && !line.contains("resumed"));
        counted.push(begun.count());
    }
    // The request, the result of its delivery, the decision, the claim, the outcome; and the kept decision, which no
    // answer waits for, so that it may share a commit: in either run.
    let more = counted[1] - counted[0];
    assert!((15 * 5 - 5 * 6..=15 * 6 - 5 * 5).contains(&more), "{more}");
}

/// For one lifecycle, in the release build; valgrind emulates no SHA-256 instructions.
const INSTRUCTIONS: f64 = 9_527_000.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "scripts/package --check runs this test on the package"]
async fn an_approval_takes_the_recorded_instructions() {
    if !is_installed("valgrind") {
        return;
    }
    let package = std::env::var("HO_TEST_PACKAGE").unwrap();
    let mut counted = Vec::new();
    for lifecycles in [10, 50] {
        let tool = [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--log-file=FILE",
        ];
        let text = run_under(&tool, &format!("{package}/human-oversight"), lifecycles).await;
        let line = text
            .lines()
            .find(|line| line.contains("Collected"))
            .unwrap();
        counted.push(line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    }
    let each = (counted[1] - counted[0]) / 40.0;
    let change = each / INSTRUCTIONS - 1.0;
    eprintln!(
        "{each:.0} instructions, {:+.2} % of {INSTRUCTIONS:.0}",
        change * 100.0
    );
    assert!(
        change.abs() < 0.03,
        "{each:.0} instructions: if the change is intended, update INSTRUCTIONS in tests/it/counts.rs"
    );
}
