//! `human-oversight evidence` as a process: what is in the folder, and what is found when it was changed.

mod mapping;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use human_oversight_client::types::{KeySet, NewApproval};
use human_oversight_protocol::{manifest, receipt};
use serde_json::{Value, json};

use crate::backing_store;
use crate::claim::claim;
use crate::deadline::within;
use crate::harness::{ALICE, TestGate, object, request};
use crate::outcome::report;
use crate::process::{binary, run};

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 1 }]
when = [{ parameter = "/cents", at_least = 1 }]

[[rule]]
id = "never"
actions = ["Delete *"]
effect = "deny"
reason = "Agents delete nothing."
"#;

/// A value of a parameter that no file may have without being asked for it.
const SECRET: u64 = 7_771_234;

/// A payment that was paid, one that was rejected, and one that the policy denied.
async fn history() -> TestGate {
    let gate = TestGate::with(&[("HO_POLICY", POLICY)]).await;
    let new = |action: &str| NewApproval {
        action_description: action.to_owned(),
        parameters: object(json!({"cents": SECRET})),
        ..request()
    };
    let paid = gate.client.submit(&new("Pay an invoice")).await.unwrap();
    gate.approve(&paid, ALICE).await;
    let granted = claim("0123456789abcdef");
    gate.client.claim(&paid.id, &granted).await.unwrap();
    gate.client.outcome(&paid.id, &report(None)).await.unwrap();
    let rejected = gate.client.submit(&new("Pay another")).await.unwrap();
    gate.reject(&rejected, ALICE, "Not this one.").await;
    gate.client.submit(&new("Delete all")).await.unwrap();
    gate
}

/// Runs the command for the day of the gate's clock and the one before, into this folder.
async fn evidence(gate: &TestGate, output: &Path, more: &[&str]) -> (String, i32) {
    let day = std::time::Duration::from_secs(86_400);
    let (since, until) = (
        (gate.now() - day).to_string(),
        (gate.now() + day).to_string(),
    );
    evidence_of(gate, [&since[..10], &until[..10]], output, more).await
}

/// The evidence of a time.
async fn evidence_of(
    gate: &TestGate,
    [since, until]: [&str; 2],
    output: &Path,
    more: &[&str],
) -> (String, i32) {
    let settings = backing_store::settings(gate.dir.path());
    let output = output.to_str().unwrap();
    let period = ["evidence", "--since", since, "--until", until];
    let arguments = [&period[..], &["--output", output], more].concat();
    run(&backing_store::borrowed(&settings), &arguments).await
}

async fn check(gate: &TestGate, folder: &Path) -> (String, i32) {
    let settings = backing_store::settings(gate.dir.path());
    let arguments = ["evidence", "--check", folder.to_str().unwrap()];
    run(&backing_store::borrowed(&settings), &arguments).await
}

/// The public keys of a gate in a file, as an auditor gets them.
async fn published(gate: &TestGate, folder: &Path) -> String {
    let keys = gate.get(&format!("{}/api/keys", gate.url)).await.body;
    let path = folder.join("published.json");
    std::fs::write(&path, keys).unwrap();
    path.to_str().unwrap().to_owned()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = read(folder, name);
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_has_what_an_auditor_asks_for_and_no_parameters() {
    let gate = history().await;
    let folder = gate.dir.path().join("evidence");
    let policy = gate.dir.path().join("policy.toml");
    std::fs::write(&policy, POLICY).unwrap();
    let more = ["--policy", policy.to_str().unwrap()];
    let (said, code) = evidence(&gate, &folder, &more).await;
    assert_eq!(code, 0, "{said}");

    let rows = lines(&folder, "rows.jsonl");
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert!(row.get("Parameters").is_none(), "{row}");
        assert_eq!(row["ParametersDigest"].as_str().unwrap().len(), 64);
    }
    let keys: KeySet = serde_json::from_str(&read(&folder, "keys.json")).unwrap();
    let receipts = lines(&folder, "receipts.jsonl");
    let mut kinds = receipts
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect::<Vec<_>>();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["permit", "receipt", "receipt", "receipt", "vote", "vote"]
    );
    for line in receipts.iter().filter(|it| it["kind"] == "receipt") {
        let signed = receipt::verify(line["jws"].as_str().unwrap(), &keys).unwrap();
        assert_eq!(signed.sub, line["id"].as_str().unwrap());
    }
    let counts: Value = serde_json::from_str(&read(&folder, "counts.json")).unwrap();
    assert_eq!(counts["requests"], 3);
    assert_eq!(counts["byStatus"], json!({"Approved": 1, "Rejected": 2}));
    assert_eq!(counts["byExecution"], json!({"Executed": 1}));
    assert_eq!(counts["byDecider"], json!({"person": 2, "policy": 1}));
    let versions: Value = serde_json::from_str(&read(&folder, "policies.json")).unwrap();
    assert_eq!(versions.as_array().unwrap().len(), 1);
    assert_eq!(versions[0]["rules"], json!(["never", "payments"]));
    assert_eq!(versions[0]["requests"], 3);
    assert_eq!(read(&folder, versions[0]["text"].as_str().unwrap()), POLICY);
    let verified = read(&folder, "verification.txt");
    assert!(verified.contains("0 problems"), "{verified}");
    assert!(
        verified.contains("All row MACs were verified."),
        "{verified}"
    );

    let signed = manifest::verify(&read(&folder, "manifest.jws"), &keys).unwrap();
    assert!(!signed.with_parameters);
    assert_eq!(signed.files.len(), 7, "{:?}", signed.files);
    for name in signed
        .files
        .keys()
        .map(String::as_str)
        .chain(["manifest.jws"])
    {
        let mode = std::fs::metadata(folder.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}");
        let is_text_of_policy = name.starts_with("policies/");
        assert!(
            is_text_of_policy || !read(&folder, name).contains(&SECRET.to_string()),
            "{name}"
        );
    }
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);

    // It replaces nothing.
    let (said, code) = evidence(&gate, &folder, &[]).await;
    assert!(code == 2 && said.contains("cannot be made"), "{said}");
    assert_eq!(check(&gate, &folder).await.1, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_parameters_the_rows_are_those_of_the_table() {
    let gate = history().await;
    let folder = gate.dir.path().join("evidence");
    let (said, code) = evidence(&gate, &folder, &["--with-parameters"]).await;
    assert_eq!(code, 0, "{said}");
    let rows = lines(&folder, "rows.jsonl");
    let secret = SECRET.to_string();
    assert!(
        rows.iter()
            .all(|it| it["Parameters"].as_str().unwrap().contains(&secret))
    );

    // From a backup the same, and nothing of other days.
    let backup = gate.dir.path().join("copy.jsonl");
    let backup = backup.to_str().unwrap();
    let settings = backing_store::settings(gate.dir.path());
    let copied = run(&backing_store::borrowed(&settings), &["backup", backup]).await;
    assert_eq!(copied.1, 0);
    let again = gate.dir.path().join("again");
    let arguments = ["--with-parameters", "--backup", backup];
    let (said, code) = evidence(&gate, &again, &arguments).await;
    assert_eq!(code, 0, "{said}");
    let of = |folder: &Path| {
        let text = read(folder, "rows.jsonl");
        text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(of(&again), of(&folder));
    assert!(read(&again, "verification.txt").contains("were not verified"));

    let earlier = gate.dir.path().join("earlier");
    let (said, code) = evidence_of(&gate, ["2026-01-01", "2026-02-01"], &earlier, &[]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(read(&earlier, "rows.jsonl"), "");
    assert_eq!(read(&earlier, "policies.json"), "[]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_a_missing_and_an_added_file_are_found() {
    let gate = history().await;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("evidence");
    assert_eq!(evidence(&gate, &folder, &[]).await.1, 0);
    let keys = published(&gate, dir.path()).await;
    let path = folder.to_str().unwrap().to_owned();
    // As an auditor, with the public keys alone.
    let check = async || run(&[], &["evidence", "--check", &path, "--keys", &keys]).await;
    let (said, code) = check().await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("6 files of requests from "), "{said}");

    let original = read(&folder, "rows.jsonl");
    std::fs::write(
        folder.join("rows.jsonl"),
        original.replace("Rejected", "Approved"),
    )
    .unwrap();
    let (said, code) = check().await;
    assert!(
        code == 1 && said.starts_with("rows.jsonl: changed\n"),
        "{said}"
    );
    std::fs::write(folder.join("rows.jsonl"), &original).unwrap();

    std::fs::rename(folder.join("counts.json"), dir.path().join("counts.json")).unwrap();
    let (said, code) = check().await;
    assert!(
        code == 1 && said.starts_with("counts.json: missing\n"),
        "{said}"
    );
    // A link to what was signed is not what was signed.
    std::os::unix::fs::symlink(dir.path().join("counts.json"), folder.join("counts.json")).unwrap();
    let (said, code) = check().await;
    assert!(
        code == 1 && said.starts_with("counts.json: missing\n"),
        "{said}"
    );
    std::fs::remove_file(folder.join("counts.json")).unwrap();
    std::fs::rename(dir.path().join("counts.json"), folder.join("counts.json")).unwrap();

    std::fs::create_dir(folder.join("more")).unwrap();
    std::fs::write(folder.join("more/rows.jsonl"), "").unwrap();
    let (said, code) = check().await;
    assert!(
        code == 1 && said.starts_with("more/rows.jsonl: added\n"),
        "{said}"
    );
    std::fs::remove_dir_all(folder.join("more")).unwrap();
    assert_eq!(check().await.1, 0);

    // A manifest that is no manifest: a receipt of the same gate, one of other keys, none.
    let signed = read(&folder, "manifest.jws");
    let receipts = lines(&folder, "receipts.jsonl");
    let other = history().await;
    let elsewhere = dir.path().join("elsewhere");
    assert_eq!(evidence(&other, &elsewhere, &[]).await.1, 0);
    let receipt = receipts[0]["jws"].as_str().unwrap().to_owned();
    for forged in [receipt, read(&elsewhere, "manifest.jws"), String::new()] {
        std::fs::write(folder.join("manifest.jws"), forged).unwrap();
        let (said, code) = check().await;
        assert!(
            code == 2 && said.contains("manifest.jws proves nothing"),
            "{said}"
        );
    }
    std::fs::remove_file(folder.join("manifest.jws")).unwrap();
    let (said, code) = check().await;
    assert!(
        code == 2 && said.contains("manifest.jws cannot be read"),
        "{said}"
    );

    // Nor is a manifest a receipt.
    let keys: KeySet = serde_json::from_str(&read(&folder, "keys.json")).unwrap();
    assert!(receipt::verify(&signed, &keys).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_changed_is_named_in_the_folder() {
    let gate = history().await;
    let changed = gate.ask().await;
    gate.tamper(&changed.id, None, |row| row["Status"] = json!("Approved"))
        .await;
    let folder = gate.dir.path().join("evidence");
    let (said, code) = evidence(&gate, &folder, &[]).await;
    assert_eq!(code, 1, "{said}");
    let names = "There are 1 problems: ";
    assert!(
        said.contains(names) && said.contains("verification.txt names them"),
        "{said}"
    );
    let verified = read(&folder, "verification.txt");
    assert!(verified.contains(&changed.correlation_id), "{verified}");
    assert!(verified.contains("1 problems"), "{verified}");
    assert!(
        !verified.contains("All row MACs were verified"),
        "{verified}"
    );
    let counts: Value = serde_json::from_str(&read(&folder, "counts.json")).unwrap();
    assert_eq!(
        (&counts["requests"], &counts["untrustedRows"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(check(&gate, &folder).await.1, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_whole_is_not_written() {
    let gate = history().await;
    let folder = gate.dir.path().join("evidence");
    let stray = gate.dir.path().join("stray.toml");
    std::fs::write(&stray, "version = 1\n").unwrap();
    let keys = published(&gate, gate.dir.path()).await;
    for (more, expected) in [
        (
            &["--policy", stray.to_str().unwrap()][..],
            "applied to no request",
        ),
        (&["--policy", "/nonexistent/policy"], "cannot be read"),
        (&["--backup", "/nonexistent/backup"], "cannot be read"),
    ] {
        let (said, code) = evidence(&gate, &folder, more).await;
        assert!(code == 2 && said.contains(expected), "{said}");
        assert!(!folder.exists(), "{more:?}");
    }
    // The public keys alone sign nothing.
    let output = folder.to_str().unwrap();
    let arguments = [
        "evidence",
        "--since",
        "2026-11-01",
        "--until",
        "2026-11-02",
        "--output",
        output,
        "--keys",
        &keys,
    ];
    let (said, code) = run(&[("HO_STORE", "embedded:/nonexistent")], &arguments).await;
    assert!(
        code == 2 && said.contains("without HO_RECEIPT_KEYS the manifest cannot be signed"),
        "{said}"
    );
    assert!(!folder.exists());
    let (said, code) = run(&[], &["evidence", "--since", "2026-11-01"]).await;
    assert!(code == 2 && said.contains("--until"), "{said}");
}

/// A job that runs too long is stopped: what it wrote has rows, which may be personal data, and is no evidence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_stopped_leaves_no_folder() {
    let gate = history().await;
    let folder = gate.dir.path().join("evidence");
    let fifo = gate.dir.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let settings = backing_store::settings(gate.dir.path());
    for signal in ["TERM", "INT"] {
        let mut command = binary();
        let running = command
            .args(["evidence", "--since", "2026-01-01", "--until", "2026-02-01"])
            .args(["--output", folder.to_str().unwrap()])
            .args(["--backup", fifo.to_str().unwrap()])
            .envs(backing_store::borrowed(&settings))
            .spawn();
        let mut running = running.unwrap();
        // It has opened the copy, of which nothing comes.
        let pipe = fifo.clone();
        let open = move || std::fs::OpenOptions::new().write(true).open(pipe);
        let _pipe = within(tokio::task::spawn_blocking(open))
            .await
            .unwrap()
            .unwrap();
        assert!(folder.exists());
        let id = running.id().unwrap().to_string();
        let sent = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &id])
            .status();
        assert!(sent.unwrap().success());
        let ended = within(running.wait()).await.unwrap();
        assert!(!ended.success(), "{ended}");
        assert!(!folder.exists(), "{signal}");
    }
    // What SIGKILL leaves is said to be perhaps that.
    std::fs::create_dir(&folder).unwrap();
    let (said, code) = evidence(&gate, &folder, &[]).await;
    assert!(
        code == 2 && said.contains("if an earlier run was stopped there, delete what it left"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_has_not_ended_is_said_to_be_so_and_one_to_come_is_refused() {
    let gate = history().await;
    let folder = gate.dir.path().join("evidence");
    let write = async |since, until| evidence_of(&gate, [since, until], &folder, &[]).await;
    let (said, code) = write("2999-01-01", "2999-02-01").await;
    assert!(code == 2 && said.contains("before now"), "{said}");
    assert!(!folder.exists());

    let not_ended = "before the end of that time: what was submitted later is missing";
    let (said, code) = write("2026-01-01", "2999-01-01").await;
    assert!(code == 0 && said.contains(not_ended), "{said}");
    let (said, code) = check(&gate, &folder).await;
    assert!(code == 0 && said.contains(not_ended), "{said}");

    std::fs::remove_dir_all(&folder).unwrap();
    let (said, code) = write("2026-01-01", "2026-02-01").await;
    assert!(code == 0 && !said.contains(not_ended), "{said}");
    let (said, code) = check(&gate, &folder).await;
    assert!(code == 0 && !said.contains(not_ended), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_no_sweep_finds_is_a_problem_of_the_folder_as_of_verify() {
    let dir = tempfile::tempdir().unwrap();
    let settings = backing_store::embedded(dir.path());
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::at(dir, &settings).await;
    let open = gate.ask().await;
    let file = rusqlite::Connection::open(gate.dir.path().join("approvals.db")).unwrap();
    file.execute("UPDATE approvals SET Due = NULL", []).unwrap();
    let folder = gate.dir.path().join("evidence");
    let path = folder.display().to_string();
    let time = ["--since", "2020-01-01", "--until", "2100-01-01"];
    let arguments = [&["evidence", "--output", &path], &time[..]].concat();
    let (said, code) = run(&settings, &arguments).await;
    assert_eq!(code, 1, "{said}");
    let verified = read(&folder, "verification.txt");
    assert!(
        verified.contains(&open.correlation_id) && verified.contains("`index rebuild-due`"),
        "{verified}"
    );
    assert!(verified.contains("1 problems"), "{verified}");
    let counts: Value = serde_json::from_str(&read(&folder, "counts.json")).unwrap();
    assert_eq!(
        (&counts["requests"], &counts["untrustedRows"]),
        (&json!(1), &json!(0))
    );
}
