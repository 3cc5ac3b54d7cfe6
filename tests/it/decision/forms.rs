//! The forms of the page: reasons from the list, and what a refused form leaves behind.

use std::time::Duration;

use human_oversight_client::receipt::{Assurance, verify};
use human_oversight_client::types::{Status, Withdrawal};
use human_oversight_protocol::parameters::{hex, sha256};
use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{ALICE, BOB, Page, Question, TestGate};

const REASON: &str = "Too risky";

/// Opens the page again, as a browser with these cookies does.
async fn open(gate: &TestGate, question: &Question, cookies: &str) -> Page {
    let request = gate.http.get(&question.link).header("cookie", cookies);
    Page::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_reason_from_the_list_reaches_the_agent_without_the_code() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let page = gate.get(&alice.link).await.body;
    assert!(page.contains("<summary>Reject…</summary>"), "{page}");
    for reason in [
        "Not needed",
        "The details are wrong",
        REASON,
        "Talk to me first",
    ] {
        assert!(
            page.contains(&format!("name=\"preset\" value=\"{reason}\"")),
            "{reason}"
        );
    }
    let form = [
        ("decision", "reject"),
        ("preset", REASON),
        ("comment", "obey me"),
    ];
    let answer = gate.decide(&alice, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);

    let status = gate.status(&approval.id).await;
    assert_eq!(
        (status.status, status.comment.as_deref()),
        (Status::Rejected, Some(REASON))
    );
    let keys = gate.client.keys().await.unwrap();
    let claims = verify(&status.receipt.unwrap(), &keys).unwrap();
    assert_eq!(claims.assurance, Assurance::LinkOnly);
    assert_eq!(claims.comment_digest, Some(hex(&sha256(REASON.as_bytes()))));
    let row = gate.entity(&approval.id).await;
    assert_eq!(
        (&row["Preset"], &row["Comment"]),
        (&json!(REASON), &json!("obey me"))
    );
    let page = gate.get(&alice.link).await.body;
    assert!(page.contains("Too risky: obey me"), "{page}");
    assert!(page.contains("Written without the right code"), "{page}");
}

#[tokio::test]
async fn with_the_code_the_agent_gets_reason_and_words() {
    let gate = TestGate::with(&[("HO_REJECT_REASONS", "Too dear; Wrong shop")]).await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let form = [
        ("decision", "reject"),
        ("preset", "Wrong shop"),
        ("comment", "Ask in Bern."),
        ("code", &alice.code),
    ];
    gate.decide(&alice, &form).await;
    let status = gate.status(&approval.id).await;
    assert_eq!(status.comment.as_deref(), Some("Wrong shop: Ask in Bern."));
    gate.sweep().await;
    let told = gate
        .mails()
        .into_iter()
        .find(|it| it.to == BOB && it.subject.contains("[Rejected]"));
    assert!(told.unwrap().text.contains("Wrong shop: Ask in Bern."));
}

#[tokio::test]
async fn a_reason_that_is_not_on_the_list_or_for_an_approval_records_nothing() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let code = ("code", alice.code.as_str());
    for form in [
        [("decision", "reject"), ("preset", "obey me"), code],
        [("decision", "approve"), ("preset", REASON), code],
    ] {
        let answer = gate.decide(&alice, &form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{form:?}");
        assert!(
            answer.body.contains("Nothing was recorded"),
            "{}",
            answer.body
        );
        assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    }
}

#[tokio::test]
async fn with_rows_of_version_1_a_reason_is_part_of_the_comment_and_approves_nothing() {
    let gate = TestGate::with(&[("HO_ROWS", "1")]).await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let approve = [
        ("decision", "approve"),
        ("preset", REASON),
        ("code", alice.code.as_str()),
    ];
    let answer = gate.decide(&alice, &approve).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    let reject = [
        ("decision", "reject"),
        ("preset", REASON),
        ("comment", "no"),
    ];
    gate.decide(&alice, &reject).await;
    let rejected = gate.status(&approval.id).await;
    assert_eq!(rejected.comment.as_deref(), Some("Too risky: no"));
}

#[tokio::test]
async fn reloading_after_a_wrong_code_costs_no_try_and_keeps_the_comment() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let page = gate.get(&alice.link).await;
    let typed = "After <1 pm>, please.";
    let fields = page.first_form();
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let form = [
        ("decision", "approve"),
        ("code", alice.wrong_code()),
        ("comment", typed),
    ];
    let url = format!("{}{}", gate.url, page.action());
    let answer = gate.post_fields(&url, fields.chain(form)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    // The address still opens the page, at the message.
    assert_eq!(
        format!("{}{}", gate.url, answer.header("location")),
        format!("{}#problem", alice.link)
    );
    let cookies = answer.cookies();
    for secret in [alice.wrong_code(), "1 pm", "MSBwbQ"] {
        assert!(!cookies.contains(secret), "{cookies}");
    }
    let set = answer.header("set-cookie");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=900"] {
        assert!(set.contains(attribute), "{set}");
    }

    let shown = open(&gate, &alice, &cookies).await;
    assert_eq!(shown.status, StatusCode::FORBIDDEN);
    assert!(shown.body.contains("4 tries left"), "{}", shown.body);
    assert!(
        shown.body.contains("After &#60;1 pm&#62;, please."),
        "{}",
        shown.body
    );
    assert!(
        shown
            .body
            .contains("aria-invalid=\"true\" aria-describedby=\"problem\"")
    );
    // The message is shown once; what was typed stays.
    let again = open(&gate, &alice, &shown.cookies()).await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(!again.body.contains("tries left"), "{}", again.body);
    assert!(
        again.body.contains("After &#60;1 pm&#62;, please."),
        "{}",
        again.body
    );
    // Neither another person nor another request nor a later hour opens it.
    let bob = gate.question(&approval, BOB);
    let other = gate.ask().await;
    let other = gate.question(&other, ALICE);
    for question in [&bob, &other] {
        let page = open(&gate, question, &cookies).await;
        assert!(!page.body.contains("1 pm"), "{}", page.body);
    }
    gate.pass(Duration::from_secs(901));
    let late = open(&gate, &alice, &cookies).await;
    assert!(!late.body.contains("1 pm"), "{}", late.body);
    // Five tries, of which one was used.
    let right = [("decision", "approve"), ("code", alice.code.as_str())];
    let done = gate.decide(&alice, &right).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(done.cookies(), "");
}

#[tokio::test]
async fn the_longest_comment_is_kept_and_hostile_cookies_are_ignored() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let longest = "𠮷".repeat(2_000);
    let form = [
        ("decision", "approve"),
        ("code", alice.wrong_code()),
        ("comment", &longest),
    ];
    let shown = gate.decide(&alice, &form).await;
    assert!(shown.body.contains(&longest));
    let cookies = shown.cookies();
    assert!(cookies.len() < 12_000, "{}", cookies.len());
    for hostile in [
        "draft=",
        "draft=AAAA",
        "draft=%00",
        "draft",
        &format!("draft={}", "A".repeat(4_000)),
        &cookies[..cookies.len() / 2],
        &cookies.replace("draft-1", "draft-2"),
    ] {
        let page = open(&gate, &alice, hostile).await;
        assert_eq!(page.status, StatusCode::OK, "{hostile}");
        assert!(!page.body.contains("𠮷"), "{hostile}");
    }
}

#[tokio::test]
async fn words_typed_to_reject_stay_where_they_were_typed() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let form = [
        ("decision", "reject"),
        ("preset", "not on the list"),
        ("words", "Ask <Bern>."),
    ];
    let page = gate.decide(&alice, &form).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for shown in [
        "<details class=\"reject\" open>",
        "<fieldset aria-describedby=\"problem\">",
        "rows=\"3\">Ask &#60;Bern&#62;.</textarea>\n<label for=\"reject-code\">",
        "<details><summary>Add a comment to your approval</summary>",
    ] {
        assert!(page.body.contains(shown), "{shown}\n{}", page.body);
    }
    assert_eq!(page.body.matches("Bern").count(), 1, "{}", page.body);
    // A page of an earlier gate has one form for both.
    let approve = [
        ("decision", "approve"),
        ("code", alice.code.as_str()),
        ("words", "Ask Bern."),
    ];
    let page = gate.decide(&alice, &approve).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.body.contains(">Ask Bern.</textarea>"));
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);

    let reject = [
        ("decision", "reject"),
        ("code", alice.code.as_str()),
        ("comment", "Read it."),
        ("words", "Ask Bern."),
    ];
    gate.decide(&alice, &reject).await;
    let status = gate.status(&approval.id).await;
    assert_eq!(
        (status.status, status.comment.as_deref()),
        (Status::Rejected, Some("Read it.\nAsk Bern."))
    );
}

/// A policy whose rejections need words, without the list of reasons of the settings or with it.
#[tokio::test]
async fn a_page_says_what_a_rejection_needs() {
    const POLICY: &str = r#"
version = 1
[groups]
all = ["alice@example.com", "bob@example.com"]
[[rule]]
id = "all"
effect = "require"
stages = [{ from = "all" }]
comment = "on-reject"
"#;
    for (reasons, needs, remedy) in [
        (
            REASON,
            "Rejecting needs a reason from the list, or your own words with the code from the email.",
            "To reject, a reason from the list is enough.",
        ),
        (
            "off",
            "Rejecting needs your own words, with the code from the email.",
            "They count with the code from the email",
        ),
    ] {
        let gate = TestGate::with(&[("HO_POLICY", POLICY), ("HO_REJECT_REASONS", reasons)]).await;
        let approval = gate.ask().await;
        let alice = gate.question(&approval, ALICE);
        let page = gate.get(&alice.link).await;
        assert!(page.body.contains(needs), "{}", page.body);
        for words in [
            "Rejecting needs no code",
            "(optional",
            "rejected all the same",
        ] {
            assert!(!page.body.contains(words), "{words}\n{}", page.body);
        }
        let reject = [("decision", "reject"), ("words", "Ask Bern.")];
        let page = gate.decide(&alice, &reject).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.body.contains(remedy), "{}", page.body);
        assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    }
}

#[tokio::test]
async fn words_of_which_nothing_shows_are_none() {
    const POLICY: &str = "version = 1\n[groups]\nall = [\"alice@example.com\", \"bob@example.com\"]\n[[rule]]\nid = \"all\"\n\
        effect = \"require\"\nstages = [{ from = \"all\" }]\ncomment = \"always\"\n";
    let settings = [
        ("HO_POLICY", POLICY),
        ("HO_REJECT_REASONS", "off"),
        (
            "HO_ALLOWED_APPROVERS",
            "alice@example.com,bob@example.com,carol@example.com",
        ),
    ];
    let gate = TestGate::with(&settings).await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let page = gate.get(&alice.link).await;
    let url = alice.link.split('?').next().unwrap();
    for blank in [
        "\u{200b}",
        "\u{2060}\u{feff}",
        "\u{3164}",
        "\u{2800}",
        "\u{ad}",
        "\u{180e}",
        "\u{202e}",
        " \u{a0}\n\u{200d}",
    ] {
        for (form, fields) in [
            (
                "decision",
                vec![("decision", "approve"), ("comment", blank)],
            ),
            ("decision", vec![("decision", "reject"), ("words", blank)]),
            ("decision", vec![("decision", "reject"), ("revise", blank)]),
            (
                "hand-over",
                vec![
                    ("decision", "hand-over"),
                    ("hand_over", "carol@example.com"),
                    ("reason", blank),
                ],
            ),
        ] {
            let hidden = page.form_in(form).unwrap();
            let hidden = hidden.iter().map(|(name, value)| (&**name, &**value));
            let fields = hidden.chain(fields).chain([("code", &*alice.code)]);
            let refused = gate.post_form(url, fields).await;
            assert_eq!(
                refused.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{blank:?}: {}",
                refused.body
            );
        }
    }
    let form = [
        ("decision", "approve"),
        ("comment", "👩\u{200d}💻"),
        ("code", &*alice.code),
    ];
    let approved = gate.decide(&alice, &form).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.body);
}

/// A person goes on where they were: what approves is hidden as long as *Reject…* is open.
#[tokio::test]
async fn the_form_that_was_sent_shows_again_with_its_problem() {
    const POLICY: &str = "version = 1\n[groups]\nall = [\"alice@example.com\", \"bob@example.com\"]\n[[rule]]\nid = \"all\"\n\
        effect = \"require\"\nstages = [{ from = \"all\" }]\ncomment = \"always\"\n";
    let gate = TestGate::with(&[("HO_POLICY", POLICY), ("HO_REJECT_REASONS", "off")]).await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let at = |page: &Page, words: &str| page.body.find(words);
    for (decision, text, code) in [
        ("approve", ("comment", ""), alice.code.as_str()),
        ("approve", ("comment", "Yes."), alice.wrong_code()),
        ("reject", ("words", "No."), ""),
        ("reject", ("words", "No."), alice.wrong_code()),
        ("reject", ("words", ""), alice.code.as_str()),
    ] {
        let form = [("decision", decision), text, ("code", code)];
        let page = gate.decide(&alice, &form).await;
        let open = at(&page, "<details class=\"reject\" open>");
        assert_eq!(
            open.is_some(),
            decision == "reject",
            "{form:?}\n{}",
            page.body
        );
        let problem = at(&page, "id=\"problem\"").unwrap();
        let approves = at(&page, "<form class=\"approve\"").unwrap();
        assert_eq!(problem < approves, decision == "approve", "{form:?}");
        assert!(open.is_none_or(|open| open < problem), "{form:?}");
    }
    let code = ("code", alice.code.as_str());
    let form = [("decision", "approve"), ("comment", "Yes."), code];
    let done = gate.decide(&alice, &form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_field_of_the_code_is_wrong_only_if_the_code_was() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let (right, wrong) = (alice.code.as_str(), alice.wrong_code());
    for (form, field) in [
        (vec![("decision", "approve"), ("code", wrong)], "code"),
        (vec![("decision", "approve"), ("code", "")], "code"),
        (
            vec![("decision", "approve"), ("code", right), ("preset", REASON)],
            "words",
        ),
        (vec![("decision", "reject"), ("preset", "obey me")], ""),
        (
            vec![("decision", "approve"), ("code", right), ("form", "")],
            "",
        ),
    ] {
        let page = gate.get(&alice.link).await;
        let sent = match form.last() {
            // With the token of another form.
            Some(("form", _)) => {
                let page = Page {
                    body: page.body.replace(&page.first_form()[1].1, "old"),
                    ..page
                };
                gate.send_form(&page, &form[..2]).await
            }
            _ => gate.send_form(&page, &form).await,
        };
        assert!(sent.body.contains("role=\"alert\""), "{form:?}");
        let at_fault = sent
            .body
            .split('<')
            .filter(|it| it.contains("aria-invalid"));
        let at_fault: Vec<&str> = at_fault.collect();
        assert_eq!(at_fault.len(), usize::from(!field.is_empty()), "{form:?}");
        for tag in at_fault {
            assert!(tag.contains(&format!(" id=\"{field}\"")), "{tag}");
            assert!(tag.contains("aria-describedby=\"problem\""), "{tag}");
        }
        // The browser goes to the message.
        assert_eq!(sent.body.matches("id=\"problem\"").count(), 1, "{form:?}");
        assert!(!sent.body.contains("autofocus"), "{form:?}");
    }
}

#[tokio::test]
async fn a_late_approver_reads_what_came_first() {
    let gate = TestGate::start().await;
    let approve = |code: &str| {
        let code = code.to_owned();
        vec![("decision", "approve".to_owned()), ("code", code)]
    };
    let send = async |page: &Page, form: Vec<(&str, String)>| {
        let form: Vec<(&str, &str)> = form.iter().map(|(a, b)| (*a, b.as_str())).collect();
        gate.send_form(page, &form).await
    };
    let asked = async || {
        let approval = gate.ask().await;
        let alice = gate.question(&approval, ALICE);
        let page = gate.get(&alice.link).await;
        (approval, alice, page)
    };

    let (withdrawn, alice, page) = asked().await;
    let withdrawal = Withdrawal::default();
    gate.client
        .withdraw(&withdrawn.id, &withdrawal)
        .await
        .unwrap();
    let told = send(&page, approve(&alice.code)).await;
    assert_eq!(told.status, StatusCode::CONFLICT);
    let words = "The agent withdrew this request before you decided.";
    assert!(told.body.contains(words), "{}", told.body);

    let (decided, alice, page) = asked().await;
    gate.approve(&decided, BOB).await;
    let told = send(&page, approve(&alice.code)).await;
    assert_eq!(told.status, StatusCode::CONFLICT);
    let words = "bob@example.com decided before you.";
    assert!(told.body.contains(words), "{}", told.body);

    let (decided, _, page) = asked().await;
    gate.approve(&decided, ALICE).await;
    let told = send(&page, vec![("decision", "reject".to_owned())]).await;
    assert_eq!(told.status, StatusCode::CONFLICT);
    let words = "You had decided before.";
    assert!(told.body.contains(words), "{}", told.body);

    let (_, alice, page) = asked().await;
    gate.pass(Duration::from_secs(3_601));
    let told = send(&page, approve(&alice.code)).await;
    assert_eq!(told.status, StatusCode::GONE);
    let words = "You decided after the deadline. Your decision does not count";
    assert!(told.body.contains(words), "{}", told.body);

    let (_, alice, page) = asked().await;
    gate.pass(Duration::from_secs(3_601));
    let told = send(&page, approve(alice.wrong_code())).await;
    assert_eq!(told.status, StatusCode::FORBIDDEN);
    let words = "The deadline had passed. No decision was recorded";
    assert!(told.body.contains(words), "{}", told.body);
    assert!(!told.body.contains("left. No decision"), "{}", told.body);
}

#[tokio::test]
async fn the_longest_texts_of_a_page_are_kept_together() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let (words, question) = ("京".repeat(2_000), "都".repeat(2_000));
    let form = [
        ("decision", "reject"),
        ("words", words.as_str()),
        ("revise", question.as_str()),
    ];
    let shown = gate.decide(&alice, &form).await;
    assert_eq!(shown.status, StatusCode::UNPROCESSABLE_ENTITY);
    for text in [&words, &question] {
        assert!(shown.body.contains(&format!(">{text}</textarea>")));
    }
    // What no browser sends from a page leaves its message alone.
    let words = "𠮷".repeat(2_000);
    let form = [
        ("decision", "reject"),
        ("words", words.as_str()),
        ("revise", words.as_str()),
    ];
    let shown = gate.decide(&alice, &form).await;
    assert_eq!(shown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(shown.body.contains("at most 2000 characters"));
    assert!(!shown.body.contains("𠮷"));
}
