//! Standing grants: an approver allows an agent exactly the same again, until a time and a number of times.

mod claims;
mod ends;
mod signed_in;
mod uses;

use std::time::Duration;

use futures_util::future::join_all;
use human_oversight::keys::keyring;
use human_oversight::store::StandingKind;
use human_oversight_client::receipt::{Assurance, verify};
use human_oversight_client::types::{Approval, Claim, Decider, NewApproval, Status};
use human_oversight_client::{Client, Error, Outcome};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, Page, TestGate, object, request, with_forms};
use crate::host::OTHER_KEY;
use crate::operate::operate;
use crate::process::{Process, decide, run};
use crate::proxy::{Fault, Proxy};

/// Restarts need one of the operators, who may allow the same again for 8 hours.
pub(crate) const POLICY: &str = r#"
version = 1

[groups]
operators = ["alice@example.com", "bob@example.com"]

[[rule]]
id = "restarts"
actions = ["Restart *"]
effect = "require"
stages = [{ from = "operators" }]
grants = "8h"
"#;

const NONCE: &str = "0123456789abcdef";

async fn gate_with(policy: &str) -> TestGate {
    TestGate::with(&[("HO_POLICY", policy)]).await
}

pub(crate) fn restart() -> NewApproval {
    NewApproval {
        action_description: "Restart a service".to_owned(),
        parameters: object(json!({"service": "billing", "zone": 1})),
        approver_emails: Vec::new(),
        ..request()
    }
}

pub(crate) async fn submit(gate: &TestGate) -> Approval {
    gate.client.submit(&restart()).await.unwrap()
}

/// Approves a request as this person, with a standing grant of this many seconds and uses.
pub(crate) async fn approve_with_grant(
    gate: &TestGate,
    asked: &Approval,
    giver: &str,
    [seconds, uses]: [&str; 2],
) -> Page {
    let question = gate.question(asked, giver);
    let form = [
        ("decision", "approve"),
        ("code", question.code.as_str()),
        ("grant", seconds),
        ("uses", uses),
    ];
    gate.decide(&question, &form).await
}

/// Submits a request, and approves it with a grant of an hour.
pub(crate) async fn given(gate: &TestGate, uses: &str) -> Approval {
    let asked = submit(gate).await;
    assert_eq!(asked.status, Status::Pending);
    let answer = approve_with_grant(gate, &asked, ALICE, ["3600", uses]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let page = page_of(gate, &asked).await;
    assert!(
        page.contains("You also allow this agent exactly the same"),
        "{page}"
    );
    // Beside the state, at the top, too.
    let (_, status) = page.split_once("role=\"status\"").unwrap();
    let (status, _) = status.split_once("</div>").unwrap();
    assert!(status.contains("You also gave a <a href=\"#grant\">standing grant</a>."));
    asked
}

/// Waits until the giver's notice is queued: the row of a new grant is written once more then.
async fn until_settled(gate: &TestGate) {
    let look = async || {
        let rows = gate.store.standing_of(StandingKind::Grant).await.unwrap();
        let outbox = &rows[0].columns["Outbox"];
        outbox.contains("\"concernsGiver\":false").then_some(())
    };
    eventually(look).await;
}

/// The page of a request for the approver who decides it.
async fn page_of(gate: &TestGate, asked: &Approval) -> String {
    let page = gate.get(&gate.question(asked, ALICE).link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.body
}

/// Asserts that the next request asks people.
async fn assert_asks(gate: &TestGate) {
    assert_eq!(submit(gate).await.status, Status::Pending);
}

pub(crate) async fn assert_approves(gate: &TestGate) -> Approval {
    let approval = submit(gate).await;
    assert_eq!(
        (approval.status, approval.decider),
        (Status::Approved, Some(Decider::Grant))
    );
    approval
}

#[tokio::test]
async fn a_grant_approves_exactly_the_same_with_a_receipt_that_names_it() {
    let gate = gate_with(POLICY).await;
    let asked = given(&gate, "3").await;
    let mails = gate.mails().len();
    let used = assert_approves(&gate).await;
    assert_ne!(used.id, asked.id);
    assert_eq!((&used.approver, &used.comment), (&None, &None));
    assert_eq!(used.notifications, []);
    assert_eq!(used.policy.as_ref().unwrap().rules, ["restarts"]);
    let keys = gate.client.keys().await.unwrap();
    let claims = verify(used.receipt.as_ref().unwrap(), &keys).unwrap();
    assert_eq!(claims.assurance, Assurance::Grant);
    assert!(claims.approver.starts_with("grant:"), "{}", claims.approver);
    assert_eq!(
        (claims.approvals(), claims.applied_rule("restarts")),
        (0, true)
    );
    let row = gate.entity(&used.id).await;
    assert_eq!(
        (&row["Approver"], &row["Decider"]),
        (&Value::Null, &json!(claims.approver))
    );
    let grant: Value = serde_json::from_str(row["Grant"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&grant["by"], &grant["givenWith"]),
        (&json!(ALICE), &json!(asked.id))
    );
    // The record of a grant is no receipt.
    assert!(verify(grant["proof"].as_str().unwrap(), &keys).is_err());
    let body = Claim {
        nonce: NONCE.to_owned(),
        secret: None,
    };
    gate.client.claim(&used.id, &body).await.unwrap();
    assert_eq!(gate.mails().len(), mails, "a use sends no email");

    // Anything else asks people, and takes no use.
    let others = [
        NewApproval {
            action_description: "Restart a service.".to_owned(),
            ..restart()
        },
        NewApproval {
            parameters: object(json!({"service": "billing", "zone": "1"})),
            ..restart()
        },
        NewApproval {
            parameters: object(json!({"service": "Billing", "zone": 1})),
            ..restart()
        },
        NewApproval {
            agent_name: "OtherAgent".to_owned(),
            ..restart()
        },
        NewApproval {
            on_behalf_of: Some("carol@example.com".to_owned()),
            ..restart()
        },
    ];
    for other in &others {
        let asked = gate.client.submit(other).await.unwrap();
        assert_eq!(asked.status, Status::Pending, "{other:?}");
    }
    let stranger = Client::new(&gate.url, Some(OTHER_KEY)).unwrap();
    assert_eq!(
        stranger.submit(&restart()).await.unwrap().status,
        Status::Pending
    );

    // A repeat is the same request, and takes no use.
    let named = NewApproval {
        correlation_id: Some("named".to_owned()),
        ..restart()
    };
    let second = gate.client.submit(&named).await.unwrap();
    for _ in 0..3 {
        let again = gate.client.submit(&named).await.unwrap();
        assert_eq!(
            (again.status, again.id),
            (Status::Approved, second.id.clone())
        );
    }
    assert_approves(&gate).await;
    assert_asks(&gate).await;
    assert!(
        page_of(&gate, &asked)
            .await
            .contains("is used up. It has approved 3 requests.")
    );
}

#[tokio::test]
async fn a_grant_beyond_what_the_rule_allows_is_refused_and_never_cut() {
    let gate = gate_with(POLICY).await;
    let asked = submit(&gate).await;
    for (seconds, uses) in [
        ("28801", "10"),
        ("3600", "0"),
        ("3600", "1001"),
        ("31536000", "1"),
    ] {
        let refused = approve_with_grant(&gate, &asked, ALICE, [seconds, uses]).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            refused.body
        );
        assert!(
            refused
                .body
                .contains("Nothing was recorded: the policy allows no such"),
            "{}",
            refused.body
        );
    }
    for (seconds, uses) in [
        ("an hour", "1"),
        ("-1", "1"),
        ("3600", "1.5"),
        ("4294967296", "1"),
    ] {
        let refused = approve_with_grant(&gate, &asked, ALICE, [seconds, uses]).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            refused.body
        );
    }
    assert_eq!(gate.status(&asked.id).await.status, Status::Pending);
    // The longest of the rule, and the most uses, are not beyond it.
    let answer = approve_with_grant(&gate, &asked, ALICE, ["28800", "1000"]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_approves(&gate).await;
    gate.pass(Duration::from_secs(28_800));
    assert_asks(&gate).await;
}

#[tokio::test]
async fn a_grant_is_offered_only_where_a_rule_allows_it_and_one_vote_decides() {
    let gate = gate_with(POLICY).await;
    let asked = submit(&gate).await;
    let page = page_of(&gate, &asked).await;
    for words in [
        "name=\"grant\"",
        ">15 minutes<",
        ">1 hour<",
        ">8 hours<",
        "name=\"uses\" inputmode=\"numeric\" value=\"10\">",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let also = POLICY.to_owned()
        + "[[rule]]\nid = \"zones\"\neffect = \"require\"\nwhen = [{ parameter = \"/zone\", is = 1 }]\n";
    let one = "stages = [{ from = \"operators\" }]\n";
    for (more, offered) in [
        (format!("{one}grants = \"2h\"\n"), true),
        (one.to_owned(), false),
        (
            "stages = [{ from = \"operators\", approvals = 2 }]\n".to_owned(),
            false,
        ),
    ] {
        let gate = gate_with(&format!("{also}{more}")).await;
        let asked = submit(&gate).await;
        let page = page_of(&gate, &asked).await;
        assert_eq!(page.contains("name=\"grant\""), offered, "{more}: {page}");
        assert_eq!(page.contains(">2 hours<"), offered, "{more}: {page}");
        let answer = approve_with_grant(&gate, &asked, ALICE, ["3600", "1"]).await;
        let refused = answer
            .body
            .contains("the policy allows no such standing grant");
        assert_eq!(refused, !offered, "{more}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_grant_lasts_until_its_end_and_no_claim_of_a_use_is_later() {
    let gate = gate_with(POLICY).await;
    given(&gate, "10").await;
    gate.pass(Duration::from_secs(3_560));
    let late = assert_approves(&gate).await;
    gate.pass(Duration::from_secs(45));
    assert_asks(&gate).await;
    let body = Claim {
        nonce: NONCE.to_owned(),
        secret: None,
    };
    let lapsed = gate.client.claim(&late.id, &body).await;
    assert!(matches!(lapsed, Err(Error::Problem(_))), "{lapsed:?}");
}

#[tokio::test]
async fn sixty_four_uses_at_once_of_a_grant_with_10_left_run_exactly_10() {
    let tables = backing_store::tables(azurite().port);
    let mut settings = backing_store::borrowed(&tables);
    settings.push(("HO_POLICY", POLICY));
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    for settings in [
        settings,
        vec![("HO_POLICY", POLICY), ("HO_STORE", store.as_str())],
    ] {
        let gates = [
            TestGate::with(&settings).await,
            TestGate::with(&settings).await,
        ];
        given(&gates[0], "10").await;
        let uses = (0..64).map(|number| {
            let client = gates[number % 2].client.clone();
            async move { client.submit(&restart()).await.unwrap().status }
        });
        let approved = join_all(uses)
            .await
            .into_iter()
            .filter(|it| *it == Status::Approved);
        assert_eq!(approved.count(), 10);
        let grant = &list(&gates[0]).await[0];
        assert_eq!(
            (&grant["used"], &grant["state"]),
            (&json!(10), &json!("used up"))
        );
    }
}

/// Ends the grant by the form on the page of the request with which it was given.
pub(crate) async fn end_by_form(gate: &TestGate, asked: &Approval, code: Option<&str>) -> Page {
    let question = gate.question(asked, ALICE);
    let page = gate.get(&with_forms(&question.link)).await;
    let (_, card) = page
        .body
        .split_once("id=\"grant\"")
        .expect("the page has the grant");
    let card = Page {
        body: card.to_owned(),
        ..page
    };
    let code = code.unwrap_or(&question.code);
    gate.send_form(&card, &[("decision", "grant-revoke"), ("code", code)])
        .await
}

pub(crate) async fn list(gate: &TestGate) -> Vec<Value> {
    let listed = operate(gate, json!({"command": "grants"})).await;
    listed["grants"].as_array().unwrap().clone()
}

#[tokio::test]
async fn its_giver_ends_a_grant_with_the_code() {
    let gate = gate_with(POLICY).await;
    let asked = given(&gate, "10").await;
    assert_approves(&gate).await;
    let refused = end_by_form(&gate, &asked, Some("000000")).await;
    assert!(
        refused.body.contains("Wrong code. You have 4 tries left."),
        "{}",
        refused.body
    );
    assert_approves(&gate).await;
    let ended = end_by_form(&gate, &asked, None).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER, "{}", ended.body);
    assert_asks(&gate).await;
    let page = page_of(&gate, &asked).await;
    assert!(
        page.contains("You ended the standing grant that you gave"),
        "{page}"
    );
    assert!(page.contains("It has approved 2 requests."), "{page}");
    assert!(!page.contains("grant-revoke"), "{page}");
    // Another approver's page does not have it.
    let bob = gate.get(&gate.question(&asked, BOB).link).await;
    assert!(!bob.body.contains("standing grant"), "{}", bob.body);
}

#[tokio::test]
async fn the_operator_lists_grants_and_ends_one() {
    let gate = gate_with(POLICY).await;
    let asked = given(&gate, "10").await;
    let used = assert_approves(&gate).await;
    let listed = list(&gate).await;
    assert_eq!(listed.len(), 1);
    let grant = &listed[0];
    for (name, value) in [
        ("agentName", json!(asked.agent_name)),
        ("actionDescription", json!("Restart a service")),
        ("approval", json!(asked.id)),
        ("approver", json!(ALICE)),
        ("uses", json!(10)),
        ("used", json!(1)),
        ("state", json!("active")),
    ] {
        assert_eq!(grant[name], value, "{grant}");
    }
    let revoke = json!({"command": "revoke-grant", "id": grant["id"]});
    assert_eq!(operate(&gate, revoke.clone()).await["done"], true);
    assert_eq!(operate(&gate, revoke).await["done"], false);
    assert_eq!(list(&gate).await[0]["state"], "operator");
    assert_asks(&gate).await;
    // A use is revoked as any approval, until it is claimed.
    operate(&gate, json!({"command": "revoke", "id": used.id})).await;
    let body = Claim {
        nonce: NONCE.to_owned(),
        secret: None,
    };
    assert!(gate.client.claim(&used.id, &body).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_lists_grants_and_ends_one_without_the_gate() {
    let gate = gate_with(POLICY).await;
    given(&gate, "2").await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let (said, code) = run(&settings, &["grants"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with("1 standing grant (id, state, used, until"),
        "{said}"
    );
    assert!(said.contains("  active  0 of 2  "), "{said}");
    let id = said
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    let (said, code) = run(&settings, &["grants", "revoke", &id]).await;
    assert_eq!(
        (said, code),
        (format!("Revoked: {id}. People are asked again.\n"), 0)
    );
    assert_asks(&gate).await;
    let (said, code) = run(&settings, &["grants", "revoke", "0123456789abcdef"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("no standing grant has this id"), "{said}");
}

#[tokio::test]
async fn a_rejection_of_what_reads_the_same_ends_a_grant() {
    let gate = gate_with(POLICY).await;
    for (number, same) in [
        restart(),
        NewApproval {
            action_description: "restart  a SERVICE!".to_owned(),
            ..restart()
        },
        NewApproval {
            parameters: object(json!({"service": "Billing", "zone": "1"})),
            ..restart()
        },
        NewApproval {
            agent_name: "OtherAgent".to_owned(),
            ..restart()
        },
    ]
    .into_iter()
    .enumerate()
    {
        let open = gate.client.submit(&same).await.unwrap();
        given(&gate, "10").await;
        assert_approves(&gate).await;
        // A form that is not of this page rejects nothing.
        let question = gate.question(&open, BOB);
        let page = gate.get(&with_forms(&question.link)).await;
        let fields = [("k", "x"), ("form", "x"), ("decision", "reject")];
        gate.post_form(&format!("{}{}", gate.url, page.action()), fields)
            .await;
        assert_approves(&gate).await;
        gate.send_form(&page, &[("decision", "reject")]).await;
        assert_eq!(
            gate.status(&open.id).await.status,
            Status::Rejected,
            "{number}"
        );
        let asked = submit(&gate).await;
        assert_eq!(asked.status, Status::Pending, "{number}");
    }
    assert!(
        list(&gate)
            .await
            .iter()
            .all(|grant| grant["state"] == "rejection")
    );
}

#[tokio::test]
async fn revoking_the_approval_ends_the_grant_that_was_given_with_it() {
    let gate = gate_with(POLICY).await;
    for by_operator in [false, true] {
        let asked = given(&gate, "10").await;
        if by_operator {
            operate(&gate, json!({"command": "revoke", "id": asked.id})).await;
        } else {
            let question = gate.question(&asked, ALICE);
            let page = gate.get(&with_forms(&question.link)).await;
            let (_, card) = page.body.split_once("id=\"revoke\"").unwrap();
            let card = Page {
                body: card.to_owned(),
                ..page
            };
            gate.send_form(&card, &[("decision", "revoke"), ("code", &question.code)])
                .await;
        }
        assert_asks(&gate).await;
    }
}

#[tokio::test]
async fn a_pause_that_covers_a_grant_ends_it_for_good() {
    let gate = gate_with(POLICY).await;
    let agent = restart().agent_name;
    let pause = async |scope: Value, command: &str| {
        let mut body = json!({"command": command});
        if command == "pause" {
            body["because"] = json!("an incident");
        }
        body.as_object_mut()
            .unwrap()
            .extend(scope.as_object().unwrap().clone());
        operate(&gate, body).await;
    };
    given(&gate, "10").await;
    pause(json!({"agent": "OtherAgent"}), "pause").await;
    assert_approves(&gate).await;
    pause(json!({"agent": "OtherAgent"}), "resume").await;
    assert_approves(&gate).await;
    let owner = list(&gate).await[0]["owner"].clone();
    for scope in [json!({}), json!({"agent": agent}), json!({"owner": owner})] {
        pause(scope.clone(), "pause").await;
        assert!(gate.client.submit(&restart()).await.is_err());
        pause(scope.clone(), "resume").await;
        assert_asks(&gate).await;
        assert!(
            list(&gate)
                .await
                .iter()
                .any(|grant| grant["state"] == "pause"),
            "{scope}"
        );
        given(&gate, "10").await;
        assert_approves(&gate).await;
    }
    // During a pause none is offered, and none that is given stands.
    let asked = {
        pause(json!({}), "pause").await;
        pause(json!({}), "resume").await;
        submit(&gate).await
    };
    let offered = gate.get(&gate.question(&asked, ALICE).link).await;
    pause(json!({}), "pause").await;
    let page = page_of(&gate, &asked).await;
    assert!(!page.contains("name=\"grant\""), "{page}");
    let code = gate.question(&asked, ALICE).code;
    let form = [
        ("decision", "approve"),
        ("code", code.as_str()),
        ("grant", "900"),
        ("uses", "1"),
    ];
    let answer = gate.send_form(&offered, &form).await;
    assert!(
        answer
            .body
            .contains("Your approval is recorded, for this once."),
        "{}",
        answer.body
    );
    pause(json!({}), "resume").await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Approved);
    assert_asks(&gate).await;
}

#[tokio::test]
async fn a_resume_of_what_is_not_paused_ends_no_grant() {
    let gate = gate_with(POLICY).await;
    given(&gate, "10").await;
    operate(
        &gate,
        json!({"command": "pause", "because": "an incident", "agent": "OtherAgent"}),
    )
    .await;
    for scope in [json!({}), json!({"agent": restart().agent_name})] {
        let mut body = json!({"command": "resume"});
        body.as_object_mut()
            .unwrap()
            .extend(scope.as_object().unwrap().clone());
        assert_eq!(operate(&gate, body).await["done"], false);
        assert_approves(&gate).await;
    }
}

#[tokio::test]
async fn a_form_that_decides_nothing_gives_no_grant() {
    let gate = gate_with(POLICY).await;
    let asked = submit(&gate).await;
    let question = gate.question(&asked, ALICE);
    let page = gate.get(&question.link).await;
    let form = |code: &'static str| {
        [
            ("decision", "approve"),
            ("code", code),
            ("grant", "900"),
            ("uses", "1"),
        ]
    };
    let wrong = gate.send_form(&page, &form("000000")).await;
    // What was chosen stays chosen.
    assert!(
        wrong.body.contains("<option value=\"900\" selected>"),
        "{}",
        wrong.body
    );
    gate.approve(&asked, ALICE).await;
    // The request is decided: neither a second form, nor one without the code, gives a grant.
    gate.send_form(&page, &form("")).await;
    gate.send_form(&page, &form("000000")).await;
    assert_eq!(list(&gate).await.len(), 0);
    assert_asks(&gate).await;
}

#[tokio::test]
async fn a_grant_ends_with_its_giver_and_with_its_rule() {
    let both = "alice@example.com,bob@example.com";
    let store = backing_store::tables(azurite().port);
    let at = async |policy: &str, list: &str| {
        let settings = [("HO_POLICY", policy), ("HO_ALLOWED_APPROVERS", list)];
        TestGate::with(&[&backing_store::borrowed(&store)[..], &settings].concat()).await
    };
    let gate = at(POLICY, both).await;
    given(&gate, "100").await;
    let used = assert_approves(&gate).await;
    // Comments, order and other rules are no change of the rule.
    let other = "[[rule]]\nid = \"never\"\nactions = [\"Delete *\"]\neffect = \"deny\"\n";
    let same = POLICY.replace("[[rule]]", &format!("{other}[[rule]] # now"));
    let same = same.replace("grants = \"8h\"", "").replace(
        "effect = \"require\"",
        "grants = \"8h\"\neffect = \"require\"",
    );
    assert_approves(&at(&same, both).await).await;
    let list = "bob@example.com";
    for (policy, list) in [
        (POLICY.replace("\"8h\"", "\"9h\""), both),
        (POLICY.replace("\"restarts\"", "\"restart\""), both),
        (
            POLICY.replace(
                "effect = \"require\"",
                "effect = \"require\"\ncomment = \"always\"",
            ),
            both,
        ),
        (POLICY.replace("grants = \"8h\"", ""), both),
        (
            format!(
                "{POLICY}{}",
                POLICY
                    .split_once("[[rule]]")
                    .map(|(_, it)| format!("[[rule]]{}", it.replace("restarts", "second")))
                    .unwrap()
            ),
            both,
        ),
        (POLICY.replace("\"alice@example.com\", ", ""), both),
        (POLICY.replace("\"alice@example.com\", ", ""), list),
    ] {
        assert_asks(&at(&policy, list).await).await;
    }
    // At the claim the list is judged again.
    let without_alice = at(&POLICY.replace("\"alice@example.com\", ", ""), list).await;
    let body = Claim {
        nonce: NONCE.to_owned(),
        secret: None,
    };
    match without_alice.client.claim(&used.id, &body).await {
        Err(Error::Problem(problem)) => assert!(
            problem.kind.ends_with(":approver_not_allowed"),
            "{problem:?}"
        ),
        other => panic!("{other:?}"),
    }
    // Mended, all is as it was: what was approved is claimed, and the grant approves.
    gate.client.claim(&used.id, &body).await.unwrap();
    assert_approves(&gate).await;
}

#[tokio::test]
async fn the_page_says_when_a_grant_approves_nothing_today() {
    let list = ("HO_ALLOWED_APPROVERS", "alice@example.com,bob@example.com");
    let store = backing_store::tables(azurite().port);
    let store = backing_store::borrowed(&store);
    let gate = TestGate::with(&[&store[..], &[("HO_POLICY", POLICY), list]].concat()).await;
    let asked = given(&gate, "100").await;
    let link = gate.question(&asked, ALICE).link;
    let without_alice = POLICY.replace("\"alice@example.com\", ", "");
    for (policy, is_accepted) in [(POLICY, true), (&without_alice, false)] {
        let settings = [("HO_POLICY", policy), list];
        let other = TestGate::with(&[&store[..], &settings].concat()).await;
        let page = other.get(&link.replace(&gate.url, &other.url)).await.body;
        let says = |words: &str| page.contains(words);
        assert_eq!(
            says("exactly the same, 100 times more"),
            is_accepted,
            "{page}"
        );
        assert_eq!(says("approves nothing now"), !is_accepted, "{page}");
    }
}

#[tokio::test]
async fn where_grants_cannot_be_trusted_people_are_asked() {
    let gate = gate_with(POLICY).await;
    given(&gate, "10").await;
    until_settled(&gate).await;
    let row = async || {
        let rows = gate.store.standing_of(StandingKind::Grant).await.unwrap();
        rows.into_iter().next().unwrap()
    };
    // Sealed by the gate's keys, but not what it signed: more uses, a later end, another scope.
    let sound = row().await;
    let text = sound.columns["Grants"].clone();
    for (from, to) in [
        ("\"uses\":10", "\"uses\":11"),
        ("Restart a service", "Restart a Service"),
    ] {
        let mut changed = row().await;
        changed
            .columns
            .insert("Grants".to_owned(), text.replace(from, to));
        gate.store.put_standing(changed, gate.now()).await.unwrap();
        assert_asks(&gate).await;
    }
    let mut damaged = row().await;
    damaged.columns.insert("Grants".to_owned(), "[".to_owned());
    gate.store.put_standing(damaged, gate.now()).await.unwrap();
    assert_asks(&gate).await;
    assert_eq!(
        operate(&gate, json!({"command": "grants"})).await["unreadable"],
        1
    );
    // A rejection writes the row anew, and a new grant can be given.
    let open = submit(&gate).await;
    gate.reject(&open, BOB, "no").await;
    given(&gate, "10").await;
    assert_approves(&gate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_whose_clocks_are_90_s_apart_agree_on_the_end() {
    let tables = backing_store::tables(azurite().port);
    let mut settings = backing_store::borrowed(&tables);
    settings.push(("HO_POLICY", POLICY));
    let [early, late] = [
        TestGate::with(&settings).await,
        TestGate::with(&settings).await,
    ];
    late.pass(Duration::from_secs(90));
    given(&early, "10").await;
    for gate in [&early, &late] {
        gate.pass(Duration::from_secs(3_450));
        assert_approves(gate).await;
    }
    // The clock that is ahead ends it for itself, and what another gate approves is not claimed after the end.
    late.pass(Duration::from_secs(70));
    early.pass(Duration::from_secs(10));
    assert_asks(&late).await;
    let used = assert_approves(&early).await;
    let body = Claim {
        nonce: NONCE.to_owned(),
        secret: None,
    };
    assert!(late.client.claim(&used.id, &body).await.is_err());
    // The time of the last write counts where a clock is behind it.
    let rows = early.store.standing_of(StandingKind::Grant).await.unwrap();
    early
        .store
        .put_standing(rows[0].clone(), late.now())
        .await
        .unwrap();
    assert_asks(&early).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_killed_between_the_two_writes_keeps_the_use_for_a_repeat_and_never_gains_one()
 {
    let proxy = Proxy::start(azurite().port).await;
    let tables = backing_store::tables(proxy.port);
    let table = tables[2].1.clone();
    let approvals = Table::of(azurite().port, &table);
    let dir = tempfile::tempdir().unwrap();
    let mut settings = backing_store::borrowed(&tables);
    settings.push(("HO_POLICY", POLICY));
    let other = Process::start(dir.path(), &settings).await;
    let asked = other.client().submit(&restart()).await.unwrap();
    eventually(async || {
        let form = "decision=approve&code=CODE&grant=3600&uses=4";
        let decided = decide(dir.path(), &asked.id, form).await;
        decided.is_ok_and(|status| status == 303).then_some(())
    })
    .await;
    let used = async || {
        let (said, _) = run(&settings, &["grants"]).await;
        let (before, _) = said.split_once(" of 4").unwrap();
        before.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let named = |name: &str| NewApproval {
        correlation_id: Some(name.to_owned()),
        ..restart()
    };
    let insert = move |line: &str| line.starts_with("POST ") && line.contains(&format!("/{table}"));
    for (number, (name, fault)) in [("first", Fault::Silence), ("second", Fault::SilenceAfter)]
        .into_iter()
        .enumerate()
    {
        let process = Process::start(dir.path(), &settings).await;
        let client = process.client();
        proxy.fault(insert.clone(), fault);
        let new = named(name);
        let submitting = tokio::spawn(async move { client.submit(&new).await.is_ok() });
        eventually(async || proxy.all_faults_applied().then_some(())).await;
        // What took the use of the first is not stored; the second is, although the agent gets no answer.
        let (taken, rows) = [(1, 1), (2, 3)][number];
        eventually(async || (used().await == taken).then_some(())).await;
        eventually(async || (approvals.rows().await.len() == rows).then_some(())).await;
        process.signal("KILL");
        submitting.abort();
        // The agent repeats: it is the same request, and takes no other use, whether it was stored or not.
        let again = other.client().submit(&named(name)).await.unwrap();
        assert_eq!(
            (again.status, again.decider),
            (Status::Approved, Some(Decider::Grant))
        );
        assert_eq!(used().await, taken);
    }
}

/// Such as after an answer that was lost, when the approval was stored and the grant was not.
#[tokio::test]
async fn an_approval_that_is_sent_again_says_whether_its_grant_was_given() {
    let gate = gate_with(POLICY).await;
    for gives in [false, true] {
        let asked = submit(&gate).await;
        let question = gate.question(&asked, ALICE);
        let page = gate.get(&with_forms(&question.link)).await;
        let approval = [("decision", "approve"), ("code", question.code.as_str())];
        let with_grant = [&approval[..], &[("grant", "3600"), ("uses", "5")]].concat();
        let first = if gives { &with_grant[..] } else { &approval };
        let answer = gate.send_form(&page, first).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let again = gate.send_form(&page, &with_grant).await;
        let says = again.body.contains("The standing grant was not given");
        assert_eq!(
            (again.status == StatusCode::SEE_OTHER, says),
            (gives, !gives),
            "{}",
            again.body
        );
    }
}

/// Two instances, of which one names new rows by the old key and one by the new one.
#[tokio::test]
async fn a_grant_replaces_the_one_for_exactly_the_same_in_a_rotation_of_the_link_keys() {
    let [old, new] = [(); 2].map(|()| keyring::generate_link_key());
    let keys = keyring::generate_receipt_key();
    let at = async |dir, links: String| {
        let keys = [("HO_LINK_KEYS", links.as_str()), ("HO_RECEIPT_KEYS", &keys)];
        TestGate::at(dir, &[&keys[..], &[("HO_POLICY", POLICY)]].concat()).await
    };
    let gate = at(tempfile::tempdir().unwrap(), format!("{old},{new}")).await;
    let asked = [submit(&gate).await, submit(&gate).await];
    approve_with_grant(&gate, &asked[0], ALICE, ["3600", "10"]).await;
    let gate = at(gate.dir, format!("{new},{old}")).await;
    approve_with_grant(&gate, &asked[1], ALICE, ["3600", "1"]).await;
    assert_approves(&gate).await;
    assert_asks(&gate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_grants_and_a_restore_voids_them() {
    let keys = backing_store::own_keys();
    let keys = backing_store::borrowed(&keys);
    let with_policy = [&keys[..], &[("HO_POLICY", POLICY)]].concat();
    let [gate, other] = [
        TestGate::with(&with_policy).await,
        TestGate::with(&with_policy).await,
    ];
    given(&gate, "10").await;
    let used = assert_approves(&gate).await;
    let copy = gate.dir.path().join("copy.jsonl");
    let copy = copy.to_str().unwrap();
    let command = async |gate: &TestGate, arguments: &[&str]| {
        let settings = backing_store::settings(gate.dir.path());
        let settings = [&backing_store::borrowed(&settings)[..], &keys].concat();
        run(&settings, arguments).await
    };
    let (said, code) = command(&gate, &["verify"]).await;
    assert_eq!(code, 0, "{said}");
    let (said, code) = command(&gate, &["backup", copy]).await;
    assert_eq!(code, 0, "{said}");
    let (said, code) = command(&other, &["restore", copy]).await;
    assert_eq!(code, 0, "{said}");
    let words = "1 standing grants were not put back: those that this store has stay in force, and for the others people are asked.";
    assert!(said.contains(words), "{said}");
    assert_asks(&other).await;
    // What it had approved is as it was.
    let restored = other.status(&used.id).await;
    assert_eq!(
        (restored.status, restored.receipt),
        (Status::Approved, used.receipt)
    );
    // Its claim is refused for the reason that holds.
    let body = Claim {
        nonce: NONCE.to_owned(),
        secret: None,
    };
    match other.client.claim(&used.id, &body).await {
        Err(Error::Problem(problem)) => assert!(
            problem.detail.contains("a backup was restored"),
            "{problem:?}"
        ),
        other => panic!("{other:?}"),
    }
    // A grant that the gate did not sign is a problem for `verify`.
    let mut row = gate
        .store
        .standing_of(StandingKind::Grant)
        .await
        .unwrap()
        .remove(0);
    let text = row.columns["Grants"].replace("\"uses\":10", "\"uses\":11");
    row.columns.insert("Grants".to_owned(), text);
    gate.store.put_standing(row, gate.now()).await.unwrap();
    let (said, code) = command(&gate, &["verify"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("a standing grant contradicts its signed record"),
        "{said}"
    );
}

#[tokio::test]
async fn grants_unused_for_30_days_are_purged() {
    let gate = gate_with(POLICY).await;
    gate.back(Duration::from_secs(31 * 86_400));
    given(&gate, "10").await;
    until_settled(&gate).await;
    gate.pass(Duration::from_secs(31 * 86_400));
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let (said, code) = run(&settings, &["purge", "--older-than", "365", "--delete"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("standing rows unused for 30 days"), "{said}");
    assert_eq!(list(&gate).await.len(), 0);
}

#[tokio::test]
async fn an_agent_runs_by_a_grant_as_by_an_approval() {
    let gate = gate_with(POLICY).await;
    given(&gate, "1").await;
    let agent = gate
        .gate()
        .agent(&restart().agent_name)
        .approvers([] as [&str; 0]);
    let action = agent.action("Restart a service");
    let parameters = json!({"service": "billing", "zone": 1});
    let outcome = action.run(&parameters, |_| async { "restarted" }).await;
    assert_eq!(outcome, Outcome::Executed("restarted"));
}

#[tokio::test]
async fn the_setting_that_pauses_ends_all_grants() {
    let store = backing_store::tables(azurite().port);
    let settings = [
        &backing_store::borrowed(&store)[..],
        &[("HO_POLICY", POLICY)],
    ]
    .concat();
    let gate = TestGate::with(&settings).await;
    given(&gate, "10").await;
    let paused = TestGate::with(&[&settings[..], &[("HO_PAUSED", "1")]].concat()).await;
    paused.sweep().await;
    assert_asks(&gate).await;
    assert_eq!(list(&gate).await[0]["state"], "pause");
}

/// The emails about the end of a grant.
pub(crate) fn end_mails(gate: &TestGate) -> usize {
    let mails = gate.mails();
    let is_end = |subject: &str| subject.contains("[Grant ended]");
    mails.iter().filter(|it| is_end(&it.subject)).count()
}

async fn until_announced(gate: &TestGate, asked: &Approval) {
    let look = async || {
        let row = gate.entity(&asked.id).await;
        let notifications = row["Notifications"].as_str().unwrap();
        notifications.contains("GrantEnd").then_some(())
    };
    eventually(look).await;
}

#[tokio::test]
async fn its_giver_gets_an_email_when_a_grant_is_used_up_or_expires() {
    let gate = gate_with(POLICY).await;
    let asked = given(&gate, "1").await;
    until_announced(&gate, &asked).await;
    assert_eq!(end_mails(&gate), 0);
    assert_approves(&gate).await;
    let look = async || {
        gate.sweep().await;
        (end_mails(&gate) == 1).then_some(())
    };
    eventually(look).await;
    let mails = gate.mails();
    let mail = mails.iter().find(|it| it.subject.contains("[Grant ended]"));
    let mail = mail.unwrap();
    assert_eq!(mail.to, ALICE);
    // In a pause, no one is asked.
    let words = "that you gave with this approval has ended: it approves nothing more.";
    assert!(mail.text.contains(words), "{}", mail.text);
    let second = given(&gate, "5").await;
    until_announced(&gate, &second).await;
    gate.pass(Duration::from_secs(3_601));
    gate.sweep().await;
    assert_eq!(end_mails(&gate), 2);
}

#[tokio::test]
async fn a_giver_who_ends_a_grant_gets_no_email_about_that() {
    let gate = gate_with(POLICY).await;
    let asked = given(&gate, "5").await;
    until_announced(&gate, &asked).await;
    let code = gate.question(&asked, ALICE).code;
    end_by_form(&gate, &asked, Some(&code)).await;
    until_dropped(&gate, &asked).await;
    gate.pass(Duration::from_secs(3_601));
    gate.sweep().await;
    assert_eq!(end_mails(&gate), 0);
}

/// Waits until the giver is to get no notice of the end.
async fn until_dropped(gate: &TestGate, asked: &Approval) {
    let look = async || {
        let row = gate.entity(&asked.id).await;
        let notifications = row["Notifications"].as_str().unwrap();
        let (_, of_end) = notifications.split_once("\"GrantEnd\"").unwrap();
        let (of_end, _) = of_end.split_once('}').unwrap();
        of_end.contains("Dropped").then_some(())
    };
    eventually(look).await;
}
