//! Proxy, server or gate is killed at random moments: nothing runs without an approval, and no approval runs twice.
//!
//! `HO_MCP_KILLS=100 cargo test -p human-oversight-mcp -- kills::` makes more rounds, `HO_MCP_SEED` repeats one.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use human_oversight_protocol::parameters::{Parameters, hex};
use serde_json::{Value, json};

use crate::gate::Gate;
use crate::harness::{Folder, Session, draw, eventually, seed, setting};

/// What ran, and the digests of the approvals that were claimed.
struct Outcome {
    runs: Vec<Value>,
    claimed: Vec<String>,
}

#[test]
fn nothing_runs_without_approval_and_nothing_twice_whatever_is_killed() {
    let seed = seed();
    for round in 0..setting("HO_MCP_KILLS").unwrap_or(6) {
        let outcome = play(seed.wrapping_add(round));
        assert!(!outcome.runs.is_empty());
        assert_eq!(outcome.faults(), [""; 0], "HO_MCP_SEED={seed}");
    }
}

#[test]
fn a_run_of_other_arguments_and_a_second_run_are_found() {
    let run = |path: &str| json!(["delete_file", {"path": path}]);
    let outcome = |runs: &[Value]| Outcome {
        runs: runs.to_vec(),
        claimed: ["/a", "/b", "/b"].map(|path| digest(&run(path))).to_vec(),
    };
    assert_eq!(
        outcome(&[run("/b"), run("/a"), run("/b")]).faults(),
        [""; 0]
    );
    for (runs, fault) in [
        (
            vec![run("/c")],
            "1 runs of 0 approvals: [\"delete_file\",{\"path\":\"/c\"}]",
        ),
        (
            vec![run("/a"), run("/a")],
            "2 runs of 1 approvals: [\"delete_file\",{\"path\":\"/a\"}]",
        ),
    ] {
        assert_eq!(outcome(&runs).faults(), [fault]);
    }
}

#[test]
fn an_approval_that_was_reported_as_not_run_permits_no_run() {
    let row = |execution: Value| json!({"status": "Approved", "execution": execution});
    let failed = |error: &str| row(json!({"status": "ExecutionFailed", "error": error}));
    assert!(may_have_run(&failed("no such file")));
    assert!(may_have_run(&row(json!({"status": "Executing"}))));
    assert!(!may_have_run(&failed(
        "not run: no call waited for it any more"
    )));
    assert!(!may_have_run(&row(Value::Null)));
}

impl Outcome {
    /// The calls that ran more often than approvals of exactly their content were claimed.
    fn faults(&self) -> Vec<String> {
        let mut runs: BTreeMap<String, usize> = BTreeMap::new();
        for run in &self.runs {
            *runs.entry(run.to_string()).or_default() += 1;
        }
        let approvals = |run: &str| {
            let digest = digest(&serde_json::from_str(run).unwrap());
            self.claimed.iter().filter(|it| **it == digest).count()
        };
        let counted = runs
            .iter()
            .map(|(run, count)| (run, *count, approvals(run)));
        let faulty = counted.filter(|(_, count, approvals)| count > approvals);
        faulty
            .map(|(run, count, approvals)| format!("{count} runs of {approvals} approvals: {run}"))
            .collect()
    }
}

/// The digest that an approval of this run has.
fn digest(run: &Value) -> String {
    let parameters = json!({"server": "files", "tool": run[0], "arguments": run[1]});
    hex(&Parameters::new(&parameters).unwrap().digest())
}

/// Whether the approval was claimed, and not reported as not run.
fn may_have_run(row: &Value) -> bool {
    let error = row["execution"]["error"].as_str().unwrap_or_default();
    row["status"] == "Approved" && !row["execution"].is_null() && !error.starts_with("not run")
}

fn play(seed: u64) -> Outcome {
    eprintln!("HO_MCP_SEED={seed}");
    let mut state = seed;
    let (gate, folder) = (Mutex::new(Gate::start()), Folder::new());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| decide_all(&gate, &is_over));
        let _end = AtEnd(&is_over);
        let mut clients = Vec::new();
        for _ in 0..4 {
            let (target, as_task) = (draw(&mut state, 4), draw(&mut state, 2) == 1);
            let after = Duration::from_millis(draw(&mut state, 400));
            let mut client = Session::answering_within(&gate.lock().unwrap(), &folder, "2s");
            for path in [format!("/{}", draw(&mut state, 2)), format!("/{REJECTED}")] {
                let mut params = json!({"name": "delete_file", "arguments": {"path": path}});
                if as_task {
                    params["task"] = json!({});
                }
                client.request("tools/call", &params);
            }
            thread::sleep(after);
            match target {
                0 => client.kill(),
                1 => kill_server(&client),
                2 => client.close_input(),
                _ => {
                    let mut gate = gate.lock().unwrap();
                    gate.kill();
                    gate.restart();
                }
            }
            // What was not killed goes on beside the next.
            clients.push(client);
        }
        // A call that no one disturbs: others may have run for all that is known, and are not run again.
        let mut client = Session::answering_within(&gate.lock().unwrap(), &folder, "2s");
        eventually("an end", || {
            let id = client.call("delete_file", &json!({"path": "/last"}));
            let answer = client.answer(id);
            let status = &answer["result"]["_meta"]["human-oversight/approval"]["status"];
            status.is_null().then_some(())
        });
    });
    let gate = gate.into_inner().unwrap();
    let rows = gate.asked().into_iter().map(|id| gate.status(&id));
    let claimed = rows.filter(may_have_run);
    let digest = |row: Value| row["parametersDigest"].as_str().unwrap().to_owned();
    Outcome {
        claimed: claimed.map(digest).collect(),
        runs: folder.runs(),
    }
}

/// Sets a flag also when a test fails.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A part of the arguments of calls that are rejected.
const REJECTED: &str = "rejected";

fn decide_all(gate: &Mutex<Gate>, is_over: &AtomicBool) {
    let mut decided = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        {
            let gate = gate.lock().unwrap();
            for id in gate.asked() {
                if !decided.contains(&id) {
                    if gate.email(&id).contains(REJECTED) {
                        gate.reject(&id, "");
                    } else {
                        gate.approve(&id);
                    }
                    decided.push(id);
                }
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the process that the proxy has started.
fn kill_server(client: &Session) {
    if let Some(server) = client.server() {
        std::process::Command::new("kill")
            .args(["-KILL", &server])
            .status()
            .unwrap();
    }
}
