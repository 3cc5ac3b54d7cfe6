//! Revoking an approval before it is claimed, and the operator's list at the claim.

use human_oversight_client::types::{ExecutionStatus, Status};
use reqwest::StatusCode;

use crate::harness::{ALICE, BOB, Page, TestGate};

const CLAIM: &str = r#"{"nonce":"0123456789abcdef"}"#;

async fn claim(gate: &TestGate, id: &str) -> Page {
    gate.post(&format!("/api/claim/{id}"), CLAIM).await
}

#[tokio::test]
async fn an_approver_revokes_their_approval_with_the_code() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.sweep().await;
    let alice = gate.question(&approval, ALICE);

    let page = gate.get(&alice.link).await;
    assert!(page.body.contains("value=\"revoke\""), "{}", page.body);
    let without_code = gate.send_form(&page, &[("decision", "revoke")]).await;
    assert_eq!(without_code.status, StatusCode::FORBIDDEN);
    let wrong = if alice.code == "000000" {
        "000001"
    } else {
        "000000"
    };
    let wrong = [("decision", "revoke"), ("code", wrong)];
    let wrong = gate.send_form(&page, &wrong).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.body.contains("4 tries are left"), "{}", wrong.body);
    let status = gate.status(&approval.id).await;
    assert_eq!(status.execution, None);

    let revoked = gate
        .decide(&alice, &[("decision", "revoke"), ("code", &alice.code)])
        .await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER, "{}", revoked.body);
    let status = gate.status(&approval.id).await;
    assert_eq!(status.status, Status::Approved);
    assert_eq!(status.execution.unwrap().status, ExecutionStatus::Revoked);
    let refused = claim(&gate, &approval.id).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    let row = gate.entity(&approval.id).await;
    assert_eq!(row["Status"], "Approved");
    assert_eq!(row["ExecutionStatus"], "Revoked");
    assert_eq!(row["RevokedBy"], ALICE);

    let page = gate.get(&alice.link).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("Revoked by alice@example.com"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<form"), "{}", page.body);
    // Everyone who was asked gets a notice.
    gate.sweep().await;
    for person in [ALICE, BOB] {
        let told = gate
            .mails()
            .iter()
            .any(|mail| mail.to == person && mail.text.contains("Revoked by alice@example.com"));
        assert!(told, "{person}");
    }
}

#[tokio::test]
async fn nothing_else_revokes_an_approval() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let [alice, bob] = [ALICE, BOB].map(|person| gate.question(&approval, person));
    let pending = gate.get(&alice.link).await;
    // A pending request has nothing to revoke, and its form is no form of an approval.
    let early = [("decision", "revoke"), ("code", alice.code.as_str())];
    assert_eq!(
        gate.send_form(&pending, &early).await.status,
        StatusCode::CONFLICT
    );
    gate.approve(&approval, ALICE).await;
    assert_eq!(
        gate.send_form(&pending, &early).await.status,
        StatusCode::CONFLICT
    );
    // Bob did not give it.
    let page = gate.get(&bob.link).await;
    assert!(!page.body.contains("value=\"revoke\""));
    let own = gate.get(&alice.link).await;
    let fields = own.hidden_fields();
    let fields = fields.iter().map(|(name, value)| {
        let value = if name == "k" {
            bob.link.split_once("?k=").unwrap().1
        } else {
            value
        };
        (name.as_str(), value)
    });
    let fields = fields.chain([("decision", "revoke"), ("code", bob.code.as_str())]);
    let foreign = gate
        .post_form(&format!("{}{}", gate.url, own.action()), fields)
        .await;
    assert_eq!(foreign.status, StatusCode::CONFLICT);
    // The agent has it.
    assert_eq!(claim(&gate, &approval.id).await.status, StatusCode::OK);
    let late = gate.send_form(&own, &early).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(
        late.body.contains("can no longer be revoked"),
        "{}",
        late.body
    );
    let status = gate.status(&approval.id).await;
    assert_eq!(status.execution.unwrap().status, ExecutionStatus::Executing);
}

#[tokio::test]
async fn a_row_with_another_revocation_is_not_trusted() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let alice = gate.question(&approval, ALICE);
    gate.decide(&alice, &[("decision", "revoke"), ("code", &alice.code)])
        .await;
    gate.tamper(&approval.id, None, |row| {
        row["RevokedBy"] = "operator".into()
    })
    .await;
    let url = format!("{}/api/status/{}", gate.url, approval.id);
    assert_eq!(
        gate.get(&url).await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn the_list_of_approvers_counts_at_the_claim() {
    let listed = [("HO_ALLOWED_APPROVERS", "alice@example.com,bob@example.com")];
    let gate = TestGate::with(&listed).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;

    let left = [("HO_ALLOWED_APPROVERS", "bob@example.com")];
    let gate = TestGate::at(gate.dir, &left).await;
    let before = gate.stored().await;
    for path in [format!("/api/claim/{}", approval.id)] {
        let refused = gate.post(&path, CLAIM).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
        let kind = refused.problem()["type"].clone();
        assert_eq!(kind, "urn:human-oversight:problem:approver_not_allowed");
    }
    assert_eq!(gate.stored().await, before);

    // Once the list is mended it can be claimed, and a claim that was granted stays.
    let gate = TestGate::at(gate.dir, &listed).await;
    assert_eq!(claim(&gate, &approval.id).await.status, StatusCode::OK);
    let gate = TestGate::at(gate.dir, &left).await;
    assert_eq!(claim(&gate, &approval.id).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_approval_lapses_after_fifteen_minutes() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.pass(std::time::Duration::from_secs(15 * 60));
    assert_eq!(
        claim(&gate, &approval.id).await.status,
        StatusCode::CONFLICT
    );
    let status = gate.status(&approval.id).await;
    assert_eq!(status.execution.unwrap().status, ExecutionStatus::Lapsed);
}
