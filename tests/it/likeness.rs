//! What is different looks different, on the page and in either part of the email: values of other kinds, the gate's
//! own words beside those of an agent, spaces, and what ends a line.

use human_oversight_client::types::{Approval, NewApproval, Withdrawal};
use serde_json::{Value, json};

use crate::harness::{Mail, TestGate, for_alice, object};
use crate::names::{ask, seen};

/// What stands between two parts of a text.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("{text}"));
    rest.split_once(end).map_or(rest, |(within, _)| within)
}

/// The parameters on the page and in both parts of the email.
fn parameters(page: &str, mail: &Mail) -> [String; 3] {
    let page = between(page, "Exactly what will run", "The exact JSON");
    let (page, _) = page.split_once("id=\"decision\"").unwrap();
    let text = between(&mail.text, "Exactly these parameters:", "To decide");
    let html = between(&mail.html, "Exactly these parameters", "Review and decide");
    let (html, _) = html.split_once("bgcolor").unwrap();
    [page, text, html].map(str::to_owned)
}

#[tokio::test]
async fn no_two_values_look_alike() {
    let gate = TestGate::start().await;
    let mut known: Vec<(Value, [String; 3])> = Vec::new();
    let values = [
        json!(1000),
        json!("1000"),
        json!("\"1000\""),
        json!("\"\"1000\"\""),
        json!(true),
        json!("true"),
        json!(null),
        json!("null"),
        json!(""),
        json!("empty text"),
        json!("(empty text)"),
        json!([]),
        json!("empty list"),
        json!("(empty list)"),
        json!("[]"),
        json!({}),
        json!("no members"),
        json!("(no members)"),
        json!("{}"),
        json!(["1"]),
        json!([1]),
        json!("[1]"),
        json!("- 1"),
        json!([["1"]]),
        json!(["- 1"]),
        json!({"b": 1}),
        json!({"b": "1"}),
        json!("(1 more on the page)"),
        json!("a b"),
        json!("a  b"),
        json!("a   b"),
        json!("a\tb"),
        json!("a\nb"),
        json!("a\r\nb"),
        json!("a\n b"),
        json!("a\n  b"),
        json!("a\nb  c"),
        json!("a\nb c"),
    ];
    for value in values {
        let approval = ask(&gate, json!({"a": value})).await;
        let (page, mail) = seen(&gate, &approval).await;
        // Programs that show HTML make one space of several.
        let [page, text, html] = parameters(&page, &mail);
        let shown = [
            page,
            text,
            html.split(' ')
                .filter(|it| !it.is_empty())
                .collect::<Vec<_>>()
                .join(" "),
        ];
        for (other, others) in &known {
            for (one, other_shown) in shown.iter().zip(others) {
                assert_ne!(one, other_shown, "{value} and {other}");
            }
        }
        known.push((value, shown));
    }
}

/// Who hears a page, or copies from it, does not have its italics.
#[tokio::test]
async fn words_of_the_gate_read_otherwise_than_the_same_words_of_the_agent() {
    let gate = TestGate::start().await;
    let words = json!({
        "text": ["", "empty text", "(empty text)"], "list": [[], "empty list", "(empty list)"],
        "object": [{}, "no members", "(no members)"],
    });
    let approval = ask(&gate, words).await;
    let (page, mail) = seen(&gate, &approval).await;
    let [page, _, html] = parameters(&page, &mail);
    for html in [page, html] {
        let texts: Vec<&str> = html
            .split('<')
            .filter_map(|it| Some(it.split_once('>')?.1.trim()))
            .collect();
        for words in ["empty text", "empty list", "no members"] {
            for text in [
                words.to_owned(),
                format!("({words})"),
                format!("&#34;({words})&#34;"),
            ] {
                let count = texts.iter().filter(|it| it.ends_with(&text)).count();
                assert_eq!(count, 1, "{text}: {html}");
            }
        }
    }
}

#[tokio::test]
async fn a_text_that_reads_as_itself_stands_without_quotes() {
    let gate = TestGate::start().await;
    let plain = "Invoice 1000 (paid), [draft] and true";
    let approval = ask(&gate, json!({"a": plain, "b": "1000", "n": 1000})).await;
    let (page, mail) = seen(&gate, &approval).await;
    let text = mail.text.replace("\r\n", "\n");
    let lines = format!("\n  a:  {plain}\n  b:  \"1000\"\n  n:  1000\n");
    assert!(text.contains(&lines), "{text}");
    for html in [&page, &mail.html] {
        assert!(html.contains(&format!(">{plain}<")), "{html}");
        assert!(html.contains(">&#34;1000&#34;<"), "{html}");
        assert!(html.contains(">1000<"), "{html}");
    }
}

/// The request that supersedes one with the earlier parameters.
async fn changed(gate: &TestGate, earlier: Value, now: Value) -> Approval {
    let earlier = ask(gate, earlier).await;
    let withdrawal = Withdrawal { secret: None };
    gate.client
        .withdraw(&earlier.id, &withdrawal)
        .await
        .unwrap();
    let new = NewApproval {
        parameters: object(now),
        supersedes: Some(earlier.id),
        ..for_alice()
    };
    gate.client.submit(&new).await.unwrap()
}

#[tokio::test]
async fn a_name_of_the_agent_looks_like_no_label_of_the_gate() {
    let gate = TestGate::start().await;
    let earlier = json!({
        "before": 1, "now": 1, "removed": 1, "(before)": 1, "item 1": 1, "list": [1], "(item 1)": 1, "": 1,
        "«empty name»": 1,
    });
    let now = json!({
        "before": 2, "now": 2, "added": 1, "(before)": 2, "item 1": 2, "list": [2], "(item 1)": 2, "": 2,
        "«empty name»": 2,
    });
    let approval = changed(&gate, earlier, now).await;
    let (page, mail) = seen(&gate, &approval).await;
    let page = between(&page, "What changed", "Exactly what will run");
    let html = between(&mail.html, "What changed", "Exactly these parameters");
    for html in [page, html] {
        for (label, times) in [
            ("before", 8),
            ("now", 8),
            ("removed", 1),
            ("added", 1),
            ("item 1", 1),
        ] {
            let of_gate = format!("<em translate=\"yes\">({label})</em></th>");
            assert_eq!(html.matches(&of_gate).count(), times, "{label}: {html}");
            let of_agent = format!(">{label}</th>");
            assert_eq!(html.matches(&of_agent).count(), 1, "{label}: {html}");
        }
        assert!(html.contains(">&#34;(before)&#34;</th>"), "{html}");
    }
    let text = between(&mail.text, "What changed", "Exactly these parameters");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let count = |line: &str| lines.iter().filter(|it| it.starts_with(line)).count();
    for (label, times) in [
        ("(before):", 8),
        ("(now):", 8),
        ("(removed):", 1),
        ("(added):", 1),
        ("(item 1):", 1),
        ("before:", 1),
        ("now:", 1),
        ("removed:", 1),
        ("added:", 1),
        ("item 1:", 1),
        ("\"(before)\":", 1),
        ("\"(item 1)\":", 1),
        ("«empty name»:", 1),
        ("\"«empty name»\":", 1),
    ] {
        assert_eq!(count(label), times, "{label} {text}");
    }
}

#[tokio::test]
async fn spaces_in_the_words_of_an_agent_are_kept() {
    let gate = TestGate::start().await;
    let new = NewApproval {
        agent_name: "billing  agent".to_owned(),
        action_description: "Pay  the   invoice".to_owned(),
        parameters: object(json!({"to": "DE  12", "rows": [{"a": "1  2"}, {"a": "3"}]})),
        reason: Some("Due  today.\n  Yes.".to_owned()),
        ..for_alice()
    };
    let approval = gate.client.submit(&new).await.unwrap();
    let (page, mail) = seen(&gate, &approval).await;
    for words in [
        "billing \u{a0}agent",
        "Pay \u{a0}the \u{a0}\u{a0}invoice",
        "DE \u{a0}12",
        "1 \u{a0}2",
        "Due \u{a0}today.<br>\u{a0}\u{a0}Yes.",
    ] {
        assert!(mail.html.contains(words), "{words:?}: {}", mail.html);
    }
    for part in [
        "<bdi translate=\"no\">Pay  the   invoice</bdi>",
        "<bdi translate=\"no\">billing  agent</bdi>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("bdi:not([dir]) { white-space: pre-wrap }"));
}

#[tokio::test]
async fn a_carriage_return_in_a_value_is_marked() {
    let gate = TestGate::start().await;
    let diff = "@@ -1 +1 @@\r\n-a\r\n+b\r\n";
    let approval = ask(&gate, json!({"s": "x\r\ny\nz\r\n", "diff": diff})).await;
    let (page, mail) = seen(&gate, &approval).await;
    let [page_part, text, html] = parameters(&page, &mail);
    for line in ["x", "z", "-a", "+b"] {
        assert!(
            page_part.contains(&format!("{line}<mark>\\u{{d}}</mark>")),
            "{page_part}"
        );
        assert!(text.contains(&format!("{line}\\u{{d}}")), "{text}");
    }
    assert!(page_part.contains("<del>-a"), "{page_part}");
    for part in [page_part, text, html] {
        assert_eq!(part.matches("\\u{d}").count(), 5, "{part}");
    }
    assert!(!page.contains("Check carefully"), "{page}");
}
