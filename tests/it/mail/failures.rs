//! Failures of the mail server: the table of docs/mail.md, row by row.

use std::time::Duration;

use human_oversight_client::types::{Deliverable, MailFault, MailState, NewApproval, Status};
use human_oversight_client::{Outcome, Reason};
use serde_json::json;

use super::{MINUTE, approve, first_delivery, gate, received};
use crate::certificate::Certificate;
use crate::harness::{ALICE, BOB, Log, TestGate, for_alice, question, request};
use crate::operate::operate;
use crate::smtp::{Smtp, SmtpFault};

/// A transient error is retried, and shown until then.
#[tokio::test]
async fn a_transient_error_is_retried_and_the_email_arrives_once() {
    for fault in [
        SmtpFault::Banner421,
        SmtpFault::Silence,
        SmtpFault::Rcpt451(ALICE),
        SmtpFault::DropBeforeData,
        SmtpFault::Data452,
        // 5.7.1 is a policy of the relay, and not about the address.
        SmtpFault::Data554,
    ] {
        let smtp = Smtp::start().await;
        let gate = gate(&smtp, &[]).await;
        smtp.fault(fault.clone());
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        let unavailable = Some(MailFault::Unavailable);
        assert_eq!(
            first_delivery(&approval),
            (
                MailState::Queued,
                unavailable,
                Deliverable::None,
                Status::Pending
            ),
            "{fault:?}"
        );
        assert!(smtp.received().is_empty());
        gate.pass(Duration::from_secs(31));
        gate.sweep().await;
        let approval = gate.status(&approval.id).await;
        assert_eq!(
            first_delivery(&approval),
            (MailState::Sent, None, Deliverable::Ok, Status::Pending),
            "{fault:?}"
        );
        assert_eq!(smtp.received().len(), 1, "{fault:?}");
        approve(&gate, &received(&smtp), &approval, ALICE).await;
    }
}

/// Some relays let a client wait, to put off senders of spam.
#[tokio::test]
async fn a_relay_that_greets_after_20_s_gets_its_emails() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.always(Some(SmtpFault::LateBanner(Duration::from_secs(20))));
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    assert_eq!(first_delivery(&approval).0, MailState::Queued);
    gate.pass(Duration::from_secs(31));
    gate.sweep().await;
    let approval = gate.status(&approval.id).await;
    assert_eq!(first_delivery(&approval).0, MailState::Sent);
    assert_eq!(smtp.received().len(), 1);
}

/// At most three connections are open at once. What waits for one is not held back for that.
#[tokio::test]
async fn a_slow_relay_costs_no_attempt_of_an_email_that_waits_for_a_connection() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.always(Some(SmtpFault::LateBanner(Duration::from_secs(2))));
    let people: Vec<String> = (0..8).map(|it| format!("person{it}@example.com")).collect();
    let asked = NewApproval {
        approver_emails: people,
        ..request()
    };
    let asked = gate.client.submit(&asked).await.unwrap();
    let sent_at_once = smtp.received().len();
    assert!((3..8).contains(&sent_at_once), "{sent_at_once}");
    let health = gate.get(&format!("{}/api/health", gate.url)).await.json();
    let mail = &health["checks"]["mail"];
    assert_eq!(mail["status"], "ok", "what waits is no outage: {mail}");
    gate.sweep().await;
    assert_eq!(smtp.received().len(), 8);
    let row = gate.entity(&asked.id).await;
    let deliveries = row["Notifications"].as_str().unwrap();
    assert_eq!(
        deliveries.matches("\"attempts\":1").count(),
        8,
        "{deliveries}"
    );
}

/// The email may have arrived: it is sent once more with the same Message-ID, and not again.
#[tokio::test]
async fn an_email_with_unknown_outcome_is_sent_twice_at_most() {
    for fault in [SmtpFault::DropAfterData, SmtpFault::SilenceAfterData] {
        let smtp = Smtp::start().await;
        let gate = gate(&smtp, &[]).await;
        smtp.always(Some(fault.clone()));
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        let unclear = Some(MailFault::Unclear);
        assert_eq!(
            first_delivery(&approval),
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
            first_delivery(&approval),
            (
                MailState::Unknown,
                unclear,
                Deliverable::Degraded,
                Status::Pending
            ),
            "{fault:?}"
        );
        let emails = received(&smtp);
        assert_eq!(emails.len(), 2, "{fault:?}");
        assert_eq!(emails[0].message_id, emails[1].message_id);
        assert_eq!(
            question(&emails[..1], &approval.id, ALICE).code,
            question(&emails[1..], &approval.id, ALICE).code
        );
        approve(&gate, &emails, &approval, ALICE).await;
    }
}

#[tokio::test]
async fn silence_after_quit_counts_as_sent() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.always(Some(SmtpFault::SilenceAtQuit));
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    assert_eq!(approval.notifications[0].state, MailState::Sent);
}

#[tokio::test]
async fn a_permanently_refused_approver_does_not_block_the_others() {
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
        let emails = received(&smtp);
        assert_eq!(emails.len(), 1, "no retry");
        approve(&gate, &emails, &approval, &emails[0].to).await;
    }
}

/// Who has the first email can decide, and gets to know the outcome.
#[tokio::test]
async fn what_arrived_before_it_was_sent_again_still_counts() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let said = operate(&gate, json!({"command": "resend", "id": approval.id})).await;
    assert_eq!(said["queued"], 1, "{said}");
    smtp.always(Some(SmtpFault::Rcpt550(ALICE)));
    gate.sweep().await;
    smtp.always(None);
    let refused = gate.status(&approval.id).await;
    assert_eq!(
        first_delivery(&refused),
        (
            MailState::Failed,
            Some(MailFault::Refused),
            Deliverable::Degraded,
            Status::Pending
        )
    );
    approve(&gate, &received(&smtp), &approval, ALICE).await;
    gate.sweep().await;
    assert_eq!(received(&smtp).len(), 2, "the outcome");
}

#[tokio::test]
async fn a_waiting_agent_learns_of_undeliverable_at_once() {
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
        first_delivery(&approval),
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

/// A misconfiguration is reported, pauses sending, and counts as no attempt of any delivery.
#[tokio::test]
async fn misconfiguration_pauses_sending() {
    for fault in [SmtpFault::Auth535, SmtpFault::Sender550] {
        let smtp = Smtp::start().await;
        let gate = gate(&smtp, &[]).await;
        smtp.always(Some(fault.clone()));
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        let misconfigured = Some(MailFault::Misconfigured);
        assert_eq!(
            first_delivery(&approval),
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
        assert_eq!(smtp.received().len(), 2, "{fault:?}");
        assert_eq!(gate.status(&approval.id).await.deliverable, Deliverable::Ok);
    }
}

#[tokio::test]
async fn an_untrusted_server_gets_no_password_and_no_email() {
    let (smtp, other) = (Smtp::start().await, Certificate::generate());
    let untrusting = TestGate::with(&[
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &smtp.url()),
        ("HO_SMTP_CA", other.pem.to_str().unwrap()),
        ("HO_MAIL_FROM", "gate@example.com"),
    ])
    .await;
    let approval = untrusting.client.submit(&for_alice()).await.unwrap();
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
        assert!(server.received().is_empty());
        assert!(
            !server
                .commands()
                .iter()
                .any(|verb| verb == "AUTH" || verb == "MAIL")
        );
    }
}

/// The two ways of TLS have ports of their own, which are taken for one another.
#[tokio::test]
async fn the_log_names_the_scheme_that_fits_the_port() {
    let (begins, starts) = (Smtp::implicit().await, Smtp::start().await);
    for (server, url, fault, words) in [
        (
            &begins,
            format!("smtp://gate:secret@localhost:{}", begins.port),
            MailFault::Unavailable,
            "the relay did not greet in time. A port that begins with TLS, such as 465, takes smtps://",
        ),
        (
            &starts,
            format!("smtps://gate:secret@localhost:{}", starts.port),
            MailFault::Misconfigured,
            "the port does not begin with TLS: with STARTTLS the URL is smtp://",
        ),
    ] {
        let log = Log::default();
        let _guard = log.collect();
        let gate = TestGate::with(&[
            ("HO_MAIL", "smtp"),
            ("HO_SMTP_URL", &url),
            ("HO_SMTP_CA", server.certificate().to_str().unwrap()),
            ("HO_MAIL_FROM", "gate@example.com"),
        ])
        .await;
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        assert_eq!(approval.notifications[0].fault, Some(fault));
        assert_ne!(log.count(words), 0, "{:?}", log.lines());
        assert!(server.received().is_empty());
    }
}

/// Ten minutes without a mail server: no request is lost, no email is sent twice, and the agent sees it.
#[tokio::test]
async fn an_outage_of_ten_minutes_loses_no_email() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.down(true);
    let mut requests = Vec::new();
    for _ in 0..10 {
        requests.push(gate.ask().await);
        gate.pass(MINUTE);
        gate.sweep().await;
    }
    for approval in &requests {
        let approval = gate.status(&approval.id).await;
        assert_eq!(
            first_delivery(&approval),
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
    let emails = received(&smtp);
    assert_eq!(emails.len(), 20);
    for approval in &requests {
        for address in [ALICE, BOB] {
            question(&emails, &approval.id, address);
        }
        assert_eq!(gate.status(&approval.id).await.deliverable, Deliverable::Ok);
    }
    approve(&gate, &emails, &requests[0], BOB).await;
}

/// Half an hour is the longest pause between attempts.
#[tokio::test]
async fn an_outcome_notice_that_is_given_up_is_logged_once_and_can_be_sent_again() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    let asked = gate.client.submit(&for_alice()).await.unwrap();
    smtp.down(true);
    let log = Log::default();
    let collecting = log.collect();
    gate.pass(Duration::from_secs(3_600));
    for _ in 0..20 {
        gate.sweep().await;
        gate.pass(MINUTE * 31);
    }
    drop(collecting);
    let about_outcome = log
        .lines()
        .into_iter()
        .filter(|line| line.contains("kind=\"Outcome\""));
    let (given_up, tried): (Vec<_>, Vec<_>) =
        about_outcome.partition(|line| line.contains("email given up"));
    assert_eq!((tried.len(), given_up.len()), (12, 1), "{given_up:?}");
    assert!(given_up[0].contains("approver=1"), "{given_up:?}");
    smtp.down(false);
    let before = received(&smtp).len();
    operate(&gate, json!({"command": "resend", "id": asked.id})).await;
    gate.sweep().await;
    assert_eq!(received(&smtp).len(), before + 1);
}

/// A timeout without any sent email is reported as undeliverable.
#[tokio::test]
async fn a_refusal_tells_undeliverable_from_timeout() {
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
            .run(&user, |_| async { panic!("the action must not run") })
            .await;
        assert_eq!(outcome.into_result().unwrap_err().reason, reason);
        let row = gate.entity(&id).await;
        assert_eq!(row["Status"], "Timeout");
        assert_eq!(row["NotificationStatus"], notified);
    }
}

#[tokio::test]
async fn an_unknown_outcome_after_a_transient_error_is_retried() {
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
