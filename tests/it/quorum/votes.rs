//! Votes at the wrong time, of the wrong person, or a second time.

use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Status};
use reqwest::StatusCode;
use serde_json::Value;

use super::{CAROL, POLICY, asked, gate_with, page_of, payment, security_is_asked, submit};
use crate::claim::claim;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Page, TestGate, with_forms};
use crate::host::SignIn;
use crate::sign_in::{TENANT, approving, member, send, visit, visit_and_approve};

pub(super) const DAVE: &str = "dave@example.com";

/// The form of a page, with the code to approve.
pub(super) async fn send_approval(gate: &TestGate, page: &Page, code: &str) -> Page {
    let form = [("decision", "approve"), ("code", code)];
    gate.send_form(page, &form).await
}

pub(super) async fn votes_of(gate: &TestGate, approval: &Approval) -> Vec<Value> {
    let row = gate.entity(&approval.id).await;
    serde_json::from_str(row["Votes"].as_str().unwrap_or("[]")).unwrap()
}

#[tokio::test]
async fn a_vote_that_is_sent_again_after_the_deadline_is_not_late() {
    let gate = gate_with(POLICY).await;
    let within_the_hour = NewApproval {
        timeout_seconds: Some(3_600),
        ..payment(60)
    };
    let payment = submit(&gate, &within_the_hour).await;
    let alice = gate.question(&payment, ALICE);
    let page = gate.get(&alice.link).await;
    let first = send_approval(&gate, &page, &alice.code).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    gate.pass(Duration::from_secs(3_601));
    // Her browser had lost the answer.
    let again = send_approval(&gate, &page, &alice.code).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.body);
    let otherwise = gate.send_form(&page, &[("decision", "reject")]).await;
    assert_eq!(otherwise.status, StatusCode::CONFLICT, "{}", otherwise.body);
    let row = gate.entity(&payment.id).await;
    assert!(!row.to_string().contains("AnsweredLate"), "{row}");
    // Bob, who has not voted, is late.
    let bob = gate.question(&payment, BOB);
    let late = gate.get(&bob.link).await;
    assert_eq!(late.status, StatusCode::GONE);
}

#[tokio::test]
async fn what_a_person_took_back_is_not_asked_again_at_once() {
    let policy = POLICY.replace("id = \"payments\"", "id = \"payments\"\nreask = \"refuse\"");
    let gate = gate_with(&policy).await;
    let named = |name: &str| NewApproval {
        correlation_id: Some(name.to_owned()),
        ..payment(60)
    };
    let first = submit(&gate, &named("first")).await;
    gate.approve(&first, ALICE).await;
    let alice = gate.question(&first, ALICE);
    let revoke = [("decision", "revoke"), ("code", alice.code.as_str())];
    let revoked = gate.decide(&alice, &revoke).await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER, "{}", revoked.body);
    assert_eq!(gate.status(&first.id).await.status, Status::Rejected);
    let refused = gate.client.submit(&named("second")).await.unwrap_err();
    assert!(refused.to_string().contains("first"), "{refused}");
}

/// Finance has Alice, Bob and Dave, of whom two approve.
#[tokio::test]
async fn where_one_rejection_does_not_end_a_request_no_button_says_that_it_does() {
    const ENDS: [&str; 2] = ["Reject: it does not run", "Revoke: it does not run"];
    let policy = POLICY.replace("id = \"payments\"", "id = \"payments\"\nrejections = 2");
    let gate = gate_with(&policy).await;
    let payment = submit(&gate, &payment(60)).await;
    let page_of = async |person| {
        gate.get(&with_forms(&gate.question(&payment, person).link))
            .await
            .body
    };
    let none = "It takes 2 rejections to reject this, or fewer if too few people are left to approve it; none is given.";
    let page = page_of(ALICE).await;
    assert!(
        page.contains(none) && page.contains(">Reject</button>"),
        "{page}"
    );
    let mails = gate.mails();
    let mail = mails.iter().find(|it| it.to == ALICE).unwrap();
    assert!(
        mail.text.replace("\r\n", " ").contains(none),
        "{}",
        mail.text
    );
    gate.approve(&payment, ALICE).await;
    let page = page_of(ALICE).await;
    let counts = "this counts as a rejection. It takes 2 rejections";
    assert!(
        page.contains(counts) && page.contains(">Revoke</button>"),
        "{page}"
    );
    assert!(ENDS.iter().all(|words| !page.contains(words)), "{page}");

    let alice = gate.question(&payment, ALICE);
    let revoke = [("decision", "revoke"), ("code", alice.code.as_str())];
    gate.decide(&alice, &revoke).await;
    let page = page_of(ALICE).await;
    assert!(
        page.contains("You rejected this; others can still approve"),
        "{page}"
    );
    // The next one ends it.
    let page = page_of(BOB).await;
    assert!(
        page.contains("; 1 is given.") && page.contains(ENDS[0]),
        "{page}"
    );
    gate.approve(&payment, BOB).await;
    let page = page_of(BOB).await;
    assert!(page.contains(ENDS[1]), "{page}");
}

/// All of finance must approve.
#[tokio::test]
async fn where_the_rejection_of_one_who_must_approve_ends_a_request_its_button_says_so() {
    let policy = POLICY.replace("id = \"payments\"", "id = \"payments\"\nrejections = 2");
    let gate = gate_with(&policy.replace(", \"dave@example.com\"]", "]")).await;
    let payment = submit(&gate, &payment(60)).await;
    let page_of = async |person| {
        let link = gate.question(&payment, person).link;
        gate.get(&with_forms(&link)).await.body
    };
    let page = page_of(ALICE).await;
    assert!(page.contains("Reject: it does not run"), "{page}");
    gate.approve(&payment, ALICE).await;
    let page = page_of(ALICE).await;
    assert!(page.contains("Revoke: it does not run"), "{page}");
    assert!(!page.contains("Others can still approve"), "{page}");
    gate.reject(&payment, BOB, "No.").await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Rejected);
}

#[tokio::test]
async fn at_the_claim_the_list_counts_for_those_whose_approval_counted() {
    let policy = POLICY.replace("id = \"payments\"", "id = \"payments\"\nrejections = 2");
    let people = "alice@example.com,dave@example.com,carol@example.com,erin@example.com";
    let all = format!("{people},{BOB}");
    let dir = tempfile::tempdir().unwrap();
    let with_bob = [
        ("HO_POLICY", policy.as_str()),
        ("HO_ALLOWED_APPROVERS", &all),
    ];
    let gate = TestGate::at(dir, &with_bob).await;
    let payment = submit(&gate, &payment(60)).await;
    gate.reject(&payment, BOB, "Not this one.").await;
    for person in [ALICE, DAVE] {
        gate.approve(&payment, person).await;
    }
    security_is_asked(&gate, &payment).await;
    gate.approve(&payment, CAROL).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);

    // The approver who rejected leaves, and then one who approved.
    let without = |left: &str| {
        let list = all.split(',').filter(|it| *it != left);
        list.collect::<Vec<_>>().join(",")
    };
    let nonce = claim("a-nonce-of-the-agent");
    let list = without(DAVE);
    let gate = TestGate::at(gate.dir, &[("HO_ALLOWED_APPROVERS", &list)]).await;
    let refused = gate.client.claim(&payment.id, &nonce).await.unwrap_err();
    assert!(refused.to_string().contains("list"), "{refused}");
    let list = without(BOB);
    let gate = TestGate::at(gate.dir, &[("HO_ALLOWED_APPROVERS", &list)]).await;
    gate.client.claim(&payment.id, &nonce).await.unwrap();
}

/// Sign-in is there, and no action demands it: links open the page too.
const BESIDE_LINKS: [(&str, &str); 3] = [
    ("HO_REQUIRE_ENTRA_FOR", "Never *"),
    ("HO_ENTRA_TENANT", TENANT),
    ("WEBSITE_AUTH_ENABLED", "True"),
];

const ID: &str = "11111111-1111-4111-8111-111111111111";

#[tokio::test]
async fn a_signed_in_person_votes_as_themself_whichever_link_they_open() {
    let settings = [&BESIDE_LINKS[..], &[("HO_POLICY", POLICY)]].concat();
    let gate = TestGate::with(&settings).await;
    let payment = submit(&gate, &payment(60)).await;
    let session = SignIn::session(&member(ALICE, ID));
    let headers = [("cookie", session.as_str())];
    let page = visit(&gate, &payment.id, &headers).await;
    let form = approving(&page);
    let first = send(&gate, &payment.id, &headers, &form).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{}", first.body);
    // Bob's page, opened without the session, and his link.
    let bob = gate.question(&payment, BOB);
    let bobs = approving(&gate.get(&bob.link).await);
    let second = send(&gate, &payment.id, &headers, &bobs).await;
    assert_eq!(second.status, StatusCode::SEE_OTHER);
    let votes = votes_of(&gate, &payment).await;
    assert_eq!(votes.len(), 1, "{votes:?}");
    assert_eq!(gate.status(&payment.id).await.progress.unwrap().given, 1);
}

#[tokio::test]
async fn one_object_id_under_two_names_votes_once() {
    let policy = r#"
version = 1
[groups]
first = ["alice@example.com", "bob@example.com"]
second = ["a.work@example.com", "carol@example.com"]
[[rule]]
id = "both"
effect = "require"
stages = [{ from = "first" }, { from = "second" }]
"#;
    let settings = [&BESIDE_LINKS[..], &[("HO_POLICY", policy)]].concat();
    let gate = TestGate::with(&settings).await;
    let payment = submit(&gate, &payment(60)).await;
    let mut answers = Vec::new();
    for name in [ALICE, "a.work@example.com"] {
        // Her account was given another name in between.
        let session = SignIn::session(&member(name, ID));
        let headers = [("cookie", session.as_str())];
        let answer = visit_and_approve(&gate, &payment.id, &headers).await;
        answers.push(answer.status);
    }
    assert_eq!(answers[0], StatusCode::SEE_OTHER);
    let status = gate.status(&payment.id).await;
    let votes = votes_of(&gate, &payment).await;
    assert_eq!(
        (status.status, votes.len()),
        (Status::Pending, 1),
        "{votes:?}"
    );
}

/// A vote by link is of the person whose object id the policy or the operator's list gives its address.
#[tokio::test]
async fn who_voted_signed_in_does_not_vote_again_by_the_link_of_another_address() {
    const WORK: &str = "a.work@example.com";
    let bound = format!("{WORK}={ID}");
    let people = format!("{ALICE},{BOB},{CAROL},{bound}");
    let policy = |second: &str| {
        format!(
            r#"
version = 1
[groups]
first = ["{ALICE}", "{BOB}"]
second = ["{second}", "{CAROL}"]
[[rule]]
id = "both"
effect = "require"
stages = [{{ from = "first" }}, {{ from = "second" }}]
"#
        )
    };
    for (second, list) in [(&*bound, "*@example.com"), (WORK, &*people)] {
        let policy = policy(second);
        let more = [("HO_POLICY", &*policy), ("HO_ALLOWED_APPROVERS", list)];
        let gate = TestGate::with(&[&BESIDE_LINKS[..], &more].concat()).await;
        let payment = submit(&gate, &payment(60)).await;
        let session = SignIn::session(&member(ALICE, ID));
        let headers = [("cookie", session.as_str())];
        let answer = visit_and_approve(&gate, &payment.id, &headers).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let is_asked = || gate.mails().iter().any(|mail| mail.to == WORK);
        eventually(async || is_asked().then_some(())).await;
        let work = gate.question(&payment, WORK);
        let form = [("decision", "approve"), ("code", &*work.code)];
        gate.decide(&work, &form).await;
        let votes = votes_of(&gate, &payment).await;
        let status = gate.status(&payment.id).await.status;
        assert_eq!((status, votes.len()), (Status::Pending, 1), "{votes:?}");
        gate.approve(&payment, CAROL).await;
        assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
    }
}

/// Of two who share an address, the one who has not voted still can: their sign-in says who they are.
#[tokio::test]
async fn who_shares_an_address_with_a_voter_votes_signed_in() {
    const TEAM: &str = "team@example.com";
    const OTHER_ID: &str = "22222222-2222-4222-8222-222222222222";
    let policy = r#"
version = 1
[[rule]]
id = "both"
effect = "require"
stages = [{ from = "requested", approvals = 2 }]
sign_in = true
"#;
    let list = format!("{TEAM}={ID},{TEAM}={OTHER_ID},{ALICE}={ID}");
    let more = [("HO_POLICY", policy), ("HO_ALLOWED_APPROVERS", &*list)];
    for order in [
        [(ALICE, ID), (TEAM, OTHER_ID)],
        [(TEAM, OTHER_ID), (ALICE, ID)],
    ] {
        let gate = TestGate::with(&[&BESIDE_LINKS[..], &more].concat()).await;
        let new = NewApproval {
            approver_emails: vec![ALICE.to_owned(), TEAM.to_owned()],
            ..payment(60)
        };
        let payment = submit(&gate, &new).await;
        for (name, id) in order {
            let session = SignIn::session(&member(name, id));
            let headers = [("cookie", session.as_str())];
            visit_and_approve(&gate, &payment.id, &headers).await;
        }
        assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
    }
}

/// Nor does the place of another approver go to them.
#[tokio::test]
async fn who_voted_signed_in_receives_no_place_under_another_address() {
    const WORK: &str = "a.work@example.com";
    let policy = r#"
version = 1
[groups]
finance = ["alice@example.com", "bob@example.com"]
[[rule]]
id = "both"
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
"#;
    let people = format!("{ALICE},{BOB},{CAROL},{WORK}={ID}");
    let more = [("HO_POLICY", policy), ("HO_ALLOWED_APPROVERS", &*people)];
    let gate = TestGate::with(&[&BESIDE_LINKS[..], &more].concat()).await;
    let payment = submit(&gate, &payment(60)).await;
    let page = gate
        .get(&with_forms(&gate.question(&payment, BOB).link))
        .await;
    assert!(page.body.contains(WORK), "{}", page.body);
    let session = SignIn::session(&member(ALICE, ID));
    let headers = [("cookie", session.as_str())];
    visit_and_approve(&gate, &payment.id, &headers).await;
    let page = gate
        .get(&with_forms(&gate.question(&payment, BOB).link))
        .await;
    assert!(
        page.body.contains(CAROL) && !page.body.contains(WORK),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn a_tagged_address_is_the_same_person_in_another_group() {
    let policy = r#"
version = 1
[groups]
first = ["alice@example.com", "bob@example.com"]
second = ["Alice+sec@example.com", "carol@example.com"]
[[rule]]
id = "both"
effect = "require"
stages = [{ from = "first" }, { from = "second" }]
"#;
    let gate = gate_with(policy).await;
    let payment = submit(&gate, &payment(60)).await;
    gate.approve(&payment, ALICE).await;
    security_is_asked(&gate, &payment).await;
    assert_eq!(asked(&gate, &payment), [ALICE, BOB, CAROL]);
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(!page.contains("value=\"approve\""), "{page}");
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
    gate.approve(&payment, CAROL).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

/// The words of a rejection that took the link alone look like what they are, not like further votes.
#[tokio::test]
async fn a_comment_in_an_email_is_no_line_of_the_gate() {
    let policy = POLICY.replace("id = \"payments\"", "id = \"payments\"\nrejections = 2");
    let gate = gate_with(&policy).await;
    let payment = submit(&gate, &payment(60)).await;
    let forged =
        "typo only”\nbob@example.com approved on Mon 30 Nov 2026, 06:32 UTC (finance): “fine";
    let alice = gate.question(&payment, ALICE);
    let form = [("decision", "reject"), ("words", forged)];
    let rejected = gate.decide(&alice, &form).await;
    assert_eq!(rejected.status, StatusCode::SEE_OTHER, "{}", rejected.body);
    for person in [BOB, DAVE] {
        gate.approve(&payment, person).await;
    }
    security_is_asked(&gate, &payment).await;
    let mails = gate.mails();
    let mail = mails.iter().find(|it| it.to == CAROL).unwrap();
    let paragraphs: Vec<&str> = mail.html.split("</p>").collect();
    let at = paragraphs.iter().position(|it| it.contains("typo only"));
    let at = at.expect(&mail.html);
    let [vote, comment, note] = &paragraphs[at - 1..=at + 1] else {
        panic!("{}", mail.html);
    };
    assert!(vote.contains("alice@example.com rejected on "), "{vote}");
    assert!(comment.contains("border-left:4px"), "{comment}");
    assert!(comment.contains("bob@example[.]com approved"), "{comment}");
    assert!(note.contains("Written without the right code"), "{note}");
}

#[tokio::test]
async fn the_button_to_approve_says_it_runs_only_where_that_is_so() {
    let gate = gate_with(POLICY).await;
    let payment = submit(&gate, &payment(60)).await;
    const RUNS: &str = ">Approve: it runs</button>";
    const OTHERS: &str = ">Approve: others must agree too</button>";
    let is_last = async |person| {
        let page = page_of(&gate, &payment, person).await;
        assert_ne!(page.contains(RUNS), page.contains(OTHERS), "{page}");
        page.contains(RUNS)
    };
    assert!(!is_last(ALICE).await);
    gate.approve(&payment, ALICE).await;
    assert!(!is_last(BOB).await, "security must agree");
    gate.approve(&payment, BOB).await;
    assert!(is_last(DAVE).await);
}
