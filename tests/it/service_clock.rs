//! A machine whose clock differs from that of the table service, as the dates of its answers show.

use std::time::Duration;

use human_oversight_client::types::{ExecutionStatus, Status};
use reqwest::StatusCode;

use crate::azurite::azurite;
use crate::backing_store;
use crate::claim::claim;
use crate::harness::{ALICE, Log, TestGate, request, with_forms};
use crate::host::{Invocation, tick};
use crate::process::run;
use crate::proxy::Proxy;
use crate::quorum;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_with_a_wrong_clock_dates_no_decision_and_no_claim() {
    let (gate, proxy) = backing_store::behind_a_proxy(&[]).await;
    let (open, approved) = (gate.ask().await, gate.ask().await);
    gate.approve(&approved, ALICE).await;
    let question = gate.question(&open, ALICE);
    let page = gate.get(&question.link).await;
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    for ahead in [-301, 301, 86_400] {
        proxy.shift_clock(ahead);
        let answer = gate.send_form(&page, &form).await;
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{ahead}: {}",
            answer.body
        );
        let claimed = gate
            .client
            .claim(&approved.id, &claim("0123456789abcdef"))
            .await;
        let error = claimed.unwrap_err().to_string();
        assert!(
            error.contains("503") || error.contains("not available"),
            "{error}"
        );
        // Nor does the protocol that claims with its answer, or a submit that would set a deadline.
        let mut new = request();
        new.correlation_id = Some(approved.correlation_id.clone());
        for (path, body) in [
            ("/api/submit?wait=1", serde_json::to_string(&new).unwrap()),
            ("/api/submit", serde_json::to_string(&request()).unwrap()),
        ] {
            let refused = gate.post(path, body).await;
            assert_eq!(refused.status, 503, "{ahead} {path}: {}", refused.body);
        }
        // Reading goes on, and nothing was stored.
        let read = gate.status(&open.id).await;
        assert_eq!(read.status, open.status);
        assert_eq!(gate.status(&approved.id).await.execution, None);
    }
    proxy.shift_clock(-290);
    assert_eq!(
        gate.send_form(&page, &form).await.status,
        StatusCode::SEE_OTHER
    );
    gate.client
        .claim(&approved.id, &claim("0123456789abcdef"))
        .await
        .unwrap();
}

/// Whether it takes back a vote, which may reject the request, or the approval.
#[tokio::test]
async fn a_gate_with_a_wrong_clock_revokes_nothing() {
    let (gate, proxy) = backing_store::behind_a_proxy(&[("HO_POLICY", quorum::POLICY)]).await;
    let voted = gate.client.submit(&quorum::payment(60)).await.unwrap();
    let approved = gate.ask().await;
    let mut pages = Vec::new();
    for asked in [&voted, &approved] {
        gate.approve(asked, ALICE).await;
        let question = gate.question(asked, ALICE);
        let page = gate.get(&with_forms(&question.link)).await;
        pages.push((page, question.code));
    }
    let stored = gate.stored().await;
    for ahead in [-301, 301] {
        proxy.shift_clock(ahead);
        for (page, code) in &pages {
            let form = [("decision", "revoke"), ("code", code.as_str())];
            let answer = gate.send_form(page, &form).await;
            assert_eq!(answer.status, 503, "{ahead}: {}", answer.body);
        }
    }
    assert_eq!(gate.stored().await, stored);
    proxy.shift_clock(-290);
    for (page, code) in &pages {
        let form = [("decision", "revoke"), ("code", code.as_str())];
        let answer = gate.send_form(page, &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    }
    assert_eq!(gate.status(&voted.id).await.status, Status::Rejected);
    let revoked = gate.status(&approved.id).await.execution.unwrap();
    assert_eq!(revoked.status, ExecutionStatus::Revoked);
}

/// By the clock of another machine, people may have decided before.
#[tokio::test]
async fn a_gate_with_a_wrong_clock_withdraws_nothing() {
    let (gate, proxy) = backing_store::behind_a_proxy(&[]).await;
    let approval = gate.ask().await;
    gate.sweep().await;
    let stored = gate.stored().await;
    let url = format!("{}/api/withdraw/{}", gate.url, approval.id);
    let withdraw = async || gate.http.post(&url).send().await.unwrap().status();
    for ahead in [-301, 301] {
        proxy.shift_clock(ahead);
        assert_eq!(withdraw().await, StatusCode::SERVICE_UNAVAILABLE);
    }
    // It has timed out by this clock alone.
    gate.pass(Duration::from_secs(3_700));
    assert_eq!(withdraw().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gate.stored().await, stored);
    gate.back(Duration::from_secs(3_700));
    proxy.shift_clock(-290);
    assert_eq!(withdraw().await, StatusCode::OK);
    assert_eq!(gate.status(&approval.id).await.status, Status::Cancelled);
}

#[tokio::test]
async fn a_gate_with_a_wrong_clock_ends_nothing_by_the_time() {
    let (gate, proxy) = backing_store::behind_a_proxy(&[]).await;
    let approval = gate.ask().await;
    gate.sweep().await;
    gate.pass(Duration::from_secs(3_700));
    let stored = gate.stored().await;
    proxy.shift_clock(301);
    let log = Log::default();
    let collecting = log.collect();
    let status = format!("{}/api/status/{}", gate.url, approval.id);
    // By this clock it has timed out; by that of another machine a person may still approve it.
    let told = gate.get(&status).await;
    assert_eq!(told.status, 503, "{}", told.body);
    let swept = tick(gate.handler, "sweep").await;
    assert!(!matches!(swept, Invocation::Succeeded { .. }), "{swept:?}");
    drop(collecting);
    assert_eq!(gate.stored().await, stored);
    let cause = "the clock of this machine is 301 s behind the store's clock";
    for words in [
        format!("failed status=503 id=\"{}\"", approval.id),
        format!("the sweep ends nothing and sends nothing cause=\"{cause}\""),
    ] {
        let is_it = |line: &&String| line.contains(&words) && line.contains(cause);
        assert_eq!(
            log.lines().iter().filter(is_it).count(),
            1,
            "{words} in {:#?}",
            log.lines()
        );
    }
    proxy.shift_clock(0);
    gate.sweep().await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Timeout);
}

#[tokio::test]
async fn a_clock_that_differs_is_logged_once_and_so_is_its_end() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let log = Log::default();
    {
        let _collecting = log.collect();
        let gate = TestGate::with(&backing_store::borrowed(&store)).await;
        for ahead in [-40, -40, 0, 0] {
            proxy.shift_clock(ahead);
            gate.sweep().await;
        }
    }
    let lines = log.lines();
    for words in [
        "the clock of this machine differs from that of the table service ahead_s=4",
        "the clock of this machine agrees with that of the table service again",
    ] {
        let count = lines.iter().filter(|line| line.contains(words)).count();
        assert_eq!(count, 1, "{words} in {lines:#?}");
    }
}

/// The same thresholds in health, in `check`, in the log, and in what is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_check_judge_the_clock_as_the_gate_does() {
    let proxy = Proxy::start(azurite().port).await;
    let store = backing_store::tables(proxy.port);
    let settings = backing_store::borrowed(&store);
    let gate = TestGate::with(&settings).await;
    gate.sweep().await;
    for (ahead, status, words) in [
        (0, "ok", " s ahead of the store's clock"),
        (-40, "warning", "s ahead of the store's clock"),
        (200, "warning", "s behind the store's clock"),
        (310, "failed", "until its clock is right"),
    ] {
        proxy.shift_clock(ahead);
        let health = gate.get(&format!("{}/api/health", gate.url)).await.json();
        let clock = &health["checks"]["clock"];
        assert_eq!(clock["status"], status, "{ahead}: {health}");
        assert!(
            clock["detail"].as_str().unwrap().contains(words),
            "{health}"
        );
        let (said, _) = run(&settings, &["check"]).await;
        let is_it = |line: &str| line.starts_with(status) && line.contains(" clock ");
        assert!(said.lines().any(is_it), "{ahead}: {said}");
    }
}
