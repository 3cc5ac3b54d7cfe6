//! The Nu Html Checker, which the W3C runs, finds no error in any document.

use std::process::Command;

use serde_json::Value;

use super::documents::documents;
use super::view::tool;
use crate::deadline::blocking_within;

/// What emails need, since mail programs are older than the standard: tables for layout, with attributes for those
/// without CSS, and Outlook's own properties.
const OF_EMAILS: [&str; 9] = [
    "The “align” attribute on the ",
    "The “bgcolor” attribute on the ",
    "The “border” attribute on the “table” element is obsolete.",
    "The “cellpadding” attribute on the “table” element is obsolete.",
    "The “cellspacing” attribute on the “table” element is obsolete.",
    "The “width” attribute on the “table” element is obsolete.",
    "The “font” element is obsolete.",
    "CSS: “mso-",
    "Bad value “supported-color-schemes” for attribute “name” on element “meta”",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_document_has_an_error_of_markup_or_style() {
    if Command::new("java").arg("-version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI must have Java");
        eprintln!("\n!! SKIPPED, as there is no Java: the HTML checker\n");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let all = documents().await;
    let mut java = Command::new("java");
    java.arg("-jar").arg(tool("vnu-jar/build/dist/vnu.jar"));
    java.args(["--format", "json", "--exit-zero-always", "--stdout"]);
    for (number, document) in all.iter().enumerate() {
        let path = folder.path().join(format!("{number}.html"));
        std::fs::write(&path, &document.html).unwrap();
        java.arg(path);
    }
    let output = blocking_within(move || java.output()).unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).expect("the checker writes JSON");
    let mut faults = Vec::new();
    for message in found["messages"].as_array().unwrap() {
        let text = message["message"].as_str().unwrap();
        let url = message["url"].as_str().unwrap_or_default();
        let number = url.rsplit('/').next().unwrap().trim_end_matches(".html");
        let document = number.parse::<usize>().ok().map(|number| &all[number]);
        let is_mail = document.is_some_and(|document| document.is_mail);
        let is_wanted = is_mail && OF_EMAILS.iter().any(|start| text.starts_with(start));
        if message["type"] != "info" && !is_wanted {
            let name = document.map(|document| document.name.as_str());
            faults.push(format!("{name:?}: {text} {}", message["extract"]));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
