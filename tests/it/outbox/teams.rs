//! Cards of Microsoft Teams: a stand-in for a workflow that refuses what Teams would.

use std::collections::BTreeSet;
use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Status};
use serde_json::{Value, json};

use super::receiver::{Received, Receiver};
use super::{gate_with, outbox, until_all};
use crate::deadline::eventually;
use crate::grants::approve_with_grant;
use crate::harness::{ALICE, BOB, TestGate, object, request};
use crate::operate::operate;

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]

[channels.room]
kind = "teams"
url = "HO_CHANNEL_ROOM"

[[rule]]
id = "payments"
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
tell = ["room"]
summary = ["/beneficiary", "/amount", "/password"]
"#;

async fn gate_that_tells(receiver: &Receiver) -> TestGate {
    receiver.answer_always(Some(202));
    gate_with(POLICY, &[("HO_CHANNEL_ROOM", &receiver.url)]).await
}

async fn ask(gate: &TestGate, agent: &str, action: &str, parameters: Value) -> Approval {
    let asked = NewApproval {
        agent_name: agent.to_owned(),
        action_description: action.to_owned(),
        parameters: object(parameters),
        ..request()
    };
    gate.client.submit(&asked).await.unwrap()
}

/// The card, if Teams would post it: a message with one Adaptive Card of at most version 1.4 and 16 kB, with no action but
/// opening a URL.
fn card(received: &Received) -> Value {
    assert!(received.body.len() < 16_000, "{}", received.body.len());
    assert!(!received.headers.contains_key("webhook-signature"));
    let message = received.json();
    assert_eq!(message["type"], "message");
    let [attachment] = &message["attachments"].as_array().unwrap()[..] else {
        panic!("one attachment: {message}");
    };
    assert_eq!(
        attachment["contentType"],
        "application/vnd.microsoft.card.adaptive"
    );
    let card = attachment["content"].clone();
    assert_eq!(card["type"], "AdaptiveCard");
    assert_eq!(card["version"], "1.4");
    for element in card["body"].as_array().unwrap() {
        // A text block would have Markdown.
        assert_eq!(element["type"], "RichTextBlock");
        for run in element["inlines"].as_array().unwrap() {
            assert_eq!(run["type"], "TextRun");
            assert!(run["selectAction"].is_null());
        }
    }
    let actions = card["actions"].as_array().into_iter().flatten();
    for action in actions {
        assert_eq!(action["type"], "Action.OpenUrl");
    }
    card
}

/// The lines of a card.
fn lines(card: &Value) -> Vec<String> {
    let elements = card["body"].as_array().unwrap().iter();
    let line = |element: &Value| {
        let runs = element["inlines"].as_array().unwrap().iter();
        runs.map(|run| run["text"].as_str().unwrap()).collect()
    };
    elements.map(line).collect()
}

#[tokio::test]
async fn a_room_sees_each_state_once_with_the_summary_and_no_secret() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let parameters = json!({
        "beneficiary": "Contoso Ltd", "amount": 18_000, "password": "hunter2", "note": "for your eyes",
    });
    let approval = ask(&gate, "PaymentAgent", "Pay Supplier Invoice", parameters).await;
    receiver.until(1).await;
    gate.approve(&approval, ALICE).await;
    receiver.until(2).await;
    gate.approve(&approval, BOB).await;
    let received = receiver.until(3).await;
    let cards: Vec<Value> = received.iter().map(card).collect();
    let first = lines(&cards[0]);
    assert_eq!(first[0], "Waiting for approval");
    for line in [
        "Agent: PaymentAgent (not verified)",
        "Action: Pay Supplier Invoice",
        "beneficiary: Contoso Ltd",
        "amount: 18000",
        "password: «not shown in mail»",
        "Progress: finance: 0 of 2 approvals",
    ] {
        assert!(first.iter().any(|it| it == line), "{line}: {first:?}");
    }
    assert!(first.iter().any(|it| it.starts_with("Decide until: ")));
    assert!(lines(&cards[1]).contains(&"Progress: finance: 1 of 2 approvals".to_owned()));
    assert_eq!(lines(&cards[2])[0], "Approved");
    for (received, card) in received.iter().zip(&cards) {
        for hidden in ["hunter2", "for your eyes", "?k=", "alice@", "bob@"] {
            assert!(
                !received.body.contains(hidden),
                "{hidden}: {}",
                received.body
            );
        }
        let url = card["actions"][0]["url"].as_str().unwrap();
        assert_eq!(url, format!("{}/api/decision/{}", gate.url, approval.id));
    }
    // The button leads to a page that shows nothing and says what to do.
    let page = gate
        .get(cards[0]["actions"][0]["url"].as_str().unwrap())
        .await;
    assert!(!page.body.contains("Contoso"), "{}", page.body);
    // The last vote was one state with the decision, so it was not sent.
    let expected = ["Sent", "Sent", "Sent"];
    let look = async || {
        let states = outbox(&gate, &approval.id).await;
        let states = states.iter().map(|it| it["state"].as_str().unwrap());
        states.eq(expected).then_some(())
    };
    eventually(look).await;
}

#[tokio::test]
async fn a_text_that_reads_as_a_mark_of_the_gates_is_quoted() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let mark = "«not shown in mail»";
    let parameters =
        json!({"beneficiary": mark, "amount": {"api_key": "k", "n": mark}, "password": "x"});
    ask(&gate, "A", "B", parameters).await;
    let received = receiver.until(1).await;
    let shown = lines(&card(&received[0]));
    for line in [
        format!("beneficiary: \"{mark}\""),
        format!("amount: {{ \"api_key\": {mark}, \"n\": \"{mark}\" }}"),
        format!("password: {mark}"),
    ] {
        assert!(shown.contains(&line), "{line}: {shown:?}");
    }
}

#[tokio::test]
async fn what_teams_accepts_reaches_no_approver() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let approval = ask(&gate, "A", "B", json!({})).await;
    let before = gate.entity(&approval.id).await;
    until_all(&gate, &approval.id, "Sent").await;
    assert_eq!(gate.mails().len(), 2);
    assert_eq!(before["NotificationStatus"], "Ok");
}

#[tokio::test]
async fn hostile_text_is_inert_and_the_largest_card_fits() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let hostile = "[click](https://evil.example) <at>all</at> {{{DATE(2026-01-01)}} {{{{x **bold** \u{202e}tnuocca";
    let parameters = json!({"beneficiary": hostile, "amount": "\u{3042}".repeat(5_000)});
    ask(&gate, "Agent", &"界".repeat(256), parameters).await;
    let received = receiver.until(1).await;
    let card = card(&received[0]);
    let text = lines(&card).join("\n");
    assert!(!text.contains("https://evil"), "{text}");
    assert!(!text.contains("{{"), "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
    assert!(text.contains('\u{fffd}'), "{text}");
    assert!(card.get("msteams").is_none());
}

#[tokio::test]
async fn a_room_sees_grants_and_pauses_without_parameters_and_hostile_text_is_inert() {
    let receiver = Receiver::start().await;
    receiver.answer_always(Some(202));
    let policy = POLICY
        .replace("approvals = 2", "approvals = 1")
        .replace("kind = \"teams\"", "kind = \"teams\"\npauses = true");
    let policy = policy + "grants = \"8h\"\n";
    let gate = gate_with(&policy, &[("HO_CHANNEL_ROOM", &receiver.url)]).await;
    let hostile = format!(
        "Pay [now](https://evil.example.com) <at>all</at> {{{{DATE(0)}}}} {}",
        "\u{1f600}".repeat(150)
    );
    let parameters = json!({"beneficiary": "Contoso Ltd", "amount": 18_000});
    let approval = ask(&gate, "PaymentAgent", &hostile, parameters).await;
    let answer = approve_with_grant(&gate, &approval, ALICE, ["3600", "1"]).await;
    assert_eq!(answer.status, 303);
    receiver.until(3).await;
    let pause = json!({"command": "pause", "agent": hostile.chars().take(128).collect::<String>(),
                       "because": "x"});
    operate(&gate, pause).await;
    receiver.until(4).await;
    operate(&gate, json!({"command": "pause", "because": "x"})).await;
    receiver.until(6).await;
    operate(&gate, json!({"command": "resume"})).await;
    let received = receiver.until(7).await;
    let cards: Vec<Value> = received.iter().map(card).collect();
    let headings: BTreeSet<String> = cards.iter().map(|it| lines(it)[0].clone()).collect();
    let expected = [
        "Approved",
        "Paused by the operator",
        "Resumed by the operator",
        "Standing grant ended",
        "Standing grant given",
        "Waiting for approval",
    ];
    assert_eq!(headings, expected.map(str::to_owned).into());
    for card in &cards[2..] {
        let text = lines(card).join("\n");
        for refused in [
            "Contoso",
            "18000",
            "https://",
            "evil.example.com",
            "{{",
            ALICE,
        ] {
            assert!(!text.contains(refused), "{refused}: {text}");
        }
    }
    let ended = cards
        .iter()
        .find(|it| lines(it)[0] == "Standing grant ended");
    let ended = lines(ended.unwrap());
    for line in [
        "Has approved: 0 requests",
        "Ended by: a pause by the operator",
    ] {
        assert!(ended.contains(&line.to_owned()), "{ended:?}");
    }
}

#[tokio::test]
async fn a_room_sees_a_vote_to_reject_and_an_escalation() {
    let receiver = Receiver::start().await;
    receiver.answer_always(Some(202));
    let policy = POLICY.replace("[groups]", "[groups]\nleads = [\"carol@example.com\"]")
        + "rejections = 2\ntimeout = \"1h\"\nescalate = { after = \"50%\", to = \"leads\" }\n";
    let gate = gate_with(&policy, &[("HO_CHANNEL_ROOM", &receiver.url)]).await;
    let approval = ask(&gate, "PaymentAgent", "Pay", json!({"amount": 5})).await;
    receiver.until(1).await;
    gate.reject(&approval, ALICE, "").await;
    receiver.until(2).await;
    gate.pass(Duration::from_secs(1_800));
    gate.sweep().await;
    let received = receiver.until(3).await;
    let cards = received.iter().map(|it| lines(&card(it)));
    let said = |lines: &[String]| -> Vec<String> {
        let names = ["Rejections: ", "Escalated to: "];
        let is_said = |line: &&String| names.iter().any(|it| line.starts_with(it));
        lines.iter().filter(is_said).cloned().collect()
    };
    let said: Vec<_> = cards.map(|it| said(&it)).collect();
    let expected = [
        vec!["Rejections: 0 of 2"],
        vec!["Rejections: 1 of 2"],
        vec!["Rejections: 1 of 2", "Escalated to: leads"],
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_card_says_if_no_person_decided_or_too_few_can() {
    const ALONE: &str = "[[rule]]\nid = \"small\"\nactions = [\"Pay little\"]\nignore = [\"\"]\neffect = \"approve\"\n\
        tell = [\"room\"]\n[[rule]]\nid = \"none\"\nactions = [\"Pay all\"]\neffect = \"deny\"\ntell = [\"room\"]\n";
    let receiver = Receiver::start().await;
    receiver.answer_always(Some(202));
    let policy = POLICY
        .replace("effect", "actions = [\"Pay\"]\neffect")
        .replace("approvals = 2", "approvals = 1");
    let policy = policy + "grants = \"8h\"\n" + ALONE;
    let gate = gate_with(&policy, &[("HO_CHANNEL_ROOM", &receiver.url)]).await;
    let mut headings = Vec::new();
    let mut heading = async |action: &str| {
        let approval = ask(&gate, "PaymentAgent", action, json!({})).await;
        if action == "Pay" && approval.status == Status::Pending {
            approve_with_grant(&gate, &approval, ALICE, ["3600", "5"]).await;
        }
        until_all(&gate, &approval.id, "Sent").await;
        let page = format!("/api/decision/{}\"", approval.id);
        let received = receiver.received();
        let about = received.iter().filter(|it| it.body.contains(&page));
        let of_all = about.map(|it| lines(&card(it))[0].clone());
        // The card about the grant comes before or after that about the approval.
        let mut of_request = of_all.filter(|it| it != "Standing grant given");
        headings.push(of_request.next_back().unwrap());
    };
    for action in ["Pay little", "Pay all", "Pay", "Pay"] {
        heading(action).await;
    }
    let expected = [
        "Approved by the policy",
        "Rejected by the policy",
        "Approved",
        "Approved by a standing grant",
    ];
    assert_eq!(headings, expected);
}

#[tokio::test]
async fn a_value_of_the_summary_is_missing_empty_or_has_spaces_to_see() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let spaces = format!("5{}000\n\n- 1 ", " ".repeat(3));
    let parameters = json!({"beneficiary": "", "amount": spaces});
    ask(&gate, "PaymentAgent", "Pay", parameters.clone()).await;
    ask(&gate, "PaymentAgent", "Pay", json!({"amount": 5})).await;
    let received = receiver.until(2).await;
    let shown: Vec<_> = received
        .iter()
        .map(|it| lines(&card(it))[3..5].to_vec())
        .collect();
    let expected = [
        ["beneficiary: (empty text)", "amount: 5␣␣ 000↵↵- 1␣"],
        ["beneficiary: (not in this request)", "amount: 5"],
    ];
    assert_eq!(shown, expected);
}
