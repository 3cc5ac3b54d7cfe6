//! The documentation names tests: each of them must exist.

use std::collections::BTreeSet;
use std::process::Command;

use crate::harness::repository;

#[test]
fn every_test_named_in_the_docs_exists() {
    let list = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let tests: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    let tables = [
        include_str!("../../SECURITY.md"),
        include_str!("../../docs/reliability.md"),
    ];
    let named: Vec<&str> = tables
        .iter()
        .flat_map(|table| table.split('`'))
        .filter(|word| word.contains("::") && !word.contains(' '))
        .collect();
    assert!(named.len() > 40, "{}", named.len());
    // Unit tests are in the module's own file.
    let (unit, integration): (Vec<&str>, Vec<&str>) =
        named.iter().partition(|name| name.contains("::tests::"));
    for name in unit {
        let (module, test) = name.split_once("::tests::").unwrap();
        let file = format!("src/{}.rs", module.replace("::", "/"));
        let source = std::fs::read_to_string(repository().join(file)).unwrap();
        assert!(source.contains(&format!("fn {test}()")), "{name}");
    }
    let missing: Vec<&&str> = integration
        .iter()
        .filter(|name| !tests.contains(**name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
