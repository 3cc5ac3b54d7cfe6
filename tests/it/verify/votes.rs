//! `verify` on rows with a plan: what an auditor reads of plans, votes and policies that were changed.

use human_oversight::keys::keyring;
use human_oversight_client::types::{Approval, NewApproval};
use serde_json::{Value, json};

use super::{Who, verify, verify_with};
use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, TestGate, object, request};

const CAROL: &str = "carol@example.com";

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]
security = ["carol@example.com", "dave@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }, { from = "security" }]

[[rule]]
id = "refunds"
actions = ["Refund *"]
ignore = ["/amount"]
effect = "approve"
"#;

/// A request that three people approved, one that Bob rejected after Alice had approved, and one that the policy
/// approved.
async fn requests(gate: &TestGate) -> [Approval; 3] {
    let new = |action: &str| NewApproval {
        action_description: action.to_owned(),
        parameters: object(json!({"amount": 20})),
        approver_emails: Vec::new(),
        ..request()
    };
    let approved = gate.client.submit(&new("Pay an invoice")).await.unwrap();
    gate.approve(&approved, ALICE).await;
    gate.approve(&approved, BOB).await;
    let is_asked = || gate.mails().iter().any(|mail| mail.to == CAROL);
    eventually(async || is_asked().then_some(())).await;
    gate.approve(&approved, CAROL).await;
    let rejected = gate.client.submit(&new("Pay an invoice")).await.unwrap();
    gate.approve(&rejected, ALICE).await;
    gate.reject(&rejected, BOB, "Wrong account.").await;
    let by_policy = gate.client.submit(&new("Refund an order")).await.unwrap();
    gate.until_kept(2).await;
    [approved, rejected, by_policy]
}

/// A vote seals the row with the new key; the links stay those of the old one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_request_whose_links_are_of_a_missing_key_is_a_problem() {
    let [old, new] = [(); 2].map(|()| keyring::generate_link_key());
    let both = format!("{new},{old}");
    let with = |keys| [("HO_POLICY", POLICY), ("HO_LINK_KEYS", keys)];
    let gate = TestGate::with(&with(old.as_str())).await;
    let payment = NewApproval {
        action_description: "Pay an invoice".to_owned(),
        approver_emails: Vec::new(),
        ..request()
    };
    let asked = gate.client.submit(&payment).await.unwrap();
    let first = gate.url.clone();
    let gate = TestGate::at(gate.dir, &with(&both)).await;
    let decide = async |person, verdict| {
        let mut question = gate.question(&asked, person);
        question.link = question.link.replace(&first, &gate.url);
        let form = [("decision", verdict), ("code", question.code.as_str())];
        gate.decide(&question, &form).await;
    };
    decide(ALICE, "approve").await;
    let verify = async |gate: &TestGate, keys: &str| {
        let mut settings = backing_store::settings(gate.dir.path());
        settings.retain(|(name, _)| *name != "HO_LINK_KEYS");
        settings.push(("HO_LINK_KEYS", keys.to_owned()));
        verify_with(
            gate,
            Who::Operator,
            &[],
            &backing_store::borrowed(&settings),
        )
        .await
    };
    let (said, code) = verify(&gate, &both).await;
    assert_eq!(code, 0, "{said}");
    let (said, code) = verify(&gate, &new).await;
    let words = "the links of its approvers are of a key that is not in HO_LINK_KEYS";
    assert!(
        code == 1 && said.contains(words) && said.contains(" 1 problems."),
        "{said}"
    );
    decide(BOB, "reject").await;
    let (said, _) = verify(&gate, &new).await;
    assert!(!said.contains(words), "{said}");
}

/// Changes the JSON in a column.
fn edit(row: &mut Value, column: &str, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_str(row[column].as_str().unwrap()).unwrap();
    change(&mut json);
    row[column] = json!(json.to_string());
}

/// Removes a vote.
fn pop_vote(row: &mut Value) {
    for column in ["Votes", "VoteReceipts"] {
        edit(row, column, |list| drop(list.as_array_mut().unwrap().pop()));
    }
}

/// The people of the plan, in its order.
const PEOPLE: [&str; 4] = [ALICE, BOB, CAROL, "dave@example.com"];

fn set_voter(vote: &mut Value, person: usize) {
    vote["person"] = json!(person);
    vote["approver"] = json!(PEOPLE[person]);
}

/// Adds a copy of a vote, by another person.
fn add_vote(row: &mut Value, of: usize, person: Option<usize>) {
    for column in ["Votes", "VoteReceipts"] {
        edit(row, column, |list| {
            let mut copy = list[of].clone();
            if let Some(person) = person.filter(|_| column == "Votes") {
                set_voter(&mut copy, person);
            }
            list.as_array_mut().unwrap().push(copy);
        });
    }
}

type Change = fn(&mut Value);

/// Changes of the request that three people approved, and what an auditor reads.
const OF_APPROVED: [(Change, &str); 21] = [
    (
        |row| edit(row, "Plan", |plan| plan["digest"] = json!("0".repeat(64))),
        "vote 1 contradicts its signed record in the digest of the policy",
    ),
    (
        |row| edit(row, "Plan", |plan| plan["rules"] = json!(["other"])),
        "contradicts its receipt in the plan",
    ),
    (
        |row| {
            edit(row, "Plan", |plan| {
                plan["stages"][0][0]["from"] = json!("other")
            })
        },
        "vote 1 contradicts its signed record in the plan",
    ),
    (
        |row| {
            edit(row, "Plan", |plan| {
                plan["stages"][0][0]["needed"] = json!(1)
            })
        },
        "vote 2 counts for no ask of the open stage",
    ),
    (
        |row| {
            edit(row, "Plan", |plan| {
                plan["stages"][0][0]["members"] = json!([0, 7])
            })
        },
        "the plan names a person whom the request does not have",
    ),
    (
        |row| edit(row, "Plan", |plan| plan["signIn"] = json!(true)),
        "vote 1 is of a person who had not signed in",
    ),
    (
        |row| edit(row, "Plan", |plan| plan["notBeforeSeconds"] = json!(3_600)),
        "vote 1 came sooner than the plan allows",
    ),
    (
        |row| edit(row, "Plan", |plan| plan["comment"] = json!("always")),
        "vote 1 has no comment, which the plan demands",
    ),
    (pop_vote, "the votes do not add up to the status"),
    (
        |row| add_vote(row, 0, Some(3)),
        "vote 4 came after the votes before it had decided",
    ),
    (
        |row| edit(row, "Votes", |votes| set_voter(&mut votes[1], 0)),
        "vote 2 is of a person who had voted",
    ),
    (
        |row| edit(row, "Votes", |votes| votes[1]["approver"] = json!(CAROL)),
        "damaged: Votes",
    ),
    (
        |row| edit(row, "Votes", |votes| votes[1]["person"] = json!(99)),
        "damaged: Votes",
    ),
    (
        |row| edit(row, "Votes", |votes| votes[1]["stage"] = json!(99)),
        "vote 2 counts for no ask of the open stage",
    ),
    (
        |row| edit(row, "Votes", |votes| votes[0]["ask"] = json!(99)),
        "vote 1 counts for no ask of the open stage",
    ),
    (
        |row| edit(row, "Plan", |plan| plan["stages"] = json!([])),
        "vote 1 counts for no ask of the open stage",
    ),
    (
        |row| edit(row, "Plan", |plan| plan["stages"][0] = json!([])),
        "vote 1 counts for no ask of the open stage",
    ),
    (
        |row| edit(row, "Votes", |votes| votes[0]["comment"] = json!("Fine.")),
        "vote 1 contradicts its signed record in the request or what was decided",
    ),
    (
        |row| edit(row, "VoteReceipts", |list| list[2] = list[1].clone()),
        "vote 3 contradicts its signed record",
    ),
    (
        |row| edit(row, "VoteReceipts", |list| list[1] = json!("a.b.c")),
        "vote 2 is not signed by a key of the gate",
    ),
    (
        |row| row["Plan"] = Value::Null,
        "a vote, or a decision of the policy, without a plan",
    ),
];

/// The same of the request that Bob rejected.
const OF_REJECTED: [(Change, &str); 3] = [
    (
        |row| row["Comment"] = json!("Fine."),
        "the decision is not that of the last vote",
    ),
    (
        |row| {
            row["Status"] = json!("Approved");
            row["RunBy"] = json!("2099-01-01T00:00:00.000Z");
        },
        "the votes do not add up to the status",
    ),
    (
        |row| {
            row["Comment"] = json!("Fine.");
            edit(row, "Votes", |votes| votes[1]["comment"] = json!("Fine."));
        },
        "vote 2 contradicts its signed record",
    ),
];

/// The same of the request that the policy approved.
const OF_POLICY: [(Change, &str); 4] = [
    (
        |row| edit(row, "Plan", |plan| plan["digest"] = json!("0".repeat(64))),
        "damaged: Decider",
    ),
    (
        |row| {
            edit(row, "Plan", |plan| plan["digest"] = json!("0".repeat(64)));
            row["Decider"] = json!("policy:refunds@00000000");
        },
        "contradicts its receipt in the digest of the policy",
    ),
    (
        |row| row["Decider"] = json!(row["Decider"].as_str().unwrap().replace("refunds", "other")),
        "contradicts its receipt in the request or what was decided",
    ),
    (
        |row| {
            edit(row, "Plan", |plan| {
                plan["stages"] = json!([[{"from": "x", "members": [], "needed": 1}]])
            })
        },
        "the policy decided what people were to decide",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_plan_votes_and_policy_is_named() {
    let gate = TestGate::with(&[("HO_POLICY", POLICY)]).await;
    let [approved, rejected, by_policy] = requests(&gate).await;
    for who in [Who::Operator, Who::Auditor] {
        let (said, code) = verify(&gate, who, &[]).await;
        let summary = "3 rows: 3 decisions proved by their receipts, 0 rows of the legacy Logic App, which \
                       prove nothing, 0 problems.\n5 votes proved by their signed records.\n";
        assert!(said.starts_with(summary) && code == 0, "{said}");
    }
    let all = [
        (&approved, &OF_APPROVED[..]),
        (&rejected, &OF_REJECTED[..]),
        (&by_policy, &OF_POLICY[..]),
    ];
    for (approval, changes) in all {
        for (change, found) in changes {
            let before = gate.entity(&approval.id).await;
            gate.tamper(&approval.id, None, change).await;
            for (who, found) in [
                (Who::Operator, "does not match its row MAC"),
                (Who::Auditor, *found),
            ] {
                let (said, code) = verify(&gate, who, &[]).await;
                let line = said.lines().next().unwrap();
                let names_row = line.contains(&approval.correlation_id);
                assert!(names_row && line.contains(found), "{found}: {said}");
                assert!(code == 1 && said.contains(" 1 problems."), "{said}");
            }
            gate.tamper(&approval.id, None, |row| *row = before).await;
        }
    }
}
