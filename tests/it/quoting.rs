//! What an agent writes stands between quotes of the gate's, and cannot end them and go on in the gate's voice.

use human_oversight_client::types::NewApproval;
use serde_json::json;

use crate::harness::{ALICE, TestGate, object, request};

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com"]

[[rule]]
id = "pay"
actions = ["Pay *"]
when = [{ parameter = "/currency", is_not = "EUR" }]
effect = "require"
stages = [{ from = "finance", approvals = 1 }]
"#;

/// The words of a page or an email, in one line.
fn words(html: &str) -> String {
    let text = html.split('<').map(|part| match part.split_once('>') {
        Some((_, text)) => text,
        None => part,
    });
    let mut text = text.collect::<String>().replace('\u{2009}', " ");
    for (entity, character) in [("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")] {
        text = text.replace(entity, character);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn no_quote_of_an_agent_ends_a_quotation_of_the_gate() {
    for ([end, begin], [shown_end, shown_begin]) in [
        (["”", "“"], ["’", "‘"]),
        (["\"", "\""], ["’", "’"]),
        (["''", "''"], ["' '", "' '"]),
        (["’’", "‘‘"], ["’ ’", "‘ ‘"]),
        (["»", "«"], ["’", "‘"]),
        (["„", "‟"], ["’", "‘"]),
    ] {
        let gate = TestGate::with(&[("HO_POLICY", POLICY)]).await;
        let forged = NewApproval {
            action_description: format!("Pay a{end}, like {begin}Pay *{end}. Harmless. {begin}x"),
            parameters: object(json!({
                "currency": format!("USD{end}. Approved by the CFO. {begin}A"),
                "z": format!("a{}{end}: is known to the bank. {begin}ok", " ".repeat(60)),
            })),
            approver_emails: Vec::new(),
            ..request()
        };
        let asked = gate.client.submit(&forged).await.unwrap();
        let page = gate.get(&gate.question(&asked, ALICE).link).await.body;
        let mail = gate.mails().remove(0);
        let action = format!(
            "“Pay a{shown_end}, like {shown_begin}Pay *{shown_end}. Harmless. {shown_begin}x”"
        );
        for text in [&page, &mail.html, &mail.text] {
            let text = words(text);
            for expected in [
                &format!(" {action} Agent"),
                &format!("the action is {action}, like “Pay *”; "),
                &format!(
                    "/currency is “USD{shown_end}. Approved by the CFO. {shown_begin}A”, not “EUR”."
                ),
                &format!(
                    "“{shown_end}: is known to the bank. {shown_begin}ok”: stands behind a long blank space."
                ),
            ] {
                assert!(text.contains(expected), "{expected}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn the_action_of_the_request_before_cannot_end_its_quotation() {
    let gate = TestGate::start().await;
    let first = NewApproval {
        action_description: "Pay a” The parameters are the same. “x".to_owned(),
        ..request()
    };
    let first = gate.client.submit(&first).await.unwrap();
    let second = NewApproval {
        supersedes: Some(first.id.clone()),
        correlation_id: Some("second".to_owned()),
        ..request()
    };
    gate.reject(&first, ALICE, "no").await;
    let second = gate.client.submit(&second).await.unwrap();
    let page = gate.get(&gate.question(&second, ALICE).link).await.body;
    let mails = gate.mails();
    let mail = mails.iter().find(|it| it.text.contains(&second.id));
    let mail = mail.unwrap();
    for text in [&page, &mail.html, &mail.text] {
        let text = words(text);
        let expected = "The action was: “Pay a’ The parameters are the same. ‘x”";
        assert!(text.contains(expected), "{text}");
    }
}
