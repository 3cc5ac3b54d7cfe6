//! The parameters that the policy's rules name in `summary` come first.

use std::time::Duration;

use human_oversight_client::types::NewApproval;
use serde_json::{Value, json};

use crate::harness::{ALICE, TestGate, object, request};

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance" }]
summary = ["/payee/name", "/amount", "/currency"]

[[rule]]
id = "large"
actions = ["Pay *"]
when = [{ parameter = "/amount", more_than = 10000 }]
effect = "require"
stages = [{ from = "finance" }]
summary = ["/amount", "/purchase_order", "/password"]
"#;

fn payment() -> NewApproval {
    NewApproval {
        action_description: "Pay supplier invoice".to_owned(),
        parameters: object(json!({
            "amount": 18_000, "currency": "EUR", "account": "DE89", "password": "correct horse",
            "payee": {"name": "Nordwind GmbH", "id": 17},
        })),
        approver_emails: Vec::new(),
        ..request()
    }
}

/// Whether the parts follow one another in a text.
fn follow(text: &str, parts: &[&str]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[tokio::test]
async fn what_the_rules_name_comes_first_on_the_page_and_in_each_email() {
    let gate = TestGate::with(&[("HO_POLICY", POLICY)]).await;
    let approval = gate.client.submit(&payment()).await.unwrap();
    let first = [
        "payee › name",
        "Nordwind GmbH",
        "amount",
        "18000",
        "currency",
        "EUR",
        "purchase_order",
        "not in this request",
        "password",
    ];
    let rest = [
        "account",
        "DE89",
        "payee",
        "id",
        "17",
        "name",
        "Nordwind GmbH",
    ];
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    let (_, parameters) = page.split_once("Exactly what will run").unwrap();
    let (parameters, _) = parameters.split_once("Who must agree").unwrap();
    let shown = [&first[..], &["«withheld, 13 characters»"], &rest].concat();
    assert!(follow(parameters, &shown), "{parameters}");
    let count = |value: &str| parameters.matches(value).count();
    assert_eq!(
        (
            count("18000"),
            count("Nordwind GmbH"),
            count("withheld, 13")
        ),
        (1, 2, 1)
    );
    assert!(
        parameters.contains("class=\"members summary\""),
        "{parameters}"
    );

    gate.pass(Duration::from_secs(31 * 60));
    gate.sweep().await;
    let mails = gate.mails();
    let to_alice: Vec<_> = mails.iter().filter(|it| it.to == ALICE).collect();
    assert_eq!(to_alice.len(), 2);
    for mail in to_alice {
        let shown = [&first[..], &["«not shown in mail»"], &rest].concat();
        assert!(follow(&mail.text, &shown), "{}", mail.text);
        assert!(follow(&mail.html, &shown), "{}", mail.html);
        assert!(
            mail.text.contains("amount:          18000"),
            "{}",
            mail.text
        );
        assert!(mail.html.contains("font-size:20px"), "{}", mail.html);
    }
}

#[tokio::test]
async fn a_request_keeps_the_summary_with_which_it_was_submitted() {
    let gate = TestGate::with(&[("HO_POLICY", POLICY)]).await;
    let approval = gate.client.submit(&payment()).await.unwrap();
    let row = gate.entity(&approval.id).await;
    let plan: Value = serde_json::from_str(row["Plan"].as_str().unwrap()).unwrap();
    assert_eq!(
        plan["summary"],
        json!([
            "/payee/name",
            "/amount",
            "/currency",
            "/purchase_order",
            "/password"
        ])
    );
}

#[tokio::test]
async fn an_email_without_parameters_has_no_summary() {
    let settings = [("HO_POLICY", POLICY), ("HO_MAIL_PARAMETERS", "none")];
    let gate = TestGate::with(&settings).await;
    gate.client.submit(&payment()).await.unwrap();
    for mail in gate.mails() {
        for value in ["18000", "Nordwind", "purchase_order"] {
            assert!(!mail.source.contains(value), "{value}");
        }
    }
}
