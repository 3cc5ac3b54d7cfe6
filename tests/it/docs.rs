//! The documentation names tests: each of them must exist.

use std::collections::BTreeSet;
use std::process::Command;

use crate::deadline::blocking_within;
use crate::harness::repository;

/// The tests of this binary, by their paths.
fn list_tests() -> BTreeSet<String> {
    let mut list = Command::new(std::env::current_exe().unwrap());
    list.args(["--list", "--format", "terse"]);
    let list = blocking_within(move || list.output()).unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    tests.map(str::to_owned).collect()
}

#[test]
fn every_test_named_in_the_docs_exists() {
    let tests = list_tests();
    let tables = [
        include_str!("../../SECURITY.md"),
        include_str!("../../docs/reliability.md"),
        include_str!("../../docs/evidence.md"),
    ];
    let named: Vec<&str> = tables
        .iter()
        .flat_map(|table| table.split('`'))
        .filter(|word| word.contains("::") && !word.contains(' '))
        .collect();
    assert!(named.len() > 40, "{}", named.len());
    // Unit tests are in the module's own file, or in one of their own.
    let (unit, integration): (Vec<&str>, Vec<&str>) =
        named.iter().partition(|name| name.contains("::tests::"));
    for name in unit {
        let (module, test) = name.split_once("::tests::").unwrap();
        let module = repository().join("src").join(module.replace("::", "/"));
        let files = [module.with_extension("rs"), module.join("tests.rs")];
        let sources = files.map(|file| std::fs::read_to_string(file).unwrap_or_default());
        let is_there = |source: &String| source.contains(&format!("fn {test}()"));
        assert!(sources.iter().any(is_there), "{name}");
    }
    let missing: Vec<&&str> = integration
        .iter()
        .filter(|name| !tests.contains(**name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// In other texts, a path is taken for that of a test if it begins with a test module and its last name has
/// three words or more.
#[test]
fn every_test_named_in_other_texts_exists() {
    let tests = list_tests();
    let modules: BTreeSet<&str> = tests
        .iter()
        .filter_map(|test| test.split("::").next())
        .collect();
    let (mut named, mut missing) = (0, Vec::new());
    for folder in ["", "docs", "scripts", "infra", ".cargo"] {
        for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
            let Ok(text) = std::fs::read_to_string(entry.unwrap().path()) else {
                continue;
            };
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
            for word in words {
                let Some((module, _)) = word.split_once("::") else {
                    continue;
                };
                let name = word.rsplit("::").next().unwrap();
                if !modules.contains(module) || name.matches('_').count() < 2 {
                    continue;
                }
                named += 1;
                if !tests.contains(word) && !word.contains("::tests::") {
                    missing.push(word.to_owned());
                }
            }
        }
    }
    assert!(named > 40, "{named}");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The index leads to every page, and each link of the README and of the index leads somewhere.
#[test]
fn every_page_is_in_the_index_and_every_link_leads_somewhere() {
    let index = include_str!("../../docs/README.md");
    for entry in std::fs::read_dir(repository().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") && name != "README.md" {
            assert!(index.contains(&format!("]({name})")), "{name}");
        }
    }
    let readme = include_str!("../../README.md");
    for (folder, text) in [("", readme), ("docs", index)] {
        let (links, pictures) = (text.split("](").skip(1), text.split("src=\"").skip(1));
        let targets: Vec<&str> = links
            .chain(pictures)
            .map(|rest| rest.split([')', '"', '#']).next().unwrap())
            .filter(|target| !target.is_empty() && !target.starts_with("http"))
            .collect();
        assert!(targets.len() > 8, "{targets:?}");
        for target in targets {
            assert!(repository().join(folder).join(target).exists(), "{target}");
        }
    }
}

#[test]
fn every_state_of_a_subject_is_in_the_docs() {
    let source = include_str!("../../src/render/subject.rs");
    let (_, states) = source.split_once("\nfn state(").unwrap();
    let (states, _) = states.split_once("\n}\n").unwrap();
    let states = states.split('"').skip(1).step_by(2);
    let states: BTreeSet<&str> = states.collect();
    let docs = include_str!("../../docs/mail.md");
    let (_, listed) = docs
        .split_once("The subject begins with the state (")
        .unwrap();
    let (listed, _) = listed.split_once(')').unwrap();
    let listed = listed.split('`').skip(1).step_by(2);
    let listed = listed.map(|it| it.trim_matches(['[', ']']));
    assert_eq!(listed.collect::<BTreeSet<_>>(), states);
}
