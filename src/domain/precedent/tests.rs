use serde_json::{Value, json};

use super::*;
use crate::domain::decision::Verdict;
use crate::values::{Decimal, Timestamp};

/// A decision on a request with these parameters, as seen from one with those of `present`.
fn past(present: &Value, parameters: &Value) -> PastDecision {
    let (present, earlier) = (Scalars::of(present), Scalars::of(parameters));
    let values = earlier.values.into_iter().map(|(pointer, hashes)| {
        let has = present.values.get(&pointer).cloned().unwrap_or_default();
        let values = PastValues {
            shared: has.intersection(&hashes).cloned().collect(),
            missing: hashes.difference(&has).cloned().collect(),
            hashes: hashes.into_iter().collect(),
        };
        (pointer, values)
    });
    PastDecision {
        verdict: Verdict::Approve,
        by: DeciderKind::Person,
        at: Timestamp::from_unix_millis(0).unwrap(),
        is_same: false,
        values: values.collect(),
        reader_was_asked: true,
        numbers: earlier.numbers,
        is_cut: false,
    }
}

fn compare(present: &Value, earlier: &[Value]) -> Vec<(String, Deviation)> {
    let past = earlier.iter().map(|it| past(present, it)).collect();
    let findings = Precedent::new(&Scalars::of(present), past).findings;
    assert!(findings.iter().all(|it| it.compared == earlier.len()));
    let findings = findings.into_iter().map(|it| (it.pointer, it.what));
    findings.collect()
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

const NEW: Deviation = Deviation::NewValue { is_usual: false };

#[test]
fn a_number_is_compared_with_the_range_of_the_earlier_ones() {
    let earlier = [json!({"amount": 180}), json!({"amount": 9400.5})];
    let larger = |number, than| {
        let what = Deviation::Larger(decimal(number), Some(decimal(than)));
        vec![("/amount".to_owned(), what)]
    };
    for (amount, found) in [
        (json!(180), vec![]),
        (json!(9400.5), vec![]),
        (json!(200), vec![]),
        (json!(18_000), larger("18000", "9400.5")),
        (json!(9_400.51), larger("9400.51", "9400.5")),
        (
            json!(-1),
            vec![(
                "/amount".to_owned(),
                Deviation::Smaller(decimal("-1"), Some(decimal("180"))),
            )],
        ),
        (json!("180"), vec![("/amount".to_owned(), NEW)]),
    ] {
        assert_eq!(compare(&json!({"amount": amount}), &earlier), found);
    }
}

#[test]
fn the_bound_is_shown_only_to_a_reader_who_was_asked_about_it() {
    let present = json!({"amount": 5});
    let [mut small, mut large] =
        [json!({"amount": 1}), json!({"amount": 4})].map(|parameters| past(&present, &parameters));
    large.reader_was_asked = false;
    let found = |past| Precedent::new(&Scalars::of(&present), past).findings;
    let what = |past: [&PastDecision; 2]| found(past.map(Clone::clone).into())[0].what.clone();
    assert_eq!(
        what([&small, &large]),
        Deviation::Larger(decimal("5"), None)
    );
    (large.reader_was_asked, small.reader_was_asked) = (true, false);
    assert_eq!(
        what([&small, &large]),
        Deviation::Larger(decimal("5"), Some(decimal("4")))
    );
}

#[test]
fn a_value_that_no_earlier_request_had_is_found_in_lists_and_objects_too() {
    let earlier = [
        json!({"to": {"iban": "DE1", "name": "A"}, "copies": ["x", "y"], "urgent": false}),
        json!({"to": {"iban": "DE2", "name": "A"}, "copies": [], "urgent": false}),
    ];
    let known = json!({"to": {"iban": "DE2", "name": "A"}, "copies": ["y", "x"], "urgent": false});
    assert_eq!(compare(&known, &earlier), []);
    let other = json!({"to": {"iban": "DE3", "name": "A"}, "copies": ["x", "z"], "urgent": true});
    let found = ["/copies/*", "/to/iban", "/urgent"].map(|it| (it.to_owned(), NEW));
    assert_eq!(compare(&other, &earlier), found);
    let more = json!({"to": {"iban": "DE1"}, "a/b~c": 1, "note": null});
    let new = ["/a~1b~0c", "/note"].map(|it| (it.to_owned(), Deviation::NewParameter));
    let missing = ["/to/name", "/urgent"];
    let missing = missing.map(|it| (it.to_owned(), Deviation::MissingParameter));
    let found = [new, missing].concat();
    assert_eq!(compare(&more, &earlier), found);
}

#[test]
fn what_is_different_each_time_stands_last() {
    let request = |number: usize| json!({"invoice": format!("R{number}"), "to": "A"});
    let mut earlier: Vec<Value> = (0..5).map(request).collect();
    let mut present = request(9);
    present["to"] = "B".into();
    let found = [
        ("/to".to_owned(), NEW),
        (
            "/invoice".to_owned(),
            Deviation::NewValue { is_usual: true },
        ),
    ];
    assert_eq!(compare(&present, &earlier), found);
    // Neither where one came twice, nor by few.
    let found = ["/invoice", "/to"].map(|pointer| (pointer.to_owned(), NEW));
    assert_eq!(compare(&present, &earlier[..4]), found);
    earlier[4] = request(0);
    assert_eq!(compare(&present, &earlier), found);
}

#[test]
fn values_under_the_name_of_a_secret_are_left_out_numbers_included() {
    let secrets =
        json!({"pin": 4711, "card": {"cvc": 123, "password": {"a": "b"}}, "tokens": [1, "x"]});
    let nothing = Scalars {
        is_partial: true,
        ..Scalars::default()
    };
    assert_eq!(Scalars::of(&secrets), nothing);
    assert_eq!(compare(&secrets, &[json!({})]), []);
}

#[test]
fn what_each_approval_had_and_the_request_has_not_is_found() {
    let missing = |pointer: &str, what| vec![(pointer.to_owned(), what)];
    let earlier = [
        json!({"n": 1, "dry_run": true, "to": ["a", "b"], "at": [1, "x"]}),
        json!({"n": 1, "dry_run": false, "to": ["b", "c"], "at": [2, "x"]}),
    ];
    let present = json!({"n": 1, "to": ["b"], "at": [1, "x"]});
    let found = missing("/dry_run", Deviation::MissingParameter);
    assert_eq!(compare(&present, &earlier), found);
    for (to, at, found) in [
        (json!(["b", "a"]), json!([2, "x"]), vec![]),
        (
            json!(["a"]),
            json!([2, "x"]),
            missing("/to/*", Deviation::MissingValue),
        ),
        (
            json!([]),
            json!([2, "x"]),
            missing("/to/*", Deviation::MissingParameter),
        ),
        (
            json!(["b"]),
            json!([2]),
            missing("/at/*", Deviation::MissingValue),
        ),
        (
            json!(["b"]),
            json!(["x"]),
            missing("/at/*", Deviation::MissingValue),
        ),
    ] {
        let present = json!({"n": 1, "dry_run": true, "to": to, "at": at});
        assert_eq!(compare(&present, &earlier), found, "{present}");
    }
}

#[test]
fn only_what_a_person_approved_makes_a_request_familiar() {
    let present = json!({"to": "A", "n": 5});
    let familiar = |change: fn(&mut PastDecision)| {
        let mut past = past(&present, &present);
        change(&mut past);
        let precedent = Precedent::new(&Scalars::of(&present), vec![past]);
        assert_eq!(precedent.findings, []);
        (precedent.approvals, precedent.is_familiar)
    };
    assert_eq!(familiar(|_| ()), (1, true));
    assert_eq!(familiar(|it| it.verdict = Verdict::Reject), (0, false));
    assert_eq!(familiar(|it| it.by = DeciderKind::Policy), (0, false));
    assert_eq!(familiar(|it| it.by = DeciderKind::Grant), (0, false));
    for partial in [json!({"pin": 1}), json!({"a": []}), json!({"a": {}})] {
        let same = past(&partial, &partial);
        let precedent = Precedent::new(&Scalars::of(&partial), vec![same]);
        assert!(!precedent.is_familiar, "{partial}");
    }
}

#[test]
fn an_earlier_request_with_parameters_left_out_says_nothing_about_those() {
    let present = json!({"a": "1", "b": "2"});
    let mut cut = past(&present, &json!({"a": "1"}));
    cut.is_cut = true;
    let precedent = Precedent::new(&Scalars::of(&present), vec![cut]);
    assert_eq!(precedent.findings, []);
    assert!(!precedent.is_familiar);
    // Without earlier decisions nothing can be new.
    assert_eq!(compare(&present, &[]), []);
}
