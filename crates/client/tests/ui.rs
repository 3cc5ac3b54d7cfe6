//! What the compiler says about a gate that is declared wrongly: each message says what to do.
//!
//! `tests/ui/NAME.stderr` has the messages about `tests/ui/NAME.rs`. `HO_UPDATE_UI=1` writes them anew.

#![cfg(feature = "macros")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs, thread};

use serde_json::Value;

/// Compiles without a message.
const RIGHT: &str = "declared_correctly.rs";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui")
}

/// What rustc says about `file` in `tests/ui`, with `client` as the crate it depends on.
fn messages(client: &Path, file: &str) -> String {
    let mut ancestors = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let workspace = ancestors.find(|folder| folder.join("Cargo.lock").is_file());
    let output = Command::new("rustc")
        .args(["--edition=2024", "--crate-type=bin", "--error-format=json"])
        .args(["--emit=metadata", "--out-dir"])
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .arg("-L")
        .arg(format!("dependency={}", client.parent().unwrap().display()))
        .arg("--extern")
        .arg(format!("human_oversight_client={}", client.display()))
        .arg(folder().join(file))
        // From here it finds the sources that the client was built from.
        .current_dir(workspace.unwrap())
        .output()
        .unwrap();
    let diagnostics = String::from_utf8(output.stderr).unwrap();
    let diagnostics = diagnostics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{diagnostics}")));
    // What sums the others up is about no place.
    let about_a_place = diagnostics.filter(|it: &Value| it["spans"] != Value::Array(Vec::new()));
    about_a_place.map(|it| shown(&it)).collect()
}

/// A diagnostic with its places and what is added to it, without the source that the compiler quotes.
fn shown(diagnostic: &Value) -> String {
    let [level, code, message] = ["/level", "/code/code", "/message"]
        .map(|part| diagnostic.pointer(part).and_then(Value::as_str));
    let code = code.map_or_else(String::new, |code| format!("[{code}]"));
    let mut shown = format!("{}{code}: {}\n", level.unwrap(), message.unwrap());
    for span in diagnostic["spans"].as_array().unwrap() {
        let file = Path::new(span["file_name"].as_str().unwrap());
        let mut place = file.file_name().unwrap().display().to_string();
        // Where it is in the client changes with the client.
        if file.starts_with(folder()) {
            let [line, start, end] =
                ["line_start", "column_start", "column_end"].map(|part| &span[part]);
            place += &format!(":{line}:{start}-{end}");
        }
        let label = span["label"].as_str().unwrap_or_default();
        shown += format!("  at {place} {label}").trim_end();
        shown += "\n";
    }
    for child in diagnostic["children"].as_array().unwrap() {
        shown += &self::shown(child);
    }
    shown
}

/// The client as cargo has built it for this test: the newest whose macro is there.
fn client() -> PathBuf {
    let test = env::current_exe().unwrap();
    let files = fs::read_dir(test.parent().unwrap()).unwrap();
    let mut built: Vec<(SystemTime, PathBuf)> = files
        .map(|file| file.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("libhuman_oversight_client-") && name.ends_with(".rlib")
        })
        .map(|path| (path.metadata().unwrap().modified().unwrap(), path))
        .collect();
    built.sort();
    let mut newest = built.into_iter().rev().map(|(_, path)| path);
    let found = newest.find(|client| messages(client, RIGHT).is_empty());
    found.expect("a correct declaration compiles")
}

#[test]
fn the_compiler_explains_each_mistake() {
    let client = &client();
    let files = fs::read_dir(folder()).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mistakes: Vec<String> = files
        .filter(|file| file.ends_with(".rs") && file != RIGHT)
        .collect();
    assert_eq!(mistakes.len(), 12);
    thread::scope(|scope| {
        for file in &mistakes {
            scope.spawn(move || {
                let said = messages(client, file);
                let expected = folder().join(file).with_extension("stderr");
                if env::var_os("HO_UPDATE_UI").is_some() {
                    fs::write(&expected, &said).unwrap();
                }
                assert_eq!(said, fs::read_to_string(expected).unwrap(), "{file}");
            });
        }
    });
}
