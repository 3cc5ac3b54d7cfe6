//! What the organisation's policy says about requests: who must agree, what needs no person, what is denied.

mod held_back;
mod places;
mod reached;
mod seen;
mod votes;

use std::time::Duration;

use human_oversight_client::receipt::{Assurance, verify};
use human_oversight_client::types::{Approval, Decider, NewApproval, Status};
use human_oversight_client::{Outcome, Reason};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Log, Mail, Page, TestGate, object, request};

pub(crate) const CAROL: &str = "carol@example.com";

/// Payments need two of finance and then one of security; small refunds need no person; production is never
/// deleted.
pub(crate) const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com", "dave@example.com"]
security = ["carol@example.com", "dave@example.com", "erin@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
when = [{ parameter = "/amount", more_than = 50 }]
effect = "require"
stages = [{ from = "finance", approvals = 2 }, { from = "security", approvals = 1 }]

[[rule]]
id = "small-refunds"
actions = ["Refund *"]
when = [{ parameter = "/amount", at_most = 50 }]
effect = "approve"
limit = { times = 2, per = "1h" }

[[rule]]
id = "never"
actions = ["Delete production *"]
effect = "deny"
reason = "Agents never delete production. Open a change instead."
"#;

async fn gate_with(policy: &str) -> TestGate {
    TestGate::with(&[("HO_POLICY", policy)]).await
}

pub(crate) fn payment(amount: u32) -> NewApproval {
    NewApproval {
        action_description: "Pay supplier invoice".to_owned(),
        parameters: object(json!({"amount": amount, "currency": "EUR"})),
        approver_emails: Vec::new(),
        ..request()
    }
}

fn refund(amount: u32) -> NewApproval {
    NewApproval {
        action_description: "Refund an order".to_owned(),
        parameters: object(json!({"amount": amount})),
        ..payment(amount)
    }
}

async fn submit(gate: &TestGate, request: &NewApproval) -> Approval {
    gate.client.submit(request).await.unwrap()
}

/// The people who have been mailed about a request.
fn asked(gate: &TestGate, approval: &Approval) -> Vec<String> {
    let is_about = |mail: &Mail| mail.text.contains(&approval.id);
    let mails = gate.mails().into_iter().filter(is_about);
    let mut people: Vec<String> = mails.map(|mail| mail.to).collect();
    people.sort();
    people.dedup();
    people
}

async fn security_is_asked(gate: &TestGate, approval: &Approval) {
    let carol = CAROL.to_owned();
    eventually(async || asked(gate, approval).contains(&carol).then_some(())).await;
}

/// The request that has been submitted, once its emails are there.
async fn eventually_asked(gate: &TestGate) -> Approval {
    eventually(async || (gate.mails().len() == 3).then_some(())).await;
    let rows = gate.stored().await;
    let row: Value = serde_json::from_str(&rows[0].2).unwrap();
    let (agent, name) = (row["AgentName"].as_str(), row["CorrelationId"].as_str());
    let id = human_oversight::values::ApprovalId::new(agent.unwrap(), name.unwrap()).unwrap();
    gate.status(&id.to_string()).await
}

async fn page_of(gate: &TestGate, approval: &Approval, person: &str) -> String {
    let page = gate.get(&gate.question(approval, person).link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.body
}

#[tokio::test]
async fn a_payment_needs_two_of_finance_and_then_one_of_security() {
    let gate = gate_with(POLICY).await;
    let payment = submit(&gate, &payment(18_000)).await;
    assert_eq!(asked(&gate, &payment), [ALICE, BOB, "dave@example.com"]);
    let policy = payment.policy.clone().unwrap();
    assert_eq!(policy.rules, ["payments"]);
    let fact = "/amount is 18000, more than 50".to_owned();
    assert!(policy.facts.contains(&fact), "{policy:?}");
    let progress = payment.progress.clone().unwrap();
    assert_eq!((progress.stage, progress.stages), (1, 2));
    assert_eq!((progress.given, progress.needed), (0, 2));
    assert_eq!(progress.awaiting, ["finance"]);
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(page.contains("0 of 2 approvals"), "{page}");
    assert!(page.contains("/amount is 18000"), "{page}");
    assert!(
        page.contains(&format!("SHA-256 of the policy: {}", policy.digest)),
        "{page}"
    );

    gate.approve(&payment, ALICE).await;
    let after_one = gate.status(&payment.id).await;
    assert_eq!(after_one.status, Status::Pending);
    assert_eq!(after_one.progress.unwrap().given, 1);
    assert_eq!((after_one.approver, after_one.receipt), (None, None));
    // A second vote of the same person changes nothing.
    let again = gate.question(&payment, ALICE);
    let page = gate.get(&again.link).await;
    assert!(!page.body.contains("value=\"approve\""), "{}", page.body);
    let before = gate.entity(&payment.id).await;
    assert_eq!(before["Status"], "Pending");
    let votes: Value = serde_json::from_str(before["Votes"].as_str().unwrap()).unwrap();
    assert_eq!(votes.as_array().unwrap().len(), 1);

    gate.approve(&payment, BOB).await;
    // The second stage is asked at once, and sees who has agreed.
    security_is_asked(&gate, &payment).await;
    let page = page_of(&gate, &payment, CAROL).await;
    for words in [
        "2 of 2 approvals",
        "alice@example.com approved",
        "bob@example.com approved",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let mails = gate.mails().into_iter();
    let carols: Vec<Mail> = mails.filter(|it| it.to == CAROL).collect();
    for words in [
        "/amount is 18000, more than 50",
        "alice@example.com approved",
    ] {
        assert!(carols[0].text.contains(words), "{}", carols[0].text);
    }
    // A vote of the first stage counts for that alone.
    let dave = gate.question(&payment, "dave@example.com");
    assert!(
        gate.get(&dave.link)
            .await
            .body
            .contains("value=\"approve\"")
    );

    gate.approve(&payment, CAROL).await;
    let done = gate.status(&payment.id).await;
    assert_eq!(done.status, Status::Approved);
    assert_eq!((done.decider, done.progress), (Some(Decider::Person), None));
    assert_eq!(done.approver.as_deref(), Some(CAROL));
    let keys = gate.client.keys().await.unwrap();
    let claims = verify(done.receipt.as_ref().unwrap(), &keys).unwrap();
    let voters: Vec<(&str, u8)> = claims
        .votes
        .iter()
        .map(|it| (&*it.approver, it.stage))
        .collect();
    assert_eq!(voters, [(ALICE, 1), (BOB, 1), (CAROL, 2)]);
    assert_eq!(claims.approvals(), 3);
    assert!(claims.is_approved_by_at_least(3) && !claims.is_approved_by_at_least(4));
    assert!(claims.applied_rule("payments") && !claims.applied_rule("never"));
    assert_eq!(claims.policy.unwrap().digest, policy.digest);
    let row = gate.entity(&payment.id).await;
    let kept: Vec<String> = serde_json::from_str(row["VoteReceipts"].as_str().unwrap()).unwrap();
    assert_eq!(kept.len(), 3);
    // A vote is no receipt.
    assert!(verify(&kept[0], &keys).is_err());
}

#[tokio::test]
async fn an_agent_runs_with_the_votes_of_people_whom_it_did_not_name() {
    let gate = gate_with(POLICY).await;
    let agent = gate.gate().approvers([] as [&str; 0]);
    let action = agent.action("Pay supplier invoice");
    let running = tokio::spawn(async move {
        let parameters = json!({"amount": 90});
        action.run(&parameters, |_| async { "paid" }).await
    });
    let paying = eventually_asked(&gate).await;
    for person in [ALICE, BOB] {
        gate.approve(&paying, person).await;
    }
    security_is_asked(&gate, &paying).await;
    gate.approve(&paying, CAROL).await;
    assert_eq!(running.await.unwrap(), Outcome::Executed("paid"));
}

#[tokio::test]
async fn one_rejection_is_final() {
    let gate = gate_with(POLICY).await;
    let payment = submit(&gate, &payment(60)).await;
    gate.approve(&payment, ALICE).await;
    gate.reject(&payment, BOB, "Not this supplier.").await;
    let rejected = gate.status(&payment.id).await;
    assert_eq!(rejected.status, Status::Rejected);
    assert_eq!(rejected.comment.as_deref(), Some("Not this supplier."));
    // After the end the page names who decided, and takes no vote.
    let dave = gate.question(&payment, "dave@example.com");
    let page = gate.get(&dave.link).await;
    assert!(
        page.body.contains("Rejected by bob@example.com"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("value=\"approve\""), "{}", page.body);
}

#[tokio::test]
async fn a_vote_is_taken_back_while_others_are_missing() {
    let gate = gate_with(POLICY).await;
    let payment = submit(&gate, &payment(60)).await;
    gate.approve(&payment, ALICE).await;
    let alice = gate.question(&payment, ALICE);
    let revoke = [("decision", "revoke"), ("code", alice.code.as_str())];
    let revoked = gate.decide(&alice, &revoke).await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER, "{}", revoked.body);
    let rejected = gate.status(&payment.id).await;
    assert_eq!(rejected.status, Status::Rejected);
    assert_eq!(rejected.approver.as_deref(), Some(ALICE));
}

#[tokio::test]
async fn a_rule_approves_within_its_limit_and_people_decide_beyond_it() {
    let gate = gate_with(POLICY).await;
    let refund = NewApproval {
        approver_emails: vec![ALICE.to_owned()],
        ..refund(20)
    };
    let named = |name: &str| NewApproval {
        correlation_id: Some(name.to_owned()),
        ..refund.clone()
    };
    let first = submit(&gate, &named("first")).await;
    assert_eq!(first.status, Status::Approved);
    assert_eq!(
        (first.decider, &first.approver),
        (Some(Decider::Policy), &None)
    );
    assert_eq!(first.notifications, []);
    let keys = gate.client.keys().await.unwrap();
    let claims = verify(first.receipt.as_ref().unwrap(), &keys).unwrap();
    assert_eq!(claims.assurance, Assurance::Policy);
    assert!(
        claims.approver.starts_with("policy:small-refunds@"),
        "{}",
        claims.approver
    );
    assert_eq!(claims.approvals(), 0);
    let row = gate.entity(&first.id).await;
    assert_eq!(
        (&row["Approver"], &row["Decider"]),
        (&Value::Null, &json!(claims.approver))
    );
    // A repeat is the same request, and charges nothing.
    for _ in 0..3 {
        assert_eq!(submit(&gate, &named("first")).await.id, first.id);
    }
    assert_eq!(
        submit(&gate, &named("second")).await.status,
        Status::Approved
    );
    assert!(gate.mails().is_empty());
    let third = submit(&gate, &named("third")).await;
    assert_eq!(third.status, Status::Pending);
    let facts = third.policy.as_ref().unwrap().facts.clone();
    assert_eq!(facts, ["the limit of rule small-refunds is used up"]);
    assert_eq!(asked(&gate, &third), [ALICE]);
    // The limit slides.
    gate.pass(Duration::from_secs(3_601));
    assert_eq!(
        submit(&gate, &named("fourth")).await.status,
        Status::Approved
    );
    // What the rule does not mention is not approved by it.
    let mut unmentioned = named("fifth");
    unmentioned.parameters.insert("to".to_owned(), json!("DE1"));
    assert_eq!(submit(&gate, &unmentioned).await.status, Status::Pending);
}

#[tokio::test]
async fn an_action_is_denied_without_asking_a_person() {
    let gate = gate_with(POLICY).await;
    let request = NewApproval {
        action_description: "Delete production database".to_owned(),
        ..payment(1)
    };
    let denied = submit(&gate, &request).await;
    assert_eq!(
        (denied.status, denied.decider),
        (Status::Rejected, Some(Decider::Policy))
    );
    let reason = "Agents never delete production. Open a change instead.";
    assert_eq!(denied.comment.as_deref(), Some(reason));
    assert!(gate.mails().is_empty());
    let claim = r#"{"nonce":"0123456789abcdef"}"#;
    let claimed = gate.post(&format!("/api/claim/{}", denied.id), claim).await;
    assert_eq!(claimed.status, StatusCode::CONFLICT, "{}", claimed.body);
    let action = gate.gate().action("Delete production database");
    let log = Log::default();
    let collecting = log.collect();
    let outcome = action
        .run(&json!({"amount": 1}), |_| async { "gone" })
        .await;
    let Outcome::Refused(refusal) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(refusal.reason, Reason::Denied);
    // The policy decided.
    drop(collecting);
    assert_eq!(log.count("not run"), 0, "{:?}", log.lines());
    assert_eq!(
        refusal.to_string(),
        format!(
            "Not run: the operator's policy denies this (rule never). Do not try again. The policy's reason: {reason}"
        )
    );
}

#[tokio::test]
async fn without_a_rule_the_agent_names_the_approvers_as_before() {
    let gate = gate_with(POLICY).await;
    let asked = gate.ask().await;
    assert_eq!(
        (asked.policy, asked.progress, asked.decider),
        (None, None, None)
    );
    let nameless = NewApproval {
        approver_emails: Vec::new(),
        ..request()
    };
    let refused = gate.client.submit(&nameless).await.unwrap_err().to_string();
    assert!(refused.contains("/approverEmails is missing"), "{refused}");
}

#[tokio::test]
async fn simultaneous_approvals_count_once_each_and_no_more() {
    let gate = gate_with(POLICY).await;
    let payment = submit(&gate, &payment(60)).await;
    let people = [ALICE, BOB, "dave@example.com"];
    let questions = people.map(|person| gate.question(&payment, person));
    let pages = futures_util::future::join_all(questions.iter().map(|it| gate.get(&it.link))).await;
    let forms = questions
        .each_ref()
        .map(|it| [("decision", "approve"), ("code", it.code.as_str())]);
    let sent = pages
        .iter()
        .zip(&forms)
        .map(|(page, form)| gate.send_form(page, form));
    let answers = futures_util::future::join_all(sent).await;
    let statuses = |answers: &[Page]| {
        let mut statuses: Vec<_> = answers.iter().map(|it| it.status).collect();
        statuses.sort();
        statuses
    };
    // Each of the others has come to be the last one of finance, unseen.
    let conflict = StatusCode::CONFLICT;
    let one_of_three = [StatusCode::SEE_OTHER, conflict, conflict];
    assert_eq!(statuses(&answers), one_of_three);
    let shown = answers.iter().zip(&forms);
    let shown = shown.filter(|(page, _)| page.status == conflict);
    let sent = shown.map(|(page, form)| gate.send_form(page, form));
    let answers = futures_util::future::join_all(sent).await;
    assert_eq!(statuses(&answers), one_of_three[..2]);
    let after = gate.status(&payment.id).await;
    let progress = after.progress.unwrap();
    assert_eq!(
        (after.status, progress.stage, progress.given),
        (Status::Pending, 2, 0)
    );
}

#[tokio::test]
async fn votes_cannot_be_forged_moved_or_removed() {
    let gate = gate_with(POLICY).await;
    let payment = submit(&gate, &payment(60)).await;
    gate.approve(&payment, ALICE).await;
    let row = gate.entity(&payment.id).await;
    let change = |column: &'static str, from: &'static str, to: &'static str| {
        let text = row[column].as_str().unwrap().replace(from, to);
        assert_ne!(text, row[column].as_str().unwrap(), "{column}");
        (column, json!(text))
    };
    for (column, value) in [
        change("Votes", "\"person\":0", "\"person\":1"),
        change("Votes", "Approve", "Reject"),
        change("Plan", "\"needed\":2", "\"needed\":1"),
        change("Plan", "\"needed\":1", "\"needed\":0"),
        ("Votes", Value::Null),
        ("VoteReceipts", json!("[]")),
        ("Plan", Value::Null),
    ] {
        gate.tamper(&payment.id, None, |row| row[column] = value.clone())
            .await;
        let url = format!("{}/api/status/{}", gate.url, payment.id);
        let answer = gate.get(&url).await;
        assert_eq!(
            answer.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{column} {value}"
        );
        gate.tamper(&payment.id, None, |tampered| *tampered = row.clone())
            .await;
    }
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
}

#[tokio::test]
async fn two_addresses_of_one_person_are_one_vote() {
    let policy = r#"
version = 1
[groups]
first = ["alice@example.com=11111111-1111-4111-8111-111111111111", "carol@example.com"]
second = ["a.work@example.com=11111111-1111-4111-8111-111111111111", "bob@example.com"]
[[rule]]
id = "both"
effect = "require"
stages = [{ from = "first" }, { from = "second" }]
"#;
    let gate = gate_with(policy).await;
    let payment = submit(&gate, &payment(60)).await;
    let row = gate.entity(&payment.id).await;
    let people: Vec<String> =
        serde_json::from_str(row["ApproverEmails"].as_str().unwrap()).unwrap();
    assert_eq!(people, [ALICE, CAROL, BOB]);
    gate.approve(&payment, ALICE).await;
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(!page.contains("value=\"approve\""), "{page}");
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
}
