//! A request is withdrawn when the last call of this process that waits for it goes, and not before.

use std::sync::Arc;

use human_oversight_client::types::Status;
use human_oversight_client::{Action, Client, Gate, Outcome, Reason, flush};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::{must_not_run, refusal, user};
use crate::deadline::{eventually, within};
use crate::harness::{AGENT, ALICE, TestGate};
use crate::host::KEY;
use crate::proxy::{Fault, Proxy};

/// A proxy before the gate, and the action through it.
pub(super) async fn behind_a_proxy(gate: &TestGate) -> (Proxy, Action) {
    let (_, port) = gate.url.rsplit_once(':').unwrap();
    let proxy = Proxy::start(port.parse().unwrap()).await;
    let client = Client::new(&format!("http://127.0.0.1:{}", proxy.port), Some(KEY)).unwrap();
    let agent = Gate::new(client).agent(AGENT).approvers([ALICE]);
    (proxy, agent.action("Delete User Account"))
}

/// A call that waits, and the id of its request, each time that it is pending.
fn call(action: &Action) -> (JoinHandle<Outcome<String>>, mpsc::UnboundedReceiver<String>) {
    let (submitted, ids) = mpsc::unbounded_channel();
    let action = action
        .clone()
        .on_pending(move |it| drop(submitted.send(it.id.clone())));
    let waiting = tokio::spawn(async move { action.run(&user(), must_not_run).await });
    (waiting, ids)
}

async fn drop_call(call: JoinHandle<Outcome<String>>) {
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
}

/// The last call withdraws the request when it is dropped.
async fn assert_withdrawn_after(gate: &TestGate, last: JoinHandle<Outcome<String>>, id: &str) {
    drop_call(last).await;
    within(flush()).await;
    assert_eq!(gate.status(id).await.status, Status::Cancelled);
}

fn hold(proxy: &Proxy, call: &'static str) -> Arc<Semaphore> {
    let permits = Arc::new(Semaphore::new(0));
    proxy.fault(move |it| it == call, Fault::Hold(Arc::clone(&permits)));
    permits
}

async fn arrived(proxy: &Proxy, call: &str) {
    let arrived = async || proxy.requests().iter().any(|it| it == call).then_some(());
    eventually(arrived).await;
}

/// As at a gate that starts cold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_while_its_request_is_on_the_way_withdraws_it() {
    let gate = TestGate::start().await;
    let (proxy, action) = behind_a_proxy(&gate).await;
    let action = action.correlation_id("call-1");
    let held = hold(&proxy, "POST /api/submit");
    let (dropped, _) = call(&action);
    arrived(&proxy, "POST /api/submit").await;
    drop_call(dropped).await;
    held.add_permits(1);
    within(flush()).await;
    let id = action.prepare().id;
    assert_eq!(gate.status(&id).await.status, Status::Cancelled);
    let withdraw = format!("POST /api/withdraw/{id}");
    let calls = ["GET /api/keys", "POST /api/submit", &withdraw];
    assert_eq!(proxy.requests(), calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_before_its_request_is_sent_withdraws_nothing() {
    let gate = TestGate::start().await;
    let (proxy, action) = behind_a_proxy(&gate).await;
    let held = hold(&proxy, "GET /api/keys");
    let (dropped, _) = call(&action);
    arrived(&proxy, "GET /api/keys").await;
    drop_call(dropped).await;
    held.add_permits(1);
    within(flush()).await;
    assert_eq!(proxy.requests(), ["GET /api/keys"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_call_under_a_name_that_is_dropped_withdraws_the_request() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let action = action.correlation_id("call-1");
    let ((first, mut ids), (second, mut again)) = (call(&action), call(&action));
    let id = within(ids.recv()).await.unwrap();
    assert_eq!(within(again.recv()).await.unwrap(), id);
    drop_call(first).await;
    within(flush()).await;
    assert_eq!(gate.status(&id).await.status, Status::Pending);
    assert_withdrawn_after(&gate, second, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_the_same_name_that_fails_leaves_the_request_to_the_first() {
    let gate = TestGate::start().await;
    let (proxy, action) = behind_a_proxy(&gate).await;
    let action = action.correlation_id("call-1");
    let (first, mut ids) = call(&action);
    let id = within(ids.recv()).await.unwrap();
    let unreadable = Fault::Answer {
        status: 200,
        retry_after: None,
        body: "<html>",
    };
    proxy.fault(|it| it == "POST /api/submit", unreadable);
    let failed = refusal(within(action.run(&user(), must_not_run)).await);
    assert_eq!(failed.reason, Reason::Unavailable);
    within(flush()).await;
    assert!(proxy.all_faults_applied());
    assert_eq!(gate.status(&id).await.status, Status::Pending);
    assert_withdrawn_after(&gate, first, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_that_is_tried_again_spares_the_request_of_a_call_that_waits_by_then() {
    let gate = TestGate::start().await;
    let (proxy, action) = behind_a_proxy(&gate).await;
    let action = action.correlation_id("call-1");
    let (dropped, mut ids) = call(&action);
    let id = within(ids.recv()).await.unwrap();
    let withdraw = format!("POST /api/withdraw/{id}");
    let busy = Fault::Answer {
        status: 503,
        retry_after: None,
        body: "",
    };
    let of_withdraw = withdraw.clone();
    proxy.fault(move |it| it == of_withdraw, busy);
    drop_call(dropped).await;
    arrived(&proxy, &withdraw).await;
    let (second, mut ids) = call(&action);
    within(ids.recv()).await.unwrap();
    within(flush()).await;
    assert_eq!(gate.status(&id).await.status, Status::Pending);
    assert_withdrawn_after(&gate, second, &id).await;
}
