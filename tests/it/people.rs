//! People who are away: escalation to others, and substitutes of those who are absent.

mod substitutes;

use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Status};
use serde_json::{Value, json};

use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Mail, TestGate, object, request};

const CFO: &str = "cfo@example.com";
const CONTROLLER: &str = "controller@example.com";

/// Two of finance; after half of the time one of the leads may give what is missing.
pub(crate) const ESCALATED: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]
leads = ["cfo@example.com", "controller@example.com", "bob@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
escalate = { after = "50%", to = "leads" }
"#;

const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn payment() -> NewApproval {
    NewApproval {
        action_description: "Pay supplier invoice".to_owned(),
        parameters: object(json!({"amount": 90})),
        approver_emails: Vec::new(),
        timeout_seconds: Some(3_600),
        ..request()
    }
}

async fn submit(gate: &TestGate, request: &NewApproval) -> Approval {
    gate.client.submit(request).await.unwrap()
}

async fn page_of(gate: &TestGate, approval: &Approval, person: &str) -> String {
    gate.get(&gate.question(approval, person).link).await.body
}

const CAN_APPROVE: &str = "value=\"approve\"";

#[tokio::test]
async fn a_stage_that_stays_open_is_escalated_once_and_an_email_tells_all_who_were_asked() {
    let gate = TestGate::with(&[("HO_POLICY", ESCALATED)]).await;
    let payment = submit(&gate, &payment()).await;
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(page.contains("leads will be asked too"), "{page}");
    gate.approve(&payment, ALICE).await;
    gate.pass(HOUR / 2 - Duration::from_secs(1));
    gate.sweep().await;
    assert!(gate.mails_to(CFO).is_empty());

    gate.pass(Duration::from_secs(1));
    gate.sweep().await;
    gate.sweep().await;
    for person in [CFO, CONTROLLER] {
        let mails = gate.mails_to(person);
        assert_eq!(mails.len(), 1, "{person}");
        assert!(
            mails[0].subject.contains("[Approve?]"),
            "{}",
            mails[0].subject
        );
        assert!(
            mails[0].text.contains("alice@example.com approved"),
            "{}",
            mails[0].text
        );
    }
    // Bob is of the leads too, and is asked once.
    for person in [ALICE, BOB] {
        // It takes the place of the reminder that would come at the same time.
        let is_news = |mail: &Mail| mail.subject.contains("[Escalated]");
        let (told, others): (Vec<_>, Vec<_>) = gate.mails_to(person).into_iter().partition(is_news);
        assert_eq!((told.len(), others.len()), (1, 1), "{person}");
        assert!(
            told[0]
                .text
                .contains("cfo@example.com, controller@example.com (leads)"),
            "{}",
            told[0].text
        );
        // Its link rejects, as that of the question does.
        for part in [&told[0].text, &told[0].html] {
            let warning = "Do not forward this email: anyone who has it can decide in your name.";
            assert!(part.contains(warning), "{part}");
        }
        let can_decide = told[0].text.contains("You can still decide");
        assert_eq!(can_decide, person == BOB, "{}", told[0].text);
    }

    // One lead gives what is missing; the other can then no longer vote.
    gate.approve(&payment, CFO).await;
    let done = gate.status(&payment.id).await;
    assert_eq!(
        (done.status, done.approver.as_deref()),
        (Status::Approved, Some(CFO))
    );
    assert!(
        !page_of(&gate, &payment, CONTROLLER)
            .await
            .contains(CAN_APPROVE)
    );
    let page = page_of(&gate, &payment, BOB).await;
    assert!(page.contains("(finance, asked by escalation)"), "{page}");
}

/// The same, with two stages of one person each.
fn in_two_stages() -> String {
    let stages = r#"[{ from = "finance" }, { from = "security" }]"#;
    let security = "leads = [\"cfo@example.com\"]\nsecurity = [\"erin@example.com\"]";
    let (groups, rule) = ESCALATED.split_once("leads = ").unwrap();
    let (_, rule) = rule.split_once('\n').unwrap();
    let rule = rule.replace(r#"[{ from = "finance", approvals = 2 }]"#, stages);
    format!("{groups}{security}\n{rule}")
}

#[tokio::test]
async fn each_stage_is_escalated_although_the_clock_of_the_vote_was_behind() {
    let gate = TestGate::with(&[("HO_POLICY", &in_two_stages())]).await;
    let minute = Duration::from_secs(60);
    let payment = submit(&gate, &payment()).await;
    gate.pass(HOUR / 2);
    gate.sweep().await;
    let to_erin = |word: &str| {
        let mails = gate.mails_to("erin@example.com").into_iter();
        mails.filter(|mail| mail.subject.contains(word)).count()
    };
    assert_eq!(gate.mails_to(CFO).len(), 1);
    // Alice votes at an instance whose clock is behind that of the sweep.
    gate.back(minute);
    gate.approve(&payment, ALICE).await;
    eventually(async || (to_erin("[Approve?]") == 1).then_some(())).await;
    let page = page_of(&gate, &payment, "erin@example.com").await;
    assert!(page.contains("leads will be asked too"), "{page}");
    assert!(!page.contains("more people were asked"), "{page}");
    gate.pass(minute + HOUR / 4);
    gate.sweep().await;
    gate.sweep().await;
    assert_eq!(to_erin("[Escalated]"), 1);
    let page = page_of(&gate, &payment, "erin@example.com").await;
    assert!(page.contains("more people were asked"), "{page}");
}

#[tokio::test]
async fn a_person_of_the_escalation_cannot_vote_before_it() {
    let gate = TestGate::with(&[("HO_POLICY", ESCALATED)]).await;
    let payment = submit(&gate, &payment()).await;
    gate.pass(HOUR / 2);
    gate.sweep().await;
    let page = page_of(&gate, &payment, CFO).await;
    assert!(page.contains(CAN_APPROVE));
    // The clock of another instance is behind.
    gate.back(Duration::from_secs(60));
    assert!(!page_of(&gate, &payment, CFO).await.contains(CAN_APPROVE));
    gate.pass(Duration::from_secs(60));
    gate.approve(&payment, CFO).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
    gate.approve(&payment, CONTROLLER).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

#[tokio::test]
async fn no_one_is_asked_after_the_decision_or_at_the_deadline() {
    let gate = TestGate::with(&[("HO_POLICY", ESCALATED)]).await;
    let decided = submit(&gate, &payment()).await;
    let expired = submit(
        &gate,
        &NewApproval {
            correlation_id: Some("other".to_owned()),
            ..payment()
        },
    )
    .await;
    gate.reject(&decided, ALICE, "No").await;
    gate.pass(HOUR);
    gate.sweep().await;
    assert!(gate.mails_to(CFO).is_empty());
    assert_eq!(gate.status(&expired.id).await.status, Status::Timeout);
}

#[tokio::test]
async fn one_rejection_does_not_end_what_escalation_can_still_approve() {
    let policy = ESCALATED.replace("escalate =", "rejections = 2\nescalate =");
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let payment = submit(&gate, &payment()).await;
    gate.reject(&payment, ALICE, "I am not sure").await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
    gate.pass(HOUR / 2);
    gate.sweep().await;
    for person in [BOB, CFO] {
        gate.approve(&payment, person).await;
    }
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

#[tokio::test]
async fn the_default_escalates_what_the_agent_asks_of_the_people_it_names() {
    let policy = "version = 1\n[groups]\nleads = [\"cfo@example.com\"]\n[default]\neffect = \"require\"\n\
                  escalate = { after = \"10%\", to = \"leads\" }\n";
    let gate = TestGate::with(&[("HO_POLICY", policy)]).await;
    let named = NewApproval {
        approver_emails: vec![ALICE.to_owned()],
        ..payment()
    };
    let payment = submit(&gate, &named).await;
    assert_eq!(payment.policy.as_ref().unwrap().rules, ["default"]);
    gate.pass(HOUR / 10);
    gate.sweep().await;
    gate.approve(&payment, CFO).await;
    let done = gate.status(&payment.id).await;
    assert_eq!(
        (done.status, done.approver.as_deref()),
        (Status::Approved, Some(CFO))
    );
}

/// Alice is away over the day of the tests; Carol answers for her.
fn absent(from: &str, until: &str) -> String {
    format!(
        "version = 1\n[groups]\nfinance = [\"alice@example.com\", \"bob@example.com\", \"dave@example.com\"]\n\
         [[rule]]\nid = \"payments\"\nactions = [\"Pay *\"]\neffect = \"require\"\n\
         stages = [{{ from = \"finance\", approvals = 2 }}]\n\
         [[absence]]\nperson = \"Alice@example.com\"\nfrom = {from}\nuntil = {until}\n\
         substitute = \"carol@example.com\"\n"
    )
}

const CAROL: &str = "carol@example.com";

/// A policy in which Alice is absent from `before` before now until `after` after it.
fn absent_around(gate: &TestGate, before: Duration, after: Duration) -> String {
    let now = gate.now();
    absent(&(now - before).to_string(), &(now + after).to_string())
}

async fn gate_with_absence(before: Duration, after: Duration) -> TestGate {
    let clock = TestGate::start().await;
    let policy = absent_around(&clock, before, after);
    TestGate::with(&[("HO_POLICY", &policy)]).await
}

#[tokio::test]
async fn a_substitute_is_asked_with_the_absent_person_and_of_the_two_the_first_vote_counts() {
    let gate = gate_with_absence(HOUR, HOUR).await;
    let payment = submit(&gate, &payment()).await;
    for person in [ALICE, BOB, CAROL, "dave@example.com"] {
        assert_eq!(gate.mails_to(person).len(), 1, "{person}");
    }
    let page = page_of(&gate, &payment, BOB).await;
    let words = "carol@example.com is asked in place of alice@example.com, who is absent until";
    assert!(page.to_lowercase().contains(words), "{page}");
    gate.approve(&payment, CAROL).await;
    // The two are one vote.
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(!page.contains(CAN_APPROVE), "{page}");
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
    gate.approve(&payment, BOB).await;
    let done = gate.status(&payment.id).await;
    assert_eq!(done.status, Status::Approved);
    let row = gate.entity(&payment.id).await;
    let votes: Value = serde_json::from_str(row["Votes"].as_str().unwrap()).unwrap();
    assert_eq!(votes[0]["approver"], CAROL);
    let page = page_of(&gate, &payment, BOB).await.to_lowercase();
    assert!(page.contains("(finance, for alice@example.com)"), "{page}");
}

#[tokio::test]
async fn the_absent_person_may_vote_and_then_the_substitute_may_not() {
    let gate = gate_with_absence(HOUR, HOUR).await;
    let payment = submit(&gate, &payment()).await;
    gate.approve(&payment, ALICE).await;
    assert!(!page_of(&gate, &payment, CAROL).await.contains(CAN_APPROVE));
}

#[tokio::test]
async fn a_substitute_is_asked_for_a_stage_that_opens_in_the_absence_alone() {
    for (before, after) in [(2 * HOUR, Duration::ZERO), (Duration::ZERO, Duration::ZERO)] {
        let gate = gate_with_absence(before + Duration::from_secs(1), after).await;
        gate.pass(Duration::from_secs(1));
        submit(&gate, &payment()).await;
        assert!(gate.mails_to(CAROL).is_empty());
    }
}

/// The policy with one approval, and with the CFO absent in place of Alice, who is asked by escalation after this share.
fn absent_lead(policy: &str, after: &str) -> String {
    let escalate =
        format!("approvals = 1 }}]\nescalate = {{ after = {after:?}, to = \"leads\" }}\n");
    policy
        .replace("approvals = 2 }]\n", &escalate)
        .replace("[[rule]]", &format!("leads = [{CFO:?}]\n[[rule]]"))
        .replace("Alice@example.com", CFO)
}

#[tokio::test]
async fn the_escalation_asks_the_substitute_of_an_absent_person_too_and_of_the_two_one_votes() {
    let clock = TestGate::start().await;
    let policy = absent_lead(&absent_around(&clock, HOUR, HOUR), "50%");
    for first in [CFO, CAROL] {
        let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
        let payment = submit(&gate, &payment()).await;
        assert!(gate.mails_to(CAROL).is_empty());
        gate.pass(HOUR / 2);
        gate.sweep().await;
        for person in [CFO, CAROL] {
            assert_eq!(gate.mails_to(person).len(), 1, "{person}");
        }
        let page = page_of(&gate, &payment, first).await.to_lowercase();
        let words = format!("{CAROL} is asked in place of {CFO}, who is absent until");
        assert!(page.contains(&words), "{page}");
        gate.approve(&payment, first).await;
        let done = gate.status(&payment.id).await;
        assert_eq!(
            (done.status, done.approver.as_deref()),
            (Status::Approved, Some(first))
        );
        let second = if first == CFO { CAROL } else { CFO };
        let page = page_of(&gate, &payment, second).await.to_lowercase();
        let words = if first == CFO {
            "(finance, asked by escalation)".to_owned()
        } else {
            format!("(finance, asked by escalation, for {CFO})")
        };
        assert!(page.contains(&words), "{page}");
    }
}

#[tokio::test]
async fn a_person_who_is_absent_twice_has_the_substitute_in_both_times() {
    let now = TestGate::start().await.now();
    let policy = absent(&(now - HOUR).to_string(), &(now + HOUR / 4).to_string());
    let (_, absence) = policy.split_once("[[absence]]").unwrap();
    let later = format!("from = {}\nuntil = {}", now + HOUR / 2, now + 2 * HOUR);
    let lines = absence.lines().filter(|line| !line.starts_with("until"));
    let second = lines.map(|line| {
        if line.starts_with("from") {
            &later
        } else {
            line
        }
    });
    let second: Vec<&str> = second.collect();
    let policy = format!("{policy}[[absence]]{}\n", second.join("\n"));
    let policy = absent_lead(&policy, "75%");
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let payment = submit(&gate, &payment()).await;
    gate.pass(HOUR * 3 / 4);
    gate.sweep().await;
    assert_eq!(gate.mails_to(CAROL).len(), 1);
    gate.approve(&payment, CAROL).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

#[tokio::test]
async fn a_stage_whose_escalation_has_no_one_left_is_not_escalated() {
    let gate = TestGate::with(&[("HO_POLICY", &in_two_stages())]).await;
    let erin = "erin@example.com";
    let payment = submit(&gate, &payment()).await;
    gate.pass(HOUR / 2);
    gate.sweep().await;
    gate.approve(&payment, CFO).await;
    eventually(async || gate.mails_to(erin).pop()).await;
    let page = page_of(&gate, &payment, erin).await;
    assert!(!page.contains("leads will be asked too"), "{page}");
    gate.pass(HOUR * 3 / 8);
    gate.sweep().await;
    let mut mails = gate.mails_to(erin).into_iter();
    assert!(mails.all(|mail| !mail.subject.starts_with("[Escalated]")));
}

#[tokio::test]
async fn someone_who_is_asked_anyway_or_for_whom_the_agent_acts_substitutes_no_one() {
    let gate = gate_with_absence(HOUR, HOUR).await;
    let for_carol = NewApproval {
        on_behalf_of: Some(CAROL.to_owned()),
        ..payment()
    };
    submit(&gate, &for_carol).await;
    assert!(gate.mails_to(CAROL).is_empty());
    let clock = TestGate::start().await;
    let policy = absent_around(&clock, HOUR, HOUR);
    let policy = policy.replace("substitute = \"carol@", "substitute = \"bob@");
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let payment = submit(&gate, &payment()).await;
    assert_eq!(gate.mails_to(BOB).len(), 1);
    // Bob's one vote is his own.
    gate.approve(&payment, BOB).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
    assert!(page_of(&gate, &payment, ALICE).await.contains(CAN_APPROVE));
}

#[tokio::test]
async fn one_substitute_of_two_absent_people_has_one_vote() {
    let clock = TestGate::start().await;
    let policy = absent_around(&clock, HOUR, HOUR);
    let (_, absence) = policy.split_once("[[absence]]").unwrap();
    let bobs = absence.replace("Alice@example.com", BOB);
    let policy = format!("{policy}[[absence]]{bobs}");
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let payment = submit(&gate, &payment()).await;
    let mails = gate.mails_to(CAROL);
    assert_eq!(mails.len(), 1);
    gate.approve(&payment, CAROL).await;
    let progress = gate.status(&payment.id).await.progress.unwrap();
    assert_eq!((progress.needed, progress.given), (2, 1));
    assert!(!page_of(&gate, &payment, CAROL).await.contains(CAN_APPROVE));
    // The place of Alice has its vote; Bob has no substitute, and votes.
    assert!(!page_of(&gate, &payment, ALICE).await.contains(CAN_APPROVE));
    gate.approve(&payment, BOB).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

#[tokio::test]
async fn a_person_whom_the_agent_names_has_a_substitute_too() {
    let gate = gate_with_absence(HOUR, HOUR).await;
    let named = NewApproval {
        action_description: "Write to the customer".to_owned(),
        approver_emails: vec![ALICE.to_owned()],
        ..payment()
    };
    let asked = submit(&gate, &named).await;
    gate.approve(&asked, CAROL).await;
    let done = gate.status(&asked.id).await;
    assert_eq!(
        (done.status, done.approver.as_deref()),
        (Status::Approved, Some(CAROL))
    );
}

#[tokio::test]
async fn a_reminder_goes_to_those_whose_vote_is_missing_and_says_who_has_voted() {
    let policy = ESCALATED.replace("escalate =", "# escalate =");
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let payment = submit(&gate, &payment()).await;
    gate.approve(&payment, ALICE).await;
    gate.pass(HOUR / 2);
    gate.sweep().await;
    assert_eq!(gate.mails_to(ALICE).len(), 1);
    let is_reminder = |mail: &Mail| mail.subject.contains("[Reminder]");
    let mut reminders = gate.mails_to(BOB);
    reminders.retain(is_reminder);
    assert_eq!(reminders.len(), 1);
    assert!(reminders[0].text.contains("alice@example.com approved"));
}

#[tokio::test]
async fn reminders_and_escalation_wait_until_approvals_count() {
    let held = "id = \"payments\"\nnot_before = \"40m\"";
    let policy = ESCALATED.replace("id = \"payments\"", held);
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let payment = submit(&gate, &payment()).await;
    let minute = Duration::from_secs(60);
    // The share of all the time, and what comes before half of the last 20 minutes.
    for minutes in [31, 18] {
        gate.pass(minute * minutes);
        gate.sweep().await;
        assert_eq!(gate.mails().len(), 2);
    }
    let stored = gate.store.get(&payment.id.parse().unwrap()).await.unwrap();
    let cfo = |it: &human_oversight::domain::Approver| it.address.to_string() == CFO;
    let cfo = stored.approval.approvers.iter().position(cfo).unwrap();
    assert!(!stored.approval.can_vote(cfo, gate.now()));
    let page = page_of(&gate, &payment, ALICE).await;
    assert!(page.contains("leads will be asked too"), "{page}");
    gate.pass(minute);
    gate.sweep().await;
    let subjects = |person| gate.mails_to(person).into_iter().map(|it| it.subject);
    assert!(subjects(CFO).any(|it| it.contains("[Approve?]")));
    assert!(subjects(ALICE).any(|it| it.contains("[Escalated]")));
    gate.pass(minute * 7);
    gate.sweep().await;
    assert!(subjects(ALICE).any(|it| it.contains("[Reminder]")));
    assert_eq!(subjects(ALICE).count(), 3);
}
