//! A policy that comes later touches no request that it did not admit.

use human_oversight_client::types::{Approval, NewApproval, Status};
use reqwest::StatusCode;

use crate::azurite::azurite;
use crate::backing_store::{borrowed, tables};
use crate::claim::claim;
use crate::harness::{ALICE, BOB, Question, TestGate, with_forms};
use crate::quorum::{CAROL, POLICY, payment};

const RULE: &str = "actions = [\"Pay *\"]\nwhen = [{ parameter = \"/amount\", more_than = 50 }]\n";

/// What the operator could say of payments later: they are approved, denied, asked of one other person, or of whom the
/// agent names.
fn later_policies() -> [String; 4] {
    let rule = |effect: &str| {
        format!(
            "version = 1\n[groups]\nothers = [\"mallory@example.com\"]\n[[rule]]\nid = \"payments\"\n{RULE}\
             effect = {effect}\n"
        )
    };
    [
        rule("\"approve\"\nignore = [\"\"]"),
        rule("\"deny\""),
        rule("\"require\"\nstages = [{ from = \"others\" }]"),
        "version = 1\n".to_owned(),
    ]
}

fn request() -> NewApproval {
    NewApproval {
        correlation_id: Some("run-7".to_owned()),
        ..payment(60)
    }
}

/// Gates on one table, each with a policy of its own.
struct Gates(Vec<(&'static str, String)>);

impl Gates {
    fn new() -> Self {
        Self(tables(azurite().port).to_vec())
    }

    async fn with(&self, policy: &str) -> TestGate {
        let settings = [&borrowed(&self.0)[..], &[("HO_POLICY", policy)]].concat();
        TestGate::with(&settings).await
    }
}

/// The answer to a form that is opened and sent at this gate, whichever mailed the link.
async fn decide(gate: &TestGate, question: &Question, decision: &str) -> StatusCode {
    let (_, path) = question.link.split_once("/api/").unwrap();
    let question = Question {
        link: format!("{}/api/{path}", gate.url),
        code: question.code.clone(),
    };
    let page = gate.get(&with_forms(&question.link)).await;
    let form = [("decision", decision), ("code", &question.code)];
    gate.send_form(&page, &form).await.status
}

fn unchanged(now: &Approval, before: &Approval) {
    assert_eq!(now.status, before.status);
    assert_eq!(now.policy, before.policy);
    assert_eq!(now.progress, before.progress);
    assert_eq!(now.notifications, before.notifications);
}

#[tokio::test]
async fn an_open_request_is_decided_by_those_whom_its_own_policy_asks() {
    for policy in later_policies() {
        let gates = Gates::new();
        let first = gates.with(POLICY).await;
        let asked = first.client.submit(&request()).await.unwrap();
        let people = [ALICE, BOB].map(|person| first.question(&asked, person));
        let later = gates.with(&policy).await;
        later.sweep().await;
        unchanged(&later.status(&asked.id).await, &asked);
        // A repeat is answered as stored.
        unchanged(&later.client.submit(&request()).await.unwrap(), &asked);
        for person in &people {
            assert_eq!(
                later.status(&asked.id).await.status,
                Status::Pending,
                "{policy}"
            );
            assert_eq!(
                decide(&later, person, "approve").await,
                StatusCode::SEE_OTHER,
                "{policy}"
            );
        }
        later.sweep().await;
        assert!(
            later
                .mails()
                .iter()
                .all(|mail| mail.to != "mallory@example.com"),
            "{policy}"
        );
        let carol = later.question(&asked, CAROL);
        assert_eq!(
            decide(&later, &carol, "approve").await,
            StatusCode::SEE_OTHER,
            "{policy}"
        );
        assert_eq!(
            later.status(&asked.id).await.status,
            Status::Approved,
            "{policy}"
        );
        later
            .client
            .claim(&asked.id, &claim("a-nonce-of-the-agent"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_rejection_stands_whatever_a_later_policy_says() {
    for policy in later_policies() {
        let gates = Gates::new();
        let first = gates.with(POLICY).await;
        let asked = first.client.submit(&request()).await.unwrap();
        first.reject(&asked, ALICE, "Not this one.").await;
        let denied = NewApproval {
            action_description: "Delete production database".to_owned(),
            correlation_id: Some("denied".to_owned()),
            ..request()
        };
        let denied_id = first.client.submit(&denied).await.unwrap().id;
        let later = gates.with(&policy).await;
        for (request, id) in [(request(), &asked.id), (denied, &denied_id)] {
            let again = later.client.submit(&request).await.unwrap();
            assert_eq!(
                (&again.id, again.status),
                (id, Status::Rejected),
                "{policy}"
            );
            let claimed = later.client.claim(id, &claim("a-nonce-of-the-agent")).await;
            assert!(claimed.is_err(), "{policy}");
        }
    }
}
