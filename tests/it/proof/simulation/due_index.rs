//! The due index: at any time, so that a crash may come between any two operations, it has the entry that a row names.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::process::Settings;
use super::{Service, WITHIN, record, run_with};

/// What the assertion says.
pub(super) const LEADS_TO_EACH_ROW: &str = "the due index leads to each row";

#[test]
fn an_entry_that_is_written_after_its_row_is_found() {
    let found = (0..100).find(|&seed| {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::new(dir.path(), WITHIN.as_secs());
        let run = || run_with(seed, &settings, Service::store_entries_late);
        let panic = catch_unwind(AssertUnwindSafe(run)).err();
        let violation = panic.as_ref().and_then(|it| it.downcast_ref::<String>());
        violation.is_some_and(|it| it.contains(LEADS_TO_EACH_ROW))
    });
    let seed = found.expect("no seed finds it");
    record("simulation-index-bugs", &[("seeded bugs found", 1)]);
    eprintln!("found by seed {seed}");
}
