//! The promises of the gate under faults, races and time: what is counted, and how often.
//!
//! By itself every proof here is bounded, for each commit. `./scripts/proof` runs the long form
//! (`HO_PROOF=full`), and writes the figures of both into docs/reliability.md.

mod answers;
mod clock;
mod dice;
mod disk;
mod kills;
mod load;
mod model;
mod properties;
mod requests;
mod simulation;
mod supply;
mod untrusted;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

/// How many cases are tried: so many for each commit, and so many in the long form.
pub(crate) fn cases(bounded: u64, full: u64) -> u64 {
    match std::env::var("HO_PROOF").as_deref() {
        Err(_) => bounded,
        Ok("full") => full,
        Ok(other) => panic!("HO_PROOF={other}: full, or nothing"),
    }
}

/// Writes down what a proof counted, for docs/reliability.md: `target/proof/{name}.json`.
pub(crate) fn record(name: &str, figures: &[(&str, u64)]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/proof");
    let figures: BTreeMap<_, _> = figures.iter().copied().collect();
    eprintln!("proof: {name}: {figures:?}");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(format!("{name}.json")), json!(figures).to_string()).unwrap();
}
