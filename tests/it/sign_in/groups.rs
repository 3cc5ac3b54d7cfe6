//! Groups and app roles of the directory: the pattern counts at submit and claim, the membership at the decision.

use human_oversight_client::types::{Approval, Status};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ALICE_ID, ON, alice, approving, member, send, visit, visit_and_approve, with_claim};
use crate::claim::{NONCE, claim, status_of};
use crate::harness::{ALICE, BOB, TestGate, request};
use crate::host::SignIn;

const GROUP: &str = "5e0f1c62-5d3e-4b7a-9c10-2f6e0d8b7a31";
const OTHER: &str = "5e0f1c62-5d3e-4b7a-9c10-2f6e0d8b7a32";

const BOB_ID: &str = "3c9e7a10-0000-4000-8000-000000000b0b";

const NOT_IN: &str = "says that you are not one of them";
const UNKNOWN: &str = "not say whether you are one of them";

/// Alice with these claims.
fn with(claims: &[(&str, &str)]) -> Value {
    let mut person = alice();
    for (typ, val) in claims {
        let claim = json!({"typ": typ, "val": val});
        person["claims"].as_array_mut().unwrap().push(claim);
    }
    person
}

async fn gate_with(list: &str) -> TestGate {
    TestGate::with(&[&ON[..], &[("HO_ALLOWED_APPROVERS", list)]].concat()).await
}

async fn for_alice(gate: &TestGate) -> Approval {
    let mut new = request();
    new.approver_emails = vec![ALICE.to_owned()];
    gate.client.submit(&new).await.unwrap()
}

/// Asserts that this person cannot decide, and what the page says; a form from a page that Alice could decide on, too.
async fn assert_refused(gate: &TestGate, approval: &Approval, (person, words): (Value, &str)) {
    let before = gate.entity(&approval.id).await;
    let session = SignIn::session(&person);
    let page = visit(gate, &approval.id, &[("cookie", &session)]).await;
    assert!(page.body.contains(words), "{person}: {}", page.body);
    assert!(!page.body.contains("<form"), "{person}: {}", page.body);
    let all = with(&[("groups", GROUP), ("roles", "Approver")]);
    let may = SignIn::session(&all);
    let form = approving(&visit(gate, &approval.id, &[("cookie", &may)]).await);
    let sent = send(gate, &approval.id, &[("cookie", &session)], &form).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    assert_eq!(gate.entity(&approval.id).await, before, "{person}");
}

async fn approve(gate: &TestGate, approval: &Approval, person: &Value) {
    let session = SignIn::session(person);
    let page = visit(gate, &approval.id, &[("cookie", &session)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let form = approving(&page);
    send(gate, &approval.id, &[("cookie", &session)], &form).await;
    let decided = gate.status(&approval.id).await.status;
    assert_eq!(decided, Status::Approved, "{person}");
}

#[tokio::test]
async fn a_pattern_with_a_group_takes_the_membership_at_the_decision() {
    let gate = gate_with(&format!("*@example.com=group:{GROUP}")).await;
    let approval = for_alice(&gate).await;
    let more = [("groups", OTHER), ("_claim_names", "{\"groups\":\"src1\"}")];
    for refused in [
        (alice(), UNKNOWN),
        (with(&[("groups", "Approvers")]), UNKNOWN),
        (with(&[("roles", GROUP)]), UNKNOWN),
        (with(&[("hasgroups", "true")]), UNKNOWN),
        (with(&more), UNKNOWN),
        (with(&[("groups", OTHER)]), NOT_IN),
        (with(&[("groups", OTHER), ("group", GROUP)]), NOT_IN),
    ] {
        assert_refused(&gate, &approval, refused).await;
    }
    // Fresh or not: the group comes first.
    let old = with_claim(with(&[("groups", OTHER)]), "auth_time", Some("1"));
    assert_refused(&gate, &approval, (old, NOT_IN)).await;
    let both = [("groups", OTHER), ("groups", &GROUP.to_uppercase())];
    approve(&gate, &approval, &with(&both)).await;
    // At the claim the pattern counts alone.
    let claimed = gate.client.claim(&approval.id, &claim(NONCE)).await;
    assert!(claimed.is_ok(), "{claimed:?}");
}

/// The place of someone of whom a role is demanded goes to someone of whom one is, also from who substitutes them.
#[tokio::test]
async fn a_place_that_takes_a_role_is_handed_over_to_people_who_need_one() {
    const OWN: &str = r#"security = ["alice@example.com=role:Security"]"#;
    const SUBSTITUTED: &str = r#"security = ["erin@example.com=role:Security"]
[[absence]]
person = "erin@example.com"
from = 2020-01-01
until = 2100-01-01
substitute = "alice@example.com"
"#;
    for members in [OWN, SUBSTITUTED] {
        assert_is_handed_over_to_bob_alone(members).await;
    }
}

async fn assert_is_handed_over_to_bob_alone(members: &str) {
    let policy = format!(
        r#"
version = 1
[[rule]]
id = "all"
effect = "require"
stages = [{{ from = "security" }}]
[groups]
auditors = ["bob@example.com=role:Security"]
{members}
"#
    );
    let people = format!("{ALICE},{BOB},carol@example.com,erin@example.com");
    let more = [("HO_POLICY", &*policy), ("HO_ALLOWED_APPROVERS", &*people)];
    let gate = TestGate::with(&[&ON[..], &more].concat()).await;
    let mut new = request();
    new.approver_emails.clear();
    let approval = gate.client.submit(&new).await.unwrap();
    let session = SignIn::session(&with(&[("roles", "Security")]));
    let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
    let (_, hand_over) = page.body.split_once("id=\"hand-over\"").unwrap();
    assert!(hand_over.contains(BOB), "{hand_over}");
    assert!(!hand_over.contains("carol@example.com"), "{hand_over}");
}

#[tokio::test]
async fn a_pattern_with_a_role_takes_the_role() {
    let gate = gate_with("*@example.com=role:Approver").await;
    let approval = for_alice(&gate).await;
    for refused in [
        (alice(), UNKNOWN),
        (with(&[("groups", GROUP)]), UNKNOWN),
        (with(&[("roles", "approver")]), NOT_IN),
        (with(&[("roles", "Agent.Ask")]), NOT_IN),
    ] {
        assert_refused(&gate, &approval, refused).await;
    }
    approve(
        &gate,
        &approval,
        &with(&[("roles", "Reader"), ("roles", "Approver")]),
    )
    .await;
}

#[tokio::test]
async fn one_of_several_groups_is_enough_and_a_listed_address_needs_none() {
    let list = format!("*@example.com=role:Approver,*@example.com=group:{GROUP},{BOB}");
    let gate = gate_with(&list).await;
    for claim in [("groups", GROUP), ("roles", "Approver")] {
        let approval = for_alice(&gate).await;
        approve(&gate, &approval, &with(&[claim])).await;
    }
    let approval = for_alice(&gate).await;
    let neither = with(&[("groups", OTHER), ("roles", "Reader")]);
    assert_refused(&gate, &approval, (neither, NOT_IN)).await;
    let approval = gate.ask().await;
    approve(
        &gate,
        &approval,
        &member(BOB, "3c9e7a10-0000-4000-8000-000000000b0b"),
    )
    .await;
}

#[tokio::test]
async fn where_links_decide_too_a_group_takes_sign_in() {
    let settings = |list| {
        [
            ("HO_REQUIRE_ENTRA_FOR", "Never *"),
            ON[1],
            ON[2],
            ("HO_ALLOWED_APPROVERS", list),
        ]
    };
    let group = format!("*@example.com=group:{GROUP},{BOB}");
    // Alice approves by link while the list has no group.
    let gate = TestGate::with(&settings("alice@example.com,bob@example.com")).await;
    let by_link = gate.ask().await;
    let pending = gate.ask().await;
    let question = gate.question(&pending, ALICE);
    gate.approve(&by_link, ALICE).await;

    let gate = TestGate::at(gate.dir, &settings(&group)).await;
    let refused = gate.client.claim(&by_link.id, &claim(NONCE)).await;
    assert_eq!(status_of(refused), 409);
    let (_, link) = question.link.split_once("/api/decision/").unwrap();
    let opened = visit(&gate, link, &[]).await;
    assert_eq!(opened.status, StatusCode::FORBIDDEN, "{}", opened.body);
    let approval = gate.ask().await;
    let emails = gate.mails();
    let text_to = |person: &str| {
        let mut sent = emails.iter();
        let sent = sent.find(|it| it.to == person && it.text.contains(&approval.id));
        sent.unwrap().text.clone()
    };
    assert!(!text_to(ALICE).contains("code") && text_to(BOB).contains("code"));
    gate.approve(&approval, BOB).await;
    // Another domain is refused at submit.
    let mut new = request();
    new.approver_emails = vec!["alice@example.org".to_owned()];
    assert!(gate.client.submit(&new).await.is_err());
}

#[tokio::test]
async fn a_member_of_a_policys_group_can_have_a_group_or_role() {
    let policy = format!(
        r#"
version = 1
[groups]
security = ["alice@example.com=group:{GROUP}", "bob@example.com=role:Approver"]
[[rule]]
id = "both"
effect = "require"
stages = [{{ from = "security", approvals = 2 }}]
"#
    );
    let settings = [&ON[..], &[("HO_POLICY", policy.as_str())]].concat();
    let gate = TestGate::with(&settings).await;
    let approval = gate.ask().await;
    assert_refused(&gate, &approval, (with(&[("roles", "Approver")]), UNKNOWN)).await;
    assert_refused(&gate, &approval, (with(&[("groups", OTHER)]), NOT_IN)).await;
    let session = SignIn::session(&with(&[("groups", GROUP)]));
    visit_and_approve(&gate, &approval.id, &[("cookie", &session)]).await;
    let given = gate.status(&approval.id).await.progress.unwrap().given;
    assert_eq!(given, 1);
    let mut bob = member(BOB, "3c9e7a10-0000-4000-8000-000000000b0b");
    let role = json!({"typ": "roles", "val": "Approver"});
    bob["claims"].as_array_mut().unwrap().push(role);
    approve(&gate, &approval, &bob).await;
}

#[tokio::test]
async fn a_member_with_an_object_id_in_the_policy_is_that_person_alone() {
    let policy = format!(
        r#"
version = 1
[groups]
security = ["alice@example.com={ALICE_ID}"]
[[rule]]
id = "one"
effect = "require"
stages = [{{ from = "security" }}]
[[absence]]
person = "alice@example.com"
substitute = "bob@example.com={BOB_ID}"
from = 2020-01-01
until = 2120-01-01
"#
    );
    let settings = [&ON[..], &[("HO_POLICY", policy.as_str())]].concat();
    let gate = TestGate::with(&settings).await;
    for (name, id, renamed) in [
        (ALICE, ALICE_ID, "alice.smith@example.com"),
        (BOB, BOB_ID, "bob.jones@example.com"),
    ] {
        let approval = gate.ask().await;
        // Someone else has been given the name.
        let session = SignIn::session(&member(name, OTHER));
        let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{name}: {}", page.body);
        let person = member(renamed, id);
        let session = SignIn::session(&person);
        let list = gate.http.get(format!("{}/api/requests", gate.url));
        let list = list.header("cookie", &session).send().await.unwrap();
        let listed = list.text().await.unwrap();
        assert!(listed.contains(&approval.id), "{name}: {listed}");
        approve(&gate, &approval, &person).await;
    }
}

#[tokio::test]
async fn a_person_outside_the_group_sees_no_withheld_values() {
    let gate = gate_with(&format!("*@example.com=group:{GROUP}")).await;
    let mut new = request();
    new.approver_emails = vec![ALICE.to_owned()];
    new.parameters
        .insert("password".to_owned(), json!("hunter22hunter22"));
    let approval = gate.client.submit(&new).await.unwrap();
    for (person, sees) in [(with(&[("groups", GROUP)]), true), (alice(), false)] {
        let session = SignIn::session(&person);
        let page = visit(&gate, &approval.id, &[("cookie", &session)]).await;
        assert_eq!(page.body.contains("hunter22hunter22"), sees, "{person}");
        assert!(page.body.contains(" withheld."), "{person}");
        // A link to them leads to something.
        let leads = page.body.contains("id=\"hidden-values\"");
        assert!(leads || !page.body.contains("#hidden-values"), "{person}");
    }
}

#[test]
fn a_group_without_sign_in_or_beside_its_whole_domain_does_not_start() {
    let on = [ON[0], ON[1], ("WEBSITE_AUTH_ENABLED", "True")];
    for (settings, list, says) in [
        (&[][..], "*@example.com=role:Approver", "takes sign-in"),
        (&on[..], "*@example.com=role:Approver,*@EXAMPLE.com", "void"),
        (&on[..], "*@example.com=role:an approver", "role:NAME"),
    ] {
        let errors = human_oversight::config::Config::read(|name| {
            let mut all = settings.iter().chain([
                &("HO_LOCAL", "1"),
                &("FUNCTIONS_CUSTOMHANDLER_PORT", "1"),
                &("HO_SWEEP_SCHEDULE", "0 * * * * *"),
            ]);
            let found = all.find(|(n, _)| *n == name).map(|(_, value)| *value);
            let found = found.or_else(|| (name == "HO_ALLOWED_APPROVERS").then_some(list));
            found.map(str::to_owned)
        });
        let errors = errors.unwrap_err().to_string();
        assert!(errors.contains(says), "{list}: {errors}");
    }
}
