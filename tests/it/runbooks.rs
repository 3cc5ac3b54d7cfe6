//! The runbooks of docs/operations.md, as they are written there.

use std::time::{Duration, Instant};

use human_oversight::keys::keyring;
use human_oversight_client::types::{Deliverable, NewApproval, Status};
use serde_json::json;

use crate::azurite::{Table, azurite, fresh_table};
use crate::backing_store;
use crate::claim::claim;
use crate::harness::{ALICE, Log, TestGate, request};
use crate::process::run;
use crate::proxy::Proxy;

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
    let of_another_agent = NewApproval {
        agent_name: "OtherAgent".to_owned(),
        correlation_id: Some(approval.correlation_id.clone()),
        ..request()
    };
    gate.client.submit(&of_another_agent).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (copy, evidence) = (path("approvals-2026-11-23.jsonl"), path("evidence.jsonl"));
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
    let mut lines = include_str!("../../docs/operations.md").lines();
    let find = lines.find(|line| line.contains(" grep -F ")).unwrap();
    let find = find.replace("CORRELATION_ID", key);
    let find = find.replace("AGENT", "UserManagerAgent");
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-ec", &find]).current_dir(folder.path());
    let done = crate::deadline::within(shell.output()).await.unwrap();
    assert!(done.status.success(), "{find}: {done:?}");
    let row = path("row.jsonl");
    let found = std::fs::read_to_string(&row).unwrap();
    assert_eq!(found.lines().count(), 1, "{found}");
    let (said, code) = run(&settings, &["restore", &row]).await;
    assert_eq!(code, 0, "{said}");
    let open = "1 rows were put back; 0 were there already and stay as they are; 0 were left out.\n\
                1 of them wait for a decision or a claim.";
    assert!(said.starts_with(open), "{said}");
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
    assert!(code == 2 && said.contains("there is no store in"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_is_restored_elsewhere_with_its_keys() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    let (decided, open, approved) = (gate.ask().await, gate.ask().await, gate.ask().await);
    gate.reject(&decided, ALICE, "no").await;
    gate.approve(&approved, ALICE).await;
    gate.sweep().await;
    gate.until_kept(2).await;
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
    assert!(code == 0 && said.contains("2 of them wait"), "{said}");
    // Nothing that ran since the copy is claimed once more while the setting stands.
    let paused = [&elsewhere[..], &[("HO_PAUSED", "1")]].concat();
    let there = TestGate::with(&paused).await;
    let nonce = claim("0123456789abcdef");
    let refused = there.client.claim(&approved.id, &nonce).await.unwrap_err();
    assert!(refused.to_string().contains("paused"), "{refused}");
    drop(there);
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

#[tokio::test]
async fn while_email_is_down_requests_wait_and_another_transport_sends_them() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let nowhere = [
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", "smtp://127.0.0.1:1?tls=none"),
        ("HO_MAIL_FROM", "gate@example.com"),
    ];
    let down = [&settings[..], &nowhere].concat();
    let gate = TestGate::with(&down).await;
    let approval = gate.ask().await;
    assert_eq!(approval.deliverable, Deliverable::None);
    gate.sweep().await;
    // 1. and 2.
    let (said, code) = run(&down, &["check", "--mail-to", ALICE]).await;
    let is_cause = |line: &str| line.contains(" mail ") && line.contains("temporarily unavailable");
    assert!(code == 2 && said.lines().any(is_cause), "{said}");
    let (said, code) = run(&down, &["list", "--unsent"]).await;
    assert_eq!(code, 0, "{said}");
    let waiting = said.lines().filter(|line| line.starts_with(&approval.id));
    assert_eq!(
        waiting.filter(|line| line.ends_with("Unavailable")).count(),
        2,
        "{said}"
    );
    // 3. The gate of the tests writes files.
    let log = Log::default();
    let collecting = log.collect();
    let after = TestGate::with(&settings).await;
    after.pass(Duration::from_secs(60));
    after.sweep().await;
    after.sweep().await;
    drop(collecting);
    after.approve(&approval, ALICE).await;
    // 5.
    assert_eq!(log.count("email works again"), 1, "{:#?}", log.lines());
    let (said, _) = run(&settings, &["list", "--unsent"]).await;
    assert_eq!(said, "0 not sent.\n");
}

/// Of the hour to decide, 40 minutes.
#[tokio::test]
async fn after_a_long_outage_of_email_people_are_asked_while_they_can_still_answer() {
    let nowhere = [
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", "smtp://127.0.0.1:1?tls=none"),
        ("HO_MAIL_FROM", "gate@example.com"),
    ];
    let gate = TestGate::with(&nowhere).await;
    let approval = gate.ask().await;
    for _ in 0..40 {
        gate.pass(Duration::from_secs(60));
        gate.sweep().await;
    }
    // The gate of the tests writes files.
    let after = TestGate::at(gate.dir, &[]).await;
    after.pass(Duration::from_secs(46 * 60));
    after.sweep().await;
    after.approve(&approval, ALICE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_tables_are_down_calls_are_503_and_what_was_due_comes_after() {
    let proxy = Proxy::start(azurite().port).await;
    let settings = backing_store::tables(proxy.port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    let approval = gate.ask().await;
    gate.sweep().await;
    proxy.down(true);
    let began = Instant::now();
    let answer = gate
        .get(&format!("{}/api/status/{}", gate.url, approval.id))
        .await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        answer.body.contains("Nothing is half-done"),
        "{}",
        answer.body
    );
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    // 1.
    let (said, code) = run(&settings, &["check"]).await;
    let is_cause = |line: &str| line.starts_with("failed") && line.contains("there was no answer");
    assert!(code == 2 && said.lines().any(is_cause), "{said}");
    // 2. and 3. The reminders of the half-time and of the end were due meanwhile.
    gate.pass(Duration::from_secs(1_900));
    let mails = gate.mails().len();
    proxy.down(false);
    gate.sweep().await;
    assert_eq!(gate.mails().len(), mails + 2);
    let health = gate.get(&format!("{}/api/health", gate.url)).await;
    assert_eq!(
        (health.status.as_u16(), &health.json()["status"]),
        (200, &json!("ok"))
    );
    gate.approve(&approval, ALICE).await;
}

#[tokio::test]
async fn after_a_leak_of_the_link_keys_nothing_sealed_with_them_runs() {
    let settings = backing_store::tables(azurite().port);
    let old = TestGate::with(&backing_store::borrowed(&settings)).await;
    let (approved, open) = (old.ask().await, old.ask().await);
    old.approve(&approved, ALICE).await;
    let question = old.question(&open, ALICE);
    // In the place of the old key, not before it.
    let settings = settings.map(|(name, value)| match name {
        "HO_LINK_KEYS" => (name, keyring::generate_link_key()),
        _ => (name, value),
    });
    let settings = backing_store::borrowed(&settings);
    let log = Log::default();
    let collecting = log.collect();
    let new = TestGate::with(&settings).await;
    new.pass(Duration::from_secs(3_700));
    for _ in 0..2 {
        let swept = new.sweep().await;
        assert!(swept.ends_with("2 set aside, complete: true"), "{swept}");
    }
    drop(collecting);
    let cause = "the row MAC was made with a key that is not in HO_LINK_KEYS";
    let integrity = |line: &&String| line.contains("integrity problem") && line.contains(cause);
    assert_eq!(
        log.lines().iter().filter(integrity).count(),
        2,
        "{:#?}",
        log.lines()
    );
    let refused = new
        .client
        .claim(&approved.id, &claim("0123456789abcdef"))
        .await;
    refused.unwrap_err();
    let link = question.link.replace(&old.url, &new.url);
    assert_ne!(new.get(&link).await.status, 200);
    // Agents submit again, and earlier decisions are proved by their receipts.
    let again = new.ask().await;
    new.approve(&again, ALICE).await;
    let keys = new.get(&format!("{}/api/keys", new.url)).await.body;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, keys).unwrap();
    let without: Vec<_> = settings
        .into_iter()
        .filter(|(name, _)| *name != "HO_LINK_KEYS")
        .collect();
    let (said, code) = run(&without, &["verify", "--keys", file.to_str().unwrap()]).await;
    assert!(
        code == 0 && said.contains("2 decisions proved by their receipts"),
        "{said}"
    );
}
