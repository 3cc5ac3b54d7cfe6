//! Requests that the policy decides without a person: how many there may be, and what they cost the store.

use std::time::Duration;

use futures_util::future::join_all;
use human_oversight::store::StandingKind;
use human_oversight_client::Client;
use human_oversight_client::types::{NewApproval, Status};
use reqwest::StatusCode;
use serde_json::json;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{Page, TestGate, object, request};
use crate::host::OTHER_KEY;
use crate::tables::operations;

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }]

[[rule]]
id = "refunds"
actions = ["Refund *"]
ignore = ["/order"]
effect = "approve"

[[rule]]
id = "vouchers"
actions = ["Send a voucher"]
ignore = ["/order"]
effect = "approve"
limit = { times = 1, per = "1h" }

[[rule]]
id = "letters"
actions = ["Send a letter"]
ignore = ["/order"]
effect = "approve"
limit = { times = 2733, per = "1d" }

[[rule]]
id = "never"
actions = ["Delete *"]
effect = "deny"
reason = "Agents delete nothing."
"#;

fn new(action: &str) -> NewApproval {
    NewApproval {
        action_description: action.to_owned(),
        parameters: object(json!({"order": "A-1"})),
        approver_emails: Vec::new(),
        ..request()
    }
}

async fn submit(gate: &TestGate, action: &str) -> Page {
    let body = serde_json::to_string(&new(action)).unwrap();
    gate.post("/api/submit", body).await
}

async fn assert_decided(gate: &TestGate, action: &str, status: Status) {
    let approval = gate.client.submit(&new(action)).await.unwrap();
    assert_eq!(approval.status, status, "{action}");
}

async fn assert_refused(gate: &TestGate, action: &str, setting: &str) -> Page {
    let refused = submit(gate, action).await;
    let body = &refused.body;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{body}");
    assert!(body.contains(setting), "{body}");
    refused
}

#[tokio::test]
async fn only_requests_that_wait_for_people_count_as_open() {
    let tables = backing_store::tables(azurite().port);
    for store in [Vec::new(), backing_store::borrowed(&tables)] {
        let limit = [("HO_POLICY", POLICY), ("HO_OPEN_LIMIT", "1")];
        let gate = TestGate::with(&[&store[..], &limit].concat()).await;
        for _ in 0..3 {
            // They wait to be claimed.
            assert_decided(&gate, "Refund an order", Status::Approved).await;
        }
        assert_decided(&gate, "Pay an invoice", Status::Pending).await;
        assert_refused(&gate, "Pay an invoice", "HO_OPEN_LIMIT").await;
        assert_decided(&gate, "Refund an order", Status::Approved).await;
        assert_decided(&gate, "Delete an order", Status::Rejected).await;
        assert_refused(&gate, "Pay an invoice", "HO_OPEN_LIMIT").await;
    }
}

#[tokio::test]
async fn the_policy_decides_for_an_owner_as_often_as_its_budget_allows() {
    let gate = TestGate::with(&[("HO_POLICY", POLICY), ("HO_POLICY_BUDGET", "2/60")]).await;
    let named = NewApproval {
        correlation_id: Some("mine".to_owned()),
        ..new("Refund an order")
    };
    for _ in 0..4 {
        // A repeat costs nothing.
        let approval = gate.client.submit(&named).await.unwrap();
        assert_eq!(approval.status, Status::Approved);
    }
    assert_decided(&gate, "Delete an order", Status::Rejected).await;
    let rows = gate.stored().await;
    for action in ["Refund an order", "Delete an order", "Send a voucher"] {
        let refused = assert_refused(&gate, action, "HO_POLICY_BUDGET").await;
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((55..=60).contains(&seconds), "{seconds}");
    }
    assert_eq!(gate.stored().await, rows, "nothing is stored");
    // A repeat is answered; people can be asked; another owner has a budget of its own.
    let again = gate.client.submit(&named).await.unwrap();
    assert_eq!(again.status, Status::Approved);
    assert_decided(&gate, "Pay an invoice", Status::Pending).await;
    let other = Client::new(&gate.url, Some(OTHER_KEY)).unwrap();
    let approval = other.submit(&new("Refund an order")).await.unwrap();
    assert_eq!(approval.status, Status::Approved);
    // What was refused has not used up the rule's own limit.
    gate.pass(Duration::from_secs(60));
    assert_decided(&gate, "Send a voucher", Status::Approved).await;
}

#[tokio::test]
async fn without_a_readable_budget_the_policy_decides_nothing() {
    let store = backing_store::tables(azurite().port);
    let policy = [("HO_POLICY", POLICY), ("HO_POLICY_BUDGET", "20/60")];
    let gate = TestGate::with(&[&backing_store::borrowed(&store)[..], &policy].concat()).await;
    assert_decided(&gate, "Refund an order", Status::Approved).await;
    let standing = Table::of(azurite().port, &format!("standing{}", store[2].1));
    let rows = standing.rows().await;
    let mut row = rows
        .into_iter()
        .find(|row| row["PartitionKey"] == "budget")
        .unwrap();
    row["PolicyFullTimestamp"] = "2020-01-01T00:00:00.000Z".into();
    standing.put(&row).await;
    let refused = submit(&gate, "Refund an order").await;
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        refused.body
    );
}

/// People are asked under a policy at the price of no further operation; what the policy decides costs the budget,
/// the entry and the row. Only a rule with a limit reads the row first, so that a repeat is never charged.
#[tokio::test]
async fn a_submit_under_a_policy_takes_the_expected_operations() {
    let settings = [
        ("HO_POLICY", POLICY),
        ("HO_MAIL_BUDGET", "25/60"),
        ("HO_POLICY_BUDGET", "20/60"),
    ];
    let (gate, proxy) = backing_store::behind_a_proxy(&settings).await;
    for action in ["Pay an invoice", "Refund an order"] {
        gate.client.submit(&new(action)).await.unwrap();
    }
    let decided = ["POST approvals", "PUT open", "PUT standing"];
    let denied = ["POST approvals", "PUT standing"];
    let limited = [
        "GET approvals",
        "GET standing",
        "POST approvals",
        "POST standing",
        "PUT open",
        "PUT standing",
    ];
    let asked = [
        "GET open",
        "GET standing",
        "POST approvals",
        "PUT approvals",
        "PUT open",
        "PUT open",
        "PUT standing",
    ];
    for (action, expected) in [
        ("Pay an invoice", &asked[..]),
        ("Refund an order", &decided),
        ("Delete an order", &denied),
        ("Send a voucher", &limited),
    ] {
        proxy.clear();
        gate.client.submit(&new(action)).await.unwrap();
        let mut found = Vec::new();
        let all_came = async || {
            found = operations(&proxy);
            found.retain(|operation| operation != "GET pauses");
            (found.len() >= expected.len()).then_some(())
        };
        eventually(all_came).await;
        found.sort();
        assert_eq!(found, expected, "{action}");
    }
}

/// A column of Azure Tables holds 2,730 uses as they were written before.
#[tokio::test]
async fn a_limit_counts_more_uses_than_a_column_holds() {
    let gate = TestGate::with(&[("HO_POLICY", POLICY)]).await;
    let is_approved = async || submit(&gate, "Send a letter").await.json()["status"] == "Approved";
    assert!(is_approved().await);
    let mut rows = gate.store.standing_of(StandingKind::Limit).await.unwrap();
    let mut row = rows.pop().unwrap();
    let uses = row.columns.get_mut("Uses").unwrap();
    *uses = vec![uses.clone(); 2_730].join(",");
    gate.store.put_standing(row, gate.now()).await.unwrap();
    for _ in 0..3 {
        assert!(is_approved().await);
    }
    assert!(!is_approved().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_requests_uses_no_less_of_a_limit() {
    let policy = POLICY.replace("times = 1,", "times = 40,");
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let submits = (0..50).map(|_| submit(&gate, "Send a voucher"));
    let answers = join_all(submits).await;
    let is_approved = |it: &&Page| it.json()["status"] == "Approved";
    assert_eq!(answers.iter().filter(is_approved).count(), 40);
}

/// People and the agent read that a limit is used up, not that no rule applies.
#[tokio::test]
async fn a_used_up_limit_is_the_reason_for_what_the_default_says() {
    let denied = format!("{POLICY}\n[default]\neffect = \"deny\"\n");
    let now = TestGate::start().await.now();
    let until = now + Duration::from_secs(86_400);
    let asked = format!(
        "{POLICY}\n[[absence]]\nperson = \"alice@example.com\"\nfrom = {now}\nuntil = {until}\nsubstitute = \"bob@example.com\"\n"
    );
    for policy in [denied.as_str(), &asked, POLICY] {
        let gate = TestGate::with(&[("HO_POLICY", policy)]).await;
        assert_decided(&gate, "Send a voucher", Status::Approved).await;
        let new = NewApproval {
            approver_emails: vec!["alice@example.com".to_owned()],
            ..new("Send a voucher")
        };
        let second = gate.client.submit(&new).await.unwrap();
        let id = second.id;
        let answer = gate.get(&gate.direct(&format!("/api/status/{id}"))).await;
        let found = answer.json();
        let facts = json!(["the limit of rule vouchers is used up"]);
        assert_eq!(found["policy"]["facts"], facts, "{found}");
        if policy == denied {
            assert_eq!(found["status"], "Rejected");
            assert_eq!(
                found["comment"],
                "The policy allows no more of these for now."
            );
        } else {
            let why = "since the limit of rule vouchers is used up";
            assert_approvers_missing(&gate, "Send a voucher", why).await;
        }
    }
}

#[tokio::test]
async fn a_limit_whose_uses_cannot_be_counted_is_not_called_used_up() {
    let store = backing_store::tables(azurite().port);
    let policy = [("HO_POLICY", POLICY)];
    let gate = TestGate::with(&[&backing_store::borrowed(&store)[..], &policy].concat()).await;
    assert_decided(&gate, "Send a voucher", Status::Approved).await;
    let standing = Table::of(azurite().port, &format!("standing{}", store[2].1));
    let mut rows = standing.rows().await.into_iter();
    let mut row = rows.find(|row| row["PartitionKey"] == "limit").unwrap();
    row["Uses"] = "".into();
    standing.put(&row).await;
    let why = "since the uses of rule vouchers, which has a limit, cannot be counted";
    assert_approvers_missing(&gate, "Send a voucher", why).await;
}

async fn assert_approvers_missing(gate: &TestGate, action: &str, why: &str) {
    let refused = submit(gate, action).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains(why), "{}", refused.body);
}
