//! How many operations on tables follow one another, each sent after the answer of the one before: on Azure each is
//! a round trip, so that the longest chain, not the number of operations, is what a caller waits for.

mod forms;
mod scale;

use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::Instant;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::claim::claim;
use crate::deadline::eventually;
use crate::harness::{ALICE, TestGate, request};
use crate::outcome::report;
use crate::proxy::{Fault, Proxy};
use crate::tables::operations;

/// Longer than the time between two operations that are sent side by side.
const LATENCY: Duration = Duration::from_millis(150);

/// An operation that the proxy has answered.
struct Operation {
    name: String,
    arrived_at: Instant,
    answered_at: Instant,
}

/// The operations since the last call, in the order of their arrival, once there are this many and all are answered.
/// Only a claim reads the pauses in any case.
async fn take_operations(proxy: &Proxy, count: usize, is_claim: bool) -> Vec<Operation> {
    let taken: Vec<Operation> = eventually(async || {
        let answered = operations(proxy).into_iter().zip(proxy.spans());
        let answered = answered.filter(|(name, _)| is_claim || name != "GET pauses");
        let answered = answered.map(|(name, (arrived_at, answered_at))| {
            Some(Operation {
                name,
                arrived_at,
                answered_at: answered_at?,
            })
        });
        let all: Option<Vec<Operation>> = answered.collect();
        all.filter(|all| all.len() >= count)
    })
    .await;
    proxy.clear();
    let names: Vec<&str> = taken.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names.len(), count, "{names:?}");
    taken
}

/// The operations since the last call that have been answered, in the order of their arrival.
fn answered(proxy: &Proxy) -> Vec<Operation> {
    let all = operations(proxy).into_iter().zip(proxy.spans());
    let answered = all.map(|(name, (arrived_at, answered_at))| {
        Some(Operation {
            name,
            arrived_at,
            answered_at: answered_at?,
        })
    });
    answered.flatten().collect()
}

/// The length of the longest chain among the operations that were answered by then.
fn depth(operations: &[Operation], by: Instant) -> usize {
    let mut depths: Vec<(Instant, usize)> = Vec::new();
    for operation in operations {
        let before = depths.iter().filter(|it| it.0 <= operation.arrived_at);
        let before = before.map(|it| it.1).max().unwrap_or(0);
        if operation.answered_at <= by {
            depths.push((operation.answered_at, before + 1));
        }
    }
    depths.iter().map(|it| it.1).max().unwrap_or(0)
}

/// The longest chain before this operation was sent.
fn depth_before(operations: &[Operation], name: &str) -> usize {
    let found = operations.iter().find(|it| it.name == name).unwrap();
    depth(operations, found.arrived_at)
}

/// The figures of docs/performance.md, with budgets, the reading of earlier rejections and the kept decision; the
/// pauses were read at most 5 s before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_of_a_lifecycle_has_a_longer_chain_of_operations() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let budgets = [("HO_MAIL_BUDGET", "25/60"), ("HO_OWNER_BUDGET", "200/1200")];
    let settings = [&backing_store::borrowed(&store)[..], &budgets].concat();
    let gate = TestGate::with(&settings).await;
    // What only a first call reads.
    gate.sweep().await;
    gate.approve(&gate.ask().await, ALICE).await;
    gate.until_kept(1).await;
    gate.store.settle().await;
    proxy.clear();
    proxy.slow_down(LATENCY);

    let approval = gate.ask().await;
    let answered_at = Instant::now();
    let submit = take_operations(&proxy, 7, false).await;
    let of_mail = "PUT approvals";
    assert_eq!(
        depth_before(&submit, of_mail),
        3,
        "until the emails are sent"
    );
    assert_eq!(depth(&submit, answered_at), 4, "until the answer");
    assert_eq!(depth(&submit, Instant::now()), 5, "in all");

    gate.status(&approval.id).await;
    let status = take_operations(&proxy, 1, false).await;
    assert_eq!(depth(&status, Instant::now()), 1);

    let question = gate.question(&approval, ALICE);
    let page = gate.get(&question.link).await;
    let shown = take_operations(&proxy, 3, false).await;
    assert_eq!(depth(&shown, Instant::now()), 2);
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let decided = gate.send_form(&page, &form).await;
    let answered_at = Instant::now();
    assert_eq!(decided.status, StatusCode::SEE_OTHER);
    let decision = take_operations(&proxy, 6, false).await;
    assert_eq!(depth(&decision, answered_at), 2, "until the answer");
    assert_eq!(depth(&decision, Instant::now()), 3, "in all");

    let nonce = claim("0123456789abcdef");
    gate.client.claim(&approval.id, &nonce).await.unwrap();
    let claimed = take_operations(&proxy, 3, true).await;
    assert_eq!(depth(&claimed, Instant::now()), 2);

    gate.sweep().await;
    gate.store.settle().await;
    proxy.clear();
    gate.client
        .outcome(&approval.id, &report(None))
        .await
        .unwrap();
    let answered_at = Instant::now();
    let outcome = take_operations(&proxy, 3, false).await;
    assert_eq!(depth(&outcome, answered_at), 2, "until the answer");
    assert_eq!(depth(&outcome, Instant::now()), 3, "in all");

    gate.sweep().await;
    let idle = take_operations(&proxy, 2, false).await;
    assert_eq!(depth(&idle, Instant::now()), 2);
}

/// No answer waits for the removal of an index entry, by which open requests are counted; the next submit does, if it
/// would be refused otherwise.
#[tokio::test]
async fn a_place_that_was_freed_is_free_for_the_next_submit() {
    let (gate, proxy) = backing_store::behind_a_proxy(&[("HO_OPEN_LIMIT", "1")]).await;
    let first = gate.ask().await;
    gate.client.submit(&request()).await.unwrap_err();
    let is_removal = |request: &str| request.starts_with("DELETE");
    proxy.fault(is_removal, Fault::Delay(Duration::from_millis(600)));
    let none = Default::default();
    gate.client.withdraw(&first.id, &none).await.unwrap();
    gate.ask().await;
    assert!(proxy.all_faults_applied());
}

/// The owner is charged while the index entry is written.
#[tokio::test]
async fn a_submit_beyond_a_budget_leaves_no_index_entry() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let open = Table::of(azurite().port, &format!("open{}", store[2].1));
    let budget = [("HO_OWNER_BUDGET", "2/60"), ("HO_OPEN_LIMIT", "2")];
    let gate = TestGate::with(&[&backing_store::borrowed(&store)[..], &budget].concat()).await;
    gate.ask().await;
    for _ in 0..3 {
        proxy.clear();
        gate.client.submit(&request()).await.unwrap_err();
    }
    let mut taken = operations(&proxy);
    taken.retain(|operation| operation != "GET pauses");
    assert_eq!(taken.len(), 6, "{taken:?}");
    assert_eq!(open.rows().await.len(), 1);
    assert_eq!(gate.mails().len(), 2);
}
