//! Bad input of every kind: it is refused with the right status and a document that names what is
//! wrong, nothing of it is repeated, nothing is stored, and nothing hangs. What is wrong with one
//! function's own members is in that function's tests.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use human_oversight_client::types::Status;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::canary;
use crate::edge::{connect, raw};
use crate::harness::{ALICE, Page, TestGate, request};

#[tokio::test]
async fn a_bad_submit_gets_a_clear_problem_and_nothing_is_stored() {
    let gate = TestGate::with(&[("HO_ALLOWED_APPROVERS", "*@example.com")]).await;
    let good = serde_json::to_value(request()).unwrap();
    let with = |member: &str, value: Value| {
        let mut body = good.clone();
        body[member] = value;
        body.to_string()
    };
    let without = |member: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(member);
        body.to_string()
    };
    let renamed = |member: &str, name: &str| {
        good.to_string()
            .replacen(&format!("\"{member}\":"), &format!("\"{name}\":"), 1)
    };
    let raw = |parameters: &str| {
        good.to_string()
            .replace(&good["parameters"].to_string(), parameters)
    };
    let text = "x".repeat(300);
    let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let cases: Vec<(String, u16, &str)> = vec![
        (String::new(), 400, ""),
        ("{".to_owned(), 400, ""),
        ("nonsense".to_owned(), 400, ""),
        (format!("{good}{good}"), 400, ""),
        ("[]".to_owned(), 422, ""),
        ("null".to_owned(), 422, ""),
        ("\"text\"".to_owned(), 422, ""),
        ("1".to_owned(), 422, ""),
        (without("agentName"), 422, "/agentName"),
        (with("agentName", Value::Null), 422, "/agentName"),
        (with("agentName", json!(1)), 422, "/agentName"),
        (with("agentName", json!("")), 422, "/agentName"),
        (with("agentName", json!("  ")), 422, "/agentName"),
        (with("agentName", json!(text)), 422, "/agentName"),
        (
            with("agentName", json!("書".repeat(100))),
            422,
            "/agentName",
        ),
        (with("agentName", json!("a\u{0}b")), 422, "/agentName"),
        (
            with("agentName", json!("a\r\nBcc: eve@example.com")),
            422,
            "/agentName",
        ),
        (with("agentName", json!("a\u{202e}b")), 422, "/agentName"),
        (without("actionDescription"), 422, "/actionDescription"),
        (
            with("actionDescription", json!(text)),
            422,
            "/actionDescription",
        ),
        (
            with("actionDescription", json!("x".repeat(40_000))),
            422,
            "/actionDescription",
        ),
        (
            with("actionDescription", json!("a\nb")),
            422,
            "/actionDescription",
        ),
        (
            with("actionDescription", json!("a\u{2028}b")),
            422,
            "/actionDescription",
        ),
        (without("parameters"), 422, "/parameters"),
        (with("parameters", json!([1])), 422, "/parameters"),
        (with("parameters", json!("{}")), 422, "/parameters"),
        (raw(r#"{"n": 12345678901234567890}"#), 422, "/parameters/n"),
        (
            raw(r#"{"n": [0, {"a/b": 9007199254740993}]}"#),
            422,
            "/parameters/n/1/a~1b",
        ),
        (raw(r#"{"n": 1e400}"#), 422, "/parameters/n"),
        (raw(r#"{"n": 0.1234567890123456789}"#), 422, "/parameters/n"),
        (
            raw(r#"{"n": 1.5e-9223372036854775808}"#),
            422,
            "/parameters/n",
        ),
        (
            raw(r#"{"$serde_json::private::RawValue": "{}"}"#),
            422,
            "/parameters/$serde_json::private::RawValue",
        ),
        (
            raw(r#"{"to": {"$serde_json::private::RawValue": "\"alice\""}}"#),
            422,
            "/parameters/to/$serde_json::private::RawValue",
        ),
        (
            raw(r#"{"to": {"$serde_json::private::Number": "1"}}"#),
            422,
            "/parameters/to/$serde_json::private::Number",
        ),
        (raw(r#"{"n": NaN}"#), 400, ""),
        (raw(r#"{"n": 01}"#), 400, ""),
        (raw(r#"{"n": "\ud800"}"#), 400, ""),
        (raw(r#"{"n": 1, "n": 2}"#), 400, ""),
        (raw(r#"{"o": {"n": 1, "\u006e": 2}}"#), 400, ""),
        (raw(&deep(200)), 400, ""),
        (raw(&deep(20_000)), 413, ""),
        (
            good.to_string()
                .replacen('{', r#"{"agentName":"Other","#, 1),
            400,
            "",
        ),
        (without("approverEmails"), 422, "/approverEmails"),
        (with("approverEmails", json!([])), 422, "/approverEmails"),
        (
            with("approverEmails", json!("alice@example.com")),
            422,
            "/approverEmails",
        ),
        (
            with(
                "approverEmails",
                (0..21).map(|i| format!("a{i}@example.com")).collect(),
            ),
            422,
            "/approverEmails",
        ),
        (
            with("approverEmails", json!(["alice"])),
            422,
            "/approverEmails/0",
        ),
        (with("approverEmails", json!([1])), 422, "/approverEmails/0"),
        (
            with(
                "approverEmails",
                json!(["a@example.com\r\nBcc: eve@example.com"]),
            ),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["Alice <alice@example.com>"])),
            422,
            "/approverEmails/0",
        ),
        (
            with(
                "approverEmails",
                json!(["alice@example.com", "ALICE+x@example.com"]),
            ),
            422,
            "/approverEmails/1",
        ),
        (
            with(
                "approverEmails",
                json!(["alice@example.com", "agent@elsewhere.example"]),
            ),
            422,
            "/approverEmails/1",
        ),
        (
            with("onBehalfOf", json!("Alice+work@EXAMPLE.com")),
            422,
            "/approverEmails/0",
        ),
        (with("onBehalfOf", json!("somebody")), 422, "/onBehalfOf"),
        (
            with("correlationId", json!("../../x")),
            422,
            "/correlationId",
        ),
        (with("correlationId", json!("")), 422, "/correlationId"),
        (
            with("correlationId", json!("x".repeat(65))),
            422,
            "/correlationId",
        ),
        (with("correlationId", json!(7)), 422, "/correlationId"),
        (with("timeoutSeconds", json!(9)), 422, "/timeoutSeconds"),
        (
            with("timeoutSeconds", json!(2_592_001)),
            422,
            "/timeoutSeconds",
        ),
        (with("timeoutSeconds", json!(-1)), 422, "/timeoutSeconds"),
        (with("timeoutSeconds", json!(60.5)), 422, "/timeoutSeconds"),
        (with("timeoutSeconds", json!("60")), 422, "/timeoutSeconds"),
        (with("reason", json!("x".repeat(2_001))), 422, "/reason"),
        (with("reason", json!("a\u{0}")), 422, "/reason"),
        (with("reason", json!({})), 422, "/reason"),
        (with("claimant", json!("hunter2")), 422, "/claimant"),
        (with("status", json!("Approved")), 422, ""),
        (with("approver", json!("alice@example.com")), 422, ""),
        (
            with("parameters", json!({"text": "x".repeat(70_000)})),
            413,
            "",
        ),
        // Texts that only look like JSON, or like the members that there are.
        (format!("\u{feff}{good}"), 400, ""),
        (format!("{good},"), 400, ""),
        (good.to_string().replace('"', "'"), 400, ""),
        (format!("/* */{good}"), 400, ""),
        (raw("{\"n\": 1,}"), 400, ""),
        (raw("{n: 1}"), 400, ""),
        (raw(r#"{"n": .5}"#), 400, ""),
        (raw(r#"{"n": 1.}"#), 400, ""),
        (raw(r#"{"n": +1}"#), 400, ""),
        (raw(r#"{"n": 0x10}"#), 400, ""),
        (raw(r#"{"n": Infinity}"#), 400, ""),
        (raw(r#"{"n": "\x41"}"#), 400, ""),
        (raw(r#"{"n": "\u12"}"#), 400, ""),
        (raw("{\"n\": \"a\u{0}b\"}"), 400, ""),
        (raw("{\"n\": \"a\nb\"}"), 400, ""),
        (raw(r#"{"\udc00": 1}"#), 400, ""),
        (raw(r#"{"n": "\udc00\ud800"}"#), 400, ""),
        (raw(&deep(64)), 400, ""),
        (
            raw(&format!("{}{}", "[".repeat(70), "]".repeat(70))),
            400,
            "",
        ),
        (renamed("agentName", "agentname"), 422, "/agentName"),
        (renamed("agentName", "agentName "), 422, "/agentName"),
        (renamed("agentName", "\u{430}gentName"), 422, "/agentName"),
        (with("__proto__", json!({})), 422, ""),
        (with("agentName", json!("\u{2066}a")), 422, "/agentName"),
        (with("agentName", json!("a\u{7f}")), 422, "/agentName"),
        (
            with("actionDescription", json!("a\tb")),
            422,
            "/actionDescription",
        ),
        (
            with("actionDescription", json!("a\u{85}b")),
            422,
            "/actionDescription",
        ),
        (with("parameters", Value::Null), 422, "/parameters"),
        (with("approverEmails", Value::Null), 422, "/approverEmails"),
        (
            with("approverEmails", json!([null])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!([["alice@example.com"]])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["@example.com"])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["alice@"])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["alice@eve@example.com"])),
            422,
            "/approverEmails/0",
        ),
        (
            with(
                "approverEmails",
                json!(["alice@example.com,bob@example.com"]),
            ),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["alice@example.com\u{0}"])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["ali ce@example.com"])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["\"a b\"@example.com"])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["\u{430}lice@example.com"])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["alice@ex\u{430}mple.com"])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["alice@[127.0.0.1]"])),
            422,
            "/approverEmails/0",
        ),
        (
            with("approverEmails", json!(["alice@localhost"])),
            422,
            "/approverEmails/0",
        ),
        (
            with(
                "approverEmails",
                json!([format!("{}@example.com", "x".repeat(65))]),
            ),
            422,
            "/approverEmails/0",
        ),
        (
            with(
                "approverEmails",
                json!([format!("a@{}example.com", "x.".repeat(130))]),
            ),
            422,
            "/approverEmails/0",
        ),
        (with("correlationId", json!("a b")), 422, "/correlationId"),
        (with("correlationId", json!("a/b")), 422, "/correlationId"),
        (
            with("correlationId", json!("\u{e9}")),
            422,
            "/correlationId",
        ),
        (with("timeoutSeconds", json!(true)), 422, "/timeoutSeconds"),
        (with("timeoutSeconds", json!(-0.0)), 422, "/timeoutSeconds"),
        (with("claimant", json!("g".repeat(64))), 422, "/claimant"),
        (with("claimant", json!("a".repeat(63))), 422, "/claimant"),
    ];
    let count = cases.len();
    for (body, status, pointer) in cases {
        let sent = body.chars().take(200).collect::<String>();
        let answer = gate.post("/api/submit", body).await;
        assert_eq!(answer.status, status, "{sent}\n{}", answer.body);
        let problem = answer.problem();
        if status == 422 {
            assert_eq!(
                problem["errors"][0]["pointer"], pointer,
                "{sent}\n{problem}"
            );
        }
        for secret in ["eve@", "elsewhere", "../..", "NaN", "hunter2"] {
            assert!(
                !answer.body.contains(secret),
                "an error repeats input: {}",
                answer.body
            );
        }
    }
    assert!(count >= 110);
    assert!(gate.mails().is_empty(), "nobody is mailed");
    assert!(gate.stored().await.is_empty(), "nothing is stored");
}

#[tokio::test]
async fn every_limit_is_named_to_whoever_exceeds_it() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let before = gate.stored().await;
    let submit = |member: &str, value: Value| {
        let mut body = serde_json::to_value(request()).unwrap();
        body[member] = value;
        ("/api/submit".to_owned(), body.to_string())
    };
    let of_id = |function: &str, body: Value| {
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
        (of_id("claim", json!({"nonce": "x"})), vec!["16", "64"]),
        (
            of_id(
                "claim",
                json!({"nonce": "x".repeat(16), "secret": "x".repeat(257)}),
            ),
            vec!["256"],
        ),
        (
            of_id("withdraw", json!({"secret": "x".repeat(257)})),
            vec!["256"],
        ),
        (
            of_id(
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

/// Parts of an address that name no request, whatever a client or a host makes of them.
const NO_IDS: [&str; 23] = [
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
async fn what_names_no_request_is_not_found_on_any_route() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let before = gate.stored().await;
    let long = format!("{}.{}", "YQ".repeat(2_000), "x".repeat(65));
    let upper = approval.id.to_uppercase();
    let more = format!("{}.", approval.id);
    let ids = NO_IDS.into_iter().chain([long.as_str(), &upper, &more]);
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
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            // What a host unescapes before it hands it on may be no decision's address any more.
            match answer.header("content-type") {
                "application/problem+json" => drop(answer.problem()),
                _ => assert!(answer.body.contains("does not open anything"), "{path}"),
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
async fn a_query_that_makes_no_sense_is_refused_or_means_nothing() {
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
async fn bytes_that_no_client_sends_are_refused_and_smuggle_nothing() {
    let gate = TestGate::alone().await;
    // Should anything be taken for a request that must not be, it is a good one and would be stored.
    let good = serde_json::to_string(&request()).unwrap();
    let length = good.len();
    let json = "Host: localhost\r\nContent-Type: application/json\r\n";
    let inner =
        format!("POST /api/submit HTTP/1.1\r\n{json}Content-Length: {length}\r\n\r\n{good}");
    let keys = |more: &str| {
        format!("GET /api/keys HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
    };
    let target = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    };
    let submit = |more: &str, body: &str| {
        format!("POST /api/submit HTTP/1.1\r\n{json}Connection: close\r\n{more}\r\n\r\n{body}")
    };
    let sized = |size: &str| submit(&format!("Content-Length: {size}"), &good);
    let chunked = format!("{length:x}\r\n{good}\r\n0\r\n\r\n");
    let coded = |coding: &str| submit(&format!("Transfer-Encoding: {coding}"), &chunked);
    let chunks = |chunks: &str| submit("Transfer-Encoding: chunked", chunks);
    let headers = |count: usize| {
        (0..count)
            .map(|i| format!("X-{i}: y\r\n"))
            .collect::<String>()
    };
    let both = |first: &str, second: &str| {
        format!("POST /api/submit HTTP/1.1\r\n{json}{first}\r\n{second}\r\n\r\n0\r\n\r\n{inner}")
    };
    let (cl, te) = ("Content-Length: 5", "Transfer-Encoding: chunked");
    // Whether the gate itself answers, with a problem document, or already the reader of the head.
    const GATE: bool = true;
    const HEAD: bool = false;
    let cases: Vec<(Vec<u8>, u16, bool)> = [
        // The request line.
        (keys("").replace("GET", "get"), 405, GATE),
        (keys("").replace("GET", "TRACE"), 405, GATE),
        (keys("").replace("GET", "G@T"), 400, HEAD),
        (keys("").replace("GET ", "GET  "), 400, HEAD),
        (keys("").replace(' ', "\t"), 400, HEAD),
        (keys("").replace("HTTP/1.1", "HTTP/1.2"), 400, HEAD),
        (keys("").replace("HTTP/1.1", "HTTP/9.9"), 400, HEAD),
        (keys("").replace(" HTTP/1.1", ""), 400, HEAD),
        ("NONSENSE\r\n\r\n".to_owned(), 400, HEAD),
        (
            "CONNECT example.com:443 HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            404,
            GATE,
        ),
        (target("*"), 404, GATE),
        (target("api/keys"), 400, HEAD),
        (target("?x"), 400, HEAD),
        (target("/\u{0}"), 400, HEAD),
        (target("/api/status/\"<>"), 400, HEAD),
        (target("/api/status/é"), 404, GATE),
        (target("/api\\keys"), 404, GATE),
        (target("//api/keys"), 404, GATE),
        (target("/api/./keys"), 404, GATE),
        (target("/api/../api/keys"), 404, GATE),
        (target("/api/%6beys/"), 404, GATE),
        (target("http://elsewhere.example/x"), 404, GATE),
        (
            target("http://elsewhere.example/inbox/../link.keys"),
            404,
            GATE,
        ),
        (
            target(&format!("/api/keys?{}", "x".repeat(33_000))),
            431,
            HEAD,
        ),
        // The headers.
        (keys("X: a\r\n b\r\n"), 400, HEAD),
        (keys("X : a\r\n"), 400, HEAD),
        (keys("X\r\n"), 400, HEAD),
        (keys(": a\r\n"), 400, HEAD),
        (keys("X: a\u{0}b\r\n"), 400, HEAD),
        (keys("X: a\rb\r\n"), 400, HEAD),
        (keys("X\u{e9}: a\r\n"), 400, HEAD),
        (keys(&headers(101)), 431, HEAD),
        (keys(&format!("X: {}\r\n", "x".repeat(33_000))), 431, HEAD),
        (
            keys("").replace("localhost", "elsewhere.example"),
            403,
            GATE,
        ),
        (
            keys("").replace("localhost", "localhost@elsewhere.example"),
            403,
            GATE,
        ),
        (
            keys("").replace("localhost", "localhost.elsewhere.example:80"),
            403,
            GATE,
        ),
        // The length of the body.
        (sized("-1"), 400, HEAD),
        (sized(&format!("+{length}")), 400, HEAD),
        (sized("0x10"), 400, HEAD),
        (sized("16.0"), 400, HEAD),
        (sized(""), 400, HEAD),
        (sized("all"), 400, HEAD),
        (sized(&"9".repeat(30)), 400, HEAD),
        (sized(&format!("{length}, {length}")), 400, HEAD),
        (sized(&format!("{length}\r\nContent-Length: 5")), 400, HEAD),
        (sized("9999999999"), 413, GATE),
        (sized("65537"), 413, GATE),
        (sized(&(length - 1).to_string()), 400, GATE),
        (submit("X: no length", &good), 400, GATE),
        (sized("0"), 400, GATE),
        // Its chunks.
        (coded("gzip"), 400, HEAD),
        (coded("identity"), 400, HEAD),
        (coded("xchunked"), 400, HEAD),
        (coded("\"chunked\""), 400, HEAD),
        (coded("\u{b}chunked"), 400, HEAD),
        (coded("chunked, gzip"), 400, HEAD),
        (coded("chunked").replace("HTTP/1.1", "HTTP/1.0"), 400, HEAD),
        (
            coded("chunked").replace("Encoding:", "Encoding :"),
            400,
            HEAD,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), "-1", 1)),
            400,
            GATE,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), "0x10", 1)),
            400,
            GATE,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), "size", 1)),
            400,
            GATE,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), &"f".repeat(17), 1)),
            400,
            GATE,
        ),
        (
            chunks(&chunked.replacen(&format!("{length:x}"), "1", 1)),
            400,
            GATE,
        ),
        (chunks(&chunked.replace("\r\n", "\n")), 400, GATE),
        (
            chunks(&chunked.replacen("\r\n", &format!(";{}\r\n", "x".repeat(20_000)), 1)),
            400,
            GATE,
        ),
        (
            chunks(&format!(
                "{length:x}\r\n{good}\r\n0\r\n{}\r\n",
                headers(3_000)
            )),
            400,
            GATE,
        ),
        (
            chunks(&format!("11170\r\n{}\r\n0\r\n\r\n", "x".repeat(70_000))),
            413,
            GATE,
        ),
        // Both: the chunks count, and the connection ends after them.
        (both(cl, te), 400, GATE),
        (both(te, cl), 400, GATE),
        // The body.
        (
            submit(
                &format!("Content-Encoding: gzip\r\nContent-Length: {length}"),
                &good,
            )
            .replace("{\"", "\u{1f}\u{8b}"),
            400,
            GATE,
        ),
        (
            submit(
                &format!("Expect: 100-continue\r\nContent-Length: {}", length - 1),
                &good,
            ),
            100,
            GATE,
        ),
    ]
    .into_iter()
    .map(|(text, status, by)| (text.into_bytes(), status, by))
    .chain([
        (
            b"GET /api/status/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            400,
            HEAD,
        ),
        (
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".repeat(9),
            400,
            HEAD,
        ),
        (
            [submit("Content-Length: 4", "{\"a\"").as_bytes()[..].to_vec()].concat(),
            400,
            GATE,
        ),
        (
            submit("Content-Length: 3", "")
                .into_bytes()
                .into_iter()
                .chain(*b"\xff\xfe{")
                .collect(),
            400,
            GATE,
        ),
    ])
    .collect();
    for (bytes, status, by_gate) in &cases {
        let answer = raw(&gate, bytes).await;
        let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
        assert!(
            // The connection may be reset over what nobody read before the answer arrives.
            answer.starts_with(&format!("HTTP/1.1 {status} "))
                || (answer.is_empty() && *status == 431),
            "{status} for {sent}\n{answer}"
        );
        assert_eq!(
            answer.contains("application/problem+json"),
            *by_gate,
            "{sent}\n{answer}"
        );
        assert!(
            !answer.contains("elsewhere") && !answer.contains("contractor"),
            "{answer}"
        );
    }
    assert!(cases.len() >= 70);
    assert!(gate.stored().await.is_empty(), "nothing is stored");
    assert!(gate.mails().is_empty(), "nobody is mailed");
    // What is odd, but allowed, disturbs nobody.
    for odd in [
        keys("X: é\r\n"),
        keys(&headers(90)),
        keys("Accept: image/png\r\n"),
        keys("Range: bytes=0-3\r\n"),
        keys("If-None-Match: *\r\n"),
        keys("Upgrade: h2c\r\n"),
        keys("Expect: nonsense\r\n"),
        keys("").replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let answer = raw(&gate, &odd).await;
        assert!(
            answer.contains(" 200 OK\r\n") && answer.ends_with('}'),
            "{odd}\n{answer}"
        );
    }
}

#[tokio::test]
async fn a_slow_head_and_a_slow_body_are_given_up() {
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

// Generated input. Nothing is known of one but what must hold for all of them.

/// Numbers as good as random, and the same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.below(from.len())]
    }

    /// The bytes with one to four faults.
    fn garble(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(12)).min(bytes.len());
            match self.below(5) {
                0 => drop(bytes.drain(at..end)),
                1 => drop(bytes.splice(at..at, self.pick(&FRAGMENTS).iter().copied())),
                2 => drop(bytes.splice(at..end, self.pick(&FRAGMENTS).iter().copied())),
                3 if at < end => bytes[at] ^= 1 << self.below(8),
                _ => {
                    let again = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, again));
                }
            }
        }
        bytes
    }

    /// The JSON with one member or item changed, added, renamed or taken away, somewhere.
    fn alter(&mut self, value: &mut Value) {
        let inside = self.below(3) > 0;
        match value {
            Value::Object(members) if inside && !members.is_empty() => {
                let name = members
                    .keys()
                    .nth(self.below(members.len()))
                    .unwrap()
                    .clone();
                match self.below(5) {
                    0 => drop(members.remove(&name)),
                    1 => {
                        let member = members.remove(&name).unwrap();
                        let other = self.garble(name.as_bytes());
                        members.insert(String::from_utf8_lossy(&other).into_owned(), member);
                    }
                    _ => self.alter(&mut members[&name]),
                }
            }
            Value::Array(items) if inside && !items.is_empty() => {
                let at = self.below(items.len());
                match self.below(4) {
                    0 => drop(items.remove(at)),
                    1 => items.push(items[at].clone()),
                    _ => self.alter(&mut items[at]),
                }
            }
            Value::String(text) if inside => {
                *text = String::from_utf8_lossy(&self.garble(text.as_bytes())).into_owned();
            }
            other => {
                let before = other.take();
                *other = match self.below(12) {
                    0 => Value::Null,
                    1 => json!(true),
                    2 => json!(-1),
                    3 => json!(0.1),
                    4 => json!(u64::MAX),
                    5 => json!(1e300),
                    6 => json!(""),
                    7 => json!("x".repeat(self.below(3_000))),
                    8 => json!([before]),
                    9 => json!({"a": before}),
                    10 => json!((0..30).map(|i| i.to_string()).collect::<Vec<_>>()),
                    _ => json!(before.to_string()),
                };
            }
        }
    }
}

const FRAGMENTS: [&[u8]; 27] = [
    b"\0",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    "\u{feff}".as_bytes(),
    "\u{1f600}".as_bytes(),
    b"%00",
    b"%ff",
    b"%2e%2e%2f",
    b"%",
    b"../",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"{\"a\":",
    b"]",
    b",",
    b"1e400",
    b"-0",
    b"99999999999999999999",
    b"$serde_json::private::RawValue",
    b"&decision=approve&code=1&",
    b"&decision=reject&",
    b"=",
    b";",
    b"<script>",
];

const HEADERS: [&[u8]; 20] = [
    b"accept",
    b"accept-encoding",
    b"authorization",
    b"content-encoding",
    b"content-type",
    b"cookie",
    b"forwarded",
    b"if-match",
    b"origin",
    b"prefer",
    b"range",
    b"referer",
    b"sec-fetch-site",
    b"te",
    b"upgrade",
    b"x-azure-functions-invocationid",
    b"x-forwarded-for",
    b"x-functions-key",
    b"x-http-method-override",
    b"x-ms-client-principal",
];

/// In all that the generated requests hold, so that an answer that repeats it is seen.
const ECHO: &str = "zebra";

/// What the generated requests are about.
struct Subjects {
    /// One to claim, report and take back.
    pending: String,
    /// One to decide: its address with the link's token, and the form but for the decision.
    link: String,
    form: String,
    /// One that is decided, so that nobody waits for it, and how it was asked for.
    decided: String,
    asked: Vec<u8>,
}

impl Subjects {
    async fn of(gate: &TestGate) -> Self {
        let mut ask = request();
        ask.parameters.insert("animal".to_owned(), json!(ECHO));
        let pending = gate.client.submit(&ask).await.unwrap().id;
        let to_decide = gate.client.submit(&ask).await.unwrap();
        let link = gate.question(&to_decide, ALICE).link;
        let page = gate.get(&link).await;
        let hidden = page.hidden_fields();
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(hidden)
            .append_pair("comment", ECHO)
            .finish();
        let name = format!("{ECHO}-{}", to_decide.correlation_id);
        ask.correlation_id = Some(name);
        let decided = gate.client.submit(&ask).await.unwrap();
        gate.reject(&decided, ALICE, ECHO).await;
        Self {
            pending,
            link: link.strip_prefix(&gate.url).unwrap().to_owned(),
            form,
            decided: decided.id,
            asked: serde_json::to_vec(&ask).unwrap(),
        }
    }

    /// A request with faults, as it goes over the wire.
    fn request(&self, seed: u64) -> Vec<u8> {
        let mut dice = Dice(seed);
        let mut ask = json!({
            "agentName": ECHO, "actionDescription": ECHO, "approverEmails": [ALICE],
            "correlationId": format!("{ECHO}-{seed}"), "timeoutSeconds": 600, "reason": ECHO,
            "onBehalfOf": "zebra@example.com", "claimant": "0".repeat(64), "timestamp": ECHO,
            "parameters": {"text": ECHO, "list": [1, 2.5, true, null, {"deep": [ECHO]}]},
        });
        let claim = json!({"nonce": "zebra-0123456789", "secret": ECHO});
        let report = json!({"status": "ExecutionFailed", "error": ECHO, "secret": ECHO});
        let (decide, _) = self.link.split_once('?').unwrap();
        let of = |function: &str, id: &str| format!("/api/{function}/{id}").into_bytes();
        let mut more = Vec::new();
        let (method, path, kind, body) = match seed % 8 {
            0 | 1 => {
                dice.alter(&mut ask);
                (
                    "POST",
                    b"/api/submit".to_vec(),
                    "json",
                    ask.to_string().into_bytes(),
                )
            }
            2 => {
                let body = dice.garble(ask.to_string().as_bytes());
                ("POST", b"/api/submit".to_vec(), "json", body)
            }
            3 => {
                let (function, body) = match dice.below(3) {
                    0 => ("claim", claim),
                    1 => ("outcome", report),
                    _ => ("withdraw", json!({"secret": ECHO})),
                };
                let body = dice.garble(body.to_string().as_bytes());
                ("POST", of(function, &self.pending), "json", body)
            }
            4 => {
                // Mostly an approval: after a rejection there is nothing left to try.
                let decision = ["approve", "reject"][usize::from(dice.below(8) == 0)];
                let form = format!("{}&decision={decision}&code=", self.form);
                let body = dice.garble(form.as_bytes());
                (
                    "POST",
                    decide.as_bytes().to_vec(),
                    "x-www-form-urlencoded",
                    body,
                )
            }
            5 => {
                let path = of("status", &self.decided);
                let (start, rest) = path.split_at(1 + dice.below(path.len() - 1));
                let path = [start, &dice.garble(rest)].concat();
                ("GET", path, "json", Vec::new())
            }
            6 => {
                let (path, query) = match dice.below(2) {
                    0 => (of("status", &self.decided), "wait=1"),
                    _ => (
                        decide.as_bytes().to_vec(),
                        self.link.split_once('?').unwrap().1,
                    ),
                };
                let query = dice.garble(query.as_bytes());
                (
                    "GET",
                    [&path, &b"?"[..], &query].concat(),
                    "json",
                    Vec::new(),
                )
            }
            _ => {
                for _ in 0..=dice.below(5) {
                    let name = dice.pick(&HEADERS);
                    let value = dice.garble(ECHO.as_bytes());
                    more.extend([name, b": ", &value, b"\r\n"].concat());
                }
                ("POST", b"/api/submit".to_vec(), "json", self.asked.clone())
            }
        };
        // What would only end the line early is no other input.
        let line = |bytes: Vec<u8>| {
            let bytes = bytes.into_iter().filter(|b| !b"\r\n \0".contains(b));
            bytes.collect::<Vec<_>>()
        };
        let head = format!(
            "host: localhost\r\nsec-fetch-site: same-origin\r\nconnection: close\r\n\
             content-type: application/{kind}\r\ncontent-length: {}\r\n",
            body.len()
        );
        [
            method.as_bytes(),
            b" ",
            &line(path),
            b" HTTP/1.1\r\n",
            // The gate takes the first of a name that should be there once.
            &more,
            head.as_bytes(),
            b"\r\n",
            &body,
        ]
        .concat()
    }
}

/// What came back; nothing if the connection was closed without an answer.
async fn exchange(gate: &TestGate, request: &[u8]) -> Option<Page> {
    let mut stream = connect(gate).await;
    stream.write_all(request).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse::<u16>().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    Some(Page {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::from_iter(headers),
        body: body.to_owned(),
    })
}

/// `HO_TEST_SEED=N` begins with that one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_input_breaks_anything() {
    const CASES: u64 = 3_200;
    let first: u64 = match std::env::var("HO_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => 0,
    };
    let gate = TestGate::alone().await;
    let mut stored = BTreeSet::new();
    let mut statuses: Vec<u16> = Vec::new();
    for start in (first..first + CASES).step_by(80) {
        let subjects = Subjects::of(&gate).await;
        let (subjects, gate) = (&subjects, &gate);
        let answers = stream::iter(start..start + 80).map(|seed| async move {
            let request = subjects.request(seed);
            let answer = tokio::time::timeout(Duration::from_secs(20), exchange(gate, &request));
            let shown = || String::from_utf8_lossy(&request).into_owned();
            match answer.await {
                Ok(answer) => (seed, shown(), answer),
                Err(_) => panic!("seed {seed} hangs: {}", shown()),
            }
        });
        let answers: Vec<_> = answers.buffer_unordered(16).collect().await;
        for (seed, request, answer) in answers {
            let Some(answer) = answer else {
                panic!("seed {seed} got no answer: {request}");
            };
            let what = || format!("seed {seed}: {}\n{}\n{request}", answer.status, answer.body);
            assert!(!answer.status.is_server_error(), "{}", what());
            if answer.header("content-type") == "application/problem+json" {
                answer.problem();
                assert!(!answer.body.contains(ECHO), "{}", what());
                canary::none_in(&answer.body);
            } else if answer.status.is_client_error() && !answer.body.is_empty() {
                assert!(answer.body.starts_with("<!doctype html>"), "{}", what());
            }
            stored.insert(answer.header("location").to_owned());
            statuses.push(answer.status.as_u16());
        }
        let decided = gate.client.status(&subjects.decided, Duration::ZERO).await;
        assert_eq!(decided.unwrap().0.status, Status::Rejected);
    }
    // Whatever was refused left nothing, and nothing was approved.
    stored.retain(|location| location.starts_with("/api/status/"));
    let rows = gate.stored().await;
    let subjects = usize::try_from(CASES / 80).unwrap() * 3;
    assert_eq!(rows.len(), stored.len() + subjects, "seeds from {first}");
    for (_, _, row) in rows {
        assert!(
            !row.contains(r#""Status":"Approved""#),
            "seeds from {first}: {row}"
        );
    }
    // They do reach what they are meant for.
    for status in [200, 202, 303, 400, 403, 404, 409, 415, 422] {
        assert!(
            statuses.contains(&status),
            "no {status}: seeds from {first}"
        );
    }
}
