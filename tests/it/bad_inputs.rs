//! Invalid input of every kind is refused with the right status and a problem document that names the
//! fault and repeats no input; nothing is stored, and no call hangs. Invalid members of a single function
//! are in the tests of that function.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::edge::raw;
use crate::harness::{ALICE, TestGate, request};

#[tokio::test]
async fn an_invalid_submit_gets_a_problem_document_and_stores_nothing() {
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
        (with("onBehalfOf", json!("requester")), 422, "/onBehalfOf"),
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
        // Texts and members that resemble valid ones.
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
    assert!(gate.mails().is_empty(), "no email is sent");
    assert!(gate.stored().await.is_empty(), "nothing is stored");
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
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            // A host that decodes the path may leave no decision path.
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
async fn malformed_http_is_refused_and_smuggles_no_request() {
    let gate = TestGate::alone().await;
    // A smuggled request would be valid, and would be stored.
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
    // Who answers: the gate with a problem document, or hyper while it reads the head.
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
        // The chunks.
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
        // Length and chunks: the chunks count, and the connection is closed after them.
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
            // Unread bytes may reset the connection before the answer arrives.
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
    assert!(gate.mails().is_empty(), "no email is sent");
    // Unusual but valid requests succeed.
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
