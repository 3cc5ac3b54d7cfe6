//! What docs/mcp.md says is what the proxy does.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Folder, output, proxy, with_server};

const DOCS: &str = include_str!("../../../../docs/mcp.md");
const WORDS: &str = include_str!("../../src/words.rs");

/// The blocks of a language, without their indentation.
fn blocks(language: &str) -> Vec<String> {
    let blocks = DOCS.split("```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.strip_prefix(language));
    let trimmed = |block: &str| {
        block
            .lines()
            .map(|line| format!("{}\n", line.trim()))
            .collect()
    };
    blocks.map(trimmed).collect()
}

#[test]
fn the_settings_of_the_docs_are_taken() {
    let settings = blocks("toml");
    assert_eq!(settings.len(), 1);
    let folder = Folder::new();
    let mut command = proxy("http://127.0.0.1:9", &folder, &settings[0]);
    let (text, code) = output(with_server(&mut command, &folder));
    assert_eq!(code, 0, "{text}");
}

#[test]
fn the_entries_of_the_docs_are_taken() {
    let entries = blocks("json");
    assert_eq!(entries.len(), 2);
    for entry in entries {
        let entry: Value = serde_json::from_str(&entry).unwrap();
        let entry = &entry.get("mcpServers").unwrap_or_else(|| &entry["servers"])["files"];
        assert_eq!(entry["command"], "human-oversight-mcp");
        let arguments: Vec<&str> = entry["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_str().unwrap())
            .collect();
        let [config, _, server, name, dashes, ..] = arguments[..] else {
            panic!("{arguments:?}");
        };
        assert_eq!([config, server, dashes], ["--config", "--server", "--"]);
        let folder = Folder::new();
        let mut command = proxy("http://127.0.0.1:9", &folder, "agent = \"A\"\n");
        command
            .env_clear()
            .env("HO_URL", entry["env"]["HO_URL"].as_str().unwrap());
        // The others have no value that could be used.
        for name in ["HO_KEY", "HO_CLAIM_KEY", "APPROVER_EMAILS"] {
            assert!(entry["env"][name].is_string(), "{name}");
        }
        command.env("HO_CLAIM_KEY", crate::harness::CLAIM_KEY);
        let (text, code) = output(with_server(&mut command, &folder));
        assert_eq!((code, name), (0, "files"), "{text}");
    }
}

#[test]
fn every_status_is_in_the_docs() {
    let row = |line: &&str| {
        line.starts_with("| `") || line.starts_with("| the tool") || line.starts_with("| `…")
    };
    let rows = DOCS
        .lines()
        .filter(row)
        .filter_map(|line| line.rsplit('|').nth(1));
    let documented: BTreeSet<&str> = rows.flat_map(|cell| cell.split('`')).collect();
    for status in [
        "pending",
        "asking",
        "running",
        "rejected",
        "expired",
        "lapsed",
        "denied",
        "undeliverable",
        "withdrawn",
        "revoked",
        "paused",
        "invalid",
        "unavailable",
        "executed",
        "failed",
        "unknown",
    ] {
        assert!(documented.contains(status), "{status}");
        assert!(WORDS.contains(&format!("\"{status}\"")), "{status}");
    }
}
