//! The table store under faults: throttling, lost connections and responses, truncated responses;
//! orphaned entries; rows of the legacy Logic App; and the operations that each step of a lifecycle takes.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use human_oversight::store::{Account, Store, StoreError, Versioned};
use human_oversight::values::{ApprovalId, Timestamp};
use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::types::{Status, Withdrawal};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::azurite::{Table, azurite, connection_string, fresh_table};
use crate::backing_store::{self, behind_a_proxy};
use crate::claim::claim;
use crate::deadline::eventually;
use crate::harness::{AGENT, ALICE, BOB, TestGate, http, request};
use crate::host::{self, Invocation};
use crate::outcome::report;
use crate::proxy::{Fault, Proxy};
use crate::store::{OPEN_LIMIT, approval, at, count_wrong_code, keys};

/// A store that reaches Azurite through a proxy, which can inject faults.
struct FaultyStore {
    store: Store,
    proxy: Proxy,
    approvals: Table,
    open: Table,
}

impl FaultyStore {
    async fn new() -> Self {
        let proxy = Proxy::start(azurite().port).await;
        let table = fresh_table();
        let account = Account::from_connection_string(&connection_string(proxy.port)).unwrap();
        let store = Store::tables(
            &account,
            &table,
            Arc::new(http().build().unwrap()),
            Arc::new(|| at(0)),
            OPEN_LIMIT,
            keys(),
        );
        store.prepare().await.unwrap();
        Self {
            store,
            proxy,
            approvals: Table::of(azurite().port, &table),
            open: Table::of(azurite().port, &format!("open{table}")),
        }
    }

    /// Inserts a row that is due.
    async fn insert_row(&self) -> Versioned {
        let new = approval("a", "x");
        self.store.insert(new, Some(at(5))).await.unwrap()
    }

    /// The requests that reached the proxy.
    fn operations(&self) -> Vec<String> {
        operations(&self.proxy)
    }
}

/// Method and table of each request, such as `PUT approvals`.
pub(crate) fn operations(proxy: &Proxy) -> Vec<String> {
    proxy.requests().iter().map(|it| operation(it)).collect()
}

/// Method and table of a request.
pub(crate) fn operation(request: &str) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    let table = path.split(['/', '(', '?']).nth(2).unwrap();
    let table = match table {
        "Tables" => "Tables",
        open if open.starts_with("open") => "open",
        // Only the pauses are read as a list.
        standing if standing.starts_with("standing") && path.contains("()") => "pauses",
        standing if standing.starts_with("standing") => "standing",
        decided if decided.starts_with("decided") => "decided",
        _ => "approvals",
    };
    format!("{method} {table}")
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix_millis(i64::try_from(now.as_millis()).unwrap()).unwrap()
}

const BUSY: &str =
    r#"{"odata.error":{"code":"ServerBusy","message":{"lang":"en-US","value":"x"}}}"#;

/// Every fault that the proxy can inject into one request.
fn faults() -> Vec<(&'static str, Fault)> {
    let answer = |status, retry_after| Fault::Answer {
        status,
        retry_after,
        body: BUSY,
    };
    vec![
        ("cut before the request", Fault::CutBefore),
        ("cut after the request", Fault::CutAfter),
        ("503", answer(503, None)),
        ("503, wait", answer(503, Some(1))),
        ("429", answer(429, None)),
        ("500", answer(500, None)),
        ("500 after", Fault::AnswerAfter { status: 500 }),
        ("504 after", Fault::AnswerAfter { status: 504 }),
        ("truncated", Fault::Truncate),
        ("late", Fault::Delay(Duration::from_millis(300))),
        (
            "headers lost",
            Fault::Without(&[
                "server",
                "date",
                "x-ms-request-id",
                "x-ms-version",
                "preference-applied",
            ]),
        ),
    ]
}

#[tokio::test]
async fn no_fault_loses_a_write_or_returns_a_wrong_result() {
    for (of_table, of_index) in [("entry", true), ("row", false)] {
        for (name, fault) in faults() {
            let faulty = FaultyStore::new().await;
            let FaultyStore { store, proxy, .. } = &faulty;
            let is_write = move |request: &str| {
                let is_write = request.starts_with("POST") || request.starts_with("PUT");
                is_write && of_index == request.contains("/open")
            };
            proxy.fault(is_write, fault);
            let first = faulty.insert_row().await;
            assert!(proxy.all_faults_applied(), "{name}");
            let stored = faulty.approvals.rows().await;
            assert_eq!(stored.len(), 1, "insert, {of_table}: {name}");
            let id = &first.approval.request.id;
            assert_eq!(store.get(id).await.unwrap(), first, "{name}");
            let entries = faulty.open.rows().await;
            assert_eq!(entries.len(), 1, "{name}");
            assert_eq!(entries[0]["RowKey"], stored[0]["DueEntry"], "{name}");
        }
        for (name, fault) in faults() {
            let faulty = FaultyStore::new().await;
            let FaultyStore { store, proxy, .. } = &faulty;
            let mut row = faulty.insert_row().await;
            row.approval.withdraw(at(1)).unwrap();
            let is_write = move |request: &str| {
                request.starts_with("PUT") && of_index == request.contains("/open")
            };
            proxy.fault(is_write, fault);
            let second = store.replace(row.clone(), Some(at(2))).await;
            let second =
                second.unwrap_or_else(|error| panic!("replace, {of_table}, {name}: {error}"));
            store.settle().await;
            assert!(proxy.all_faults_applied(), "{name}");
            let id = &second.approval.request.id;
            assert_eq!(store.get(id).await.unwrap(), second, "{name}");
            let stored = faulty.approvals.rows().await;
            let entries = faulty.open.rows().await;
            assert_eq!(entries.len(), 1, "{name}");
            assert_eq!(entries[0]["RowKey"], stored[0]["DueEntry"], "{name}");
            // A real conflict is distinguished from the lost response to an own write.
            assert!(
                matches!(store.replace(row, None).await, Err(StoreError::Conflict)),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_lost_response_does_not_hide_a_conflict() {
    let faulty = FaultyStore::new().await;
    let FaultyStore { store, proxy, .. } = &faulty;
    let row = faulty.insert_row().await;
    let mut concurrent = row.clone();
    concurrent.approval.withdraw(at(1)).unwrap();
    store.replace(concurrent, None).await.unwrap();
    for fault in [
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::AnswerAfter { status: 500 },
    ] {
        proxy.fault(|request| request.starts_with("PUT"), fault);
        assert!(matches!(
            store.replace(row.clone(), Some(at(9))).await,
            Err(StoreError::Conflict)
        ));
        proxy.fault(|request| request.starts_with("POST"), Fault::CutAfter);
        assert!(matches!(
            store.insert(row.approval.clone(), None).await,
            Err(StoreError::AlreadyExists)
        ));
    }
}

/// The response to a first write is lost, and a second writer changes the row at once and so keeps the
/// index entry of the first write. The first writer cannot know that, and must not remove the entry.
#[tokio::test]
async fn an_entry_that_a_row_may_name_is_not_removed() {
    for lost in [Fault::CutAfter, Fault::AnswerAfter { status: 500 }] {
        let faulty = FaultyStore::new().await;
        let FaultyStore { store, proxy, .. } = &faulty;
        let row = faulty.insert_row().await;
        let id = &row.approval.request.id.clone();
        let of_row = |request: &str| request.starts_with("PUT") && !request.contains("/open");
        proxy.fault(of_row, lost);
        // The retry waits until the other writer has finished.
        let other_done = Arc::new(Semaphore::new(0));
        proxy.fault(of_row, Fault::Hold(other_done.clone()));
        let mut first = row.clone();
        count_wrong_code(&mut first.approval, at(1));
        let first = store.replace(first, Some(at(1)));
        let other = async {
            let account = Account::from_connection_string(&azurite().connection_string());
            let table = faulty.approvals.name();
            let store = Store::tables(
                &account.unwrap(),
                table,
                Arc::new(http().build().unwrap()),
                Arc::new(|| at(0)),
                OPEN_LIMIT,
                keys(),
            );
            let mut seen = eventually(async || {
                let seen = store.get(id).await.unwrap();
                (seen.approval.approvers[0].wrong_codes > 0).then_some(seen)
            })
            .await;
            seen.approval.withdraw(at(1)).unwrap();
            store.replace(seen, Some(at(1))).await.unwrap();
            other_done.add_permits(1);
        };
        let (first, ()) = futures_util::join!(first, other);
        assert!(matches!(first, Err(StoreError::Conflict)));
        let page = store.due(at(1), None).await.unwrap().due;
        let mut found = 0;
        for due in &page {
            let row = store.get_if_due(id, due, at(1)).await.unwrap();
            found += usize::from(row.is_some());
        }
        assert_eq!(found, 1, "the index leads to the row");
    }
}

#[tokio::test]
async fn errors_in_xml_are_understood() {
    let faulty = FaultyStore::new().await;
    let row = faulty.insert_row().await;
    let xml = Fault::Answer {
        status: 403,
        retry_after: None,
        body: "<?xml version=\"1.0\"?><m:error><m:code>AuthorizationFailure</m:code><m:message>secret</m:message></m:error>",
    };
    faulty
        .proxy
        .fault(|request| request.starts_with("PUT"), xml);
    let error = faulty.store.replace(row, Some(at(1))).await.unwrap_err();
    assert!(
        error.to_string().ends_with("403 AuthorizationFailure"),
        "{error}"
    );
    let heads = faulty.proxy.heads();
    assert!(
        heads
            .iter()
            .all(|head| head.contains("accept: application/json")),
        "{heads:?}"
    );
}

#[tokio::test]
async fn a_request_without_a_response_is_retried() {
    for fault in [Fault::Silence, Fault::SilenceAfter] {
        let faulty = FaultyStore::new().await;
        let is_row = |request: &str| request.starts_with("POST") && !request.contains("/open");
        faulty.proxy.fault(is_row, fault);
        let row = faulty.insert_row().await;
        assert_eq!(
            faulty.store.get(&row.approval.request.id).await.unwrap(),
            row
        );
        assert_eq!(faulty.approvals.rows().await.len(), 1);
    }
}

#[tokio::test]
async fn an_outage_is_reported_in_time_and_leaves_no_partial_write() {
    let faulty = FaultyStore::new().await;
    let FaultyStore { store, proxy, .. } = &faulty;
    let row = faulty.insert_row().await;
    proxy.down(true);
    let begun = Instant::now();
    let new = approval("a", "y");
    let mut changed = row.clone();
    changed.approval.withdraw(at(1)).unwrap();
    let (inserted, replaced, read, due) = futures_util::join!(
        store.insert(new.clone(), Some(at(0))),
        store.replace(changed.clone(), None),
        store.get(&row.approval.request.id),
        store.due(at(9), None),
    );
    for error in [
        inserted.unwrap_err(),
        replaced.unwrap_err(),
        read.unwrap_err(),
        due.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        let text = error.to_string();
        assert!(
            !text.contains("127.0.0.1") && !text.contains("devstore") && !text.contains("http://"),
            "{text}"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{begun:?}");
    proxy.down(false);
    assert_eq!(store.get(&row.approval.request.id).await.unwrap(), row);
    store.insert(new, Some(at(0))).await.unwrap();
    store.replace(changed, None).await.unwrap();
}

#[tokio::test]
async fn retry_after_of_the_service_is_respected() {
    let faulty = FaultyStore::new().await;
    let busy = Fault::Answer {
        status: 503,
        retry_after: Some(2),
        body: BUSY,
    };
    let row = faulty.insert_row().await;
    faulty
        .proxy
        .fault(|request| request.starts_with("GET"), busy);
    let begun = Instant::now();
    faulty.store.get(&row.approval.request.id).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_refusal_is_not_retried_and_only_its_code_is_reported() {
    let faulty = FaultyStore::new().await;
    let forbidden = Fault::Answer {
        status: 403,
        retry_after: None,
        body: r#"{"odata.error":{"code":"AuthorizationPermissionMismatch","message":{"value":"secret"}}}"#,
    };
    let row = faulty.insert_row().await;
    faulty
        .proxy
        .fault(|request| request.starts_with("GET"), forbidden);
    let error = faulty.store.get(&row.approval.request.id).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "the store is not available: the service answered 403 AuthorizationPermissionMismatch"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_entries_are_counted_over_all_pages() {
    let faulty = FaultyStore::new().await;
    faulty.insert_row().await;
    let entry = faulty.open.rows().await.remove(0);
    let key = entry["RowKey"].as_str().unwrap();
    let (open, own) = (&faulty.open, &key[..16]);
    let copy = |number: usize| {
        let mut entry = entry.clone();
        entry["RowKey"] = json!(format!("{own}{number:032x}"));
        async move { open.put(&entry).await }
    };
    for some in (0..1_000).collect::<Vec<_>>().chunks(50) {
        join_all(some.iter().map(|&number| copy(number))).await;
    }
    let insert = async |limit| {
        let account = Account::from_connection_string(&azurite().connection_string()).unwrap();
        let http = Arc::new(http().build().unwrap());
        let table = faulty.approvals.name();
        let store = Store::tables(&account, table, http, Arc::new(|| at(0)), limit, keys());
        store.insert(approval("a", "y"), Some(at(0))).await
    };
    for too_few in [1, 1_000, 1_001] {
        let refused = insert(too_few).await.unwrap_err();
        assert!(matches!(refused, StoreError::OpenLimit), "{refused}");
    }
    insert(1_002).await.unwrap();
}

#[tokio::test]
async fn connections_are_reused() {
    let faulty = FaultyStore::new().await;
    let row = faulty.insert_row().await;
    for _ in 0..100 {
        faulty.store.get(&row.approval.request.id).await.unwrap();
    }
    assert!(faulty.operations().len() > 100);
    assert!(
        faulty.proxy.connections() <= 2,
        "{}",
        faulty.proxy.connections()
    );
}

#[tokio::test]
async fn every_write_to_a_row_is_conditional() {
    let faulty = FaultyStore::new().await;
    let mut row = faulty.insert_row().await;
    row.approval.withdraw(at(1)).unwrap();
    faulty.store.replace(row, None).await.unwrap();
    for head in faulty.proxy.heads() {
        let head = head.to_ascii_lowercase();
        let of_approvals = !head.lines().next().unwrap().contains("/open");
        if of_approvals && head.starts_with("put") {
            assert!(head.contains("\r\nif-match: w/"), "{head}");
        }
        assert!(!of_approvals || !head.contains("if-match: *"), "{head}");
        assert!(!head.contains("sig="), "{head}");
    }
}

#[tokio::test]
async fn missing_tables_are_created_by_a_write_or_at_the_start() {
    let table = fresh_table();
    let store = |table: &str| {
        let account = Account::from_connection_string(&azurite().connection_string()).unwrap();
        Store::tables(
            &account,
            table,
            Arc::new(http().build().unwrap()),
            Arc::new(|| at(0)),
            OPEN_LIMIT,
            keys(),
        )
    };
    let id = approval("a", "x").request.id;
    // A missing table is not taken for an empty one, and reading creates nothing.
    let missing = store(&table).get(&id).await.unwrap_err().to_string();
    assert!(missing.ends_with("404 TableNotFound"), "{missing}");
    assert!(store(&table).due(at(9), None).await.is_err());
    let new = approval("a", "x");
    store(&table).insert(new, Some(at(0))).await.unwrap();
    store(&table).get(&id).await.unwrap();

    let other = store(&fresh_table());
    other.prepare().await.unwrap();
    other.prepare().await.unwrap();
    assert!(matches!(other.get(&id).await, Err(StoreError::NotFound)));
    let due = other.due(at(9), None).await.unwrap();
    assert_eq!((due.due, due.next), (Vec::new(), None));
}

#[tokio::test]
async fn an_orphaned_entry_is_removed_after_a_quarter_of_an_hour() {
    let faulty = FaultyStore::new().await;
    let FaultyStore {
        store, proxy, open, ..
    } = &faulty;
    let count_due = async |now: Timestamp| {
        let page = store.due(now, None).await.unwrap().due;
        for due in &page {
            let id = due.id.clone().unwrap();
            assert!(store.get_if_due(&id, due, now).await.unwrap().is_none());
        }
        page.len()
    };
    // A process ends between writing the entry and writing the row.
    let of_row = |request: &str| !request.contains("/open") && !request.starts_with("GET");
    let process_lifetime = Duration::from_millis(500);
    proxy.fault(of_row, Fault::Silence);
    let insert = store.insert(approval("a", "x"), Some(at(0)));
    assert!(timeout(process_lifetime, insert).await.is_err());
    // Another ends before the row names its new entry.
    let later = now() + Duration::from_secs(86_400);
    let row = store.insert(approval("a", "y"), Some(later)).await.unwrap();
    proxy.fault(of_row, Fault::Silence);
    let replace = store.replace(row.clone(), Some(at(0)));
    assert!(timeout(process_lifetime, replace).await.is_err());
    assert_eq!(open.rows().await.len(), 3);

    let soon = now() + Duration::from_secs(14 * 60);
    assert_eq!(count_due(soon).await, 2, "recent entries stay");
    let later = now() + Duration::from_secs(16 * 60);
    assert_eq!(count_due(later).await, 2);
    assert_eq!(count_due(later).await, 0, "old entries were removed");
    let id = row.approval.request.id;
    assert_eq!(open.rows().await.len(), 1);
    let stored = store.get(&id).await.unwrap();
    store.replace(stored, None).await.unwrap();
    store.settle().await;
    assert_eq!(open.rows().await.len(), 0);
}

#[tokio::test]
async fn an_entry_that_is_too_early_is_corrected() {
    let faulty = FaultyStore::new().await;
    let FaultyStore {
        store, proxy, open, ..
    } = &faulty;
    let row = faulty.insert_row().await;
    let refused = || Fault::Answer {
        status: 400,
        retry_after: None,
        body: "{}",
    };
    // The row has a later due time, and the update of its entry fails.
    proxy.fault(
        |request| request.starts_with("PUT") && request.contains("/open"),
        refused(),
    );
    let row = store.replace(row, Some(at(5_000))).await.unwrap();
    store.settle().await;
    let page = store.due(at(100), None).await.unwrap().due;
    let id = &row.approval.request.id.clone();
    assert_eq!(page.len(), 1);
    assert!(
        store
            .get_if_due(id, &page[0], at(100))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(store.due(at(100), None).await.unwrap().due, []);
    let page = store.due(at(5_000), None).await.unwrap().due;
    assert!(
        store
            .get_if_due(id, &page[0], at(5_000))
            .await
            .unwrap()
            .is_some()
    );

    // The row is finished, and the removal of its entry fails.
    proxy.fault(|request| request.starts_with("DELETE"), refused());
    store.replace(row, None).await.unwrap();
    store.settle().await;
    assert_eq!(open.rows().await.len(), 1);
    let page = store.due(at(5_000), None).await.unwrap().due;
    let later = now() + Duration::from_secs(16 * 60);
    assert!(
        store
            .get_if_due(id, &page[0], later)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(open.rows().await.len(), 0);
}

#[tokio::test]
async fn an_unreadable_entry_is_returned_without_an_id() {
    let faulty = FaultyStore::new().await;
    faulty.insert_row().await;
    for (key, id) in [("x", "YQ.x"), ("00000000000000000000000000000000", "?")] {
        let entry = json!({
            "PartitionKey": "0", "RowKey": key, "Id": id,
            "Due": at(0).to_string(), "Due@odata.type": "Edm.DateTime",
        });
        faulty.open.put(&entry).await;
    }
    let page = faulty.store.due(at(100), None).await.unwrap().due;
    let ids: Vec<bool> = page.iter().map(|due| due.id.is_ok()).collect();
    assert_eq!(ids, [true, false, false], "longest due first");
}

#[tokio::test]
async fn a_row_of_the_legacy_logic_app_is_refused_and_left_unchanged() {
    let settings = backing_store::tables(azurite().port);
    let table = Table::of(azurite().port, &settings[2].1);
    table.create().await;
    let gate = TestGate::with(&backing_store::borrowed(&settings)).await;
    let legacy = json!({
        "PartitionKey": AGENT,
        "RowKey": "4f4dbd79",
        "AgentName": AGENT,
        "ActionDescription": "Delete User Account",
        "Parameters": "{\"user_id\":\"1\"}",
        "ApproverEmails": "[\"alice@example.com\"]",
        "RequestTimestamp": "2025-05-06T07:08:09.1234567Z",
        "Status": "Approved",
        "Approver": ALICE,
        "ResponseTimestamp": "2025-05-06T07:10:00Z",
    });
    table.put(&legacy).await;
    let legacy = table.get(AGENT, "4f4dbd79").await;
    let id = ApprovalId::new(AGENT, "4f4dbd79").unwrap();
    let mut same = request();
    same.correlation_id = Some("4f4dbd79".to_owned());
    let status = gate.get(&format!("{}/api/status/{id}", gate.url)).await;
    let submit = gate.post("/api/submit", serde_json::to_string(&same).unwrap());
    let path = format!("/api/claim/{id}");
    let claim = gate.post(&path, r#"{"nonce":"0123456789abcdef"}"#);
    for answer in [status, submit.await, claim.await] {
        assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
        let problem = answer.problem();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("legacy Logic App"), "{detail}");
    }
    gate.ask().await;
    gate.pass(Duration::from_secs(3_600));
    assert!(gate.sweep().await.contains("0 failed"));
    assert_eq!(table.get(AGENT, "4f4dbd79").await, legacy);
    assert_eq!(table.rows().await.len(), 2);
}

/// Starts gates on one table, behind a proxy.
async fn start_gates<const N: usize>() -> (Proxy, [TestGate; N]) {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let budgets = [("HO_MAIL_BUDGET", "25/60"), ("HO_OWNER_BUDGET", "200/1200")];
    let settings = [&backing_store::borrowed(&store)[..], &budgets].concat();
    let mut gates = Vec::new();
    for _ in 0..N {
        gates.push(TestGate::with(&settings).await);
    }
    (proxy, gates.try_into().ok().unwrap())
}

/// The minimum of operations that keeps the guarantees; each further one costs a round trip and money.
/// In order, except that `round_trips` knows which of them run side by side:
/// - `submit`: charge the owner's budgets; write the entry, so that a crash loses no request; count the
///   agent's open requests; read the earlier rejections of the same content; write the row; write the
///   results of the deliveries; after the answer, move the entry to the next due time.
/// - `status`: read the row.
/// - opening the page: read the row, then the earlier rejections of the same content.
/// - a decision: read the row; write an earlier entry, since the outcome notice is due now; write the
///   row; after the answer, remove the old entry and keep the decision.
/// - `claim`: read the row and, side by side, the pauses; write the row.
/// - a sweep: read the due entries; for each request read the row, write the send leases, write the
///   results of the deliveries, and move the entry; at the end write what the sweep found.
/// - `outcome`: read and write the row; after the answer, remove the entry.
///
/// A submit or a page whose reading of the pauses is more than 5 s old reads them too.
#[tokio::test]
async fn each_step_of_a_lifecycle_takes_the_expected_operations() {
    let (proxy, [gate]) = start_gates().await;
    gate.ask().await;
    let take_all = || {
        let operations = operations(&proxy);
        proxy.clear();
        operations
    };
    let pauses = "GET pauses";
    let take_operations = async || {
        gate.store.settle().await;
        let mut operations = take_all();
        operations.retain(|operation| operation != pauses);
        operations
    };
    // The first sweep writes the marker of the due index and its record.
    gate.sweep().await;
    take_operations().await;
    let (read, write) = ("GET approvals", "PUT approvals");

    let approval = gate.ask().await;
    let submit = [
        "GET open",
        "GET standing",
        "POST approvals",
        write,
        "PUT open",
        "PUT open",
        "PUT standing",
    ];
    // Earlier rejections are read side by side with the writes of entry and row.
    let mut submitted = take_operations().await;
    submitted.sort();
    assert_eq!(submitted, submit);
    gate.status(&approval.id).await;
    assert_eq!(take_operations().await, [read]);
    let question = gate.question(&approval, ALICE);
    let page = gate.get(&question.link).await;
    let mut shown = take_operations().await;
    shown[1..].sort();
    assert_eq!(shown, [read, "GET decided", "GET standing"]);
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    gate.send_form(&page, &form).await;
    // After the answer.
    let keep = "POST decided";
    let is_kept = || operations(&proxy).iter().any(|it| it == keep);
    eventually(async || is_kept().then_some(())).await;
    let mut decided = take_operations().await;
    decided[..3].sort();
    assert_eq!(decided[..4], [read, "GET standing", "PUT open", write]);
    decided[4..].sort();
    assert_eq!(decided[4..], ["DELETE open", keep]);
    let claim = claim("0123456789abcdef");
    gate.client.claim(&approval.id, &claim).await.unwrap();
    let mut claimed = take_all();
    claimed[..2].sort();
    assert_eq!(claimed, [read, pauses, write]);
    gate.sweep().await;
    assert_eq!(
        take_operations().await,
        [
            "GET open",
            read,
            keep,
            write,
            write,
            "PUT open",
            "PUT standing"
        ]
    );
    gate.sweep().await;
    assert_eq!(
        take_operations().await,
        ["GET open", "PUT standing"],
        "open requests that are not due cost nothing"
    );
    gate.client
        .outcome(&approval.id, &report(None))
        .await
        .unwrap();
    assert_eq!(take_operations().await, [read, write, "DELETE open"]);
    let status = gate.status(&approval.id).await;
    assert_eq!(status.status, Status::Approved);
}

/// While calls are held for a whole hour, the row is read no more often than every 5 s on average; in the first
/// minutes, when most people decide, a decision at another instance is seen within a second.
#[tokio::test]
async fn a_held_call_reads_densely_first_and_seldom_later() {
    let faulty = FaultyStore::new().await;
    let hour = Duration::from_secs(3_600);
    let mut waited = Duration::ZERO;
    for _ in 0..24 {
        let (until, mut reads) = (waited + hour, 0);
        while waited < until {
            let pause = faulty.store.reread_after(waited);
            let longest = if waited <= Duration::from_secs(120) {
                1
            } else {
                8
            };
            assert!(
                pause <= Duration::from_secs(longest),
                "{waited:?}: {pause:?}"
            );
            waited += pause;
            reads += 1;
        }
        assert!(reads <= hour.as_secs() / 5, "{reads}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gates_on_one_table_act_as_one() {
    let (_proxy, [one, other]) = start_gates().await;
    let approval = one.ask().await;
    let begun = Instant::now();
    let wait = other.client.status(&approval.id, Duration::from_secs(60));
    let decide = async {
        one.approve(&approval, ALICE).await;
        Instant::now()
    };
    let (seen, decided) = futures_util::join!(wait, decide);
    assert_eq!(seen.unwrap().0.status, Status::Approved);
    assert!(begun.elapsed() < (decided - begun) + Duration::from_secs(3));

    // Concurrent sweeps by both gates send each outcome notice once.
    let expired = other.ask().await;
    let undecided = other.question(&expired, BOB);
    for gate in [&one, &other] {
        gate.pass(Duration::from_secs(3_600));
    }
    for _ in 0..3 {
        futures_util::join!(one.sweep(), other.sweep(), one.sweep(), other.sweep());
    }
    assert_eq!(one.status(&expired.id).await.status, Status::Timeout);
    let page = one.get(&undecided.link.replace(&other.url, &one.url)).await;
    assert_eq!(
        page.status,
        StatusCode::GONE,
        "each gate accepts the links of the other"
    );
    let mails = [one.mails(), other.mails()].concat();
    let mut notices: Vec<_> = mails
        .iter()
        .filter(|mail| mail.answers.is_some())
        .map(|mail| mail.message_id.as_str())
        .collect();
    notices.sort_unstable();
    let sent = notices.len();
    notices.dedup();
    assert_eq!((sent, notices.len()), (4, 4));
}

#[tokio::test]
async fn an_outage_is_a_503_for_every_caller_and_ends() {
    let (proxy, [gate]) = start_gates().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let page = gate.get(&question.link).await;
    proxy.down(true);
    let url = format!("{}/api/status/{}", gate.url, approval.id);
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let (status, decision, submit) = futures_util::join!(
        gate.get(&url),
        gate.send_form(&page, &form),
        gate.post("/api/submit", serde_json::to_string(&request()).unwrap()),
    );
    for answer in [&status, &decision, &submit] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!answer.header("retry-after").is_empty());
    }
    // The host records an invocation that failed.
    let swept = host::tick(gate.handler, "sweep").await;
    assert!(matches!(swept, Invocation::Failed(_)), "{swept:?}");
    proxy.down(false);
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    gate.approve(&approval, ALICE).await;
}

/// The row in docs/storage.md has the columns and types of a stored row.
#[tokio::test]
async fn the_documented_row_has_the_stored_columns() {
    let settings = backing_store::tables(azurite().port);
    let table = Table::of(azurite().port, &settings[2].1);
    let gate = TestGate::with(&backing_store::borrowed(&settings)).await;
    let mut new = request();
    new.approver_emails = vec![ALICE.to_owned()];
    new.reason = Some("Left the company on 30 September.".to_owned());
    new.on_behalf_of = Some("helpdesk@example.com".to_owned());
    new.claimant = Some(hex(&sha256(b"0123456789abcdef0123456789abcdef")));
    let approval = gate.client.submit(&new).await.unwrap();
    let question = gate.question(&approval, ALICE);
    let form = [
        ("decision", "approve"),
        ("code", question.code.as_str()),
        ("comment", "Agreed with the team lead."),
    ];
    let decided = gate.decide(&question, &form).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER);
    let mut claim = claim("0123456789abcdef");
    claim.secret = Some("0123456789abcdef0123456789abcdef".to_owned());
    gate.client.claim(&approval.id, &claim).await.unwrap();
    let mut report = report(Some("the mailbox is on hold"));
    report.secret = claim.secret;
    gate.client.outcome(&approval.id, &report).await.unwrap();
    gate.sweep().await;
    let mut row = table.rows().await.remove(0);
    let docs = include_str!("../../docs/storage.md");
    let (_, documented) = docs.split_once("```json\n").unwrap();
    let mut documented: Value =
        serde_json::from_str(documented.split_once("```").unwrap().0).unwrap();
    for row in [&mut row, &mut documented] {
        let columns = row.as_object_mut().unwrap();
        // These members depend on the account and table, not on the row.
        columns.retain(|name, _| !name.starts_with("odata."));
        for (name, value) in columns {
            if !name.ends_with("@odata.type") {
                *value = Value::Null;
            }
        }
    }
    assert_eq!(row, documented);
}

/// Where a rule of the policy has `grants`, a submit reads the grants for its content; a use writes them too, in
/// place of everything that asking people takes.
#[tokio::test]
async fn a_standing_grant_takes_one_read_and_a_use_of_it_one_write() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let budgets = [("HO_MAIL_BUDGET", "25/60"), ("HO_OWNER_BUDGET", "200/1200")];
    let policies = [
        crate::grants::POLICY.replace("grants = \"8h\"\n", ""),
        crate::grants::POLICY.to_owned(),
    ];
    let [without, with] = [&policies[0], &policies[1]].map(|policy| {
        let policy = [("HO_POLICY", policy.as_str())];
        [&backing_store::borrowed(&store)[..], &budgets, &policy].concat()
    });
    let (without, with) = (TestGate::with(&without).await, TestGate::with(&with).await);
    let take_operations = || {
        let mut operations = operations(&proxy);
        proxy.clear();
        operations.retain(|operation| operation != "GET pauses");
        operations.sort();
        operations
    };
    let submit =
        async |gate: &TestGate| gate.client.submit(&crate::grants::restart()).await.unwrap();
    submit(&without).await;
    take_operations();
    submit(&without).await;
    let before = take_operations();
    submit(&with).await;
    take_operations();
    let asked = submit(&with).await;
    let mut expected = before.clone();
    // Whether the id is new, too: a repeat costs no use.
    expected.extend(["GET approvals", "GET standing"].map(str::to_owned));
    expected.sort();
    assert_eq!(take_operations(), expected);
    crate::grants::approve_with_grant(&with, &asked, ALICE, ["3600", "9"]).await;
    with.until_kept(1).await;
    // After the answer, the email about its end is queued, and what channels are due is read last.
    let is_announced = async || {
        let operations = operations(&proxy);
        let mut standing = operations.iter().filter(|it| it.ends_with(" standing"));
        let writes = standing.clone().filter(|it| !it.starts_with("GET")).count();
        let is_read_last = standing.next_back().is_some_and(|it| it.starts_with("GET"));
        (writes == 2 && is_read_last).then_some(())
    };
    eventually(is_announced).await;
    with.store.settle().await;
    take_operations();
    assert_eq!(submit(&with).await.status, Status::Approved);
    let used = take_operations();
    assert_eq!(
        used,
        [
            "GET approvals",
            "GET standing",
            "POST approvals",
            "PUT open",
            "PUT standing"
        ]
    );
}

#[tokio::test]
async fn submits_at_once_wait_for_the_same_removals_before_they_are_refused() {
    let (gate, proxy) = behind_a_proxy(&[("HO_OPEN_LIMIT", "2")]).await;
    for approval in [gate.ask().await, gate.ask().await] {
        let is_removal = |request: &str| request.starts_with("DELETE");
        proxy.fault(is_removal, Fault::Delay(Duration::from_millis(500)));
        let withdrawal = Withdrawal::default();
        gate.client
            .withdraw(&approval.id, &withdrawal)
            .await
            .unwrap();
    }
    tokio::join!(gate.ask(), gate.ask());
}
