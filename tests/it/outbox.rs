//! What channels receive: each event of a request, signed, until they accept it.

mod callback;
mod many;
mod operator;
pub(crate) mod receiver;
pub(crate) mod standing;
mod standing_faults;
mod teams;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use human_oversight_client::types::{
    Approval, Claim, ExecutionStatus, NewApproval, Report, Status, Withdrawal,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::backing_store;
use crate::channels::verify;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Log, TestGate, request};
use crate::operate::operate;
use crate::process::run;
use receiver::{Received, Receiver, SECRET, holding};

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]

[channels.ledger]
kind = "webhook"
url = "HO_CHANNEL_LEDGER"

[[rule]]
id = "payments"
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
tell = ["ledger"]
"#;

/// The same, with two stages of one person each.
pub(crate) fn in_two_stages() -> String {
    let stages = r#"[{ from = "finance" }, { from = "security" }]"#;
    let policy = POLICY.replace(r#"[{ from = "finance", approvals = 2 }]"#, stages);
    policy.replace("[groups]", "[groups]\nsecurity = [\"carol@example.com\"]")
}

/// The pauses of Standard Webhooks between the attempts, in seconds.
const PAUSES: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

async fn gate_that_tells(receiver: &Receiver) -> TestGate {
    gate_with(POLICY, &[("HO_CHANNEL_LEDGER", &receiver.url)]).await
}

async fn gate_with(policy: &str, channels: &[(&str, &str)]) -> TestGate {
    let settings = [
        ("HO_POLICY", policy),
        ("HO_CHANNELS_ALLOW_PRIVATE", "1"),
        ("HO_CHANNEL_LEDGER_SECRET", SECRET),
        ("HO_CHANNEL_AGENTS_SECRET", SECRET),
    ];
    TestGate::with(&[&settings[..], channels].concat()).await
}

fn claim(nonce: &str) -> Claim {
    Claim {
        nonce: nonce.to_owned(),
        secret: None,
    }
}

async fn ask(gate: &TestGate) -> Approval {
    ask_within(gate, 5 * 86_400).await
}

async fn ask_within(gate: &TestGate, seconds: u32) -> Approval {
    let asked = NewApproval {
        timeout_seconds: Some(seconds),
        ..request()
    };
    gate.client.submit(&asked).await.unwrap()
}

/// The deliveries in the row of a request.
async fn outbox(gate: &TestGate, id: &str) -> Vec<Value> {
    let entity = gate.entity(id).await;
    let outbox = entity["Outbox"].as_str();
    outbox.map_or_else(Vec::new, |text| serde_json::from_str(text).unwrap())
}

/// Waits until each delivery in the row is in this state.
async fn until_all(gate: &TestGate, id: &str, state: &str) -> Vec<Value> {
    let look = async || {
        let outbox = outbox(gate, id).await;
        let are_all = outbox.iter().all(|it| it["state"] == state);
        are_all.then_some(outbox)
    };
    eventually(look).await
}

/// The headers that a receiver verifies.
fn signed_headers(received: &Received) -> Value {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    names
        .iter()
        .map(|name| ((*name).to_owned(), Value::from(received.header(name))))
        .collect()
}

/// A receiver that processes each id once would keep the decision that was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_decision_after_a_restore_has_another_id() {
    let keys = backing_store::own_keys();
    let keys = backing_store::borrowed(&keys);
    let receiver = Receiver::start().await;
    let policy = POLICY.replace("approvals = 2", "approvals = 1");
    let channel = [("HO_CHANNEL_LEDGER", receiver.url.as_str())];
    let settings = [&keys[..], &channel].concat();
    let lost = gate_with(&policy, &settings).await;
    let asked = ask(&lost).await;
    until_all(&lost, &asked.id, "Sent").await;
    let command = async |gate: &TestGate, name: &str| {
        let settings = backing_store::settings(gate.dir.path());
        let settings = [&backing_store::borrowed(&settings)[..], &keys].concat();
        let copy = lost.dir.path().join("copy.jsonl");
        let (said, code) = run(&settings, &[name, copy.to_str().unwrap()]).await;
        assert_eq!(code, 0, "{said}");
    };
    command(&lost, "backup").await;
    lost.approve(&asked, ALICE).await;
    until_all(&lost, &asked.id, "Sent").await;
    let gate = gate_with(&policy, &settings).await;
    command(&gate, "restore").await;
    let question = lost.question(&asked, BOB);
    let page = gate.get(&question.link.replace(&lost.url, &gate.url)).await;
    let form = [
        ("decision", "reject"),
        ("comment", "no"),
        ("code", question.code.as_str()),
    ];
    gate.send_form(&page, &form).await;
    until_all(&gate, &asked.id, "Sent").await;
    let received = receiver.received();
    let decided: Vec<(Value, String)> = received
        .iter()
        .map(|it| (serde_json::from_str::<Value>(&it.body).unwrap(), it))
        .filter(|(body, _)| body["type"] == "request.decided")
        .map(|(body, it)| (body["data"]["status"].clone(), it.header("webhook-id")))
        .collect();
    let statuses: Vec<&Value> = decided.iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["Approved", "Rejected"]);
    assert_ne!(decided[0].1, decided[1].1);
}

#[tokio::test]
async fn a_webhook_receives_each_event_of_a_life_signed_and_without_parameters() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let approval = ask(&gate).await;
    gate.approve(&approval, ALICE).await;
    gate.approve(&approval, BOB).await;
    gate.client
        .claim(&approval.id, &claim("0123456789abcdef"))
        .await
        .unwrap();
    let report = Report {
        status: ExecutionStatus::ExecutionFailed,
        error: Some("It broke.".to_owned()),
        nonce: None,
        secret: None,
    };
    gate.client.outcome(&approval.id, &report).await.unwrap();
    let received = receiver.until(6).await;
    let sent = until_all(&gate, &approval.id, "Sent").await;
    assert_eq!(sent.len(), 6);
    let mut events: Vec<Value> = received.iter().map(Received::json).collect();
    events.sort_by_key(|event| event["data"]["sequence"].as_u64());
    let told: Vec<[&str; 2]> = events
        .iter()
        .map(|it| [&it["type"], &it["data"]["status"]].map(|it| it.as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ["request.created", "Pending"],
            ["request.progress", "Pending"],
            ["request.progress", "Pending"],
            ["request.decided", "Approved"],
            ["request.claimed", "Approved"],
            ["request.failed", "Approved"],
        ]
    );
    let ids: HashSet<String> = received.iter().map(|it| it.header("webhook-id")).collect();
    assert_eq!(ids.len(), 6);
    for one in &received {
        let event = verify(&signed_headers(one), &one.body).await;
        assert_eq!(event.as_ref(), Some(&one.json()));
        for secret in [
            "former-contractor",
            "sales",
            "retention_days",
            "?k=",
            "alice@",
        ] {
            assert!(!one.body.contains(secret), "{}", one.body);
        }
    }
    let data = &events[0]["data"];
    assert_eq!(data["agentName"], request().agent_name);
    assert_eq!(data["correlationId"], approval.correlation_id);
    assert_eq!(data["actionDescription"], request().action_description);
    let page = gate.get(data["url"].as_str().unwrap()).await;
    assert!(!page.body.contains("former-contractor"), "{}", page.body);
    // Nothing but email counts as having reached an approver.
    assert_eq!(
        gate.status(&approval.id).await.deliverable,
        approval.deliverable
    );
}

#[tokio::test]
async fn every_end_is_sent_also_when_no_agent_asks() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let rejected = ask(&gate).await;
    gate.reject(&rejected, ALICE, "").await;
    let withdrawn = ask(&gate).await;
    let withdrawal = Withdrawal::default();
    gate.client
        .withdraw(&withdrawn.id, &withdrawal)
        .await
        .unwrap();
    let _expired = ask_within(&gate, 3_600).await;
    gate.pass(Duration::from_secs(7_200));
    gate.sweep().await;
    receiver.until(7).await;
    assert_eq!(
        receiver.kinds(),
        [
            "request.created",
            "request.created",
            "request.created",
            "request.decided",
            "request.expired",
            "request.progress",
            "request.withdrawn",
        ]
    );
}

#[tokio::test]
async fn what_the_policy_decides_is_sent_too() {
    let receiver = Receiver::start().await;
    let policy = "version = 1\n[channels.ledger]\nkind = \"webhook\"\nurl = \"HO_CHANNEL_LEDGER\"\n\
                  [[rule]]\nid = \"never\"\neffect = \"deny\"\ntell = [\"ledger\"]\n";
    let gate = gate_with(policy, &[("HO_CHANNEL_LEDGER", &receiver.url)]).await;
    assert_eq!(ask(&gate).await.status, Status::Rejected);
    receiver.until(2).await;
    assert_eq!(receiver.kinds(), ["request.created", "request.decided"]);
}

#[tokio::test]
async fn a_message_that_is_not_accepted_is_sent_again_by_the_schedule_with_the_same_id() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    receiver.answer_always(Some(500));
    let approval = ask(&gate).await;
    for (attempt, pause) in (1..).zip(PAUSES) {
        let [delivery] = &outbox(&gate, &approval.id).await[..] else {
            panic!("one delivery");
        };
        assert_eq!(delivery["attempts"], attempt);
        assert_eq!(delivery["state"], "Queued");
        gate.pass(Duration::from_secs(pause - 1));
        gate.sweep().await;
        receiver.until(attempt).await;
        gate.pass(Duration::from_secs(1));
        gate.sweep().await;
    }
    let received = receiver.until(8).await;
    let first = &received[0];
    for later in &received {
        assert_eq!(later.header("webhook-id"), first.header("webhook-id"));
        assert_eq!(later.body, first.body);
    }
    assert_eq!(outbox(&gate, &approval.id).await[0]["state"], "Failed");
    gate.pass(Duration::from_secs(86_400));
    gate.sweep().await;
    receiver.until(8).await;
}

#[tokio::test]
async fn a_pause_that_the_receiver_asks_for_is_kept() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    receiver.answer_once(503, Some(("retry-after", "600".to_owned())));
    // Shorter than the schedule's own pause.
    receiver.answer_once(429, Some(("retry-after", "1".to_owned())));
    // A date, long after that of the answer.
    let date = "Fri, 31 Dec 2999 23:59:59 GMT".to_owned();
    receiver.answer_once(503, Some(("retry-after", date)));
    let approval = ask(&gate).await;
    let has_received = async |count: usize, after: u64| {
        gate.pass(Duration::from_secs(after));
        gate.sweep().await;
        receiver.until(count).await;
    };
    has_received(1, 599).await;
    has_received(2, 1).await;
    has_received(2, 299).await;
    has_received(3, 1).await;
    // At most a day.
    has_received(3, 86_399).await;
    has_received(4, 1).await;
    assert_eq!(outbox(&gate, &approval.id).await[0]["state"], "Sent");
}

#[tokio::test]
async fn a_channel_that_is_gone_is_switched_off_until_the_operator_switches_it_on() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let log = Log::default();
    let collecting = log.collect();
    receiver.answer_once(410, None);
    let first = ask(&gate).await;
    let second = ask(&gate).await;
    receiver.until(1).await;
    for approval in [&first, &second] {
        assert_eq!(outbox(&gate, &approval.id).await[0]["state"], "Dropped");
    }
    assert_eq!(log.count("a channel is switched off"), 1);
    assert_eq!(log.count("topsecret"), 0);
    drop(collecting);
    let off = operate(&gate, json!({"command": "channels"})).await;
    assert_eq!(off["off"][0]["channel"], "ledger");
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let of_channel = [
        ("HO_POLICY", POLICY),
        ("HO_CHANNEL_LEDGER", receiver.url.as_str()),
        ("HO_CHANNEL_LEDGER_SECRET", SECRET),
        ("HO_CHANNELS_ALLOW_PRIVATE", "1"),
    ];
    let (said, code) = run(&[&settings[..], &of_channel].concat(), &["check"]).await;
    assert_eq!(code, 2, "{said}");
    let is_off = "failed   channels  ledger is switched off since ";
    assert!(said.contains(is_off), "{said}");
    assert!(said.contains("webhooks enable ledger"), "{said}");
    let (said, code) = run(&settings, &["webhooks", "enable", "leger"]).await;
    assert_eq!(code, 1, "{said}");
    for words in ["not switched off: leger", "ledger is switched off since"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (said, code) = run(&settings, &["webhooks", "redeliver", &first.id]).await;
    assert_eq!(code, 0, "{said}");
    for words in [
        "1 message of",
        "is queued for the next sweep",
        "`webhooks enable ledger`, then send again",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    gate.sweep().await;
    assert_eq!(outbox(&gate, &first.id).await[0]["state"], "Dropped");
    for done in [true, false] {
        let enabled = operate(&gate, json!({"command": "enable", "id": "ledger"})).await;
        assert_eq!(enabled, json!({"done": done, "channel": "ledger"}));
    }
    let (said, _) = run(&[&settings[..], &of_channel].concat(), &["check"]).await;
    assert!(said.contains("ok       channels  ledger"), "{said}");
    for approval in [&first, &second] {
        assert_eq!(redeliver(&gate, &approval.id).await, 1);
    }
    gate.sweep().await;
    receiver.until(3).await;
    assert_eq!(redeliver(&gate, &first.id).await, 0);
}

#[tokio::test]
async fn an_outage_of_ten_minutes_and_of_two_days_loses_nothing_that_the_schedule_covers() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let approval = ask(&gate).await;
    receiver.until(1).await;
    receiver.answer_always(Some(502));
    gate.approve(&approval, ALICE).await;
    sweep_for(&gate, 600).await;
    receiver.answer_always(None);
    sweep_for(&gate, 3_600).await;
    until_all(&gate, &approval.id, "Sent").await;
    receiver.answer_always(Some(502));
    gate.approve(&approval, BOB).await;
    sweep_for(&gate, 2 * 86_400).await;
    receiver.answer_always(None);
    sweep_for(&gate, 86_400).await;
    // The schedule ends after 28 hours: what is given up then, the operator has sent again.
    let failed = outbox(&gate, &approval.id).await;
    let failed = failed.iter().filter(|it| it["state"] == "Failed");
    let failed = failed.count();
    assert!(failed >= 2, "the second vote and the decision");
    assert_eq!(redeliver(&gate, &approval.id).await, failed);
    gate.sweep().await;
    until_all(&gate, &approval.id, "Sent").await;
}

/// How many messages are sent again.
async fn redeliver(gate: &TestGate, id: &str) -> usize {
    let again = operate(gate, json!({"command": "redeliver", "id": id})).await;
    again["queued"].as_u64().unwrap() as usize
}

/// A gate whose channel cannot be reached, and gets nothing for a time after the first attempt.
async fn gate_whose_channel_cools_down() -> TestGate {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    gate_with(POLICY, &[("HO_CHANNEL_LEDGER", &url)]).await
}

/// Sweeps every ten minutes.
async fn sweep_for(gate: &TestGate, seconds: u64) {
    for _ in 0..seconds / 600 {
        gate.pass(Duration::from_secs(600));
        gate.sweep().await;
    }
}

#[tokio::test]
async fn a_channel_that_cannot_be_reached_holds_up_nothing_and_is_tried_again() {
    let gate = gate_whose_channel_cools_down().await;
    let first = ask(&gate).await;
    let second = ask(&gate).await;
    // The second one is not tried while the channel cools down, and that is no attempt.
    assert_eq!(outbox(&gate, &first.id).await[0]["attempts"], 1);
    assert_eq!(outbox(&gate, &second.id).await[0]["attempts"], 0);
    assert_eq!(gate.status(&second.id).await.status, Status::Pending);
    assert_eq!(gate.mails().len(), 4);
    gate.pass(Duration::from_secs(120));
    gate.sweep().await;
    let attempts: u64 = [&first, &second]
        .into_iter()
        .map(async |it| outbox(&gate, &it.id).await[0]["attempts"].as_u64().unwrap())
        .collect::<FuturesUnordered<_>>()
        .fold(0, async |sum, one| sum + one)
        .await;
    assert!(attempts >= 2, "{attempts}");
}

/// What is due to it waits, also that of other agents.
#[tokio::test]
async fn a_channel_that_takes_longer_than_five_seconds_is_named_in_the_log() {
    let url = holding(Arc::new(Semaphore::new(0))).await;
    let gate = gate_with(POLICY, &[("HO_CHANNEL_LEDGER", &url)]).await;
    let log = Log::default();
    let collecting = log.collect();
    let (slow, waiting) = (ask(&gate).await, ask(&gate).await);
    drop(collecting);
    assert_eq!(log.count("a channel is slow"), 1);
    assert_eq!(outbox(&gate, &slow.id).await[0]["attempts"], 1);
    assert_eq!(outbox(&gate, &waiting.id).await[0]["attempts"], 0);
}

#[tokio::test]
async fn a_channel_that_does_not_answer_keeps_no_email_from_being_recorded() {
    // The first event is accepted.
    let permits = Arc::new(Semaphore::new(1));
    let url = holding(permits.clone()).await;
    let gate = gate_with(&in_two_stages(), &[("HO_CHANNEL_LEDGER", &url)]).await;
    let asked = ask(&gate).await;
    gate.approve(&asked, ALICE).await;
    let recorded = eventually(async || {
        let entity = gate.entity(&asked.id).await;
        let people: Value = serde_json::from_str(entity["Notifications"].as_str()?).unwrap();
        let people = people.as_array().unwrap();
        let carol = people
            .iter()
            .find(|it| it["approver"] == "carol@example.com");
        let is_sent = carol.unwrap()["mails"][0]["state"] == "Sent";
        is_sent.then_some(entity["Outbox"].as_str().unwrap().to_owned())
    });
    let outbox: Value = serde_json::from_str(&recorded.await).unwrap();
    assert_eq!(outbox[1]["state"], "Sending", "{outbox}");
    permits.add_permits(1);
    until_all(&gate, &asked.id, "Sent").await;
}
