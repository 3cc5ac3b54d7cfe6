//! What the proxy learns of the server's tools: what people are shown of them, and whether they are held.

use serde_json::json;

use crate::gate::Gate;
use crate::harness::{Folder, Session, eventually, proxy, with_server};

#[test]
fn what_the_server_says_of_a_tool_is_shown_as_not_verified_and_decides_nothing() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let list = client.request("tools/list", &json!({}));
    client.answer(list);
    client.call("delete_file", &json!({"path": "/a"}));
    let email = gate.email(&gate.only_id());
    let email = email.split_whitespace().collect::<Vec<_>>().join(" ");
    let claim = "The tool server describes this tool as: Deletes a file. For good. The tool server calls it destructive.";
    assert!(email.contains(claim), "{email}");
    assert!(folder.runs().is_empty());
}

#[test]
fn people_read_what_the_server_says_of_a_tool_now_and_it_is_run_so() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let list = client.request("tools/list", &json!({}));
    client.answer(list);
    // The one is not described any more, the other is no task.
    folder.list(&json!({"tools": [{"name": "delete_file"}, {"name": "research"}]}));
    let list = client.request("tools/list", &json!({}));
    client.answer(list);
    let first = client.call("delete_file", &json!({"path": "/a"}));
    let asked = gate.only_id();
    let email = gate.email(&asked);
    assert!(!email.contains("The tool server"), "{email}");
    // What people were asked stays what it was.
    client.cancel(first);
    let tools = json!({"tools": [{"name": "delete_file", "description": "Reads a file."}]});
    folder.list(&tools);
    let list = client.request("tools/list", &json!({}));
    client.answer(list);
    let id = client.call("delete_file", &json!({"path": "/a"}));
    client.settle();
    assert_eq!(gate.only_id(), asked);
    gate.approve(&asked);
    assert!(client.answer(id)["result"]["isError"].is_null());
    assert_eq!(gate.email(&asked), email);

    let id = client.call("research", &json!({}));
    let asked = eventually("an email", || {
        gate.asked().into_iter().find(|it| *it != asked)
    });
    gate.approve(&asked);
    let answer = client.answer(id);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("research") && !text.contains("task"),
        "{answer}"
    );
}

#[test]
fn a_tool_whose_own_name_has_a_slash_is_held_by_that_name() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let settings = "agent = \"Files\"\npass = [\"*\"]\nhold = [\"repo/delete_*\"]\n";
    let mut command = proxy(&gate.url, &folder, settings);
    let mut client = Session::spawn(with_server(&mut command, &folder));
    let id = client.call("repo/delete_file", &json!({"path": "/a"}));
    let asked = gate.only_id();
    assert!(folder.runs().is_empty());
    gate.approve(&asked);
    assert!(client.answer(id)["result"]["isError"].is_null());
}

#[test]
fn patterns_of_hold_that_match_no_tool_are_named_when_all_tools_are_known() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let settings =
        "agent = \"Files\"\npass = [\"*\"]\nhold = [\"delte_*\", \"read_*\", \"files/delete_*\"]\n";
    let log = folder.path().join("log");
    let mut command = proxy(&gate.url, &folder, settings);
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut client = Session::spawn(with_server(&mut command, &folder));
    let mut list = |tools: serde_json::Value| {
        folder.list(&tools);
        let id = client.request("tools/list", &json!({}));
        client.answer(id);
        std::fs::read_to_string(&log).unwrap()
    };
    let lines = list(json!({"tools": [{"name": "delete_file"}], "nextCursor": "2"}));
    assert!(!lines.contains("hold"), "{lines}");
    let last = json!({"tools": [{"name": "read_file"}]});
    let lines = list(last.clone());
    assert!(
        lines.contains("delte_*") && lines.contains("WARN"),
        "{lines}"
    );
    assert!(
        !lines.contains("read_*") && !lines.contains("files/delete_*"),
        "{lines}"
    );
    // Once.
    assert_eq!(list(last).matches("delte_*").count(), 1);
}

#[test]
fn a_list_is_read_tool_by_tool_whatever_one_of_them_says() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let settings = "agent = \"Files\"\npass = [\"*\"]\nhold = [\"delete_*\", \"wipe_*\", \"x\"]\n";
    let log = folder.path().join("log");
    let mut command = proxy(&gate.url, &folder, settings);
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut client = Session::spawn(with_server(&mut command, &folder));
    folder.list(
        &r#"{"x":1e400,"tools":[{"name":"delete_file","description":"Deletes \udcff."},{"description":"No name."},7,
             {"name":"wipe_disk","description":"Wipes a disk.","inputSchema":{"maximum":1e999}}]}"#
            .replace('\n', ""),
    );
    client.request("tools/list", &json!({}));
    client.line();
    let log = std::fs::read_to_string(&log).unwrap();
    // Each pattern of `hold` is held against all tools that have a name.
    assert!(
        log.contains("pattern=\"x\"") && !log.contains("_*"),
        "{log}"
    );
    assert!(
        log.contains("a tool without a name that can be read"),
        "{log}"
    );
    assert!(!log.contains("No name."), "{log}");
    for (tool, claim) in [
        ("delete_file", "Deletes \u{fffd}\u{fffd}\u{fffd}."),
        ("wipe_disk", "Wipes a disk."),
    ] {
        let before = gate.asked();
        client.call(tool, &json!({}));
        let asked = eventually("a new request", || {
            gate.asked().into_iter().find(|it| !before.contains(it))
        });
        let email = gate.email(&asked);
        assert!(email.contains(claim), "{email}");
    }
    assert!(folder.runs().is_empty());
}
