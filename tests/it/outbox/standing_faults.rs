//! What goes wrong with one standing grant or pause holds up no other, and channels get nothing false.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use human_oversight::store::{StandingKind, StandingRow};
use serde_json::{Value, json};

use super::gate_with;
use super::receiver::{Received, Receiver};
use super::standing::{QUIET, gate_that_tells, outboxes, pause, revoke_grant, standing, told};
use crate::azurite::azurite;
use crate::backing_store;
use crate::deadline::eventually;
use crate::grants::{approve_with_grant, end_mails, given, list, submit};
use crate::harness::{BOB, Log, TestGate};
use crate::host::{Invocation, tick};
use crate::operate::operate;
use crate::process::run;
use crate::proxy::Proxy;

async fn pause_agent(gate: &TestGate, agent: &str) {
    let pause = json!({"command": "pause", "agent": agent, "because": "an incident"});
    operate(gate, pause).await;
}

async fn store_without_columns(gate: &TestGate, kind: StandingKind, name: &str) {
    let row = StandingRow::new(kind, name, BTreeMap::new());
    let stored = gate.store.overwrite_standing(row, gate.now()).await;
    stored.unwrap();
}

#[tokio::test]
async fn a_pause_that_is_set_again_in_other_capitals_is_the_same() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    pause_agent(&gate, "DeployAgent").await;
    standing(&receiver, 1).await;
    pause_agent(&gate, "deployagent").await;
    gate.sweep().await;
    standing(&receiver, 1).await;
    operate(&gate, json!({"command": "resume", "agent": "DEPLOYAGENT"})).await;
    gate.sweep().await;
    assert_eq!(told(&receiver, 2).await, ["pause.started", "pause.ended"]);
    let events = standing(&receiver, 2).await;
    for member in ["agentName", "since"] {
        assert_eq!(events[0]["data"][member], events[1]["data"][member]);
    }
}

#[tokio::test]
async fn more_pauses_than_the_row_keeps_events_are_all_told_after_an_outage() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    receiver.answer_always(Some(500));
    let agents: BTreeSet<String> = (0..30).map(|number| format!("agent-{number}")).collect();
    for agent in &agents {
        pause_agent(&gate, agent).await;
    }
    outboxes(&gate, StandingKind::PauseLog).await;
    let refused = receiver.received().len();
    receiver.answer_always(None);
    let look = async || {
        gate.pass(Duration::from_secs(600));
        gate.sweep().await;
        let received = receiver.received();
        let named = received.iter().skip(refused).map(Received::json);
        let named = named.map(|it| it["data"]["agentName"].as_str().unwrap().to_owned());
        (named.collect::<BTreeSet<_>>() == agents).then_some(())
    };
    eventually(look).await;
}

#[tokio::test]
async fn a_pause_that_cannot_be_read_holds_up_no_event_that_is_queued() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    receiver.answer_always(Some(500));
    pause(&gate).await;
    standing(&receiver, 1).await;
    outboxes(&gate, StandingKind::PauseLog).await;
    store_without_columns(&gate, StandingKind::Pause, "broken").await;
    receiver.answer_always(None);
    let log = Log::default();
    let collecting = log.collect();
    gate.pass(Duration::from_secs(600));
    gate.sweep().await;
    drop(collecting);
    assert_eq!(log.count("the events of pauses cannot be stored"), 1);
    standing(&receiver, 2).await;
}

#[tokio::test]
async fn a_log_of_pauses_that_cannot_be_read_begins_anew() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    store_without_columns(&gate, StandingKind::PauseLog, "all").await;
    pause(&gate).await;
    assert_eq!(told(&receiver, 1).await, ["pause.started"]);
}

#[tokio::test]
async fn of_many_pauses_channels_get_a_hundred() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let scope = |number: usize| format!("{number:0>128}");
    for number in 0..102 {
        let scope = human_oversight::domain::PauseScope::new(None, Some(&scope(number)));
        let since = human_oversight::domain::Pause::new(scope.unwrap(), None, gate.now());
        let paused = human_oversight::app::pause(&gate.store, since.unwrap(), gate.now());
        paused.await.unwrap();
    }
    let log = Log::default();
    let collecting = log.collect();
    for _ in 0..12 {
        gate.sweep().await;
    }
    drop(collecting);
    standing(&receiver, 100).await;
    assert_eq!(log.count("channels get no further pauses"), 1);
    let rows = gate.store.standing_of(StandingKind::PauseLog).await;
    let columns = &rows.unwrap()[0].columns;
    let longest = columns.values().map(|it| it.encode_utf16().count()).max();
    assert!(longest < Some(32_768), "{longest:?}");
}

#[tokio::test]
async fn a_request_that_cannot_be_trusted_holds_up_no_other_notice_of_its_row() {
    let gate = gate_with(QUIET, &[]).await;
    let second = submit(&gate).await;
    let first = given(&gate, "5").await;
    let outbox = async || outboxes(&gate, StandingKind::Grant).await[0].to_string();
    let is_announced = async || (!outbox().await.contains("\"concernsGiver\":true")).then_some(());
    eventually(is_announced).await;
    gate.tamper(&first.id, None, |row| row["History"] = json!("nonsense"))
        .await;
    let log = Log::default();
    let collecting = log.collect();
    let answer = approve_with_grant(&gate, &second, BOB, ["900", "1"]).await;
    assert_eq!(answer.status, 303);
    revoke_grant(&gate).await;
    let look = async || {
        gate.pass(Duration::from_secs(60));
        gate.sweep().await;
        (end_mails(&gate) == 1).then_some(())
    };
    eventually(look).await;
    eventually(is_announced).await;
    let logged = log.count("a notice could not be queued");
    gate.sweep().await;
    drop(collecting);
    assert!(logged >= 1);
    assert_eq!(log.count("a notice could not be queued"), logged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_with_a_wrong_clock_queues_no_notice_to_a_giver() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let settings = [
        &backing_store::borrowed(&store)[..],
        &[("HO_POLICY", QUIET)],
    ]
    .concat();
    let gate = TestGate::with(&settings).await;
    given(&gate, "5").await;
    let columns = async || -> Vec<Value> { outboxes(&gate, StandingKind::Grant).await };
    let is_announced = async || {
        let outbox = columns().await[0].to_string();
        (!outbox.contains("\"concernsGiver\":true")).then_some(())
    };
    eventually(is_announced).await;
    let id = list(&gate).await[0]["id"].as_str().unwrap().to_owned();
    let (said, code) = run(&backing_store::borrowed(&store), &["grants", "revoke", &id]).await;
    assert_eq!(code, 0, "{said}");
    let before = columns().await;
    assert!(before[0].to_string().contains("\"concernsGiver\":true"));
    proxy.shift_clock(-86_400);
    let swept = tick(gate.handler, "sweep").await;
    assert!(!matches!(swept, Invocation::Succeeded { .. }));
    assert_eq!(columns().await, before);
    proxy.shift_clock(0);
    gate.sweep().await;
    eventually(is_announced).await;
}
