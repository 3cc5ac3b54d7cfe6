//! Writes at random, against both stores and one that is as simple as can be.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use human_oversight::domain::Approval;
use human_oversight::store::{Store, StoreError, StoredRow, Versioned};
use human_oversight::values::{ApprovalId, Timestamp};
use proptest::prelude::*;

use super::{Life, Move, moves, runner, start};
use crate::azurite::fresh_table;
use crate::deadline::within;
use crate::proof::{cases, record};
use crate::store::Ground;

/// What is done to a store; numbers pick a row, and one of the versions of it that were read.
#[derive(Clone, Debug)]
enum Write {
    Insert(usize, Option<u64>),
    Replace(usize, usize, Vec<(Duration, Move)>, Option<u64>),
    Delete(usize, usize),
    LookForDue(u64),
    ReadAll,
}

const ROWS: usize = 4;

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let due = || proptest::option::weighted(0.8, 0..400_u64);
    let steps = prop::collection::vec(moves(), 1..4);
    let write = prop_oneof![
        3 => (0..ROWS, due()).prop_map(|(row, due)| Write::Insert(row, due)),
        6 => (0..ROWS, 0..3_usize, steps, due())
            .prop_map(|(row, version, steps, due)| Write::Replace(row, version, steps, due)),
        1 => (0..ROWS, 0..3_usize).prop_map(|(row, version)| Write::Delete(row, version)),
        3 => (0..400_u64).prop_map(Write::LookForDue),
        1 => Just(Write::ReadAll),
    ];
    prop::collection::vec(write, 10..40)
}

/// A store as simple as can be, beside one that is not.
struct Beside {
    store: Store,
    model: BTreeMap<ApprovalId, (Approval, Option<Timestamp>)>,
    /// What was read of each row, the latest first; and of each row among all.
    read: [Vec<Versioned>; ROWS],
    stored: [Vec<StoredRow>; ROWS],
    /// Writes that were taken, and refused.
    counts: [u64; 2],
}

fn id(row: usize) -> ApprovalId {
    ApprovalId::new(["plain", "Ünï'('~"][row % 2], &format!("row-{}", row / 2)).unwrap()
}

fn due_at(seconds: u64) -> Timestamp {
    start() + Duration::from_secs(seconds)
}

impl Beside {
    fn new(store: Store) -> Self {
        Self {
            store,
            model: BTreeMap::new(),
            read: Default::default(),
            stored: Default::default(),
            counts: [0; 2],
        }
    }

    async fn make(&mut self, write: Write) {
        match write {
            Write::Insert(row, due) => {
                let (id, due) = (id(row), due.map(due_at));
                let new = Life::new(id.agent(), id.correlation(), 3_600).approval;
                match self.store.insert(new.clone(), due).await {
                    Ok(inserted) => {
                        assert!(!self.model.contains_key(&id), "inserted twice");
                        self.model.insert(id, (new, due));
                        self.read[row].insert(0, inserted);
                    }
                    Err(StoreError::AlreadyExists) => assert!(self.model.contains_key(&id)),
                    Err(error) => panic!("{error}"),
                }
            }
            Write::Replace(row, version, steps, due) => {
                let (id, due) = (id(row), due.map(due_at));
                let Some(mut changed) = self.read[row].get(version).cloned() else {
                    return;
                };
                let stored = self.model.get(&id).map(|(approval, _)| approval);
                let is_latest = version == 0 && stored.is_some();
                let mut life = Life::new(id.agent(), id.correlation(), 3_600);
                life.approval = changed.approval;
                for (pause, step) in steps {
                    life.now = life.now + pause;
                    life.make(step);
                }
                changed.approval = life.approval;
                match self.store.replace(changed.clone(), due).await {
                    Ok(replaced) => {
                        assert!(is_latest, "a stale version was taken");
                        self.counts[0] += 1;
                        self.model.insert(id, (changed.approval, due));
                        self.read[row].insert(0, replaced);
                    }
                    Err(StoreError::Conflict) => {
                        assert!(!is_latest, "the latest was refused");
                        self.counts[1] += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Write::Delete(row, version) => {
                let Some(stored) = self.stored[row].get(version) else {
                    return;
                };
                let is_there = self.model.contains_key(&id(row));
                match self.store.delete(stored).await {
                    Ok(()) => {
                        let (latest, _) = self.model.remove(&id(row)).unwrap();
                        assert_eq!(stored.approval.as_ref().unwrap(), &latest);
                        self.read[row].clear();
                        self.stored[row].clear();
                    }
                    Err(StoreError::Conflict) => assert!(is_there),
                    Err(error) => panic!("{error}"),
                }
            }
            Write::LookForDue(seconds) => self.look(due_at(seconds)).await,
            Write::ReadAll => self.read_all().await,
        }
    }

    /// What is due by the index, and by the row that it leads to.
    async fn look(&self, now: Timestamp) {
        let (mut seen, mut place) = (BTreeSet::new(), None);
        loop {
            let (page, next) = self.store.due(now, place).await.unwrap();
            for due in page {
                let id = due.id.clone().unwrap();
                if let Some(row) = self.store.get_if_due(&id, &due, now).await.unwrap() {
                    assert_eq!(row.approval, self.model[&id].0);
                    assert!(seen.insert(id.to_string()), "due twice");
                }
            }
            place = next;
            if place.is_none() {
                break;
            }
        }
        let is_due = |due: &Option<Timestamp>| due.is_some_and(|due| due <= now);
        let model = self.model.iter().filter(|(_, (_, due))| is_due(due));
        assert_eq!(seen, model.map(|(id, _)| id.to_string()).collect());
    }

    async fn read_all(&mut self) {
        let (mut rows, mut place) = (Vec::new(), None);
        loop {
            let (page, next) = self.store.all(place).await.unwrap();
            rows.extend(page);
            place = next;
            if place.is_none() {
                break;
            }
        }
        assert_eq!(rows.len(), self.model.len());
        for row in rows {
            let approval = row.approval.as_ref().unwrap();
            let (expected, due) = &self.model[&approval.request.id];
            assert_eq!((approval, row.is_due), (expected, due.is_some()));
            let number = (0..ROWS).find(|number| id(*number) == approval.request.id);
            self.stored[number.unwrap()].insert(0, row);
        }
        for row in 0..ROWS {
            match (self.store.get(&id(row)).await, self.model.get(&id(row))) {
                (Ok(found), Some((expected, _))) => assert_eq!(&found.approval, expected),
                (Err(StoreError::NotFound), None) => {}
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
    }
}

fn holds_beside_the_model(name: &str, cases: u64, ground: impl Fn() -> Ground) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let made = Cell::new(0);
    let counts = Cell::new([0, 0]);
    let run = runner(cases).run(&writes(), |writes| {
        made.set(made.get() + writes.len() as u64);
        runtime.block_on(within(async {
            let ground = ground();
            let store = ground.open();
            store.prepare().await.unwrap();
            let mut beside = Beside::new(store);
            for write in writes {
                beside.make(write).await;
            }
            beside.look(due_at(1_000)).await;
            beside.read_all().await;
            let [taken, refused] = counts.get();
            counts.set([taken + beside.counts[0], refused + beside.counts[1]]);
        }));
        Ok(())
    });
    run.unwrap();
    let [taken, refused] = counts.get();
    record(
        name,
        &[
            ("sequences", cases),
            ("operations", made.get()),
            ("replaced", taken),
            ("conflicts", refused),
        ],
    );
}

#[test]
fn the_embedded_store_matches_the_reference_store() {
    let ground = || Ground::File(tempfile::tempdir().unwrap());
    holds_beside_the_model("store-file", cases(200, 5_000), ground);
}

#[test]
fn the_table_store_matches_the_reference_store() {
    let ground = || Ground::Tables(fresh_table());
    holds_beside_the_model("store-tables", cases(60, 1_000), ground);
}
