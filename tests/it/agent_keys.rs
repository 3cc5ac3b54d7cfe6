//! `HO_AGENT_KEYS`: a function key may act for its own agents only.

use human_oversight_client::Client;
use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::types::Approval;
use reqwest::StatusCode;

use crate::harness::{ALICE, TestGate, http, request};
use crate::host::{KEY, OTHER_KEY};

#[tokio::test]
async fn a_function_key_works_for_its_own_agents_only() {
    let key = hex(&sha256(KEY.as_bytes()));
    let keys = format!("{key}=UserManager*");
    let gate = TestGate::with(&[("HO_AGENT_KEYS", &keys)]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.status(&approval.id).await;

    let mut other = request();
    other.agent_name = "PaymentsAgent".to_owned();
    let other = serde_json::to_string(&other).unwrap();
    let refused = gate.post("/api/submit", other).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    assert!(
        refused.problem()["detail"]
            .as_str()
            .unwrap()
            .contains("HO_AGENT_KEYS")
    );
    assert_eq!(gate.stored().await.len(), 1);

    // Now the gate assigns the agent to another key than the one that calls.
    let foreign = format!("{}=UserManager*", hex(&sha256(b"another key")));
    let gate = TestGate::at(gate.dir, &[("HO_AGENT_KEYS", &foreign)]).await;
    let id = &approval.id;
    let before = gate.stored().await;
    let status = gate.get(&format!("{}/api/status/{id}", gate.url)).await;
    let mut answers = vec![status];
    for (function, body) in [
        ("claim", r#"{"nonce":"0123456789abcdef"}"#),
        ("outcome", r#"{"status":"Executed"}"#),
        ("withdraw", "{}"),
    ] {
        answers.push(gate.post(&format!("/api/{function}/{id}"), body).await);
    }
    for answer in answers {
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
        answer.problem();
    }
    assert_eq!(gate.stored().await, before);
}

#[tokio::test]
async fn the_key_may_be_sent_in_the_query() {
    let keys = format!("{}=UserManagerAgent", hex(&sha256(b"in the query")));
    let gate = TestGate::with(&[("HO_AGENT_KEYS", &keys)]).await;
    let url = |code: &str| format!("http://{}/api/submit?code={code}", gate.handler);
    let http = http().build().unwrap();
    let post = async |code: &str| {
        let body = serde_json::to_string(&request()).unwrap();
        let call = http
            .post(url(code))
            .header("content-type", "application/json");
        call.body(body).send().await.unwrap().status()
    };
    assert_eq!(post("in%20the%20query").await, StatusCode::ACCEPTED);
    assert_eq!(post("another").await, StatusCode::FORBIDDEN);
    let without_key = Client::new(&gate.direct(""), None).unwrap();
    assert!(without_key.submit(&request()).await.is_err());
}

/// Several entries of one key would otherwise be several budgets for its holder.
#[tokio::test]
async fn the_entries_of_one_key_share_budgets_and_earlier_rejections() {
    let [key, other] = [KEY, OTHER_KEY].map(|key| hex(&sha256(key.as_bytes())));
    let keys = format!("{key}=UserManager*,{other}=Other*,{key}=Refunds");
    let settings = [("HO_AGENT_KEYS", keys.as_str()), ("HO_MAIL_BUDGET", "2/2")];
    let gate = TestGate::with(&settings).await;
    let named = |name: &str| {
        let mut new = request();
        new.agent_name = name.to_owned();
        serde_json::to_string(&new).unwrap()
    };
    let first = gate.ask().await;
    gate.reject(&first, ALICE, "No.").await;
    let second = gate.post("/api/submit", named("Refunds")).await;
    assert_eq!(second.status, StatusCode::ACCEPTED, "{}", second.body);
    let second: Approval = serde_json::from_str(&second.body).unwrap();
    let page = gate.get(&gate.question(&second, ALICE).link).await;
    assert!(page.body.contains("that was rejected"), "{}", page.body);
    for name in ["Refunds", "UserManagerAgent"] {
        let answer = gate.post("/api/submit", named(name)).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{name}");
    }
    // Another key has its own.
    let call = http().build().unwrap().post(gate.direct("/api/submit"));
    let call = call
        .header("x-functions-key", OTHER_KEY)
        .header("content-type", "application/json");
    let answer = call.body(named("Other")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
}
