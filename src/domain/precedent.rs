//! Precedent: earlier decisions on the same action of the same agent, and what is new or out of range among a
//! request's parameters. Evidence for an approver; it decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::decision::{Decider, Verdict};
use super::word::words;
use crate::reveal::is_secret_name;
use crate::values::{Decimal, Timestamp};

/// The scalars among the parameters of a request, by pointer: a JSON Pointer (RFC 6901) in which `*` stands for
/// every index of a list. Values under names that suggest a secret are not among them, nor are empty lists and objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scalars {
    /// Texts, booleans and nulls, as JSON.
    pub values: BTreeMap<String, BTreeSet<String>>,
    pub numbers: BTreeMap<String, Range>,
    /// Whether something of the parameters is not among them.
    pub is_partial: bool,
}

/// The smallest and the largest number at a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub smallest: Decimal,
    pub largest: Decimal,
}

words! {
    /// Who decided.
    pub enum DeciderKind {
        Person,
        /// A rule of the operator's policy.
        Policy,
        /// A standing grant.
        Grant,
    }
}

/// A decision on an earlier request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDecision {
    pub verdict: Verdict,
    pub by: DeciderKind,
    pub at: Timestamp,
    /// Whether what was asked is exactly what is asked now.
    pub is_same: bool,
    /// Whether the reader was among those who were asked then. Only they see its numbers.
    pub reader_was_asked: bool,
    /// The hashes of its values, by pointer.
    pub hashes: BTreeMap<String, BTreeSet<String>>,
    /// Those of the present request's values that it had too.
    pub shared: BTreeMap<String, BTreeSet<String>>,
    /// The hashes of its values that the present request has not.
    pub missing: BTreeMap<String, BTreeSet<String>>,
    pub numbers: BTreeMap<String, Range>,
    /// Whether parameters were left out, because there were too many.
    pub is_cut: bool,
}

/// What earlier decisions say about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precedent {
    /// The earlier decisions, newest first, up to a number of [`Precedent::MOST`].
    pub past: Vec<PastDecision>,
    /// The number of those that are approvals by people: the request is compared with these alone, so that an agent
    /// makes nothing familiar by what is rejected, or decided without a person.
    pub approvals: usize,
    pub findings: Vec<Finding>,
    /// Whether every parameter was compared, and nothing stands out.
    pub is_familiar: bool,
}

/// A parameter that differs from those of the requests that people approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub pointer: String,
    /// The number of approvals whose parameters it was compared with.
    pub compared: usize,
    pub what: Deviation,
}

/// How a parameter differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// No earlier request had such a parameter.
    NewParameter,
    /// No earlier request had this value.
    NewValue {
        /// Whether each earlier request had one of its own, as with the number of an invoice.
        is_usual: bool,
    },
    /// A number beyond all earlier ones, and the largest of them, if the reader may see it.
    Larger(Decimal, Option<Decimal>),
    /// The same below all earlier ones.
    Smaller(Decimal, Option<Decimal>),
    /// Each earlier request had this parameter, and this one has not.
    MissingParameter,
    /// Each earlier request had a value there that this one has not, as in a longer list.
    MissingValue,
}

/// From how many earlier values on it can be told that they are different each time.
const USUAL_FROM: usize = 5;

impl Scalars {
    /// The scalars of parameters.
    pub fn of(parameters: &Value) -> Self {
        let mut scalars = Self::default();
        scalars.add("", parameters);
        scalars
    }

    fn add(&mut self, pointer: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                self.is_partial |= members.is_empty();
                for (name, member) in members {
                    if is_secret_name(name) {
                        self.is_partial = true;
                        continue;
                    }
                    let name = name.replace('~', "~0").replace('/', "~1");
                    self.add(&format!("{pointer}/{name}"), member);
                }
            }
            Value::Array(items) => {
                self.is_partial |= items.is_empty();
                let pointer = format!("{pointer}/*");
                for item in items {
                    self.add(&pointer, item);
                }
            }
            Value::Number(number) => {
                let number = Decimal::parse(&number.to_string());
                let number = number.expect("a number of JSON is a decimal");
                let range = Range {
                    smallest: number.clone(),
                    largest: number,
                };
                match self.numbers.get_mut(pointer) {
                    Some(known) => known.include(range),
                    None => drop(self.numbers.insert(pointer.to_owned(), range)),
                }
            }
            scalar => {
                let values = self.values.entry(pointer.to_owned()).or_default();
                values.insert(scalar.to_string());
            }
        }
    }
}

impl Range {
    fn include(&mut self, other: Self) {
        if other.smallest < self.smallest {
            self.smallest = other.smallest;
        }
        if other.largest > self.largest {
            self.largest = other.largest;
        }
    }
}

impl DeciderKind {
    pub fn of(decider: &Decider) -> Self {
        match decider {
            Decider::Person { .. } => Self::Person,
            Decider::Policy { .. } => Self::Policy,
            Decider::Grant(_) => Self::Grant,
        }
    }
}

impl PastDecision {
    fn is_approval_by_person(&self) -> bool {
        self.verdict == Verdict::Approve && self.by == DeciderKind::Person
    }

    fn has(&self, pointer: &str) -> bool {
        self.hashes.contains_key(pointer) || self.numbers.contains_key(pointer)
    }

    /// Whether it is known what it had at a pointer, if anything.
    fn is_known(&self, pointer: &str) -> bool {
        !self.is_cut || self.has(pointer)
    }
}

impl Precedent {
    /// The most earlier decisions that are read for a request.
    pub const MOST: u8 = 50;

    /// The most earlier decisions that are shown.
    pub const SHOWN: usize = 5;

    /// Compares a request with the approvals by people among the earlier decisions, newest first.
    pub fn new(present: &Scalars, past: Vec<PastDecision>) -> Self {
        let approvals = past.iter().filter(|it| it.is_approval_by_person());
        let approvals: Vec<&PastDecision> = approvals.collect();
        let numbers = present.numbers.iter();
        let numbers =
            numbers.flat_map(|(pointer, range)| compare_numbers(pointer, range, &approvals));
        let values = present.values.iter();
        let values =
            values.filter_map(|(pointer, values)| compare_values(pointer, values, &approvals));
        let mut findings: Vec<Finding> = numbers.chain(values).collect();
        findings.extend(find_missing(present, &approvals, &findings));
        findings.sort_by_key(|finding| finding.what.is_usual());
        let is_familiar = !approvals.is_empty()
            && !present.is_partial
            && !approvals.iter().any(|it| it.is_cut)
            && findings.iter().all(|it| it.what.is_usual());
        Self {
            approvals: approvals.len(),
            findings,
            is_familiar,
            past,
        }
    }
}

impl Deviation {
    /// Whether it is nothing out of the ordinary.
    pub fn is_usual(&self) -> bool {
        matches!(self, Self::NewValue { is_usual: true })
    }
}

fn comparable<'a>(pointer: &str, approvals: &[&'a PastDecision]) -> Vec<&'a PastDecision> {
    let approvals = approvals.iter().copied();
    approvals.filter(|it| it.is_known(pointer)).collect()
}

/// What each approval had and the request has not, where nothing else was found.
fn find_missing(present: &Scalars, approvals: &[&PastDecision], found: &[Finding]) -> Vec<Finding> {
    let hashes = approvals.iter().flat_map(|it| it.hashes.keys());
    let numbers = approvals.iter().flat_map(|it| it.numbers.keys());
    let pointers: BTreeSet<&String> = hashes.chain(numbers).collect();
    let found: BTreeSet<&String> = found.iter().map(|it| &it.pointer).collect();
    let missing = pointers.into_iter().filter_map(|pointer| {
        let past = comparable(pointer, approvals);
        if found.contains(pointer) || !past.iter().all(|it| it.has(pointer)) {
            return None;
        }
        let has_numbers = present.numbers.contains_key(pointer);
        let what = if !has_numbers && !present.values.contains_key(pointer) {
            Deviation::MissingParameter
        } else if misses_value(pointer, &past)
            || !has_numbers && past.iter().all(|it| it.numbers.contains_key(pointer))
        {
            Deviation::MissingValue
        } else {
            return None;
        };
        Some(finding(pointer, &past, what))
    });
    missing.collect()
}

/// Whether each approval had the same value that the request has not.
fn misses_value(pointer: &str, approvals: &[&PastDecision]) -> bool {
    let missing = approvals.iter().map(|it| it.missing.get(pointer));
    let missing: Option<Vec<_>> = missing.collect();
    let Some((first, others)) = missing.as_deref().and_then(|it| it.split_first()) else {
        return false;
    };
    let mut of_first = first.iter();
    of_first.any(|hash| others.iter().all(|other| other.contains(hash)))
}

fn compare_values(
    pointer: &str,
    values: &BTreeSet<String>,
    approvals: &[&PastDecision],
) -> Option<Finding> {
    let past = comparable(pointer, approvals);
    let is_shared = |value| {
        let mut shared = past.iter().filter_map(|past| past.shared.get(pointer));
        shared.any(|shared| shared.contains(value))
    };
    if past.is_empty() || values.iter().all(is_shared) {
        return None;
    }
    let earlier: Vec<_> = past
        .iter()
        .filter_map(|it| it.hashes.get(pointer))
        .collect();
    let distinct: BTreeSet<_> = earlier.iter().copied().collect();
    let what = if past.iter().any(|past| past.has(pointer)) {
        Deviation::NewValue {
            is_usual: earlier.len() >= USUAL_FROM && distinct.len() == earlier.len(),
        }
    } else {
        Deviation::NewParameter
    };
    Some(finding(pointer, &past, what))
}

fn compare_numbers(pointer: &str, present: &Range, approvals: &[&PastDecision]) -> Vec<Finding> {
    let past = comparable(pointer, approvals);
    let ranges = past.iter();
    let ranges = ranges.filter_map(|it| Some((it.numbers.get(pointer)?, it.reader_was_asked)));
    let ranges: Vec<(&Range, bool)> = ranges.collect();
    let largest = ranges.iter().map(|(range, _)| &range.largest).max();
    let smallest = ranges.iter().map(|(range, _)| &range.smallest).min();
    let (Some(largest), Some(smallest)) = (largest, smallest) else {
        let what = if past.iter().any(|past| past.has(pointer)) {
            Deviation::NewValue { is_usual: false }
        } else {
            Deviation::NewParameter
        };
        let found = (!past.is_empty()).then(|| finding(pointer, &past, what));
        return found.into_iter().collect();
    };
    let shown = |bound: &Decimal, of: fn(&Range) -> &Decimal| {
        let mut asked = ranges.iter().filter(|(_, was_asked)| *was_asked);
        let is_shown = asked.any(|(range, _)| of(range) == bound);
        is_shown.then(|| bound.clone())
    };
    let larger = (present.largest > *largest).then(|| {
        let shown = shown(largest, |range| &range.largest);
        Deviation::Larger(present.largest.clone(), shown)
    });
    let smaller = (present.smallest < *smallest).then(|| {
        let shown = shown(smallest, |range| &range.smallest);
        Deviation::Smaller(present.smallest.clone(), shown)
    });
    let found = [larger, smaller].into_iter().flatten();
    found.map(|what| finding(pointer, &past, what)).collect()
}

fn finding(pointer: &str, past: &[&PastDecision], what: Deviation) -> Finding {
    Finding {
        pointer: pointer.to_owned(),
        compared: past.len(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A decision on a request with these parameters, as seen from one with those of `present`.
    fn past(present: &Value, parameters: &Value) -> PastDecision {
        let (present, earlier) = (Scalars::of(present), Scalars::of(parameters));
        let present_values = present.values.clone();
        let shared = present.values.into_iter().map(|(pointer, values)| {
            let known = earlier.values.get(&pointer).cloned().unwrap_or_default();
            let shared = values.intersection(&known).cloned().collect();
            (pointer, shared)
        });
        let missing = earlier.values.iter().map(|(pointer, known)| {
            let had = present_values.get(pointer).cloned().unwrap_or_default();
            (pointer.clone(), known.difference(&had).cloned().collect())
        });
        PastDecision {
            verdict: Verdict::Approve,
            by: DeciderKind::Person,
            at: Timestamp::from_unix_millis(0).unwrap(),
            is_same: false,
            missing: missing.collect(),
            reader_was_asked: true,
            shared: shared.collect(),
            hashes: earlier.values,
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
        let [mut small, mut large] = [json!({"amount": 1}), json!({"amount": 4})]
            .map(|parameters| past(&present, &parameters));
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
        let known =
            json!({"to": {"iban": "DE2", "name": "A"}, "copies": ["y", "x"], "urgent": false});
        assert_eq!(compare(&known, &earlier), []);
        let other =
            json!({"to": {"iban": "DE3", "name": "A"}, "copies": ["x", "z"], "urgent": true});
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
}
