//! `POST /api/submit`.

mod synchronous;

use human_oversight_client::Client;
use human_oversight_client::parameters::Parameters;
use human_oversight_client::types::{Deliverable, MailState, Status};
use human_oversight_protocol::strict_json;
use reqwest::StatusCode;
use serde_json::json;

use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, TestGate, object, request};
use crate::host::OTHER_KEY;

/// The exact body that the legacy decorator sends.
pub(crate) const LEGACY_BODY: &str = r#"{"agentName": "UserManagerAgent", "actionDescription": "Delete User Account", "parameters": {"user_id": "1"}, "approverEmails": ["alice@example.com"], "correlationId": "4f4dbd79-e2d1-4a7e-8f3b-b2f6ffda2de1", "timestamp": "2025-04-13T15:57:40.843511+00:00"}"#;

#[tokio::test]
async fn a_request_is_stored_and_the_approvers_are_notified() {
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
    let digest = Parameters::new(&request().parameters).unwrap().digest();
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

    let emails = gate.mails();
    assert_eq!(emails.len(), 2);
    let (alice, bob) = (
        gate.question(&approval, ALICE),
        gate.question(&approval, BOB),
    );
    assert!(
        alice.link != bob.link && alice.code.len() == 6,
        "each link is personal"
    );
    for mail in emails {
        let subject = "[Approve?] Delete User Account · #";
        assert!(mail.subject.starts_with(subject), "{}", mail.subject);
        assert!(mail.source.contains("Auto-Submitted: auto-generated"));
        assert!(
            mail.source
                .contains("X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply")
        );
    }
}

#[tokio::test]
async fn a_repeated_submit_is_idempotent_and_sends_no_email() {
    let gate = TestGate::start().await;
    let first = gate.post("/api/submit", LEGACY_BODY).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    // Another timestamp, order and escaping: the same content.
    let again = r#"{"timestamp":"2026-01-01","correlationId":"4f4dbd79-e2d1-4a7e-8f3b-b2f6ffda2de1",
        "parameters":{"user_id":"\u0031"},"approverEmails":["alice@example.com"],
        "actionDescription":"Delete User Account","agentName":"UserManagerAgent"}"#;
    let second = gate.post("/api/submit", again).await;
    assert_eq!(
        (second.status, second.json()),
        (StatusCode::ACCEPTED, first.json())
    );
    for other in [
        LEGACY_BODY.replace(r#""user_id": "1""#, r#""user_id": "2""#),
        LEGACY_BODY.replace("alice@", "bob@"),
        LEGACY_BODY.replace("Delete User Account", "Delete user account"),
        LEGACY_BODY.replace(r#""timestamp""#, r#""timeoutSeconds": 60, "timestamp""#),
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
        "one email was sent"
    );
    // Another agent may use the same correlation id.
    let other = gate
        .post(
            "/api/submit",
            LEGACY_BODY.replace("UserManagerAgent", "Other"),
        )
        .await;
    assert_eq!(other.status, StatusCode::ACCEPTED);

    let approval = gate.status(first.json()["id"].as_str().unwrap()).await;
    gate.approve(&approval, ALICE).await;
    let decided = gate.post("/api/submit", LEGACY_BODY).await;
    assert_eq!(
        (decided.status, &decided.json()["status"]),
        (StatusCode::OK, &json!("Approved"))
    );
}

/// A mail server may read such an address as a route: `mallory%evil.example@contoso.com` is delivered to
/// mallory at evil.example, although the operator's list names contoso.com.
#[tokio::test]
async fn an_address_that_is_a_route_is_refused() {
    let gate = TestGate::start().await;
    let with = |member: &str, value: serde_json::Value| {
        let mut body = serde_json::to_value(request()).unwrap();
        body[member] = value;
        body.to_string()
    };
    for address in [
        "mallory%evil.example@example.com",
        "evil.example!mallory@example.com",
        "a/b@example.com",
        "a=b@example.com",
        "a|b@example.com",
        "a{b@example.com",
        "a}b@example.com",
        "a`b@example.com",
    ] {
        for (pointer, body) in [
            (
                "/approverEmails/0",
                with("approverEmails", json!([address])),
            ),
            ("/onBehalfOf", with("onBehalfOf", json!(address))),
        ] {
            let answer = gate.post("/api/submit", body).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{address}");
            let error = &answer.problem()["errors"][0];
            assert_eq!(error["pointer"], pointer, "{address}");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.contains("% ! / = | { } `"), "{detail}");
        }
    }
    // These were refused before, since they are not plain.
    for address in [
        "\"mallory@evil.example\"@example.com",
        "@evil.example:mallory@example.com",
        "mallory(comment)@example.com",
        "mallory@evil.example,alice@example.com",
        "mallory@evil.example;alice@example.com",
        "<mallory@evil.example>@example.com",
        "a:b@example.com",
        "a\\b@example.com",
    ] {
        let answer = gate
            .post("/api/submit", with("approverEmails", json!([address])))
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{address}");
    }
    assert!(gate.stored().await.is_empty() && gate.mails().is_empty());
}

#[tokio::test]
async fn a_name_that_is_an_address_of_a_page_is_refused() {
    let gate = TestGate::start().await;
    let mut new = request();
    new.agent_name = "https://evil.example/login".to_owned();
    let answer = gate
        .post("/api/submit", serde_json::to_vec(&new).unwrap())
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.problem()["errors"][0]["pointer"], "/agentName");
}

#[tokio::test]
async fn of_64_concurrent_submits_one_is_stored() {
    let gate = TestGate::start().await;
    let answers = join_repeated(64, || gate.post("/api/submit", LEGACY_BODY)).await;
    for answer in answers {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    }
    assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 1));
    // A second email would overwrite the first in the folder, so the row's count is checked.
    let row = &gate.stored().await[0].2;
    assert!(
        row.contains(r#"\"kind\":\"Question\",\"attempts\":1,\"state\":\"Sent\""#),
        "{row}"
    );
}

#[tokio::test]
async fn a_realistic_request_is_accepted_unchanged() {
    let gate = TestGate::start().await;
    let mut realistic = request();
    realistic.agent_name = "Publisher · Übersetzung 東京 👩".to_owned();
    realistic.action_description = "Publish “Résumé — Q3” as a public Gist".to_owned();
    realistic.parameters = object(json!({
        "filename": "наш отчёт.md",
        "content": "# Report\n\n".to_owned() + &"Lorem ipsum dolor sit amet, ünïcödé. ".repeat(600),
        "amounts": [0.1, 1.0, 1e2, -0.0, 9_007_199_254_740_991_u64, 1e-21],
        "nested": {"a": [{"b": [[], {}, null, true, {"": "empty name"}]}]},
        "escapes": "tab\t quote\" back\\ slash/ nul\u{0} bell\u{7} bidi\u{202e} tag\u{e0041}",
    }));
    realistic.reason =
        Some("The user asked for it.\r\nThen they asked again:\n\n- twice\n- firmly".to_owned());
    realistic.on_behalf_of = Some("requester@example.com".to_owned());
    realistic.correlation_id = Some("Run_1.step-2".to_owned());
    let approval = gate.client.submit(&realistic).await.unwrap();
    let as_sent = serde_json::to_vec(&realistic.parameters).unwrap();
    let digest = Parameters::new(&strict_json::parse(&as_sent).unwrap()).unwrap();
    assert_eq!(
        approval.parameters_digest,
        human_oversight_client::parameters::hex(&digest.digest())
    );
    assert_eq!(gate.status(&approval.id).await, approval);
    gate.approve(&approval, BOB).await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Approved);
}

#[tokio::test]
async fn a_null_is_as_good_as_left_out() {
    let gate = TestGate::start().await;
    let mut body = serde_json::to_value(request()).unwrap();
    body["correlationId"] = json!("with-nulls");
    let submitted = gate.post("/api/submit", body.to_string()).await;
    assert_eq!(submitted.status, StatusCode::ACCEPTED);
    for name in ["reason", "onBehalfOf", "claimant", "timeoutSeconds"] {
        body[name] = json!(null);
        let repeated = gate.post("/api/submit", body.to_string()).await;
        assert_eq!(repeated.status, StatusCode::ACCEPTED, "{name}");
        assert_eq!(repeated.json()["id"], submitted.json()["id"]);
    }
    body["parameters"]["user_id"] = json!(null);
    let other = gate.post("/api/submit", body.to_string()).await;
    assert_eq!(
        other.status,
        StatusCode::CONFLICT,
        "a parameter has a value"
    );
    assert_eq!(gate.mails().len(), 2);
}

#[tokio::test]
async fn unknown_members_are_named() {
    let gate = TestGate::start().await;
    let mut body = serde_json::to_value(request()).unwrap();
    body["approvers"] = json!(["alice@example.com"]);
    body["time_out"] = json!(null);
    for name in ["<script>", "", "123456", "zero\u{200b}width"] {
        body[name] = json!(1);
    }
    for name in [
        "on behalf of",
        "Größe",
        "$schema",
        "approver2",
        "a/b~c",
        "@type",
    ] {
        body[name] = json!(1);
    }
    let answer = gate.post("/api/submit", body.to_string()).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = answer.problem()["errors"].clone();
    let error = |pointer: &str, detail: &str| json!({"pointer": pointer, "detail": detail});
    let unknown = |pointer: &str| error(pointer, "is unknown here");
    let errors = errors.as_array().unwrap();
    for pointer in [
        "/approvers",
        "/time_out",
        "/on behalf of",
        "/Größe",
        "/$schema",
        "/approver2",
        "/a~1b~0c",
        "/@type",
    ] {
        assert!(
            errors.contains(&unknown(pointer)),
            "{pointer} in {errors:?}"
        );
    }
    let unnamed = error("", "has an unknown member");
    let unnamed = errors.iter().filter(|it| **it == unnamed);
    assert_eq!((unnamed.count(), errors.len()), (4, 12));
    let mut body = serde_json::to_value(request()).unwrap();
    for number in 0..1_000 {
        let digits = number.to_string().into_bytes();
        let name: String = digits.iter().map(|b| char::from(b - b'0' + b'a')).collect();
        body[name] = json!(1);
    }
    let answer = gate.post("/api/submit", body.to_string()).await;
    let errors = answer.problem()["errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 21);
    assert_eq!(errors[20], error("", "has 980 more unknown members"));
}

#[tokio::test]
async fn a_number_has_one_rule_however_it_is_spelt() {
    let gate = TestGate::start().await;
    let submit = async |number: &str| {
        let mut body = serde_json::to_value(request()).unwrap();
        body["parameters"] = json!({"n": "NUMBER"});
        let body = body.to_string().replace("\"NUMBER\"", number);
        gate.post("/api/submit", body).await
    };
    for number in [
        "9007199254740991",
        "-9007199254740991",
        "9007199254740991.0",
        "9.007199254740991e15",
        "90071992547409910e-1",
        "100.0",
        "1e-7",
        "0.1",
        "-0",
    ] {
        let answer = submit(number).await;
        assert_eq!(
            answer.status,
            StatusCode::ACCEPTED,
            "{number}: {}",
            answer.body
        );
    }
    for number in [
        "9007199254740992",
        "-9007199254740992",
        "9007199254740992.0",
        "9.007199254740992e15",
        "90071992547409920e-1",
        "9007199254740991.5",
        "10000000000000000",
        "1e21",
        "-1E+300",
        "0.12345678901234567890",
    ] {
        let answer = submit(number).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{number}");
        let error = answer.problem()["errors"][0].clone();
        assert_eq!(error["pointer"], "/parameters/n");
        assert!(error["detail"].as_str().unwrap().contains("±(2^53 - 1)"));
    }
}

#[tokio::test]
async fn limits_are_exact_and_named() {
    let gate = TestGate::start().await;
    let mut body = serde_json::to_value(request()).unwrap();
    // {"text":"…"} adds 11 bytes to the text.
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
async fn a_problem_lists_every_invalid_field() {
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
async fn emails_show_parameters_as_configured() {
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
        assert!(page.body.contains("u-17"), "the page shows every parameter");
        assert!(!page.body.contains("k-4711"), "a secret takes the code");
    }
}

#[tokio::test]
async fn a_request_on_behalf_of_a_person_is_accepted() {
    let gate = TestGate::start().await;
    let mut request = request();
    request.on_behalf_of = Some("requester@example.com".to_owned());
    let approval = gate.client.submit(&request).await.unwrap();
    // As all text of an agent, without anything that a mail client makes a link of.
    assert!(gate.mails()[0].text.contains("requester@example[.]com"));
    assert_eq!(approval.status, Status::Pending);
}

#[tokio::test]
async fn the_person_whom_an_agent_acts_for_approves_by_no_other_address_of_the_list() {
    let id = "11111111-1111-4111-8111-111111111111";
    let list = format!("{ALICE}={id},alice.b@example.com={id},{BOB}");
    let gate = TestGate::with(&[("HO_ALLOWED_APPROVERS", &list)]).await;
    let mut request = request();
    request.on_behalf_of = Some("Alice.B@example.com".to_owned());
    let refused = gate.client.submit(&request).await.unwrap_err().to_string();
    assert!(
        refused.contains("the person the agent acts for"),
        "{refused}"
    );
    request.approver_emails = vec![BOB.to_owned()];
    gate.client.submit(&request).await.unwrap();
}

// The legacy protocol: one call that returns the decision.

impl TestGate {
    /// Waits for the first stored request whose emails are sent.
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

async fn join_repeated<F: Future>(count: usize, call: impl Fn() -> F) -> Vec<F::Output> {
    futures_util::future::join_all((0..count).map(|_| call())).await
}

#[tokio::test]
async fn the_limit_of_open_requests_is_enforced_per_agent() {
    let gate = TestGate::with(&[("HO_OPEN_LIMIT", "3")]).await;
    let mut with_id = request();
    with_id.correlation_id = Some("first".to_owned());
    let first = gate.client.submit(&with_id).await.unwrap();
    let second = gate.ask().await;
    gate.ask().await;
    let emails = gate.mails().len();

    let body = serde_json::to_string(&request()).unwrap();
    let refused = gate.post("/api/submit", body.clone()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "60");
    let problem = refused.problem();
    assert_eq!(problem["type"], "urn:human-oversight:problem:too-many");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("3 open requests"), "{detail}");
    assert_eq!((gate.stored().await.len(), gate.mails().len()), (3, emails));
    // A repeated submit is not refused, and another agent is not affected.
    let again = gate.client.submit(&with_id).await.unwrap();
    assert_eq!(
        (again.id, again.status),
        (first.id.clone(), Status::Pending)
    );
    let mut other = request();
    other.agent_name = "PaymentsAgent".to_owned();
    gate.client.submit(&other).await.unwrap();

    // Another owner has a limit of its own, under the same agent's name.
    let other = Client::new(&gate.url, Some(OTHER_KEY)).unwrap();
    for _ in 0..3 {
        other.submit(&request()).await.unwrap();
    }
    assert!(other.submit(&request()).await.is_err());

    // What waits for no person does not count: neither for its notices, nor for its claim.
    gate.reject(&first, ALICE, "no").await;
    gate.approve(&second, ALICE).await;
    for _ in 0..2 {
        let accepted = gate.post("/api/submit", body.clone()).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    }
    let refused = gate.post("/api/submit", body).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
}
