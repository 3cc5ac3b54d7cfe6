//! Revoking an approval before it is claimed, and the operator's list at the claim.

use human_oversight_client::types::{ExecutionStatus, Status};
use reqwest::StatusCode;

use crate::azurite::azurite;
use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Mail, Page, TestGate, mails, with_forms};
use crate::host::{KEY, MASTER_KEY};
use crate::process::{Process, run};

const CLAIM: &str = r#"{"nonce":"0123456789abcdef"}"#;

async fn claim(gate: &TestGate, id: &str) -> Page {
    gate.post(&format!("/api/claim/{id}"), CLAIM).await
}

#[tokio::test]
async fn an_approver_revokes_their_approval_with_the_code() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.sweep().await;
    let alice = gate.question(&approval, ALICE);

    // Until the agent has reported, the page tells the news, and its form is one link away.
    let status = gate.get(&alice.link).await;
    assert!(!status.body.contains("<form"), "{}", status.body);
    let forms = status.body.split("<a href=\"").nth(1).unwrap();
    let (forms, _) = forms.split_once("#revoke").unwrap();
    let forms = forms.replace("&#38;", "&");
    assert_eq!(format!("{}{forms}", gate.url), with_forms(&alice.link));
    let page = gate.get(&with_forms(&alice.link)).await;
    assert!(page.body.contains("value=\"revoke\""), "{}", page.body);
    assert!(!page.body.contains(">Refresh</a>"));
    let without_code = gate.send_form(&page, &[("decision", "revoke")]).await;
    assert_eq!(without_code.status, StatusCode::FORBIDDEN);
    let wrong = alice.wrong_code();
    let wrong = [("decision", "revoke"), ("code", wrong)];
    let wrong = gate.send_form(&page, &wrong).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.body.contains("4 tries left"), "{}", wrong.body);
    let status = gate.status(&approval.id).await;
    assert_eq!(status.execution, None);

    let revoked = gate
        .decide(&alice, &[("decision", "revoke"), ("code", &alice.code)])
        .await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER, "{}", revoked.body);
    let status = gate.status(&approval.id).await;
    assert_eq!(status.status, Status::Approved);
    assert_eq!(status.execution.unwrap().status, ExecutionStatus::Revoked);
    let refused = claim(&gate, &approval.id).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    let row = gate.entity(&approval.id).await;
    assert_eq!(row["Status"], "Approved");
    assert_eq!(row["ExecutionStatus"], "Revoked");
    assert_eq!(row["RevokedBy"], ALICE);

    let page = gate.get(&alice.link).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("Revoked by alice@example.com"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<form"), "{}", page.body);
    // Everyone who was asked gets a notice.
    gate.sweep().await;
    for person in [ALICE, BOB] {
        let told = gate
            .mails()
            .iter()
            .any(|mail| mail.to == person && mail.text.contains("Revoked by alice@example.com"));
        assert!(told, "{person}");
    }
}

/// Else it would follow, or come before, the email that takes it back, and say nothing of that.
#[tokio::test]
async fn an_approval_revoked_before_its_emails_are_sent_has_none_but_those_of_the_revocation() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    gate.approve(&approval, ALICE).await;
    gate.decide(&alice, &[("decision", "revoke"), ("code", &alice.code)])
        .await;
    gate.sweep().await;
    gate.sweep().await;
    let mails = gate.mails();
    for person in [ALICE, BOB] {
        let own = mails.iter().filter(|mail| mail.to == person);
        let states = own.filter_map(|mail| mail.subject.split(' ').next());
        let mut states: Vec<_> = states.collect();
        states.sort_unstable();
        assert_eq!(states, ["[Approve?]", "[Revoked]"], "{person}");
    }
}

#[tokio::test]
async fn nothing_else_revokes_an_approval() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let [alice, bob] = [ALICE, BOB].map(|person| gate.question(&approval, person));
    let pending = gate.get(&alice.link).await;
    // A pending request has nothing to revoke, and its form is no form of an approval.
    let early = [("decision", "revoke"), ("code", alice.code.as_str())];
    assert_eq!(
        gate.send_form(&pending, &early).await.status,
        StatusCode::CONFLICT
    );
    gate.approve(&approval, ALICE).await;
    assert_eq!(
        gate.send_form(&pending, &early).await.status,
        StatusCode::CONFLICT
    );
    // Bob did not give it.
    let page = gate.get(&with_forms(&bob.link)).await;
    assert!(!page.body.contains("value=\"revoke\""));
    let own = gate.get(&with_forms(&alice.link)).await;
    let fields = own.hidden_fields();
    let fields = fields.iter().map(|(name, value)| {
        let value = if name == "k" {
            bob.link.split_once("?k=").unwrap().1
        } else {
            value
        };
        (name.as_str(), value)
    });
    let fields = fields.chain([("decision", "revoke"), ("code", bob.code.as_str())]);
    let foreign = gate
        .post_form(&format!("{}{}", gate.url, own.action()), fields)
        .await;
    assert_eq!(foreign.status, StatusCode::CONFLICT);
    // The agent has it.
    assert_eq!(claim(&gate, &approval.id).await.status, StatusCode::OK);
    let late = gate.send_form(&own, &early).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(
        late.body.contains("can no longer be revoked"),
        "{}",
        late.body
    );
    let status = gate.status(&approval.id).await;
    assert_eq!(status.execution.unwrap().status, ExecutionStatus::Executing);
}

#[tokio::test]
async fn a_row_with_another_revocation_is_not_trusted() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let alice = gate.question(&approval, ALICE);
    gate.decide(&alice, &[("decision", "revoke"), ("code", &alice.code)])
        .await;
    gate.tamper(&approval.id, None, |row| {
        row["RevokedBy"] = "operator".into()
    })
    .await;
    let url = format!("{}/api/status/{}", gate.url, approval.id);
    assert_eq!(
        gate.get(&url).await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn the_list_of_approvers_counts_at_the_claim() {
    let listed = [("HO_ALLOWED_APPROVERS", "alice@example.com,bob@example.com")];
    let gate = TestGate::with(&listed).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;

    let left = [("HO_ALLOWED_APPROVERS", "bob@example.com")];
    let gate = TestGate::at(gate.dir, &left).await;
    let before = gate.stored().await;
    for path in [format!("/api/claim/{}", approval.id)] {
        let refused = gate.post(&path, CLAIM).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
        let kind = refused.problem()["type"].clone();
        assert_eq!(kind, "urn:human-oversight:problem:approver_not_allowed");
    }
    assert_eq!(gate.stored().await, before);

    // Once the list is mended it can be claimed, and a claim that was granted stays.
    let gate = TestGate::at(gate.dir, &listed).await;
    assert_eq!(claim(&gate, &approval.id).await.status, StatusCode::OK);
    let gate = TestGate::at(gate.dir, &left).await;
    assert_eq!(claim(&gate, &approval.id).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_approval_lapses_after_fifteen_minutes() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.pass(std::time::Duration::from_secs(15 * 60));
    assert_eq!(
        claim(&gate, &approval.id).await.status,
        StatusCode::CONFLICT
    );
    let status = gate.status(&approval.id).await;
    assert_eq!(status.execution.unwrap().status, ExecutionStatus::Lapsed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_revokes_on_the_store_of_a_gate_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    let file = [("HO_STORE", format!("embedded:{}", dir.path().display()))];
    let tables = backing_store::tables(azurite().port);
    for settings in [
        backing_store::borrowed(&file),
        backing_store::borrowed(&tables),
    ] {
        let often = [&settings[..], &[("HO_SWEEP_SECONDS", "1")]].concat();
        let process = Process::start(dir.path(), &often).await;
        let [revoked, running] = [
            process.approved(dir.path()).await,
            process.approved(dir.path()).await,
        ];
        let client = process.client();
        let nonce = crate::claim::claim("0123456789abcdef");
        client.claim(&running.id, &nonce).await.unwrap();

        let (said, code) = run(&settings, &["revoke", &revoked.id]).await;
        assert_eq!(code, 0, "{said}");
        assert!(
            said.starts_with(&format!("Revoked: {}.", revoked.id)),
            "{said}"
        );
        let refused = client.claim(&revoked.id, &nonce).await.unwrap_err();
        assert!(refused.to_string().contains("Revoked"), "{refused}");
        let (said, code) = run(&settings, &["revoke", &revoked.id]).await;
        assert_eq!(code, 0, "{said}");
        assert!(
            said.starts_with("It was revoked before, by operator at 20"),
            "{said}"
        );
        // The gate's sweep sends the notice.
        eventually(async || {
            let all = mails(&dir.path().join("mail"));
            let is_notice = |mail: &Mail| {
                mail.text.contains(&revoked.id) && mail.text.contains("Revoked by the operator")
            };
            all.iter().any(is_notice).then_some(())
        })
        .await;

        for (id, words) in [
            (
                running.id.as_str(),
                "it cannot be stopped: it is executing since 20",
            ),
            ("VXNlck1hbmFnZXJBZ2VudA.unknown", "no request has this id"),
            ("unknown", "not an approval id"),
        ] {
            let (said, code) = run(&settings, &["revoke", id]).await;
            assert!(code == 2 && said.contains(words), "{id}: {said}");
        }
        let version_1 = [&settings[..], &[("HO_ROWS", "1")]].concat();
        let (said, code) = run(&version_1, &["revoke", &running.id]).await;
        assert!(code == 2 && said.contains("With HO_ROWS=1"), "{said}");
        let (said, code) = run(&settings, &["verify"]).await;
        assert_eq!(code, 0, "{said}");
        // A gate without a host takes the command from this machine.
        let through = ["revoke", &revoked.id, "--url", &process.url];
        let (said, code) = run(&[], &through).await;
        assert!(code == 0 && said.contains("revoked before"), "{said}");
        let log = process.kill().await;
        let lines = log.matches("approval revoked by the operator").count();
        assert_eq!(lines, 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_names_the_keys_that_it_misses_and_refuses_those_of_another_gate() {
    let settings = backing_store::tables(azurite().port);
    let gate = TestGate::with(&backing_store::borrowed(&settings)).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    for (name, with_foreign) in [
        ("HO_LINK_KEYS", "the store cannot be used"),
        ("HO_RECEIPT_KEYS", "cannot be trusted"),
    ] {
        let mut without = backing_store::borrowed(&settings);
        without.retain(|(setting, _)| *setting != name);
        let (said, code) = run(&without, &["revoke", &approval.id]).await;
        assert!(
            code == 2 && said.contains(&format!("without {name}")),
            "{said}"
        );
        // The keys of another gate sign nothing.
        let foreign = backing_store::tables(azurite().port);
        let foreign = foreign
            .iter()
            .find(|(setting, _)| *setting == name)
            .unwrap();
        without.push((name, &foreign.1));
        let (said, code) = run(&without, &["revoke", &approval.id]).await;
        assert!(code == 2 && said.contains(with_foreign), "{said}");
    }
    assert_eq!(claim(&gate, &approval.id).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_the_gate_the_command_needs_the_master_key_alone() {
    let gate = TestGate::start().await;
    let [approval, running] = [gate.ask().await, gate.ask().await];
    gate.approve(&approval, ALICE).await;
    gate.approve(&running, ALICE).await;
    assert_eq!(claim(&gate, &running.id).await.status, StatusCode::OK);
    let revoke = |id: &str| ["revoke", id, "--url", &gate.url].map(str::to_owned);
    let command = async |key: &str, id: &str| {
        let arguments = revoke(id);
        run(
            &[("HO_MASTER_KEY", key)],
            &arguments.each_ref().map(String::as_str),
        )
        .await
    };
    let (said, code) = command(KEY, &approval.id).await;
    assert!(
        code == 2 && said.contains("does not accept HO_MASTER_KEY"),
        "{said}"
    );
    assert_eq!(gate.status(&approval.id).await.execution, None);
    let (said, code) = command(MASTER_KEY, &approval.id).await;
    assert!(code == 0 && said.starts_with("Revoked: "), "{said}");
    let execution = gate.status(&approval.id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::Revoked);
    let (said, code) = command(MASTER_KEY, &approval.id).await;
    assert!(
        code == 0 && said.contains("revoked before, by operator"),
        "{said}"
    );
    let (said, code) = command(MASTER_KEY, &running.id).await;
    assert!(
        code == 2 && said.contains("it is executing since"),
        "{said}"
    );
    let (said, code) = command(MASTER_KEY, "VXNlck1hbmFnZXJBZ2VudA.unknown").await;
    assert!(
        code == 2 && said.contains("no request has this id"),
        "{said}"
    );
}
