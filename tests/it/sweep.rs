//! The sweep: `POST /sweep`.

use std::sync::Arc;
use std::time::Duration;

use human_oversight::domain;
use human_oversight::values::Timestamp;
use human_oversight_client::Client;
use human_oversight_client::types::{Deliverable, ExecutionStatus, MailState, Status};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::claim::claim;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, TestGate, for_alice, http, request};
use crate::host::OTHER_KEY;
use crate::process::Process;
use crate::proxy::{Fault, Proxy};
use crate::smtp::{Smtp, SmtpFault};
use crate::tables::operation;

#[tokio::test]
async fn the_timer_gets_the_response_that_the_host_expects() {
    let gate = TestGate::start().await;
    for _ in 0..2 {
        assert_eq!(
            gate.sweep().await,
            "0 due, 0 emails sent, 0 not sent, 0 failed, 0 set aside, complete: true"
        );
        let answer = gate.http.post(gate.direct("/sweep")).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(
            (&answer["Outputs"], &answer["ReturnValue"]),
            (&json!({}), &json!(null))
        );
    }
}

#[tokio::test]
async fn a_forwarded_request_cannot_start_the_sweep() {
    let gate = TestGate::start().await;
    // A gate for local development refuses what only a proxy adds, whatever is called.
    for (header, status) in [
        ("x-forwarded-for", 404),
        ("x-arr-log-id", 403),
        ("disguised-host", 403),
    ] {
        let call = gate
            .http
            .post(gate.direct("/sweep"))
            .header(header, "127.0.0.1");
        assert_eq!(call.send().await.unwrap().status(), status, "{header}");
    }
}

#[tokio::test]
async fn a_timeout_is_stored_and_each_approver_notified_once() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.pass(Duration::from_secs(3_600));
    gate.sweep().await;
    assert!(gate.stored().await[0].2.contains(r#""Status":"Timeout""#));
    // The outcome notices were planned by the same write, and sent by the same sweep.
    gate.sweep().await;
    let notices: Vec<_> = gate
        .mails()
        .into_iter()
        .filter(|mail| mail.text.contains("Expired: no decision"))
        .collect();
    assert_eq!(notices.len(), 2);
    let row = gate.entity(&approval.id).await["Notifications"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        row.matches(r#""kind":"Outcome","attempts":1,"state":"Sent""#)
            .count(),
        2,
        "{row}"
    );
    for notice in &notices {
        assert!(notice.subject.starts_with("[Expired] "));
        assert!(
            notice.answers.is_some(),
            "the notice replies to the request's email"
        );
    }
    let before = gate.stored().await;
    gate.sweep().await;
    gate.pass(Duration::from_secs(86_400));
    gate.sweep().await;
    assert_eq!(gate.stored().await, before, "nothing is due");
    assert_eq!(gate.status(&approval.id).await.status, Status::Timeout);
}

#[tokio::test]
async fn reminders_are_sent_at_50_and_85_percent_until_the_decision() {
    let gate = TestGate::start().await;
    let (forgotten, decided) = (gate.ask().await, gate.ask().await);
    let short = {
        let mut short = request();
        short.timeout_seconds = Some(599);
        gate.client.submit(&short).await.unwrap()
    };
    let count = |gate: &TestGate, id: &str, words: &str| {
        gate.mails()
            .iter()
            .filter(|m| m.text.contains(id) && m.text.contains(words))
            .count()
    };
    gate.sweep().await;
    assert_eq!(gate.mails().len(), 6, "no reminder is due");
    gate.pass(Duration::from_secs(1_800));
    gate.sweep().await;
    assert_eq!(count(&gate, &forgotten.id, "Reminder: an agent"), 2);
    assert_eq!(
        count(&gate, &short.id, "reminder"),
        0,
        "a short request gets no reminder"
    );
    let reminder = gate
        .mails()
        .into_iter()
        .find(|m| m.text.contains("Reminder: an agent"))
        .unwrap();
    assert!(
        reminder.text.contains("30 minutes after") || reminder.text.contains("29 minutes after")
    );
    let links: Vec<_> = gate
        .mails()
        .into_iter()
        .filter(|m| m.to == ALICE && m.text.contains(&forgotten.id))
        .map(|m| {
            m.text
                .lines()
                .find(|line| line.contains("/decision/"))
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(links[0], links[1], "the reminder carries the same link");

    gate.reject(&decided, BOB, "no").await;
    gate.pass(Duration::from_secs(1_260));
    gate.sweep().await;
    gate.sweep().await;
    assert_eq!(count(&gate, &forgotten.id, "Final reminder"), 2);
    assert_eq!(count(&gate, &decided.id, "Final reminder"), 0);
    assert_eq!(count(&gate, &decided.id, "Rejected by bob@example.com"), 2);
}

#[tokio::test]
async fn a_failed_email_is_retried_until_sent() {
    let gate = TestGate::start().await;
    // A file prevents the creation of the mail folder.
    std::fs::write(gate.mail_folder(), "in the way").unwrap();
    let approval = gate.ask().await;
    assert_eq!(
        (approval.status, approval.deliverable),
        (Status::Pending, Deliverable::None)
    );
    assert_eq!(approval.notifications[0].state, MailState::Queued);
    gate.pass(Duration::from_secs(10));
    gate.sweep().await;
    assert_eq!(
        gate.status(&approval.id).await.notifications[0].attempts,
        1,
        "not yet"
    );
    gate.pass(Duration::from_secs(20));
    gate.sweep().await;
    let second = gate.status(&approval.id).await.notifications[0].clone();
    assert_eq!((second.attempts, second.state), (2, MailState::Queued));

    std::fs::remove_file(gate.mail_folder()).unwrap();
    gate.pass(Duration::from_secs(60));
    gate.sweep().await;
    let approval = gate.status(&approval.id).await;
    assert_eq!(approval.deliverable, Deliverable::Ok);
    assert_eq!(approval.notifications[0].attempts, 3);
    assert_eq!(gate.mails().len(), 2, "one email for each approver");
    gate.approve(&approval, ALICE).await;
}

#[tokio::test]
async fn an_email_is_sent_again_after_its_lease_expires() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    // The row of a process that died between the insert and the email.
    let lease = Timestamp::parse(&approval.request_timestamp).unwrap() + Duration::from_secs(60);
    let mut row = gate.store.get(&approval.id.parse().unwrap()).await.unwrap();
    row.approval.approvers[0].deliveries[0].state = domain::DeliveryState::Sending(lease);
    gate.store.replace(row, Some(lease)).await.unwrap();
    std::fs::remove_dir_all(gate.mail_folder()).unwrap();
    let sending = gate.status(&approval.id).await;
    assert_eq!(sending.notifications[0].state, MailState::Sending);
    gate.sweep().await;
    assert!(gate.mails().is_empty(), "the lease has not expired");
    gate.pass(Duration::from_secs(60));
    gate.sweep().await;
    assert_eq!(gate.mails().len(), 1, "one email is sent again");
    assert_eq!(
        gate.status(&approval.id).await.notifications[0].state,
        MailState::Sent
    );
}

#[tokio::test]
async fn one_sweep_processes_hundreds_of_due_rows() {
    let gate = TestGate::start().await;
    for _ in 0..10 {
        futures_util::future::join_all((0..25).map(|_| gate.ask())).await;
    }
    gate.pass(Duration::from_secs(3_600));
    let answer = gate.sweep().await;
    assert_eq!(
        answer,
        "250 due, 500 emails sent, 0 not sent, 0 failed, 0 set aside, complete: true"
    );
    for (_, _, row) in gate.stored().await {
        assert!(row.contains(r#""Status":"Timeout""#));
    }
}

#[tokio::test]
async fn a_row_due_by_older_settings_is_rescheduled_once() {
    let gate = TestGate::with(&[("HO_OUTCOME_WITHIN", "60")]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let claim = claim("0123456789abcdef");
    gate.client.claim(&approval.id, &claim).await.unwrap();
    gate.sweep().await;
    let later = TestGate::at(gate.dir, &[("HO_OUTCOME_WITHIN", "86400")]).await;
    later.pass(Duration::from_secs(120));
    assert!(
        later
            .sweep()
            .await
            .starts_with("1 due, 0 emails sent, 0 not sent, 0 failed")
    );
    assert!(later.sweep().await.starts_with("0 due"));
    later.pass(Duration::from_secs(86_400));
    assert!(later.sweep().await.starts_with("1 due"));
    let execution = later.status(&approval.id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionUnknown);
}

/// A sweep has nothing to do but to store when a request is due next, and the agent reports just then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_changes_while_a_sweep_stores_its_due_time_is_no_failure() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let store = backing_store::borrowed(&store);
    let within = |seconds| [&store[..], &[("HO_OUTCOME_WITHIN", seconds)]].concat();
    let gate = TestGate::with(&within("60")).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let claim = claim("0123456789abcdef");
    gate.client.claim(&approval.id, &claim).await.unwrap();
    gate.sweep().await;
    let later = TestGate::with(&within("86400")).await;
    later.pass(Duration::from_secs(120));
    proxy.clear();
    let is_write = |request: &str| operation(request) == "PUT approvals";
    let released = Arc::new(Semaphore::new(0));
    proxy.fault(is_write, Fault::Hold(released.clone()));
    let reporting = async {
        eventually(async || proxy.requests().iter().any(|it| is_write(it)).then_some(())).await;
        let (path, report) = (
            format!("/api/outcome/{}", approval.id),
            r#"{"status":"Executed"}"#,
        );
        let reported = later.post(&path, report).await;
        released.add_permits(1);
        assert_eq!(reported.status, 200, "{}", reported.body);
    };
    let (swept, ()) = tokio::join!(later.sweep(), reporting);
    assert_eq!(
        swept,
        "1 due, 0 emails sent, 0 not sent, 0 failed, 0 set aside, complete: true"
    );
    let execution = later.status(&approval.id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::Executed);
}

/// The timer of a process that sweeps when a test says so.
async fn sweep(gate: &Process) -> String {
    let swept = http().build().unwrap().post(format!("{}/sweep", gate.url));
    let swept = swept.send().await.unwrap();
    let swept: Value = serde_json::from_slice(&swept.bytes().await.unwrap()).unwrap();
    swept["Logs"][0].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_cannot_be_trusted_is_set_aside_and_logged_once() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    let (damaged, sound) = (gate.ask().await, gate.ask().await);
    // The first sweep marks the index as whole; the next one would otherwise write its entries again.
    gate.sweep().await;
    let rows = Table::of(azurite().port, settings[2].1);
    let key = damaged.correlation_id.as_str();
    let mut genuine = rows.get("UserManagerAgent", key).await.unwrap();
    // Azurite would store what the service adds.
    let columns = genuine.as_object_mut().unwrap();
    columns.retain(|name, _| !name.starts_with("odata."));
    let mut changed = genuine.clone();
    changed["Reason"] = json!("SECRET-REASON");
    let index = Table::of(azurite().port, &format!("open{}", settings[2].1));
    let entries = index.rows().await;
    let mut entry = entries
        .into_iter()
        .find(|entry| entry["Id"] == damaged.id)
        .unwrap();
    entry["Due"] = json!("2026-01-01T00:00:00Z");
    for (key, id) in [("SECRET-KEY", "YQ.x"), ("0", "SECRET-ID")] {
        let foreign = json!({
            "PartitionKey": "0", "RowKey": key, "Id": id,
            "Due": entry["Due"], "Due@odata.type": "Edm.DateTime",
        });
        index.put(&foreign).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let seldom = [&settings[..], &[("HO_SWEEP_SECONDS", "3600")]].concat();
    let process = Process::start(folder.path(), &seldom).await;
    // What was repaired is logged again if it is damaged again.
    for (row, set_aside) in [(&changed, 3), (&genuine, 2), (&changed, 3)] {
        rows.put(row).await;
        index.put(&entry).await;
        for _ in 0..2 {
            let swept = sweep(&process).await;
            let expected = format!("0 failed, {set_aside} set aside, complete: true");
            assert!(swept.ends_with(&expected), "{swept}");
        }
    }
    gate.pass(Duration::from_secs(3_600));
    let swept = gate.sweep().await;
    assert_eq!(
        swept,
        "4 due, 2 emails sent, 0 not sent, 0 failed, 3 set aside, complete: true"
    );
    assert_eq!(gate.status(&sound.id).await.status, Status::Timeout);
    let log = process.kill().await;
    let problems = log
        .lines()
        .filter(|line| line.contains("integrity problem"));
    assert_eq!(problems.count(), 4, "{log}");
    assert!(
        log.contains(&format!("integrity problem id=\"{}\"", damaged.id)),
        "{log}"
    );
    assert!(!log.contains("SECRET"), "{log}");
}

#[tokio::test]
async fn no_owner_waits_behind_the_emails_of_another() {
    let smtp = Smtp::plain().await;
    let url = smtp.url();
    let gate = TestGate::with(&[
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &url),
        ("HO_MAIL_FROM", "gate@example.com"),
    ])
    .await;
    // Each email holds one of the three connections for a second.
    smtp.always(Some(SmtpFault::SilenceAtQuit));
    let other = Client::new(&gate.url, Some(OTHER_KEY)).unwrap();
    let question = request();
    let flood = (0..40).map(|_| gate.client.submit(&question));
    let flood = futures_util::future::join_all(flood);
    let calm = async {
        eventually(async || (gate.stored().await.len() == 40).then_some(())).await;
        let started = std::time::Instant::now();
        let approval = other.submit(&for_alice()).await.unwrap();
        assert_eq!(approval.deliverable, Deliverable::Ok);
        started.elapsed()
    };
    let (_, waited) = futures_util::join!(flood, calm);
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}
