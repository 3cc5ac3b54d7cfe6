//! What a decision by sign-in takes besides: the link from the email, or a sign-in that is fresh.

use std::time::Duration;

use human_oversight_client::receipt::{Claims, verify};
use human_oversight_client::types::{Approval, Status};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ON, alice, approving, member, send, visit, visit_and_approve, with_claim};
use crate::harness::{ALICE, BOB, TestGate};
use crate::host::SignIn;

/// What the page says of a sign-in beyond what clocks may differ by.
const AHEAD: &str = "the time of your sign-in is 5 minutes or more ahead of this gate";

const BOB_ID: &str = "3c9e7a10-0000-4000-8000-000000000b0b";
const MAPPED: &str =
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/authenticationinstant";

/// The principal of Alice who signed in at this distance from the gate's clock, in seconds.
fn signed_in(gate: &TestGate, seconds: i64) -> Value {
    let at = gate.now().unix_seconds() + seconds;
    with_claim(alice(), "auth_time", Some(&at.to_string()))
}

fn without_time() -> Value {
    with_claim(alice(), "auth_time", None)
}

/// The link in the email to this person, from the id on.
fn with_link(gate: &TestGate, approval: &Approval, to: &str) -> String {
    let mails = gate.mails();
    let mut mails = mails.iter().filter(|mail| mail.to == to);
    let start = format!("/api/decision/{}?k=", approval.id);
    let link = mails.find_map(|mail| mail.text.lines().find(|line| line.contains(&start)));
    let link = link.expect("the email has a link with a token").trim();
    link.split_once("/api/decision/").unwrap().1.to_owned()
}

/// A form that approves by sign-in, as it was shown to someone who may decide.
async fn form(gate: &TestGate, approval: &Approval) -> Vec<(String, String)> {
    let session = SignIn::session(&signed_in(gate, 0));
    let page = visit(gate, &approval.id, &[("cookie", &session)]).await;
    approving(&page)
}

/// Asserts that the page says `words` to this person, who cannot decide with a form that they have. Nothing is stored.
async fn assert_refused(gate: &TestGate, approval: &Approval, person: &Value, words: &str) {
    let session = SignIn::session(person);
    let form = form(gate, approval).await;
    let before = gate.entity(&approval.id).await;
    let shown = visit(gate, &approval.id, &[("cookie", &session)]).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    assert!(
        shown.body.contains("You cannot decide yet"),
        "{}",
        shown.body
    );
    assert!(!shown.body.contains("<form"), "{}", shown.body);
    for verdict in ["approve", "reject"] {
        let mut form = form.clone();
        form.last_mut().unwrap().1 = verdict.to_owned();
        let sent = send(gate, &approval.id, &[("cookie", &session)], &form).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        let cookies = format!("{session}; {}", sent.cookies());
        let told = visit(gate, &approval.id, &[("cookie", &cookies)]).await;
        assert_eq!(told.status, StatusCode::FORBIDDEN, "{}", told.body);
        assert!(told.body.contains("Nothing was recorded"), "{}", told.body);
        for page in [&shown, &told] {
            assert!(page.body.contains(words), "{words}: {}", page.body);
            let again = format!(
                "/.auth/login/aad?prompt=login&#38;post_login_redirect_uri=/api/decision/{}\"",
                approval.id
            );
            assert!(page.body.contains(&again), "{again}: {}", page.body);
        }
    }
    assert_eq!(gate.entity(&approval.id).await, before, "{words}");
}

/// Approves as this person, and returns what the receipt says.
async fn approve(gate: &TestGate, approval: &Approval, address: &str, person: &Value) -> Claims {
    let session = SignIn::session(person);
    let page = visit(gate, address, &[("cookie", &session)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let sent = send(
        gate,
        &approval.id,
        &[("cookie", &session)],
        &approving(&page),
    )
    .await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    let decided = gate.status(&approval.id).await;
    assert_eq!(decided.status, Status::Approved, "{}", sent.body);
    let keys = gate.client.keys().await.unwrap();
    verify(&decided.receipt.unwrap(), &keys).unwrap()
}

/// A gate with sign-in and these settings.
async fn gate_with(settings: &[(&str, &str)]) -> TestGate {
    TestGate::with(&[&ON[..], settings].concat()).await
}

#[tokio::test]
async fn a_sign_in_decides_without_the_link_only_while_it_is_fresh() {
    let gate = gate_with(&[]).await;
    let approval = gate.ask().await;
    let old = "not from the last 5 minutes";
    let unknown = "add the optional claim auth_time";
    for seconds in [-301, -86_400] {
        assert_refused(&gate, &approval, &signed_in(&gate, seconds), old).await;
    }
    for seconds in [360, i64::from(i32::MAX)] {
        assert_refused(&gate, &approval, &signed_in(&gate, seconds), AHEAD).await;
    }
    assert_refused(&gate, &approval, &without_time(), unknown).await;
    let mut twice = signed_in(&gate, 0);
    let other = json!({"typ": MAPPED, "val": "1"});
    twice["claims"].as_array_mut().unwrap().push(other);
    assert_refused(&gate, &approval, &twice, unknown).await;
    for value in ["", "soon", "1e9", "99999999999999999999"] {
        let person = with_claim(alice(), "auth_time", Some(value));
        assert_refused(&gate, &approval, &person, unknown).await;
    }
    // Without the setting, a context counts for nothing.
    let context = with_claim(signed_in(&gate, -600), "acrs", Some("c1"));
    assert_refused(&gate, &approval, &context, old).await;

    let at = gate.now().unix_seconds() - 200;
    let mapped = with_claim(without_time(), MAPPED, Some(&at.to_string()));
    let claims = approve(&gate, &approval, &approval.id, &mapped).await;
    assert_eq!((claims.auth_time, claims.auth_context), (Some(at), None));
    let row = gate.entity(&approval.id).await;
    assert_eq!(row["StepUp"], "1");
    assert!(row["AuthTime"].is_string(), "{row}");
}

/// The clock of an instance may be up to 5 minutes behind: a person who signed in this second has a time in its future.
#[tokio::test]
async fn a_sign_in_is_fresh_where_the_clock_of_the_gate_is_behind() {
    for (settings, seconds) in [
        (&[][..], 90),
        (&[], 290),
        (&[("HO_ENTRA_MAX_AGE", "3600")], 90),
    ] {
        let gate = gate_with(settings).await;
        let approval = gate.ask().await;
        let person = signed_in(&gate, seconds);
        let at = gate.now().unix_seconds() + seconds;
        let claims = approve(&gate, &approval, &approval.id, &person).await;
        assert!(claims.auth_time.unwrap().abs_diff(at) < 60, "{claims:?}");
    }
}

#[tokio::test]
async fn with_the_link_from_the_email_an_old_sign_in_decides() {
    let gate = gate_with(&[]).await;
    for (person, auth_time) in [
        (without_time(), None),
        (
            signed_in(&gate, -86_400),
            Some(gate.now().unix_seconds() - 86_400),
        ),
    ] {
        let approval = gate.ask().await;
        let link = with_link(&gate, &approval, ALICE);
        let claims = approve(&gate, &approval, &link, &person).await;
        assert!(claims.auth_time.is_none() == auth_time.is_none());
        assert!(
            claims
                .auth_time
                .unwrap_or(0)
                .abs_diff(auth_time.unwrap_or(0))
                < 60,
            "{claims:?}"
        );
    }
}

#[tokio::test]
async fn the_page_gives_no_link_to_a_person_who_came_without_it() {
    let gate = TestGate::with(&ON).await;
    let approval = gate.ask().await;
    let link = with_link(&gate, &approval, ALICE);
    let token = link.split_once("?k=").unwrap().1;
    let session = SignIn::session(&signed_in(&gate, 0));
    let without = visit(&gate, &approval.id, &[("cookie", &session)]).await;
    assert!(without.body.contains("<form") && !without.body.contains(token));
    // Another approver's link is not Alice's.
    let bobs = with_link(&gate, &approval, BOB);
    let old = SignIn::session(&signed_in(&gate, -600));
    let refused = visit(&gate, &bobs, &[("cookie", &old)]).await;
    assert!(refused.body.contains("You cannot decide yet"));
    assert!(!refused.body.contains("?k=") && !refused.body.contains("<form"));
    // The link alone opens nothing, and the sign-in leads back to it.
    let anonymous = visit(&gate, &link, &[]).await;
    assert_eq!(anonymous.status, StatusCode::FORBIDDEN);
    let back = format!(
        "/.auth/login/aad?post_login_redirect_uri=/api/decision/{}%3Fk%3D{token}\"",
        approval.id
    );
    assert!(anonymous.body.contains(&back), "{}", anonymous.body);
}

#[tokio::test]
async fn the_operators_authentication_context_counts_as_fresh() {
    let gate = gate_with(&[("HO_ENTRA_AUTH_CONTEXT", "c25")]).await;
    let approval = gate.ask().await;
    for contexts in [vec![], vec!["c2"], vec!["c26", "C25"], vec!["c25 "]] {
        let mut person = signed_in(&gate, -600);
        for context in contexts {
            let claim = json!({"typ": "acrs", "val": context});
            person["claims"].as_array_mut().unwrap().push(claim);
        }
        assert_refused(&gate, &approval, &person, "not from the last 5 minutes").await;
    }
    let mut person = without_time();
    for context in ["c1", "c25"] {
        let claim = json!({"typ": "acrs", "val": context});
        person["claims"].as_array_mut().unwrap().push(claim);
    }
    let claims = approve(&gate, &approval, &approval.id, &person).await;
    assert_eq!(claims.auth_context.as_deref(), Some("c25"));
    assert_eq!(claims.auth_time, None);
    let forged = |row: &mut Value| row["AuthContext"] = json!("c1");
    gate.tamper(&approval.id, None, forged).await;
    let status = format!("{}/api/status/{}", gate.url, approval.id);
    assert_eq!(
        gate.get(&status).await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn the_operators_longest_age_holds_with_the_link_too() {
    let settings = [
        ("HO_ENTRA_MAX_AGE", "3600"),
        ("HO_ENTRA_AUTH_CONTEXT", "c1"),
    ];
    let gate = gate_with(&settings).await;
    let approval = gate.ask().await;
    let link = with_link(&gate, &approval, ALICE);
    for (person, words) in [
        (signed_in(&gate, -3_700), "not from this time"),
        (signed_in(&gate, 360), AHEAD),
        (
            with_claim(signed_in(&gate, -3_700), "acrs", Some("c1")),
            "not from this time",
        ),
        (without_time(), "add the optional claim auth_time"),
    ] {
        assert_refused(&gate, &approval, &person, words).await;
        let session = SignIn::session(&person);
        let shown = visit(&gate, &link, &[("cookie", &session)]).await;
        assert!(shown.body.contains(words), "{}", shown.body);
        assert!(!shown.body.contains("<form"), "{}", shown.body);
    }
    // Within the age, but not fresh: that takes the link.
    let person = signed_in(&gate, -3_000);
    assert_refused(&gate, &approval, &person, "not from the last 5 minutes").await;
    approve(&gate, &approval, &link, &person).await;
}

#[tokio::test]
async fn a_request_that_was_mailed_before_needs_no_link() {
    for settings in [vec![], vec![("HO_ROWS", "1")]] {
        let before = if settings.is_empty() {
            &settings
        } else {
            &[&ON[..], &settings].concat()
        };
        let gate = TestGate::with(before).await;
        let approval = gate.ask().await;
        let row = gate.entity(&approval.id).await;
        assert!(row["StepUp"].is_null(), "{row}");
        let gate = TestGate::at(gate.dir, &[&ON[..], &settings].concat()).await;
        let claims = approve(&gate, &approval, &approval.id, &without_time()).await;
        assert_eq!(claims.auth_time, None);
    }
}

#[tokio::test]
async fn what_was_typed_survives_the_sign_in_that_it_takes() {
    let gate = TestGate::with(&ON).await;
    let approval = gate.ask().await;
    let session = SignIn::session(&signed_in(&gate, 0));
    let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
    let mut form = approving(&page);
    form.retain(|(name, _)| name != "comment");
    form.push(("comment".to_owned(), "Once, for the audit.".to_owned()));
    // While it was typed, five minutes passed.
    gate.pass(Duration::from_secs(400));
    let sent = send(&gate, &approval.id, &[("cookie", &session)], &form).await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    let again = SignIn::session(&signed_in(&gate, 0));
    let told = visit(
        &gate,
        &approval.id,
        &[("cookie", &format!("{session}; {}", sent.cookies()))],
    )
    .await;
    let cookies = format!("{again}; {}", told.cookies());
    let page = visit(&gate, &approval.id, &[("cookie", &cookies)]).await;
    assert!(page.body.contains("Once, for the audit."), "{}", page.body);
    let form = approving(&page);
    send(&gate, &approval.id, &[("cookie", &again)], &form).await;
    assert_eq!(gate.status(&approval.id).await.status, Status::Approved);
}

#[tokio::test]
async fn handing_over_takes_the_same_and_taking_back_does_not() {
    let people = "alice@example.com,bob@example.com,carol@example.com";
    let gate = gate_with(&[("HO_ALLOWED_APPROVERS", people)]).await;
    let approval = gate.ask().await;
    let fresh = SignIn::session(&signed_in(&gate, 0));
    let old = SignIn::session(&signed_in(&gate, -600));
    let page = visit(&gate, &approval.id, &[("cookie", &fresh)]).await;
    let mut form = page.form_in("hand-over").unwrap();
    for (name, value) in [
        ("decision", "hand-over"),
        ("hand_over", "carol@example.com"),
        ("reason", "I am away."),
    ] {
        form.retain(|(n, _)| n != name);
        form.push((name.to_owned(), value.to_owned()));
    }
    let before = gate.entity(&approval.id).await;
    send(&gate, &approval.id, &[("cookie", &old)], &form).await;
    assert_eq!(gate.entity(&approval.id).await, before);

    let claims = approve(&gate, &approval, &approval.id, &signed_in(&gate, 0)).await;
    assert!(claims.auth_time.is_some());
    let page = visit(
        &gate,
        &format!("{}?forms=1", approval.id),
        &[("cookie", &old)],
    )
    .await;
    let mut form = page.form_in("revoke").unwrap();
    form.push(("decision".to_owned(), "revoke".to_owned()));
    send(&gate, &approval.id, &[("cookie", &old)], &form).await;
    let revoked = gate.entity(&approval.id).await;
    assert_eq!(revoked["ExecutionStatus"], "Revoked");
}

#[tokio::test]
async fn votes_say_how_each_person_had_signed_in() {
    let policy = r#"
version = 1
[groups]
security = ["alice@example.com", "bob@example.com"]
[[rule]]
id = "both"
effect = "require"
stages = [{ from = "security", approvals = 2 }]
"#;
    let settings = [("HO_POLICY", policy), ("HO_ENTRA_AUTH_CONTEXT", "c3")];
    let gate = gate_with(&settings).await;
    let approval = gate.ask().await;
    let alice = signed_in(&gate, -100);
    let session = SignIn::session(&alice);
    visit_and_approve(&gate, &approval.id, &[("cookie", &session)]).await;
    let bob = with_claim(member(BOB, BOB_ID), "auth_time", None);
    let bob = with_claim(bob, "acrs", Some("c3"));
    let claims = approve(&gate, &approval, &approval.id, &bob).await;
    let votes = claims.votes.iter();
    let votes: Vec<_> = votes
        .map(|vote| (vote.auth_time.is_some(), vote.auth_context.as_deref()))
        .collect();
    assert_eq!(votes, [(true, None), (false, Some("c3"))]);
    let row = gate.entity(&approval.id).await;
    let changed = row["Votes"].as_str().unwrap().replace("c3", "c4");
    gate.tamper(&approval.id, None, |row| row["Votes"] = json!(changed))
        .await;
    let status = format!("{}/api/status/{}", gate.url, approval.id);
    assert_eq!(
        gate.get(&status).await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}
