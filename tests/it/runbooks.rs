//! The runbooks of docs/operations.md, as they are written there.

use human_oversight::keys::keyring;
use human_oversight_client::types::Status;
use serde_json::json;

use crate::azurite::{Table, azurite, fresh_table};
use crate::backing_store;
use crate::claim::claim;
use crate::harness::{ALICE, TestGate};
use crate::process::run;

/// Submits at one instance, decides at another, and claims at the first.
async fn pass_between(one: &TestGate, other: &TestGate) -> Result<(), String> {
    let approval = one.ask().await;
    let question = one.question(&approval, ALICE);
    let link = question.link.replace(&one.url, &other.url);
    let page = other.get(&crate::harness::with_forms(&link)).await;
    if page.status != 200 {
        return Err(format!("the page: {}", page.status));
    }
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let answer = other.send_form(&page, &form).await;
    if answer.status != 303 {
        return Err(format!("the decision: {}", answer.status));
    }
    let claimed = one
        .client
        .claim(&approval.id, &claim("0123456789abcdef"))
        .await;
    claimed.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_while_instances_overlap() {
    let ed25519 = keyring::generate_receipt_key;
    for (name, old, new) in [
        (
            "HO_LINK_KEYS",
            keyring::generate_link_key(),
            keyring::generate_link_key(),
        ),
        ("HO_RECEIPT_KEYS", ed25519(), ed25519()),
        ("HO_RECEIPT_KEYS", ed25519(), keyring::generate_es256_key()),
    ] {
        let (old_new, new_old) = (format!("{old},{new}"), format!("{new},{old}"));
        let tables = backing_store::tables(azurite().port);
        let start = async |keys: &str| {
            let settings = tables.clone().map(|(setting, value)| {
                let value = if setting == name {
                    keys.to_owned()
                } else {
                    value
                };
                (setting, value)
            });
            TestGate::with(&backing_store::borrowed(&settings)).await
        };
        let before = start(&old).await;
        let stored = before.ask().await;
        // Each step of the runbook, with an instance of the step before it.
        let both = start(&old_new).await;
        let after = start(&new_old).await;
        for (one, other) in [(&before, &both), (&both, &after)] {
            pass_between(one, other).await.unwrap();
            pass_between(other, one).await.unwrap();
        }
        // What was asked before the rotation is decided after it.
        let question = before.question(&stored, ALICE);
        let link = question.link.replace(&before.url, &after.url);
        let page = after.get(&crate::harness::with_forms(&link)).await;
        let form = [("decision", "approve"), ("code", question.code.as_str())];
        assert_eq!(after.send_form(&page, &form).await.status, 303, "{name}");
        // The step must not be skipped.
        let early = [
            pass_between(&after, &before).await,
            pass_between(&before, &after).await,
        ];
        assert!(early.iter().any(Result::is_err), "{name}");
    }
}

/// Runs the commands of the runbook as they are written, with a stand-in for `az` that keeps the vault in a file.
#[tokio::test]
async fn the_commands_of_the_rotation_set_both_keys_in_both_orders() {
    let docs = include_str!("../../docs/operations.md");
    let blocks: Vec<&str> = docs
        .split("```text\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .filter(|block| block.contains(" > both\n"))
        .collect();
    assert_eq!(blocks.len(), 2, "{blocks:#?}");
    let folder = tempfile::tempdir().unwrap();
    let old = keyring::generate_link_key();
    std::fs::write(folder.path().join("vault"), format!("{old}\n")).unwrap();
    let stand_in = "#!/bin/sh\ncase \"$1 $2 $3\" in\n\
        'keyvault secret show') cat vault;;\n\
        'keyvault secret set') while [ \"$1\" != --file ]; do shift; done; cp \"$2\" vault;;\n\
        esac\n";
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("az"), stand_in).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("az"), executable).unwrap();
    std::os::unix::fs::symlink(
        env!("CARGO_BIN_EXE_human-oversight"),
        bin.join("human-oversight"),
    )
    .unwrap();
    let mut seen = Vec::new();
    for block in blocks {
        let mut shell = tokio::process::Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", bin.display());
        shell
            .args(["-ec", block])
            .env("PATH", path)
            .current_dir(folder.path());
        let done = crate::deadline::within(shell.output()).await.unwrap();
        assert!(done.status.success(), "{done:?}");
        seen.push(std::fs::read_to_string(folder.path().join("vault")).unwrap());
    }
    let (first, new) = seen[0].split_once(',').unwrap();
    assert_eq!(first, old);
    assert_eq!(seen[1], format!("{new},{old}"));
    keyring::parse(&seen[1]).unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "no file keeps a key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_is_found_kept_as_evidence_and_put_back_from_the_backup() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    let approval = gate.ask().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (copy, evidence) = (path("approvals.jsonl"), path("evidence.jsonl"));
    assert_eq!(run(&settings, &["backup", &copy]).await.1, 0);
    let rows = Table::of(azurite().port, settings[2].1);
    let key = approval.correlation_id.as_str();
    let mut row = rows.get("UserManagerAgent", key).await.unwrap();
    row.as_object_mut()
        .unwrap()
        .retain(|name, _| !name.starts_with("odata."));
    row["ActionDescription"] = json!("Something else");
    rows.put(&row).await;

    let (said, code) = run(&settings, &["list", "--damaged"]).await;
    assert!(
        code == 1 && said.contains(&format!("UserManagerAgent/{key}")),
        "{said}"
    );
    assert_eq!(run(&settings, &["backup", &evidence]).await.1, 0);
    assert!(
        std::fs::read_to_string(&evidence)
            .unwrap()
            .contains("Something else")
    );
    // `az storage entity delete`
    rows.remove("UserManagerAgent", key).await;
    let (said, code) = run(&settings, &["restore", &copy]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("1 rows were put back"), "{said}");
    let (said, code) = run(&settings, &["list", "--damaged"]).await;
    assert_eq!(code, 0, "{said}");
    gate.approve(&approval, ALICE).await;
    gate.client
        .claim(&approval.id, &claim("0123456789abcdef"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_index_is_rebuilt_without_the_gate_too() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    let approval = gate.ask().await;
    let index = Table::of(azurite().port, &format!("open{}", settings[2].1));
    index.drop_table().await;
    let (said, code) = run(&settings, &["index", "rebuild-due"]).await;
    assert_eq!(
        (said.as_str(), code),
        ("1 entries of the due index were written.\n", 0)
    );
    let ids: Vec<_> = index
        .rows()
        .await
        .into_iter()
        .map(|row| row["Id"].clone())
        .collect();
    assert!(ids.contains(&json!(approval.id)), "{ids:?}");
    let (said, code) = run(&[], &["index", "rebuild-due"]).await;
    assert!(code == 2 && said.contains("a file needs none"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_is_restored_elsewhere_with_its_keys() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    let (decided, open) = (gate.ask().await, gate.ask().await);
    gate.reject(&decided, ALICE, "no").await;
    gate.sweep().await;
    gate.until_kept(1).await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("approvals.jsonl");
    let copy = copy.to_str().unwrap();
    assert_eq!(run(&settings, &["backup", copy]).await.1, 0);
    // The first line is a finished request, and no table is there.
    let lines = std::fs::read_to_string(copy).unwrap();
    let (mut first, rest): (Vec<&str>, Vec<&str>) = lines
        .lines()
        .partition(|line| line.contains("\"Status\":\"Rejected\""));
    first.extend(rest);
    std::fs::write(copy, first.join("\n")).unwrap();
    let table = fresh_table();
    let mut elsewhere = settings.clone();
    elsewhere[2].1 = &table;
    let (said, code) = run(&elsewhere, &["restore", copy]).await;
    assert_eq!(code, 0, "{said}");
    let there = TestGate::with(&elsewhere).await;
    let (said, code) = run(&elsewhere, &["list", "--damaged"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(there.status(&decided.id).await.status, Status::Rejected);
    let question = gate.question(&open, ALICE);
    let link = question.link.replace(&gate.url, &there.url);
    let page = there.get(&crate::harness::with_forms(&link)).await;
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    assert_eq!(there.send_form(&page, &form).await.status, 303);
    let swept = there.sweep().await;
    assert!(swept.ends_with("complete: true"), "{swept}");
}
