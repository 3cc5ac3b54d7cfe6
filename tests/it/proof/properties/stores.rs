//! Random operations on both stores, compared with an in-memory reference store.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use human_oversight::domain::Approval;
use human_oversight::store::{DuePage, Store, StoreError, StoredRow, Versioned};
use human_oversight::values::{ApprovalId, Timestamp};
use proptest::prelude::*;

use super::{Lifecycle, Step, runner, start, steps};
use crate::azurite::fresh_table;
use crate::deadline::within;
use crate::proof::{cases, record};
use crate::store::Ground;

/// An operation on a store. Numbers select a row, and one of the versions of it that were read.
#[derive(Clone, Debug)]
enum Operation {
    Insert(usize, Option<u64>),
    Replace(usize, usize, Vec<(Duration, Step)>, Option<u64>),
    Delete(usize, usize),
    ReadDue(u64),
    ReadAll,
}

const ROWS: usize = 4;

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let due = || proptest::option::weighted(0.8, 0..400_u64);
    let steps = prop::collection::vec(steps(), 1..4);
    let operation = prop_oneof![
        3 => (0..ROWS, due()).prop_map(|(row, due)| Operation::Insert(row, due)),
        6 => (0..ROWS, 0..3_usize, steps, due())
            .prop_map(|(row, version, steps, due)| Operation::Replace(row, version, steps, due)),
        1 => (0..ROWS, 0..3_usize).prop_map(|(row, version)| Operation::Delete(row, version)),
        3 => (0..400_u64).prop_map(Operation::ReadDue),
        1 => Just(Operation::ReadAll),
    ];
    prop::collection::vec(operation, 10..40)
}

/// A store under test and the reference store, to which the same operations are applied.
struct Comparison {
    store: Store,
    reference: BTreeMap<ApprovalId, (Approval, Option<Timestamp>)>,
    /// The versions read of each row, the latest first: by `get` and the writes, and by `all`.
    read: [Vec<Versioned>; ROWS],
    stored: [Vec<StoredRow>; ROWS],
    /// Replacements that were accepted and refused.
    counts: [u64; 2],
}

fn id(row: usize) -> ApprovalId {
    ApprovalId::new(["plain", "Ünï'('~"][row % 2], &format!("row-{}", row / 2)).unwrap()
}

fn due_at(seconds: u64) -> Timestamp {
    start() + Duration::from_secs(seconds)
}

impl Comparison {
    fn new(store: Store) -> Self {
        Self {
            store,
            reference: BTreeMap::new(),
            read: Default::default(),
            stored: Default::default(),
            counts: [0; 2],
        }
    }

    async fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Insert(row, due) => {
                let (id, due) = (id(row), due.map(due_at));
                let new = Lifecycle::new(id.agent(), id.correlation(), 3_600).approval;
                match self.store.insert(new.clone(), due).await {
                    Ok(inserted) => {
                        assert!(!self.reference.contains_key(&id), "inserted twice");
                        self.reference.insert(id, (new, due));
                        self.read[row].insert(0, inserted);
                    }
                    Err(StoreError::AlreadyExists) => assert!(self.reference.contains_key(&id)),
                    Err(error) => panic!("{error}"),
                }
            }
            Operation::Replace(row, version, steps, due) => {
                let (id, due) = (id(row), due.map(due_at));
                let Some(mut changed) = self.read[row].get(version).cloned() else {
                    return;
                };
                let stored = self.reference.get(&id).map(|(approval, _)| approval);
                let is_latest = version == 0 && stored.is_some();
                let mut lifecycle = Lifecycle::new(id.agent(), id.correlation(), 3_600);
                lifecycle.approval = changed.approval;
                for (pause, step) in steps {
                    lifecycle.now = lifecycle.now + pause;
                    lifecycle.apply(step);
                }
                changed.approval = lifecycle.approval;
                match self.store.replace(changed.clone(), due).await {
                    Ok(replaced) => {
                        assert!(is_latest, "a stale version was accepted");
                        self.counts[0] += 1;
                        self.reference.insert(id, (changed.approval, due));
                        self.read[row].insert(0, replaced);
                    }
                    Err(StoreError::Conflict) => {
                        assert!(!is_latest, "the latest version was refused");
                        self.counts[1] += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Operation::Delete(row, version) => {
                let Some(stored) = self.stored[row].get(version) else {
                    return;
                };
                let is_there = self.reference.contains_key(&id(row));
                match self.store.delete(stored).await {
                    Ok(()) => {
                        let (latest, _) = self.reference.remove(&id(row)).unwrap();
                        assert_eq!(stored.approval.as_ref().unwrap(), &latest);
                        self.read[row].clear();
                        self.stored[row].clear();
                    }
                    Err(StoreError::Conflict) => assert!(is_there),
                    Err(error) => panic!("{error}"),
                }
            }
            Operation::ReadDue(seconds) => self.check_due(due_at(seconds)).await,
            Operation::ReadAll => self.check_all().await,
        }
    }

    /// Compares the due rows: those that the index lists and whose row confirms it.
    async fn check_due(&self, now: Timestamp) {
        let (mut seen, mut place) = (BTreeSet::new(), None);
        loop {
            let DuePage {
                due: page, next, ..
            } = self.store.due(now, place).await.unwrap();
            for due in page {
                let id = due.id.clone().unwrap();
                if let Some(row) = self.store.get_if_due(&id, &due, now).await.unwrap() {
                    assert_eq!(row.approval, self.reference[&id].0);
                    assert!(seen.insert(id.to_string()), "due twice");
                }
            }
            place = next;
            if place.is_none() {
                break;
            }
        }
        let is_due = |due: &Option<Timestamp>| due.is_some_and(|due| due <= now);
        let reference = self.reference.iter().filter(|(_, (_, due))| is_due(due));
        assert_eq!(seen, reference.map(|(id, _)| id.to_string()).collect());
    }

    async fn check_all(&mut self) {
        let (mut rows, mut place) = (Vec::new(), None);
        loop {
            let (page, next) = self.store.all(place).await.unwrap();
            rows.extend(page);
            place = next;
            if place.is_none() {
                break;
            }
        }
        assert_eq!(rows.len(), self.reference.len());
        for row in rows {
            let approval = row.approval.as_ref().unwrap();
            let (expected, due) = &self.reference[&approval.request.id];
            assert_eq!((approval, row.is_due), (expected, due.is_some()));
            let number = (0..ROWS).find(|number| id(*number) == approval.request.id);
            self.stored[number.unwrap()].insert(0, row);
        }
        for row in 0..ROWS {
            match (self.store.get(&id(row)).await, self.reference.get(&id(row))) {
                (Ok(found), Some((expected, _))) => assert_eq!(&found.approval, expected),
                (Err(StoreError::NotFound), None) => {}
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
    }
}

fn compare_with_reference(name: &str, cases: u64, ground: impl Fn() -> Ground) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let count = Cell::new(0);
    let counts = Cell::new([0, 0]);
    let run = runner(cases).run(&operations(), |operations| {
        count.set(count.get() + operations.len() as u64);
        runtime.block_on(within(async {
            let ground = ground();
            let store = ground.open();
            store.prepare().await.unwrap();
            let mut comparison = Comparison::new(store);
            for operation in operations {
                comparison.apply(operation).await;
            }
            comparison.check_due(due_at(1_000)).await;
            comparison.check_all().await;
            let [accepted, refused] = counts.get();
            counts.set([
                accepted + comparison.counts[0],
                refused + comparison.counts[1],
            ]);
        }));
        Ok(())
    });
    run.unwrap();
    let [accepted, refused] = counts.get();
    record(
        name,
        &[
            ("sequences", cases),
            ("operations", count.get()),
            ("replaced", accepted),
            ("conflicts", refused),
        ],
    );
}

#[test]
fn the_embedded_store_matches_the_reference_store() {
    let ground = || Ground::File(tempfile::tempdir().unwrap());
    compare_with_reference("store-file", cases(200, 5_000), ground);
}

#[test]
fn the_table_store_matches_the_reference_store() {
    let ground = || Ground::Tables(fresh_table());
    compare_with_reference("store-tables", cases(60, 1_000), ground);
}
