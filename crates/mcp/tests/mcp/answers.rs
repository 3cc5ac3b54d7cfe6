//! Answers of the server that are hard to read, or cannot be read.

use serde_json::json;

use crate::gate::Gate;
use crate::harness::{Folder, SETTINGS, Session, eventually, proxy, with_server};

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

#[test]
fn an_answer_that_cannot_be_read_ends_the_run_and_does_not_reach_the_client() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let log = folder.path().join("log");
    let mut command = proxy(&gate.url, &folder, SETTINGS);
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut client = Session::spawn(with_server(&mut command, &folder));
    let answer =
        br#"{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"private"}]}}"#;
    let with = |before: &[u8], after: &[u8]| [before, answer, after].concat();
    let answers: [Vec<u8>; 13] = [
        br#"{"jsonrpc":"2.0","id":ID,"result":{"content":[],"structuredContent":{"x":NaN}}}"#.to_vec(),
        b"{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"caf\xe9\"}]}}".to_vec(),
        br#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":ID,"result":{}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":ID,"\udcff":1,"result":{}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":ID,"result":{"content":[],"isError":false,"isError":true}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"a","t\u0065xt":"b"}]}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":ID,"method":null,"result":{"structuredContent":{"a":[{"b":1,"b":1}]}}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":ID,"error":{"code":1,"message":"a","message":"b"}}"#.to_vec(),
        br#"[{"jsonrpc":"2.0","id":ID,"result":{"content":[],"content":[]}}]"#.to_vec(),
        with("\u{feff}".as_bytes(), b""),
        with(b"a line of a log ", b""),
        with(b"[", b""),
        with(b"", b" {}"),
    ];
    for answer in answers {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let (call, asked) = run(
            &mut client,
            &gate,
            &folder,
            [answer, b"\n".to_vec()].concat(),
        );
        let (text, status) = client.told(call);
        assert_eq!(status, "unknown", "{shown}");
        assert!(text.contains("its answer cannot be read"), "{text}");
        let execution = gate.await_execution(&asked, "ExecutionFailed");
        let error = execution["error"].as_str().unwrap();
        assert!(error.contains("may have run"), "{error}");
    }
    assert_eq!(folder.runs().len(), 13);
    client.close_input();
    client.end();
    let rest = String::from_utf8(client.rest()).unwrap();
    assert!(!rest.contains("held-"), "{rest}");
    let log = std::fs::read_to_string(&log).unwrap();
    assert_eq!(log.matches("cannot be read").count(), 13, "{log}");
    assert!(!log.contains("held-") && !log.contains("private"), "{log}");
}

#[test]
fn a_line_of_a_log_that_names_a_call_neither_ends_it_nor_reaches_the_client() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let log = folder.path().join("log");
    let mut command = proxy(&gate.url, &folder, SETTINGS);
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut client = Session::spawn(with_server(&mut command, &folder));
    let request = r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"a","arguments":{"result":"private"}}}"#;
    let lines = [
        format!("DEBUG received {request}"),
        request.to_owned(),
        "[info] handling request ID".to_owned(),
        r#"{"level":"error" "id":ID}"#.to_owned(),
        r#"{"level":30,"msg":"request","id":ID}"#.to_owned(),
        r#"{"level":30,"id":ID,"before":{"id":ID,"error":null}}"#.to_owned(),
        r#"[{"level":30,"id":ID}]"#.to_owned(),
    ];
    for line in &lines {
        let answer =
            r#"{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"done"}]}}"#;
        let (call, asked) = run(&mut client, &gate, &folder, format!("{line}\n{answer}\n"));
        let expected = answer.replace("ID", &call.to_string());
        let told = String::from_utf8(client.line()).unwrap();
        assert_eq!(told.trim_end(), expected, "{line}");
        gate.await_execution(&asked, "Executed");
    }
    // A notification is the client's, whatever it says.
    let notification = r#"{"method":"notifications/message","params":{"level":"info","data":{"id":ID,"error":1}}}"#;
    let answer = r#"{"jsonrpc":"2.0","id":ID,"result":{}}"#;
    let both = format!("{notification}\n{answer}\n");
    let (call, asked) = run(&mut client, &gate, &folder, both);
    let told = String::from_utf8(client.line()).unwrap();
    assert!(told.contains("notifications/message"), "{told}");
    let told = String::from_utf8(client.line()).unwrap();
    assert_eq!(told.trim_end(), answer.replace("ID", &call.to_string()));
    gate.await_execution(&asked, "Executed");
    client.close_input();
    client.end();
    let log = std::fs::read_to_string(&log).unwrap();
    let dropped = log.matches("names a held call and is no answer").count();
    assert_eq!(dropped, lines.len(), "{log}");
    assert!(!log.contains("held-") && !log.contains("private"), "{log}");
}

#[test]
fn an_answer_in_a_batch_or_with_a_method_is_read() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    client.send(b"{\"id\":\"open\",\"method\":\"test/say\"}\n");
    let answer = r#""id":ID,"result":{"content":[{"type":"text","text":"done"}]}}"#;
    for line in [
        format!(r#"{{"method":null,{answer}"#),
        format!(r#"{{"method":"",{answer}"#),
        format!("[{{{answer}]"),
        format!(r#"[{{"method":"a"}},{{{answer}, {{"id":"open","result":{{"n":1.0}}}}]"#),
    ] {
        let (call, asked) = run(&mut client, &gate, &folder, format!("{line}\n"));
        if line.contains("1.0") {
            let rest = String::from_utf8(client.line()).unwrap();
            assert_eq!(
                rest,
                "[{\"method\":\"a\"},{\"id\":\"open\",\"result\":{\"n\":1.0}}]\n"
            );
        }
        let answer = client.answer(call);
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
        gate.await_execution(&asked, "Executed");
    }
}

#[test]
fn a_server_that_ends_in_the_middle_of_a_line_leaves_the_proxys_answer_readable() {
    for half in [
        r#"{"jsonrpc":"2.0","id":ID,"result":{"content":["#,
        r#"{"jsonrpc":"2.0","method":"notifications/mess"#,
    ] {
        let (gate, folder) = (Gate::start(), Folder::new());
        let mut client = Session::start(&gate, &folder);
        folder.answer(half);
        let call = client.call("as told, then crash", &json!({}));
        gate.approve(&gate.only_id());
        if !half.contains("ID") {
            assert_eq!(client.line(), format!("{half}\n").as_bytes());
        }
        let (text, status) = client.told(call);
        assert_eq!(status, "unknown");
        assert!(text.contains("may have run"), "{text}");
        assert_eq!(client.end().code(), Some(3));
    }
}
