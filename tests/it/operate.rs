//! The operator's commands, `POST /api/operate`, and what a pause stops.

use std::time::Duration;

use human_oversight_client::types::{Approval, ExecutionStatus, Status};
use human_oversight_client::{Error, types::Claim};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::backing_store;
use crate::harness::{AGENT, ALICE, BOB, Log, Mail, Page, TestGate, http, request};
use crate::host::{KEY, MASTER_KEY};
use crate::process::run;

const NONCE: &str = "0123456789abcdef";

/// Sends a command with a key, as the operator's tool does.
pub(crate) async fn send(gate: &TestGate, key: Option<&str>, body: &Value) -> Page {
    let mut call = http()
        .build()
        .unwrap()
        .post(format!("{}/api/operate", gate.url))
        .header("content-type", "application/json")
        .body(body.to_string());
    if let Some(key) = key {
        call = call.header("x-functions-key", key);
    }
    Page::of(call.send().await.unwrap()).await
}

pub(crate) async fn operate(gate: &TestGate, body: Value) -> Value {
    let answer = send(gate, Some(MASTER_KEY), &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

async fn pause(gate: &TestGate) -> Value {
    operate(gate, json!({"command": "pause", "because": "an incident"})).await
}

async fn resume(gate: &TestGate) -> Value {
    operate(gate, json!({"command": "resume"})).await
}

fn claim_body() -> Claim {
    Claim {
        nonce: NONCE.to_owned(),
        secret: None,
    }
}

async fn claim(gate: &TestGate, approval: &Approval) -> Result<Approval, Error> {
    gate.client.claim(&approval.id, &claim_body()).await
}

/// Asserts that a call was refused as paused.
fn assert_paused<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(Error::Problem(problem)) => {
            assert_eq!(problem.status, 403);
            assert_eq!(problem.kind, "urn:human-oversight:problem:paused");
            assert!(problem.detail.contains("paused"), "{}", problem.detail);
            assert!(!problem.detail.contains("incident"), "{}", problem.detail);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_the_master_key_operates() {
    let gate = TestGate::start().await;
    let body = json!({"command": "pause", "because": "x"});
    for key in [None, Some(KEY), Some("a key"), Some("")] {
        let answer = send(&gate, key, &body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{key:?}");
    }
    gate.ask().await;
    pause(&gate).await;
    assert_paused(gate.client.submit(&request()).await);
}

#[tokio::test]
async fn while_paused_nothing_is_claimed_or_submitted_and_all_else_goes_on() {
    let gate = TestGate::start().await;
    let [approved, running, pending, wanted] = [
        gate.ask().await,
        gate.ask().await,
        gate.ask().await,
        gate.ask().await,
    ];
    gate.approve(&approved, ALICE).await;
    gate.approve(&running, ALICE).await;
    claim(&gate, &running).await.unwrap();

    let paused = pause(&gate).await;
    assert_eq!(paused["done"], true);
    assert_eq!(paused["pauses"][0]["because"], "an incident");
    let executing = paused["executing"].as_array().unwrap();
    assert_eq!(executing.len(), 1);
    assert_eq!(executing[0]["id"], running.id.as_str());
    assert_eq!(executing[0]["agentName"], AGENT);

    let before = gate.stored().await;
    assert_paused(claim(&gate, &approved).await);
    // A client that repeats its claim has not started.
    assert_paused(claim(&gate, &running).await);
    assert_paused(gate.client.submit(&request()).await);
    assert_eq!(gate.stored().await, before, "nothing was stored");

    // A person may decide, and the agent may withdraw and report.
    gate.approve(&pending, ALICE).await;
    gate.client
        .withdraw(&wanted.id, &Default::default())
        .await
        .unwrap();
    assert_eq!(gate.status(&wanted.id).await.status, Status::Cancelled);
    let report = json!({"status": "Executed"}).to_string();
    let reported = gate
        .post(&format!("/api/outcome/{}", running.id), report)
        .await;
    assert_eq!(reported.status, StatusCode::OK);
    let listed = operate(&gate, json!({"command": "executing"})).await;
    assert_eq!(listed["executing"], json!([]));
    assert_eq!(listed["pauses"][0]["because"], "an incident");

    let resumed = resume(&gate).await;
    assert_eq!(
        (&resumed["done"], &resumed["pauses"]),
        (&json!(true), &json!([]))
    );
    claim(&gate, &approved).await.unwrap();
    claim(&gate, &pending).await.unwrap();
    gate.client.submit(&request()).await.unwrap();
    assert_eq!(resume(&gate).await["done"], false);
}

#[tokio::test]
async fn the_page_says_that_nothing_runs_while_paused() {
    let gate = TestGate::start().await;
    let (approval, other) = (gate.ask().await, gate.ask().await);
    let question = gate.question(&approval, ALICE);
    let banner = "What is approved does not run until the operator resumes.";
    let open = async || gate.get(&question.link).await.body;
    assert!(!open().await.contains(banner));
    operate(
        &gate,
        json!({"command": "pause", "agent": AGENT, "because": "an incident"}),
    )
    .await;
    let page = open().await;
    assert!(
        page.contains(banner) && page.contains("You may decide all the same."),
        "{page}"
    );
    assert!(page.contains("has paused this agent since"), "{page}");
    assert!(!page.contains("an incident"), "{page}");
    assert!(page.contains(">Approve</button>"), "{page}");
    gate.approve(&approval, ALICE).await;
    let page = open().await;
    assert!(
        page.contains(banner) && !page.contains("You may decide"),
        "{page}"
    );
    gate.reject(&other, ALICE, "no").await;
    let rejected = gate.question(&other, ALICE).link;
    assert!(!gate.get(&rejected).await.body.contains(banner));
    operate(&gate, json!({"command": "resume", "agent": AGENT})).await;
    assert!(!open().await.contains(banner));
    pause(&gate).await;
    let page = open().await;
    assert!(page.contains("has paused operations since"), "{page}");
}

#[tokio::test]
async fn deadlines_run_on_while_paused() {
    let gate = TestGate::start().await;
    let (approved, pending) = (gate.ask().await, gate.ask().await);
    gate.approve(&approved, ALICE).await;
    pause(&gate).await;
    gate.pass(Duration::from_secs(3_700));
    gate.sweep().await;
    assert_eq!(gate.status(&pending.id).await.status, Status::Timeout);
    resume(&gate).await;
    let lapsed = claim(&gate, &approved).await.unwrap_err();
    assert!(lapsed.to_string().contains("Lapsed"), "{lapsed}");
}

#[tokio::test]
async fn the_synchronous_protocol_is_refused_too_and_can_be_repeated_after_the_resume() {
    let gate = TestGate::start().await;
    let mut new = request();
    new.correlation_id = Some("run-1".to_owned());
    let approval = gate.client.submit(&new).await.unwrap();
    let body = serde_json::to_string(&new).unwrap();
    let (url, key) = (format!("{}/api/submit?wait=30", gate.url), KEY);
    let waiting = http()
        .build()
        .unwrap()
        .post(url)
        .header("content-type", "application/json")
        .header("x-functions-key", key)
        .body(body.clone());
    let waiting = tokio::spawn(async move { Page::of(waiting.send().await.unwrap()).await });
    // The call is stored already; it waits, or it finds the decision when it arrives.
    let paused = json!({"command": "pause", "agent": AGENT, "because": "x"});
    gate.approve(&approval, ALICE).await;
    operate(&gate, paused).await;
    let answer = waiting.await.unwrap();
    // Which came first is open: the claim or the pause.
    let claimed = gate.status(&approval.id).await.execution.is_some();
    assert_eq!(answer.status == StatusCode::OK, claimed, "{}", answer.body);
    let again = gate.post("/api/submit?wait=1", body.clone()).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN, "{}", again.body);
    assert!(again.body.contains("problem:paused"));
    operate(&gate, json!({"command": "resume", "agent": AGENT})).await;
    let again = gate.post("/api/submit?wait=1", body).await;
    let expected = if claimed {
        StatusCode::CONFLICT
    } else {
        StatusCode::OK
    };
    assert_eq!(again.status, expected, "{}", again.body);
}

#[tokio::test]
async fn a_pause_of_an_agent_or_an_owner_stops_no_other() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let owner = gate.entity(&approval.id).await["Owner"].clone();
    let other_owner = format!("key:{}", "0".repeat(64));
    for (mine, other) in [
        (
            json!({"agent": AGENT.to_lowercase()}),
            json!({"agent": "PaymentsAgent"}),
        ),
        (json!({"owner": owner}), json!({"owner": other_owner})),
    ] {
        let with = |scope: &Value, command: &str| {
            let mut body = scope.clone();
            body["command"] = json!(command);
            body["because"] = json!("x");
            if command != "pause" {
                body.as_object_mut().unwrap().remove("because");
            }
            body
        };
        operate(&gate, with(&other, "pause")).await;
        gate.client.submit(&request()).await.unwrap();
        operate(&gate, with(&mine, "pause")).await;
        assert_paused(gate.client.submit(&request()).await);
        assert_paused(claim(&gate, &approval).await);
        // Each scope is resumed by itself.
        assert_eq!(resume(&gate).await["done"], false);
        assert_paused(claim(&gate, &approval).await);
        assert_eq!(operate(&gate, with(&mine, "resume")).await["done"], true);
        gate.client.submit(&request()).await.unwrap();
        operate(&gate, with(&other, "resume")).await;
    }
    claim(&gate, &approval).await.unwrap();
}

#[tokio::test]
async fn a_pause_says_how_many_open_requests_it_covers() {
    let gate = TestGate::start().await;
    let [approved, running, _pending, rejected] = [
        gate.ask().await,
        gate.ask().await,
        gate.ask().await,
        gate.ask().await,
    ];
    gate.approve(&approved, ALICE).await;
    gate.approve(&running, ALICE).await;
    claim(&gate, &running).await.unwrap();
    gate.reject(&rejected, ALICE, "no").await;
    let owner = gate.entity(&approved.id).await["Owner"].clone();
    let other_owner = format!("key:{}", "0".repeat(64));
    for (scope, open) in [
        (json!({}), 2),
        (json!({"agent": format!(" {}", AGENT.to_uppercase())}), 2),
        (json!({"agent": "UserManagerAgen"}), 0),
        (json!({"owner": owner}), 2),
        (json!({"owner": other_owner}), 0),
    ] {
        for command in ["executing", "pause", "resume"] {
            let mut body = scope.clone();
            body["command"] = json!(command);
            if command == "pause" {
                body["because"] = json!("x");
            }
            assert_eq!(
                operate(&gate, body).await["open"],
                open,
                "{command} {scope}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_scope_the_command_counts_everything_and_says_so() {
    let gate = TestGate::start().await;
    gate.ask().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    operate(
        &gate,
        json!({"command": "pause", "agent": "B", "because": "x"}),
    )
    .await;
    let (said, _) = run(&settings, &["executing"]).await;
    assert!(
        said.contains("1 open request in all.") && !said.contains("in this scope"),
        "{said}"
    );
    let (said, _) = run(&settings, &["executing", "--agent", AGENT]).await;
    assert!(said.contains("1 open request in this scope."), "{said}");
}

/// Rows of earlier versions have such names.
#[tokio::test]
async fn a_pause_of_an_agent_covers_every_name_that_reads_the_same() {
    let gate = TestGate::start().await;
    let mut new = request();
    for name in ["UserM\u{430}nagerAgent", "\u{405}ystem", "System"] {
        new.agent_name = name.to_owned();
        gate.client.submit(&new).await.unwrap();
    }
    let pause = |agent: &str| json!({"command": "pause", "agent": agent, "because": "x"});
    assert_eq!(operate(&gate, pause("UserManagerAgent")).await["open"], 1);
    assert_eq!(operate(&gate, pause("system")).await["open"], 2);
    for name in ["UserM\u{430}nagerAgent", "\u{405}YSTEM", "System"] {
        new.agent_name = name.to_owned();
        assert_paused(gate.client.submit(&new).await);
    }
    new.agent_name = "UserManagerAgents".to_owned();
    gate.client.submit(&new).await.unwrap();
}

#[tokio::test]
async fn a_wrong_command_is_refused_and_names_its_fault() {
    let gate = TestGate::start().await;
    for (body, pointer) in [
        (json!({}), "/command"),
        (json!({"command": "stop"}), "/command"),
        (json!({"command": 1}), "/command"),
        (json!({"command": "pause"}), "/because"),
        (json!({"command": "pause", "because": " "}), "/because"),
        (json!({"command": "pause", "because": "a\nb"}), "/because"),
        (
            json!({"command": "pause", "because": "x".repeat(501)}),
            "/because",
        ),
        (
            json!({"command": "pause", "because": "x", "agent": "x".repeat(129)}),
            "/agent",
        ),
        (
            json!({"command": "pause", "because": "x", "agent": 1}),
            "/agent",
        ),
        (
            json!({"command": "pause", "because": "x", "owner": "alice"}),
            "/owner",
        ),
        (
            json!({"command": "resume", "owner": "local", "agent": "x"}),
            "",
        ),
        (json!({"command": "resume", "because": "x"}), "/because"),
        (json!({"command": "executing", "scope": "all"}), "/scope"),
        (json!({"command": "executing", "id": "x"}), "/id"),
        (json!({"command": "revoke"}), "/id"),
        (json!({"command": "revoke", "id": 1}), "/id"),
        (json!({"command": "revoke", "id": "no id"}), "/id"),
        (
            json!({"command": "revoke", "id": "VXNlck1hbmFnZXJBZ2VudA.unknown"}),
            "/id",
        ),
        (
            json!({"command": "revoke", "id": "VXNlck1hbmFnZXJBZ2VudA.unknown", "agent": "x"}),
            "/agent",
        ),
    ] {
        let answer = send(&gate, Some(MASTER_KEY), &body).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{body}: {}",
            answer.body
        );
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    gate.client.submit(&request()).await.unwrap();
}

#[tokio::test]
async fn ho_paused_pauses_without_any_tool_and_no_command_ends_it() {
    let gate = TestGate::with(&[("HO_PAUSED", "1")]).await;
    assert_paused(gate.client.submit(&request()).await);
    let resumed = resume(&gate).await;
    assert_eq!(resumed["done"], false);
    assert_eq!(resumed["pauses"][0]["because"], "HO_PAUSED is set");
    assert_paused(gate.client.submit(&request()).await);
}

/// Refuses to revoke, stores nothing, and returns the reason.
async fn refuse_to_revoke(gate: &TestGate, approval: &Approval) -> String {
    let before = gate.stored().await;
    let body = json!({"command": "revoke", "id": approval.id});
    let answer = send(gate, Some(MASTER_KEY), &body).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
    assert_eq!(gate.stored().await, before);
    answer.problem()["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_operator_revokes_an_approval_that_is_not_claimed() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let command = json!({"command": "revoke", "id": approval.id});
    for key in [None, Some(KEY)] {
        let answer = send(&gate, key, &command).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{key:?}");
    }
    let revoked = operate(&gate, command.clone()).await;
    assert_eq!(revoked["done"], true);
    assert_eq!(revoked["id"], approval.id.as_str());
    assert_eq!(revoked["by"], "operator");
    let refused = claim(&gate, &approval).await.unwrap_err();
    assert!(refused.to_string().contains("Revoked"), "{refused}");
    let row = gate.entity(&approval.id).await;
    assert_eq!(row["ExecutionStatus"], "Revoked");
    assert_eq!(row["RevokedBy"], "operator");

    // Once more is no error, and nothing changes.
    let before = gate.stored().await;
    let again = operate(&gate, command).await;
    assert_eq!(again["done"], false);
    assert_eq!(again["since"], revoked["since"]);
    assert_eq!(gate.stored().await, before);

    gate.sweep().await;
    for person in [ALICE, BOB] {
        let told = |mail: &Mail| mail.to == person && mail.text.contains("Revoked by the operator");
        assert!(gate.mails().iter().any(told), "{person}");
    }
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    assert!(page.contains("Revoked by the operator"), "{page}");
}

#[tokio::test]
async fn only_an_approval_that_nothing_has_claimed_can_be_revoked() {
    let gate = TestGate::start().await;
    let [pending, rejected, running, ended, lapsed] = [
        gate.ask().await,
        gate.ask().await,
        gate.ask().await,
        gate.ask().await,
        gate.ask().await,
    ];
    let refused = refuse_to_revoke(&gate, &pending).await;
    assert_eq!(
        refused,
        "Nothing was revoked: the request is Pending, not approved."
    );
    gate.reject(&rejected, ALICE, "no").await;
    let refused = refuse_to_revoke(&gate, &rejected).await;
    assert!(refused.contains("is Rejected"), "{refused}");
    for approval in [&running, &ended, &lapsed] {
        gate.approve(approval, ALICE).await;
    }
    claim(&gate, &running).await.unwrap();
    let refused = refuse_to_revoke(&gate, &running).await;
    let words = "it cannot be stopped: it is executing since 20";
    assert!(refused.contains(words), "{refused}");
    claim(&gate, &ended).await.unwrap();
    let report = json!({"status": "Executed"}).to_string();
    gate.post(&format!("/api/outcome/{}", ended.id), report)
        .await;
    let refused = refuse_to_revoke(&gate, &ended).await;
    assert!(refused.contains("its execution is Executed"), "{refused}");
    // The lapse counts before the sweep stores it.
    gate.pass(Duration::from_secs(901));
    let refused = refuse_to_revoke(&gate, &lapsed).await;
    assert!(refused.contains("it has lapsed"), "{refused}");
}

#[tokio::test]
async fn with_rows_of_version_1_nothing_is_revoked() {
    let gate = TestGate::with(&[("HO_ROWS", "1")]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let body = json!({"command": "revoke", "id": approval.id});
    let answer = send(&gate, Some(MASTER_KEY), &body).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    assert!(answer.body.contains("HO_ROWS=1"), "{}", answer.body);
    claim(&gate, &approval).await.unwrap();
}

#[tokio::test]
async fn a_revoked_row_that_must_be_written_as_version_1_says_what_to_set() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    operate(&gate, json!({"command": "revoke", "id": approval.id})).await;
    // The notices of the revocation are due.
    let mails = gate.mails().len();
    let gate = TestGate::at(gate.dir, &[("HO_ROWS", "1")]).await;
    let log = Log::default();
    let collecting = log.collect();
    let report = gate.sweep().await;
    drop(collecting);
    assert!(report.contains("1 failed, 0 set aside"), "{report}");
    assert_eq!(
        log.count("cannot say all that this row does: set HO_ROWS=2"),
        1
    );
    assert_eq!(gate.mails().len(), mails);
    assert_eq!(
        gate.status(&approval.id).await.execution.unwrap().status,
        ExecutionStatus::Revoked
    );
    let gate = TestGate::at(gate.dir, &[]).await;
    gate.sweep().await;
    assert!(gate.mails().len() > mails);
}

#[tokio::test]
async fn an_empty_name_does_not_mean_everything() {
    let gate = TestGate::start().await;
    pause(&gate).await;
    for name in ["owner", "agent"] {
        for empty in [json!(""), Value::Null] {
            let body = json!({"command": "resume", name: empty});
            let answer = send(&gate, Some(MASTER_KEY), &body).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        }
    }
    let listed = operate(&gate, json!({"command": "executing"})).await;
    assert_eq!(listed["pauses"].as_array().unwrap().len(), 1);
}
