//! A row that was changed outside the gate is never an approval.

use std::time::Duration;

use human_oversight::domain::{
    Approval, Assurance, Decider, Decision, Event, EventKind, Execution, Parameters, SignedIn,
    State,
};
use human_oversight::values::{Address, Digest};
use human_oversight_client::parameters::sha256;
use human_oversight_client::types::Status;
use human_oversight_client::{Outcome, Reason};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{ALICE, BOB, TestGate, request};
use crate::host::OTHER_KEY;

#[tokio::test]
async fn every_column_that_a_decision_depends_on_is_protected() {
    let gate = TestGate::start().await;
    let other = gate.ask().await;
    gate.approve(&other, BOB).await;
    let foreign = gate.entity(&other.id).await["Receipt"].clone();
    let changes: Vec<(&str, Value)> = vec![
        ("Status", json!("Rejected")),
        ("Status", json!("Pending")),
        ("Status", json!("Nonsense")),
        ("Approver", json!(BOB)),
        ("Approver", Value::Null),
        ("ResponseTimestamp", json!("2026-01-01T00:00:00.000Z")),
        ("ResponseTimestamp", Value::Null),
        ("Assurance", json!("Entra")),
        ("Receipt", foreign),
        ("Receipt", json!("a.b.c")),
        ("Receipt", Value::Null),
        ("RunBy", json!("2099-01-01T00:00:00.000Z")),
        ("RunBy", Value::Null),
        ("Parameters", json!(r#"{"user_id":"2"}"#)),
        ("ParametersDigest", json!("0".repeat(64))),
        ("ActionDescription", json!("Read User Account")),
        ("AgentName", json!("Other")),
        ("CorrelationId", json!("other")),
        ("ExecutionStatus", json!("Nonsense")),
        ("Notifications", json!("[]")),
        ("Notifications", json!("nonsense")),
        ("History", json!("nonsense")),
    ];
    for (column, value) in changes {
        let approval = gate.ask().await;
        gate.approve(&approval, ALICE).await;
        gate.tamper(&approval.id, None, |row| row[column] = value.clone())
            .await;
        let status = gate
            .get(&format!("{}/api/status/{}", gate.url, approval.id))
            .await;
        assert_eq!(
            status.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{column} = {value}"
        );
        assert_eq!(
            status.problem()["type"],
            "urn:human-oversight:problem:integrity"
        );
        let claim = json!({"nonce": "0123456789abcdef"}).to_string();
        let claim = gate
            .post(&format!("/api/claim/{}", approval.id), claim)
            .await;
        assert_eq!(
            claim.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{column} = {value}"
        );
    }
}

#[tokio::test]
async fn a_row_edited_to_approved_is_no_approval() {
    let gate = TestGate::start().await;
    let rejected = gate.ask().await;
    gate.reject(&rejected, ALICE, "no").await;
    gate.tamper(&rejected.id, None, |row| {
        row["Status"] = json!("Approved");
        row["RunBy"] = json!("2099-01-01T00:00:00.000Z");
    })
    .await;
    let mut request = request();
    request.correlation_id = Some("forged".to_owned());
    let forged = gate.client.submit(&request).await.unwrap();
    let donor = gate.entity(&rejected.id).await;
    gate.tamper(&forged.id, None, |row| {
        for column in [
            "Status",
            "Approver",
            "Assurance",
            "ResponseTimestamp",
            "Receipt",
            "RunBy",
        ] {
            row[column] = donor[column].clone();
        }
    })
    .await;
    for id in [&rejected.id, &forged.id] {
        let answer = gate
            .post(
                &format!("/api/claim/{id}"),
                r#"{"nonce":"0123456789abcdef"}"#,
            )
            .await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}

#[tokio::test]
async fn editing_a_row_does_not_transfer_or_reset_a_claim() {
    let gate = TestGate::start().await;
    let claim = json!({"nonce": "0123456789abcdef"}).to_string();
    let thief_claimant = human_oversight_client::parameters::hex(&sha256(b"the thief's secret"));
    // Another claimant, with approver MACs of a key that does not exist.
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.tamper(&approval.id, None, |row| {
        row["Claimant"] = json!(thief_claimant);
        let mut approvers: Value =
            serde_json::from_str(row["Notifications"].as_str().unwrap()).unwrap();
        for approver in approvers.as_array_mut().unwrap() {
            approver["key"] = json!("gone");
        }
        row["Notifications"] = json!(approvers.to_string());
    })
    .await;
    let body = json!({"nonce": "0123456789abcdef", "secret": "the thief's secret"}).to_string();
    let answer = gate
        .post(&format!("/api/claim/{}", approval.id), body)
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    // A claimed approval is edited to look unclaimed.
    for columns in [
        &["ExecutionStatus"] as &[_],
        &["ExecutionStatus", "ClaimNonce", "ExecutionTimestamp"],
    ] {
        let approval = gate.ask().await;
        gate.approve(&approval, ALICE).await;
        let path = format!("/api/claim/{}", approval.id);
        assert_eq!(gate.post(&path, claim.clone()).await.status, StatusCode::OK);
        gate.tamper(&approval.id, None, |row| {
            for column in columns {
                row[*column] = Value::Null;
            }
        })
        .await;
        assert_eq!(
            gate.post(&path, claim.clone()).await.status,
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}

#[tokio::test]
async fn a_changed_row_refuses_the_agent_and_warns_the_approver() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let params = json!({"user_id": "1"});
    let pending = action.submit(&params).await.unwrap();
    let approval = pending.approval().unwrap().clone();
    let question = gate.question(&approval, ALICE);
    gate.approve(&approval, ALICE).await;
    gate.tamper(&approval.id, None, |row| {
        row["Parameters"] = json!(r#"{"user_id":"2"}"#)
    })
    .await;
    let outcome: Outcome<()> = pending
        .run(&params, |_| async { panic!("the action must not run") })
        .await;
    assert_eq!(
        outcome.into_result().unwrap_err().reason,
        Reason::Unavailable
    );
    let page = gate.get(&question.link).await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(page.body.contains("This request cannot be trusted"));
}

#[tokio::test]
async fn a_damaged_row_does_not_stop_the_sweep() {
    let gate = TestGate::start().await;
    let (damaged, sound) = (gate.ask().await, gate.ask().await);
    gate.tamper(&damaged.id, None, |row| row["History"] = json!("nonsense"))
        .await;
    gate.pass(Duration::from_secs(3_600));
    let answer = gate.sweep().await;
    assert_eq!(
        answer,
        "2 due, 2 emails sent, 0 not sent, 0 failed, 1 set aside, complete: true"
    );
    assert_eq!(gate.status(&sound.id).await.status, Status::Timeout);
}

const EVE: &str = "eve@example.com";

#[tokio::test]
async fn the_request_and_its_approvers_cannot_be_changed_while_pending() {
    let gate = TestGate::start().await;
    let add_eve = |row: &mut Value| {
        let mut approvers: Value =
            serde_json::from_str(row["Notifications"].as_str().unwrap()).unwrap();
        let mut slot = approvers[0].clone();
        slot["approver"] = json!(EVE);
        slot["mails"][0]["state"] = json!("Queued");
        approvers.as_array_mut().unwrap().push(slot);
        row["Notifications"] = json!(approvers.to_string());
        row["ApproverEmails"] = json!(json!([ALICE, BOB, EVE]).to_string());
    };
    type Change = Box<dyn Fn(&mut Value)>;
    let changes: Vec<Change> = vec![
        Box::new(add_eve),
        Box::new(|row| {
            row["Notifications"] = json!(row["Notifications"].as_str().unwrap().replace(BOB, EVE))
        }),
        Box::new(|row| {
            for column in ["Notifications", "ApproverEmails"] {
                row[column] = json!(row[column].as_str().unwrap().replace(BOB, EVE));
            }
        }),
        Box::new(|row| row["DeadlineTimestamp"] = json!("2099-01-01T00:00:00.000Z")),
        Box::new(|row| row["RequestTimestamp"] = json!("2020-01-01T00:00:00.000Z")),
        Box::new(|row| row["ActionDescription"] = json!("Read User Account")),
        Box::new(|row| row["Claimant"] = json!("0".repeat(64))),
        Box::new(|row| row["OnBehalfOf"] = json!("another@example.com")),
        Box::new(|row| row["Reason"] = json!("It is quite safe.")),
        Box::new(|row| {
            let parameters = r#"{"user_id":"2"}"#;
            let digest = sha256(parameters.as_bytes());
            row["Parameters"] = json!(parameters);
            row["ParametersDigest"] = json!(human_oversight_client::parameters::hex(&digest));
        }),
        Box::new(|row| row["Parameters"] = json!("x")),
    ];
    for (number, change) in changes.iter().enumerate() {
        let approval = gate.ask().await;
        let question = gate.question(&approval, ALICE);
        gate.tamper(&approval.id, None, change).await;
        let page = gate.get(&question.link).await;
        assert_eq!(
            page.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "change {number}"
        );
        let status = gate
            .get(&format!("{}/api/status/{}", gate.url, approval.id))
            .await;
        assert_eq!(
            status.problem()["type"],
            "urn:human-oversight:problem:integrity"
        );
    }
    gate.pass(Duration::from_secs(3_600));
    gate.sweep().await;
    assert!(
        gate.mails().iter().all(|mail| mail.to != EVE),
        "an added address receives no email"
    );
}

#[tokio::test]
async fn an_undecodable_row_does_not_stop_the_sweep() {
    let gate = TestGate::start().await;
    let (one, other, sound) = (gate.ask().await, gate.ask().await, gate.ask().await);
    gate.tamper(&one.id, None, |row| *row = json!({})).await;
    gate.tamper(&other.id, None, |row| row["Parameters"] = json!("x"))
        .await;
    gate.pass(Duration::from_secs(3_600));
    let answer = gate.sweep().await;
    assert_eq!(
        answer,
        "3 due, 2 emails sent, 0 not sent, 0 failed, 2 set aside, complete: true"
    );
    assert_eq!(gate.entity(&sound.id).await["Status"], "Timeout");
}

#[tokio::test]
async fn no_column_can_be_changed_without_the_gates_keys() {
    let gate = TestGate::start().await;
    let late = gate.ask().await;
    let too_late = gate.question(&late, BOB);
    let ran = gate.ask().await;
    gate.approve(&ran, ALICE).await;
    let claim = json!({"nonce": "0123456789abcdef"}).to_string();
    gate.post(&format!("/api/claim/{}", ran.id), claim).await;
    let failed = json!({"status": "ExecutionFailed", "error": "it broke"}).to_string();
    gate.post(&format!("/api/outcome/{}", ran.id), failed).await;
    let page = gate.get(&too_late.link).await;
    gate.pass(Duration::from_secs(3_600));
    gate.send_form(&page, &[("decision", "reject")]).await;

    let mut changed = 0;
    for approval in [&late, &ran] {
        let row = gate.entity(&approval.id).await;
        let status = format!("{}/api/status/{}", gate.url, approval.id);
        assert_eq!(gate.get(&status).await.status, StatusCode::OK);
        for (column, value) in row.as_object().unwrap() {
            if ["PartitionKey", "RowKey"].contains(&column.as_str()) || column.contains('@') {
                continue;
            }
            let other = match value.as_str() {
                Some(text) if text.ends_with('Z') => json!("2026-01-01T00:00:00.000Z"),
                Some(text) => json!(format!("{text} ")),
                None => json!("something"),
            };
            gate.tamper(&approval.id, None, |row| row[column] = other)
                .await;
            let answer = gate.get(&status).await;
            // Without an owner the row is hidden from every caller.
            let refused = if column == "Owner" { 404 } else { 500 };
            assert_eq!(answer.status, refused, "{column}");
            gate.tamper(&approval.id, None, |stored| *stored = row.clone())
                .await;
            changed += 1;
        }
        assert_eq!(gate.get(&status).await.status, StatusCode::OK);
    }
    assert!(changed > 45, "{changed}");
}

fn decision(approval: &mut Approval) -> &mut Decision {
    match &mut approval.state {
        State::Approved { decision, .. } | State::Rejected(decision) => decision,
        other => panic!("{other:?}"),
    }
}

fn person(address: Address, assurance: Assurance) -> Decider {
    Decider::Person { address, assurance }
}

/// Turns any row into an approval by this decision, with a consistent history.
fn turn_approved(approval: &mut Approval, decision: Decision) {
    approval.history.truncate(1);
    approval.history.push(Event {
        at: decision.at,
        what: EventKind::Approved,
        by: decision.by.person().cloned(),
    });
    approval.state = State::Approved {
        run_by: approval.request.expires_at,
        decision,
        execution: Execution::Awaited,
    };
}

/// An attacker with the link keys can compute row MACs, and change columns and history consistently.
/// Decisions are signed with other keys.
#[tokio::test]
async fn the_link_keys_alone_forge_no_decision() {
    let gate = TestGate::start().await;
    let other = gate.ask().await;
    gate.approve(&other, ALICE).await;
    let other = gate.store.get(&other.id.parse().unwrap()).await.unwrap();
    let foreign = other.approval.decision().unwrap().clone();
    let receipt = foreign.receipt.clone();
    let bob = Address::parse(BOB).unwrap();
    let parameters = r#"{"user_id":"2"}"#;
    type Change = Box<dyn Fn(&mut Approval)>;
    let of_approved: Vec<Change> = vec![
        Box::new(move |row| {
            let assurance = decision(row).by.assurance().unwrap();
            decision(row).by = person(bob.clone(), assurance);
            row.history[1].by = Some(bob.clone());
        }),
        Box::new(|row| {
            let at = decision(row).at + Duration::from_secs(1);
            decision(row).at = at;
            row.history[1].at = at;
        }),
        Box::new(|row| {
            let address = decision(row).by.person().unwrap().clone();
            decision(row).by = person(
                address,
                Assurance::Entra(SignedIn::as_member(Uuid::from_u128(1))),
            );
        }),
        Box::new(|row| decision(row).words.comment = Some("Gladly.".to_owned())),
        Box::new(move |row| decision(row).receipt = receipt.clone()),
        Box::new(|row| decision(row).receipt.push('A')),
        Box::new(|row| {
            let later = row.request.expires_at + Duration::from_secs(86_400);
            let State::Approved { run_by, .. } = &mut row.state else {
                panic!("{row:?}");
            };
            *run_by = later;
        }),
        Box::new(|row| row.request.action = "Read User Account".to_owned()),
        Box::new(|row| row.request.claimant = Some(Digest([7; 32]))),
        Box::new(|row| {
            row.request.parameters = Parameters {
                json: parameters.to_owned(),
                digest: Digest(sha256(parameters.as_bytes())),
            }
        }),
    ];
    let of_pending: Change = Box::new(move |row| turn_approved(row, foreign.clone()));
    let of_rejected: Change = Box::new(|row| {
        let decision = decision(row).clone();
        turn_approved(row, decision);
    });
    let changes = of_approved
        .into_iter()
        .map(|change| ("approved", change))
        .chain([("pending", of_pending), ("rejected", of_rejected)]);
    let mut changed = Vec::new();
    for (number, (from, change)) in changes.enumerate() {
        let approval = gate.ask().await;
        match from {
            "approved" => gate.approve(&approval, ALICE).await,
            "rejected" => gate.reject(&approval, ALICE, "no").await,
            _ => {}
        }
        let id = approval.id.parse().unwrap();
        let mut row = gate.store.get(&id).await.unwrap();
        change(&mut row.approval);
        gate.store.replace(row, None).await.unwrap();
        gate.store
            .get(&id)
            .await
            .expect("the row MAC is valid and the row is consistent");
        changed.push((number, approval.id));
    }
    // A restarted gate, whose receipt cache is empty, refuses them too.
    let mut gates = vec![gate];
    for restarted in [false, true] {
        if restarted {
            let gate = gates.pop().unwrap();
            gates.push(TestGate::at(gate.dir, &[]).await);
        }
        let gate = &gates[0];
        for (number, id) in &changed {
            let status = gate.get(&format!("{}/api/status/{id}", gate.url)).await;
            assert_eq!(status.status, 500, "change {number}");
            let kind = "urn:human-oversight:problem:integrity";
            assert_eq!(status.problem()["type"], kind, "change {number}");
            let claim = json!({"nonce": "0123456789abcdef"}).to_string();
            let claim = gate.post(&format!("/api/claim/{id}"), claim).await;
            assert_eq!(claim.status, 500, "change {number}");
        }
        let unchanged = format!("{}/api/status/{}", gate.url, other.approval.request.id);
        assert_eq!(gate.get(&unchanged).await.status, StatusCode::OK);
    }
}

/// Creates a request whose action failed, which has nearly every column.
async fn create_failed_request(gate: &TestGate) -> human_oversight_client::types::Approval {
    let mut new = request();
    new.reason = Some("Left the company.".to_owned());
    let approval = gate.client.submit(&new).await.unwrap();
    gate.approve(&approval, ALICE).await;
    let claim = json!({"nonce": "0123456789abcdef"}).to_string();
    gate.post(&format!("/api/claim/{}", approval.id), claim)
        .await;
    let failed = json!({"status": "ExecutionFailed", "error": "it broke"}).to_string();
    gate.post(&format!("/api/outcome/{}", approval.id), failed)
        .await;
    approval
}

#[tokio::test]
async fn no_column_can_be_removed_added_or_retyped() {
    let gate = TestGate::start().await;
    let approval = create_failed_request(&gate).await;
    let row = gate.entity(&approval.id).await;
    assert!(row["RowSeal"].as_str().unwrap().starts_with("v2:"));
    let status = format!("{}/api/status/{}", gate.url, approval.id);
    let columns = row.as_object().unwrap();
    let kept = ["PartitionKey", "RowKey"];
    let removed = columns.keys().filter(|name| !kept.contains(&name.as_str()));
    let removed = removed.map(|name| (name.clone(), None));
    let added = [
        ("Extra", json!("x")),
        ("Plan", json!("{}")),
        ("Extra", json!(1)),
        ("Extra", json!(true)),
        ("LateDecision", json!("Approve")),
        ("OnBehalfOf", json!("helpdesk@example.com")),
        ("Claimant", json!("0".repeat(64))),
    ];
    let added = added.map(|(name, value)| (name.to_owned(), Some(value)));
    let retyped = [
        (
            "Revision".to_owned(),
            Some(json!(row["Revision"].to_string())),
        ),
        ("Status".to_owned(), Some(json!(1))),
    ];
    let mut changed = 0;
    for (name, value) in removed.chain(added).chain(retyped) {
        gate.tamper(&approval.id, None, |row| {
            let columns = row.as_object_mut().unwrap();
            match &value {
                None => drop(columns.remove(&name)),
                Some(value) => drop(columns.insert(name.clone(), value.clone())),
            }
        })
        .await;
        let answer = gate.get(&status).await;
        let refused = if name == "Owner" { 404 } else { 500 };
        assert_eq!(answer.status, refused, "{name} {value:?}: {}", answer.body);
        gate.tamper(&approval.id, None, |stored| *stored = row.clone())
            .await;
        changed += 1;
    }
    assert_eq!(gate.get(&status).await.status, StatusCode::OK);
    assert!(changed > 35, "{changed}");
}

#[tokio::test]
async fn a_row_mac_of_another_version_is_refused() {
    let gate = TestGate::start().await;
    let approval = create_failed_request(&gate).await;
    let row = gate.entity(&approval.id).await;
    let seal = row["RowSeal"].as_str().unwrap();
    let bare = seal.strip_prefix("v2:").unwrap().to_owned();
    let status = format!("{}/api/status/{}", gate.url, approval.id);
    for seal in [bare.clone(), format!("v3:{bare}"), "v2:".to_owned()] {
        for revision in [true, false] {
            gate.tamper(&approval.id, None, |row| {
                row["RowSeal"] = json!(seal);
                if !revision {
                    row.as_object_mut().unwrap().remove("Revision");
                }
            })
            .await;
            assert_eq!(gate.get(&status).await.status, 500, "{seal}");
        }
        gate.tamper(&approval.id, None, |stored| *stored = row.clone())
            .await;
    }
    assert_eq!(gate.get(&status).await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_write_increments_the_revision() {
    let gate = TestGate::start().await;
    let revision = async |id: &str| gate.entity(id).await["Revision"].as_u64().unwrap();
    let approval = gate.ask().await;
    let mut seen = vec![revision(&approval.id).await];
    gate.approve(&approval, ALICE).await;
    seen.push(revision(&approval.id).await);
    let claim = json!({"nonce": "0123456789abcdef"}).to_string();
    for _ in 0..2 {
        gate.post(&format!("/api/claim/{}", approval.id), claim.clone())
            .await;
        seen.push(revision(&approval.id).await);
    }
    // The request, the results of its deliveries, the decision, the claim; a repeated claim writes nothing.
    assert_eq!(seen, [2, 3, 4, 4]);
}

/// A later version may add columns, which its row MAC covers, so the row is not damaged. This version
/// does not know their meaning, and so neither decides nor claims nor changes the row.
#[tokio::test]
async fn an_authentic_row_with_an_unknown_column_is_left_to_a_later_version() {
    let key = human_oversight::keys::keyring::generate_link_key();
    let gate = TestGate::with(&[("HO_LINK_KEYS", key.as_str())]).await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let page = gate.get(&question.link).await;
    let keys = human_oversight::keys::keyring::parse(&key).unwrap();
    let keys = human_oversight::keys::LinkKeys::new(&keys).unwrap();
    let settings = crate::backing_store::settings(gate.dir.path());
    let table = settings.iter().find(|(name, _)| *name == "HO_TABLE");
    let table = table.map_or("approvals", |(_, table)| table).to_owned();
    gate.tamper(&approval.id, None, |row| {
        row["Later"] = json!("{\"stages\":2}");
        let columns = row.as_object_mut().unwrap();
        columns.remove("RowSeal");
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let sealed = columns
            .iter()
            .map(|(name, value)| (name.clone(), text(value)));
        let sealed: std::collections::BTreeMap<_, _> = sealed.collect();
        let sealed = serde_json::to_vec(&sealed).unwrap();
        let mac = keys.row_mac_v2("local", &table, &sealed);
        columns.insert("RowSeal".to_owned(), json!(format!("v2:{mac}")));
    })
    .await;
    let before = gate.stored().await;
    let status = gate
        .get(&format!("{}/api/status/{}", gate.url, approval.id))
        .await;
    assert_eq!(
        status.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        status.body
    );
    let path = gate.direct(&format!("/api/status/{}", approval.id));
    let other = gate.http.get(path).header("x-functions-key", OTHER_KEY);
    assert_eq!(other.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let answer = gate.send_form(&page, &form).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    gate.pass(Duration::from_secs(3_600));
    // The entry that the email's record replaced may still be on its way out.
    gate.store.settle().await;
    let swept = gate.sweep().await;
    assert!(swept.contains("1 failed"), "{swept}");
    assert_eq!(gate.stored().await, before);
}

#[tokio::test]
async fn a_row_of_another_gate_or_table_is_damaged() {
    let (link_key, receipt_key) = (
        human_oversight::keys::keyring::generate_link_key(),
        human_oversight::keys::keyring::generate_receipt_key(),
    );
    let keys = [
        ("HO_LINK_KEYS", link_key.as_str()),
        ("HO_RECEIPT_KEYS", receipt_key.as_str()),
    ];
    let one = TestGate::with(&keys).await;
    let other_id = [&keys[..], &[("HO_GATE_ID", "other")]].concat();
    let another_gate = TestGate::with(&other_id).await;
    let another_table = TestGate::with(&keys).await;
    let is_file = std::env::var("HO_TEST_STORE").as_deref() != Ok("tables");
    let mut same = request();
    same.correlation_id = Some("same".to_owned());
    let approval = one.client.submit(&same).await.unwrap();
    one.approve(&approval, ALICE).await;
    let genuine = one.entity(&approval.id).await;
    for other in [&another_gate, &another_table] {
        let copy = other.client.submit(&same).await.unwrap();
        other
            .tamper(&copy.id, None, |row| *row = genuine.clone())
            .await;
        let status = format!("{}/api/status/{}", other.url, copy.id);
        let answer = other.get(&status).await;
        // A file has one name: with the same gate id it is a copy of the same store.
        if is_file && std::ptr::eq(other, &another_table) {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        } else {
            assert_eq!(answer.status, 500, "{}", answer.body);
        }
    }
}
