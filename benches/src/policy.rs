//! The largest policy: 500 rules, of which each applies to the request and must be joined with all others.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::ensure;
use serde_json::json;

use crate::measure::Spread;

const RULES: usize = 500;

/// Milliseconds for the evaluation of one request, by `policy test` over this number of them. The time that it takes
/// without rules, most of it to read the requests, is subtracted.
pub(crate) fn evaluation(gate: &Path, rounds: usize, requests: usize) -> anyhow::Result<Spread> {
    let dir = tempfile::tempdir()?;
    let write = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    let with_rules = [
        write("rules.toml", text())?,
        write("require.json", examples("require", requests))?,
    ];
    let without = [
        write("none.toml", "version = 1\n".to_owned())?,
        write("requester.json", examples("requester", requests))?,
    ];
    let run = |[policy, examples]: &[PathBuf; 2]| {
        let started = Instant::now();
        let mut command = Command::new(gate);
        command.args(["policy", "test"]).arg(policy);
        let output = command.arg("--examples").arg(examples).output()?;
        let took = started.elapsed().as_secs_f64() * 1e3;
        ensure!(output.status.success(), "{output:?}");
        anyhow::Ok(took)
    };
    let measured = (0..rounds).map(|_| Ok((run(&with_rules)? - run(&without)?) / requests as f64));
    Ok(Spread::of(measured.collect::<anyhow::Result<Vec<_>>>()?))
}

fn text() -> String {
    // Without spaces, so that it fits into the 64 KiB of a policy.
    let mut text = String::from("version = 1\n[groups]\ng = [\"a@example.com\"]\n");
    for rule in 0..RULES {
        write!(
            text,
            "[[rule]]\nid=\"r{rule}\"\nactions=[\"Pay *\"]\neffect=\"require\"\n\
             when=[{{parameter=\"/p{rule}\",more_than=50}}]\nstages=[{{from=\"g\"}}]\n"
        )
        .expect("a text takes all");
    }
    text
}

fn examples(outcome: &str, number: usize) -> String {
    let parameters: serde_json::Map<_, _> = (0..RULES)
        .map(|rule| (format!("p{rule}"), json!(100)))
        .collect();
    let example = json!({
        "name": "x", "outcome": outcome,
        "request": {"agentName": "A", "actionDescription": "Pay an invoice", "approverEmails": ["a@example.com"],
                    "parameters": parameters},
    });
    json!(vec![example; number]).to_string()
}
