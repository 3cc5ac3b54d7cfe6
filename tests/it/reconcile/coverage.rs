//! Any actions and approvals: each approval covers one action at most, and each is counted once.

use std::collections::BTreeSet;
use std::time::Duration;

use human_oversight::domain::{Claimed, Coverage, Mismatch, Performed};
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
        for (number, action) in (1..).zip(actions) {
            found.extend(coverage.add(performed(number, action)));
        }
        let (rest, counts) = coverage.finish(at(1_000));
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
                Mismatch::NeverExecuted { approval: id } => {
                    prop_assert!(taken.insert(id.clone()) && approval(id).has_run);
                }
            }
        }
        // What is neither taken nor missing covers an action, or need not have one.
        let silent = approvals.iter().filter(|it| !it.has_run).count() as u64;
        let open = approvals.len() as u64 - taken.len() as u64;
        prop_assert!(counts.matched <= open && open <= counts.matched + silent);
    }
}

/// Actions beyond the limit are counted and not kept, so that any number of them fits in memory.
#[test]
fn a_million_actions_are_counted_and_few_are_kept() {
    let mut coverage = Coverage::new(vec![claimed(0, (0, 0, 0, 10, true))]);
    let total = 1_000_000;
    for number in 1..=total {
        assert_eq!(coverage.add(performed(number, (1, 1, 5))), None);
    }
    let (mismatches, counts) = coverage.finish(at(1_000));
    assert_eq!(mismatches.len(), Coverage::MOST_UNCOVERED + 1);
    assert_eq!((counts.never_approved, counts.never_executed), (total, 1));
}
