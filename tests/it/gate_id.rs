//! `HO_GATE_ID` and `HO_ROWS`: the real program on tables.

mod former;

use human_oversight::keys::keyring;

use crate::azurite::{Table, azurite, fresh_table};
use crate::backing_store;
use crate::deadline::within;
use crate::harness::{ALICE, TestGate, request};
use crate::process::{Process, binary, run};

/// Starts a gate with this id, which must end by itself. Returns its error output.
async fn start_refused(settings: &[(&str, &str)], id: &str) -> String {
    let mut command = binary();
    let dir = tempfile::tempdir().unwrap();
    let mail = format!("file:{}", dir.path().display());
    command
        .envs(settings.iter().copied())
        .env("HO_PORT", "0")
        .env("HO_MAIL", mail)
        .env("HO_GATE_ID", id);
    let output = within(command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_gate_id_end_the_start_with_one_line_that_names_both() {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("embedded:{}", dir.path().display());
    let file = [("HO_STORE", file.as_str())];
    let tables = backing_store::tables(azurite().port);
    for settings in [&file[..], &backing_store::borrowed(&tables)] {
        let gate = Process::start(dir.path(), settings).await;
        gate.client().submit(&request()).await.unwrap();
        gate.kill().await;
        let error = start_refused(settings, "other").await;
        assert_eq!(error.lines().count(), 1, "{error}");
        for words in [
            "does not start",
            "HO_GATE_ID is other",
            "the gate local",
            "`other,local`",
        ] {
            assert!(error.contains(words), "{error}");
        }
        // With the replaced id in the setting, the gate starts; afterwards the old id is refused.
        let changed = [settings, &[("HO_GATE_ID", "other,local")]].concat();
        let gate = Process::start(dir.path(), &changed).await;
        gate.client().submit(&request()).await.unwrap();
        gate.kill().await;
        let error = start_refused(settings, "local").await;
        assert!(error.contains("the gate other"), "{error}");
        let (said, code) = run(settings, &["verify"]).await;
        assert!(
            code == 0 && said.contains("All row MACs were verified"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_with_the_link_key_of_another_gate_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[]).await;
    let asked = gate.client().submit(&request()).await.unwrap();
    let (store, other) = (
        format!("embedded:{}", dir.path().display()),
        keyring::generate_link_key(),
    );
    let settings = [("HO_STORE", &*store), ("HO_LINK_KEYS", &*other)];
    for command in [
        &["pause", "--because", "drill"][..],
        &["resume"],
        &["executing"],
        &["grants"],
        &["list"],
        &["verify"],
    ] {
        let (said, code) = run(&settings, command).await;
        assert_ne!(code, 0, "{command:?}: {said}");
        if command[0] != "list" && command[0] != "verify" {
            let why = "the gate's id \"local\" is sealed with a key that is not in HO_LINK_KEYS";
            assert!(said.contains(why), "{command:?}: {said}");
        }
    }
    let purge = ["purge", "--older-than", "0", "--damaged", "--delete"];
    let (said, code) = run(&settings, &purge).await;
    let why = "sealed with a key that is not in HO_LINK_KEYS";
    assert!(code == 2 && said.contains(why), "{said}");
    gate.kill().await;
    let gate = Process::start(dir.path(), &[]).await;
    gate.client()
        .status(&asked.id, std::time::Duration::ZERO)
        .await
        .unwrap();
    gate.client().submit(&request()).await.unwrap();
    let log = gate.kill().await;
    assert!(!log.contains("it is kept anew"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_whose_key_was_replaced_takes_its_id_over_only_as_its_settings_give_it() {
    let dir = tempfile::tempdir().unwrap();
    let named = [("HO_GATE_ID", "first")];
    let gate = Process::start(dir.path(), &named).await;
    gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    let new = keyring::generate_link_key();
    let replaced = [("HO_LINK_KEYS", &*new)];
    let gate = Process::start(dir.path(), &replaced).await;
    let refused = gate.client().submit(&request()).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    let log = gate.kill().await;
    let why = "the gate's id \"first\" is sealed with a key that is not in HO_LINK_KEYS";
    assert!(log.contains(why), "{log}");
    assert!(log.contains("takes HO_GATE_ID with this id"), "{log}");
    let gate = Process::start(dir.path(), &[replaced[0], named[0]]).await;
    gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    // Once it is stored anew, the setting may go.
    let gate = Process::start(dir.path(), &replaced).await;
    gate.client().submit(&request()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_gate_are_restored_only_when_that_gate_is_named() {
    let (link_key, receipt_key) = (
        keyring::generate_link_key(),
        keyring::generate_receipt_key(),
    );
    let (there, here) = (fresh_table(), fresh_table());
    let connection = azurite().connection_string();
    let settings = |table, id| {
        [
            ("HO_STORE", "tables"),
            ("HO_TABLES_CONNECTION_STRING", connection.as_str()),
            ("HO_TABLE", table),
            ("HO_LINK_KEYS", link_key.as_str()),
            ("HO_RECEIPT_KEYS", receipt_key.as_str()),
            ("HO_GATE_ID", id),
        ]
    };
    let gate = TestGate::with(&settings(&there, "there")).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.until_kept(1).await;
    let copy = gate.dir.path().join("copy.jsonl");
    let copy = copy.to_str().unwrap();
    // A copy needs no keys.
    let mut auditors = settings(&there, "there").to_vec();
    auditors.retain(|(name, _)| !name.ends_with("_KEYS"));
    let (said, code) = run(&auditors, &["backup", copy]).await;
    let copied = "1 rows were copied.\n1 kept decisions were copied too.\n";
    assert_eq!((said.as_str(), code), (copied, 0));

    let other = TestGate::with(&settings(&here, "here")).await;
    let (said, code) = run(&settings(&here, "here"), &["restore", copy]).await;
    assert_eq!(code, 1, "{said}");
    let why = "line 1: the row is sealed for the gate there: --gate-id there puts it back";
    assert!(said.starts_with(why), "{said}");
    let wrong = ["restore", "--gate-id", "elsewhere", copy];
    let (said, code) = run(&settings(&here, "here"), &wrong).await;
    assert!(code == 1 && said.starts_with(why), "{said}");
    for unusable in ["", "a b", "there,here"] {
        let arguments = ["restore", "--gate-id", unusable, copy];
        let (said, code) = run(&settings(&here, "here"), &arguments).await;
        assert!(
            code == 2 && said.contains("it must be the HO_GATE_ID of a gate"),
            "{said}"
        );
    }
    assert_eq!(Table::of(azurite().port, &here).rows().await.len(), 0);
    let right = ["restore", copy, "--gate-id", "there"];
    let (said, code) = run(&settings(&here, "here"), &right).await;
    assert!(
        code == 0 && said.starts_with("1 rows were put back"),
        "{said}"
    );
    assert_eq!(other.status(&approval.id).await, {
        let status_url = other.status(&approval.id).await.status_url;
        human_oversight_client::types::Approval {
            status_url,
            ..gate.status(&approval.id).await
        }
    });

    // A line that names another gate than the row MAC covers is damaged.
    let line = std::fs::read_to_string(copy).unwrap();
    for (genuine, forged) in [
        (
            "\"odata.gate\":\"there\"",
            "\"odata.gate\":\"here\"".to_owned(),
        ),
        (there.as_str(), here.clone()),
    ] {
        assert!(line.contains(genuine));
        std::fs::write(copy, line.replace(genuine, &forged)).unwrap();
        let (said, code) = run(&settings(&here, "here"), &right).await;
        assert!(code == 1 && said.contains("the row is damaged"), "{said}");
    }

    // On a store without an id, restore stores the id of the copy.
    std::fs::write(copy, &line).unwrap();
    let fresh = fresh_table();
    let mut unset = settings(&fresh, "").to_vec();
    let (said, code) = run(&unset, &["restore", copy]).await;
    assert!(
        code == 0 && said.starts_with("1 rows were put back"),
        "{said}"
    );
    let again = TestGate::with(&unset).await;
    again.status(&approval.id).await;
    unset.pop();
    let error = start_refused(&unset, "here").await;
    assert!(error.contains("the gate there"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_1_stores_no_gate_id() {
    let settings = backing_store::tables(azurite().port);
    let settings = [&backing_store::borrowed(&settings)[..], &[("HO_ROWS", "1")]].concat();
    let gate = TestGate::with(&settings).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let table = settings[2].1;
    let row = Table::of(azurite().port, table).rows().await.remove(0);
    assert!(!row["RowSeal"].as_str().unwrap().contains(':'));
    assert!(row.get("Revision").is_none());
    let standing = Table::of(azurite().port, &format!("standing{table}"));
    assert_eq!(standing.rows().await.len(), 0);
}

/// What a key that was replaced leaves behind says where to read on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_unknown_link_key_sealed_leads_to_the_page_about_keys() {
    let page = include_str!("../../docs/operations.md");
    assert!(page.contains("\n## Keys and key rotation\n"));
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let keys = [keyring::generate_link_key(), keyring::generate_link_key()];
    let of = |key: usize| {
        [
            ("HO_STORE", store.as_str()),
            ("HO_LINK_KEYS", keys[key].as_str()),
            ("HO_GATE_ID", "local"),
        ]
    };
    let gate = Process::start(dir.path(), &of(0)).await;
    gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    let (said, code) = run(&of(1)[..2], &["verify"]).await;
    assert_eq!(code, 1, "{said}");
    let link = "see docs/operations.md#keys-and-key-rotation";
    assert!(
        said.contains(&format!("takes HO_GATE_ID with this id: {link}")),
        "{said}"
    );
    let gate = Process::start(dir.path(), &of(1)).await;
    gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    let (said, code) = run(&of(1)[..2], &["verify"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(&format!("not in HO_LINK_KEYS: {link}")),
        "{said}"
    );
}
