//! Agents that identify themselves by an access token of Entra: the routes below `/api/agent`.

use std::net::SocketAddr;

use human_oversight_client::receipt::verify;
use human_oversight_client::types::{Approval, NewApproval};
use human_oversight_client::{Client, Gate, Reason};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{AGENT, ALICE, Log, Page, TestGate, http, request};
use crate::host::{KEY, PRINCIPAL, SignIn};
use crate::sign_in::{TENANT, alice};

pub(crate) const AGENT_ID: &str = "7d1f0a52-0000-4000-8000-0000000a9e47";
const OTHER_ID: &str = "7d1f0a52-0000-4000-8000-0000000a9e48";
const NONCE: &str = "0123456789abcdef";

/// Function keys and identities.
pub(crate) const BOTH: [(&str, &str); 3] = [
    ("HO_AGENT_IDENTITY", "both"),
    ("HO_ENTRA_TENANT", TENANT),
    ("WEBSITE_AUTH_ENABLED", "True"),
];

const OBJECT: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
const ROLE: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";
const TENANT_CLAIM: &str = "http://schemas.microsoft.com/identity/claims/tenantid";

/// The principal that the platform sends for a program with a token for itself.
pub(crate) fn program(object_id: &str) -> Value {
    let claims = [
        ("aud", "api://human-oversight"),
        ("appid", "6a0d3b11-0000-4000-8000-00000000a991"),
        ("appidacr", "2"),
        ("idtyp", "app"),
        (OBJECT, object_id),
        (ROLE, "Agent.Ask"),
        (
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
            object_id,
        ),
        (TENANT_CLAIM, TENANT),
        ("ver", "1.0"),
    ];
    let claims = claims.map(|(typ, val)| json!({"typ": typ, "val": val}));
    json!({"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": ROLE})
}

/// The principal with these values of a claim.
fn with(mut principal: Value, typ: &str, values: &[&str]) -> Value {
    let claims = principal["claims"].as_array_mut().unwrap();
    claims.retain(|claim| claim["typ"] != typ);
    claims.extend(values.iter().map(|val| json!({"typ": typ, "val": val})));
    principal
}

/// A token as the stand-in for the platform takes it.
pub(crate) fn token(principal: &Value) -> String {
    let session = SignIn::session(principal);
    session.split_once('=').unwrap().1.to_owned()
}

fn bearer(principal: &Value) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {}", token(principal)))]
}

async fn call(
    url: &str,
    method: &Method,
    path: &str,
    headers: &[(&str, String)],
    body: &Value,
) -> Page {
    let http = http().build().unwrap();
    let mut call = http.request(method.clone(), format!("{url}{path}"));
    for (name, value) in headers {
        call = call.header(*name, value);
    }
    if *method == Method::POST {
        call = call.header("content-type", "application/json");
        call = call.body(body.to_string());
    }
    Page::of(call.send().await.unwrap()).await
}

async fn submit(gate: &TestGate, headers: &[(&str, String)], correlation: &str) -> Page {
    let mut body = serde_json::to_value(request()).unwrap();
    body["correlationId"] = json!(correlation);
    call(
        &gate.url,
        &Method::POST,
        "/api/agent/submit",
        headers,
        &body,
    )
    .await
}

/// Submits a request as the agent.
pub(crate) async fn submit_request(gate: &TestGate, new: &NewApproval) -> Approval {
    let (path, body) = ("/api/agent/submit", serde_json::to_value(new).unwrap());
    let agent = bearer(&program(AGENT_ID));
    let answer = call(&gate.url, &Method::POST, path, &agent, &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    serde_json::from_value(answer.json()).unwrap()
}

async fn submitted(gate: &TestGate, object_id: &str, correlation: &str) -> Approval {
    let answer = submit(gate, &bearer(&program(object_id)), correlation).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    serde_json::from_value(answer.json()).unwrap()
}

/// A call with the header that the platform sets, for a request that does not exist.
pub(crate) async fn ask_past_the_host(handler: SocketAddr) {
    let headers = [(PRINCIPAL, token(&program(AGENT_ID)))];
    let (url, path) = (format!("http://{handler}"), "/api/agent/status/YQ.b");
    let answer = call(&url, &Method::GET, path, &headers, &json!({})).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
}

/// The routes for an agent's own request, with a body.
fn routes(id: &str) -> [(Method, String, Value); 4] {
    let path = |function: &str| format!("/api/agent/{function}/{id}");
    [
        (Method::GET, path("status"), json!({})),
        (Method::POST, path("claim"), json!({"nonce": NONCE})),
        (Method::POST, path("outcome"), json!({"status": "Executed"})),
        (Method::POST, path("withdraw"), json!({})),
    ]
}

#[tokio::test]
async fn only_a_program_of_the_directory_with_the_role_asks() {
    let gate = TestGate::with(&BOTH).await;
    let approval = submitted(&gate, AGENT_ID, "of-the-agent").await;
    let agent = program(AGENT_ID);
    let cookie = |principal: &Value| vec![("cookie", SignIn::session(principal))];
    let outsider = "00000000-5d3e-4b7a-9c10-2f6e0d8b7a31";
    let scope = "http://schemas.microsoft.com/identity/claims/scope";
    let mut of_another_provider = agent.clone();
    of_another_provider["auth_typ"] = json!("google");
    let refused = [
        ("anonymous", vec![]),
        ("a function key", vec![("x-functions-key", KEY.to_owned())]),
        ("a header of its own", vec![(PRINCIPAL, token(&agent))]),
        ("a person's session", cookie(&alice())),
        ("a person's token", bearer(&alice())),
        (
            "a person with the role",
            bearer(&with(alice(), "roles", &["Agent.Ask"])),
        ),
        (
            "a program with a person's token",
            bearer(&with(agent.clone(), scope, &["ask"])),
        ),
        (
            "idtyp is user",
            bearer(&with(agent.clone(), "idtyp", &["user"])),
        ),
        (
            "idtyp is missing",
            bearer(&with(agent.clone(), "idtyp", &[])),
        ),
        (
            "idtyp is both",
            bearer(&with(agent.clone(), "idtyp", &["app", "user"])),
        ),
        ("without the role", bearer(&with(agent.clone(), ROLE, &[]))),
        (
            "with another role",
            bearer(&with(agent.clone(), ROLE, &["agent.ask"])),
        ),
        (
            "of another directory",
            bearer(&with(agent.clone(), TENANT_CLAIM, &[outsider])),
        ),
        (
            "of two directories",
            bearer(&with(agent.clone(), TENANT_CLAIM, &[TENANT, outsider])),
        ),
        (
            "of no directory",
            bearer(&with(agent.clone(), TENANT_CLAIM, &[])),
        ),
        ("of another provider", bearer(&of_another_provider)),
        (
            "without an object id",
            bearer(&with(agent.clone(), OBJECT, &[])),
        ),
        (
            "with two object ids",
            bearer(&with(agent.clone(), OBJECT, &[AGENT_ID, OTHER_ID])),
        ),
        (
            "an object id that is none",
            bearer(&with(agent.clone(), OBJECT, &["x"])),
        ),
    ];
    let before = gate.stored().await;
    for (caller, headers) in &refused {
        let answer = submit(&gate, headers, "new").await;
        assert_eq!(
            answer.status,
            StatusCode::FORBIDDEN,
            "{caller}: {}",
            answer.body
        );
        assert_eq!(
            answer.problem()["type"],
            "urn:human-oversight:problem:forbidden"
        );
        for (method, path, body) in routes(&approval.id) {
            let answer = call(&gate.url, &method, &path, headers, &body).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{caller}: {path}");
        }
    }
    // Past the platform: two principals, and one that is none.
    let one = (PRINCIPAL, token(&agent));
    for headers in [vec![one.clone(), one], vec![(PRINCIPAL, "x".to_owned())]] {
        let url = format!("http://{}", gate.handler);
        let body = serde_json::to_value(request()).unwrap();
        let answer = call(&url, &Method::POST, "/api/agent/submit", &headers, &body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    }
    assert_eq!(gate.stored().await, before);
    let other = bearer(&program(OTHER_ID));
    for (method, path, body) in routes(&approval.id) {
        let answer = call(&gate.url, &method, &path, &other, &body).await;
        assert_eq!(
            answer.status,
            StatusCode::NOT_FOUND,
            "{path}: {}",
            answer.body
        );
    }
    let answer = submit(&gate, &other, "of-the-agent").await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
}

#[tokio::test]
async fn the_routes_of_a_kind_of_proof_that_the_setting_does_not_name_refuse_and_say_what_to_set() {
    let keyed = |id: &str| {
        let claim = json!({"nonce": NONCE});
        [
            (Method::GET, format!("/api/status/{id}"), json!({})),
            (Method::POST, format!("/api/claim/{id}"), claim),
        ]
    };
    let id = "YQ.b";
    let entra = [("HO_AGENT_IDENTITY", "entra"), BOTH[1], BOTH[2]];
    let body = serde_json::to_value(request()).unwrap();
    let mut headers = bearer(&program(AGENT_ID));
    headers.push(("x-functions-key", KEY.to_owned()));
    for (settings, by_key, by_identity) in [
        (vec![], 202, 403),
        (vec![("HO_AGENT_IDENTITY", "key")], 202, 403),
        (vec![BOTH[2]], 202, 403),
        (entra.to_vec(), 403, 202),
        (BOTH.to_vec(), 202, 202),
    ] {
        let gate = TestGate::with(&settings).await;
        for (path, expected) in [("/api/submit", by_key), ("/api/agent/submit", by_identity)] {
            let answer = call(&gate.url, &Method::POST, path, &headers, &body).await;
            assert_eq!(answer.status.as_u16(), expected, "{settings:?} {path}");
        }
        // Also for a caller who reaches the handler and sends the header, where no platform removes it.
        if by_identity == 403 {
            let url = format!("http://{}", gate.handler);
            let forged = [(PRINCIPAL, token(&program(AGENT_ID)))];
            let answer = call(&url, &Method::POST, "/api/agent/submit", &forged, &body).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert!(answer.body.contains("set HO_KEY"), "{}", answer.body);
            assert!(gate.stored().await.len() < 2, "{settings:?}");
        }
        if by_key == 403 {
            let key = [("x-functions-key", KEY.to_owned())];
            for (method, path, body) in keyed(id) {
                let answer = call(&gate.url, &method, &path, &key, &body).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
                assert!(answer.body.contains("set HO_AUDIENCE"), "{}", answer.body);
            }
            let client = Client::new(&gate.url, Some(KEY)).unwrap();
            let error = Gate::new(client.clone()).check().await.unwrap_err();
            assert!(error.to_string().contains("no function keys"), "{error}");
            let action = Gate::new(client).approvers([ALICE]).action("Delete");
            let refusal = action.submit(&json!({})).await.unwrap_err();
            assert_eq!(refusal.reason, Reason::Misconfigured, "{refusal:?}");
        }
    }
}

#[tokio::test]
async fn the_object_id_is_in_row_receipt_and_log() {
    let log = Log::default();
    let _collecting = log.collect();
    let gate = TestGate::with(&BOTH).await;
    let approval = submitted(&gate, AGENT_ID, "1").await;
    let path = format!("/api/agent/status/{}", approval.id);
    assert_eq!(approval.status_url, format!("{}{path}", gate.url));
    let row = gate.entity(&approval.id).await;
    assert_eq!(row["Owner"], format!("entra:{AGENT_ID}"));
    assert_eq!(row["AgentObjectId"], AGENT_ID);
    gate.approve(&approval, ALICE).await;
    let agent = bearer(&program(AGENT_ID));
    let [_, (method, path, body), (.., outcome_path, outcome), _] = routes(&approval.id);
    let claimed = call(&gate.url, &method, &path, &agent, &body).await;
    assert_eq!(claimed.status, StatusCode::OK, "{}", claimed.body);
    let keys = gate.client.keys().await.unwrap();
    let receipt = claimed.json()["receipt"].as_str().unwrap().to_owned();
    let claims = verify(&receipt, &keys).unwrap();
    assert_eq!(claims.agent_object_id.as_deref(), Some(AGENT_ID));
    assert_eq!(claims.aud, AGENT);
    let reported = call(&gate.url, &method, &outcome_path, &agent, &outcome).await;
    assert_eq!(reported.json()["execution"]["status"], "Executed");
    for function in ["submit", "claim", "outcome"] {
        let call = format!(r#"function="{function}" agent_object_id={AGENT_ID}"#);
        assert!(log.count(&call) > 0, "{function}");
    }
    submit(&gate, &bearer(&with(program(AGENT_ID), ROLE, &[])), "2").await;
    assert_eq!(log.count("no agent identified"), 1);
    assert_eq!(log.count("lacks the app role"), 1);
    assert_eq!(log.count(&token(&program(AGENT_ID))), 0);
    // A row whose object id was changed is no approval.
    gate.tamper(&approval.id, None, |row| {
        row["AgentObjectId"] = json!(OTHER_ID)
    })
    .await;
    let [(method, path, body), ..] = routes(&approval.id);
    let status = call(&gate.url, &method, &path, &agent, &body).await;
    assert_eq!(status.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_listed_object_id_acts_for_its_agents_and_keeps_what_was_submitted_with_the_key() {
    let key = human_oversight_client::parameters::hex(&human_oversight_client::parameters::sha256(
        KEY.as_bytes(),
    ));
    let list = format!("{key}={AGENT},{AGENT_ID}={AGENT}");
    let gate = TestGate::with(&[&[("HO_AGENT_KEYS", list.as_str())], &BOTH[..]].concat()).await;
    let by_key = gate.ask().await;
    let agent = bearer(&program(AGENT_ID));
    let [(method, path, body), ..] = routes(&by_key.id);
    let status = call(&gate.url, &method, &path, &agent, &body).await;
    assert_eq!(status.status, StatusCode::OK, "{}", status.body);
    let by_identity = submitted(&gate, AGENT_ID, "1").await;
    let row = gate.entity(&by_identity.id).await;
    assert_eq!(row["Owner"], format!("agents:{AGENT}"));
    assert_eq!(row["AgentObjectId"], AGENT_ID);
    assert_eq!(gate.status(&by_identity.id).await.id, by_identity.id);
    let unlisted = submit(&gate, &bearer(&program(OTHER_ID)), "2").await;
    assert_eq!(unlisted.status, StatusCode::FORBIDDEN, "{}", unlisted.body);
    assert!(unlisted.body.contains("HO_AGENT_KEYS"), "{}", unlisted.body);
}

#[tokio::test]
async fn a_program_decides_nothing_even_with_link_and_code() {
    let gate = TestGate::with(&BOTH).await;
    let approval = submitted(&gate, AGENT_ID, "1").await;
    let question = gate.question(&approval, ALICE);
    let (address, _) = question.link.split_once("?k=").unwrap();
    let page = gate.get(&question.link).await;
    assert_eq!(page.status, StatusCode::OK, "a person without a session");
    let mut form = page.first_form();
    form.push(("decision".to_owned(), "approve".to_owned()));
    form.push(("code".to_owned(), question.code.clone()));
    let before = gate.stored().await;
    for (name, value) in bearer(&program(AGENT_ID)) {
        let opened = gate.http.get(&question.link).header(name, &value);
        assert_eq!(opened.send().await.unwrap().status(), StatusCode::NOT_FOUND);
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&form)
            .finish();
        let decided = gate
            .http
            .post(address)
            .header("origin", &gate.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, &value)
            .body(body);
        assert_eq!(
            decided.send().await.unwrap().status(),
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(gate.stored().await, before);
    gate.approve(&approval, ALICE).await;
}
