//! A rule that takes approvals only some time after people were asked.

use std::time::Duration;

use human_oversight::values::Timestamp;
use human_oversight_client::types::Status;
use reqwest::StatusCode;

use super::{POLICY, gate_with, page_of, payment, submit};
use crate::harness::{ALICE, BOB, request};

#[tokio::test]
async fn email_and_page_say_from_the_start_when_approvals_count() {
    let held = "id = \"payments\"\nnot_before = \"10m\"";
    let gate = gate_with(&POLICY.replace("id = \"payments\"", held)).await;
    // So that approvals count from the middle of a minute on.
    gate.begin_minute();
    gate.pass(Duration::from_secs(30));
    let payment = submit(&gate, &payment(60)).await;
    let page = page_of(&gate, &payment, ALICE).await;
    let (_, form) = page.split_once("id=\"decision\"").unwrap();
    let (beside, _) = form.split_once("value=\"approve\"").unwrap();
    let (_, from) = beside
        .split_once("This can be approved from ")
        .expect(&page);
    let (from, _) = from.split_once(" on. A rejection counts at once.").unwrap();
    assert!(!page.contains("it runs"), "{page}");
    let mails = gate.mails();
    let mail = mails.iter().find(|it| it.to == ALICE).unwrap();
    for text in [mail.text.replace("\r\n", " "), mail.html.clone()] {
        assert!(text.contains("This can be approved from "), "{text}");
    }
    // The same moment as the refusal names.
    let alice = gate.question(&payment, ALICE);
    let form = [("decision", "approve"), ("code", alice.code.as_str())];
    let refused = gate.decide(&alice, &form).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    let refusal = refused
        .body
        .split_once("this request can be approved from ");
    let (refusal, _) = refusal.unwrap().1.split_once(" on.").unwrap();
    let tagless = from.split('<').map(|it| it.rsplit('>').next().unwrap());
    assert_eq!(tagless.collect::<String>(), refusal, "{page}");

    // It counts in the minute that they name, and not earlier.
    let (_, moment) = from.split_once("datetime=\"").unwrap();
    let moment = Timestamp::parse(moment.split('"').next().unwrap()).unwrap();
    gate.pass(moment.since(gate.now()));
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(!page.contains("can be approved from"), "{page}");
    gate.approve(&payment, ALICE).await;
    // The next stage opens later.
    gate.approve(&payment, BOB).await;
    let page = page_of(&gate, &payment, "dave@example.com").await;
    assert!(page.contains("This can be approved from "), "{page}");
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
    gate.reject(&payment, "dave@example.com", "").await;
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(!page.contains("can be approved from"), "{page}");
    assert_eq!(gate.status(&payment.id).await.status, Status::Rejected);
}

/// One approval is enough, but not yet.
#[tokio::test]
async fn the_button_does_not_say_that_it_runs_before_approvals_count() {
    let policy = r#"
version = 1
[[rule]]
id = "slow"
not_before = "10m"
effect = "require"
stages = [{ from = "requested" }]
"#;
    let gate = gate_with(policy).await;
    let asked = submit(&gate, &request()).await;
    let page = page_of(&gate, &asked, ALICE).await;
    assert!(page.contains(">Approve</button>"), "{page}");
    gate.pass(Duration::from_secs(660));
    let page = page_of(&gate, &asked, ALICE).await;
    assert!(page.contains(">Approve: it runs</button>"), "{page}");
}
