//! Mail by each transport, and what becomes of a request when mail does not work as it should: the
//! table in docs/mail.md, row by row.

use std::time::Duration;

use human_oversight_client::types::{
    Approval, Deliverable, MailFault, MailState, NewApproval, Status,
};
use human_oversight_client::{Outcome, Reason};
use serde_json::{Value, json};

use crate::acs::{self, Acs};
use crate::aiosmtpd::Aiosmtpd;
use crate::certificate::Certificate;
use crate::graph::{Graph, MAILBOX};
use crate::harness::{AGENT, ALICE, BOB, Mail, TestGate, for_alice, object, question, request};
use crate::identity::identity_service;
use crate::process::{Process, decide_at};
use crate::smtp::{Smtp, SmtpFault};

const MINUTE: Duration = Duration::from_secs(60);

/// A gate that mails by this server, and is told this besides.
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

fn received(smtp: &Smtp) -> Vec<Mail> {
    let mails = smtp.mails();
    mails.iter().map(|mail| Mail::parse(&mail.data)).collect()
}

/// What the agent sees of its first approver's mail.
fn seen(approval: &Approval) -> (MailState, Option<MailFault>, Deliverable, Status) {
    let first = &approval.notifications[0];
    (
        first.state,
        first.fault,
        approval.deliverable,
        approval.status,
    )
}

async fn approve(gate: &TestGate, mails: &[Mail], approval: &Approval, address: &str) {
    let question = question(mails, &approval.id, address);
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let answer = gate.decide(&question, &form).await;
    assert_eq!(answer.status.as_u16(), 303, "{}", answer.body);
}

#[tokio::test]
async fn a_mail_arrives_by_smtp_in_each_way_of_tls_and_decides() {
    for smtp in [
        Smtp::start().await,
        Smtp::implicit().await,
        Smtp::plain().await,
    ] {
        let gate = gate(&smtp, &[]).await;
        let approval = gate.ask().await;
        assert_eq!(
            seen(&approval),
            (MailState::Sent, None, Deliverable::Ok, Status::Pending)
        );
        let mails = received(&smtp);
        let mut to: Vec<_> = mails.iter().map(|mail| mail.to.as_str()).collect();
        to.sort_unstable();
        assert_eq!(to, [ALICE, BOB], "one mail for each");
        for mail in smtp.mails() {
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
        approve(&gate, &mails, &approval, ALICE).await;
        gate.sweep().await;
        let notes = received(&smtp);
        let note = notes.iter().find(|mail| mail.answers.is_some()).unwrap();
        let asked = mails.iter().find(|mail| mail.to == note.to).unwrap();
        assert_eq!(note.answers.as_ref(), Some(&asked.message_id));
        assert_eq!(note.subject, format!("Re: {}", asked.subject));
    }
}

#[tokio::test]
async fn a_server_that_is_not_ours_takes_them_too() {
    let certificate = Certificate::make();
    let mut server = Aiosmtpd::start(&certificate.pem, &certificate.key).await;
    let url = format!("smtp://gate%40example.com@localhost:{}", server.port);
    let gate = TestGate::with(&[
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &url),
        ("HO_SMTP_PASSWORD", "correct horse"),
        ("HO_SMTP_CA", certificate.pem.to_str().unwrap()),
        ("HO_MAIL_FROM", "gate@example.com"),
    ])
    .await;
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let mail = Mail::parse(&server.mail().await.data);
    approve(&gate, &[mail], &approval, ALICE).await;
}

/// What is not for good passes, and is told while it lasts.
#[tokio::test]
async fn what_passes_is_tried_again_and_arrives_once() {
    for fault in [
        SmtpFault::Banner421,
        SmtpFault::Silence,
        SmtpFault::Rcpt451(ALICE),
        SmtpFault::DropBeforeData,
        SmtpFault::Data452,
        // 5.7.1: a matter of the relay's policy, which says nothing of the address.
        SmtpFault::Data554,
    ] {
        let smtp = Smtp::start().await;
        let gate = gate(&smtp, &[]).await;
        smtp.fault(fault.clone());
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        let unavailable = Some(MailFault::Unavailable);
        assert_eq!(
            seen(&approval),
            (
                MailState::Queued,
                unavailable,
                Deliverable::None,
                Status::Pending
            ),
            "{fault:?}"
        );
        assert!(smtp.mails().is_empty());
        gate.pass(Duration::from_secs(31));
        gate.sweep().await;
        let approval = gate.status(&approval.id).await;
        assert_eq!(
            seen(&approval),
            (MailState::Sent, None, Deliverable::Ok, Status::Pending),
            "{fault:?}"
        );
        assert_eq!(smtp.mails().len(), 1, "{fault:?}");
        approve(&gate, &received(&smtp), &approval, ALICE).await;
    }
}

/// The mail may have arrived: it is sent once more under the same Message-ID, and then no more.
#[tokio::test]
async fn what_may_have_arrived_is_sent_once_more_at_most() {
    for fault in [SmtpFault::DropAfterData, SmtpFault::SilenceAfterData] {
        let smtp = Smtp::start().await;
        let gate = gate(&smtp, &[]).await;
        smtp.always(Some(fault.clone()));
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        let unclear = Some(MailFault::Unclear);
        assert_eq!(
            seen(&approval),
            (
                MailState::Queued,
                unclear,
                Deliverable::Degraded,
                Status::Pending
            ),
            "{fault:?}"
        );
        for _ in 0..5 {
            gate.pass(MINUTE);
            gate.sweep().await;
        }
        let approval = gate.status(&approval.id).await;
        assert_eq!(
            seen(&approval),
            (
                MailState::Unknown,
                unclear,
                Deliverable::Degraded,
                Status::Pending
            ),
            "{fault:?}"
        );
        let mails = received(&smtp);
        assert_eq!(mails.len(), 2, "{fault:?}");
        assert_eq!(mails[0].message_id, mails[1].message_id);
        assert_eq!(
            question(&mails[..1], &approval.id, ALICE).code,
            question(&mails[1..], &approval.id, ALICE).code
        );
        approve(&gate, &mails, &approval, ALICE).await;
    }
}

#[tokio::test]
async fn a_relay_that_says_no_goodbye_has_the_mail_all_the_same() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.always(Some(SmtpFault::SilenceAtQuit));
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    assert_eq!(approval.notifications[0].state, MailState::Sent);
}

#[tokio::test]
async fn who_is_refused_for_good_gets_nothing_and_the_others_decide() {
    for fault in [SmtpFault::Rcpt550(ALICE), SmtpFault::Rcpt550(BOB)] {
        let smtp = Smtp::start().await;
        let gate = gate(&smtp, &[]).await;
        smtp.fault(fault.clone());
        let approval = gate.ask().await;
        let failed: Vec<_> = approval
            .notifications
            .iter()
            .filter(|one| one.state == MailState::Failed)
            .collect();
        assert_eq!(failed.len(), 1, "{fault:?}");
        assert_eq!(failed[0].fault, Some(MailFault::Refused));
        assert_eq!(approval.deliverable, Deliverable::Degraded);
        for _ in 0..5 {
            gate.pass(MINUTE);
            gate.sweep().await;
        }
        let mails = received(&smtp);
        assert_eq!(mails.len(), 1, "not tried again");
        approve(&gate, &mails, &approval, &mails[0].to).await;
    }
}

#[tokio::test]
async fn when_nobody_can_be_asked_the_waiting_agent_hears_it_at_once() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.fault(SmtpFault::Banner421);
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    smtp.always(Some(SmtpFault::Rcpt550(ALICE)));
    gate.pass(Duration::from_secs(31));
    let wait = gate.client.status(&approval.id, MINUTE);
    let (waited, _) = futures_util::join!(wait, gate.sweep());
    let approval = waited.unwrap().0;
    assert_eq!(
        seen(&approval),
        (
            MailState::Failed,
            Some(MailFault::Refused),
            Deliverable::None,
            Status::Undeliverable
        )
    );
    let row = gate.entity(&approval.id).await;
    assert_eq!(row["Status"], "Undeliverable");
    assert_eq!(row["NotificationStatus"], "None");
}

/// Wrong settings are said once, stop the mails for a while, and cost no approver anything.
#[tokio::test]
async fn wrong_settings_pause_the_mails() {
    for fault in [SmtpFault::Auth535, SmtpFault::Sender550] {
        let smtp = Smtp::start().await;
        let gate = gate(&smtp, &[]).await;
        smtp.always(Some(fault.clone()));
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        let misconfigured = Some(MailFault::Misconfigured);
        assert_eq!(
            seen(&approval),
            (
                MailState::Queued,
                misconfigured,
                Deliverable::None,
                Status::Pending
            ),
            "{fault:?}"
        );
        let sessions = smtp.sessions();
        gate.client.submit(&for_alice()).await.unwrap();
        for _ in 0..4 {
            gate.pass(MINUTE);
            gate.sweep().await;
        }
        assert_eq!(smtp.sessions(), sessions, "{fault:?}: nothing was sent");
        smtp.always(None);
        for _ in 0..8 {
            gate.pass(MINUTE);
            gate.sweep().await;
        }
        assert_eq!(smtp.mails().len(), 2, "{fault:?}");
        assert_eq!(gate.status(&approval.id).await.deliverable, Deliverable::Ok);
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_nobody_vouches_for_or_that_knows_no_tls() {
    let (smtp, other) = (Smtp::start().await, Certificate::make());
    let stranger = TestGate::with(&[
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &smtp.url()),
        ("HO_SMTP_CA", other.pem.to_str().unwrap()),
        ("HO_MAIL_FROM", "gate@example.com"),
    ])
    .await;
    let approval = stranger.client.submit(&for_alice()).await.unwrap();
    assert_eq!(
        approval.notifications[0].fault,
        Some(MailFault::Misconfigured)
    );

    let open = Smtp::plain().await;
    let url = format!("smtp://gate:secret@localhost:{}", open.port);
    let demanding = TestGate::with(&[
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &url),
        ("HO_MAIL_FROM", "gate@example.com"),
    ])
    .await;
    let approval = demanding.client.submit(&for_alice()).await.unwrap();
    assert_eq!(
        approval.notifications[0].fault,
        Some(MailFault::Misconfigured)
    );
    for server in [&smtp, &open] {
        assert!(server.mails().is_empty());
        assert!(
            !server
                .commands()
                .iter()
                .any(|verb| verb == "AUTH" || verb == "MAIL")
        );
    }
}

/// Ten minutes without mail: no request is lost, nobody gets two mails, and the agent can tell.
#[tokio::test]
async fn an_outage_of_ten_minutes_loses_nothing() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.down(true);
    let mut asked = Vec::new();
    for _ in 0..10 {
        asked.push(gate.ask().await);
        gate.pass(MINUTE);
        gate.sweep().await;
    }
    for approval in &asked {
        let approval = gate.status(&approval.id).await;
        assert_eq!(
            seen(&approval),
            (
                MailState::Queued,
                Some(MailFault::Unavailable),
                Deliverable::None,
                Status::Pending
            )
        );
    }
    smtp.down(false);
    for _ in 0..12 {
        gate.pass(MINUTE);
        gate.sweep().await;
    }
    let mails = received(&smtp);
    assert_eq!(mails.len(), 20);
    for approval in &asked {
        for address in [ALICE, BOB] {
            question(&mails, &approval.id, address);
        }
        assert_eq!(gate.status(&approval.id).await.deliverable, Deliverable::Ok);
    }
    approve(&gate, &mails, &asked[0], BOB).await;
}

/// Who was never asked did not stay silent: the refusal tells undelivered from unanswered.
#[tokio::test]
async fn a_refusal_says_whether_it_was_undelivered_or_unanswered() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    for (down, reason, notified) in [
        (true, Reason::Undeliverable, "None"),
        (false, Reason::Timeout, "Ok"),
    ] {
        smtp.down(down);
        let user = json!({"user_id": "1"});
        let pending = gate
            .gate()
            .action("Delete User Account")
            .submit(&user)
            .await;
        let pending = pending.unwrap();
        let id = pending.handle().id.clone();
        gate.pass(Duration::from_secs(3_600));
        gate.sweep().await;
        let outcome: Outcome<()> = pending
            .run(&user, |_| async { panic!("it must not run") })
            .await;
        assert_eq!(outcome.into_result().unwrap_err().reason, reason);
        let row = gate.entity(&id).await;
        assert_eq!(row["Status"], "Timeout");
        assert_eq!(row["NotificationStatus"], notified);
    }
}

#[tokio::test]
async fn each_note_can_be_switched_off() {
    for (notes, expected) in [
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
        let gate = gate(&smtp, &[("HO_MAIL_NOTES", notes)]).await;
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
        let mails = received(&smtp);
        let kinds: Vec<_> = mails
            .iter()
            .map(|mail| mail.message_id.split(['.', '@']).nth(2).unwrap())
            .collect();
        let expected: Vec<_> = expected.iter().map(|kind| kind.to_lowercase()).collect();
        assert_eq!(kinds, expected, "{notes}");
        for mail in &mails {
            let urgent = mail.source.contains("\r\nImportance: high\r\n");
            assert_eq!(urgent, mail.message_id.contains(".lastreminder@"));
        }
    }
}

#[tokio::test]
async fn the_gate_can_bear_its_owners_name() {
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
    assert_eq!(
        mail.subject,
        format!("[Contoso] Approval needed: Delete User Account ({AGENT})")
    );
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

/// A gate that mails by Communication Services, with the resource's access key.
async fn by_acs(acs: &Acs) -> TestGate {
    let connection = format!("endpoint={}/;accesskey={}", acs.url(), acs::KEY);
    TestGate::with(&[
        ("HO_MAIL", "acs"),
        ("HO_ACS_CONNECTION_STRING", &connection),
        ("HO_MAIL_FROM", "approvals@notify.example.com"),
    ])
    .await
}

/// A message of Communication Services as a mail.
fn of_acs(message: &Value) -> Mail {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = &message["headers"];
    Mail {
        to: text(&message["recipients"]["to"][0]["address"]),
        subject: text(&message["content"]["subject"]),
        message_id: text(&headers["Message-ID"]),
        answers: headers.get("In-Reply-To").map(text),
        text: text(&message["content"]["plainText"]),
        html: text(&message["content"]["html"]),
        source: message.to_string(),
    }
}

#[tokio::test]
async fn communication_services_take_a_mail_once_however_often_it_is_sent() {
    for lose in [Acs::lose_answer, Acs::fall_silent] {
        let acs = Acs::start().await;
        let gate = by_acs(&acs).await;
        lose(&acs);
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        assert_eq!(
            approval.notifications[0].fault,
            Some(MailFault::Unavailable)
        );
        gate.pass(Duration::from_secs(31));
        gate.sweep().await;
        let approval = gate.status(&approval.id).await;
        assert_eq!(approval.notifications[0].state, MailState::Sent);
        assert_eq!(acs.requests().len(), 2);
        let mails: Vec<Mail> = acs.sent().iter().map(of_acs).collect();
        assert_eq!(mails.len(), 1, "one operation");
        approve(&gate, &mails, &approval, ALICE).await;
        gate.sweep().await;
        let note = of_acs(&acs.sent()[1]);
        assert_eq!(note.answers.as_ref(), Some(&mails[0].message_id));
    }
}

#[tokio::test]
async fn what_was_unclear_once_is_tried_again_whatever_went_before() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.fault(SmtpFault::Banner421);
    smtp.fault(SmtpFault::DropAfterData);
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let mut faults = vec![approval.notifications[0].fault];
    for _ in 0..4 {
        gate.pass(MINUTE);
        gate.sweep().await;
        faults.push(gate.status(&approval.id).await.notifications[0].fault);
    }
    faults.dedup();
    assert_eq!(
        faults,
        [Some(MailFault::Unavailable), Some(MailFault::Unclear), None]
    );
    assert_eq!(gate.status(&approval.id).await.deliverable, Deliverable::Ok);
}

/// Twenty approvers, a few connections: everybody gets one mail.
#[tokio::test]
async fn twenty_approvers_get_one_mail_each_over_a_few_connections() {
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

/// The server repeats addresses and the like in its answers; the log does not, at any level.
#[tokio::test]
async fn the_log_holds_no_address_and_no_password() {
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

#[tokio::test]
async fn communication_services_are_left_alone_as_long_as_they_ask() {
    let acs = Acs::start().await;
    let gate = by_acs(&acs).await;
    acs.answer(429, Some(200), "TooManyRequests");
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    assert_eq!(
        approval.notifications[0].fault,
        Some(MailFault::Unavailable)
    );
    for _ in 0..3 {
        gate.pass(MINUTE);
        gate.sweep().await;
    }
    assert_eq!(acs.requests().len(), 1);
    gate.pass(MINUTE);
    gate.sweep().await;
    assert_eq!(acs.sent().len(), 1);
}

#[tokio::test]
async fn what_communication_services_refuse_is_told_apart() {
    for (answers, state, fault) in [
        (vec![(401, "Denied")], MailState::Sent, None),
        (
            vec![(401, "Denied"), (401, "Denied")],
            MailState::Queued,
            Some(MailFault::Misconfigured),
        ),
        (
            vec![(404, "DomainNotLinked"), (404, "DomainNotLinked")],
            MailState::Queued,
            Some(MailFault::Misconfigured),
        ),
        (
            vec![(400, "InvalidRecipient")],
            MailState::Failed,
            Some(MailFault::Refused),
        ),
        (
            vec![(503, "Unavailable")],
            MailState::Queued,
            Some(MailFault::Unavailable),
        ),
    ] {
        let acs = Acs::start().await;
        let gate = by_acs(&acs).await;
        for (status, code) in &answers {
            acs.answer(*status, None, code);
        }
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        let first = &approval.notifications[0];
        assert_eq!((first.state, first.fault), (state, fault), "{answers:?}");
    }
}

#[tokio::test]
async fn a_managed_identity_mails_by_communication_services() {
    let (acs, dir) = (Acs::start().await, tempfile::tempdir().unwrap());
    let (url, _) = identity_service(|| of_2100("token-of-acs")).await;
    let gate = Process::start(
        dir.path(),
        &[
            ("HO_MAIL", "acs"),
            ("HO_ACS_ENDPOINT", acs.url()),
            ("HO_MAIL_FROM", "approvals@notify.example.com"),
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", "x"),
        ],
    )
    .await;
    acs.trust("token-of-acs");
    let approval = gate.client().submit(&for_alice()).await.unwrap();
    let mails: Vec<Mail> = acs.sent().iter().map(of_acs).collect();
    let question = question(&mails, &approval.id, ALICE);
    let form = format!("decision=approve&code={}", question.code);
    assert_eq!(decide_at(&question.link, &form).await.unwrap(), 303);

    acs.trust("another");
    for _ in 0..2 {
        let approval = gate.client().submit(&for_alice()).await.unwrap();
        let fault = approval.notifications[0].fault;
        assert_eq!(fault, Some(MailFault::Misconfigured));
    }
    let log = gate.kill().await;
    let said = log
        .matches("no mail can be sent as the gate is set up")
        .count();
    assert_eq!(said, 1, "once: {log}");
    assert!(
        !log.contains("token-of-acs") && !log.contains(ALICE),
        "{log}"
    );
}

#[tokio::test]
async fn a_mailbox_of_microsoft_365_sends_the_mail_as_it_is() {
    let (graph, dir) = (Graph::start().await, tempfile::tempdir().unwrap());
    graph.trust("token-of-graph");
    let (url, _) = identity_service(|| of_2100("token-of-graph")).await;
    let gate = Process::start(
        dir.path(),
        &[
            ("HO_MAIL", "graph"),
            ("HO_GRAPH_MAILBOX", MAILBOX),
            ("HO_GRAPH_ENDPOINT", graph.url()),
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", "x"),
            // No mail of a sweep meets an answer that waits for one of a submit.
            ("HO_SWEEP_SECONDS", "86400"),
        ],
    )
    .await;
    let approval = gate.client().submit(&for_alice()).await.unwrap();
    assert_eq!(approval.notifications[0].state, MailState::Sent);
    let mails: Vec<Mail> = graph.sent().iter().map(|mime| Mail::parse(mime)).collect();
    let question = question(&mails, &approval.id, ALICE);
    let form = format!("decision=approve&code={}", question.code);
    assert_eq!(decide_at(&question.link, &form).await.unwrap(), 303);

    for lose in [Graph::lose_answer, Graph::fall_silent] {
        lose(&graph);
        let approval = gate.client().submit(&for_alice()).await.unwrap();
        assert_eq!(approval.notifications[0].fault, Some(MailFault::Unclear));
    }
    for (status, code, fault) in [
        (429, "ApplicationThrottled", MailFault::Unavailable),
        (400, "ErrorInvalidRecipients", MailFault::Refused),
        (403, "ErrorAccessDenied", MailFault::Misconfigured),
    ] {
        graph.answer(status, Some(300), code);
        let approval = gate.client().submit(&for_alice()).await.unwrap();
        assert_eq!(approval.notifications[0].fault, Some(fault), "{code}");
    }
    let log = gate.kill().await;
    assert!(
        log.contains("the service answered 403 ErrorAccessDenied"),
        "{log}"
    );
    assert!(
        !log.contains("token-of-graph") && !log.contains(ALICE),
        "{log}"
    );
}

#[tokio::test]
async fn hostile_words_break_no_mail() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    let plain = received_for(&gate, &smtp, "plain").await;
    let headers = |mail: &Mail| {
        let (head, _) = mail.source.split_once("\r\n\r\n").unwrap();
        head.lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .count()
    };
    let expected = headers(&plain);
    let corpus = hostile();
    assert!(corpus.len() >= 40, "{}", corpus.len());
    for words in corpus {
        let mail = received_for(&gate, &smtp, &words).await;
        assert_eq!(headers(&mail), expected, "{words:?}: {}", mail.source);
        assert!(mail.subject.chars().count() <= 200);
        assert!(
            !mail.subject.contains(['\r', '\n', '\u{202e}', '\u{200b}']),
            "{words:?}"
        );
        assert!(mail.html.len() < 60_000, "{}", mail.html.len());
        assert!(mail.source.len() < 100_000, "{}", mail.source.len());
        for tag in ["<script", "<img", "<svg", "<iframe", "onerror=\""] {
            assert!(!mail.html.contains(tag), "{tag} of {words:?}");
        }
        assert_eq!(mail.to, ALICE);
    }
}

/// The mail about a request whose every free text is these words, as far as the gate takes them: a
/// line with a hidden character in it is refused at once.
async fn received_for(gate: &TestGate, smtp: &Smtp, words: &str) -> Mail {
    let cut = |most: usize| words.chars().take(most).collect::<String>();
    let parameters = object(json!({"value": cut(7_000), cut(60): 1}));
    let new = |line: String, prose: String| NewApproval {
        agent_name: line.chars().take(28).collect(),
        action_description: line,
        parameters: parameters.clone(),
        reason: Some(prose),
        ..for_alice()
    };
    let before = smtp.mails().len();
    let mut approval = gate.client.submit(&new(cut(100), cut(2_000))).await;
    for (line, prose) in [("x", cut(2_000)), ("x", "x".to_owned())] {
        if approval.is_err() {
            approval = gate.client.submit(&new(line.to_owned(), prose)).await;
        }
    }
    let approval = approval.unwrap_or_else(|error| panic!("{words:?}: {error:?}"));
    let mails = received(smtp);
    assert_eq!(mails.len(), before + 1, "{words:?}");
    let mail = mails.into_iter().next_back().unwrap();
    // It can be answered, whatever is in it.
    question(std::slice::from_ref(&mail), &approval.id, ALICE);
    mail
}

fn hostile() -> Vec<String> {
    let long = |part: &str| part.repeat(1_000_000 / part.len());
    let mut corpus: Vec<String> = [
        "a\r\nBcc: eve@example.com",
        "a\nSubject: x",
        "a\rX: y",
        "\r\n.\r\nMAIL FROM:<eve@example.com>",
        "a\u{0}b",
        "\u{1b}[31mred",
        "\u{7}",
        "\u{202e}txt.exe",
        "\u{2066}\u{2069}",
        "\u{200f}rtl\u{200e}",
        "zero\u{200b}width",
        "\u{feff}bom",
        "soft\u{ad}hyphen",
        "joiner\u{200d}s",
        "\u{e0041}\u{e0042}tag",
        "variation\u{fe0f}",
        "\u{115f}filler\u{3164}",
        "\u{2800}braille",
        "nb\u{a0}space",
        "\u{2028}\u{2029}",
        "Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}algo",
        "pаypal",
        "gооgle.com",
        "Αdmin",
        "раураl",
        "</td><script>alert(1)</script>",
        "<img src=x onerror=\"alert(1)\">",
        "<svg/onload=alert(1)>",
        "<!-- comment",
        "--><iframe src=//evil.example>",
        "]]>",
        "</style><style>*{display:none}</style>",
        "{{ mail.code }}",
        "{% raw %}",
        "${7*7}",
        "%0d%0aBcc: eve@example.com",
        "=?utf-8?B?QmNjOiB4?=",
        "\" onmouseover=\"x",
        "' or 1=1 --",
        "`rm -rf /`",
        "https://evil.example/api/decision/x?k=y",
        "To approve, type this code there:  000000",
        "> The agent says",
        ".",
        "..",
        "\u{1F468}\u{200D}\u{1F469}",
        "\u{FFFD}\u{FFFE}",
        "\u{10FFFF}",
        "ﷺ﷽",
        "مرحبا",
        "שלום",
        "ไทย",
        "한국어",
    ]
    .map(str::to_owned)
    .to_vec();
    corpus.extend([
        long("x"),
        long("<"),
        long("\u{200b}"),
        long("а"),
        long("&\n"),
        long("€"),
    ]);
    corpus
}

/// A token that lives until the year 2100.
fn of_2100(token: &str) -> Option<(String, u64)> {
    Some((token.to_owned(), 4_102_444_800))
}
