//! Email by Azure Communication Services and by Microsoft Graph.

use std::time::Duration;

use human_oversight_client::types::{Deliverable, MailFault, MailState, NewApproval, Status};
use serde_json::Value;

use super::{MINUTE, approve, first_delivery};
use crate::acs::{self, Acs};
use crate::graph::{Graph, MAILBOX};
use crate::harness::{ALICE, Log, Mail, TestGate, for_alice, question};
use crate::identity::identity_service;
use crate::process::{Process, decide_at};

/// Starts a gate that sends by Communication Services with the resource's access key.
async fn acs_gate(acs: &Acs) -> TestGate {
    let connection = format!("endpoint={}/;accesskey={}", acs.url(), acs::KEY);
    TestGate::with(&[
        ("HO_MAIL", "acs"),
        ("HO_ACS_CONNECTION_STRING", &connection),
        ("HO_MAIL_FROM", "approvals@notify.example.com"),
    ])
    .await
}

/// A message of Communication Services as an email.
pub(crate) fn email_of(message: &Value) -> Mail {
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
async fn acs_sends_a_repeated_operation_once() {
    for lose in [Acs::lose_answer, Acs::fall_silent] {
        let acs = Acs::start().await;
        let gate = acs_gate(&acs).await;
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
        let emails: Vec<Mail> = acs.sent().iter().map(email_of).collect();
        assert_eq!(emails.len(), 1, "one operation");
        approve(&gate, &emails, &approval, ALICE).await;
        gate.sweep().await;
        let notice = email_of(&acs.sent()[1]);
        assert_eq!(notice.answers.as_ref(), Some(&emails[0].message_id));
    }
}

#[tokio::test]
async fn acs_is_not_called_before_its_retry_after() {
    let acs = Acs::start().await;
    let gate = acs_gate(&acs).await;
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
async fn acs_errors_are_classified() {
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
            vec![(400, "EmailDroppedAllRecipientsSuppressed")],
            MailState::Failed,
            Some(MailFault::Refused),
        ),
        (
            vec![(413, "RequestEntityTooLarge")],
            MailState::Failed,
            Some(MailFault::Refused),
        ),
        (
            vec![(400, "BadRequest")],
            MailState::Queued,
            Some(MailFault::Unavailable),
        ),
        (
            vec![(422, "UnprocessableEntity")],
            MailState::Queued,
            Some(MailFault::Unavailable),
        ),
        (
            vec![(503, "Unavailable")],
            MailState::Queued,
            Some(MailFault::Unavailable),
        ),
    ] {
        let acs = Acs::start().await;
        let gate = acs_gate(&acs).await;
        for (status, code) in &answers {
            acs.answer(*status, None, code);
        }
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        let first = &approval.notifications[0];
        assert_eq!((first.state, first.fault), (state, fault), "{answers:?}");
    }
}

/// No approver is given up for it, the log has an error, and the email goes out once the sender is right.
#[tokio::test]
async fn a_wrong_sender_ends_no_request() {
    for (code, why) in [
        ("InvalidSenderUserName", "Invalid email sender username."),
        (
            "BadRequest",
            "Request body validation error. See property 'senderAddress'",
        ),
    ] {
        let acs = Acs::start().await;
        let gate = acs_gate(&acs).await;
        let log = Log::default();
        let collecting = log.collect();
        // Communication Services are asked once more before their refusal counts.
        for _ in 0..2 {
            acs.answer_saying(400, code, why);
        }
        let approval = gate.client.submit(&for_alice()).await.unwrap();
        assert_eq!(
            first_delivery(&approval),
            (
                MailState::Queued,
                Some(MailFault::Misconfigured),
                Deliverable::None,
                Status::Pending
            ),
            "{code}"
        );
        assert_eq!(log.count("email cannot be sent with these settings"), 1);
        drop(collecting);
        for _ in 0..6 {
            gate.pass(MINUTE);
            gate.sweep().await;
        }
        assert_eq!(gate.status(&approval.id).await.deliverable, Deliverable::Ok);
    }
}

/// What is refused without a word about recipient or sender is tried again by itself: it may be this one message.
#[tokio::test]
async fn an_email_that_is_refused_for_an_unknown_reason_holds_up_no_other() {
    let acs = Acs::start().await;
    let gate = acs_gate(&acs).await;
    acs.answer(400, None, "BadRequest");
    let first = gate.client.submit(&for_alice()).await.unwrap();
    assert_eq!(first.notifications[0].fault, Some(MailFault::Unavailable));
    let second = gate.client.submit(&for_alice()).await.unwrap();
    assert_eq!(second.notifications[0].state, MailState::Sent);
    gate.pass(Duration::from_secs(31));
    gate.sweep().await;
    assert_eq!(gate.status(&first.id).await.deliverable, Deliverable::Ok);
}

#[tokio::test]
async fn acs_is_called_after_a_day_however_long_a_pause_it_asks_for() {
    for pause in ["99999999999", "Fri, 31 Dec 2999 23:59:59 GMT"] {
        let acs = Acs::start().await;
        let gate = acs_gate(&acs).await;
        acs.answer_busy_until(pause);
        let long = NewApproval {
            timeout_seconds: Some(5 * 86_400),
            ..for_alice()
        };
        let approval = gate.client.submit(&long).await.unwrap();
        gate.pass(Duration::from_secs(86_399));
        gate.sweep().await;
        assert_eq!(acs.requests().len(), 1, "{pause}");
        // The stand-in would refuse a signature of tomorrow.
        acs.answer(202, None, "Accepted");
        gate.pass(Duration::from_secs(1));
        gate.sweep().await;
        let approval = gate.status(&approval.id).await;
        assert_eq!(approval.notifications[0].state, MailState::Sent, "{pause}");
    }
}

/// The other answers of the identity endpoint are in `identity.rs`.
#[tokio::test]
async fn an_identity_endpoint_that_cannot_be_reached_is_named_with_the_cause() {
    let (acs, dir) = (Acs::start().await, tempfile::tempdir().unwrap());
    let gate = Process::start(
        dir.path(),
        &[
            ("HO_MAIL", "acs"),
            ("HO_ACS_ENDPOINT", acs.url()),
            ("HO_MAIL_FROM", "approvals@notify.example.com"),
            ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token"),
            ("IDENTITY_HEADER", "header-secret"),
        ],
    )
    .await;
    gate.client().submit(&for_alice()).await.unwrap();
    let log = gate.kill().await;
    assert!(
        log.contains("the identity service cannot be reached: ")
            && log.contains("Connection refused"),
        "{log}"
    );
    assert!(!log.contains("no valid response"), "{log}");
    assert!(!log.contains("header-secret"), "{log}");
}

#[tokio::test]
async fn acs_accepts_a_managed_identity() {
    let (acs, dir) = (Acs::start().await, tempfile::tempdir().unwrap());
    let (url, _) = identity_service(|| long_lived("token-of-acs")).await;
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
    let emails: Vec<Mail> = acs.sent().iter().map(email_of).collect();
    let question = question(&emails, &approval.id, ALICE);
    let form = format!("decision=approve&code={}", question.code);
    assert_eq!(decide_at(&question.link, &form).await.unwrap(), 303);

    acs.trust("another");
    for _ in 0..2 {
        let approval = gate.client().submit(&for_alice()).await.unwrap();
        let fault = approval.notifications[0].fault;
        assert_eq!(fault, Some(MailFault::Misconfigured));
    }
    let log = gate.kill().await;
    let count = log
        .matches("email cannot be sent with these settings")
        .count();
    assert_eq!(count, 1, "logged once: {log}");
    assert!(
        !log.contains("token-of-acs") && !log.contains(ALICE),
        "{log}"
    );
}

#[tokio::test]
async fn graph_sends_the_email_from_a_mailbox() {
    let (graph, dir) = (Graph::start().await, tempfile::tempdir().unwrap());
    graph.trust("token-of-graph");
    let (url, _) = identity_service(|| long_lived("token-of-graph")).await;
    let gate = Process::start(
        dir.path(),
        &[
            ("HO_MAIL", "graph"),
            ("HO_GRAPH_MAILBOX", MAILBOX),
            ("HO_GRAPH_ENDPOINT", graph.url()),
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", "x"),
            // An email of a sweep would take a response that is queued for a submit.
            ("HO_SWEEP_SECONDS", "86400"),
        ],
    )
    .await;
    let approval = gate.client().submit(&for_alice()).await.unwrap();
    assert_eq!(approval.notifications[0].state, MailState::Sent);
    let emails: Vec<Mail> = graph.sent().iter().map(|mime| Mail::parse(mime)).collect();
    let question = question(&emails, &approval.id, ALICE);
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
        (400, "ErrorMessageSizeExceeded", MailFault::Refused),
        (400, "ErrorMimeContentInvalid", MailFault::Unavailable),
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

/// A token that expires in the year 2100.
fn long_lived(token: &str) -> Option<(String, u64)> {
    Some((token.to_owned(), 4_102_444_800))
}
