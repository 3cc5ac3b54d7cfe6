//! Email by each transport, and the failures in the table of docs/mail.md, row by row.

pub(crate) mod azure;
mod clients;
mod failures;
mod hostile_text;
mod recipients;
mod votes;

use std::time::Duration;

use human_oversight_client::types::{
    Approval, Deliverable, MailFault, MailState, NewApproval, Status,
};

use crate::aiosmtpd::Aiosmtpd;
use crate::certificate::Certificate;
use crate::harness::{ALICE, BOB, Mail, TestGate, for_alice, question, request};
use crate::process::Process;
use crate::smtp::{PASSWORD, Smtp, SmtpFault};

const MINUTE: Duration = Duration::from_secs(60);

/// Starts a gate that sends by this server, with these settings.
pub(crate) async fn gate(smtp: &Smtp, settings: &[(&str, &str)]) -> TestGate {
    let url = smtp.url();
    let by_smtp = [
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", url.as_str()),
        ("HO_SMTP_CA", smtp.certificate().to_str().unwrap()),
        ("HO_MAIL_FROM", "gate@example.com"),
    ];
    TestGate::with(&[settings, &by_smtp].concat()).await
}

pub(crate) fn received(smtp: &Smtp) -> Vec<Mail> {
    let emails = smtp.received();
    emails.iter().map(|mail| Mail::parse(&mail.data)).collect()
}

/// The delivery to the first approver, as the agent sees it.
fn first_delivery(approval: &Approval) -> (MailState, Option<MailFault>, Deliverable, Status) {
    let first = &approval.notifications[0];
    (
        first.state,
        first.fault,
        approval.deliverable,
        approval.status,
    )
}

pub(crate) async fn approve(gate: &TestGate, emails: &[Mail], approval: &Approval, address: &str) {
    let question = question(emails, &approval.id, address);
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let answer = gate.decide(&question, &form).await;
    assert_eq!(answer.status.as_u16(), 303, "{}", answer.body);
}

#[tokio::test]
async fn an_emailed_link_decides_in_each_tls_mode() {
    for smtp in [
        Smtp::start().await,
        Smtp::implicit().await,
        Smtp::plain().await,
    ] {
        let gate = gate(&smtp, &[]).await;
        let approval = gate.ask().await;
        assert_eq!(
            first_delivery(&approval),
            (MailState::Sent, None, Deliverable::Ok, Status::Pending)
        );
        let emails = received(&smtp);
        let mut to: Vec<_> = emails.iter().map(|mail| mail.to.as_str()).collect();
        to.sort_unstable();
        assert_eq!(to, [ALICE, BOB], "one email for each");
        for mail in smtp.received() {
            assert_eq!(mail.from, "gate@example.com");
            assert_eq!(mail.to.len(), 1);
            for header in [
                "Auto-Submitted: auto-generated",
                "X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply",
                "Message-ID: <",
            ] {
                assert!(mail.data.contains(header), "{header} in {}", mail.data);
            }
        }
        approve(&gate, &emails, &approval, ALICE).await;
        gate.sweep().await;
        let emails = received(&smtp);
        let notice = emails.iter().find(|mail| mail.answers.is_some()).unwrap();
        let request = emails.iter().find(|mail| mail.to == notice.to).unwrap();
        assert_eq!(notice.answers.as_ref(), Some(&request.message_id));
        let subject = request.subject.replacen("[Approve?]", "[Approved]", 1);
        assert_eq!(notice.subject, subject);
    }
}

#[tokio::test]
async fn aiosmtpd_accepts_the_email() {
    let certificate = Certificate::generate();
    let mut server = Aiosmtpd::start(&certificate.pem, &certificate.key).await;
    let url = format!("smtp://gate%40example.com@localhost:{}", server.port);
    let gate = TestGate::with(&[
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &url),
        ("HO_SMTP_PASSWORD", PASSWORD),
        ("HO_SMTP_CA", certificate.pem.to_str().unwrap()),
        ("HO_MAIL_FROM", "gate@example.com"),
    ])
    .await;
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let mail = Mail::parse(&server.next_email().await.data);
    approve(&gate, &[mail], &approval, ALICE).await;
}

#[tokio::test]
async fn each_notification_can_be_disabled() {
    for (settings, expected) in [
        (
            "reminders,outcome,withdrawn",
            ["Question", "Reminder", "LastReminder", "Outcome"].as_slice(),
        ),
        ("none", &["Question"]),
        ("reminders", &["Question", "Reminder", "LastReminder"]),
        ("withdrawn", &["Question", "Outcome"]),
        ("outcome", &["Question"]),
    ] {
        let smtp = Smtp::start().await;
        let gate = gate(&smtp, &[("HO_MAIL_NOTES", settings)]).await;
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        for _ in 0..56 {
            gate.pass(MINUTE);
            gate.sweep().await;
        }
        let withdrawal = human_oversight_client::types::Withdrawal { secret: None };
        gate.client
            .withdraw(&approval.id, &withdrawal)
            .await
            .unwrap();
        gate.sweep().await;
        let emails = received(&smtp);
        let kinds: Vec<_> = emails
            .iter()
            .map(|mail| mail.message_id.split(['.', '@']).nth(2).unwrap())
            .collect();
        let expected: Vec<_> = expected.iter().map(|kind| kind.to_lowercase()).collect();
        assert_eq!(kinds, expected, "{settings}");
        for mail in &emails {
            let urgent = mail.source.contains("\r\nImportance: high\r\n");
            assert_eq!(urgent, mail.message_id.contains(".lastreminder@"));
        }
    }
}

#[tokio::test]
async fn branding_appears_in_emails_and_pages() {
    let smtp = Smtp::start().await;
    let gate = gate(
        &smtp,
        &[
            ("HO_BRAND_NAME", "Contoso Freigaben"),
            ("HO_BRAND_COLOR", "#0B6B2E"),
            ("HO_BRAND_CONTACT", "Questions: helpdesk@example.com"),
            ("HO_BRAND_FOOTER", "Contoso GmbH, <Berlin>"),
            ("HO_SUBJECT_PREFIX", "[Contoso]"),
        ],
    )
    .await;
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let mail = received(&smtp).remove(0);
    let subject = "[Contoso] [Approve?] Delete User Account · #";
    assert!(mail.subject.starts_with(subject), "{}", mail.subject);
    for words in ["Contoso Freigaben", "Questions: helpdesk@example.com"] {
        assert!(
            mail.text.contains(words) && mail.html.contains(words),
            "{words}"
        );
    }
    assert!(mail.text.contains("Contoso GmbH, <Berlin>"));
    assert!(
        mail.html.contains("Contoso GmbH, &#60;Berlin&#62;"),
        "{}",
        mail.html
    );
    assert!(mail.html.contains("#0b6b2e") && !mail.html.contains("#0050b8"));
    assert!(
        mail.source
            .contains("From: \"Contoso Freigaben\" <gate@example.com>"),
        "{}",
        mail.source
    );
    let page = gate.get(&question(&[mail], &approval.id, ALICE).link).await;
    assert!(
        page.body
            .contains("Contoso Freigaben · Questions: helpdesk@example.com")
    );
}

/// Each of twenty approvers gets one email, over a few connections.
#[tokio::test]
async fn twenty_approvers_get_one_email_each() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    let approvers: Vec<_> = (0..20).map(|n| format!("a{n}@example.com")).collect();
    let new = NewApproval {
        approver_emails: approvers.clone(),
        ..request()
    };
    let approval = gate.client.submit(&new).await.unwrap();
    for _ in 0..3 {
        gate.pass(MINUTE);
        gate.sweep().await;
    }
    assert_eq!(gate.status(&approval.id).await.deliverable, Deliverable::Ok);
    let mut to: Vec<_> = received(&smtp).into_iter().map(|mail| mail.to).collect();
    to.sort_unstable();
    let mut expected = approvers;
    expected.sort_unstable();
    assert_eq!(to, expected);
}

/// The server repeats addresses in its answers; the log does not, at any level.
#[tokio::test]
async fn the_log_contains_no_address_and_no_password() {
    let (smtp, dir) = (Smtp::start().await, tempfile::tempdir().unwrap());
    let url = smtp.url();
    let gate = Process::start(
        dir.path(),
        &[
            ("HO_MAIL", "smtp"),
            ("HO_SMTP_URL", url.as_str()),
            ("HO_SMTP_CA", smtp.certificate().to_str().unwrap()),
            ("HO_MAIL_FROM", "gate@example.com"),
            ("HO_LOG", "trace"),
            ("HO_SWEEP_SECONDS", "86400"),
        ],
    )
    .await;
    for fault in [
        SmtpFault::Rcpt550(ALICE),
        SmtpFault::Rcpt451(ALICE),
        SmtpFault::DropAfterData,
        SmtpFault::Sender550,
    ] {
        smtp.fault(fault);
        gate.client().submit(&for_alice()).await.unwrap();
    }
    let log = gate.kill().await;
    for words in [
        "the relay answered 550 5.1.1",
        "the relay answered 451 4.2.1",
    ] {
        assert!(log.contains(words), "{words} in {log}");
    }
    for secret in [
        ALICE,
        "gate@example.com",
        "correct horse",
        "correct%20horse",
        "?k=",
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
