//! How each mail reads, word for word: tests/mails/ holds them, with what differs each time left out.
//! `HO_UPDATE_MAILS=1 cargo test --test it mails::` writes them anew, to be read before they are
//! committed.

use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Withdrawal};
use serde_json::json;

use crate::harness::{ALICE, BOB, Mail, TestGate, object, question, repository, request};

#[tokio::test]
async fn each_email_equals_its_snapshot() {
    let gate = TestGate::start().await;
    let asked = gate.client.submit(&new("question")).await.unwrap();
    show(&gate, &asked, "question", BOB);
    for (kind, minutes) in [("reminder", 31), ("lastreminder", 21)] {
        gate.pass(Duration::from_secs(minutes * 60));
        gate.sweep().await;
        show(&gate, &asked, kind, BOB);
    }
    gate.pass(Duration::from_secs(3_600));
    gate.sweep().await;
    show_outcome(&gate, &asked, "timeout");

    let approved = gate.client.submit(&new("approved")).await.unwrap();
    gate.approve(&approved, ALICE).await;
    gate.sweep().await;
    show_outcome(&gate, &approved, "approved");

    let rejected = gate.client.submit(&new("rejected")).await.unwrap();
    gate.reject(&rejected, ALICE, "Ask the owner first.\nThen ask again.")
        .await;
    gate.sweep().await;
    show_outcome(&gate, &rejected, "rejected");

    let withdrawn = gate.client.submit(&new("withdrawn")).await.unwrap();
    let withdrawal = Withdrawal { secret: None };
    gate.client
        .withdraw(&withdrawn.id, &withdrawal)
        .await
        .unwrap();
    gate.sweep().await;
    show_outcome(&gate, &withdrawn, "withdrawn");
}

/// With something of everything that a mail can hold.
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

fn show_outcome(gate: &TestGate, approval: &Approval, name: &str) {
    let mails = gate.mails();
    let note = mails.iter().find(|mail| {
        mail.to == BOB
            && mail.message_id.contains(".outcome@")
            && mail
                .text
                .contains(&format!("Request:   {}", correlation(approval)))
    });
    compare(name, note.unwrap(), &mails, approval);
}

fn show(gate: &TestGate, approval: &Approval, kind: &str, address: &str) {
    let mails = gate.mails();
    let mail = mails.iter().find(|mail| {
        mail.to == address
            && mail.message_id.contains(&format!(".{kind}@"))
            && mail.text.contains(correlation(approval))
    });
    compare(kind, mail.unwrap(), &mails, approval);
}

fn correlation(approval: &Approval) -> &str {
    approval.id.split_once('.').unwrap().1
}

/// The subject and both texts, against what is kept.
fn compare(name: &str, mail: &Mail, mails: &[Mail], approval: &Approval) {
    let asked = question(mails, &approval.id, BOB);
    let plain = |text: &str| {
        let text = text.replace("\r\n", "\n").replace(&asked.link, "LINK");
        without_times(&text.replace(&asked.code, "CODE"))
    };
    let text = format!("Subject: {}\n\n{}", mail.subject, plain(&mail.text));
    for (ending, read) in [("txt", text), ("html", plain(&mail.html))] {
        let file = repository().join(format!("tests/mails/{name}.{ending}"));
        if std::env::var_os("HO_UPDATE_MAILS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &read).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(read, kept, "{}", file.display());
    }
}

/// `22 November 2026, 17:30 UTC (59 minutes left)` is another one each time.
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
