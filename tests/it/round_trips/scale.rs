//! No step of a lifecycle takes more operations where there are many requests, open and decided, and a policy whose
//! stages three people vote in.

use futures_util::future::join_all;
use human_oversight_client::types::Approval;

use crate::backing_store;
use crate::claim::claim;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, TestGate};
use crate::outcome::report;
use crate::proxy::Proxy;
use crate::quorum::{CAROL, POLICY, payment};
use crate::tables::operations;

/// More than the page reads of earlier decisions.
const DECIDED: usize = 55;
const OPEN: usize = 100;

/// The number of operations since the last call, once those under way have ended, without the reads of the pauses, which
/// depend on the time.
async fn take_count(gate: &TestGate, proxy: &Proxy) -> usize {
    gate.store.settle().await;
    let is_calm = || proxy.spans().iter().all(|it| it.1.is_some());
    eventually(async || is_calm().then_some(())).await;
    let mut taken = operations(proxy);
    proxy.clear();
    taken.retain(|it| it != "GET pauses");
    taken.len()
}

/// Approves as a person, once they have their email.
async fn vote(gate: &TestGate, approval: &Approval, person: &str) {
    let asked = async || {
        let mails = gate.mails().into_iter();
        let mut mine = mails.filter(|it| it.to == person && it.text.contains(&approval.id));
        mine.next()
    };
    eventually(asked).await;
    gate.approve(approval, person).await;
}

/// The operations of submit, status, page, claim, outcome and sweep, for a payment that three people approve.
async fn life(gate: &TestGate, proxy: &Proxy, kept: usize) -> Vec<usize> {
    gate.sweep().await;
    take_count(gate, proxy).await;
    let mut counts = Vec::new();
    let approval = gate.client.submit(&payment(100)).await.unwrap();
    counts.push(take_count(gate, proxy).await);
    gate.status(&approval.id).await;
    counts.push(take_count(gate, proxy).await);
    gate.get(&gate.question(&approval, ALICE).link).await;
    counts.push(take_count(gate, proxy).await);
    for person in [ALICE, BOB, CAROL] {
        vote(gate, &approval, person).await;
    }
    gate.until_kept(kept).await;
    // Those of the votes depend on which emails are noted together.
    take_count(gate, proxy).await;
    let nonce = claim("0123456789abcdef");
    gate.client.claim(&approval.id, &nonce).await.unwrap();
    counts.push(take_count(gate, proxy).await);
    gate.client
        .outcome(&approval.id, &report(None))
        .await
        .unwrap();
    counts.push(take_count(gate, proxy).await);
    gate.sweep().await;
    counts.push(take_count(gate, proxy).await);
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_takes_more_operations_among_many_requests() {
    let (gate, proxy) = backing_store::behind_a_proxy(&[("HO_POLICY", POLICY)]).await;
    let alone = life(&gate, &proxy, 1).await;
    for round in 0..DECIDED {
        let approval = gate.client.submit(&payment(100)).await.unwrap();
        gate.reject(&approval, ALICE, "").await;
        gate.until_kept(round + 2).await;
    }
    join_all((0..OPEN).map(|_| gate.ask())).await;
    gate.sweep().await;
    let among_many = life(&gate, &proxy, DECIDED + 2).await;
    assert_eq!(among_many, alone);
    assert_eq!(alone, [6, 1, 3, 2, 2, 7]);
}
