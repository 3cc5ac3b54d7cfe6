//! Snapshots of all emails, with placeholders for links, codes and times.
//! docs/contributing.md says how to rewrite them.

use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Withdrawal};
use serde_json::json;

use crate::claim::claim;
use crate::harness::{ALICE, BOB, Mail, TestGate, object, question, repository, request};
use crate::outcome::report;

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

#[tokio::test]
async fn each_email_about_a_failure_equals_its_snapshot() {
    let gate = TestGate::with(&[("HO_OUTCOME_WITHIN", "60")]).await;
    let claimed = async |name| {
        let approval = gate.client.submit(&new(name)).await.unwrap();
        gate.approve(&approval, ALICE).await;
        let claim = claim("0123456789abcdef");
        gate.client.claim(&approval.id, &claim).await.unwrap();
        approval
    };
    let failed = claimed("failed").await;
    let error = report(Some("Mailbox on hold.\nSee https://evil.example\u{202e}."));
    gate.client.outcome(&failed.id, &error).await.unwrap();
    gate.sweep().await;
    check_notice(&gate, &failed, "failure", "failed");

    let unknown = claimed("unknown").await;
    gate.pass(Duration::from_secs(60));
    gate.sweep().await;
    check_notice(&gate, &unknown, "failure", "unknown");
}

#[tokio::test]
async fn each_email_about_a_changed_request_equals_its_snapshot() {
    let gate = TestGate::start().await;
    let earlier = gate.client.submit(&new("earlier")).await.unwrap();
    let alice = question(&gate.mails(), &earlier.id, ALICE);
    let form = [
        ("decision", "reject"),
        ("code", alice.code.as_str()),
        ("words", "Not all of them."),
        (
            "revise",
            "Which user is it?\nSee https://evil.example for the list.",
        ),
    ];
    gate.decide(&alice, &form).await;
    gate.sweep().await;
    check_outcome(&gate, &earlier, "asked-for-changes");

    let parameters = json!({
        "user_id": "2", "api_token": "t-2", "to": "paypal", "note": "zero\u{200b}width",
        "steps": ["disable", "delete"],
    });
    let changed = NewApproval {
        action_description: "Delete one user account".to_owned(),
        parameters: object(parameters),
        supersedes: Some(earlier.id),
        ..new("changed")
    };
    let changed = gate.client.submit(&changed).await.unwrap();
    let emails = gate.mails();
    let is_it = |mail: &&Mail| mail.to == BOB && mail.text.contains("Request:   changed");
    compare(
        "changed",
        emails.iter().find(is_it).unwrap(),
        &emails,
        &changed,
    );
}

#[tokio::test]
async fn the_email_about_several_votes_equals_its_snapshot() {
    let policy = "version = 1\n[groups]\nall = [\"alice@example.com\", \"bob@example.com\"]\n[[rule]]\nid = \"two\"\n\
                  actions = [\"*\"]\neffect = \"require\"\nstages = [{ from = \"all\", approvals = 2 }]\n";
    let gate = TestGate::with(&[("HO_POLICY", policy)]).await;
    let asked = gate.client.submit(&new("voted")).await.unwrap();
    let alice = question(&gate.mails(), &asked.id, ALICE);
    let form = [
        ("decision", "approve"),
        ("code", alice.code.as_str()),
        (
            "comment",
            "The owner agrees.\nSee https://evil.example for his words.",
        ),
    ];
    gate.decide(&alice, &form).await;
    let bob = question(&gate.mails(), &asked.id, BOB);
    let form = [("decision", "reject"), ("words", "Not before Monday.")];
    gate.decide(&bob, &form).await;
    gate.sweep().await;
    check_outcome(&gate, &asked, "voted");
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
    check_notice(gate, approval, "outcome", name);
}

fn check_notice(gate: &TestGate, approval: &Approval, kind: &str, name: &str) {
    let emails = gate.mails();
    let notice = emails.iter().find(|mail| {
        mail.to == BOB
            && mail.message_id.contains(&format!(".{kind}@"))
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

/// Replaces times such as `Sun 22 Nov 2026, 17:30 UTC`, and what is left until the deadline.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split(" UTC").peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            out.push_str(part);
            break;
        }
        // The weekday, of three letters, before day, month, year and time.
        let before = part.rsplitn(5, ' ').last().unwrap_or_default();
        out.push_str(&before[..before.len() - 3]);
        out.push_str("TIME");
    }
    let mut plain = String::new();
    for (index, part) in out.split("datetime=\"").enumerate() {
        let rest = part.split_once('"').filter(|_| index > 0);
        match rest {
            Some((_, rest)) => plain.push_str(&format!("datetime=\"TIME\"{rest}")),
            None => plain.push_str(part),
        }
    }
    match plain.split_once(" minutes after this email") {
        Some((before, rest)) => {
            let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
            format!("{before}LEFT after this email{rest}")
        }
        None => plain,
    }
}
