//! The decision page: what it shows, and that reading it decides nothing.

use std::time::Duration;

use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::types::NewApproval;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Question, TestGate, for_alice, object, request};
use crate::host::{KEY, Mode};
use crate::outcome::report;

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
        "59 minutes left when opened",
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
async fn a_page_about_an_invalid_link_does_not_say_whether_there_is_such_a_request() {
    let gate = TestGate::start().await;
    let (one, other) = (gate.ask().await, gate.ask().await);
    let link = gate.question(&one, ALICE).link;
    let (address, token) = link.split_once("?k=").unwrap();
    let others = gate.question(&other, ALICE).link;
    let (_, others_token) = others.split_once("?k=").unwrap();
    let absent = format!("{}/api/decision/YQ.none", gate.url);
    let no_id = format!("{}/api/decision/nonsense", gate.url);
    // By what the link lacks.
    let kinds = [
        vec![
            address.to_owned(),
            format!("{address}?k="),
            format!("{address}?k={}", &token[..token.len() - 1]),
            absent.clone(),
        ],
        vec![
            format!("{address}?k={others_token}"),
            format!("{absent}?k={token}"),
        ],
        vec![format!("{no_id}?k={token}")],
        vec![no_id],
    ];
    let mut pages = Vec::new();
    for urls in kinds {
        let mut same = Vec::new();
        for url in urls {
            let page = gate.get(&url).await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{url}");
            assert!(page.header("content-type").starts_with("text/html"));
            same.push(page.body);
        }
        assert!(same.iter().all(|page| *page == same[0]), "{}", same[0]);
        assert!(!pages.contains(&same[0]), "{}", same[0]);
        pages.push(same.swap_remove(0));
    }
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

/// The content of the page's `<title>`, and whether it offers to refresh, which it never does by itself.
fn title_and_refresh(page: &str) -> (&str, bool) {
    assert!(!page.contains("http-equiv"), "{page}");
    let (_, title) = page.split_once("<title>").unwrap();
    let offers = page.contains(">Refresh</a> to see what has happened since");
    (title.split_once("</title>").unwrap().0, offers)
}

#[tokio::test]
async fn the_page_goes_on_after_the_decision_until_nothing_more_can_come() {
    let gate = TestGate::with(&[("HO_OUTCOME_WITHIN", "600")]).await;
    let claim = crate::claim::claim("0123456789abcdef");
    let failed = report(Some("disk <full>\nno space\u{200b} left"));
    let unknown: &[&str] = &["the outcome is unknown", "It may have run."];
    let awaited: &[&str] = &["Waiting for the agent to start; it has until <time"];
    for (steps, words, refresh) in [
        ("", awaited, true),
        ("wait", awaited, true),
        (
            "claim",
            &["The agent started on ", "is running the action"],
            true,
        ),
        ("claim wait", &["is running the action"], true),
        (
            "claim done",
            &["the agent reports success", "that the action ran"],
            false,
        ),
        (
            "claim failed",
            &[
                "the agent reports a failure",
                "The agent says (not verified):",
                "disk &#60;full&#62;\nno space\\u{200b} left</blockquote>",
            ],
            false,
        ),
        ("claim wait wait", unknown, false),
        (
            "wait wait wait",
            &["expired unused", "did not start the action before <time"],
            false,
        ),
        (
            "revoke",
            &["Revoked: it does not run", "before the agent started"],
            false,
        ),
    ] {
        let approval = gate.ask().await;
        let Question { link, code } = gate.question(&approval, ALICE);
        gate.approve(&approval, ALICE).await;
        for step in steps.split_whitespace() {
            match step {
                "wait" => gate.pass(Duration::from_secs(300)),
                "claim" => drop(gate.client.claim(&approval.id, &claim).await.unwrap()),
                "done" => drop(
                    gate.client
                        .outcome(&approval.id, &report(None))
                        .await
                        .unwrap(),
                ),
                "failed" => drop(gate.client.outcome(&approval.id, &failed).await.unwrap()),
                _ => {
                    let form = [("decision", "revoke"), ("code", code.as_str())];
                    let question = gate.question(&approval, ALICE);
                    gate.decide(&question, &form).await;
                }
            }
        }
        gate.sweep().await;
        let page = gate.get(&link).await.body;
        for words in words {
            assert!(page.contains(words), "{steps}: {words}\n{page}");
        }
        let (title, offers) = title_and_refresh(&page);
        assert_eq!(offers, refresh, "{steps}");
        assert!(title.ends_with(": Delete User Account"), "{title}");
        let others = gate.get(&gate.question(&approval, BOB).link).await.body;
        assert_eq!(title_and_refresh(&others).1, refresh, "{steps}");
    }
    // The form of an open request asks for nothing else.
    let approval = gate.ask().await;
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    assert!(!title_and_refresh(&page).1);
    gate.reject(&approval, BOB, "no").await;
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    assert!(!title_and_refresh(&page).1);
}

#[tokio::test]
async fn page_and_email_say_who_else_was_asked_and_what_is_needed() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    let mails = gate.mails();
    let mail = mails.iter().find(|mail| mail.to == ALICE).unwrap();
    for text in [&page, &mail.html, &mail.text] {
        let text = text.replace("</dt><dd>", ": ");
        let told = text.contains("bob@example.com; one approval is enough");
        assert!(told && text.contains("Also asked"), "{text}");
    }
    gate.approve(&approval, ALICE).await;
    let page = gate.get(&gate.question(&approval, BOB).link).await.body;
    assert!(page.contains("<dt>Also asked</dt><dd>alice@example.com</dd>"));

    let alone = gate.client.submit(&for_alice()).await.unwrap();
    let page = gate.get(&gate.question(&alone, ALICE).link).await.body;
    assert!(!page.contains("Also asked"));

    let mut many = request();
    many.approver_emails = (0..20).map(|n| format!("a{n}@example.com")).collect();
    let many = gate.client.submit(&many).await.unwrap();
    let mails = gate.mails();
    let mail = mails
        .iter()
        .find(|mail| mail.to == "a0@example.com")
        .unwrap();
    for text in [&mail.text, &mail.html] {
        assert!(
            text.contains("a5@example.com, 14 more; one approval is enough"),
            "{text}"
        );
    }
    let page = gate
        .get(&gate.question(&many, "a0@example.com").link)
        .await
        .body;
    assert!(page.contains("a18@example.com, a19@example.com; one approval is enough"));
}

#[tokio::test]
async fn what_the_agent_claims_is_marked_unless_its_key_proves_it() {
    let mut claimed = request();
    claimed.on_behalf_of = Some("requester@example.com".to_owned());
    let digest = hex(&sha256(KEY.as_bytes()));
    for (agents, is_known) in [("", false), ("UserManagerAgent", true), ("User*", false)] {
        let keys = format!("{digest}={agents}");
        let settings = [("HO_AGENT_KEYS", keys.as_str())];
        let gate = TestGate::with(if agents.is_empty() { &[] } else { &settings }).await;
        let approval = gate.client.submit(&claimed).await.unwrap();
        let mail = gate.mails().remove(0);
        let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
        // The preview of the HTML names the agent too.
        for (text, of_agent) in [(&page, 1), (&mail.html, 2), (&mail.text, 1)] {
            let marks = text.matches("(not verified)").count();
            let of_agent = if is_known { 0 } else { of_agent };
            assert_eq!(marks, 1 + of_agent, "{agents}: {text}");
            let mut plain = text.clone();
            for mark in [
                "<bdi translate=\"no\">",
                "</bdi>",
                "<span dir=\"auto\" translate=\"no\">",
                "</span>",
            ] {
                plain = plain.replace(mark, "");
            }
            assert!(plain.contains("“Delete User Account”"), "{text}");
        }
    }
}

#[tokio::test]
async fn times_are_given_in_the_operators_zone_and_in_utc() {
    let gate = TestGate::with(&[("HO_TIME_ZONE", "Asia/Kathmandu")]).await;
    let approval = gate.ask().await;
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    let mail = gate.mails().remove(0);
    let deadline = format!("<time datetime=\"{}\">", approval.expires_at);
    for html in [&page, &mail.html] {
        let (_, time) = html.split_once(&deadline).expect("the deadline is a time");
        let (time, _) = time.split_once("</time>").unwrap();
        assert!(
            time.contains(" UTC+05:45 (") && time.ends_with(" UTC)"),
            "{time}"
        );
    }
    assert!(mail.text.contains(" UTC+05:45 ("), "{}", mail.text);
    assert!(
        mail.text.contains("60 minutes after this email was sent"),
        "{}",
        mail.text
    );
    assert!(!mail.html.contains(" left") && !mail.text.contains(" left"));
    gate.approve(&approval, ALICE).await;
    gate.sweep().await;
    let page = gate.get(&gate.question(&approval, ALICE).link).await.body;
    // The decision, the time to start, the deadline and the request.
    assert_eq!(page.matches(" UTC+05:45 (").count(), 4, "{page}");
    let inbox = gate.get(&gate.direct("/inbox")).await.body;
    assert!(inbox.contains(" UTC+05:45 ("), "{inbox}");
    gate.until_kept(1).await;
    let like = gate.ask().await;
    let page = gate.get(&gate.question(&like, ALICE).link).await.body;
    let earlier = page.split_once("Approved on <time ");
    let (_, earlier) = earlier.expect(&page);
    let (time, _) = earlier.split_once("</time>").unwrap();
    assert!(time.contains(" UTC+05:45 ("), "{time}");
}

#[tokio::test]
async fn a_locked_link_is_shown_to_the_other_approvers() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let wrong = alice.wrong_code();
    for _ in 0..5 {
        gate.decide(&alice, &[("decision", "approve"), ("code", wrong)])
            .await;
    }
    let page = gate.get(&gate.question(&approval, BOB).link).await;
    assert!(
        page.body
            .contains("ive wrong codes were entered with the link of alice@example.com")
    );
    gate.pass(Duration::from_secs(1_800));
    gate.sweep().await;
    let reminder = gate
        .mails()
        .into_iter()
        .find(|m| m.to == BOB && m.text.starts_with("Reminder: "));
    assert!(
        reminder
            .unwrap()
            .text
            .contains("ive wrong codes were entered with the link of alice@example.com")
    );
}

#[tokio::test]
async fn an_email_of_a_short_request_gives_no_more_time_than_there_is() {
    let gate = TestGate::start().await;
    // The email is rendered a moment after the request.
    let in_seconds = |most: u32| {
        (most - 10..=most)
            .map(|it| format!("{it} seconds"))
            .collect()
    };
    let in_minutes = vec!["2 minutes".to_owned()];
    for (seconds, words) in [
        (60, in_seconds(60)),
        (100, in_seconds(100)),
        (119, in_seconds(119)),
        (140, in_minutes.clone()),
        (170, in_minutes),
    ] {
        let short = NewApproval {
            timeout_seconds: Some(seconds),
            correlation_id: Some(seconds.to_string()),
            ..for_alice()
        };
        let approval = gate.client.submit(&short).await.unwrap();
        let mails = gate.mails().into_iter();
        let mut mails = mails.filter(|mail| mail.text.contains(&approval.id));
        let text = mails.next().unwrap().text;
        let says = |words: &String| text.contains(&format!("{words} after this email was sent"));
        assert!(words.iter().any(says), "{text}");
    }
}

/// Mail systems break lines and lose ends.
#[tokio::test]
async fn a_damaged_link_opens_the_request_or_says_what_is_missing() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let link = gate.question(&approval, ALICE).link;
    let (page, token) = link.split_once('?').unwrap();
    let (before, id) = page.rsplit_once('/').unwrap();
    let (one, two) = id.split_at(9);
    for broken in [
        format!("{before}/{one}%20{two}?{token}"),
        format!("{before}/{one}=%0D%0A{two}?{token}"),
        format!("{before}/{one}%250A{two}?{token}"),
        format!("{before}/{one}%E2%80%8B{two}%3F{token}"),
    ] {
        // A host that forwards rebuilds the address, without what does not show.
        if Mode::of_tests() == Mode::Forwarding && broken.contains("%E2%80%8B") {
            continue;
        }
        // The page token has the second in which the page was shown.
        let look = async || {
            let whole = gate.get(&link).await;
            let opened = gate.get(&broken).await;
            assert_eq!(opened.status, StatusCode::OK, "{broken}");
            (opened.body == whole.body).then_some(())
        };
        eventually(look).await;
    }
    let other = format!("{id}-other");
    for (id, query, says) in [
        (id, "".to_owned(), "Its end is missing or changed"),
        (
            id,
            token[..token.len() - 1].to_owned(),
            "Its end is missing",
        ),
        (one, token.to_owned(), "Its middle is missing or changed"),
        (one, "".to_owned(), "It breaks off"),
        ("", token.to_owned(), "Its middle is missing or changed"),
        ("", "".to_owned(), "It breaks off"),
        (&other, "".to_owned(), "Its end is missing or changed"),
        (
            &other,
            token.to_owned(),
            "It may be changed, or out of date",
        ),
    ] {
        let shown = gate.get(&format!("{before}/{id}?{query}")).await;
        assert_eq!(shown.status, StatusCode::NOT_FOUND, "{id}?{query}");
        assert!(shown.body.contains("This link is not valid"), "{says}");
        assert!(shown.body.contains(says), "{says}\n{}", shown.body);
        assert!(shown.body.contains("the button in the email"), "{says}");
    }
    // Also without the last slash.
    let shown = gate.get(&format!("{before}?{token}")).await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
    assert!(shown.body.contains("Its middle is missing"));
}
