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
        for value in [" 18000", ">18000", "Nordwind", "purchase_order"] {
            assert!(!mail.source.contains(value), "{value}");
        }
    }
}

#[tokio::test]
async fn what_is_inside_a_withheld_value_is_called_withheld_and_never_absent() {
    let named = "summary = [\"/secret/x\", \"/tokens/0\", \"/lines/1/token/id\", \"/gone/x\", \"/password\"]";
    let policy = POLICY.replace(
        "summary = [\"/payee/name\", \"/amount\", \"/currency\"]",
        named,
    );
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let approval = NewApproval {
        parameters: object(json!({
            "secret": {"x": "one"}, "tokens": ["two"], "lines": [1, {"token": {"id": "three"}}],
        })),
        ..payment()
    };
    let approval = gate.client.submit(&approval).await.unwrap();
    let alice = gate.question(&approval, ALICE);
    let page = gate.get(&alice.link).await.body;
    let mails = gate.mails();
    let mail = mails.iter().find(|it| it.to == ALICE).unwrap();
    for text in [&page, &mail.html, &mail.text] {
        let shown = [
            "secret › x",
            "withheld",
            "tokens › 0",
            "withheld",
            "lines › 1 › token › id",
            "withheld",
            "gone › x",
            "not in this request",
            "password",
            "not in this request",
        ];
        assert!(follow(text, &shown), "{text}");
    }
    // Once they are shown, nothing of the request is called absent that it has.
    let reveal = [("decision", "reveal"), ("code", alice.code.as_str())];
    let fields = page_form(&gate, &alice.link).await;
    let fields = fields.iter().map(|(name, value)| (&**name, &**value));
    let url = alice.link.split('?').next().unwrap();
    let shown = gate.post_form(url, fields.chain(reveal)).await.body;
    assert!(
        follow(&shown, &["secret › x", "one", "tokens › 0", "two"]),
        "{shown}"
    );
}

/// The hidden fields of the form that shows withheld values.
async fn page_form(gate: &TestGate, link: &str) -> Vec<(String, String)> {
    let page = gate.get(link).await;
    page.form_in("hidden-values").unwrap()
}
