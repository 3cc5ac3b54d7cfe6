//! One person has one say, by whatever chain of spellings and object ids two addresses are theirs.

use human_oversight::policy::{Policy, Surroundings};
use human_oversight::values::AllowList;
use human_oversight_client::types::{Approval, NewApproval, Status};
use reqwest::StatusCode;

use crate::harness::{ALICE, BOB, TestGate, request, with_forms};
use crate::host::SignIn;
use crate::quorum::{CAROL, payment};
use crate::sign_in::{ON, member, visit};

/// Dave, by the spelling of an address that the list has.
const TAGGED: &str = "Dave+q@example.com";
/// Dave, by the object id that the list has for both.
const DAVID: &str = "david@example.com";
const ID: &str = "44444444-4444-4444-8444-444444444444";

const OTHERS: &str = "alice@example.com,bob@example.com,carol@example.com,dave+q@example.com";

fn list() -> String {
    format!("{OTHERS},dave@example.com={ID},{DAVID}={ID}")
}

/// Without object ids.
fn bare_list() -> String {
    format!("{OTHERS},dave@example.com,{DAVID}")
}

fn policy(first: &str, second: &str) -> String {
    format!(
        r#"
version = 1
[groups]
first = [{first}]
second = [{second}]
[[rule]]
id = "both"
effect = "require"
stages = [{{ from = "first" }}, {{ from = "second" }}]
"#
    )
}

fn for_dave(approver: &str) -> NewApproval {
    NewApproval {
        approver_emails: vec![approver.to_owned()],
        on_behalf_of: Some(TAGGED.to_owned()),
        ..request()
    }
}

/// Whether the page of an approver offers to hand their place over to a person.
async fn is_offered(gate: &TestGate, asked: &Approval, approver: &str, to: &str) -> bool {
    let link = gate.question(asked, approver).link;
    let page = gate.get(&with_forms(&link)).await;
    assert!(page.body.contains("<option value="), "{}", page.body);
    page.body.contains(&format!("<option value=\"{to}\""))
}

#[tokio::test]
async fn the_person_acted_for_is_named_by_no_address_of_theirs() {
    let by_policy = policy(
        &format!("\"dave@example.com={ID}\", \"alice@example.com\""),
        &format!("\"{DAVID}={ID}\", \"bob@example.com\""),
    );
    let by_policy = by_policy.replace("effect", "actions = [\"Pay *\"]\neffect");
    let (list, bare) = (list(), bare_list());
    for settings in [
        &[("HO_ALLOWED_APPROVERS", &*list)][..],
        &[("HO_ALLOWED_APPROVERS", &*bare), ("HO_POLICY", &by_policy)],
    ] {
        let gate = TestGate::with(settings).await;
        let refused = gate.client.submit(&for_dave(DAVID)).await.unwrap_err();
        let refused = refused.to_string();
        let says = "the person the agent acts for";
        assert!(refused.contains(says), "{refused}");
        let asked = gate.client.submit(&for_dave(ALICE)).await.unwrap();
        assert!(!is_offered(&gate, &asked, ALICE, DAVID).await);
        assert!(is_offered(&gate, &asked, ALICE, CAROL).await);
    }
}

#[tokio::test]
async fn the_person_acted_for_decides_by_no_address_of_theirs() {
    let (list, bare) = (list(), bare_list());
    let gate = TestGate::with(&[("HO_ALLOWED_APPROVERS", &bare)]).await;
    let asked = gate.client.submit(&for_dave(DAVID)).await.unwrap();
    let link = gate.question(&asked, DAVID).link;
    assert_eq!(gate.get(&link).await.status, StatusCode::OK);
    // By the list of today.
    let gate = TestGate::at(gate.dir, &[("HO_ALLOWED_APPROVERS", &list)]).await;
    let address = link.split_once("/api/").unwrap().1;
    let page = gate.get(&format!("{}/api/{address}", gate.url)).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.body);
    let settings = [&ON[..], &[("HO_ALLOWED_APPROVERS", &*list)]].concat();
    let gate = TestGate::at(gate.dir, &settings).await;
    for name in [DAVID, "dave@example.com", "d.new-name@example.com"] {
        let session = SignIn::session(&member(name, ID));
        let page = visit(&gate, &asked.id, &[("cookie", &session)]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{name}");
    }
}

#[tokio::test]
async fn who_has_voted_gets_no_second_place_and_has_no_second_vote() {
    let policy = policy(
        "\"dave+q@example.com\", \"alice@example.com\"",
        &format!("\"{DAVID}\", \"bob@example.com\""),
    );
    let (list, bare) = (list(), bare_list());
    let settings = [("HO_POLICY", &*policy), ("HO_ALLOWED_APPROVERS", &bare)];
    let gate = TestGate::with(&settings).await;
    let asked = gate.client.submit(&payment(60)).await.unwrap();
    gate.approve(&asked, "dave+q@example.com").await;
    gate.sweep().await;
    let settings = [("HO_POLICY", &*policy), ("HO_ALLOWED_APPROVERS", &list)];
    let gate = TestGate::at(gate.dir, &settings).await;
    assert!(!is_offered(&gate, &asked, BOB, "dave@example.com").await);
    assert!(is_offered(&gate, &asked, BOB, CAROL).await);
    let david = gate.question(&asked, DAVID);
    let form = [("decision", "approve"), ("code", &*david.code)];
    gate.decide(&david, &form).await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Pending);
    gate.approve(&asked, BOB).await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Approved);
}

#[test]
fn a_quorum_takes_as_many_people_whichever_entries_say_who_they_are() {
    let faults = |list: &str, text: &str| {
        let surroundings = Surroundings {
            allowed: AllowList::parse(list).unwrap(),
            sign_in_configured: true,
            names_bound: true,
            development: false,
        };
        let faults = Policy::parse(text, &surroundings).err().unwrap_or_default();
        let faults = faults.iter().map(ToString::to_string);
        faults.collect::<Vec<_>>()
    };
    let (tagged, david) = ("\"dave+q@example.com\"", format!("\"{DAVID}\""));
    let alone = policy(tagged, &david);
    let found = faults(&list(), &alone);
    assert!(found[0].contains("can never be met"), "{found:?}");
    assert_eq!(faults(&bare_list(), &alone), [""; 0]);
    let one_group = policy(&format!("{tagged}, {david}"), "\"bob@example.com\"");
    let found = faults(&list(), &one_group);
    let says = "item 2 of group `first` is the same person as an earlier item";
    assert!(found[0].contains(says), "{found:?}");
    // The policy gives the object ids below, where they are no earlier.
    let known = format!(
        "{one_group}[[absence]]\nperson = \"dave@example.com={ID}\"\nsubstitute = \"{DAVID}={ID}\"\n\
         from = 2026-12-24\nuntil = 2026-12-25\n"
    );
    let found = faults(&bare_list(), &known);
    for says in [says, "has the same person as `person` and as `substitute`"] {
        let mut lines = found.iter();
        assert!(lines.any(|it| it.contains(says)), "{says}: {found:?}");
    }
    // A shared address is no proof that its holders are one person, nor that it is one of them.
    let shared = format!(
        "{},team@example.com={ID},team@example.com=5{}",
        list(),
        &ID[1..]
    );
    let team = policy(
        &format!("\"team@example.com\", {david}"),
        "\"bob@example.com\"",
    );
    assert_eq!(faults(&shared, &team), [""; 0]);
}
