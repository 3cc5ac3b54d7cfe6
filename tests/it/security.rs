//! SECURITY.md and docs/reliability.md say which test shows what: each of them must be there.

use std::collections::BTreeSet;
use std::process::Command;

use crate::deadline::blocking_within;
use crate::harness::repository;

#[test]
fn every_test_that_the_threat_table_names_is_there() {
    let mut list = Command::new(std::env::current_exe().unwrap());
    list.args(["--list", "--format", "terse"]);
    let listed = blocking_within(move || list.output()).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tests: BTreeSet<&str> = listed
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
    // Those of the settings stand beside them.
    let (beside, here): (Vec<&str>, Vec<&str>) =
        named.iter().partition(|name| name.contains("::tests::"));
    for name in beside {
        let (module, test) = name.split_once("::tests::").unwrap();
        let file = format!("src/{}.rs", module.replace("::", "/"));
        let source = std::fs::read_to_string(repository().join(file)).unwrap();
        assert!(source.contains(&format!("fn {test}()")), "{name}");
    }
    let missing: Vec<&&str> = here.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
