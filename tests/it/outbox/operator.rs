//! What the operator has sent again, and switches on: what the commands say, and the lines in the log of the gate.

use std::time::Duration;

use serde_json::{Value, json};

use super::receiver::{Receiver, gone_after};
use super::{ask, gate_that_tells, gate_whose_channel_cools_down, gate_with, outbox, redeliver};
use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{Log, TestGate};
use crate::host::MASTER_KEY;
use crate::operate::{operate, send};
use crate::process::run;

const UNKNOWN: &str = "VXNlck1hbmFnZXJBZ2VudA.unknown";

/// Runs `webhooks redeliver` on the store.
async fn redeliver_on_store(gate: &TestGate, id: &str) -> (String, i32) {
    let settings = backing_store::settings(gate.dir.path());
    run(
        &backing_store::borrowed(&settings),
        &["webhooks", "redeliver", id],
    )
    .await
}

/// The second one waits for a channel that is cooling down: it was never tried.
#[tokio::test]
async fn what_waits_unsent_for_a_channel_that_is_left_alone_is_queued_for_the_next_sweep() {
    let gate = gate_whose_channel_cools_down().await;
    let tried = ask(&gate).await;
    let [by_command, by_all, by_gate] = [ask(&gate).await, ask(&gate).await, ask(&gate).await];
    let state = async |id: &str| outbox(&gate, id).await[0].clone();
    let waiting = state(&by_command.id).await;
    assert_eq!(waiting["attempts"], 0);

    let (said, code) = redeliver_on_store(&gate, &by_command.id).await;
    let queued = format!(
        "1 message of {} is queued for the next sweep.\n",
        by_command.id
    );
    assert_eq!((said, code), (queued, 0));
    assert_ne!(state(&by_command.id).await["at"], waiting["at"]);
    let (said, code) = redeliver_on_store(&gate, &by_command.id).await;
    assert!(
        code == 1 && said.starts_with("There is nothing to send again of "),
        "{said}"
    );
    assert!(
        said.ends_with("What is due is sent by the next sweep anyway.\n"),
        "{said}"
    );
    assert_eq!(redeliver(&gate, &by_gate.id).await, 1);
    // What was tried, and the one that is not queued yet.
    let (said, code) = redeliver_on_store(&gate, "--all").await;
    assert_eq!(
        (said.as_str(), code),
        ("2 messages are queued for the next sweep.\n", 0)
    );
    assert_ne!(state(&by_all.id).await["at"], waiting["at"]);
    // No sooner than the channel is called again.
    gate.sweep().await;
    assert_eq!(state(&by_command.id).await["attempts"], 0);
    gate.pass(Duration::from_secs(120));
    gate.sweep().await;
    // One of them is tried, and then the channel cools down again.
    eventually(async || {
        let mut attempts = 0;
        for one in [&tried, &by_command, &by_all, &by_gate] {
            attempts += state(&one.id).await["attempts"].as_u64().unwrap();
        }
        (attempts > 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_an_operator_does_with_channels_and_emails_through_the_gate_is_logged() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    receiver.answer_once(410, None);
    let asked = ask(&gate).await;
    let log = Log::default();
    let _collecting = log.collect();
    for done in [true, false] {
        let enabled = operate(&gate, json!({"command": "enable", "id": "ledger"})).await;
        assert_eq!(enabled["done"], done);
    }
    assert_eq!(log.count("channel switched on by the operator"), 1);
    assert_eq!(log.count("channel=\"ledger\""), 1);
    redeliver(&gate, &asked.id).await;
    operate(&gate, json!({"command": "redeliver", "id": "standing"})).await;
    assert_eq!(log.count("messages queued again by the operator"), 2);
    operate(&gate, json!({"command": "resend", "id": asked.id})).await;
    assert_eq!(log.count("emails queued again by the operator"), 1);
    assert_eq!(log.count(&format!("id=\"{}\" queued=", asked.id)), 2);
    // What does not exist is no act.
    for command in ["redeliver", "resend"] {
        let unknown = json!({"command": command, "id": UNKNOWN});
        let refused = send(&gate, Some(MASTER_KEY), &unknown).await;
        assert_eq!(refused.status, 422);
        let problem: Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!(problem["detail"], "/id is the id of no request.");
    }
    assert_eq!(log.count("queued again by the operator"), 3);
}

/// The submit and the decision of the policy are sent side by side.
#[tokio::test]
async fn a_channel_that_answers_two_messages_with_410_is_switched_off_once() {
    let url = gone_after(2).await;
    let policy = "version = 1\n[channels.ledger]\nkind = \"webhook\"\nurl = \"HO_CHANNEL_LEDGER\"\n\
                  [[rule]]\nid = \"never\"\neffect = \"deny\"\ntell = [\"ledger\"]\n";
    let gate = gate_with(policy, &[("HO_CHANNEL_LEDGER", &url)]).await;
    let log = Log::default();
    let _collecting = log.collect();
    let asked = ask(&gate).await;
    super::until_all(&gate, &asked.id, "Dropped").await;
    assert_eq!(log.count("a channel is switched off"), 1);
}

#[tokio::test]
async fn an_id_of_no_request_is_refused_in_the_same_words_on_the_store_and_through_the_gate() {
    let receiver = Receiver::start().await;
    let gate = gate_that_tells(&receiver).await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let settings = [&settings[..], &[("HO_MASTER_KEY", MASTER_KEY)]].concat();
    ask(&gate).await;
    for (command, words) in [
        (
            &["webhooks", "redeliver", UNKNOWN][..],
            "no request has this id",
        ),
        (&["revoke", UNKNOWN], "no request has this id"),
        (&["resend", UNKNOWN], "no request has this id"),
        (
            &["allow", UNKNOWN],
            "no rejection of this request is kept: it takes the id that the refusal names",
        ),
        (
            &["grants", "revoke", "unknown"],
            "no standing grant has this id",
        ),
        // What cannot be an id.
        (&["revoke", "unknown"], "not an approval id"),
        (&["resend", "unknown"], "not an approval id"),
        (
            &["webhooks", "redeliver", "unknown"],
            "must be the id of a request",
        ),
    ] {
        let (on_store, code) = run(&settings, command).await;
        assert!(code == 2 && on_store.contains(words), "{on_store}");
        let through = [command, &["--url", &gate.url]].concat();
        let (through_gate, code) = run(&settings, &through).await;
        assert_eq!((through_gate, code), (on_store, 2));
    }
}
