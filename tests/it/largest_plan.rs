//! The largest plan that a policy can ask for fits in a row, on both stores, with everything in it as long as it may be.

use std::collections::BTreeMap;

use human_oversight::domain::MAX_WRONG_CODES;
use human_oversight_client::types::{Approval, NewApproval, Status};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{TestGate, object};

const PEOPLE: usize = 20;
const CHANNELS: usize = 5;
/// The limit of Azure Table Storage for a text column, in UTF-16 units.
const COLUMN_LIMIT: usize = 32_768;

/// The worst script: each character has two UTF-16 units, and four bytes.
const WIDE: char = '\u{20B9F}';
/// A character that JSON escapes with two units. (Azurite damages characters of several bytes that lie in two of the
/// buffers of a large body.)
const ESCAPED: char = '"';

fn text_of(character: char, count: usize) -> String {
    character.to_string().repeat(count)
}

/// An address of 254 characters.
fn person(number: usize) -> String {
    let local = format!("{number:02}{}", "p".repeat(62));
    let label = |length| "d".repeat(length);
    format!("{local}@{}.{}.{}.example", label(63), label(63), label(53))
}

fn channel(number: usize) -> String {
    format!("{}{number}", "x".repeat(63))
}

fn group(number: usize) -> String {
    format!("{}{number}", "g".repeat(63))
}

/// A policy of five stages with four people each, whose rules and reasons are as many and as long as they can be in a
/// plan.
fn policy(script: char, approvals: [usize; 5], rejections: usize) -> String {
    let mut text = String::from("version = 1\n[groups]\n");
    for number in 0..5 {
        let members: Vec<String> = (0..4).map(|it| person(number * 4 + it)).collect();
        text += &format!("{} = {members:?}\n", group(number));
    }
    let stages: Vec<String> = (0..5)
        .map(|it| {
            format!(
                "{{ from = \"{}\", approvals = {} }}",
                group(it),
                approvals[it]
            )
        })
        .collect();
    for number in 0..CHANNELS {
        let name = channel(number);
        text += &format!("[channels.{name}]\nkind = \"teams\"\nurl = \"HO_CHANNEL_{number}\"\n");
    }
    let channels: Vec<String> = (0..CHANNELS).map(channel).collect();
    let pointer = format!("/{}", text_of(script, 190));
    for rule in 0..50 {
        text += &format!(
            "[[rule]]\nid = \"{}{rule:02}\"\neffect = \"require\"\nrejections = {rejections}\n\
             when = [{{ parameter = {pointer:?}, exists = true }}]\n",
            "r".repeat(62),
        );
        text += &match rule {
            0 => format!("stages = [{}]\ntell = {channels:?}\n", stages.join(", ")),
            _ => format!("stages = [{{ from = \"{}\" }}]\n", group(0)),
        };
        if rule < 2 {
            let reason = |it| format!("{rule}{}{it}", text_of(script, 98));
            let reasons: Vec<String> = (0..10).map(reason).collect();
            text += &format!("reject_reasons = {reasons:?}\n");
        }
    }
    text
}

/// A gate whose channels accept nothing.
async fn gate_with(policy: &str, store: &[(&str, &str)]) -> TestGate {
    let names: Vec<String> = (0..CHANNELS).map(|it| format!("HO_CHANNEL_{it}")).collect();
    let url = |name| (name, "http://127.0.0.1:1/");
    let mut settings: Vec<(&str, &str)> = names.iter().map(String::as_str).map(url).collect();
    settings.extend([("HO_POLICY", policy), ("HO_CHANNELS_ALLOW_PRIVATE", "1")]);
    TestGate::with(&[store, &settings[..]].concat()).await
}

fn request(script: char) -> NewApproval {
    let parameters = BTreeMap::from([(text_of(script, 190), 1)]);
    NewApproval {
        agent_name: text_of(script, 42),
        action_description: text_of(script, 256),
        correlation_id: Some("c".repeat(64)),
        parameters: object(json!(parameters)),
        reason: Some(text_of(script, 2_000)),
        approver_emails: Vec::new(),
        ..crate::harness::request()
    }
}

/// What a person does at the page.
#[derive(Clone, Copy, PartialEq)]
enum Move {
    Approve,
    /// Approves, and revokes that.
    Revoke,
}

async fn play(gate: &TestGate, approval: &Approval, who: usize, what: Move, script: char) {
    let address = person(who);
    let asked = async || {
        let mails = gate.mails();
        let mut mails = mails.iter();
        mails.any(|it| it.to == address).then_some(())
    };
    eventually(asked).await;
    let question = gate.question(approval, &address);
    let code = question.code.as_str();
    // One wrong code less than what locks the link.
    for _ in 1..MAX_WRONG_CODES {
        let form = [("decision", "approve"), ("code", question.wrong_code())];
        assert_eq!(
            gate.decide(&question, &form).await.status,
            StatusCode::FORBIDDEN
        );
    }
    let comment = text_of(script, 1_000);
    let form = [
        ("decision", "approve"),
        ("code", code),
        ("comment", comment.as_str()),
    ];
    let answer = gate.decide(&question, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    if what == Move::Revoke {
        let answer = gate
            .decide(&question, &[("decision", "revoke"), ("code", code)])
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    }
}

/// Prints how full each column is.
fn assert_fits(row: &Value, columns: &[&str]) {
    for column in columns {
        let units = row[*column].as_str().unwrap().encode_utf16().count();
        eprintln!("{column}: {units} of {COLUMN_LIMIT}");
        assert!(units <= COLUMN_LIMIT, "{column}: {units}");
    }
}

async fn assert_the_largest_plan_fits(store: &[(&str, &str)], script: char) {
    let table = store.iter().find(|(name, _)| *name == "HO_TABLE");
    let table = table.map(|(_, table)| *table);
    for (approvals, rejections, revoked) in [([3, 3, 2, 2, 2], 1, 0), ([2, 2, 1, 1, 2], 3, 2)] {
        let policy = policy(script, approvals, rejections);
        let gate = gate_with(&policy, store).await;
        let request = NewApproval {
            correlation_id: Some(format!("{}{rejections}", "c".repeat(63))),
            ..request(script)
        };
        let approval = gate.client.submit(&request).await.unwrap();
        assert_eq!(approval.policy.as_ref().unwrap().rules.len(), 50);
        let mut left = revoked;
        for (stage, needed) in approvals.into_iter().enumerate() {
            let mut members = stage * 4..;
            if left > 0 {
                left -= 1;
                play(
                    &gate,
                    &approval,
                    members.next().unwrap(),
                    Move::Revoke,
                    script,
                )
                .await;
            }
            for who in members.take(needed) {
                play(&gate, &approval, who, Move::Approve, script).await;
            }
        }
        let approved = gate.status(&approval.id).await;
        assert_eq!(approved.status, Status::Approved);
        gate.sweep().await;
        let row = match table {
            None => gate.entity(&approval.id).await,
            Some(table) => {
                let rows = Table::of(azurite().port, table).rows().await.into_iter();
                let mut rows = rows.filter(|row| row["RowKey"] == approval.correlation_id);
                rows.next().unwrap()
            }
        };
        let votes: Value = serde_json::from_str(row["Votes"].as_str().unwrap()).unwrap();
        assert_eq!(votes.as_array().unwrap().len(), 12);
        let columns = [
            "Plan",
            "Votes",
            "VoteReceipts",
            "Notifications",
            "History",
            "Outbox",
            "Receipt",
        ];
        assert_fits(&row, &columns);
        let people: Value = serde_json::from_str(row["ApproverEmails"].as_str().unwrap()).unwrap();
        assert_eq!(people.as_array().unwrap().len(), PEOPLE);
        gate.client
            .claim(&approval.id, &crate::claim::claim("0123456789abcdef"))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_plan_fits_in_a_row_of_a_file() {
    assert_the_largest_plan_fits(&[], WIDE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_plan_fits_in_a_row_of_a_table() {
    let tables = backing_store::tables(azurite().port);
    assert_the_largest_plan_fits(&backing_store::borrowed(&tables), ESCAPED).await;
}

#[tokio::test]
async fn a_comment_on_a_vote_has_at_most_1000_characters() {
    let policy = policy(WIDE, [1, 1, 1, 1, 1], 1);
    let gate = gate_with(&policy, &[]).await;
    let approval = gate.client.submit(&request(WIDE)).await.unwrap();
    let question = gate.question(&approval, &person(0));
    let page = gate.get(&question.link).await;
    assert!(page.body.contains("maxlength=\"1000\""), "{}", page.body);
    for decision in ["approve", "reject"] {
        let comment = text_of(WIDE, 1_001);
        let form = [
            ("decision", decision),
            ("code", question.code.as_str()),
            ("comment", &comment),
        ];
        let page = gate.decide(&question, &form).await;
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        assert_eq!(page.status, status, "{}", page.body);
        assert!(
            page.body.contains("at most 1000 characters"),
            "{}",
            page.body
        );
        // What was typed is not lost.
        assert!(page.body.contains(&comment), "{}", page.body);
    }
    assert_eq!(gate.status(&approval.id).await.progress.unwrap().given, 0);
    // Where the agent chose, a comment may be longer.
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, crate::harness::ALICE);
    let comment = text_of(WIDE, 2_000);
    let form = [
        ("decision", "reject"),
        ("code", question.code.as_str()),
        ("comment", &comment),
    ];
    gate.decide(&question, &form).await;
    assert_eq!(gate.status(&approval.id).await.comment, Some(comment));
}
