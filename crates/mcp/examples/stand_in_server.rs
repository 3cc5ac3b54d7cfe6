//! The tool server of the tests: it notes what it receives and runs, in a folder that its argument names.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder"));
    eprintln!("stand-in server: started");
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    while input
        .read_until(b'\n', &mut line)
        .expect("the input can be read")
        > 0
    {
        note(&folder.join("received"), &line);
        if let Ok(message) = serde_json::from_slice(&line) {
            take(&folder, message, &line);
        }
        line.clear();
    }
    let code = std::env::var("STAND_IN_EXIT").unwrap_or_default();
    exit(code.parse().unwrap_or(0));
}

fn note(file: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().create(true).append(true).open(file);
    file.and_then(|mut file| file.write_all(bytes))
        .expect("a file of the test's folder");
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).expect("a file of the test's folder")
}

fn say(text: &str) {
    write(text.as_bytes());
}

fn write(bytes: &[u8]) {
    let mut output = std::io::stdout().lock();
    output.write_all(bytes).ok();
    output.flush().ok();
}

fn answer(id: &Value, result: &impl Display) {
    // Not as the proxy would write it.
    say(&format!(
        "{{ \"result\" : {result} ,\"id\":{id},\"jsonrpc\":\"2.0\"}}\n"
    ));
}

fn take(folder: &Path, message: Value, line: &[u8]) {
    let id = message["id"].clone();
    match message["method"].as_str() {
        Some("initialize") => answer(
            &id,
            &json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "stand-in", "version": "1"},
            }),
        ),
        Some("tools/list") if message["params"]["cursor"] == "no answer" => {}
        Some("tools/list") if folder.join("tools").exists() => {
            answer(
                &id,
                &String::from_utf8(read(&folder.join("tools"))).expect("UTF-8"),
            );
        }
        Some("tools/list") => answer(
            &id,
            &json!({"tools": [{
                "name": "delete_file",
                "description": "Deletes a file.\n\tFor good.",
                "inputSchema": {"type": "object"},
                "annotations": {"readOnlyHint": false, "destructiveHint": true, "title": "Delete"},
            }, {
                "name": "read_file",
                "inputSchema": {"type": "object"},
            }, {
                "name": "research",
                "inputSchema": {"type": "object"},
                "execution": {"taskSupport": "required"},
            }]}),
        ),
        Some("tasks/result") => answer(
            &id,
            &json!({
                "content": [{"type": "text", "text": "found"}],
                "_meta": {"other": 1, "io.modelcontextprotocol/related-task": {"taskId": message["params"]["taskId"]}},
            }),
        ),
        Some("test/block") => await_go(folder),
        Some("test/say") => say(message["params"]["text"].as_str().unwrap_or_default()),
        Some("tools/call") => {
            let line = String::from_utf8_lossy(line).into_owned();
            let folder = folder.to_owned();
            thread::spawn(move || call(&folder, &id, &message["params"], &line));
        }
        Some(_) if !id.is_null() => answer(&id, &json!({"ok": true})),
        _ => {}
    }
}

fn call(folder: &Path, id: &Value, params: &Value, line: &str) {
    let run = json!([params["name"], params["arguments"]]);
    note(&folder.join("runs"), format!("{run}\n").as_bytes());
    let text = |text: &str| json!({"content": [{"type": "text", "text": text}], "more": 1.0});
    match params["name"].as_str().unwrap_or_default() {
        "crash" => exit(3),
        "slow" => {
            await_go(folder);
            answer(id, &text("done slowly"));
        }
        "fail" => answer(
            id,
            &json!({"content": [{"type": "text", "text": "no such file"}], "isError": true}),
        ),
        "as told" | "read_as told" => write_as_told(folder, id),
        "as told, then crash" => {
            write_as_told(folder, id);
            exit(3);
        }
        "twice" => {
            answer(id, &text("once"));
            answer(id, &text("again"));
        }
        "error" => say(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32000,\"message\":\"broken\"}}}}\n"
        )),
        "error as text" => say(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":\"broken\"}}\n"
        )),
        "no error" => say(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{},\"error\":null}}\n",
            text("done")
        )),
        "progress" => {
            say_progress(params, &json!(1));
            answer(id, &text("done"));
        }
        "progress from zero" | "read_progress from zero" => {
            for progress in [json!(0), json!(0.5), json!(1)] {
                say_progress(params, &progress);
            }
            answer(id, &text("done"));
        }
        "progress, then slow" => {
            say_progress(params, &json!(1));
            await_go(folder);
            answer(id, &text("done slowly"));
        }
        "research" if params["task"].is_object() => answer(
            id,
            &json!({"task": {"taskId": "theirs-1", "status": "working", "ttl": null}}),
        ),
        "secrets" => {
            let is_set = |name: &&str| std::env::var_os(name).is_some();
            let set: Vec<&str> = ["HO_KEY", "HO_CLAIM_KEY", "STAND_IN_TOKEN"]
                .into_iter()
                .filter(is_set)
                .collect();
            answer(id, &text(&set.join(" ")));
        }
        _ => answer(id, &text(line)),
    }
}

/// Writes the bytes of the file `answer`, with the id of the call for each `ID`.
fn write_as_told(folder: &Path, id: &Value) {
    let (answer, id) = (read(&folder.join("answer")), id.to_string());
    let mut rest = answer.as_slice();
    while let Some(at) = rest.windows(2).position(|it| it == b"ID") {
        write(&[&rest[..at], id.as_bytes()].concat());
        rest = &rest[at + 2..];
    }
    write(rest);
}

fn say_progress(params: &Value, progress: &Value) {
    let token = &params["_meta"]["progressToken"];
    let params = json!({"progressToken": token, "progress": progress, "total": 2});
    let line = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
    say(&format!("{line}\n"));
}

fn await_go(folder: &Path) {
    while !folder.join("go").exists() {
        thread::sleep(Duration::from_millis(10));
    }
}
