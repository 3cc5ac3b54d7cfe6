//! Names of agents and actions, and the words of facts.

use human_oversight::policy::{Asked, Effect};
use serde_json::{Value, json};

use super::{asked, parse, rules, short};

/// Whether patterns of actions match: `yes`, `no` or `unknown`.
pub(super) fn action_matches(pattern: &str, action: &str) -> &'static str {
    let outcome = |effect: &str| {
        let policy = parse(&format!(
            "version = 1\n[[rule]]\nid = \"r\"\neffect = \"{effect}\"\nactions = [{}]",
            json!(pattern)
        ));
        short(&policy.evaluate(&asked(action, &json!({})))) != "requester"
    };
    match (outcome("approve"), outcome("deny")) {
        (true, true) => "yes",
        (false, true) => "unknown",
        (false, false) => "no",
        (true, false) => panic!("{pattern} {action}"),
    }
}

#[test]
fn actions_match_patterns_as_sent_or_unknown() {
    for (pattern, action, expected) in [
        ("Pay *", "Pay supplier", "yes"),
        ("Pay *", "Repay supplier", "no"),
        ("Pay *", "Payout", "no"),
        ("Pay *", "pay supplier", "unknown"),
        ("Pay *", "PAY  supplier", "unknown"),
        ("Pay *", "  Pay supplier", "unknown"),
        ("Pay *", "P\u{430}y supplier", "unknown"),
        ("Pay *", "Pay\u{a0}supplier", "unknown"),
        ("Pay *", "\u{ff30}ay supplier", "unknown"),
        // Look-alikes are unknown against every pattern.
        ("Delete *", "P\u{430}y supplier", "unknown"),
        ("Pay *", "P\u{430}y", "unknown"),
        ("*", "P\u{430}y supplier", "yes"),
        ("*production*", "Delete production database", "yes"),
        ("*production*", "Delete Production database", "unknown"),
        ("Refund * EUR", "Refund 5 EUR", "yes"),
        ("Refund * EUR", "Refund 5 USD", "no"),
        ("a.c", "abc", "no"),
        ("[ab]", "a", "no"),
        ("a?", "ab", "no"),
        ("ΟΔΟΣ*", "οδοσσ", "unknown"),
        // Letters of ASCII that look alike, one by one and in pairs.
        ("*Delete*production*", "DeIete production db", "unknown"),
        ("*Delete*production*", "DELETE PR0DUCTlON DB", "unknown"),
        ("*Delete*production*", "De|ete produc7ion db", "no"),
        ("Terminate r*", "Terrninate r1", "unknown"),
        ("Terminate r*", "Terrninate rn", "unknown"),
        ("Terminate r*", "Terminate m", "no"),
        ("v*", "web", "no"),
        ("Overwrite *", "Overvvrite disk", "unknown"),
        ("Read *", "Reacl file", "no"),
        ("Delete *", "Depart", "no"),
    ] {
        assert_eq!(
            action_matches(pattern, action),
            expected,
            "{pattern} {action}"
        );
    }
}

#[test]
fn agents_match_in_a_namespace_of_their_own() {
    let policy = parse(
        "version = 1\n[[rule]]\nid = \"r\"\nagents = [\"Pay*\", \"Mail\"]\neffect = \"deny\"",
    );
    let denied = |agent, parameters: &Value| {
        let effect = policy.evaluate(&Asked {
            agent,
            ..asked("act", parameters)
        });
        short(&effect) == "deny r"
    };
    let none = json!({});
    assert!(denied("PayBot", &none) && denied("Mail", &none) && denied("mail", &none));
    assert!(!denied("MailBot", &none) && !denied("Other", &none));
    assert!(!denied(
        "Other",
        &json!({"agent": "Mail", "agents": ["Mail"], "action": "Mail", "/agent": "Mail"})
    ));
}

fn facts(rule: &str, action: &str, parameters: &Value) -> Vec<String> {
    let policy = rules(&format!("[[rule]]\nid = \"r\"\neffect = \"deny\"\n{rule}"));
    match policy.evaluate(&asked(action, parameters)) {
        Effect::Deny { rules, .. } => rules[0].facts.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn facts_say_in_words_why_a_rule_applies() {
    for (when, parameters, fact) in [
        (
            "more_than = 50",
            json!({"v": 18_000}),
            "/v is 18000, more than 50",
        ),
        (
            "more_than = 50",
            json!({"v": "18000.50"}),
            "/v is “18000.50”, more than 50",
        ),
        (
            "more_than = 50",
            json!({"v": "18,000"}),
            "/v is “18,000”, not a number",
        ),
        (
            "more_than = 50, at_most = 90",
            json!({"v": "18,000"}),
            "/v is “18,000”, not a number",
        ),
        ("more_than = 50, at_most = 90", json!({}), "/v is missing"),
        ("more_than = 50", json!({}), "/v is missing"),
        (
            "more_than = 50",
            json!({"v": null}),
            "/v is null, not a number",
        ),
        (
            "more_than = 50",
            json!({"v": [1]}),
            "/v is a list, not a number",
        ),
        ("is = \"EUR\"", json!({"v": "EUR"}), "/v is “EUR”"),
        (
            "is = \"EUR\"",
            json!({"v": "eur"}),
            "/v is “eur”, which may be read as “EUR”",
        ),
        (
            "is = \"EUR\"",
            json!({"v": "\u{415}UR"}),
            "/v is “\u{415}UR”, with characters that can be mistaken for others, compared with “EUR”",
        ),
        (
            "one_of = [\"EUR\", \"USD\"]",
            json!({"v": "USD"}),
            "/v is “USD”, one of “EUR”, “USD”",
        ),
        (
            "none_of = [1, 2, 3, 4, 5, 6]",
            json!({"v": 9}),
            "/v is 9, none of 1, 2, 3, 4 and 2 more",
        ),
        (
            "is_not = true",
            json!({"v": false}),
            "/v is false, not true",
        ),
        ("exists = true", json!({"v": null}), "/v is there"),
        ("exists = false", json!({}), "/v is missing"),
        (
            "starts_with = \"/srv/\"",
            json!({"v": "/srv/x"}),
            "/v is “/srv/x”, which starts with “/srv/”",
        ),
        (
            "matches = \"^a+$\"",
            json!({"v": "aa"}),
            "/v is “aa”, which matches “^a+$”",
        ),
    ] {
        let rule = format!("when = [{{ parameter = \"/v\", {when} }}]");
        assert_eq!(facts(&rule, "act", &parameters), [fact], "{when}");
    }
    assert_eq!(
        facts("actions = [\"Pay *\"]", "Pay x", &json!({})),
        ["the action is “Pay x”, like “Pay *”"]
    );
    assert_eq!(
        facts("actions = [\"Pay *\"]", "pay x", &json!({})),
        ["the action is “pay x”, which may be read as “Pay *”"]
    );
    assert_eq!(
        facts("", "act", &json!({})),
        ["the rule is for every request"]
    );
}

#[test]
fn facts_quote_no_secret_and_no_long_or_hidden_text() {
    for (pointer, condition, parameters) in [
        (
            "/password",
            "is = \"hunter2\"",
            json!({"password": "hunter2"}),
        ),
        (
            "/api-key",
            "starts_with = \"hunter2\"",
            json!({"api-key": "hunter2x"}),
        ),
        (
            "/credentials/pin/0",
            "more_than = 1",
            json!({"credentials": {"pin": [4711]}}),
        ),
        ("/token", "is = 4711", json!({"token": "hunter2"})),
    ] {
        let rule = format!("when = [{{ parameter = \"{pointer}\", {condition} }}]");
        let facts = facts(&rule, "act", &parameters).join(" ");
        assert!(facts.starts_with(pointer), "{facts}");
        assert!(
            !facts.contains("hunter2") && !facts.contains("4711"),
            "{facts}"
        );
    }
    let long = facts(
        "when = [{ parameter = \"/v\", is_not = \"x\" }]",
        "act",
        &json!({"v": "y".repeat(5_000)}),
    );
    assert!(long[0].chars().count() <= 200, "{}", long[0]);
    let hidden = facts(
        "when = [{ parameter = \"/v\", is_not = \"x\" }]",
        "act",
        &json!({"v": " a\nb  c\u{202e}\u{a0}"}),
    );
    assert!(hidden[0].contains("“␣a↵b␣ c\u{fffd}␣”"), "{}", hidden[0]);
}
