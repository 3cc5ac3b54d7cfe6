//! The card that compares a request with earlier decisions on the same action of the same agent, and the table
//! that it is read from.

mod later;
mod parts;

use std::time::{Duration, Instant};

use human_oversight_client::types::Approval;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{AGENT, ALICE, BOB, Log, TestGate};
use crate::host::OTHER_KEY;
use crate::operate::operate;
use crate::process::run;
use crate::proxy::Fault;

const CARD: &str = "Compared with earlier decisions";
const NOTHING: &str =
    "No decision of a person is among the last on record for this action of this agent.";

fn body(parameters: &Value, approver: &str) -> Value {
    json!({
        "agentName": AGENT, "actionDescription": "Pay supplier invoice", "parameters": parameters,
        "approverEmails": [approver],
    })
}

/// A payment to a supplier.
fn payment(amount: f64, iban: &str) -> Value {
    json!({"amount": amount, "currency": "EUR", "to": {"name": "Contoso Ltd", "iban": iban}})
}

async fn submit(gate: &TestGate, parameters: &Value, approver: &str) -> Approval {
    submit_body(gate, &body(parameters, approver)).await
}

async fn submit_body(gate: &TestGate, body: &Value) -> Approval {
    let answer = gate.post("/api/submit", body.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// The rows of the table.
async fn kept(gate: &TestGate) -> Vec<Map<String, Value>> {
    let (rows, _) = gate.store.all_decided(None).await.unwrap();
    assert!(rows.iter().all(|row| row.checked.is_ok()));
    rows.into_iter().map(|row| row.columns).collect()
}

/// Submits a request to Alice, who approves it.
async fn approve(gate: &TestGate, parameters: &Value) -> Approval {
    let before = kept(gate).await.len();
    let approval = submit(gate, parameters, ALICE).await;
    gate.approve(&approval, ALICE).await;
    gate.until_kept(before + 1).await;
    approval
}

/// The words of the card on an approver's page.
async fn card(gate: &TestGate, approval: &Approval, approver: &str) -> String {
    let page = gate.get(&gate.question(approval, approver).link).await;
    let (above, card) = page.body.split_once(CARD).expect(&page.body);
    let (card, _) = card.split_once("</div>").unwrap();
    // What stands out is above the parameters, anything else below the form.
    let stands_out = card.contains("<ul>\n<li><code>");
    let is_below = above.contains("value=\"approve\"");
    assert_eq!(is_below, !stands_out, "{card}");
    let mut words = String::new();
    let mut is_tag = false;
    for c in card.chars() {
        match c {
            '<' => is_tag = true,
            '>' => is_tag = false,
            c if !is_tag => words.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ")
}

async fn card_of(gate: &TestGate, parameters: &Value, approver: &str) -> String {
    let approval = submit(gate, parameters, approver).await;
    card(gate, &approval, approver).await
}

#[tokio::test]
async fn the_page_says_what_is_new_and_out_of_range_among_the_parameters() {
    let gate = TestGate::start().await;
    let words = card_of(&gate, &payment(180.0, "DE1"), ALICE).await;
    assert_eq!(words, NOTHING);
    approve(&gate, &payment(180.0, "DE1")).await;
    let words = card_of(&gate, &payment(9400.5, "DE2"), ALICE).await;
    assert!(
        words.starts_with(
            "/amount: 9,400.5, larger than in the last approval (at most 180) \
             /to/iban: a value not in the last approval The last decision of a person: approved"
        ),
        "{words}"
    );
    approve(&gate, &payment(9400.5, "DE2")).await;
    let rejected = submit(&gate, &payment(200.0, "DE1"), ALICE).await;
    gate.reject(&rejected, ALICE, "Not this.").await;
    gate.until_kept(3).await;
    let words = card_of(&gate, &payment(18_000.0, "DE3"), ALICE).await;
    assert!(
        words.starts_with(
            "/amount: 18,000, larger than in the last 2 approvals (at most 9,400.5) \
             /to/iban: a value not in the last 2 approvals \
             The last 3 decisions of people: 2 approved, 1 rejected Rejected on "
        ),
        "{words}"
    );
    // Comments are in the notice of earlier rejections alone.
    assert!(!words.contains("Not this"), "{words}");
    let words = card_of(&gate, &payment(180.0, "DE1"), ALICE).await;
    assert!(
        words.starts_with(
            "Every value was in the last 2 approvals, and every number is within their range."
        ),
        "{words}"
    );
    assert!(words.contains("with exactly the same content"), "{words}");
}

#[tokio::test]
async fn what_no_person_approved_makes_nothing_familiar() {
    let gate = TestGate::start().await;
    let rejected = submit(&gate, &payment(18_000.0, "DE9"), ALICE).await;
    gate.reject(&rejected, ALICE, "").await;
    gate.until_kept(1).await;
    let words = card_of(&gate, &payment(18_000.0, "DE9"), ALICE).await;
    assert!(
        words.starts_with("No approval is among the last decisions of people, so nothing is compared. The last decision of a person: rejected"),
        "{words}"
    );
    approve(&gate, &payment(180.0, "DE1")).await;
    let words = card_of(&gate, &payment(18_000.0, "DE9"), ALICE).await;
    assert!(
        words.starts_with(
            "/amount: 18,000, larger than in the last approval (at most 180) \
             /to/iban: a value not in the last approval "
        ),
        "{words}"
    );
}

/// By the person who gave it, and by the operator.
#[tokio::test]
async fn a_revoked_approval_counts_as_a_rejection() {
    let gate = TestGate::start().await;
    for by_operator in [false, true] {
        let approval = approve(&gate, &payment(180.0, "DE1")).await;
        let before = kept(&gate).await.len();
        if by_operator {
            let body = json!({"command": "revoke", "id": approval.id});
            operate(&gate, body).await;
            gate.sweep().await;
        } else {
            let alice = gate.question(&approval, ALICE);
            let revoke = [("decision", "revoke"), ("code", alice.code.as_str())];
            gate.decide(&alice, &revoke).await;
        }
        gate.until_kept(before + 1).await;
        gate.sweep().await;
        assert_eq!(kept(&gate).await.len(), before + 1);
    }
    let card = card_of(&gate, &payment(180.0, "DE1"), BOB).await;
    for words in [
        "No approval is among the last decisions",
        "The last 2 decisions",
    ] {
        assert!(card.contains(words), "{words}: {card}");
    }
    assert!(!card.contains("exactly the same"), "{card}");
    // Another approval makes it familiar, and a purge leaves nothing.
    let approval = approve(&gate, &payment(180.0, "DE1")).await;
    let card = card_of(&gate, &payment(180.0, "DE1"), BOB).await;
    assert!(card.contains("1 approved, 2 rejected"), "{card}");
    for row in kept(&gate).await {
        let id = row["Id"].as_str().unwrap().parse().unwrap();
        let stored = gate.store.get(&id).await.unwrap();
        gate.store.delete_decided(&stored.approval).await.unwrap();
    }
    assert_eq!(kept(&gate).await.len(), 0, "{}", approval.id);
}

/// The policy approves small payments, more than the last decisions that are read.
#[tokio::test]
async fn what_the_policy_decides_takes_no_place_among_what_people_decided() {
    let policy = r#"
version = 1

[[rule]]
id = "small"
actions = ["Pay *"]
when = [{ parameter = "/amount", at_most = 10 }]
ignore = ["/currency", "/to"]
effect = "approve"
"#;
    let gate = TestGate::with(&[("HO_POLICY", policy), ("HO_POLICY_BUDGET", "off")]).await;
    approve(&gate, &payment(180.0, "DE1")).await;
    for _ in 0..51 {
        let small = body(&payment(5.0, "DE9"), ALICE).to_string();
        assert_eq!(gate.post("/api/submit", small).await.status, StatusCode::OK);
    }
    let words = card_of(&gate, &payment(18_000.0, "DE1"), ALICE).await;
    let larger = "/amount: 18,000, larger than in the last approval (at most 180) \
                  The last decision of a person: approved";
    assert!(words.starts_with(larger), "{words}");
}

#[tokio::test]
async fn the_page_says_what_each_approval_had_and_this_request_has_not() {
    let gate = TestGate::start().await;
    let earlier = json!({"dry_run": true, "to": ["team@example.com", "audit@example.com"]});
    approve(&gate, &earlier).await;
    let words = card_of(&gate, &json!({"to": ["team@example.com"]}), ALICE).await;
    assert!(
        words.starts_with(
            "/dry_run: given in the last approval, and not now \
             /to/*: without a value that was in the last approval The last"
        ),
        "{words}"
    );
}

#[tokio::test]
async fn only_exactly_the_same_content_is_called_the_same() {
    let gate = TestGate::start().await;
    let earlier = json!({"to": "lena@example.com"});
    approve(&gate, &earlier).await;
    let same = "with exactly the same content";
    let words = card_of(&gate, &earlier, ALICE).await;
    assert!(words.contains(same), "{words}");
    for other in ["Lena@example.com", "lena@example.com ", "lena@exаmple.com"] {
        let words = card_of(&gate, &json!({ "to": other }), ALICE).await;
        assert!(!words.contains(same), "{other}: {words}");
        assert!(
            words.contains("/to: a value not in the last approval"),
            "{words}"
        );
    }
    let mut other = body(&earlier, ALICE);
    other["actionDescription"] = json!("PAY supplier invoice");
    let words = card(&gate, &submit_body(&gate, &other).await, ALICE).await;
    assert!(!words.contains(same), "{words}");
}

#[tokio::test]
async fn only_requests_of_the_same_owner_agent_and_action_are_precedent() {
    let gate = TestGate::start().await;
    approve(&gate, &payment(180.0, "DE1")).await;
    let parameters = payment(200.0, "DE1");
    let mut other = body(&parameters, ALICE);
    other["actionDescription"] = json!("pay  supplier INVOICE.");
    let words = card(&gate, &submit_body(&gate, &other).await, ALICE).await;
    assert!(
        words.contains("The last decision of a person: approved"),
        "{words}"
    );
    other["actionDescription"] = json!("Pay supplier invoices");
    let words = card(&gate, &submit_body(&gate, &other).await, ALICE).await;
    assert_eq!(words, NOTHING);
    let mut other = body(&parameters, ALICE);
    other["agentName"] = json!("AnotherAgent");
    let words = card(&gate, &submit_body(&gate, &other).await, ALICE).await;
    assert_eq!(words, NOTHING);
    let call = gate.http.post(format!("{}/api/submit", gate.url));
    let call = call.header("content-type", "application/json");
    let call = call.header("x-functions-key", OTHER_KEY);
    let answer = call.body(body(&parameters, ALICE).to_string());
    let answer: Approval = answer.send().await.unwrap().json().await.unwrap();
    assert_eq!(card(&gate, &answer, ALICE).await, NOTHING);
}

#[tokio::test]
async fn numbers_of_earlier_requests_are_only_for_those_who_were_asked_then() {
    let gate = TestGate::start().await;
    approve(&gate, &payment(180.0, "DE1")).await;
    let words = card_of(&gate, &payment(18_000.0, "DE1"), BOB).await;
    let found = "/amount: 18,000, larger than in the last approval The last decision";
    assert!(words.starts_with(found), "{words}");
    assert!(!words.contains("180)"), "{words}");
    let words = card_of(&gate, &payment(18_000.0, "DE1"), ALICE).await;
    assert!(words.contains("(at most 180)"), "{words}");
}

#[tokio::test]
async fn the_table_holds_no_text_no_address_and_no_value_under_the_name_of_a_secret() {
    let gate = TestGate::start().await;
    let parameters = json!({
        "amount": 180, "note": "for Lena", "pin": 47_111_147, "password": "hunter22",
        "nested": {"apiKey": "k-0815", "cvc": [123_987], "on": true},
    });
    approve(&gate, &parameters).await;
    let row = Value::from(kept(&gate).await.remove(0));
    assert_eq!(row["Numbers"], r#"{"/amount":["180","180"]}"#);
    let values: Map<String, Value> = serde_json::from_str(row["Values"].as_str().unwrap()).unwrap();
    assert!(values.keys().eq(["/nested/on", "/note"]), "{row}");
    let row = row.to_string();
    for hidden in [
        "Lena", "47111147", "hunter22", "k-0815", "123987", ALICE, "/pin", "Key\\\"",
    ] {
        assert!(!row.contains(hidden), "{hidden}: {row}");
    }
    assert!(row.len() < 4_096);
}

#[tokio::test]
async fn parameters_that_do_not_fit_into_four_kib_are_not_called_new() {
    let gate = TestGate::start().await;
    let mut parameters = Map::new();
    for number in 0..400 {
        parameters.insert(format!("parameter-{number:03}"), json!("the same"));
        parameters.insert(
            format!("number-{number:03}"),
            json!(f64::from(number) + 0.123_456),
        );
    }
    let parameters = Value::from(parameters);
    approve(&gate, &parameters).await;
    let row = Value::from(kept(&gate).await.remove(0));
    let columns = row.as_object().unwrap().iter();
    let columns = columns.filter(|(name, _)| !name.starts_with("odata."));
    let size: usize = columns
        .map(|(name, value)| name.len() + value.to_string().len())
        .sum();
    assert!(size <= 4_096, "{size}");
    assert_eq!(row["Cut"], "true");
    let words = card_of(&gate, &parameters, ALICE).await;
    assert!(
        words.starts_with("The last decision of a person: approved"),
        "{words}"
    );
}

#[tokio::test]
async fn the_sweep_keeps_what_the_process_that_decided_did_not() {
    let gate = TestGate::start().await;
    let approval = approve(&gate, &payment(180.0, "DE1")).await;
    let row = kept(&gate).await;
    // As if that process had died in between: the request is still due.
    let stored = gate.store.get(&approval.id.parse().unwrap()).await.unwrap();
    gate.store.delete_decided(&stored.approval).await.unwrap();
    assert_eq!(kept(&gate).await.len(), 0);
    gate.sweep().await;
    let again = kept(&gate).await;
    assert_eq!((&again[0]["RowKey"], again.len()), (&row[0]["RowKey"], 1));
    gate.sweep().await;
    // Twice is once.
    assert!(!gate.store.keep_decided(&stored.approval).await.unwrap());
    assert_eq!(kept(&gate).await, again);
}

/// A gate on tables behind a proxy, in which the decided table answers as the faults say.
fn is_decided(method: &'static str) -> impl Fn(&str) -> bool + Send + Sync + 'static {
    move |request| request.starts_with(method) && request.contains("/decided")
}

fn refusal() -> Fault {
    Fault::Answer {
        status: 403,
        retry_after: None,
        body: "",
    }
}

#[tokio::test]
async fn the_page_comes_without_the_card_when_reading_takes_too_long_or_fails() {
    let log = Log::default();
    let _collected = log.collect();
    let (gate, proxy) = backing_store::behind_a_proxy(&[]).await;
    let approval = submit(&gate, &payment(180.0, "DE1"), ALICE).await;
    let link = gate.question(&approval, ALICE).link;
    proxy.fault(is_decided("GET "), Fault::Silence);
    let started = Instant::now();
    let page = gate.get(&link).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains(CARD), "{}", page.body);
    assert!(page.body.contains("Approve: it runs"));
    // Far below the three seconds after which the store gives up.
    assert!(started.elapsed() < Duration::from_secs(3));
    proxy.fault(is_decided("GET "), refusal());
    assert!(!gate.get(&link).await.body.contains(CARD));
    assert!(proxy.all_faults_applied());
    assert_eq!(log.count("earlier decisions could not be read"), 2);
    // One query.
    proxy.clear();
    assert_eq!(card(&gate, &approval, ALICE).await, NOTHING);
    let queries = proxy.requests();
    let queries: Vec<_> = queries.iter().filter(|it| is_decided("")(it)).collect();
    assert_eq!(queries.len(), 1);
    assert!(queries[0].contains("top=50"), "{queries:?}");
}

#[tokio::test]
async fn a_decision_that_cannot_be_kept_stands_and_is_kept_later() {
    let (gate, proxy) = backing_store::behind_a_proxy(&[]).await;
    let approval = submit(&gate, &payment(180.0, "DE1"), ALICE).await;
    // Of the process that decides, and of the sweep.
    proxy.fault(is_decided("POST "), refusal());
    proxy.fault(is_decided("POST "), refusal());
    gate.approve(&approval, ALICE).await;
    eventually(async || {
        let tried = proxy.requests();
        tried.iter().any(|it| is_decided("POST ")(it)).then_some(())
    })
    .await;
    gate.sweep().await;
    assert!(proxy.all_faults_applied());
    assert_eq!(kept(&gate).await.len(), 0);
    // The outcome notice did not wait for it.
    let mails = gate.mails();
    assert!(mails.iter().any(|mail| mail.message_id.contains("outcome")));
    gate.pass(Duration::from_secs(61));
    gate.sweep().await;
    assert_eq!(kept(&gate).await.len(), 1);
    let status = gate.status(&approval.id).await;
    assert_eq!(status.approver.as_deref(), Some(ALICE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_decisions_are_entered_once_and_purged_with_their_requests() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    gate.back(Duration::from_secs(40 * 86_400));
    let approval = approve(&gate, &payment(180.0, "DE1")).await;
    let old = approve(&gate, &payment(181.0, "DE1")).await;
    gate.pass(Duration::from_secs(86_400));
    gate.sweep().await;
    gate.pass(Duration::from_secs(39 * 86_400));
    let row = kept(&gate).await;
    for id in [&approval.id, &old.id] {
        let stored = gate.store.get(&id.parse().unwrap()).await.unwrap();
        gate.store.delete_decided(&stored.approval).await.unwrap();
    }
    submit(&gate, &payment(182.0, "DE1"), ALICE).await;
    let rebuild = ["index", "rebuild"];
    let (said, code) = run(&settings, &rebuild).await;
    assert_eq!(
        (said.as_str(), code),
        (
            "2 decisions were entered; 0 were there already. Left out: 1 requests that no person decided, \
             0 rows of the legacy Logic App, 0 rows that cannot be trusted.\n",
            0
        )
    );
    let again = kept(&gate).await;
    assert!(
        again
            .iter()
            .zip(&row)
            .all(|(one, other)| one["RowKey"] == other["RowKey"])
    );
    let version_1 = [&settings[..], &[("HO_ROWS", "1")]].concat();
    let (said, code) = run(&version_1, &rebuild).await;
    assert!(code == 2 && said.contains("HO_ROWS=1"), "{said}");
    let (said, _) = run(&settings, &rebuild).await;
    assert!(
        said.starts_with("0 decisions were entered; 2 were"),
        "{said}"
    );
    assert_eq!(kept(&gate).await, again);

    gate.tamper(&approval.id, None, |row| row["Comment"] = json!("changed"))
        .await;
    let (said, code) = run(&settings, &rebuild).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("1 rows that cannot be trusted"), "{said}");

    let purge = ["purge", "--older-than", "30", "--delete"];
    let (said, code) = run(&settings, &purge).await;
    assert_eq!(code, 0, "{said}");
    let left = kept(&gate).await;
    assert_eq!(left.len(), 1, "{said}");
    assert_eq!(left[0]["Id"], approval.id);
}
