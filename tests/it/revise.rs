//! An approver rejects, and asks the agent for a changed request.

use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::receipt::Assurance;
use human_oversight_client::types::{Approval, Status};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{ALICE, BOB, Page, TestGate};
use crate::host::SignIn;
use crate::sign_in::{ON, alice, send, visit};

const QUESTION: &str = "Only for the first 10 users, please.";
const PEOPLE_ONLY: &str =
    "Without the code, this counts as a rejection all the same, and only people read it.";

async fn reject(gate: &TestGate, approval: &Approval, more: &[(&str, &str)]) {
    let question = gate.question(approval, ALICE);
    let form = [&[("decision", "reject")], more].concat();
    let answer = gate.decide(&question, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
}

fn code(gate: &TestGate, approval: &Approval) -> String {
    gate.question(approval, ALICE).code
}

async fn page(gate: &TestGate, approval: &Approval, approver: &str) -> Page {
    gate.get(&gate.question(approval, approver).link).await
}

#[tokio::test]
async fn with_the_code_the_agent_gets_the_question_and_the_receipt_covers_it() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    assert!(
        page(&gate, &approval, ALICE)
            .await
            .body
            .contains(PEOPLE_ONLY)
    );
    let code = code(&gate, &approval);
    let form = [
        ("code", code.as_str()),
        ("revise", QUESTION),
        ("words", "Too many."),
    ];
    reject(&gate, &approval, &form).await;

    let status = gate.status(&approval.id).await;
    assert_eq!(status.status, Status::Rejected);
    assert_eq!(status.comment.as_deref(), Some("Too many."));
    assert_eq!(status.revise.unwrap().question, QUESTION);
    let claims = gate.claims(&approval).await;
    assert_eq!(
        claims.question_digest,
        Some(hex(&sha256(QUESTION.as_bytes())))
    );
    assert_eq!(gate.entity(&approval.id).await["Question"], QUESTION);
    for approver in [ALICE, BOB] {
        let page = page(&gate, &approval, approver).await.body;
        assert!(
            page.contains("Asked for changes:") && page.contains(QUESTION),
            "{page}"
        );
        assert!(page.contains("ask again with a changed request"), "{page}");
    }
    gate.sweep().await;
    let mails = gate.mails();
    let notices = mails.iter().filter(|it| it.subject.contains("[Rejected]"));
    let told = notices.filter(|it| it.text.contains(QUESTION) && it.html.contains(QUESTION));
    assert_eq!(told.count(), 2);
}

#[tokio::test]
async fn a_repeated_submit_and_one_that_waits_answer_with_the_question() {
    let gate = TestGate::start().await;
    let body = json!({
        "agentName": "Agent", "actionDescription": "Delete", "parameters": {"n": 1}, "approverEmails": [ALICE],
        "correlationId": "run-1",
    });
    let submitted = gate.post("/api/submit", body.to_string()).await;
    let approval: Approval = serde_json::from_str(&submitted.body).unwrap();
    assert!(submitted.json().get("revise").is_none());
    let code = code(&gate, &approval);
    reject(&gate, &approval, &[("code", &code), ("revise", QUESTION)]).await;
    for wait in ["", "?wait=1"] {
        let again = gate
            .post(&format!("/api/submit{wait}"), body.to_string())
            .await;
        assert_eq!(again.status, StatusCode::OK, "{}", again.body);
        assert_eq!(
            again.json()["revise"],
            json!({"question": QUESTION}),
            "{wait}"
        );
        assert_eq!(again.json()["comment"], Value::Null, "{wait}");
    }
}

#[tokio::test]
async fn without_the_code_the_rejection_stands_and_only_people_read_the_question() {
    let gate = TestGate::start().await;
    for wrong in ["", "000000"] {
        let approval = gate.ask().await;
        let wrong = if wrong == code(&gate, &approval) {
            "000001"
        } else {
            wrong
        };
        reject(&gate, &approval, &[("code", wrong), ("revise", QUESTION)]).await;
        let status = gate.status(&approval.id).await;
        assert_eq!((status.status, status.revise), (Status::Rejected, None));
        let claims = gate.claims(&approval).await;
        assert_eq!(
            (claims.assurance, claims.question_digest),
            (Assurance::LinkOnly, None)
        );
        let page = page(&gate, &approval, BOB).await.body;
        assert!(
            page.contains(QUESTION) && page.contains("The agent did not get it."),
            "{page}"
        );
    }
}

#[tokio::test]
async fn a_signed_in_person_asks_without_a_code() {
    let gate = TestGate::with(&ON).await;
    let approval = gate.ask().await;
    let session = SignIn::session(&alice());
    let headers = [("cookie", session.as_str())];
    let page = visit(&gate, &approval.id, &headers).await;
    assert!(
        page.body.contains("The agent gets this, and may ask again"),
        "{}",
        page.body
    );
    let mut form = page.first_form();
    form.extend(
        [("decision", "reject"), ("revise", QUESTION)]
            .map(|(name, value)| (name.into(), value.into())),
    );
    let answer = send(&gate, &approval.id, &headers, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let status = gate.status(&approval.id).await;
    assert_eq!(status.revise.unwrap().question, QUESTION);
}

#[tokio::test]
async fn an_approval_with_a_question_is_refused_and_what_was_typed_stays() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let form = [
        ("decision", "approve"),
        ("code", question.code.as_str()),
        ("revise", QUESTION),
    ];
    let refused = gate.decide(&question, &form).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.body.contains("your question below"),
        "{}",
        refused.body
    );
    assert!(
        refused.body.contains(&format!(">{QUESTION}</textarea>")),
        "{}",
        refused.body
    );
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
}

#[tokio::test]
async fn a_question_and_the_comment_share_one_limit() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let long = "ü".repeat(1_000);
    for (more, status) in [
        (1_001, StatusCode::UNPROCESSABLE_ENTITY),
        (999, StatusCode::SEE_OTHER),
    ] {
        let form = [
            ("decision", "reject"),
            ("code", question.code.as_str()),
            ("words", &long),
            ("revise", &"€".repeat(more)),
        ];
        let answer = gate.decide(&question, &form).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            let kept = [&long, &"€".repeat(more)].map(|it| format!(">{it}</textarea>"));
            for shown in ["2000 characters", &kept[0], &kept[1]] {
                assert!(answer.body.contains(shown), "{shown}: {}", answer.body);
            }
        }
    }
    let asked = gate.status(&approval.id).await.revise.unwrap().question;
    assert_eq!(asked.chars().count(), 999);
}

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com", "carol@example.com"]

[[rule]]
id = "payments"
actions = ["Delete *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
comment = "on-reject"
"#;

#[tokio::test]
async fn a_vote_carries_the_question_and_it_meets_a_rule_that_wants_words() {
    let settings = [
        ("HO_POLICY", POLICY),
        ("HO_ALLOWED_APPROVERS", "*@example.com"),
    ];
    let gate = TestGate::with(&settings).await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    // By link alone, people would read it and the agent nothing.
    let form = [("decision", "reject"), ("revise", QUESTION)];
    let refused = gate.decide(&question, &form).await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.body
    );
    reject(
        &gate,
        &approval,
        &[("code", &question.code), ("revise", QUESTION)],
    )
    .await;
    let status = gate.status(&approval.id).await;
    assert_eq!(status.revise.unwrap().question, QUESTION);
    let row = gate.entity(&approval.id).await;
    let votes: Value = serde_json::from_str(row["Votes"].as_str().unwrap()).unwrap();
    assert_eq!(votes[0]["question"], QUESTION);
    // Among the votes, and where the same is asked again, it has its label.
    let labelled = format!("Asked for changes: {QUESTION}");
    let shown = page(&gate, &approval, BOB).await.body;
    assert!(shown.contains(&labelled), "{shown}");
    let again = gate.ask().await;
    let shown = page(&gate, &again, BOB).await.body;
    assert!(shown.contains("This looks like a request that was rejected"));
    assert!(shown.contains(&labelled), "{shown}");
    let mut mails = gate.mails().into_iter();
    let mail = mails.find(|it| it.text.contains(&again.id)).unwrap();
    assert!(mail.text.contains("> Asked for changes: "), "{}", mail.text);
}

/// Where several rejections end a request, the last question of a known person counts.
#[tokio::test]
async fn the_agent_gets_the_question_of_an_earlier_rejection() {
    let policy = POLICY.replace("approvals = 2 }]", "approvals = 1 }]\nrejections = 2");
    let policy = policy.replace("comment = \"on-reject\"\n", "");
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let other = "Leave out the administrators, please.";
    for (with_code, last, expected) in [
        (true, "", Some(QUESTION)),
        (true, other, Some(other)),
        (false, "", None),
    ] {
        let approval = gate.ask().await;
        let code = code(&gate, &approval);
        let page = page(&gate, &approval, ALICE).await.body;
        assert!(
            page.contains("Of several rejections, the agent gets"),
            "{page}"
        );
        let code = if with_code { &code } else { "" };
        reject(&gate, &approval, &[("code", code), ("revise", QUESTION)]).await;
        let bob = gate.question(&approval, BOB);
        let form = [
            ("decision", "reject"),
            ("code", bob.code.as_str()),
            ("revise", last),
        ];
        gate.decide(&bob, &form).await;
        let status = gate.status(&approval.id).await;
        assert_eq!(status.status, Status::Rejected);
        let revise = status.revise.map(|it| it.question);
        assert_eq!(revise.as_deref(), expected, "{with_code} {last}");
    }
}

#[tokio::test]
async fn with_rows_of_version_1_a_question_is_part_of_the_comment() {
    let gate = TestGate::with(&[("HO_ROWS", "1")]).await;
    let approval = gate.ask().await;
    reject(
        &gate,
        &approval,
        &[("words", "Too many."), ("revise", QUESTION)],
    )
    .await;
    let status = gate.status(&approval.id).await;
    assert_eq!(status.comment, Some(format!("Too many.\n{QUESTION}")));
    assert_eq!(status.revise, None);
}
