//! `POST /api/submit`.

use human_oversight_client::parameters::Parameters;
use human_oversight_client::types::{Deliverable, ExecutionStatus, MailState, Status};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, TestGate, object, request};

/// What the predecessor's decorator sends, to the byte.
pub(crate) const AS_BEFORE: &str = r#"{"agentName": "UserManagerAgent", "actionDescription": "Delete User Account", "parameters": {"user_id": "1"}, "approverEmails": ["alice@example.com"], "correlationId": "4f4dbd79-e2d1-4a7e-8f3b-b2f6ffda2de1", "timestamp": "2025-04-13T15:57:40.843511+00:00"}"#;

#[tokio::test]
async fn a_request_is_stored_and_the_approvers_are_mailed() {
    let gate = TestGate::start().await;
    let answer = gate
        .post("/api/submit", serde_json::to_vec(&request()).unwrap())
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let approval = answer.json();
    let id = approval["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/status/{id}"));
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(answer.header("cache-control"), "no-store");

    let approval = gate.status(id).await;
    assert_eq!(approval.status, Status::Pending);
    assert_eq!(approval.agent_name, "UserManagerAgent");
    assert_eq!(approval.deliverable, Deliverable::Ok);
    assert_eq!(approval.status_url, format!("{}/api/status/{id}", gate.url));
    let digest = Parameters::of(&request().parameters).unwrap().digest();
    assert_eq!(
        approval.parameters_digest,
        human_oversight_client::parameters::hex(&digest)
    );
    let states: Vec<_> = approval
        .notifications
        .iter()
        .map(|n| (n.state, n.attempts))
        .collect();
    assert_eq!(states, [(MailState::Sent, 1), (MailState::Sent, 1)]);

    let mails = gate.mails();
    assert_eq!(mails.len(), 2);
    let (alice, bob) = (
        gate.question(&approval, ALICE),
        gate.question(&approval, BOB),
    );
    assert!(
        alice.link != bob.link && alice.code.len() == 6,
        "each link is personal"
    );
    for mail in mails {
        assert_eq!(
            mail.subject,
            "Approval needed: Delete User Account (UserManagerAgent)"
        );
        assert!(mail.source.contains("Auto-Submitted: auto-generated"));
        assert!(
            mail.source
                .contains("X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply")
        );
    }
}

#[tokio::test]
async fn the_same_request_again_is_the_same_request_and_no_second_mail() {
    let gate = TestGate::start().await;
    let first = gate.post("/api/submit", AS_BEFORE).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    // Another clock, another order, other spellings: the same content.
    let again = r#"{"timestamp":"2026-01-01","correlationId":"4f4dbd79-e2d1-4a7e-8f3b-b2f6ffda2de1",
        "parameters":{"user_id":"\u0031"},"approverEmails":["alice@example.com"],
        "actionDescription":"Delete User Account","agentName":"UserManagerAgent"}"#;
    let second = gate.post("/api/submit", again).await;
    assert_eq!(
        (second.status, second.json()),
        (StatusCode::ACCEPTED, first.json())
    );
    for other in [
        AS_BEFORE.replace(r#""user_id": "1""#, r#""user_id": "2""#),
        AS_BEFORE.replace("alice@", "bob@"),
        AS_BEFORE.replace("Delete User Account", "Delete user account"),
        AS_BEFORE.replace(r#""timestamp""#, r#""timeoutSeconds": 60, "timestamp""#),
    ] {
        let answer = gate.post("/api/submit", other).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        answer.problem();
    }
    assert_eq!(gate.mails().len(), 1);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        gate.status(&id).await.notifications[0].attempts,
        1,
        "mailed once"
    );
    // Another agent may use the same name for a request of its own.
    let other = gate
        .post(
            "/api/submit",
            AS_BEFORE.replace("UserManagerAgent", "Other"),
        )
        .await;
    assert_eq!(other.status, StatusCode::ACCEPTED);

    let approval = gate.status(first.json()["id"].as_str().unwrap()).await;
    gate.approve(&approval, ALICE).await;
    let decided = gate.post("/api/submit", AS_BEFORE).await;
    assert_eq!(
        (decided.status, &decided.json()["status"]),
        (StatusCode::OK, &json!("Approved"))
    );
}

#[tokio::test]
async fn sixty_four_submits_of_one_request_are_one_request() {
    let gate = TestGate::start().await;
    let answers = futures_of(64, || gate.post("/api/submit", AS_BEFORE)).await;
    for answer in answers {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    }
    assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 1));
    // A second mail would take the place of the first in the folder; the row counts them.
    let row = &gate.stored().await[0].2;
    assert!(
        row.contains(r#"\"kind\":\"Question\",\"attempts\":1,\"state\":\"Sent\""#),
        "{row}"
    );
}

#[tokio::test]
async fn requests_of_real_agents_are_taken_as_they_are() {
    let gate = TestGate::start().await;
    let mut long = request();
    long.agent_name = "Publisher · Übersetzung 東京 👩\u{200d}💻".to_owned();
    long.action_description = "Publish “Résumé — Q3” as a public Gist".to_owned();
    long.parameters = object(json!({
        "filename": "наш отчёт.md",
        "content": "# Report\n\n".to_owned() + &"Lorem ipsum dolor sit amet, ünïcödé. ".repeat(600),
        "amounts": [0.1, 1.0, 1e2, -0.0, 9_007_199_254_740_992_u64, 1e21],
        "nested": {"a": [{"b": [[], {}, null, true, {"": "empty name"}]}]},
        "escapes": "tab\t quote\" back\\ slash/ nul\u{0} bell\u{7} bidi\u{202e} tag\u{e0041}",
    }));
    long.reason =
        Some("The user asked for it.\r\nThen they asked again:\n\n- twice\n- firmly".to_owned());
    long.on_behalf_of = Some("requester@example.com".to_owned());
    long.correlation_id = Some("Run_1.step-2".to_owned());
    let approval = gate.client.submit(&long).await.unwrap();
    let digest = Parameters::of(&long.parameters).unwrap();
    assert_eq!(
        approval.parameters_digest,
        human_oversight_client::parameters::hex(&digest.digest())
    );
    assert_eq!(gate.status(&approval.id).await, approval);
    gate.approve(&approval, BOB).await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Approved);
}

#[tokio::test]
async fn limits_hold_to_the_last_byte_and_are_named() {
    let gate = TestGate::start().await;
    let mut body = serde_json::to_value(request()).unwrap();
    // {"text":"…"} has 11 bytes around the text.
    for (length, status) in [(30 * 1024 - 11, 202), (30 * 1024 - 10, 422)] {
        body["parameters"] = json!({"text": "x".repeat(length)});
        let answer = gate.post("/api/submit", body.to_string()).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 422 {
            assert!(
                answer.problem()["errors"][0]["detail"]
                    .as_str()
                    .unwrap()
                    .contains("30720")
            );
        }
    }
    body["parameters"] = json!({});
    body["approverEmails"] = (0..20).map(|i| format!("a{i}@example.com")).collect();
    body["agentName"] = json!("é".repeat(85));
    body["actionDescription"] = json!("ж".repeat(256));
    body["reason"] = json!("書".repeat(2_000));
    body["correlationId"] = json!("x".repeat(64));
    body["timeoutSeconds"] = json!(2_592_000);
    let answer = gate.post("/api/submit", body.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    body["agentName"] = json!("/".repeat(128));
    body["timeoutSeconds"] = json!(2_592_000.0);
    let answer = gate.post("/api/submit", body.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
}

#[tokio::test]
async fn every_fault_is_told_at_once() {
    let gate = TestGate::start().await;
    let answer = gate
        .post("/api/submit", r#"{"agentName": "", "parameters": []}"#)
        .await;
    let problem = answer.problem();
    let pointers: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        pointers,
        [
            "/agentName",
            "/actionDescription",
            "/parameters",
            "/approverEmails"
        ]
    );
}

#[tokio::test]
async fn mails_show_of_the_parameters_what_the_operator_wants() {
    let mut secret = request();
    secret.parameters = object(json!({"user_id": "u-17", "api_key": "k-4711"}));
    for (setting, shows_id, shows_key) in [
        ("full", true, true),
        ("redacted", true, false),
        ("none", false, false),
    ] {
        let gate = TestGate::with(&[("HO_MAIL_PARAMETERS", setting)]).await;
        let approval = gate.client.submit(&secret).await.unwrap();
        let mail = gate.mails().remove(0);
        for text in [&mail.text, &mail.html] {
            assert_eq!(text.contains("u-17"), shows_id, "{setting}");
            assert_eq!(text.contains("k-4711"), shows_key, "{setting}");
        }
        let page = gate.get(&gate.question(&approval, ALICE).link).await;
        assert!(
            page.body.contains("u-17") && page.body.contains("k-4711"),
            "the page shows all"
        );
    }
}

#[tokio::test]
async fn who_acts_for_somebody_may_still_be_decided_about_by_others() {
    let gate = TestGate::start().await;
    let mut request = request();
    request.on_behalf_of = Some("requester@example.com".to_owned());
    let approval = gate.client.submit(&request).await.unwrap();
    assert!(gate.mails()[0].text.contains("requester@example.com"));
    assert_eq!(approval.status, Status::Pending);
}

// The predecessor's protocol: one call that answers the decision.

#[tokio::test]
async fn synchronously_an_approval_is_answered_once_and_claimed() {
    let gate = TestGate::start().await;
    let caller = {
        let (http, url) = (
            gate.http.clone(),
            format!("{}/api/submit?wait=60", gate.url),
        );
        let call = http
            .post(url)
            .header("content-type", "application/json")
            .body(AS_BEFORE);
        tokio::spawn(async move { call.send().await.unwrap().json_value().await })
    };
    let approval = gate.first_pending().await;
    gate.approve(&approval, ALICE).await;
    let (status, answer) = caller.await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer["correlationId"],
        "4f4dbd79-e2d1-4a7e-8f3b-b2f6ffda2de1"
    );
    assert_eq!(
        (&answer["status"], &answer["approver"]),
        (&json!("Approved"), &json!(ALICE))
    );
    assert_eq!(answer["execution"]["status"], "Executing");

    let repeat = gate.post("/api/submit?wait=60", AS_BEFORE).await;
    assert_eq!(repeat.status, StatusCode::CONFLICT, "{}", repeat.body);
    repeat.problem();
}

#[tokio::test]
async fn synchronously_a_rejection_and_a_timeout_are_answered_truthfully() {
    let gate = TestGate::start().await;
    let call = |wait: &str, body: String| {
        let url = format!("{}/api/submit{wait}", gate.url);
        let call = gate
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        tokio::spawn(async move { call.send().await.unwrap().json_value().await })
    };
    let rejected = call("?wait=60", AS_BEFORE.to_owned());
    let approval = gate.first_pending().await;
    gate.reject(&approval, ALICE, "not today").await;
    let (status, answer) = rejected.await.unwrap();
    assert_eq!(
        (status, &answer["status"]),
        (StatusCode::OK, &json!("Rejected"))
    );
    assert_eq!(
        (&answer["approver"], &answer["comment"]),
        (&json!(ALICE), &json!("not today"))
    );

    // Without `timeoutSeconds` the wait is the deadline, and its end is stored before it is told.
    let timed_out = call("?wait=1", AS_BEFORE.replace("4f4dbd79", "00000000"));
    let (status, answer) = timed_out.await.unwrap();
    assert_eq!(
        (status, &answer["status"]),
        (StatusCode::OK, &json!("Timeout"))
    );
    assert_eq!(answer["approver"], "", "as the predecessor answered");
    let row = gate
        .stored()
        .await
        .into_iter()
        .find(|(key, ..)| key.starts_with("00000000"))
        .unwrap();
    assert!(row.2.contains(r#""Status":"Timeout""#), "{}", row.2);
}

#[tokio::test]
async fn synchronously_a_longer_deadline_outlives_the_wait() {
    let gate = TestGate::start().await;
    let body = AS_BEFORE.replace(r#""timestamp""#, r#""timeoutSeconds": 600, "timestamp""#);
    let pending = gate.post("/api/submit?wait=1", body.clone()).await;
    assert_eq!(pending.status, StatusCode::ACCEPTED);
    assert_eq!(pending.json()["status"], "Pending");
    let approval = gate.status(pending.json()["id"].as_str().unwrap()).await;
    gate.approve(&approval, ALICE).await;
    let approved = gate.post("/api/submit?wait=1", body).await;
    assert_eq!(
        (approved.status, &approved.json()["status"]),
        (StatusCode::OK, &json!("Approved"))
    );
    assert_eq!(
        gate.status(&approval.id).await.execution.unwrap().status,
        ExecutionStatus::Executing
    );
}

#[tokio::test]
async fn the_wait_may_be_a_preference() {
    let gate = TestGate::start().await;
    let call = gate
        .http
        .post(format!("{}/api/submit", gate.url))
        .header("content-type", "application/json; charset=utf-8")
        .header("prefer", "respond-async, wait=1")
        .body(AS_BEFORE);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.headers()["preference-applied"], "wait=1");
    assert_eq!(answer.json_value().await.1["status"], "Timeout");

    for wait in ["0", "101", "-1", "x", ""] {
        let answer = gate
            .post(&format!("/api/submit?wait={wait}"), AS_BEFORE)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "wait={wait}");
        assert!(
            answer.problem()["detail"]
                .as_str()
                .unwrap()
                .contains("1 to 100")
        );
    }
    let claimant = AS_BEFORE.replace(
        r#""timestamp""#,
        &format!(r#""claimant": "{}", "timestamp""#, "0".repeat(64)),
    );
    assert_eq!(gate.post("/api/submit?wait=5", claimant).await.status, 422);
}

trait JsonValue {
    async fn json_value(self) -> (StatusCode, Value);
}

impl JsonValue for reqwest::Response {
    async fn json_value(self) -> (StatusCode, Value) {
        (
            self.status(),
            serde_json::from_slice(&self.bytes().await.unwrap()).unwrap(),
        )
    }
}

impl TestGate {
    /// The first request that is stored, as soon as its mail is there.
    pub(crate) async fn first_pending(&self) -> human_oversight_client::types::Approval {
        eventually(async || {
            let mails = self.mails();
            let (_, id) = mails.first()?.text.split_once("/api/decision/").unwrap();
            let approval = self.status(id.split_once('?').unwrap().0).await;
            (approval.deliverable == Deliverable::Ok).then_some(approval)
        })
        .await
    }
}

async fn futures_of<F: Future>(count: usize, call: impl Fn() -> F) -> Vec<F::Output> {
    futures_util::future::join_all((0..count).map(|_| call())).await
}

#[tokio::test]
async fn an_agent_has_no_more_open_requests_than_it_may() {
    let gate = TestGate::with(&[("HO_OPEN_LIMIT", "3")]).await;
    let mut named = request();
    named.correlation_id = Some("first".to_owned());
    let first = gate.client.submit(&named).await.unwrap();
    let second = gate.ask().await;
    gate.ask().await;
    let mails = gate.mails().len();

    let body = serde_json::to_string(&request()).unwrap();
    let refused = gate.post("/api/submit", body.clone()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "60");
    let problem = refused.problem();
    assert_eq!(problem["type"], "urn:human-oversight:problem:too-many");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("3 open requests"), "{detail}");
    assert_eq!((gate.stored().await.len(), gate.mails().len()), (3, mails));
    // Whoever asks for what is stored gets it, and another agent is not held up.
    let again = gate.client.submit(&named).await.unwrap();
    assert_eq!(
        (again.id, again.status),
        (first.id.clone(), Status::Pending)
    );
    let mut other = request();
    other.agent_name = "PaymentsAgent".to_owned();
    gate.client.submit(&other).await.unwrap();

    // What ends makes room: at once when it is withdrawn and nobody is told, else with the mails.
    gate.reject(&first, ALICE, "no").await;
    gate.approve(&second, ALICE).await;
    gate.sweep().await;
    let accepted = gate.post("/api/submit", body.clone()).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    let refused = gate.post("/api/submit", body).await;
    assert_eq!(
        refused.status,
        StatusCode::TOO_MANY_REQUESTS,
        "one waits for its claim"
    );
}
