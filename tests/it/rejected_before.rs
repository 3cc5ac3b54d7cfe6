//! `reask = "refuse"`: what an approver rejected is not asked again until the operator allows it.

use std::time::Duration;

use human_oversight::keys::keyring;
use human_oversight::store::{StandingKind, StandingRow};
use human_oversight_client::Error;
use human_oversight_client::types::{Approval, NewApproval, Problem};
use reqwest::StatusCode;
use serde_json::json;

use crate::azurite::azurite;
use crate::backing_store;
use crate::harness::{ALICE, BOB, TestGate, object, request};
use crate::host::MASTER_KEY;
use crate::operate::operate;
use crate::process::run;

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 1 }]
reask = "refuse"
"#;

async fn gate() -> TestGate {
    TestGate::with(&[("HO_POLICY", POLICY)]).await
}

fn payment(correlation_id: &str) -> NewApproval {
    NewApproval {
        action_description: "Pay supplier invoice".to_owned(),
        parameters: object(json!({"amount": 18_000})),
        approver_emails: Vec::new(),
        correlation_id: Some(correlation_id.to_owned()),
        ..request()
    }
}

async fn submit(gate: &TestGate, correlation_id: &str) -> Approval {
    gate.client.submit(&payment(correlation_id)).await.unwrap()
}

async fn refused(gate: &TestGate, request: &NewApproval) -> Problem {
    match gate.client.submit(request).await {
        Err(Error::Problem(problem)) => *problem,
        other => panic!("{other:?}"),
    }
}

async fn is_refused(gate: &TestGate, correlation_id: &str) -> bool {
    match gate.client.submit(&payment(correlation_id)).await {
        Ok(_) => false,
        Err(Error::Problem(problem)) => {
            assert_eq!(problem.kind, "urn:human-oversight:problem:rejected-before");
            true
        }
        Err(error) => panic!("{error}"),
    }
}

async fn kept(gate: &TestGate) -> StandingRow {
    let rows = gate.store.standing_of(StandingKind::Rejection).await;
    rows.unwrap().remove(0)
}

#[tokio::test]
async fn what_an_approver_rejected_is_refused_without_asking_anyone() {
    let gate = gate().await;
    let first = submit(&gate, "first").await;
    gate.reject(&first, ALICE, "Not to this account.").await;
    let (rows, mails) = (gate.stored().await, gate.mails().len());
    let spelled = NewApproval {
        action_description: "pay  SUPPLIER invoice".to_owned(),
        ..payment("second")
    };
    for request in [payment("second"), spelled] {
        let problem = refused(&gate, &request).await;
        assert_eq!(problem.status, 409);
        assert_eq!(problem.kind, "urn:human-oversight:problem:rejected-before");
        for part in [
            first.id.as_str(),
            "what reads the same",
            "only the operator can allow it",
            "T",
        ] {
            assert!(problem.detail.contains(part), "{}", problem.detail);
        }
        assert!(!problem.detail.contains(ALICE) && !problem.detail.contains("account"));
    }
    assert_eq!(gate.stored().await, rows);
    assert_eq!(gate.mails().len(), mails);
    // A repeat of what is stored is answered as stored.
    assert_eq!(submit(&gate, "first").await.id, first.id);
    // Other content is asked, and after a day the same.
    let other = NewApproval {
        parameters: object(json!({"amount": 17_999})),
        ..payment("third")
    };
    gate.client.submit(&other).await.unwrap();
    gate.pass(Duration::from_secs(86_400));
    assert!(!is_refused(&gate, "fourth").await);
}

#[tokio::test]
async fn a_rejection_by_the_link_alone_refuses_nothing_and_hides_none_with_a_code() {
    let gate = gate().await;
    let by_link = async |approval: &Approval, person| {
        let question = gate.question(approval, person);
        let answer = gate.decide(&question, &[("decision", "reject")]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    };
    let first = submit(&gate, "first").await;
    by_link(&first, ALICE).await;
    let [second, third] = [submit(&gate, "second").await, submit(&gate, "third").await];
    gate.reject(&second, ALICE, "No.").await;
    by_link(&third, ALICE).await;
    assert!(is_refused(&gate, "fourth").await);
}

#[tokio::test]
async fn the_operator_allows_it_until_the_next_rejection() {
    let gate = gate().await;
    let first = submit(&gate, "first").await;
    gate.reject(&first, ALICE, "No.").await;
    assert!(is_refused(&gate, "second").await);
    let allow = async |id: &str| operate(&gate, json!({"command": "allow", "id": id})).await;
    assert_eq!(
        allow(&first.id).await,
        json!({"done": true, "id": first.id})
    );
    assert_eq!(allow(&first.id).await["done"], false);
    let second = submit(&gate, "second").await;
    // The approvers still see the earlier rejection.
    let page = gate.get(&gate.question(&second, BOB).link).await;
    assert!(
        page.body.contains("a request that was rejected"),
        "{}",
        page.body
    );
    gate.reject(&second, BOB, "No again.").await;
    let problem = refused(&gate, &payment("third")).await;
    assert!(problem.detail.contains(&second.id), "{}", problem.detail);
    // The row that another sweep writes again does not undo it.
    assert_eq!(allow(&second.id).await["done"], true);
    gate.sweep().await;
    assert!(!is_refused(&gate, "third").await);
}

/// Two instances, of which one names new rows by the old key and one by the new one.
#[tokio::test]
async fn what_is_allowed_stays_allowed_in_a_rotation_of_the_link_keys() {
    let [old, new] = [(); 2].map(|()| keyring::generate_link_key());
    let orders = [format!("{old},{new}"), format!("{new},{old}")];
    let restart = async |gate: TestGate, keys: &str| {
        TestGate::at(gate.dir, &[("HO_POLICY", POLICY), ("HO_LINK_KEYS", keys)]).await
    };
    let allow = async |gate: &TestGate, id: &str| {
        operate(gate, json!({"command": "allow", "id": id})).await["done"] == true
    };
    for is_allowed_first in [false, true] {
        let gate = restart(gate().await, &orders[0]).await;
        let [first, second] = [submit(&gate, "first").await, submit(&gate, "second").await];
        gate.reject(&first, ALICE, "No.").await;
        if is_allowed_first {
            assert!(allow(&gate, &first.id).await);
        }
        let gate = restart(gate, &orders[1]).await;
        gate.sweep().await;
        if !is_allowed_first {
            assert!(is_refused(&gate, "third").await);
            assert!(allow(&gate, &first.id).await);
        }
        assert!(!is_refused(&gate, "third").await);
        assert!(!allow(&gate, &first.id).await);
        // What is rejected through one of them is allowed for both, by either request.
        gate.reject(&second, ALICE, "No.").await;
        assert!(is_refused(&gate, "fourth").await);
        assert!(allow(&gate, &second.id).await);
        let gate = restart(gate, &orders[0]).await;
        assert!(!is_refused(&gate, "fourth").await);
    }
}

#[tokio::test]
async fn where_it_cannot_be_read_whether_it_was_rejected_no_one_is_asked() {
    let gate = gate().await;
    let first = submit(&gate, "first").await;
    gate.reject(&first, ALICE, "No.").await;
    let mut row = kept(&gate).await;
    row.columns.insert("Lifted".to_owned(), "[".to_owned());
    gate.store.put_standing(row, gate.now()).await.unwrap();
    let rows = gate.stored().await;
    let body = serde_json::to_string(&payment("second")).unwrap();
    let answer = gate.post("/api/submit", body).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.body
    );
    assert_eq!(gate.stored().await, rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_allows_on_the_store_and_through_the_gate() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&[&settings[..], &[("HO_POLICY", POLICY)]].concat()).await;
    let first = submit(&gate, "first").await;
    gate.reject(&first, ALICE, "No.").await;
    assert!(is_refused(&gate, "second").await);
    let (said, code) = run(&settings, &["allow", "VXNlck1hbmFnZXJBZ2VudA.unknown"]).await;
    assert!(
        code == 2 && said.contains("no rejection of this request is kept"),
        "{said}"
    );
    let (said, code) = run(&settings, &["allow", &first.id]).await;
    assert!(code == 0 && said.starts_with("Allowed: "), "{said}");
    let second = submit(&gate, "second").await;
    gate.reject(&second, ALICE, "No.").await;
    assert!(is_refused(&gate, "third").await);

    let key = [("HO_MASTER_KEY", MASTER_KEY)];
    let through = |id| ["allow", id, "--url", &gate.url];
    let (said, code) = run(&key, &through("VXNlck1hbmFnZXJBZ2VudA.unknown")).await;
    assert!(
        code == 2 && said.contains("no rejection of this request is kept"),
        "{said}"
    );
    let (said, code) = run(&key, &through(&second.id)).await;
    assert!(code == 0 && said.starts_with("Allowed: "), "{said}");
    let (said, code) = run(&key, &through(&second.id)).await;
    assert!(
        code == 0 && said.starts_with("It was allowed before"),
        "{said}"
    );
    assert!(!is_refused(&gate, "third").await);
}
