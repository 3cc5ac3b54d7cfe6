//! `human-oversight backup` and `restore` as processes, between two gates that share only their keys.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use human_oversight::store::{StandingKind, StandingRow};
use human_oversight::values::ApprovalId;
use human_oversight_client::types::{Approval, Status};
use serde_json::json;

use crate::azurite::{self, Table, azurite};
use crate::backing_store;
use crate::deadline::within;
use crate::harness::{ALICE, TestGate, request};
use crate::operate::operate;
use crate::process::{Process, binary, run};
use crate::proxy::{Fault, Proxy};

/// The approval without its status URL, which contains the gate's address.
fn without_status_url(approval: Approval) -> Approval {
    Approval {
        status_url: String::new(),
        ..approval
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_rows_are_restored_and_continue() {
    let keys = backing_store::own_keys();
    let keys = backing_store::borrowed(&keys);
    let gate = TestGate::with(&keys).await;
    let of = |gate: &TestGate| backing_store::settings(gate.dir.path());
    let settings = of(&gate);
    let settings = [&backing_store::borrowed(&settings)[..], &keys].concat();
    let (pending, rejected, approved) = (gate.ask().await, gate.ask().await, gate.ask().await);
    gate.reject(&rejected, ALICE, "Not today").await;
    gate.approve(&approved, ALICE).await;
    let ids = [&pending.id, &rejected.id, &approved.id];

    let file = gate.dir.path().join("copy.jsonl");
    let copy = file.to_str().unwrap();
    gate.until_kept(2).await;
    let (said, code) = run(&settings, &["backup", copy]).await;
    let copied = "3 rows were copied.\n1 standing rows were copied too.\n\
                  2 kept decisions were copied too.\n";
    assert_eq!((said.as_str(), code), (copied, 0));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (said, code) = run(&settings, &["backup", copy]).await;
    assert!(code == 2 && said.contains("cannot be made"), "{said}");
    let (said, _) = run(&settings, &["restore", copy]).await;
    assert!(
        said.starts_with("0 rows were put back; 6 were there"),
        "{said}"
    );

    // An empty store; and a copy with a row twice, of which nothing is taken.
    let other = TestGate::with(&keys).await;
    let settings = of(&other);
    let settings = [&backing_store::borrowed(&settings)[..], &keys].concat();
    let lines = std::fs::read_to_string(&file).unwrap();
    let sound = lines
        .lines()
        .find(|line| line.contains("\"Rejected\""))
        .unwrap();
    let forged = sound.replace("\"Rejected\"", "\"Approved\"");
    std::fs::write(&file, format!("{forged}\n{lines}")).unwrap();
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("has the same row as an earlier line"),
        "{said}"
    );
    // One with a forged line.
    std::fs::write(&file, lines.replace(sound, &forged)).unwrap();
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(": the row is damaged"), "{said}");
    assert!(
        said.contains("3 rows were put back; 0 were there already"),
        "{said}"
    );
    assert!(said.contains("2 kept decisions were put back."), "{said}");
    std::fs::write(&file, &lines).unwrap();
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("1 rows were put back; 5 were there already"),
        "{said}"
    );
    other.until_kept(2).await;
    for id in ids {
        assert_eq!(
            without_status_url(other.status(id).await),
            without_status_url(gate.status(id).await)
        );
    }
    // The restored request continues: with the email of the lost gate, and with the sweep of the new one.
    let question = gate.question(&pending, ALICE);
    let page = other
        .get(&question.link.replace(&gate.url, &other.url))
        .await;
    assert!(page.body.contains("Approve"), "{}", page.body);
    other.pass(Duration::from_secs(2 * 3_600));
    other.sweep().await;
    let swept = other.entity(&pending.id).await;
    assert_eq!(swept["Status"], json!(Status::Timeout));

    std::fs::write(&file, "{\"PartitionKey\":").unwrap();
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert!(code == 2 && said.contains("line 1 is no row"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_legacy_logic_app_are_copied() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    gate.ask().await;
    let table = Table::of(azurite().port, settings[2].1);
    let legacy = backing_store::legacy_row();
    table.put(&legacy).await;
    let file = gate.dir.path().join("copy.jsonl");
    let copy = file.to_str().unwrap();
    run(&settings, &["backup", copy]).await;
    let fresh = azurite::fresh_table();
    let mut settings = settings.clone();
    settings[2].1 = &fresh;
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("2 rows were put back"), "{said}");
    let (said, _) = run(&settings, &["restore", copy]).await;
    assert!(said.starts_with("0 rows were put back; 2 were"), "{said}");
    let rows = Table::of(azurite().port, &fresh).rows().await;
    let row = rows
        .iter()
        .find(|row| row["RowKey"] == "their request's")
        .unwrap();
    for (column, value) in legacy.as_object().unwrap() {
        assert_eq!(&row[column], value, "{column}");
    }
    assert_eq!(row.get("RequestTimestamp@odata.type"), None, "still text");
}

/// The tables are made by the first line, whatever it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_can_be_the_first_in_an_empty_account() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    for rows in ["1", "2"] {
        let with_rows = [&settings[..], &[("HO_ROWS", rows)]].concat();
        let gate = TestGate::with(&with_rows).await;
        let (_pending, rejected) = (gate.ask().await, gate.ask().await);
        gate.reject(&rejected, ALICE, "Not today").await;
        gate.sweep().await;
        if rows == "2" {
            operate(&gate, json!({"command": "pause", "because": "a test"})).await;
        }
    }
    let table = Table::of(azurite().port, settings[2].1);
    table.put(&backing_store::legacy_row()).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("copy.jsonl");
    run(&settings, &["backup", file.to_str().unwrap()]).await;
    let lines = std::fs::read_to_string(&file).unwrap();
    assert!(lines.lines().count() >= 7, "{lines}");
    for line in lines.lines() {
        let file = dir.path().join("line.jsonl");
        std::fs::write(&file, line).unwrap();
        let fresh = azurite::fresh_table();
        let mut settings = settings.clone();
        settings[2].1 = &fresh;
        let (said, code) = run(&settings, &["restore", file.to_str().unwrap()]).await;
        assert_eq!(code, 0, "{said}: {line}");
        assert!(said.contains(" 0 were left out"), "{said}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_and_rejections_are_restored_and_budgets_are_void() {
    let keys = backing_store::own_keys();
    let keys = backing_store::borrowed(&keys);
    let gate = TestGate::with(&keys).await;
    let of = |gate: &TestGate| backing_store::settings(gate.dir.path());
    let settings = of(&gate);
    let settings = [&backing_store::borrowed(&settings)[..], &keys].concat();
    gate.ask().await;
    operate(&gate, json!({"command": "pause", "because": "an incident"})).await;
    for kind in [StandingKind::Budget, StandingKind::Rejection] {
        let columns = BTreeMap::from([("Text".to_owned(), "é".to_owned())]);
        let row = StandingRow::new(kind, "x", columns);
        gate.store.put_standing(row, gate.now()).await.unwrap();
    }
    let rejection = gate.store.standing(StandingKind::Rejection, "x").await;
    let rejection = rejection.unwrap().unwrap();

    let file = gate.dir.path().join("copy.jsonl");
    let copy = file.to_str().unwrap();
    let (said, code) = run(&settings, &["backup", copy]).await;
    let copied = "1 rows were copied.\n3 standing rows were copied too.\n";
    assert_eq!((said.as_str(), code), (copied, 0));
    let (said, _) = run(&settings, &["restore", copy]).await;
    assert!(said.contains("3 were there already"), "{said}");

    // A line that was changed, and one of a kind that this version does not know.
    let lines = std::fs::read_to_string(&file).unwrap();
    let changed = lines.replace("an incident", "a drill");
    let unknown = lines.replace("\"pause\"", "\"plan\"");
    let forged: Vec<&str> = [&changed, &unknown]
        .iter()
        .flat_map(|lines| lines.lines())
        .filter(|line| line.contains("a drill") || line.contains("\"plan\""))
        .collect();
    assert_eq!(forged.len(), 2);
    std::fs::write(&file, forged.join("\n")).unwrap();
    let other = TestGate::with(&keys).await;
    let settings = of(&other);
    let settings = [&backing_store::borrowed(&settings)[..], &keys].concat();
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert_eq!(code, 1, "{said}");
    for words in [
        "line 1: the row is damaged",
        "line 2: the row is damaged",
        "0 rows were put back; 0 were there already and stay as they are; 2 were left out.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    std::fs::write(&file, &lines).unwrap();
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert_eq!(code, 0, "{said}");
    for words in [
        "2 rows were put back; 0 were there already and stay as they are; 0 were left out.",
        "1 pauses were put back, and stand until `resume`.",
        "1 budgets were not put back: an owner that has none in this store begins with a full one.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let refused = other.client.submit(&request()).await.unwrap_err();
    assert!(refused.to_string().contains("paused"), "{refused}");
    let find = async |kind| other.store.standing(kind, "x").await.unwrap();
    let restored = find(StandingKind::Rejection).await.unwrap();
    assert_eq!(restored.columns, rejection.columns);
    assert_eq!(restored.written_at(), rejection.written_at());
    assert_eq!(find(StandingKind::Budget).await, None);
    let resumed = operate(&other, json!({"command": "resume"})).await;
    assert_eq!(resumed["done"], true);
    other.client.submit(&request()).await.unwrap();
}

/// An approval that is there twice would cover two actions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_a_row_twice_or_with_none_is_no_backup() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    gate.ask().await;
    operate(&gate, json!({"command": "pause", "because": "x"})).await;
    let path = |name: &str| gate.dir.path().join(name).to_str().unwrap().to_owned();
    let (copy, policy, actions) = (
        path("copy.jsonl"),
        path("policy.toml"),
        path("actions.jsonl"),
    );
    assert_eq!(run(&settings, &["backup", &copy]).await.1, 0);
    std::fs::write(&policy, "version = 1\n").unwrap();
    std::fs::write(&actions, "").unwrap();
    let lines = std::fs::read_to_string(&copy).unwrap();
    let count = lines.lines().count();
    let row = lines
        .lines()
        .find(|it| it.contains("\"AgentName\""))
        .unwrap();
    let standing = lines
        .lines()
        .find(|it| !it.contains("\"AgentName\""))
        .unwrap();
    // As one with access to the file could hide it.
    let reordered = row.replacen('{', "{ ", 1);
    for (name, text, words) in [
        (
            "twice",
            format!("{lines}{reordered}\n"),
            format!("line {} has the same row as an earlier line", count + 1),
        ),
        (
            "standing",
            format!("{standing}\n{standing}\n"),
            "line 2 has the same row as an earlier line".to_owned(),
        ),
        (
            "empty",
            String::new(),
            "it has no row, so it is no backup".to_owned(),
        ),
        (
            "other",
            "{\"at\": \"2026-11-01T08:00:00Z\"}\n".to_owned(),
            "line 1 is no row".to_owned(),
        ),
    ] {
        let file = path(name);
        std::fs::write(&file, text).unwrap();
        let folder = path(&format!("{name}.evidence"));
        for reader in [
            &["reconcile", "--actions", &actions, "--backup", &file][..],
            &["policy", "rehearse", &policy, "--backup", &file],
            &[
                "evidence",
                "--since",
                "2020-01-01",
                "--until",
                "2020-02-01",
                "--output",
                &folder,
                "--backup",
                &file,
            ],
        ] {
            let (said, code) = run(&settings, reader).await;
            assert!(
                code == 2 && said.contains(&words),
                "{name} {reader:?}: {said}"
            );
        }
    }
    let (said, code) = run(&settings, &["restore", &path("empty")]).await;
    assert!(code == 2 && said.contains("it is no backup"), "{said}");
    // Two files in one: of two states of a row, the earlier one could be approved or claimed again.
    for name in ["twice", "standing"] {
        let (said, code) = run(&settings, &["restore", &path(name)]).await;
        assert!(
            code == 2 && said.contains("has the same row as an earlier line"),
            "{said}"
        );
        assert!(!said.contains("put back"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_fails_leaves_no_file_and_a_restore_that_fails_says_what_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let settings = [("HO_STORE", store.as_str())];
    let gate = Process::start(dir.path(), &[]).await;
    gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    let [copy, partial] = ["copy.jsonl", "copy.jsonl.partial"].map(|name| dir.path().join(name));
    let backup = ["backup", copy.to_str().unwrap()];
    let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    let rename = |from: &str, to: &str| {
        file.execute_batch(&format!(
            "ALTER TABLE decidedapprovals RENAME {from} TO {to}"
        ))
        .unwrap();
    };
    rename("Entity", "Spoilt");
    let (said, code) = run(&settings, &backup).await;
    assert!(
        code == 2 && said.contains("the table of decisions cannot be read"),
        "{said}"
    );
    assert!(!copy.exists() && !partial.exists());
    rename("Spoilt", "Entity");
    let (said, code) = run(&settings, &backup).await;
    assert_eq!(code, 0, "{said}");
    assert!(!partial.exists());
    let (said, code) = run(&settings, &["backup", "-"]).await;
    assert!(code == 2 && said.contains("a backup is a file"), "{said}");
    // What a killed run left is not taken for a copy, and the next one says what to do.
    let again = dir.path().join("again.jsonl");
    std::fs::write(dir.path().join("again.jsonl.partial"), "{").unwrap();
    let (said, code) = run(&settings, &["backup", again.to_str().unwrap()]).await;
    let words = "an earlier backup was stopped, or one is running: delete the file if none is";
    assert!(
        code == 2 && said.contains(words) && !again.exists(),
        "{said}"
    );

    let lines = std::fs::read_to_string(&copy).unwrap();
    std::fs::write(&copy, format!("{lines}{{\"PartitionKey\":")).unwrap();
    let (said, code) = run(&settings, &["restore", backup[1]]).await;
    let torn = format!("line {} is no row", lines.lines().count() + 1);
    assert!(code == 2 && said.contains(&torn), "{said}");
    let there = format!("0 rows were put back; {} were there", lines.lines().count());
    assert!(said.starts_with(&there), "{said}");
}

/// Otherwise what an operator had stopped would run until the end of the restore, or for good where that fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_put_back_before_any_request() {
    let store = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&store);
    let gate = TestGate::with(&settings).await;
    gate.ask().await;
    operate(&gate, json!({"command": "pause", "because": "an incident"})).await;
    let copy = gate.dir.path().join("copy.jsonl");
    let copy = copy.to_str().unwrap();
    let (said, code) = run(&settings, &["backup", copy]).await;
    assert_eq!(code, 0, "{said}");
    // New tables, of which the one of requests fails.
    let proxy = Proxy::start(azurite().port).await;
    let empty = backing_store::tables(proxy.port);
    let [_, connection, table, ..] = empty;
    let requests = format!("/{}", table.1);
    let settings = [
        &[(connection.0, connection.1.as_str()), (table.0, &table.1)],
        &settings[..1],
        &settings[3..],
    ]
    .concat();
    let other = TestGate::with(&settings).await;
    let writes = move |request: &str| !request.starts_with("GET") && request.contains(&requests);
    let refused = Fault::Answer {
        status: 403,
        retry_after: None,
        body: "",
    };
    proxy.fault(writes, refused);
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert!(
        code == 2
            && said.contains("line 1 cannot be stored")
            && said.contains("1 pauses were put back"),
        "{code} {said}"
    );
    assert!(proxy.all_faults_applied());
    let refused = other.client.submit(&request()).await.unwrap_err();
    assert!(refused.to_string().contains("paused"), "{refused}");
}

fn lost_output() -> [std::process::Stdio; 2] {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    [full.unwrap().into(), closed.into()]
}

/// A full disk, or a pipe whose reader has ended, such as `| head -1`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_writes_goes_on_without_its_output_and_says_so() {
    let keys = backing_store::own_keys();
    let keys = backing_store::borrowed(&keys);
    let gate = TestGate::with(&keys).await;
    let asked = [gate.ask().await, gate.ask().await, gate.ask().await];
    let of = |gate: &TestGate| backing_store::settings(gate.dir.path());
    let copy = gate.dir.path().join("copy.jsonl");
    let settings = of(&gate);
    let settings = [&backing_store::borrowed(&settings)[..], &keys].concat();
    let (said, _) = run(&settings, &["backup", copy.to_str().unwrap()]).await;
    let lines = std::fs::read_to_string(&copy).unwrap();
    let (first, rest) = lines.split_once('\n').expect(&said);
    let forged = first.replace("\"Pending\"", "\"Approved\"");
    std::fs::write(&copy, format!("{forged}\n{rest}")).unwrap();
    for (lost, folder) in lost_output().into_iter().zip(["a", "b"]) {
        let other = TestGate::with(&keys).await;
        let settings = of(&other);
        let settings = [&backing_store::borrowed(&settings)[..], &keys].concat();
        let into = |stdout: std::process::Stdio, arguments: &[&str]| {
            let mut command = binary();
            command
                .args(arguments)
                .envs(settings.iter().copied())
                .stdout(stdout);
            command.stderr(std::process::Stdio::piped());
            let child = command.spawn().unwrap();
            async move { within(child.wait_with_output()).await.unwrap() }
        };
        let words = "its output could not be written";
        let restored = into(lost, &["restore", copy.to_str().unwrap()]).await;
        let said = String::from_utf8(restored.stderr).unwrap();
        assert!(
            // A row was left out.
            restored.status.code() == Some(1) && said.contains(words),
            "{said}"
        );
        let mut there = 0;
        for approval in &asked {
            let status = format!("{}/api/status/{}", other.url, approval.id);
            there += usize::from(other.get(&status).await.status == 200);
        }
        assert_eq!(there, 2);
        let evidence = gate.dir.path().join(folder);
        let arguments = [
            "evidence",
            "--since",
            "2020-01-01",
            "--until",
            "2100-01-01",
            "--output",
        ];
        let [full, _] = lost_output();
        let written = into(
            full,
            &[&arguments[..], &[evidence.to_str().unwrap()]].concat(),
        )
        .await;
        assert_eq!(written.status.code(), Some(3), "{written:?}");
        assert!(evidence.is_dir());
        // What only reads ends, and has done nothing.
        let reading: [&[&str]; 4] = [
            &["list", "--open"],
            &["executing"],
            &["grants"],
            &["webhooks"],
        ];
        for arguments in reading {
            for lost in lost_output() {
                let listed = into(lost, arguments).await;
                let said = String::from_utf8_lossy(&listed.stderr);
                assert!(
                    listed.status.code() == Some(2) && !said.contains("it was done"),
                    "{arguments:?}: {listed:?}"
                );
            }
        }
    }
}

/// A nightly job that is stopped once would find its own rest in the way of each later backup.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_stopped_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let [copy, partial] = ["copy.jsonl", "copy.jsonl.partial"].map(|name| dir.path().join(name));
    // It takes connections and answers nothing.
    let store = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = backing_store::tables(store.local_addr().unwrap().port());
    let mut running = binary()
        .args(["backup", copy.to_str().unwrap()])
        .envs(backing_store::borrowed(&settings))
        .spawn()
        .unwrap();
    let _connection = within(store.accept()).await.unwrap();
    assert!(partial.exists());
    let id = running.id().unwrap().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(within(running.wait()).await.unwrap().code(), Some(143));
    assert!(!partial.exists() && !copy.exists());
}

/// Writes the evidence of the store, and of a copy of it: the exit code says that rows cannot be trusted.
async fn evidence_with_problems(settings: &[(&str, &str)], dir: &Path, copy: &str) -> [PathBuf; 2] {
    let folders = ["of-the-store", "of-the-copy"].map(|name| dir.join(name));
    for (folder, more) in folders.iter().zip([&[][..], &["--backup", copy]]) {
        let output = folder.to_str().unwrap();
        let time = ["evidence", "--since", "2020-01-01", "--until", "2100-01-01"];
        let arguments = [&time[..], &["--output", output], more].concat();
        let (said, code) = run(settings, &arguments).await;
        assert_eq!(code, 1, "{said}");
    }
    folders
}

/// Else the copy would have a row twice, and no command would read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_whose_columns_name_another_is_copied_under_its_own_keys() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let settings = [("HO_STORE", store.as_str())];
    let gate = Process::start(dir.path(), &[]).await;
    let sound = gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    file.execute_batch(
        "INSERT INTO approvals SELECT 'Other', RowKey, ETag, Due, Entity FROM approvals",
    )
    .unwrap();
    let id: ApprovalId = sound.id.parse().unwrap();
    let copy = dir.path().join("copy.jsonl");
    let copy = copy.to_str().unwrap();
    let (said, code) = run(&settings, &["backup", copy]).await;
    let named = format!("Other/{}: its columns name another row", id.correlation());
    assert!(code == 1 && said.contains(&named), "{said}");
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert!(code == 1 && said.contains("1 were there"), "{said}");
    for folder in evidence_with_problems(&settings, dir.path(), copy).await {
        let verification = std::fs::read_to_string(folder.join("verification.txt")).unwrap();
        let named = format!("Other/{}: ", id.correlation());
        assert!(verification.contains(&named), "{verification}");
        let sound = format!("{}/{}: ", id.agent(), id.correlation());
        assert!(!verification.contains(&sound), "{verification}");
    }
}

/// Without its keys, no one could find the row that a copy or the evidence lacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_no_json_is_named_by_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let settings = [("HO_STORE", store.as_str())];
    let gate = Process::start(dir.path(), &[]).await;
    gate.client().submit(&request()).await.unwrap();
    let spoilt = gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    let id: ApprovalId = spoilt.id.parse().unwrap();
    let changed = file
        .execute(
            "UPDATE approvals SET Entity = '{\"Parameters' WHERE RowKey = ?1",
            [id.correlation()],
        )
        .unwrap();
    assert_eq!(changed, 1);
    let row = format!(
        "{}/{}: the row is damaged: it is not JSON",
        id.agent(),
        id.correlation()
    );

    let copy = dir.path().join("copy.jsonl");
    let copy = copy.to_str().unwrap();
    let (said, code) = run(&settings, &["backup", copy]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&row), "{said}");
    assert!(said.contains("2 rows were copied."), "{said}");
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(": the row is damaged: it is not JSON"),
        "{said}"
    );

    for folder in evidence_with_problems(&settings, dir.path(), copy).await {
        let verification = std::fs::read_to_string(folder.join("verification.txt")).unwrap();
        assert!(verification.contains(&row), "{verification}");
        let rows = std::fs::read_to_string(folder.join("rows.jsonl")).unwrap();
        assert!(rows.contains(id.correlation()), "{rows}");
    }
}
