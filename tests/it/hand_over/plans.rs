//! Hand-overs in the plan of a policy.

use std::time::Duration;

use human_oversight_client::receipt::verify;
use human_oversight_client::types::{Approval, Status};
use reqwest::StatusCode;

use super::{
    ALICE, BOB, CAN_APPROVE, CAROL, DAVE, Page, TestGate, form_of, hand_over, mail_to, with_forms,
};
use crate::azurite::azurite;
use crate::backing_store::{borrowed, tables};
use crate::grants;
use crate::harness::Question;
use crate::host::SignIn;
use crate::people::payment;
use crate::sign_in::{ON, member, send, visit, with_claim};

const ERIN: &str = "erin@example.com";
const HOUR: Duration = Duration::from_secs(3_600);

/// Two of finance, then one of security; after half of the time a lead may give what is missing.
const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]
security = ["erin@example.com"]
leads = ["lead@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }, { from = "security" }]
escalate = { after = "50%", to = "leads" }
"#;

const LIST: (&str, &str) = (
    "HO_ALLOWED_APPROVERS",
    "*@example.com, carol@example.com, dave@example.com",
);

async fn submit(settings: &[(&str, &str)]) -> (TestGate, Approval) {
    let gate = TestGate::with(settings).await;
    let asked = gate.client.submit(&payment()).await.unwrap();
    (gate, asked)
}

async fn page_of(gate: &TestGate, asked: &Approval, person: &str) -> Page {
    gate.get(&with_forms(&gate.question(asked, person).link))
        .await
}

#[tokio::test]
async fn a_quorum_stays_one_of_different_people() {
    let (gate, asked) = submit(&[("HO_POLICY", POLICY), LIST]).await;
    hand_over(&gate, &asked, ALICE, CAROL).await;
    mail_to(&gate, CAROL).await;
    // She has a place, so she gets no second one.
    let page = page_of(&gate, &asked, BOB).await;
    let (_, form) = page.body.split_once("id=\"hand-over\"").unwrap();
    let (form, _) = form.split_once("</form>").unwrap();
    assert!(form.contains(DAVE) && !form.contains(CAROL), "{form}");
    gate.approve(&asked, CAROL).await;
    assert!(
        !page_of(&gate, &asked, CAROL)
            .await
            .body
            .contains(CAN_APPROVE)
    );
    let progress = gate.status(&asked.id).await.progress.unwrap();
    assert_eq!((progress.stage, progress.given, progress.needed), (1, 1, 2));
    let page = page_of(&gate, &asked, BOB).await;
    let words = "carol@example.com (in the place of alice@example.com) approved on";
    assert!(page.body.contains(words), "{}", page.body);
    gate.approve(&asked, BOB).await;
    mail_to(&gate, ERIN).await;
    gate.approve(&asked, ERIN).await;
    let done = gate.status(&asked.id).await;
    assert_eq!(done.status, Status::Approved);
    let keys = gate.client.keys().await.unwrap();
    let claims = verify(&done.receipt.unwrap(), &keys).unwrap();
    assert_eq!((claims.approvals(), claims.approver.as_str()), (3, ERIN));
    assert_eq!(claims.handed_over.len(), 1);
    gate.client
        .claim(&asked.id, &crate::claim::claim("0123456789abcdef"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_place_moves_before_its_stage_opens_and_the_receiver_is_asked_when_it_does() {
    let settings = [&ON[..], &[("HO_POLICY", POLICY), LIST]].concat();
    let (gate, asked) = submit(&settings).await;
    let sessions = [ALICE, BOB, CAROL, ERIN].map(|person| {
        let number = person.bytes().map(u32::from).sum::<u32>();
        let id = format!("3c9e7a10-0000-4000-8000-{number:012}");
        SignIn::session(&member(person, &id))
    });
    let [alice, bob, carol, erin] = sessions.each_ref().map(|it| [("cookie", it.as_str())]);
    let page = visit(&gate, &format!("{}?forms=1", asked.id), &erin).await;
    assert!(!page.body.contains(CAN_APPROVE), "{}", page.body);
    let mut form = page.form_in("hand-over").expect("a form before the stage");
    for (name, value) in [
        ("decision", "hand-over"),
        ("hand_over", CAROL),
        ("reason", "Leave"),
    ] {
        form.push((name.to_owned(), value.to_owned()));
    }
    let answer = send(&gate, &asked.id, &erin, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    gate.sweep().await;
    assert!(gate.mails_to(CAROL).is_empty());
    let approve = async |session: &[(&str, &str)]| {
        let page = visit(&gate, &asked.id, session).await;
        let mut form = page.first_form();
        form.push(("decision".to_owned(), "approve".to_owned()));
        let answer = send(&gate, &asked.id, session, &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    };
    approve(&alice).await;
    approve(&bob).await;
    mail_to(&gate, CAROL).await;
    gate.sweep().await;
    assert!(gate.mails_to(ERIN).is_empty());
    let page = visit(&gate, &asked.id, &erin).await;
    let words = "You handed this over to carol@example.com";
    assert!(page.body.contains(words), "{}", page.body);
    assert!(!page.body.contains("<form"), "{}", page.body);
    approve(&carol).await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Approved);
}

#[tokio::test]
async fn a_place_of_the_escalation_moves_too() {
    let (gate, asked) = submit(&[("HO_POLICY", POLICY), LIST]).await;
    gate.pass(HOUR / 2);
    gate.sweep().await;
    hand_over(&gate, &asked, "lead@example.com", CAROL).await;
    mail_to(&gate, CAROL).await;
    gate.approve(&asked, CAROL).await;
    assert!(
        !page_of(&gate, &asked, "lead@example.com")
            .await
            .body
            .contains(CAN_APPROVE)
    );
    gate.approve(&asked, ALICE).await;
    let progress = gate.status(&asked.id).await.progress.unwrap();
    assert_eq!(progress.stage, 2);
}

#[tokio::test]
async fn the_receiver_of_a_place_of_the_escalation_is_not_told_of_it_when_it_is_due() {
    let settings = [&ON[..], &[("HO_POLICY", POLICY), LIST]].concat();
    let (gate, asked) = submit(&settings).await;
    gate.pass(HOUR / 2);
    let id = "3c9e7a10-0000-4000-8000-000000000001";
    let signed_in_at = gate.now().unix_seconds().to_string();
    let person = member("lead@example.com", id);
    let session = SignIn::session(&with_claim(person, "auth_time", Some(&signed_in_at)));
    let lead = [("cookie", session.as_str())];
    let page = visit(&gate, &format!("{}?forms=1", asked.id), &lead).await;
    let mut form = page.form_in("hand-over").expect("a form");
    for (name, value) in [
        ("decision", "hand-over"),
        ("hand_over", CAROL),
        ("reason", "Leave"),
    ] {
        form.push((name.to_owned(), value.to_owned()));
    }
    let answer = send(&gate, &asked.id, &lead, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let mail = mail_to(&gate, CAROL).await;
    assert!(!mail.text.contains("will be asked too"), "{}", mail.text);
    gate.sweep().await;
    assert_eq!(gate.mails_to(CAROL).len(), 1);
    for person in [ALICE, BOB] {
        let subjects = gate.mails_to(person).into_iter().map(|mail| mail.subject);
        let later: Vec<String> = subjects.filter(|it| !it.contains("[Approve?]")).collect();
        // It takes the place of the reminder.
        assert!(
            matches!(&*later, [one] if one.contains("[Escalated]")),
            "{later:?}"
        );
    }
}

#[tokio::test]
async fn of_a_receiver_and_the_substitute_of_the_absent_person_the_first_vote_counts() {
    let clock = TestGate::start().await;
    let absence = format!(
        "{POLICY}[[absence]]\nperson = \"alice@example.com\"\nfrom = {}\nuntil = {}\nsubstitute = \"dave@example.com\"\n",
        clock.now() - HOUR,
        clock.now() + HOUR
    );
    for first in [CAROL, DAVE] {
        let (gate, asked) = submit(&[("HO_POLICY", &absence), LIST]).await;
        hand_over(&gate, &asked, ALICE, CAROL).await;
        mail_to(&gate, CAROL).await;
        gate.approve(&asked, first).await;
        let second = if first == CAROL { DAVE } else { CAROL };
        assert!(
            !page_of(&gate, &asked, second)
                .await
                .body
                .contains(CAN_APPROVE)
        );
        assert!(
            form_of(&gate, &gate.question(&asked, second))
                .await
                .is_none()
        );
        let progress = gate.status(&asked.id).await.progress.unwrap();
        assert_eq!((progress.stage, progress.given), (1, 1));
    }
}

#[tokio::test]
async fn an_absent_person_receives_no_place_until_they_are_back() {
    let clock = TestGate::start().await;
    let until = clock.now() + HOUR / 2;
    let absence = format!(
        "{POLICY}[[absence]]\nperson = \"carol@example.com\"\nfrom = {}\nuntil = {until}\nsubstitute = \"dave@example.com\"\n",
        clock.now() - HOUR,
    );
    let (gate, asked) = submit(&[("HO_POLICY", &absence), LIST]).await;
    let offered = "<option value=\"carol@example.com\"";
    let page = page_of(&gate, &asked, ALICE).await;
    assert!(page.body.contains("<option value=\"dave@example.com\""));
    assert!(!page.body.contains(offered), "{}", page.body);
    // Asked for all the same, the page says until when.
    let alice = gate.question(&asked, ALICE);
    let fields = [
        ("hand_over", CAROL),
        ("reason", "I am on leave"),
        ("code", &alice.code),
    ];
    let refused = super::send(&gate, &alice, &fields).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let says = "Nothing was handed over: this person is absent until ";
    assert!(refused.body.contains(says), "{}", refused.body);
    gate.pass(HOUR / 2);
    let page = page_of(&gate, &asked, ALICE).await;
    assert!(page.body.contains(offered), "{}", page.body);
    hand_over(&gate, &asked, ALICE, CAROL).await;
}

#[tokio::test]
async fn a_new_member_of_the_group_receives_a_place_and_an_unlisted_person_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let gate = TestGate::at(dir, &[("HO_POLICY", POLICY)]).await;
    let asked = gate.client.submit(&payment()).await.unwrap();
    assert!(
        form_of(&gate, &gate.question(&asked, ALICE))
            .await
            .is_none()
    );
    // The gate restarts with a larger group.
    let larger = POLICY.replace(
        "\"bob@example.com\"]",
        "\"bob@example.com\", \"carol@example.com\"]",
    );
    let question = gate.question(&asked, ALICE);
    let TestGate { dir, .. } = gate;
    let gate = TestGate::at(dir, &[("HO_POLICY", &larger)]).await;
    let (_, path) = question.link.split_once("/api/").unwrap();
    let page = gate.get(&format!("{}/api/{path}", gate.url)).await;
    assert!(
        page.body.contains("<option value=\"carol@example.com\""),
        "{}",
        page.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gates_on_one_table_move_a_place_once() {
    let table = tables(azurite().port);
    let settings = [borrowed(&table), vec![("HO_POLICY", POLICY), LIST]].concat();
    let one = TestGate::with(&settings).await;
    let other = TestGate::with(&settings).await;
    let asked = one.client.submit(&payment()).await.unwrap();
    // Both givers name the same person at once, each at another gate.
    let [alice, bob] = [ALICE, BOB].map(|person| one.question(&asked, person));
    let fields = |code: &str| {
        let fields = [
            ("decision", "hand-over"),
            ("hand_over", CAROL),
            ("reason", "Leave"),
            ("code", code),
        ];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let send = async |gate: &TestGate, question: &Question| {
        let (_, path) = question.link.split_once("/api/").unwrap();
        let page = gate.get(&format!("{}/api/{path}", gate.url)).await;
        let mut form = page.form_in("hand-over").unwrap();
        form.extend(fields(&question.code));
        let form = form
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let url = format!("{}/api/decision/{}", gate.url, asked.id);
        gate.post_form(&url, form).await.status
    };
    let (first, second) = tokio::join!(send(&one, &alice), send(&other, &bob));
    let mut answers = [first.as_u16(), second.as_u16()];
    answers.sort_unstable();
    assert!(matches!(answers, [303, 409 | 422]), "{answers:?}");
    let giver = if first == StatusCode::SEE_OTHER {
        ALICE
    } else {
        BOB
    };
    let keeper = if giver == ALICE { BOB } else { ALICE };
    let carols = if giver == ALICE { &one } else { &other };
    mail_to(carols, CAROL).await;
    // Each gate shows it, and takes the vote.
    let status = other.status(&asked.id).await;
    assert_eq!(status.status, Status::Pending);
    carols.approve(&asked, CAROL).await;
    one.approve(&asked, keeper).await;
    let progress = other.status(&asked.id).await.progress.unwrap();
    assert_eq!((progress.stage, progress.given), (2, 0));
}

#[tokio::test]
async fn a_person_whom_the_policy_asks_no_more_is_offered_no_standing_grant() {
    let clock = TestGate::start().await;
    let absence = format!(
        "{}[[absence]]\nperson = \"bob@example.com\"\nfrom = {}\nuntil = {}\nsubstitute = \"dave@example.com\"\n",
        grants::POLICY,
        clock.now() - HOUR,
        clock.now() + HOUR / 2
    );
    let offers = async |gate: &TestGate, asked: &Approval, person: &str| {
        let page = page_of(gate, asked, person).await;
        assert!(page.body.contains(CAN_APPROVE), "{}", page.body);
        page.body.contains("name=\"grant\"")
    };
    let gate = TestGate::with(&[("HO_POLICY", &absence), LIST]).await;
    let asked = grants::submit(&gate).await;
    assert!(offers(&gate, &asked, ALICE).await);
    hand_over(&gate, &asked, ALICE, CAROL).await;
    mail_to(&gate, CAROL).await;
    assert!(!offers(&gate, &asked, CAROL).await);
    // Nor does a form that asks for one all the same give any: the approval is for this once.
    let answer = grants::approve_with_grant(&gate, &asked, CAROL, ["3600", "10"]).await;
    assert!(answer.body.contains("The standing grant was not given"));
    let asked = grants::submit(&gate).await;
    assert_eq!(asked.status, Status::Pending);
    assert!(offers(&gate, &asked, DAVE).await);
    gate.pass(HOUR / 2);
    assert!(!offers(&gate, &asked, DAVE).await);
    assert!(offers(&gate, &asked, ALICE).await);
}
