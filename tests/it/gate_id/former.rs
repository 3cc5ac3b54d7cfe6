//! A gate that has taken another id: its backups, and the loss of its id.

use std::path::Path;

use human_oversight_client::types::Approval;
use serde_json::Value;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::harness::{ALICE, BOB, TestGate};
use crate::process::run;

type Settings<'a> = Vec<(&'a str, &'a str)>;

fn with<'a>(settings: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Settings<'a> {
    [settings, more].concat()
}

/// A gate `two` that was `one`, with two requests of before and one of after.
async fn renamed(settings: &[(&str, &str)]) -> (TestGate, [Approval; 3]) {
    let gate = TestGate::with(&with(settings, &[("HO_GATE_ID", "one")])).await;
    let (approved, rejected) = (gate.ask().await, gate.ask().await);
    gate.approve(&approved, ALICE).await;
    gate.reject(&rejected, BOB, "no").await;
    gate.until_kept(2).await;
    drop(gate);
    let pause = [
        "pause",
        "--agent",
        "Another",
        "--because",
        "x",
        "--again-after",
        "1",
    ];
    let (said, code) = run(settings, &pause).await;
    assert_eq!(code, 0, "{said}");
    let gate = TestGate::with(&with(settings, &[("HO_GATE_ID", "two,one")])).await;
    let asked = gate.ask().await;
    (gate, [approved, rejected, asked])
}

/// How often the lines of a copy name each gate.
fn named(copy: &Path) -> Vec<(String, usize)> {
    let mut named = std::collections::BTreeMap::new();
    for line in std::fs::read_to_string(copy).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        *named
            .entry(line["odata.gate"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    named.into_iter().collect()
}

/// Restores a copy into a store of its own, and checks that everything is there if it is to be so.
async fn assert_restores(copy: &Path, keys: &[(&str, &str)], id: &str, more: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let settings = with(keys, &[("HO_STORE", &store), ("HO_GATE_ID", id)]);
    let restore = [&["restore", copy.to_str().unwrap()], more].concat();
    let (said, code) = run(&settings, &restore).await;
    for words in [
        "4 rows were put back; 0 were there already and stay as they are; 0 were left out",
        "2 kept decisions were put back",
        "1 pauses were put back",
    ] {
        assert!(code == 0 && said.contains(words), "{id} {more:?}: {said}");
    }
    let (said, code) = run(&settings, &["verify"]).await;
    assert!(
        code == 0 && said.contains("All row MACs were verified"),
        "{said}"
    );
}

/// The commands that read a copy trust all of its rows.
async fn assert_is_trusted(copy: &Path, keys: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    let (copy, folder) = (copy.to_str().unwrap(), dir.path().join("evidence"));
    let (policy, actions) = (
        dir.path().join("policy.toml"),
        dir.path().join("actions.json"),
    );
    std::fs::write(&policy, "version = 1\n").unwrap();
    std::fs::write(&actions, "").unwrap();
    let (folder, policy) = (folder.to_str().unwrap(), policy.to_str().unwrap());
    let actions = actions.to_str().unwrap();
    let evidence = [
        "evidence",
        "--since",
        "2026-01-01",
        "--until",
        "2099-01-01",
        "--output",
        folder,
    ];
    for command in [
        &evidence[..],
        &["reconcile", "--actions", actions],
        &["policy", "rehearse", policy],
    ] {
        let (said, code) = run(keys, &[command, &["--backup", copy]].concat()).await;
        let trusted = !said.contains("cannot be trusted") || said.contains(" 0 rows that cannot");
        assert!(code == 0 && trusted, "{command:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_names_the_id_that_each_row_is_sealed_for_and_can_be_restored() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let keys = &settings[3..];
    let (gate, [approved, ..]) = renamed(&settings).await;
    let copy = |name: &str| gate.dir.path().join(name);
    let (of_each, without_keys, of_before) = (copy("a"), copy("b"), copy("c"));
    let own = with(&settings, &[("HO_GATE_ID", "two,one")]);
    for (copy, settings) in [(&of_each, &own[..]), (&without_keys, &settings[..3])] {
        let (said, code) = run(settings, &["backup", copy.to_str().unwrap()]).await;
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(
        named(&of_each),
        [("one".to_owned(), 6), ("two".to_owned(), 1)]
    );
    // Which of them it is takes the keys.
    assert_eq!(named(&without_keys), [("two,one".to_owned(), 7)]);
    for copy in [&of_each, &without_keys] {
        assert_restores(copy, keys, "two", &["--gate-id", "one"]).await;
        assert_restores(copy, keys, "two,one", &[]).await;
        assert_is_trusted(copy, keys).await;
        let dir = tempfile::tempdir().unwrap();
        let store = format!("embedded:{}", dir.path().display());
        let other = with(keys, &[("HO_STORE", &store), ("HO_GATE_ID", "two")]);
        let (said, code) = run(&other, &["restore", copy.to_str().unwrap()]).await;
        let why = "the row is sealed for the gate one: --gate-id one puts it back";
        assert!(code == 1 && said.contains(why), "{said}");
        assert!(said.contains("1 rows were put back"), "{said}");
    }

    // Earlier versions named the id of the day in each line.
    let text = std::fs::read_to_string(&without_keys).unwrap();
    std::fs::write(&of_before, text.replace("\"two,one\"", "\"two\"")).unwrap();
    assert_eq!(named(&of_before), [("two".to_owned(), 7)]);
    assert_restores(&of_before, keys, "two,one", &[]).await;
    let table = Table::of(azurite().port, settings[2].1);
    for copy in [&of_each, &without_keys, &of_before] {
        table
            .remove("UserManagerAgent", &approved.correlation_id)
            .await;
        let (said, code) = run(&own, &["restore", copy.to_str().unwrap()]).await;
        assert!(
            code == 0 && said.starts_with("1 rows were put back; 6 were there"),
            "{said}"
        );
    }
    let (said, code) = run(&own, &["verify"]).await;
    assert!(code == 0 && said.contains("0 problems"), "{said}");
    let (said, _) = run(&own, &["check"]).await;
    assert!(
        said.contains("the gate's id is two, and was one\n"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_id_is_stored_anew_with_its_former_ids() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let (gate, [approved, _, asked]) = renamed(&settings).await;
    drop(gate);
    let standing = Table::of(azurite().port, &format!("standing{}", settings[2].1));
    let start = async |id: &'static str| {
        TestGate::with(&with(&settings, &[("HO_GATE_ID", id), ("HO_PAUSED", "1")])).await
    };
    let problems = async || run(&settings, &["verify"]).await;

    standing.remove("gate", "id").await;
    let gate = start("two,one").await;
    gate.status(&approved.id).await;
    gate.status(&asked.id).await;
    drop(gate);
    let (said, code) = problems().await;
    assert!(code == 0 && said.contains("0 problems"), "{said}");

    // Also where the former id is named later, and where there are several.
    standing.remove("gate", "id").await;
    drop(start("three").await);
    assert_eq!(problems().await.1, 1);
    drop(start("three,two").await);
    let gate = start("three,one").await;
    gate.status(&approved.id).await;
    gate.status(&asked.id).await;
    let (said, code) = problems().await;
    assert!(code == 0 && said.contains("0 problems"), "{said}");
}
