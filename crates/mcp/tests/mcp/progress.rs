//! What a client reads of progress while it waits.

use serde_json::json;

use crate::gate::Gate;
use crate::harness::{Folder, Session};

#[test]
fn progress_has_the_clients_token_and_grows_until_the_answer() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.request("tools/call", &with_token("progress", "p-1"));
    let waiting = client.message(is_progress);
    assert_eq!(waiting["params"]["progressToken"], "p-1");
    let message = waiting["params"]["message"].as_str().unwrap();
    assert!(message.contains("alice@example.com"), "{message}");
    gate.approve(&gate.only_id());
    let mut last = waiting["params"]["progress"].as_f64().unwrap();
    loop {
        let next = client.message(|message| is_progress(message) || message["id"] == id);
        if !is_progress(&next) {
            break;
        }
        assert_eq!(next["params"]["progressToken"], "p-1");
        let now = next["params"]["progress"].as_f64().unwrap();
        assert!(now > last, "{now} after {last}");
        last = now;
    }
    assert_eq!(last, 1.0);
}

#[test]
fn the_progress_of_a_hundred_calls_that_run_at_once_grows() {
    let policy = "version = 1\n[[rule]]\nid = \"all\"\nactions = [\"*\"]\neffect = \"approve\"\nignore = [\"\"]\n";
    let (gate, folder) = (Gate::with_policy(policy), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let mut last = vec![0.0; 100];
    for n in 0..last.len() {
        let mut params = with_token("progress", n);
        params["arguments"] = json!({"n": n});
        client.request("tools/call", &params);
    }
    let mut answers = 0;
    while answers < last.len() {
        let next = client.message(|_| true);
        if !is_progress(&next) {
            answers += 1;
            continue;
        }
        let n = next["params"]["progressToken"].as_u64().unwrap() as usize;
        let now = next["params"]["progress"].as_f64().unwrap();
        assert!(now > last[n], "{now} after {} of {n}", last[n]);
        last[n] = now;
    }
    assert_eq!(last, vec![1.0; 100]);
}

#[test]
fn the_proxy_reports_no_progress_after_the_tools_own() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let first = client.request("tools/call", &with_token("progress, then slow", "first"));
    gate.approve(&gate.only_id());
    while client.message(is_progress)["params"]["progress"] != 1 {}
    // The same call, which waits for the same run. Its second notification comes later than one of the first call would.
    let second = client.request("tools/call", &with_token("progress, then slow", "second"));
    for _ in 0..2 {
        let next = client.message(is_progress);
        assert_eq!(next["params"]["progressToken"], "second", "{next}");
        assert_eq!(next["params"]["message"], "Approved: the tool runs");
    }
    folder.go();
    client.answer(first);
    client.answer(second);
}

#[test]
fn a_tool_whose_progress_begins_below_the_proxys_does_not_let_it_fall() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.request("tools/call", &with_token("progress from zero", "p-1"));
    let mut last = client.message(is_progress)["params"]["progress"]
        .as_f64()
        .unwrap();
    gate.approve(&gate.only_id());
    let mut read = Vec::new();
    loop {
        let next = client.message(|message| is_progress(message) || message["id"] == id);
        if !is_progress(&next) {
            break;
        }
        let now = next["params"]["progress"].as_f64().unwrap();
        assert!(now > last, "{now} after {last}");
        last = now;
        read.push(next["params"]["total"].clone());
    }
    // As the server wrote them, but for its zero.
    read.retain(|total| !total.is_null());
    assert_eq!(read, [json!(2), json!(2)]);
    // Without the proxy's, also its zero.
    let read = client.request("tools/call", &with_token("read_progress from zero", "p-2"));
    assert_eq!(client.message(is_progress)["params"]["progress"], 0);
    client.answer(read);
}

fn with_token(tool: &str, token: impl Into<serde_json::Value>) -> serde_json::Value {
    json!({"name": tool, "arguments": {}, "_meta": {"progressToken": token.into()}})
}

fn is_progress(message: &serde_json::Value) -> bool {
    message["method"] == "notifications/progress"
}
