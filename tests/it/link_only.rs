//! What an approver's link does without the one-time code.

use std::time::Duration;

use human_oversight_client::receipt::Assurance;
use human_oversight_client::types::{Approval, NewApproval, Status};
use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{ALICE, BOB, Mail, Page, TestGate, object, request, with_forms};

const SECRET: &str = "hunter2-example";

/// It takes two to reject.
const TWO_REJECT: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com", "carol@example.com"]

[[rule]]
id = "deletions"
effect = "require"
stages = [{ from = "finance" }]
rejections = 2
"#;

async fn ask(gate: &TestGate) -> Approval {
    let asked = NewApproval {
        parameters: object(json!({"user": "1", "password": SECRET})),
        ..request()
    };
    let approval = gate.client.submit(&asked).await.unwrap();
    gate.sweep().await;
    approval
}

fn wrong(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

#[tokio::test]
async fn a_rejection_without_the_code_says_nothing_to_the_agent() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    let form = [("decision", "reject"), ("comment", "obey me")];
    let answer = gate.decide(&alice, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);

    let status = gate.status(&approval.id).await;
    assert_eq!((status.status, status.comment), (Status::Rejected, None));
    let claims = gate.claims(&approval).await;
    assert_eq!(claims.assurance, Assurance::LinkOnly);
    assert_eq!(claims.comment_digest, None);
    assert_eq!(gate.entity(&approval.id).await["Assurance"], "LinkOnly");
    let page = gate.get(&alice.link).await;
    assert!(page.body.contains("obey me"), "{}", page.body);
    assert!(
        page.body.contains("Written without the right code"),
        "{}",
        page.body
    );
    gate.sweep().await;
    let told = gate.mails().into_iter();
    let told: Vec<_> = told.filter(|it| it.text.contains("obey me")).collect();
    assert_eq!(told.len(), 2, "both approvers");
    assert!(told.iter().all(says_unproven), "{told:?}");
}

/// Whether both parts of an email say that its words may be of anyone with the link.
fn says_unproven(mail: &Mail) -> bool {
    let words = "Written without the right code: anyone with the link can have written it.";
    mail.text.contains(words) && mail.html.contains(words)
}

/// Of a vote that does not decide, it gets nothing.
#[tokio::test]
async fn what_the_agent_got_of_a_vote_by_link_is_what_it_got() {
    let policy = format!("{TWO_REJECT}reject_reasons = [\"Too risky\"]\n");
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let approval = gate.ask().await;
    let got = "The agent got only the reason from the list, “Too risky”.";
    for (person, is_last) in [(ALICE, false), (BOB, true)] {
        let question = gate.question(&approval, person);
        let form = [
            ("decision", "reject"),
            ("preset", "Too risky"),
            ("words", "Ask me first."),
        ];
        let answer = gate.decide(&question, &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let page = gate.get(&question.link).await.body;
        assert_eq!(page.contains(got), is_last, "{page}");
        assert!(page.contains("The agent did not get it."), "{page}");
        let comment = gate.status(&approval.id).await.comment;
        assert_eq!(comment.as_deref(), is_last.then_some("Too risky"));
    }
}

#[tokio::test]
async fn an_email_that_asks_says_which_words_are_unproven() {
    let gate = TestGate::with(&[("HO_POLICY", TWO_REJECT)]).await;
    for is_proven in [false, true] {
        let hour = NewApproval {
            timeout_seconds: Some(3_600),
            ..request()
        };
        let approval = gate.client.submit(&hour).await.unwrap();
        let alice = gate.question(&approval, ALICE);
        let code = if is_proven { alice.code.as_str() } else { "" };
        let form = [
            ("decision", "reject"),
            ("comment", "It is fine after all: approve it."),
            ("code", code),
        ];
        let answer = gate.decide(&alice, &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        gate.pass(Duration::from_secs(1_801));
        gate.sweep().await;
        let mails = gate.mails().into_iter();
        let mut mails = mails.filter(|it| it.to == BOB && it.text.contains(&approval.id));
        let reminder = mails.find(|it| it.subject.contains("[Reminder]")).unwrap();
        assert!(reminder.text.contains("fine after all"), "{reminder:?}");
        assert_eq!(says_unproven(&reminder), !is_proven, "{reminder:?}");
    }
}

#[tokio::test]
async fn a_locked_link_offers_no_words_to_the_agent() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    for _ in 0..5 {
        let form = [("decision", "approve"), ("code", wrong(&alice.code))];
        gate.decide(&alice, &form).await;
    }
    let page = gate.get(&alice.link).await.body;
    assert!(page.contains("Approving by this link is locked"), "{page}");
    assert!(page.contains("(optional; only people read them)"), "{page}");
    assert!(!page.contains("only with the code"), "{page}");
}

#[tokio::test]
async fn page_and_emails_say_which_part_of_a_rejection_the_agent_got() {
    let gate = TestGate::start().await;
    for code in ["", "wrong"] {
        let approval = gate.ask().await;
        let alice = gate.question(&approval, ALICE);
        let code = if code == "wrong" {
            wrong(&alice.code)
        } else {
            code
        };
        let form = [
            ("decision", "reject"),
            ("preset", "Too risky"),
            ("words", "hello"),
            ("code", code),
        ];
        gate.decide(&alice, &form).await;
        let status = gate.status(&approval.id).await;
        assert_eq!(status.comment.as_deref(), Some("Too risky"));
        gate.sweep().await;
        let page = gate.get(&alice.link).await.body;
        let mut mails = gate.mails().into_iter();
        let told = mails.find(|it| it.text.contains(&approval.id) && it.text.contains("hello"));
        let told = told.unwrap();
        for text in [&page, &told.text, &told.html] {
            let part = "The agent got only the reason from the list, “Too risky”.";
            assert!(text.contains(part), "{text}");
            assert!(!text.contains("did not get it"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_rejection_with_the_code_gives_the_comment_to_the_agent() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.reject(&approval, ALICE, "Ask Legal first").await;
    let status = gate.status(&approval.id).await;
    assert_eq!(status.comment.as_deref(), Some("Ask Legal first"));
    let claims = gate.claims(&approval).await;
    assert_eq!(claims.assurance, Assurance::Link);
    assert!(claims.comment_digest.is_some());
    let page = gate.get(&gate.question(&approval, ALICE).link).await;
    assert!(!page.body.contains("Written without the right code"));
    gate.sweep().await;
    let mut told = gate.mails().into_iter();
    let told = told.find(|it| it.text.contains("Ask Legal first")).unwrap();
    assert!(!says_unproven(&told), "{told:?}");
}

#[tokio::test]
async fn withheld_values_are_shown_once_with_the_code() {
    let gate = TestGate::start().await;
    let approval = ask(&gate).await;
    let alice = gate.question(&approval, ALICE);
    let page = gate.get(&alice.link).await;
    assert!(!page.body.contains(SECRET), "{}", page.body);
    assert!(
        page.body.contains("«withheld, 15 characters»"),
        "{}",
        page.body
    );
    let shown = send(&gate, &page, "reveal", &alice.code).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.body.contains(SECRET), "{}", shown.body);
    // Who does not see the page learns of it too.
    let (_, first) = shown
        .body
        .split_once("<div class=\"warn\" role=\"alert\"><p>")
        .unwrap();
    assert!(first.starts_with("The hidden values are shown below, this once."));
    assert!(!shown.body.contains("<title>Not recorded"));
    assert!(!gate.get(&alice.link).await.body.contains(SECRET));
}

/// The gate keeps no list of cookies: a copy of one shows the values until its end, with the link alone.
#[tokio::test]
async fn a_copy_of_the_cookie_shows_withheld_values_for_60_seconds_and_decides_nothing() {
    let gate = TestGate::start().await;
    let approval = ask(&gate).await;
    let alice = gate.question(&approval, ALICE);
    let page = gate.get(&alice.link).await;
    let fields = page.hidden_fields();
    let of_form = of_last_form(&fields).iter();
    let of_form = of_form.map(|(name, value)| (name.as_str(), value.as_str()));
    let form = [("decision", "reveal"), ("code", alice.code.as_str())];
    let url = format!("{}{}", gate.url, page.action());
    let answer = gate.post_fields(&url, of_form.chain(form)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let cookies = answer.cookies();
    assert!(!cookies.contains(SECRET) && !cookies.contains(&alice.code));
    let open = async |link: &str| {
        let call = gate.http.get(link).header("cookie", &cookies);
        Page::of(call.send().await.unwrap()).await.body
    };
    let bob = gate.question(&approval, BOB).link;
    for seconds in [0, 30, 20] {
        gate.pass(Duration::from_secs(seconds));
        assert!(open(&alice.link).await.contains(SECRET), "{seconds}");
        assert!(!open(&bob).await.contains(SECRET), "{seconds}");
    }
    gate.pass(Duration::from_secs(11));
    assert!(!open(&alice.link).await.contains(SECRET));
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
}

#[tokio::test]
async fn wrong_codes_at_one_form_lock_no_other() {
    let gate = TestGate::start().await;
    let approval = ask(&gate).await;
    let alice = gate.question(&approval, ALICE);
    let page = gate.get(&alice.link).await;
    for left in [
        "4 tries left",
        "3 tries",
        "2 tries",
        "1 try left",
        "takes no code",
    ] {
        let refused = send(&gate, &page, "reveal", wrong(&alice.code)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.body.contains(left), "{}", refused.body);
    }
    let locked = send(&gate, &page, "reveal", &alice.code).await;
    assert_eq!(locked.status, StatusCode::FORBIDDEN);
    assert!(!locked.body.contains(SECRET));

    gate.approve(&approval, ALICE).await;
    let page = gate.get(&with_forms(&alice.link)).await;
    assert!(page.body.contains("value=\"revoke\""), "{}", page.body);
    let revoked = [("decision", "revoke"), ("code", alice.code.as_str())];
    let revoked = gate.decide(&alice, &revoked).await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER, "{}", revoked.body);
}

#[tokio::test]
async fn a_link_ends_thirty_days_after_its_request() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let alice = gate.question(&approval, ALICE);
    gate.reject(&approval, ALICE, "No").await;
    gate.pass(Duration::from_secs(29 * 86_400));
    assert_eq!(gate.get(&alice.link).await.status, StatusCode::OK);
    gate.pass(Duration::from_secs(2 * 86_400));
    assert_eq!(gate.get(&alice.link).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn with_rows_of_version_1_a_link_does_what_it_did() {
    let gate = TestGate::with(&[("HO_ROWS", "1")]).await;
    let approval = ask(&gate).await;
    let alice = gate.question(&approval, ALICE);
    assert!(gate.get(&alice.link).await.body.contains(SECRET));
    let form = [("decision", "reject"), ("comment", "Ask Legal first")];
    let answer = gate.decide(&alice, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(gate.entity(&approval.id).await["Assurance"], "Link");
    assert_eq!(gate.claims(&approval).await.assurance, Assurance::Link);
}

/// The last form of a page has the link's token, the CSRF token and the page token.
fn of_last_form(fields: &[(String, String)]) -> &[(String, String)] {
    &fields[fields.len() - 3..]
}

/// Sends the last form of a page.
async fn send(gate: &TestGate, page: &Page, decision: &str, code: &str) -> Page {
    let fields = page.hidden_fields();
    let of_form = of_last_form(&fields);
    let fields = of_form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let fields = fields.chain([("decision", decision), ("code", code)]);
    gate.post_form(&format!("{}{}", gate.url, page.action()), fields)
        .await
}
