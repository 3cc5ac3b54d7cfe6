//! A decision that the sweep cannot keep at first, while other things go wrong too: later it can.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{is_decided, kept, payment, refusal, submit};
use crate::azurite::azurite;
use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{ALICE, Question, TestGate};
use crate::host::tick;
use crate::proxy::{Fault, Proxy};
use crate::smtp::Smtp;
use crate::tables::operation;

fn writes_row(request: &str) -> bool {
    operation(request) == "PUT approvals"
}

#[tokio::test]
async fn a_conflict_of_no_write_of_the_sweep_loses_it() {
    for before in 0..4 {
        let (gate, proxy) = backing_store::behind_a_proxy(&[]).await;
        let rejected = submit(&gate, &payment(180.0, "DE1"), ALICE).await;
        // Of the process that decides, and of the sweep.
        proxy.fault(is_decided("POST "), refusal());
        proxy.fault(is_decided("POST "), refusal());
        gate.reject(&rejected, ALICE, "No.").await;
        eventually(async || {
            let tried = proxy.requests();
            tried.iter().any(|it| is_decided("POST ")(it)).then_some(())
        })
        .await;
        // One of the writes of the row, the last of which makes it due again.
        for _ in 0..before {
            proxy.fault(writes_row, Fault::Delay(Duration::ZERO));
        }
        let conflict = Fault::Answer {
            status: 412,
            retry_after: None,
            body: "",
        };
        proxy.fault(writes_row, conflict);
        tick(gate.handler, "sweep").await;
        assert_eq!(kept(&gate).await.len(), 0);
        for _ in 0..2 {
            gate.pass(Duration::from_secs(61));
            tick(gate.handler, "sweep").await;
        }
        assert_eq!(kept(&gate).await.len(), 1, "{before}");
    }
}

/// The sweep has read the request before it was decided, and ends its being due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_during_the_sweep_is_not_lost() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let smtp = Smtp::plain().await;
    smtp.down(true);
    let (direct, url) = (azurite().connection_string(), smtp.url());
    // Its email about the rejection is left to the sweep.
    let own = [
        ("HO_TABLES_CONNECTION_STRING", &*direct),
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &url),
        ("HO_MAIL_FROM", "gate@example.com"),
    ];
    let sweeping = backing_store::borrowed(&store);
    let deciding = [&own[..], &sweeping[..]].concat();
    let sweeping = TestGate::with(&sweeping).await;
    let deciding = TestGate::with(&deciding).await;
    let asked = submit(&sweeping, &payment(180.0, "DE1"), ALICE).await;
    let question = sweeping.question(&asked, ALICE);
    let question = Question {
        link: question.link.replace(&sweeping.url, &deciding.url),
        ..question
    };
    // A reminder is due.
    sweeping.pass(Duration::from_secs(1_900));
    let is_decided_now = Arc::new(Semaphore::new(0));
    proxy.fault(writes_row, Fault::Hold(is_decided_now.clone()));
    proxy.fault(is_decided("POST "), refusal());
    let overtaking = async {
        eventually(async || {
            proxy
                .requests()
                .iter()
                .any(|it| writes_row(it))
                .then_some(())
        })
        .await;
        let form = [("decision", "reject"), ("code", question.code.as_str())];
        deciding.decide(&question, &form).await;
        // As if that process had died before it kept the decision.
        deciding.until_kept(1).await;
        let stored = deciding.store.get(&asked.id.parse().unwrap()).await;
        let stored = stored.unwrap().approval;
        deciding.store.delete_decided(&stored).await.unwrap();
        is_decided_now.add_permits(1);
    };
    proxy.clear();
    tokio::join!(sweeping.sweep(), overtaking);
    assert!(proxy.all_faults_applied());
    assert_eq!(kept(&sweeping).await.len(), 0);
    sweeping.pass(Duration::from_secs(61));
    sweeping.sweep().await;
    assert_eq!(kept(&sweeping).await.len(), 1);
}
