//! Exhaustive model of the due index under decisions whose entry is written before their row is read: two forms, a
//! sweep, and a crash of any of them between any two operations; a write may take effect although its caller does not
//! learn of it. An entry is a name; a row names one, and is due from its decision until the sweep has sent the outcome notice.

use stateright::{Model, Property};

use super::{check_all, find_each, record};

/// The entry that the pending row names.
const FIRST: u8 = 0;

/// How far a form has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// Nothing is sent yet.
    Begun,
    /// It has read the row at this version, or is still to read it; and has written its entry, or is still to.
    Ahead { read: Option<u8>, entry: bool },
    /// Its write of the row took effect, and the entry that the row named before is to be removed.
    Stored { before: u8 },
    /// It changes nothing: its entry is to be removed.
    Refused,
    /// It does not know whether its write took effect, or has ended, or has crashed.
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    version: u8,
    /// The entry that the row names; none once the notice is sent.
    named: Option<u8>,
    is_decided: bool,
    /// The entries of the index. Each form has a name of its own.
    index: Vec<u8>,
    forms: [Step; 2],
    /// Whether no write that has inserted an entry can be under way: the age from which one is orphaned.
    is_late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Read(usize),
    WriteEntry(usize),
    /// Writes the row, and learns of it or not.
    WriteRow(usize, bool),
    Remove(usize),
    Crash(usize),
    /// The sweep reads an entry, and acts on its row.
    Sweep(u8),
    Age,
}

/// Bugs seeded into the gate, to prove that the model detects each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// The row is written while its entry still is.
    RowBesideEntry,
    /// The former entry is removed before the row is written.
    RemovedBefore,
    /// The entry of a write whose result is unknown is removed.
    RemovedWhenUnknown,
    /// An entry that no row names yet is orphaned at once.
    OrphanedAtOnce,
    /// The entry of a form that changes nothing stays.
    NeverOrphaned,
}

struct Gate(Bug);

fn entry_of(form: usize) -> u8 {
    u8::try_from(form).unwrap() + 1
}

impl World {
    fn remove(&mut self, entry: u8) {
        self.index.retain(|it| *it != entry);
    }

    fn insert(&mut self, entry: u8) {
        if !self.index.contains(&entry) {
            self.index.push(entry);
            self.index.sort_unstable();
        }
    }

    fn is_over(&self) -> bool {
        self.forms.iter().all(|it| *it == Step::Over)
    }
}

impl Gate {
    fn write_row(&self, world: &mut World, form: usize, read: u8, is_known: bool) -> Step {
        let entry = entry_of(form);
        let before = world.named;
        if world.version != read || world.is_decided {
            // Decided when it was read, or read again after a conflict.
            return Step::Refused;
        }
        world.version += 1;
        world.named = Some(entry);
        world.is_decided = true;
        match before {
            Some(before) if is_known => Step::Stored { before },
            _ if self.0 == Bug::RemovedWhenUnknown => Step::Refused,
            _ => Step::Over,
        }
    }

    /// The sweep sends the notice of a decision, and removes an entry that no row names once it is old.
    fn sweep(&self, world: &mut World, entry: u8) {
        if world.named == Some(entry) {
            if world.is_decided {
                world.named = None;
                world.version += 1;
                world.remove(entry);
            }
        } else if world.is_late && self.0 != Bug::NeverOrphaned || self.0 == Bug::OrphanedAtOnce {
            world.remove(entry);
        }
    }
}

impl Model for Gate {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            version: 0,
            named: Some(FIRST),
            is_decided: false,
            index: vec![FIRST],
            forms: [Step::Begun; 2],
            is_late: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (form, step) in world.forms.iter().enumerate() {
            let (read, entry) = match *step {
                Step::Begun => (None, false),
                Step::Ahead { read, entry } => (read, entry),
                Step::Stored { .. } | Step::Refused => {
                    actions.extend([Action::Remove(form), Action::Crash(form)]);
                    continue;
                }
                Step::Over => continue,
            };
            if read.is_none() {
                actions.push(Action::Read(form));
            }
            if !entry {
                actions.push(Action::WriteEntry(form));
            }
            if read.is_some() && (entry || self.0 == Bug::RowBesideEntry) {
                actions.extend([true, false].map(|it| Action::WriteRow(form, it)));
            }
            actions.push(Action::Crash(form));
        }
        actions.extend(world.index.iter().map(|entry| Action::Sweep(*entry)));
        if world.is_over() && !world.is_late {
            actions.push(Action::Age);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        let ahead = |form: usize| match before.forms[form] {
            Step::Ahead { read, entry } => (read, entry),
            _ => (None, false),
        };
        match action {
            Action::Read(form) => {
                let (_, entry) = ahead(form);
                let read = Some(world.version);
                world.forms[form] = Step::Ahead { read, entry };
            }
            Action::WriteEntry(form) => {
                let (read, _) = ahead(form);
                world.insert(entry_of(form));
                world.forms[form] = Step::Ahead { read, entry: true };
            }
            Action::WriteRow(form, is_known) => {
                let (read, _) = ahead(form);
                if self.0 == Bug::RemovedBefore {
                    world
                        .named
                        .into_iter()
                        .for_each(|it| world.index.retain(|entry| *entry != it));
                }
                world.forms[form] = self.write_row(&mut world, form, read?, is_known);
            }
            Action::Remove(form) => {
                match world.forms[form] {
                    Step::Stored { before } => world.remove(before),
                    _ => world.remove(entry_of(form)),
                }
                world.forms[form] = Step::Over;
            }
            Action::Crash(form) => world.forms[form] = Step::Over,
            Action::Sweep(entry) => self.sweep(&mut world, entry),
            Action::Age => world.is_late = true,
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::<Self>::always;
        let sometimes = Property::<Self>::sometimes;
        vec![
            always(LEADS, |_, world| {
                world.named.is_none_or(|named| world.index.contains(&named))
            }),
            // What no sweep of an aged index changes any more is not left over.
            always(NOTHING_LEFT, |gate, world| {
                let may_sweep = |entry: &u8| {
                    let mut after = world.clone();
                    gate.sweep(&mut after, *entry);
                    after != *world
                };
                let is_named = |entry: &u8| world.named == Some(*entry);
                let mut index = world.index.iter();
                !world.is_late || index.all(|it| may_sweep(it) || is_named(it))
            }),
            sometimes("a decision whose notice is sent", |_, world| {
                world.is_decided && world.named.is_none()
            }),
            sometimes("a stray entry", |_, world| {
                world.is_over() && world.index.len() > 1
            }),
            sometimes("an unknown write that took effect", |_, world| {
                world.is_decided && world.is_over() && world.index.contains(&FIRST)
            }),
        ]
    }
}

const LEADS: &str = "the index leads to the row";
const NOTHING_LEFT: &str = "an entry that no row names goes";

#[test]
fn no_crash_between_two_operations_hides_a_decision_from_the_sweep() {
    let states = check_all(Gate(Bug::None));
    record("index", &[("states", states)]);
}

#[test]
fn each_bug_seeded_into_the_due_index_is_found() {
    let found = [
        (Bug::RowBesideEntry, LEADS),
        (Bug::RemovedBefore, LEADS),
        (Bug::RemovedWhenUnknown, LEADS),
        (Bug::OrphanedAtOnce, LEADS),
        (Bug::NeverOrphaned, NOTHING_LEFT),
    ];
    find_each("index-bugs", &found, Gate);
}
