//! Invalid bodies of a submit.

use serde_json::{Value, json};

use crate::harness::{TestGate, request};
use crate::host::Mode;

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
        (with("agentName", json!("a ")), 422, "/agentName"),
        (with("agentName", json!("\u{a0}a")), 422, "/agentName"),
        (with("agentName", json!("a\u{a0}b")), 422, "/agentName"),
        (with("agentName", json!("a\u{3000}")), 422, "/agentName"),
        (with("agentName", json!("a\u{200b}b")), 422, "/agentName"),
        (with("agentName", json!("a\u{200d}b")), 422, "/agentName"),
        (with("agentName", json!("a\u{ad}b")), 422, "/agentName"),
        (with("agentName", json!("a\u{2800}")), 422, "/agentName"),
        (with("agentName", json!("a\u{fe0f}")), 422, "/agentName"),
        (with("agentName", json!("a\u{3164}")), 422, "/agentName"),
        (with("agentName", json!("a\u{e0041}")), 422, "/agentName"),
        (with("agentName", json!("a\u{e000}")), 422, "/agentName"),
        (with("agentName", json!("Cafe\u{301}")), 422, "/agentName"),
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
        (with("status", json!("Approved")), 422, "/status"),
        (
            with("approver", json!("alice@example.com")),
            422,
            "/approver",
        ),
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
        (with("__proto__", json!({})), 422, "/__proto__"),
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
        // A forwarding host passes on no content type of an empty body.
        let status = match (sent.as_str(), Mode::of_tests()) {
            ("", Mode::Forwarding) => 415,
            _ => status,
        };
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
