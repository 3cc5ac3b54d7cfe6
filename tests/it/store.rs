//! The store's contract, and what the embedded one does when its file cannot be used.

use std::time::Duration;

use futures_util::future::join_all;
use human_oversight::address::Address;
use human_oversight::approval::{Approval, Approver, Digest, Parameters, Request};
use human_oversight::id::ApprovalId;
use human_oversight::store::{Store, StoreError};
use human_oversight::timestamp::Timestamp;
use human_oversight_client::parameters::sha256;
use reqwest::StatusCode;

use crate::harness::{ALICE, TestGate, request};

const AT: &str = "2026-11-22T17:30:00.000Z";

fn at(seconds: u64) -> Timestamp {
    Timestamp::parse(AT).unwrap() + Duration::from_secs(seconds)
}

fn approval(agent: &str, correlation: &str) -> Approval {
    let json = r#"{"user_id":"1"}"#.to_owned();
    let digest = Digest(sha256(json.as_bytes()));
    let request = Request {
        id: ApprovalId::new(agent, correlation).unwrap(),
        action: "Delete".to_owned(),
        parameters: Parameters { json, digest },
        reason: None,
        on_behalf_of: None,
        claimant: None,
        digest,
        requested_at: at(0),
        expires_at: at(3_600),
    };
    let approver = Approver {
        address: Address::parse(ALICE).unwrap(),
        link_key: "k".to_owned(),
        seal: "s".to_owned(),
        wrong_codes: 0,
        mails: Vec::new(),
    };
    Approval::submitted(request, vec![approver])
}

#[tokio::test]
async fn a_row_is_inserted_once_read_and_replaced_on_its_condition() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::embedded(dir.path());
    for agent in [
        "plain",
        "a/b\\c#d?e'f\"g",
        "Ünï 東京 👩\u{200d}💻",
        "%27",
        "~41",
        " ",
    ] {
        let new = approval(agent, "x");
        let id = new.request.id.clone();
        assert!(matches!(store.get(&id).await, Err(StoreError::NotFound)));
        let first = store.insert(new.clone(), Some(at(0))).await.unwrap();
        assert!(matches!(
            store.insert(new.clone(), None).await,
            Err(StoreError::AlreadyExists)
        ));
        assert_eq!(store.get(&id).await.unwrap(), first);
        assert_eq!(first.approval, new);

        let mut changed = first.clone();
        changed.approval.withdraw(at(1)).unwrap();
        let second = store.replace(changed.clone(), None).await.unwrap();
        assert_ne!(second.etag, first.etag);
        assert!(matches!(
            store.replace(first.clone(), None).await,
            Err(StoreError::Conflict)
        ));
        assert_eq!(store.get(&id).await.unwrap(), second);
    }
    // A row that is not there cannot be replaced.
    let mut ghost = store.insert(approval("ghost", "1"), None).await.unwrap();
    ghost.approval.request.id = ApprovalId::new("ghost", "2").unwrap();
    assert!(matches!(
        store.replace(ghost, None).await,
        Err(StoreError::Conflict)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_writers_one_wins_each_round() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::embedded(dir.path());
    let mut row = store.insert(approval("a", "x"), None).await.unwrap();
    for round in 0..10 {
        row.approval.count_wrong_code(0, at(round));
        let results = join_all((0..64).map(|_| store.replace(row.clone(), None))).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 63));
        row = won.into_iter().next().unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_due_comes_in_its_order_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::embedded(dir.path());
    let inserts = (0..1_500).map(|number: u64| {
        // Many are due at one time; some never.
        let due = (number % 5 != 4).then(|| at(number / 100));
        store.insert(approval("a", &format!("{number:04}")), due)
    });
    for inserted in join_all(inserts).await {
        inserted.unwrap();
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.due(at(9), after, 100).await.unwrap();
        assert!(page.len() <= 100);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(
            page.into_iter()
                .map(|due| due.id.unwrap().correlation().to_owned()),
        );
    }
    let expected: Vec<String> = (0..1_000)
        .filter(|number| number % 5 != 4)
        .map(|number| format!("{number:04}"))
        .collect();
    assert_eq!(seen, expected);

    let first = store
        .get(&ApprovalId::new("a", "0000").unwrap())
        .await
        .unwrap();
    store.replace(first, Some(at(100))).await.unwrap();
    let next = store.due(at(9), None, 1).await.unwrap();
    assert_eq!(
        next[0].id.as_ref().unwrap().correlation(),
        "0001",
        "its time was moved"
    );
}

#[tokio::test]
async fn another_process_sees_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let one = Store::embedded(dir.path());
    let other = Store::embedded(dir.path());
    let written = one.insert(approval("a", "x"), None).await.unwrap();
    assert_eq!(
        other.get(&written.approval.request.id).await.unwrap(),
        written
    );
    let mut changed = written.clone();
    changed.approval.withdraw(at(1)).unwrap();
    other.replace(changed, None).await.unwrap();
    assert!(matches!(
        one.replace(written, None).await,
        Err(StoreError::Conflict)
    ));
}

#[tokio::test]
async fn a_broken_file_is_a_clear_503_and_mended_without_a_restart() {
    let gate = TestGate::start().await;
    let path = gate.dir.path().join("approvals.db");
    std::fs::write(
        &path,
        "this is no database, whatever its name says".repeat(100),
    )
    .unwrap();
    let body = serde_json::to_vec(&request()).unwrap();
    let answer = gate.post("/api/submit", body.clone()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "2");
    answer.problem();
    assert!(
        gate.mails().is_empty(),
        "nobody is mailed about what is not stored"
    );
    let page = gate
        .get(&format!("{}/api/decision/YQ.b?k=x", gate.url))
        .await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.body.contains("try again in a minute"));

    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        gate.post("/api/submit", body).await.status,
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_clear_503() {
    let gate = TestGate::start().await;
    // A folder stands where the file should be.
    std::fs::create_dir(gate.dir.path().join("approvals.db")).unwrap();
    let answer = gate
        .post("/api/submit", serde_json::to_vec(&request()).unwrap())
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        !answer.body.contains("approvals.db"),
        "the cause is for the log"
    );
}
