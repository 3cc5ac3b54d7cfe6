//! `POST /api/outcome/{id}`.

use std::time::Duration;

use human_oversight_client::types::{ExecutionStatus, Report};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::claim::claim;
use crate::harness::{ALICE, BOB, Mail, TestGate, request};
use crate::mail;
use crate::smtp::Smtp;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn report(error: Option<&str>) -> Report {
    let status = match error {
        None => ExecutionStatus::Executed,
        Some(_) => ExecutionStatus::ExecutionFailed,
    };
    Report {
        status,
        error: error.map(str::to_owned),
        nonce: None,
        secret: None,
    }
}

async fn claimed(gate: &TestGate) -> String {
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.client
        .claim(&approval.id, &claim("0123456789abcdef"))
        .await
        .unwrap();
    approval.id
}

async fn post(gate: &TestGate, id: &str, body: Value) -> StatusCode {
    gate.post(&format!("/api/outcome/{id}"), body.to_string())
        .await
        .status
}

#[tokio::test]
async fn an_outcome_is_recorded_once() {
    let gate = TestGate::start().await;
    let id = claimed(&gate).await;
    let executed = gate.client.outcome(&id, &report(None)).await.unwrap();
    assert_eq!(
        executed.execution.as_ref().unwrap().status,
        ExecutionStatus::Executed
    );
    assert_eq!(
        gate.client.outcome(&id, &report(None)).await.unwrap(),
        executed,
        "a repeated report"
    );
    assert_eq!(
        post(&gate, &id, json!({"status": "ExecutionFailed"})).await,
        StatusCode::CONFLICT
    );

    let id = claimed(&gate).await;
    let failed = gate
        .client
        .outcome(&id, &report(Some("disk full")))
        .await
        .unwrap();
    let execution = failed.execution.clone().unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    assert_eq!(execution.error.as_deref(), Some("disk full"));
    assert_eq!(
        gate.client
            .outcome(&id, &report(Some("disk full")))
            .await
            .unwrap(),
        failed
    );
    assert_eq!(
        post(
            &gate,
            &id,
            json!({"status": "ExecutionFailed", "error": "other"})
        )
        .await,
        409
    );
    assert_eq!(
        post(&gate, &id, json!({"status": "Executed"})).await,
        StatusCode::CONFLICT
    );
}

#[tokio::test]
async fn a_report_of_another_claim_than_the_granted_one_is_refused() {
    let gate = TestGate::start().await;
    let of_claim = |nonce: &str, error| Report {
        nonce: Some(nonce.to_owned()),
        ..report(error)
    };
    let (granted, other) = ("0123456789abcdef", "another-0123456789");
    let lost = of_claim(other, Some("not run: the answer to the claim was lost"));
    let id = claimed(&gate).await;
    let before = gate.stored().await;
    let refused = |reports| async {
        for report in reports {
            let problem = gate.client.outcome(&id, &report).await.unwrap_err();
            let text = problem.to_string();
            assert!(text.contains("granted to another claim"), "{text}");
        }
    };
    refused([lost.clone(), of_claim(other, None)]).await;
    assert_eq!(gate.stored().await, before);
    let executed = of_claim(granted, None);
    let first = gate.client.outcome(&id, &executed).await.unwrap();
    assert_eq!(gate.client.outcome(&id, &executed).await.unwrap(), first);
    refused([lost, of_claim(other, None)]).await;
    assert_eq!(gate.status(&id).await, first);

    for nonce in [json!("short"), json!(1), json!("with a blank in it")] {
        let answer = gate
            .post(
                &format!("/api/outcome/{id}"),
                json!({"status": "Executed", "nonce": nonce}).to_string(),
            )
            .await;
        assert_eq!(answer.status, 422, "{nonce}");
        assert_eq!(answer.problem()["errors"][0]["pointer"], "/nonce");
    }
}

#[tokio::test]
async fn an_outcome_requires_a_claim() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    assert_eq!(
        post(&gate, &approval.id, json!({"status": "Executed"})).await,
        StatusCode::CONFLICT
    );
    gate.approve(&approval, ALICE).await;
    assert_eq!(
        post(&gate, &approval.id, json!({"status": "Executed"})).await,
        StatusCode::CONFLICT
    );
    assert_eq!(
        post(&gate, "YQ.b", json!({"status": "Executed"})).await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_missing_report_becomes_unknown_and_a_late_one_is_recorded() {
    let gate = TestGate::with(&[("HO_OUTCOME_WITHIN", "60")]).await;
    let id = claimed(&gate).await;
    gate.pass(Duration::from_secs(60));
    gate.sweep().await;
    let unknown = gate.status(&id).await.execution.unwrap();
    assert_eq!(unknown.status, ExecutionStatus::ExecutionUnknown);
    let late = gate.client.outcome(&id, &report(None)).await.unwrap();
    assert_eq!(late.execution.unwrap().status, ExecutionStatus::Executed);
    let history = &gate.stored().await[0].2;
    let events: Vec<_> = ["ExecutionUnknown", "Executed", "ReportedLate"]
        .iter()
        .map(|what| {
            history
                .find(&format!(r#"\"what\":\"{what}\""#))
                .expect("the history contains the event")
        })
        .collect();
    assert!(events.is_sorted());
}

fn failure_notices(gate: &TestGate) -> Vec<Mail> {
    let mut mails = gate.mails();
    mails.retain(|mail| mail.message_id.contains(".failure@"));
    mails
}

#[tokio::test]
async fn everyone_who_was_asked_is_emailed_once_that_it_failed() {
    let gate = TestGate::start().await;
    let id = claimed(&gate).await;
    let error = report(Some(
        "See https://evil.example/\u{202e} \u{440}aypal\nline 2",
    ));
    for _repeated in 0..2 {
        gate.client.outcome(&id, &error).await.unwrap();
        gate.sweep().await;
    }
    let mails = failure_notices(&gate);
    let mut to: Vec<_> = mails.iter().map(|mail| mail.to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, [ALICE, BOB]);
    for mail in &mails {
        assert!(
            mail.subject.starts_with("[Failed] Delete User Account · #"),
            "{}",
            mail.subject
        );
        assert!(mail.answers.is_some(), "in the conversation of the request");
        for text in [&mail.text, &mail.html] {
            for words in [
                "Failed: the agent reported on ",
                "Approved by alice@example.com on ",
                "The agent says (not verified):",
                "https[:]//evil[.]example/\\u{202e}",
                "line 2",
                "Check before you approve it again.",
            ] {
                assert!(text.contains(words), "{words}\n{text}");
            }
            assert!(
                !text.contains("https://evil") && !text.contains('\u{202e}'),
                "{text}"
            );
        }
        assert!(mail.html.contains("<br>line 2"), "{}", mail.html);
    }
    let row = gate.entity(&id).await;
    let notifications: Value =
        serde_json::from_str(row["Notifications"].as_str().unwrap()).unwrap();
    let kinds = |index: usize| -> Vec<Value> {
        let mails = notifications[index]["mails"].as_array().unwrap();
        mails.iter().map(|mail| mail["kind"].clone()).collect()
    };
    // In the words that earlier versions know.
    for index in 0..2 {
        assert_eq!(
            kinds(index),
            ["Question", "Reminder", "LastReminder", "Outcome", "Outcome"]
        );
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_emailed_once_whatever_is_reported_later() {
    for (late, emailed_first) in [(None, true), (Some("broke"), true), (None, false)] {
        let gate = TestGate::with(&[("HO_OUTCOME_WITHIN", "60")]).await;
        let id = claimed(&gate).await;
        gate.sweep().await;
        gate.pass(Duration::from_secs(60));
        if emailed_first {
            gate.sweep().await;
            let mails = failure_notices(&gate);
            assert_eq!(mails.len(), 2);
            assert!(
                mails[0].subject.starts_with("[Unknown] "),
                "{}",
                mails[0].subject
            );
            assert!(
                mails[0].text.starts_with("Outcome unknown: "),
                "{}",
                mails[0].text
            );
            std::fs::remove_dir_all(gate.mail_folder()).unwrap();
        }
        gate.client.outcome(&id, &report(late)).await.unwrap();
        gate.sweep().await;
        assert_eq!(failure_notices(&gate).len(), 0, "{late:?}");
    }
}

/// The states in the subjects of what a person got after the question.
fn states_to(smtp: &Smtp, person: &str) -> Vec<String> {
    let emails = mail::received(smtp).into_iter();
    let own = emails.filter(|mail| mail.to == person && mail.answers.is_some());
    let states = own.map(|mail| mail.subject.split(' ').next().unwrap().to_owned());
    states.collect()
}

/// Else it would follow the email about the failure, and say that nothing is left to do.
#[tokio::test]
async fn an_approval_that_an_outage_delays_is_not_emailed_after_its_failure() {
    for (error, expected) in [(Some("broke"), "[Failed]"), (None, "[Approved]")] {
        let smtp = Smtp::start().await;
        let gate = mail::gate(&smtp, &[]).await;
        let approval = gate.client.submit(&request()).await.unwrap();
        let emails = mail::received(&smtp);
        smtp.down(true);
        mail::approve(&gate, &emails, &approval, ALICE).await;
        for _ in 0..4 {
            gate.sweep().await;
            gate.pass(MINUTE);
        }
        gate.client
            .claim(&approval.id, &claim("0123456789abcdef"))
            .await
            .unwrap();
        smtp.down(false);
        let report = report(error);
        gate.client.outcome(&approval.id, &report).await.unwrap();
        for _ in 0..20 {
            gate.sweep().await;
            gate.pass(MINUTE);
        }
        for person in [ALICE, BOB] {
            assert_eq!(states_to(&smtp, person), [expected], "{person}");
        }
    }
}

/// A notice that the outcome is unknown, and is not any more, takes nothing with it.
#[tokio::test]
async fn the_approval_is_emailed_where_the_notice_that_took_its_place_is_needless() {
    let smtp = Smtp::start().await;
    let gate = mail::gate(&smtp, &[("HO_OUTCOME_WITHIN", "60")]).await;
    let approval = gate.client.submit(&request()).await.unwrap();
    let emails = mail::received(&smtp);
    smtp.down(true);
    mail::approve(&gate, &emails, &approval, ALICE).await;
    gate.client
        .claim(&approval.id, &claim("0123456789abcdef"))
        .await
        .unwrap();
    for _ in 0..4 {
        gate.sweep().await;
        gate.pass(MINUTE);
    }
    gate.client
        .outcome(&approval.id, &report(None))
        .await
        .unwrap();
    smtp.down(false);
    for _ in 0..20 {
        gate.sweep().await;
        gate.pass(MINUTE);
    }
    for person in [ALICE, BOB] {
        assert_eq!(states_to(&smtp, person), ["[Approved]"], "{person}");
    }
}

#[tokio::test]
async fn without_outcome_notices_a_failure_is_not_emailed() {
    let gate = TestGate::with(&[("HO_MAIL_NOTES", "reminders,withdrawn")]).await;
    let id = claimed(&gate).await;
    gate.client.outcome(&id, &report(Some("x"))).await.unwrap();
    gate.sweep().await;
    assert_eq!(failure_notices(&gate).len(), 0);
}

#[tokio::test]
async fn an_invalid_report_gets_a_problem_that_names_the_field() {
    let gate = TestGate::start().await;
    let id = claimed(&gate).await;
    for (body, pointer) in [
        (json!({}), "/status"),
        (json!({"status": "Approved"}), "/status"),
        (json!({"status": null}), "/status"),
        (json!({"status": "Executed", "error": "but"}), "/error"),
        (json!({"status": "ExecutionFailed", "error": 1}), "/error"),
        (
            json!({"status": "ExecutionFailed", "error": "x".repeat(2_001)}),
            "/error",
        ),
    ] {
        let answer = gate
            .post(&format!("/api/outcome/{id}"), body.to_string())
            .await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.problem()["errors"][0]["pointer"], pointer);
    }
    assert_eq!(
        gate.status(&id).await.execution.unwrap().status,
        ExecutionStatus::Executing
    );
}
