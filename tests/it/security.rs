//! SECURITY.md says which test shows what: each of them must be there.

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn every_test_that_the_threat_table_names_is_there() {
    let listed = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tests: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    let table = include_str!("../../SECURITY.md");
    let named: Vec<&str> = table
        .split('`')
        .filter(|word| word.contains("::") && !word.contains(' '))
        .collect();
    assert!(named.len() > 40, "{}", named.len());
    let missing: Vec<&&str> = named
        .iter()
        .filter(|name| !tests.contains(**name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
