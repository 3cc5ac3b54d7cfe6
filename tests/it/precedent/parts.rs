//! What is compared besides the values of parameters: the person on whose behalf the agent acts, how many items lists
//! have, and which values that look like secrets there are.

use human_oversight_client::types::Approval;
use serde_json::{Value, json};

use super::{body, card, card_of, kept, submit_body};
use crate::harness::{ALICE, TestGate};

const FAMILIAR: &str =
    "Every value was in the last approval, and every number is within their range.";
const SAME: &str = "with exactly the same content";

/// Submits a request on behalf of a person to Alice.
async fn submit_for(gate: &TestGate, parameters: &Value, person: Option<&str>) -> Approval {
    let mut body = body(parameters, ALICE);
    body["onBehalfOf"] = json!(person);
    if person.is_none() {
        body.as_object_mut().unwrap().remove("onBehalfOf");
    }
    submit_body(gate, &body).await
}

/// The same, which Alice approves.
async fn approve_for(gate: &TestGate, parameters: &Value, person: Option<&str>) {
    let before = kept(gate).await.len();
    let approval = submit_for(gate, parameters, person).await;
    gate.approve(&approval, ALICE).await;
    gate.until_kept(before + 1).await;
}

#[tokio::test]
async fn approvals_on_behalf_of_other_people_make_no_request_familiar() {
    let gate = TestGate::start().await;
    let rights = json!({"role": "admin"});
    let card_for = async |person| {
        let approval = submit_for(&gate, &rights, person).await;
        card(&gate, &approval, ALICE).await
    };
    approve_for(&gate, &rights, Some("requester@example.com")).await;
    let words = card_for(Some("requester@example.com")).await;
    assert!(
        words.starts_with(FAMILIAR) && words.contains(SAME),
        "{words}"
    );
    for (person, found) in [
        (
            Some("other@example.com"),
            "On behalf of other@example.com: not in the last approval The last",
        ),
        (
            None,
            "On behalf of no person: not in the last approval The last",
        ),
    ] {
        let words = card_for(person).await;
        assert!(words.starts_with(found) && !words.contains(SAME), "{words}");
    }
    approve_for(&gate, &rights, None).await;
    let words = card_for(None).await;
    assert_eq!(words.matches(SAME).count(), 1, "{words}");
    assert!(!words.contains("On behalf of"), "{words}");
    let row = Value::from(kept(&gate).await).to_string();
    assert!(!row.contains("requester@example.com"), "{row}");
}

#[tokio::test]
async fn a_list_that_is_longer_than_before_stands_out() {
    let gate = TestGate::start().await;
    let refunds = |count: usize| json!({"orders": vec![json!({"id": 1, "amount": 5}); count]});
    approve_for(&gate, &refunds(2), None).await;
    let words = card_of(&gate, &refunds(2), ALICE).await;
    assert!(words.starts_with(FAMILIAR), "{words}");
    let words = card_of(&gate, &refunds(300), ALICE).await;
    let found = "/orders: 300 items, more than in the last approval (at most 2) The last";
    assert!(words.starts_with(found), "{words}");
    let words = card_of(&gate, &refunds(1), ALICE).await;
    let found = "/orders: 1 item, fewer than in the last approval (at least 2) The last";
    assert!(words.starts_with(found), "{words}");
}

#[tokio::test]
async fn a_value_that_looks_like_a_secret_and_is_missing_stands_out() {
    let gate = TestGate::start().await;
    approve_for(&gate, &json!({"role": "reader", "api_key": "k1"}), None).await;
    for (parameters, found) in [
        (
            json!({"role": "reader"}),
            "given in the last approval, and not now",
        ),
        (
            json!({"role": "reader", "api_key": "k2", "password": "p"}),
            "with one that was not given in the last approval",
        ),
    ] {
        let words = card_of(&gate, &parameters, ALICE).await;
        let found = format!("Values that look like secrets: {found} The last");
        assert!(words.starts_with(&found), "{words}");
    }
    let words = card_of(&gate, &json!({"role": "reader", "api_key": "k2"}), ALICE).await;
    assert!(
        words.starts_with("The last decision of a person: approved"),
        "{words}"
    );
}

#[tokio::test]
async fn a_first_list_and_a_first_value_that_looks_like_a_secret_stand_out() {
    let gate = TestGate::start().await;
    let role = json!({"role": "reader"});
    approve_for(&gate, &role, None).await;
    let rows = kept(&gate).await;
    let columns = ["Lengths", "Secrets"].map(|name| rows[0].contains_key(name));
    assert_eq!(columns, [false; 2], "{rows:?}");
    let words = card_of(&gate, &role, ALICE).await;
    assert!(words.starts_with(FAMILIAR), "{words}");
    let with_secret = json!({"role": "reader", "api_key": "k"});
    let words = card_of(&gate, &with_secret, ALICE).await;
    let found = "Values that look like secrets: not given in the last approval";
    assert!(words.starts_with(found), "{words}");
    let with_list = json!({"role": "reader", "ids": [7, 8]});
    let words = card_of(&gate, &with_list, ALICE).await;
    assert!(
        words.starts_with("/ids/*: not given in the last approval"),
        "{words}"
    );
}
