//! Compares the scalars of a request with those of the requests that people approved.

use std::collections::BTreeSet;

use super::finding::{Deviation, Finding};
use super::past::PastDecision;
use super::scalars::{Range, Scalars};
use crate::values::Decimal;

/// From how many earlier values on it can be told that they are different each time.
const USUAL_FROM: usize = 5;

/// What differs, as compared with these approvals.
pub(super) fn compare(present: &Scalars, approvals: &[&PastDecision]) -> Vec<Finding> {
    let numbers = present.numbers.iter();
    let numbers = numbers.flat_map(|(pointer, range)| compare_numbers(pointer, range, approvals));
    let values = present.values.iter();
    let values = values.filter_map(|(pointer, values)| compare_values(pointer, values, approvals));
    let mut findings: Vec<Finding> = numbers.chain(values).collect();
    findings.extend(find_missing(present, approvals, &findings));
    findings
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
        let found = (!past.is_empty()).then(|| Finding::new(pointer, &past, what));
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
    found
        .map(|what| Finding::new(pointer, &past, what))
        .collect()
}

fn compare_values(
    pointer: &str,
    values: &BTreeSet<String>,
    approvals: &[&PastDecision],
) -> Option<Finding> {
    let past = comparable(pointer, approvals);
    let is_shared = |value| {
        let mut earlier = past.iter().filter_map(|past| past.values.get(pointer));
        earlier.any(|earlier| earlier.shared.binary_search(value).is_ok())
    };
    if past.is_empty() || values.iter().all(is_shared) {
        return None;
    }
    let earlier: Vec<_> = past
        .iter()
        .filter_map(|it| Some(&it.values.get(pointer)?.hashes))
        .collect();
    let distinct: BTreeSet<_> = earlier.iter().copied().collect();
    let what = if past.iter().any(|past| past.has(pointer)) {
        Deviation::NewValue {
            is_usual: earlier.len() >= USUAL_FROM && distinct.len() == earlier.len(),
        }
    } else {
        Deviation::NewParameter
    };
    Some(Finding::new(pointer, &past, what))
}

/// What each approval had and the request has not, where nothing else was found.
fn find_missing(present: &Scalars, approvals: &[&PastDecision], found: &[Finding]) -> Vec<Finding> {
    let values = approvals.iter().flat_map(|it| it.values.keys());
    let numbers = approvals.iter().flat_map(|it| it.numbers.keys());
    let pointers: BTreeSet<&String> = values.chain(numbers).collect();
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
        Some(Finding::new(pointer, &past, what))
    });
    missing.collect()
}

/// Whether each approval had the same value that the request has not.
fn misses_value(pointer: &str, approvals: &[&PastDecision]) -> bool {
    let missing = approvals
        .iter()
        .map(|it| Some(&it.values.get(pointer)?.missing));
    let missing: Option<Vec<_>> = missing.collect();
    let Some((first, others)) = missing.as_deref().and_then(|it| it.split_first()) else {
        return false;
    };
    let mut of_first = first.iter();
    of_first.any(|hash| others.iter().all(|other| other.binary_search(hash).is_ok()))
}

fn comparable<'a>(pointer: &str, approvals: &[&'a PastDecision]) -> Vec<&'a PastDecision> {
    let approvals = approvals.iter().copied();
    approvals.filter(|it| it.is_known(pointer)).collect()
}
