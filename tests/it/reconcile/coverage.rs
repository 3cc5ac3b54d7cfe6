//! Any actions and approvals: each approval covers one action at most, and each is counted once.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use human_oversight::domain::{Claimed, Counts, Coverage, Mismatch, Performed};
use human_oversight::values::{Digest, Timestamp};
use proptest::prelude::*;

fn at(second: u64) -> Timestamp {
    let start = Timestamp::parse("2026-11-01T08:00:00Z").unwrap();
    start + Duration::from_secs(second)
}

fn claimed(
    index: usize,
    (action, parameters, from, length, has_run): (u8, u8, u64, u64, bool),
) -> Claimed {
    Claimed {
        id: index.to_string(),
        action: action.to_string(),
        parameters: Digest([parameters; 32]),
        from: at(from),
        until: at(from + length),
        has_run,
        is_whole: true,
    }
}

fn performed(number: u64, (action, parameters, second): (u8, u8, u64)) -> Performed {
    Performed {
        number,
        name: None,
        action: action.to_string(),
        parameters: Digest([parameters; 32]),
        at: at(second),
    }
}

fn actions_of(actions: &[(u8, u8, u64)]) -> Vec<Performed> {
    let numbered = (1..).zip(actions);
    numbered
        .map(|(number, it)| performed(number, *it))
        .collect()
}

/// The same counts, by comparing each action with each approval.
fn naive(approvals: &[Claimed], actions: &[Performed]) -> Counts {
    let mut counts = Counts::default();
    let mut used = vec![false; approvals.len()];
    let mut left = Vec::new();
    let fits = |it: &Claimed, performed: &Performed| {
        it.action == performed.action && (it.from..=it.until).contains(&performed.at)
    };
    let first = |used: &[bool], is_one: &dyn Fn(&Claimed) -> bool| {
        let all = (0..approvals.len()).filter(|&it| !used[it] && is_one(&approvals[it]));
        all.min_by_key(|&it| {
            (
                approvals[it].until,
                Reverse(approvals[it].from),
                !approvals[it].has_run,
            )
        })
    };
    for performed in actions {
        let same = |it: &Claimed| fits(it, performed) && it.parameters == performed.parameters;
        if let Some(index) = first(&used, &same) {
            used[index] = true;
            counts.matched += 1;
        } else if approvals.iter().any(same) {
            counts.twice += 1;
        } else {
            left.push(performed);
        }
    }
    for performed in left {
        match first(&used, &|it| fits(it, performed)) {
            Some(index) => {
                used[index] = true;
                counts.other_parameters += 1;
            }
            None => counts.never_approved += 1,
        }
    }
    let missing = approvals
        .iter()
        .zip(used)
        .filter(|(it, used)| it.has_run && !used);
    counts.never_executed = missing.count() as u64;
    counts
}

proptest! {
    #[test]
    fn each_approval_covers_one_action_at_most(
        approvals in prop::collection::vec((0..2u8, 0..3u8, 0..30u64, 0..15u64, any::<bool>()), 0..12),
        mut actions in prop::collection::vec((0..2u8, 0..3u8, 0..50u64), 0..12),
    ) {
        actions.sort_by_key(|it| it.2);
        let approvals: Vec<Claimed> = approvals.into_iter().enumerate().map(|(index, it)| claimed(index, it)).collect();
        let mut coverage = Coverage::new(approvals.clone());
        let total = actions.len() as u64;
        let mut found = Vec::new();
        for performed in actions_of(&actions) {
            found.extend(coverage.add(performed));
        }
        let (rest, unsettled, counts) = coverage.finish(at(1_000));
        prop_assert!(unsettled.is_empty());
        found.extend(rest);
        let of_actions = counts.matched + counts.never_approved + counts.other_parameters + counts.twice;
        prop_assert_eq!(of_actions, total);
        let approval = |id: &str| &approvals[id.parse::<usize>().unwrap()];
        let (mut taken, mut lines) = (BTreeSet::new(), BTreeSet::new());
        for mismatch in &found {
            match mismatch {
                Mismatch::NeverApproved(performed) => prop_assert!(lines.insert(performed.number)),
                Mismatch::OtherParameters { performed, approval: id } => {
                    let other = approval(id);
                    prop_assert!(lines.insert(performed.number) && taken.insert(id.clone()));
                    prop_assert!(other.action == performed.action && other.parameters != performed.parameters);
                    prop_assert!((other.from..=other.until).contains(&performed.at));
                }
                Mismatch::Twice { performed, approval: id, first } => {
                    let same = approval(id);
                    prop_assert!(lines.insert(performed.number) && *first < performed.number);
                    prop_assert!(same.action == performed.action && same.parameters == performed.parameters);
                }
                Mismatch::NeverExecuted(missing) => {
                    prop_assert!(taken.insert(missing.id.clone()) && missing.has_run);
                }
            }
        }
        prop_assert_eq!(counts, naive(&approvals, &actions_of(&actions)));
        // What is neither taken nor missing covers an action, or need not have one.
        let silent = approvals.iter().filter(|it| !it.has_run).count() as u64;
        let open = approvals.len() as u64 - taken.len() as u64;
        prop_assert!(counts.matched <= open && open <= counts.matched + silent);
    }
}

/// Runs in time for any number, and remembers what nothing can match any more by its count alone.
#[test]
fn a_million_actions_without_an_approval_are_all_named_while_none_waits() {
    let mut coverage = Coverage::new(vec![claimed(0, (1, 0, 0, 10, true))]);
    let total = 1_000_000;
    for number in 1..=total {
        let found = coverage.add(performed(number, (1, 1, 11)));
        assert!(matches!(found[..], [Mismatch::NeverApproved(_)]));
    }
    let (mismatches, _, counts) = coverage.finish(at(1_000));
    assert_eq!(mismatches.len(), 1);
    assert_eq!((counts.never_approved, counts.never_executed), (total, 1));
    assert_eq!(counts.not_compared, 0);
}

/// A million at the time of one approval do not fit in memory: those beyond the limit are named at once, and counted as
/// what they are.
#[test]
fn actions_that_are_not_compared_are_counted() {
    let mut coverage = Coverage::new(vec![claimed(0, (1, 0, 0, 10, true))]);
    let (total, most) = (1_000_000, Coverage::MOST_WAITING as u64);
    let named = (1..=total).map(|number| coverage.add(performed(number, (1, 1, 5))).len());
    assert_eq!(named.sum::<usize>() as u64, total - most);
    let (mismatches, _, counts) = coverage.finish(at(1_000));
    assert_eq!(mismatches.len() as u64, most);
    let uncovered = (counts.never_approved, counts.other_parameters);
    assert_eq!(uncovered, (total - 1, 1));
    assert_eq!(counts.not_compared, total - most);
}

/// A comparison of each with each would be 10^11 steps, for which the runner of the tests does not wait.
#[test]
fn many_mismatches_of_one_action_take_little_longer_than_few() {
    let count = 300_000_u64;
    let approvals = (0..count).map(|it| claimed(it as usize, (0, 0, it, 90_000, true)));
    let mut coverage = Coverage::new(approvals.collect());
    let mut found = 0;
    for number in 0..count {
        found += coverage.add(performed(number + 1, (0, 1, number))).len();
    }
    let (mismatches, _, counts) = coverage.finish(at(10 * count));
    assert_eq!(counts.other_parameters, count);
    assert_eq!((found + mismatches.len()) as u64, count);

    // The same for approvals of exactly the same.
    let approvals = (0..count).map(|it| claimed(it as usize, (0, 0, 0, count, true)));
    let mut coverage = Coverage::new(approvals.collect());
    for number in 0..2 * count {
        coverage.add(performed(number + 1, (0, 0, number / 2)));
    }
    let (_, _, counts) = coverage.finish(at(10 * count));
    assert_eq!((counts.matched, counts.twice), (count, count));
}
