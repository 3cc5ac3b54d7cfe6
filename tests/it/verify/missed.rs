//! Rows that no sweep finds when they are due.

use super::{Who, verify_with};
use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::claim::{NONCE, claim};
use crate::harness::{ALICE, TestGate};
use crate::process::run;

const MISSED: &str = "`index rebuild-due` repairs that";

/// An open request, and one that is executing.
async fn two(gate: &TestGate) -> [String; 2] {
    let (open, running) = (gate.ask().await, gate.ask().await);
    gate.approve(&running, ALICE).await;
    gate.client.claim(&running.id, &claim(NONCE)).await.unwrap();
    gate.sweep().await;
    [open.correlation_id, running.correlation_id]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_a_file_that_is_not_due_when_it_says_is_named_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let settings = backing_store::embedded(dir.path());
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::at(dir, &settings).await;
    let names = two(&gate).await;
    let file = rusqlite::Connection::open(gate.dir.path().join("approvals.db")).unwrap();
    for due in ["NULL", "Due + 86400000"] {
        let (said, code) = verify_with(&gate, Who::Operator, &[], &settings).await;
        assert_eq!(code, 0, "{said}");
        let lost = file.execute(&format!("UPDATE approvals SET Due = {due}"), []);
        assert_eq!(lost.unwrap(), 2);
        let (said, code) = verify_with(&gate, Who::Operator, &[], &settings).await;
        assert_eq!((code, said.matches(MISSED).count()), (1, 2), "{said}");
        assert!(names.iter().all(|name| said.contains(name)), "{said}");
        let (said, code) = run(&settings, &["index", "rebuild-due"]).await;
        assert_eq!(
            (said.as_str(), code),
            ("2 entries of the due index were written.\n", 0)
        );
    }
    let (said, _) = run(&settings, &["executing"]).await;
    assert!(
        said.starts_with("1 open request in all.\n1 executing"),
        "{said}"
    );
    gate.pass(std::time::Duration::from_secs(90_000));
    gate.sweep().await;
    let ended = "SELECT count(*) FROM approvals WHERE Entity LIKE '%\"Timeout\"%'";
    let ended: u32 = file.query_row(ended, [], |row| row.get(0)).unwrap();
    assert_eq!(ended, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_tables_without_its_due_entry_is_named_and_repaired() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    let names = two(&gate).await;
    let [rows, index] =
        ["", "open"].map(|kind| Table::of(azurite().port, &format!("{kind}{}", settings[2].1)));
    let entries = async || {
        let rows = rows.rows().await;
        let named = rows
            .iter()
            .map(|row| row["DueEntry"].as_str().unwrap().to_owned());
        let named: Vec<String> = named.collect();
        let mut entries = index.rows().await;
        entries.retain(|it| named.iter().any(|key| it["RowKey"] == **key));
        entries
    };
    let repaired = async || {
        let (said, code) = verify_with(&gate, Who::Operator, &[], &settings).await;
        assert_eq!((code, said.matches(MISSED).count()), (1, 2), "{said}");
        assert!(names.iter().all(|name| said.contains(name)), "{said}");
        let (said, code) = run(&settings, &["index", "rebuild-due"]).await;
        assert_eq!(code, 0, "{said}");
        let (said, code) = verify_with(&gate, Who::Operator, &[], &settings).await;
        assert_eq!(code, 0, "{said}");
    };
    for entry in entries().await {
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        index.remove(&text("PartitionKey"), &text("RowKey")).await;
    }
    repaired().await;
    let [mut one, mut other] = <[_; 2]>::try_from(entries().await).unwrap();
    one["Due"] = "2999-01-01T00:00:00Z".into();
    other["Id"] = one["Id"].clone();
    index.put(&one).await;
    index.put(&other).await;
    repaired().await;
    // An entry that is early costs the sweep a read, and no more.
    let mut early = entries().await.remove(0);
    early["Due"] = "2020-01-01T00:00:00Z".into();
    index.put(&early).await;
    let (said, code) = verify_with(&gate, Who::Operator, &[], &settings).await;
    assert_eq!(code, 0, "{said}");
}
