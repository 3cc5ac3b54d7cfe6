//! Calls that the client has cancelled.

use serde_json::json;

use crate::gate::Gate;
use crate::harness::{Folder, Session, eventually};

/// The client waits no more when it says so, also where the server reads nothing meanwhile.
#[test]
fn what_was_cancelled_behind_a_line_that_the_server_does_not_read_does_not_run() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let [cancelled, closed] =
        ["/cancelled", "/closed"].map(|path| client.call("delete_file", &json!({"path": path})));
    eventually("both emails", || (gate.asked().len() == 2).then_some(()));
    client.request("test/block", &json!({}));
    client.call("read_file", &json!({"path": "x".repeat(300_000)}));
    let cancel = json!({"method": "notifications/cancelled", "params": {"requestId": cancelled}});
    client.send(format!("{cancel}\nno message\n").as_bytes());
    client.message(|message| message["error"]["code"] == -32_700);
    let asked = gate.asked();
    let of = |path| {
        asked
            .iter()
            .find(|it| gate.email(it).contains(path))
            .unwrap()
    };
    gate.approve(of("/cancelled"));
    // The other call runs.
    gate.approve(of("/closed"));
    gate.await_execution(of("/closed"), "Executing");
    folder.go();
    assert!(client.answer(closed)["result"]["isError"].is_null());
    client.close_input();
    client.end();
    assert!(gate.status(of("/cancelled"))["execution"].is_null());
    let runs = folder.runs();
    assert!(!json!(runs).to_string().contains("/cancelled"), "{runs:?}");
}

#[test]
fn a_call_that_is_cancelled_in_a_batch_does_not_run() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let ping = r#"{ "jsonrpc":"2.0","method":"ping","id":"p"}"#;
    let held =
        r#"{"jsonrpc":"2.0","id":"h","method":"tools/call","params":{"name":"delete_file"}}"#;
    // The last one is refused.
    for (number, rest) in [vec![], vec![ping], vec![held]].into_iter().enumerate() {
        let before = gate.asked();
        let id = client.call("delete_file", &json!({"number": number}));
        let asked = eventually("an email", || {
            gate.asked().into_iter().find(|it| !before.contains(it))
        });
        let cancel =
            json!({"method": "notifications/cancelled", "params": {"requestId": id}}).to_string();
        let batch = [&[cancel.as_str()], &rest[..]].concat();
        client.send(format!("[{}]\n", batch.join(",")).as_bytes());
        if rest == [held] {
            client.message(|message| message["id"] == "h" && message["error"]["code"] == -32_600);
        }
        client.settle();
        gate.approve(&asked);
        client.settle();
    }
    client.close_input();
    client.end();
    for asked in gate.asked() {
        assert!(gate.status(&asked)["execution"].is_null());
    }
    assert!(folder.runs().is_empty());
    let received = String::from_utf8(folder.received()).unwrap();
    assert!(received.contains(&format!("[{ping}]\n")), "{received}");
    assert!(!received.contains("cancelled"), "{received}");
}

#[test]
fn a_call_with_the_id_of_one_that_was_just_cancelled_is_answered() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let cancel = r#"{"method":"notifications/cancelled","params":{"requestId":"x"}}"#;
    let call = r#"{"id":"x","method":"tools/call","params":{"name":"delete_file"}}"#;
    client.send(format!("{call}\n").as_bytes());
    let asked = gate.only_id();
    client.send(format!("{cancel}\n{call}\n").repeat(50).as_bytes());
    client.settle();
    gate.approve(&asked);
    let answer = client.message(|message| message["id"] == "x");
    assert!(answer["result"]["isError"].is_null(), "{answer}");
    assert_eq!(folder.runs().len(), 1);
}
