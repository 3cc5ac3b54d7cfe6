//! Precedent: earlier decisions on the same action of the same agent, and what is new or out of range among a
//! request's parameters. Evidence for an approver; it decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::decision::{Decider, Verdict};
use super::word::words;
use crate::reveal::is_secret_name;
use crate::values::{Decimal, Timestamp};

/// The scalars among the parameters of a request, by pointer: a JSON Pointer (RFC 6901) in which `*` stands for
/// every index of a list. Values under names that suggest a secret are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scalars {
    /// Texts, booleans and nulls, as JSON.
    pub values: BTreeMap<String, BTreeSet<String>>,
    pub numbers: BTreeMap<String, Range>,
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
    /// Whether what was asked reads the same as what is asked now.
    pub is_alike: bool,
    /// Whether the reader was among those who were asked then. Only they see its numbers.
    pub reader_was_asked: bool,
    /// The hashes of its values, by pointer.
    pub hashes: BTreeMap<String, BTreeSet<String>>,
    /// Those of the present request's values that it had too.
    pub shared: BTreeMap<String, BTreeSet<String>>,
    pub numbers: BTreeMap<String, Range>,
    /// Whether parameters were left out, because there were too many.
    pub is_cut: bool,
}

/// What earlier decisions say about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precedent {
    /// The earlier decisions, newest first, up to a number of [`Precedent::MOST`].
    pub past: Vec<PastDecision>,
    pub findings: Vec<Finding>,
}

/// A parameter that differs from those of the earlier requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub pointer: String,
    /// The number of earlier decisions whose parameters it was compared with.
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
                let members = members.iter().filter(|(name, _)| !is_secret_name(name));
                for (name, member) in members {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    self.add(&format!("{pointer}/{name}"), member);
                }
            }
            Value::Array(items) => {
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
    fn has(&self, pointer: &str) -> bool {
        self.hashes.contains_key(pointer) || self.numbers.contains_key(pointer)
    }

    /// Whether it is known what it had at a pointer, if anything.
    fn is_known(&self, pointer: &str) -> bool {
        !self.is_cut || self.has(pointer)
    }
}

impl Precedent {
    /// The most earlier decisions that a request is compared with.
    pub const MOST: u8 = 50;

    /// The most earlier decisions that are shown.
    pub const SHOWN: usize = 5;

    /// Compares a request with the earlier decisions, newest first.
    pub fn new(present: &Scalars, past: Vec<PastDecision>) -> Self {
        let numbers = present.numbers.iter();
        let numbers = numbers.flat_map(|(pointer, range)| compare_numbers(pointer, range, &past));
        let values = present.values.iter();
        let values = values.filter_map(|(pointer, values)| compare_values(pointer, values, &past));
        let mut findings: Vec<Finding> = numbers.chain(values).collect();
        findings.sort_by_key(|finding| finding.what.is_usual());
        Self { past, findings }
    }

    /// Whether every parameter was compared, and nothing stands out.
    pub fn is_familiar(&self) -> bool {
        self.findings.iter().all(|finding| finding.what.is_usual())
            && !self.past.iter().any(|past| past.is_cut)
    }
}

impl Deviation {
    /// Whether it is nothing out of the ordinary.
    pub fn is_usual(&self) -> bool {
        matches!(self, Self::NewValue { is_usual: true })
    }
}

fn comparable<'a>(pointer: &str, past: &'a [PastDecision]) -> Vec<&'a PastDecision> {
    past.iter().filter(|past| past.is_known(pointer)).collect()
}

fn compare_values(
    pointer: &str,
    values: &BTreeSet<String>,
    past: &[PastDecision],
) -> Option<Finding> {
    let past = comparable(pointer, past);
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

fn compare_numbers(pointer: &str, present: &Range, past: &[PastDecision]) -> Vec<Finding> {
    let past = comparable(pointer, past);
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
        let shared = present.values.into_iter().map(|(pointer, values)| {
            let known = earlier.values.get(&pointer).cloned().unwrap_or_default();
            let shared = values.intersection(&known).cloned().collect();
            (pointer, shared)
        });
        PastDecision {
            verdict: Verdict::Approve,
            by: DeciderKind::Person,
            at: Timestamp::from_unix_millis(0).unwrap(),
            is_alike: false,
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
        let found = ["/a~1b~0c", "/note"].map(|it| (it.to_owned(), Deviation::NewParameter));
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
        assert_eq!(Scalars::of(&secrets), Scalars::default());
        assert_eq!(compare(&secrets, &[json!({})]), []);
    }

    #[test]
    fn an_earlier_request_with_parameters_left_out_says_nothing_about_those() {
        let present = json!({"a": "1", "b": "2"});
        let mut cut = past(&present, &json!({"a": "1"}));
        cut.is_cut = true;
        let precedent = Precedent::new(&Scalars::of(&present), vec![cut]);
        assert_eq!(precedent.findings, []);
        assert!(!precedent.is_familiar());
        // Without earlier decisions nothing can be new.
        assert_eq!(compare(&present, &[]), []);
    }
}
