//! Answers of the server that are hard to read, or cannot be read.

use serde_json::json;

use crate::gate::Gate;
use crate::harness::{Folder, Session, eventually};

/// A call that the stand-in server answers with these bytes, approved. Returns the id of the call and of its request.
fn run(
    client: &mut Session,
    gate: &Gate,
    folder: &Folder,
    answer: impl AsRef<[u8]>,
) -> (u64, String) {
    folder.answer(answer);
    let before = gate.asked();
    let call = client.call("as told", &json!({"number": before.len()}));
    let asked = eventually("a new request", || {
        gate.asked().into_iter().find(|it| !before.contains(it))
    });
    gate.approve(&asked);
    (call, asked)
}

#[test]
fn a_failure_is_reported_as_one_however_it_is_written() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(150), "}".repeat(150));
    let text = |text: &str| format!(r#""content":[{{"type":"text","text":"{text}"}}]"#);
    let cannot = text("cannot");
    for (answer, error) in [
        (
            format!(r#""result":{{{},"isError":true}}"#, text(r"no \udcff.txt")),
            "no \u{fffd}\u{fffd}\u{fffd}.txt",
        ),
        (
            format!(r#""result":{{{cannot},"structuredContent":{{"x":1e400}},"isError":true}}"#),
            "cannot",
        ),
        (
            format!(r#""result":{{{cannot},"structuredContent":{deep},"isError":true}}"#),
            "cannot",
        ),
        (
            format!(r#""result":{{{cannot},"isError":"true"}}"#),
            "cannot",
        ),
        (
            format!(r#""result":{{{cannot},"isError":false,"isError":true}}"#),
            "the tool server's result cannot be read",
        ),
        (
            r#""error":{"code":-32000,"message":"no \ud83d","data":-1e400}"#.to_owned(),
            "no \u{fffd}\u{fffd}\u{fffd}",
        ),
    ] {
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":ID,{answer}}}\n");
        let (call, asked) = run(&mut client, &gate, &folder, &line);
        // As the server wrote it.
        let expected = format!("{{\"jsonrpc\":\"2.0\",\"id\":{call},{answer}}}\n");
        assert_eq!(String::from_utf8(client.line()).unwrap(), expected);
        let execution = gate.await_execution(&asked, "ExecutionFailed");
        assert_eq!(execution["error"], error, "{answer}");
    }
    let odd =
        r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[],"x":[1e400,"\udcff"],"isError":null}}"#;
    let (_, asked) = run(&mut client, &gate, &folder, format!("{odd}\n"));
    client.line();
    gate.await_execution(&asked, "Executed");
}
