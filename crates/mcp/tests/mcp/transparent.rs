//! Everything but held calls passes byte for byte.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::gate::Gate;
use crate::harness::{Folder, SETTINGS, Session, eventually, proxy, stand_in_server, with_server};

/// No gate: nothing listens there.
const NO_GATE: &str = "http://127.0.0.1:9";

fn without_gate(folder: &Folder) -> Session {
    Session::spawn(with_server(&mut proxy(NO_GATE, folder, SETTINGS), folder))
}

#[test]
fn lines_of_the_client_reach_the_server_as_they_are() {
    let folder = Folder::new();
    let mut client = without_gate(&folder);
    let lines: [&[u8]; 10] = [
        b"{ \"jsonrpc\":\"2.0\" , \"method\":\"notifications/initialized\"}\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":\"a\\u00e9\",\"method\":\"x/y\",\"unknown\":[1.0,1e2,{\"a\":1,\"a\":2}]}\r\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":12345678901234567890123,\"result\":{\"n\":0.1000}}\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":{\"name\":\"read_file\",\"arguments\":{\"n\":1.0, \"n\":2}}}\n",
        b"\n",
        b"   \n",
        b"{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":77}}\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":99,\"method\":\"server/discover\",\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}\n",
        b"[{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"ping\"} ,{\"jsonrpc\":\"2.0\",\"method\":\"b\"}]\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"é\u{2028}😀\\ud83d\\ude00\"}\n".as_bytes(),
    ];
    for line in lines {
        client.send(line);
    }
    client.settle();
    let received = folder.received();
    let sent = lines.concat();
    assert_eq!(
        String::from_utf8_lossy(&received[..sent.len()]),
        String::from_utf8_lossy(&sent)
    );
}

#[test]
fn what_the_server_writes_reaches_the_client_as_it_is() {
    let folder = Folder::new();
    let mut client = without_gate(&folder);
    let said = "{ \"jsonrpc\": \"2.0\", \"method\": \"notifications/message\", \"x\": 1.0 }\r\nnot JSON\n\n\
                {\"id\":1,\"result\":1e0}\n{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"sampling/createMessage\"}\nend\n";
    client.request("test/say", &json!({"text": said}));
    let mut heard = Vec::new();
    while !heard.ends_with(b"end\n") {
        heard.extend(client.line());
    }
    assert_eq!(String::from_utf8_lossy(&heard), said);
}

#[test]
fn what_the_server_writes_while_a_held_call_runs_reaches_the_client_as_it_is() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let run = client.call("slow", &json!({}));
    gate.approve(&gate.only_id());
    eventually("the run", || (folder.runs().len() == 1).then_some(()));
    let lines = [
        "{ \"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"roots/list\" }",
        // A server may write the id as a text or with a fraction.
        "{\"id\":2.0,\"result\":{\"a\":1,\"a\":2}}",
        "[{\"id\":\"3\",\"error\":{}}]",
        "{\"id\":\"b\\u002d1\",\"result\":NaN}",
        "{\"result\":{},\"error\":\"of a log\"}",
        "{\"id\":",
        "\u{feff}{}",
        "",
        "{\"method\":\"end\"}",
    ];
    let said = lines.join("\r\n") + "\n";
    // Without an answer of their own.
    client.request("test/say", &json!({}));
    client.request("test/say", &json!({}));
    client.send(b"{\"id\":\"b-1\",\"method\":\"test/say\"}\n");
    client.request("test/say", &json!({"text": said}));
    let mut heard = Vec::new();
    while !heard.ends_with(b"\"end\"}\n") {
        heard.extend(client.line());
    }
    assert_eq!(String::from_utf8_lossy(&heard), said);
    folder.go();
    assert!(client.answer(run)["result"]["isError"].is_null());
}

#[test]
fn output_and_exit_code_are_those_of_the_server_without_a_proxy() {
    let lines = "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\"}}\n\
                 {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}";
    let run = |command: &mut Command| {
        command.env("STAND_IN_EXIT", "7").stderr(Stdio::piped());
        let mut session = Session::spawn(command);
        session.send(lines.as_bytes());
        session.close_input();
        let output = session.rest();
        let status = session.end();
        let mut errors = String::new();
        session
            .child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors)
            .unwrap();
        (String::from_utf8(output).unwrap(), status.code(), errors)
    };
    let folder = Folder::new();
    let direct = run(Command::new(stand_in_server()).arg(folder.path()));
    let behind = run(with_server(&mut proxy(NO_GATE, &folder, SETTINGS), &folder));
    assert_eq!(direct.0, behind.0);
    assert_eq!((direct.1, behind.1), (Some(7), Some(7)));
    assert!(behind.2.contains(&direct.2), "{behind:?}");
}

#[test]
fn a_server_that_crashes_ends_the_proxy_with_its_exit_code() {
    let folder = Folder::new();
    let settings = "agent = \"Files\"\npass = [\"crash\"]\n";
    let mut client = Session::spawn(with_server(&mut proxy(NO_GATE, &folder, settings), &folder));
    client.call("crash", &json!({}));
    assert_eq!(client.end().code(), Some(3));
}

#[test]
fn a_signal_reaches_the_server_and_its_end_is_the_proxys() {
    let folder = Folder::new();
    let mut client = without_gate(&folder);
    client.settle();
    let sent = Command::new("kill")
        .arg(client.child.id().to_string())
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(client.end().code(), Some(128 + 15));
}

#[test]
fn the_server_gets_its_own_environment_without_the_proxys_secrets() {
    let folder = Folder::new();
    let settings = "agent = \"Files\"\npass = [\"secrets\"]\n";
    let mut command = proxy(NO_GATE, &folder, settings);
    command.env("HO_KEY", "key").env("STAND_IN_TOKEN", "token");
    let mut client = Session::spawn(with_server(&mut command, &folder));
    let id = client.call("secrets", &json!({}));
    let answer = client.answer(id);
    assert_eq!(answer["result"]["content"][0]["text"], "STAND_IN_TOKEN");
}

/// The least of several medians, as the machine has other work too. A release build takes less.
#[test]
fn a_call_that_is_not_held_takes_less_than_a_millisecond_more() {
    let folder = Folder::new();
    let median = |session: &mut Session| {
        let mut call = || {
            let started = Instant::now();
            let id = session.call("read_file", &json!({"path": "/a"}));
            session.answer(id);
            started.elapsed()
        };
        let mut times: Vec<Duration> = (0..200).map(|_| call()).collect();
        times.sort();
        times[times.len() / 2]
    };
    let mut direct = Session::spawn(Command::new(stand_in_server()).arg(folder.path()));
    let mut behind = without_gate(&folder);
    let medians = (0..10).map(|_| (median(&mut direct), median(&mut behind)));
    let (direct, behind): (Vec<_>, Vec<_>) = medians.unzip();
    let [direct, behind] = [direct, behind].map(|it| it.into_iter().min().unwrap());
    eprintln!("median: {direct:?} direct, {behind:?} behind the proxy");
    assert!(
        behind < direct + Duration::from_millis(1),
        "{direct:?} {behind:?}"
    );
}
