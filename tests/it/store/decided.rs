//! The table of decisions.

use std::time::Duration;

use human_oversight::domain::{
    Approval, Assurance, Decider, Decision, Parameters, PastDecision, Precedent, State, Verdict,
    Words,
};
use human_oversight::store::Store;
use human_oversight::values::{Address, Digest};
use human_oversight_client::parameters::sha256;

use super::{Ground, OPEN_LIMIT, approval, at, keys_named};

const READER: &str = "alice%relay@example.com";

/// A request that was rejected after `seconds`.
fn rejected(correlation: &str, json: &str, seconds: u64) -> Approval {
    let mut rejected = approval("Agent", correlation);
    rejected.request.parameters = Parameters {
        json: json.to_owned(),
        digest: Digest(sha256(json.as_bytes())),
    };
    let address = Address::from_known(READER).unwrap();
    let decision = Decision {
        by: Decider::Person {
            address,
            assurance: Assurance::Link,
        },
        words: Words::default(),
        at: at(seconds),
        receipt: "x".to_owned(),
    };
    rejected.state = State::Rejected(decision);
    rejected
}

async fn before(store: &Store, now: &Approval, reader: &str) -> (Vec<PastDecision>, usize) {
    let reader = Address::from_known(reader).unwrap();
    let before = store.decided_before(&now.request, &reader).await.unwrap();
    (before.decisions, before.untrusted)
}

pub(super) async fn a_decision_is_kept_once_and_read_newest_first(ground: Ground) {
    let store = ground.open();
    let now = rejected("now", r#"{"a":"x","n":1.5}"#, 0);
    assert_eq!(before(&store, &now, READER).await.0, []);
    let (rows, _) = store.all_decided(None).await.unwrap();
    assert!(rows.is_empty());
    let open = approval("Agent", "open");
    assert!(!store.keep_decided(&open).await.unwrap());
    let past = rejected("0", r#"{"a":"x","n":1.50,"l":[3,2]}"#, 7);
    assert!(store.keep_decided(&past).await.unwrap());
    // Also by another process.
    assert!(!ground.open().keep_decided(&past).await.unwrap());
    let (found, untrusted) = before(&store, &now, READER).await;
    assert_eq!((found.len(), untrusted), (1, 0));
    let found = &found[0];
    assert_eq!((found.verdict, found.at), (Verdict::Reject, at(7)));
    assert!(found.reader_was_asked && !found.is_cut && !found.is_same);
    assert_eq!(found.values["/a"].shared, ["\"x\""]);
    assert_eq!(found.numbers["/n"].largest.to_string(), "1.5");
    assert_eq!(found.numbers["/l/*"].smallest.to_string(), "2");
    let lengths = found.lengths.as_ref().unwrap();
    assert_eq!(lengths["/l"].largest.to_string(), "2");
    assert!(found.secrets.as_ref().unwrap().hashes.is_empty());
    assert_eq!(found.on_behalf_of.as_ref().unwrap().shared, ["null"]);
    let others = before(&store, &now, "bob@example.com").await.0;
    assert!(!others[0].reader_was_asked);

    for number in 1..=60 {
        let past = rejected(&number.to_string(), "{}", 7 + number);
        store.keep_decided(&past).await.unwrap();
    }
    let mut other = rejected("other", "{}", 1_000);
    other.request.action = "Another action".to_owned();
    store.keep_decided(&other).await.unwrap();
    let (found, _) = before(&store, &now, READER).await;
    assert_eq!(found.len(), usize::from(Precedent::MOST));
    let times = found.iter().map(|past| past.at);
    let newest = (0..50).map(|earlier| at(67) - Duration::from_secs(earlier));
    assert!(times.eq(newest));

    store.delete_decided(&other).await.unwrap();
    store.delete_decided(&other).await.unwrap();
    store.delete_decided(&open).await.unwrap();
    assert_eq!(before(&store, &other, READER).await.0, []);
    let (mut count, mut place) = (0, None);
    loop {
        let (rows, next) = store.all_decided(place).await.unwrap();
        assert!(rows.iter().all(|row| row.checked.is_ok()));
        count += rows.len();
        place = next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(count, 61);
}

pub(super) async fn a_kept_decision_that_was_changed_or_moved_is_left_out(ground: Ground) {
    let store = ground.open();
    for number in 0..3 {
        let past = rejected(&number.to_string(), r#"{"amount":5}"#, number);
        store.keep_decided(&past).await.unwrap();
    }
    let (rows, _) = store.all_decided(None).await.unwrap();
    let tampered = (&*rows[1].keys.0, &*rows[1].keys.1);
    let change = |row: &mut serde_json::Value| {
        row["Numbers"] = r#"{"/amount":["5","50000"]}"#.into();
    };
    ground.tamper_with("decided", tampered, change).await;
    let now = rejected("now", r#"{"amount":5}"#, 0);
    let (found, untrusted) = before(&ground.open(), &now, READER).await;
    assert_eq!((found.len(), untrusted), (2, 1));
    let (rows, _) = store.all_decided(None).await.unwrap();
    let sound: Vec<bool> = rows.iter().map(|row| row.checked.is_ok()).collect();
    assert_eq!(sound, [true, false, true]);
    if matches!(ground, Ground::Tables(_)) {
        // A sound row under other keys.
        let (from, to) = (
            (&*rows[0].keys.0, &*rows[0].keys.1),
            "0000000000000zzzzzzzz",
        );
        let copy = |row: &mut serde_json::Value| row["RowKey"] = to.into();
        ground.tamper_with("decided", from, copy).await;
        let (found, untrusted) = before(&ground.open(), &now, READER).await;
        assert_eq!((found.len(), untrusted), (2, 2));
    }
}

pub(super) async fn kept_decisions_are_recognised_with_a_retired_key_and_restored_elsewhere(
    ground: Ground,
) {
    let past = rejected("past", r#"{"a":"x"}"#, 1);
    ground.open().keep_decided(&past).await.unwrap();
    let now = rejected("now", r#"{"a":"x"}"#, 0);
    let store = ground.with_keys(OPEN_LIMIT, keys_named(&[("new", 9), ("k", 7)]));
    let (found, _) = before(&store, &now, READER).await;
    assert!(found[0].is_same && found[0].reader_was_asked);
    assert!(!found[0].values["/a"].shared.is_empty());
    // Without the key nothing of it can be trusted.
    let stranger = ground.with_keys(OPEN_LIMIT, keys_named(&[("new", 9)]));
    let reader = Address::from_known(READER).unwrap();
    assert!(
        stranger
            .decided_before(&now.request, &reader)
            .await
            .is_err()
    );

    let (rows, _) = store.all_decided(None).await.unwrap();
    let copy = rows[0].columns.clone();
    assert_eq!(
        store.restore_decided(&copy, None).await.unwrap(),
        Some(false)
    );
    store.delete_decided(&past).await.unwrap();
    assert_eq!(
        store.restore_decided(&copy, None).await.unwrap(),
        Some(true)
    );
    let (found, untrusted) = before(&store, &now, READER).await;
    assert_eq!((found.len(), untrusted), (1, 0));
    assert!(!found[0].values["/a"].shared.is_empty());
    let mut forged = copy.clone();
    forged.insert("Verdict".to_owned(), "Approve".into());
    assert!(store.restore_decided(&forged, None).await.is_err());
    let request = serde_json::Map::new();
    assert_eq!(store.restore_decided(&request, None).await.unwrap(), None);
}
