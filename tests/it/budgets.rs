//! The budgets of an owner: how often it may have people asked.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use human_oversight_client::types::NewApproval;
use human_oversight_client::{Client, Error};
use reqwest::StatusCode;
use tokio::sync::Semaphore;

use crate::azurite::{Table, azurite};
use crate::backing_store::{self, behind_a_proxy};
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Page, TestGate, request};
use crate::host::OTHER_KEY;
use crate::people::{ESCALATED, payment};
use crate::proxy::{Fault, Proxy};
use crate::tables::operation;

const DEFAULTS: [(&str, &str); 2] = [("HO_MAIL_BUDGET", "25/60"), ("HO_OWNER_BUDGET", "200/1200")];

fn for_people(people: &[&str]) -> NewApproval {
    NewApproval {
        approver_emails: people.iter().map(|person| (*person).to_owned()).collect(),
        ..request()
    }
}

async fn submit(gate: &TestGate, request: &NewApproval) -> Page {
    let body = serde_json::to_string(request).unwrap();
    gate.post("/api/submit", body).await
}

fn assert_exhausted(answer: &Page, setting: &str, retry_after: u64) {
    assert_eq!(
        answer.status,
        StatusCode::TOO_MANY_REQUESTS,
        "{}",
        answer.body
    );
    let problem = answer.problem();
    assert_eq!(problem["type"], "urn:human-oversight:problem:budget");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(setting), "{detail}");
    assert!(detail.contains("No person was asked"), "{detail}");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!(
        (retry_after - 5..=retry_after).contains(&seconds),
        "{seconds}"
    );
}

#[tokio::test]
async fn an_owner_asks_one_person_at_most_25_times_at_once_and_60_times_an_hour() {
    let gate = TestGate::with(&DEFAULTS).await;
    for _ in 0..25 {
        let asked = submit(&gate, &for_people(&[ALICE])).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    }
    let (rows, mails) = (gate.stored().await, gate.mails().len());
    for person in [ALICE, "ALICE@example.com", "alice+tag@example.com"] {
        let refused = submit(&gate, &for_people(&[BOB, person])).await;
        assert_exhausted(&refused, "HO_MAIL_BUDGET", 60);
    }
    assert_eq!(gate.stored().await, rows);
    assert_eq!(gate.mails().len(), mails);
    // Others can be asked, and others can ask.
    let bob = submit(&gate, &for_people(&[BOB])).await;
    assert_eq!(bob.status, StatusCode::ACCEPTED, "{}", bob.body);
    let other = Client::new(&gate.url, Some(OTHER_KEY)).unwrap();
    other.submit(&for_people(&[ALICE])).await.unwrap();
    gate.pass(Duration::from_secs(60));
    let later = submit(&gate, &for_people(&[ALICE])).await;
    assert_eq!(later.status, StatusCode::ACCEPTED, "{}", later.body);
    let refused = submit(&gate, &for_people(&[ALICE])).await;
    assert_exhausted(&refused, "HO_MAIL_BUDGET", 60);
}

#[tokio::test]
async fn a_repeat_costs_nothing_even_without_budget() {
    let gate = TestGate::with(&[("HO_MAIL_BUDGET", "2/1")]).await;
    let mut named = for_people(&[ALICE]);
    named.correlation_id = Some("mine".to_owned());
    for _ in 0..5 {
        let asked = submit(&gate, &named).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    }
    let second = submit(&gate, &for_people(&[ALICE])).await;
    assert_eq!(second.status, StatusCode::ACCEPTED, "{}", second.body);
    let dry = submit(&gate, &for_people(&[ALICE])).await;
    assert_exhausted(&dry, "HO_MAIL_BUDGET", 3_600);
    let again = submit(&gate, &named).await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.body);
    named.reason = Some("Another content.".to_owned());
    let taken = submit(&gate, &named).await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.body);
}

#[tokio::test]
async fn withdrawing_refunds_nothing() {
    let gate = TestGate::with(&DEFAULTS).await;
    let mut asked = 0;
    for _ in 0..30 {
        if let Ok(approval) = gate.client.submit(&for_people(&[ALICE])).await {
            let withdrawn = gate
                .post(&format!("/api/withdraw/{}", approval.id), "{}")
                .await;
            assert_eq!(withdrawn.status, StatusCode::OK, "{}", withdrawn.body);
            asked += 1;
        }
    }
    assert_eq!(asked, 25);
}

#[tokio::test]
async fn an_owner_has_a_budget_for_all_people_together() {
    let gate = TestGate::with(&[("HO_OWNER_BUDGET", "4/60")]).await;
    for people in [[ALICE, BOB], ["c@example.com", "d@example.com"]] {
        let asked = submit(&gate, &for_people(&people)).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    }
    let refused = submit(&gate, &for_people(&["e@example.com"])).await;
    assert_exhausted(&refused, "HO_OWNER_BUDGET", 60);
    let error = gate.client.submit(&for_people(&["e@example.com"])).await;
    let Err(Error::Problem(problem)) = error else {
        panic!("{error:?}");
    };
    assert!(
        problem.detail.contains("No person was asked"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn instances_share_the_budgets() {
    let store = backing_store::tables(azurite().port);
    let store = backing_store::borrowed(&store);
    let settings = [&store[..], &DEFAULTS].concat();
    let gates = [
        TestGate::with(&settings).await,
        TestGate::with(&settings).await,
    ];
    let asking = (0..60).map(|n| {
        let gate = &gates[n % 2];
        async move { submit(gate, &for_people(&[ALICE])).await.status }
    });
    let answers = join_all(asking).await;
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!(count(StatusCode::ACCEPTED), 25, "{answers:?}");
    assert_eq!(count(StatusCode::TOO_MANY_REQUESTS), 35, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_sweeps_at_once_the_one_that_escalates_is_charged() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let direct = azurite().connection_string();
    // For the four people of a request, and the two of another one.
    let own = [("HO_POLICY", ESCALATED), ("HO_OWNER_BUDGET", "6/1")];
    let slow = [&backing_store::borrowed(&store)[..], &own].concat();
    let fast = [&[("HO_TABLES_CONNECTION_STRING", &*direct)], &slow[..]].concat();
    let (slow, fast) = (TestGate::with(&slow).await, TestGate::with(&fast).await);
    slow.client.submit(&payment()).await.unwrap();
    for gate in [&slow, &fast] {
        gate.pass(Duration::from_secs(1_800));
    }
    let is_swept = Arc::new(Semaphore::new(0));
    let writes_row = |request: &str| operation(request) == "PUT approvals";
    proxy.fault(writes_row, Fault::Hold(is_swept.clone()));
    let overtaking = async {
        eventually(async || proxy.all_faults_applied().then_some(())).await;
        fast.sweep().await;
        is_swept.add_permits(1);
    };
    tokio::join!(slow.sweep(), overtaking);
    assert!(slow.mails().iter().all(|it| it.to != "cfo@example.com"));
    assert!(fast.mails().iter().any(|it| it.to == "cfo@example.com"));
    let again = |correlation: &str| NewApproval {
        correlation_id: Some(correlation.to_owned()),
        ..payment()
    };
    let asked = submit(&slow, &again("second")).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let refused = submit(&slow, &again("third")).await;
    assert_eq!(
        refused.status,
        StatusCode::TOO_MANY_REQUESTS,
        "{}",
        refused.body
    );
}

/// The budget is that of the request and of one escalation.
#[tokio::test]
async fn an_escalation_that_is_not_stored_costs_nothing() {
    let own = [("HO_POLICY", ESCALATED), ("HO_OWNER_BUDGET", "4/1")];
    let (gate, proxy) = behind_a_proxy(&own).await;
    gate.client.submit(&payment()).await.unwrap();
    gate.pass(Duration::from_secs(1_800));
    let refused = Fault::Answer {
        status: 400,
        retry_after: None,
        body: "",
    };
    proxy.fault(|request| operation(request) == "PUT approvals", refused);
    let asked = || gate.mails().iter().any(|it| it.to == "cfo@example.com");
    gate.sweep().await;
    assert!(proxy.all_faults_applied() && !asked());
    gate.sweep().await;
    assert!(asked());
}

#[tokio::test]
async fn without_readable_budgets_nothing_is_submitted() {
    let store = backing_store::tables(azurite().port);
    let settings = [&backing_store::borrowed(&store)[..], &DEFAULTS].concat();
    let gate = TestGate::with(&settings).await;
    let asked = submit(&gate, &for_people(&[ALICE])).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let standing = Table::of(azurite().port, &format!("standing{}", store[2].1));
    let rows = standing.rows().await;
    let mut row = rows
        .into_iter()
        .find(|row| row["PartitionKey"] == "budget")
        .unwrap();
    row["Recipients"] = "".into();
    standing.put(&row).await;
    let refused = submit(&gate, &for_people(&[ALICE])).await;
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        refused.body
    );
}

#[tokio::test]
async fn a_request_whose_index_entry_is_not_written_costs_nothing() {
    let (gate, proxy) = behind_a_proxy(&[("HO_OWNER_BUDGET", "2/60")]).await;
    let writes_entry = |request: &str| operation(request) == "PUT open";
    for _ in 0..2 {
        let refused = Fault::Answer {
            status: 400,
            retry_after: None,
            body: "",
        };
        proxy.fault(writes_entry, refused);
        let failed = submit(&gate, &for_people(&[ALICE])).await;
        assert_eq!(
            failed.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{}",
            failed.body
        );
    }
    assert!(proxy.all_faults_applied());
    let asked = submit(&gate, &for_people(&[ALICE, BOB])).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
}
