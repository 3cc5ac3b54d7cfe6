//! Golden rows with a plan, votes, a reason from the list, or a decision of the policy, which the gates that
//! wrote the rows of `v2owned` did not know.

use std::collections::BTreeSet;

use serde_json::json;

use super::cases::{
    CLAIM, CLAIM_REFUSED, Case, EXECUTED, EXECUTED_REFUSED, Step, approve, by_link, case, signed_in,
};
use super::{Backend, Player, folder, key, owned, read, restore_row};
use crate::azurite::Azurite;
use crate::harness::{ALICE, BOB};
use crate::sign_in;

/// The folder of these files.
pub(super) const VERSION: &str = "v2planned";

const CAROL: &str = "carol@example.com";
const ERIN: &str = "erin@example.com";

const POLICY: &str = r#"version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]
security = ["carol@example.com", "dave@example.com"]
records = ["erin@example.com"]

[[rule]]
id = "deletions"
actions = ["Delete User *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }, { from = "security" }]

[[rule]]
id = "retention"
actions = ["Delete User *"]
when = [{ parameter = "/options/retention_days", less_than = 90 }]
effect = "require"
stages = [{ from = "records" }]
comment = "on-reject"
not_before = "30s"
run_within = "10m"
timeout = "2h"
reject_reasons = ["Wrong person", "Too early"]
"#;

const SIGNED_IN: &str = r#"version = 1

[groups]
finance = ["alice@example.com"]

[[rule]]
id = "deletions"
actions = ["Delete User *"]
effect = "require"
stages = [{ from = "finance" }]
sign_in = true
comment = "always"
"#;

const APPROVES: &str = r#"version = 1

[[rule]]
id = "small-deletions"
actions = ["Delete User *"]
ignore = ["/user_id", "/email", "/options"]
effect = "approve"
"#;

const DENIES: &str = r#"version = 1

[[rule]]
id = "never"
actions = ["Delete User *"]
effect = "deny"
reason = "Agents never delete „people“."
"#;

/// A request under a policy.
fn under(
    policy: &'static str,
    name: &'static str,
    end: (&'static str, Option<&'static str>),
) -> Case {
    let mut case = case(name, end).settings(&[("HO_POLICY", policy)]);
    // The policy says who is asked.
    case.request
        .as_object_mut()
        .unwrap()
        .remove("approverEmails");
    case
}

fn approve_with_words(who: &'static str) -> Step {
    by_link(
        who,
        "decision=approve&code=CODE&comment=Checked+%E6%9D%B1+with+HR.",
        303,
    )
}

pub(super) fn cases() -> Vec<Case> {
    [open(), decided_by_people(), decided_by_the_policy()]
        .into_iter()
        .flatten()
        .collect()
}

const HALF_A_MINUTE: Step = Step::Pass(30);

fn open() -> Vec<Case> {
    let executed = ("Approved", Some("Executed"));
    vec![
        under(POLICY, "pending-with-a-plan", executed).next(&[
            HALF_A_MINUTE,
            approve(ERIN),
            approve(ALICE),
            approve(BOB),
            HALF_A_MINUTE,
            approve(CAROL),
            CLAIM,
            EXECUTED,
        ]),
        under(POLICY, "pending-with-votes", executed)
            .life(&[HALF_A_MINUTE, approve_with_words(ALICE), approve(ERIN)])
            .next(&[approve(BOB), HALF_A_MINUTE, approve(CAROL), CLAIM, EXECUTED]),
        under(POLICY, "pending-in-its-second-stage", executed)
            .life(&[HALF_A_MINUTE, approve(ALICE), approve(ERIN), approve(BOB)])
            .next(&[HALF_A_MINUTE, approve(CAROL), CLAIM, EXECUTED]),
        under(POLICY, "timeout-with-a-vote", ("Timeout", None))
            .life(&[HALF_A_MINUTE, approve(BOB), Step::Pass(7_200), Step::Sweep])
            .next(&[CLAIM_REFUSED]),
    ]
}

fn decided_by_people() -> Vec<Case> {
    let executed = ("Approved", Some("Executed"));
    let rejected = ("Rejected", None);
    let refused = [CLAIM_REFUSED, EXECUTED_REFUSED];
    let approved = [
        HALF_A_MINUTE,
        approve_with_words(ALICE),
        approve(BOB),
        approve(ERIN),
        HALF_A_MINUTE,
        approve(CAROL),
    ];
    let for_a_reason = "decision=reject&preset=Wrong+person&comment=Ask+HR.&code=CODE";
    let by_the_link_alone = "decision=reject&preset=Too+early&comment=Not+to+the+agent.";
    vec![
        under(POLICY, "approved-by-votes", executed)
            .life(&approved)
            .next(&[CLAIM, CLAIM_REFUSED, EXECUTED]),
        under(POLICY, "executing-by-votes", executed)
            .life(&[&approved[..], &[CLAIM]].concat())
            .next(&[CLAIM, EXECUTED]),
        under(SIGNED_IN, "approved-by-a-signed-in-vote", executed)
            .settings(&sign_in::ON)
            .life(&[signed_in("decision=approve&comment=Yes.")])
            .next(&[CLAIM, EXECUTED]),
        under(POLICY, "rejected-by-votes", rejected)
            .life(&[by_link(ALICE, for_a_reason, 303)])
            .next(&refused),
        under(POLICY, "rejected-by-the-link-alone", rejected)
            .life(&[by_link(BOB, by_the_link_alone, 303), Step::Sweep])
            .next(&refused),
        under(POLICY, "rejected-by-a-revoked-vote", rejected)
            .life(&[
                HALF_A_MINUTE,
                approve(ALICE),
                by_link(ALICE, "decision=revoke&code=CODE", 303),
            ])
            .next(&refused),
        case("rejected-for-a-reason-without-a-plan", rejected)
            .settings(&[("HO_REJECT_REASONS", "Wrong person; Too early")])
            .life(&[by_link(ALICE, by_the_link_alone, 303), Step::Sweep])
            .next(&refused),
    ]
}

fn decided_by_the_policy() -> Vec<Case> {
    let executed = ("Approved", Some("Executed"));
    vec![
        under(APPROVES, "approved-by-the-policy", executed).next(&[CLAIM, CLAIM_REFUSED, EXECUTED]),
        under(APPROVES, "executed-by-the-policy", executed)
            .life(&[CLAIM, EXECUTED])
            .next(&[EXECUTED, CLAIM_REFUSED]),
        under(DENIES, "rejected-by-the-policy", ("Rejected", None))
            .next(&[CLAIM_REFUSED, EXECUTED_REFUSED]),
    ]
}

#[test]
fn golden_rows_have_every_column_of_plans_votes_and_deciders() {
    let expected: BTreeSet<String> = ["Plan", "Votes", "VoteReceipts", "Decider", "Preset"]
        .map(str::to_owned)
        .into();
    for backend in ["embedded", "tables"] {
        let mut found = BTreeSet::new();
        for case in cases() {
            let file = read(&folder(VERSION).join(format!("rows/{}.json", case.name)));
            let row = owned::columns_of(&file[backend]);
            let columns = row.as_object().unwrap().keys();
            found.extend(columns.filter(|it| expected.contains(*it)).cloned());
            let is_decided_by_the_policy = case.name.ends_with("by-the-policy");
            assert_eq!(
                row["Approver"].is_null(),
                row["Status"] == "Pending"
                    || row["Status"] == "Timeout"
                    || is_decided_by_the_policy,
                "{}",
                case.name
            );
            assert_eq!(
                row["Decider"].is_string(),
                is_decided_by_the_policy,
                "{}",
                case.name
            );
        }
        assert_eq!(found, expected, "{backend}");
    }
}

/// Version 1 has no columns for a plan: a gate that writes it reads such a row, and leaves it as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_rows_with_a_plan_are_read_and_not_written_as_version_1() {
    let azurite = Azurite::start(&[]);
    for backend in [Backend::Embedded, Backend::Tables(azurite.port)] {
        for name in ["approved-by-votes", "approved-by-the-policy"] {
            let file = read(&folder(VERSION).join(format!("rows/{name}.json")));
            let golden = &file[backend.name()];
            let dir = tempfile::tempdir().unwrap();
            let store = restore_row(VERSION, backend, golden, &dir).await;
            let id = golden["answer"]["id"].as_str().unwrap();
            let player = Player::start(dir, &store, &[("HO_ROWS", "1")], key(VERSION), id).await;
            let now = golden["now"].as_str().unwrap();
            player.set_clock(human_oversight::values::Timestamp::parse(now).unwrap());
            assert_eq!(player.status().await.json(), golden["answer"], "{name}");
            let nonce = json!({"nonce": "0123456789abcdef"});
            let claim = player.post(&format!("/api/claim/{id}"), &nonce).await;
            assert!(claim.status.is_server_error(), "{name}: {}", claim.body);
            assert_eq!(player.status().await.json(), golden["answer"], "{name}");
        }
    }
}
