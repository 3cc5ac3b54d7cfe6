//! Held calls as tasks: a client that takes one has the result later, and nothing else changes.

use serde_json::{Value, json};

use crate::gate::Gate;
use crate::harness::{Folder, Session, eventually};
use crate::relay::Relay;

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// Declares tasks, as revision 2025-11-25 does.
fn declare(client: &mut Session) -> Value {
    let capabilities = json!({"tasks": {"list": {}}});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities});
    let id = client.request("initialize", &params);
    client.answer(id)["result"].clone()
}

fn call_as_task(client: &mut Session, tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments, "task": {"ttl": 60_000}});
    let id = client.request("tools/call", &params);
    client.answer(id)["result"].clone()
}

fn task_id(created: &Value) -> String {
    let id = created["task"]["taskId"].as_str();
    id.unwrap_or_else(|| panic!("{created}")).to_owned()
}

fn ask(client: &mut Session, method: &str, task: &str) -> Value {
    let id = client.request(method, &json!({"taskId": task}));
    client.answer(id)
}

fn status(client: &mut Session, task: &str) -> String {
    let answer = ask(client, "tasks/get", task);
    let status = answer["result"]["status"].as_str();
    status.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// What the stand-in server got of this method.
fn received(folder: &Folder, method: &str) -> Vec<Value> {
    let received = String::from_utf8(folder.received()).unwrap();
    let lines = received
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["method"] == method)
        .collect()
}

#[test]
fn a_call_as_a_task_is_answered_at_once_and_runs_once_after_the_approval() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let created = call_as_task(&mut client, "delete_file", &json!({"path": "/a"}));
    let task = &created["task"];
    assert_eq!(task["status"], "working");
    // The decision may take longer than the client foresaw.
    assert!(task["ttl"].as_u64().unwrap() > 30 * 86_400_000, "{task}");
    assert_eq!(task["pollInterval"], 5_000);
    let immediate = "io.modelcontextprotocol/model-immediate-response";
    assert!(
        created["_meta"][immediate]
            .as_str()
            .unwrap()
            .contains("not run yet")
    );
    let task = task_id(&created);
    let asked = gate.only_id();
    let awaited = client.message(|it| {
        it["method"] == "notifications/tasks/status" && !it["params"]["statusMessage"].is_null()
    });
    assert_eq!(awaited["params"]["taskId"], json!(task));
    let message = awaited["params"]["statusMessage"].as_str().unwrap();
    assert!(
        message.contains("alice@example.com must approve"),
        "{message}"
    );
    assert_eq!(status(&mut client, &task), "working");
    assert!(folder.runs().is_empty());
    let result = client.request("tasks/result", &json!({"taskId": task}));
    client.settle();
    gate.approve(&asked);
    let result = client.answer(result)["result"].clone();
    assert!(result["isError"].is_null(), "{result}");
    assert_eq!(result["more"], 1.0);
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/related-task"]["taskId"],
        json!(task)
    );
    assert_eq!(status(&mut client, &task), "completed");
    let again = ask(&mut client, "tasks/result", &task)["result"].clone();
    assert_eq!(again, result);
    assert_eq!(folder.runs(), [json!(["delete_file", {"path": "/a"}])]);
    gate.await_execution(&asked, "Executed");
    // Who has the result and calls once more means another run.
    client.call("delete_file", &json!({"path": "/a"}));
    eventually("a new request", || (gate.asked().len() == 2).then_some(()));
    // The task was not the server's.
    assert!(received(&folder, "tasks/get").is_empty());
    assert!(received(&folder, "tools/call")[0]["params"]["task"].is_null());
}

#[test]
fn a_rejected_task_completes_with_words_that_are_an_error() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let task = task_id(&call_as_task(&mut client, "delete_file", &json!({})));
    gate.reject(&gate.only_id(), "Not today.");
    let result = ask(&mut client, "tasks/result", &task)["result"].clone();
    assert_eq!(result["isError"], true);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("rejected by alice@example.com") && text.contains("Not today."),
        "{text}"
    );
    assert_eq!(status(&mut client, &task), "completed");
    assert!(folder.runs().is_empty());
}

#[test]
fn a_task_whose_tool_fails_with_an_error_of_the_protocol_has_failed() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let task = task_id(&call_as_task(&mut client, "error", &json!({})));
    gate.approve(&gate.only_id());
    assert_eq!(
        ask(&mut client, "tasks/result", &task)["error"]["message"],
        "broken"
    );
    assert_eq!(status(&mut client, &task), "failed");
}

#[test]
fn a_cancelled_task_runs_nothing_and_the_next_same_call_finds_its_request() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let task = task_id(&call_as_task(
        &mut client,
        "delete_file",
        &json!({"path": "/b"}),
    ));
    let asked = gate.only_id();
    let waiting = client.request("tasks/result", &json!({"taskId": task}));
    let cancelled = ask(&mut client, "tasks/cancel", &task);
    assert_eq!(cancelled["result"]["status"], "cancelled");
    assert_eq!(
        cancelled["result"]["statusMessage"],
        "cancelled by the client: not run"
    );
    assert!(client.answer(waiting)["error"]["message"].is_string());
    assert_eq!(
        ask(&mut client, "tasks/cancel", &task)["error"]["code"],
        -32_602
    );
    gate.approve(&asked);
    client.settle();
    // A call that is held passes all stages meanwhile.
    let other = client.call("delete_file", &json!({"path": "/other"}));
    let other_asked = eventually("the other email", || {
        gate.asked().into_iter().find(|it| *it != asked)
    });
    gate.approve(&other_asked);
    client.answer(other);
    assert!(gate.status(&asked)["execution"].is_null());
    assert_eq!(folder.runs().len(), 1);
    let id = client.call("delete_file", &json!({"path": "/b"}));
    assert!(client.answer(id)["result"]["isError"].is_null());
    assert_eq!((folder.runs().len(), gate.asked().len()), (2, 2));
}

#[test]
fn a_result_that_came_after_its_task_was_cancelled_is_given_to_the_next_same_call() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let task = task_id(&call_as_task(&mut client, "slow", &json!({})));
    let asked = gate.only_id();
    gate.approve(&asked);
    eventually("the run", || (folder.runs().len() == 1).then_some(()));
    let cancelled = ask(&mut client, "tasks/cancel", &task)["result"].clone();
    assert_eq!(cancelled["status"], "cancelled");
    let message = cancelled["statusMessage"].as_str().unwrap();
    assert!(message.contains("may have run"), "{message}");
    folder.go();
    gate.await_execution(&asked, "Executed");
    let id = client.call("slow", &json!({}));
    assert_eq!(
        client.answer(id)["result"]["content"][0]["text"],
        "done slowly"
    );
    assert_eq!((folder.runs().len(), gate.asked().len()), (1, 1));
}

#[test]
fn tasks_and_calls_of_the_same_content_are_one_request_and_one_run() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let call = client.call("delete_file", &json!({"path": "/c"}));
    let tasks = [(); 3].map(|()| {
        task_id(&call_as_task(
            &mut client,
            "delete_file",
            &json!({"path": "/c"}),
        ))
    });
    let asked = gate.only_id();
    gate.approve(&asked);
    assert!(client.answer(call)["result"]["isError"].is_null());
    for task in tasks {
        assert!(ask(&mut client, "tasks/result", &task)["result"]["isError"].is_null());
    }
    assert_eq!((folder.runs().len(), gate.asked().len()), (1, 1));
}

#[test]
fn after_a_restart_the_task_is_gone_and_the_same_call_collects_its_approval() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let task = task_id(&call_as_task(
        &mut client,
        "delete_file",
        &json!({"path": "/d"}),
    ));
    let asked = gate.only_id();
    client.kill();
    gate.approve(&asked);
    let mut client = Session::start(&gate, &folder);
    let gone = ask(&mut client, "tasks/get", &task);
    assert!(
        gone["error"]["message"]
            .as_str()
            .unwrap()
            .contains("call the tool again"),
        "{gone}"
    );
    assert!(folder.runs().is_empty());
    let task = task_id(&call_as_task(
        &mut client,
        "delete_file",
        &json!({"path": "/d"}),
    ));
    assert!(ask(&mut client, "tasks/result", &task)["result"]["isError"].is_null());
    assert_eq!((folder.runs().len(), gate.asked().len()), (1, 1));
}

#[test]
fn nothing_runs_for_a_task_whose_client_closes_its_end_while_the_approval_is_claimed() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let relay = Relay::before_claims(&gate.url);
    let mut client = Session::through(&relay, &folder);
    call_as_task(&mut client, "delete_file", &json!({}));
    let asked = gate.only_id();
    gate.approve(&asked);
    relay.await_claim();
    client.close_input();
    // So the proxy knows.
    eventually("the end of the server", || {
        client.server().is_none().then_some(())
    });
    relay.open();
    client.end();
    let execution = gate.await_execution(&asked, "ExecutionFailed");
    assert_eq!(
        execution["error"],
        "not run: no call waited for it any more"
    );
    assert!(folder.runs().is_empty());
}

#[test]
fn the_end_of_a_task_that_no_one_has_fetched_is_given_once_to_the_next_same_call() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let arguments = json!({"path": "/f"});
    for (verdict, is_task) in [("approve", false), ("reject", false), ("approve", true)] {
        let earlier = gate.asked();
        let task = task_id(&call_as_task(&mut client, "delete_file", &arguments));
        let asked = eventually("an email", || {
            gate.asked().into_iter().find(|it| !earlier.contains(it))
        });
        match verdict {
            "approve" => gate.approve(&asked),
            _ => gate.reject(&asked, ""),
        }
        eventually("the end", || {
            (status(&mut client, &task) == "completed").then_some(())
        });
        let result = if is_task {
            let next = task_id(&call_as_task(&mut client, "delete_file", &arguments));
            ask(&mut client, "tasks/result", &next)["result"].clone()
        } else {
            let id = client.call("delete_file", &arguments);
            client.answer(id)["result"].clone()
        };
        assert_eq!(
            result["isError"].is_null(),
            verdict == "approve",
            "{result}"
        );
        assert_eq!(gate.asked().len(), earlier.len() + 1);
    }
    assert_eq!(folder.runs().len(), 2);
}

#[test]
fn tasks_of_the_server_pass_as_they_are() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    declare(&mut client);
    let lines = [
        r#"{"jsonrpc":"2.0","id":"t1","method":"tasks/get","params":{ "taskId":"theirs-1" }}"#,
        r#"{"jsonrpc":"2.0","id":"t2","method":"tasks/cancel","params":{"taskId":"theirs-1","x":1.0}}"#,
        r#"{"jsonrpc":"2.0","id":"t3","method":"tools/call","params":{"name":"read_file", "task":{"ttl":1}}}"#,
    ];
    for line in lines {
        client.send(format!("{line}\n").as_bytes());
    }
    client.settle();
    let received = String::from_utf8(folder.received()).unwrap();
    for line in lines {
        assert!(
            received.contains(&format!("{line}\n")),
            "{line} in {received}"
        );
    }
    assert!(gate.asked().is_empty());
}

#[test]
fn a_tool_that_runs_as_a_task_only_is_asked_for_one_after_the_approval() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    declare(&mut client);
    let list = client.request("tools/list", &json!({}));
    client.answer(list);
    let task = task_id(&call_as_task(
        &mut client,
        "research",
        &json!({"about": "x"}),
    ));
    assert!(folder.runs().is_empty());
    gate.approve(&gate.only_id());
    let result = ask(&mut client, "tasks/result", &task)["result"].clone();
    assert_eq!(result["content"][0]["text"], "found", "{result}");
    let meta = json!({"other": 1, "io.modelcontextprotocol/related-task": {"taskId": task}});
    assert_eq!(result["_meta"], meta);
    assert_eq!(
        received(&folder, "tasks/result")[0]["params"]["taskId"],
        "theirs-1"
    );
    assert_eq!(folder.runs().len(), 1);
}

#[test]
fn a_plain_call_of_a_tool_that_runs_as_a_task_only_gets_its_result_too() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    declare(&mut client);
    let list = client.request("tools/list", &json!({}));
    client.answer(list);
    let task = task_id(&call_as_task(&mut client, "research", &json!({})));
    let asked = gate.only_id();
    let id = client.call("research", &json!({}));
    client.settle();
    gate.approve(&asked);
    let result = client.answer(id)["result"].clone();
    assert_eq!(result["content"][0]["text"], "found", "{result}");
    let result = ask(&mut client, "tasks/result", &task)["result"].clone();
    assert_eq!(result["content"][0]["text"], "found", "{result}");
    assert_eq!(folder.runs().len(), 1);
}

#[test]
fn what_answers_a_request_that_was_cancelled_is_not_read_or_changed() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    declare(&mut client);
    let id = client.request("tools/list", &json!({"cursor": "no answer"}));
    client.cancel(id);
    let line =
        format!("{{\"id\":{id},\"result\": {{\"tools\":[{{\"name\":\"delete_file\"}}]}}}}\n");
    client.request("test/say", &json!({"text": line}));
    assert_eq!(String::from_utf8(client.line()).unwrap(), line);
}

#[test]
fn a_client_that_declares_tasks_reads_that_held_tools_can_be_called_as_tasks() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let found = declare(&mut client);
    let tasks = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
    assert_eq!(found["capabilities"], json!({"tools": {}, "tasks": tasks}));
    let id = client.request("tools/list", &json!({}));
    let tools = client.answer(id)["result"]["tools"].clone();
    let support = ["delete_file", "read_file", "research"].map(|name| {
        let tool = tools
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["name"] == name);
        tool.unwrap()["execution"]["taskSupport"].clone()
    });
    assert_eq!(support, [json!("optional"), json!(null), json!("required")]);
    let id = client.request("tasks/list", &json!({}));
    assert_eq!(client.answer(id)["result"], json!({"tasks": []}));
    let task = task_id(&call_as_task(&mut client, "delete_file", &json!({})));
    let id = client.request("tasks/list", &json!({}));
    let tasks = client.answer(id)["result"]["tasks"].clone();
    assert_eq!(
        (tasks.as_array().unwrap().len(), &tasks[0]["taskId"]),
        (1, &json!(task))
    );
}

#[test]
fn a_client_that_does_not_declare_tasks_reads_what_the_server_wrote() {
    let (gate, folder) = (Gate::start(), Folder::new());
    for params in [
        json!({"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}}),
        json!({"protocolVersion": "2025-06-18", "capabilities": {"tasks": {}}}),
    ] {
        let mut client = Session::start(&gate, &folder);
        for (method, params) in [("initialize", &params), ("tools/list", &json!({}))] {
            client.request(method, params);
            let line = String::from_utf8(client.line()).unwrap();
            // The stand-in's own spaces.
            assert!(line.starts_with("{ \"result\" : "), "{line}");
            assert!(
                !line.contains("\"tasks\"") && !line.contains("optional"),
                "{line}"
            );
        }
    }
}

#[test]
fn a_call_that_declares_the_extension_is_a_task_with_its_result_inside() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let capabilities =
        json!({"extensions": {"io.modelcontextprotocol/tasks": {}, "other": {}}, "sampling": {}});
    let meta = json!({VERSION: "2026-07-28", CAPABILITIES: capabilities});
    let params = json!({"name": "echo", "arguments": {"a": 1}, "_meta": meta});
    let id = client.request("tools/call", &params);
    let created = client.answer(id)["result"].clone();
    assert_eq!(
        (&created["resultType"], &created["status"]),
        (&json!("task"), &json!("working"))
    );
    assert!(
        created["ttlMs"].is_u64() && created["pollIntervalMs"].is_u64(),
        "{created}"
    );
    let task = created["taskId"].as_str().unwrap().to_owned();
    let working = ask(&mut client, "tasks/get", &task)["result"].clone();
    assert_eq!(
        (&working["resultType"], &working["status"]),
        (&json!("complete"), &json!("working"))
    );
    assert!(working["result"].is_null());
    gate.approve(&gate.only_id());
    let completed = eventually("the end", || {
        let found = ask(&mut client, "tasks/get", &task)["result"].clone();
        (found["status"] == "completed").then_some(found)
    });
    let sent = completed["result"]["content"][0]["text"].as_str().unwrap();
    let sent: Value = serde_json::from_str(sent).unwrap();
    // So the server makes no task of its own.
    let declared = &sent["params"]["_meta"][CAPABILITIES];
    assert_eq!(
        *declared,
        json!({"extensions": {"other": {}}, "sampling": {}})
    );
    assert_eq!(
        ask(&mut client, "tasks/cancel", &task)["result"],
        json!({"resultType": "complete"})
    );
    assert_eq!(status(&mut client, &task), "completed");
    client.request("tools/call", &params);
    eventually("a new request", || (gate.asked().len() == 2).then_some(()));
    assert_eq!(folder.runs().len(), 1);
}

#[test]
fn a_call_that_cannot_be_shown_is_no_task() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    for params in [
        r#"{"name":"delete_file","task":{},"arguments":{"n":9007199254740993}}"#,
        r#"{"name":"delete_file","task":7}"#,
        r#"{"name":"delete_file","task":{"ttl":-1}}"#,
    ] {
        let line = format!("{{\"id\":\"x\",\"method\":\"tools/call\",\"params\":{params}}}\n");
        client.send(line.as_bytes());
        let answer = client.message(|it| it["id"] == "x");
        assert_eq!(answer["error"]["code"], -32_602, "{answer}");
    }
    assert!(gate.asked().is_empty() && folder.runs().is_empty());
}
