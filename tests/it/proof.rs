//! The guarantees of the gate under faults, races and time. Each test counts its cases.
//!
//! By default every test runs in a bounded form, for each commit. `./scripts/proof` runs the long form
//! (`HO_PROOF=full`). docs/reliability.md lists the figures of both.

mod away;
mod clock;
mod delivery;
mod dice;
mod disk;
mod due_index;
mod grants;
mod hand_over;
mod kills;
mod load;
mod model;
mod model_row;
mod outbox;
mod plans;
mod properties;
mod requests;
mod responses;
mod simulation;
mod standing;
mod supply;
mod untrusted;
mod votes;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::path::Path;

use serde_json::json;
use stateright::{Checker, HasDiscoveries, Model};

/// The number of cases: `bounded` for each commit, `full` in the long form.
pub(crate) fn cases(bounded: u64, full: u64) -> u64 {
    match std::env::var("HO_PROOF").as_deref() {
        Err(_) => bounded,
        Ok("full") => full,
        Ok(other) => panic!("HO_PROOF={other}: must be full or unset"),
    }
}

/// Checks every state of a model, and returns their number.
fn check_all<M>(model: M) -> u64
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let checked = model.checker().threads(2).spawn_bfs().join();
    checked.assert_properties();
    assert!(checked.is_done());
    checked.unique_state_count() as u64
}

/// Checks that the model with each bug violates the guarantee beside it, and records their number under this name.
fn find_each<M, B>(name: &str, bugs: &[(B, &'static str)], model: impl Fn(B) -> M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
    B: Copy + Debug,
{
    for &(bug, guarantee) in bugs {
        let steps = steps_to_violate(model(bug), guarantee);
        let steps = steps.unwrap_or_else(|| panic!("{bug:?} violates nothing"));
        eprintln!("{bug:?}: violates \"{guarantee}\" in {steps} steps");
    }
    record(name, &[("seeded bugs found", bugs.len() as u64)]);
}

/// In how many steps a model violates a guarantee; `None` if it never does.
fn steps_to_violate<M>(model: M, guarantee: &'static str) -> Option<usize>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let checker = model
        .checker()
        .finish_when(HasDiscoveries::AllOf([guarantee].into()));
    let path = checker.spawn_bfs().join().discovery(guarantee);
    path.map(|path| path.into_actions().len())
}

/// Writes a test's figures to `target/proof/{name}.json`, for docs/reliability.md.
pub(crate) fn record(name: &str, figures: &[(&str, u64)]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/proof");
    let figures: BTreeMap<_, _> = figures.iter().copied().collect();
    eprintln!("proof: {name}: {figures:?}");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(format!("{name}.json")), json!(figures).to_string()).unwrap();
}
