//! The dependencies: all from one registry, under allowed licences, pinned by the lock file; and no
//! `unsafe` in the project's own crates. `deny.toml` lists the licences. `./scripts/proof` checks the same
//! with cargo-deny, and known vulnerabilities as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::record;
use crate::deadline::blocking_within;
use crate::harness::repository;

fn output(mut command: Command) -> String {
    let shown = format!("{command:?}");
    command.current_dir(repository());
    let output = blocking_within(move || command.output()).unwrap();
    assert!(
        output.status.success(),
        "{shown}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// All packages that are built for the target, those of the tests included.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--format-version", "1"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let metadata: Value = serde_json::from_str(&output(cargo)).unwrap();
    let used: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| used.contains(package["id"].as_str().unwrap()))
        .cloned()
        .collect()
}

/// The bill of materials: the crates in the binary, and the macros that generate code for it.
fn bill() -> Value {
    let mut sbom = Command::new("python3");
    sbom.args(["-B", "scripts/sbom"]);
    serde_json::from_str(&output(sbom)).unwrap()
}

/// The strings of an array in deny.toml.
fn deny_toml(array: &str) -> BTreeSet<String> {
    let deny = std::fs::read_to_string(repository().join("deny.toml")).unwrap();
    let (_, rest) = deny.split_once(&format!("\n{array} = [")).unwrap();
    let (items, _) = rest.split_once("\n]").unwrap();
    items
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Whether these licences satisfy an SPDX expression. An expression that cannot be parsed is not satisfied.
fn is_satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    fn term<'a>(words: &mut impl Iterator<Item = &'a str>, allowed: &BTreeSet<String>) -> bool {
        match words.next() {
            Some("(") => any(words, allowed),
            Some(licence) => allowed.contains(licence),
            None => false,
        }
    }
    // Parses up to the end or the closing parenthesis. AND binds more tightly than OR.
    fn any<'a>(words: &mut impl Iterator<Item = &'a str>, allowed: &BTreeSet<String>) -> bool {
        let (mut one, mut all) = (false, term(words, allowed));
        loop {
            match words.next() {
                Some("AND") => all &= term(words, allowed),
                Some("OR") => {
                    one |= all;
                    all = term(words, allowed);
                }
                None | Some(")") => return one | all,
                Some(_) => {
                    // `WITH exception` makes a different licence, which is not allowed.
                    words.next();
                    all = false;
                }
            }
        }
    }
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    any(&mut spaced.split_whitespace(), allowed)
}

#[test]
fn only_allowed_licences_satisfy_a_licence_expression() {
    let allowed = ["MIT", "Unicode-3.0"].map(str::to_owned).into();
    for (expression, satisfied) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT AND GPL-3.0-only", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(Apache-2.0 OR GPL-3.0-only) AND MIT", false),
        ("MIT WITH something", false),
        ("MIT WITH something OR MIT", true),
        ("", false),
    ] {
        assert_eq!(
            is_satisfied(expression, &allowed),
            satisfied,
            "{expression}"
        );
    }
}

/// Licences are checked for what is distributed; crates used only by tests may have others.
#[test]
fn all_dependencies_come_from_one_registry_under_allowed_licences() {
    let (allowed, banned) = (deny_toml("allow"), deny_toml("deny"));
    let (packages, bill) = (packages(), bill());
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        assert!(!banned.contains(name), "{name}");
        let source = package["source"].as_str();
        let is_own = name.starts_with("human-oversight");
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        assert_eq!(source, (!is_own).then_some(registry), "{name}");
    }
    let components = bill["components"].as_array().unwrap();
    for component in components {
        let licence = component["licenses"][0]["expression"].as_str().unwrap();
        assert!(
            is_satisfied(licence, &allowed),
            "{}: {licence}",
            component["name"]
        );
    }
    let figures = [
        ("crates", packages.len() as u64),
        ("crates in the binary", components.len() as u64),
    ];
    record("supply", &figures);
}

#[test]
fn every_crate_forbids_unsafe() {
    let own = packages()
        .into_iter()
        .filter(|package| package["source"].is_null());
    let mut manifests: Vec<PathBuf> = own
        .map(|package| package["manifest_path"].as_str().unwrap().into())
        .collect();
    assert_eq!(manifests.len(), 5);
    manifests.push(repository().join("examples/agents/Cargo.toml"));
    let root = std::fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let forbids = |manifest: &str, table: &str| {
        let section = manifest
            .split("\n[")
            .find(|section| section.starts_with(table));
        section.is_some_and(|section| section.contains("\nunsafe_code = \"forbid\""))
    };
    assert!(forbids(&root, "workspace.lints.rust]"));
    for path in manifests {
        let manifest = std::fs::read_to_string(&path).unwrap();
        let inherits = manifest.contains("\n[lints]\nworkspace = true");
        assert!(
            inherits || forbids(&manifest, "lints.rust]"),
            "{}",
            path.display()
        );
    }
}

/// Every cargo command of the scripts uses `--locked`.
#[test]
fn every_script_respects_the_lock_file() {
    let mut calls = 0;
    for script in std::fs::read_dir(repository().join("scripts")).unwrap() {
        let path = script.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap().replace("\\\n", " ");
        if !text.starts_with("#!/usr/bin/env bash") {
            continue;
        }
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
        {
            let resolves = [
                "build", "clippy", "deny", "doc", "install", "metadata", "mutants", "run", "test",
                "tree", "zigbuild",
            ];
            for (_, call) in line
                .match_indices("cargo ")
                .map(|(at, found)| (at, &line[at + found.len()..]))
            {
                let command = call.split([' ', ')']).next().unwrap_or_default();
                if resolves.contains(&command) {
                    assert!(call.contains("--locked"), "{}: {line}", path.display());
                    calls += 1;
                }
            }
        }
    }
    assert!(calls >= 10, "{calls}");
}

#[test]
fn the_bill_of_materials_matches_the_lock_file() {
    let bill = bill();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["name"], "human-oversight");
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let components: BTreeMap<&str, &Value> = bill["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| (component["name"].as_str().unwrap(), component))
        .collect();
    for (name, component) in &components {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let version = text(&component["version"]);
        let mut held = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        if !name.starts_with("human-oversight-") {
            let digest = text(&component["hashes"][0]["content"]);
            held += "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
            held += &format!("checksum = \"{digest}\"\n");
        }
        assert!(lock.contains(&held), "{held}");
        assert_eq!(component["purl"], format!("pkg:cargo/{name}@{version}"));
    }
    for expected in ["axum", "libsqlite3-sys", "lettre", "ring", "rustls"] {
        assert!(components.contains_key(expected), "{expected}");
    }
    for only_tests in ["fantoccini", "rcgen", "tempfile"] {
        assert!(!components.contains_key(only_tests), "{only_tests}");
    }
}
