//! Damaged JSON-RPC in both directions. `HO_MCP_SEED` repeats a run.

use serde_json::{Value, json};

use crate::gate::Gate;
use crate::harness::{Folder, SETTINGS, Session, draw, eventually, proxy, seed, with_server};

const MESSAGES: [&str; 10] = [
    r#"{"jsonrpc":"2.0","id":"f1","method":"tools/call","params":{"name":"delete_file","arguments":{"path":"/a"}}}"#,
    r#"{"jsonrpc":"2.0","id":"f2","method":"tools/call","params":{"name":"read_file","arguments":{"path":"/a"}}}"#,
    r#"{"jsonrpc":"2.0","id":"f3","method":"tools/call","params":{"name":"read_file","task":{"ttl":1},"arguments":{}}}"#,
    r#"{"jsonrpc":"2.0","id":"f4","method":"tasks/get","params":{"taskId":"human-oversight-1"}}"#,
    r#"{"jsonrpc":"2.0","id":"f5","method":"tools/list","params":{}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"f1"}}"#,
    r#"[{"jsonrpc":"2.0","id":"f6","method":"ping"},{"jsonrpc":"2.0","id":"f7","method":"tools/call","params":{"name":"delete_file"}}]"#,
    r#"{"jsonrpc":"2.0","id":"held-0-1","result":{"content":[],"isError":false}}"#,
    r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"broken"}}"#,
    r#"{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{"maxTokens":1.0}}"#,
];

const PIECES: [&str; 12] = [
    "\r",
    "{",
    "}",
    "[",
    ",",
    "\"",
    "\\u0000",
    "\u{feff}",
    "1e999",
    "\"method\":\"tools/call\",",
    "\"Method\":\"tools/call\",",
    "\"name\":\"delete_file\",",
];

/// A line that is a message no more, most of the time.
fn damaged(state: &mut u64) -> Vec<u8> {
    let mut pick = |below: usize| draw(state, below as u64) as usize;
    let mut line = MESSAGES[pick(MESSAGES.len())].as_bytes().to_vec();
    for _ in 0..pick(4) {
        let at = pick(line.len() + 1);
        let end = (at + pick(12)).min(line.len());
        match pick(5) {
            0 if at < line.len() => line[at] ^= 1 << pick(8),
            1 => drop(line.drain(at..end)),
            2 => {
                let copy = line[at..end].to_vec();
                line.splice(at..at, copy).for_each(drop);
            }
            3 => {
                let other = MESSAGES[pick(MESSAGES.len())].bytes();
                line.splice(at..end, other).for_each(drop);
            }
            _ => {
                let piece = PIECES[pick(PIECES.len())].bytes();
                line.splice(at..at, piece).for_each(drop);
            }
        }
    }
    line.retain(|byte| *byte != b'\n');
    line
}

/// Whether a reader that takes the last of several members finds a call in it that needs approval.
fn is_held_call(line: &[u8]) -> bool {
    let message: Value = serde_json::from_slice(line).unwrap_or_default();
    let messages = match message {
        Value::Array(batch) => batch,
        message => vec![message],
    };
    messages.iter().any(|message| {
        let tool = message["params"]["name"].as_str().unwrap_or_default();
        message["method"] == "tools/call"
            && !tool.starts_with("read_")
            && !tool.starts_with("list_")
    })
}

#[test]
fn no_damaged_line_of_a_client_makes_a_held_tool_run_or_ends_the_proxy() {
    let folder = Folder::new();
    let mut command = proxy("http://127.0.0.1:9", &folder, SETTINGS);
    command.args(["--answer-within", "1s"]);
    let mut client = Session::spawn(with_server(&mut command, &folder));
    let seed = seed();
    let mut state = seed;
    let lines: Vec<Vec<u8>> = (0..1_000).map(|_| damaged(&mut state)).collect();
    for line in &lines {
        client.send(&[line, b"\n".as_slice()].concat());
    }
    // An id that no damaged line has: an open one of the same id would be answered first.
    client.send(b"{\"jsonrpc\":\"2.0\",\"id\":\"over-and-out\",\"method\":\"ping\"}\n");
    while !client
        .line()
        .windows(12)
        .any(|part| part == b"over-and-out")
    {}
    let received = folder.received();
    let passed: Vec<&[u8]> = received.split(|byte| *byte == b'\n').collect();
    assert!(
        passed.len() > 100,
        "{} lines passed, HO_MCP_SEED={seed}",
        passed.len()
    );
    assert!(passed.len() < lines.len());
    for line in passed {
        let shown = String::from_utf8_lossy(line);
        assert!(!is_held_call(line), "{shown} HO_MCP_SEED={seed}");
    }
}

/// Whether a reader that takes the last of several members finds an answer in it.
fn answers(line: &str) -> bool {
    let message: Value = serde_json::from_str(line).unwrap_or_default();
    let messages = match message {
        Value::Array(batch) => batch,
        message => vec![message],
    };
    messages.iter().any(|message| {
        let is_answer = message.get("result").is_some() || message.get("error").is_some();
        is_answer && message.get("id").is_some()
    })
}

#[test]
fn damaged_lines_of_a_server_reach_the_client_as_they_are_unless_they_answer_what_it_was_not_sent()
{
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    // The proxy looks for the answer to this in each line, of which none has such an id.
    let call =
        json!({"id": "slow", "jsonrpc": "2.0", "method": "tools/call", "params": {"name": "slow"}});
    client.send(format!("{call}\n").as_bytes());
    gate.approve(&gate.only_id());
    eventually("the run", || (folder.runs().len() == 1).then_some(()));
    let seed = seed();
    let mut state = seed;
    let lines: Vec<String> = (0..1_000)
        .map(|_| String::from_utf8_lossy(&damaged(&mut state)).into_owned())
        .collect();
    let said = lines.join("\n") + "\n{\"method\":\"end\"}\n";
    // Its id is none that a damaged line answers.
    let say = json!({"id": "say", "method": "test/say", "params": {"text": said}});
    client.send(format!("{say}\n").as_bytes());
    let mut heard = Vec::new();
    while !heard.ends_with(b"\n{\"method\":\"end\"}\n") {
        heard.extend(client.line());
    }
    let heard = String::from_utf8(heard).unwrap();
    let mut heard = heard.split('\n').peekable();
    let mut passed = 0;
    for line in &lines {
        // What is left of a batch.
        let is_left = |it: &&str| it.starts_with('[') && !lines.iter().any(|line| line == it);
        while let Some(left) = heard.next_if(is_left) {
            assert!(!answers(left), "{left} HO_MCP_SEED={seed}");
        }
        if heard.next_if_eq(&line.as_str()).is_some() {
            assert!(!answers(line), "{line} HO_MCP_SEED={seed}");
            passed += 1;
        } else {
            let is_named = line.to_ascii_lowercase().contains("id\"");
            assert!(is_named, "{line} HO_MCP_SEED={seed}");
        }
    }
    assert!(passed > 500, "{passed} lines passed, HO_MCP_SEED={seed}");
    assert_eq!(
        heard.next(),
        Some("{\"method\":\"end\"}"),
        "HO_MCP_SEED={seed}"
    );
    folder.go();
    let answer = client.message(|message| message["id"] == "slow");
    assert!(answer["result"]["isError"].is_null());
}
