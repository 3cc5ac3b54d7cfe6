//! The authorization matrix: every kind of caller on every route.

use std::time::Duration;

use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::types::Approval;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{AGENT, ALICE, BOB, Page, TestGate, http, request};
use crate::host::{KEY, OTHER_KEY, PRINCIPAL, SignIn};
use crate::sign_in::member;

/// The status that each caller (row) gets from each route (column), each on a new request in the state
/// that the route requires.
///
/// The host itself answers 401 to an unknown function key. A 404 on a page or a request hides whether it
/// exists. A 403 says that it exists, and that the code or the claimant's secret is missing.
const MATRIX: &str = "
caller                          submit status claim outcome withdraw open list approve reject keys health sweep
anonymous                       401    401    401   401     401      404  404  404     404    200  401    404
a wrong key                     401    401    401   401     401      404  404  404     404    200  401    404
a link's token for a key        401    401    401   401     401      404  404  404     404    200  401    404
the agent                       202    200    200   200     200      404  404  404     404    200  200    404
the agent without its secret    202    200    403   403     403      404  404  404     404    200  200    404
the agent with another secret   202    200    403   403     403      404  404  404     404    200  200    404
another agent with the secret   403    404    404   404     404      404  404  404     404    200  200    404
Alice                           401    401    401   401     401      200  404  303     303    200  401    404
Alice without a code            401    401    401   401     401      200  404  403     303    200  401    404
Alice with a wrong code         401    401    401   401     401      200  404  403     303    200  401    404
Alice with Bob's code           401    401    401   401     401      200  404  403     303    200  401    404
Alice after five wrong codes    401    401    401   401     401      200  404  403     303    200  401    404
Alice after the deadline        401    401    401   401     401      410  404  410     410    200  401    404
Alice from another site         401    401    401   401     401      200  404  403     403    200  401    404
Alice from no page at all       401    401    401   401     401      200  404  403     403    200  401    404
a link of another request       401    401    401   401     401      404  404  404     404    200  401    404
a link cut short                401    401    401   401     401      404  404  404     404    200  401    404
a link with another key's name  401    401    401   401     401      404  404  404     404    200  401    404
a code without a link           401    401    401   401     401      404  404  404     404    200  401    404
a header that says Alice        401    401    401   401     401      404  404  404     404    200  401    404
a session that says Alice       401    401    401   401     401      404  404  404     404    200  401    404
the agent with Alice's link     202    200    200   200     200      200  404  403     303    200  200    404
";

const SECRET: &str = "the claimant's own secret";
const NONCE: &str = "0123456789abcdef";

/// The credentials of a caller.
struct Caller<'a> {
    headers: Vec<(&'a str, String)>,
    origin: Option<String>,
    secret: Option<&'a str>,
    link: Option<String>,
    code: String,
}

struct Case<'a> {
    gate: &'a TestGate,
    approval: Approval,
    /// The CSRF token of Alice's form. Every caller sends it, which is the worst case.
    form: String,
}

impl<'a> Case<'a> {
    /// Submits a request and brings it into the state that the route requires.
    async fn prepare(gate: &'a TestGate, route: &str) -> Self {
        let mut new = request();
        new.claimant = Some(hex(&sha256(SECRET.as_bytes())));
        let approval = gate.client.submit(&new).await.unwrap();
        let page = gate.get(&gate.question(&approval, ALICE).link).await;
        let hidden = page.hidden_fields();
        let form = hidden.into_iter().find(|(name, _)| name == "form");
        if matches!(route, "claim" | "outcome") {
            gate.approve(&approval, BOB).await;
        }
        if route == "outcome" {
            let body = json!({"nonce": NONCE, "secret": SECRET}).to_string();
            let path = format!("/api/claim/{}", approval.id);
            assert_eq!(gate.post(&path, body).await.status, StatusCode::OK);
        }
        Self {
            gate,
            approval,
            form: form.unwrap().1,
        }
    }

    async fn caller(&self, name: &str) -> Caller<'static> {
        let gate = self.gate;
        let [alice, bob] = [ALICE, BOB].map(|who| gate.question(&self.approval, who));
        let token = |link: &str| link.split_once("?k=").unwrap().1.to_owned();
        let alices = token(&alice.link);
        let anonymous = || Caller {
            headers: Vec::new(),
            origin: Some(gate.url.clone()),
            secret: None,
            link: None,
            code: alice.code.clone(),
        };
        let agent = |key: &str, secret| Caller {
            headers: vec![("x-functions-key", key.to_owned())],
            secret,
            ..anonymous()
        };
        let by_link = |link: String, code: String| Caller {
            link: Some(link),
            code,
            ..anonymous()
        };
        let principal = SignIn::session(&member(ALICE, "3c9e7a10-0000-4000-8000-00000000a11c"));
        match name {
            "anonymous" | "a code without a link" => anonymous(),
            "a wrong key" => agent("a key", None),
            "a link's token for a key" => agent(&alices, None),
            "the agent" => agent(KEY, Some(SECRET)),
            "the agent without its secret" => agent(KEY, None),
            "the agent with another secret" => agent(KEY, Some("another secret")),
            "another agent with the secret" => agent(OTHER_KEY, Some(SECRET)),
            "the agent with Alice's link" => Caller {
                link: Some(alices),
                code: String::new(),
                ..agent(KEY, Some(SECRET))
            },
            "Alice" | "Alice after the deadline" | "Alice after five wrong codes" => {
                by_link(alices, alice.code.clone())
            }
            "Alice without a code" => by_link(alices, String::new()),
            "Alice with a wrong code" => by_link(alices, wrong_code(&alice.code)),
            "Alice with Bob's code" => by_link(alices, bob.code),
            "Alice from another site" => Caller {
                origin: Some("https://elsewhere.example.com".to_owned()),
                ..by_link(alices, alice.code.clone())
            },
            "Alice from no page at all" => Caller {
                origin: None,
                ..by_link(alices, alice.code.clone())
            },
            "a link of another request" => {
                let other = gate.ask().await;
                let other = gate.question(&other, ALICE);
                by_link(token(&other.link), other.code)
            }
            "a link cut short" => {
                by_link(alices[..alices.len() - 1].to_owned(), alice.code.clone())
            }
            "a link with another key's name" => {
                let (_, mac) = alices.split_once('.').unwrap();
                by_link(format!("1other.{mac}"), alice.code.clone())
            }
            "a header that says Alice" => {
                let (_, principal) = principal.split_once('=').unwrap();
                Caller {
                    headers: vec![(PRINCIPAL, principal.to_owned())],
                    ..anonymous()
                }
            }
            "a session that says Alice" => Caller {
                headers: vec![("cookie", principal)],
                ..anonymous()
            },
            other => panic!("{other}"),
        }
    }

    async fn call(&self, route: &str, caller: &Caller<'_>) -> Page {
        let id = &self.approval.id;
        let with_secret = |mut body: Value| {
            if let Some(secret) = caller.secret {
                body["secret"] = json!(secret);
            }
            body.to_string()
        };
        let query = caller.link.as_ref().map(|link| format!("?k={link}"));
        let decision = |verdict: &str| {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("form", &self.form)
                .append_pair("decision", verdict);
            form.append_pair("code", &caller.code);
            if let Some(link) = &caller.link {
                form.append_pair("k", link);
            }
            form.finish()
        };
        let (method, path, body) = match route {
            "submit" => (
                Method::POST,
                "/api/submit".to_owned(),
                json!(request()).to_string(),
            ),
            "status" => (Method::GET, format!("/api/status/{id}"), String::new()),
            "claim" => {
                let body = with_secret(json!({"nonce": NONCE}));
                (Method::POST, format!("/api/claim/{id}"), body)
            }
            "outcome" => {
                let body = with_secret(json!({"status": "Executed"}));
                (Method::POST, format!("/api/outcome/{id}"), body)
            }
            "withdraw" => (
                Method::POST,
                format!("/api/withdraw/{id}"),
                with_secret(json!({})),
            ),
            "open" => {
                let query = query.unwrap_or_default();
                (
                    Method::GET,
                    format!("/api/decision/{id}{query}"),
                    String::new(),
                )
            }
            "list" => {
                let query = query.unwrap_or_default();
                (Method::GET, format!("/api/requests{query}"), String::new())
            }
            "approve" | "reject" => (Method::POST, format!("/api/decision/{id}"), decision(route)),
            "keys" => (Method::GET, "/api/keys".to_owned(), String::new()),
            "health" => (Method::GET, "/api/health".to_owned(), String::new()),
            "sweep" => (Method::POST, "/sweep".to_owned(), "{}".to_owned()),
            other => panic!("{other}"),
        };
        let kind = match route {
            "approve" | "reject" => "application/x-www-form-urlencoded",
            _ => "application/json",
        };
        let http = http()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut call = http
            .request(method, format!("{}{path}", self.gate.url))
            .header("content-type", kind)
            .body(body);
        for (name, value) in &caller.headers {
            call = call.header(*name, value);
        }
        if let Some(origin) = &caller.origin {
            call = call.header("origin", origin);
        }
        let answer = Page::of(call.send().await.unwrap()).await;
        let open = |path: &str| {
            let call = http.get(format!("{}{path}", self.gate.url));
            let headers = caller.headers.iter();
            headers.fold(call, |call, (name, value)| call.header(*name, value))
        };
        answer.follow(open).await
    }

    /// The columns of the stored request that a call may change, and the version of the row.
    async fn row_state(&self) -> (Value, String) {
        let rows = self.gate.stored().await;
        let mut rows = rows.into_iter();
        let (_, version, row) = rows
            .find(|(key, ..)| *key == self.approval.correlation_id)
            .unwrap();
        let row: Value = serde_json::from_str(&row).unwrap();
        let columns = [
            "Status",
            "Approver",
            "ExecutionStatus",
            "ClaimNonce",
            "Receipt",
        ];
        (
            columns.iter().map(|name| row[*name].clone()).collect(),
            version,
        )
    }
}

fn wrong_code(code: &str) -> String {
    let number: u32 = code.parse().unwrap();
    format!("{:06}", (number + 1) % 1_000_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authorization_matrix_holds() {
    let agent_key = |key: &str, agent: &str| format!("{}={agent}", hex(&sha256(key.as_bytes())));
    let keys = [agent_key(KEY, AGENT), agent_key(OTHER_KEY, "PaymentsAgent")].join(",");
    let mut lines = MATRIX.trim().lines();
    let routes: Vec<&str> = lines.next().unwrap().split_whitespace().skip(1).collect();
    let (mut cells, mut mismatches) = (0, Vec::new());
    for line in lines {
        let (name, expected) = line.split_at(32);
        let name = name.trim();
        let gate = TestGate::with(&[("HO_AGENT_KEYS", keys.as_str())]).await;
        for (route, expected) in routes.iter().zip(expected.split_whitespace()) {
            let case = Case::prepare(&gate, route).await;
            let caller = case.caller(name).await;
            let is_open = matches!(*route, "open" | "approve" | "reject");
            if name == "Alice after five wrong codes" && is_open {
                let code = wrong_code(&caller.code);
                let guess = Caller {
                    code,
                    ..case.caller("Alice").await
                };
                for _ in 0..5 {
                    assert_eq!(
                        case.call("approve", &guess).await.status,
                        StatusCode::FORBIDDEN
                    );
                }
            }
            let is_late = name == "Alice after the deadline";
            if is_late {
                gate.pass(Duration::from_secs(3_601));
            }
            let before = case.row_state().await;
            let response = case.call(route, &caller).await;
            let after = case.row_state().await;
            let status = response.status.as_u16();
            if status.to_string() != *expected {
                mismatches.push(format!("{name}: {route}: {status}, not {expected}"));
            }
            // A refusal changes nothing, except that a wrong code is counted and a late decision recorded.
            let is_decision = matches!(*route, "approve" | "reject");
            if status >= 400 && !(is_late && is_decision) {
                assert_eq!(before.0, after.0, "{name}: {route}");
                let is_counted = is_decision && status == 403;
                assert!(is_counted || before.1 == after.1, "{name}: {route}");
            }
            if is_late && is_decision {
                assert_eq!(after.0[0], "Timeout", "{name}: {route}");
            }
            cells += 1;
        }
    }
    assert!(mismatches.is_empty(), "{mismatches:#?}");
    assert_eq!(cells, 264, "cells of the matrix");
}
