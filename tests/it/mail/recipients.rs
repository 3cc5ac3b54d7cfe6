//! Refusals at RCPT and after DATA: of the recipient, of the sender, of the email, and those that are about the relay.

use human_oversight_client::types::{Deliverable, MailFault, MailState, NewApproval, Status};

use super::{first_delivery, gate};
use crate::harness::for_alice;
use crate::smtp::{Smtp, SmtpFault};

type Delivery = (MailState, Option<MailFault>, Status);

/// What becomes of an email with this fault, and of its request.
async fn deliver(fault: SmtpFault) -> (Delivery, Deliverable) {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.fault(fault);
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let (state, fault, deliverable, status) = first_delivery(&approval);
    ((state, fault, status), deliverable)
}

/// Only a refusal gives the approver up.
fn after(fault: MailFault) -> Delivery {
    match fault {
        MailFault::Refused => (MailState::Failed, Some(fault), Status::Undeliverable),
        _ => (MailState::Queued, Some(fault), Status::Pending),
    }
}

/// Many relays check the sender, and whether they relay for the client, only at RCPT.
#[tokio::test]
async fn only_a_refusal_that_is_about_the_recipient_gives_an_approver_up() {
    use MailFault::{Misconfigured, Refused, Unavailable};
    for (answer, expected) in [
        (
            "550 5.1.8 <gate@example.com>: Sender address rejected: Domain not found",
            Misconfigured,
        ),
        (
            "553 5.1.7 <gate@example.com>: Sender address rejected",
            Misconfigured,
        ),
        (
            "553 5.7.1 <gate@example.com>: Sender address rejected: not owned by user",
            Unavailable,
        ),
        ("554 5.7.1 <TO>: Relay access denied", Unavailable),
        ("550 5.7.1 Relaying denied", Unavailable),
        ("550 Relaying denied", Unavailable),
        ("550 relay not permitted", Unavailable),
        ("550 Sender verify failed", Unavailable),
        (
            "553 that domain isn't in my list of allowed rcpthosts (#5.7.1)",
            Unavailable,
        ),
        (
            "521 5.3.2 System not accepting network messages",
            Unavailable,
        ),
        ("521 localhost does not accept mail", Unavailable),
        ("530 Authentication required", Unavailable),
        (
            "550 5.1.90 The daily limit for message recipients is reached",
            Unavailable,
        ),
        ("503 5.5.1 Bad sequence of commands", Unavailable),
        ("550 daily limit reached", Unavailable),
        ("550 SMTP AUTH is required", Unavailable),
        ("550 Administrative prohibition", Unavailable),
        (
            "550 Client host is on our blacklist (Exim 4.96.2)",
            Unavailable,
        ),
        (
            "550 #5.7.1 Your access to submit messages was rejected",
            Unavailable,
        ),
        (
            "550-Access denied\r\n550 5.7.1 Client host rejected",
            Unavailable,
        ),
        ("550 Your IP address is on our blacklist, <TO>", Unavailable),
        (
            "550 Domain example.com has exceeded the max emails per hour",
            Unavailable,
        ),
        ("550 5.1.1 <TO>: no such user", Refused),
        ("550 <TO>: no such user", Refused),
        ("550 5.1.10 Recipient not found", Refused),
        ("550 5.2.1 This mailbox is disabled", Refused),
        ("553 5.1.3 <TO>: Bad recipient address syntax", Refused),
        ("550 No such user (#5.1.1)", Refused),
        ("556 5.1.10 The domain does not accept mail", Refused),
    ] {
        let found = deliver(SmtpFault::RcptAnswer(answer)).await;
        assert_eq!(found, (after(expected), Deliverable::None), "{answer}");
    }
}

/// Its recipient has been accepted by then.
#[tokio::test]
async fn after_data_only_a_refusal_that_is_about_the_email_gives_an_approver_up() {
    use MailFault::{Misconfigured, Refused, Unavailable, Unclear};
    for (answer, expected) in [
        (
            "554 Message rejected: Email address is not verified",
            Unavailable,
        ),
        ("554 Sending paused for this account", Unavailable),
        ("550 Domain has exceeded its quota", Unavailable),
        ("550 5.4.5 Daily sending quota exceeded", Unavailable),
        ("554 5.7.1 Message contains spam", Unavailable),
        ("550 5.1.8 Sender address rejected", Misconfigured),
        ("554 Rejected by SpamAssassin 4.0.1", Unavailable),
        ("552 Message size exceeds the maximum", Refused),
        ("552 5.3.4 Message too big", Refused),
        ("550 5.1.1 No such user", Refused),
        // Only a code of the second hundred says that the relay has taken the email.
        ("354 Go on", Unclear),
    ] {
        let (delivery, _) = deliver(SmtpFault::DataAnswer(answer)).await;
        assert_eq!(delivery, after(expected), "{answer}");
    }
}

/// An address with such words in it is an address all the same.
#[tokio::test]
async fn the_words_of_an_address_are_no_reason_of_the_relay() {
    let smtp = Smtp::start().await;
    let gate = gate(&smtp, &[]).await;
    smtp.fault(SmtpFault::RcptAnswer("550 <TO>: no such user"));
    let request = NewApproval {
        approver_emails: vec!["Relay-Sender@example.com".to_owned()],
        ..for_alice()
    };
    let approval = gate.client.submit(&request).await.unwrap();
    assert_eq!(approval.notifications[0].fault, Some(MailFault::Refused));
}
