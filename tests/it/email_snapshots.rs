//! Snapshots of all emails, with placeholders for links, codes and times.
//! docs/contributing.md says how to rewrite them.

use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Withdrawal};
use serde_json::json;

use crate::harness::{ALICE, BOB, Mail, TestGate, object, question, repository, request};

#[tokio::test]
async fn each_email_equals_its_snapshot() {
    let gate = TestGate::start().await;
    let pending = gate.client.submit(&new("question")).await.unwrap();
    check(&gate, &pending, "question", BOB);
    for (kind, minutes) in [("reminder", 31), ("lastreminder", 21)] {
        gate.pass(Duration::from_secs(minutes * 60));
        gate.sweep().await;
        check(&gate, &pending, kind, BOB);
    }
    gate.pass(Duration::from_secs(3_600));
    gate.sweep().await;
    check_outcome(&gate, &pending, "timeout");

    let approved = gate.client.submit(&new("approved")).await.unwrap();
    gate.approve(&approved, ALICE).await;
    gate.sweep().await;
    check_outcome(&gate, &approved, "approved");

    let rejected = gate.client.submit(&new("rejected")).await.unwrap();
    gate.reject(&rejected, ALICE, "Ask the owner first.\nThen ask again.")
        .await;
    gate.sweep().await;
    check_outcome(&gate, &rejected, "rejected");

    let again = gate.client.submit(&new("once-more")).await.unwrap();
    let emails = gate.mails();
    let is_it = |mail: &&Mail| mail.to == BOB && mail.text.contains("once-more");
    let mail = emails.iter().find(is_it).unwrap();
    compare("rejected-before", mail, &emails, &again);

    let withdrawn = gate.client.submit(&new("withdrawn")).await.unwrap();
    let withdrawal = Withdrawal { secret: None };
    gate.client
        .withdraw(&withdrawn.id, &withdrawal)
        .await
        .unwrap();
    gate.sweep().await;
    check_outcome(&gate, &withdrawn, "withdrawn");
}

/// A request with a value for every part of an email.
fn new(name: &str) -> NewApproval {
    NewApproval {
        parameters: object(json!({
            "user_id": "1", "api_token": "t-1", "to": "pаypal", "note": "zero\u{200b}width",
        })),
        reason: Some("The contract ended.\nSee https://evil.example for more.".to_owned()),
        on_behalf_of: Some("requester@example.com".to_owned()),
        correlation_id: Some(name.to_owned()),
        ..request()
    }
}

fn check_outcome(gate: &TestGate, approval: &Approval, name: &str) {
    let emails = gate.mails();
    let notice = emails.iter().find(|mail| {
        mail.to == BOB
            && mail.message_id.contains(".outcome@")
            && mail
                .text
                .contains(&format!("Request:   {}", correlation(approval)))
    });
    compare(name, notice.unwrap(), &emails, approval);
}

fn check(gate: &TestGate, approval: &Approval, kind: &str, address: &str) {
    let emails = gate.mails();
    let mail = emails.iter().find(|mail| {
        mail.to == address
            && mail.message_id.contains(&format!(".{kind}@"))
            && mail.text.contains(correlation(approval))
    });
    compare(kind, mail.unwrap(), &emails, approval);
}

fn correlation(approval: &Approval) -> &str {
    approval.id.split_once('.').unwrap().1
}

/// Compares the subject and both bodies with their snapshots.
fn compare(name: &str, mail: &Mail, emails: &[Mail], approval: &Approval) {
    let asked = question(emails, &approval.id, BOB);
    let plain = |text: &str| {
        let text = text.replace("\r\n", "\n").replace(&asked.link, "LINK");
        without_times(&text.replace(&asked.code, "CODE"))
    };
    let text = format!("Subject: {}\n\n{}", mail.subject, plain(&mail.text));
    for (ending, actual) in [("txt", text), ("html", plain(&mail.html))] {
        let file = repository().join(format!("tests/mails/{name}.{ending}"));
        if std::env::var_os("HO_UPDATE_MAILS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &actual).unwrap();
        }
        let snapshot = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(actual, snapshot, "{}", file.display());
    }
}

/// Replaces times such as `22 November 2026, 17:30 UTC (59 minutes left)`.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split(" UTC").peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            out.push_str(part);
            break;
        }
        // Day, month, year, time.
        let before = part.rsplitn(4, ' ').last().unwrap();
        out.push_str(before.trim_end_matches(|c: char| c.is_ascii_digit()));
        out.push_str("TIME");
    }
    let mut left = String::new();
    for (index, part) in out.split(" (").enumerate() {
        match part.split_once(" left)") {
            Some((_, rest)) if index > 0 => left.push_str(&format!(" (LEFT){rest}")),
            _ if index > 0 => left.push_str(&format!(" ({part}")),
            _ => left.push_str(part),
        }
    }
    left
}
