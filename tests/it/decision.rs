//! `GET|POST /api/decision/{id}`.

mod forms;
mod page;

use std::time::Duration;

use human_oversight_client::types::Status;
use reqwest::StatusCode;

use crate::harness::{ALICE, BOB, Log, TestGate};
use crate::host::Mode;

#[tokio::test]
async fn an_approval_with_a_comment_is_recorded_and_shown() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    // Spaces and hyphens in a typed code are ignored.
    let spaced_code = format!(" {}-{} ", &question.code[..3], &question.code[3..]);
    let form = [
        ("decision", "approve"),
        ("code", spaced_code.as_str()),
        ("comment", "Fine,\r\ngo on.  "),
    ];
    let answer = gate.decide(&question, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let decided = gate.status(&approval.id).await;
    assert_eq!(
        (decided.status, decided.approver.as_deref()),
        (Status::Approved, Some(ALICE))
    );
    assert_eq!(decided.comment.as_deref(), Some("Fine,\ngo on."));

    let next = gate
        .get(&format!("{}{}", gate.url, answer.header("location")))
        .await;
    assert_eq!(next.status, StatusCode::OK);
    assert!(next.body.contains("Approved by alice@example.com") && next.body.contains("go on."));
    assert!(!next.body.contains("value=\"approve\""), "it is decided");
}

#[tokio::test]
async fn a_rejection_needs_no_code_and_is_final() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let (alice, bob) = (
        gate.question(&approval, ALICE),
        gate.question(&approval, BOB),
    );
    let bobs_page = gate.get(&bob.link).await;
    gate.reject(&approval, ALICE, "Wrong tenant <b>!</b>").await;

    let second = gate
        .send_form(&bobs_page, &[("decision", "approve"), ("code", &bob.code)])
        .await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert!(
        second
            .body
            .contains("alice@example.com decided before you.")
    );
    assert!(second.body.contains("Rejected by alice@example.com"));
    assert!(
        second
            .body
            .contains("Wrong tenant &#60;b&#62;!&#60;/b&#62;")
    );
    let again = gate.get(&alice.link).await;
    assert!(again.body.contains("Rejected by alice@example.com on "));
    assert_eq!(gate.status(&approval.id).await.status, Status::Rejected);
}

#[tokio::test]
async fn a_repeated_decision_is_idempotent() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let page = gate.get(&question.link).await;
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let first = gate.send_form(&page, &form).await;
    let stored = gate.stored().await;
    let second = gate.send_form(&page, &form).await;
    assert_eq!(
        (first.status, second.status),
        (StatusCode::SEE_OTHER, StatusCode::SEE_OTHER)
    );
    assert_eq!(gate.stored().await, stored);
    let other = gate.send_form(&page, &[("decision", "reject")]).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert_eq!(gate.stored().await, stored);
}

#[tokio::test]
async fn approving_without_a_code_is_refused() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let answer = gate
        .decide(&question, &[("decision", "approve"), ("code", "")])
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.body.contains("Type the code from the email"));
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    assert!(
        gate.stored().await[0].2.contains(r#"\"wrongCodes\":0"#),
        "an empty code is not counted as wrong"
    );
}

/// The digits as a Japanese keyboard writes them.
fn wide(code: &str) -> String {
    let digits = code.chars().filter_map(|c| c.to_digit(10));
    digits
        .filter_map(|digit| char::from_u32(0xff10 + digit))
        .collect()
}

#[tokio::test]
async fn five_wrong_codes_lock_approval_through_that_link_only() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let (alice, bob) = (
        gate.question(&approval, ALICE),
        gate.question(&approval, BOB),
    );
    let wrong = alice.wrong_code();
    // The code of another approver is wrong, too.
    for (code, expected) in [
        (wrong, "4 tries left"),
        (&bob.code, "3 tries left"),
        // Not six digits: no guess.
        ("12345", "Type the code from the email"),
        ("1234567", "Type the code from the email"),
        ("code", "Type the code from the email"),
        (&wide(wrong), "2 tries left"),
        (&format!("code: {wrong}."), "1 try left"),
        (wrong, "takes no code"),
    ] {
        let form = [
            ("decision", "approve"),
            ("code", code),
            ("comment", "my words"),
        ];
        let answer = gate.decide(&alice, &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(
            answer.body.contains(expected),
            "{expected}\n{}",
            answer.body
        );
        // The link that is locked has no form for an approval.
        let is_locked = expected == "takes no code";
        assert_eq!(
            answer.body.contains(">my words</textarea>"),
            !is_locked,
            "the typed comment is kept"
        );
    }
    let right = gate
        .decide(&alice, &[("decision", "approve"), ("code", &alice.code)])
        .await;
    assert_eq!(right.status, StatusCode::FORBIDDEN);
    assert!(right.body.contains("locked"));
    let seen = gate.status(&approval.id).await;
    assert_eq!(seen.status, Status::Pending);
    assert_eq!(
        (seen.notifications[0].locked, seen.notifications[1].locked),
        (true, false)
    );
    assert!(
        gate.stored().await[0].2.contains(r#"\"what\":\"Locked\""#),
        "the history records it"
    );

    gate.approve(&approval, BOB).await;
    let other = gate.ask().await;
    let again = gate.question(&other, ALICE);
    for _ in 0..5 {
        gate.decide(&again, &[("decision", "approve"), ("code", "x")])
            .await;
    }
    gate.reject(&other, ALICE, "I can still say no").await;
}

#[tokio::test]
async fn a_late_decision_changes_nothing_and_is_recorded() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let (alice, bob) = (
        gate.question(&approval, ALICE),
        gate.question(&approval, BOB),
    );
    let (alices, bobs) = (gate.get(&alice.link).await, gate.get(&bob.link).await);
    gate.pass(Duration::from_millis(3_600_000));
    let no_code = gate
        .send_form(&alices, &[("decision", "approve"), ("code", "")])
        .await;
    assert_eq!(no_code.status, StatusCode::FORBIDDEN);
    let late = gate
        .send_form(&alices, &[("decision", "approve"), ("code", &alice.code)])
        .await;
    assert_eq!(late.status, StatusCode::GONE);
    assert!(late.body.contains("after the deadline") && late.body.contains("It does not run"));
    let row = gate.stored().await[0].2.clone();
    for column in [
        r#""Status":"Timeout""#,
        r#""LateDecision":"Approve""#,
        r#""LateApprover":"alice@"#,
    ] {
        assert!(row.contains(column), "{column} in {row}");
    }
    // A second late decision gets the same answer, and is not recorded.
    let later = gate.send_form(&bobs, &[("decision", "reject")]).await;
    assert_eq!(later.status, StatusCode::GONE);
    assert_eq!(gate.stored().await[0].2, row);
    assert_eq!(gate.get(&bob.link).await.status, StatusCode::GONE);
    assert_eq!(gate.status(&approval.id).await.status, Status::Timeout);
}

#[tokio::test]
async fn a_decision_before_the_deadline_counts() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.pass(Duration::from_secs(3_590));
    gate.approve(&approval, ALICE).await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Approved);
}

#[tokio::test]
async fn a_form_with_a_field_twice_decides_nothing() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let page = gate.get(&alice.link).await;
    let fields = page.first_form();
    let before = gate.stored().await;
    let once = [
        ("decision", "reject"),
        ("code", &*alice.code),
        ("comment", ""),
    ];
    for twice in [
        ("decision", "approve"),
        ("decision", "reject"),
        ("code", "000000"),
        ("form", "another"),
        ("k", "another"),
    ] {
        let hidden = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let sent = hidden.chain(once).chain([twice]);
        let answer = gate
            .post_form(&format!("{}{}", gate.url, page.action()), sent)
            .await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{twice:?}: {}",
            answer.body
        );
    }
    assert_eq!(gate.stored().await, before);
    gate.approve(&approval, ALICE).await;
}

#[tokio::test]
async fn a_cross_site_or_foreign_form_decides_nothing() {
    let gate = TestGate::start().await;
    let (approval, other) = (gate.ask().await, gate.ask().await);
    let question = gate.question(&approval, ALICE);
    let (address, token) = question.link.split_once("?k=").unwrap();
    let page = gate.get(&question.link).await;
    let form_token = |page: &crate::harness::Page| {
        page.body
            .split("name=\"form\" value=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    let own = form_token(&page);
    let foreign = form_token(&gate.get(&gate.question(&other, ALICE).link).await);
    let bobs = form_token(&gate.get(&gate.question(&approval, BOB).link).await);
    let before = gate.stored().await;
    let body = |form: &str| format!("k={token}&form={form}&decision=reject");
    let post = async |headers: &[(&str, &str)], body: String| {
        let mut request = gate.http.post(address).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status()
    };
    let urlencoded = ("content-type", "application/x-www-form-urlencoded");
    for headers in [
        vec![urlencoded],
        vec![urlencoded, ("origin", "https://evil.example")],
        vec![urlencoded, ("origin", "null")],
        vec![urlencoded, ("sec-fetch-site", "cross-site")],
        vec![
            urlencoded,
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
        ],
    ] {
        assert_eq!(
            post(&headers, body(&own)).await,
            StatusCode::FORBIDDEN,
            "{headers:?}"
        );
    }
    let own_origin = ("origin", gate.url.as_str());
    for form in [&foreign, &bobs, "", "nonsense"] {
        let status = post(&[urlencoded, own_origin], body(form)).await;
        // To the page, which says that the one before was out of date.
        assert_eq!(status, StatusCode::SEE_OTHER);
        assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    }
    assert_eq!(
        post(&[own_origin], body(&own)).await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    for broken in [
        "",
        "k=x",
        "k=x&form=y",
        "k=x&form=y&decision=maybe",
        "\u{0}",
    ] {
        // A forwarding host passes on no content type of an empty body.
        let status = match (broken, Mode::of_tests()) {
            ("", Mode::Forwarding) => 415,
            _ => 400,
        };
        assert_eq!(
            post(&[urlencoded, own_origin], broken.to_owned()).await,
            status,
            "{broken}"
        );
    }
    let long = format!("{}&comment={}", body(&own), "x".repeat(2_001));
    assert_eq!(
        post(&[urlencoded, own_origin], long).await,
        StatusCode::BAD_REQUEST
    );
    let huge = format!("{}&comment={}", body(&own), "x".repeat(70_000));
    assert_eq!(
        post(&[urlencoded, own_origin], huge).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(gate.stored().await, before);
    assert_eq!(
        post(&[urlencoded, ("sec-fetch-site", "same-origin")], body(&own)).await,
        303
    );
}

#[tokio::test]
async fn an_approver_removed_from_the_list_cannot_decide() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let before = gate.get(&question.link).await;
    let gate = TestGate::at(gate.dir, &[("HO_ALLOWED_APPROVERS", BOB)]).await;
    let link = question.link.split_once("/api/").unwrap().1;
    let link = format!("{}/api/{link}", gate.url);
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let log = Log::default();
    let collecting = log.collect();
    for refused in [gate.get(&link).await, gate.send_form(&before, &form).await] {
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let text = &refused.body;
        assert!(text.contains("you are no longer on this gate"), "{text}");
        assert!(text.contains("Ask its operator"), "{text}");
        for hidden in [approval.id.as_str(), "UserManagerAgent", ALICE, BOB] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
    drop(collecting);
    let cause =
        "cause=\"This approver is no longer on the list of approvers (HO_ALLOWED_APPROVERS).\"";
    assert_eq!(log.count(cause), 2, "{:?}", log.lines());
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    // Another link shows nothing of it.
    let last = if link.ends_with('A') { "B" } else { "A" };
    let changed = gate
        .get(&format!("{}{last}", &link[..link.len() - 1]))
        .await;
    let unknown = link.replace(&approval.id, &format!("{}x", approval.id));
    let unknown = gate.get(&unknown).await;
    assert_eq!(changed.status, StatusCode::NOT_FOUND);
    assert_eq!(changed.body, unknown.body);
}
