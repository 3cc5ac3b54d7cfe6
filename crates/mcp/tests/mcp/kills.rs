//! Proxy, server or gate is killed at random moments: nothing runs without an approval, and no approval runs twice.
//!
//! `HO_MCP_KILLS=100 cargo test -p human-oversight-mcp -- kills::` makes more rounds, `HO_MCP_SEED` repeats one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::gate::Gate;
use crate::harness::{Folder, Session};

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_runs_without_approval_and_nothing_twice_whatever_is_killed() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = setting("HO_MCP_SEED").unwrap_or(seed.as_nanos() as u64);
    for round in 0..setting("HO_MCP_KILLS").unwrap_or(6) {
        play(seed.wrapping_add(round));
    }
}

/// The next of a sequence of numbers (SplitMix64).
fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % below
}

fn play(seed: u64) {
    eprintln!("HO_MCP_SEED={seed}");
    let mut state = seed;
    let (gate, folder) = (Mutex::new(Gate::start()), Folder::new());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| approve_all(&gate, &is_over));
        for _ in 0..3 {
            let target = draw(&mut state, 3);
            let after = Duration::from_millis(draw(&mut state, 400));
            let mut client = Session::answering_within(&gate.lock().unwrap(), &folder, "2s");
            client.call("delete_file", &json!({"seed": seed.to_string()}));
            thread::sleep(after);
            match target {
                0 => client.kill(),
                1 => kill_server(&client),
                _ => {
                    let mut gate = gate.lock().unwrap();
                    gate.kill();
                    gate.restart();
                }
            }
            // The model calls again, in this session or in a new one.
            if target == 2 {
                let id = client.call("delete_file", &json!({"seed": seed.to_string()}));
                client.answer(id);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let gate = gate.into_inner().unwrap();
    let claimed = |id: &String| -> bool {
        let found: Value = gate.status(id);
        found["status"] == "Approved" && !found["execution"].is_null()
    };
    let claimed = gate.asked().iter().filter(|id| claimed(id)).count();
    let runs = folder.runs().len();
    assert!(
        runs <= claimed,
        "{runs} runs of {claimed} claimed approvals, HO_MCP_SEED={seed}"
    );
}

fn approve_all(gate: &Mutex<Gate>, is_over: &AtomicBool) {
    let mut approved = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        {
            let gate = gate.lock().unwrap();
            for id in gate.asked() {
                if !approved.contains(&id) {
                    gate.approve(&id);
                    approved.push(id);
                }
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the process that the proxy has started.
fn kill_server(client: &Session) {
    let id = client.child.id();
    let children =
        std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    if let Some(child) = children.split_whitespace().next() {
        std::process::Command::new("kill")
            .args(["-KILL", child])
            .status()
            .unwrap();
    }
}
