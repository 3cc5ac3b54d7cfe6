//! Invalid input of every kind is refused with the right status and a problem document that names the
//! fault and repeats no input; nothing is stored, and no call hangs. Invalid members of a single function
//! are in the tests of that function.

mod bodies;
mod bytes;

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::edge::raw;
use crate::harness::{ALICE, TestGate, request};

#[tokio::test]
async fn what_is_wrong_with_the_body_as_a_whole_is_a_sentence() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    for path in ["/api/submit", &format!("/api/claim/{}", approval.id)] {
        for body in ["[]", "null", "1", "\"text\""] {
            let answer = gate.post(path, body).await;
            assert_eq!(
                answer.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{path} {body}"
            );
            let said = answer.json();
            assert_eq!(
                said["detail"], "The body must be a JSON object.",
                "{path} {body}"
            );
        }
    }
}

#[tokio::test]
async fn a_problem_names_the_limit_that_was_exceeded() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let before = gate.stored().await;
    let submit = |member: &str, value: Value| {
        let mut body = serde_json::to_value(request()).unwrap();
        body[member] = value;
        ("/api/submit".to_owned(), body.to_string())
    };
    let call = |function: &str, body: Value| {
        (format!("/api/{function}/{}", approval.id), body.to_string())
    };
    let nested = (0..70).fold(json!(1), |inner, _| json!({"a": inner}));
    for ((path, body), limits) in [
        (
            submit("agentName", json!("x".repeat(129))),
            vec!["1", "128"],
        ),
        (submit("agentName", json!("書".repeat(57))), vec!["170"]),
        (
            submit("actionDescription", json!("x".repeat(257))),
            vec!["1", "256"],
        ),
        (submit("reason", json!("x".repeat(2_001))), vec!["2000"]),
        (
            submit("correlationId", json!("x".repeat(65))),
            vec!["1", "64", "[A-Za-z0-9._-]"],
        ),
        (submit("timeoutSeconds", json!(1)), vec!["10", "2592000"]),
        (submit("approverEmails", json!([])), vec!["1", "20"]),
        (
            submit("parameters", json!({"a": "x".repeat(31_000)})),
            vec!["30720"],
        ),
        (
            submit("parameters", json!({"a": "x".repeat(70_000)})),
            vec!["65536"],
        ),
        (submit("parameters", nested), vec!["64"]),
        (submit("claimant", json!("x")), vec!["64"]),
        (call("claim", json!({"nonce": "x"})), vec!["16", "64"]),
        (
            call(
                "claim",
                json!({"nonce": "x".repeat(16), "secret": "x".repeat(257)}),
            ),
            vec!["256"],
        ),
        (
            call("withdraw", json!({"secret": "x".repeat(257)})),
            vec!["256"],
        ),
        (
            call(
                "outcome",
                json!({"status": "ExecutionFailed", "error": "x".repeat(2_001)}),
            ),
            vec!["2000"],
        ),
    ] {
        let answer = gate.post(&path, body).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        let detail = answer.problem()["detail"].as_str().unwrap().to_owned();
        for limit in limits {
            assert!(detail.contains(limit), "{path}: {limit} in {detail}");
        }
    }
    assert_eq!(gate.stored().await, before);
}

/// Path segments that are no id of a stored request, before or after decoding.
const INVALID_IDS: [&str; 23] = [
    "x",
    "YQ",
    "YQ.",
    ".x",
    "YQ==.x",
    "YQ.x%20",
    "%20YQ.x",
    "YQ.x%0a",
    "YQ.%2e%2e%2fkeys",
    "YQ%2Ex%00",
    "%00",
    "%ff",
    "%c0%ae%c0%ae",
    "%e2%82",
    "%252e%252e",
    "_w.x",
    "a%0d%0aSet-Cookie:%20a=b",
    "YQ.%3Cscript%3E",
    "YQ.x;y=z",
    "YQ.x,YQ.y",
    "'%20OR%20'1'='1",
    "%F0%9F%98%80",
    "YQ.none",
];

#[tokio::test]
async fn an_invalid_id_is_not_found_on_any_route() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let before = gate.stored().await;
    let long = format!("{}.{}", "YQ".repeat(2_000), "x".repeat(65));
    let upper = approval.id.to_uppercase();
    let more = format!("{}.", approval.id);
    let ids = INVALID_IDS
        .into_iter()
        .chain([long.as_str(), &upper, &more]);
    for id in ids {
        for (function, body) in [
            ("claim", Some(json!({"nonce": "0123456789abcdef"}))),
            ("outcome", Some(json!({"status": "Executed"}))),
            ("withdraw", Some(json!({}))),
            ("status", None),
            ("decision", None),
        ] {
            let path = format!("/api/{function}/{id}");
            let answer = match &body {
                Some(body) => gate.post(&path, body.to_string()).await,
                None => gate.get(&format!("{}{path}", gate.url)).await,
            };
            if id.contains("%00") {
                // The host refuses a NUL by itself.
                assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
                assert_eq!(answer.body, "");
                continue;
            }
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            // A host that decodes the path may leave no decision path.
            match answer.header("content-type") {
                "application/problem+json" => drop(answer.problem()),
                _ => assert!(answer.body.contains("This link is not valid"), "{path}"),
            }
            for echo in ["script", "OR ", "Set-Cookie", "YQ"] {
                assert!(!answer.body.contains(echo), "{path}: {}", answer.body);
            }
            assert_eq!(answer.header("set-cookie"), "");
        }
    }
    assert_eq!(gate.stored().await, before);
}

#[tokio::test]
async fn an_invalid_query_is_refused_or_ignored() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.reject(&approval, ALICE, "no").await;
    let before = gate.stored().await;
    for (query, status) in [
        ("wait", 400),
        ("wait=", 400),
        ("wait=0", 400),
        ("wait=101", 400),
        ("wait=-1", 400),
        ("wait=1.0", 400),
        ("wait=1e1", 400),
        ("wait=0x1", 400),
        ("wait=%2b", 400),
        ("wait=%ff", 400),
        ("wait=%00", 400),
        ("wait=%D9%A1", 400),
        ("wait=99999999999999999999999", 400),
        ("wait=%201", 400),
        ("wait=1;wait=2", 400),
        ("wait=1&wait=2", 400),
        ("wait=1&wait=1", 400),
        ("wait=1&%77ait=x", 400),
        ("", 200),
        ("&&&=&", 200),
        ("%", 200),
        ("%zz", 200),
        ("WAIT=nonsense", 200),
        ("status=Approved", 200),
        ("a=%ff%fe&%00=1", 200),
    ] {
        let url = format!("{}/api/status/{}?{query}", gate.url, approval.id);
        let answer = gate.get(&url).await;
        assert_eq!(answer.status, status, "{query}");
        match status {
            400 => assert!(
                answer.problem()["detail"]
                    .as_str()
                    .unwrap()
                    .contains("1 to 100"),
                "the limit is named"
            ),
            _ => assert_eq!(answer.json()["status"], "Rejected"),
        }
    }
    assert_eq!(gate.stored().await, before);
}

#[tokio::test]
async fn slow_heads_and_bodies_time_out() {
    let gate = TestGate::alone().await;
    let started = Instant::now();
    let head = raw(&gate, "GET / HTTP/1.1\r\nHost: local");
    let body = raw(
        &gate,
        "POST /api/submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\nConnection: close\r\n\r\n{\"agent",
    );
    let (head, body) = tokio::join!(head, body);
    assert!(
        head.is_empty() || head.starts_with("HTTP/1.1 408"),
        "{head}"
    );
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    assert!(body.contains("problem+json"));
    assert!(started.elapsed() < Duration::from_secs(20));
}
