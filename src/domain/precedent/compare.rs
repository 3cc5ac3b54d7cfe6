//! Compares the scalars of a request with those of the requests that people approved.

use std::collections::BTreeSet;

use super::finding::{Deviation, Finding, Part};
use super::past::{PastDecision, PastValues};
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
    let mut parameters: Vec<Finding> = numbers.chain(values).collect();
    parameters.extend(find_missing(present, approvals, &parameters));
    let mut findings: Vec<Finding> = compare_people(present, approvals).into_iter().collect();
    findings.extend(compare_secrets(&present.secrets, approvals));
    let lengths = present.lengths.iter();
    findings.extend(
        lengths
            .flat_map(|(pointer, range)| compare_lengths(pointer, range, approvals, &parameters)),
    );
    findings.extend(parameters);
    findings
}

fn compare_people(present: &Scalars, approvals: &[&PastDecision]) -> Option<Finding> {
    let earlier = approvals.iter().filter_map(|it| it.on_behalf_of.as_ref());
    let earlier: Vec<&PastValues> = earlier.collect();
    let what = find_new(&BTreeSet::from([present.person()]), &earlier)?;
    (!earlier.is_empty()).then(|| Finding {
        part: Part::OnBehalfOf(present.on_behalf_of.clone()),
        compared: earlier.len(),
        what,
    })
}

fn compare_secrets(present: &BTreeSet<String>, approvals: &[&PastDecision]) -> Option<Finding> {
    let earlier = approvals.iter().filter_map(|it| it.secrets.as_ref());
    let earlier: Vec<&PastValues> = earlier.collect();
    let what = if earlier.is_empty() {
        return None;
    } else if find_new(present, &earlier).is_some() {
        if earlier.iter().all(|it| it.hashes.is_empty()) {
            Deviation::NewParameter
        } else {
            Deviation::NewValue { is_usual: false }
        }
    } else if !miss_one(&earlier) {
        return None;
    } else if present.is_empty() {
        Deviation::MissingParameter
    } else {
        Deviation::MissingValue
    };
    Some(Finding {
        part: Part::Secrets,
        compared: earlier.len(),
        what,
    })
}

/// Compares how many items a list has. That they are fewer is left out where something was found about them.
fn compare_lengths(
    pointer: &str,
    present: &Range,
    approvals: &[&PastDecision],
    found: &[Finding],
) -> Vec<Finding> {
    let past = approvals.iter().filter_map(|it| {
        let length = it.lengths.as_ref()?.get(pointer);
        (length.is_some() || !it.is_cut).then_some((length, it.reader_was_asked))
    });
    let past: Vec<(Option<&Range>, bool)> = past.collect();
    let ranges = past.iter();
    let ranges = ranges.filter_map(|(range, was_asked)| Some(((*range)?, *was_asked)));
    let ranges: Vec<(&Range, bool)> = ranges.collect();
    let items = format!("{pointer}/*");
    let mut found = found.iter().filter_map(Finding::pointer);
    let is_known = found.any(|it| it.starts_with(&items));
    let beyond = find_beyond(present, &ranges).unwrap_or_default();
    let beyond = beyond
        .into_iter()
        .filter(|what| !(is_known && matches!(what, Deviation::Smaller(..))));
    let findings = beyond.map(|what| Finding {
        part: Part::Length(pointer.to_owned()),
        compared: past.len(),
        what,
    });
    findings.collect()
}

fn compare_numbers(pointer: &str, present: &Range, approvals: &[&PastDecision]) -> Vec<Finding> {
    let past = comparable(pointer, approvals);
    let ranges = past.iter();
    let ranges = ranges.filter_map(|it| Some((it.numbers.get(pointer)?, it.reader_was_asked)));
    let ranges: Vec<(&Range, bool)> = ranges.collect();
    let found = find_beyond(present, &ranges).unwrap_or_else(|| {
        let what = if past.iter().any(|past| past.has(pointer)) {
            Deviation::NewValue { is_usual: false }
        } else {
            Deviation::NewParameter
        };
        let found = (!past.is_empty()).then_some(what);
        found.into_iter().collect()
    });
    let found = found.into_iter();
    found
        .map(|what| Finding::new(pointer, &past, what))
        .collect()
}

/// How a range is beyond earlier ones, each with whether the reader may see it; `None` without any.
fn find_beyond(present: &Range, earlier: &[(&Range, bool)]) -> Option<Vec<Deviation>> {
    let largest = earlier.iter().map(|(range, _)| &range.largest).max()?;
    let smallest = earlier.iter().map(|(range, _)| &range.smallest).min()?;
    let shown = |bound: &Decimal, of: fn(&Range) -> &Decimal| {
        let mut asked = earlier.iter().filter(|(_, was_asked)| *was_asked);
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
    Some(larger.into_iter().chain(smaller).collect())
}

fn compare_values(
    pointer: &str,
    values: &BTreeSet<String>,
    approvals: &[&PastDecision],
) -> Option<Finding> {
    let past = comparable(pointer, approvals);
    if past.is_empty() {
        return None;
    }
    let earlier = past.iter().filter_map(|it| it.values.get(pointer));
    let new = find_new(values, &earlier.collect::<Vec<_>>())?;
    let what = if past.iter().any(|past| past.has(pointer)) {
        new
    } else {
        Deviation::NewParameter
    };
    Some(Finding::new(pointer, &past, what))
}

/// That one of the values is in none of the earlier ones.
fn find_new(values: &BTreeSet<String>, earlier: &[&PastValues]) -> Option<Deviation> {
    let is_shared = |value| {
        let mut earlier = earlier.iter();
        earlier.any(|it| it.shared.binary_search(value).is_ok())
    };
    if values.iter().all(is_shared) {
        return None;
    }
    let distinct: BTreeSet<_> = earlier.iter().map(|it| &it.hashes).collect();
    Some(Deviation::NewValue {
        is_usual: earlier.len() >= USUAL_FROM && distinct.len() == earlier.len(),
    })
}

/// What each approval had and the request has not, where nothing else was found.
fn find_missing(present: &Scalars, approvals: &[&PastDecision], found: &[Finding]) -> Vec<Finding> {
    let values = approvals.iter().flat_map(|it| it.values.keys());
    let numbers = approvals.iter().flat_map(|it| it.numbers.keys());
    let pointers: BTreeSet<&String> = values.chain(numbers).collect();
    let found: BTreeSet<&str> = found.iter().filter_map(Finding::pointer).collect();
    let missing = pointers.into_iter().filter_map(|pointer| {
        let past = comparable(pointer, approvals);
        if found.contains(pointer.as_str()) || !past.iter().all(|it| it.has(pointer)) {
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
    let earlier = approvals.iter().map(|it| it.values.get(pointer));
    let earlier: Option<Vec<&PastValues>> = earlier.collect();
    earlier.is_some_and(|earlier| miss_one(&earlier))
}

/// Whether the same of these values is missing each time.
fn miss_one(earlier: &[&PastValues]) -> bool {
    let Some((first, others)) = earlier.split_first() else {
        return false;
    };
    let mut of_first = first.missing.iter();
    of_first.any(|hash| {
        let mut others = others.iter();
        others.all(|it| it.missing.binary_search(hash).is_ok())
    })
}

fn comparable<'a>(pointer: &str, approvals: &[&'a PastDecision]) -> Vec<&'a PastDecision> {
    let approvals = approvals.iter().copied();
    approvals.filter(|it| it.is_known(pointer)).collect()
}
