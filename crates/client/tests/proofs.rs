//! What a gate says that takes another proof of who the agent is.

#![cfg(feature = "http")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

use human_oversight_client::Client;
use human_oversight_client::types::NewApproval;

/// A gate whose routes are those of identities: it answers one call.
fn gate_of_identities() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut call = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        let mut line = String::new();
        while call.read_line(&mut line).unwrap() > 2 {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        call.read_exact(&mut vec![0; length]).unwrap();
        let problem = r#"{"type":"urn:human-oversight:problem:not-found","title":"Not found","status":404,"detail":"x","invocationId":"i"}"#;
        let length = problem.len();
        let head = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + problem).as_bytes()).unwrap();
    });
    url
}

#[tokio::test]
async fn a_gate_that_takes_no_key_is_a_wrong_setting() {
    let client = Client::new(&gate_of_identities(), Some("key")).unwrap();
    let error = client.submit(&NewApproval::default()).await.unwrap_err();
    let text = error.to_string();
    let names = |it: &str| text.contains(it);
    assert!(names("HO_AUDIENCE") && !names("there is no gate"), "{text}");
}
