//! scripts/report-dataflow: the copy of the report that reads a dataflow, and the dataflow's query.

use std::process::{Command, Output};

use super::faults::faults;
use super::model::Model;
use super::{APPROVALS, Files, m_parser_faults, microsofts_faults};
use crate::deadline::blocking_within;
use crate::harness::repository;

fn made_in(folder: &std::path::Path, endpoint: &str) -> Output {
    let mut script = Command::new("scripts/report-dataflow");
    script.arg(endpoint).arg(folder).current_dir(repository());
    blocking_within(move || script.output()).unwrap()
}

#[test]
fn the_copy_that_reads_a_dataflow_has_no_faults() {
    let folder = tempfile::tempdir().unwrap();
    let made = made_in(folder.path(), "https://example.table.core.windows.net/");
    assert!(made.status.success(), "{made:?}");
    let files = Files::read_in(folder.path());
    assert_eq!(faults(&files), [] as [&str; 0]);
    assert_eq!(microsofts_faults(&files), [] as [&str; 0]);
    let model = Model::parse(&files);
    let parameters: Vec<_> = model.parameters.keys().collect();
    assert_eq!(
        parameters,
        [
            "CoverageFolder",
            "DataflowId",
            "DataflowWorkspace",
            "PolicyRules",
            "RangeEnd",
            "RangeStart",
            "Since"
        ]
    );
    assert!(!files.text(APPROVALS).contains("AzureStorage"));
}

/// The dataflow does what the model's own query does, so both give the same columns.
#[test]
fn the_query_of_the_dataflow_is_that_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    made_in(folder.path(), "https://example.table.core.windows.net/");
    let query = std::fs::read_to_string(folder.path().join("Approvals.pq")).unwrap();
    assert_eq!(m_parser_faults(&[&query]), [] as [&str; 0]);
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let original = Model::parse(&Files::read());
    let steps = squeezed(&original.approvals().source);
    let steps = steps.strip_prefix("let ").unwrap();
    let query = squeezed(&query);
    let parameters = query.strip_suffix(steps).expect("the steps of the model");
    assert_eq!(
        parameters,
        "let StorageAccount = \"https://example.table.core.windows.net/\", ApprovalsTable = \"approvals\", \
         Since = #date(2025, 1, 1), RangeStart = #datetime(2000, 1, 1, 0, 0, 0), \
         RangeEnd = #datetime(2100, 1, 1, 0, 0, 0), "
    );
}

#[test]
fn what_is_no_endpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for endpoint in ["myaccount", "https://x\"; evil", "http://x.example.com"] {
        let made = made_in(folder.path(), endpoint);
        assert!(!made.status.success(), "{endpoint}");
        let says = String::from_utf8(made.stderr).unwrap();
        assert!(
            says.contains("the endpoint must be that of tables"),
            "{says}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_copy_that_is_there_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = "https://example.table.core.windows.net/";
    assert!(made_in(folder.path(), endpoint).status.success());
    let query = folder.path().join("Approvals.pq");
    std::fs::write(&query, "edited").unwrap();
    let again = made_in(folder.path(), endpoint);
    let said = String::from_utf8(again.stderr).unwrap();
    assert_eq!(again.status.code(), Some(1), "{said}");
    let is_one_line = said.lines().count() == 1;
    assert!(
        is_one_line && said.contains(" exists, and may have been edited"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(query).unwrap(), "edited");
}
