//! People who leave the operator's list of approvers while a request is open.

use std::time::Duration;

use human_oversight_client::types::{Approval, Status};
use serde_json::json;

use crate::backing_store;
use crate::claim::claim;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Log, TestGate};
use crate::operate::operate;
use crate::people::{ESCALATED, payment};
use crate::process::run;
use crate::sign_in::ON;

const CAROL: &str = "carol@example.com";
const ERIN: &str = "erin@example.com";
const CFO: &str = "cfo@example.com";

const IN_STAGES: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]
security = ["carol@example.com", "erin@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance" }, { from = "security" }]
"#;

/// Two approvals, of which Alice can give either.
const JOINED: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]
security = ["alice@example.com", "erin@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance" }]

[[rule]]
id = "checks"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "security" }]
"#;

/// A gate with a request under `policy`, started again with `people` as the list and no policy.
async fn restarted(policy: &str, people: &[&str]) -> (TestGate, Approval) {
    let gate = TestGate::with(&[("HO_POLICY", policy)]).await;
    let approval = gate.client.submit(&payment()).await.unwrap();
    let list = ("HO_ALLOWED_APPROVERS", &*people.join(","));
    (TestGate::at(gate.dir, &[list]).await, approval)
}

async fn page_of(gate: &TestGate, approval: &Approval, person: &str) -> String {
    let link = gate.question(approval, person).link;
    let path = link.split_once("/api/").unwrap().1.to_owned();
    gate.get(&format!("{}/api/{path}", gate.url)).await.body
}

async fn approve(gate: &TestGate, approval: &Approval, person: &str) {
    let mut question = gate.question(approval, person);
    let path = question.link.split_once("/api/").unwrap().1.to_owned();
    question.link = format!("{}/api/{path}", gate.url);
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let answer = gate.decide(&question, &form).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
}

#[tokio::test]
async fn a_later_stage_asks_only_those_who_are_still_on_the_list() {
    let log = Log::default();
    let collecting = log.collect();
    let (gate, payment) = restarted(IN_STAGES, &[ALICE, BOB, CAROL]).await;
    approve(&gate, &payment, ALICE).await;
    eventually(async || gate.mails_to(CAROL).pop()).await;
    drop(collecting);
    assert_eq!(gate.mails_to(ERIN).len(), 0);
    let page = page_of(&gate, &payment, CAROL).await;
    assert!(
        page.contains("Still needed, from: carol@example.com."),
        "{page}"
    );
    assert!(!page.contains(ERIN), "{page}");
    assert!(!page.contains("May no longer approve"), "{page}");
    let words = "cause=\"no longer on the list of approvers\"";
    assert_eq!(log.count(words), 1, "{:?}", log.lines());
    approve(&gate, &payment, CAROL).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

#[tokio::test]
async fn who_is_put_back_on_the_list_is_asked_when_the_operator_sends_it_again() {
    let (gate, payment) = restarted(IN_STAGES, &[ALICE, BOB, CAROL]).await;
    approve(&gate, &payment, ALICE).await;
    eventually(async || gate.mails_to(CAROL).pop()).await;
    let list = ("HO_ALLOWED_APPROVERS", &*[ALICE, CAROL, ERIN].join(","));
    let gate = TestGate::at(gate.dir, &[list]).await;
    gate.sweep().await;
    assert_eq!(gate.mails_to(ERIN).len(), 0);
    operate(&gate, json!({"command": "resend", "id": payment.id})).await;
    gate.sweep().await;
    assert_eq!(gate.mails_to(ERIN).len(), 1);
    approve(&gate, &payment, ERIN).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

#[tokio::test]
async fn who_is_put_back_on_the_list_is_asked_by_the_next_escalation() {
    let policy = IN_STAGES.replace("security = ", "leads = [\"cfo@example.com\"]\nsecurity = ")
        + "escalate = { after = \"50%\", to = \"leads\" }\n";
    let people = [ALICE, BOB, CAROL, ERIN];
    let (gate, payment) = restarted(&policy, &people).await;
    gate.pass(Duration::from_secs(1_801));
    gate.sweep().await;
    assert_eq!(gate.mails_to(CFO).len(), 0);
    approve(&gate, &payment, ALICE).await;
    let list = [&people[..], &[CFO]].concat().join(",");
    let gate = TestGate::at(gate.dir, &[("HO_ALLOWED_APPROVERS", &*list)]).await;
    gate.pass(Duration::from_secs(2_800));
    gate.sweep().await;
    let mails = gate.mails_to(CFO);
    assert!(
        mails.len() == 1 && mails[0].subject.contains("[Approve?]"),
        "{}",
        mails.len()
    );
    approve(&gate, &payment, CFO).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

/// Erin has left: only Alice is left for security.
#[tokio::test]
async fn an_approval_counts_so_that_those_who_left_are_not_needed() {
    let (gate, payment) = restarted(JOINED, &[ALICE, BOB]).await;
    for person in [ALICE, BOB] {
        approve(&gate, &payment, person).await;
    }
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

/// Alice has left after she approved: her approval counts, and nothing can claim it.
#[tokio::test]
async fn the_page_names_those_who_approved_and_have_left() {
    let gate = TestGate::with(&[("HO_POLICY", IN_STAGES)]).await;
    let payment = gate.client.submit(&payment()).await.unwrap();
    approve(&gate, &payment, ALICE).await;
    eventually(async || gate.mails_to(CAROL).pop()).await;
    let list = ("HO_ALLOWED_APPROVERS", &*[BOB, CAROL].join(","));
    let gate = TestGate::at(gate.dir, &[list]).await;
    let words = "May no longer approve: alice@example.com.";
    let page = page_of(&gate, &payment, CAROL).await;
    assert!(page.contains(words), "{page}");
    approve(&gate, &payment, CAROL).await;
    let page = page_of(&gate, &payment, CAROL).await;
    assert!(
        page.contains(words) && page.contains("Waiting for the agent"),
        "{page}"
    );
}

/// So it is without a policy, and where the list demands a sign-in that the approval by link did not have.
#[tokio::test]
async fn the_page_says_what_the_claim_refuses() {
    for list in [
        "bob@example.com",
        "*@example.com=role:Approver,bob@example.com",
    ] {
        let gate = TestGate::with(&[]).await;
        let asked = gate.ask().await;
        approve(&gate, &asked, ALICE).await;
        let sign_in = [("HO_REQUIRE_ENTRA_FOR", "Never *"), ON[1], ON[2]];
        let list = ("HO_ALLOWED_APPROVERS", list);
        let gate = TestGate::at(gate.dir, &[&sign_in[..], &[list]].concat()).await;
        let page = page_of(&gate, &asked, BOB).await;
        let words = "May no longer approve: alice@example.com.";
        assert!(
            page.contains(words) && page.contains("Waiting for the agent"),
            "{list:?}: {page}"
        );
        let refused = gate
            .client
            .claim(&asked.id, &claim("0123456789abcdef"))
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("may no longer approve"),
            "{list:?}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_stage_without_people_on_the_list_ends_the_request() {
    let (gate, payment) = restarted(IN_STAGES, &[ALICE, BOB]).await;
    approve(&gate, &payment, ALICE).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Undeliverable);
    for person in [CAROL, ERIN] {
        assert_eq!(gate.mails_to(person).len(), 0, "{person}");
    }
}

#[tokio::test]
async fn people_who_were_asked_and_left_get_no_reminder() {
    let (gate, payment) = restarted(IN_STAGES, &[ALICE, CAROL]).await;
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(
        page.contains("Still needed, from: alice@example.com."),
        "{page}"
    );
    gate.pass(Duration::from_secs(1_801));
    gate.sweep().await;
    let reminded = gate.mails_to(ALICE);
    let last = reminded.last().unwrap();
    assert!(last.subject.contains("[Reminder]"), "{}", last.subject);
    assert_eq!(gate.mails_to(BOB).len(), 1);
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
}

#[tokio::test]
async fn a_request_whose_people_have_all_left_ends() {
    let (gate, payment) = restarted(IN_STAGES, &[CAROL, ERIN]).await;
    gate.pass(Duration::from_secs(1_801));
    gate.sweep().await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Undeliverable);
    for person in [ALICE, BOB] {
        assert_eq!(gate.mails_to(person).len(), 1, "{person}");
    }
}

#[tokio::test]
async fn a_request_that_takes_two_people_of_whom_one_is_left_ends() {
    let (gate, payment) = restarted(JOINED, &[ALICE]).await;
    gate.pass(Duration::from_secs(1_801));
    gate.sweep().await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Undeliverable);
}

#[tokio::test]
async fn an_escalation_asks_and_names_only_those_who_are_still_on_the_list() {
    let (gate, _) = restarted(ESCALATED, &[ALICE, BOB, CFO]).await;
    gate.pass(Duration::from_secs(1_801));
    gate.sweep().await;
    assert_eq!(gate.mails_to("controller@example.com").len(), 0);
    assert_eq!(gate.mails_to(CFO).len(), 1);
    let mut mails = gate.mails_to(ALICE).into_iter();
    let news = mails.find(|mail| mail.subject.contains("[Escalated]"));
    let news = news.unwrap();
    assert!(news.text.contains("were asked: cfo@"), "{}", news.text);
    assert!(!news.text.contains("controller@"), "{}", news.text);
}

#[tokio::test]
async fn an_escalation_to_people_who_have_left_is_no_news() {
    let (gate, payment) = restarted(ESCALATED, &[ALICE, BOB]).await;
    gate.pass(Duration::from_secs(1_801));
    gate.sweep().await;
    for person in [ALICE, BOB] {
        let mails = gate.mails_to(person).into_iter();
        let subjects: Vec<String> = mails.map(|mail| mail.subject).collect();
        let is_news = |it: &String| it.contains("[Escalated]");
        assert!(!subjects.iter().any(is_news), "{subjects:?}");
    }
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(!page.contains("more people were asked"), "{page}");
}

/// The command says what the next sweep will send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_again_to_who_is_not_on_the_list() {
    let gate = TestGate::start().await;
    let asked = gate.ask().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::at(gate.dir, &[("HO_ALLOWED_APPROVERS", CAROL)]).await;
    let mails = gate.mails().len();
    let through = operate(&gate, json!({"command": "resend", "id": asked.id})).await;
    assert_eq!(through["queued"], 0, "{through}");
    let resend = async |list: &str| {
        let settings = [&settings[..], &[("HO_ALLOWED_APPROVERS", list)]].concat();
        run(&settings, &["resend", &asked.id]).await
    };
    let (said, code) = resend(CAROL).await;
    let left_out = "people who are not on HO_ALLOWED_APPROVERS get nothing";
    assert!(
        code == 1 && said.starts_with("Nothing to send") && said.contains(left_out),
        "{said}"
    );
    gate.sweep().await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Pending);
    assert_eq!(gate.mails().len(), mails);

    let (said, code) = resend("alice@example.com,carol@example.com").await;
    assert!(
        code == 0 && said.starts_with("1 email is sent again"),
        "{said}"
    );
    let (said, code) = resend("no address").await;
    assert!(code == 2 && said.contains("HO_ALLOWED_APPROVERS"), "{said}");
}
