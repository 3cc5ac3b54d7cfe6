//! Clocks that differ, days that are odd, and a sweep that is silent for a day.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use human_oversight::domain::{Approval, EventKind, Status};
use human_oversight::values::{ApprovalId, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::record;
use super::simulation::{Call, Heard, Service, Settings};
use crate::harness::{ALICE, BOB, TestGate, mails};

/// By so many seconds one clock is before another.
const SKEWS: [i64; 9] = [0, 1, -1, 29, -29, 31, -31, 3_600, -3_600];

/// How long requests live, approvals may be claimed, and reports are awaited, in seconds.
const WITHIN: i64 = 7_200;

/// One table, and processes of the gate over it whose clocks differ.
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

    /// The answer of a process whose clock is so many seconds ahead.
    async fn answer(&self, skew: i64, call: Call) -> Heard {
        let gate = self
            .settings
            .gate(&self.service, None, &self.millis, skew * 1_000);
        call.answer(gate).await
    }

    async fn row(&self, id: &ApprovalId) -> Approval {
        let gate = self.settings.gate(&self.service, None, &self.millis, 0);
        gate.store.get(id).await.unwrap().approval
    }

    async fn ask(&self, skew: i64, correlation: &str, more: &[(&str, Value)]) -> ApprovalId {
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
        let heard = self.answer(skew, Call::post("/api/submit", &body)).await;
        assert_eq!(heard.status, 202, "{}", heard.body);
        ApprovalId::new("agent", correlation).unwrap()
    }

    async fn approve(&self, skew: i64, id: &ApprovalId) -> u16 {
        let row = self.row(id).await;
        let gate = self.settings.gate(&self.service, None, &self.millis, 0);
        let code = gate.link_keys.one_time_code(&row, 0).unwrap();
        let call = Call::decide(&gate, &row, 0, "approve", &code);
        self.answer(skew, call).await.status
    }

    async fn claim(&self, skew: i64, id: &ApprovalId, nonce: &str) -> u16 {
        let body = json!({ "nonce": nonce });
        let call = Call::post(&format!("/api/claim/{id}"), &body);
        self.answer(skew, call).await.status
    }

    async fn report(&self, skew: i64, id: &ApprovalId) -> u16 {
        let body = json!({"status": "Executed"});
        let call = Call::post(&format!("/api/outcome/{id}"), &body);
        self.answer(skew, call).await.status
    }

    async fn status(&self, skew: i64, id: &ApprovalId) -> String {
        let heard = self
            .answer(skew, Call::get(&format!("/api/status/{id}")))
            .await;
        heard.json()["status"].as_str().unwrap().to_owned()
    }

    async fn sweep(&self, skew: i64) -> String {
        let heard = self.answer(skew, Call::post("/sweep", &json!({}))).await;
        heard.json()["Logs"][0].as_str().unwrap().to_owned()
    }
}

/// A second before, at, and a second after.
const AROUND: [i64; 3] = [-1, 0, 1];

#[tokio::test]
async fn a_decision_counts_by_the_clock_that_judges_it_and_what_is_stored_stays() {
    let mut cases = 0;
    for skew in SKEWS {
        for around in AROUND {
            // The other clock's deadline.
            let clocks = Clocks::at("2026-11-22T17:30:00.000Z");
            let id = clocks.ask(0, "1", &[]).await;
            clocks.pass(WITHIN - skew + around);
            let answered = clocks.approve(skew, &id).await;
            assert_eq!(
                answered,
                if around < 0 { 303 } else { 410 },
                "{skew} {around}"
            );
            let row = clocks.row(&id).await;
            assert_eq!(row.decision().is_some(), around < 0);
            // It is stored: whatever the others' clocks say, they say the same.
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
async fn once_the_row_says_timeout_nothing_runs_by_any_clock() {
    let mut cases = 0;
    for sweeper in SKEWS {
        for other in SKEWS {
            let clocks = Clocks::at("2026-11-22T17:30:00.000Z");
            let id = clocks.ask(0, "1", &[]).await;
            clocks.pass(WITHIN - sweeper);
            clocks.sweep(sweeper).await;
            let row = clocks.row(&id).await;
            assert_eq!(row.state.status(), Status::Timeout);
            // One that is behind, or in time by everybody else's clock, comes too late all the same:
            // a process that is ahead closes requests early by as much. It is never the other way.
            assert_eq!(clocks.approve(other, &id).await, 410, "{sweeper} {other}");
            assert_eq!(clocks.claim(other, &id, "nonce-of-the-agent").await, 409);
            assert_eq!(clocks.status(other, &id).await, "Timeout");
            cases += 1;
        }
    }
    record("skew-timeout", &[("cases", cases)]);
}

#[tokio::test]
async fn a_claim_counts_by_the_clock_that_judges_it_and_never_twice() {
    let mut cases = 0;
    for skew in SKEWS {
        for around in AROUND {
            for is_swept in [false, true] {
                let clocks = Clocks::at("2026-11-22T17:30:00.000Z");
                let id = clocks.ask(0, "1", &[]).await;
                assert_eq!(clocks.approve(0, &id).await, 303);
                clocks.pass(WITHIN - skew + around);
                let first = clocks.claim(skew, &id, "nonce-of-the-agent").await;
                assert_eq!(first, if around < 0 { 200 } else { 409 }, "{skew} {around}");
                if is_swept {
                    clocks.sweep(0).await;
                }
                // Another process, whatever its clock, grants no second one; and none after a lapse.
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
                // Given up early by a clock that is ahead, a report still counts.
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
async fn an_agent_runs_what_was_approved_by_a_gate_whose_clock_is_not_its_own() {
    // The client allows for a minute beyond an hour's life: further behind, all that such a gate says
    // is over for it.
    for (skew, runs) in SKEWS
        .map(|skew| (skew, true))
        .into_iter()
        .chain([(-3_700, false)])
    {
        let gate = TestGate::start().await;
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
            "{skew}: what was not run was not claimed"
        );
    }
    record("skew-client", &[("cases", SKEWS.len() as u64 + 1)]);
}

#[tokio::test]
async fn deadlines_are_utc_on_leap_days_and_when_clocks_change() {
    // A leap day begins and ends, the clocks of Europe go forward and back, a year ends.
    for (asked_at, deadline) in [
        ("2028-02-28T23:30:00.000Z", "29 February 2028, 01:30 UTC"),
        ("2028-02-29T23:30:00.000Z", "1 March 2028, 01:30 UTC"),
        ("2027-02-28T23:30:00.000Z", "1 March 2027, 01:30 UTC"),
        ("2027-03-28T00:30:00.000Z", "28 March 2027, 02:30 UTC"),
        ("2027-10-31T00:30:00.000Z", "31 October 2027, 02:30 UTC"),
        ("2026-12-31T23:00:00.000Z", "1 January 2027, 01:00 UTC"),
    ] {
        let clocks = Clocks::at(asked_at);
        let id = clocks.ask(0, "1", &[]).await;
        let mails = mails(clocks.dir.path());
        assert_eq!(mails.len(), 2);
        for mail in &mails {
            assert!(mail.text.contains(deadline), "{}", mail.text);
        }
        let link = mails[0]
            .text
            .lines()
            .find(|line| line.contains("/api/decision/"));
        let path = link.unwrap().trim().split_once("7071").unwrap().1;
        let page = clocks.answer(0, Call::get(path)).await;
        assert!(page.body.contains(deadline), "{}", page.body);
        // Two hours are two hours.
        clocks.pass(WITHIN - 1);
        assert_eq!(clocks.status(0, &id).await, "Pending");
        clocks.pass(1);
        assert_eq!(clocks.status(0, &id).await, "Timeout");
    }
}

#[tokio::test]
async fn after_a_day_without_a_sweep_everything_ends_as_it_should_and_nobody_is_flooded() {
    const EACH: usize = 10;
    let clocks = Clocks::at("2026-11-22T17:30:00.000Z");
    let patient = [("timeoutSeconds", json!(2 * 86_400))];
    let mut expected: BTreeMap<ApprovalId, &str> = BTreeMap::new();
    for number in 0..EACH {
        expected.insert(
            clocks.ask(0, &format!("forgotten-{number}"), &[]).await,
            "Timeout",
        );
        expected.insert(
            clocks.ask(0, &format!("patient-{number}"), &patient).await,
            "Pending",
        );
        let lapsed = clocks.ask(0, &format!("lapsed-{number}"), &[]).await;
        assert_eq!(clocks.approve(0, &lapsed).await, 303);
        expected.insert(lapsed, "Lapsed");
        let lost = clocks.ask(0, &format!("lost-{number}"), &[]).await;
        assert_eq!(clocks.approve(0, &lost).await, 303);
        assert_eq!(clocks.claim(0, &lost, "nonce-of-the-agent").await, 200);
        expected.insert(lost, "ExecutionUnknown");
    }
    let questions = mails(clocks.dir.path()).len();
    assert_eq!(
        questions,
        4 * EACH * 2,
        "one to each approver of each request"
    );
    clocks.pass(86_400);
    // A note to each about each that is closed, and one reminder about each that is not.
    let log = clocks.sweep(0).await;
    let due = 4 * EACH;
    assert_eq!(
        log,
        format!("{due} due, {} emails, 0 failed, complete: true", due * 2)
    );
    assert_eq!(mails(clocks.dir.path()).len(), questions + due * 2);
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
    assert_eq!(log, "0 due, 0 emails, 0 failed, complete: true");
    record(
        "silent-sweep",
        &[("requests", due as u64), ("mails", due as u64 * 2)],
    );
}
