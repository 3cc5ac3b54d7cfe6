//! `human-oversight list` and `resend` as processes, beside a gate that runs.

use std::time::Duration;

use human_oversight::values::Timestamp;
use human_oversight_client::types::{NewApproval, Status};
use serde_json::{Value, json};

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::harness::{ALICE, BOB, Question, TestGate, object, request};
use crate::host::MASTER_KEY;
use crate::operate::{operate, send};
use crate::process::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_unsent_and_damaged_is_listed() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    gate.sweep().await;
    let (open, approved, damaged) = (gate.ask().await, gate.ask().await, gate.ask().await);
    let rejected = gate.ask().await;
    gate.approve(&approved, ALICE).await;
    gate.reject(&rejected, BOB, "no").await;
    let half = NewApproval {
        approver_emails: vec![ALICE.to_owned(), "gone@example.invalid".to_owned()],
        ..request()
    };
    let half = gate.client.submit(&half).await.unwrap();
    lock(&gate, &gate.question(&open, ALICE)).await;

    let (said, code) = run(&settings, &["list", "--open"]).await;
    assert_eq!(code, 0, "{said}");
    for (id, words) in [
        (&open.id, "Pending  until 2"),
        (&open.id, "emails Ok  locked links 1  UserManagerAgent"),
        (&approved.id, "Approved  until 2"),
        (&half.id, "emails Degraded  UserManagerAgent"),
    ] {
        let is_it = |line: &str| line.starts_with(id.as_str()) && line.contains(words);
        assert!(said.lines().any(is_it), "{id} {words} in {said}");
    }
    assert!(
        !said.contains(&rejected.id) && said.ends_with("4 open.\n"),
        "{said}"
    );

    let (said, code) = run(&settings, &["list", "--unsent", "--json"]).await;
    assert_eq!(code, 0, "{said}");
    let unsent: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // The notices of what was decided wait for the sweep, and were not tried.
    assert_eq!(unsent.len(), 1, "{said}");
    assert_eq!(unsent[0]["id"], half.id);
    assert_eq!(
        (
            &unsent[0]["kind"],
            &unsent[0]["to"],
            &unsent[0]["state"],
            &unsent[0]["fault"]
        ),
        (
            &json!("Question"),
            &json!("gone@example.invalid"),
            &json!("Failed"),
            &json!("Refused")
        )
    );

    let (said, code) = run(&settings, &["list", "--damaged"]).await;
    assert_eq!((said.as_str(), code), ("0 cannot be trusted.\n", 0));
    let rows = Table::of(azurite().port, settings[2].1);
    let mut row = rows
        .get("UserManagerAgent", &damaged.correlation_id)
        .await
        .unwrap();
    row.as_object_mut()
        .unwrap()
        .retain(|name, _| !name.starts_with("odata."));
    row["Reason"] = json!("another");
    rows.put(&row).await;
    let index = Table::of(azurite().port, &format!("open{}", settings[2].1));
    let foreign = json!({
        "PartitionKey": "0", "RowKey": "x", "Id": "?", "Due": "2026-01-01T00:00:00Z", "Due@odata.type": "Edm.DateTime",
    });
    index.put(&foreign).await;
    let (said, code) = run(&settings, &["list", "--damaged"]).await;
    assert_eq!(code, 1, "{said}");
    let name = format!(
        "row UserManagerAgent/{}: the row is damaged",
        damaged.correlation_id
    );
    assert!(said.contains(&name), "{said}");
    assert!(said.contains(": it is not of the gate"), "{said}");
    assert!(said.ends_with("2 cannot be trusted.\n"), "{said}");

    // Through the gate, without a key of the store: the same.
    let key = [("HO_MASTER_KEY", MASTER_KEY)];
    for what in ["--open", "--unsent", "--damaged"] {
        for form in [[].as_slice(), &["--json"]] {
            let list = [&["list", what], form].concat();
            let on_store = run(&settings, &list).await;
            let through = [&list[..], &["--url", &gate.url]].concat();
            assert_eq!(run(&key, &through).await, on_store, "{what}");
        }
    }
    let wrong = [("HO_MASTER_KEY", "a key of an agent")];
    let (said, code) = run(&wrong, &["list", "--unsent", "--url", &gate.url]).await;
    assert!(code == 2 && said.contains("takes the master key"), "{said}");

    let (said, code) = run(&settings, &["list"]).await;
    assert!(code == 2 && said.contains("--open"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_says_how_much_it_could_not_read_and_until_when_an_approval_can_be_claimed() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let (approved, damaged) = (gate.ask().await, gate.ask().await);
    gate.approve(&approved, ALICE).await;
    gate.tamper(&damaged.id, None, |row| row["Reason"] = json!("another"))
        .await;
    gate.store.settle().await;
    let until = gate.entity(&approved.id).await["RunBy"].clone();
    let until = Timestamp::parse(until.as_str().unwrap()).unwrap();

    let key = [("HO_MASTER_KEY", MASTER_KEY)];
    let list = async |what: &[&str]| {
        let list = [&["list"], what].concat();
        let on_store = run(&settings, &list).await;
        let through = [&list[..], &["--url", &gate.url]].concat();
        assert_eq!(run(&key, &through).await, on_store, "{what:?}");
        on_store
    };
    let (said, code) = list(&["--open"]).await;
    let line = format!("{}  Approved  until {until}  ", approved.id);
    assert!(code == 1 && said.starts_with(&line), "{line} in {said}");
    let end =
        "1 open.\n1 requests cannot be read or trusted; each of them may be open: see `verify`.\n";
    assert!(said.ends_with(end), "{said}");
    let (said, code) = list(&["--open", "--json"]).await;
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((lines.len(), code), (2, 1), "{said}");
    assert_eq!(lines[0]["claimBy"], until.to_string());
    assert_eq!(lines[1], json!({"unreadable": 1}));
    let (said, code) = list(&["--unsent", "--json"]).await;
    assert_eq!((said.as_str(), code), ("{\"unreadable\":1}\n", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_through_the_gate_goes_on_where_its_part_before_ended() {
    let gate = TestGate::start().await;
    gate.ask().await;
    let list = async |more: Value| {
        let mut body = json!({"command": "list", "what": "damaged"});
        body.as_object_mut().unwrap().extend(object(more));
        operate(&gate, body).await
    };
    // Each of the four tables is a part.
    let (mut next, mut parts) = (None, 1);
    loop {
        let part = list(next.map_or_else(|| json!({}), |from: String| json!({"from": from}))).await;
        assert!(part.get("damaged").is_none(), "{part}");
        match part["next"].as_str() {
            Some(from) => next = Some(from.to_owned()),
            None => break,
        }
        parts += 1;
    }
    assert_eq!(parts, 4);
    for (member, value) in [
        ("from", json!("requests")),
        ("from", json!("nowhere:")),
        ("from", json!("due:[1]")),
        ("what", json!("all")),
        ("id", json!("YQ.b")),
    ] {
        let mut body = json!({"command": "list", "what": "open"});
        body[member] = value;
        let answer = send(&gate, Some(MASTER_KEY), &body).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        assert!(
            answer.body.contains(&format!("\"/{member}\"")),
            "{}",
            answer.body
        );
    }
}

/// Enters five wrong codes.
async fn lock(gate: &TestGate, question: &Question) {
    for _ in 0..5 {
        let form = [("decision", "approve"), ("code", question.wrong_code())];
        gate.decide(question, &form).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_that_is_sent_again_asks_for_no_code_that_is_taken_no_longer() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    lock(&gate, &alice).await;
    std::fs::remove_dir_all(gate.mail_folder()).unwrap();
    let locked = "1 of them cannot be answered with an approval: the link is locked";
    let (said, code) = run(&settings, &["resend", &approval.id]).await;
    assert!(code == 0 && said.contains(locked), "{said}");
    gate.sweep().await;
    let key = [("HO_MASTER_KEY", MASTER_KEY)];
    let (said, code) = run(&key, &["resend", &approval.id, "--url", &gate.url]).await;
    assert!(code == 0 && said.contains(locked), "{said}");
    gate.sweep().await;
    let mails = gate.mails();
    let mail = mails.iter().find(|mail| mail.to == ALICE).unwrap();
    for text in [&mail.text, &mail.html] {
        assert!(text.contains("Approving by this link is locked"), "{text}");
        assert!(!text.contains(&alice.code), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_is_sent_again_to_those_whose_vote_is_needed() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let approval = gate.ask().await;
    std::fs::remove_dir_all(gate.mail_folder()).unwrap();
    let resend = ["resend", approval.id.as_str()];
    let (said, code) = run(&settings, &resend).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with("2 emails are sent again with the next sweep"),
        "{said}"
    );
    let (said, code) = run(&settings, &resend).await;
    assert!(code == 1 && said.starts_with("Nothing to send"), "{said}");
    gate.sweep().await;
    assert_eq!(gate.mails().len(), 2);
    // The link and the code are the same as before.
    gate.approve(&approval, ALICE).await;
    gate.sweep().await;
    let mails = gate.mails().len();
    let (said, code) = run(&settings, &resend).await;
    assert!(code == 1 && said.starts_with("Nothing to send"), "{said}");
    gate.sweep().await;
    assert_eq!(gate.mails().len(), mails);
    // Through the gate, without a key of the store.
    let waiting = gate.ask().await;
    let key = [("HO_MASTER_KEY", MASTER_KEY)];
    let through = ["resend", &waiting.id, "--url", &gate.url];
    std::fs::remove_dir_all(gate.mail_folder()).unwrap();
    let (said, code) = run(&key, &through).await;
    assert!(code == 0 && said.starts_with("2 emails"), "{said}");
    gate.sweep().await;
    assert_eq!(gate.mails().len(), 2);
    let unknown = ["resend", "YQ.unknown", "--url", &gate.url];
    let (said, code) = run(&key, &unknown).await;
    assert!(
        code == 2 && said.contains("no request has this id"),
        "{said}"
    );
    let (said, code) = run(&settings, &["resend", "YQ.unknown"]).await;
    assert!(
        code == 2 && said.contains("no request has this id"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_was_given_up_is_sent_again() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let approval = gate.ask().await;
    gate.reject(&approval, BOB, "no").await;
    std::fs::remove_dir_all(gate.mail_folder()).unwrap();
    std::fs::write(gate.mail_folder(), "in the way").unwrap();
    // The longest pause between two attempts is half an hour.
    for _ in 0..13 {
        gate.sweep().await;
        gate.pass(Duration::from_secs(1_801));
    }
    std::fs::remove_file(gate.mail_folder()).unwrap();
    gate.sweep().await;
    assert!(gate.mails().is_empty());
    let (said, code) = run(&settings, &["list", "--unsent"]).await;
    assert!(
        code == 0 && said.ends_with("2 not sent.\n") && said.contains("Failed 2"),
        "{said}"
    );
    let (said, code) = run(&settings, &["resend", &approval.id]).await;
    assert!(code == 0 && said.starts_with("2 emails"), "{said}");
    gate.sweep().await;
    assert_eq!(gate.mails().len(), 2);
    assert_eq!(gate.status(&approval.id).await.status, Status::Rejected);
}
