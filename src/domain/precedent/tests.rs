use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::domain::decision::Verdict;
use crate::values::{Decimal, Timestamp};

fn past_values(present: &BTreeSet<String>, hashes: &BTreeSet<String>) -> PastValues {
    PastValues {
        shared: present.intersection(hashes).cloned().collect(),
        missing: hashes.difference(present).cloned().collect(),
        hashes: hashes.iter().cloned().collect(),
    }
}

/// A decision on a request with these parameters, as seen from one with those of `present`.
fn past(present: &Value, parameters: &Value) -> PastDecision {
    let (present, earlier) = (Scalars::of(present), Scalars::of(parameters));
    let values = earlier.values.into_iter().map(|(pointer, hashes)| {
        let has = present.values.get(&pointer).cloned().unwrap_or_default();
        (pointer, past_values(&has, &hashes))
    });
    let person = |it: &Scalars| BTreeSet::from([it.person()]);
    let on_behalf_of = past_values(&person(&present), &BTreeSet::from(["null".to_owned()]));
    PastDecision {
        verdict: Verdict::Approve,
        at: Timestamp::from_unix_millis(0).unwrap(),
        is_same: false,
        values: values.collect(),
        reader_was_asked: true,
        numbers: earlier.numbers,
        lengths: Some(earlier.lengths),
        secrets: Some(past_values(&present.secrets, &earlier.secrets)),
        on_behalf_of: Some(on_behalf_of),
        is_cut: false,
    }
}

fn compare(present: &Value, earlier: &[Value]) -> Vec<(String, Deviation)> {
    let past = earlier.iter().map(|it| past(present, it)).collect();
    let findings = Precedent::new(&Scalars::of(present), past).findings;
    assert!(findings.iter().all(|it| it.compared == earlier.len()));
    let findings = findings.into_iter().map(|it| match it.part {
        Part::Parameter(pointer) => (pointer, it.what),
        Part::Length(pointer) => (format!("items of {pointer}"), it.what),
        Part::Secrets => ("secrets".to_owned(), it.what),
        Part::OnBehalfOf(person) => panic!("{person:?}"),
    });
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
    let pointers = ["/card/cvc", "/card/password", "/pin", "/tokens"];
    let pointers_alone = Scalars {
        is_partial: true,
        secrets: pointers.map(str::to_owned).into(),
        ..Scalars::default()
    };
    assert_eq!(Scalars::of(&secrets), pointers_alone);
}

#[test]
fn which_values_that_look_like_secrets_there_are_is_compared() {
    let secrets = |what| vec![("secrets".to_owned(), what)];
    let earlier = [
        json!({"pin": 1, "token": "a"}),
        json!({"pin": 2, "apiKey": "b"}),
    ];
    for (present, found) in [
        (json!({"pin": 3}), vec![]),
        (json!({"pin": 3, "apiKey": "c", "token": "d"}), vec![]),
        (json!({"token": "a"}), secrets(Deviation::MissingValue)),
        (json!({}), secrets(Deviation::MissingParameter)),
        (json!({"pin": 3, "password": "x"}), secrets(NEW)),
    ] {
        assert_eq!(compare(&present, &earlier), found, "{present}");
    }
    let found = compare(&json!({"pin": 3}), &[json!({})]);
    assert_eq!(found, secrets(Deviation::NewParameter));
}

#[test]
fn the_length_of_a_list_is_compared_as_a_number() {
    let list = |length: usize| json!({"orders": vec![json!({"lines": [7, 8]}); length]});
    let earlier = [list(2), list(4)];
    let items = |what| vec![("items of /orders".to_owned(), what)];
    let larger = Deviation::Larger(decimal("300"), Some(decimal("4")));
    let smaller = Deviation::Smaller(decimal("1"), Some(decimal("2")));
    for (length, found) in [
        (2, vec![]),
        (3, vec![]),
        (300, items(larger)),
        (1, items(smaller)),
    ] {
        assert_eq!(compare(&list(length), &earlier), found, "{length}");
    }
    let mut within = list(3);
    within["orders"][1]["lines"] = json!([8, 7, 7]);
    let larger = Deviation::Larger(decimal("3"), Some(decimal("2")));
    let found = [("items of /orders/*/lines".to_owned(), larger)];
    assert_eq!(compare(&within, &earlier), found);
    // One finding tells that the list is new.
    let found = compare(&json!({"to": ["a"]}), &[json!({})]);
    assert_eq!(found, [("/to/*".to_owned(), Deviation::NewParameter)]);
}

#[test]
fn the_person_on_whose_behalf_the_agent_acts_is_compared() {
    let scalars = Scalars {
        on_behalf_of: Some("alice@example.com".to_owned()),
        ..Scalars::of(&json!({"to": "A"}))
    };
    let earlier = |person: &str| {
        let (present, earlier) = (scalars.person(), person.to_owned());
        let mut past = past(&json!({"to": "A"}), &json!({"to": "A"}));
        let [present, earlier] = [present, earlier].map(|it| BTreeSet::from([it]));
        past.on_behalf_of = Some(past_values(&present, &earlier));
        past
    };
    let mut unknown = earlier("null");
    unknown.on_behalf_of = None;
    let compare = |past: &[&PastDecision]| {
        let past = past.iter().map(|it| (*it).clone()).collect();
        let Precedent {
            findings,
            is_familiar,
            ..
        } = Precedent::new(&scalars, past);
        let found = findings.into_iter().map(|it| (it.part, it.compared));
        (found.collect::<Vec<_>>(), is_familiar)
    };
    let [alice, mallory, none] =
        ["\"alice@example.com\"", "\"mallory@example.com\"", "null"].map(earlier);
    assert_eq!(compare(&[&none, &alice]), (vec![], true));
    let found = vec![(Part::OnBehalfOf(scalars.on_behalf_of.clone()), 2)];
    assert_eq!(compare(&[&none, &unknown, &mallory]), (found, false));
    // An earlier version did not keep it.
    assert_eq!(compare(&[&unknown]), (vec![], false));
    assert_eq!(compare(&[&unknown, &alice]), (vec![], true));
}

#[test]
fn what_each_approval_had_and_the_request_has_not_is_found() {
    let missing = |pointer: &str, what| vec![(pointer.to_owned(), what)];
    let earlier = [
        json!({"n": 1, "dry_run": true, "to": ["a", "b"], "at": [1, "x"]}),
        json!({"n": 1, "dry_run": false, "to": ["b"], "at": [2, "x"]}),
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
fn only_what_was_approved_makes_a_request_familiar() {
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
