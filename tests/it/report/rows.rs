//! Rows of every kind: written by a gate over HTTP, by the legacy Logic App, and forged.

use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Withdrawal};
use serde_json::{Value, json};

use crate::agent_identity;
use crate::azurite::Table;
use crate::claim::claim;
use crate::harness::{AGENT, ALICE, BOB, TestGate, for_alice, request};
use crate::mail;
use crate::outcome::report;
use crate::smtp::{Smtp, SmtpFault};

pub(super) const PAYMENTS: &str = "PaymentsAgent";

/// The rules of the policy under which some of the rows were written, and one that applied to none.
pub(super) const RULES: [&str; 4] = ["payments", "refunds", "never", "unused"];
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
ignore = [""]
effect = "approve"

[[rule]]
id = "never"
actions = ["Erase *"]
effect = "deny"
reason = "Agents erase nothing."

[[rule]]
id = "unused"
actions = ["Void *"]
effect = "deny"
reason = "Agents void nothing."
"#;

/// What people write with a rejection, and how the report shows it.
pub(super) const REJECTIONS: [(&[(&str, &str)], &str); 5] = [
    (&[("comment", "No.")], "No."),
    (&[("preset", "Not needed")], "Not needed"),
    (
        &[("preset", "Not needed"), ("comment", "Ask HR.")],
        "Not needed: Ask HR.",
    ),
    (
        &[("revise", "Which shop?")],
        "Asked for changes: Which shop?",
    ),
    (
        &[
            ("preset", "Not needed"),
            ("comment", "Ask HR."),
            ("revise", "Which shop?"),
        ],
        "Not needed: Ask HR.\nAsked for changes: Which shop?",
    ),
];
const HOUR: Duration = Duration::from_secs(3_600);

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Creates requests in every state. Their counts differ, so that a measure with another word is wrong, which
/// `measures` tests. Returns the last request, which is pending.
pub(super) async fn create_requests(gate: &TestGate, settings: &[(&str, &str)]) -> Approval {
    let decided_after = async |time: Duration, by: &str| {
        let requested = gate.ask().await;
        gate.pass(time);
        gate.approve(&requested, by).await;
        requested.id
    };
    let claimed_after = async |time: Duration| {
        let id = decided_after(time, ALICE).await;
        gate.client
            .claim(&id, &claim("0123456789abcdef"))
            .await
            .unwrap();
        id
    };
    for _ in 0..5 {
        let executed = claimed_after(minutes(2)).await;
        gate.client.outcome(&executed, &report(None)).await.unwrap();
    }
    for _ in 0..4 {
        let failed = claimed_after(minutes(5)).await;
        let error = report(Some("the mailbox is on hold"));
        gate.client.outcome(&failed, &error).await.unwrap();
    }
    for _unknown in 0..3 {
        claimed_after(minutes(1)).await;
    }
    for _lapsed in 0..2 {
        decided_after(minutes(10), BOB).await;
    }
    for _ in 0..2 {
        let revoked = decided_after(minutes(10), BOB).await;
        let bob = gate.question(&gate.status(&revoked).await, BOB);
        let form = [("decision", "revoke"), ("code", bob.code.as_str())];
        let answer = gate.decide(&bob, &form).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
    }

    let late = NewApproval {
        reason: Some("Left the company.".to_owned()),
        on_behalf_of: Some("helpdesk@example.com".to_owned()),
        ..request()
    };
    let late = gate.client.submit(&late).await.unwrap();
    let question = gate.question(&late, ALICE);
    let page = gate.get(&question.link).await;
    gate.pass(HOUR);
    let code = question.code.as_str();
    let answer = gate
        .send_form(&page, &[("decision", "approve"), ("code", code)])
        .await;
    assert_eq!(answer.status, 410, "{}", answer.body);
    for _timeout in 0..3 {
        gate.ask().await;
    }
    for _ in 0..4 {
        let withdrawn = gate.ask().await.id;
        let withdrawal = Withdrawal { secret: None };
        gate.client.withdraw(&withdrawn, &withdrawal).await.unwrap();
    }
    submit_undeliverable(settings).await;
    gate.pass(24 * HOUR);
    gate.sweep().await;

    // After the last sweep.
    let _lapsed = decided_after(minutes(1), ALICE).await;
    for _overdue in 0..2 {
        gate.ask().await;
    }
    gate.pass(2 * HOUR);
    for _executing in 0..2 {
        claimed_after(minutes(1)).await;
    }
    for (number, (words, _)) in REJECTIONS.into_iter().enumerate() {
        let payment = NewApproval {
            agent_name: PAYMENTS.to_owned(),
            ..request()
        };
        let payment = if number == 0 {
            agent_identity::submit_request(gate, &payment).await
        } else {
            gate.client.submit(&payment).await.unwrap()
        };
        let alice = gate.question(&payment, ALICE);
        let form = [("decision", "reject"), ("code", alice.code.as_str())];
        let answer = gate.decide(&alice, &[&form, words].concat()).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
    }
    let _waits_to_be_claimed = decided_after(minutes(1), ALICE).await;
    gate.ask().await
}

/// Submits at another gate over the same tables, whose mail server refuses the only approver.
async fn submit_undeliverable(settings: &[(&str, &str)]) {
    let smtp = Smtp::start().await;
    smtp.always(Some(SmtpFault::Rcpt550(ALICE)));
    let gate = mail::gate(&smtp, settings).await;
    gate.client.submit(&for_alice()).await.unwrap();
}

/// Submits at another gate over the same tables, whose policy approves five requests, of which four are revoked, denies
/// two, and asks two people about one, of whom the second votes seven minutes after the first.
pub(super) async fn decide_by_policy(settings: &[(&str, &str)]) {
    let gate = TestGate::with(&[settings, &[("HO_POLICY", POLICY)]].concat()).await;
    let submit = async |action: &str| {
        let new = NewApproval {
            action_description: action.to_owned(),
            ..request()
        };
        gate.client.submit(&new).await.unwrap()
    };
    let run = async |id: &str| {
        let claim = claim("0123456789abcdef");
        gate.client.claim(id, &claim).await.unwrap();
        gate.client.outcome(id, &report(None)).await.unwrap();
    };
    run(&submit("Refund an order").await.id).await;
    for _ in 0..4 {
        let refund = submit("Refund an order").await;
        let command = json!({"command": "revoke", "id": refund.id});
        let revoke = gate.http.post(gate.direct("/api/operate")).json(&command);
        let answer = revoke.send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    for _ in 0..2 {
        submit("Erase an order").await;
    }
    let payment = submit("Pay an invoice").await;
    gate.pass(minutes(2));
    gate.approve(&payment, ALICE).await;
    gate.pass(minutes(7));
    gate.approve(&payment, BOB).await;
    run(&payment.id).await;
}

/// Adds rows of the legacy Logic App, forged copies of a rejected request of the gate, and two of an approval as a
/// standing grant makes them.
pub(super) async fn add_foreign_rows(table: &Table, rows: &[Value]) {
    let legacy_row = |key: &str, status: &str, by: &str, requested: &str, responded: &str| {
        json!({
            "PartitionKey": AGENT, "RowKey": key, "AgentName": AGENT,
            "ActionDescription": "Delete User Account", "Parameters": "{\"user_id\":\"1\"}",
            "ApproverEmails": "[\"alice@example.com\"]", "Status": status, "Approver": by,
            "RequestTimestamp": requested, "ResponseTimestamp": responded,
        })
    };
    for (key, status, by, requested, responded) in [
        (
            "p1",
            "Approved",
            ALICE,
            "2025-05-06T07:08:09.1234567Z",
            "2025-05-06T07:10:00Z",
        ),
        (
            "p2",
            "Rejected",
            BOB,
            "2025-05-06T08:00:00.0000000Z",
            "2025-05-06T08:00:03.5000000Z",
        ),
        (
            "p3",
            "Timeout",
            "",
            "2025-05-06T23:59:59.9999999Z",
            "2025-05-07T00:02:00.0000000Z",
        ),
        (
            "p4",
            "Approved",
            ALICE,
            "2024-12-31T23:59:59.9999999Z",
            "2025-01-01T00:00:09.0000000Z",
        ),
    ] {
        table
            .put(&legacy_row(key, status, by, requested, responded))
            .await;
    }
    let of_policy =
        |row: &&Value| row["ExecutionStatus"] == "Executed" && row["Decider"].is_string();
    let mut granted = rows.iter().find(of_policy).unwrap().clone();
    granted.as_object_mut().unwrap().remove("Plan");
    granted["Decider"] = json!("grant:0b7e4c1a");
    for key in ["granted-1", "granted-2"] {
        granted["RowKey"] = json!(key);
        table.put(&granted).await;
    }
    let mut forged = rows
        .iter()
        .find(|row| row["Status"] == "Rejected" && row["Approver"].is_string())
        .unwrap()
        .clone();
    for word in [
        "Executing",
        "Executed",
        "ExecutionFailed",
        "ExecutionUnknown",
    ] {
        forged["RowKey"] = json!(format!("forged-{word}"));
        forged["ExecutionStatus"] = json!(word);
        table.put(&forged).await;
    }
}
