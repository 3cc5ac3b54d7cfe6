//! What the page, the emails and the operator's list say of the end of a standing grant, and by whom.

use std::time::Duration;

use human_oversight::keys::keyring;
use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::types::Status;
use reqwest::StatusCode;
use serde_json::json;

use super::claims::{can_claim, give, spelt};
use super::{
    NONCE, POLICY, approve_with_grant, assert_approves, assert_asks, end_by_form, end_mails,
    gate_with, given, list, page_of, submit, until_announced, until_dropped,
};
use crate::agent_identity::{AGENT_ID, BOTH};
use crate::claim::claim;
use crate::harness::{AGENT, ALICE, BOB, Mail, Page, TestGate, with_forms};
use crate::host::KEY;
use crate::operate::operate;

/// The part of a page from this id on.
fn card(page: Page, id: &str) -> Page {
    let (_, body) = page.body.split_once(&format!("id=\"{id}\"")).unwrap();
    Page {
        body: body.to_owned(),
        ..page
    }
}

#[tokio::test]
async fn the_end_of_a_grant_that_was_replaced_ends_nothing_and_says_where_the_newer_one_is() {
    let gate = gate_with(POLICY).await;
    let (later, without) = (submit(&gate).await, submit(&gate).await);
    gate.approve(&without, ALICE).await;
    let asked = given(&gate, "10").await;
    until_announced(&gate, &asked).await;
    let question = gate.question(&asked, ALICE);
    let stale = card(gate.get(&with_forms(&question.link)).await, "grant");
    give(&gate, &later, BOB).await;

    let fields = [
        ("decision", "grant-revoke"),
        ("code", question.code.as_str()),
    ];
    let answer = gate.send_form(&stale, &fields).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
    for words in [
        "Nothing was ended",
        "A newer one for exactly the same took the place of the standing grant that you gave",
        "bob@example.com gave it",
        "bob@example.com or the operator can end the newer one",
    ] {
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
    assert!(!answer.body.contains("grant-revoke"), "{}", answer.body);
    assert_approves(&gate).await;
    // Who gave no grant reads nothing of one.
    let page = page_of(&gate, &without).await;
    assert!(!page.contains("id=\"grant\""), "{page}");

    let newer = list(&gate).await;
    let newer = newer.iter().find(|it| it["approval"] == later.id).unwrap();
    operate(&gate, json!({"command": "revoke-grant", "id": newer["id"]})).await;
    let page = page_of(&gate, &asked).await;
    assert!(page.contains("took the place of"), "{page}");
    assert!(!page.contains("can end the newer one"), "{page}");
    assert_asks(&gate).await;
}

#[tokio::test]
async fn a_giver_who_replaced_their_own_grant_reads_where_the_newer_one_ends() {
    let gate = gate_with(POLICY).await;
    let later = submit(&gate).await;
    let asked = given(&gate, "10").await;
    until_announced(&gate, &asked).await;
    give(&gate, &later, ALICE).await;
    let page = page_of(&gate, &asked).await;
    assert!(page.contains("you gave it with #"), "{page}");
    assert!(
        page.contains("You can end the newer one on the page of that request"),
        "{page}"
    );
    end_by_form(&gate, &later, None).await;
    assert_asks(&gate).await;
}

#[tokio::test]
async fn revoking_an_approval_ends_its_grant_by_the_giver_and_others_by_the_revocation() {
    let gate = gate_with(POLICY).await;
    let other = gate.client.submit(&spelt("Billing")).await.unwrap();
    give(&gate, &other, BOB).await;
    let asked = given(&gate, "10").await;
    until_announced(&gate, &asked).await;
    let question = gate.question(&asked, ALICE);
    let page = card(gate.get(&with_forms(&question.link)).await, "revoke");
    let fields = [("decision", "revoke"), ("code", question.code.as_str())];
    let answer = gate.send_form(&page, &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);

    let page = page_of(&gate, &asked).await;
    assert!(page.contains("You ended the standing grant"), "{page}");
    let state = async |id: &str| {
        let grants = list(&gate).await;
        let grant = grants.into_iter().find(|it| it["approval"] == id);
        grant.unwrap()["state"].clone()
    };
    assert_eq!(state(&asked.id).await, "giver");
    assert_eq!(state(&other.id).await, "rejection");
    let bobs = gate.get(&gate.question(&other, BOB).link).await.body;
    let words = "A person rejected such a request, or revoked the approval of one, which ended the standing grant that you gave";
    assert!(bobs.contains(words), "{bobs}");
    // Who ended it gets no email about that.
    until_dropped(&gate, &asked).await;
    gate.pass(Duration::from_secs(3_601));
    gate.sweep().await;
    let to_alice = |it: &Mail| it.to == ALICE && it.subject.contains("[Grant ended]");
    assert!(!gate.mails().iter().any(to_alice));
}

#[tokio::test]
async fn a_grant_that_is_sent_during_a_pause_is_not_given_and_has_no_end() {
    let gate = gate_with(POLICY).await;
    let asked = submit(&gate).await;
    let question = gate.question(&asked, ALICE);
    let page = gate.get(&question.link).await;
    operate(&gate, json!({"command": "pause", "because": "an incident"})).await;
    let form = [
        ("decision", "approve"),
        ("code", question.code.as_str()),
        ("grant", "900"),
        ("uses", "1"),
    ];
    let answer = gate.send_form(&page, &form).await;
    let words = "Your approval is recorded, for this once.";
    assert!(answer.body.contains(words), "{}", answer.body);
    assert_eq!(list(&gate).await.len(), 0);
    operate(&gate, json!({"command": "resume"})).await;
    gate.pass(Duration::from_secs(901));
    gate.sweep().await;
    assert_eq!(end_mails(&gate), 0);
    // After it, the same person can give one.
    let asked = submit(&gate).await;
    approve_with_grant(&gate, &asked, ALICE, ["900", "1"]).await;
    assert_approves(&gate).await;
}

/// A row has the agents that HO_AGENT_KEYS gives a credential, and not the credential, so a pause of the credential covers
/// the grants and actions of every agent on the list.
#[tokio::test]
async fn a_pause_of_a_listed_credential_ends_the_grants_of_agents_and_lists_what_they_run() {
    let key = hex(&sha256(KEY.as_bytes()));
    let keys = format!("{key}={AGENT},{AGENT_ID}={AGENT}");
    let settings = [("HO_AGENT_KEYS", keys.as_str()), ("HO_POLICY", POLICY)];
    let settings = [&settings[..], &BOTH].concat();
    for owner in [format!("key:{key}"), format!("entra:{AGENT_ID}")] {
        let gate = TestGate::with(&settings).await;
        let asked = submit(&gate).await;
        given(&gate, "10").await;
        let running = assert_approves(&gate).await;
        gate.client.claim(&running.id, &claim(NONCE)).await.unwrap();

        let pause = json!({"command": "pause", "because": "an incident", "owner": owner});
        let paused = operate(&gate, pause).await;
        assert_eq!(paused["executing"][0]["id"], running.id, "{paused}");
        assert_eq!(list(&gate).await[0]["state"], "pause", "{owner}");
        let answer = approve_with_grant(&gate, &asked, ALICE, ["900", "1"]).await;
        let words = "Your approval is recorded, for this once.";
        assert!(answer.body.contains(words), "{owner}: {}", answer.body);
        operate(&gate, json!({"command": "resume", "owner": owner})).await;
        assert_asks(&gate).await;
    }
}

#[tokio::test]
async fn a_link_key_that_is_put_back_brings_back_no_grant_from_before_a_rejection() {
    let [old, new] = [(); 2].map(|()| keyring::generate_link_key());
    let receipts = keyring::generate_receipt_key();
    let at = async |dir, links: &str| {
        let keys = [("HO_LINK_KEYS", links), ("HO_RECEIPT_KEYS", &receipts)];
        TestGate::at(dir, &[&keys[..], &[("HO_POLICY", POLICY)]].concat()).await
    };
    for order in [[&new, &old], [&old, &new]] {
        let both = format!("{},{}", order[0], order[1]);
        let gate = at(tempfile::tempdir().unwrap(), &old).await;
        given(&gate, "10").await;
        let stocked = assert_approves(&gate).await;
        // Without a rejection meanwhile it is as it was.
        let gate = at(gate.dir, &both).await;
        assert_approves(&gate).await;
        let gate = at(gate.dir, &new).await;
        let open = submit(&gate).await;
        assert_eq!(open.status, Status::Pending);
        gate.reject(&open, BOB, "no").await;
        let gate = at(gate.dir, &both).await;
        assert!(!can_claim(&gate, &stocked).await);
        assert_asks(&gate).await;
        assert_eq!(list(&gate).await[0]["state"], "rejection");
    }
}

/// The row of the request has been written with the newer key, the row of the grant has not.
#[tokio::test]
async fn a_link_key_that_is_put_back_brings_back_no_grant_of_a_revoked_approval() {
    let [old, new] = [(); 2].map(|()| keyring::generate_link_key());
    let receipts = keyring::generate_receipt_key();
    let at = async |dir, links: &str| {
        let keys = [("HO_LINK_KEYS", links), ("HO_RECEIPT_KEYS", &receipts)];
        TestGate::at(dir, &[&keys[..], &[("HO_POLICY", POLICY)]].concat()).await
    };
    let both = format!("{new},{old}");
    let gate = at(tempfile::tempdir().unwrap(), &old).await;
    let given_with = given(&gate, "10").await;
    let stocked = assert_approves(&gate).await;
    let gate = at(gate.dir, &both).await;
    let id = given_with.id.parse().unwrap();
    let row = gate.store.get(&id).await.unwrap();
    gate.store.replace(row, None).await.unwrap();
    assert_approves(&gate).await;
    let gate = at(gate.dir, &new).await;
    operate(&gate, json!({"command": "revoke", "id": given_with.id})).await;
    let gate = at(gate.dir, &both).await;
    assert!(!can_claim(&gate, &stocked).await);
    assert_asks(&gate).await;
}
