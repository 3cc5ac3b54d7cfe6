//! A thousand requests, each for three channels: what a sweep costs.

use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use human_oversight::domain::{Approval, Ask, Origin, Plan, PolicyOrigin, Stage};
use human_oversight::values::Digest;

use super::gate_with;
use super::receiver::Receiver;
use crate::azurite::azurite;
use crate::backing_store;
use crate::harness::TestGate;
use crate::proxy::Proxy;
use crate::store::approval;
use crate::tables::operations;

const REQUESTS: usize = 1_000;
const CHANNELS: [&str; 3] = ["agents", "ledger", "other"];

const POLICY: &str = r#"
version = 1
[channels.agents]
kind = "webhook"
url = "HO_CHANNEL_AGENTS"
[channels.ledger]
kind = "webhook"
url = "HO_CHANNEL_LEDGER"
[channels.other]
kind = "teams"
url = "HO_CHANNEL_OTHER"
"#;

/// Stores requests that are withdrawn, and whose channels know nothing of them yet.
async fn fill(gate: &TestGate) {
    let now = gate.now();
    let plan = || Plan {
        origin: Origin::Policy(PolicyOrigin {
            digest: Digest([7; 32]),
            rules: vec!["all".to_owned()],
            facts: Vec::new(),
        }),
        stages: vec![Stage {
            asks: vec![Ask {
                from: "finance".to_owned(),
                members: vec![0],
                needed: NonZeroU8::MIN,
            }],
        }],
        tell: CHANNELS.map(str::to_owned).to_vec(),
        ..Plan::of_requester(1)
    };
    let requests = (0..REQUESTS).map(|number| {
        let mut approval = approval(&format!("Agent{}", number % 40), &format!("{number:04}"));
        approval.request.requested_at = now;
        approval.request.expires_at = now + Duration::from_secs(3_600);
        let mut approval = Approval::with_plan(approval.request, plan(), approval.approvers);
        approval.withdraw(now).unwrap();
        approval
    });
    let requests: Vec<Approval> = requests.collect();
    // Few at once: on a busy machine each must be stored within the time limit of one operation.
    for some in requests.chunks(8) {
        let inserting = some.iter();
        let inserting = inserting.map(|it| gate.store.insert(it.clone(), Some(now)));
        for inserted in join_all(inserting).await {
            inserted.unwrap();
        }
    }
}

/// For each request: its row is read, written with the leases, written with the results, and its entry removed. A webhook
/// gets both events, a room the last one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_for_three_channels_cost_three_operations_and_their_entries() {
    let receiver = Receiver::start().await;
    let proxy = Proxy::start(azurite().port).await;
    let tables = backing_store::tables(proxy.port);
    let urls = ["HO_CHANNEL_AGENTS", "HO_CHANNEL_LEDGER", "HO_CHANNEL_OTHER"];
    let urls = urls.map(|name| (name, receiver.url.as_str()));
    let settings = [&backing_store::borrowed(&tables)[..], &urls].concat();
    let gate = gate_with(POLICY, &settings).await;
    fill(&gate).await;
    gate.pass(Duration::from_secs(1));
    proxy.clear();
    let (began_at, mut sweeps) = (Instant::now(), 0);
    while receiver.received().len() < 5 * REQUESTS && sweeps < 20 {
        gate.sweep().await;
        sweeps += 1;
    }
    let took = began_at.elapsed();
    let done = operations(&proxy);
    eprintln!(
        "{REQUESTS} requests for 3 channels: {sweeps} sweeps, {} ms, {} messages, {} operations",
        took.as_millis(),
        receiver.received().len(),
        done.len()
    );
    assert_eq!(receiver.received().len(), 5 * REQUESTS);
    let of_rows = done.iter().filter(|it| it.ends_with("approvals"));
    // The first sweep reads the table once, to mark the index as whole.
    assert_eq!(of_rows.count(), 3 * REQUESTS + 1);
    let of_entries = done
        .iter()
        .filter(|it| *it != "GET open" && it.ends_with("open"));
    assert!(of_entries.count() <= REQUESTS + 1);
}
