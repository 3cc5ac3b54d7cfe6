//! A use of a standing grant is for one request, whatever becomes of the submit.

use std::time::Duration;

use futures_util::future::join_all;
use human_oversight::keys::keyring;
use human_oversight_client::Error;
use human_oversight_client::types::{Decider, NewApproval, Status};
use serde_json::json;

use super::{POLICY, assert_approves, assert_asks, end_mails, given, list, restart};
use crate::azurite::azurite;
use crate::backing_store;
use crate::claim::claim;
use crate::harness::TestGate;
use crate::outcome::report;
use crate::process::run;

fn named(name: &str) -> NewApproval {
    NewApproval {
        correlation_id: Some(name.to_owned()),
        ..restart()
    }
}

#[tokio::test]
async fn repeats_of_one_submit_at_once_take_one_use() {
    let tables = backing_store::tables(azurite().port);
    let tables = backing_store::borrowed(&tables);
    let dir = tempfile::tempdir().unwrap();
    let embedded = format!("embedded:{}", dir.path().display());
    let keys = backing_store::own_keys();
    let keys = backing_store::borrowed(&keys);
    let policy = ("HO_POLICY", POLICY);
    for settings in [
        [&tables[..], &[policy]].concat(),
        [&keys[..], &[policy, ("HO_STORE", embedded.as_str())]].concat(),
    ] {
        let gates = [
            TestGate::with(&settings).await,
            TestGate::with(&settings).await,
        ];
        given(&gates[0], "4").await;
        for (number, state) in ["active", "active", "active", "used up"].iter().enumerate() {
            let new = named(&format!("at-once-{number}"));
            let repeats = (0..16).map(|repeat| {
                let (client, new) = (gates[repeat % 2].client.clone(), &new);
                async move { client.submit(new).await.unwrap() }
            });
            for answer in join_all(repeats).await {
                assert_eq!(
                    (answer.status, answer.decider),
                    (Status::Approved, Some(Decider::Grant))
                );
            }
            let grant = &list(&gates[0]).await[0];
            assert_eq!(
                (&grant["used"], &grant["state"]),
                (&json!(number + 1), &json!(state))
            );
        }
        assert_asks(&gates[1]).await;
    }
}

#[tokio::test]
async fn what_cannot_be_signed_takes_no_use() {
    let (first, second) = (
        keyring::generate_receipt_key(),
        keyring::generate_receipt_key(),
    );
    let link = keyring::generate_link_key();
    let at = async |dir, keys: &str| {
        let keys = [
            ("HO_LINK_KEYS", link.as_str()),
            ("HO_RECEIPT_KEYS", keys),
            ("HO_POLICY", POLICY),
        ];
        TestGate::at(dir, &keys).await
    };
    let gate = at(tempfile::tempdir().unwrap(), &first).await;
    let end = (gate.now() + Duration::from_secs(1_800)).to_string();
    let ends = first.replacen(':', &format!(";exp={}Z:", &end[..19]), 1);
    let gate = at(gate.dir, &ends).await;
    given(&gate, "2").await;
    let kept = assert_approves(&gate).await;
    gate.pass(Duration::from_secs(1_801));
    for name in ["same", "same", "another"] {
        match gate.client.submit(&named(name)).await {
            Err(Error::Unavailable { status, .. }) => assert_eq!(status, 503),
            other => panic!("{other:?}"),
        }
    }
    // Where no grant would approve, people are asked.
    let other = NewApproval {
        action_description: "Restart another service".to_owned(),
        ..restart()
    };
    let asked = gate.client.submit(&other).await.unwrap();
    assert_eq!(asked.status, Status::Pending);
    gate.sweep().await;
    let grant = &list(&gate).await[0];
    assert_eq!(
        (&grant["used"], &grant["state"]),
        (&json!(1), &json!("active"))
    );
    assert_eq!(end_mails(&gate), 0);
    assert_eq!(gate.status(&kept.id).await.status, Status::Approved);

    let gate = at(gate.dir, &format!("{ends},{second}")).await;
    gate.pass(Duration::from_secs(1_801));
    let approved = gate.client.submit(&named("same")).await.unwrap();
    assert_eq!(approved.status, Status::Approved);
    assert_asks(&gate).await;
}

/// The grant knows a request by its id; without its row the same id would be approved again, without a use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_grant_approved_is_not_purged_while_the_grant_may_be_in_force() {
    let tables = backing_store::tables(azurite().port);
    let tables = backing_store::borrowed(&tables);
    let settings = [&tables[..], &[("HO_POLICY", POLICY)]].concat();
    let gate = TestGate::with(&settings).await;
    given(&gate, "2").await;
    for name in ["one", "two"] {
        let used = gate.client.submit(&named(name)).await.unwrap();
        assert_eq!(used.decider, Some(Decider::Grant));
        let nonce = claim("0123456789abcdef");
        gate.client.claim(&used.id, &nonce).await.unwrap();
        gate.client.outcome(&used.id, &report(None)).await.unwrap();
    }
    let (said, code) = run(&tables, &["purge", "--older-than", "0", "--delete"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("So do 2 that a standing grant approved"),
        "{said}"
    );
    let (said, code) = run(&tables, &["verify"]).await;
    assert!(code == 0 && said.starts_with("3 rows: "), "{said}");
}
