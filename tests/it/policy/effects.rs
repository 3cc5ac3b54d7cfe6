//! What becomes of a request.

use std::time::Duration;

use human_oversight::policy::{CommentRule, Effect, Limit, Reask};
use serde_json::{Value, json};

use super::{asked, people, requirement, rules, short, stages};

const PAYMENTS: &str = r#"
[[rule]]
id = "small"
actions = ["Refund *"]
when = [{ parameter = "/amount", at_most = 50 }, { parameter = "/currency", one_of = ["EUR", "USD"] }]
ignore = ["/note"]
effect = "approve"
limit = { times = 20, per = "1h" }

[[rule]]
id = "payments"
actions = ["Pay *", "Refund *"]
when = [{ parameter = "/amount", more_than = 50 }]
effect = "require"
stages = [{ from = "finance", approvals = 2 }, { from = "security" }]

[[rule]]
id = "never"
actions = ["Delete production *"]
effect = "deny"
reason = "Agents never delete production."
"#;

fn outcome(policy: &str, action: &str, parameters: Value) -> String {
    short(&rules(policy).evaluate(&asked(action, &parameters)))
}

#[test]
fn the_strictest_effect_wins() {
    for (action, parameters, expected) in [
        (
            "Refund a",
            json!({"amount": 20, "currency": "EUR"}),
            "approve small",
        ),
        (
            "Refund a",
            json!({"amount": 20, "currency": "EUR", "note": {"x": [1]}}),
            "approve small",
        ),
        (
            "Refund a",
            json!({"amount": 20, "currency": "CHF"}),
            "requester",
        ),
        (
            "Refund a",
            json!({"amount": 51, "currency": "EUR"}),
            "require payments",
        ),
        (
            "Refund a",
            json!({"amount": "51.00", "currency": "EUR"}),
            "require payments",
        ),
        // What cannot be compared is asked, never approved.
        (
            "Refund a",
            json!({"amount": "50,00", "currency": "EUR"}),
            "require payments",
        ),
        ("Refund a", json!({"currency": "EUR"}), "require payments"),
        ("Refund a", json!({"amount": 20}), "requester"),
        (
            "Pay a",
            json!({"amount": 20, "currency": "EUR"}),
            "requester",
        ),
        ("Delete production db", json!({}), "deny never"),
        ("delete PRODUCTION db", json!({}), "deny never"),
        (
            "Send",
            json!({"amount": 20, "currency": "EUR"}),
            "requester",
        ),
    ] {
        assert_eq!(
            outcome(PAYMENTS, action, parameters.clone()),
            expected,
            "{action} {parameters}"
        );
    }
}

#[test]
fn an_approval_covers_only_what_its_rule_mentions() {
    let policy = "[[rule]]\nid = \"r\"\neffect = \"approve\"\nactions = [\"act\"]\n\
                  when = [{ parameter = \"/a/b\", is = 1 }]\nignore = [\"/notes\", \"/list/0\", \"/x~1y\"]\n";
    for (parameters, approved) in [
        (json!({"a": {"b": 1}}), true),
        (
            json!({"a": {"b": 1}, "notes": ["x", {"y": null}], "x/y": 2, "list": ["z"]}),
            true,
        ),
        (json!({"a": {"b": 1, "c": 2}}), false),
        (json!({"a": {"b": 1}, "other": null}), false),
        (json!({"a": {"b": 1}, "other": {}}), false),
        (json!({"a": {"b": 1}, "other": []}), false),
        (json!({"a": {"b": 1}, "list": ["z", "z"]}), false),
        (json!({"a": {"b": 1}, "notes ": "x"}), false),
        (json!({"a": {"b": 1}, "x": {"y": 2}}), false),
        (json!({"a": {"b": 1}, "": 1}), false),
    ] {
        let expected = if approved { "approve r" } else { "requester" };
        assert_eq!(
            outcome(policy, "act", parameters.clone()),
            expected,
            "{parameters}"
        );
    }
    let bare = "[[rule]]\nid = \"r\"\neffect = \"approve\"\nactions = [\"act\"]\n";
    assert_eq!(outcome(bare, "act", json!({})), "approve r");
    assert_eq!(outcome(bare, "act", json!({"x": 1})), "requester");
    let everything = format!("{bare}ignore = [\"\"]\n");
    assert_eq!(
        outcome(&everything, "act", json!({"x": {"y": []}})),
        "approve r"
    );
}

#[test]
fn approvals_are_candidates_in_the_order_of_the_file() {
    let policy = rules(
        r#"
[default]
effect = "deny"
[[rule]]
id = "first"
effect = "approve"
actions = ["act"]
limit = { times = 2, per = "1d" }
[[rule]]
id = "other"
effect = "approve"
actions = ["other"]
[[rule]]
id = "second"
effect = "approve"
actions = ["a*"]
"#,
    );
    let parameters = json!({});
    let Effect::Approve {
        candidates,
        otherwise,
    } = policy.evaluate(&asked("act", &parameters))
    else {
        panic!("no approval");
    };
    let limit = Limit {
        times: 2,
        per: Duration::from_secs(86_400),
    };
    let found: Vec<_> = candidates
        .iter()
        .map(|it| (it.rule.rule.as_str(), it.limit))
        .collect();
    assert_eq!(found, [("first", Some(limit)), ("second", None)]);
    assert_eq!(short(&otherwise), "deny default");
}

#[test]
fn denials_are_all_listed_and_the_first_gives_the_words() {
    let policy = rules(
        "[[rule]]\nid = \"a\"\neffect = \"deny\"\nactions = [\"x*\"]\nreason = \"First.\"\n\
         [[rule]]\nid = \"b\"\neffect = \"deny\"\nreason = \"Second.\"\n",
    );
    let parameters = json!({});
    let reason = |action| match policy.evaluate(&asked(action, &parameters)) {
        Effect::Deny { rules, reason } => (rules.len(), reason),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason("x"), (2, "First.".to_owned()));
    assert_eq!(reason("y"), (1, "Second.".to_owned()));
}

#[test]
fn a_default_denial_is_lifted_only_by_a_rule_that_applies_for_certain() {
    let deny =
        |rules: &str| format!("[default]\neffect = \"deny\"\nreason = \"Ask first.\"\n{rules}");
    let require = "[[rule]]\nid = \"q\"\neffect = \"require\"\nwhen = [{ parameter = \"/v\", more_than = 1 }]\n\
                   stages = [{ from = \"finance\" }]\n";
    let policy = deny(require);
    assert_eq!(outcome(&policy, "act", json!({"v": 2})), "require q");
    assert_eq!(outcome(&policy, "act", json!({"v": 1})), "deny default");
    assert_eq!(outcome(&policy, "act", json!({})), "deny default");
    assert_eq!(
        outcome(&policy, "act", json!({"v": "2,000"})),
        "deny default"
    );
    // Without a default denial the same is asked.
    assert_eq!(outcome(require, "act", json!({})), "require q");
    let parameters = json!({});
    match rules(&policy).evaluate(&asked("act", &parameters)) {
        Effect::Deny { rules, reason } => {
            assert_eq!(reason, "Ask first.");
            assert_eq!(rules[0].facts[1], "rule q may apply: /v is missing");
        }
        other => panic!("{other:?}"),
    }
    // An approval lifts it, unless it may be used up.
    let approve = "[[rule]]\nid = \"p\"\neffect = \"approve\"\nactions = [\"act\"]\n";
    assert_eq!(
        outcome(&deny(&format!("{require}{approve}")), "act", json!({})),
        "require q"
    );
    let limited = format!("{require}{approve}limit = {{ times = 1, per = \"1h\" }}\n");
    assert_eq!(outcome(&deny(&limited), "act", json!({})), "deny default");
}

#[test]
fn several_requirements_join_to_the_strictest() {
    let policy = rules(
        r#"
[[rule]]
id = "one"
effect = "require"
stages = [{ from = "finance" }, { from = "security" }]
rejections = 2
timeout = "4h"
comment = "on-reject"
not_before = "30s"
summary = ["/amount"]
reject_reasons = ["Wrong amount"]
[[rule]]
id = "two"
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
rejections = 3
timeout = "2h"
run_within = "10m"
sign_in = true
not_before = "1m"
add_requested = true
on_behalf_of = "required"
summary = ["/amount", "/iban"]
reject_reasons = ["Not ours"]
reask = "refuse"
"#,
    );
    let requested = [super::address("chosen@example.com")];
    let parameters = json!({});
    let request = human_oversight::policy::Asked {
        requested: &requested,
        ..asked("act", &parameters)
    };
    let joined = requirement(policy.evaluate(&request));
    assert_eq!(stages(&joined), "2 finance + 1 requested > 1 security");
    assert_eq!(people(&joined.stages[0][1].members), ["chosen@example.com"]);
    assert_eq!(joined.rejections.get(), 2);
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
    assert_eq!(seconds(joined.timeout), Some(7_200));
    assert_eq!(seconds(joined.run_within), Some(600));
    assert_eq!(seconds(joined.not_before), Some(60));
    assert!(joined.sign_in && joined.on_behalf_of_required);
    assert_eq!(
        (joined.comment, joined.reask),
        (CommentRule::OnReject, Reask::Refuse)
    );
    let summary: Vec<&str> = joined.summary.iter().map(|it| it.as_str()).collect();
    assert_eq!(summary, ["/amount", "/iban"]);
    assert_eq!(joined.reject_reasons, ["Wrong amount", "Not ours"]);
    assert_eq!(joined.check(Duration::from_secs(7_200)), Ok(()));
}
