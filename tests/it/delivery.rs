//! Delivery reports of Communication Services, as Event Grid delivers them.

use std::collections::HashSet;
use std::time::Duration;

use human_oversight::domain::Notice;
use human_oversight::keys::{LinkKeys, keyring};
use human_oversight::store::StandingKind;
use human_oversight::values::Timestamp;
use human_oversight_client::types::{
    Approval, Deliverable, MailFault, MailState, NewApproval, Notification, Status,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::acs::{self, Acs};
use crate::claim::{NONCE, claim};
use crate::harness::{ALICE, BOB, Log, Page, TestGate, for_alice, request};
use crate::host::KEY;
use crate::mail::{approve, azure::email_of};
use crate::operate::operate;
use crate::people::payment;
use crate::service::said;
use crate::store::approval as stored;

const SENDER: &str = "approvals@notify.example.com";

/// Starts a gate that sends by Communication Services.
async fn start(acs: &Acs, more: &[(&str, &str)]) -> TestGate {
    let connection = format!("endpoint={}/;accesskey={}", acs.url(), acs::KEY);
    let settings = [
        ("HO_MAIL", "acs"),
        ("HO_ACS_CONNECTION_STRING", &connection),
        ("HO_MAIL_FROM", SENDER),
    ];
    TestGate::with(&[&settings, more].concat()).await
}

/// The ids under which emails to an address were sent, in order.
fn message_ids(acs: &Acs, address: &str) -> Vec<String> {
    let requests = acs.requests().into_iter();
    let to = |body: &[u8]| -> Value { serde_json::from_slice(body).unwrap() };
    let sent = requests.filter(|it| to(it.body())["recipients"]["to"][0]["address"] == address);
    sent.map(|it| said(&it, "operation-id").to_owned())
        .collect()
}

/// An event as Event Grid delivers it, in the form of its documentation.
pub(crate) fn event(kind: &str, data: Value) -> Value {
    json!({
        "id": "5c2ad27a-1b24-4a0c-8b6a-8c4f9c6a1f11",
        "topic": "/subscriptions/00000000-0000-0000-0000-000000000009/resourceGroups/gate/providers/\
                  Microsoft.Communication/CommunicationServices/acs-gate",
        "subject": format!("sender/{SENDER}/message/{}", data["messageId"].as_str().unwrap_or_default()),
        "data": data,
        "eventType": kind,
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "eventTime": "2026-11-22T17:31:00.822Z",
    })
}

pub(crate) fn report(message: &str, recipient: &str, status: &str) -> Value {
    let data = json!({
        "sender": SENDER,
        "recipient": recipient,
        "internetMessageId": "<0f2a.1.question@notify.example.com>",
        "messageId": message,
        "status": status,
        "deliveryStatusDetails": {"statusMessage": "550 5.1.1 user unknown"},
        "deliveryAttemptTimeStamp": "2026-11-22T17:31:00.2855749+00:00",
    });
    event("Microsoft.Communication.EmailDeliveryReportReceived", data)
}

async fn deliver(gate: &TestGate, events: &[Value]) -> Page {
    let path = format!("/api/delivery?code={KEY}");
    gate.post(&path, json!(events).to_string()).await
}

/// Delivers one report, and expects that it is taken.
async fn tell(gate: &TestGate, message: &str, recipient: &str, status: &str) {
    let answer = deliver(gate, &[report(message, recipient, status)]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, "{}")
    );
}

fn of<'a>(approval: &'a Approval, address: &str) -> &'a Notification {
    let mut all = approval.notifications.iter();
    all.find(|it| it.approver == address).unwrap()
}

fn state(approval: &Approval, address: &str) -> (MailState, Option<MailFault>) {
    let notification = of(approval, address);
    (notification.state, notification.fault)
}

const NOT_DELIVERED: (MailState, Option<MailFault>) = (MailState::Failed, Some(MailFault::Refused));

#[tokio::test]
async fn event_grid_gets_the_code_of_its_validation_back() {
    let gate = TestGate::start().await;
    let validation = |code: Value| {
        let data = json!({"validationCode": code, "validationUrl": "https://rp.example.com/validate?id=1"});
        event("Microsoft.EventGrid.SubscriptionValidationEvent", data)
    };
    let code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6";
    let answer = deliver(&gate, &[validation(json!(code))]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    let said: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(said, json!({"validationResponse": code}));
    for code in [json!("<b> "), json!("x".repeat(129)), json!(1), Value::Null] {
        let answer = deliver(&gate, &[validation(code)]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(
            answer.body.contains("/0/data/validationCode"),
            "{}",
            answer.body
        );
    }
    // Without the key, the host does not even ask.
    let body = json!([validation(json!(code))]).to_string();
    let url = format!("{}/api/delivery", gate.url);
    let stranger = crate::harness::http().build().unwrap().post(url).body(body);
    let stranger = stranger.header("content-type", "application/json");
    assert_eq!(stranger.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn what_bounced_is_no_longer_sent_and_the_other_approver_decides() {
    let acs = Acs::start().await;
    let gate = start(&acs, &[]).await;
    let approval = gate.client.submit(&request()).await.unwrap();
    assert_eq!(approval.deliverable, Deliverable::Ok);
    let [bounced, arrived] = [ALICE, BOB].map(|it| message_ids(&acs, it).remove(0));
    tell(&gate, &arrived, BOB, "Delivered").await;
    tell(&gate, &bounced, "Alice@Example.com", "Bounced").await;

    let after = gate.status(&approval.id).await;
    assert_eq!(after.status, Status::Pending);
    assert_eq!(state(&after, ALICE), NOT_DELIVERED);
    assert_eq!(state(&after, BOB), (MailState::Sent, None));
    assert_eq!(after.deliverable, Deliverable::Degraded);

    // Again, later, and contradicted.
    let stored = gate.stored().await;
    gate.pass(Duration::from_secs(5));
    for status in ["Bounced", "Delivered", "Suppressed", "Expanded"] {
        tell(&gate, &bounced, ALICE, status).await;
    }
    assert_eq!(gate.stored().await, stored);

    let emails: Vec<_> = acs.sent().iter().map(email_of).collect();
    approve(&gate, &emails, &approval, BOB).await;
    gate.sweep().await;
    assert_eq!(
        message_ids(&acs, ALICE).len(),
        1,
        "no reminder and no notice"
    );
    assert_eq!(message_ids(&acs, BOB).len(), 2);
}

#[tokio::test]
async fn a_request_that_reached_no_one_is_undeliverable_at_once() {
    for status in [
        "Bounced",
        "Failed",
        "Suppressed",
        "Quarantined",
        "FilteredSpam",
    ] {
        let acs = Acs::start().await;
        let gate = start(&acs, &[]).await;
        let approval = gate.client.submit(&request()).await.unwrap();
        let [alice, bob] = [ALICE, BOB].map(|it| message_ids(&acs, it).remove(0));
        let waiting = gate.client.status(&approval.id, Duration::from_secs(60));
        let reporting = async {
            tell(&gate, &alice, ALICE, status).await;
            assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
            tell(&gate, &bob, BOB, status).await;
        };
        let (waited, ()) = tokio::join!(waiting, reporting);
        let (ended, _) = waited.unwrap();
        assert_eq!(ended.status, Status::Undeliverable, "{status}");
        assert_eq!(ended.deliverable, Deliverable::None);
        gate.sweep().await;
        assert_eq!(acs.requests().len(), 2, "no one gets a notice");
        // The end stays.
        tell(&gate, &bob, BOB, "Delivered").await;
        assert_eq!(
            gate.status(&approval.id).await.status,
            Status::Undeliverable
        );
    }
}

#[tokio::test]
async fn what_is_no_report_of_an_email_that_the_gate_sent_changes_nothing() {
    let acs = Acs::start().await;
    let gate = start(&acs, &[]).await;
    gate.client.submit(&request()).await.unwrap();
    let [alice, bob] = [ALICE, BOB].map(|it| message_ids(&acs, it).remove(0));
    assert_eq!(alice[..19], bob[..19], "they lead to one request");
    let stored = gate.stored().await;
    let log = Log::default();
    let collecting = log.collect();
    for (message, recipient, status) in [
        (alice.as_str(), ALICE, "Delivered"),
        (&alice, ALICE, "Expanded"),
        (&alice, ALICE, "bounced"),
        (&alice, ALICE, "OutForDelivery"),
        // Contradicting: sent to another person.
        (&alice, BOB, "Bounced"),
        (&alice, "mallory@example.com", "Bounced"),
        (&alice, "alice", "Bounced"),
        ("not-an-id", ALICE, "Bounced"),
        (&alice, "alice+x@example.com", "Bounced"),
        // Unknown: another request, and another email of this one.
        ("00000000-0000-0000-0000-000000000000", ALICE, "Bounced"),
        (
            &format!("{}0000-000000000000", &alice[..19]),
            ALICE,
            "Bounced",
        ),
    ] {
        tell(&gate, message, recipient, status).await;
    }
    let data = json!({
        "sender": SENDER, "messageId": alice, "userActionTimeStamp": "2026-11-22T17:34:52.1303595+00:00",
        "engagementContext": "", "userAgent": "", "engagementType": "view",
    });
    for kind in [
        "Microsoft.Communication.EmailEngagementTrackingReportReceived",
        "Microsoft.Communication.SMSReceived",
        "Microsoft.EventGrid.SubscriptionDeletedEvent",
    ] {
        let answer = deliver(&gate, &[event(kind, data.clone())]).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind}");
    }
    drop(collecting);
    assert_eq!(gate.stored().await, stored);
    assert_eq!(log.count("INFO"), log.lines().len() - 4);
    assert_eq!(log.count("a delivery report names no known email"), 2);
    assert_eq!(log.count("a delivery report names another recipient"), 4);
    assert_eq!(log.count("@"), 0, "{:?}", log.lines());
}

#[tokio::test]
async fn a_report_after_the_decision_changes_the_delivery_alone() {
    let acs = Acs::start().await;
    let gate = start(&acs, &[]).await;
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let emails: Vec<_> = acs.sent().iter().map(email_of).collect();
    approve(&gate, &emails, &approval, ALICE).await;
    tell(&gate, &message_ids(&acs, ALICE)[0], ALICE, "Quarantined").await;
    let after = gate.status(&approval.id).await;
    assert_eq!(after.status, Status::Approved);
    assert_eq!(state(&after, ALICE), NOT_DELIVERED);
    gate.client
        .claim(&approval.id, &claim(NONCE))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_report_that_overtakes_the_answer_to_the_email_ends_its_attempts() {
    let acs = Acs::start().await;
    let gate = start(&acs, &[]).await;
    acs.lose_answer();
    let approval = gate.client.submit(&request()).await.unwrap();
    let unsure: Vec<_> = [ALICE, BOB]
        .into_iter()
        .filter(|it| state(&approval, it).1 == Some(MailFault::Unavailable))
        .collect();
    let [unsure] = unsure[..] else {
        panic!("one answer was lost")
    };
    let message = message_ids(&acs, unsure).remove(0);
    tell(&gate, &message, unsure, "Suppressed").await;
    assert_eq!(
        state(&gate.status(&approval.id).await, unsure),
        NOT_DELIVERED
    );
    gate.pass(Duration::from_secs(60));
    gate.sweep().await;
    assert_eq!(message_ids(&acs, unsure).len(), 1);
}

/// After half of the time the lead may give what is missing.
const ESCALATED: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]
leads = ["cfo@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
escalate = { after = "50%", to = "leads" }
"#;

#[tokio::test]
async fn a_request_that_escalates_later_waits_for_that_unless_it_cannot_help() {
    for (bounces, ends) in [(1, Status::Pending), (2, Status::Undeliverable)] {
        let acs = Acs::start().await;
        let gate = start(&acs, &[("HO_POLICY", ESCALATED)]).await;
        let payment = NewApproval {
            timeout_seconds: Some(500),
            ..payment()
        };
        let approval = gate.client.submit(&payment).await.unwrap();
        for address in &[ALICE, BOB][..bounces] {
            let message = message_ids(&acs, address).remove(0);
            tell(&gate, &message, address, "Failed").await;
        }
        assert_eq!(gate.status(&approval.id).await.status, ends);
        // The service takes no signature that is five minutes old.
        gate.pass(Duration::from_secs(251));
        gate.sweep().await;
        let asked = usize::from(ends == Status::Pending);
        assert_eq!(message_ids(&acs, "cfo@example.com").len(), asked);
        if asked == 1 {
            let message = message_ids(&acs, "cfo@example.com").remove(0);
            tell(&gate, &message, "cfo@example.com", "Bounced").await;
            let ended = gate.status(&approval.id).await;
            assert_eq!(
                ended.status,
                Status::Undeliverable,
                "the ids of later emails are known too"
            );
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_after_the_rest_is_recorded() {
    let acs = Acs::start().await;
    let gate = start(&acs, &[]).await;
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let message = message_ids(&acs, ALICE).remove(0);
    let good = report(&message, ALICE, "Bounced");
    for (pointer, value) in [
        ("/data/status", json!(1)),
        ("/data/status", Value::Null),
        ("/data/messageId", json!(1)),
        ("/data/recipient", json!(["alice@example.com"])),
        ("/eventType", Value::Null),
        ("/data", json!("x")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let answer = deliver(&gate, &[bad]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
        assert!(
            answer.body.contains(&format!("/0{pointer}")),
            "{}",
            answer.body
        );
        assert!(!answer.body.contains('@'), "{}", answer.body);
    }
    for body in ["{}", "1", "null"] {
        let answer = gate.post("/api/delivery", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
    }
    assert_eq!(gate.post("/api/delivery", "[1").await.status, 400);
    assert_eq!(deliver(&gate, &[json!(1)]).await.status, 400);
    assert_eq!(deliver(&gate, &vec![json!({}); 51]).await.status, 413);
    let large = json!([{"eventType": "x".repeat(70_000)}]).to_string();
    assert_eq!(gate.post("/api/delivery", large).await.status, 413);
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);

    let answer = deliver(&gate, &[json!({}), good.clone()]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("/0/eventType"), "{}", answer.body);
    let ended = gate.status(&approval.id).await;
    assert_eq!(ended.status, Status::Undeliverable);
    assert_eq!(deliver(&gate, &vec![good; 50]).await.status, 200);
}

#[tokio::test]
async fn a_report_about_a_row_that_cannot_be_trusted_is_made_again() {
    let acs = Acs::start().await;
    let gate = start(&acs, &[]).await;
    let [damaged, whole] = [(); 2].map(|()| for_alice());
    let damaged = gate.client.submit(&damaged).await.unwrap();
    let whole = gate.client.submit(&whole).await.unwrap();
    let messages = message_ids(&acs, ALICE);
    gate.tamper(&damaged.id, None, |row| row["Status"] = json!("Approved"))
        .await;
    let reports = messages.iter().map(|it| report(it, ALICE, "Bounced"));
    let reports: Vec<Value> = reports.collect();
    assert_eq!(deliver(&gate, &reports).await.status, 500);
    assert_eq!(gate.status(&whole.id).await.status, Status::Undeliverable);
}

#[tokio::test]
async fn one_row_for_each_request_and_none_without_reports() {
    let acs = Acs::start().await;
    let rows = async |gate: &TestGate| {
        let rows = gate.store.standing_of(StandingKind::Delivery).await;
        rows.unwrap().len()
    };
    let gate = start(&acs, &[]).await;
    for _ in 0..2 {
        gate.client.submit(&request()).await.unwrap();
    }
    assert_eq!(acs.requests().len(), 4);
    assert_eq!(rows(&gate).await, 2);
    let gate = TestGate::start().await;
    gate.ask().await;
    gate.store.prepare().await.unwrap();
    assert_eq!(rows(&gate).await, 0);
}

#[tokio::test]
async fn what_is_sent_again_has_a_new_id_that_its_retries_keep() {
    let acs = Acs::start().await;
    let gate = start(&acs, &[]).await;
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let resend = json!({"command": "resend", "id": approval.id});
    let mut known = vec![message_ids(&acs, ALICE).remove(0)];
    for again in 1..=2 {
        let said = operate(&gate, resend.clone()).await;
        assert_eq!(said["queued"], 1, "{said}");
        acs.answer(503, None, "ServiceUnavailable");
        gate.sweep().await;
        assert_eq!(acs.sent().len(), again);
        gate.pass(Duration::from_secs(60));
        gate.sweep().await;
        assert_eq!(acs.sent().len(), again + 1);
        let ids = message_ids(&acs, ALICE);
        let [.., refused, accepted] = &ids[..] else {
            panic!("{ids:?}");
        };
        assert_eq!(refused, accepted);
        assert!(!known.contains(accepted), "{ids:?}");
        known.push(accepted.clone());
    }
    let headers: HashSet<_> = acs
        .sent()
        .into_iter()
        .map(|it| it["headers"]["Message-ID"].to_string())
        .collect();
    assert_eq!(headers.len(), 3, "{headers:?}");

    // A report of an earlier email says nothing about the last one.
    tell(&gate, &known[0], ALICE, "Bounced").await;
    let after = gate.status(&approval.id).await;
    assert_eq!(state(&after, ALICE), (MailState::Sent, None));
    tell(&gate, &known[2], ALICE, "Bounced").await;
    let after = gate.status(&approval.id).await;
    assert_eq!(state(&after, ALICE), NOT_DELIVERED);
    // The second may have arrived.
    assert_eq!(after.status, Status::Pending);
}

/// The mail service sends what has an id that it knows only once.
#[test]
fn a_notice_that_comes_again_on_another_day_has_an_id_of_its_own() {
    let keys = LinkKeys::new(&keyring::parse(&keyring::generate_link_key()).unwrap()).unwrap();
    let mut rejected = stored("Agent", "1");
    rejected.approvers[0].link_key = keys.current_kid().to_owned();
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let [morning, evening, next] = [
        at("2026-11-22T06:00:00.000Z"),
        at("2026-11-22T18:00:00.000Z"),
        at("2026-11-23T06:00:00.000Z"),
    ];
    let id = |notice, at| keys.message_id(&rejected, 0, notice, at).unwrap();
    assert_eq!(id(Notice::Request, morning), id(Notice::Request, next));
    assert_eq!(
        id(Notice::AskedAgain, morning),
        id(Notice::AskedAgain, evening)
    );
    assert_ne!(
        id(Notice::AskedAgain, morning),
        id(Notice::AskedAgain, next)
    );
}
