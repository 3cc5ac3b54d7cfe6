//! The vocabulary of sources and docs: words that docs/contributing.md replaces with standard terms do not
//! come back.

use std::fs;
use std::path::{Path, PathBuf};

/// Words and phrases, in lower case. A phrase matches across line ends of wrapped text.
const DENIED: [&str; 16] = [
    "whoever",
    "whomever",
    "nobody",
    "somebody",
    "anybody",
    "everybody",
    "so many",
    "so often",
    "so long as",
    "of itself",
    "is told",
    "are told",
    "was told",
    "as it stands",
    "by which way",
    "predecessor",
];

/// Denied where it is not a name that rows, logs or settings have.
const DENIED_IN_PROSE: [&str; 1] = ["mails"];

/// Where text is read by people who did not write it. The words of pages and emails stand in `templates/`.
const PLACES: [&str; 14] = [
    "CHANGELOG.md",
    "README.md",
    "SECURITY.md",
    "benches",
    "clients",
    "conformance",
    "crates",
    "docs",
    "examples",
    "infra",
    "report",
    "scripts",
    "src",
    "tests",
];

/// Generated, or others' words; and the list itself.
const SKIPPED: [&str; 10] = [
    "target",
    "node_modules",
    ".pytest_cache",
    "tests/fuzz",
    "tests/golden",
    // What the Bicep compiler made of an earlier commit, with its words.
    "tests/infra/snapshots",
    "tests/mails",
    "docs/contributing.md",
    "tests/it/vocabulary.rs",
    // Words of pages and emails.
    "src/render/request.rs",
];

const ENDINGS: [&str; 14] = [
    "rs",
    "md",
    "json",
    "toml",
    "py",
    "ts",
    "js",
    "sh",
    "bicep",
    "bicepparam",
    "kql",
    "tmdl",
    "yaml",
    "",
];

fn collect(root: &Path, path: &Path, files: &mut Vec<PathBuf>) {
    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
    let is_lock = name.ends_with("-lock.json");
    if is_lock
        || SKIPPED
            .iter()
            .any(|skipped| name == *skipped || name.ends_with(&format!("/{skipped}")))
    {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(root, &entry.unwrap().path(), files);
        }
        return;
    }
    let ending = path
        .extension()
        .map_or("", |ending| ending.to_str().unwrap());
    if ENDINGS.contains(&ending) {
        files.push(path.to_owned());
    }
}

/// A text in lower case as one line: without the markers of comments, and with the words of an identifier
/// apart, since names of tests are sentences.
fn words(text: &str) -> String {
    let markers = ['/', '!', '#', '*', '-', '>', '|'];
    let lines = text
        .lines()
        .map(|line| line.trim_start().trim_start_matches(markers).trim());
    lines
        .collect::<Vec<_>>()
        .join(" ")
        .replace('_', " ")
        .to_lowercase()
}

/// What people read of a file: the comments of a source, and docs without their code.
fn prose(text: &str, is_source: bool) -> String {
    if is_source {
        let comments = text.lines().filter_map(|line| line.split_once("//"));
        return comments
            .map(|(_, comment)| comment)
            .collect::<Vec<_>>()
            .join("\n");
    }
    let blocks = text.split("```").step_by(2);
    let spans = blocks.map(|block| block.split('`').step_by(2).collect::<Vec<_>>().join("code"));
    spans.collect()
}

/// The denied words in a text, each with what stands around it.
fn denied(text: &str, denied: &[&str]) -> Vec<String> {
    let words = words(text);
    let mut found = Vec::new();
    for denied in denied {
        for (at, _) in words.match_indices(denied) {
            let before = words[..at].chars().next_back();
            let after = words[at + denied.len()..].chars().next();
            if !before.is_some_and(char::is_alphanumeric)
                && !after.is_some_and(char::is_alphanumeric)
            {
                let start = words[..at]
                    .char_indices()
                    .rev()
                    .nth(30)
                    .map_or(0, |(start, _)| start);
                let around: String = words[start..].chars().take(70).collect();
                found.push(format!("`{denied}` in `{around}`"));
            }
        }
    }
    found
}

#[test]
fn no_denied_word_is_in_sources_or_docs() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for place in PLACES {
        collect(&root, &root.join(place), &mut files);
    }
    assert!(files.len() > 200, "{}", files.len());
    let mut faults = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let mut found = denied(&text, &DENIED);
        let is_source = !name.ends_with(".md");
        found.extend(denied(&prose(&text, is_source), &DENIED_IN_PROSE));
        faults.extend(found.iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn a_denied_word_is_found_across_lines_and_not_within_others() {
    let count = |text: &str| denied(text, &DENIED).len();
    assert_eq!(count("/// The agent is\n/// told."), 1);
    assert_eq!(count("// Whoever asks, nobody answers."), 2);
    assert_eq!(count("fn it_goes_to_whoever_asks() {}"), 1);
    assert_eq!(count("antibody, mailer, retold"), 0);
    let mails = |text: &str, is_source| denied(&prose(text, is_source), &DENIED_IN_PROSE).len();
    assert_eq!(mails("let mails = 1; // all mails", true), 1);
    assert_eq!(mails("Mails, `mails`\n```\nmails\n```\n", false), 1);
}
