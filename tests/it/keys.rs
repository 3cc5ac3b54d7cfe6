//! `GET /api/keys`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use human_oversight::keys::keyring;
use human_oversight_client::receipt;
use human_oversight_client::types::Status;

use crate::harness::{ALICE, TestGate};

#[tokio::test]
async fn receipts_verify_after_a_key_rotation() {
    let (old, new) = (
        keyring::generate_receipt_key(),
        keyring::generate_receipt_key(),
    );
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &old)]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let signed = gate.status(&approval.id).await.receipt.unwrap();
    let keys = gate.client.keys().await.unwrap();
    assert_eq!(keys.keys.len(), 1);
    let claims = receipt::verify(&signed, &keys).unwrap();
    assert_eq!(
        (claims.sub, claims.approver),
        (approval.id.clone(), ALICE.to_owned())
    );

    let both = format!("{new},{old}");
    let gate = TestGate::at(gate.dir, &[("HO_RECEIPT_KEYS", &both)]).await;
    assert_eq!(
        gate.status(&approval.id).await.receipt.unwrap(),
        signed,
        "the receipt is not signed again"
    );
    let keys = gate.client.keys().await.unwrap();
    assert_eq!(keys.keys.len(), 2);
    receipt::verify(&signed, &keys).unwrap();

    let fresh = gate.ask().await;
    gate.approve(&fresh, ALICE).await;
    let fresh = gate.status(&fresh.id).await.receipt.unwrap();
    let only_old = human_oversight_client::types::KeySet {
        keys: vec![keys.keys[1].clone()],
        issuers: Vec::new(),
    };
    assert_eq!(
        receipt::verify(&fresh, &only_old),
        Err(receipt::ReceiptError::UnknownKey)
    );
}

#[tokio::test]
async fn the_public_half_of_a_retired_key_is_enough() {
    let (old, new) = (
        keyring::generate_receipt_key(),
        keyring::generate_receipt_key(),
    );
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &old)]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let retired = gate.client.keys().await.unwrap().keys;

    // The format of `openssl pkey -pubout -outform DER`.
    let mut der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
    der.extend(BASE64URL.decode(&retired[0].x).unwrap());
    let public = format!("{}:{}", retired[0].kid, BASE64.encode(der));
    let both = format!("{new},{public}");
    let gate = TestGate::at(gate.dir, &[("HO_RECEIPT_KEYS", &both)]).await;
    assert_eq!(gate.client.keys().await.unwrap().keys[1..], retired);
    let status = gate.status(&approval.id).await.status;
    assert_eq!(status, Status::Approved, "its receipt still verifies");
}

#[tokio::test]
async fn links_and_codes_remain_valid_after_a_key_rotation() {
    let (old, new) = (keyring::generate_link_key(), keyring::generate_link_key());
    let gate = TestGate::with(&[("HO_LINK_KEYS", &old)]).await;
    let approval = gate.ask().await;
    let before = gate.question(&approval, ALICE);
    let both = format!("{new},{old}");
    let gate = TestGate::at(gate.dir, &[("HO_LINK_KEYS", &both)]).await;
    let link = before.link.split_once("/api/").unwrap().1;
    let page = gate.get(&format!("{}/api/{link}", gate.url)).await;
    let answer = gate
        .send_form(&page, &[("decision", "approve"), ("code", &before.code)])
        .await;
    assert_eq!(answer.status, 303, "{}", answer.body);
}
