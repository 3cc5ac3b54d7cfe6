//! Handing an approver's place over to another person.

mod plans;

use std::time::Duration;

use human_oversight::domain;
use human_oversight::values::Timestamp;
use human_oversight_client::Outcome;
use human_oversight_client::receipt::{Claims, HandOver, verify};
use human_oversight_client::types::{Approval, NewApproval, Status, Withdrawal};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Mail, Page, Question, TestGate, for_alice, request, with_forms};
use crate::lifecycle::{approver, request_of};

const CAROL: &str = "carol@example.com";
const DAVE: &str = "dave@example.com";

/// A list with a pattern, which is no person.
pub(crate) const LIST: (&str, &str) = (
    "HO_ALLOWED_APPROVERS",
    "*@example.com, alice@example.com, bob@example.com, carol@example.com, dave@example.com",
);

async fn form_of(gate: &TestGate, question: &Question) -> Option<Vec<(String, String)>> {
    let page = gate.get(&with_forms(&question.link)).await;
    page.form_in("hand-over")
}

/// Opens the link and sends the form that hands over, with these fields.
async fn send(gate: &TestGate, question: &Question, fields: &[(&str, &str)]) -> Page {
    let hidden = form_of(gate, question).await;
    send_form(gate, question, &hidden.expect("a form"), fields).await
}

/// Sends the form of a page that was opened before.
async fn send_form(
    gate: &TestGate,
    question: &Question,
    hidden: &[(String, String)],
    fields: &[(&str, &str)],
) -> Page {
    let hidden = hidden
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let (address, _) = question.link.split_once("?k=").unwrap();
    let fields = hidden
        .chain([("decision", "hand-over")])
        .chain(fields.iter().copied());
    gate.post_form(address, fields).await
}

pub(crate) async fn hand_over(gate: &TestGate, approval: &Approval, from: &str, to: &str) {
    let question = gate.question(approval, from);
    let fields = [
        ("hand_over", to),
        ("reason", "I am on leave"),
        ("code", &question.code),
    ];
    let answer = send(gate, &question, &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert!(answer.cookies().is_empty());
}

/// The first email to a person, which the answer to a form does not wait for.
async fn mail_to(gate: &TestGate, person: &str) -> Mail {
    eventually(async || gate.mails_to(person).into_iter().next()).await
}

fn hand_overs_in(row: &Value) -> Value {
    serde_json::from_str(row["HandOvers"].as_str().unwrap()).unwrap()
}

const CAN_APPROVE: &str = "value=\"approve\"";

#[tokio::test]
async fn an_approver_hands_their_place_over_and_the_receiver_decides() {
    let gate = TestGate::with(&[LIST]).await;
    let asked = gate.client.submit(&request()).await.unwrap();
    let alice = gate.question(&asked, ALICE);
    let page = gate.get(&alice.link).await;
    // The first form is the one that decides.
    let (deciding, handing_over) = page.body.split_once("id=\"hand-over\"").unwrap();
    assert!(deciding.contains(CAN_APPROVE), "{deciding}");
    let offered: Vec<&str> = handing_over.split("<option value=\"").skip(1).collect();
    let offered = offered.iter().map(|it| it.split_once('"').unwrap().0);
    assert_eq!(offered.collect::<Vec<_>>(), ["", CAROL, DAVE]);

    let reason = "I am on leave.\nAsk evil.example.com <b>first</b>";
    let fields = [
        ("hand_over", CAROL),
        ("reason", reason),
        ("code", &alice.code),
    ];
    let answer = send(&gate, &alice, &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let mail = mail_to(&gate, CAROL).await;
    let words = "alice@example.com handed their place to you on";
    assert!(mail.text.contains(words), "{}", mail.text);
    let text: Vec<&str> = mail.text.split_whitespace().collect();
    let words_of_alice = "In their words: > I am on leave. > Ask evil[.]example[.]com <b>first</b>";
    assert!(text.join(" ").contains(words_of_alice), "{}", mail.text);
    assert!(!mail.html.contains("<b>first"), "{}", mail.html);
    assert!(mail.html.contains(words), "{}", mail.html);

    // The old link says to whom, and has nothing to decide.
    let page = gate.get(&with_forms(&alice.link)).await;
    let words = "You handed this over to carol@example.com on";
    assert!(page.body.contains(words), "{}", page.body);
    assert!(!page.body.contains("<form"), "{}", page.body);
    // The others see it.
    let page = gate.get(&gate.question(&asked, BOB).link).await;
    let words = "alice@example.com handed their place to carol@example.com on";
    assert!(page.body.contains(words), "{}", page.body);
    assert!(page.body.contains("<dd>carol@example.com; one approval"));

    let row = gate.entity(&asked.id).await;
    let stored = hand_overs_in(&row);
    assert_eq!(
        (&stored[0]["from"], &stored[0]["to"], &stored[0]["reason"]),
        (&json!(0), &json!(2), &json!(reason))
    );
    gate.approve(&asked, CAROL).await;
    let done = gate.status(&asked.id).await;
    assert_eq!(
        (done.status, done.approver.as_deref()),
        (Status::Approved, Some(CAROL))
    );
    let keys = gate.client.keys().await.unwrap();
    let claims = verify(&done.receipt.unwrap(), &keys).unwrap();
    let expected = HandOver {
        from: ALICE.to_owned(),
        to: CAROL.to_owned(),
    };
    assert_eq!(claims.handed_over, [expected]);
    assert_eq!(claims.decided_for(), [CAROL, ALICE]);
    for (steps, first) in [
        // Broken, out of order, round in a circle, to another person.
        (&[(ALICE, BOB)][..], CAROL),
        (&[(BOB, CAROL), (ALICE, BOB)], BOB),
        (&[(CAROL, ALICE), (ALICE, CAROL)], CAROL),
        (&[(ALICE, BOB), (BOB, DAVE)], CAROL),
        (&[(DAVE, ALICE), (ALICE, BOB), (BOB, CAROL)], DAVE),
    ] {
        let steps = steps.iter().map(|(from, to)| HandOver {
            from: (*from).to_owned(),
            to: (*to).to_owned(),
        });
        let claims = Claims {
            handed_over: steps.collect(),
            ..claims.clone()
        };
        assert_eq!(claims.decided_for().last(), Some(&first));
    }
    // Who handed over gets no more emails.
    gate.sweep().await;
    assert_eq!(gate.mails_to(ALICE).len(), 1);
    assert_eq!(gate.mails_to(CAROL).len(), 2);
    let outcome = &gate.mails_to(BOB)[1];
    let words = "Approved by carol@example.com (in the place of alice@example.com) on";
    let outcome = if outcome.text.contains(words) {
        outcome
    } else {
        &gate.mails_to(BOB)[0]
    };
    assert!(outcome.text.contains(words), "{}", outcome.text);
}

#[tokio::test]
async fn a_receiver_hands_the_place_on_and_the_agent_runs_by_the_chain() {
    let gate = TestGate::with(&[LIST]).await;
    let agent = gate.gate().approvers([ALICE]);
    let action = agent.action("Delete User Account");
    let params = json!({"user_id": "1"});
    let pending = action.submit(&params).await.unwrap();
    let asked = gate.status(&pending.handle().id).await;
    hand_over(&gate, &asked, ALICE, CAROL).await;
    mail_to(&gate, CAROL).await;
    hand_over(&gate, &asked, CAROL, DAVE).await;
    mail_to(&gate, DAVE).await;
    for gone in [ALICE, CAROL] {
        let page = gate
            .get(&with_forms(&gate.question(&asked, gone).link))
            .await;
        assert!(!page.body.contains("<form"), "{gone}: {}", page.body);
    }
    gate.approve(&asked, DAVE).await;
    let outcome = pending.run(&params, async |_| "ran").await;
    assert_eq!(outcome, Outcome::Executed("ran"));
}

#[tokio::test]
async fn what_the_form_lacks_is_named_and_nothing_is_handed_over() {
    let gate = TestGate::with(&[LIST]).await;
    let for_dave = NewApproval {
        on_behalf_of: Some("Dave+bot@example.com".to_owned()),
        ..request()
    };
    let asked = gate.client.submit(&for_dave).await.unwrap();
    let alice = gate.question(&asked, ALICE);
    let long = "x".repeat(501);
    let too_long = "x".repeat(2_001);
    let code = alice.code.as_str();
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    for (to, reason, code, status, words) in [
        ("", "Leave", code, unprocessable, "choose the person"),
        (CAROL, "Leave", "", StatusCode::FORBIDDEN, "Type the code"),
        (CAROL, "", code, unprocessable, "say why, in at most 500"),
        (
            CAROL,
            "\r\n ",
            code,
            unprocessable,
            "say why, in at most 500",
        ),
        (CAROL, &long, code, unprocessable, "at most 500 characters"),
        (
            CAROL,
            &too_long,
            code,
            StatusCode::BAD_REQUEST,
            "The reason may have at most 500 characters",
        ),
        ("carol", "Leave", code, unprocessable, "choose the person"),
        (
            "*@example.com",
            "Leave",
            code,
            unprocessable,
            "among those offered",
        ),
        // Asked already; the person acted for; by the pattern alone; themselves.
        (BOB, "Leave", code, unprocessable, "cannot take your place"),
        (DAVE, "Leave", code, unprocessable, "cannot take your place"),
        (
            "erin@example.com",
            "Leave",
            code,
            unprocessable,
            "among those offered",
        ),
        (
            ALICE,
            "Leave",
            code,
            unprocessable,
            "cannot take your place",
        ),
        (
            "alice+x@example.com",
            "Leave",
            code,
            unprocessable,
            "cannot",
        ),
    ] {
        let fields = [("hand_over", to), ("reason", reason), ("code", code)];
        let page = send(&gate, &alice, &fields).await;
        assert_eq!(page.status, status, "{to} {reason}: {}", page.body);
        assert!(page.body.contains(words), "{to} {words}: {}", page.body);
    }
    // What was typed is not lost, and a form has each field once.
    let fields = [("hand_over", CAROL), ("reason", "My leave"), ("code", "")];
    let page = send(&gate, &alice, &fields).await;
    assert!(page.body.contains(">My leave</textarea>"), "{}", page.body);
    assert!(page.body.contains("value=\"carol@example.com\" selected"));
    let twice = [
        ("hand_over", CAROL),
        ("hand_over", CAROL),
        ("reason", "Leave"),
        ("code", code),
    ];
    let page = send(&gate, &alice, &twice).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.body);
    assert!(gate.entity(&asked.id).await.get("HandOvers").is_none());
    assert!(gate.mails_to(CAROL).is_empty());
}

#[tokio::test]
async fn wrong_codes_lock_the_hand_over_and_not_the_decision() {
    let gate = TestGate::with(&[LIST]).await;
    let asked = gate.client.submit(&for_alice()).await.unwrap();
    let alice = gate.question(&asked, ALICE);
    let wrong = if alice.code == "000000" {
        "000001"
    } else {
        "000000"
    };
    let fields = [("hand_over", CAROL), ("reason", "Leave"), ("code", wrong)];
    let hidden = form_of(&gate, &alice).await.unwrap();
    for left in ["4 tries", "3 tries", "2 tries", "1 try", "the fifth"] {
        let page = send_form(&gate, &alice, &hidden, &fields).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(page.body.contains(left), "{left}: {}", page.body);
    }
    let fields = [
        ("hand_over", CAROL),
        ("reason", "Leave"),
        ("code", alice.code.as_str()),
    ];
    let page = send_form(&gate, &alice, &hidden, &fields).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
    assert!(page.body.contains("Handing over by this link is locked"));
    // The token of another form is worth nothing.
    let decision = gate.get(&alice.link).await.first_form();
    let page = send_form(&gate, &alice, &decision, &fields).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.body);
    gate.approve(&asked, ALICE).await;
}

#[tokio::test]
async fn after_a_vote_a_hand_over_or_the_end_nothing_is_handed_over() {
    let gate = TestGate::with(&[LIST]).await;
    let fields = |question: &Question, to| {
        let code = question.code.clone();
        [
            ("hand_over", to),
            ("reason", "Leave".to_owned()),
            ("code", code),
        ]
    };
    let ask = async |correlation: &str| {
        let request = NewApproval {
            correlation_id: Some(correlation.to_owned()),
            timeout_seconds: Some(3_600),
            ..request()
        };
        gate.client.submit(&request).await.unwrap()
    };
    let post = async |question: &Question, hidden: &[(String, String)], to: &str| {
        let fields = fields(question, to.to_owned());
        let fields = fields
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        send_form(&gate, question, hidden, &fields).await
    };
    // Handed over: again to the same is no error, to another one is.
    let moved = ask("moved").await;
    let alice = gate.question(&moved, ALICE);
    let hidden = form_of(&gate, &alice).await.unwrap();
    let deciding = gate.get(&alice.link).await;
    hand_over(&gate, &moved, ALICE, CAROL).await;
    let again = post(&alice, &hidden, CAROL).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.body);
    let other = post(&alice, &hidden, DAVE).await;
    assert_eq!(other.status, StatusCode::CONFLICT, "{}", other.body);
    assert!(
        other
            .body
            .contains("handed this over, so you can no longer decide"),
        "{}",
        other.body
    );
    for decision in ["approve", "reject"] {
        let form = [("decision", decision), ("code", alice.code.as_str())];
        let page = gate.send_form(&deciding, &form).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.body);
        assert!(
            page.body
                .contains("handed this over, so you can no longer decide")
        );
    }
    // Bob decides: the place is worth nothing any more.
    mail_to(&gate, CAROL).await;
    let carol = gate.question(&moved, CAROL);
    let hidden = form_of(&gate, &carol).await.unwrap();
    gate.reject(&moved, BOB, "No").await;
    let late = post(&carol, &hidden, DAVE).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.body);
    assert!(
        late.body
            .contains("bob@example.com decided before you. Nothing was handed over.")
    );

    for (end, status) in [
        ("withdrawn", StatusCode::CONFLICT),
        ("expired", StatusCode::CONFLICT),
    ] {
        let ended = ask(end).await;
        let alice = gate.question(&ended, ALICE);
        let hidden = form_of(&gate, &alice).await.unwrap();
        if end == "withdrawn" {
            gate.client
                .withdraw(&ended.id, &Withdrawal::default())
                .await
                .unwrap();
        } else {
            gate.pass(Duration::from_secs(7_200));
        }
        let page = post(&alice, &hidden, CAROL).await;
        assert_eq!(page.status, status, "{end}: {}", page.body);
        assert!(
            page.body.contains("Nothing was handed over."),
            "{end}: {}",
            page.body
        );
        assert!(form_of(&gate, &alice).await.is_none());
        assert!(gate.entity(&ended.id).await.get("HandOvers").is_none());
    }
}

#[tokio::test]
async fn without_people_on_the_list_or_with_rows_of_version_1_there_is_no_form() {
    for settings in [
        &[][..],
        &[("HO_ALLOWED_APPROVERS", "*@example.com")],
        &[("HO_ALLOWED_APPROVERS", "alice@example.com,Bob@example.com")],
        &[LIST, ("HO_ROWS", "1")],
    ] {
        let gate = TestGate::with(settings).await;
        let asked = gate.ask().await;
        let alice = gate.question(&asked, ALICE);
        assert!(form_of(&gate, &alice).await.is_none(), "{settings:?}");
    }
}

#[tokio::test]
async fn another_address_of_a_person_who_is_asked_receives_nothing() {
    let id = "3c9e7a10-0000-4000-8000-00000000b0b0";
    let list = format!(
        "alice@example.com, bob@example.com={id}, robert@example.com={id}, carol@example.com"
    );
    let gate = TestGate::with(&[("HO_ALLOWED_APPROVERS", &list)]).await;
    let asked = gate.ask().await;
    let alice = gate.question(&asked, ALICE);
    let page = gate.get(&alice.link).await;
    assert!(page.body.contains("<option value=\"carol@example.com\""));
    assert!(!page.body.contains("robert@example.com"), "{}", page.body);
    let fields = [
        ("hand_over", "robert@example.com"),
        ("reason", "Leave"),
        ("code", alice.code.as_str()),
    ];
    let page = send(&gate, &alice, &fields).await;
    assert_eq!(
        page.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        page.body
    );
}

#[tokio::test]
async fn reminders_go_to_the_receiver_alone() {
    let gate = TestGate::with(&[LIST]).await;
    let for_an_hour = NewApproval {
        timeout_seconds: Some(3_600),
        ..for_alice()
    };
    let asked = gate.client.submit(&for_an_hour).await.unwrap();
    hand_over(&gate, &asked, ALICE, CAROL).await;
    mail_to(&gate, CAROL).await;
    for _ in 0..2 {
        gate.pass(Duration::from_secs(1_900));
        gate.sweep().await;
    }
    // Nor does who handed over get the notice of the end.
    assert_eq!(gate.status(&asked.id).await.status, Status::Timeout);
    assert_eq!(gate.mails_to(ALICE).len(), 1);
    let subjects: Vec<String> = gate
        .mails_to(CAROL)
        .into_iter()
        .map(|it| it.subject)
        .collect();
    for word in ["[Approve?]", "[Reminder]", "[Expired]"] {
        assert!(
            subjects.iter().any(|it| it.contains(word)),
            "{word}: {subjects:?}"
        );
    }
    assert_eq!(gate.status(&asked.id).await.notifications.len(), 2);
}

/// A change of stored hand-overs, and of the approvers.
type Change = fn(&mut Vec<domain::HandOver>, &mut Vec<domain::Approver>);

#[test]
fn stored_hand_overs_that_cannot_be_are_refused() {
    let now = Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap();
    let request = request_of(now, Duration::from_secs(3_600));
    let approvers = [ALICE, BOB].map(approver).into();
    let mut approval = domain::Approval::new(request, approvers);
    approval.record_hand_over(0, approver(CAROL), "Leave".to_owned(), now);
    approval.record_hand_over(2, approver(DAVE), "Leave".to_owned(), now);
    assert_eq!(approval.check_votes(), Ok(()));
    assert!(approval.history_is_consistent());
    let changes: [(Change, usize); 9] = [
        (|it, _| it[0].from = 2, 1),
        (|it, _| it[0].to = 3, 1),
        (|it, _| it[1].to = 9, 2),
        // A place that was handed over before.
        (|it, _| it[1].from = 0, 2),
        (|it, _| it[0].reason.clear(), 1),
        (|it, _| it[0].reason = "x".repeat(501), 1),
        (|it, _| it[1].at = it[1].at + Duration::from_secs(3_600), 2),
        // To a person who was asked before, by another of their addresses.
        (|_, people| people[2] = approver("bob+leave@example.com"), 1),
        (|it, _| it.extend(vec![it[0].clone(); 3]), 1),
    ];
    for (change, at_fault) in changes {
        let mut changed = approval.clone();
        change(&mut changed.plan.hand_overs, &mut changed.approvers);
        let fault = domain::VoteFault::HandOver(at_fault);
        assert_eq!(changed.check_votes(), Err(fault));
    }
    for change in [
        (|it: &mut domain::Approval| drop(it.plan.hand_overs.pop())) as fn(&mut _),
        |it| it.history.retain(|event| event.what.word() != "HandedOver"),
        |it| it.history[1].by = it.history[2].by.clone(),
    ] {
        let mut changed = approval.clone();
        change(&mut changed);
        assert!(!changed.history_is_consistent());
    }
}

#[tokio::test]
async fn a_row_whose_hand_overs_are_changed_is_no_approval() {
    let gate = TestGate::with(&[LIST]).await;
    let asked = gate.client.submit(&for_alice()).await.unwrap();
    hand_over(&gate, &asked, ALICE, CAROL).await;
    mail_to(&gate, CAROL).await;
    gate.tamper(&asked.id, None, |row| {
        let changed = row["HandOvers"].as_str().unwrap().replace("leave", "LEAVE");
        row["HandOvers"] = json!(changed);
    })
    .await;
    let page = gate.get(&gate.question(&asked, CAROL).link).await;
    assert_eq!(
        page.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "{}",
        page.body
    );
}
