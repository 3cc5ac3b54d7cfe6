//! The decision page: what it shows, and that reading it decides nothing.

use std::time::Duration;

use human_oversight_client::types::ExecutionStatus;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{ALICE, BOB, Question, TestGate, object, request};

#[tokio::test]
async fn the_page_shows_the_request_and_the_approver() {
    let gate = TestGate::start().await;
    let mut request = request();
    request.reason = Some("The contract ended.".to_owned());
    let approval = gate.client.submit(&request).await.unwrap();
    let page = gate.get(&gate.question(&approval, ALICE).link).await;
    assert_eq!(page.status, StatusCode::OK);
    for shown in [
        "Delete User Account",
        "UserManagerAgent",
        "You are deciding as <strong>alice@example.com</strong>",
        "&#34;user_id&#34;: &#34;1&#34;",
        &approval.parameters_digest,
        "The agent says (not verified)",
        "59 minutes left",
        "For development",
    ] {
        assert!(page.body.contains(shown), "{shown}\n{}", page.body);
    }
    let (parameters, reason) = (
        page.body.find("user_id"),
        page.body.find("The contract ended"),
    );
    assert!(
        parameters.unwrap() < reason.unwrap(),
        "the agent's own text comes last"
    );
    assert!(!page.body.contains("<script"));
    assert!(
        !page.body.contains(&gate.question(&approval, ALICE).code),
        "the code is in the email only"
    );
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "strict-origin"),
        ("x-robots-tag", "noindex, nofollow, noarchive"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value);
    }
}

#[tokio::test]
async fn reading_the_page_decides_nothing() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let before = gate.stored().await;
    for address in [ALICE, BOB] {
        // The host forwards neither HEAD nor other methods; the handler must not rely on that.
        let link = gate
            .question(&approval, address)
            .link
            .replace(&gate.url, &gate.direct(""));
        for more in [
            "",
            "&d=approve",
            "&decision=approve",
            "&decision=reject",
            "&code=000000",
        ] {
            for method in [Method::GET, Method::HEAD] {
                let url = format!("{link}{more}");
                let answer = gate.http.request(method, url).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
            }
        }
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let answer = gate.http.request(method, &link).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        }
    }
    assert_eq!(gate.stored().await, before);
}

#[tokio::test]
async fn every_invalid_link_gets_the_same_page() {
    let gate = TestGate::start().await;
    let (one, other) = (gate.ask().await, gate.ask().await);
    let link = gate.question(&one, ALICE).link;
    let (address, token) = link.split_once("?k=").unwrap();
    let others = gate.question(&other, ALICE).link;
    let (_, others_token) = others.split_once("?k=").unwrap();
    let mut pages = Vec::new();
    for url in [
        address.to_owned(),
        format!("{address}?k="),
        format!("{address}?k={}", &token[..token.len() - 1]),
        format!("{address}?k={others_token}"),
        format!("{}/api/decision/YQ.none?k={token}", gate.url),
        format!("{}/api/decision/nonsense?k={token}", gate.url),
    ] {
        let page = gate.get(&url).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{url}");
        assert!(page.header("content-type").starts_with("text/html"));
        pages.push(page.body);
    }
    assert!(pages.iter().all(|page| *page == pages[0]));
    let page = gate.get(&gate.question(&one, ALICE).link).await;
    let form = page
        .body
        .split("name=\"form\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let fields = [("k", others_token), ("form", form), ("decision", "reject")];
    assert_eq!(
        gate.post_form(address, fields).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn deceptive_text_is_escaped_and_marked() {
    let gate = TestGate::start().await;
    let mut hostile = request();
    hostile.agent_name = "</h1><script>alert(1)</script>".to_owned();
    hostile.action_description = "Read a file</p><form action=https://evil.example>".to_owned();
    hostile.parameters = object(json!({
        "path": "invoice\u{202e}fdp.exe", "to": "\u{440}aypal-prod", "zero\u{200b}width": "\u{e0041}",
        "html": "</pre><script>alert(2)</script>",
    }));
    hostile.reason = Some("Approved by security.</blockquote><h1>SAFE</h1>\u{202e}".to_owned());
    let approval = gate.client.submit(&hostile).await.unwrap();
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    let mail = gate.mails().remove(0);
    for text in [&page, &mail.html] {
        assert!(
            !text.contains("<script") && !text.contains("<form action=https"),
            "{text}"
        );
        assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{e0041}']));
    }
    for shown in [
        r"invoice\u202efdp.exe",
        r"zero\u200bwidth",
        r"\udb40\udc41",
        "‘\u{440}’ (U+0440) is a Cyrillic letter",
        "3 invisible characters are",
        r"SAFE&#60;/h1&#62;\u{202e}",
    ] {
        assert!(page.contains(shown), "{shown}\n{page}");
    }
    assert!(!mail.subject.contains('\n'));
    assert_eq!(mail.source.matches("\r\nSubject: ").count(), 1);
}

#[tokio::test]
async fn punctuation_that_resembles_another_and_text_that_is_not_nfc_are_pointed_at() {
    let gate = TestGate::start().await;
    for c in [
        '\u{2215}', '\u{2044}', '\u{2024}', '\u{ff0e}', '\u{ff20}', '\u{2010}', '\u{2212}',
        '\u{37e}', '\u{1fef}', '\u{ff04}', '\u{2011}', '\u{29f8}', '\u{fe68}', '\u{ff0f}',
        '\u{2236}', '\u{2217}', '\u{ff0a}', '\u{ff3f}',
    ] {
        let mut new = request();
        new.parameters = object(json!({"path": format!("contracts{c}old")}));
        let approval = gate.client.submit(&new).await.unwrap();
        let question = gate.question(&approval, ALICE);
        let page = gate.get(&question.link).await.body;
        let code = format!("‘{c}’ (U+{:04X})", u32::from(c));
        assert!(
            page.contains("Check carefully") && page.contains(&code),
            "{c}: {page}"
        );
        let mails = gate.mails();
        let mail = mails
            .iter()
            .find(|mail| mail.text.contains(&approval.id))
            .unwrap();
        assert!(
            mail.text.contains(&code) && mail.html.contains(&code),
            "{c}"
        );
    }
    let shown = async |text: &str| {
        let mut new = request();
        new.action_description = text.to_owned();
        let approval = gate.client.submit(&new).await.unwrap();
        gate.get(&gate.question(&approval, ALICE).link).await.body
    };
    for text in ["Re\u{301}sume\u{301}", "\u{212b}ngstrom"] {
        let page = shown(text).await;
        assert!(
            page.contains("Check carefully") && page.contains("not in the usual form"),
            "{text}: {page}"
        );
    }
    for text in [
        "“Résumé” — it’s ‘done’, 5–7 pages…",
        "発注：東京タワー（2名、50％／半額）、確認してください！",
        "确认，删除；吗？",
        "Удалить запись № 5 — «срочно»",
        "حذف الملف، من فضلك؟",
        "למחוק את הקובץ?",
        "Διαγραφή αρχείου;",
        "हटाएँ।",
        "50 € · 3 × 4 • 20 °C → 1 %",
        "👩\u{fe0f}".trim_end_matches('\u{fe0f}'),
    ] {
        let page = shown(text).await;
        assert!(!page.contains("Check carefully"), "{text}: {page}");
    }
}

#[tokio::test]
async fn the_page_shows_the_status_of_the_execution() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let Question { link, .. } = gate.question(&approval, ALICE);
    gate.approve(&approval, ALICE).await;
    assert!(
        gate.get(&link)
            .await
            .body
            .contains("has not taken the approval yet")
    );
    let claim = crate::claim::claim("0123456789abcdef");
    gate.client.claim(&approval.id, &claim).await.unwrap();
    assert!(gate.get(&link).await.body.contains("is running the action"));
    let report = human_oversight_client::types::Report {
        status: ExecutionStatus::Executed,
        error: None,
        secret: None,
    };
    gate.client.outcome(&approval.id, &report).await.unwrap();
    assert!(gate.get(&link).await.body.contains("that the action ran"));
}

#[tokio::test]
async fn a_locked_link_is_shown_to_the_other_approvers() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let wrong = if alice.code == "000000" {
        "000001"
    } else {
        "000000"
    };
    for _ in 0..5 {
        gate.decide(&alice, &[("decision", "approve"), ("code", wrong)])
            .await;
    }
    let page = gate.get(&gate.question(&approval, BOB).link).await;
    assert!(
        page.body
            .contains("five wrong codes with the link of alice@example.com")
    );
    gate.pass(Duration::from_secs(1_800));
    gate.sweep().await;
    let reminder = gate
        .mails()
        .into_iter()
        .find(|m| m.to == BOB && m.text.contains("A reminder"));
    assert!(
        reminder
            .unwrap()
            .text
            .contains("five wrong codes with the link of alice@example.com")
    );
}
