//! `human-oversight policy rehearse`: what a policy would have done with the stored requests.

use human_oversight::values::ApprovalId;
use human_oversight_client::types::{Approval, NewApproval};
use serde_json::{Value, json};

use super::tools::write;
use crate::backing_store;
use crate::deadline::{eventually, within};
use crate::harness::{ALICE, BOB, TestGate, object, request};
use crate::process::{binary, run};

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]

[[rule]]
id = "small-refunds"
actions = ["Refund *"]
when = [{ parameter = "/amount", at_most = 50 }]
effect = "approve"

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }]

[[rule]]
id = "never"
actions = ["Delete production *"]
effect = "deny"

[[rule]]
id = "unused"
actions = ["Nothing like this"]
effect = "deny"
"#;

/// How many rows are rehearsed; more of them to measure time and memory.
fn rows() -> usize {
    let set = std::env::var("HO_REHEARSAL_ROWS").ok();
    set.map_or(300, |rows| rows.parse().unwrap())
}

async fn ask(gate: &TestGate, action: &str) -> Approval {
    let request = NewApproval {
        action_description: action.to_owned(),
        parameters: object(json!({"amount": 20})),
        ..request()
    };
    gate.client.submit(&request).await.unwrap()
}

/// Six requests that people decide or not, and copies of the open one, a day apart.
async fn history(gate: &TestGate) -> [Approval; 4] {
    let decided = [
        ask(gate, "Refund an order").await,
        ask(gate, "Delete production database").await,
        ask(gate, "Pay an invoice").await,
        ask(gate, "Delete production files").await,
    ];
    gate.reject(&decided[0], ALICE, "Not this one.").await;
    gate.approve(&decided[1], ALICE).await;
    gate.approve(&decided[2], ALICE).await;
    gate.reject(&decided[3], ALICE, "Never.").await;
    let open = ask(gate, "Something else").await;
    let open = gate.store.get(&open.id.parse().unwrap()).await.unwrap();
    for number in 0..rows() {
        let mut copy = open.approval.clone();
        copy.request.id = ApprovalId::new("Bulk", &format!("run-{number}")).unwrap();
        let action = ["Refund an order", "Pay an invoice", "Something else"][number % 3];
        copy.request.action = action.to_owned();
        gate.store.insert(copy, None).await.unwrap();
    }
    decided
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_counts_what_each_rule_decides_and_lists_what_people_decided_otherwise() {
    let gate = TestGate::start().await;
    let [rejected, approved, ..] = history(&gate).await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let policy = write(gate.dir.path(), "policy.toml", POLICY);
    let backup = gate.dir.path().join("copy.jsonl");
    let backup = backup.to_str().unwrap();
    assert_eq!(run(&settings, &["backup", backup]).await.1, 0);

    let rehearse = ["policy", "rehearse", policy.as_str()];
    let of_backup = [&rehearse[..], &["--backup", backup]].concat();
    for arguments in [&rehearse[..], &of_backup] {
        let (said, code) = run(&settings, &[arguments, &["--json"]].concat()).await;
        assert_eq!(code, 1, "{said}");
        let found: Value = serde_json::from_str(&said).unwrap();
        let mut contradictions = found["contradictions"].as_array().unwrap().clone();
        contradictions.sort_by_key(|it| it["verdict"].to_string());
        let expected = [
            json!({"id": approved.id, "verdict": "approved", "policy": "deny", "rules": ["never"]}),
            json!({"id": rejected.id, "verdict": "rejected", "policy": "approve", "rules": ["small-refunds"]}),
        ];
        assert_eq!(contradictions, expected);
        let third = rows() as u64 / 3;
        let count = |rule: &str| {
            let rules = found["rules"].as_array().unwrap();
            let count = rules.iter().find(|it| it["rule"] == rule).unwrap();
            ["requests", "approved", "rejected", "contradicted"]
                .map(|name| count[name].as_u64().unwrap())
        };
        assert_eq!(count("small-refunds"), [third + 1, 0, 1, 1]);
        assert_eq!(count("payments"), [third + 1, 1, 0, 0]);
        assert_eq!(count("never"), [2, 1, 1, 1]);
        assert_eq!(count("default"), [third + 1, 0, 0, 0]);
        assert_eq!(found["unused"], json!(["unused"]));
        assert_eq!(found["requests"], rows() + 5);
        assert_eq!(found["unreadable"], 0);
    }
    let (said, code) = run(&settings, &rehearse).await;
    assert_eq!(code, 1);
    let line = format!(
        "{}: a person approved it, the policy would deny it (rule never)\n",
        approved.id
    );
    assert!(said.contains(&line), "{said}");
    assert!(said.ends_with("Never used: unused.\n"), "{said}");

    // What people decided is what this policy leaves to them.
    let none = "version = 1\n[groups]\n";
    let policy = write(gate.dir.path(), "none.toml", none);
    let (said, code) = run(&settings, &["policy", "rehearse", &policy]).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_begins_at_a_date_and_says_what_it_cannot_use() {
    let gate = TestGate::start().await;
    let approved = ask(&gate, "Delete production database").await;
    gate.approve(&approved, ALICE).await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let policy = write(gate.dir.path(), "policy.toml", POLICY);
    let rehearse = async |more: &[&str]| {
        let arguments = [&["policy", "rehearse", policy.as_str()], more].concat();
        run(&settings, &arguments).await
    };
    for (since, requests) in [
        ("2020-01-01", 1),
        ("2999-01-01", 0),
        ("2999-01-01T08:00:00Z", 0),
    ] {
        let (said, code) = rehearse(&["--since", since]).await;
        assert!(said.contains(&format!("{requests} requests; ")), "{said}");
        assert_eq!(code, requests);
    }
    let (said, code) = rehearse(&["--since", "yesterday"]).await;
    assert!(code == 2 && said.contains("2026-11-01"), "{said}");
    let (said, code) = rehearse(&["--backup", "/nowhere"]).await;
    assert!(
        code == 2 && said.contains("/nowhere cannot be read"),
        "{said}"
    );
    let faulty = write(gate.dir.path(), "faulty.toml", "version = 2\n");
    let (said, code) = run(&settings, &["policy", "rehearse", &faulty]).await;
    assert!(code == 2 && said.contains("faulty.toml:1: "), "{said}");

    // A row that was changed outside the gate is counted, and not rehearsed.
    let backup = gate.dir.path().join("copy.jsonl");
    let backup = backup.to_str().unwrap();
    assert_eq!(run(&settings, &["backup", backup]).await.1, 0);
    let copy = std::fs::read_to_string(backup).unwrap();
    std::fs::write(backup, copy.replace("Delete production", "Delete an old")).unwrap();
    let (said, code) = rehearse(&["--backup", backup]).await;
    assert!(code == 1 && said.contains("0 requests; "), "{said}");
    assert!(
        said.contains("Left out: 1 rows that cannot be trusted"),
        "{said}"
    );
}

/// A reader that looks at the output alone is not shown a part of the contradictions as if it were all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_read_to_their_end_give_no_json() {
    let gate = TestGate::start().await;
    history(&gate).await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let policy = write(gate.dir.path(), "policy.toml", POLICY);
    let backup = gate.dir.path().join("copy.jsonl");
    let copy = backup.to_str().unwrap();
    assert_eq!(run(&settings, &["backup", copy]).await.1, 0);
    let mut torn = std::fs::read_to_string(&backup).unwrap();
    torn.push('{');
    std::fs::write(&backup, torn).unwrap();
    let mut command = binary();
    command.args(["policy", "rehearse", &policy, "--backup", copy, "--json"]);
    command.envs(settings.iter().copied());
    let output = within(command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is no row: is the copy whole?"), "{said}");
}

/// Those of the groups are not among the approvers whom the agent named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_of_the_policy_that_asked_contradicts_nothing() {
    let rule = |stages: &str| {
        format!(
            "version = 1\n[groups]\nfinance = [\"alice@example.com\", \"carol@example.com\"]\n[[rule]]\nid = \"pay\"\n\
             actions = [\"Pay *\"]\neffect = \"require\"\nstages = [{stages}]\n"
        )
    };
    let both = rule("{ from = \"finance\" }, { from = \"requested\" }");
    for (asked_by, approvers) in [
        (&both, &[ALICE, BOB][..]),
        // Here no one knows whom the agent named.
        (&rule("{ from = \"finance\" }"), &[ALICE]),
    ] {
        let gate = TestGate::with(&[("HO_POLICY", asked_by.as_str())]).await;
        let mut new = request();
        new.action_description = "Pay an invoice".to_owned();
        new.approver_emails = vec![BOB.to_owned()];
        let approval = gate.client.submit(&new).await.unwrap();
        for approver in approvers {
            let is_asked = || gate.mails().iter().any(|mail| mail.to == *approver);
            eventually(async || is_asked().then_some(())).await;
            gate.approve(&approval, approver).await;
        }
        let settings = backing_store::settings(gate.dir.path());
        let settings = backing_store::borrowed(&settings);
        let policy = write(gate.dir.path(), "policy.toml", &both);
        let (said, code) = run(&settings, &["policy", "rehearse", &policy]).await;
        assert_eq!(code, 0, "{said}");
        let counted = "1 requests; people approved 1 and rejected 0; 0 contradicted";
        assert!(said.contains(counted), "{said}");
    }
}
