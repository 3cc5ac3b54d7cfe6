//! The events of standing grants and pauses.

use std::collections::HashSet;
use std::time::Duration;

use human_oversight::store::StandingKind;
use serde_json::{Value, json};

use super::receiver::{Received, Receiver, SECRET};
use super::{gate_with, signed_headers};
use crate::azurite::azurite;
use crate::backing_store;
use crate::channels::verify;
use crate::deadline::eventually;
use crate::grants::{
    approve_with_grant, assert_approves, end_by_form, end_mails, given, list, submit,
};
use crate::harness::{ALICE, BOB, Log, TestGate};
use crate::operate::operate;
use crate::process::run;

pub(crate) const POLICY: &str = r#"
version = 1

[groups]
operators = ["alice@example.com", "bob@example.com"]

[channels.ledger]
kind = "webhook"
url = "HO_CHANNEL_LEDGER"
pauses = true

[[rule]]
id = "restarts"
actions = ["Restart *"]
effect = "require"
stages = [{ from = "operators" }]
grants = "8h"
tell = ["ledger"]
"#;

/// Without channels.
pub(super) const QUIET: &str = crate::grants::POLICY;

pub(super) async fn gate_that_tells(receiver: &Receiver) -> TestGate {
    gate_with(POLICY, &[("HO_CHANNEL_LEDGER", &receiver.url)]).await
}

fn is_standing(received: &Received) -> bool {
    !received.kind().starts_with("request.")
}

/// What the receiver has of grants and pauses, in the order of their numbers, once it is that number.
pub(super) async fn standing(receiver: &Receiver, count: usize) -> Vec<Value> {
    let look = async || {
        let received = receiver.received();
        let standing: Vec<Value> = received
            .iter()
            .filter(|it| is_standing(it))
            .map(Received::json)
            .collect();
        (standing.len() >= count).then_some(standing)
    };
    let mut standing = eventually(look).await;
    assert_eq!(standing.len(), count, "{standing:?}");
    standing.sort_by_key(|event| event["data"]["sequence"].as_u64());
    standing
}

/// What the receiver has of grants and pauses, as `type by`.
pub(super) async fn told(receiver: &Receiver, count: usize) -> Vec<String> {
    let word = |event: &Value| {
        let by = event["data"]["endedBy"].as_str();
        let kind = event["type"].as_str().unwrap();
        by.map_or_else(|| kind.to_owned(), |by| format!("{kind} {by}"))
    };
    standing(receiver, count).await.iter().map(word).collect()
}

/// The outboxes in the standing rows of this kind, once no delivery is under way or due.
pub(super) async fn outboxes(gate: &TestGate, kind: StandingKind) -> Vec<Value> {
    let look = async || {
        let rows = gate.store.standing_of(kind).await.unwrap();
        let outboxes = rows.iter().filter_map(|row| row.columns.get("Outbox"));
        let outboxes: Vec<Value> = outboxes
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        let is_sending = |outbox: &Value| outbox.to_string().contains("Sending");
        (!outboxes.iter().any(is_sending)).then_some(outboxes)
    };
    eventually(look).await
}

pub(super) async fn revoke_grant(gate: &TestGate) {
    let active = list(gate).await;
    let active = active.iter().find(|grant| grant["state"] == "active");
    let revoke = json!({"command": "revoke-grant", "id": active.unwrap()["id"]});
    assert_eq!(operate(gate, revoke).await["done"], true);
}

pub(super) async fn pause(gate: &TestGate) {
    operate(
        gate,
        json!({"command": "pause", "because": "a secret incident"}),
    )
    .await;
}

async fn resume(gate: &TestGate) {
    operate(gate, json!({"command": "resume"})).await;
}

#[tokio::test]
async fn the_channels_of_a_rule_get_a_grant_that_it_allowed_and_its_end() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let asked = given(&gate, "3").await;
    standing(&receiver, 1).await;
    assert_approves(&gate).await;
    revoke_grant(&gate).await;
    let events = standing(&receiver, 2).await;
    let grant = list(&gate).await[0].clone();
    let common = json!({
        "grantId": grant["id"],
        "agentName": asked.agent_name,
        "correlationId": asked.correlation_id,
        "actionDescription": "Restart a service",
        "uses": 3,
        "until": grant["until"],
        "url": format!("{}/api/decision/{}", gate.url, asked.id),
    });
    let with = |more: Value| {
        let mut data = common.clone();
        data.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        data
    };
    assert_eq!(events[0]["type"], "grant.given");
    assert_eq!(events[0]["timestamp"], grant["since"]);
    assert_eq!(events[0]["data"], with(json!({"sequence": 1})));
    assert_eq!(events[1]["type"], "grant.ended");
    let ended = with(json!({"sequence": 2, "used": 1, "endedBy": "operator"}));
    assert_eq!(events[1]["data"], ended);
    let received = receiver.received();
    let ids: HashSet<String> = received.iter().map(|it| it.header("webhook-id")).collect();
    assert_eq!(ids.len(), received.len());
    for one in received.iter().filter(|it| is_standing(it)) {
        let event = verify(&signed_headers(one), &one.body).await;
        assert_eq!(event.as_ref(), Some(&one.json()));
        for secret in ["billing", "zone", ALICE, "?k="] {
            assert!(!one.body.contains(secret), "{}", one.body);
        }
    }
    // What was sent is not sent again.
    outboxes(&gate, StandingKind::Grant).await;
    gate.pass(Duration::from_secs(36_000));
    gate.sweep().await;
    standing(&receiver, 2).await;
}

#[tokio::test]
async fn every_end_of_a_grant_is_sent_once() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let mut expected = Vec::new();
    for by in ["giver", "uses", "time", "rejection", "pause"] {
        let open = submit(&gate).await;
        let asked = given(&gate, "1").await;
        expected.push("grant.given".to_owned());
        match by {
            "giver" => assert_eq!(end_by_form(&gate, &asked, None).await.status, 303),
            "uses" => drop(assert_approves(&gate).await),
            "time" => {
                standing(&receiver, expected.len()).await;
                // What is under way would be sent again after its lease.
                outboxes(&gate, StandingKind::Grant).await;
                gate.pass(Duration::from_secs(3_600));
                gate.sweep().await;
            }
            "rejection" => gate.reject(&open, BOB, "").await,
            _ => pause(&gate).await,
        }
        expected.push(format!("grant.ended {by}"));
        let pauses = usize::from(by == "pause");
        let mut told = told(&receiver, expected.len() + pauses).await;
        told.retain(|it| it != "pause.started");
        assert_eq!(told, expected, "{by}");
    }
}

#[tokio::test]
async fn a_grant_in_place_of_another_ends_it() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let first = submit(&gate).await;
    given(&gate, "5").await;
    let answer = approve_with_grant(&gate, &first, BOB, ["900", "1"]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        told(&receiver, 3).await,
        ["grant.given", "grant.ended replacement", "grant.given"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_giver_learns_at_once_and_once_of_an_end_by_operator_rejection_or_pause() {
    for by in ["operator", "command line", "rejection", "pause"] {
        let gate = gate_with(QUIET, &[]).await;
        let open = submit(&gate).await;
        given(&gate, "5").await;
        match by {
            "operator" => revoke_grant(&gate).await,
            "command line" => {
                let settings = backing_store::settings(gate.dir.path());
                let id = list(&gate).await[0]["id"].as_str().unwrap().to_owned();
                let settings = backing_store::borrowed(&settings);
                let (said, code) = run(&settings, &["grants", "revoke", &id]).await;
                assert_eq!(code, 0, "{said}");
            }
            "rejection" => gate.reject(&open, BOB, "").await,
            _ => pause(&gate).await,
        }
        gate.pass(Duration::from_secs(60));
        let look = async || {
            gate.sweep().await;
            (end_mails(&gate) == 1).then_some(())
        };
        eventually(look).await;
        let mails = gate.mails();
        let mut ends = mails
            .iter()
            .filter(|it| it.subject.contains("[Grant ended]"));
        assert_eq!(ends.next().unwrap().to, ALICE, "{by}");
        // Nor at its latest end.
        gate.pass(Duration::from_secs(3_600));
        gate.sweep().await;
        assert_eq!(end_mails(&gate), 1, "{by}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_instances_one_sends_what_the_command_line_has_ended() {
    let receiver = Receiver::start().await;
    let tables = backing_store::tables(azurite().port);
    let store = backing_store::borrowed(&tables);
    let settings = [
        &store[..],
        &[
            ("HO_POLICY", POLICY),
            ("HO_CHANNELS_ALLOW_PRIVATE", "1"),
            ("HO_CHANNEL_LEDGER", receiver.url.as_str()),
            ("HO_CHANNEL_LEDGER_SECRET", SECRET),
        ],
    ]
    .concat();
    let gates = [
        TestGate::with(&settings).await,
        TestGate::with(&settings).await,
    ];
    given(&gates[0], "5").await;
    standing(&receiver, 1).await;
    outboxes(&gates[0], StandingKind::Grant).await;
    let id = list(&gates[0]).await[0]["id"].as_str().unwrap().to_owned();
    for command in [
        &["grants", "revoke", &id][..],
        &["pause", "--because", "an incident", "--again-after", "0"],
        &["resume"],
    ] {
        let (said, code) = run(&store, command).await;
        assert_eq!(code, 0, "{said}");
    }
    for _ in 0..3 {
        tokio::join!(gates[0].sweep(), gates[1].sweep());
        for gate in &gates {
            gate.pass(Duration::from_secs(60));
        }
    }
    let mut told = told(&receiver, 4).await;
    told.sort();
    assert_eq!(
        told,
        [
            "grant.ended operator",
            "grant.given",
            "pause.ended",
            "pause.started"
        ]
    );
    let mails = gates.iter().map(end_mails);
    assert_eq!(mails.sum::<usize>(), 1);
}

#[tokio::test]
async fn channels_that_get_pauses_get_each_beginning_and_end_without_the_reason() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    pause(&gate).await;
    standing(&receiver, 1).await;
    // The same pause, with another reason.
    pause(&gate).await;
    resume(&gate).await;
    standing(&receiver, 2).await;
    let agent = json!({"command": "pause", "agent": "RefundAgent", "because": "a secret incident"});
    operate(&gate, agent).await;
    standing(&receiver, 3).await;
    let owner =
        json!({"command": "pause", "owner": format!("key:{}", "ab".repeat(32)), "because": "x"});
    operate(&gate, owner).await;
    let events = standing(&receiver, 4).await;
    let told: Vec<Value> = events
        .iter()
        .map(|event| {
            let data = &event["data"];
            json!([
                event["type"],
                data["scope"],
                data["agentName"],
                data["owner"]
            ])
        })
        .collect();
    assert_eq!(
        json!(told),
        json!([
            ["pause.started", "all", null, null],
            ["pause.ended", "all", null, null],
            ["pause.started", "agent", "RefundAgent", null],
            ["pause.started", "owner", null, "key:abababab"],
        ])
    );
    assert_eq!(events[0]["data"]["since"], events[1]["data"]["since"]);
    assert_eq!(events[0]["timestamp"], events[0]["data"]["since"]);
    for one in receiver.received() {
        assert!(!one.body.contains("secret incident"), "{}", one.body);
    }
    gate.sweep().await;
    standing(&receiver, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_begins_and_ends_between_two_sweeps_is_not_missed() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    gate.sweep().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    for command in [
        &["pause", "--because", "an incident", "--again-after", "0"][..],
        &["resume"],
    ] {
        let (said, code) = run(&settings, command).await;
        assert_eq!(code, 0, "{said}");
    }
    standing(&receiver, 0).await;
    gate.sweep().await;
    assert_eq!(told(&receiver, 2).await, ["pause.started", "pause.ended"]);
}

#[tokio::test]
async fn a_channel_that_does_not_ask_for_pauses_gets_none() {
    let receiver = Receiver::start().await;
    let policy = POLICY.replace("pauses = true\n", "");
    let gate = gate_with(&policy, &[("HO_CHANNEL_LEDGER", &receiver.url)]).await;
    pause(&gate).await;
    gate.sweep().await;
    resume(&gate).await;
    gate.sweep().await;
    standing(&receiver, 0).await;
    assert_eq!(
        outboxes(&gate, StandingKind::PauseLog).await,
        [json!(null); 0]
    );
}

#[tokio::test]
async fn an_event_that_is_not_accepted_is_sent_again_by_the_schedule_and_then_by_the_operator() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let log = Log::default();
    let collecting = log.collect();
    receiver.answer_always(Some(500));
    pause(&gate).await;
    standing(&receiver, 1).await;
    outboxes(&gate, StandingKind::PauseLog).await;
    for (sent, pause) in (1..).zip(super::PAUSES) {
        gate.pass(Duration::from_secs(pause - 1));
        gate.sweep().await;
        standing(&receiver, sent).await;
        gate.pass(Duration::from_secs(1));
        gate.sweep().await;
    }
    standing(&receiver, 8).await;
    let state = async || {
        let outboxes = outboxes(&gate, StandingKind::PauseLog).await;
        outboxes[0]["deliveries"][0].clone()
    };
    let failed = state().await;
    assert_eq!(
        (&failed["state"], &failed["attempts"]),
        (&json!("Failed"), &json!(8))
    );
    let redeliver = json!({"command": "redeliver", "id": "standing"});
    assert_eq!(operate(&gate, redeliver.clone()).await["queued"], 1);
    assert_eq!(operate(&gate, redeliver.clone()).await["queued"], 0);
    receiver.answer_always(None);
    receiver.answer_once(410, None);
    gate.sweep().await;
    standing(&receiver, 9).await;
    assert_eq!(state().await["state"], "Dropped");
    assert_eq!(log.count("a channel is switched off"), 1);
    operate(&gate, json!({"command": "enable", "id": "ledger"})).await;
    assert_eq!(operate(&gate, redeliver).await["queued"], 1);
    gate.sweep().await;
    let received = receiver.received();
    drop(collecting);
    standing(&receiver, 10).await;
    for later in &received {
        assert_eq!(later.header("webhook-id"), received[0].header("webhook-id"));
        assert_eq!(later.body, received[0].body);
    }
    // The numbers of attempts only rise.
    let sent = state().await;
    assert_eq!(
        (&sent["state"], &sent["attempts"]),
        (&json!("Sent"), &json!(10))
    );
}
