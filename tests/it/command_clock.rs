//! The operator's commands on the store, on a machine whose clock is wrong.

use std::time::Duration;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::grants::{self, given, list};
use crate::harness::{ALICE, TestGate};
use crate::process::run;
use crate::proxy::Proxy;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_with_a_wrong_clock_writes_nothing_by_the_time() {
    let proxy = Proxy::start(azurite().port).await;
    let settings = backing_store::tables(proxy.port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    let (approved, rejected) = (gate.ask().await, gate.ask().await);
    gate.approve(&approved, ALICE).await;
    gate.reject(&rejected, ALICE, "no").await;
    gate.sweep().await;
    gate.until_kept(2).await;
    let tables =
        ["", "standing"].map(|kind| Table::of(azurite().port, &format!("{kind}{}", settings[2].1)));
    let rows = async || [tables[0].rows().await, tables[1].rows().await];
    let before = rows().await;
    let writing: [&[&str]; 9] = [
        &["pause", "--because", "x", "--again-after", "0"],
        &["resume"],
        &["revoke", &approved.id],
        &["allow", &rejected.id],
        &["grants", "revoke", "0123456789abcdef"],
        &["webhooks", "enable", "ledger"],
        &["webhooks", "redeliver", "--all"],
        &["resend", &approved.id],
        &["purge", "--older-than", "0", "--delete"],
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (actions, policy) = (path("actions.jsonl"), path("policy.toml"));
    std::fs::write(&actions, "").unwrap();
    std::fs::write(&policy, "version = 1\n").unwrap();
    let (since, until) = ("2026-01-01", "2026-01-02");
    let judging = ["reconcile", "--actions", &actions, "--since", since];
    let reading: [&[&str]; 8] = [
        &["list", "--open"],
        &["grants"],
        &["webhooks"],
        &["executing"],
        &["verify"],
        &["purge", "--older-than", "0"],
        &judging,
        &["policy", "rehearse", &policy],
    ];
    for (ahead, off, folder) in [
        (-400, "s ahead of the store's clock", path("ahead")),
        (400, "s behind the store's clock", path("behind")),
    ] {
        proxy.shift_clock(ahead);
        for arguments in writing {
            let (said, code) = run(&settings, arguments).await;
            assert!(
                code == 2 && said.contains("the clock of this machine is") && said.contains(off),
                "{arguments:?}: {code} {said}"
            );
        }
        assert_eq!(rows().await, before);
        let period = ["--since", since, "--until", until];
        let evidence = [&["evidence", "--output", &folder][..], &period].concat();
        for arguments in reading.into_iter().chain([&evidence[..]]) {
            let (said, code) = run(&settings, arguments).await;
            assert!(
                code == 0 && said.contains("the clock of this machine is") && said.contains(off),
                "{arguments:?}: {code} {said}"
            );
        }
    }
    proxy.shift_clock(-200);
    let (said, code) = run(&settings, &["revoke", &approved.id]).await;
    assert!(code == 0 && said.starts_with("Revoked: "), "{said}");
}

/// The machine of the operator is ahead of the gate, by which the grant still approves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_ended_although_the_clock_of_the_command_says_that_it_is_over() {
    let gate = TestGate::with(&[("HO_POLICY", grants::POLICY)]).await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    gate.back(Duration::from_secs(3_600 + 500));
    given(&gate, "10").await;
    let pause = ["pause", "--because", "x", "--again-after", "0"];
    for command in [&pause[..], &["resume"]] {
        let (said, code) = run(&settings, command).await;
        assert_eq!(code, 0, "{said}");
    }
    assert_ne!(list(&gate).await[0]["state"], "active");
    assert_eq!(
        grants::submit(&gate).await.status,
        human_oversight_client::types::Status::Pending
    );
    // The operator's own end of one does not depend on any clock.
    gate.back(Duration::from_secs(86_400));
    given(&gate, "10").await;
    let listed = list(&gate).await;
    let active = listed
        .iter()
        .find(|grant| grant["state"] == "active")
        .unwrap();
    let revoke = ["grants", "revoke", active["id"].as_str().unwrap()];
    let (said, code) = run(&settings, &revoke).await;
    assert!(code == 0 && said.starts_with("Revoked: "), "{said}");
    let (said, code) = run(&settings, &revoke).await;
    assert!(
        code == 0 && said.starts_with("It had ended before: "),
        "{said}"
    );
    assert!(
        list(&gate)
            .await
            .iter()
            .all(|grant| grant["state"] != "active")
    );
}
