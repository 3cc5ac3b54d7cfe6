//! The vocabulary of sources and docs: words that docs/contributing.md replaces with standard terms do not
//! come back.

use std::fs;
use std::path::{Path, PathBuf};

/// Words and phrases, in lower case. A phrase matches across line ends of wrapped text.
const DENIED: [&str; 17] = [
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
    "mails",
];

/// Where text is read by people who did not write it. The words of pages and emails stand in `templates/`.
const PLACES: [&str; 12] = [
    "README.md",
    "SECURITY.md",
    "benches",
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
const SKIPPED: [&str; 8] = [
    "target",
    "node_modules",
    "tests/predecessor",
    "tests/fuzz",
    "tests/golden",
    "tests/mails",
    "docs/contributing.md",
    "tests/it/vocabulary.rs",
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

/// The text in lower case: identifiers apart, since those are compiled and not read; markers of comments
/// and line ends as spaces.
fn words(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line
            .trim_start()
            .trim_start_matches(['/', '!', '#', '*', '-', '>', '|']);
        prose.push_str(line.trim());
        prose.push(' ');
    }
    prose.to_lowercase()
}

/// The denied words in a text, each with what stands around it.
fn denied(text: &str) -> Vec<String> {
    let words = words(text);
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for denied in DENIED {
        for (at, _) in words.match_indices(denied) {
            let before = words[..at].chars().next_back();
            let after = words[at + denied.len()..].chars().next();
            if !before.is_some_and(is_part) && !after.is_some_and(is_part) {
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
        faults.extend(
            denied(&text)
                .into_iter()
                .map(|fault| format!("{name}: {fault}")),
        );
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
    assert_eq!(denied("/// The agent is\n/// told.").len(), 1);
    assert_eq!(denied("// Whoever asks, nobody answers.").len(), 2);
    assert_eq!(
        denied("HO_MAIL, mailer, is_told, antibody, emails"),
        Vec::<String>::new()
    );
}
