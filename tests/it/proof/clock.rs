//! Clock differences between processes, leap days and clock changes, and a day without a sweep.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use human_oversight::domain::{Approval, EventKind, Status};
use human_oversight::values::{ApprovalId, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::record;
use super::simulation::{Call, Response, Service, Settings};
use crate::harness::{ALICE, BOB, TestGate, mails};

/// The differences between two clocks, in seconds.
const SKEWS: [i64; 9] = [0, 1, -1, 29, -29, 31, -31, 3_600, -3_600];

/// Seconds until a request expires, an approval lapses, and a missing outcome becomes unknown.
const WITHIN: i64 = 7_200;

/// One table, shared by processes of the gate whose clocks differ.
struct Clocks {
    settings: Settings,
    service: Arc<Service>,
    millis: Arc<AtomicI64>,
    dir: TempDir,
}

impl Clocks {
    fn at(start: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start = Timestamp::parse(start).unwrap();
        Self {
            settings: Settings::new(dir.path(), WITHIN.unsigned_abs()),
            service: Arc::default(),
            millis: Arc::new(AtomicI64::new(start.unix_millis())),
            dir,
        }
    }

    fn pass(&self, seconds: i64) {
        self.millis.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    /// Sends a call to a process whose clock is ahead by `skew` seconds.
    async fn send(&self, skew: i64, call: Call) -> Response {
        let gate = self
            .settings
            .gate(&self.service, None, &self.millis, skew * 1_000);
        call.send(gate).await
    }

    async fn row(&self, id: &ApprovalId) -> Approval {
        let gate = self.settings.gate(&self.service, None, &self.millis, 0);
        gate.store.get(id).await.unwrap().approval
    }

    async fn submit(&self, skew: i64, correlation: &str, more: &[(&str, Value)]) -> ApprovalId {
        let mut body = json!({
            "agentName": "agent",
            "correlationId": correlation,
            "actionDescription": "Delete User Account",
            "parameters": {"user_id": "1"},
            "approverEmails": [ALICE, BOB],
        });
        for (name, value) in more {
            body[*name] = value.clone();
        }
        let response = self.send(skew, Call::post("/api/submit", &body)).await;
        assert_eq!(response.status, 202, "{}", response.body);
        ApprovalId::new("agent", correlation).unwrap()
    }

    async fn approve(&self, skew: i64, id: &ApprovalId) -> u16 {
        let row = self.row(id).await;
        let gate = self.settings.gate(&self.service, None, &self.millis, 0);
        let code = gate.link_keys.one_time_code(&row, 0).unwrap();
        let call = Call::decide(&gate, &row, 0, "approve", &code);
        self.send(skew, call).await.status
    }

    async fn claim(&self, skew: i64, id: &ApprovalId, nonce: &str) -> u16 {
        let body = json!({ "nonce": nonce });
        let call = Call::post(&format!("/api/claim/{id}"), &body);
        self.send(skew, call).await.status
    }

    async fn report(&self, skew: i64, id: &ApprovalId) -> u16 {
        let body = json!({"status": "Executed"});
        let call = Call::post(&format!("/api/outcome/{id}"), &body);
        self.send(skew, call).await.status
    }

    async fn status(&self, skew: i64, id: &ApprovalId) -> String {
        let response = self
            .send(skew, Call::get(&format!("/api/status/{id}")))
            .await;
        response.json()["status"].as_str().unwrap().to_owned()
    }

    async fn sweep(&self, skew: i64) -> String {
        let response = self.send(skew, Call::post("/sweep", &json!({}))).await;
        response.json()["Logs"][0].as_str().unwrap().to_owned()
    }
}

/// A second before, at, and a second after.
const AROUND: [i64; 3] = [-1, 0, 1];

#[tokio::test]
async fn a_decision_is_timed_by_the_evaluating_clock_and_the_stored_status_stays() {
    let mut cases = 0;
    for skew in SKEWS {
        for around in AROUND {
            // Around the deadline of the process whose clock is skewed.
            let clocks = Clocks::at("2026-11-22T17:30:00.000Z");
            let id = clocks.submit(0, "1", &[]).await;
            clocks.pass(WITHIN - skew + around);
            let response = clocks.approve(skew, &id).await;
            assert_eq!(
                response,
                if around < 0 { 303 } else { 410 },
                "{skew} {around}"
            );
            let row = clocks.row(&id).await;
            assert_eq!(row.decision().is_some(), around < 0);
            // The status is stored, so every process reports it, whatever its clock.
            for other in SKEWS {
                let status = clocks.status(other, &id).await;
                assert_eq!(status, row.state.status().word(), "{skew} {around} {other}");
                cases += 1;
            }
            clocks.sweep(3_600).await;
            assert_eq!(clocks.row(&id).await.state.status(), row.state.status());
        }
    }
    record("skew-decision", &[("cases", cases)]);
}

#[tokio::test]
async fn after_a_stored_timeout_nothing_runs_on_any_clock() {
    let mut cases = 0;
    for sweeper in SKEWS {
        for other in SKEWS {
            let clocks = Clocks::at("2026-11-22T17:30:00.000Z");
            let id = clocks.submit(0, "1", &[]).await;
            clocks.pass(WITHIN - sweeper);
            clocks.sweep(sweeper).await;
            let row = clocks.row(&id).await;
            assert_eq!(row.state.status(), Status::Timeout);
            // A process whose clock is behind, or still before the deadline, is refused as well: a
            // process whose clock is ahead closes requests early by that difference, and no clock
            // reopens them.
            assert_eq!(clocks.approve(other, &id).await, 410, "{sweeper} {other}");
            assert_eq!(clocks.claim(other, &id, "nonce-of-the-agent").await, 409);
            assert_eq!(clocks.status(other, &id).await, "Timeout");
            cases += 1;
        }
    }
    record("skew-timeout", &[("cases", cases)]);
}

#[tokio::test]
async fn a_claim_is_timed_by_the_evaluating_clock_and_granted_once() {
    let mut cases = 0;
    for skew in SKEWS {
        for around in AROUND {
            for is_swept in [false, true] {
                let clocks = Clocks::at("2026-11-22T17:30:00.000Z");
                let id = clocks.submit(0, "1", &[]).await;
                assert_eq!(clocks.approve(0, &id).await, 303);
                clocks.pass(WITHIN - skew + around);
                let first = clocks.claim(skew, &id, "nonce-of-the-agent").await;
                assert_eq!(first, if around < 0 { 200 } else { 409 }, "{skew} {around}");
                if is_swept {
                    clocks.sweep(0).await;
                }
                // No other process grants a second claim, or one after the lapse, whatever its clock.
                for other in SKEWS {
                    let second = clocks.claim(other, &id, "nonce-of-another").await;
                    assert_eq!(second, 409, "{skew} {around} {other}");
                    cases += 1;
                }
                let row = clocks.row(&id).await;
                let claims = row
                    .history
                    .iter()
                    .filter(|it| it.what == EventKind::Claimed);
                assert_eq!(claims.count(), usize::from(around < 0));
                // A clock that is ahead sets ExecutionUnknown early; a late report is still accepted.
                if around < 0 {
                    clocks.sweep(WITHIN).await;
                    assert_eq!(clocks.report(skew, &id).await, 200);
                }
            }
        }
    }
    record("skew-claim", &[("cases", cases)]);
}

#[tokio::test]
async fn an_agent_runs_an_approved_action_despite_clock_skew() {
    // The client accepts a clock difference of one minute beyond the hour's lifetime. It considers
    // every approval of a gate that is further behind as expired.
    for (skew, runs) in SKEWS
        .map(|skew| (skew, true))
        .into_iter()
        .chain([(-3_700, false)])
    {
        let gate = TestGate::with(&[("HO_RUN_WITHIN", "3600")]).await;
        let by = Duration::from_secs(skew.unsigned_abs());
        match skew {
            0.. => gate.pass(by),
            _ => gate.back(by),
        }
        let action = gate.gate().action("Delete User Account");
        let user = json!({"user_id": "1"});
        let pending = action.submit(&user).await.unwrap();
        let id = pending.handle().id.clone();
        gate.approve(pending.approval().unwrap(), ALICE).await;
        let ran = pending.run(&user, async |_| ()).await.into_result();
        assert_eq!(ran.is_ok(), runs, "{skew}");
        let execution = gate.status(&id).await.execution;
        assert_eq!(
            execution.is_some(),
            runs,
            "{skew}: an action that did not run was not claimed"
        );
    }
    record("skew-client", &[("cases", SKEWS.len() as u64 + 1)]);
}

#[tokio::test]
async fn deadlines_are_utc_on_leap_days_and_when_clocks_change() {
    // The start and end of a leap day, both clock changes in Europe, and the end of a year.
    for (requested_at, deadline) in [
        ("2028-02-28T23:30:00.000Z", "29 Feb 2028, 01:30 UTC"),
        ("2028-02-29T23:30:00.000Z", "1 Mar 2028, 01:30 UTC"),
        ("2027-02-28T23:30:00.000Z", "1 Mar 2027, 01:30 UTC"),
        ("2027-03-28T00:30:00.000Z", "28 Mar 2027, 02:30 UTC"),
        ("2027-10-31T00:30:00.000Z", "31 Oct 2027, 02:30 UTC"),
        ("2026-12-31T23:00:00.000Z", "1 Jan 2027, 01:00 UTC"),
    ] {
        let clocks = Clocks::at(requested_at);
        let id = clocks.submit(0, "1", &[]).await;
        let emails = mails(clocks.dir.path());
        assert_eq!(emails.len(), 2);
        for email in &emails {
            assert!(email.text.contains(deadline), "{}", email.text);
        }
        let link = emails[0]
            .text
            .lines()
            .find(|line| line.contains("/api/decision/"));
        let path = link.unwrap().trim().split_once("7071").unwrap().1;
        let page = clocks.send(0, Call::get(path)).await;
        assert!(page.body.contains(deadline), "{}", page.body);
        // The lifetime is exactly two hours.
        clocks.pass(WITHIN - 1);
        assert_eq!(clocks.status(0, &id).await, "Pending");
        clocks.pass(1);
        assert_eq!(clocks.status(0, &id).await, "Timeout");
    }
}

#[tokio::test]
async fn after_a_day_without_a_sweep_every_request_ends_and_emails_stay_bounded() {
    const EACH: usize = 10;
    let clocks = Clocks::at("2026-11-22T17:30:00.000Z");
    let patient = [("timeoutSeconds", json!(2 * 86_400))];
    let mut expected: BTreeMap<ApprovalId, &str> = BTreeMap::new();
    for number in 0..EACH {
        expected.insert(
            clocks.submit(0, &format!("forgotten-{number}"), &[]).await,
            "Timeout",
        );
        expected.insert(
            clocks
                .submit(0, &format!("patient-{number}"), &patient)
                .await,
            "Pending",
        );
        let lapsed = clocks.submit(0, &format!("lapsed-{number}"), &[]).await;
        assert_eq!(clocks.approve(0, &lapsed).await, 303);
        expected.insert(lapsed, "Lapsed");
        let lost = clocks.submit(0, &format!("lost-{number}"), &[]).await;
        assert_eq!(clocks.approve(0, &lost).await, 303);
        assert_eq!(clocks.claim(0, &lost, "nonce-of-the-agent").await, 200);
        expected.insert(lost, "ExecutionUnknown");
    }
    let sent = mails(clocks.dir.path()).len();
    assert_eq!(
        sent,
        4 * EACH * 2,
        "one email to each approver of each request"
    );
    clocks.pass(86_400);
    // Each approver gets one outcome notice per closed request and one reminder per pending request.
    let log = clocks.sweep(0).await;
    let due = 4 * EACH;
    // Where the outcome is unknown, that takes the place of the approval.
    let notices = due * 2;
    assert_eq!(
        log,
        format!(
            "{due} due, {notices} emails sent, 0 not sent, 0 failed, 0 set aside, complete: true"
        )
    );
    assert_eq!(mails(clocks.dir.path()).len(), sent + notices);
    for (id, end) in &expected {
        let row = clocks.row(id).await;
        let now = row.request.requested_at;
        let execution = row.execution(now).and_then(|execution| execution.word());
        assert_eq!(
            execution.unwrap_or_else(|| row.state.status().word()),
            *end,
            "{id}"
        );
        assert!(row.history_is_consistent());
    }
    let log = clocks.sweep(0).await;
    assert_eq!(
        log,
        "0 due, 0 emails sent, 0 not sent, 0 failed, 0 set aside, complete: true"
    );
    record(
        "silent-sweep",
        &[("requests", due as u64), ("emails", notices as u64)],
    );
}
