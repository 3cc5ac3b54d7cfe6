//! Faults that other systems have had in their policies and quorums.

use std::num::NonZeroU8;
use std::time::Duration;

use human_oversight::policy::{Asked, PlanFault};
use serde_json::json;

use super::{address, asked, faults, parse, requirement, rules, short};

const DENY_LARGE: &str = "[[rule]]\nid = \"large\"\neffect = \"deny\"\nactions = [\"Pay *\"]\nwhen = [{ parameter = \"/amount\", more_than = 1000 }]\n";

#[test]
fn a_parameter_cannot_pose_as_the_action_or_the_agent() {
    let policy = rules(DENY_LARGE);
    let parameters = json!({
        "amount": 5000, "action": "Read", "agent": "Other", "actionDescription": "Read", "agentName": "Other",
        "urgency": "low"
    });
    assert_eq!(
        short(&policy.evaluate(&asked("Pay a", &parameters))),
        "deny large"
    );
}

#[test]
fn a_number_in_a_text_or_of_another_type_does_not_get_past_a_denial() {
    let policy = rules(DENY_LARGE);
    for amount in [
        json!("5000"),
        json!("5,000"),
        json!([5000]),
        json!({"value": 5000}),
        json!(null),
        json!(true),
    ] {
        let parameters = json!({ "amount": amount });
        assert_eq!(
            short(&policy.evaluate(&asked("Pay a", &parameters))),
            "deny large",
            "{parameters}"
        );
    }
}

#[test]
fn an_invalid_or_huge_expression_does_not_load() {
    for expression in [
        "(",
        "[a",
        "a{1000}{1000}{1000}",
        "(?P<x",
        "\\\\p{Nope}",
        "(a)\\\\1",
        "(?=a)",
    ] {
        let found = faults(&format!(
            "version = 1\n[[rule]]\nid = \"r\"\neffect = \"deny\"\nwhen = [{{ parameter = \"/x\", matches = \"{expression}\" }}]\n"
        ));
        assert_eq!(found.len(), 1, "{expression}: {found:?}");
        assert!(found[0].starts_with("5: `matches` is "), "{found:?}");
    }
}

#[test]
fn of_several_rules_that_match_each_counts() {
    let policy = rules(
        "[[rule]]\nid = \"a\"\neffect = \"require\"\nstages = [{ from = \"finance\" }]\n\
         [[rule]]\nid = \"b\"\neffect = \"require\"\nactions = [\"act\"]\nstages = [{ from = \"security\" }]\n",
    );
    let parameters = json!({});
    let found = requirement(policy.evaluate(&asked("act", &parameters)));
    assert_eq!(super::stages(&found), "1 finance + 1 security");
}

#[test]
fn zero_approvals_and_no_stages_do_not_load() {
    let text = |stages: &str| {
        format!(
            "{}[[rule]]\nid = \"r\"\neffect = \"require\"\n{stages}\n",
            super::GROUPS
        )
    };
    for stages in [
        "stages = []",
        "",
        "stages = [{ from = \"finance\", approvals = 0 }]",
        "stages = [{ from = \"finance\", approvals = -1 }]",
        "stages = [{ approvals = 1 }]",
        "stages = [[]]",
    ] {
        assert_eq!(
            faults(&text(stages)).len(),
            1,
            "{stages}: {:?}",
            faults(&text(stages))
        );
    }
}

#[test]
fn a_quorum_above_its_people_does_not_load_and_is_not_clamped() {
    let text = |approvals: usize| {
        format!(
            "{}[[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{{ from = \"finance\", approvals = {approvals} }}]\n",
            super::GROUPS
        )
    };
    assert!(faults(&text(3)).is_empty());
    let found = faults(&text(4));
    assert!(
        found[0].contains("can never be met: stage 1 needs 4 of group finance, and 3"),
        "{found:?}"
    );
}

#[test]
fn one_person_in_two_groups_does_not_count_for_both() {
    let text = "version = 1\n[groups]\na = [\"x@example.com\"]\nb = [\"X+b@example.com\"]\n\
                [[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{ from = \"a\" }, { from = \"b\" }]\n";
    let found = faults(text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("can never be met"), "{found:?}");
}

#[test]
fn one_person_does_not_fill_two_places_of_one_group() {
    let found = faults(
        "version = 1\n[groups]\na = [\"x@example.com\", \"X@example.com\", \"x+2@example.com\"]\n",
    );
    assert_eq!(
        found,
        [
            "3: item 2 of group `a` is the same person as an earlier item",
            "3: item 3 of group `a` is the same person as an earlier item",
        ]
    );
}

#[test]
fn the_person_acted_for_gives_no_approval_through_a_group() {
    let policy =
        rules("[[rule]]\nid = \"r\"\neffect = \"require\"\nstages = [{ from = \"security\" }]\n");
    let (person, parameters) = (address("SEC@example.com"), json!({}));
    let found = requirement(policy.evaluate(&Asked {
        on_behalf_of: Some(&person),
        ..asked("act", &parameters)
    }));
    let fault = found.check(Duration::from_secs(3_600));
    assert!(
        matches!(
            fault,
            Err(PlanFault::QuorumUnsatisfiable {
                free: 0,
                needed: NonZeroU8::MIN,
                ..
            })
        ),
        "{fault:?}"
    );
}

#[test]
fn an_approval_is_bound_to_all_parameters() {
    let policy = parse(
        "version = 1\n[[rule]]\nid = \"r\"\neffect = \"approve\"\nactions = [\"Mail *\"]\n\
         when = [{ parameter = \"/to\", matches = \"^[a-z]+@example[.]com$\" }]\n",
    );
    let outcome = |parameters| short(&policy.evaluate(&asked("Mail x", &parameters)));
    assert_eq!(outcome(json!({"to": "a@example.com"})), "approve r");
    assert_eq!(
        outcome(json!({"to": "a@example.com", "bcc": "eve@example.net"})),
        "requester"
    );
    assert_eq!(
        outcome(json!({"to": ["a@example.com", "eve@example.net"]})),
        "requester"
    );
}

#[test]
fn approvers_whom_the_agent_names_are_asked_in_one_stage() {
    let rule = |id: &str, lines: &str| {
        format!("[[rule]]\nid = \"{id}\"\neffect = \"require\"\nsign_in = true\n{lines}\n")
    };
    let twice =
        "stages = [{ from = \"requested\" }, { from = \"finance\" }, { from = \"requested\" }]";
    let later = "stages = [{ from = \"finance\" }, { from = \"requested\" }]";
    for lines in [twice, &format!("{later}\nadd_requested = true")] {
        let found = faults(&format!("{}{}", super::GROUPS, rule("r", lines)));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("can never be met: stage 1 needs 1 of the approvers whom the agent"),
            "{found:?}"
        );
    }
    let first = "stages = [{ from = \"requested\", approvals = 2 }]";
    let both = rules(&format!("{}{}", rule("first", first), rule("later", later)));
    let expected = "rule `later` and rule `first` in line 7 is refused: stage 1 needs 2";
    let warnings = both.warnings();
    assert!(
        warnings.iter().any(|it| it.message.contains(expected)),
        "{warnings:?}"
    );
    // As `policy test` and the gate say, however many approvers the request names.
    let named: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| address(&format!("{name}@example.com")))
        .to_vec();
    let demand = requirement(both.evaluate(&Asked {
        requested: &named,
        ..asked("act", &json!({}))
    }));
    assert!(demand.check(Duration::from_secs(86_400)).is_err());
}
