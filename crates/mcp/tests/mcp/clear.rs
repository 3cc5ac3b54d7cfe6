//! Messages that a server of C or of a shell reads differently, or one that reads its input in pieces.

use serde_json::{Value, json};

use crate::gate::Gate;
use crate::harness::{Folder, SETTINGS, Session, eventually, proxy, with_server};

const NO_GATE: &str = "http://127.0.0.1:9";

fn without_gate(folder: &Folder) -> Session {
    Session::spawn(with_server(&mut proxy(NO_GATE, folder, SETTINGS), folder))
}

/// Sends lines that must not reach the server. Returns the words of their refusals.
fn refused(lines: &[String]) -> Vec<String> {
    let folder = Folder::new();
    let mut client = without_gate(&folder);
    let refusals = lines.iter().map(|line| {
        client.send(format!("{line}\n").as_bytes());
        client.settle();
        let refusal = client.message(|message| !message["error"].is_null());
        let code = refusal["error"]["code"].as_i64().unwrap();
        assert!(matches!(code, -32_600 | -32_602), "{refusal} {line}");
        refusal["error"]["message"].as_str().unwrap().to_owned()
    });
    let refusals = refusals.collect();
    let received = String::from_utf8(folder.received()).unwrap();
    let passed: Vec<&str> = received
        .lines()
        .filter(|line| !line.contains("ping"))
        .collect();
    assert_eq!(received.lines().count(), lines.len(), "{passed:?}");
    assert!(folder.runs().is_empty());
    refusals
}

#[test]
fn a_control_character_in_what_a_server_takes_for_a_name_is_refused() {
    let call = r#""params":{"name":"delete_file","arguments":{"path":"/0"}}"#;
    let passed = |meta: &str| {
        format!(
            r#"{{"id":1,"method":"tools/call","params":{{"name":"read_file","_meta":{meta}}}}}"#
        )
    };
    let version = "io.modelcontextprotocol/protocolVersion";
    let mut lines = vec![
        format!(r#"{{"id":1,"method\u0000":"tools/call",{call}}}"#),
        format!(r#"{{"id":1,"method\u0000":"tools/call","method":"ping",{call}}}"#),
        r#"{"id":1,"method":"tools/call","params\u0000":{"name":"delete_file"},"params":{"name":"read_file"}}"#
            .to_owned(),
        r#"{"id":1,"method":"ping","params\u0000":{}}"#.to_owned(),
        r#"{"id":1,"method":"tools/call","params":{"name\u0000":"delete_file","name":"read_file"}}"#.to_owned(),
        r#"{"id":1,"method":"tools/call","params":{"name":"delete_file","name\u0000":"read_file"}}"#.to_owned(),
        r#"{"id":1,"method":"tools/call","params":{"name":"delete_file","arguments\u0000":{}}}"#.to_owned(),
        r#"{"id":1,"method":"x","params":{"a":1,"a":2}}"#.to_owned(),
        r#"{"id":1,"method ":"tools/call","method":"ping"}"#.to_owned(),
        r#"{"id":1,"method":"ping","me\u0085thod":"tools/call"}"#.to_owned(),
        r#"{"id":1,"method":"tools/call","params":{"name":"read_file","\u0085name":"delete_file"}}"#.to_owned(),
        format!(r#"{{"jsonrpc":"2.0\u001f6\u001ftools/call","id":1,"method":"ping",{call}}}"#),
        format!(r#"{{"id":"1\ntools/call","method":"ping",{call}}}"#),
        format!(r#"{{"id":"1\ntools/call","result":{{}},{call}}}"#),
        format!(r#"{{"id":["1"],"method":"ping",{call}}}"#),
        // The shell's `read` ends a field at a blank, and passes over one that is empty.
        r#"{"id":"1 tools/call {\"name\":\"delete_file\"}","method":"ping"}"#.to_owned(),
        r#"{"id":"1\u0020tools/call","method":"ping"}"#.to_owned(),
        r#"{"id":"","method":"x","params":["tools/call"]}"#.to_owned(),
        r#"{"id":1,"method":"","params":["tools/call"]}"#.to_owned(),
        r#"{"id":1,"method":"x tools/call"}"#.to_owned(),
        r#"{"id":1,"method":"x","params":"tools/call {\"name\":\"delete_file\"}"}"#.to_owned(),
        r#"{"id":1,"method":"prompts/get","params":{"name":"a\ntools/call"}}"#.to_owned(),
        r#"{"id":1,"method":"resources/read","params":{"uri":"a\u001ftools/call"}}"#.to_owned(),
        r#"{"method":"notifications/cancelled","params":{"requestId":"1\u0000"}}"#.to_owned(),
        passed(r#"{"progressToken":"1\u0000"}"#),
        passed(r#"{"progressToken":1,"progressToken\u0000":2}"#),
        passed(r#"{"progressToken":1,"progressToken":2}"#),
        passed(&format!(r#"{{"{version}":"2026-07-28\u001fdelete_file\u001f{{}}"}}"#)),
        passed(&format!(r#"{{"{version}":"2026-07-28\ndelete_file"}}"#)),
        passed(r#"{"io.modelcontextprotocol/clientInfo":{"name":"a\u001fdelete_file"}}"#),
        passed(r#"{"io.modelcontextprotocol/clientInfo":{"name":"a\ndelete_file","description":"a"}}"#),
        passed(r#"{"io.modelcontextprotocol/related-task":{"taskId":"7\nread_file"}}"#),
        r#"{"id":1,"method":"ping","method tools/call":"","params":{"name":"delete_file"}}"#.to_owned(),
    ];
    for method in [
        r"tools/call\u0000",
        r"tools/\u0000call",
        r"tools/call\n",
        "tools/call ",
        r"\ttools/call",
        r"tools/call\u007f",
    ] {
        lines.push(format!(r#"{{"id":1,"method":"{method}",{call}}}"#));
    }
    for tool in [
        r"read_\u0000file",
        r"read_file\u0000",
        r"delete_file\n",
        r"a\nb",
        "read_file ",
        "",
    ] {
        lines.push(format!(
            r#"{{"id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#
        ));
    }
    refused(&lines);
}

#[test]
fn a_name_that_servers_end_at_different_characters_is_shown_to_no_one() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    for params in [
        r#"{"name":"delete_file","arguments":{"amount\u0000":5000,"amount":5}}"#,
        r#"{"name":"delete_file","arguments":{"a":[{"b\u0000c":1}]}}"#,
        r#"{"name":"delete_file","requestState":{"b\u0000c":1}}"#,
    ] {
        let line = format!("{{\"id\":1,\"method\":\"tools/call\",\"params\":{params}}}\n");
        client.send(line.as_bytes());
        let (text, status) = client.told(1);
        assert_eq!(status, "invalid", "{text}");
        assert!(text.contains("U+0000"), "{text}");
    }
    assert!(gate.asked().is_empty() && folder.runs().is_empty());
}

#[test]
fn a_call_within_a_message_is_refused_since_a_server_may_read_a_part_of_a_line() {
    let call = r#"{"id":"y","method":"tools/call","params":{"name":"delete_file"}}"#;
    let other = |from: &str, to: &str| call.replace(from, to);
    let within = |call: &str| {
        [
            format!(r#"{{"id":"y","method":"ping","params":[{call}]}}"#),
            format!(r#"[{{"id":"y","method":"ping","x":{call}}}]"#),
            format!(r#"{{"id":"y","result":{{"a":[[{call}]]}}}}"#),
            format!(
                r#"{{"id":"y","method":"tools/call","params":{{"name":"read_file","arguments":{{"a":{call}}}}}}}"#
            ),
            format!(
                r#"{{"id":"y","method":"tools/call","params":{{"name":"delete_file","arguments":{{"a":{call}}}}}}}"#
            ),
        ]
    };
    let calls = [
        call.to_owned(),
        other("method", "Metho\\u0064"),
        other("method", "method\\u0000x"),
        other("tools/call", "tools\\u002fcall\\u0000x"),
        other("tools/call", "tools/\\u0000call"),
        other("tools/call", " tools/call x"),
    ];
    let lines: Vec<String> = calls.iter().flat_map(|call| within(call)).collect();
    for refusal in refused(&lines) {
        assert!(
            refusal.contains("another one of the method tools/call") || refusal.contains("batch"),
            "{refusal}"
        );
    }
}

#[test]
fn what_no_server_takes_for_a_call_passes_as_it_is() {
    let folder = Folder::new();
    let mut client = without_gate(&folder);
    let quoted = json!(r#"{"id":1,"method":"tools/call","params":{"name":"delete_file"}}"#);
    let lines = [
        format!(
            r#"{{"id":21,"method":"prompts/get","params":{{"name":"p","arguments":{{"text":{quoted}}}}}}}"#
        ),
        format!(r#"{{"id":22,"result":{{"content":{{"type":"text","text":{quoted}}}}}}}"#),
        r#"{"id":23,"method":"tools/call","params":{"name":"read_file","arguments":{"method":"GET","a":"tools/call"}}}"#
            .to_owned(),
        r#"{"id":24,"method":"tools/call","params":{"name":"read_file","arguments":{"a\u0000":" a\n\u0000"}}}"#
            .to_owned(),
        r#"{"method":"notifications/cancelled","params":{"requestId":25,"reason":"Error:\n  at x"}}"#.to_owned(),
        r#"{"id":26,"method":"ping","params":{"_meta":{"com.example/question":"a\nb\u001f"}}}"#.to_owned(),
        r#"{"id":27,"method":"tools/call","params":{"name":"read_file","arguments":{"a":{"methodName":"tools/callback"}}}}"#
            .to_owned(),
        r#"{"id":28,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/clientInfo":{"description":"a\n\tb"}}}}"#
            .to_owned(),
    ];
    for line in &lines {
        client.send(format!("{line}\n").as_bytes());
    }
    client.settle();
    let received = String::from_utf8(folder.received()).unwrap();
    let received: Vec<&str> = received.lines().take(lines.len()).collect();
    assert_eq!(received, lines);
}

/// The ids of the proxy's calls that the server has been sent.
fn own_ids(folder: &Folder) -> Vec<String> {
    let received = String::from_utf8(folder.received()).unwrap();
    let messages = received
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids = messages.filter_map(|it| it["id"].as_str().map(str::to_owned));
    ids.filter(|id| id.starts_with("held-")).collect()
}

/// Servers tell clients the ids of their requests.
#[test]
fn a_client_cannot_use_the_ids_of_the_proxys_own_calls() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.call("slow", &json!({}));
    let asked = gate.only_id();
    gate.approve(&asked);
    let own = eventually("the run", || own_ids(&folder).pop());
    let prefix = own.strip_suffix("-1").expect("the first");
    let sent = folder.received().len();
    for id in [&own, &format!("{prefix}-2"), &own.to_uppercase()] {
        let escaped = id.replacen('h', "\\u0068", 1);
        for line in [
            format!(r#"{{"id":"{id}","method":"no/such"}}"#),
            format!(r#"{{"id":"{escaped}","method":"ping"}}"#),
            format!(r#"{{"id":"{id}","method":"tools/call","params":{{"name":"read_file"}}}}"#),
            format!(r#"{{"id":"{id}","result":{{}}}}"#),
            format!(r#"[{{"id":"{id}","method":"ping"}}]"#),
            format!(
                r#"{{"method":"notifications/cancelled","params":{{"requestId":"{escaped}"}}}}"#
            ),
            format!(r#"[{{"method":"notifications/cancelled","params":{{"requestId":"{id}"}}}}]"#),
            format!(r#"{{"id":9,"method":"tasks/cancel","params":{{"taskId":"{id}"}}}}"#),
            format!(
                r#"{{"id":9,"method":"ping","params":{{"_meta":{{"progressToken":"{id}"}}}}}}"#
            ),
            format!(
                r#"{{"method":"notifications/progress","params":{{"progressToken":"{id}","progress":1}}}}"#
            ),
        ] {
            client.send(format!("{line}\n").as_bytes());
            client.message(|message| !message["error"].is_null());
        }
    }
    assert_eq!(folder.received().len(), sent);
    folder.go();
    let answer = client.answer(id);
    assert_eq!(answer["result"]["content"][0]["text"], "done slowly");
    gate.await_execution(&asked, "Executed");
}
