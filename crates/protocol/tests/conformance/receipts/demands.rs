//! Receipts of a policy, held against what a resource demands of its own.

use human_oversight_protocol::parameters::hex;
use human_oversight_protocol::receipt::{Ask, Assurance, Claims, Decision, Policy, Vote};
use serde::{Deserialize, Serialize};

use super::case::{Case, DECIDED_AT, LAPSES_AT, case, claims, sign};

const ONE_ID: &str = "11111111-2222-3333-4444-555555555555";
const OTHER_ID: &str = "66666666-7777-8888-9999-000000000000";

/// A case with the people and the rules that the resource demands.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DemandCase {
    #[serde(flatten)]
    pub(super) case: Case,
    pub(super) at_least: usize,
    pub(super) rules: Vec<String>,
}

fn demanding(
    name: &str,
    claims: &Claims,
    (at_least, rules): (usize, &[&str]),
    result: &str,
) -> DemandCase {
    DemandCase {
        case: case(name, sign(claims), result),
        at_least,
        rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
    }
}

fn vote(approver: &str, object_id: Option<&str>, decision: Decision) -> Vote {
    Vote {
        approver: approver.to_owned(),
        assurance: object_id.map_or(Assurance::Link, |_| Assurance::Entra),
        approver_object_id: object_id.map(str::to_owned),
        auth_time: None,
        auth_context: None,
        decision,
        at: DECIDED_AT,
        stage: 1,
        from: "finance".to_owned(),
    }
}

/// An approval by these votes, of which two were needed.
fn approved_by(votes: &[Vote]) -> Claims {
    Claims {
        approver: votes.last().unwrap().approver.clone(),
        votes: votes.to_vec(),
        policy: Some(Policy {
            digest: hex(&[9; 32]),
            rules: vec!["refunds".to_owned(), "large-refunds".to_owned()],
            stages: vec![vec![Ask {
                from: "finance".to_owned(),
                needed: 2,
            }]],
        }),
        ..claims()
    }
}

pub(super) fn cases() -> Vec<DemandCase> {
    let approve = |approver, id| vote(approver, id, Decision::Approved);
    let (alice, bob) = ("alice@example.com", "bob@example.com");
    let [one, two] = [approve(alice, None), approve(bob, None)];
    let by_two = approved_by(&[one.clone(), two.clone()]);
    let revoked = vote(alice, None, Decision::Rejected);
    let by_policy = Claims {
        approver: "policy:small-refunds@09090909".to_owned(),
        assurance: Assurance::Policy,
        votes: Vec::new(),
        policy: Some(Policy {
            rules: vec!["small-refunds".to_owned()],
            stages: Vec::new(),
            ..by_two.policy.clone().unwrap()
        }),
        ..claims()
    };
    let rejected = Claims {
        decision: Decision::Rejected,
        exp: None,
        ..by_two.clone()
    };
    let late = |case: DemandCase| DemandCase {
        case: Case {
            now: LAPSES_AT,
            ..case.case
        },
        ..case
    };
    let same_person = [
        approve(alice, Some(ONE_ID)),
        approve("a.smith@example.com", Some(ONE_ID)),
    ];
    let two_ids = [approve(alice, Some(ONE_ID)), approve(bob, Some(OTHER_ID))];
    let other_case = [one.clone(), approve("Alice@Example.com", None)];
    let tags = [one.clone(), approve("Alice+erp@example.com", None)];
    let tag_taken_back = vote("alice+erp@example.com", None, Decision::Rejected);
    let two_people = (2, &[][..]);
    vec![
        demanding("no demand", &claims(), (0, &[]), "permitted"),
        demanding("one person of one", &claims(), (1, &[]), "permitted"),
        demanding("two people of one", &claims(), two_people, "too-few-people"),
        demanding("two people of two", &by_two, two_people, "permitted"),
        demanding("three people of two", &by_two, (3, &[]), "too-few-people"),
        demanding(
            "two people with ids",
            &approved_by(&two_ids),
            two_people,
            "permitted",
        ),
        demanding(
            "one id with two addresses",
            &approved_by(&same_person),
            two_people,
            "too-few-people",
        ),
        demanding(
            "one address in two cases",
            &approved_by(&other_case),
            two_people,
            "too-few-people",
        ),
        demanding(
            "one address with two tags",
            &approved_by(&tags),
            two_people,
            "too-few-people",
        ),
        demanding(
            "a vote that is revoked from an address with a tag",
            &approved_by(&[one.clone(), tag_taken_back, two.clone()]),
            two_people,
            "too-few-people",
        ),
        demanding(
            "a revoked vote",
            &approved_by(&[one, revoked, two]),
            two_people,
            "too-few-people",
        ),
        demanding(
            "a person, of the policy",
            &by_policy,
            (1, &[]),
            "too-few-people",
        ),
        demanding(
            "no person, of the policy",
            &by_policy,
            (0, &["small-refunds"]),
            "permitted",
        ),
        demanding("a rule", &by_two, (0, &["large-refunds"]), "permitted"),
        demanding(
            "two rules and two people",
            &by_two,
            (2, &["refunds", "large-refunds"]),
            "permitted",
        ),
        demanding("another rule", &by_two, (0, &["payments"]), "other-rule"),
        demanding(
            "a rule and another one",
            &by_two,
            (2, &["refunds", "payments"]),
            "other-rule",
        ),
        demanding(
            "a part of a rule's id",
            &by_two,
            (0, &["refund"]),
            "other-rule",
        ),
        demanding(
            "a rule, without a policy",
            &claims(),
            (0, &["refunds"]),
            "other-rule",
        ),
        demanding(
            "a rejection that meets them",
            &rejected,
            two_people,
            "rejected",
        ),
        late(demanding(
            "a lapsed approval that meets them",
            &by_two,
            two_people,
            "lapsed",
        )),
    ]
}
