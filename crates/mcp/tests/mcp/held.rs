//! A held call, from the question to the result.

use serde_json::json;

use crate::gate::Gate;
use crate::harness::{Folder, SETTINGS, Session, eventually, proxy, with_server};
use crate::relay::Relay;

#[test]
fn an_approved_call_runs_once_and_its_result_is_the_tools() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.call("delete_file", &json!({"path": "/a", "n": 1.0}));
    let asked = gate.only_id();
    let email = gate.email(&asked);
    for shown in ["Call delete_file of files", "delete_file", "/a", "Files"] {
        assert!(email.contains(shown), "{shown} in {email}");
    }
    assert!(folder.runs().is_empty());
    gate.approve(&asked);
    let answer = client.answer(id);
    assert_eq!(answer["result"]["more"], 1.0);
    assert_eq!(answer["result"]["isError"], json!(null));
    assert_eq!(
        folder.runs(),
        [json!(["delete_file", {"path": "/a", "n": 1}])]
    );
    gate.await_execution(&asked, "Executed");
    assert_eq!(gate.asked().len(), 1);
}

#[test]
fn without_a_decision_in_time_the_model_reads_to_call_again_and_the_call_runs_once() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::answering_within(&gate, &folder, "3s");
    let arguments = json!({"path": "/b"});
    let id = client.call("delete_file", &arguments);
    let (text, status) = client.told(id);
    assert_eq!(status, "pending");
    assert!(
        text.contains("not run yet") && text.contains("exactly the same arguments"),
        "{text}"
    );
    let asked = gate.only_id();
    let id = client.call("delete_file", &arguments);
    gate.approve(&asked);
    assert!(client.answer(id)["result"]["isError"].is_null());
    assert_eq!(folder.runs().len(), 1);
    // The same once more is a new request.
    let id = client.call("delete_file", &arguments);
    assert_eq!(client.told(id).1, "pending");
    assert_eq!(
        eventually("a second email", || Some(gate.asked())
            .filter(|it| it.len() == 2))
        .len(),
        2
    );
    assert_eq!(folder.runs().len(), 1);
}

#[test]
fn a_decision_between_two_calls_is_collected_also_by_a_proxy_that_was_restarted() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let arguments = json!({"path": "/c"});
    for (verdict, runs) in [("approve", 1), ("reject", 1)] {
        let mut client = Session::answering_within(&gate, &folder, "3s");
        let id = client.call("delete_file", &arguments);
        let answer = client.answer(id);
        let asked = answer["result"]["_meta"]["human-oversight/approval"]["id"].clone();
        let asked = asked.as_str().unwrap();
        client.kill();
        match verdict {
            "approve" => gate.approve(asked),
            _ => gate.reject(asked, "Ask \"Legal\" first"),
        }
        let mut client = Session::answering_within(&gate, &folder, "10s");
        let id = client.call("delete_file", &arguments);
        match verdict {
            "approve" => {
                assert!(client.answer(id)["result"]["isError"].is_null());
                gate.await_execution(asked, "Executed");
            }
            _ => {
                let (text, status) = client.told(id);
                assert_eq!(status, "rejected");
                let comment = r#"The approver's comment: "Ask \"Legal\" first"."#;
                assert!(text.contains(comment), "{text}");
            }
        }
        assert_eq!(folder.runs().len(), runs);
    }
    assert_eq!(gate.asked().len(), 2);
}

#[test]
fn the_same_call_several_times_at_once_is_one_request_and_one_run() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let ids = [(); 5].map(|()| client.call("delete_file", &json!({"path": "/d"})));
    let asked = gate.only_id();
    client.settle();
    gate.approve(&asked);
    for id in ids {
        assert!(client.answer(id)["result"]["isError"].is_null());
    }
    assert_eq!(folder.runs().len(), 1);
}

#[test]
fn a_result_that_no_call_waited_for_is_given_once_to_the_next_same_call() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.call("slow", &json!({}));
    let asked = gate.only_id();
    gate.approve(&asked);
    eventually("the run", || (folder.runs().len() == 1).then_some(()));
    client.cancel(id);
    folder.go();
    gate.await_execution(&asked, "Executed");
    let again = client.call("slow", &json!({}));
    assert_eq!(
        client.answer(again)["result"]["content"][0]["text"],
        "done slowly"
    );
    assert_eq!(folder.runs().len(), 1);
    client.call("slow", &json!({}));
    eventually("a new request", || (gate.asked().len() == 2).then_some(()));
    let received = String::from_utf8(folder.received()).unwrap();
    assert!(!received.contains("cancelled"), "{received}");
}

#[test]
fn a_call_that_runs_longer_than_the_client_waits_is_collected_by_the_next() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::answering_within(&gate, &folder, "2s");
    let id = client.call("slow", &json!({"n": 1}));
    gate.approve(&gate.only_id());
    let (text, status) = client.told(id);
    assert_eq!(status, "running", "{text}");
    let id = client.call("slow", &json!({"n": 1}));
    client.settle();
    folder.go();
    assert_eq!(
        client.answer(id)["result"]["content"][0]["text"],
        "done slowly"
    );
    assert_eq!(folder.runs().len(), 1);
}

#[test]
fn nothing_runs_when_the_client_has_gone_before_the_approval() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.call("delete_file", &json!({"path": "/e"}));
    let asked = gate.only_id();
    client.cancel(id);
    gate.approve(&asked);
    client.close_input();
    client.end();
    assert!(gate.status(&asked)["execution"].is_null());
    assert!(folder.runs().is_empty());
    // It is still there for a client that comes back.
    let mut client = Session::start(&gate, &folder);
    let id = client.call("delete_file", &json!({"path": "/e"}));
    assert!(client.answer(id)["result"]["isError"].is_null());
    assert_eq!(folder.runs().len(), 1);
}

#[test]
fn an_approval_that_was_claimed_in_vain_is_reported_as_not_run_and_the_next_same_call_asks_again() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let relay = Relay::before_claims(&gate.url);
    let mut client = Session::through(&relay, &folder);
    let id = client.call("delete_file", &json!({"path": "/e"}));
    let asked = gate.only_id();
    gate.approve(&asked);
    relay.await_claim();
    client.cancel(id);
    relay.open();
    let execution = gate.await_execution(&asked, "ExecutionFailed");
    assert_eq!(
        execution["error"],
        "not run: no call waited for it any more"
    );
    client.call("delete_file", &json!({"path": "/e"}));
    eventually("a new request", || (gate.asked().len() == 2).then_some(()));
    assert!(folder.runs().is_empty());
}

#[test]
fn a_call_that_comes_while_the_approval_is_claimed_runs_for_one_that_left() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let relay = Relay::before_claims(&gate.url);
    let mut client = Session::through(&relay, &folder);
    let id = client.call("delete_file", &json!({"path": "/e"}));
    let asked = gate.only_id();
    gate.approve(&asked);
    relay.await_claim();
    client.cancel(id);
    let id = client.call("delete_file", &json!({"path": "/e"}));
    client.settle();
    relay.open();
    assert!(client.answer(id)["result"]["isError"].is_null());
    gate.await_execution(&asked, "Executed");
    assert_eq!((folder.runs().len(), gate.asked().len()), (1, 1));
}

#[test]
fn what_was_claimed_for_a_client_that_left_does_not_run_after_a_pause() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let relay = Relay::before_claims(&gate.url);
    let mut command = proxy(&relay.url, &folder, SETTINGS);
    command.args(["--answer-within", "3s"]);
    let mut client = Session::spawn(with_server(&mut command, &folder));
    let id = client.call("delete_file", &json!({"path": "/e"}));
    let asked = gate.only_id();
    gate.approve(&asked);
    relay.await_claim();
    client.cancel(id);
    relay.open();
    eventually("the claim", || {
        (!gate.status(&asked)["execution"].is_null()).then_some(())
    });
    gate.operate(&["pause", "--because", "An incident.", "--again-after", "1"]);
    let id = client.call("delete_file", &json!({"path": "/e"}));
    assert_eq!(client.answer(id)["result"]["isError"], true);
    assert!(folder.runs().is_empty());
}

#[test]
fn a_page_of_a_front_in_the_place_of_any_answer_about_a_request_is_asked_for_again() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let relay = Relay::open_to(&gate.url);
    let mut command = proxy(&relay.url, &folder, SETTINGS);
    command.args(["--answer-within", "3s"]);
    let mut client = Session::spawn(with_server(&mut command, &folder));
    let id = client.call("delete_file", &json!({"path": "/e"}));
    let asked = gate.only_id();
    assert_eq!(client.told(id).1, "pending");
    relay.answer_next("/status/");
    // A call may join the one before, which asks the gate no more.
    eventually("a page", || {
        let id = client.call("delete_file", &json!({"path": "/e"}));
        assert_eq!(client.told(id).1, "pending");
        relay.has_answered().then_some(())
    });
    assert_eq!(gate.only_id(), asked);
    let mut client = Session::through(&relay, &folder);
    for (part, path) in [("/claim/", "/first"), ("/outcome/", "/second")] {
        relay.answer_next(part);
        let id = client.call("delete_file", &json!({"path": path}));
        let asked = eventually("an email", || {
            let mut asked = gate.asked().into_iter();
            asked.find(|it| gate.email(it).contains(path))
        });
        gate.approve(&asked);
        assert!(client.answer(id)["result"]["isError"].is_null());
        gate.await_execution(&asked, "Executed");
        assert!(relay.has_answered(), "{part}");
    }
}

#[test]
fn a_call_ends_when_the_gate_is_away_at_its_deadline_and_the_next_one_reads_what_became_of_it() {
    let (mut gate, folder) = (Gate::start(), Folder::new());
    let settings = format!("{SETTINGS}timeout = \"10s\"\n");
    let mut client = Session::spawn(with_server(
        &mut proxy(&gate.url, &folder, &settings),
        &folder,
    ));
    let id = client.call("delete_file", &json!({"path": "/late"}));
    gate.only_id();
    gate.kill();
    assert_eq!(client.told(id).1, "unavailable");
    gate.restart();
    let id = client.call("delete_file", &json!({"path": "/late"}));
    assert_eq!(client.told(id).1, "expired");
    assert_eq!(gate.asked().len(), 1);
}

#[test]
fn members_that_are_null_count_as_not_given() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::answering_within(&gate, &folder, "3s");
    let params = json!({"name": "delete_file", "arguments": null, "_meta": null, "task": null, "inputResponses": null});
    let id = client.request("tools/call", &params);
    assert_eq!(client.told(id).1, "pending");
    let id = client.request("tools/call", &params);
    gate.approve(&gate.only_id());
    assert!(client.answer(id)["result"]["isError"].is_null());
    assert_eq!(folder.runs(), [json!(["delete_file", {}])]);
}

#[test]
fn a_model_reads_that_the_gate_is_away_and_not_that_people_must_approve() {
    let (mut gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::answering_within(&gate, &folder, "3s");
    let id = client.call("delete_file", &json!({"path": "/away"}));
    assert_eq!(client.told(id).1, "pending");
    gate.kill();
    let id = client.call("delete_file", &json!({"path": "/away"}));
    assert_eq!(client.told(id).1, "unavailable");
    gate.restart();
    let id = client.call("delete_file", &json!({"path": "/away"}));
    assert_eq!(client.told(id).1, "pending");
    assert_eq!(gate.asked().len(), 1);
}

#[test]
fn words_and_summary_of_the_settings_are_what_people_read() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let settings = format!(
        "{SETTINGS}timeout = \"1h\"\n[action]\n\"delete_*\" = \"Delete a file for good\"\n[summary]\n\"files/delete_*\" \
         = \"Delete {{arguments.path}}\"\n"
    );
    let mut client = Session::spawn(with_server(
        &mut proxy(&gate.url, &folder, &settings),
        &folder,
    ));
    client.call("delete_file", &json!({"path": "/important"}));
    let email = gate.email(&gate.only_id());
    for shown in ["Delete a file for good", "Delete /important"] {
        assert!(email.contains(shown), "{shown} in {email}");
    }
}

#[test]
fn what_runs_is_what_was_approved_with_the_protocols_own_metadata() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let meta = json!({"progressToken": 7, "io.modelcontextprotocol/protocolVersion": "2026-07-28", "vendor/hidden": true});
    let params = json!({"name": "echo", "arguments": {"b": "é", "a": 1}, "requestState": "x", "_meta": meta});
    let id = client.request("tools/call", &params);
    let asked = gate.only_id();
    assert!(gate.email(&asked).contains("requestState"));
    gate.approve(&asked);
    let answer = client.answer(id);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    let sent: serde_json::Value = serde_json::from_str(text).unwrap();
    let expected = json!({
        "name": "echo", "arguments": {"b": "é", "a": 1}, "requestState": "x",
        "_meta": {"progressToken": 7, "io.modelcontextprotocol/protocolVersion": "2026-07-28"},
    });
    assert_eq!(sent["params"], expected);
}

/// The model cannot call it again: its client has made it of what the tool asked for.
#[test]
fn a_call_that_continues_another_waits_for_its_decision_beyond_the_time_for_an_answer() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::answering_within(&gate, &folder, "2s");
    let params =
        json!({"name": "echo", "arguments": {}, "inputResponses": {"a": {}}, "requestState": "x"});
    let continued = client.request("tools/call", &params);
    let asked = gate.only_id();
    let id = client.call("delete_file", &json!({}));
    assert_eq!(client.told(id).1, "pending");
    gate.approve(&asked);
    let answer = client.answer(continued);
    assert!(answer["result"]["isError"].is_null(), "{answer}");
}

/// People see nothing of it, and the server might read it in a way of its own.
#[test]
fn metadata_that_is_not_as_the_protocol_defines_it_is_refused_or_not_sent() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    for meta in [
        r#"{"io.modelcontextprotocol/clientInfo":{"x":1,"x":2}}"#,
        r#"{"io.modelcontextprotocol/clientInfo":"x"}"#,
        r#"{"io.modelcontextprotocol/protocolVersion":{"x":1}}"#,
        r#"{"progressToken":{"a":"cmd"}}"#,
        r#"{"baggage":["x"]}"#,
    ] {
        let params = format!(r#"{{"name":"echo","_meta":{meta}}}"#);
        let line = format!("{{\"id\":1,\"method\":\"tools/call\",\"params\":{params}}}\n");
        client.send(line.as_bytes());
        let (text, status) = client.told(1);
        assert!(status == "invalid" && text.contains("_meta"), "{text}");
    }
    assert!(gate.asked().is_empty());
    let level = "io.modelcontextprotocol/logLevel";
    let meta = json!({"io.modelcontextprotocol/target": "/etc", "x": 1, level: "info"});
    let id = client.request("tools/call", &json!({"name": "echo", "_meta": meta}));
    gate.approve(&gate.only_id());
    let answer = client.answer(id);
    let sent = answer["result"]["content"][0]["text"].as_str().unwrap();
    let sent: serde_json::Value = serde_json::from_str(sent).unwrap();
    assert_eq!(sent["params"]["_meta"], json!({level: "info"}));
}

/// So it reads the same whatever encoding it takes its input for, and wherever it ends a line.
#[test]
fn the_server_is_sent_what_was_approved_in_ascii() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let meta = json!({"tracestate": "é", "progressToken": "\u{85}"});
    let arguments = json!({"ü": "Zürich\u{2028}😀", "\\u00fc": 1});
    let params = json!({"name": "écho", "arguments": arguments, "_meta": meta});
    let id = client.request("tools/call", &params);
    gate.approve(&gate.only_id());
    let answer = client.answer(id);
    let sent = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(sent.is_ascii(), "{sent}");
    let sent: serde_json::Value = serde_json::from_str(sent).unwrap();
    assert_eq!(sent["params"], params);
}

#[test]
fn two_hundred_calls_at_once_are_two_hundred_requests_and_runs() {
    let policy = "version = 1\n[[rule]]\nid = \"all\"\nactions = [\"*\"]\neffect = \"approve\"\nignore = [\"\"]\n";
    let (gate, folder) = (Gate::with_policy(policy), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let ids: Vec<u64> = (0..200)
        .map(|n| client.call("delete_file", &json!({"n": n})))
        .collect();
    for id in ids {
        let answer = client.answer(id);
        assert!(answer["result"]["isError"].is_null(), "{answer}");
    }
    let mut runs: Vec<_> = folder
        .runs()
        .into_iter()
        .map(|run| run.to_string())
        .collect();
    runs.sort();
    runs.dedup();
    assert_eq!((runs.len(), folder.runs().len()), (200, 200));
}
