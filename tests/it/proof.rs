//! The guarantees of the gate under faults, races and time. Each test counts its cases.
//!
//! By default every test runs in a bounded form, for each commit. `./scripts/proof` runs the long form
//! (`HO_PROOF=full`). docs/reliability.md lists the figures of both.

mod clock;
mod dice;
mod disk;
mod kills;
mod load;
mod model;
mod properties;
mod requests;
mod responses;
mod simulation;
mod supply;
mod untrusted;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

/// The number of cases: `bounded` for each commit, `full` in the long form.
pub(crate) fn cases(bounded: u64, full: u64) -> u64 {
    match std::env::var("HO_PROOF").as_deref() {
        Err(_) => bounded,
        Ok("full") => full,
        Ok(other) => panic!("HO_PROOF={other}: must be full or unset"),
    }
}

/// Writes a test's figures to `target/proof/{name}.json`, for docs/reliability.md.
pub(crate) fn record(name: &str, figures: &[(&str, u64)]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/proof");
    let figures: BTreeMap<_, _> = figures.iter().copied().collect();
    eprintln!("proof: {name}: {figures:?}");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(format!("{name}.json")), json!(figures).to_string()).unwrap();
}
