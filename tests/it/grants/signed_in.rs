//! Standing grants of people who sign in: on the page of the request, and in their list.

use human_oversight::keys::keyring;
use human_oversight_client::types::{Approval, Claim, Status};
use reqwest::StatusCode;

use super::{NONCE, POLICY, assert_approves, assert_asks, restart, submit};
use crate::harness::{Page, TestGate};
use crate::host::SignIn;
use crate::requests::list;
use crate::sign_in::{ON, alice, approving, send, visit};

/// Sends a form as Alice, who has signed in.
async fn send_as_alice(
    gate: &TestGate,
    asked: &Approval,
    form: Vec<(String, String)>,
    more: &[(&str, &str)],
) -> Page {
    let session = SignIn::session(&alice());
    let more = more
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    let form: Vec<_> = form.into_iter().chain(more).collect();
    let answer = send(gate, &asked.id, &[("cookie", &session)], &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    answer
}

/// The page with its forms, as Alice sees it.
async fn page(gate: &TestGate, asked: &Approval) -> Page {
    let session = SignIn::session(&alice());
    let page = visit(
        gate,
        &format!("{}?forms=1", asked.id),
        &[("cookie", &session)],
    )
    .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page
}

/// Approves as Alice, with a grant for an hour.
async fn give(gate: &TestGate, asked: &Approval, uses: &str) {
    let form = approving(&page(gate, asked).await);
    send_as_alice(gate, asked, form, &[("grant", "3600"), ("uses", uses)]).await;
}

/// Ends the only grant of Alice's list.
async fn end_from_list(gate: &TestGate, asked: &Approval) {
    let form = list(gate, &alice()).await.first_form();
    send_as_alice(gate, asked, form, &[("decision", "grant-revoke")]).await;
}

/// A leaked key is removed at once, and that is when people want to end what they have allowed.
#[tokio::test]
async fn without_the_link_key_a_giver_who_signed_in_ends_a_grant_and_revokes_the_approval() {
    let [old, new] = [(); 2].map(|()| keyring::generate_link_key());
    let receipts = keyring::generate_receipt_key();
    let at = async |dir, links: &str| {
        let keys = [("HO_LINK_KEYS", links), ("HO_RECEIPT_KEYS", &receipts)];
        let settings = [&keys[..], &ON, &[("HO_POLICY", POLICY)]].concat();
        TestGate::at(dir, &settings).await
    };
    let gate = at(tempfile::tempdir().unwrap(), &old).await;
    let asked = submit(&gate).await;
    let gate = at(gate.dir, &format!("{new},{old}")).await;
    give(&gate, &asked, "10").await;
    let gate = at(gate.dir, &new).await;
    assert_approves(&gate).await;

    let listed = list(&gate, &alice()).await;
    assert!(
        listed.body.contains("exactly the same, 9 times more"),
        "{}",
        listed.body
    );
    let shown = page(&gate, &asked).await;
    let ending = shown.form_in("grant").expect(&shown.body);
    let revoking = shown.form_in("revoke").expect(&shown.body);
    // The token of one form is worth nothing in another.
    send_as_alice(&gate, &asked, ending.clone(), &[("decision", "revoke")]).await;
    assert_approves(&gate).await;
    end_from_list(&gate, &asked).await;
    assert_asks(&gate).await;
    let shown = page(&gate, &asked).await;
    assert!(
        shown.body.contains("You ended the standing grant"),
        "{}",
        shown.body
    );
    assert_eq!(gate.status(&asked.id).await.status, Status::Approved);
    send_as_alice(&gate, &asked, revoking, &[("decision", "revoke")]).await;
    let shown = page(&gate, &asked).await;
    assert!(
        shown.body.contains("Revoked: it does not run"),
        "{}",
        shown.body
    );
    // Nor does it come back with the key.
    let gate = at(gate.dir, &format!("{new},{old}")).await;
    assert_asks(&gate).await;
}

#[tokio::test]
async fn a_grant_in_force_that_approves_nothing_more_is_in_the_list_until_it_is_ended() {
    let keys = [
        keyring::generate_link_key(),
        keyring::generate_receipt_key(),
    ];
    let at = async |dir, policy: &str| {
        let keys = [
            ("HO_LINK_KEYS", keys[0].as_str()),
            ("HO_RECEIPT_KEYS", &keys[1]),
        ];
        let settings = [&keys[..], &ON, &[("HO_POLICY", policy)]].concat();
        TestGate::at(dir, &settings).await
    };
    let body = Claim {
        nonce: NONCE.to_owned(),
        secret: None,
    };
    let mut gate = at(tempfile::tempdir().unwrap(), POLICY).await;
    let changed = POLICY.replace("\"8h\"", "\"9h\"");
    let removed = POLICY.replace("grants = \"8h\"", "");
    for (policy, uses, state) in [
        (POLICY, "1", "is used up"),
        (&changed, "2", "approves nothing now"),
        (&removed, "2", "approves nothing now"),
    ] {
        gate = at(gate.dir, POLICY).await;
        let asked = gate.client.submit(&restart()).await.unwrap();
        give(&gate, &asked, uses).await;
        let used = assert_approves(&gate).await;
        gate = at(gate.dir, policy).await;
        let listed = list(&gate, &alice()).await;
        for words in [
            state,
            "What it has approved and the agent has not started can still run, until you end it.",
            "End the standing grant of #",
        ] {
            assert!(
                listed.body.contains(words),
                "{policy} {words}: {}",
                listed.body
            );
        }
        let shown = page(&gate, &asked).await;
        assert!(
            shown.body.contains("can still run, until you end it"),
            "{}",
            shown.body
        );
        end_from_list(&gate, &asked).await;
        let listed = list(&gate, &alice()).await;
        assert!(
            !listed.body.contains("<h2 id=\"grants\""),
            "{}",
            listed.body
        );
        assert!(gate.client.claim(&used.id, &body).await.is_err());
    }
}
